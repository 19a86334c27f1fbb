"""Talabat's error table, its stores' identity, decisions, availability and menus, over a faked HTTP seam."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.talabat import PROVIDER
from adapters.talabat.errors import failure
from adapters.talabat.extras import BulkAvailability, log_rows
from adapters.talabat.menu import catalog
from hub.contract import (
    CAPABILITIES,
    AlreadyDone,
    AmendTask,
    AuthRevoked,
    Connected,
    DecisionTask,
    Drifted,
    Misconfigured,
    NotFound,
    Place,
    Rejected,
    Repeat,
    Response,
    RetryLater,
    Unreadable,
)
from hub.model import Category, Hours, Item, Menu, ModifierGroup, Money, StockLevel, StoreChange
from hub.model.menu import Modifier as Option
from tests.unit.adapters.talabat.talabat_orders import API, DISPATCH, TOKEN, dispatch, mapped, raw, talabat


def task(**more: Any) -> DecisionTask:
    """A decision about the documented order."""
    order = mapped(DISPATCH)
    told = {"vendor_refs": order.vendor_refs, "fulfilment": order.fulfilment.kind, **more}
    return DecisionTask("ord_1", TOKEN, "store-1", **told)


def body(step: Any) -> Any:
    """What a step sends."""
    return json.loads(step.request.body)


def test_it_has_what_its_facts_say() -> None:
    """The class implements the capabilities that provider.toml names, and no other."""
    adapter = talabat()[0]
    has = {name for name, protocol in CAPABILITIES.items() if isinstance(adapter, protocol)}
    assert set(PROVIDER.facts.capabilities) == has | {"ingress"}
    assert set(adapter.extras()) == set(PROVIDER.facts.extras)
    assert "other" in PROVIDER.facts.reject_reasons
    assert PROVIDER.facts.reject_reasons.keys() == PROVIDER.facts.cancel_reasons.keys()


@pytest.mark.parametrize(
    ("operation", "status", "answer", "kind"),
    [
        ("accept", 409, {"currentState": "WAITING_FOR_ACKNOWLEDGEMENT"}, RetryLater),
        ("accept", 409, {"currentState": "ASSIGNED_TO_TRANSPORT"}, RetryLater),
        ("accept", 409, {"currentState": "ACCEPTED"}, AlreadyDone),
        ("accept", 409, {"currentState": "CANCELLED"}, Rejected),
        ("accept", 409, {"code": "INVALID_REQUEST"}, Rejected),
        ("reject", 409, {"currentState": "CANCELLED"}, AlreadyDone),
        ("reject", 409, {"currentState": "ACCEPTED"}, Rejected),
        ("reject", 409, {"code": "INVALID_REQUEST"}, RetryLater),
        ("cancel", 409, {"currentState": "PICKED_UP"}, Rejected),
        ("picked_up", 409, {"currentState": "PICKED_UP"}, AlreadyDone),
        ("picked_up", 409, {"currentState": "CANCELLED"}, Rejected),
        ("ready", 409, {"code": "INVALID_ORDER_STATUS"}, AlreadyDone),
        ("delay", 409, {"code": "conflict-error"}, Rejected),
        ("delay", 400, {"code": "PREPARATION_TIME_EXCEEDS_ALLOWED_MAX_TIME"}, Rejected),
        ("amend", 409, {"code": "INVALID_REQUEST"}, RetryLater),
        ("amend", 409, {"currentState": "CANCELLED"}, Rejected),
        ("accept", 400, {"code": "ORDER_NOT_FOUND"}, NotFound),
        ("accept", 400, {"code": "INVALID_ORDER_STATUS"}, Rejected),
        ("fetch_order", 400, {"code": "INVALID_ORDER_STATUS"}, Unreadable),
        ("fetch_order", 400, {"code": "ORDER_NOT_FOUND"}, NotFound),
        ("accept", 403, {"code": "FORBIDDEN"}, Misconfigured),
        ("push_menu", 404, {"errorCode": "BAD_REQUEST"}, Misconfigured),
        ("push_menu", 400, {"errorCode": "BAD_REQUEST", "message": "no"}, Rejected),
        ("availability", 200, {"status": "Partial Success", "details": [{"status": "Failed"}]}, Rejected),
        ("availability", 200, {"status": "Success"}, type(None)),
        ("bulk_availability", 200, {"status": "Partial Success"}, type(None)),
        ("availability", 400, {"status": "Failed", "details": None}, Rejected),
        ("accept", 400, ["no"], Rejected),
        ("token", 401, {"code": "POS_ERROR"}, AuthRevoked),
        ("set_store", 409, {}, type(None)),
        ("accept", 401, {"code": "POS_ERROR"}, type(None)),
        ("accept", 404, {}, type(None)),
        ("accept", 429, {}, type(None)),
        ("accept", 500, {"code": "INTERNAL_ERROR"}, type(None)),
    ],
)
def test_the_error_table(operation: str, status: int, answer: Any, kind: type) -> None:
    """Each endpoint's words; what is not named is the shared table's."""
    assert type(failure(operation, Response(status, {}, raw(answer)))) is kind


def test_an_early_accept_is_tried_again_soon() -> None:
    """After a second, not the ten that the vendor advises; a body that is no JSON is no reason to fall."""
    early = failure("accept", Response(409, {}, raw({"currentState": "ASSIGNED_TO_TRANSPORT"})))
    assert isinstance(early, RetryLater)
    assert early.after == 1.0
    assert isinstance(failure("accept", Response(400, {}, b"<html>")), Rejected)


async def test_an_order_finds_its_store_by_the_platform_s_id() -> None:
    """Among the linked stores; an order of none of them keeps the platform's id, so that the hub calls it unlinked."""
    stores = {
        "a": [{"availabilityState": "OPEN", "platformRestaurantId": "1"}],
        "b": [{"availabilityState": "X", "platformRestaurantId": 600123}],
    }
    adapter, seam = talabat(store_status=lambda request: stores[request.about])
    places = {"a": Place("KWD"), "b": Place("BHD")}
    order = (await adapter.fetch_order(TOKEN, raw(DISPATCH), places)).order
    assert (order.store_ref, order.currency) == ("b", "BHD")
    assert {each.path for each in seam.requests} == {f"/v2/chains/chain%2F1/remoteVendors/{ref}/availability" for ref in "ab"}
    other = dispatch(platformRestaurant={"id": "9"})
    assert (await adapter.fetch_order(TOKEN, raw(other), places)).order.store_ref == "9"
    named = talabat({"platform_stores": "5=x, 600123=b"})[0]
    assert (await named.fetch_order(TOKEN, raw(DISPATCH), places)).order.store_ref == "b"


