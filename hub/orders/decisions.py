"""What the platform is told: yes, no, ready, cancelled; and the clock that sees to it that it is told in time."""

from datetime import datetime

import msgspec

from hub.clock import utc_now
from hub.contract import (
    AmendTask,
    DecisionTask,
    Done,
    Misconfigured,
    NotFound,
    OrderAmend,
    Rejected,
    Step,
    TakesCancel,
    TakesDelay,
    TellsPickedUp,
    TellsPreparing,
    TellsReady,
    Unreadable,
)
from hub.ids import new_id
from hub.mailbox.changes import Changes, Later, NewAlert, OrderUpdate
from hub.mailbox.claims import OrderRow
from hub.model import Order, OrderState
from hub.orders.intake import OVER, cancel_at_pos, reject_message
from hub.orders.lifecycle import attention, is_over, late_key, move, order_event, with_more
from hub.orders.records import order_of
from hub.orders.submission import accept_message
from hub.ownership.owner import Desk
from hub.ownership.workplace import Workplace


class Reason(msgspec.Struct, frozen=True):
    """The body of what a person asked for: why, the new time of a delay, the new quantities of an amendment by line id."""

    reason: str = "other"
    detail: str = ""
    ready_at: datetime | None = None
    quantities: dict[str, int] = {}


async def _reason(place: Workplace, desk: Desk) -> Reason:
    claim = desk.claim
    if not claim.body:
        return Reason(claim.dedupe_key.rsplit("/", 1)[-1] if claim.kind == "platform.reject" else "other")
    text = await place.bodies.open(place.tenant, claim.body, "messages", place.connection, claim.dedupe_key)
    return msgspec.json.decode(text, type=Reason)


def _task(place: Workplace, order: Order, row: OrderRow, given: Reason | None = None) -> DecisionTask:
    reason = given or Reason()
    known = reason.reason if reason.reason in place.facts.reject_reasons else "other"
    return DecisionTask(
        row.id,
        row.platform_order_id,
        order.store_ref,
        ready_at=reason.ready_at or order.fulfilment.ready_at,
        reason=known,
        detail=reason.detail,
        pos_order_id=row.pos_order_id or "",
        fulfilment=order.fulfilment.kind,
        vendor_refs=order.vendor_refs,
    )


def _step(place: Workplace, order: Order, row: OrderRow, word: str, given: Reason | None) -> Step | None:
    """The write that tells the platform a word; None where this platform, or this order, has no such word."""
    adapter, intake, task = place.adapter, place.intake, _task(place, order, row, given)
    match word:
        case "accept" if intake is not None:
            return intake.accept_step(task)
        case "reject" if intake is not None:
            return intake.reject_step(task)
        case "preparing" if isinstance(adapter, TellsPreparing):
            return adapter.preparing_step(task)
        case "ready" if isinstance(adapter, TellsReady):
            return adapter.ready_step(task)
        case "picked_up" if isinstance(adapter, TellsPickedUp):
            return adapter.picked_up_step(task)
        case "delay" if isinstance(adapter, TakesDelay):
            return adapter.delay_step(task)
        case "cancel" if isinstance(adapter, TakesCancel):
            return adapter.cancel_step(task)
    return None


async def _perform(place: Workplace, desk: Desk, row: OrderRow, word: str, given: Reason | None = None) -> Done | None:
    order, key = order_of(place.master, place.tenant, desk.claim)
    step = _step(place, order, row, word, given)
    if step is None:
        return None
    return await place.effects(desk, key, order=row, family="platform").perform(step)


async def accept(place: Workplace, desk: Desk) -> Changes:
    """Tell the platform yes: the order is in the POS (or its link says so at the deadline)."""
    row = desk.claim.order
    if row is None or row.state is not OrderState.RECEIVED or row.decision == "reject":
        return Changes()
    try:
        done = await _perform(place, desk, row, "accept")
    except Rejected as error:
        return await _refused(place, row, error)
    if await _gone(place, row, done):
        return _gone_changes(row)
    changes = move(row, OrderState.ACCEPTED, "accepted")
    assert changes is not None
    return changes


async def _gone(place: Workplace, row: OrderRow, done: Done | None) -> bool:
    # A 409 also means "too late": where the platform said that it was settled before, the hub looks on what.
    if done is None or not done.data.get("settled"):
        return False
    return await _over_there(place, row) is True


def _critical(row: OrderRow, key: str, detail: str) -> NewAlert:
    return NewAlert(id=new_id("alr"), dedupe_key=key, kind="order.attention", severity="critical", subject=row.id, detail=detail[:500])


def _gone_changes(row: OrderRow) -> Changes:
    changes = move(row, OrderState.CANCELLED, "over_at_platform")
    assert changes is not None
    return with_more(changes, messages=(cancel_at_pos(row.id, row.pos_connection, row.correlation, "over"),))


async def _refused(place: Workplace, row: OrderRow, error: Rejected) -> Changes:
    state = await _state_there(place, row)
    if state is None:
        # Nobody can be asked: the order is in the POS, and a person has to hear what the platform made of it.
        detail = f"the platform refused the accept and cannot be asked what became of the order: {error}"
        changes = move(row, OrderState.FAILED, "accept_refused", attention=attention("accept_refused", detail))
        assert changes is not None
        alert = _critical(row, f"accept_refused/{row.id}", detail)
        return with_more(changes, alerts=(alert,), messages=(cancel_at_pos(row.id, row.pos_connection, row.correlation, "refused"),))
    if state in OVER:
        return _gone_changes(row)
    if state is not OrderState.RECEIVED:
        changes = move(row, OrderState.ACCEPTED, "accepted_elsewhere")
        assert changes is not None
        return changes
    raise Misconfigured(f"the platform refuses the accept of an open order: {error}", detail=error.detail) from error


