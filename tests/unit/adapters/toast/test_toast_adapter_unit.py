"""Toast's adapter alone: errors, plans, menus and webhooks."""

import json
import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from adapters.toast import PROVIDER, models
from adapters.toast.menu import CHANNEL, Document, menu_from, parts, products_by_item
from hub.contract import (
    AlreadyDone,
    AuthRevoked,
    CancelTask,
    CannotCancel,
    Done,
    Drifted,
    Fact,
    IngressRequest,
    Malformed,
    Misconfigured,
    NotFound,
    Offline,
    PosRejected,
    Queued,
    RateLimited,
    Rejected,
    Repeat,
    Response,
    RetryLater,
    Step,
    Submitted,
    decode,
)
from hub.model import Hours, OrderState, StockLevel
from tests.unit.adapters.toast.toast_bench import PLACE, PLACED, REFERENCE, Priced, sold, task, toast, usd

BODY = (
    b'{"timestamp":"2024-03-28T15:11:01.050Z","eventCategory":"order_updated","eventType":"order_updated",'
    b'"guid":"534bf25a-b657-45aa-9a63-47f8f35400d6","details":{"restaurantGuid":"r-1","order":{"guid":'
    b'"f6d98b95-2816-4f54-b1ab-7a5d71e83769","entityType":"Order","externalId":null,"modifiedDate":"2024-03-28T15:11:00.900+0000"}}}'
)
SIGNATURE = "FD8pvs5XloYs+erT7KMjLnITHCvtU3L+EwMW67iZars="
"""Made with openssl over the body and its timestamp, with the secret wh-secret-1."""


def call(body: bytes, **headers: str) -> IngressRequest:
    """A call of Toast's."""
    return IngressRequest(
        "POST", "", {}, {name.replace("_", "-"): value for name, value in headers.items()}, body, "https://hub/webhooks/toast"
    )


def event(kind: str, **details: Any) -> Fact:
    """The fact of an event."""
    assert PROVIDER.ingress is not None
    raw = msgspec.json.encode({"timestamp": "t", "eventType": kind, "guid": "e-1", "details": details})
    (fact,) = PROVIDER.ingress.facts(call(raw, toast_restaurant_external_id="r-header"))
    return fact


@pytest.mark.parametrize(
    ("operation", "status", "body", "error"),
    [
        ("token", 401, {}, AuthRevoked),
        ("token", 400, {}, AuthRevoked),
        ("token", 429, {}, RateLimited),
        ("get_order", 401, {}, type(None)),
        ("get_order", 403, {"message": "no scope"}, Misconfigured),
        ("get_order", 404, {}, NotFound),
        ("get_order", 400, {"message": "Malformed GUID"}, Rejected),
        ("list_stock", 400, {"message": "bad", "fieldName": "Toast-Restaurant-External-ID"}, Misconfigured),
        ("list_config", 404, {}, Misconfigured),
        ("get_restaurant", 404, {}, Misconfigured),
        ("price_order", 404, {"message": "No such menu item"}, Rejected),
        ("create_order", 404, {"message": "No such menu item"}, Rejected),
        ("create_order", 400, {"message": "exists already", "fieldName": "externalId"}, AlreadyDone),
        ("create_order", 400, {"message": "An order with this externalId exists"}, AlreadyDone),
        ("create_order", 400, {"message": "Out of stock"}, Rejected),
        ("create_order", 413, {}, Rejected),
        ("create_order", 415, {}, Rejected),
        ("create_order", 408, {}, type(None)),
        ("create_order", 500, {}, type(None)),
        ("create_order", 400, b"<html>", Rejected),
        ("void_order", 400, {"message": "The order is voided already"}, AlreadyDone),
        ("void_order", 400, {"message": "Only OTHER payments"}, Rejected),
        ("void_order", 404, {}, NotFound),
        ("update_stock", 200, [{"itemGuidValidity": "INVALID"}], Rejected),
        ("update_stock", 200, [{"itemGuidValidity": "INVALID"}, {"itemGuidValidity": "VALID"}], type(None)),
        ("update_stock", 200, b"?", type(None)),
        ("create_order", 200, {}, type(None)),
    ],
)
def test_each_error_says_what_happens_next(operation: str, status: int, body: Any, error: type) -> None:
    """The table, row by row; None is the shared table's."""
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    assert type(toast()[0].failure(operation, Response(status, {}, raw))) is error


