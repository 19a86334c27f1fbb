"""What an order costs and whose each amount is. `partner_order_total` is law: it is what the merchant is owed.

`subtotal` is the lines with their options, before offers. The merchant funds what `partner_order_subtotal` is less than that,
Deliveroo the rest of `offer_discount`; fees are the merchant's as far as `partner_order_total` holds them (inferred from the
documented example, in which it holds none). Prices contain tax, and no tax is told.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Literal

from adapters.deliveroo import models
from hub.contract import Drifted
from hub.model import Charge, Discount, Line, Modifier, Money, NotCarried, Payment, total, zero

_Kind = Literal["delivery", "bag", "service", "small_order", "other"]
_TOLD_APART = {"BAG_FEE": "bag_fee", "DELIVERY_FEE": "delivery_fee", "SURCHARGE": "surcharge"}
ADJUSTMENT = "Deliveroo adjustment"
_MOST_FEES = 12


class Bill:
    """An order's money; `notes` collects what does not fit together."""

    def __init__(self, order: models.Order) -> None:
        self._order = order
        self.currency = order.total_price.currency_code
        self.notes: list[NotCarried] = []
        self.total = Money(order.total_price.fractional, self.currency)
        self.lines = self._lines()
        self._stated = self._lines_total()
        self.discounts = self._discounts()
        self.charges = self._charges()
        self._settle()
        self.payments = self._payments()

    def _amount(self, amount: models.Amount | None, path: str) -> Money | None:
        """An amount of the order's currency; raises Drifted for another one."""
        if amount is None:
            return None
        if amount.currency_code != self.currency:
            raise Drifted(f"order.{path} is in {amount.currency_code}, the order in {self.currency}")
        return Money(amount.fractional, self.currency)

    def _note(self, field: str, reason: str) -> None:
        self.notes.append(NotCarried(field, reason))

    # Lines

    def _unit(self, item: models.Item, path: str, *, menu: bool = False) -> Money:
        """The price of one without options: charged, or as on the menu; where neither is told, its share of the total."""
        prices = [self._amount(item.unit_price, f"{path}.unit_price"), self._amount(item.menu_unit_price, f"{path}.menu_unit_price")]
        for price in reversed(prices) if menu else prices:
            if price is not None:
                return price
        whole = self._amount(item.total_price, f"{path}.total_price")
        if whole is None:
            raise Drifted(f"order.{path} has no price")
        return Money(whole.amount // item.quantity, self.currency)

    def _modifiers(self, items: Sequence[models.Item] | None, path: str, *, menu: bool) -> tuple[Modifier, ...]:
        found = []
        for place, item in enumerate(items or []):
            at = f"{path}.modifiers[{place}]"
            _counted(item, at)
            nested = self._modifiers(item.modifiers, at, menu=menu)
            key, name = _names(item)
            price = self._unit(item, at, menu=menu)
            found.append(Modifier(key, name, item.quantity, price, item.pos_item_id or "", modifiers=nested))
        return tuple(found)

    def _line(self, item: models.Item, path: str, *, menu: bool) -> Line:
        _counted(item, path)
        key, name = _names(item)
        modifiers = self._modifiers(item.modifiers, path, menu=menu)
        unit = self._unit(item, path, menu=menu)
        line = Line(key, name, item.quantity, unit, unit, item.pos_item_id or "", modifiers)
        return _with_total(line, line.expected_total())

    def _lines(self) -> tuple[Line, ...]:
        """The lines, by whichever reading of an item's prices makes the order's subtotal; by unit prices where none does."""
        items = self._order.items
        if not items:
            raise Drifted("order.items is empty")
        by_unit = tuple(self._line(item, f"items[{place}]", menu=False) for place, item in enumerate(items))
        subtotal = self._amount(self._order.subtotal, "subtotal")
        if subtotal is None:
            return by_unit
        readings: tuple[Callable[[], tuple[Line, ...]], ...] = (
            lambda: by_unit,
            lambda: self._as_told(by_unit, with_options=True),
            lambda: self._as_told(by_unit, with_options=False),
            lambda: tuple(self._line(item, f"items[{place}]", menu=True) for place, item in enumerate(items)),
        )
        for reading in readings:
            lines = reading()
            if total([line.total for line in lines], self.currency) == subtotal:
                return lines
        return by_unit

    def _as_told(self, lines: tuple[Line, ...], *, with_options: bool) -> tuple[Line, ...]:
        """Totals as told; `with_options` says that a line's own total holds its options already."""
        found = []
        for place, (line, item) in enumerate(zip(lines, self._order.items, strict=True)):
            told = self._amount(item.total_price, f"items[{place}].total_price") or zero(self.currency)
            options = zero(self.currency) if with_options else line.expected_total() - line.unit_price * line.quantity
            found.append(_with_total(line, told + options))
        return tuple(found)

    def _lines_total(self) -> Money:
        """What the lines cost: the subtotal where it is told."""
        found = total([line.total for line in self.lines], self.currency)
        told = self._amount(self._order.subtotal, "subtotal")
        if told is not None and told != found:
            self._note("lines", f"the lines are {found.decimal()} in all, Deliveroo's subtotal is {told.decimal()}")
        return told if told is not None else found

    # Offers, fees, payments

    def _discounts(self) -> tuple[Discount, ...]:
        offer = self._amount(self._order.offer_discount, "offer_discount") or zero(self.currency)
        owed = self._amount(self._order.partner_order_subtotal, "partner_order_subtotal")
        if owed is None:
            merchant = offer
            if offer:
                self._note("discounts", "Deliveroo does not say who funds the offer: taken as the merchant's")
        else:
            merchant = Money(max(0, self._stated.amount - owed.amount), self.currency)
        platform = Money(max(0, offer.amount - merchant.amount), self.currency)
        promotions = self._order.promotions or []
        name = next((each.type for each in promotions if each.type), "Offer")
        code = str(promotions[0].id or "") if len(promotions) == 1 else ""
        found = (Discount(name, merchant, "merchant", vendor_id=code), Discount(name, platform, "platform", vendor_id=code))
        return tuple(each for each in found if each.amount)

    def _fees(self) -> list[tuple[_Kind, str, Money]]:
        order = self._order
        delivery = order.delivery.delivery_fee if order.delivery else None
        named = {"bag_fee": order.bag_fee, "delivery_fee": delivery, "surcharge": order.surcharge}
        kinds: dict[str, _Kind] = {"bag_fee": "bag", "delivery_fee": "delivery", "surcharge": "small_order"}
        rows: list[tuple[_Kind, str, models.Amount | None]] = [
            (kinds[name], name.replace("_", " ").capitalize(), amount) for name, amount in named.items()
        ]
        for fee in order.fee_breakdown or []:
            word = fee.type or "FEE"
            apart = named.get(_TOLD_APART.get(word.upper(), ""))
            if apart is None or not apart.fractional:
                rows.append(("other", word.replace("_", " ").capitalize(), fee.amount))
        found = []
        for kind, name, amount in rows:
            if amount is not None and amount.fractional:
                if amount.currency_code == self.currency:
                    found.append((kind, name, Money(amount.fractional, self.currency)))
                else:
                    self._note("fees", f"{name}: {amount.fractional} {amount.currency_code} in an order in {self.currency}")
        return found

    def _charges(self) -> tuple[Charge, ...]:
        """Fees: the merchant's are those that `partner_order_total` holds beside the partner's subtotal."""
        fees = self._fees()
        whole = self._amount(self._order.partner_order_total, "partner_order_total")
        part = self._amount(self._order.partner_order_subtotal, "partner_order_subtotal")
        if whole is None or part is None:
            own = frozenset(place for place, (kind, _, _) in enumerate(fees) if kind in ("bag", "delivery"))
            if fees:
                self._note("charges", "Deliveroo does not say whose the fees are: bag and own delivery are taken as the merchant's")
        else:
            own = _making_up((whole - part).amount, [amount.amount for _, _, amount in fees])
            if any(kind == "delivery" and place not in own for place, (kind, _, _) in enumerate(fees)):
                self._note("charges", "partner_order_total does not hold the delivery fee: it is not charged at the POS")
        return tuple(
            Charge(kind, name, amount, "merchant" if place in own else "platform") for place, (kind, name, amount) in enumerate(fees)
        )

    def _settle(self) -> None:
        """Make up the difference between the parts and what the merchant is owed, by a line of its own name."""
        told = self._amount(self._order.partner_order_total, "partner_order_total")
        funded = total([each.amount for each in self.discounts if each.funded_by == "merchant"], self.currency)
        fees = total([each.amount for each in self.charges if each.to == "merchant"], self.currency)
        if told is None:
            told = self._stated - funded + fees
        parts = total([line.total for line in self.lines], self.currency) - funded + fees
        missing = told - parts
        if missing:
            self._note("total", f"the parts make {parts.decimal()}, Deliveroo owes {told.decimal()}: made up by {ADJUSTMENT!r}")
        if missing.amount > 0:
            self.charges += (Charge("other", ADJUSTMENT, missing, "merchant"),)
        elif missing:
            self.discounts += (Discount(ADJUSTMENT, -missing, "merchant"),)

    def _payments(self) -> tuple[Payment, ...]:
        """Cash that the restaurant's courier collects, meal vouchers, and the rest prepaid to Deliveroo."""
        found = []
        cash = self._amount(self._order.cash_due, "cash_due")
        if cash is not None and cash.amount > 0:
            found.append(Payment("cash", cash))
        for place, card in enumerate(self._order.meal_cards or []):
            paid = self._amount(card.amount, f"meal_cards[{place}].amount")
            if paid is not None and paid.amount > 0:
                found.append(Payment("prepaid", paid, card.provider or ""))
        rest = self.total - total([each.amount for each in found], self.currency)
        if rest.amount > 0 or not found:
            found.append(Payment("prepaid", rest))
        return tuple(found)


def _making_up(wanted: int, amounts: Sequence[int]) -> frozenset[int]:
    """The places of those amounts that make a sum, as few as can be; none where no choice does."""
    known = range(min(len(amounts), _MOST_FEES))
    for count in range(len(known) + 1):
        for places in combinations(known, count):
            if sum(amounts[place] for place in places) == wanted:
                return frozenset(places)
    return frozenset()


def _counted(item: models.Item, path: str) -> None:
    if item.quantity < 1:
        raise Drifted(f"order.{path} has a quantity of {item.quantity}")


def _names(item: models.Item) -> tuple[str, str]:
    """Id and name: an item without a PLU goes by its name."""
    name = item.name or item.operational_name or item.pos_item_id or "item"
    return item.pos_item_id or name, name


def _with_total(line: Line, whole: Money) -> Line:
    return Line(line.id, line.name, line.quantity, line.unit_price, whole, line.plu, line.modifiers, line.note)
