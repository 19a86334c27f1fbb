"""Everything of an order but its money: nulls, wishes, places, windows, deadlines; and reads that end and stay in bounds."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.ubereats.adapter import OPEN_WINDOW
from hub.contract import DecisionTask, Drifted, Fetched, Misconfigured, NotFound
from hub.model import Menu, OrderState
from tests.unit.adapters.ubereats.uber_answers import SAMPLE, answer, mapped, uber

PLACED = datetime(2026, 1, 10, 18, tzinfo=UTC)
ORDER = SAMPLE["order"]["id"]


def test_nulls_are_absences() -> None:
    """Whatever an order can do without may be null."""
    body = answer(
        display_id=None,
        preparation_status=None,
        store_instructions=None,
        preparation_time=None,
        customers=None,
        deliveries=None,
        scheduled_order_target_delivery_time_range=None,
    )
    item = body["order"]["carts"][0]["items"][0]
    item.update(title=None, external_data=None, customer_request=None, selected_modifier_groups=None)
    order = mapped(body)
    (line,) = order.lines
    assert (line.name, line.plu, line.note, line.modifiers) == ("Burger", "", "", ())
    assert (order.customer.name, order.display_id, order.fulfilment.ready_at) == ("", "", None)


@pytest.mark.parametrize("name", ["customer_request", "customer_requests"])
def test_an_allergy_stands_before_the_wish(name: str) -> None:
    """The kitchen reads it first, in either spelling of the field."""
    body = answer()
    item = body["order"]["carts"][0]["items"][0]
    item.pop("customer_request")
    item[name] = {"special_instructions": "No onions", "allergy": {"allergens": ["PEANUTS", "SOY"], "instructions": "severe"}}
    assert mapped(body).lines[0].note == "ALLERGY PEANUTS, SOY: severe\nNo onions"


def test_where_the_merchants_courier_goes() -> None:
    """Unit, company and the consumer's word to the courier are carried."""
    place = {"street_address_line_one": "1 Main St", "street_address_line_two": None, "unit_number": 4, "business_name": "Acme"}
    delivery = {"location": {**place, "latitude": 0.0}, "instructions": "Do not ring"}
    address = mapped(answer(fulfillment_type="DELIVERY_BY_MERCHANT", deliveries=[{"location": None}, delivery])).customer.address
    assert address is not None
    assert (address.line1, address.line2, address.notes, address.latitude) == ("1 Main St", "Acme, 4", "Do not ring", "0.0")


def test_a_scheduled_window() -> None:
    """Its start is the scheduled time, and both its ends are told; offsets may be without a colon."""
    window = {"start_time": "2026-01-11T10:00:00.123456-0500", "end_time": "2026-01-11T10:30:00-0500"}
    fulfilment = mapped(answer(scheduled_order_target_delivery_time_range=window)).fulfilment
    assert fulfilment.scheduled_for == datetime(2026, 1, 11, 15, 0, 0, 123456, UTC)
    assert fulfilment.note == "between 2026-01-11T10:00:00.123456-05:00 and 2026-01-11T10:30:00-05:00"
    with pytest.raises(Drifted, match=r"time_range\.end_time is no time"):
        mapped(answer(scheduled_order_target_delivery_time_range={"end_time": "soon"}))


@pytest.mark.parametrize(("state", "waits"), [("OFFERED", True), ("CREATED", True), ("ACCEPTED", False), ("FAILED", False)])
def test_only_an_unanswered_order_has_a_deadline(state: str, waits: bool) -> None:
    """11.5 minutes from its creation while Uber waits for an answer."""
    assert mapped(answer(state=state)).deadline_at == (PLACED + timedelta(minutes=11.5) if waits else None)


def test_an_unknown_way_of_leaving_is_named() -> None:
    """The order goes on as a delivery by Uber, with the vendor's own word in not_carried."""
    order = mapped(
        answer(fulfillment_type="DELIVERY_BY_DRONE", detail={"tips": {"total": {"gross": {"amount_e5": 1000, "currency_code": "USD"}}}})
    )
    assert (order.fulfilment.kind, [tip.to for tip in order.tips]) == ("delivery_by_platform", ["courier"])
    assert "DELIVERY_BY_DRONE" in order.not_carried[0].reason


