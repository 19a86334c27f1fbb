"""Couriers: where they are as the platform tells it; an order that left or arrived moves with them."""

from hub.contract import CourierTracking
from hub.mailbox.changes import Changes
from hub.model import OrderState
from hub.orders.lifecycle import is_over, move, order_event, with_more
from hub.ownership.owner import Desk
from hub.ownership.workplace import Workplace

_MOVES = {"picked_up": OrderState.PICKED_UP, "delivered": OrderState.DELIVERED}


async def courier_moved(place: Workplace, desk: Desk) -> Changes:
    """Follow the courier of one order; positions go into the event, names and numbers nowhere."""
    claim, row = desk.claim, desk.claim.order
    if row is None or not isinstance(place.adapter, CourierTracking):
        return Changes()
    notice = await place.bodies.open(place.tenant, claim.body, "messages", place.connection, claim.dedupe_key)
    # A call about one order may name it nowhere but in its address: then the fact's subject did.
    seen = [s for s in place.adapter.couriers(notice) if s.platform_order_id in ("", row.platform_order_id)]
    if not seen:
        return Changes()
    newest = seen[-1]
    data = {
        "courier": newest.state,
        "latitude": newest.latitude,
        "longitude": newest.longitude,
        "eta": newest.eta.isoformat() if newest.eta else "",
        "seen_at": newest.at.isoformat() if newest.at else "",
    }
    event = order_event(row, "courier_moved", "order.updated", **data)
    state = _MOVES.get(newest.state)
    moved = move(row, state, f"courier_{newest.state}") if state is not None and not is_over(row) else None
    return with_more(moved, events=(event,)) if moved is not None else Changes(events=(event,))
