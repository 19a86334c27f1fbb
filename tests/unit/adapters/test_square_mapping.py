"""Square's order is worth what the channel owes the merchant, and nothing is dropped in silence."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings

from adapters.square import models
from adapters.square.mapping import ADJUSTMENT, draft, state_of
from hub.contract import SubmitTask
from hub.model import Address, Charge, Customer, Discount, Fulfilment, Line, Modifier, Order, OrderState, Tax, Tip
from tests.unit.adapters.sales import PLACED, orders, sold, usd

PRODUCTS = {"i1": "VAR1", "p1": "VAR2", "m1": "MOD1", "SKU-100": "VAR-BURGER", "bacon": "MOD-BACON"}


def body_of(order: Order, kind: str = "PICKUP", products: dict[str, str] | None = None) -> dict[str, Any]:
    """The order as Square would read it from the wire."""
    task = SubmitTask("ord_01jd0000000000000000000000", order, "LOC", PRODUCTS if products is None else products)
    return dict(msgspec.json.decode(msgspec.json.encode(draft(task, kind)[0])))


def lost(order: Order) -> list[str]:
    """The fields that are told as not carried."""
    return [each.field for each in draft(SubmitTask("ord_1", order, "LOC", PRODUCTS), "PICKUP")[1]]


def square_adds_up(body: dict[str, Any]) -> int:
    """Square's arithmetic, written down from its documents: lines, less discounts that no line goes below zero by, plus charges."""
    lines = 0
    for item in body["line_items"]:
        price = item["base_price_money"]["amount"]
        assert price >= 0
        options = 0
        for option in item.get("modifiers", []):
            assert option["base_price_money"]["amount"] >= 0
            options += option["base_price_money"]["amount"] * int(option["quantity"])
        lines += int(item["quantity"]) * (price + options)
    off = 0
    for discount in body.get("discounts", []):
        assert discount["amount_money"]["amount"] > 0
        assert (discount["type"], discount["scope"]) == ("FIXED_AMOUNT", "ORDER")
        off += discount["amount_money"]["amount"]
    after = max(0, lines - off)
    for charge in body.get("service_charges", []):
        assert charge["amount_money"]["amount"] > 0
        assert (charge["calculation_phase"], charge["taxable"]) == ("TOTAL_PHASE", False)
        after += charge["amount_money"]["amount"]
    return after


@settings(max_examples=150, deadline=None)
@given(orders())
def test_square_shows_what_the_merchant_is_owed(order: Order) -> None:
    """To the minor unit, whatever the channel's own sums look like."""
    assume(order.merchant_total().amount >= 0)
    assert square_adds_up(body_of(order)) == order.merchant_total().amount


@settings(max_examples=60, deadline=None)
@given(orders())
def test_texts_keep_to_squares_limits(order: Order) -> None:
    """Everything that had to be cut is told."""
    body = body_of(order)
    details = body["fulfillments"][0]["pickup_details"]
    assert len(body["ticket_name"]) <= 30
    assert len(body["reference_id"]) <= 40
    assert len(details["note"]) <= 500
    assert len(details["recipient"]["display_name"]) <= 255
    assert len(details["recipient"].get("phone_number", "")) <= 17
    for item in body["line_items"]:
        assert len(item.get("note", "")) <= 2000
        assert len(item.get("name", "")) <= 512
        assert all(len(option.get("name", "")) <= 255 for option in item.get("modifiers", []))
    assert len(body["metadata"]["platform_order_id"]) <= 255
    if details["note"].endswith("…"):
        assert "order note" in lost(order)


def test_a_plain_order() -> None:
    """Mapped to variation and modifier, priced by the channel, taxes and pricing rules switched off, no adjustment."""
    body = body_of(sold())
    item = body["line_items"][0]
    assert (item["catalog_object_id"], item["quantity"], item["base_price_money"]) == (
        "VAR-BURGER",
        "2",
        {"amount": 1000, "currency": "USD"},
    )
    assert "name" not in item
    assert item["modifiers"] == [
        {"catalog_object_id": "MOD-BACON", "base_price_money": {"amount": 250, "currency": "USD"}, "quantity": "1"}
    ]
    assert body["pricing_options"] == {"auto_apply_taxes": False, "auto_apply_discounts": False}
    assert body["reference_id"] == "ord_01jd0000000000000000000000"
    assert body["ticket_name"] == "ubereats B2AB1"
    assert "service_charges" not in body
    assert "discounts" not in body


