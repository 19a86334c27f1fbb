"""K-Series' plan, error names, notices, reads and extras over a faked HTTP seam."""

import base64
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from adapters.lightspeed import PROVIDER, models
from adapters.lightspeed.extras import DayParams, EndpointParams, SalesParams
from adapters.lightspeed.menu import menu_from
from hub.contract import (
    CAPABILITIES,
    AlreadyDone,
    AuthRevoked,
    Done,
    Drifted,
    Misconfigured,
    NotFound,
    Offline,
    OrderCancel,
    OrderSearch,
    PlaceParams,
    Queued,
    Rejected,
    Repeat,
    Response,
    RetryLater,
    Step,
    Token,
    Unreadable,
)
from hub.model import Fulfilment, OrderState
from tests.unit.adapters.lightspeed.lightspeed_bench import LOCATION, cad, entry, lightspeed, menu, sold, task

USED = {"status": "fail", "msg": "reference has already been used 123456789"}
INVALID = {
    "status": 400,
    "error": "Bad Request",
    "message": "Validation failed for object='toGoOrder'. Error count: 1",
    "errors": [{"field": "thirdPartyReference", "defaultMessage": "must not be null", "code": "NotNull"}],
}
UNREGISTERED = {"status": 400, "error": "Bad Request", "message": "endpoint ID not found for HUB"}


def answered(status: int, body: Any = None) -> Response:
    """An answer with this body as JSON; bytes stay as they are."""
    return Response(status, {}, body if isinstance(body, bytes) else msgspec.json.encode(body))


def test_it_has_what_its_facts_say() -> None:
    """The class implements the capabilities and extras of provider.toml, and no list or cancel of orders."""
    adapter = lightspeed()[0]
    for name in set(PROVIDER.facts.capabilities) - {"ingress"}:
        assert isinstance(adapter, CAPABILITIES[name]), name
    assert not isinstance(adapter, OrderSearch | OrderCancel)
    assert tuple(adapter.extras()) == PROVIDER.facts.extras
    assert PROVIDER.facts.webhook is not None
    assert set(PROVIDER.facts.environments) == {"production", "sandbox", "simulator"}


def test_tokens_are_asked_for_by_form_and_basic() -> None:
    """The client goes into the header, the single-use refresh token into the form; what comes back replaces it."""
    auth = PROVIDER.auth(PROVIDER.facts)
    credentials = {"client_id": "id", "client_secret": "secret", "refresh_token": "r1"}
    assert auth.first_token(credentials) is None
    request = auth.token_request(credentials, Token("a2", None, "r2"))
    assert request is not None
    assert (request.path, request.body) == ("/oauth/token", b"grant_type=refresh_token&refresh_token=r2")
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"id:secret").decode()
    body = {"access_token": "a3", "refresh_token": "r3", "expires_in": 1500}
    token = auth.read_token(answered(200, body), datetime(2026, 1, 1, tzinfo=UTC), Token("a2", None, "r2"))
    assert (token.refresh, token.expires_at) == ("r3", datetime(2026, 1, 1, 0, 25, tzinfo=UTC))


@pytest.mark.parametrize(
    ("operation", "status", "body", "error"),
    [
        ("create_order", 409, USED, AlreadyDone),
        ("create_order", 200, USED, AlreadyDone),
        ("create_order", 200, {"status": "fail", "msg": "no"}, Rejected),
        ("create_order", 200, {"status": "ok"}, None),
        ("create_order", 409, {"message": "another conflict"}, Rejected),
        ("create_order", 400, INVALID, Rejected),
        ("create_order", 400, UNREGISTERED, Misconfigured),
        ("create_order", 404, {"message": "Invalid input business location id 7"}, Misconfigured),
        ("create_order", 403, {"error": "access_denied"}, Misconfigured),
        ("create_order", 503, {"status": 503, "apiSubExceptions": []}, None),
        ("create_order", 502, b"<html>", None),
        ("token", 400, {"error": "invalid_grant", "error_description": "used before"}, AuthRevoked),
        ("token", 401, {"error": "invalid_client"}, AuthRevoked),
        ("token", 503, {}, None),
        ("load_menu", 404, {"message": "menu not found"}, None),
        ("load_menu", 401, {}, None),
        ("load_menu", 429, {}, None),
        ("load_menu", 400, {"message": "no account profile X"}, Rejected),
        ("get_webhook", 404, UNREGISTERED, None),
    ],
)
def test_errors_by_endpoint(operation: str, status: int, body: Any, error: type[Exception] | None) -> None:
    """Each row of the vendor's table; None is the shared table's."""
    found = lightspeed()[0].failure(operation, answered(status, body))
    assert type(found) is (error or type(None))


