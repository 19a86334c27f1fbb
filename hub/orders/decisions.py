"""What the platform is told: yes, no, ready, cancelled; and the clock that sees to it that it is told in time."""

import msgspec

from hub.clock import utc_now
from hub.contract import DecisionTask, Done, Misconfigured, NotFound, OrderIntake, Rejected
from hub.ids import new_id
from hub.mailbox.changes import Changes, Later, NewAlert, OrderUpdate
from hub.mailbox.claims import OrderRow
from hub.model import OrderState
from hub.orders.intake import OVER, cancel_at_pos, reject_message
from hub.orders.lifecycle import is_over, late_key, move, order_event, with_more
from hub.orders.records import order_of
from hub.orders.submission import accept_message
from hub.ownership.owner import Desk
from hub.ownership.workplace import Workplace


class Reason(msgspec.Struct, frozen=True):
    """The body of a reject or cancel that a person asked for."""

    reason: str = "other"
    detail: str = ""


async def _reason(place: Workplace, desk: Desk) -> Reason:
    claim = desk.claim
    if not claim.body:
        return Reason(claim.dedupe_key.rsplit("/", 1)[-1] if claim.kind == "platform.reject" else "other")
    text = await place.bodies.open(place.tenant, claim.body, "messages", place.connection, claim.dedupe_key)
    return msgspec.json.decode(text, type=Reason)


def _task(place: Workplace, desk: Desk, row: OrderRow, given: Reason | None = None) -> tuple[DecisionTask, OrderIntake]:
    adapter = place.adapter
    assert isinstance(adapter, OrderIntake)
    order, _ = order_of(place.master, place.tenant, desk.claim)
    reason = given or Reason()
    known = reason.reason if reason.reason in place.facts.reject_reasons else "other"
    task = DecisionTask(
        row.id, row.platform_order_id, order.store_ref, ready_at=order.fulfilment.ready_at, reason=known, detail=reason.detail
    )
    return task, adapter


async def _perform(place: Workplace, desk: Desk, row: OrderRow, step: str, given: Reason | None = None) -> Done:
    task, adapter = _task(place, desk, row, given)
    _, key = order_of(place.master, place.tenant, desk.claim)
    steps = {
        "accept": adapter.accept_step,
        "reject": adapter.reject_step,
        "ready": adapter.ready_step,
        "cancel": adapter.cancel_step,
    }
    return await place.effects(desk, key, order=row, family="platform").perform(steps[step](task))


async def accept(place: Workplace, desk: Desk) -> Changes:
    """Tell the platform yes: the order is in the POS (or its link says so at the deadline)."""
    row = desk.claim.order
    if row is None or row.state is not OrderState.RECEIVED or row.decision == "reject":
        return Changes()
    try:
        done = await _perform(place, desk, row, "accept")
    except Rejected as error:
        return await _refused(place, desk, row, error)
    if await _gone(place, row, done):
        return _gone_changes(row)
    changes = move(row, OrderState.ACCEPTED, "accepted")
    assert changes is not None
    return changes


async def _gone(place: Workplace, row: OrderRow, done: Done) -> bool:
    # A 409 also means "too late": where the platform said that it was settled before, the hub looks on what.
    if not done.data.get("settled"):
        return False
    return await _is_over_there(place, row)


def _gone_changes(row: OrderRow) -> Changes:
    changes = move(row, OrderState.CANCELLED, "over_at_platform")
    assert changes is not None
    return with_more(changes, messages=(cancel_at_pos(row.id, row.pos_connection, row.correlation, "over"),))


async def _refused(place: Workplace, desk: Desk, row: OrderRow, error: Rejected) -> Changes:
    adapter = place.adapter
    assert isinstance(adapter, OrderIntake)
    try:
        fetched = await adapter.fetch_order(row.platform_order_id, b"")
    except NotFound:
        return _gone_changes(row)
    if fetched.state in OVER:
        return _gone_changes(row)
    if fetched.state is not OrderState.RECEIVED:
        changes = move(row, OrderState.ACCEPTED, "accepted_elsewhere")
        assert changes is not None
        return changes
    raise Misconfigured(f"the platform refuses the accept of an open order: {error}", detail=error.detail) from error


