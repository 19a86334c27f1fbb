"""Orders into K-Series': prices that the POS sets, adjustments, options, notes, times, payments."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.lightspeed import models
from adapters.lightspeed.mapping import Terms, draft, patience, reference_of, state_of
from hub.contract import PosRejected
from hub.model import Address, Charge, Customer, Discount, Fulfilment, Line, Modifier, Money, OrderState, Payment, Tax, Tip
from tests.unit.adapters.lightspeed.lightspeed_bench import NOW, TERMS, cad, drafted, shelf, sold, task

NO_ITEMS = Terms(endpoint="HUB")


def test_choices_are_sub_items_and_instructions_modifiers() -> None:
    """Options go by SKU below their line, production instructions by id beside them; nothing names a price that is fixed."""
    made, body = drafted()
    item = {"quantity": 2, "sku": "BURGER", "modifiers": [{"modifierId": "490"}], "subItems": [{"quantity": 1, "sku": "OAT"}]}
    assert body["items"] == [item]
    assert (made.total, made.adjustment, made.not_carried) == (cad(2100), "", ())
    assert body["payment"] == {"paymentMethod": "OOPAYMENT", "paymentAmount": Decimal("21.00")}
    assert (body["businessLocationId"], body["endpointId"], body["accountProfileCode"]) == (45454565682155, "HUB", "DELIVERY")
    assert body["customerInfo"] == {"firstName": "Jane", "lastName": "Doe", "contactNumberAsE164": "+14155552671"}
    assert (body["collectionCode"], body["orderNote"]) == ("B2AB1", "ubereats · B2AB1")
    assert body["orderCollectionTimeAsIso8601"] == "2026-04-04T09:20:00.000+00:00"


def test_amounts_are_numbers_with_their_decimals() -> None:
    """Neither text nor float: 21.00 is written as 21.00."""
    made, _ = drafted()
    assert b'"paymentAmount":21.00' in models.ENCODER.encode(made.body)


@pytest.mark.parametrize(("unit_price", "sku", "custom"), [(1100, "FEE", Decimal("2.00")), (900, "OFF", Decimal("2.00"))])
def test_a_price_that_the_pos_sets_is_made_up_for_by_one_line(unit_price: int, sku: str, custom: Decimal) -> None:
    """The channel's price stands: the difference is one named line, up or down."""
    line = Line("burger", "Burger", 2, cad(unit_price), cad(unit_price * 2))
    made, body = drafted(sold(line))
    last = body["items"][-1]
    assert (last["sku"], last["customItemPrice"], last["customItemName"]) == (sku, custom, "Channel adjustment")
    assert made.total == cad(unit_price * 2)
    assert made.adjustment == f"Channel adjustment: {'' if unit_price > 1000 else '-'}2.00 CAD"


def test_without_the_settings_the_difference_is_told_and_never_overpaid() -> None:
    """What no line can carry is in not_carried; the payment is at most what the POS asks."""
    charge = Charge("delivery", "Delivery", cad(300), "merchant")
    made, body = drafted(sold(charges=(charge,)), NO_ITEMS)
    assert body["payment"]["paymentAmount"] == Decimal("21.00")
    assert [each.field for each in made.not_carried] == ["Delivery", "total"]
    assert "shows 21.00 instead of 24.00" in made.not_carried[1].reason
    made, body = drafted(sold(discounts=(Discount("Promo", cad(300), "merchant"),)), NO_ITEMS)
    assert body["payment"]["paymentAmount"] == Decimal("18.00")
    assert [each.field for each in made.not_carried] == ["Promo", "total"]


def test_what_the_merchant_is_owed_is_on_the_check() -> None:
    """The merchant's charges, added taxes and discounts are lines of their names; the platform's own stay out and are told."""
    order = sold(
        charges=(Charge("delivery", "Delivery", cad(299), "merchant"), Charge("service", "Fee", cad(99), "platform")),
        taxes=(Tax("GST", cad(105), "merchant"), Tax("PST", cad(70), "platform"), Tax("VAT", cad(9), "merchant", inclusive=True)),
        discounts=(Discount("Promo", cad(250), "merchant"), Discount("Theirs", cad(100), "platform")),
        tips=(Tip(cad(200), "merchant"), Tip(cad(100), "courier")),
    )
    made, body = drafted(order)
    lines = [(each["sku"], each["customItemName"], each["customItemPrice"]) for each in body["items"][1:]]
    assert lines == [("FEE", "Delivery", Decimal("2.99")), ("FEE", "GST", Decimal("1.05")), ("OFF", "Promo", Decimal("2.50"))]
    assert made.total == order.merchant_total() == cad(2254)
    assert body["payment"] == {"paymentMethod": "OOPAYMENT", "paymentAmount": Decimal("24.54"), "tipAmount": Decimal("2.00")}
    assert len(made.not_carried) == 4


