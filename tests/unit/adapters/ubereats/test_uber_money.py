"""Whose money it is: quantities, taxes within and beside prices, promotions and their funders, and what is not understood."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.contract import Drifted
from hub.model import Discount, Money, Order, Tax
from tests.unit.adapters.ubereats.uber_answers import amount, answer, mapped, price, row


def usd(minor: int) -> Money:
    """Cents."""
    return Money(minor, "USD")


def fields(order: Order) -> list[str]:
    """What was not carried."""
    return [each.field for each in order.not_carried]


def charged(*rows: dict[str, Any], total: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A payment detail of these rows; `total` is the items'."""
    return {"item_charges": {"price_breakdown": list(rows), "total": total}, **more}


def cart(count: int, option_count: int) -> list[dict[str, Any]]:
    """A cart of one line with one option."""
    option = {"id": "o", "cart_item_id": "ci-o", "quantity": {"amount": option_count}}
    line = {"id": "i", "cart_item_id": "ci", "quantity": {"amount": count}}
    return [{"items": [{**line, "selected_modifier_groups": [{"id": "g", "selected_items": [option]}]}]}]


@pytest.mark.parametrize("with_unit", [True, False])
def test_a_row_counts_the_whole_line(with_unit: bool) -> None:
    """Three burgers with two cheeses each: the cart says two, the breakdown six, and the option is two per burger at its unit price."""
    unit = price(50) if with_unit else None
    detail = charged(row("ci", price(3000), pieces=3), row("ci-o", price(300), unit, pieces=6), total=price(3300))
    order = mapped(answer(carts=cart(3, 2), detail=detail))
    (line,) = order.lines
    (option,) = line.modifiers
    assert (line.quantity, line.unit_price, option.quantity, option.unit_price) == (3, usd(1000), 2, usd(50))
    assert line.total == line.expected_total() == usd(3300)
    assert fields(order) == []


def test_the_total_is_law_over_the_units() -> None:
    """Where Uber reprices a line its total stands, although unit times quantity says otherwise."""
    detail = charged(row("ci", price(1899), price(1000), 2), row("ci-o", price(0), price(0), 2), total=price(1899))
    (line,) = mapped(answer(carts=cart(2, 1), detail=detail)).lines
    assert (line.total, line.expected_total()) == (usd(1899), usd(2000))


def test_rows_of_one_item_are_added() -> None:
    """A line that is priced in two rows costs both."""
    detail = charged(row("ci", price(1000)), row("ci", price(400)), row("ci-o", price(0)), total=price(1400))
    assert mapped(answer(carts=cart(2, 1), detail=detail)).lines[0].total == usd(1400)


def test_lines_that_do_not_make_the_item_total_are_named() -> None:
    """What Uber charges for items but shows in no line is said, with both sums."""
    detail = charged(row("ci", price(1000)), row("ci-o", price(0)), total=price(1500))
    (note,) = mapped(answer(carts=cart(1, 1), detail=detail)).not_carried
    assert note.field == "lines"
    assert "10.00" in note.reason
    assert "15.00" in note.reason


def test_a_quantity_of_nothing_is_drift() -> None:
    """A line of zero pieces is no line; the error names it."""
    with pytest.raises(Drifted, match="cart item 'ci' has a quantity of 0"):
        mapped(answer(carts=cart(0, 1)))


def gbp(net: int, tax: int, **more: Any) -> dict[str, Any]:
    """A price with VAT in it."""
    return price(net, tax, "GBP", **more)


@pytest.mark.parametrize("flag", [None, True])
def test_vat_stays_in_the_prices(flag: bool | None) -> None:
    """12.00 with 2.00 VAT is a line of 12.00, owed as 12.00, the tax within it and the merchant's to remit."""
    detail = charged(
        row("ci", gbp(1000, 200)),
        row("ci-o", gbp(0, 0)),
        total=gbp(1000, 200, is_tax_inclusive=flag),
        order_total=gbp(1000, 200),
        cash_amount_due=None,
    )
    order = mapped(answer(carts=cart(1, 1), detail={**detail, "promotions": None}))
    assert order.lines[0].total == order.merchant_total() == Money(1200, "GBP")
    assert order.taxes == (Tax("Tax", Money(200, "GBP"), "merchant", inclusive=True),)


