"""Foodics' plan, error names, webhooks and consent over a faked HTTP seam."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from adapters.foodics import PROVIDER
from adapters.foodics.webhooks import FoodicsIngress
from hub.contract import (
    CAPABILITIES,
    AlreadyDone,
    AuthorizationCode,
    AuthRevoked,
    Cancelled,
    CancelTask,
    CannotCancel,
    Done,
    Drifted,
    IngressRequest,
    Lane,
    Malformed,
    Misconfigured,
    NotFound,
    Offline,
    PosRejected,
    Queued,
    RateLimited,
    Rejected,
    Repeat,
    Request,
    Response,
    Step,
    Submitted,
)
from hub.model import OrderState, StockLevel
from tests.unit.adapters.foodics.foodics_business import BRANCH, SETTINGS, ByOperation, foodics, sar, task

SECRET = "a-long-secret-of-ours-0123456789"
TAKEN = {"message": "The given data was invalid.", "errors": {"phone": ["The phone has already been taken."]}}
WRONG = {"message": "The given data was invalid.", "errors": {"total_price": ["The total price does not match."]}}


def answer(status: int, body: Any = None, **headers: str) -> Response:
    """An answer of Foodics."""
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, msgspec.json.encode(body))


def test_the_class_has_what_the_facts_list() -> None:
    """Each capability and extra of provider.toml, and no other."""
    adapter = foodics(ByOperation())
    platforms = {"order_list"}  # its method has the name of a POS's
    assert {name for name, kind in CAPABILITIES.items() if isinstance(adapter, kind)} - platforms == set(PROVIDER.facts.capabilities) - {
        "ingress"
    }
    assert set(adapter.extras()) == set(PROVIDER.facts.extras)


@pytest.mark.parametrize(
    ("operation", "response", "kind", "words"),
    [
        ("create_order", answer(422, WRONG), Rejected, "total_price: The total price does not match."),
        ("create_order", answer(400, {"message": "no"}), Rejected, "no"),
        ("create_order", answer(500), type(None), ""),
        ("create_order", answer(401), type(None), ""),
        ("get_orders", answer(404), type(None), ""),
        ("create_order", answer(403, {"message": "Invalid scope(s) provided."}), Misconfigured, "scope"),
        ("create_order", answer(429, {"message": "Too Many Attempts."}), RateLimited, "Too Many"),
        ("create_order", answer(429, retry_after="7"), type(None), ""),
        ("create_customer", answer(422, TAKEN), AlreadyDone, "phone"),
        ("create_customer", answer(422, WRONG), Rejected, ""),
        ("decline_order", answer(422, WRONG), AlreadyDone, ""),
        ("token", answer(401, {"message": "The refresh token is invalid."}), AuthRevoked, "refresh"),
        ("token", answer(422), AuthRevoked, ""),
        ("create_order", Response(409, {}, b"\xff"), Rejected, "409"),
        ("create_order", answer(200, {"data": {}}), type(None), ""),
    ],
)
def test_failures(operation: str, response: Response, kind: type, words: str) -> None:
    """Each row of the table; None leaves it to the shared one."""
    found = foodics(ByOperation()).failure(operation, response)
    assert type(found) is kind
    assert words in str(found)
    if isinstance(found, RateLimited):
        assert (found.after, found.scope) == (30, "connection")


async def test_an_order_is_one_write_that_is_looked_up() -> None:
    """Repeated only after a search; a pending answer waits, an active one is submitted, a declined one refused, junk has drifted."""
    http = ByOperation()
    adapter = foodics(http, cashier_minutes=3)
    step = await adapter.submit(task(), {})
    assert isinstance(step, Step)
    assert (step.name, step.repeat, step.request.method, step.request.path, step.request.about) == (
        "order",
        Repeat.LOOKUP,
        "POST",
        "/orders",
        "B-1",
    )
    assert json.loads(step.request.body)["payments"][0]["payment_method_id"] == "M-8"
    assert step == await adapter.submit(task(), {})

    def said(status: Any) -> Done:
        return adapter.read_step("order", answer(200, {"data": {"id": "o-1", "status": status, "total_price": 56, "meta": []}}))

    queued = await adapter.submit(task(), {"order": said(1)})
    assert isinstance(queued, Queued)
    assert queued.pos_order_id == "o-1"
    assert 170 < (queued.until - datetime.now(UTC)).total_seconds() <= 180
    assert await adapter.submit(task(), {"order": said(2)}) == Submitted("o-1", sar(5600))
    assert isinstance(await adapter.submit(task(), {"order": said(3)}), PosRejected)
    assert isinstance(await adapter.submit(task(), {"order": said(99)}), Queued)
    with pytest.raises(Drifted):
        adapter.read_step("order", answer(200, {"order": {}}))


async def test_branches_that_cannot_show_an_order() -> None:
    """Fields that are null hide its orders; fields that are absent say nothing; a closed one is offline."""
    for changes, kind in (
        ({"latitude": None}, PosRejected),
        ({"opening_to": None}, PosRejected),
        ({"receives_online_orders": False}, Offline),
    ):
        assert isinstance(await foodics(ByOperation(list_branches=[{**BRANCH, **changes}])).submit(task(), {}), kind)
    assert isinstance(await foodics(ByOperation(list_branches=[{"id": "B-1"}])).submit(task(), {}), Step)
    with pytest.raises(Misconfigured):
        await foodics(ByOperation(list_branches=[])).submit(task(), {})
    dollars = await foodics(ByOperation(get_settings={**SETTINGS, "business_currency": "USD"})).submit(task(), {})
    assert isinstance(dollars, PosRejected)


@pytest.mark.parametrize(("named", "method"), [("", "M-7"), ("M-9", "M-9"), ("none", None)])
async def test_payment_methods(named: str, method: str | None) -> None:
    """The named one, else External, else Other; none leaves it to be paid."""
    retired = {"id": "M-8", "name": "App", "type": 8, "is_active": False}
    http = ByOperation(list_payment_methods=[{"id": "M-1", "type": 1}, retired, {"id": "M-7", "type": 7}])
    step = await foodics(http, payment_method=named).submit(task(), {})
    assert isinstance(step, Step)
    assert [each["payment_method_id"] for each in json.loads(step.request.body).get("payments", [])] == ([method] if method else [])


@pytest.mark.parametrize(
    ("status", "done", "result"),
    [
        (1, False, Step),
        (3, True, Cancelled),
        (7, False, Cancelled),
        (2, False, CannotCancel),
        (1, True, CannotCancel),
        (4, False, CannotCancel),
    ],
)
async def test_cancel(status: int, done: bool, result: type) -> None:
    """What is asked of the vendor, and what it says afterwards, is always read."""
    http = ByOperation(get_orders={"id": "o/1", "status": status})
    found = await foodics(http).cancel(CancelTask("ord_1", "o/1", "B-1", "x"), {"cancel": Done()} if done else {})
    assert isinstance(found, result)
    assert http.requests[0].path == "/orders/o%2F1"
    if isinstance(found, Step):
        assert (found.repeat, found.request.method, found.request.body) == (Repeat.NATURAL, "PUT", b'{"status":3}')


async def test_an_order_is_read_whatever_a_notice_says() -> None:
    """An unsigned body decides nothing; one that is gone is not found; the total holds the charges."""
    body = {
        "id": "o-1",
        "status": 2,
        "total_price": 50.4,
        "charges": [{"amount": 10}, {"amount": 0.5}],
        "updated_at": "2026-01-10 18:00:00",
    }
    told = await foodics(ByOperation(get_orders=body)).order("o-1", b'{"order":{"status":7}}')
    assert (told.state, told.total, told.version, told.reference) == (OrderState.ACCEPTED, sar(6090), "2026-01-10T18:00:00/2.0", "")
    with pytest.raises(NotFound):
        await foodics(ByOperation(get_orders=NotFound("gone"))).order("o-1", b"{}")


async def test_one_that_stands_is_found_before_a_declined_one() -> None:
    """Both bear our reference; another's and no reference do not matter."""
    mine = {"meta": {"3rd_party_order_number": "ord_1"}, "total_price": 56}
    rows = [{"id": "a", "status": 3, **mine}, {"id": "b", "status": 1, **mine}, {"id": "c", "status": 7, **mine}, {"id": "d", "meta": []}]
    http = ByOperation(list_orders=rows)
    since = datetime(2026, 1, 10, 18, 0, tzinfo=UTC)
    assert await foodics(http).find(task(), "order", since) == Done("b", {"status": 1, "total": "56"})
    assert http.requests[-1].query["filter[updated_after]"] == "2026-01-10 17:55:00"
    assert await foodics(ByOperation(list_orders=rows[:1])).find(task(), "order", since) == Done("a", {"status": 3, "total": "56"})