async def _state_there(place: Workplace, row: OrderRow) -> OrderState | None:
    """Where the platform has the order; cancelled when it does not know it, None when it cannot be asked."""
    adapter = place.intake
    assert adapter is not None
    try:
        return (await adapter.fetch_order(row.platform_order_id, b"", await place.places())).state
    except NotFound:
        return OrderState.CANCELLED
    except Unreadable:
        return None


async def _over_there(place: Workplace, row: OrderRow) -> bool | None:
    state = await _state_there(place, row)
    return None if state is None else state in OVER


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
        if await _over_there(place, row) is False:
            raise
        step = "over_at_platform"
    changes = move(row, OrderState.REJECTED, step, reason=given.reason)
    assert changes is not None
    return with_more(changes, messages=(cancel_at_pos(row.id, row.pos_connection, row.correlation, "rejected"),))


async def ready(place: Workplace, desk: Desk) -> Changes:
    """Tell the platform that the food is ready."""
    row = desk.claim.order
    if row is None or is_over(row) or row.state is OrderState.RECEIVED:
        return Changes()
    await _perform(place, desk, row, "ready")
    moved = move(row, OrderState.READY, "ready")
    return moved or Changes(events=(order_event(row, "platform_knows_ready"),))


async def preparing(place: Workplace, desk: Desk) -> Changes:
    """Tell the platform that the kitchen has begun."""
    return await _tell(place, desk, "preparing", OrderState.PREPARING)


async def picked_up(place: Workplace, desk: Desk) -> Changes:
    """Tell the platform that the food left the restaurant."""
    return await _tell(place, desk, "picked_up", OrderState.PICKED_UP)


async def _tell(place: Workplace, desk: Desk, word: str, state: OrderState) -> Changes:
    row = desk.claim.order
    if row is None or is_over(row) or row.state is OrderState.RECEIVED:
        return Changes()
    told = await _perform(place, desk, row, word)
    moved = move(row, state, word)
    if moved is not None:
        return moved
    return Changes(events=(order_event(row, f"platform_knows_{word}"),)) if told is not None else Changes()


async def delay(place: Workplace, desk: Desk) -> Changes:
    """Move the time at which the food is ready; refused with what to do where the platform takes no such word."""
    row = desk.claim.order
    if row is None or is_over(row):
        return Changes()
    given = await _reason(place, desk)
    order, key = order_of(place.master, place.tenant, desk.claim)
    step = _step(place, order, row, "delay", given)
    if step is None:
        return Changes(events=(order_event(row, "delay_not_possible", "order.attention"),))
    step = msgspec.structs.replace(step, name=f"{step.name}/{desk.claim.message}")
    await place.effects(desk, key, order=row, family="platform").perform(step)
    when = given.ready_at.isoformat() if given.ready_at else ""
    return Changes(events=(order_event(row, "delayed", ready_at=when),))


async def amend(place: Workplace, desk: Desk) -> Changes:
    """Take lines out of an accepted order, or reduce them, at the platform; the POS's staff does it there."""
    row = desk.claim.order
    adapter = place.adapter
    if row is None or is_over(row):
        return Changes()
    given = await _reason(place, desk)
    order, key = order_of(place.master, place.tenant, desk.claim)
    step = None
    if isinstance(adapter, OrderAmend):
        step = adapter.amend_step(AmendTask(_task(place, order, row, given), order, given.quantities))
    if step is None:
        return Changes(events=(order_event(row, "amend_not_possible", "order.attention"),))
    step = msgspec.structs.replace(step, name=f"{step.name}/{desk.claim.message}")
    await place.effects(desk, key, order=row, family="platform").perform(step)
    return Changes(events=(order_event(row, "amended", lines=sorted(given.quantities)),))


async def cancel(place: Workplace, desk: Desk) -> Changes:
    """The restaurant takes an accepted order back: tell the platform, then the POS."""
    row = desk.claim.order
    if row is None or is_over(row):
        return Changes()
    if row.state is OrderState.RECEIVED:
        return await reject(place, desk)
    given = await _reason(place, desk)
    if not isinstance(place.adapter, TakesCancel):
        return _cannot_cancel(row)
    try:
        await _perform(place, desk, row, "cancel", given)
    except Rejected:
        if await _over_there(place, row) is not True:
            raise
    changes = move(row, OrderState.CANCELLED, "cancelled_by_restaurant", reason=given.reason)
    assert changes is not None
    return with_more(changes, messages=(cancel_at_pos(row.id, row.pos_connection, row.correlation, "restaurant"),))


def _cannot_cancel(row: OrderRow) -> Changes:
    detail = "the platform takes no cancel after an accept by its API: call it, or cancel in its own tool"
    alert = _critical(row, f"call_platform/{row.id}", detail)
    return Changes(
        order=OrderUpdate(id=row.id, version=row.version, attention=attention("call_platform", detail)),
        events=(order_event(row, "platform_takes_no_cancel", "order.attention"),),
        alerts=(alert,),
    )


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