def test_the_note_tells_the_counter() -> None:
    """Platform, display id, courier, cutlery, the phone's code and the consumer's words."""
    note = body_of(sold(note="Ring the bell"))["fulfillments"][0]["pickup_details"]["note"]
    assert note == "ubereats · B2AB1 · courier: Uber · NO cutlery · phone code 555 55 555 · Ring the bell"


def test_an_unmapped_line_is_an_open_item() -> None:
    """Its name, price and key are all there."""
    item = body_of(sold(), products={})["line_items"][0]
    assert (item["name"], item["note"]) == ("Cheeseburger", "not on the menu (SKU-100); Bacon not on the menu (bacon)")
    assert "catalog_object_id" not in item
    assert item["modifiers"][0]["name"] == "Bacon"


def test_nested_modifiers_are_flattened() -> None:
    """Square has one level: quantities multiply down, names say where they belong, and the loss is told."""
    sauce = Modifier("sauce", "Sauce", 3, usd(10))
    meal = Modifier("meal", "Meal", 2, usd(100), modifiers=(sauce,))
    order = sold(lines=(Line("burger", "Burger", 2, usd(1000), usd(2520), modifiers=(meal,)),))
    options = body_of(order)["line_items"][0]["modifiers"]
    assert [(each["name"], each["quantity"]) for each in options] == [("Meal", "2"), ("Meal: Sauce", "6")]
    assert square_adds_up(body_of(order)) == 2520
    assert "modifier meal nesting" in lost(order)


def test_quantities_multiply_down_every_level() -> None:
    """Square multiplies by the line only, so three levels add up without any adjustment that would hide a wrong count."""
    ice = Modifier("ice", "Ice", 5, usd(7))
    cola = Modifier("cola", "Cola", 3, usd(10), modifiers=(ice,))
    meal = Modifier("meal", "Meal", 2, usd(100), modifiers=(cola,))
    line = Line("burger", "Burger", 2, usd(1000), usd(2 * (1000 + 2 * (100 + 3 * (10 + 5 * 7)))), modifiers=(meal,))
    body = body_of(sold(lines=(line,)))
    assert [(each["name"], each["quantity"]) for each in body["line_items"][0]["modifiers"]] == [
        ("Meal", "2"),
        ("Meal: Cola", "6"),
        ("Meal: Cola: Ice", "30"),
    ]
    assert square_adds_up(body) == line.total.amount == 2940
    assert "service_charges" not in body
    assert "discounts" not in body


@settings(max_examples=60, deadline=None)
@given(orders())
def test_lines_that_add_up_need_no_adjustment(order: Order) -> None:
    """Whatever is nested in them: what the hub expects of a line is what Square makes of it."""
    lines = tuple(msgspec.structs.replace(line, modifiers=_kept(line.modifiers)) for line in order.lines)
    exact = tuple(msgspec.structs.replace(line, total=line.expected_total()) for line in lines)
    whole = msgspec.structs.replace(order, lines=exact, discounts=())
    assert draft(SubmitTask("ord_1", whole, "LOC", PRODUCTS), "PICKUP")[2] == ""


def _kept(modifiers: tuple[Modifier, ...]) -> tuple[Modifier, ...]:
    """Without what was taken off: it is not sold."""
    return tuple(msgspec.structs.replace(m, modifiers=_kept(m.modifiers)) for m in modifiers if not m.removed)


def test_a_mapped_option_of_an_option_is_no_unknown() -> None:
    """It is sent by name, for Square has one level, but nobody is told that the menu lacks it."""
    meal = Modifier("meal", "Meal", 1, usd(100), plu="p1", modifiers=(Modifier("m1", "Cola", 1, usd(0)), Modifier("zz", "Ice", 1, usd(0))))
    order = sold(lines=(Line("burger", "Burger", 1, usd(1000), usd(1100), plu="SKU-100", modifiers=(meal,)),))
    item = body_of(order)["line_items"][0]
    assert [each.get("catalog_object_id", each.get("name")) for each in item["modifiers"]] == ["VAR2", "Meal: Cola", "Meal: Ice"]
    assert item["note"] == "Meal: Ice not on the menu (zz)"


