"""Deliveroo's order and rider into the hub's terms, and its words for what the hub says: pure functions."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from adapters.deliveroo import models
from adapters.deliveroo.bill import Bill
from hub.contract import Drifted
from hub.model import Address, CourierSighting, CourierState, Customer, Fulfilment, NotCarried, Order, OrderState

SLUG = "deliveroo"
ACCEPT_WITHIN = timedelta(minutes=10)
ACCEPT_WITHIN_GULF = timedelta(minutes=7)
SYNC_WITHIN = timedelta(minutes=3)
_GULF = frozenset({"kw", "ae"})
_STATES = {
    "pending": OrderState.RECEIVED,
    "placed": OrderState.RECEIVED,
    "accepted": OrderState.ACCEPTED,
    "confirmed": OrderState.ACCEPTED,
    "rejected": OrderState.REJECTED,
    "canceled": OrderState.CANCELLED,
    "cancelled": OrderState.CANCELLED,
    # Nothing follows it.
    "delivered": OrderState.COMPLETED,
}
_Kind = Literal["delivery_by_platform", "delivery_by_merchant", "pickup", "dine_in"]
_FULFILMENTS: dict[str, _Kind] = {
    "deliveroo": "delivery_by_platform",
    "autonomous": "delivery_by_platform",
    "customer": "pickup",
    "restaurant": "delivery_by_merchant",
    "table_service": "dine_in",
}
_RIDERS: dict[str, CourierState] = {
    "rider_assigned": "assigned",
    "rider_unassigned": "unassigned",
    # It is near the site; the rider's own word that it arrived is the next one.
    "rider_arrived": "near",
    "rider_confirmed_at_restaurant": "arrived",
    "rider_in_transit": "picked_up",
}
SYNC_REASONS = {
    "item_unavailable": "items_out_of_stock",
    "closed": "location_offline",
    "busy": "other",
    "pos_offline": "location_offline",
    "price_mismatch": "price_mismatched",
    "address": "other",
    "test_order": "other",
    "other": "other",
}
"""Why an order did not reach the POS, for a site whose tablet is told."""
DELAYS = (2, 4, 6, 8, 10)
"""Minutes that the kitchen may be late by."""


def state_of(status: str) -> OrderState | None:
    """The hub's state; None for a status that nobody foresaw."""
    return _STATES.get(status)


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


def written(at: datetime) -> str:
    """A time as Deliveroo writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def delay_minutes(planned: str, wanted: datetime | None) -> int | None:
    """The shortest delay that covers a new time; None where there is none or it is more than Deliveroo takes."""
    before = moment(planned, "prepare_for")
    if before is None or wanted is None:
        return None
    late = (wanted - before).total_seconds() / 60
    return next((each for each in DELAYS if each >= late), None) if late > 0 else None


def placed_at(order: models.Order, now: datetime) -> datetime:
    """When the order was placed, by its log; now where the log is silent."""
    log = order.status_log or []
    entry = next((each for each in log if each.status == "placed"), log[0] if log else models.LogEntry())
    return moment(entry.at, "order.status_log.at") or now


def _text(value: str | float | None) -> str:
    return "" if value is None else str(value)


def _deadline(order: models.Order, placed: datetime) -> datetime | None:
    """Until when it has to be answered: a scheduled order's deadline is not published, a tablet's is the sync status's."""
    if state_of(order.status) is not OrderState.RECEIVED:
        return None
    if order.is_tabletless is False:
        return placed + SYNC_WITHIN
    if order.asap is False:
        return None
    market = order.id.partition(":")[0].lower()
    gulf = market in _GULF or order.total_price.currency_code in ("KWD", "AED")
    return placed + (ACCEPT_WITHIN_GULF if gulf else ACCEPT_WITHIN)


def _address(order: models.Order) -> Address | None:
    place = order.delivery.address if order.delivery else None
    if place is None:
        return None
    return Address(
        line1=place.address_line_1 or f"{place.number or ''} {place.street or ''}".strip(),
        line2=place.address_line_2 or "",
        city=place.city or "",
        postal_code=place.postal_code or "",
        latitude=_text(place.latitude),
        longitude=_text(place.longitude),
    )


def _fulfilment(order: models.Order, kind: _Kind) -> Fulfilment:
    prepare_for = moment(order.prepare_for, "order.prepare_for")
    scheduled = order.asap is False
    arrives = moment(order.delivery.estimated_delivery_at, "order.delivery.estimated_delivery_at") if order.delivery else None
    cutlery = (order.cutlery_notes or "").strip()
    notes = [f"Table {order.table_number}" if order.table_number not in (None, "") else ""]
    if scheduled and order.start_preparing_at:
        notes.append(f"start preparing at {order.start_preparing_at}")
    return Fulfilment(
        kind=kind,
        ready_at=prepare_for,
        scheduled_for=(arrives or prepare_for) if scheduled else None,
        note=", ".join(note for note in notes if note),
        courier="Deliveroo" if kind == "delivery_by_platform" else "",
        include_cutlery=None if not cutlery else not cutlery.upper().startswith("NO"),
    )