@pytest.mark.parametrize(
    ("damage", "path"),
    [
        (lambda o: o["payment"].pop("payment_detail"), r"\$\.order\.payment"),
        (lambda o: o["carts"][0]["items"][0].pop("cart_item_id"), r"cart_item_id.*\$\.order\.carts\[0\]\.items\[0\]"),
        (lambda o: o["payment"]["payment_detail"]["order_total"]["gross"].pop("currency_code"), r"order_total\.gross"),
        (lambda o: o["store"].pop("id"), r"\$\.order\.store"),
    ],
)
def test_drift_names_the_path(damage: Any, path: str) -> None:
    """What an order cannot do without is asked for by its place in the JSON."""
    body = answer()
    damage(body["order"])
    with pytest.raises(Drifted, match=path):
        mapped(body)


def listed(order: str, state: str) -> dict[str, Any]:
    """A row of a store's list."""
    return {"id": order, "state": state, "created_time": "2026-01-10T18:00:00Z"}


async def test_open_orders_are_looked_for_in_a_window() -> None:
    """The last days only, and what is over is left out."""
    page = {"data": [listed("a", "OFFERED"), listed("b", "SUCCEEDED"), listed("c", "FAILED"), listed("d", "HANDED_OFF")]}
    adapter, http = uber(page)
    found = await adapter.open_orders("store-1")
    assert [(order.platform_order_id, order.state) for order in found] == [("a", OrderState.RECEIVED), ("d", OrderState.PICKED_UP)]
    since = datetime.fromisoformat(http.requests[0].query["start_time"].replace("Z", "+00:00"))
    assert abs(datetime.now(UTC) - OPEN_WINDOW - since) < timedelta(seconds=30)


async def test_pages_end() -> None:
    """Pages that go in a circle are drift, however long the circle; null for no page is the end."""
    first, second = ({"data": None, "pagination_data": {"next_page_token": token}} for token in ("x", "y"))
    adapter, http = uber(first, second, first)
    with pytest.raises(Drifted, match="circle"):
        await adapter.open_orders("store-1")
    assert len(http.requests) == 3
    assert await uber({"data": None, "pagination_data": None})[0].open_orders("store-1") == []


async def test_a_store_needs_an_id() -> None:
    """A nameless store is shown by its id; one without id is drift."""
    adapter, _ = uber({"data": [{"id": "s", "name": None, "location": {"country": "US"}}]})
    (store,) = await adapter.list_stores()
    assert (store.ref, store.name, store.country) == ("s", "s", "US")
    with pytest.raises(Drifted, match="no id"):
        await uber({"data": [{"name": "Nameless"}]})[0].list_stores()


async def test_ids_never_leave_their_place_in_a_path() -> None:
    """An id with a slash or a question mark asks for that id and nothing else."""
    adapter, http = uber(NotFound("no"), {"data": []}, {"items": None})
    with pytest.raises(NotFound):
        await adapter.fetch_order("a/../b?c", b"")
    await adapter.open_orders("../x")
    assert await adapter.read_back("x/y") == frozenset()
    assert [request.path for request in http.requests] == [
        "/v1/delivery/order/a%2F..%2Fb%3Fc",
        "/v1/delivery/store/..%2Fx/orders",
        "/v2/eats/stores/x%2Fy/menus",
    ]
    assert adapter.accept_step(DecisionTask("ord_1", "a/b", "s")).request.path == "/v1/delivery/order/a%2Fb/accept"
    assert adapter.push_menu_step("x/y", Menu("USD", (), ())).request.path == "/v2/eats/stores/x%2Fy/menus"


async def test_a_legacy_notice_is_served_by_the_suite_where_it_can() -> None:
    """Only an order that the suite does not know makes the legacy setting a fault; the link decides, not the body's other words."""
    legacy = b'{"resource_href":"https://api.uber.com/v2/eats/order/%s"}' % ORDER.encode()
    assert isinstance(await uber(SAMPLE)[0].fetch_order(ORDER, legacy), Fetched)
    with pytest.raises(Misconfigured, match=r"webhooks_version 1\.0\.0"):
        await uber(NotFound("no"))[0].fetch_order(ORDER, legacy)
    other = b'{"note":"/v2/eats/order/1","resource_href":"https://api.uber.com/v1/delivery/order/1"}'
    for notice in (other, b"\xff", b"[]"):
        with pytest.raises(NotFound):
            await uber(NotFound("no"))[0].fetch_order(ORDER, notice)