async def test_a_store_that_cannot_be_asked_for() -> None:
    """The only linked one is taken, and that is noted; of several a person must say which; a moment's failure passes."""
    adapter = talabat(store_status=Misconfigured("no"))[0]
    order = (await adapter.fetch_order(TOKEN, raw(DISPATCH), {"a": Place("AED")})).order
    assert (order.store_ref, order.not_carried[-1].field) == ("a", "platformRestaurant.id")
    with pytest.raises(Misconfigured, match="platform_stores"):
        await adapter.fetch_order(TOKEN, raw(DISPATCH), {"a": Place("AED"), "b": Place("AED")})
    with pytest.raises(RetryLater):
        await talabat(store_status=RetryLater("soon"))[0].fetch_order(TOKEN, raw(DISPATCH), {"a": Place("AED")})


async def test_an_order_without_its_notice_is_read() -> None:
    """Below the chain, and never another one; a changed order's notice holds the new one."""
    adapter, seam = talabat(fetch_order={"order": {**DISPATCH, "status": "accepted", "reason": None}}, store_status=[])
    assert (await adapter.fetch_order(TOKEN, b"")).order.currency == "AED"
    assert seam.requests[0].path == f"/v2/chains/chain%2F1/orders/{TOKEN}"
    with pytest.raises(Drifted, match="asked for order x"):
        await adapter.fetch_order("x", b"")
    notice = {"status": "PRODUCT_ORDER_MODIFICATION_SUCCESSFUL", "message": "", "updatedOrder": DISPATCH}
    assert (await adapter.fetch_order(TOKEN, raw(notice))).order.lines[0].plu == "P-BURGER"
    with pytest.raises(Misconfigured, match="chain code"):
        await type(adapter)(PROVIDER.facts, Connected("c", "simulator"), seam).test()


