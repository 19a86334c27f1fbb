"""The hub's order into Square's, and Square's states back. Pure functions.

The channel's totals are law. Square adds up lines, modifiers, discounts and service charges by itself, so every price is given,
a tax that the merchant remits becomes a service charge of its name (Square takes no fixed tax amounts), and what is then left over
is one named adjustment. Catalog taxes and automatic discounts are switched off.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from adapters.square import models
from hub.contract import SubmitTask
from hub.model import Address, Line, Modifier, Money, NotCarried, Order, OrderState

REFERENCE, TICKET, LINE_NOTE, PICKUP_NOTE, DELIVERY_NOTE, PHONE, NAME, LONG_NAME = 40, 30, 2000, 500, 550, 17, 255, 512
ADJUSTMENT = "Channel adjustment"
UNSAID_MINUTES = 30
"""How long a delivery is said to take when the channel does not say: Square wants a number."""

_FULFILLMENT_STATES = {
    "PROPOSED": OrderState.RECEIVED,
    "RESERVED": OrderState.ACCEPTED,
    "PREPARED": OrderState.READY,
    "COMPLETED": OrderState.PICKED_UP,
    "CANCELED": OrderState.CANCELLED,
    # The seller turned it down (its time is `rejected_at`): the platform must hear of it as of a cancellation.
    "FAILED": OrderState.CANCELLED,
}


def state_of(order: models.Order) -> OrderState:
    """The hub's state: the order's own end first, else its fulfilment's; an unknown one is read as open."""
    if order.state == "CANCELED":
        return OrderState.CANCELLED
    if order.state == "COMPLETED":
        return OrderState.COMPLETED
    for fulfillment in order.fulfillments:
        if fulfillment.state == "COMPLETED" and fulfillment.type == "DELIVERY":
            return OrderState.DELIVERED
        return _FULFILLMENT_STATES.get(fulfillment.state or "", OrderState.RECEIVED)
    return OrderState.RECEIVED


def _money(money: Money) -> models.Money:
    # Square's prices are unsigned: what is negative becomes part of the adjustment.
    return models.Money(max(0, money.amount), money.currency)


class _Cut:
    """Cuts texts to their limits and remembers what was cut."""

    def __init__(self) -> None:
        self.lost: list[NotCarried] = []

    def __call__(self, field: str, text: str, limit: int) -> str:
        if len(text) <= limit:
            return text
        self.lost.append(NotCarried(field, f"Square holds {limit} characters of it"))
        return text[: limit - 1] + "…"


def _product(task: SubmitTask, plu: str, identifier: str) -> str | None:
    return task.products.get(plu or identifier) or task.products.get(identifier)


class _Options:
    """A line's modifiers, flattened, and which of them the menu does not know."""

    def __init__(self, task: SubmitTask, cut: _Cut) -> None:
        self._task, self._cut = task, cut
        self.flat: list[models.Modifier] = []
        self.unmapped: list[str] = []

    def add(self, modifiers: tuple[Modifier, ...], times: int = 1, prefix: str = "") -> None:
        # Square multiplies a modifier's quantity by the line's; nesting it does not know, so inner quantities are multiplied here.
        for modifier in modifiers:
            if modifier.removed:
                continue
            quantity, name = modifier.quantity * times, f"{prefix}{modifier.name}"
            known = _product(self._task, modifier.plu, modifier.id)
            if known is None:
                self.unmapped.append(f"{name} not on the menu ({modifier.plu or modifier.id})")
            product = None if prefix else known
            self.flat.append(
                models.Modifier(
                    catalog_object_id=product,
                    name=None if product else self._cut(f"modifier {modifier.id} name", name, NAME),
                    base_price_money=_money(modifier.unit_price),
                    quantity=str(quantity),
                )
            )
            if modifier.modifiers:
                reason = "Square has one level: options of it are named after it"
                self._cut.lost.append(NotCarried(f"modifier {modifier.id} nesting", reason))
                self.add(modifier.modifiers, quantity, f"{name}: ")


def _removed(modifiers: tuple[Modifier, ...]) -> list[str]:
    return [f"NO {m.name}" for m in modifiers if m.removed] + [t for m in modifiers for t in _removed(m.modifiers)]


