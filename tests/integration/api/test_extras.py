"""Extras over HTTP: listed with their shapes, read in the owner, run once by the mailbox."""

import json
from typing import Any

import asyncpg
import msgspec
import pytest

from hub.contract import AuthRevoked, NotFound, RateLimited
from hub.extras import answers
from hub.ids import message_id
from hub.tenancy import create_user
from tests.integration.api.api_world import PASSWORD, Side, World, login

pytestmark = pytest.mark.postgres


class Owner:
    """An owner that answers one thing and remembers what it was asked."""

    def __init__(self, answer: answers.Answer) -> None:
        self.answer, self.asked = answer, []

    def wake(self) -> None:
        pass

    async def extra(self, name: str, params: bytes) -> bytes:
        self.asked.append((name, json.loads(params)))
        return self.answer.encode()


def owned(world: World, answer: answers.Answer) -> Owner:
    """Let the till's connection have an owner that answers so."""
    owner = world.owners.owners[world.a.pos] = Owner(answer)
    return owner


async def member(world: World, role: Any) -> Side:
    """Somebody of the first tenant with a lesser role."""
    email = f"{role}-{world.a.tenant}@example.test"
    made = await create_user(world.context.database, email, tenant=world.a.tenant, role=role, password=PASSWORD)
    side = Side(world.a.tenant, email, made.id)
    await login(world.client, side)
    return side


async def test_extras_are_listed_with_the_schemas_of_what_they_take_and_give(world: World) -> None:
    """Name, title, kind, and JSON Schemas; no owner is asked."""
    items = (await world.call(world.a, "GET", f"/connections/{world.a.pos}/extras")).json()["items"]
    assert [(item["name"], item["title"], item["kind"]) for item in items] == [
        ("counts", "Counts", "read"),
        ("lock", "Lock a drawer", "run"),
    ]
    counts = items[0]
    shape = counts["params"]["$defs"][counts["params"]["$ref"].rsplit("/", 1)[-1]]
    assert (shape["required"], shape["properties"]["most"]["type"]) == (["ref"], "integer")
    assert counts["result"]["type"] == "array"


async def test_a_read_is_answered_by_the_owner(world: World) -> None:
    """Params come in the query, typed by the extra's own shape, or as a body; the result comes as it is."""
    owner = owned(world, answers.given([{"ref": "L1", "count": 3}]))
    path = f"/connections/{world.a.pos}/extras/counts"
    asked = await world.call(world.a, "GET", f"{path}?ref=L1&most=3&items=a&items=b")
    assert (asked.status_code, asked.json()) == (200, [{"ref": "L1", "count": 3}])
    assert (await world.call(world.a, "GET", f"{path}?ref=L2&items=a")).status_code == 200
    assert (await world.call(world.a, "POST", path, {"ref": "L3"})).status_code == 200
    assert owner.asked == [
        ("counts", {"ref": "L1", "most": 3, "items": ["a", "b"]}),
        ("counts", {"ref": "L2", "most": 10, "items": ["a"]}),
        ("counts", {"ref": "L3", "most": 10, "items": []}),
    ]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [("", "/ref"), ("?ref=L1&most=many", "/most"), ("?ref=L1&colour=red", "/colour"), ("?ref=L1&ref=L2", "/ref")],
)
async def test_params_that_do_not_fit_are_pointed_at(world: World, query: str, pointer: str) -> None:
    """422, in the query as in a body, before any owner is asked."""
    owner = owned(world, answers.given([]))
    answer = await world.call(world.a, "GET", f"/connections/{world.a.pos}/extras/counts{query}")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    posted = await world.call(world.a, "POST", f"/connections/{world.a.pos}/extras/lock", {"drawer": 7, "code": "x"})
    assert (posted.status_code, posted.json()["errors"][0]["pointer"]) == (422, "/drawer")
    assert owner.asked == []


async def test_an_unknown_extra_is_404_and_names_the_known(world: World) -> None:
    """So is one of a connection that is not there."""
    answer = await world.call(world.a, "GET", f"/connections/{world.a.pos}/extras/weather")
    assert answer.status_code == 404
    assert "counts, lock" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("answer", "status", "error", "words"),
    [
        (answers.failed(NotFound("counts answered 404", code="NO_STORE", detail="no L1 for jane@example.test")), 502, "NotFound", "no L1"),
        (answers.failed(AuthRevoked("access was withdrawn")), 502, "AuthRevoked", "withdrawn"),
        (answers.failed(RateLimited("slow down", after=42)), 503, "RateLimited", "slow down"),
        (answers.failed(ValueError("tok_secret")), 502, "ValueError", "log says why"),
        (answers.too_slow(), 503, "TooSlow", "within 15 s"),
    ],
)
async def test_a_failed_read_says_its_class_and_redacted_words(
    world: World, answer: answers.Answer, status: int, error: str, words: str
) -> None:
    """502 where another try does not help, 503 with Retry-After where it may."""
    owned(world, answer)
    got = await world.call(world.a, "GET", f"/connections/{world.a.pos}/extras/counts?ref=L1")
    assert (got.status_code, got.json()["error"]) == (status, error)
    assert words in got.json()["detail"]
    assert "jane" not in got.text
    assert "tok_secret" not in got.text
    assert got.headers.get("retry-after") == ({"RateLimited": "42", "TooSlow": "5"}.get(error))


