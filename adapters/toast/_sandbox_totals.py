"""What an order is made of, and its sums: service charges, then discounts, then taxes, each rounded half up once.

Amounts are integers in the currency's smallest unit. Prices of selections contain their modifiers' and no tax; where a menu
price includes its taxes, they are taken out of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from adapters._sandbox.calls import Json, timestamp

from ._sandbox_checks import minor
from ._sandbox_menu import TAXES, Choice, Dish
from ._sandbox_places import Place


@dataclass
class Selection:
    """A line of a check, or a modifier of one; `quantity` of a modifier is for one of its parent. No dish: a special request."""

    dish: Dish | None
    name: str
    unit: int
    quantity: int
    section: str = ""
    group: Choice | None = None
    external: str | None = None
    modifiers: list["Selection"] = field(default_factory=list)
    guid: str | None = None
    status: str = "NEW"
    created: float = 0
    fired: float = 0
    done: float = 0
    gross: int = 0
    off: int = 0
    before: int = 0
    price: int = 0
    tax: int = 0
    taxes: list[tuple[str, int]] = field(default_factory=list)
    times: int = 1

    def one(self) -> int:
        """The menu price of one, with its modifiers."""
        return self.unit + sum(each.one() * each.quantity for each in self.modifiers)


@dataclass
class Charge:
    """A service charge on a check; `open_amount` is what the caller named for an OPEN one."""

    config: Json
    open_amount: int = 0
    external: str | None = None
    guid: str | None = None
    amount: int = 0
    taxes: list[tuple[str, int]] = field(default_factory=list)


@dataclass
class Discount:
    """A discount on a check."""

    config: Json
    open_amount: int = 0
    promo: str | None = None
    external: str | None = None
    guid: str | None = None
    amount: int = 0


@dataclass
class Payment:
    """A payment on a check, tip not included in its amount."""

    kind: Json | None
    amount: int
    tip: int
    paid: float
    external: str | None = None
    guid: str | None = None
    voided: float = 0


Added = Charge | Discount | Payment
"""What else a check has besides selections."""


@dataclass
class Check:
    """One check of an order with its sums."""

    selections: list[Selection]
    charges: list[Charge] = field(default_factory=list)
    discounts: list[Discount] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    customer: Json | None = None
    tab: str | None = None
    display: str | None = None
    external: str | None = None
    exempt: bool = False
    guid: str | None = None
    amount: int = 0
    tax: int = 0
    closed: float = 0

    def added(self) -> Sequence[Added]:
        """Its charges, discounts and payments."""
        return [*self.charges, *self.discounts, *self.payments]

    @property
    def total(self) -> int:
        """What is to be paid, without tips."""
        return self.amount + self.tax

    def paid(self) -> int:
        """What payments cover, without tips."""
        return sum(each.amount for each in self.payments if not each.voided)


@dataclass
class Order:
    """An order, kept or only priced."""

    place: Place
    body: Json
    dining: Json
    checks: list[Check]
    external: str | None = None
    promised: float = 0
    guid: str | None = None
    approval: str = "APPROVED"
    guest: str = "RECEIVED"
    delivery: Json = field(default_factory=dict)
    voided: float = 0
    created: float = 0
    modified: float = 0
    history: list[Json] = field(default_factory=list)

    def log(self, state: str, at: float) -> None:
        """Note a state."""
        if not self.history or self.history[-1]["state"] != state:
            self.history.append({"state": state, "at": timestamp(at)})

    @property
    def state(self) -> str:
        """The one word that says most about where the order is."""
        if self.voided:
            return "VOIDED"
        moved = self.delivery.get("deliveryState", "PENDING")
        if self.guest != "CLOSED" and moved != "PENDING":
            return str(moved)
        return self.approval if self.guest == "RECEIVED" else self.guest


def rounded(value: Decimal) -> int:
    """A whole amount, halves away from zero."""
    return int(value.quantize(Decimal(1), ROUND_HALF_UP))


def shared(amount: int, weights: list[int]) -> list[int]:
    """Split an amount in proportion to weights by largest remainder; the parts add up to it."""
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    parts = [amount * weight // whole for weight in weights]
    order = sorted(range(len(parts)), key=lambda n: (-(amount * weights[n] % whole), n))
    for index in order[: amount - sum(parts)]:
        parts[index] += 1
    return parts


def add_up(check: Check, place: Place) -> None:
    """Fill in every sum of a check, in place."""
    for line in check.selections:
        line.gross = line.one() * line.quantity
        _price_modifiers(line.modifiers, line.quantity)
    gross = sum(line.gross for line in check.selections)
    for charge in check.charges:
        charge.amount = _charged(charge, gross, place)
    left = gross
    for discount in check.discounts:
        discount.amount = min(_discounted(discount, gross, place), left)
        left -= discount.amount
    for line, off in zip(check.selections, shared(gross - left, [line.gross for line in check.selections]), strict=True):
        line.off = off
        _tax(line, exempt=check.exempt)
    for charge in check.charges:
        rates = [] if check.exempt else charge.config["applicableTaxes"]
        charge.taxes = [(rate["guid"], rounded(charge.amount * Decimal(repr(rate["rate"])))) for rate in rates]
    check.amount = sum(line.price for line in check.selections) + sum(each.amount for each in check.charges)
    check.tax = sum(line.tax for line in check.selections) + sum(tax for each in check.charges for _, tax in each.taxes)


def _price_modifiers(modifiers: list[Selection], times: int) -> None:
    for each in modifiers:
        each.times = times * each.quantity
        each.gross = each.before = each.price = each.unit * each.times
        _price_modifiers(each.modifiers, each.times)


def _charged(charge: Charge, gross: int, place: Place) -> int:
    kind = charge.config["amountType"]
    if kind == "OPEN":
        return charge.open_amount
    if kind == "FIXED":
        return minor(charge.config["amount"], place.places, "amount")
    return rounded(gross * Decimal(repr(charge.config["percent"])) / 100)


def _discounted(discount: Discount, gross: int, place: Place) -> int:
    kind = discount.config["type"]
    if kind == "OPEN_FIXED":
        return discount.open_amount
    if kind == "FIXED":
        return minor(discount.config["amount"], place.places, "amount")
    return rounded(gross * Decimal(repr(discount.config["percentage"])) / 100)


def _tax(line: Selection, *, exempt: bool) -> None:
    keys = line.dish.taxes if line.dish is not None else ()
    net, rates = line.gross - line.off, [TAXES[key][1] for key in keys]
    if line.dish is not None and line.dish.included:
        part = Decimal(1) + sum(rates)
        line.before, inside = rounded(line.gross / part), rounded(net - net / part)
        amounts = shared(inside, [int(rate * 10**6) for rate in rates])
        line.price = net - inside
    else:
        line.before, line.price = line.gross, net
        amounts = [rounded(net * rate) for rate in rates]
    line.taxes = [] if exempt else list(zip(keys, amounts, strict=True))
    line.tax = sum(amount for _, amount in line.taxes)
