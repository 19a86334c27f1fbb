"""The POS moves an order: read where it is, follow it, tell the platform."""

from hub.contract import Lane, NotFound, OrderTarget, PosOrder, RetryLater
from hub.ids import is_id
from hub.mailbox.changes import Changes
from hub.mailbox.claims import OrderRow
from hub.mailbox.messages import NewMessage
from hub.model import FINAL, OrderState
from hub.orders.lifecycle import is_over, move, order_event, with_more
from hub.ownership.owner import Desk
from hub.ownership.workplace import Workplace


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
        if is_id("ord", seen.reference) and await _is_ours(place, seen.reference, claim.key):
            raise RetryLater("the order's own submit has not ended yet")
        return Changes()
    return _follow(row, seen)


async def _is_ours(place: Workplace, order_id: str, pos_order_id: str) -> bool:
    # Two tenants may share a seller at the vendor: an order that is not this connection's is none of its business.
    async with place.database.tenant(place.tenant) as transaction:
        state = await transaction.fetchval(
            "select state from hub.orders where id = $1 and pos_connection = $2 and coalesce(pos_order_id, $3) = $3",
            order_id,
            place.connection,
            pos_order_id,
        )
    return state is not None and OrderState(state) not in FINAL


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
