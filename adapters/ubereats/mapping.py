"""Uber Eats' order into the hub's terms: pure functions. Prices stand apart from the cart and are joined by `cart_item_id`."""

from datetime import datetime, timedelta
from typing import Literal

from adapters.ubereats import models
from adapters.ubereats.payments import Ledger, money
from hub.contract import Drifted
from hub.model import (
    Address,
    CurrencyMismatch,
    Customer,
    Fulfilment,
    Line,
    Modifier,
    Money,
    NotCarried,
    Order,
    OrderState,
)

SLUG = "ubereats"
ACCEPT_WITHIN = timedelta(seconds=690)

# An unknown state is read as "nothing new".
_STATES = {
    "CREATED": OrderState.RECEIVED,
    "OFFERED": OrderState.RECEIVED,
    "ACCEPTED": OrderState.ACCEPTED,
    "HANDED_OFF": OrderState.PICKED_UP,
    "SUCCEEDED": OrderState.COMPLETED,
    "COMPLETED": OrderState.COMPLETED,
    "CANCELED": OrderState.CANCELLED,
    "CANCELLED": OrderState.CANCELLED,
    "FAILED": OrderState.CANCELLED,
    "DENIED": OrderState.REJECTED,
}
_Kind = Literal["delivery_by_platform", "delivery_by_merchant", "pickup", "dine_in"]
_FULFILMENTS: dict[str, _Kind] = {
    "DELIVERY_BY_UBER": "delivery_by_platform",
    "DELIVERY_BY_MERCHANT": "delivery_by_merchant",
    "DELIVERY_BY_RESTAURANT": "delivery_by_merchant",
    "PICKUP": "pickup",
    "PICK_UP": "pickup",
    "DINE_IN": "dine_in",
}


def state_of(state: str, preparation_status: str | None) -> OrderState:
    """The hub's state; READY_FOR_HANDOFF is told beside `state`."""
    found = _STATES.get(state, OrderState.RECEIVED)
    if found is OrderState.ACCEPTED and (preparation_status or "").startswith("READY"):
        return OrderState.READY
    return found