@pytest.mark.parametrize("flag", [None, False])
@pytest.mark.parametrize(("remitter", "owed"), [("uber", 1000), ("merchant", 1080)])
def test_added_tax_is_not_in_a_line_too(flag: bool | None, remitter: str, owed: int) -> None:
    """US rows whose gross is with tax are lines at net: Uber's tax is not owed, the merchant's once."""
    detail = charged(
        row("ci", price(1000, 80), price(1000, 80)),
        row("ci-o", price(0)),
        total=price(1000, 80, is_tax_inclusive=flag),
        order_total=price(1000, 80),
    )
    order = mapped(answer(carts=cart(1, 1), detail=detail, payment={"tax_remittance": {remitter: {"gross": amount(80)}}}))
    assert (order.lines[0].unit_price, order.lines[0].total) == (usd(1000), usd(1000))
    assert order.merchant_total() == usd(owed)
    assert [tax.inclusive for tax in order.taxes] == [False]


def test_a_flag_on_prices_without_tax_says_nothing() -> None:
    """A total flagged as with tax over rows that hold none leaves the order's tax beside the lines."""
    detail = charged(row("ci", price(1000)), row("ci-o", price(0)), total=price(1000, is_tax_inclusive=True), order_total=price(1000, 80))
    order = mapped(answer(carts=cart(1, 1), detail=detail, payment={"tax_remittance": {"merchant": {"gross": amount(80)}}}))
    assert order.merchant_total() == usd(1080)


@pytest.mark.parametrize("name", ["tax_reporting", "taxReporting"])
@pytest.mark.parametrize(
    ("rows", "remitted", "noted"),
    [
        ([("UBER", 200)], [("platform", 200)], []),
        ([("MERCHANT", 5)], [("merchant", 200)], []),
        ([("MERCHANT", 50), ("UBER", 150)], [("merchant", 50), ("platform", 150)], []),
        ([("MERCHANT", 2500), ("UBER", 150)], [("platform", 200)], ["taxes"]),
    ],
)
def test_the_tax_report_says_who_remits(name: str, rows: list[tuple[str, int]], remitted: list[tuple[str, int]], noted: list[str]) -> None:
    """Both spellings; parts count where they are the order's tax together, else the tax is Uber's and that is named."""
    info = [{"entity": entity, "type": "SUBTOTAL", "amount": amount(minor)} for entity, minor in rows]
    order = mapped(answer(payment={name: {"remittance_info": info}}))
    assert [(tax.remitted_by, tax.amount.amount) for tax in order.taxes] == remitted
    assert fields(order) == noted


def promoted(total: int | None, *details: dict[str, Any]) -> Order:
    """The sample with promotions."""
    promotions: dict[str, Any] = {"details": list(details)}
    if total is not None:
        promotions["total"] = price(total)
    return mapped(answer(detail={"promotions": promotions}))


def test_a_funding_split_is_carried() -> None:
    """A promotion paid by both is two discounts."""
    splits = [{"funding_source": "uber", "amount_paid": price(200)}, {"funding_source": "organization", "amount_paid": price(-300)}]
    order = promoted(-500, {"type": "FLATOFF", "external_promotion_id": "p", "promo_funding_splits": splits})
    assert order.discounts == (
        Discount("FLATOFF", usd(200), "platform", vendor_id="p"),
        Discount("FLATOFF", usd(300), "merchant", vendor_id="p"),
    )
    assert fields(order) == []


@pytest.mark.parametrize("value", [500_000, -500_000, "500000", {"amount_e5": 500_000}, None, "5 off", True])
def test_one_promotion_has_the_total_when_its_own_value_says_nothing(value: Any) -> None:
    """Numbers, digits and amounts are read; for anything else the promotions' total is the one's."""
    order = promoted(-500, {"type": "BOGO", "discount_value": value, "funded_by": "UBER"})
    assert [(d.amount, d.funded_by) for d in order.discounts] == [(usd(500), "platform")]


@pytest.mark.parametrize(("word", "said"), [(None, "does not say"), ("MOON", "says 'MOON'")])
def test_unknown_funding_is_the_merchants_and_named(word: str | None, said: str) -> None:
    """Nobody is charged for a discount in silence."""
    order = promoted(-500, {"discount_value": 500_000, "funded_by": word})
    assert [(d.amount, d.funded_by) for d in order.discounts] == [(usd(500), "merchant")]
    assert said in order.not_carried[0].reason


def test_what_the_promotions_leave_open_is_the_merchants() -> None:
    """Parts below the total: the rest is a discount of the merchant's; parts above it: named."""
    part = {"discount_value": 200_000, "funded_by": "UBER"}
    below, above = promoted(-500, part, part), promoted(-300, part, part)
    assert [(d.amount.amount, d.funded_by) for d in below.discounts] == [(200, "platform"), (200, "platform"), (100, "merchant")]
    assert (fields(below), fields(above)) == (["discounts"], ["discounts"])
    assert fields(promoted(None, part)) == fields(promoted(-200, part)) == []


