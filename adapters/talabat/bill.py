"""What an order costs, and whose each amount is. The grand total is law; what the parts do not explain is named, not guessed.

No document shows how the parts add up: lines plus fees less discounts make the grand total, prices contain VAT (inferred).
"""

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Literal

from adapters.talabat import models
from hub.contract import Drifted
from hub.model import Charge, Discount, Line, Money, NotCarried, Payment, Tax, Tip, exponent, total, zero

Kind = Literal["delivery_by_platform", "delivery_by_merchant", "pickup"]
Funder = Literal["merchant", "platform"]
_Fee = Literal["delivery", "bag", "service", "small_order", "other"]
_WORDS: tuple[tuple[str, _Fee], ...] = (
    ("deliver", "delivery"),
    ("pack", "bag"),
    ("bag", "bag"),
    ("container", "bag"),
    ("service", "service"),
    ("minimum", "small_order"),
    ("small", "small_order"),
)

_NOBODY_PAYS = 10**12


def number(value: Any, path: str) -> Decimal | None:
    """A number that comes as text or as a number; None for an absent or empty one. Raises Drifted, naming where it stood."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise InvalidOperation
        found = Decimal(value)
        if found.is_finite() and abs(found) < _NOBODY_PAYS:
            return found
    except (InvalidOperation, TypeError, ValueError):
        pass
    raise Drifted(f"{path} is no number: {str(value)[:40]!r}")


class Purse:
    """Reads amounts of one currency from major units; `notes` collects what could not be taken over as it was."""

    def __init__(self, currency: str) -> None:
        self.currency = currency
        self.notes: list[NotCarried] = []
        self._unit = Decimal(1).scaleb(-exponent(currency))

    def note(self, field: str, reason: str) -> None:
        """Note something once."""
        if (noted := NotCarried(field, reason)) not in self.notes:
            self.notes.append(noted)

    def told(self, value: Any, path: str) -> Money | None:
        """An amount; None where none is told."""
        found = number(value, path)
        if found is None:
            return None
        rounded = found.quantize(self._unit, ROUND_HALF_UP)
        if rounded != found:
            self.note(path, f"{found} is finer than {self.currency} goes: taken as {rounded}")
        return Money.from_decimal(rounded, self.currency)

    def read(self, value: Any, path: str) -> Money:
        """An amount; zero where none is told."""
        return self.told(value, path) or zero(self.currency)


class Bill:
    """The amounts of an order beside its lines."""

    def __init__(self, order: models.Order, lines: tuple[Line, ...], kind: Kind, purse: Purse) -> None:
        self._order, self._lines, self._kind, self._purse = order, lines, kind, purse
        self._price = order.price or models.Price()
        grand = purse.told(self._price.grand_total, "price.grandTotal")
        if grand is None:
            raise Drifted("price.grandTotal is empty")
        self.total = grand
        self.discounts = self._discounts()
        self.charges = self._listed_fees()
        self.taxes: tuple[Tax, ...] = ()
        self._settle()

    def _left(self) -> Money:
        """What of the grand total the parts do not explain so far."""
        parts = total([line.total for line in self._lines], self.total.currency)
        parts += total([charge.amount for charge in self.charges], self.total.currency)
        return self.total - parts + total([discount.amount for discount in self.discounts], self.total.currency)

    def _charge(self, name: str, amount: Money) -> Charge:
        lowered = name.lower()
        kind: _Fee = next((kind for word, kind in _WORDS if word in lowered), "other")
        merchant_delivers = self._kind == "delivery_by_merchant"
        if kind == "other":
            owner = "merchant" if merchant_delivers else "platform"
            self._purse.note("price.deliveryFees", f"who is owed {name!r} is not told: taken as the {owner}'s")
        to: Funder = "merchant" if kind == "bag" or (merchant_delivers and kind != "service") else "platform"
        return Charge(kind, name, amount, to)

    def _listed_fees(self) -> tuple[Charge, ...]:
        found = []
        for place, fee in enumerate(self._price.delivery_fees or []):
            amount = self._purse.read(fee.value, f"price.deliveryFees[{place}].value")
            if amount:
                found.append(self._charge(fee.name or "Fee", amount))
        return tuple(found)

    def _settle(self) -> None:
        """Fees that are told beside the list, and VAT on top, count as far as the grand total has room for them."""
        price, purse = self._price, self._purse
        beside = [("Packaging", price.container_charge), ("Service fee", price.service_fee_total)]
        if not any(charge.kind == "delivery" for charge in self.charges):
            beside.insert(0, ("Delivery fee", price.delivery_fee))
        for name, value in beside:
            amount = purse.read(value, f"price ({name})")
            if 0 < amount.amount <= self._left().amount:
                self.charges = (*self.charges, self._charge(name, amount))
        left, vat = self._left(), purse.read(price.vat_total, "price.vatTotal")
        if vat:
            added = left == vat
            self.taxes = (Tax("VAT", vat, remitted_by="merchant", inclusive=not added),)
            left = left - vat if added else left
        if left:
            purse.note("price.grandTotal", f"lines, fees and discounts leave {left.decimal()} of {self.total.decimal()} unexplained")

    # Discounts

    def _discounts(self) -> tuple[Discount, ...]:
        found: list[Discount] = []
        seen: set[str] = set()
        for discount in self._order.discounts or []:
            name = discount.name or "Discount"
            on_lines = {} if name in seen else self._on_lines(name)
            seen.add(name)
            for funder, share in self._shares(discount, f"discounts ({name})", self._purse).items():
                parts = {line: money for line, shares in on_lines.items() if (money := shares[funder])}
                rest = share - total(list(parts.values()), share.currency)
                if rest.amount < 0:
                    parts, rest = {}, share
                found += [Discount(name, money, funder, line) for line, money in parts.items()]
                found += [Discount(name, rest, funder)] if rest else []
        told = self._purse.told(self._price.discount_amount_total, "price.discountAmountTotal")
        listed = total([discount.amount for discount in found], self._purse.currency)
        if told is not None and told != listed:
            self._purse.note("price.discountAmountTotal", f"{told.decimal()} is told, {listed.decimal()} is listed")
            if told.amount > listed.amount:
                found.append(Discount("Discount", told - listed, "merchant"))
        return tuple(found)

    def _shares(self, discount: models.Discount, path: str, purse: Purse) -> dict[Funder, Money]:
        """A discount by who funds it: the platform's and third parties' part is still owed to the merchant."""
        whole = purse.read(discount.amount, path)
        theirs = others = zero(purse.currency)
        for sponsorship in discount.sponsorships or []:
            share = purse.read(sponsorship.amount, path)
            if (sponsorship.sponsor or "").upper() == "VENDOR":
                theirs += share
            else:
                others += share
        told = theirs + others
        if told.amount < whole.amount:
            purse.note(path, f"who funds {(whole - told).decimal()} of it is not told: taken as the merchant's")
            theirs = whole - others
        elif told.amount > whole.amount:
            purse.note(path, f"its sponsors pay {told.decimal()} of {whole.decimal()}: the merchant's share is kept")
            theirs = min(theirs, whole, key=lambda money: money.amount)
        return {"merchant": theirs, "platform": whole - theirs}

    def _on_lines(self, name: str) -> dict[str, dict[Funder, Money]]:
        """The parts of a discount that products and toppings name, by line."""
        found: dict[str, dict[Funder, Money]] = {}
        quiet = Purse(self._purse.currency)
        for product, line in zip(self._order.products or [], self._lines, strict=True):
            for discount in _within(product):
                if (discount.name or "Discount") == name:
                    shares = self._shares(discount, f"products ({line.id}) discounts", quiet)
                    before = found.get(line.id)
                    found[line.id] = {funder: share + before[funder] for funder, share in shares.items()} if before else shares
        return found

    # Payment

    def tips(self) -> tuple[Tip, ...]:
        """The rider's tip: the merchant's where its own courier brings the order."""
        tip = self._purse.read(self._price.rider_tip, "price.riderTip")
        return (Tip(tip, "merchant" if self._kind == "delivery_by_merchant" else "courier"),) if tip else ()

    def payments(self) -> tuple[Payment, ...]:
        """Cash where the restaurant gets it: from the consumer, or from a rider who pays. Else the platform has the money."""
        payment, price = self._order.payment or models.Payment(), self._price
        word = payment.type or ""
        if number(payment.required_money_change, "payment.requiredMoneyChange"):
            self._purse.note("payment.requiredMoneyChange", f"the consumer wants change of {payment.required_money_change}")
        if (payment.status or "").lower() == "pending":
            rider = self._kind == "delivery_by_platform"
            path, value = ("payRestaurant", price.pay_restaurant) if rider else ("collectFromCustomer", price.collect_from_customer)
            cash = self._purse.read(value, f"price.{path}")
            if cash or not rider:
                return (Payment("cash", cash or self.total, word),)
        return (Payment("prepaid", self.total, word),)


def _within(holder: models.Product | models.Topping) -> Iterator[models.Discount]:
    yield from holder.discounts or []
    children = holder.selected_toppings if isinstance(holder, models.Product) else holder.children
    for child in children or []:
        yield from _within(child)