def test_an_error_says_which_field() -> None:
    """A refusal carries the rule's field and words."""
    found = lightspeed()[0].failure("create_order", answered(400, INVALID))
    assert "thirdPartyReference must not be null" in str(found)


async def test_submit_is_one_keyed_step_and_then_a_queue() -> None:
    """The reference is the key; after the step the POS is waited for a little longer than K-Series tries."""
    adapter, http = lightspeed(delivery_profile="DELIVERY")
    step = await adapter.submit(task(), {})
    assert isinstance(step, Step)
    assert (step.name, step.repeat, step.idempotency_key) == ("order", Repeat.KEY, "ord_01jd0000000000000000000000")
    assert (step.request.method, step.request.path, step.request.about) == ("POST", "/o/op/1/order/toGo", LOCATION)
    assert json.loads(step.request.body)["thirdPartyReference"] == step.idempotency_key
    load = next(request for request in http.requests if request.operation == "load_menu")
    assert (load.path, load.query["accountProfile"], load.query["businessLocationId"]) == ("/o/op/2/menu/load/1", "DELIVERY", LOCATION)
    before = datetime.now(UTC)
    queued = await adapter.submit(task(generation=2), {"order": adapter.read_step("order", answered(200, {"status": "ok"}))})
    assert isinstance(queued, Queued)
    assert queued.pos_order_id == "ord_01jd0000000000000000000000-2"
    assert timedelta(minutes=5) < queued.until - before < timedelta(minutes=7)
    with pytest.raises(Drifted):
        adapter.read_step("order", answered(200, {}))


async def test_submit_of_food_eaten_in_and_of_an_unready_pos() -> None:
    """Dine-in is a local order; what is not ready is offline, named by what keeps it."""
    local = await lightspeed()[0].submit(task(sold(fulfilment=Fulfilment("dine_in"))), {})
    assert isinstance(local, Step)
    assert local.request.path == "/o/op/1/order/local"
    for told, why in (
        ({"onlineOrderingApiConfiguration": {"enabled": False}}, "ordering by API is switched off"),
        ({"posStatus": {"availableDevices": False, "salesPeriod": "CLOSED"}}, "no POS device is reachable"),
        ({"posStatus": None}, "the POS says NOT_READY"),
    ):
        adapter = lightspeed({"readiness": {"status": "NOT_READY", **told}})[0]
        assert await adapter.submit(task(), {}) == Offline(why)


async def test_settings_name_one_of_several_menus() -> None:
    """Two menus are a choice that a person makes."""
    two = [{"menuName": "A", "ikentooMenuId": 1}, {"menuName": "B", "ikentooMenuId": "2"}]
    with pytest.raises(Misconfigured, match=r"A \(1\), B \(2\)"):
        await lightspeed({"list_menus": two})[0].read_menu(LOCATION)
    adapter, http = lightspeed({"list_menus": two}, menu_id="a/b")
    assert (await adapter.read_menu(LOCATION)).currency == "CAD"
    assert http.requests[-1].path == "/o/op/2/menu/load/a%2Fb"
    with pytest.raises(Misconfigured, match="no business location 9"):
        await adapter.read_menu("9")


