"""The hub's order into Foodics', and Foodics' states back. Pure functions."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from adapters.foodics import models
from adapters.foodics.bill import TYPES, Bill, Choice, Cut, Sold, Terms
from hub.contract import PosRejected, SubmitTask
from hub.model import Address, Line, Modifier, Money, NotCarried, Order, OrderState

REFERENCE = "3rd_party_order_number"
PENDING, ACTIVE, DECLINED, CLOSED, RETURNED, JOINED, VOID, DRAFT = range(1, 9)
WAITING = frozenset({None, PENDING, DRAFT})
DIAL_CODES = ("971", "966", "965", "974", "973", "968", "962", "964", "961", "963", "967", "970", "212", "213", "216", "218", "249", "20")
_ENDS = {
    DECLINED: (OrderState.CANCELLED, "declined at the cashier"),
    CLOSED: (OrderState.COMPLETED, ""),
    RETURNED: (OrderState.CANCELLED, "returned"),
    VOID: (OrderState.CANCELLED, "voided at the cashier"),
}
# 3 (a driver is assigned) says nothing of the food, and sources disagree on 6: neither moves an order beyond accepted.
_DELIVERY = {1: OrderState.PREPARING, 2: OrderState.READY, 4: OrderState.PICKED_UP, 5: OrderState.DELIVERED}


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """The order to make, what it cannot hold, and the adjustment in words. `charges` is their sum in minor units."""

    body: models.NewOrder
    charges: int
    not_carried: tuple[NotCarried, ...]
    adjustment: str


def state_of(order: models.Order) -> tuple[OrderState, str]:
    """The hub's state, and why where it ended early. An unknown status is read as one that still waits."""
    if order.status in _ENDS:
        return _ENDS[order.status]
    if order.status in (ACTIVE, JOINED):
        return _DELIVERY.get(order.delivery_status or 0, OrderState.ACCEPTED), ""
    return OrderState.RECEIVED, ""


def version_of(updated_at: str | None, status: int | None, delivery_status: int | None) -> str:
    """Which state of an order this is: times have whole seconds, in which an order may move twice."""
    return f"{updated_at or ''}/{status or 0}.{delivery_status or 0}".replace(" ", "T")


def reference_of(meta: Any) -> str:
    """Our reference in an order's meta, "" where there is none."""
    return str(meta.get(REFERENCE) or "") if isinstance(meta, dict) else ""


def is_of(order: models.Order, task: SubmitTask) -> bool:
    """Tell whether an order is this task's, of the same generation."""
    meta: Any = order.meta
    return reference_of(meta) == task.reference and meta.get("generation", 1) == task.generation


def utc_text(at: datetime) -> str:
    """A time as Foodics writes it: UTC, whole seconds, no zone."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def business_date(at: datetime, timezone: str, end_of_day: str) -> str:
    """The day to which a branch counts a time: it ends at the branch's end of day, not at midnight."""
    try:
        local = at.astimezone(ZoneInfo(timezone))
    except (ValueError, OSError, KeyError):
        local = at.astimezone(UTC)
    try:
        ends = time.fromisoformat(end_of_day)
    except ValueError:
        ends = time(0)
    # An end in the afternoon or evening belongs to the day itself.
    late = ends < time(12) and local.time() < ends
    return (local.date() - timedelta(days=1) if late else local.date()).isoformat()


def dialled(phone: str) -> tuple[int, str] | None:
    """Country code and number of an international phone number of the region; None for any other."""
    digits = "".join(sign for sign in phone if sign.isdecimal() and sign.isascii())
    if phone.strip().startswith("+"):
        pass
    elif digits.startswith("00"):
        digits = digits[2:]
    else:
        return None
    code = next((each for each in DIAL_CODES if digits.startswith(each)), None)
    rest = digits[len(code) :] if code else ""
    return (int(code), rest) if code and 6 <= len(rest) <= 12 else None


def place_of(address: Address) -> str:
    """An address in one line."""
    return ", ".join(
        part for part in (address.line1, address.line2, address.city, address.postal_code, address.country, address.notes) if part
    )


def _product(task: SubmitTask, plu: str, identifier: str) -> str | None:
    return task.products.get(plu or identifier) or task.products.get(identifier)


class _Options:
    """A line's modifiers on one level. One that is not on the menu is told in the line's note, and its price is the line's."""

    def __init__(self, task: SubmitTask, cut: Cut) -> None:
        self._task, self._cut = task, cut
        self.choices: list[Choice] = []
        self.notes: list[str] = []
        self.extra = 0

    def add(self, modifiers: tuple[Modifier, ...], times: int = 1, parent: str = "") -> None:
        for modifier in modifiers:
            name = f"{parent}{modifier.name}"
            if modifier.removed:
                self.notes.append(f"NO {name}")
                continue
            quantity, price = modifier.quantity * times, modifier.unit_price.amount
            known = _product(self._task, modifier.plu, modifier.id)
            if known is None:
                self.notes.append(f"{quantity}x {name}")
                self.extra += price * quantity
                self._cut.say(f"modifier {modifier.id}", "not on the menu: named in the line's note, its price in the line's")
            else:
                self.choices.append(Choice(known, quantity, max(0, price)))
                if parent:
                    self.notes.append(f"{quantity}x {name}")
                    self._cut.say(f"modifier {modifier.id} nesting", "Foodics has one level: what it belongs to is in the line's note")
            self.add(modifier.modifiers, quantity, f"{name}: ")


