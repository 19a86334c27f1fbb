"""Uber's order in the hub's terms: prices joined, money and its owners kept apart, unknown words kept, gaps named."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from adapters.ubereats.mapping import state_of
from hub.contract import Drifted
from hub.model import Charge, OrderState, Payment, Tax, Tip
from tests.unit.adapters.baskets import SAMPLE, baskets, e5, read, sample
from tests.unit.adapters.sales import PLACED, usd


def test_the_sample() -> None:
    """Two burgers of 10.00 with bacon of 2.50 each: 25.00 of 27.00, of which 2.00 is tax that Uber remits."""
    order = read(SAMPLE)
    (line,) = order.lines
    (bacon,) = line.modifiers
    assert (line.quantity, line.unit_price, line.total, line.plu, line.note) == (2, usd(1000), usd(2500), "SKU-100", "No onions")
    assert (bacon.quantity, bacon.unit_price, bacon.plu, bacon.group_name) == (1, usd(250), "SKU-101", "Extras")
    assert line.expected_total() == line.total
    assert (order.total, order.merchant_total()) == (usd(2700), usd(2500))
    assert order.taxes == (Tax("Tax (remitted by Uber)", usd(200), "platform"),)
    assert (order.platform_order_id, order.display_id) == ("0b7a2a54-8f0a-4f0b-9c0e-6d4c1f1b2ab1", "B2AB1")
    assert order.store_ref == "c7f1dc2f-fabe-4997-845c-cad26fdcb894"
    assert (order.customer.name, order.customer.phone, order.customer.phone_code) == ("Larry L.", "+1 555-555-5555", "555 55 555")
    assert (order.fulfilment.kind, order.fulfilment.courier) == ("delivery_by_platform", "Uber")
    assert order.fulfilment.ready_at == PLACED + timedelta(minutes=15)
    assert order.payments == (Payment("prepaid", usd(2700)),)
    assert order.note == "No cutlery\nRing the bell"


def test_the_deadline_is_eleven_and_a_half_minutes() -> None:
    """Counted from the order's creation."""
    order = read(SAMPLE)
    assert (order.placed_at, order.deadline_at) == (PLACED, PLACED + timedelta(seconds=690))


@settings(max_examples=120, deadline=None)
@given(baskets())
def test_baskets_add_up(basket: tuple[dict[str, Any], int]) -> None:
    """Lines with nested options sum to the food's price, by the totals and by the unit prices alike."""
    answer, food = basket
    order = read(answer)
    assert order.merchant_total() == usd(food)
    assert [line.expected_total() for line in order.lines] == [line.total for line in order.lines]


def test_removed_defaults_and_empty_groups() -> None:
    """Groups may be null, selected items too; what was taken off is a removed modifier that costs nothing."""
    answer = sample()
    item = answer["order"]["carts"][0]["items"][0]
    gone = {"id": "Onion", "cart_item_id": "x", "title": "Onion"}
    item["selected_modifier_groups"] = [{"id": "g", "selected_items": None, "removed_items": [gone]}]
    (line,) = read(answer).lines
    assert [(m.name, m.removed, m.unit_price) for m in line.modifiers] == [("Onion", True, usd(0))]
    assert line.total == usd(2000)
    item["selected_modifier_groups"] = None
    assert read(answer).lines[0].modifiers == ()


@pytest.mark.parametrize(
    ("kind", "to"), [("DELIVERY_BY_UBER", "courier"), ("DELIVERY_BY_MERCHANT", "merchant"), ("PICKUP", "merchant"), ("DINE_IN", "merchant")]
)
def test_whose_tip_it_is(kind: str, to: Any) -> None:
    """Uber's courier keeps a tip; where no courier of Uber's comes it is the restaurant's."""
    order = read(sample(fulfillment_type=kind, payment_detail={"tips": {"total": e5(300)}}))
    assert order.tips == (Tip(usd(300), to),)


def test_whose_fees_they_are() -> None:
    """The bag is the merchant's, delivery only when the merchant delivers, the rest Uber's; an unknown fee survives."""
    details = [{"id": name, "amount": e5(100)} for name in ("bag_fee", "delivery_fee", "service_fee", "moon_fee")]
    fees = {"fees": {"details": details}}
    assert read(sample(payment_detail=fees)).charges == (
        Charge("bag", "bag_fee", usd(100), "merchant"),
        Charge("delivery", "delivery_fee", usd(100), "platform"),
        Charge("service", "service_fee", usd(100), "platform"),
        Charge("other", "moon_fee", usd(100), "platform"),
    )
    own = read(sample(fulfillment_type="DELIVERY_BY_MERCHANT", payment_detail=fees)).charges
    assert [c.to for c in own] == ["merchant", "merchant", "platform", "platform"]


