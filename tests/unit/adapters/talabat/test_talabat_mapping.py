"""Talabat's orders in the hub's terms: amounts and whose they are, ways of leaving, texts, and what does not fit."""

from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.talabat import models
from adapters.talabat.mapping import currency_of, state_of
from adapters.talabat.menu import catalog
from hub.contract import Drifted, Misconfigured
from hub.model import Category, Charge, Discount, Item, Menu, Money, OrderState, Payment, Tax, Tip
from tests.unit.adapters.talabat.talabat_orders import DISPATCH, TOKEN, dispatch, mapped, raw


def aed(amount: int) -> Money:
    """Fils, a hundred to the dirham."""
    return Money(amount, "AED")


def fields(body: dict[str, Any], currency: str = "AED") -> list[str]:
    """What is not carried."""
    return [each.field for each in mapped(body, currency).not_carried]


def test_the_documented_order() -> None:
    """Every part of it, nested options and Arabic included; nothing is left out."""
    order = mapped(DISPATCH)
    (line,) = order.lines
    large = line.modifiers[0]
    assert (order.platform_order_id, order.display_id, order.note) == (TOKEN, "57", "رن الجرس")
    assert (line.id, line.plu, line.name, line.quantity, line.note) == ("plat-1", "P-BURGER", "Cheeseburger", 2, "No onions")
    assert (line.unit_price, line.total, line.expected_total()) == (aed(1500), aed(4500), aed(4500))
    assert (large.plu, large.unit_price, large.modifiers[0].plu, large.modifiers[0].unit_price) == (
        "OPT-LARGE",
        aed(500),
        "OPT-X",
        aed(250),
    )
    assert order.charges == (Charge("delivery", "DeliveryFee", aed(700), "platform"),)
    assert order.discounts == (Discount("20% off", aed(400), "merchant"), Discount("20% off", aed(400), "platform"))
    assert order.taxes == (Tax("VAT", aed(210), "merchant", inclusive=True),)
    assert (order.tips, order.payments) == ((Tip(aed(120), "courier"),), (Payment("prepaid", aed(4400), "online"),))
    assert (order.total, order.merchant_total()) == (aed(4400), aed(4100))
    assert order.deadline_at == datetime(2026, 10, 2, 12, 5, tzinfo=UTC)
    assert (order.fulfilment.kind, order.fulfilment.ready_at) == ("delivery_by_platform", datetime(2026, 10, 2, 12, 15, tzinfo=UTC))
    assert (order.customer.name, order.customer.phone, order.not_carried) == ("Test Customer", "+971500000000", ())
    assert (order.vendor_refs["earliest"], order.vendor_refs["latest"]) == ("2026-10-02T12:05:00.000Z", "2026-10-02T12:45:00.000Z")
    assert "picked_up" not in order.vendor_refs


def test_amounts_have_the_currency_s_decimals() -> None:
    """Three in Kuwait, whether as text or as a number; a finer amount is rounded and named."""
    product = {"unitPrice": "1.125", "paidPrice": 2.25, "selectedToppings": [], "discounts": None}
    price = {"grandTotal": 2.35, "deliveryFees": [{"name": "DeliveryFee", "value": 0.1}], "vatTotal": "", "discountAmountTotal": None}
    order = mapped(dispatch(product=product, price={**price, "riderTip": "0.1255"}, discounts=[]), "KWD")
    assert (order.lines[0].total, order.charges[0].amount, order.total) == (Money(2250, "KWD"), Money(100, "KWD"), Money(2350, "KWD"))
    assert ([tip.amount.amount for tip in order.tips], [each.field for each in order.not_carried]) == ([126], ["price.riderTip"])


def test_the_line_total_is_the_channel_s() -> None:
    """Whatever unit prices make; it is counted from them only where it is not told."""
    assert mapped(dispatch(product={"paidPrice": "44.99"})).lines[0].total == aed(4499)
    assert mapped(dispatch(product={"paidPrice": ""})).lines[0].total == aed(4500)
    assert mapped(dispatch(product={"unitPrice": None})).lines[0].unit_price == aed(1500)
    assert mapped(dispatch(product={"paidPrice": "0"})).lines[0].total == aed(0)


