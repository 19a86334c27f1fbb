"""Add up an order as Square does: discounts, then charges, then taxes, each shared over the lines without losing a unit.

Amounts are integers in the currency's smallest unit. Percentages apply before fixed amounts, those of a line before those
of the order, and an order's sum is rounded once and then shared out by largest remainder.
"""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from adapters._sandbox.calls import Json


def rounded(value: Decimal) -> int:
    """A whole amount, halves to the even one."""
    return int(value.quantize(Decimal(1), ROUND_HALF_EVEN))


def share(amount: int, weights: list[Decimal]) -> list[int]:
    """Split an amount in proportion to weights, by largest remainder; the parts add up to it."""
    total = sum(weights, Decimal(0))
    if not weights or not total:
        return [0] * len(weights)
    exact = [amount * weight / total for weight in weights]
    parts = [int(each) for each in exact]
    by_remainder = sorted(range(len(parts)), key=lambda n: (parts[n] - exact[n], n))
    for index in by_remainder[: amount - sum(parts)]:
        parts[index] += 1
    return parts


def _money(amount: int, currency: str) -> Json:
    return {"amount": amount, "currency": currency}


def _times(price: int, *quantities: str) -> int:
    value = Decimal(price)
    for quantity in quantities:
        value *= Decimal(quantity)
    return rounded(value)


class _Sums:
    """The running sums of one order's lines and charges."""

    def __init__(self, order: Json, currency: str) -> None:
        self.order, self.currency = order, currency
        self.lines: list[Json] = order.get("line_items") or []
        self.gross = [self._gross(line) for line in self.lines]
        self.off = [0] * len(self.lines)
        self.tax = [0] * len(self.lines)
        self.added = [0] * len(self.lines)
        self.charge = [0] * len(self.lines)

    def money(self, amount: int) -> Json:
        return _money(amount, self.currency)

    def _gross(self, line: Json) -> int:
        quantity = line["quantity"]
        base = line["base_price_money"]["amount"]
        total = _times(base, quantity)
        line["variation_total_price_money"] = self.money(total)
        for modifier in line.get("modifiers") or []:
            price = _times(modifier["base_price_money"]["amount"], modifier.get("quantity") or "1", quantity)
            modifier["total_price_money"] = self.money(price)
            total += price
        line["gross_sales_money"] = self.money(total)
        return total

    def left(self) -> list[int]:
        """What of each line is still to be paid before taxes."""
        return [gross - off for gross, off in zip(self.gross, self.off, strict=True)]

    def on(self, key: str, name: str, uid: str) -> list[int]:
        """The lines that an order-level discount or tax with this uid applies to."""
        return [n for n, line in enumerate(self.lines) if any(each[name] == uid for each in line.get(key) or [])]

    def note(self, key: str, name: str, uid: str, line: int, amount: int) -> None:
        """Write an applied amount on a line."""
        for each in self.lines[line].get(key) or []:
            if each[name] == uid:
                each["applied_money"] = self.money(amount)


def _discount(sums: _Sums) -> int:
    def turn(discount: Json) -> tuple[bool, bool, Decimal]:
        percentage = discount.get("percentage")
        return percentage is None, discount["scope"] == "ORDER", Decimal(percentage or 0)

    total = 0
    for discount in sorted(sums.order.get("discounts") or [], key=turn):
        on = sums.on("applied_discounts", "discount_uid", discount["uid"])
        left = sums.left()
        base = [Decimal(left[n]) for n in on]
        whole = sum(base, Decimal(0))
        wanted = (
            rounded(whole * Decimal(discount["percentage"]) / 100) if discount.get("percentage") else discount["amount_money"]["amount"]
        )
        parts = share(min(wanted, int(whole)), base)
        for line, part in zip(on, parts, strict=True):
            sums.off[line] += part
            sums.note("applied_discounts", "discount_uid", discount["uid"], line, part)
        discount["applied_money"] = sums.money(sum(parts))
        total += sum(parts)
    return total


def _charge(charge: Json, base: int) -> int:
    return rounded(base * Decimal(charge["percentage"]) / 100) if charge.get("percentage") else int(charge["amount_money"]["amount"])