@pytest.mark.parametrize(
    ("detail", "payment", "field"),
    [
        ({"tips": {"total": "3.00"}}, {}, "payment_detail.tips"),
        ({"fees": {"details": "none"}}, {}, "payment_detail.fees"),
        ({"promotions": [1]}, {}, "payment_detail.promotions"),
        ({"promotions": {"details": {"x": 1}}}, {}, "payment_detail.promotions.details"),
        ({}, {"tax_remittance": {"uber": [{"value": 1}]}}, "payment.tax_remittance"),
        ({}, {"tax_reporting": "soon"}, "payment.tax_reporting"),
    ],
)
def test_an_undocumented_part_does_not_stop_an_order(detail: dict[str, Any], payment: dict[str, Any], field: str) -> None:
    """What does not fit is named, and the food is still 25.00."""
    order = mapped(answer(detail=detail, payment=payment))
    assert field in fields(order)
    assert order.merchant_total() == usd(2500)


def test_fees_without_parts_are_ubers_and_named() -> None:
    """A total alone does not say whose it is."""
    order = mapped(answer(detail={"fees": {"total": price(150)}}))
    assert [(c.amount, c.to) for c in order.charges] == [(usd(150), "platform")]
    assert fields(order) == ["payment_detail.fees"]


def test_a_fee_in_another_currency_is_drift() -> None:
    """Two currencies are never added up."""
    with pytest.raises(Drifted, match="mixes currencies"):
        mapped(answer(detail={"fees": {"details": [{"id": "BAG_FEE", "amount": price(10, currency="CAD")}]}}))


@st.composite
def trees(draw: st.DrawFn) -> tuple[dict[str, Any], int, int]:
    """An order of nested options with VAT in its prices or tax beside them; its food at menu prices, and its tax, in minor units."""
    inclusive = draw(st.booleans())
    currency = "GBP" if inclusive else "USD"
    rows: list[dict[str, Any]] = []
    shown, taxed = 0, 0

    def thing(depth: int, times: int) -> dict[str, Any]:
        nonlocal shown, taxed
        name, count = f"ci-{len(rows)}", draw(st.integers(1, 3))
        net, tax = draw(st.integers(0, 2000)), draw(st.integers(0, 300))
        pieces = count * times
        unit = price(net, tax, currency) if draw(st.booleans()) else None
        rows.append(row(name, price(net * pieces, tax * pieces, currency), unit, pieces))
        shown, taxed = shown + (net + tax * inclusive) * pieces, taxed + tax * pieces
        below = [thing(depth - 1, pieces) for _ in range(draw(st.integers(0, 2)))] if depth else []
        groups = [{"id": "g", "selected_items": below}] if below else draw(st.sampled_from([None, []]))
        return {"id": name, "cart_item_id": name, "quantity": {"amount": count}, "selected_modifier_groups": groups}

    items = [thing(2, 1) for _ in range(draw(st.integers(1, 3)))]
    total = price(shown - taxed * inclusive, taxed, currency)
    charges = {"price_breakdown": draw(st.permutations(rows)), "total": {**total, "is_tax_inclusive": inclusive}}
    payment = {"payment_detail": {"order_total": total, "item_charges": charges}, "tax_remittance": {"merchant": {"gross": total["tax"]}}}
    return answer(carts=[{"items": items}], payment=payment), shown, taxed * (not inclusive)


@settings(max_examples=100, deadline=None)
@given(trees())
def test_a_merchant_that_remits_is_owed_food_and_tax_once(tree: tuple[dict[str, Any], int, int]) -> None:
    """However options nest and whichever way taxes go, units, totals and the order's gross agree."""
    body, food, added = tree
    order = mapped(body)
    assert sum(line.total.amount for line in order.lines) == food
    assert [line.expected_total() for line in order.lines] == [line.total for line in order.lines]
    assert order.merchant_total() == order.total == Money(food + added, order.currency)
    assert fields(order) == []


@given(st.integers(-(10**12), 10**12), st.sampled_from(["USD", "JPY", "KWD"]))
def test_the_order_total_is_rounded_to_the_nearest_minor_unit(e5: int, currency: str) -> None:
    """Never further off than half a minor unit, in currencies with none, two and three decimals."""
    one = {"gross": {"amount_e5": e5, "currency_code": currency}}
    nothing = {"gross": {"amount_e5": 0, "currency_code": currency}}
    detail = {"order_total": one, "item_charges": {"price_breakdown": [row("ci", nothing), row("ci-o", nothing)]}}
    total = mapped(answer(carts=cart(1, 1), payment={"payment_detail": detail})).total
    assert abs(total.e5() - e5) * 2 <= Money(1, currency).e5()
