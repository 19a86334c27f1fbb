"""DoorDash's order into the hub's terms: pure functions. Amounts stay integers; the total is the sum of what is told."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Literal

import msgspec

from adapters.doordash import models
from adapters.doordash.models import text
from hub.contract import Drifted, decode
from hub.model import (
    Address,
    Charge,
    Customer,
    Discount,
    Fulfilment,
    Line,
    Modifier,
    Money,
    NotCarried,
    Order,
    Payment,
    Tax,
    Tip,
)
from hub.model import total as add

SLUG = "doordash"
PICKUP_TIME = "estimated_pickup_time"
"""The vendor ref that keeps DoorDash's own estimate, which is not to be sent back as ours."""
_Kind = Literal["delivery_by_platform", "delivery_by_merchant", "pickup", "dine_in"]
_KINDS: dict[str, _Kind] = {
    "dx_delivery": "delivery_by_platform",
    "mx_fleet_delivery": "delivery_by_merchant",
    "pickup": "pickup",
}
_CURRENCIES = {"US": "USD", "PR": "USD", "CA": "CAD", "AU": "AUD", "NZ": "NZD"}


def moment(value: str | None, path: str) -> datetime | None:
    """Read an ISO 8601 time; raises Drifted, naming where it stood. Without a zone it is UTC."""
    if not value:
        return None
    try:
        found = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError as error:
        raise Drifted(f"{path} is no time: {value!r}") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def written(at: datetime) -> str:
    """A time in UTC as DoorDash's documents write it."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def currency_of(order: models.Order, linked: str) -> tuple[str, list[NotCarried]]:
    """What the order says, else its linked store's, else its country's; a guess is named."""
    if found := order.currency_code or linked:
        return found, []
    country = (order.delivery_address.country_code if order.delivery_address else None) or ""
    guess = _CURRENCIES.get(country.upper(), "USD")
    return guess, [NotCarried("currency", f"DoorDash tells none and the store is not linked: taken as {guess}")]


_NOBODY_PAYS = 10**15


class _Reader:
    """Reads one order; `notes` collects what does not fit."""

    def __init__(self, order: models.Order, currency: str, notes: Iterable[NotCarried]) -> None:
        self.order, self.currency, self.notes = order, currency, list(notes)
        self.discounts: list[Discount] = []
        self.lines = self._lines()

    def money(self, amount: int) -> Money:
        return Money(amount, self.currency)

    def cents(self, value: models.Cents, path: str) -> int:
        """An amount in minor units; what is finer is rounded, and that is named."""
        if value is None:
            return 0
        if not value.is_finite() or abs(value) >= _NOBODY_PAYS:
            raise Drifted(f"{path}: {value:.3E} is no amount")
        whole = int(value.quantize(Decimal(1), ROUND_HALF_EVEN))
        if whole != value:
            self.notes.append(NotCarried(path, f"{value} is finer than the currency's minor unit: taken as {whole}"))
        return whole

    def apart(self, raw: msgspec.Raw, kind: Any, path: str) -> Any:
        """A part that is read apart, None where there is none; one that does not fit is named."""
        try:
            return msgspec.json.decode(raw, type=kind | None)
        except msgspec.DecodeError as error:
            self.notes.append(NotCarried(path, f"cannot be read: {error}"))
            return None

    def count(self, value: int | None, path: str) -> int:
        quantity = 1 if value is None else value
        if quantity < 1:
            raise Drifted(f"{path} has a quantity of {quantity}")
        return quantity

    # Lines

    def _lines(self) -> tuple[Line, ...]:
        lines = [self._line(item) for category in self.order.categories or [] for item in category.items or []]
        if not lines:
            raise Drifted("order.categories holds no item")
        return tuple(lines)

    def _line(self, item: models.Item) -> Line:
        own = text(item.merchant_supplied_id) or item.name or ""
        path = f"item {own!r}"
        quantity = self.count(item.quantity, path)
        modifiers, charged = self._modifiers([*(item.extras or []), *(item.extra or [])], path)
        price = self.cents(item.price, f"{path}.price")
        line = Line(
            id=item.line_item_id or own,
            name=item.name or own,
            quantity=quantity,
            unit_price=self.money(price),
            total=self.money((price + charged) * quantity),
            plu=own,
            modifiers=(*modifiers, *self._removed(item.removed_options, path)),
            note="\n".join(part for part in (item.special_instructions or "", _guest(item.consumer_name)) if part),
        )
        applied = self.apart(item.applied_item_discount, models.Applied, f"{path}.applied_item_discount")
        if applied is not None:
            self._discount(applied, line.id)
        return line

    def _modifiers(self, extras: list[models.Extra], path: str) -> tuple[list[Modifier], int]:
        """The options of one parent, and what they cost it in all."""
        found: list[Modifier] = []
        whole = 0
        for extra in extras:
            group, group_name = text(extra.merchant_supplied_id) or extra.name or "", extra.name or ""
            for option in extra.options or []:
                own = text(option.merchant_supplied_id) or option.name or ""
                where = f"{path}.option {own!r}"
                quantity = self.count(option.quantity, where)
                nested, below = self._modifiers([*(option.extras or []), *(option.extra or [])], where)
                price = self.cents(option.price, f"{where}.price")
                charged = quantity if option.chargeable_quantity is None else option.chargeable_quantity
                whole += price * charged + below * quantity
                found.append(
                    Modifier(
                        id=own,
                        name=option.name or own,
                        quantity=quantity,
                        unit_price=self.money(price),
                        plu=own,
                        group_id=group,
                        group_name=group_name,
                        modifiers=(*nested, *self._removed(option.removed_options, where)),
                    )
                )
            found += self._removed(extra.removed_options, path, group, group_name)
        return found, whole

    def _removed(self, raw: msgspec.Raw, path: str, group: str = "", group_name: str = "") -> list[Modifier]:
        options = self.apart(raw, list[models.Option], f"{path}.removed_options") or []
        return [
            Modifier(
                id=text(each.merchant_supplied_id) or each.name or "",
                name=each.name or text(each.merchant_supplied_id),
                quantity=1,
                unit_price=self.money(0),
                group_id=group,
                group_name=group_name,
                removed=True,
            )
            for each in options
        ]

    # What is owed

    def _discount(self, applied: models.Applied, line: str = "") -> None:
        amount = self.cents(applied.discount_amount, "discount_amount")
        if amount <= 0:
            return
        by_doordash = (self.order.subtotal_discount_funding_source or "").lower() == SLUG
        name = applied.promo_code or text(applied.promo_id) or "Promotion"
        vendor_id = text(applied.promo_id) or text(applied.external_campaign_id)
        self.discounts.append(Discount(name, self.money(amount), "platform" if by_doordash else "merchant", line, vendor_id))

    def settle_discounts(self) -> None:
        """Those of the whole order; an amount that DoorDash funds is not always told, and costs the merchant nothing."""
        for applied in self.apart(self.order.applied_discounts, list[models.Applied], "applied_discounts") or []:
            self._discount(applied)
        if (self.order.subtotal_discount_funding_source or "").lower() == SLUG and not self.discounts:
            self.notes.append(NotCarried("discounts", "DoorDash funds a promotion and does not tell its amount"))

    def charges(self) -> list[Charge]:
        """The merchant's own delivery fee, and the difference where the lines do not make the subtotal."""
        order, found = self.order, list[Charge]()
        if fee := self.cents(order.delivery_fee, "delivery_fee"):
            found.append(Charge("delivery", "Delivery fee", self.money(fee), "merchant"))
        if small := self.cents(order.extra_cart_order_fee, "extra_cart_order_fee"):
            self.notes.append(NotCarried("extra_cart_order_fee", f"{self.money(small).decimal()}: nobody says who is owed it"))
        lines = sum(line.total.amount for line in self.lines)
        missing = 0 if order.subtotal is None else self.cents(order.subtotal, "subtotal") - lines
        if missing:
            told = f"the lines are {self.money(lines).decimal()}, DoorDash's subtotal is {self.money(lines + missing).decimal()}"
            self.notes.append(NotCarried("lines", told))
        if missing > 0:
            found.append(Charge("other", "Difference to DoorDash's subtotal", self.money(missing), "merchant"))
        elif missing < 0:
            self.discounts.append(Discount("Difference to DoorDash's subtotal", self.money(-missing), "merchant"))
        return found

    def taxes(self) -> list[Tax]:
        """The tax in its parts: what DoorDash remits is recorded and never charged at the POS."""
        order, found = self.order, list[Tax]()
        whole = self.cents(order.tax, "tax")
        remitted = self.cents(order.tax_amount_remitted_by_doordash, "tax_amount_remitted_by_doordash")
        if not order.is_tax_remitted_by_doordash:
            remitted = 0
        elif not remitted:
            remitted = whole
        own = max(0, whole - remitted) if remitted <= whole else whole
        if remitted:
            found.append(Tax("Tax remitted by DoorDash", self.money(remitted), "platform"))
        if own:
            found.append(Tax("Tax", self.money(own), "merchant"))
        if fees := self.cents(order.taxes_on_fees, "taxes_on_fees"):
            found.append(Tax("Tax on fees", self.money(fees), "merchant"))
        return found

    def tips(self) -> list[Tip]:
        """Tips for the staff; that for a delivery is told only where the restaurant's own courier brings the order."""
        told = (self.order.merchant_tip_amount, "merchant_tip_amount"), (self.order.tip_amount, "tip_amount")
        amounts = [self.cents(value, path) for value, path in told]
        return [Tip(self.money(amount), "merchant") for amount in amounts if amount]