def _charges_before_tax(sums: _Sums) -> int:
    total = 0
    for charge in sums.order.get("service_charges") or []:
        if charge["calculation_phase"] == "TOTAL_PHASE":
            continue
        applied = _charge(charge, sum(sums.left()))
        if charge["calculation_phase"].startswith("APPORTIONED"):
            for line, part in enumerate(share(applied, [Decimal(max(each, 0)) for each in sums.left()])):
                sums.charge[line] += part
        charge.update(applied_money=sums.money(applied), total_money=sums.money(applied), total_tax_money=sums.money(0))
        total += applied
    return total


def _tax(sums: _Sums) -> tuple[int, int]:
    """Apply the taxes; all of them, and those that come on top."""
    charges = [each for each in sums.order.get("service_charges") or [] if each.get("taxable") and "applied_money" in each]
    inclusive_rate = [Decimal(0)] * len(sums.lines)
    taxes: list[Json] = sums.order.get("taxes") or []
    for tax in taxes:
        if tax["type"] == "INCLUSIVE":
            for line in sums.on("applied_taxes", "tax_uid", tax["uid"]):
                inclusive_rate[line] += Decimal(tax["percentage"]) / 100
    left, total, on_top = sums.left(), 0, 0
    for tax in taxes:
        rate, inclusive = Decimal(tax["percentage"]) / 100, tax["type"] == "INCLUSIVE"
        on = sums.on("applied_taxes", "tax_uid", tax["uid"])
        on_charges = [each for each in charges if any(a["tax_uid"] == tax["uid"] for a in each.get("applied_taxes") or [])]
        exact = [Decimal(left[n] + sums.charge[n]) / (1 + inclusive_rate[n]) * rate for n in on]
        exact += [Decimal(each["applied_money"]["amount"]) * (rate / (1 + rate) if inclusive else rate) for each in on_charges]
        parts = share(rounded(sum(exact, Decimal(0))), exact)
        for line, part in zip(on, parts[: len(on)], strict=True):
            sums.tax[line] += part
            sums.added[line] += 0 if inclusive else part
            sums.note("applied_taxes", "tax_uid", tax["uid"], line, part)
        for charge, part in zip(on_charges, parts[len(on) :], strict=True):
            charge["total_tax_money"] = sums.money(charge["total_tax_money"]["amount"] + part)
            if not inclusive:
                charge["total_money"] = sums.money(charge["total_money"]["amount"] + part)
            for applied in charge["applied_taxes"]:
                if applied["tax_uid"] == tax["uid"]:
                    applied["applied_money"] = sums.money(part)
        tax["applied_money"] = sums.money(sum(parts))
        total += sum(parts)
        on_top += 0 if inclusive else sum(parts)
    return total, on_top


def add_up(order: Json, currency: str, tip: int = 0, paid: int = 0) -> int:
    """Fill in every sum of an order whose prices are known; the total without tip.

    `tip` and `paid` (tip not included) come from its payments. Changes the order in place.
    """
    sums = _Sums(order, currency)
    off = _discount(sums)
    charges = _charges_before_tax(sums)
    tax, on_top = _tax(sums)
    total = sum(sums.left()) + charges + on_top
    for charge in order.get("service_charges") or []:
        if charge["calculation_phase"] == "TOTAL_PHASE":
            applied = _charge(charge, total)
            charge.update(applied_money=sums.money(applied), total_money=sums.money(applied), total_tax_money=sums.money(0))
            charges += applied
    total = sum(sums.left()) + charges + on_top
    for n, line in enumerate(sums.lines):
        line["total_discount_money"] = sums.money(sums.off[n])
        line["total_tax_money"] = sums.money(sums.tax[n])
        line["total_service_charge_money"] = sums.money(sums.charge[n])
        line["total_money"] = sums.money(sums.gross[n] - sums.off[n] + sums.added[n] + sums.charge[n])
    amounts: dict[str, Any] = {"total": total + tip, "tax": tax, "discount": off, "tip": tip, "service_charge": charges}
    for name, amount in amounts.items():
        order["total_money" if name == "total" else f"total_{name}_money"] = sums.money(amount)
    order["net_amounts"] = {f"{name}_money": sums.money(amount) for name, amount in amounts.items()}
    order["net_amount_due_money"] = sums.money(total - paid)
    return total
