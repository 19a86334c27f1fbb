"""The hub's order as Foodics takes it: sums, taxes, notes, days, phone numbers, states, and the menu."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given

from adapters.foodics import models
from adapters.foodics.bill import Terms, minor_units
from adapters.foodics.mapping import Draft, business_date, dialled, draft, reference_of, state_of, version_of
from adapters.foodics.menu import Wanted, menu_from, sold_out
from hub.contract import PosRejected
from hub.model import Charge, Customer, Discount, Fulfilment, Line, Modifier, Money, Order, OrderState, Payment, StockLevel, Tax, Tip
from tests.unit.adapters.foodics.foodics_business import PLACED, TERMS, VAT, sar, sold, task
from tests.unit.adapters.sales import orders


def made(order: Order, terms: Terms = TERMS, **more: Any) -> Draft:
    """The order's draft."""
    found = draft(task(order, **more), terms)
    assert isinstance(found, Draft), found
    return found


def lost(found: Draft) -> set[str]:
    """The fields that were not carried."""
    return {each.field for each in found.not_carried}


def minor(value: Decimal | None, currency: str) -> int:
    """An amount that has to be whole in the minor unit."""
    return Money.from_decimal(value or Decimal(0), currency).amount


@given(orders())
@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("charge", ["C-X", ""])
def test_any_order_balances_at_what_the_merchant_is_owed(inclusive: bool, charge: str, order: Order) -> None:
    """Lines make the subtotal; less the discount, with rounding and taxes on top, the total; with charges, what is owed and paid."""
    terms = msgspec.structs.replace(TERMS, currency=order.currency, tax_inclusive=inclusive, charge=charge, rates={"P-9": (VAT,)})
    body = made(order, terms, products={"i1": "P-1", "p1": "P-9", "m1": "O-1", "p2": "O-2"}).body
    owed = max(0, order.merchant_total().amount)
    rows: list[models.ProductLine | models.OptionLine] = [*body.products, *(each for line in body.products for each in line.options)]
    lines = sum(minor(each.total_price, order.currency) for each in rows)
    taxes = sum(minor(tax.amount, order.currency) for each in rows for tax in each.taxes)
    charges = [minor(each.amount, order.currency) for each in body.charges]
    subtotal, total = minor(body.subtotal_price, order.currency), minor(body.total_price, order.currency)
    discount, rounding = minor(body.discount_amount, order.currency), minor(body.rounding_amount, order.currency)
    assert subtotal == lines
    assert total == subtotal - discount + rounding + (0 if inclusive else taxes)
    assert (total + sum(charges), min(total, *charges, 0)) == (owed, 0)
    assert 0 <= discount <= subtotal
    assert [minor(each.amount, order.currency) for each in body.payments] == ([owed] if owed else [])
    assert len(body.kitchen_notes) <= 1000 >= len(body.customer_notes)


def test_the_body_is_what_foodics_takes() -> None:
    """Numbers in major units, an option's total for the whole line, its product's taxes, our reference, the day that has not ended."""
    order = sold(
        placed_at=PLACED + timedelta(hours=7),
        charges=(Charge("delivery", "Way", sar(1000), "merchant"), Charge("bag", "Bag", sar(50), "merchant")),
        discounts=(Discount("Promo", sar(560), "merchant"),),
        tips=(Tip(sar(200), "merchant"),),
    )
    terms = msgspec.structs.replace(TERMS, end_of_day="05:00")
    body = json.loads(models.ENCODER.encode(made(order, terms).body))
    assert body["meta"] == {"3rd_party_order_number": "ord_1", "channel": "talabat", "channel_order": "987"}
    assert (body["type"], body["business_date"], body["kitchen_notes"]) == (3, "2026-01-10", "talabat T-42")
    (line,) = body["products"]
    assert (line["unit_price"], line["total_price"], line["kitchen_notes"]) == (25, 50, "بدون بصل")
    assert line["taxes"] == [{"id": "vat", "rate": 15, "amount": 5.87}]
    option = {"modifier_option_id": "O-1", "quantity": 2, "unit_price": 1.5, "total_price": 6}
    assert line["options"] == [{**option, "taxes": [{"id": "vat", "rate": 15, "amount": 0.7}]}]
    assert (body["subtotal_price"], body["discount_amount"], body["discount_id"], body["total_price"]) == (56, 5.6, "D-1", 50.4)
    assert body["charges"] == [{"charge_id": "C-D", "amount": 10}, {"charge_id": "C-X", "amount": 0.5}]
    payment = {"payment_method_id": "M-8", "amount": 60.9, "tendered": 60.9, "tips": 2, "business_date": "2026-01-10"}
    assert body["payments"] == [payment]
    assert json.loads(models.ENCODER.encode(made(order, terms, generation=3).body))["meta"]["generation"] == 3