def test_limits_tell_how_long_and_for_whom() -> None:
    """Retry-After is seconds, the reset a moment; neither is no time; the endpoint's limit is not the restaurant's."""
    adapter, _ = toast()
    reset = {"x-toast-ratelimit-reset": str(int(time.time()) + 60), "x-toast-ratelimit-by": "ENDPOINT, ACCOUNT"}
    for headers, least, most, scope in (
        ({"retry-after": "3", "x-toast-ratelimit-by": "GLOBAL"}, 3, 3, "store"),
        (reset, 50, 60, "endpoint"),
        ({"x-toast-ratelimit-reset": "1"}, 0, 0, "store"),
    ):
        error = adapter.failure("list_orders", Response(429, headers, b""))
        assert isinstance(error, RateLimited)
        assert least <= (error.after or 0) <= most
        assert error.scope == scope
    error = adapter.failure("list_orders", Response(429, {}, b""))
    assert isinstance(error, RateLimited)
    assert error.after is None


def priced(toast_side: Priced) -> Any:
    """Answers prices."""
    return lambda request: toast_side.shown(json.loads(request.body))


async def test_an_order_is_priced_made_and_approved() -> None:
    """Prices are read, the order is one step that is looked up, and its answer decides; every call names the restaurant."""
    adapter, http = toast(price_order=priced(Priced(1000)))
    step = await adapter.submit(task(sold()), {})
    assert isinstance(step, Step)
    assert (step.name, step.repeat, step.request.about) == ("order", Repeat.LOOKUP, PLACE)
    made = json.loads(step.request.body)
    assert made["checks"][0]["payments"][0]["amount"] == 10.0
    assert {request.headers["Toast-Restaurant-External-ID"] for request in (*http.requests, step.request)} == {PLACE}
    for approval, kind in (("APPROVED", Submitted), ("NEEDS_APPROVAL", Queued), ("FUTURE", Submitted), ("NOT_APPROVED", PosRejected)):
        shown = Priced(1000).shown(made, guid="o-1", approvalStatus=approval)
        for answer in (shown, {"orders": [shown]}):
            done = adapter.read_step("order", Response(200, {}, msgspec.json.encode(answer)))
            result = await adapter.submit(task(sold()), {"order": done})
            assert isinstance(result, kind)
            if isinstance(result, (Submitted, Queued)):
                assert result.pos_order_id == f"o-1@{PLACE}"
            if isinstance(result, Submitted):
                assert (result.total, result.adjustment) == (usd(1000), "Channel adjustment: -0.81 USD")
            if isinstance(result, Queued):
                assert timedelta(0) < result.until - PLACED
    for unreadable in (b"{}", b'{"guid":"o-1","checks":[{}]}', b"nonsense"):
        with pytest.raises(Drifted):
            adapter.read_step("order", Response(200, {}, unreadable))


async def test_a_total_that_differs_is_told() -> None:
    """Toast's total is what counts, with the reason beside it."""
    adapter, _ = toast()
    done = Done("o-1", {"total": "12.50", "up": "0", "down": "0", "state": "accepted"})
    result = await adapter.submit(task(sold()), {"order": done})
    assert isinstance(result, Submitted)
    assert result.total == usd(1250)
    assert "12.50 instead of 10.00" in result.not_carried[-1].reason


async def test_a_refused_price_and_a_closed_restaurant() -> None:
    """Toast refuses the order itself in its own words; an offline restaurant is waited for, one that cannot be asked is not."""
    adapter, _ = toast(price_order=Rejected("out of stock"))
    step = await adapter.submit(task(sold()), {})
    assert isinstance(step, Step)
    assert json.loads(step.request.body)["checks"][0]["payments"][0]["amount"] == 10.0
    adapter, _ = toast(get_availability={"status": "OFFLINE", "reason": "Storm"})
    assert await adapter.submit(task(sold()), {}) == Offline("Storm")
    adapter, _ = toast(get_availability=Misconfigured("scope"), price_order=priced(Priced(1000)))
    assert isinstance(await adapter.submit(task(sold()), {}), Step)
    adapter, _ = toast(price_order=RetryLater("busy"))
    with pytest.raises(RetryLater):
        await adapter.submit(task(sold()), {})


