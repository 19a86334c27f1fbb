"""Check the sums of an order: the caller has computed them all, and they have to balance.

Amounts are in the smallest unit. A line's own price is its units less its discount; its options come on top, each for every one
of the line. The total leaves charges out; payments have to cover them as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from adapters._sandbox.calls import Json

from ._sandbox_checks import Form, decimals, plain


@dataclass
class Taxes:
    """Taxes that came with a line, an option or a charge: rows as an order shows them, and their sum in major units."""

    rows: list[Json] = field(default_factory=list)
    total: Decimal = Decimal(0)


@dataclass
class Sums:
    """What the lines of one order come to."""

    currency: str
    inclusive: bool
    known: Mapping[str, Json]
    lines: int = 0
    taxes: Decimal = Decimal(0)
    charges: int = 0
    charge_taxes: Decimal = Decimal(0)
    _due: list[tuple[Form, str, Decimal, Decimal, Decimal]] = field(default_factory=list)

    def _unit(self) -> Decimal:
        return Decimal(1).scaleb(-decimals(self.currency))

    def read_taxes(self, form: Form, base: Decimal) -> Taxes:
        """The taxes of something whose price (in the smallest unit) is `base`; their amounts are judged by `balance`."""
        taxes = Taxes()
        for row in form.rows("taxes", most=10):
            tax, rate, amount = (
                row.known("id", self.known, required=True),
                row.number("rate", required=True),
                row.number("amount", required=True),
            )
            if tax is None:
                continue
            if Decimal(str(self.known[tax]["rate"])) != rate:
                row.wrong("rate", "The {} is not the rate of this tax.")
            taxes.total += amount
            pivot = {"amount": plain(amount), "rate": plain(rate), "tax_exclusive_discount_amount": None}
            taxes.rows.append({**self.known[tax], "pivot": pivot})
            self._due.append((row, "amount", base, rate, amount))
        return taxes

    def add_line(self, total: int, taxes: Decimal) -> None:
        """Count a line with its options, and their taxes."""
        self.lines += total
        self.taxes += taxes

    def judge_taxes(self, discount: int) -> None:
        """Compare each tax with its rate on its price, less its share of the order's discount; a unit's difference is rounding."""
        left = Decimal(self.lines - discount) / self.lines if self.lines else Decimal(1)
        for row, name, base, rate, amount in self._due:
            share = base * left * rate / (100 + rate if self.inclusive else 100)
            if abs(share * self._unit() - amount) > self._unit():
                row.wrong(name, "The {} does not match the rate.")
        self._due.clear()

    def _off(self, sent: int, whole: int, taxes: Decimal) -> bool:
        """Tell whether an amount is not `whole`, with the taxes that come on top of it."""
        if self.inclusive or not taxes:
            return sent != whole
        return abs(Decimal(sent - whole) - taxes / self._unit()) >= 1

    def balance(self, form: Form, subtotal: int, discount: int, rounding: int, total: int) -> None:
        """Note where the order's own sums do not follow from its lines."""
        if subtotal != self.lines:
            form.wrong("subtotal_price", "The {} does not match the products.")
        if discount > self.lines:
            form.wrong("discount_amount", "The {} is more than the products.")
        if self._off(total, self.lines - discount + rounding, self.taxes):
            form.wrong("total_price", "The {} does not match the products, without charges.")

    def paid(self, form: Form, total: int, payments: int) -> None:
        """Note where payments do not cover the total and the charges exactly."""
        if self._off(payments, total + self.charges, self.charge_taxes):
            form.wrong("payments", "The {} do not match the total and the charges.")