def _line(task: SubmitTask, line: Line, terms: Terms, cut: Cut) -> Sold | None:
    known = _product(task, line.plu, line.id)
    product = known or terms.open_item
    if not product:
        return None
    options = _Options(task, cut)
    options.add(line.modifiers)
    notes = [*([] if known else [line.name]), *options.notes, line.note]
    note = cut(f"line {line.id} note", "; ".join(part for part in notes if part))
    return Sold(product, line.quantity, max(0, line.unit_price.amount + options.extra), note, tuple(options.choices))


def _payments(order: Order, bill: Bill, terms: Terms, day: str, cut: Cut) -> tuple[models.PaymentLine, ...]:
    tip, cash = order.merchant_tip(), any(payment.kind == "cash" for payment in order.payments)
    whole = bill.total + bill.charges.total()
    if cash or not terms.payment_method or not whole:
        if not cash and whole:
            cut.say("payment", "no payment method is named or found: the order stays to be paid")
        if cash and any(payment.kind == "prepaid" for payment in order.payments):
            cut.say("payment", "a part is cash and payments must cover all of it: the order stays to be paid")
        if tip:
            cut.say("tip", "a tip goes with a payment, and the order has none")
        return ()
    amount = bill.major(whole)
    return (
        models.PaymentLine(
            payment_method_id=terms.payment_method, amount=amount, tendered=amount, tips=bill.major(tip.amount), business_date=day
        ),
    )


def _notes(order: Order, terms: Terms, cut: Cut) -> tuple[str, str]:
    """What the kitchen reads, and what goes with the guest."""
    food, customer = order.fulfilment, order.customer
    cutlery = "" if food.include_cutlery is None else ("cutlery: yes" if food.include_cutlery else "NO cutlery")
    kitchen = " · ".join(part for part in (f"{order.platform} {order.display_id}".strip(), order.note, cutlery) if part)
    parts = [] if terms.customer else [customer.name, customer.phone]
    parts += [f"code {customer.phone_code}" if customer.phone_code else "", customer.email if not terms.customer else ""]
    if customer.address is not None and not terms.address:
        parts.append(place_of(customer.address))
    cash = sum(payment.amount.amount for payment in order.payments if payment.kind == "cash")
    parts += [food.note, f"courier: {food.courier}" if food.courier else ""]
    parts.append(f"cash: {Money(cash, order.currency).decimal()} {order.currency}" if cash else "")
    return cut("order note", kitchen), cut("customer notes", " · ".join(part for part in parts if part))


def _recorded_only(order: Order, cut: Cut) -> None:
    if any(discount.funded_by == "platform" for discount in order.discounts):
        cut.say("discounts funded by the platform", "they do not lower what the merchant is owed")
    if any(charge.to == "platform" for charge in order.charges):
        cut.say("charges owed to the platform", "recorded in the hub only")
    if any(tip.to == "courier" for tip in order.tips):
        cut.say("courier's tip", "recorded in the hub only")


def draft(task: SubmitTask, terms: Terms) -> Draft | PosRejected:
    """The order to make; refused where a line is not on the menu and no open item is named."""
    order, cut = task.order, Cut()
    lines = [_line(task, line, terms, cut) for line in order.lines]
    sold = [line for line in lines if line is not None]
    if len(sold) < len(lines):
        unknown = next(line for line, made in zip(order.lines, lines, strict=True) if made is None)
        reason = f"{unknown.name} ({unknown.plu or unknown.id}) is not on the menu: map it, or name a product for such lines in open_item"
        return PosRejected(reason, "item_unavailable")
    bill = Bill(order, sold, terms, cut)
    _recorded_only(order, cut)
    day = business_date(order.placed_at, terms.timezone, terms.end_of_day)
    kitchen, guest = _notes(order, terms, cut)
    due = order.fulfilment.scheduled_for or order.fulfilment.ready_at
    meta: dict[str, str | int] = {REFERENCE: task.reference, "channel": order.platform, "channel_order": order.platform_order_id}
    body = models.NewOrder(
        type=TYPES[order.fulfilment.kind],
        branch_id=task.location_ref,
        business_date=day,
        guests=1,
        meta=meta if task.generation == 1 else {**meta, "generation": task.generation},
        products=bill.rows(),
        subtotal_price=bill.major(bill.subtotal),
        rounding_amount=bill.major(bill.rounding),
        discount_amount=bill.major(bill.discount) if bill.discount else None,
        discount_id=terms.discount if bill.discount else "",
        total_price=bill.major(bill.total),
        due_at=utc_text(due) if due is not None else "",
        kitchen_notes=kitchen,
        customer_notes=guest,
        customer_id=terms.customer,
        customer_address_id=terms.address,
        charges=bill.charges.rows(order.currency),
        payments=_payments(order, bill, terms, day, cut),
    )
    return Draft(body=body, charges=bill.charges.total(), not_carried=tuple(cut.lost), adjustment=bill.words)