def _guest(name: str | None) -> str:
    return f"For {name}" if name else ""


def _coordinate(value: Decimal | None) -> str:
    return "" if value is None else str(value)


def _address(address: models.Address | None) -> Address | None:
    if address is None:
        return None
    return Address(
        line1=address.street or "",
        line2=address.subpremise or "",
        city=", ".join(part for part in (address.city, address.state) if part),
        postal_code=text(address.zip_code),
        country=address.country_code or "",
        latitude=_coordinate(address.lat),
        longitude=_coordinate(address.lng),
        notes=address.address_instructions or "",
    )


def _customer(order: models.Order) -> Customer:
    consumer = order.consumer or models.Consumer()
    return Customer(
        name=f"{consumer.first_name or ''} {consumer.last_name or ''}".strip(),
        phone=consumer.phone or "",
        email=consumer.email or "",
        address=_address(order.delivery_address),
        vendor_id=text(consumer.id),
    )


def _kind(order: models.Order, notes: list[NotCarried]) -> _Kind:
    word = order.fulfillment_type or ""
    if word in _KINDS:
        return _KINDS[word]
    kind: _Kind = "pickup" if order.is_pickup else "delivery_by_platform"
    notes.append(NotCarried("fulfillment_type", f"unknown: {word!r}, taken as {kind}"))
    return kind


