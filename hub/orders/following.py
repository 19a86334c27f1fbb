"""The POS moves an order: read where it is, follow it, tell the platform."""

from hub.contract import Lane, NotFound, OrderTarget, PosOrder, RetryLater
from hub.ids import is_id
from hub.mailbox.changes import Changes, Later
from hub.mailbox.claims import OrderRow
from hub.mailbox.messages import NewMessage
from hub.model import OrderState
from hub.orders.lifecycle import is_over, move, order_event, with_more
from hub.ownership.owner import Desk
from hub.ownership.workplace import Workplace

EARLY_TRIES = 8
"""A POS tells of an order we just made before our own commit: wait for it this many times."""
LATEST_TRIES = 70
"""An order that the hub made but knows nothing of after an hour was erased, or is another hub's."""


async def pos_order_changed(place: Workplace, desk: Desk) -> Changes:
    """Follow one POS order. Orders that are not from the hub are none of its business."""
    claim = desk.claim
    adapter = place.adapter
    assert isinstance(adapter, OrderTarget)
    row = claim.order
    if row is not None and is_over(row):
        return Changes()
    try:
        seen = await adapter.order(claim.key)
    except NotFound:
        return Changes()
    if row is None:
        if not is_id("ord", seen.reference):
            return Changes()
        if claim.tries < EARLY_TRIES:
            raise RetryLater("the order's own submit has not ended yet")
        # Slower from here: reconcile would not bring this very version back.
        return Changes(end=Later(60.0)) if claim.tries < LATEST_TRIES else Changes()
    return _follow(row, seen)


def _follow(row: OrderRow, seen: PosOrder) -> Changes:
    if row.state is OrderState.RECEIVED:
        # The platform has not been told yes yet; what the kitchen does before that is read again afterwards.
        if seen.state in (OrderState.RECEIVED, OrderState.ACCEPTED):
            return Changes()
        raise RetryLater("the platform has not confirmed the order yet", after=1.0)
    if seen.state is OrderState.CANCELLED:
        message = _tell(row, "platform.cancel", f"order/{row.id}/pos_cancelled", Lane.CANCEL)
        return Changes(events=(order_event(row, "cancelled_in_pos"),), messages=(message,))
    if seen.state is OrderState.READY:
        message = _tell(row, "platform.ready", f"order/{row.id}/ready", Lane.STATUS)
        moved = move(row, OrderState.READY, "ready_in_pos")
        return with_more(moved, messages=(message,)) if moved else Changes()
    moved = move(row, seen.state, f"{seen.state.value}_in_pos")
    return moved or Changes()


def _tell(row: OrderRow, kind: str, dedupe_key: str, lane: Lane) -> NewMessage:
    return NewMessage(
        connection=row.delivery_connection,
        kind=kind,
        subject=f"order/{row.platform_order_id}",
        dedupe_key=dedupe_key,
        lane=lane,
        correlation=row.correlation,
    )