async def test_an_order_is_found_by_its_name_or_among_what_changed() -> None:
    """404 is not there; where the read takes GUIDs only, every page of the window is gone through; settled but unseen waits."""
    mine, other = {"guid": "o-1", "externalId": f"HUB:{REFERENCE}"}, {"guid": "o-2", "externalId": None}
    adapter, http = toast(get_order=mine)
    assert await adapter.find(task(sold()), "order", PLACED) == Done("o-1", {"total": "0", "up": "0", "down": "0", "state": "accepted"})
    assert http.requests[0].path == f"/orders/v2/orders/HUB%3A{REFERENCE}"
    adapter, _ = toast(get_order=NotFound("no"))
    assert await adapter.find(task(sold()), "order", PLACED) is None
    with pytest.raises(RetryLater):
        await adapter.submit(task(sold()), {"order": Done(data={"settled": True})})

    def listed(request: Any) -> Any:
        return [other] * 100 if request.query["page"] == "1" else [mine]

    adapter, http = toast(get_order=Rejected("Malformed GUID"), list_orders=listed)
    found = await adapter.find(task(sold()), "order", PLACED)
    assert found is not None
    assert found.vendor_ref == "o-1"
    assert http.requests[-1].query["startDate"] == "2026-01-10T17:55:00.000+0000"


async def test_notices_and_orders_tell_together() -> None:
    """A guest's status counts when it is about this order; an unreadable notice drifts; an id without restaurant is unknown."""
    adapter, _ = toast(get_order={"guid": "o-1", "approvalStatus": "APPROVED", "modifiedDate": "m"})
    for about, state in (("o-1", OrderState.READY), ("o-2", OrderState.ACCEPTED)):
        notice = msgspec.json.encode({"details": {"orderGuid": about, "guestOrderStatus": "READY_FOR_PICKUP"}})
        seen = await adapter.order(f"o-1@{PLACE}", notice)
        assert (seen.state, seen.version, seen.reference) == (state, "m", "")
    with pytest.raises(Drifted):
        await adapter.order(f"o-1@{PLACE}", b"{")
    with pytest.raises(NotFound):
        await adapter.order("o-1")


async def test_only_other_payments_are_voided() -> None:
    """What a card paid is a person's to settle."""
    adapter, _ = toast(get_order={"guid": "o-1", "checks": [{"payments": [{"type": "OTHER"}, {"type": "CREDIT"}]}]})
    answer = await adapter.cancel(CancelTask(REFERENCE, f"o-1@{PLACE}", "", "x"), {})
    assert isinstance(answer, CannotCancel)
    assert "CREDIT" in answer.reason


async def test_stock_is_one_level_an_item() -> None:
    """Out of stock wins over on sale; a count is sent only with its status."""
    adapter, _ = toast()
    levels = [
        StockLevel("g:i", False),
        StockLevel("h:i", True),
        StockLevel("g:j", True, 3),
        StockLevel("k", True),
        StockLevel("g:l", True, 0),
    ]
    step = await adapter.stock_step(PLACE, levels)
    rows = {row["guid"]: (row["status"], row.get("quantity")) for row in json.loads(step.request.body)}
    assert rows == {"i": ("OUT_OF_STOCK", None), "j": ("QUANTITY", 3), "k": ("IN_STOCK", None), "l": ("OUT_OF_STOCK", None)}
    assert step.repeat is Repeat.NATURAL