def test_a_discount_of_a_product_is_part_of_the_order_s() -> None:
    """Its share goes to the line, the rest stays with the order; the sum is the order's."""
    part = {"name": "20% off", "amount": "3.00", "sponsorships": [{"sponsor": "VENDOR", "amount": "3.00"}]}
    order = mapped(dispatch(product={"discounts": [part]}))
    assert order.discounts == (
        Discount("20% off", aed(300), "merchant", "plat-1"),
        Discount("20% off", aed(100), "merchant"),
        Discount("20% off", aed(400), "platform"),
    )
    assert mapped(
        dispatch(product={"discounts": [{**part, "amount": "9", "sponsorships": [{"sponsor": "VENDOR", "amount": "9"}]}]})
    ).discounts[0] == Discount("20% off", aed(400), "merchant")


@pytest.mark.parametrize(
    ("sponsorships", "merchant"),
    [
        (None, 800),
        ([{"sponsor": "PLATFORM", "amount": "3"}], 500),
        ([{"sponsor": "THIRD_PARTY", "amount": "8"}], 0),
        ([{"sponsor": "VENDOR", "amount": "5"}, {"sponsor": "PLATFORM", "amount": "5"}], 500),
        ([{"sponsor": "VENDOR", "amount": "9"}], 800),
    ],
)
def test_who_funds_a_discount(sponsorships: Any, merchant: int) -> None:
    """The merchant's share stays, what nobody is named for is the merchant's; sums that do not fit are named."""
    body = dispatch(discounts=[{"name": "D", "amount": "8.00", "sponsorships": sponsorships}])
    order = mapped(body)
    assert sum(each.amount.amount for each in order.discounts if each.funded_by == "merchant") == merchant
    assert sum(each.amount.amount for each in order.discounts) == 800
    assert bool(fields(body)) is (sponsorships != [{"sponsor": "THIRD_PARTY", "amount": "8"}])


@pytest.mark.parametrize(
    ("price", "charges", "noted"),
    [
        ({"deliveryFees": []}, [("delivery", 700, "platform")], []),
        ({"deliveryFees": [{"name": "packaging fee", "value": 7.0}]}, [("bag", 700, "merchant")], []),
        ({"deliveryFees": [{"name": "Rain", "value": 7}], "deliveryFee": ""}, [("other", 700, "platform")], ["price.deliveryFees"]),
        ({"grandTotal": "45.50", "containerCharge": "1.50"}, [("delivery", 700, "platform"), ("bag", 150, "merchant")], []),
        ({"grandTotal": "46.00"}, [("delivery", 700, "platform")], ["price.grandTotal"]),
        ({"discountAmountTotal": "9", "grandTotal": "43"}, [("delivery", 700, "platform")], ["price.discountAmountTotal"]),
    ],
)
def test_fees_count_as_far_as_the_grand_total_has_room(price: dict[str, Any], charges: list[Any], noted: list[str]) -> None:
    """A fee told twice counts once; a remainder is named, never guessed."""
    order = mapped(dispatch(price=price))
    assert [(each.kind, each.amount.amount, each.to) for each in order.charges] == charges
    assert [each.field for each in order.not_carried] == noted


def test_vat_is_added_only_where_the_sum_says_so() -> None:
    """Then the POS owes it on top."""
    order = mapped(dispatch(price={"grandTotal": "46.10"}))
    assert (order.taxes[0].inclusive, order.merchant_total(), order.not_carried) == (False, aed(4310), ())


def test_a_restaurant_s_own_delivery() -> None:
    """Address, fee and tip are its own; the consumer pays in cash; the time is when the food is to arrive."""
    address = {
        "street": "Sheikh Zayed",
        "number": 5,
        "floor": 2,
        "postcode": 12345,
        "city": "Dubai",
        "latitude": 25.2,
        "deliveryArea": "JLT",
    }
    delivery = {"address": address, "expectedDeliveryTime": "2026-10-02T12:40:00Z", "riderPickupTime": None}
    payment = {"status": "pending", "type": "cash"}
    order = mapped(dispatch(delivery=delivery, payment=payment, price={"collectFromCustomer": "45.20"}, preOrder=True))
    home = order.customer.address
    assert home is not None
    assert (home.line1, home.line2, home.city, home.postal_code, home.latitude) == (
        "Sheikh Zayed 5",
        "floor 2",
        "JLT, Dubai",
        "12345",
        "25.2",
    )
    assert (order.fulfilment.kind, order.fulfilment.ready_at, order.charges[0].to) == ("delivery_by_merchant", None, "merchant")
    assert (order.tips[0].to, order.payments) == ("merchant", (Payment("cash", aed(4520), "cash"),))
    assert order.fulfilment.scheduled_for == datetime(2026, 10, 2, 12, 40, tzinfo=UTC)
    assert order.merchant_total() == aed(4800)


