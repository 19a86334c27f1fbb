"""Uber Eats' order into the hub's terms: pure functions. Prices stand apart from the cart and are joined by `cart_item_id`."""

from datetime import datetime, timedelta

from adapters.ubereats import models
from hub.contract import Drifted
from hub.model import (
    Address,
    Charge,
    CurrencyMismatch,
    Customer,
    Discount,
    Fulfilment,
    Line,
    Modifier,
    Money,
    NotCarried,
    Order,
    OrderState,
    Payment,
    Tax,
    Tip,
)

SLUG = "ubereats"
ACCEPT_WITHIN = timedelta(seconds=690)

# Inferred beyond OFFERED and ACCEPTED; an unknown state is read as "nothing new".
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
_FULFILMENTS = {
    "DELIVERY_BY_UBER": "delivery_by_platform",
    "DELIVERY_BY_MERCHANT": "delivery_by_merchant",
    "PICKUP": "pickup",
    "DINE_IN": "dine_in",
}
_FEES = {"bag_fee": "bag", "delivery_fee": "delivery", "service_fee": "service", "small_order_fee": "small_order"}


def state_of(state: str, preparation_status: str) -> OrderState:
    """The hub's state; READY_FOR_HANDOFF is told beside `state`."""
    found = _STATES.get(state, OrderState.RECEIVED)
    if found is OrderState.ACCEPTED and preparation_status.startswith("READY"):
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


def money(amount: models.Amount) -> Money:
    """From a value times 100,000."""
    return Money.from_e5(amount.amount_e5, amount.currency_code)