def test_options_on_one_level_and_what_is_not_on_the_menu() -> None:
    """A nested option counts for all of its parent; an unknown one is named in the note and priced in the line; removed ones are said."""
    nested = Modifier("cheese", "Cheese", 2, sar(150), modifiers=(Modifier("bacon", "Bacon", 3, sar(100)),))
    options = (nested, Modifier("gold", "Gold", 1, sar(70)), Modifier("onion", "Onion", 1, sar(0), removed=True))
    found = made(sold(lines=(Line("burger", "Burger", 1, sar(2500), sar(3470), modifiers=options, note="hot"),)))
    (line,) = found.body.products
    assert [(each.modifier_option_id, each.quantity, str(each.total_price)) for each in line.options] == [
        ("O-1", 2, "3.00"),
        ("O-2", 6, "6.00"),
    ]
    assert (str(line.unit_price), line.kitchen_notes) == ("25.70", "6x Cheese: Bacon; 1x Gold; NO Onion; hot")
    assert (lost(found), found.adjustment) == ({"modifier bacon nesting", "modifier gold"}, "")


def test_unmapped_lines_need_an_open_item() -> None:
    """With one they carry their name; without, the refusal says what to set."""
    order = sold(lines=(Line("cake", "كعكة", 1, sar(900), sar(900)),))
    assert made(order).body.products[0].kitchen_notes == "كعكة"
    refused = draft(task(order), msgspec.structs.replace(TERMS, open_item=""))
    assert isinstance(refused, PosRejected)
    assert "open_item" in refused.reason


def test_what_is_left_over_has_a_name() -> None:
    """More goes to the charge, else to the rounding; less to the discount; a fee without a charge is said not to be carried."""
    more, less = (sold(lines=(Line("burger", "B", 1, sar(2500), sar(amount)),)) for amount in (2600, 2400))
    assert [str(each.amount) for each in made(more).body.charges] == ["1.00"]
    assert made(more).adjustment == "Channel adjustment: 1.00 SAR"
    bare = msgspec.structs.replace(TERMS, charge="", delivery_charge="")
    assert str(made(more, bare).body.rounding_amount) == "1.00"
    assert str(made(less).body.discount_amount) == "1.00"
    assert "charge Way" in lost(made(sold(charges=(Charge("delivery", "Way", sar(1000), "merchant"),)), bare))


def test_cash_and_unpaid_orders() -> None:
    """Cash is not a payment yet and is told to the courier; without a method nothing is paid and that is said."""
    cash = made(sold(payments=(Payment("cash", sar(5600)),), tips=(Tip(sar(100), "merchant"),)))
    assert (cash.body.payments, cash.body.customer_notes, lost(cash)) == ((), "cash: 56.00 SAR", {"tip"})
    assert lost(made(sold(), msgspec.structs.replace(TERMS, payment_method=""))) == {"payment"}