def test_a_combo_costs_its_price_and_its_choices_extras() -> None:
    """The same SKU has another price inside a combo."""
    line = Line("deal", "Deal", 1, cad(1400), cad(1500), modifiers=(Modifier("oat", "Oat", 1, cad(100)),))
    made, body = drafted(sold(line))
    assert (made.total, made.adjustment) == (cad(1500), "")
    assert body["items"] == [{"quantity": 1, "sku": "DEAL", "subItems": [{"quantity": 1, "sku": "OAT"}]}]


def test_unmapped_things_are_open_items_or_refused() -> None:
    """A line and an option that the menu lacks are sold under their names; without an open item the order is refused with a reason."""
    cake = Line("cake", "Cake", 3, cad(500), cad(1950), modifiers=(Modifier("candle", "Candle", 2, cad(75)),), note="blue")
    burger = Line("burger", "Burger", 2, cad(1000), cad(2400), modifiers=(Modifier("gold", "Gold", 2, cad(100)),))
    made, body = drafted(sold(cake, burger))
    rows = [(each["sku"], each["quantity"], each.get("customItemName"), each.get("customItemPrice")) for each in body["items"]]
    expected = [("FEE", 3, "Cake", Decimal("6.50")), ("BURGER", 2, None, None), ("FEE", 2, "Burger: Gold", Decimal("2.00"))]
    assert rows == expected
    assert made.total == cad(1950 + 2400)
    assert body["orderNote"].endswith("3x Cake: + 2x Candle, blue · 2x Burger: + 2x Gold")
    refused = draft(task(sold(cake, burger)), shelf(), NO_ITEMS, NOW)
    assert isinstance(refused, PosRejected)
    assert "Cake, Burger: Gold" in refused.reason
    assert "open_item" in refused.reason


@pytest.mark.parametrize("included", [True, False])
@pytest.mark.parametrize(("currency", "unit"), [("CAD", "1"), ("JPY", "100"), ("KWD", "0.1")])
def test_minor_units_of_every_currency(currency: str, unit: str, included: bool) -> None:
    """Two decimals, none, three: the payment is what the merchant is owed, in the currency's own places."""
    line = Line("burger", "Burger", 1, Money(1000, currency), Money(1000, currency))
    taxes = () if included else (Tax("GST", Money(150, currency), "merchant"),)
    made, body = drafted(sold(line, currency=currency, taxes=taxes), currency=currency, unit=unit, included=included)
    owed = Money(1000 if included else 1150, currency)
    assert (made.total, made.adjustment) == (owed, "")
    assert body["payment"]["paymentAmount"] == owed.decimal()


@given(
    prices=st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 4)), min_size=1, max_size=4),
    charge=st.integers(0, 900),
    share=st.integers(0, 100),
    included=st.booleans(),
)
def test_the_pos_total_is_what_is_owed(prices: list[tuple[int, int]], charge: int, share: int, included: bool) -> None:
    """Whatever the channel charged: equal where tax is inside, within the smallest unit where the POS adds it, never overpaid."""
    lines = tuple(Line("burger", "Burger", count, cad(price), cad(price * count)) for price, count in prices)
    off = sum(line.total.amount for line in lines) * share // 100
    order = sold(*lines, charges=(Charge("bag", "", cad(charge), "merchant"),), discounts=(Discount("", cad(off), "merchant"),))
    made, body = drafted(order, included=included)
    difference = abs(made.total.amount - order.merchant_total().amount)
    assert difference <= (0 if included else 1)
    assert bool(difference) == any(each.field == "total" for each in made.not_carried)
    paid = body.get("payment", {}).get("paymentAmount", Decimal(0))
    assert paid == min(made.total, order.merchant_total(), key=lambda money: money.amount).decimal()


