"""Deliveroo's order in the hub's terms: whose each amount is, what the consumer wants, and what does not fit."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from adapters.deliveroo import models
from adapters.deliveroo.mapping import courier_state, delay_minutes, order_from, rider_of, sightings, state_of
from hub.contract import Drifted
from hub.model import Charge, Discount, Money, NotCarried, Order, OrderState, Payment
from tests.contract.openapi import vendor_spec

NOW = datetime(2026, 4, 4, 12, 30, tzinfo=UTC)


def money(amount: int, currency: str = "GBP") -> dict[str, Any]:
    """An amount as Deliveroo writes it."""
    return {"fractional": amount, "currency_code": currency}


def item(plu: str | None, price: int, quantity: int = 1, *modifiers: Any, **more: Any) -> dict[str, Any]:
    """A line or option."""
    given = {"unit_price": money(price), "total_price": money(price * quantity), **more}
    return {"pos_item_id": plu, "name": f"The {plu}", "quantity": quantity, "modifiers": list(modifiers), **given}


def raw(**more: Any) -> dict[str, Any]:
    """Two burgers with two cheeses each, one of them with a sauce, and a cola: 2 x (1000 + 2 x 90) + 250."""
    cheese = item("cheese", 80, 2, item("sauce", 10))
    order = {
        "id": "gb:1-2",
        "location_id": "site-1",
        "status": "placed",
        "status_log": [{"at": "2026-04-04T12:00:00Z", "status": "pending"}, {"at": "2026-04-04T12:00:01Z", "status": "placed"}],
        "fulfillment_type": "deliveroo",
        "asap": True,
        "prepare_for": "2026-04-04T12:24:00Z",
        "items": [item("burger", 1000, 2, cheese), item("cola", 250)],
        "subtotal": money(2610),
        "total_price": money(2610),
        "partner_order_subtotal": money(2610),
        "partner_order_total": money(2610),
        "is_tabletless": True,
        "new_field": {"of": "theirs"},
    }
    return order | more


def mapped(**more: Any) -> Order:
    """The order, mapped."""
    return order_from(msgspec.convert(raw(**more), models.Order), NOW)


def notes(order: Order) -> set[str]:
    """Fields that were not carried."""
    return {note.field for note in order.not_carried}


def test_options_count_per_one_of_their_parent() -> None:
    """A line's total is its unit price and all its options, times its quantity."""
    order = mapped()
    burger, cola = order.lines
    assert (burger.total.amount, burger.unit_price.amount, cola.total.amount) == (2360, 1000, 250)
    cheese = burger.modifiers[0]
    assert (cheese.quantity, cheese.plu, cheese.price().amount, cheese.modifiers[0].name) == (2, "cheese", 180, "The sauce")
    assert (order.merchant_total().amount, order.not_carried, order.payments) == (2610, (), (Payment("prepaid", Money(2610, "GBP")),))


@pytest.mark.parametrize(
    ("items", "subtotal", "unit"),
    [
        ([item("a", 300, 2, item("b", 50), total_price=money(700))], 700, 300),
        ([item("a", 299, 3, total_price=money(900))], 900, 299),
        ([item("a", 100, 2, item("b", 50), total_price=money(199))], 299, 100),
        ([item("a", 400, 2, menu_unit_price=money(500))], 1000, 500),
        ([item("a", 0, 1, menu_unit_price=money(0))], 0, 0),
    ],
)
def test_the_reading_that_makes_the_subtotal_is_taken(items: list[Any], subtotal: int, unit: int) -> None:
    """By unit prices, by totals with or without options in them, by the menu's prices."""
    amounts = dict.fromkeys(("subtotal", "total_price", "partner_order_subtotal", "partner_order_total"), money(subtotal))
    order = mapped(items=items, **amounts)
    assert (order.lines[0].total.amount, order.lines[0].unit_price.amount, order.not_carried) == (subtotal, unit, ())


def test_lines_that_do_not_make_the_subtotal_are_made_up_for() -> None:
    """What the parts leave open is a line of its own name, up or down, and is named."""
    more = mapped(subtotal=money(2700), total_price=money(2700), partner_order_subtotal=money(2700), partner_order_total=money(2700))
    assert more.charges == (Charge("other", "Deliveroo adjustment", Money(90, "GBP"), "merchant"),)
    less = mapped(partner_order_total=money(2600))
    assert less.discounts == (Discount("Deliveroo adjustment", Money(10, "GBP"), "merchant"),)
    assert (more.merchant_total().amount, less.merchant_total().amount) == (2700, 2600)
    assert (notes(more), notes(less)) == ({"lines", "total"}, {"total"})


