"""The sums of an order: Foodics computes nothing, so every price, tax and total is ours, and they have to balance.

Its total leaves charges out, payments cover both, tips are apart; what it then shows, total and charges, is what the merchant is owed.
What lines, discounts, charges and taxes do not come to by themselves goes to one charge, to the discount or to the rounding.
"""

from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from adapters.foodics import models
from hub.model import Money, NotCarried, Order, exponent

NOTE = 1000
ADJUSTMENT = "Channel adjustment"
TYPES = {"dine_in": 1, "pickup": 2, "delivery_by_platform": 3, "delivery_by_merchant": 3}


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What an order needs to know of its business: settings, taxes by product, and the ids that the tenant named."""

    currency: str
    timezone: str = "UTC"
    end_of_day: str = ""
    tax_inclusive: bool = True
    rates: dict[str, tuple[models.Tax, ...]] = {}
    open_item: str = ""
    delivery_charge: str = ""
    charge: str = ""
    discount: str = ""
    payment_method: str = ""
    """An id; "" where the order stays to be paid."""
    customer: str = ""
    address: str = ""


def minor_units(value: Decimal | None, currency: str) -> int:
    """An amount in major units in the minor unit, rounded half to even: Foodics' own sums may be finer."""
    scaled = (value or Decimal(0)).scaleb(exponent(currency))
    return int(scaled.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


class Cut:
    """Cuts texts to their limit and remembers what was lost."""

    def __init__(self) -> None:
        self.lost: list[NotCarried] = []

    def __call__(self, field: str, text: str) -> str:
        if len(text) <= NOTE:
            return text
        self.lost.append(NotCarried(field, f"Foodics holds {NOTE} characters of it"))
        return text[: NOTE - 1] + "…"

    def say(self, field: str, reason: str) -> None:
        """Note what is lost."""
        self.lost.append(NotCarried(field, reason))


class Choice(msgspec.Struct, frozen=True):
    """A chosen option: `each` is its price for one of it, `quantity` is for one of its line."""

    option: str
    quantity: int
    each: int


class Sold(msgspec.Struct, frozen=True):
    """A line in minor units."""

    product: str
    quantity: int
    each: int
    note: str
    choices: tuple[Choice, ...]

    def total(self) -> int:
        """With its options."""
        return self.quantity * (self.each + sum(choice.each * choice.quantity for choice in self.choices))


class _Charges:
    """Charges by Foodics' id, in minor units, in the order in which they came."""

    def __init__(self, order: Order, terms: Terms, cut: Cut) -> None:
        self._by_id: dict[str, int] = {}
        for charge in order.charges:
            if charge.to != "merchant" or charge.amount.amount <= 0:
                continue
            named = (terms.delivery_charge if charge.kind == "delivery" else "") or terms.charge
            if named:
                self.add(named, charge.amount.amount)
            else:
                cut.say(
                    f"charge {charge.name or charge.kind}", "no charge of Foodics is named for it in the settings: it is in the rounding"
                )

    def add(self, identifier: str, amount: int) -> None:
        self._by_id[identifier] = self._by_id.get(identifier, 0) + amount

    def lower(self, excess: int) -> None:
        """Take an amount off, the last charge first."""
        for identifier in reversed(list(self._by_id)):
            taken = min(excess, self._by_id[identifier])
            self._by_id[identifier] -= taken
            excess -= taken

    def total(self) -> int:
        return sum(self._by_id.values())

    def rows(self, currency: str) -> tuple[models.ChargeLine, ...]:
        return tuple(models.ChargeLine(charge_id=key, amount=Money(each, currency).decimal()) for key, each in self._by_id.items() if each)


def _taxed(order: Order, terms: Terms, cut: Cut) -> bool:
    """Tell whether the business's own tax rates apply to the channel's prices as they are."""
    added = any(not tax.inclusive and tax.remitted_by == "merchant" for tax in order.taxes)
    held = any(tax.inclusive and tax.remitted_by == "merchant" for tax in order.taxes)
    if any(tax.remitted_by == "platform" for tax in order.taxes):
        cut.say("taxes remitted by the platform", "recorded in the hub only")
        return False
    if terms.tax_inclusive:
        if added:
            cut.say("taxes", "the channel adds them, the business's prices hold them: they are in the adjustment")
        return not added
    if held:
        cut.say("taxes", "the channel's prices hold them, the business's do not: the POS shows the prices without a tax")
    return added and not held


class Bill:
    """The sums of an order in minor units, and the taxes that go with its lines."""

    def __init__(self, order: Order, lines: list[Sold], terms: Terms, cut: Cut) -> None:
        self._lines, self._terms, self._currency = lines, terms, order.currency
        self._kind = TYPES[order.fulfilment.kind]
        owed = order.merchant_total().amount
        self.owed = max(0, owed)
        self.subtotal = sum(line.total() for line in lines)
        self.charges = _Charges(order, terms, cut)
        self.taxed = _taxed(order, terms, cut)
        wanted = sum(each.amount.amount for each in order.discounts if each.funded_by == "merchant")
        if owed < 0:
            cut.say("discounts", "higher than all that the merchant is owed: the POS shows nothing to pay")
            wanted += owed
        left = self._close_with_taxes(wanted) if self.taxed and not terms.tax_inclusive else self._close(wanted, cut)
        self.words = f"{ADJUSTMENT}: {Money(left, self._currency).decimal()} {self._currency}" if left else ""

    def _close(self, discount: int, cut: Cut) -> int:
        left = self.owed - (self.subtotal - discount + self.charges.total())
        if left > 0 and self._terms.charge:
            self.charges.add(self._terms.charge, left)
        discount -= min(0, left)
        self.discount = min(discount, self.subtotal)
        if discount > self.subtotal:
            cut.say("discounts", "higher than all lines together: the rest lowers the charges")
            self.charges.lower(discount - self.subtotal)
        self.total = self.owed - self.charges.total()
        self.rounding = self.total - (self.subtotal - self.discount)
        return left

    def _close_with_taxes(self, discount: int) -> int:
        self.discount = min(discount, self.subtotal)
        total = self.owed - self.charges.total()
        if total < 0:
            self.charges.lower(-total)
        self.total = max(0, total)
        rows = [(*line.taxes, *(tax for option in line.options for tax in option.taxes)) for line in self.rows()]
        taxes = sum((tax.amount for row in rows for tax in row), Decimal(0))
        self.rounding = self.total - (self.subtotal - self.discount + minor_units(taxes, self._currency))
        return self.rounding

    def rows(self) -> tuple[models.ProductLine, ...]:
        """The lines as Foodics takes them."""
        return tuple(self._row(line) for line in self._lines)

    def _row(self, line: Sold) -> models.ProductLine:
        own = line.each * line.quantity
        return models.ProductLine(
            product_id=line.product,
            quantity=line.quantity,
            unit_price=self.major(line.each),
            total_price=self.major(own),
            kitchen_notes=line.note,
            options=tuple(self._option(line, choice) for choice in line.choices),
            taxes=self._taxes(line.product, own),
        )

    def _option(self, line: Sold, choice: Choice) -> models.OptionLine:
        whole = choice.each * choice.quantity * line.quantity
        return models.OptionLine(
            modifier_option_id=choice.option,
            quantity=choice.quantity,
            unit_price=self.major(choice.each),
            total_price=self.major(whole),
            taxes=self._taxes(line.product, whole),
        )

    def _taxes(self, product: str, price: int) -> tuple[models.TaxLine, ...]:
        """The product's taxes on a price, less the price's share of the order's discount."""
        if not self.taxed:
            return ()
        share = Decimal(self.subtotal - self.discount) / self.subtotal if self.subtotal else Decimal(1)
        rows = []
        for tax in self._terms.rates.get(product, ()):
            rate = tax.rate or Decimal(0)
            if tax.applies_on_order_types and self._kind not in tax.applies_on_order_types:
                continue
            amount = self.major(1) * price * share * rate / (100 + rate if self._terms.tax_inclusive else 100)
            rows.append(models.TaxLine(id=tax.id, rate=rate, amount=self.major(minor_units(amount, self._currency))))
        return tuple(rows)

    def major(self, amount: int) -> Decimal:
        """Minor units as Foodics writes them."""
        return Money(amount, self._currency).decimal()