@pytest.mark.parametrize(
    ("inclusive", "taxes", "rows", "told"),
    [
        (True, (), True, set()),
        (True, (Tax("VAT", sar(730), "merchant", inclusive=True),), True, set()),
        (True, (Tax("VAT", sar(840), "merchant"),), False, {"taxes"}),
        (True, (Tax("VAT", sar(840), "platform"),), False, {"taxes remitted by the platform"}),
        (False, (), False, set()),
        (False, (Tax("VAT", sar(840), "merchant"),), True, set()),
        (False, (Tax("VAT", sar(730), "merchant", inclusive=True),), False, {"taxes"}),
    ],
)
def test_taxes_only_where_the_rates_apply_to_the_prices(inclusive: bool, taxes: tuple[Tax, ...], rows: bool, told: set[str]) -> None:
    """The business's rates hold for the channel's prices where both have the tax in them, or neither; a type without the tax has none."""
    found = made(sold(taxes=taxes), msgspec.structs.replace(TERMS, tax_inclusive=inclusive))
    assert (bool(found.body.products[0].taxes), lost(found)) == (rows, told)
    elsewhere = {"P-1": (msgspec.structs.replace(VAT, applies_on_order_types=[2]),)}
    assert not made(sold(), msgspec.structs.replace(TERMS, rates=elsewhere)).body.products[0].taxes


def test_guests_are_in_the_notes_unless_recorded() -> None:
    """Name, number and masked code; with records only the code is left to say."""
    order = sold(customer=Customer("نورة", "+966 54 483 4934", "55"), fulfilment=Fulfilment("pickup", note="gate 2", courier="Talabat"))
    body = made(order).body
    assert (body.type, body.customer_notes) == (2, "نورة · +966 54 483 4934 · code 55 · gate 2 · courier: Talabat")
    recorded = made(order, msgspec.structs.replace(TERMS, customer="c-1")).body
    assert (recorded.customer_id, recorded.customer_notes) == ("c-1", "code 55 · gate 2 · courier: Talabat")
    assert "order note" in lost(made(sold(note="ب" * 1001)))


@pytest.mark.parametrize(
    ("at", "ends", "day"),
    [
        ("2026-01-10T20:59:00", "00:00", "2026-01-10"),
        ("2026-01-10T21:00:00", "00:00", "2026-01-11"),
        ("2026-01-11T01:59:00", "05:00", "2026-01-10"),
        ("2026-01-11T02:00:00", "05:00", "2026-01-11"),
        ("2026-01-11T02:00:00", "23:00", "2026-01-11"),
        ("2026-01-11T02:00:00", "", "2026-01-11"),
    ],
)
def test_a_branch_s_day_ends_when_the_branch_says(at: str, ends: str, day: str) -> None:
    """In the business's zone, three hours ahead of UTC here."""
    assert business_date(datetime.fromisoformat(at).replace(tzinfo=UTC), "Asia/Riyadh", ends) == day


def test_phone_numbers_with_a_country_code() -> None:
    """Plus or 00, in any spelling; a number of no known country or without a code stays in the notes."""
    assert dialled("+966 54-483 4934") == (966, "544834934")
    assert dialled("0020 100 123 4567") == (20, "1001234567")
    assert [dialled(each) for each in ("0544834934", "+1 555 0100", "", "+966 12", "masked")] == [None] * 5


@pytest.mark.parametrize(
    ("status", "delivery", "state"),
    [
        (1, None, "received"), (8, None, "received"), (2, None, "accepted"), (2, 1, "preparing"), (2, 2, "ready"), (2, 3, "accepted"),
        (2, 4, "picked_up"), (2, 5, "delivered"), (2, 6, "accepted"), (4, 5, "completed"), (3, None, "cancelled"), (5, None, "cancelled"),
        (7, 2, "cancelled"), (6, None, "accepted"), (99, None, "received"), (None, None, "received"), (2, 77, "accepted"),
    ],
)  # fmt: skip
def test_states(status: int | None, delivery: int | None, state: str) -> None:
    """An order's own end goes first; what is not known moves nothing."""
    assert state_of(models.Order(id="o", status=status, delivery_status=delivery))[0] is OrderState(state)