async def reject(place: Workplace, desk: Desk) -> Changes:
    """Tell the platform no, and take the order back from the POS should it be there."""
    row = desk.claim.order
    if row is None or row.state is not OrderState.RECEIVED:
        return Changes()
    given = await _reason(place, desk)
    step = "rejected"
    try:
        await _perform(place, desk, row, "reject", given)
    except Rejected:
        fetched_over = await _is_over_there(place, row)
        if not fetched_over:
            raise
        step = "over_at_platform"
    changes = move(row, OrderState.REJECTED, step, reason=given.reason)
    assert changes is not None
    return with_more(changes, messages=(cancel_at_pos(row.id, row.pos_connection, row.correlation, "rejected"),))


async def _is_over_there(place: Workplace, row: OrderRow) -> bool:
    adapter = place.adapter
    assert isinstance(adapter, OrderIntake)
    try:
        return (await adapter.fetch_order(row.platform_order_id, b"")).state in OVER
    except NotFound:
        return True


async def ready(place: Workplace, desk: Desk) -> Changes:
    """Tell the platform that the food is ready."""
    row = desk.claim.order
    if row is None or is_over(row) or row.state is OrderState.RECEIVED:
        return Changes()
    await _perform(place, desk, row, "ready")
    moved = move(row, OrderState.READY, "ready")
    return moved or Changes(events=(order_event(row, "platform_knows_ready"),))


async def cancel(place: Workplace, desk: Desk) -> Changes:
    """The restaurant takes an accepted order back: tell the platform, then the POS."""
    row = desk.claim.order
    if row is None or is_over(row):
        return Changes()
    if row.state is OrderState.RECEIVED:
        return await reject(place, desk)
    given = await _reason(place, desk)
    try:
        await _perform(place, desk, row, "cancel", given)
    except Rejected:
        if not await _is_over_there(place, row):
            raise
    changes = move(row, OrderState.CANCELLED, "cancelled_by_restaurant", reason=given.reason)
    assert changes is not None
    return with_more(changes, messages=(cancel_at_pos(row.id, row.pos_connection, row.correlation, "restaurant"),))


async def deadline(place: Workplace, desk: Desk) -> Changes:
    """The clock of an undecided order: an alert first, then what the link says about the deadline."""
    claim = desk.claim
    row = claim.order
    if row is None or row.state is not OrderState.RECEIVED:
        return Changes()
    limit = claim.deadline_at or row.deadline_at
    left = (limit - utc_now()).total_seconds() if limit else 0.0
    alert = NewAlert(
        id=new_id("alr"),
        dedupe_key=late_key(row.id),
        kind="order.late",
        severity="warning" if left > 0 else "critical",
        subject=row.id,
        detail=f"order {row.platform_order_id} is undecided ({row.decision or 'no decision'}); its platform waits until "
        f"{row.deadline_at:%H:%M:%S} UTC",
    )
    event = order_event(row, "deadline_near", "order.attention")
    if left > 0:
        return Changes(end=Later(left, fresh=True), alerts=(alert,), events=(event,))
    link = await place.link(row.link)
    policy = link.at_deadline if link is not None else "reject"
    if policy == "accept" or row.decision == "accept":
        return Changes(
            order=OrderUpdate(id=row.id, version=row.version, decision="accept"),
            events=(order_event(row, "deadline_accept"),),
            alerts=(alert,),
            messages=(accept_message(row, "deadline"),),
        )
    return Changes(
        order=OrderUpdate(id=row.id, version=row.version, decision="reject"),
        events=(order_event(row, "deadline_reject"),),
        alerts=(alert,),
        messages=(reject_message(row.delivery_connection, row.id, row.platform_order_id, "pos_offline", row.correlation),),
    )
