"""The POS moves an order: read where it is (or hear it from the POS's call), follow it, tell the platform."""

from hub.clock import utc_now
from hub.contract import Lane, NotFound, PosOrder, RetryLater, Unreadable
from hub.ids import is_id, new_id
from hub.mailbox.changes import Changes, Later, NewAlert, OrderUpdate
from hub.mailbox.claims import OrderRow
from hub.mailbox.messages import NewMessage
from hub.mailbox.retry import backoff
from hub.model import FINAL, OrderState
from hub.orders.lifecycle import attention, is_over, move, order_event, with_more
from hub.orders.records import order_of
from hub.orders.submission import taken_from_queue
from hub.ownership.owner import Desk
from hub.ownership.workplace import Workplace


async def pos_order_changed(place: Workplace, desk: Desk) -> Changes:
    """Follow one POS order. Orders that are not from the hub are none of its business."""
    claim = desk.claim
    adapter = place.target
    assert adapter is not None
    row = claim.order
    if row is not None and is_over(row):
        return Changes()
    notice = b""
    if claim.body:
        notice = await place.bodies.open(place.tenant, claim.body, "messages", place.connection, claim.dedupe_key)
    try:
        seen = await adapter.order(claim.key, notice)
    except NotFound:
        return _vanished(row) if row is not None else Changes()
    except Unreadable:
        return Changes()
    if row is None:
        if is_id("ord", seen.reference) and await _is_ours(place, seen.reference, claim.key):
            raise RetryLater("the order's own submit has not ended yet")
        return Changes()
    return _follow(place, desk, row, seen)


async def look(place: Workplace, desk: Desk) -> Changes:
    """Ask for an order that its POS had queued, until it is taken or refused; alert when its time is over."""
    claim = desk.claim
    adapter, row = place.target, claim.order
    assert adapter is not None
    if row is None or is_over(row) or row.state is not OrderState.RECEIVED or row.decision != "queued" or not row.pos_order_id:
        return Changes()
    left = (claim.deadline_at - utc_now()).total_seconds() if claim.deadline_at else 0.0
    try:
        seen = await adapter.order(row.pos_order_id)
    except NotFound:
        seen = None
    except Unreadable:
        return Changes(end=Later(left, fresh=True)) if left > 0 else _unanswered(row)
    if seen is not None and seen.state is not OrderState.RECEIVED:
        return taken_from_queue(row, order_of(place.master, place.tenant, claim)[0], seen)
    if left > 0:
        return Changes(end=Later(min(left, backoff(min(claim.tries, 4))), fresh=False))
    return _unanswered(row)


def _unanswered(row: OrderRow) -> Changes:
    detail = "the POS took the order in and never said what became of it: look in the POS"
    return Changes(
        order=OrderUpdate(id=row.id, version=row.version, attention=attention("pos_silent", detail)),
        events=(order_event(row, "pos_silent", "order.attention"),),
        alerts=(_alert(row, "order.attention", detail, f"pos_silent/{row.id}"),),
    )


def _vanished(row: OrderRow) -> Changes:
    if (row.attention or {}).get("reason") == "vanished":
        return Changes()  # told before: saying it again would make it news for ever
    detail = f"the POS no longer knows order {row.pos_order_id}, which it had taken: ring the kitchen, resubmit if it is not there"
    return Changes(
        order=OrderUpdate(id=row.id, version=row.version, attention=attention("vanished", detail)),
        events=(order_event(row, "vanished_from_pos", "order.attention", pos_order_id=row.pos_order_id),),
        alerts=(_alert(row, "order.vanished", detail, f"vanished/{row.id}"),),
    )


def _alert(row: OrderRow, kind: str, detail: str, dedupe_key: str) -> NewAlert:
    return NewAlert(id=new_id("alr"), dedupe_key=dedupe_key, kind=kind, severity="critical", subject=row.id, detail=detail[:500])


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


def _follow(place: Workplace, desk: Desk, row: OrderRow, seen: PosOrder) -> Changes:
    if row.state is OrderState.RECEIVED:
        if row.decision == "queued" and seen.state is not OrderState.RECEIVED:
            return taken_from_queue(row, order_of(place.master, place.tenant, desk.claim)[0], seen)
        # The platform has not been told yes yet; what the kitchen does before that is read again afterwards.
        if seen.state in (OrderState.RECEIVED, OrderState.ACCEPTED):
            return Changes()
        raise RetryLater("the platform has not confirmed the order yet", after=1.0)
    if seen.state in (OrderState.CANCELLED, OrderState.REJECTED, OrderState.FAILED):
        message = _tell(row, "platform.cancel", f"order/{row.id}/pos_cancelled", Lane.CANCEL)
        return Changes(events=(order_event(row, "cancelled_in_pos"),), messages=(message,))
    word = {OrderState.PREPARING: "preparing", OrderState.READY: "ready", OrderState.PICKED_UP: "picked_up"}.get(seen.state)
    moved = move(row, seen.state, f"{seen.state.value}_in_pos")
    if moved is None:
        return Changes()
    if word is None:
        return moved
    return with_more(moved, messages=(_tell(row, f"platform.{word}", f"order/{row.id}/{word}", Lane.STATUS),))


def _tell(row: OrderRow, kind: str, dedupe_key: str, lane: Lane) -> NewMessage:
    return NewMessage(
        connection=row.delivery_connection,
        kind=kind,
        subject=f"order/{row.platform_order_id}",
        dedupe_key=dedupe_key,
        lane=lane,
        correlation=row.correlation,
    )