def _note(order: models.Order) -> str:
    cutlery = (order.cutlery_notes or "").strip()
    parts = [order.order_notes or "", cutlery]
    if order.remake_details is not None:
        parts.insert(0, f"REMAKE of {order.remake_details.parent_order_id or 'an order'}: {order.remake_details.fault or 'no reason told'}")
    return "\n".join(dict.fromkeys(part for part in parts if part))


def _refs(order: models.Order) -> dict[str, str]:
    """What later calls need: who decides (a tablet or we), whether it is confirmed, and the time it was planned for."""
    tablet = {True: "no", False: "yes", None: ""}[order.is_tabletless]
    scheduled = "yes" if order.asap is False else ""
    refs = {"tablet": tablet, "scheduled": scheduled, "prepare_for": order.prepare_for or "", "order_number": _text(order.order_number)}
    return {name: value for name, value in refs.items() if value}


def order_from(order: models.Order, now: datetime) -> Order:
    """Map an order; raises Drifted, naming what is missing or does not fit together."""
    bill = Bill(order)
    placed = placed_at(order, now)
    word = order.fulfillment_type or ""
    kind = _FULFILMENTS.get(word, "delivery_by_platform")
    notes = list(bill.notes)
    if word not in _FULFILMENTS:
        notes.append(NotCarried("fulfillment_type", f"unknown: {word!r}, taken as a delivery by Deliveroo"))
    customer = order.customer or models.Customer()
    if customer.loyalty is not None and customer.loyalty.loyalty_id:
        notes.append(NotCarried("customer.loyalty", "the hub's order has no place for a loyalty number"))
    return Order(
        platform=SLUG,
        platform_order_id=order.id,
        store_ref=str(order.location_id),
        currency=bill.currency,
        lines=bill.lines,
        total=bill.total,
        placed_at=placed,
        fulfilment=_fulfilment(order, kind),
        display_id=_text(order.display_id) or _text(order.order_number),
        customer=Customer(
            name=customer.first_name or "",
            phone=customer.contact_number or "",
            phone_code=customer.contact_access_code or "",
            address=_address(order),
        ),
        charges=bill.charges,
        discounts=bill.discounts,
        payments=bill.payments,
        note=_note(order),
        deadline_at=_deadline(order, placed),
        vendor_refs=_refs(order),
        not_carried=tuple(notes),
    )


# Riders


def rider_of(riders: Sequence[models.Rider] | None) -> tuple[models.Rider, models.LogEntry] | None:
    """The rider with the newest news, and what it is: the logs are the truth, whatever came first."""
    found: tuple[models.Rider, models.LogEntry] | None = None
    newest = datetime.min.replace(tzinfo=UTC)
    for rider in riders or []:
        for entry in rider.status_log or []:
            at = moment(entry.at, "riders.status_log.at")
            if at is not None and at >= newest:
                newest, found = at, (rider, entry)
    return found


def courier_state(status: str | None) -> CourierState | None:
    """The hub's word for a rider's status; None for one that nobody foresaw."""
    return _RIDERS.get(status or "")


def orders_of(body: models.Body) -> tuple[str, ...]:
    """The orders on a rider's trip: the call's own, then those it is stacked with."""
    return tuple(dict.fromkeys(each for each in (body.order_id or "", *(body.stacked_with or [])) if each))


def sightings(body: models.Body) -> tuple[CourierSighting, ...]:
    """Where the rider of each order on the trip is.

    What happened, it happened to the call's own order: of those stacked with it only the rider's position is known.
    """
    news = rider_of(body.riders)
    state = courier_state(news[1].status) if news else None
    if news is None or state is None:
        return ()
    rider = news[0]
    at = moment(rider.at, "riders.at") or moment(news[1].at, "riders.status_log.at")
    eta = moment(rider.estimated_arrival_time, "riders.estimated_arrival_time")
    seen = CourierSighting("", state, at, _text(rider.lat), _text(rider.lon), eta)
    beside = msgspec.structs.replace(seen, state="assigned", eta=None)
    return tuple(
        msgspec.structs.replace(seen if order == body.order_id else beside, platform_order_id=order)
        for order in orders_of(body)
        if order == body.order_id or state != "unassigned"
    )