def test_what_was_taken_off_is_said() -> None:
    """A removed default is a note, not a modifier that costs."""
    onion = Modifier("onion", "Onion", 1, usd(0), removed=True)
    item = body_of(sold(lines=(Line("burger", "Burger", 1, usd(1000), usd(1000), modifiers=(onion,), note="well done"),)))["line_items"][0]
    assert item["note"].startswith("NO Onion; well done")
    assert "modifiers" not in item


@pytest.mark.parametrize(
    ("more", "charges", "discounts"),
    [
        ({"charges": (Charge("bag", "Bag", usd(50), "merchant"),)}, {"Bag": 50}, {}),
        ({"charges": (Charge("service", "Service", usd(50), "platform"),)}, {}, {}),
        ({"taxes": (Tax("Sales tax", usd(80), "merchant"),)}, {"Sales tax": 80}, {}),
        ({"taxes": (Tax("VAT", usd(80), "merchant", inclusive=True), Tax("Tax", usd(9), "platform"))}, {}, {}),
        ({"discounts": (Discount("2 off", usd(200), "merchant"),)}, {}, {"2 off": 200}),
        ({"discounts": (Discount("2 off", usd(200), "platform"),)}, {}, {}),
        ({"tips": (Tip(usd(200), "merchant"),)}, {}, {}),
        ({"lines": (Line("burger", "Burger", 3, usd(333), usd(1000)),)}, {ADJUSTMENT: 1}, {}),
        ({"lines": (Line("burger", "Burger", 3, usd(334), usd(1000)),)}, {}, {ADJUSTMENT: 2}),
        ({"lines": (Line("coupon", "Coupon", 1, usd(-100), usd(-100)), Line("b", "B", 1, usd(500), usd(500)))}, {}, {ADJUSTMENT: 100}),
    ],
)
def test_charges_and_discounts(more: dict[str, Any], charges: dict[str, int], discounts: dict[str, int]) -> None:
    """Only what is the merchant's reaches the POS, by its name; what is left over is one named adjustment."""
    body = body_of(sold(**more))
    assert {each["name"]: each["amount_money"]["amount"] for each in body.get("service_charges", [])} == charges
    assert {each["name"]: each["amount_money"]["amount"] for each in body.get("discounts", [])} == discounts


def test_the_adjustment_is_told_in_words() -> None:
    """Amount and currency, for the operator's timeline."""
    order = sold(lines=(Line("burger", "Burger", 3, usd(333), usd(1000)),))
    assert draft(SubmitTask("ord_1", order, "LOC", {}), "PICKUP")[2] == "Channel adjustment: 0.01 USD"


def test_a_discount_above_the_lines_lowers_the_charges() -> None:
    """Square takes nothing off charges itself, so a delivery fee is sent lower."""
    more: dict[str, Any] = {
        "lines": (Line("b", "B", 1, usd(1500), usd(1500)),),
        "discounts": (Discount("20 off", usd(2000), "merchant"),),
        "charges": (Charge("delivery", "Delivery", usd(1000), "merchant"),),
    }
    body = body_of(sold(**more))
    assert square_adds_up(body) == 500
    assert body["service_charges"][0]["amount_money"]["amount"] == 500
    assert "discounts" in lost(sold(**more))


def test_what_the_pos_does_not_see_is_told() -> None:
    """The platform's money and the courier's tip are named as not carried."""
    more: dict[str, Any] = {
        "charges": (Charge("service", "Service", usd(50), "platform"),),
        "tips": (Tip(usd(300), "courier"),),
        "discounts": (Discount("off", usd(10), "platform"),),
        "taxes": (Tax("Tax", usd(9), "platform"),),
    }
    wanted = ["discounts funded by the platform", "charges owed to the platform", "courier's tip", "taxes remitted by the platform"]
    assert lost(sold(**more)) == wanted