def document(**more: Any) -> Document:
    """A menu with a sized pizza, a group with two price lists, sequence prices and things that partners may not see."""
    option = {"pricingStrategy": "BASE_PRICE", "modifierGroupReferences": []}
    items = [
        {"guid": "pizza", "name": "Pizza", "price": None, "pricingStrategy": "SIZE_PRICE", "modifierGroupReferences": [1, 3], "plu": "7"},
        {
            "guid": "soup",
            "name": "Soup",
            "price": 5.1,
            "modifierGroupReferences": [2],
            "taxInfo": ["t", None],
            "taxInclusion": "TAX_INCLUDED",
        },
        {"guid": "happy", "name": "Beer", "price": None, "pricingRules": {"timeSpecificPricingRules": [{"basePrice": 6.0}]}},
        {"guid": "crew", "name": "Crew", "price": 1, "visibility": ["POS"]},
        {"guid": "odd", "name": "Odd", "price": 1, "modifierGroupReferences": [4]},
        {"guid": "free", "name": "Free", "price": 0, "pricingStrategy": "OPEN_PRICE"},
    ]
    group = {"guid": "mg", "name": "Food", "menuItems": items, "menuGroups": None}
    made: dict[str, Any] = {
        "menus": [{"guid": "m", "availability": {"schedule": [{"days": ["MONDAY"], "timeRanges": [{"start": "00:00", "end": "00:00"}]}]}}],
        "modifierGroupReferences": {
            "1": {"guid": "size", "name": "Size", "minSelections": 1, "maxSelections": 1, "modifierOptionReferences": [1, 9]},
            "2": {"guid": "top", "name": "Top", "minSelections": 0, "maxSelections": None, "modifierOptionReferences": [2]},
            "3": {"guid": "top", "name": "Top", "minSelections": 0, "maxSelections": None, "modifierOptionReferences": [3]},
            "4": {"guid": "seq", "name": "Seq", "minSelections": 1, "modifierOptionReferences": [4]},
        },
        "modifierOptionReferences": {
            "1": {"guid": "small", "name": "Small", "price": 8.0, "plu": "7", **option},
            "2": {"guid": "basil", "name": "Basil", "price": 0.5, "plu": "8", **option},
            "3": {"guid": "basil", "name": "Basil", "price": 1.0, **option},
            "4": {"guid": "first", "name": "First", "price": None},
        },
    }
    made["menus"][0]["menuGroups"] = [group]
    found: Document = decode(msgspec.json.encode({**made, **more}), Document)
    return found


def test_a_menu_says_what_an_order_must_name() -> None:
    """Group and item in every id, one group for each price list, and nothing whose price cannot be told."""
    rate = models.Configured(guid="t", name="VAT", rate=Decimal("0.2"), type="PERCENT")
    menu = menu_from(document(), "USD", [rate], CHANNEL)
    assert {item.id: item.price.amount for item in menu.items} == {"mg:pizza": 0, "mg:soup": 510, "mg:happy": 600}
    groups = {group.id: group for group in menu.groups}
    pizza, soup = menu.items[:2]
    assert pizza.group_ids[0] == "size"
    assert [parts(groups[each].modifiers[0].id) for each in (pizza.group_ids[1], soup.group_ids[0])] == [("top", "basil")] * 2
    assert [groups[each].modifiers[0].price.amount for each in (pizza.group_ids[1], soup.group_ids[0])] == [100, 50]
    assert len({m.id for group in menu.groups for m in group.modifiers}) == 3
    assert (groups["size"].modifiers[0].plu, pizza.plu, groups[soup.group_ids[0]].modifiers[0].plu) == ("", "7", "8")
    assert (menu.taxes[0].rate, menu.taxes[0].inclusive, soup.tax_ids) == ("20", True, (menu.taxes[0].id,))
    assert menu.hours == (Hours("monday", "00:00", "23:59"),)
    assert len(products_by_item(menu)["basil"]) == 2
    assert menu == menu_from(document(), "USD", [rate], CHANNEL)
    assert "mg:crew" in {item.id for item in menu_from(document(), "USD", (), "").items}


def test_amounts_may_hold_noise() -> None:
    """Toast's doubles are rounded to the currency's unit, nothing is nothing."""
    amounts = [(Decimal("10.329999999"), "USD"), (Decimal("0.0005"), "KWD"), (Decimal("9.5"), "JPY"), (None, "USD")]
    assert [models.minor(value, currency) for value, currency in amounts] == [1033, 1, 10, 0]