def _line(task: SubmitTask, line: Line, number: int, cut: _Cut) -> models.LineItem:
    product = _product(task, line.plu, line.id)
    options = _Options(task, cut)
    options.add(line.modifiers)
    notes = [*_removed(line.modifiers), *([line.note] if line.note else [])]
    if product is None:
        notes.append(f"not on the menu ({line.plu or line.id})")
    note = cut(f"line {line.id} note", "; ".join(notes + options.unmapped), LINE_NOTE)
    return models.LineItem(
        uid=f"line-{number}",
        quantity=str(line.quantity),
        catalog_object_id=product,
        name=None if product else cut(f"line {line.id} name", line.name, LONG_NAME),
        base_price_money=_money(line.unit_price),
        note=note or None,
        modifiers=tuple(options.flat),
    )


def _charges(order: Order, cut: _Cut) -> list[models.ServiceCharge]:
    given = [(charge.name or charge.kind, charge.amount) for charge in order.charges if charge.to == "merchant"]
    given += [(tax.name or "Tax", tax.amount) for tax in order.taxes if tax.remitted_by == "merchant" and not tax.inclusive]
    return [
        models.ServiceCharge(uid=f"charge-{number}", name=cut(f"charge {number} name", name, LONG_NAME), amount_money=_money(amount))
        for number, (name, amount) in enumerate(given)
        if amount.amount > 0
    ]


def _discounts(order: Order, cut: _Cut) -> list[models.Discount]:
    return [
        models.Discount(
            uid=f"discount-{number}",
            name=cut(f"discount {number} name", discount.name or "Discount", NAME),
            amount_money=_money(discount.amount),
        )
        for number, discount in enumerate(order.discounts)
        if discount.funded_by == "merchant" and discount.amount.amount > 0
    ]


def _lines_total(lines: tuple[models.LineItem, ...]) -> int:
    whole = 0
    for line in lines:
        each = line.base_price_money.amount if line.base_price_money else 0
        for modifier in line.modifiers:
            price = modifier.base_price_money.amount if modifier.base_price_money else 0
            each += price * int(modifier.quantity or "1")
        whole += each * int(Decimal(line.quantity))
    return whole


def _sum(amounts: list[models.ServiceCharge] | list[models.Discount]) -> int:
    return sum(each.amount_money.amount for each in amounts)


def _lowered(charges: list[models.ServiceCharge], excess: int) -> list[models.ServiceCharge]:
    """Take an amount off the charges, the last one first."""
    kept: list[models.ServiceCharge] = []
    for charge in reversed(charges):
        amount = charge.amount_money
        taken = min(excess, amount.amount)
        excess -= taken
        if amount.amount > taken:
            left = models.Money(amount.amount - taken, amount.currency)
            kept.append(msgspec.structs.replace(charge, amount_money=left))
    return kept[::-1]


def _capped(discounts: list[models.Discount], room: int) -> list[models.Discount]:
    """The discounts as far as there is something to take them off."""
    kept: list[models.Discount] = []
    for discount in discounts:
        amount = discount.amount_money
        taken = min(room, amount.amount)
        room -= taken
        if taken:
            kept.append(msgspec.structs.replace(discount, amount_money=models.Money(taken, amount.currency)))
    return kept


def _settled(order: Order, subtotal: int, cut: _Cut) -> tuple[tuple[models.ServiceCharge, ...], tuple[models.Discount, ...], str]:
    """Charges and discounts with which Square's total is what the merchant is owed, and the adjustment in words."""
    charges, discounts = _charges(order, cut), _discounts(order, cut)
    left = order.merchant_total().amount - (subtotal + _sum(charges) - _sum(discounts))
    amount = models.Money(abs(left), order.currency)
    if left > 0:
        charges.append(models.ServiceCharge(uid="adjustment", name=ADJUSTMENT, amount_money=amount))
    elif left < 0:
        discounts.append(models.Discount(uid="adjustment", name=ADJUSTMENT, amount_money=amount))
    excess = _sum(discounts) - subtotal
    if excess > 0:
        # Square shares a discount out among the lines and takes nothing off charges.
        cut.lost.append(NotCarried("discounts", "higher than all lines together: the rest lowers the charges"))
        charges, discounts = _lowered(charges, excess), _capped(discounts, subtotal)
    words = f"{ADJUSTMENT}: {Money(left, order.currency).decimal()} {order.currency}" if left else ""
    return tuple(charges), tuple(discounts), words


def _address(address: Address, cut: _Cut) -> models.Address:
    country = address.country if re.fullmatch("[A-Z]{2}", address.country) else ""
    if address.country and not country:
        cut.lost.append(NotCarried("customer.address.country", "Square takes a country as two letters"))
    return models.Address(
        address_line_1=address.line1,
        address_line_2=address.line2,
        locality=address.city,
        postal_code=address.postal_code,
        country=country,
    )