def test_delivery_is_sent_when_the_connection_says_so() -> None:
    """With the address, the time, and whose courier it is."""
    customer = Customer("Larry", "+1", address=Address("1 Main St", city="Springfield", country="US", notes="blue door"))
    order = sold(customer=customer, fulfilment=Fulfilment("delivery_by_merchant", scheduled_for=PLACED))
    fulfillment = body_of(order, "DELIVERY")["fulfillments"][0]
    details = fulfillment["delivery_details"]
    assert (fulfillment["type"], details["schedule_type"], details["deliver_at"]) == ("DELIVERY", "SCHEDULED", "2026-01-10T18:00:00Z")
    assert details["recipient"]["address"] == {"address_line_1": "1 Main St", "locality": "Springfield", "country": "US"}
    assert details["managed_delivery"] is False
    assert "blue door" in details["note"]


@pytest.mark.parametrize(("kind", "minutes"), [("PICKUP", "PT17M"), ("DELIVERY", "PT17M")])
def test_as_soon_as_possible_says_how_long_it_takes(kind: str, minutes: str) -> None:
    """From placing to ready, so that a repeat has the same bytes; a time of day is Square's to set then."""
    order = sold(fulfilment=Fulfilment("delivery_by_platform", ready_at=PLACED + timedelta(minutes=17), courier="Uber"))
    details = body_of(order, kind)["fulfillments"][0][f"{kind.lower()}_details"]
    assert (details["schedule_type"], details["prep_time_duration"]) == ("ASAP", minutes)
    assert "pickup_at" not in details
    assert "deliver_at" not in details


def test_a_delivery_without_a_time_has_one_for_square() -> None:
    """ASAP deliveries need a duration, pickups don't."""
    order = sold(fulfilment=Fulfilment("delivery_by_platform"))
    assert body_of(order, "DELIVERY")["fulfillments"][0]["delivery_details"]["prep_time_duration"] == "PT30M"
    assert "prep_time_duration" not in body_of(order)["fulfillments"][0]["pickup_details"]


def test_names_that_are_too_long_are_told() -> None:
    """Charges, taxes and discounts keep to Square's limits, and the operator hears of it; a nameless tax gets a name."""
    more: dict[str, Any] = {
        "charges": (Charge("bag", "b" * 600, usd(50), "merchant"),),
        "taxes": (Tax("", usd(80), "merchant"),),
        "discounts": (Discount("d" * 300, usd(20), "merchant"),),
        "customer": Customer("L", address=Address("1 Main St", country="Utopia")),
    }
    body = body_of(sold(**more))
    assert [len(each["name"]) for each in body["service_charges"]] == [512, 3]
    assert len(body["discounts"][0]["name"]) == 255
    assert lost(sold(**more))[:3] == ["charge 0 name", "discount 0 name", "customer.address.country"]


def test_a_long_phone_number_goes_into_the_note() -> None:
    """Square holds 17 characters of it, so the number is not cut but moved."""
    details = body_of(sold(customer=Customer("L", "+1 555 555 555 555 55")))["fulfillments"][0]["pickup_details"]
    assert "phone_number" not in details["recipient"]
    assert "phone +1 555 555 555 555 55" in details["note"]


@pytest.mark.parametrize(
    ("state", "fulfillment", "hub"),
    [
        ("OPEN", "FAILED", OrderState.CANCELLED),
        ("OPEN", "PROPOSED", OrderState.RECEIVED),
        ("OPEN", "RESERVED", OrderState.ACCEPTED),
        ("OPEN", "PREPARED", OrderState.READY),
        ("OPEN", "COMPLETED", OrderState.PICKED_UP),
        ("OPEN", "CANCELED", OrderState.CANCELLED),
        ("COMPLETED", "COMPLETED", OrderState.COMPLETED),
        ("CANCELED", "PROPOSED", OrderState.CANCELLED),
        ("OPEN", "SOMETHING_NEW", OrderState.RECEIVED),
        ("SOMETHING_NEW", None, OrderState.RECEIVED),
    ],
)
def test_states(state: str, fulfillment: str | None, hub: OrderState) -> None:
    """The order's own end first, then its fulfilment's; an unknown word survives as open."""
    parts = [models.Fulfillment(state=fulfillment)] if fulfillment else []
    assert state_of(models.Order(id="o", location_id="l", state=state, fulfillments=parts)) is hub


def test_a_completed_delivery_is_delivered() -> None:
    """Square has no word for a courier who took the food, so COMPLETED means another thing by type."""
    parts = [models.Fulfillment(type="DELIVERY", state="COMPLETED")]
    assert state_of(models.Order(id="o", location_id="l", fulfillments=parts)) is OrderState.DELIVERED