async def test_restaurants_that_left_are_not_listed() -> None:
    """Every page is read; what is deleted is not there."""
    pages = {
        "": {"results": [{"restaurantGuid": PLACE}], "nextPageToken": "p2"},
        "p2": {"results": [{"restaurantGuid": "x", "deleted": True}]},
    }
    adapter, _ = toast(list_restaurants=lambda request: pages[request.query.get("pageToken", "")])
    assert [(store.ref, store.name, store.currency) for store in await adapter.list_stores()] == [(PLACE, "Harbour", "USD")]


def test_signatures_cover_the_body_and_its_timestamp() -> None:
    """A known vector; any other byte, secret or place of the timestamp is refused."""
    ingress = PROVIDER.ingress
    assert ingress is not None
    assert ingress.signed(call(BODY, toast_signature=SIGNATURE), ["old", "wh-secret-1"])
    for body, signature, secrets in (
        (BODY.replace(b"r-1", b"r-2"), SIGNATURE, ["wh-secret-1"]),
        (BODY.replace(b"01.050Z", b"01.051Z"), SIGNATURE, ["wh-secret-1"]),
        (BODY, "", ["wh-secret-1"]),
        (BODY, "é", ["wh-secret-1"]),
        (BODY, SIGNATURE, ["", "other"]),
        (b"[]", SIGNATURE, ["wh-secret-1"]),
    ):
        assert not ingress.signed(call(body, toast_signature=signature), secrets)


def test_facts_name_the_thing_not_the_call() -> None:
    """Order, restaurant and time of change are the key; the signed body's restaurant counts before the header's."""
    ingress = PROVIDER.ingress
    assert ingress is not None
    subject = "order/f6d98b95-2816-4f54-b1ab-7a5d71e83769@r-1"
    (fact,) = ingress.facts(call(BODY, toast_restaurant_external_id="r-9"))
    assert fact == Fact("pos_order.changed", subject, f"{subject}/changed/2024-03-28T15:11:00.900+0000", "r-1")
    guest = event("guest_order_status", restaurantGuid="r-1", orderGuid="o", guestOrderStatus="CLOSED", lastUpdated="t2")
    assert (guest.subject, guest.dedupe_key) == ("order/o@r-1", "order/o@r-1/changed/CLOSED/t2")
    assert [event(kind).subject for kind in ("menus_updated", "in_stock", "low_quantity", "out_of_stock")] == [
        "sync/menu",
        *["sync/stock"] * 3,
    ]
    kinds = {"availability_offline": "store.changed", "partner_added": "store.provisioned", "partner_removed": "store.deprovisioned"}
    assert {kind: event(kind, restaurantGuid="r").kind for kind in kinds} == kinds
    assert event("packaging_updated").kind == "noted"
    assert event("ordering_schedule_updated").store_ref == "r-header"
    for wrong in (b"{", b'{"eventType":"channel_order_updated"}', b'{"eventType":7}'):
        with pytest.raises(Malformed):
            ingress.facts(call(wrong))
    assert [ingress.refused(reason).status for reason in ("unknown_store", "bad_signature", "malformed", "not_stored")] == [
        200,
        401,
        400,
        503,
    ]
    assert ingress.stored(()).status == 200


def test_logins_are_toast_s_own() -> None:
    """A JSON body with the client's type; the token is nested, and ends as it says."""
    auth = PROVIDER.auth(PROVIDER.facts)
    request = auth.token_request({"client_id": "i", "client_secret": "s"}, None)
    assert request is not None
    assert json.loads(request.body) == {"clientId": "i", "clientSecret": "s", "userAccessType": "TOAST_MACHINE_CLIENT"}
    answer = {"token": {"tokenType": "Bearer", "expiresIn": 86400, "accessToken": "jwt", "refreshToken": None}, "status": "SUCCESS"}
    token = auth.read_token(Response(200, {}, msgspec.json.encode(answer)), PLACED, None)
    assert (token.access, token.expires_at) == ("jwt", PLACED + timedelta(days=1))