def test_decisions_go_to_the_order_s_addresses() -> None:
    """As states, without an address not at all; the acceptance time is always some minutes ahead and never before the kitchen's."""
    adapter = talabat()[0]
    now = datetime.now(UTC)
    accept = adapter.accept_step(task(ready_at=now + timedelta(hours=9000)))
    assert accept is not None
    assert (accept.request.path, accept.request.about, accept.repeat) == (f"{API}/order/status/{TOKEN}", TOKEN, Repeat.NATURAL)
    assert (body(accept)["status"], body(accept)["remoteOrderId"]) == ("order_accepted", TOKEN)
    late = task(vendor_refs={"accept": API, "due": "2020-01-01T00:00:00Z"})
    assert datetime.fromisoformat(body(adapter.accept_step(late))["acceptanceTime"]) >= now + timedelta(minutes=2, seconds=50)
    assert datetime.fromisoformat(body(accept)["acceptanceTime"]) > now + timedelta(hours=8000)
    assert body(adapter.reject_step(task(reason="busy", detail="full"))) == {
        "status": "order_rejected",
        "reason": "TOO_BUSY",
        "message": "full",
    }
    assert body(adapter.cancel_step(task(reason="address")))["reason"] == "UNABLE_TO_FIND"
    tested = task(reason="busy", vendor_refs={"reject": API, "test": "true"})
    assert (body(adapter.reject_step(tested))["reason"], body(adapter.cancel_step(tested))["reason"]) == ("TEST_ORDER", "LATE_DELIVERY")
    ready = adapter.ready_step(task())
    assert ready is not None
    assert (ready.request.path, ready.request.body) == (f"{API}/orders/{TOKEN}/preparation-completed", b"")
    assert body(adapter.delay_step(task(ready_at=datetime(2026, 10, 2, 13, 0, tzinfo=UTC)))) == {"expectedPickupAt": "2026-10-02T12:45:00Z"}
    assert adapter.picked_up_step(task(vendor_refs={"picked_up": API})) is None
    assert body(adapter.picked_up_step(task(vendor_refs={"picked_up": API}, fulfilment="pickup"))) == {"status": "order_picked_up"}
    nowhere = task(vendor_refs={}, ready_at=now)
    steps = ("accept_step", "reject_step", "cancel_step", "ready_step", "picked_up_step", "delay_step")
    assert [getattr(adapter, name)(nowhere) for name in steps] == [None] * 6
    assert adapter.amend_step(AmendTask(task(), mapped(DISPATCH), {"plat-1": 2})) is None
    assert body(adapter.amend_step(AmendTask(task(), mapped(DISPATCH), {"plat-1": 1})))["modifications"]["products"] == [
        {"id": "plat-1", "remoteCode": "P-BURGER", "quantity": "1", "modification": {"type": "CHANGE", "properties": ["quantity"]}}
    ]


async def test_availability_is_told_alike() -> None:
    """Kind, time and entity; what differs needs a call of its own."""
    adapter = talabat({"global_entity": "TB_AE"})[0]
    until = datetime(2026, 10, 2, 12, 0, tzinfo=UTC)
    step = await adapter.availability_step("s/1", [StockLevel("m", available=False, until=until, kind="modifier")])
    assert step.request.path == "/v2/chains/chain%2F1/vendors/s%2F1/catalog/items/availability"
    assert body(step) == {
        "globalEntityId": "TB_AE",
        "type": "TOPPING",
        "items": ["m"],
        "isAvailable": False,
        "willBeAvailable": "AT_TIMESTAMP",
        "atTimeStamp": "2026-10-02T12:00:00Z",
    }
    on = body(await adapter.availability_step("s", [StockLevel("a", available=True, until=until), StockLevel("b", available=True)]))
    assert (on["items"], on.keys()) == (["a", "b"], {"globalEntityId", "type", "items", "isAvailable"})
    with pytest.raises(Rejected):
        await adapter.availability_step("s", [StockLevel("a", available=True), StockLevel("b", available=False)])
    stock = adapter.extras()["bulk_availability"]
    assert stock.step is not None
    tomorrow = await stock.step(BulkAvailability("s", ("a", "b"), available=False, next_business_day=True))
    assert body(tomorrow)["willBeAvailable"] == "NEXT_BUSINESS_DAY"


ROW = {"availabilityState": "OPEN", "changeable": True, "platformKey": "TB", "platformRestaurantId": "7", "platformType": "TALABAT"}


async def test_only_what_talabat_offers_is_set() -> None:
    """States, lengths and reasons are those of the row that is Talabat's."""
    other = {**ROW, "platformType": "FOODORA", "changeable": False}
    row = {**ROW, "availabilityStates": ["OPEN", "CLOSED_UNTIL"], "closingMinutes": [60, 30], "closingReasons": ["OTHER"]}
    adapter = talabat(store_status=[other, row])[0]
    soon = datetime.now(UTC) + timedelta(minutes=31)
    pause = body(await adapter.store_step("s", StoreChange("pause", until=soon, reason="busy")))
    assert pause == {
        "availabilityState": "CLOSED_UNTIL",
        "platformKey": "TB",
        "platformRestaurantId": "7",
        "closingMinutes": 60,
        "closedReason": "OTHER",
    }
    assert body(await adapter.store_step("s", StoreChange("pause")))["closingMinutes"] == 60
    for change in (StoreChange("pause", until=soon + timedelta(hours=1)), StoreChange("busy")):
        with pytest.raises(Rejected):
            await adapter.store_step("s", change)
    for state, status in (("OPEN", "open"), ("CLOSED_TODAY", "paused"), ("INACTIVE", "closed"), ("BRAND_NEW", "unknown")):
        assert (await talabat(store_status=[{**row, "availabilityState": state}])[0].store_status("s")).status == status
    with pytest.raises(Rejected):
        await talabat(store_status=[{**row, "availabilityStates": ["CLOSED"]}])[0].store_step("s", StoreChange("open"))