def test_who_pays_for_a_promotion() -> None:
    """Told by its details; without them the whole counts as the merchant's, and that is said."""
    promotions = {
        "total": e5(-500),
        "details": [
            {"external_promotion_id": "p1", "type": "FLATOFF", "discount_value": 300000, "funded_by": "MERCHANT"},
            {"external_promotion_id": "p2", "type": "BOGO", "discount_value": 200000, "funded_by": "UBER"},
        ],
    }
    order = read(sample(payment_detail={"promotions": promotions}))
    assert [(d.name, d.amount, d.funded_by, d.vendor_id) for d in order.discounts] == [
        ("FLATOFF", usd(300), "merchant", "p1"),
        ("BOGO", usd(200), "platform", "p2"),
    ]
    assert order.merchant_total() == usd(2200)
    silent = read(sample(payment_detail={"promotions": {"total": e5(-500)}}))
    assert (silent.merchant_total(), [n.field for n in silent.not_carried]) == (usd(2000), ["discounts"])


@pytest.mark.parametrize("name", ["tax_remittance", "taxRemittance"])
def test_who_remits_the_tax(name: str) -> None:
    """Both spellings; the merchant's part is owed to it, Uber's is not."""
    remittance = {"merchant": {"gross": e5(80)["gross"]}, "uber": {"gross": e5(120)["gross"]}}
    order = read(sample(payment={name: remittance}))
    assert [(t.amount, t.remitted_by) for t in order.taxes] == [(usd(80), "merchant"), (usd(120), "platform")]
    assert order.merchant_total() == usd(2580)


def test_cash() -> None:
    """What the restaurant collects is a cash payment."""
    assert read(sample(payment_detail={"cash_amount_due": e5(2700)})).payments == (Payment("cash", usd(2700)),)


def test_a_scheduled_merchant_delivery() -> None:
    """Address, window and cutlery are carried."""
    place = {"street_address_line_one": "1 Main St", "city": "Springfield", "latitude": 1.5}
    answer = sample(
        fulfillment_type="DELIVERY_BY_MERCHANT",
        deliveries=[{"location": place}],
        scheduled_order_target_delivery_time_range={"start_time": "2026-01-11T10:00:00+02:00"},
    )
    answer["order"]["carts"][0]["include_single_use_items"] = False
    order = read(answer)
    assert order.customer.address is not None
    assert (order.customer.address.line1, order.customer.address.latitude) == ("1 Main St", "1.5")
    assert order.fulfilment.scheduled_for is not None
    assert order.fulfilment.scheduled_for.isoformat() == "2026-01-11T10:00:00+02:00"
    assert order.fulfilment.include_cutlery is False


def test_unknown_words_survive() -> None:
    """A new state, way of leaving or field does not stop an order."""
    order = read(sample(state="TELEPORTED", fulfillment_type="DELIVERY_BY_DRONE", invented={"x": 1}))
    assert order.fulfilment.kind == "delivery_by_platform"
    assert state_of("TELEPORTED", "") is OrderState.RECEIVED


@pytest.mark.parametrize(
    ("state", "preparation", "hub"),
    [
        ("OFFERED", "PREPARING", OrderState.RECEIVED),
        ("ACCEPTED", "PREPARING", OrderState.ACCEPTED),
        ("ACCEPTED", "READY_FOR_HANDOFF", OrderState.READY),
        ("HANDED_OFF", "READY_FOR_HANDOFF", OrderState.PICKED_UP),
        ("SUCCEEDED", "", OrderState.COMPLETED),
        ("COMPLETED", "", OrderState.COMPLETED),
        ("CANCELED", "", OrderState.CANCELLED),
        ("FAILED", "READY", OrderState.CANCELLED),
        ("DENIED", "", OrderState.REJECTED),
    ],
)
def test_states(state: str, preparation: str, hub: OrderState) -> None:
    """Readiness is told beside the state and counts only once the order is accepted."""
    assert state_of(state, preparation) is hub


@pytest.mark.parametrize("missing", ["id", "state", "store", "created_time", "payment"])
def test_a_missing_part_is_drift(missing: str) -> None:
    """The error names what is missing."""
    answer = sample()
    del answer["order"][missing]
    with pytest.raises(Drifted, match=missing):
        read(answer)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"created_time": "yesterday"}, "order.created_time"),
        ({"created_time": "2026-01-10T18:00:00"}, "no zone"),
        ({"carts": []}, "order.carts"),
        ({"payment_detail": {"item_charges": {"price_breakdown": []}}}, "price_breakdown has no row for cart item 'ci-1"),
        ({"payment_detail": {"cash_amount_due": {"gross": {"amount_e5": "12", "currency_code": "USD"}}}}, "amount_e5"),
    ],
)
def test_what_does_not_fit_is_drift(change: dict[str, Any], words: str) -> None:
    """A time that is none, an order of nothing, a line without a price, money that is text: named, never guessed."""
    with pytest.raises(Drifted, match=words):
        read(sample(**change))


def test_two_currencies_are_drift() -> None:
    """An order whose amounts disagree about the currency is no order."""
    answer = sample()
    row = answer["order"]["payment"]["payment_detail"]["item_charges"]["price_breakdown"][1]
    row["total"]["gross"]["currency_code"] = "CAD"
    with pytest.raises(Drifted, match="mixes currencies"):
        read(answer)