def test_versions_references_and_amounts() -> None:
    """Two moves in a second differ; meta may be an empty list; Foodics' amounts may be finer than the currency."""
    assert version_of("2026-01-10 18:00:00", 2, None) == "2026-01-10T18:00:00/2.0" != version_of("2026-01-10 18:00:00", 2, 1)
    assert [reference_of([]), reference_of(None), reference_of({"3rd_party_order_number": 7})] == ["", "", "7"]
    assert [minor_units(Decimal(each), "KWD") for each in ("24.15", "0.0005", "0.0015")] == [24150, 0, 2]


def product(identifier: str, **more: Any) -> models.Product:
    """A product of 50 in branch B-1."""
    given: dict[str, Any] = {"id": identifier, "name": identifier.title(), "sku": f"s-{identifier}", "price": 50, "pricing_method": 1}
    return msgspec.convert({**given, **more}, models.Product)


def test_the_menu_of_a_branch() -> None:
    """Branch prices and stock, uses of modifiers as groups, Arabic names where there are no others, what is not sold left out."""
    option = {
        "id": "o1",
        "name": None,
        "name_localized": "جبنة",
        "price": 2.5,
        "branches": [{"id": "B-1", "pivot": {"is_in_stock": False}}],
    }
    gone = [{"id": "o2", "name": "x", "deleted_at": "2026"}, {"id": "o3", "name": "y", "is_active": False}, {"id": "o4", "name": "z"}]
    pivot = {"minimum_options": 1, "maximum_options": 2, "excluded_options_ids": ["o4"], "index": 0}
    modifier = {"id": "m", "name": "Extra", "options": [option, *gone], "pivot": pivot}
    other = {**modifier, "pivot": {"minimum_options": 0, "maximum_options": 1, "default_options_ids": ["o1"]}}
    at = {"id": "B-1", "pivot": {"price": 30, "is_active": True, "is_in_stock": False}}
    tag = {"id": "t", "name": "Talabat", "pivot": {"price": 35.5}}
    shown = [
        product("a", branches=[at], modifiers=[modifier], category={"id": "c2", "name": "Two"}, price_tags=[tag]),
        product(
            "b",
            modifiers=[other],
            category={"id": "c1", "name": "One"},
            groups=[{"id": "g", "name": "KeeTa", "pivot": {"is_active": True}}],
        ),
        product("c", branches=[{"id": "B-1", "pivot": {"is_active": False}}]),
        product("d", pricing_method=2),
        product("e", is_active=False),
    ]
    display = [models.DisplayCategory(category_id="c1"), models.DisplayCategory(category_id="c2")]
    menu = menu_from(shown, display, Wanted("B-1", "SAR", tax_inclusive=True))
    assert [(each.id, each.price.amount, each.availability.available) for each in menu.items] == [("a", 3000, False), ("b", 5000, True)]
    assert [(each.name, each.item_ids) for each in menu.categories] == [("One", ("b",)), ("Two", ("a",))]
    first, second = menu.groups
    assert (first.minimum, first.maximum, second.minimum, second.maximum) == (1, 2, 0, 1)
    assert first.id != second.id
    limits = [
        {"id": "m", "name": "Extra", "options": [option], "pivot": {"minimum_options": 0, "maximum_options": most}} for most in (1, 2)
    ]
    used = [product(str(number), modifiers=[each]) for number, each in enumerate([*limits, limits[0]])]
    both = menu_from(used, (), Wanted("B-1", "SAR", tax_inclusive=True))
    assert ([each.maximum for each in both.groups], both.items[0].group_ids == both.items[2].group_ids) == ([1, 2], True)
    assert [(each.id, each.name, each.price.amount, each.availability.available) for each in first.modifiers] == [
        ("o1", "جبنة", 250, False)
    ]
    assert [(each.id, each.default) for each in second.modifiers] == [("o1", True), ("o4", False)]
    assert sold_out(shown, "B-1") == [StockLevel("a", False), StockLevel("o1", False, kind="modifier")]
    tagged = menu_from(shown, (), Wanted("B-1", "SAR", tax_inclusive=True, price_tag="Talabat"))
    assert tagged.items[0].price == sar(3550)
    assert [each.id for each in menu_from(shown, (), Wanted("B-1", "SAR", tax_inclusive=True, group="KeeTa")).items] == ["b"]