async def test_every_page_is_read() -> None:
    """Counted by their number: the links forget the filters."""

    class Paged(ByOperation):
        async def read(self, request: Request) -> Response:
            if request.operation != "list_branches":
                return await super().read(request)
            page = int(request.query["page"])
            return answer(200, {"data": [{"id": f"B-{page}"}], "meta": {"current_page": page, "last_page": 3}})

    assert [each.ref for each in await foodics(Paged()).list_stores()] == ["B-1", "B-2", "B-3"]


async def test_stock_is_one_product_a_call() -> None:
    """A product or an option, at one branch."""
    step = await foodics(ByOperation()).stock_step("B-1", [StockLevel("o 1", False, kind="modifier")])
    assert (step.request.path, step.repeat) == ("/modifier_options/o%201", Repeat.NATURAL)
    assert step.request.body == b'{"branches":[{"id":"B-1","is_in_stock":false}]}'
    assert foodics(ByOperation()).read_step("stock/msg_1", answer(200, {"data": {"id": "o 1"}})) == Done("o 1")
    with pytest.raises(Rejected):
        await foodics(ByOperation()).stock_step("B-1", [])


def hook(body: Any, suffix: str = SECRET, **headers: str) -> IngressRequest:
    """A call to the registered address."""
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return IngressRequest("POST", suffix, {}, {name.replace("_", "-"): value for name, value in headers.items()}, raw, "https://hub")