def test_an_offer_is_shared_as_the_partner_s_subtotal_says() -> None:
    """The merchant's part is owed less, Deliveroo's part is not; unsaid it is the merchant's, and named."""
    offer = {"offer_discount": money(300), "total_price": money(2310), "promotions": [{"id": 7, "type": "PERCENTAGE_DISCOUNT", "value": 1}]}
    shared = mapped(partner_order_subtotal=money(2510), partner_order_total=money(2510), **offer)
    assert [(d.amount.amount, d.funded_by, d.vendor_id) for d in shared.discounts] == [(100, "merchant", "7"), (200, "platform", "7")]
    assert (shared.merchant_total().amount, shared.total.amount, shared.not_carried) == (2510, 2310, ())
    unsaid = mapped(partner_order_subtotal=None, partner_order_total=None, **offer)
    assert ([d.funded_by for d in unsaid.discounts], unsaid.merchant_total().amount, notes(unsaid)) == (["merchant"], 2310, {"discounts"})


def test_fees_are_the_merchant_s_as_far_as_its_total_holds_them() -> None:
    """Those that make the partner's total beside its subtotal; none where it holds none; another currency's are named."""
    fees = {
        "bag_fee": money(10),
        "surcharge": money(199),
        "delivery": {"delivery_fee": money(249)},
        "fulfillment_type": "restaurant",
        "fee_breakdown": [{"type": "BAG_FEE", "amount": money(10)}, {"type": "DEPOSIT_FEE", "amount": money(50, "EUR")}],
    }
    own = mapped(partner_order_total=money(2869), **fees)
    assert [(c.kind, c.amount.amount, c.to) for c in own.charges] == [
        ("bag", 10, "merchant"),
        ("delivery", 249, "merchant"),
        ("small_order", 199, "platform"),
    ]
    assert (own.merchant_total().amount, notes(own)) == (2869, {"fees"})
    none = mapped(**fees)
    assert ({c.to for c in none.charges}, none.merchant_total().amount, notes(none)) == ({"platform"}, 2610, {"fees", "charges"})


def test_cash_and_vouchers_are_told_apart() -> None:
    """Cash that the restaurant collects, meal cards, and the rest prepaid."""
    cards = [{"provider": "edenred", "amount": money(600)}, {"provider": None, "amount": None}]
    order = mapped(cash_due=money(2000), meal_cards=cards)
    assert [(p.kind, p.amount.amount, p.vendor_id) for p in order.payments] == [
        ("cash", 2000, ""),
        ("prepaid", 600, "edenred"),
        ("prepaid", 10, ""),
    ]


def test_what_the_consumer_wants_is_carried() -> None:
    """Notes, cutlery, name, number and code, address, table, times; a loyalty number is named."""
    customer = {"first_name": "نورة", "contact_number": "+44 1", "contact_access_code": "123", "loyalty": {"loyalty_id": "L1"}}
    place = {"street": "High Street", "number": "4", "city": "Leeds", "postal_code": "LS1", "latitude": 53.5, "longitude": -1.25}
    delivery = {"address": place, "estimated_delivery_at": "2026-04-04T19:00:00Z"}
    order = mapped(
        order_notes="بدون بصل", cutlery_notes="NO CUTLERY", customer=customer, delivery=delivery, asap=False, display_id=17,
        fulfillment_type="restaurant", table_number=5, start_preparing_at="2026-04-04T18:00:00Z",
        remake_details={"parent_order_id": "gb:0"},
    )  # fmt: skip
    assert order.note.splitlines() == ["REMAKE of gb:0: no reason told", "بدون بصل", "NO CUTLERY"]
    assert (order.customer.name, order.customer.phone, order.customer.phone_code) == ("نورة", "+44 1", "123")
    address = order.customer.address
    assert address is not None
    assert (address.line1, address.latitude, address.longitude) == ("4 High Street", "53.5", "-1.25")
    assert order.fulfilment.scheduled_for == datetime(2026, 4, 4, 19, tzinfo=UTC)
    assert (order.fulfilment.include_cutlery, order.fulfilment.note) == (False, "Table 5, start preparing at 2026-04-04T18:00:00Z")
    assert (order.display_id, order.vendor_refs["tablet"], order.vendor_refs["scheduled"], notes(order)) == (
        "17",
        "no",
        "yes",
        {"customer.loyalty"},
    )


