"""What holds for every route: problems, correlation ids, idempotency keys, pages, the description and its page."""

import asyncio
import re

import pytest

from hub.ids import is_id
from tests.integration.api.api_world import World, add_order

pytestmark = pytest.mark.postgres

LOCATION = {"name": "Olaya", "timezone": "Asia/Riyadh", "currency": "SAR"}


async def test_every_answer_has_a_correlation_id(world: World) -> None:
    """The client's own id is kept when it is harmless, replaced when it is not, and is on errors too."""
    kept = await world.call(world.a, "GET", "/orders", X_Correlation_Id="till-7:abc")
    assert kept.headers["x-correlation-id"] == "till-7:abc"
    for path in ("/nowhere", "/orders"):
        replaced = await world.client.get(f"/api/v1{path}", headers={"X-Correlation-Id": "<script>"})
        assert replaced.status_code in (404, 401)
        assert is_id("cor", replaced.headers["x-correlation-id"])


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nowhere", None, 404),
        ("GET", "/orders/ord_nothing", None, 404),
        ("PUT", "/orders", None, 405),
        ("POST", "/locations", {"name": "x"}, 422),
        ("POST", "/locations", {**LOCATION, "colour": "red"}, 422),
        ("POST", "/locations", {**LOCATION, "name": 7}, 422),
        ("POST", "/locations", {**LOCATION, "currency": "riyal"}, 422),
        ("POST", "/locations", {**LOCATION, "name": "a\x00b"}, 422),
        ("GET", "/orders?limit=0", None, 422),
        ("GET", "/orders?limit=many", None, 422),
        ("GET", "/orders?state=lost", None, 422),
        ("GET", "/orders?cursor=%%%", None, 422),
        ("GET", "/orders?text=%00", None, 422),
        ("GET", "/locations?cursor=Zm9v", None, 422),
    ],
)
async def test_errors_are_problems(world: World, method: str, path: str, body: object, status: int) -> None:
    """Whatever goes wrong, the answer is RFC 9457 with the status in it."""
    answer = await world.call(world.a, method, path, body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert {"type", "title", "detail"} <= problem.keys()


async def test_a_bad_field_is_pointed_at(world: World) -> None:
    """errors[] names each bad field with a JSON pointer, or the query parameter."""
    for body, pointer in (
        ({"name": "x", "timezone": "UTC"}, "/currency"),
        ({**LOCATION, "colour": "red"}, "/colour"),
        ({**LOCATION, "name": 7}, "/name"),
        ({**LOCATION, "timezone": "Mars/Olympus"}, "/timezone"),
    ):
        errors = (await world.call(world.a, "POST", "/locations", body)).json()["errors"]
        assert [e["pointer"] for e in errors] == [pointer]
    nested = {"location": world.a.location, "pos": {"connection": 1}, "delivery": {"connection": "c", "store_ref": "s"}}
    assert (await world.call(world.a, "POST", "/links", nested)).json()["errors"][0]["pointer"].startswith("/pos")
    assert (await world.call(world.a, "GET", "/orders?limit=0")).json()["errors"][0]["parameter"] == "limit"


async def test_broken_json_is_a_problem(world: World) -> None:
    """A body that is no JSON is refused with a problem, not a crash."""
    headers = {"Authorization": f"Bearer {world.a.token}", "Content-Type": "application/json"}
    answer = await world.client.post("/api/v1/locations", content=b'{"name": ', headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_over_the_limit_is_413(world: World) -> None:
    """A body larger than the setting is refused, whether or not its length is announced."""
    headers = {"Authorization": f"Bearer {world.a.token}", "Content-Type": "application/json"}

    async def chunks():
        for _ in range(70):
            yield b" " * 1024

    for content in (b" " * 70_000, chunks()):
        answer = await world.client.post("/api/v1/locations", content=content, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


async def test_without_a_token_it_is_401(world: World) -> None:
    """Each route but login, refresh and the description wants a token."""
    answer = await world.client.get("/api/v1/orders")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="hub"')
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_same_key_and_body_is_done_once(world: World) -> None:
    """A repeated write replays the stored answer; nothing is done a second time."""
    first = await world.call(world.a, "POST", "/locations", LOCATION, Idempotency_Key="one")
    again = await world.call(world.a, "POST", "/locations", LOCATION, Idempotency_Key="one")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert len((await world.call(world.a, "GET", "/locations")).json()["items"]) == 2
    other = await world.call(world.b, "POST", "/locations", LOCATION, Idempotency_Key="one")
    assert other.json()["id"] != first.json()["id"]


async def test_the_same_key_with_another_body_is_422(world: World) -> None:
    """A key names one request: another body or another path under it is refused."""
    await world.call(world.a, "POST", "/locations", LOCATION, Idempotency_Key="two")
    changed = await world.call(world.a, "POST", "/locations", {**LOCATION, "name": "Malqa"}, Idempotency_Key="two")
    assert changed.status_code == 422
    elsewhere = await world.call(world.a, "POST", f"/connections/{world.a.pos}/pause", Idempotency_Key="two")
    assert elsewhere.status_code == 422


async def test_requests_at_once_under_one_key_have_one_effect(world: World) -> None:
    """The second of two at once waits for the first and gets its answer."""
    calls = [world.call(world.a, "POST", "/locations", LOCATION, Idempotency_Key="race") for _ in range(5)]
    answers = await asyncio.gather(*calls)
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["id"] for a in answers}) == 1


async def test_a_failed_write_leaves_its_key_free(world: World) -> None:
    """A refused request stores nothing, so that the mended one may use the key."""
    bad = await world.call(world.a, "POST", "/locations", {**LOCATION, "currency": "x"}, Idempotency_Key="three")
    good = await world.call(world.a, "POST", "/locations", LOCATION, Idempotency_Key="three")
    assert (bad.status_code, good.status_code) == (422, 201)


async def test_kept_answers_are_sealed(world: World, owner_url: str) -> None:
    """An API key in a kept answer cannot be read from the table, and is replayed all the same."""
    import asyncpg

    first = await world.call(world.a, "POST", "/api-keys", {"name": "k"}, Idempotency_Key="key")
    again = await world.call(world.a, "POST", "/api-keys", {"name": "k"}, Idempotency_Key="key")
    assert first.json()["key"] == again.json()["key"]
    owner = await asyncpg.connect(owner_url)
    try:
        kept = await owner.fetchval("select answer::text from hub.idempotency_keys where key = 'key'")
    finally:
        await owner.close()
    assert first.json()["key"] not in kept


async def test_a_list_is_read_page_by_page_without_loss(world: World) -> None:
    """Following next_cursor shows each order once, newest first, then null."""
    made = {world.a.order, *[await add_order(world.context, world.a) for _ in range(6)]}
    seen, cursor = [], ""
    while True:
        answer = (await world.call(world.a, "GET", f"/orders?limit=3{cursor}")).json()
        seen += [order["id"] for order in answer["items"]]
        if answer["next_cursor"] is None:
            break
        cursor = f"&cursor={answer['next_cursor']}"
    assert len(seen) == len(set(seen))
    assert set(seen) == made
    assert seen[-1] == world.a.order


async def test_the_description_is_openapi_31_and_names_every_route(world: World) -> None:
    """openapi.json is 3.1, has no operation without an answer, and describes errors as problems."""
    api = (await world.client.get("/api/v1/openapi.json")).json()
    assert api["openapi"].startswith("3.1")
    assert len(api["paths"]) > 30
    for path, operations in api["paths"].items():
        assert path.startswith("/api/v1/")
        for operation in operations.values():
            assert operation["description"]
            assert "application/problem+json" in operation["responses"]["4XX"]["content"]
            references = set(re.findall(r'"#/components/schemas/([^"]+)"', str(operation).replace("'", '"')))
            assert references <= api["components"]["schemas"].keys()


async def test_the_docs_call_no_other_host(world: World) -> None:
    """The page is self-contained: no address of another host in it, and a policy that forbids any."""
    for path in ("/api/v1/docs", "/api/v1"):
        page = await world.client.get(path)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        shell = re.sub(r'<script type="application/json".*?</script>', "", page.text, flags=re.DOTALL)
        assert not re.search(r"(?:https?:)?//[a-z]", shell)
        assert not re.search(r'<(?:script|link|img)[^>]+(?:src|href)="(?!data:)', shell)
        assert "default-src 'none'" in shell
        assert "/api/v1/orders/{order_id}/accept" in page.text