def test_who_calls() -> None:
    """The secret in the path, or the body's HMAC by it; neither empty secrets nor another's."""
    signed, body = FoodicsIngress().signed, b'{"event":"x"}'
    digest = hmac.digest(SECRET.encode(), body, hashlib.sha256).hex()
    assert signed(hook(body), ["old", SECRET])
    assert signed(hook(body, f"{SECRET}/"), [SECRET])
    assert signed(hook(body, "", x_foodics_signature=digest.upper()), [SECRET])
    assert not signed(hook(body + b" ", "", x_foodics_signature=digest), [SECRET])
    for request in (hook(body, ""), hook(body, SECRET[:-1]), hook(body, "", x_foodics_signature="é")):
        assert not signed(request, [SECRET])
        assert not signed(request, [""])
        assert not signed(request, [])


def test_facts() -> None:
    """Either spelling; one fact for the events of one change; menus may have changed stock; the rest is noted; junk is malformed."""
    facts = FoodicsIngress().facts
    order = {"id": "o-1", "status": 2, "delivery_status": 1, "updated_at": "2026-01-10 18:00:00", "meta": []}
    names = (
        "order.updated",
        "orders.updated",
        "application.order.updated",
        "order.delivery.updated",
        "order.cancelled",
        "customer.order.created",
    )
    found = {facts(hook({"event": name, "order": order}))[0] for name in names}
    assert {(each.kind, each.subject, each.dedupe_key) for each in found} == {
        ("pos_order.changed", "order/o-1", "order/o-1/changed/2026-01-10T18:00:00/2.1")
    }
    menu = facts(hook({"event": "menu.updated", "timestamp": 5, "entity": {"type": "product", "id": "p"}}))
    assert [(each.kind, each.subject, each.dedupe_key, each.lane) for each in menu] == [
        ("stock.changed", "sync/stock", "stock/product/p/5", Lane.STOCK),
        ("menu.changed", "sync/menu", "menu/product/p/5", Lane.MENU),
    ]
    assert [each.kind for each in facts(hook({"event": "menu.updated", "entity": {"type": "group", "id": "g"}}))] == ["menu.changed"]
    assert [each.kind for each in facts(hook({"event": "menu.updated"}))] == ["stock.changed", "menu.changed"]
    assert [each.kind for each in facts(hook({"event": "customer.created", "customer": {}}))] == ["noted"]
    for bad in (b"{", b"[]", {"event": "order.updated"}, {"event": "order.updated", "order": {"id": ""}}, {"order": order}):
        with pytest.raises(Malformed):
            facts(hook(bad))
    assert (FoodicsIngress().stored(menu).status, FoodicsIngress().refused("not_stored").status) == (200, 503)


def test_consent_and_tokens() -> None:
    """Consent is on the console's host, tokens at the API's root as JSON with the app's secret; a token may never end."""
    auth, places = PROVIDER.auth(PROVIDER.facts), PROVIDER.facts.environments
    assert isinstance(auth, AuthorizationCode)
    url = auth.consent_url(places["production"].base("consent"), {"client_id": "c"}, "https://hub/back", "s")
    assert url.startswith("https://console.foodics.com/authorize?")
    assert "scope=general.read+menu.write" in url
    request = auth.code_request({"client_id": "c", "client_secret": "x"}, "code", "https://hub/back")
    assert (request.base, request.path, places["production"].base("auth")) == ("auth", "/oauth/token", "https://api.foodics.com")
    assert json.loads(request.body)["grant_type"] == "authorization_code"
    token = auth.read_token(answer(200, {"token_type": "Bearer", "access_token": "t"}), datetime.now(UTC), None)
    assert (token.expires_at, token.refresh, auth.token_request({"client_id": "c"}, token)) == (None, "", None)