def test_a_time_too_near_is_left_out_and_told() -> None:
    """A repeat of the same bytes must not find its time over."""
    near = sold(fulfilment=Fulfilment("pickup", ready_at=NOW + timedelta(minutes=5)))
    made, body = drafted(near)
    assert "orderCollectionTimeAsIso8601" not in body
    assert (body["accountProfileCode"], made.not_carried[0].field) == ("TAKEAWAY", "ready time")
    planned = sold(fulfilment=Fulfilment("pickup", ready_at=NOW, scheduled_for=NOW + timedelta(hours=3)))
    assert drafted(planned)[1]["orderCollectionTimeAsIso8601"] == "2026-04-04T12:00:00.000+00:00"


def test_words_reach_the_kitchen() -> None:
    """Notes, removed options, cutlery, a masked phone's code, Arabic; a code too long for its field is in the note."""
    line = Line("burger", "برجر", 1, cad(1000), cad(1000), modifiers=(Modifier("x", "Onion", 1, cad(0), removed=True),), note="بدون ملح")
    address = Address("1 Main St", "Apt 2", "Montreal", "H2S3H4", "CA", notes="ring twice")
    customer = Customer("نورة", "+1 312-766-6835", "555 55 555", "n@example.com", address)
    food = Fulfilment("delivery_by_merchant", courier="Sam", include_cutlery=False, note="leave at door")
    made, body = drafted(sold(line, customer=customer, fulfilment=food, note="hot", display_id="LONG-DISPLAY"))
    expected = "ubereats · LONG-DISPLAY · courier: Sam · NO cutlery · phone +1 312-766-6835 code 555 55 555 · ring twice · hot"
    assert body["orderNote"] == f"{expected} · leave at door · 1x برجر: NO Onion, بدون ملح"
    assert body["customerInfo"] == {"firstName": "نورة", "contactNumberAsE164": "+13127666835"}
    assert body["deliveryAddress"] == {"addressLine1": "1 Main St", "addressLine2": "Apt 2", "zip": "H2S3H4", "city": "Montreal"}
    assert "collectionCode" not in body
    assert [each.field for each in made.not_carried] == ["customer.email", "customer.address country and position"]


def test_cash_stays_open_and_dine_in_has_no_address() -> None:
    """Cash is no payment, so its tip cannot be carried; food eaten in goes nowhere."""
    order = sold(
        payments=(Payment("cash", cad(2100)),),
        tips=(Tip(cad(100), "merchant"),),
        fulfilment=Fulfilment("dine_in"),
        customer=Customer(address=Address("1 Main St")),
    )
    made, body = drafted(order)
    assert not {"payment", "deliveryAddress", "accountProfileCode"} & body.keys()
    assert [each.field for each in made.not_carried] == ["payment", "tip"]
    assert body["customerInfo"] == {"firstName": "ubereats", "lastName": "B2AB1"}


def test_references_currency_and_patience() -> None:
    """A later generation has its own reference; a foreign currency is refused; the POS is tried until a minute before the deadline."""
    assert reference_of(task()) == "ord_01jd0000000000000000000000"
    assert reference_of(task(generation=3)) == "ord_01jd0000000000000000000000-3"
    assert isinstance(draft(task(), shelf("USD"), TERMS, NOW), PosRejected)
    waits: list[tuple[Any, int]] = [(None, 300), (600, 300), (200, 140), (90, 60), (-5, 60)]
    for seconds, expected in waits:
        deadline = None if seconds is None else NOW + timedelta(seconds=seconds)
        assert patience(sold(deadline_at=deadline), NOW) == timedelta(seconds=expected)
    assert drafted()[1]["maxTimeToAttemptOrderDeliverToPos"] == 300_000


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("SUCCESS", OrderState.ACCEPTED),
        ("CHECK_WAS_UPDATED", OrderState.ACCEPTED),
        ("READY_FOR_PICKUP", OrderState.READY),
        ("IN_DELIVERY", OrderState.PICKED_UP),
        ("CLOSED", OrderState.COMPLETED),
        ("CANCELLED", OrderState.CANCELLED),
        ("ABANDONED", OrderState.CANCELLED),
        ("FAILURE", OrderState.FAILED),
        ("SOMETHING_NEW", OrderState.RECEIVED),
        (None, OrderState.RECEIVED),
    ],
)
def test_states(status: str | None, state: OrderState) -> None:
    """Every status of the documents and the one that only its examples have; an unknown one survives."""
    assert state_of(status) is state