class _Prices:
    def __init__(self, rows: list[models.BreakdownRow], currency: str) -> None:
        self._currency = currency
        self._rows = {row.cart_item_id: row for row in rows}

    def row(self, cart_item_id: str) -> models.BreakdownRow:
        found = self._rows.get(cart_item_id)
        if found is None:
            raise Drifted(f"payment.payment_detail.item_charges.price_breakdown has no row for cart item {cart_item_id!r}")
        return found

    def total(self, cart_item_id: str) -> Money:
        return money(self.row(cart_item_id).total.gross)

    def nothing(self) -> Money:
        return Money(0, self._currency)

    def unit(self, cart_item_id: str, times: int) -> Money:
        """For one; where only the total is told, it is shared among the pieces of the row (`times` in the whole line)."""
        row = self.row(cart_item_id)
        if row.unit is not None:
            return money(row.unit.gross)
        whole = money(row.total.gross)
        pieces = row.quantity.amount if row.quantity is not None else times
        return Money(whole.amount // max(1, pieces), whole.currency)


def _modifiers(groups: list[models.ModifierGroup] | None, prices: _Prices, parents: int) -> tuple[tuple[Modifier, ...], list[str]]:
    found: list[Modifier] = []
    ids: list[str] = []
    for group in groups or []:
        for item in group.selected_items or []:
            pieces = parents * item.quantity.amount
            nested, below = _modifiers(item.selected_modifier_groups, prices, pieces)
            ids += [item.cart_item_id, *below]
            found.append(
                Modifier(
                    id=item.id,
                    name=item.title or item.id,
                    quantity=item.quantity.amount,
                    unit_price=prices.unit(item.cart_item_id, pieces),
                    plu=item.external_data or "",
                    group_id=group.id,
                    group_name=group.title,
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
                group_name=group.title,
                removed=True,
            )
            for item in group.removed_items or []
        ]
    return tuple(found), ids


def _lines(order: models.Order, prices: _Prices) -> tuple[Line, ...]:
    lines = []
    for cart in order.carts:
        for item in cart.items:
            modifiers, ids = _modifiers(item.selected_modifier_groups, prices, item.quantity.amount)
            whole = prices.total(item.cart_item_id)
            for cart_item_id in ids:
                whole += prices.total(cart_item_id)
            note = item.customer_request.special_instructions if item.customer_request else None
            lines.append(
                Line(
                    id=item.id,
                    name=item.title or item.id,
                    quantity=item.quantity.amount,
                    unit_price=prices.unit(item.cart_item_id, item.quantity.amount),
                    total=whole,
                    plu=item.external_data or "",
                    modifiers=modifiers,
                    note=note or "",
                )
            )
    if not lines:
        raise Drifted("order.carts holds no item")
    return tuple(lines)


def _customer(order: models.Order) -> Customer:
    found = next((c for c in order.customers if c.is_primary_customer), order.customers[0] if order.customers else None)
    place = next((d.location for d in order.deliveries or [] if d.location is not None), None)
    address = None
    if place is not None:
        address = Address(
            line1=place.street_address_line_one,
            line2=place.street_address_line_two,
            city=place.city,
            postal_code=place.postal_code,
            country=place.country,
            latitude=str(place.latitude or ""),
            longitude=str(place.longitude or ""),
            notes=place.instructions,
        )
    if found is None:
        return Customer(address=address)
    name = found.name.display_name or f"{found.name.first_name} {found.name.last_name}".strip()
    phone = found.contact.phone if found.contact else None
    return Customer(
        name=name,
        phone=phone.number if phone else "",
        phone_code=(phone.pin_code or "") if phone else "",
        address=address,
        vendor_id=found.id,
    )


def _charges(order: models.Order) -> tuple[Charge, ...]:
    fees = order.payment.payment_detail.fees
    own_courier = order.fulfillment_type == "DELIVERY_BY_MERCHANT"
    found = []
    for fee in fees.details if fees else []:
        kind = _FEES.get(fee.id.lower(), "other")
        merchant = kind == "bag" or (kind == "delivery" and own_courier)
        found.append(Charge(kind, fee.id, money(fee.amount.gross), "merchant" if merchant else "platform"))  # type: ignore[arg-type]  # from the table above
    return tuple(found)


def _discounts(order: models.Order, currency: str) -> tuple[tuple[Discount, ...], tuple[NotCarried, ...]]:
    promotions = order.payment.payment_detail.promotions
    if promotions is None:
        return (), ()
    if promotions.details:
        details = tuple(
            Discount(
                name=promotion.type or "promotion",
                amount=Money.from_e5(abs(promotion.discount_value), currency),
                funded_by="platform" if promotion.funded_by.upper() == "UBER" else "merchant",
                vendor_id=promotion.external_promotion_id,
            )
            for promotion in promotions.details
        )
        return details, ()
    whole = abs(money(promotions.total.gross).amount) if promotions.total else 0
    if not whole:
        return (), ()
    note = NotCarried("discounts", "Uber Eats does not say who funds the promotion: taken as the merchant's")
    return (Discount("promotion", Money(whole, currency), "merchant"),), (note,)


def _taxes(order: models.Order) -> tuple[Tax, ...]:
    remittance = order.payment.tax_remittance or order.payment.taxRemittance
    whole = order.payment.payment_detail.order_total.tax
    if remittance is not None and (remittance.merchant or remittance.uber):
        found = []
        if remittance.merchant is not None and remittance.merchant.gross.amount_e5:
            found.append(Tax("Tax", money(remittance.merchant.gross), "merchant"))
        if remittance.uber is not None and remittance.uber.gross.amount_e5:
            found.append(Tax("Tax (remitted by Uber)", money(remittance.uber.gross), "platform"))
        return tuple(found)
    if whole is None or not whole.amount_e5:
        return ()
    # Inferred: without a remittance block Uber is the marketplace facilitator and pays the tax itself.
    return (Tax("Tax (remitted by Uber)", money(whole), "platform"),)


def _tips(order: models.Order) -> tuple[Tip, ...]:
    tips = order.payment.payment_detail.tips
    if tips is None or tips.total is None or not tips.total.gross.amount_e5:
        return ()
    to = "courier" if order.fulfillment_type == "DELIVERY_BY_UBER" else "merchant"
    return (Tip(money(tips.total.gross), to),)  # type: ignore[arg-type]  # one of the two


def _payments(order: models.Order, whole: Money) -> tuple[Payment, ...]:
    cash = order.payment.payment_detail.cash_amount_due
    if cash is not None and cash.gross.amount_e5 > 0:
        return (Payment("cash", money(cash.gross)),)
    return (Payment("prepaid", whole),)


def _note(order: models.Order) -> str:
    parts = [order.store_instructions or "", *(cart.special_instructions or "" for cart in order.carts)]
    return "\n".join(dict.fromkeys(part for part in parts if part))


def order_from(order: models.Order) -> Order:
    """Map an order; raises Drifted, naming what is missing or does not fit together."""
    try:
        return _order(order)
    except CurrencyMismatch as error:
        raise Drifted(f"order.payment mixes currencies: {error}") from error


def _order(order: models.Order) -> Order:
    detail = order.payment.payment_detail
    currency = detail.order_total.gross.currency_code
    placed_at = moment(order.created_time, "order.created_time")
    assert placed_at is not None
    prices = _Prices(detail.item_charges.price_breakdown, currency)
    whole = money(detail.order_total.gross)
    discounts, not_carried = _discounts(order, currency)
    window = order.scheduled_order_target_delivery_time_range
    kind = _FULFILMENTS.get(order.fulfillment_type, "delivery_by_platform")
    ready = order.preparation_time.ready_for_pickup_time if order.preparation_time else None
    single_use = [cart.include_single_use_items for cart in order.carts if cart.include_single_use_items is not None]
    return Order(
        platform=SLUG,
        platform_order_id=order.id,
        store_ref=order.store.id,
        currency=currency,
        lines=_lines(order, prices),
        total=whole,
        placed_at=placed_at,
        fulfilment=Fulfilment(
            kind=kind,  # type: ignore[arg-type]  # from the table above
            ready_at=moment(ready, "order.preparation_time.ready_for_pickup_time"),
            scheduled_for=moment(window.start_time if window else None, "order.scheduled_order_target_delivery_time_range"),
            courier="Uber" if order.fulfillment_type == "DELIVERY_BY_UBER" else "",
            include_cutlery=any(single_use) if single_use else None,
        ),
        display_id=order.display_id,
        customer=_customer(order),
        charges=_charges(order),
        tips=_tips(order),
        discounts=discounts,
        taxes=_taxes(order),
        payments=_payments(order, whole),
        note=_note(order),
        deadline_at=placed_at + ACCEPT_WITHIN,
        not_carried=not_carried,
    )