@pytest.mark.parametrize(
    ("more", "minutes"),
    [
        ({}, 10),
        ({"id": "kw:1"}, 7),
        ({"id": "ae:1"}, 7),
        ({"is_tabletless": False}, 3),
        ({"asap": False}, None),
        ({"status": "accepted"}, None),
    ],
)
def test_deadlines(more: dict[str, Any], minutes: int | None) -> None:
    """Ten minutes, seven in the Gulf, three for a tablet's sync status; none once it is decided."""
    order = mapped(**more)
    waited = None if order.deadline_at is None else (order.deadline_at - order.placed_at).total_seconds() / 60
    assert (waited, order.placed_at.second) == (minutes, 1)


@pytest.mark.parametrize(
    "more",
    [
        {"items": []},
        {"items": [item("a", 1, 0)]},
        {"items": [{"quantity": 1, "name": "free"}]},
        {"subtotal": money(2610, "EUR")},
        {"prepare_for": "soon"},
        {"prepare_for": "2026-04-04T12:00:00"},
    ],
)
def test_what_does_not_fit_is_drift(more: dict[str, Any]) -> None:
    """No items, no quantity, no price, a foreign currency, no time."""
    with pytest.raises(Drifted):
        mapped(**more)


def test_unknown_words_survive() -> None:
    """An unknown fulfilment is named, an unknown status tells nothing, a missing PLU is a name, a missing log is now."""
    order = mapped(fulfillment_type="drone", status_log=None, items=[item(None, 2610)])
    assert order.not_carried == (NotCarried("fulfillment_type", "unknown: 'drone', taken as a delivery by Deliveroo"),)
    assert (order.lines[0].id, order.lines[0].plu, order.placed_at) == ("The None", "", NOW)
    assert [state_of(word) for word in ("canceled", "delivered", "teleported")] == [OrderState.CANCELLED, OrderState.COMPLETED, None]


def test_a_kuwaiti_order_keeps_its_thousandths() -> None:
    """1.163 KWD is 1163."""
    amounts = dict.fromkeys(("subtotal", "total_price", "partner_order_subtotal", "partner_order_total"), money(1163, "KWD"))
    order = mapped(items=[item("a", 0, 1, unit_price=money(1163, "KWD"), total_price=money(1163, "KWD"))], **amounts)
    assert str(order.total.decimal()) == "1.163"


def test_the_newest_word_of_any_rider_counts() -> None:
    """Logs are the truth: the rider who replaced another is told, and an unassigned one speaks for no other order."""

    def rider(*log: tuple[str, str], lat: float = 1.0) -> dict[str, Any]:
        return {"lat": lat, "lon": 2, "status_log": [{"at": f"2026-04-04T12:{at}:00Z", "status": status} for at, status in log]}

    riders = [rider(("10", "rider_unassigned"), ("05", "rider_assigned")), rider(("12", "rider_assigned"), lat=3.0)]
    body = msgspec.convert({"order_id": "a", "stacked_with": ["b", "a"], "riders": riders}, models.Body)
    assert [(s.platform_order_id, s.state, s.latitude) for s in sightings(body)] == [("a", "assigned", "3.0"), ("b", "assigned", "3.0")]
    gone = msgspec.structs.replace(body, riders=body.riders[:1] if body.riders else [])
    assert [(s.platform_order_id, s.state) for s in sightings(gone)] == [("a", "unassigned")]
    assert (rider_of([]), courier_state("rider_sleeps"), sightings(models.Body(order_id="a"))) == (None, None, ())


@pytest.mark.parametrize(("minute", "delay"), [(29, 6), (34, 10), (35, None), (24, None)])
def test_delays_are_rounded_up_to_what_is_taken(minute: int, delay: int | None) -> None:
    """Two to ten minutes after the time that was planned; nothing for more, or for no delay."""
    assert delay_minutes("2026-04-04T12:24:00Z", datetime(2026, 4, 4, 12, minute, tzinfo=UTC)) == delay


def test_the_sample_order_comes_to_what_it_says() -> None:
    """The documented head: an offer that the merchant funds, fees that nobody owes it, and a deposit in another currency."""
    path = vendor_spec("deliveroo", "order_new_event.json")
    order = models.order_in(path.read_bytes())
    assert order is not None
    found = order_from(order, NOW)
    assert (found.merchant_total(), found.total, notes(found)) == (Money(1770, "GBP"), Money(1770, "GBP"), {"fees"})
    assert [(c.kind, c.to) for c in found.charges] == [("bag", "platform")]