async def test_without_an_owner_a_read_is_503(world: World) -> None:
    """Nothing answers for the connection."""
    got = await world.call(world.a, "GET", f"/connections/{world.a.pos}/extras/counts?ref=L1")
    assert (got.status_code, got.json()["error"]) == (503, "NoOwner")


async def test_a_suspended_connection_reads_and_runs_nothing(world: World) -> None:
    """409 with the reason; the list is still shown."""
    async with world.context.database.tenant(world.a.tenant) as tx:
        await tx.execute("update hub.connections set status = 'suspended', status_reason = 'connect it' where id = $1", world.a.pos)
    for method, name in (("GET", "counts?ref=L1"), ("POST", "lock")):
        got = await world.call(world.a, method, f"/connections/{world.a.pos}/extras/{name}", {} if method == "POST" else None)
        assert (got.status_code, "connect it" in got.json()["detail"]) == (409, True)
    assert (await world.call(world.a, "GET", f"/connections/{world.a.pos}/extras")).status_code == 200


async def test_a_run_is_stored_sealed_and_done_once_an_idempotency_key(world: World, owner_url: str) -> None:
    """202 with its message; the secret param lies open nowhere, the audit row names fields only."""
    world.owners.woken.clear()
    path, body = f"/connections/{world.a.pos}/extras/lock", {"drawer": "D1", "code": "hush-7421"}
    first = await world.call(world.a, "POST", path, body, Idempotency_Key="lock-1", X_Correlation_Id="cor-lock")
    again = await world.call(world.a, "POST", path, body, Idempotency_Key="lock-1")
    assert (first.status_code, again.json()) == (202, first.json())
    assert first.json()["correlation_id"] == "cor-lock"
    assert world.a.pos in world.owners.woken
    async with world.context.database.tenant(world.a.tenant) as tx:
        rows = await tx.fetch(
            "select id, dedupe_key, body, correlation from hub.messages where kind = 'extra.run' and connection = $1",
            world.a.pos,
        )
    [row] = rows
    assert (message_id(row["id"]), row["correlation"]) == (first.json()["message"], "cor-lock")
    opened = await world.context.bodies.open(world.a.tenant, row["body"], "messages", world.a.pos, row["dedupe_key"])
    assert msgspec.json.decode(opened) == {"name": "lock", "params": body}
    audit = (await world.call(world.a, "GET", f"/audit-log?subject={world.a.pos}")).json()["items"][0]
    assert (audit["action"], audit["fields"]) == ("connection.extra.lock", {"changed": ["code", "drawer"]})
    owner = await asyncpg.connect(owner_url)
    try:
        for table in ("messages", "events", "audit_log", "idempotency_keys", "facts", "due", "dead_letters"):
            query = f"select count(*) from hub.{table} t where t::text like $1 or t::text like $2"
            assert await owner.fetchval(query, "%hush-7421%", f"%{b'hush-7421'.hex()}%") == 0, table
    finally:
        await owner.close()


async def test_two_runs_are_two_messages_with_subjects_of_their_own(world: World) -> None:
    """Without a key each request is a run, and one that is dead would not park the other."""
    path, body = f"/connections/{world.a.pos}/extras/lock", {"drawer": "D1", "code": "c"}
    for _ in range(2):
        assert (await world.call(world.a, "POST", path, body)).status_code == 202
    async with world.context.database.tenant(world.a.tenant) as tx:
        rows = await tx.fetch("select subject from hub.due where connection = $1 and subject like 'extra/%'", world.a.pos)
    assert len({row["subject"] for row in rows}) == 2


async def test_a_run_takes_post_and_a_manager_a_read_takes_staff(world: World) -> None:
    """GET on a run is 405; staff may read, not run; a viewer may neither."""
    owned(world, answers.given([]))
    path, body = f"/connections/{world.a.pos}/extras", {"drawer": "D1", "code": "c"}
    got = await world.call(world.a, "GET", f"{path}/lock?drawer=D1&code=c")
    assert (got.status_code, got.headers["allow"]) == (405, "POST")
    staff, viewer = await member(world, "staff"), await member(world, "viewer")
    assert (await world.call(staff, "GET", f"{path}/counts?ref=L1")).status_code == 200
    assert (await world.call(staff, "POST", f"{path}/lock", body)).status_code == 403
    assert (await world.call(viewer, "GET", f"{path}/counts?ref=L1")).status_code == 403
    assert (await world.call(viewer, "GET", path)).status_code == 200
    assert (await world.call(await member(world, "manager"), "POST", f"{path}/lock", body)).status_code == 202