def _time(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at is not None else None


def _preparation(order: Order) -> str | None:
    """From the placing of the order until it is to be ready, as an ISO 8601 duration: no clock, so a repeat has the same bytes."""
    ready = order.fulfilment.ready_at
    if ready is None:
        return None
    return f"PT{max(1, round((ready - order.placed_at).total_seconds() / 60))}M"


def _recipient(order: Order, parts: list[str], cut: _Cut) -> models.Recipient:
    customer = order.customer
    phone = customer.phone
    if len(phone) > PHONE:
        parts.append(f"phone {phone}")
        phone = ""
    if customer.phone_code:
        # A masked number is too long for Square's field with its code.
        parts.append(f"phone code {customer.phone_code}")
    if customer.address is not None:
        parts.append(customer.address.notes)
    return models.Recipient(
        display_name=cut("customer.name", customer.name or order.display_id or order.platform, NAME),
        phone_number=phone,
        email_address=customer.email if len(customer.email) <= NAME else "",
        address=_address(customer.address, cut) if customer.address is not None else None,
    )


def _fulfillment(order: Order, kind: str, cut: _Cut) -> models.FulfillmentDraft:
    food = order.fulfilment
    parts = [order.platform, order.display_id]
    if food.courier:
        parts.append(f"courier: {food.courier}")
    if food.include_cutlery is not None:
        parts.append("cutlery: yes" if food.include_cutlery else "NO cutlery")
    recipient = _recipient(order, parts, cut)
    note = " · ".join(part for part in (*parts, order.note, food.note) if part)
    planned = food.scheduled_for is not None
    schedule, at = ("SCHEDULED" if planned else "ASAP"), _time(food.scheduled_for)
    preparation = None if planned else _preparation(order)
    if kind == "DELIVERY":
        delivery = models.DeliveryDetails(
            recipient=recipient,
            schedule_type=schedule,
            deliver_at=at,
            prep_time_duration=preparation if planned else preparation or f"PT{UNSAID_MINUTES}M",
            note=cut("order note", note, DELIVERY_NOTE),
            external_delivery_id=order.platform_order_id[:50],
            managed_delivery=food.kind == "delivery_by_platform",
            courier_provider_name=food.courier[:NAME],
        )
        return models.FulfillmentDraft(type="DELIVERY", state="PROPOSED", delivery_details=delivery)
    pickup = models.PickupDetails(
        recipient=recipient,
        schedule_type=schedule,
        pickup_at=at,
        prep_time_duration=preparation,
        note=cut("order note", note, PICKUP_NOTE),
    )
    return models.FulfillmentDraft(type="PICKUP", state="PROPOSED", pickup_details=pickup)


def draft(task: SubmitTask, kind: str) -> tuple[models.OrderDraft, tuple[NotCarried, ...], str]:
    """The order to create, what Square cannot hold, and the adjustment's amount in words ("" when there is none)."""
    order, cut = task.order, _Cut()
    lines = tuple(_line(task, line, number, cut) for number, line in enumerate(order.lines))
    charges, discounts, words = _settled(order, _lines_total(lines), cut)
    if any(discount.funded_by == "platform" for discount in order.discounts):
        cut.lost.append(NotCarried("discounts funded by the platform", "they do not lower what the merchant is owed"))
    if any(charge.to == "platform" for charge in order.charges):
        cut.lost.append(NotCarried("charges owed to the platform", "recorded in the hub only"))
    if any(tip.to == "courier" for tip in order.tips):
        cut.lost.append(NotCarried("courier's tip", "recorded in the hub only"))
    if order.merchant_tip() and not order.merchant_total():
        cut.lost.append(NotCarried("tip", "an order of nothing has no payment that could carry it"))
    if any(tax.remitted_by == "platform" for tax in order.taxes):
        cut.lost.append(NotCarried("taxes remitted by the platform", "recorded in the hub only"))
    made = models.OrderDraft(
        location_id=task.location_ref,
        reference_id=task.reference[:REFERENCE],
        source={"name": order.platform},
        ticket_name=cut("ticket name", f"{order.platform} {order.display_id}".strip(), TICKET),
        line_items=lines,
        fulfillments=(_fulfillment(order, kind, cut),),
        discounts=discounts,
        service_charges=charges,
        metadata={"platform_order_id": order.platform_order_id[:255]},
        pricing_options={"auto_apply_taxes": False, "auto_apply_discounts": False},
    )
    return made, tuple(cut.lost), words