async def test_orders_are_read_from_notices() -> None:
    """With the check its total, though amounts are texts and ids either; failures without type or ids."""
    adapter = lightspeed()[0]
    reference = "ord_01jd0000000000000000000000-2"

    def notice(**told: Any) -> bytes:
        return msgspec.json.encode({"thirdPartyReference": reference, **told})

    whole = notice(
        status="SUCCESS", type="ORDER", businessLocationId=int(LOCATION), account={"currentAmount": "21.00"}, ikentooAccountId="1"
    )
    seen = await adapter.order(reference, whole)
    assert (seen.pos_order_id, seen.reference, seen.state, seen.total) == (reference, reference[:-2], OrderState.ACCEPTED, cad(2100))
    failed = await adapter.order(reference, notice(status="FAILURE", reason="no such item"))
    assert (failed.state, failed.reason, failed.total) == (OrderState.FAILED, "no such item", None)
    assert failed.version != seen.version
    for useless in (b"", notice(status="FAILURE", type="PAYMENT"), notice(status="FAILURE", errors={"timeout": {}})):
        with pytest.raises(Unreadable):
            await adapter.order(reference, useless)
    for broken in (b"{", notice(status="SUCCESS", type="ORDER").replace(b"-2", b"-3")):
        with pytest.raises(Drifted):
            await adapter.order(reference, broken)


async def test_a_total_without_a_currency_keeps_nobody_waiting() -> None:
    """What became of the order is told even where the account cannot be read."""
    adapter = lightspeed({"list_businesses": RetryLater("down")})[0]
    body = {"status": "SUCCESS", "type": "ORDER", "thirdPartyReference": "r", "businessLocationId": 1, "account": {"currentAmount": 4.0}}
    seen = await adapter.order("r", msgspec.json.encode(body))
    assert (seen.state, seen.total) == (OrderState.ACCEPTED, None)


def document(*entries: Any) -> models.MenuDocument:
    """A menu of these entries."""
    raw = {"menuEntryGroups": [{"@type": "group", "id": "1", "name": "All", "menuEntry": list(entries)}]}
    return msgspec.json.decode(msgspec.json.encode(raw), type=models.MenuDocument)


def test_menu_groups_are_shared_or_their_parents_own() -> None:
    """A group that is the same everywhere is one; where a price differs it is another. Unknown fields, nulls and HTML pass."""

    def parent(sku: str, price: float) -> Any:
        group = {"sku": "G", "description": "Milk", "mustSelectAnItem": True, "minimumSelection": None, "maximumSelection": 5}
        return entry(sku, 1, menuModifierGroups=[{**group, "productModifiers": [entry("OAT", price, extraPrice=None)]}])

    rich = {
        "texts": [{"locale": "en", "description": "<p>Salt &amp; pepper</p>"}],
        "squareImageUrl": None,
        "rawImageUrl": "https://i/x.png",
    }
    made = menu_from(
        document(parent("A", 1), parent("B", 1), parent("C", 2), entry("D", 3, itemRichData=rich, mystery=[1])), "CAD", frozenset()
    )
    by_id = {item.id: item for item in made.items}
    assert [by_id[sku].group_ids for sku in "ABC"] == [("G",), ("G",), ("G@C",)]
    assert [(group.id, group.minimum, group.maximum) for group in made.groups] == [("G", 1, 1), ("G@C", 1, 1)]
    assert (by_id["D"].description, by_id["D"].image_url) == ("Salt & pepper", "https://i/x.png")
    assert [(tax.rate, tax.inclusive) for tax in made.taxes] == [("15", True)]


async def test_the_menu_hides_what_serves_the_hub() -> None:
    """The free and the lowering item are no food; categories keep the tree's groups."""
    made = await lightspeed()[0].read_menu(LOCATION)
    assert [(c.name, c.item_ids) for c in made.categories] == [("Mains", ("BURGER", "DEAL"))]
    cooking = next(group for group in made.groups if group.id == "instruction:487")
    assert (cooking.maximum, [m.id for m in cooking.modifiers]) == (1, ["instruction:490"])