def _fulfilment(order: models.Order, kind: _Kind) -> Fulfilment:
    experience = order.experience or "DOORDASH"
    return Fulfilment(
        kind=kind,
        ready_at=moment(order.estimated_pickup_time, "order.estimated_pickup_time"),
        note="" if experience == "DOORDASH" else f"by {experience.replace('_', ' ').title()}",
        courier="DoorDash" if kind == "delivery_by_platform" else "",
        include_cutlery=order.is_plastic_ware_option_selected,
    )


def order_from(order: models.Order, linked_currency: str, now: datetime) -> Order:
    """Map an order that came `now` (DoorDash tells no time); raises Drifted, naming what is missing or does not fit."""
    store = text(order.store.merchant_supplied_id)
    if not store or not text(order.id):
        raise Drifted("the order names no id or no store")
    currency, notes = currency_of(order, linked_currency)
    reader = _Reader(order, currency, notes)
    reader.settle_discounts()
    charges, taxes, tips = reader.charges(), reader.taxes(), reader.tips()
    kind = _kind(order, reader.notes)
    fulfilment = _fulfilment(order, kind)
    parts = [line.total for line in reader.lines]
    parts += [*(charge.amount for charge in charges), *(tax.amount for tax in taxes), *(tip.amount for tip in tips)]
    total = add(parts, currency) - add([each.amount for each in reader.discounts], currency)
    return Order(
        platform=SLUG,
        platform_order_id=text(order.id),
        store_ref=store,
        currency=currency,
        lines=reader.lines,
        total=total,
        placed_at=now,
        fulfilment=fulfilment,
        display_id=order.delivery_short_code or text(order.id),
        customer=_customer(order),
        charges=tuple(charges),
        tips=tuple(tips),
        discounts=tuple(reader.discounts),
        taxes=tuple(taxes),
        payments=(Payment("prepaid", total),),
        note=order.order_special_instructions or "",
        vendor_refs={PICKUP_TIME: written(fulfilment.ready_at)} if fulfilment.ready_at else {},
        not_carried=tuple(reader.notes),
    )


def order_in(notice: bytes) -> models.Order | None:
    """The order that a call holds, None when it holds none; raises Drifted."""
    told: models.OrderNotice = decode(notice, models.OrderNotice)
    return told.order