def test_who_has_the_cash() -> None:
    """A rider who pays at the counter brings it; one who does not leaves it with the platform."""
    pending = {"payment": {"status": "pending", "type": "cash"}}
    assert mapped(dispatch(price={"payRestaurant": "37.00"}, **pending)).payments == (Payment("cash", aed(3700), "cash"),)
    assert mapped(dispatch(price={"collectFromCustomer": "44"}, **pending)).payments == (Payment("prepaid", aed(4400), "cash"),)


def test_a_pickup_and_a_test_order() -> None:
    """The consumer's code is in the note; a test says so where everybody sees it."""
    body = dispatch(expeditionType="pickup", delivery=None, pickup={"pickupTime": "2026-10-02T12:20:00Z", "pickupCode": "0042"}, test=True)
    order = mapped(body)
    assert (order.fulfilment.kind, order.fulfilment.note) == ("pickup", "pickup code 0042")
    assert order.note.startswith("TEST ORDER")
    assert (fields(body), order.vendor_refs["test"]) == (["test"], "true")
    assert fields(dispatch(corporateTaxId="T-1", callbackUrls=None)) == ["corporateTaxId", "callbackUrls.orderAcceptedUrl"]


def test_where_the_platform_has_it() -> None:
    """Reports say so; a dispatch without an address for the accept was accepted on the tablet."""

    def state(**more: Any) -> OrderState:
        order = models.order_in(raw(dispatch(**more)))
        assert order is not None
        return state_of(order)

    assert (state(), state(callbackUrls={}), state(callbackUrls={"orderAcceptedUrl": ""})) == (
        OrderState.RECEIVED,
        OrderState.ACCEPTED,
        OrderState.ACCEPTED,
    )
    assert (state(status="cancelled"), state(status="accepted")) == (OrderState.CANCELLED, OrderState.ACCEPTED)


def test_the_country_names_the_currency() -> None:
    """In whatever case; a country nobody knows needs a linked store."""
    for country, symbol, currency in (("kw", "KD", "KWD"), ("EG", "£", "EGP"), ("XX", "OMR", "OMR")):
        order = models.Order(local_info=models.LocalInfo(country_code=country, currency_symbol=symbol))
        assert currency_of(order) == currency
    with pytest.raises(Misconfigured):
        currency_of(models.Order())


@pytest.mark.parametrize(
    "change",
    [
        {"product": {"quantity": "string"}},
        {"product": {"quantity": "1.5"}},
        {"product": {"paidPrice": "abc"}},
        {"product": {"unitPrice": None, "paidPrice": None}},
        {"price": {"grandTotal": ""}},
        {"price": {"grandTotal": True}},
        {"price": {"grandTotal": "NaN"}},
        {"createdAt": "yesterday"},
        {"createdAt": "2026-10-02T11:55:00"},
        {"products": []},
        {"products": {}},
    ],
)
def test_what_does_not_fit_drifts(change: dict[str, Any]) -> None:
    """It is kept apart and shown, never half understood."""
    with pytest.raises(Drifted):
        mapped(dispatch(**change))


def test_a_title_has_the_arabic_name_beside_the_default() -> None:
    """Of the POS's further names only Arabic is one that a catalog holds."""
    item = Item("tea", "Tea", Money(500, "AED"), translations={"ar": "شاي", "fr": "Thé"})
    made = catalog(Menu("AED", (Category("hot", "Hot", ("tea",), {"ar": "ساخن"}),), (item,)))["items"]
    assert made["tea"]["title"] == {"default": "Tea", "ar": "شاي"}
    assert made["category:hot"]["title"] == {"default": "Hot", "ar": "ساخن"}