def moment(text: str | None, path: str) -> datetime | None:
    """Read an RFC 3339 time; raises Drifted, naming where it stood."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise Drifted(f"{path} is no time: {text!r}") from error
    if found.tzinfo is None:
        raise Drifted(f"{path} has no zone: {text!r}")
    return found


class _Prices:
    """The price breakdown by cart item.

    A row's quantity and total are for all pieces of the whole line, its unit for one piece: the option of a line of two is in it
    twice, where the cart tells it once, per one of its parent.
    """

    def __init__(self, ledger: Ledger, rows: list[models.BreakdownRow]) -> None:
        self._ledger = ledger
        self._rows: dict[str, list[models.BreakdownRow]] = {}
        for row in rows:
            self._rows.setdefault(row.cart_item_id, []).append(row)

    def rows(self, cart_item_id: str) -> list[models.BreakdownRow]:
        found = self._rows.get(cart_item_id)
        if found is None:
            raise Drifted(f"payment.payment_detail.item_charges.price_breakdown has no row for cart item {cart_item_id!r}")
        return found

    def whole(self, cart_item_id: str) -> Money:
        rows = self.rows(cart_item_id)
        found = money(self._ledger.shown(rows[0].total))
        for row in rows[1:]:
            found += money(self._ledger.shown(row.total))
        return found

    def nothing(self) -> Money:
        return Money(0, self._ledger.currency)

    def unit(self, cart_item_id: str, pieces: int) -> Money:
        """For one; where only the total is told, it is shared among the pieces in the whole line."""
        first = self.rows(cart_item_id)[0]
        if first.unit is not None:
            return money(self._ledger.shown(first.unit))
        told = sum(row.quantity.amount for row in self.rows(cart_item_id) if row.quantity is not None)
        whole = self.whole(cart_item_id)
        return Money(whole.amount // max(1, told or pieces), whole.currency)


def _count(quantity: models.Quantity | None, path: str) -> int:
    amount = 1 if quantity is None else quantity.amount
    if amount < 1:
        raise Drifted(f"{path} has a quantity of {amount}")
    return amount


def _modifiers(groups: list[models.ModifierGroup] | None, prices: _Prices, parents: int) -> tuple[tuple[Modifier, ...], list[str]]:
    found: list[Modifier] = []
    ids: list[str] = []
    for group in groups or []:
        for item in group.selected_items or []:
            count = _count(item.quantity, f"cart item {item.cart_item_id!r}")
            pieces = parents * count
            nested, below = _modifiers(item.selected_modifier_groups, prices, pieces)
            ids += [item.cart_item_id, *below]
            found.append(
                Modifier(
                    id=item.id,
                    name=item.title or item.id,
                    quantity=count,
                    unit_price=prices.unit(item.cart_item_id, pieces),
                    plu=item.external_data or "",
                    group_id=group.id,
                    group_name=group.title or "",
                    modifiers=nested,
                )
            )
        found += [
            Modifier(
                id=item.id,
                name=item.title or item.id,
                quantity=1,
                unit_price=prices.nothing(),
                plu=item.external_data or "",
                group_id=group.id,
                group_name=group.title or "",
                removed=True,
            )
            for item in group.removed_items or []
        ]
    return tuple(found), ids


def _wishes(item: models.CartItem) -> str:
    request = item.customer_request or item.customer_requests
    if request is None:
        return ""
    parts = [request.special_instructions or ""]
    if request.allergy is not None:
        allergens = ", ".join(request.allergy.allergens or [])
        told = ": ".join(part for part in (allergens, request.allergy.instructions or "") if part)
        parts.insert(0, f"ALLERGY {told}" if told else "")
    return "\n".join(part for part in parts if part)


def _lines(order: models.Order, prices: _Prices) -> tuple[Line, ...]:
    lines = []
    for cart in order.carts or []:
        for item in cart.items or []:
            count = _count(item.quantity, f"cart item {item.cart_item_id!r}")
            modifiers, ids = _modifiers(item.selected_modifier_groups, prices, count)
            whole = prices.whole(item.cart_item_id)
            for cart_item_id in ids:
                whole += prices.whole(cart_item_id)
            lines.append(
                Line(
                    id=item.id,
                    name=item.title or item.id,
                    quantity=count,
                    unit_price=prices.unit(item.cart_item_id, count),
                    total=whole,
                    plu=item.external_data or "",
                    modifiers=modifiers,
                    note=_wishes(item),
                )
            )
    if not lines:
        raise Drifted("order.carts holds no item")
    return tuple(lines)


def _address(order: models.Order) -> Address | None:
    for delivery in order.deliveries or []:
        place = delivery.location
        if place is not None:
            unit = "" if place.unit_number is None else str(place.unit_number)
            notes = (place.instructions, delivery.instructions)
            return Address(
                line1=place.street_address_line_one or "",
                line2=", ".join(dict.fromkeys(part for part in (place.business_name, place.street_address_line_two, unit) if part)),
                city=place.city or "",
                postal_code=place.postal_code or "",
                country=place.country or "",
                latitude="" if place.latitude is None else str(place.latitude),
                longitude="" if place.longitude is None else str(place.longitude),
                notes="\n".join(dict.fromkeys(note for note in notes if note)),
            )
    return None


def _customer(order: models.Order) -> Customer:
    customers = order.customers or []
    found = next((c for c in customers if c.is_primary_customer), customers[0] if customers else None)
    if found is None:
        return Customer(address=_address(order))
    name = found.name or models.Name()
    phone = (found.contact.phone if found.contact else None) or models.Phone()
    return Customer(
        name=name.display_name or f"{name.first_name or ''} {name.last_name or ''}".strip(),
        phone=phone.number or "",
        phone_code=phone.pin_code or "",
        address=_address(order),
        vendor_id=found.id or "",
    )


def _fulfilment(order: models.Order, kind: _Kind) -> Fulfilment:
    window = order.scheduled_order_target_delivery_time_range or models.TimeRange()
    path = "order.scheduled_order_target_delivery_time_range"
    start, end = moment(window.start_time, f"{path}.start_time"), moment(window.end_time, f"{path}.end_time")
    ready = order.preparation_time.ready_for_pickup_time if order.preparation_time else None
    single_use = [cart.include_single_use_items for cart in order.carts or [] if cart.include_single_use_items is not None]
    return Fulfilment(
        kind=kind,
        ready_at=moment(ready, "order.preparation_time.ready_for_pickup_time"),
        scheduled_for=start or end,
        note=f"between {start.isoformat()} and {end.isoformat()}" if start and end and start < end else "",
        courier="Uber" if order.fulfillment_type == "DELIVERY_BY_UBER" else "",
        include_cutlery=any(single_use) if single_use else None,
    )


def _note(order: models.Order) -> str:
    parts = [order.store_instructions or "", *(cart.special_instructions or "" for cart in order.carts or [])]
    return "\n".join(dict.fromkeys(part for part in parts if part))


def _difference(order: models.Order, ledger: Ledger, lines: tuple[Line, ...]) -> list[NotCarried]:
    told = order.payment.payment_detail.item_charges.total
    if told is None:
        return []
    stated, found = money(ledger.shown(told)), Money(sum(line.total.amount for line in lines), ledger.currency)
    # Amounts are rounded one by one, each by half a minor unit at most.
    if abs((stated - found).amount) <= (len(order.payment.payment_detail.item_charges.price_breakdown) + 1) // 2:
        return []
    return [NotCarried("lines", f"the lines are {found.decimal()} in all, Uber Eats' item total is {stated.decimal()}")]


def order_from(order: models.Order) -> Order:
    """Map an order; raises Drifted, naming what is missing or does not fit together."""
    try:
        return _order(order)
    except CurrencyMismatch as error:
        raise Drifted(f"order.payment mixes currencies: {error}") from error


def _order(order: models.Order) -> Order:
    placed_at = moment(order.created_time, "order.created_time")
    if placed_at is None:
        raise Drifted("order.created_time is empty")
    word = order.fulfillment_type or ""
    kind = _FULFILMENTS.get(word, "delivery_by_platform")
    ledger = Ledger(order.payment, kind)
    if word not in _FULFILMENTS:
        ledger.notes.append(NotCarried("fulfillment_type", f"unknown: {word!r}, taken as a delivery by Uber"))
    lines = _lines(order, _Prices(ledger, order.payment.payment_detail.item_charges.price_breakdown))
    waiting = state_of(order.state, order.preparation_status) is OrderState.RECEIVED
    mapped = Order(
        platform=SLUG,
        platform_order_id=order.id,
        store_ref=order.store.id,
        currency=ledger.currency,
        lines=lines,
        total=ledger.total,
        placed_at=placed_at,
        fulfilment=_fulfilment(order, kind),
        display_id=order.display_id or "",
        customer=_customer(order),
        charges=ledger.charges(),
        tips=ledger.tips(),
        discounts=ledger.discounts(),
        taxes=ledger.taxes(),
        payments=ledger.payments(),
        note=_note(order),
        deadline_at=placed_at + ACCEPT_WITHIN if waiting else None,
        not_carried=(*ledger.notes, *_difference(order, ledger, lines)),
    )
    mapped.merchant_total()  # raises where a part is in another currency
    return mapped