async def test_counts_are_asked_for_fifty_skus_at_once_and_page_by_page() -> None:
    """Every SKU of the menu, options too; 0 is sold out, none counted is not."""
    many = menu()
    many["menuEntryGroups"][0]["menuEntry"] += [entry(f"S{number}", 1) for number in range(60)]
    page: dict[str, Any] = {"data": [{"sku": "OAT", "count": 0}], "metadata": {"totalPages": 2}}
    rest: dict[str, Any] = {"data": [{"sku": "BURGER", "count": None}], "metadata": {"totalPages": 2}}
    last: dict[str, Any] = {"data": [{"sku": "S9", "count": 4}]}
    adapter, http = lightspeed({"load_menu": many, "item_availability": (page, rest, last)})
    levels = [(level.id, level.available, level.quantity, level.kind) for level in await adapter.read_stock(LOCATION)]
    assert levels == [("OAT", False, 0, "modifier"), ("BURGER", True, None, "item"), ("S9", True, 4, "item")]
    asked = [request for request in http.requests if request.operation == "item_availability"]
    assert [(len(json.loads(r.body)["skus"]), r.query["page"]) for r in asked] == [(50, "0"), (50, "1"), (13, "0")]


async def test_a_webhook_endpoint_is_registered_or_changed() -> None:
    """PUT where there is none, POST where there is one; it asks for Basic, the check and all four subscriptions."""
    for found, method in ((NotFound("none"), "PUT"), ({"endpointId": "HUB"}, "POST")):
        adapter, _ = lightspeed({"get_webhook": found})
        extra = adapter.extras()["webhook"]
        assert extra.kind == "run"
        assert extra.step is not None
        assert extra.done is not None
        step = await extra.step(EndpointParams("pw"))
        assert (step.request.method, step.request.path, step.repeat) == (method, "/o/wh/1/webhook", Repeat.NATURAL)
        url = "https://hub.example/webhooks/lightspeed/con_x"
        assert json.loads(step.request.body) == {
            "endpointId": "HUB",
            "url": url,
            "withBasicAuth": True,
            "username": "hub",
            "password": "pw",
            "provideAccount": True,
            "expandTransactions": False,
            "expandPayments": False,
            "subscribeTo": [
                {"resource": "order", "name": "DELIVERED"},
                {"resource": "payment", "name": "DELIVERED"},
                {"resource": "item", "name": "SALES_RESTRICTION_UPDATED"},
                {"resource": "order_api", "name": "ONLINE_ORDER_READINESS"},
            ],
        }
        assert extra.done(adapter.read_step("webhook", answered(200, b""))).url == url
    located = adapter.extras()["webhook_location"]
    assert located.step is not None
    assert (await located.step(PlaceParams("a/b"))).request.path == "/o/wh/1/webhook/HUB/business-locations/a%2Fb"
    assert adapter.read_step("location", answered(200, {"businessLocationId": 7})) == Done("7")


async def test_reports_read_both_nestings_and_both_kinds_of_tax() -> None:
    """Sums may begin at a value or above it; a tax-exclusive receipt adds its taxes, finer than the unit, once."""
    value = {"groupByValue": "Food", "totalAmount": "47.00", "numberOfSales": 7.0}
    nested = {"totalAmount": "47.00", "children": [{"groupByKey": "accountingGroup", "children": [value]}]}
    for told in (value, nested):
        read = lightspeed({"aggregated_sales": told})[0].extras()["sales"].read
        assert read is not None
        (row,) = await read(SalesParams(LOCATION, date(2026, 4, 4)))
        assert (row.key, row.total, row.count, row.day) == ("Food", cad(4700), 7, date(2026, 4, 4))
    line = {
        "totalNetAmountWithTax": "8.33",
        "totalNetAmountWithoutTax": "8.33",
        "taxLines": [{"taxAmount": "1.666667", "taxIncluded": False}],
    }
    sale = {"receiptId": "R1", "type": "SALE", "salesLines": [line, {"totalNetAmountWithTax": "11.00"}]}
    read = lightspeed({"daily_financials": {"sales": [sale]}})[0].extras()["daily_financials"].read
    assert read is not None
    (row,) = await read(DayParams(LOCATION, date(2026, 4, 4)))
    assert (row.key, row.total, row.count) == ("R1", cad(2100), 2)