def aed(amount: int) -> Money:
    """Fils, a hundred to the dirham."""
    return Money(amount, "AED")


def menu(*groups: ModifierGroup, **more: Any) -> Menu:
    """A tea with the first of these groups."""
    tea = Item("tea", "Tea", Money(1250, "AED"), group_ids=(groups[0].id,) if groups else (), channel_prices={"talabat": aed(1300)})
    return Menu("AED", (Category("hot", "Hot", ("tea", "gone")),), (tea,), groups, **more)


def test_options_are_hidden_products_at_the_group_s_price() -> None:
    """Each in a category that no menu shows; ids are the hub's own; the channel's price wins."""
    size = ModifierGroup("size", "Size", 1, 1, (Option("s", "Small", aed(0)), Option("l", "Large", aed(505))))
    items = catalog(menu(size, hours=(Hours("sunday", "20:00", "02:30"), Hours("monday", "20:00", "24:00"))))["items"]
    assert all(key == each["id"] for key, each in items.items())
    assert (items["tea"]["price"], items["topping:size"]["products"]["l"]["price"]) == ("13.00", "5.05")
    assert (list(items["category:options"]["products"]), list(items["menu:main"]["products"])) == (["s", "l"], ["tea"])
    hours = [items[key] for key in items["menu:main"]["schedule"]]
    assert [(each["startTime"], each["endTime"], each["weekDays"]) for each in hours] == [
        ("20:00:00", "23:59:59", ["SUNDAY", "MONDAY"]),
        ("00:00:00", "02:30:00", ["MONDAY"]),
    ]
    always = catalog(menu())["items"]["hours:1"]
    assert (always["startTime"], always["endTime"], len(always["weekDays"])) == ("00:00:00", "23:59:59", 7)


def test_a_menu_that_talabat_cannot_hold_says_so() -> None:
    """More than two levels, a second one below a free choice, no item, two currencies."""
    deep = ModifierGroup("c", "C", 0, 1, (Option("z", "Z", aed(0)),))
    second = ModifierGroup("b", "B", 0, 1, (Option("y", "Y", aed(0), group_ids=("c",)),))
    free = ModifierGroup("a", "A", 0, 2, (Option("x", "X", aed(0), group_ids=("b",)),))
    one = ModifierGroup("a", "A", 1, 1, free.modifiers)
    with pytest.raises(Misconfigured, match="third level"):
        catalog(menu(one, second, deep))
    with pytest.raises(Misconfigured, match="exactly one"):
        catalog(menu(free, second))
    assert "topping:b" in catalog(menu(one, ModifierGroup("b", "B", 0, 1, deep.modifiers)))["items"]
    with pytest.raises(Misconfigured):
        catalog(Menu("AED", (), (Item("tea", "Tea", aed(1)),)))
    with pytest.raises(Misconfigured):
        catalog(Menu("KWD", (Category("h", "H", ("tea",)),), (Item("tea", "Tea", aed(1)),)))


async def test_imports_call_back_and_leave_their_job() -> None:
    """At the address that names the store; per-store outcomes differ from platform to platform; logs come in two shapes."""
    adapter = talabat()[0]
    step = adapter.push_menu_step("s/1", menu())
    assert (step.request.path, body(step)["vendors"]) == ("/v2/chains/chain%2F1/catalog", ["s/1"])
    assert body(step)["callbackUrl"] == "https://hub.example.com/webhooks/talabat/catalog-callback/s%2F1"
    assert adapter.read_step("menu/msg_1", Response(202, {}, raw({"status": "submitted", "catalogImportId": "i"}))).job == "i"
    with pytest.raises(Drifted):
        adapter.read_step("menu", Response(202, {}, b"{}"))
    rows = [{"posVendorId": "a", "status": "done"}, {"posVendorId": "a", "status": "failed"}, {"posVendorId": "b", "status": "in_progress"}]
    told = raw({"catalogImportId": "i", "status": "done_with_errors", "message": "bad", "details": rows})
    assert [(each.store_ref, each.outcome, each.job, each.detail) for each in adapter.job_results(told)] == [
        ("a", "partial", "i", "bad"),
        ("b", "running", "i", "bad"),
    ]
    logs = {"s": [{"createdAt": "2026-01-01T00:00:00Z", "menuImportId": "i", "message": "", "version": 1}]}
    assert log_rows(raw({"menuImportLogs": logs}), "s") == log_rows(raw(logs), "s")
    assert [each.outcome for each in log_rows(raw(logs), "s")] == ["unknown"]
