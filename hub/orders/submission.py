"""An order goes to the POS, once; and comes back from it when somebody cancelled."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from hub.attempts import Find, Unresolvable
from hub.clock import utc_now
from hub.contract import (
    Cancelled,
    CancelTask,
    CannotCancel,
    Done,
    Lane,
    NotFound,
    Offline,
    OrderCancel,
    OrderSearch,
    PosOrder,
    PosRejected,
    Queued,
    Rejected,
    RetryLater,
    Step,
    SubmitTask,
    Submitted,
)
from hub.ids import new_id
from hub.mailbox.changes import Changes, Dead, Later, NewAlert, OrderUpdate
from hub.mailbox.claims import OrderRow
from hub.mailbox.messages import NewMessage
from hub.mailbox.retry import backoff
from hub.model import NotCarried, Order, OrderState
from hub.orders.intake import cancel_at_pos, reject_message
from hub.orders.lifecycle import UNSET, attention, is_over, order_event
from hub.orders.records import order_of
from hub.orders.resolution import resolve
from hub.ownership.owner import Desk
from hub.ownership.workplace import Workplace

LOOK_SECONDS = 2.0
"""How soon a queued order is asked for, where its POS can be asked; its own call is expected to come first."""
CLOCK_DOUBT = timedelta(hours=2)
"""How far a clock of ours may have been ahead when an order was sent."""
LOOK_FOR_SECONDS = 3600.0
"""How long a cancelled order that may be in the POS is looked for."""


async def submit(place: Workplace, desk: Desk) -> Changes:
    """Put an order into the POS. Harmless when it is there, or when it was decided otherwise meanwhile."""
    claim = desk.claim
    row = claim.order
    if row is None:
        return Changes(end=Dead("error", "the order of this submit is not there"))
    if row.pos_order_id is not None and not is_over(row):
        return Changes()
    adapter = place.target
    assert adapter is not None
    order, key = order_of(place.master, place.tenant, claim)
    effects = place.effects(desk, key, order=row)
    if is_over(row) or row.decision == "reject":
        # Somebody decided while this waited. What may be in the POS is the cancel's to find.
        if effects.may_be_there:
            return Changes(messages=(cancel_at_pos(row.id, row.pos_connection, row.correlation, "late_submit"),))
        return Changes()
    task = await _task(place, row, order)

    async def plan(done: Mapping[str, Done]) -> Step | Submitted | Queued | Offline | PosRejected:
        return await adapter.submit(task, done)

    try:
        result: Submitted | Queued | Offline | PosRejected = await effects.run(plan, _finder(place.search, task))
    except Unresolvable as error:
        return _unresolvable(row, str(error))
    except Rejected as error:
        if effects.may_be_there:
            # A read was refused while a write's outcome is unknown: that says nothing about the order.
            raise RetryLater(f"the order may be in the POS, and the POS refuses a read: {error}") from error
        result = PosRejected(str(error), error.code)
    return _submitted(row, order, result)


def _finder(search: OrderSearch | None, task: SubmitTask) -> Find | None:
    if search is None:
        return None

    async def find(step: str, since: datetime) -> Done | None:
        # An hour ahead, our clock would have it looked for after it was made; before it was placed it is nowhere.
        return await search.find(task, step, max(task.order.placed_at, since - CLOCK_DOUBT))

    return find


async def _task(place: Workplace, row: OrderRow, order: Order) -> SubmitTask:
    link = await place.link(row.link)
    if link is None:
        raise RetryLater("the order's link is not there")
    _, menu = await place.menu(link.pos_connection, link.pos_location_ref)
    products = resolve(order, menu, link.mappings).products
    return SubmitTask(row.id, order, link.pos_location_ref, products, row.generation)


def _submitted(row: OrderRow, order: Order, result: Submitted | Queued | Offline | PosRejected) -> Changes:
    match result:
        case Submitted():
            return _accepted_by_pos(row, order, result)
        case Queued():
            update = OrderUpdate(
                id=row.id,
                version=row.version,
                pos_order_id=result.pos_order_id,
                decision="queued",
                not_carried=_merged(row, result.not_carried) if result.not_carried else None,
            )
            event = order_event(row, "queued_at_pos", pos_order_id=result.pos_order_id, adjustment=result.adjustment)
            return Changes(order=update, events=(event,), messages=(_look_again(row, result),))
        case Offline():
            return Changes(
                end=Later(10.0),
                alerts=(_alert(row, "pos.offline", f"the POS is offline: {result.reason}", f"offline/{row.pos_connection}"),),
            )
        case PosRejected():
            detail = f"the POS refused the order: {result.reason}"
            update = OrderUpdate(
                id=row.id, version=row.version, decision="reject", attention=attention("pos_rejected", detail, code=result.code)
            )
            return Changes(
                order=update,
                events=(order_event(row, "rejected_by_pos", "order.attention", code=result.code),),
                alerts=(_alert(row, "order.rejected_by_pos", detail, f"pos_rejected/{row.id}"),),
                messages=(_reject(row, "other"),),
            )


def _look_again(row: OrderRow, result: Queued) -> NewMessage:
    return NewMessage(
        connection=row.pos_connection,
        kind="pos.look",
        subject=f"order/{row.id}",
        dedupe_key=f"order/{row.id}/look/{row.generation}",
        lane=Lane.CANCEL,  # a timer: what the POS tells meanwhile must not wait behind it
        correlation=row.correlation,
        available_at=utc_now() + timedelta(seconds=LOOK_SECONDS),
        deadline_at=result.until,
    )


def _reject(row: OrderRow, reason: str) -> NewMessage:
    return reject_message(row.delivery_connection, row.id, row.platform_order_id, reason, row.correlation)


def taken_from_queue(row: OrderRow, order: Order, seen: PosOrder) -> Changes:
    """The POS says what became of an order that it had queued: taken, or refused."""
    if seen.state in (OrderState.FAILED, OrderState.REJECTED, OrderState.CANCELLED):
        return _submitted(row, order, PosRejected(seen.reason or f"the POS says {seen.state.value}"))
    return _accepted_by_pos(row, order, Submitted(seen.pos_order_id, seen.total or order.merchant_total()))


def _accepted_by_pos(row: OrderRow, order: Order, result: Submitted) -> Changes:
    alerts: tuple[NewAlert, ...] = ()
    flag = UNSET
    if result.total != order.merchant_total():
        detail = (
            f"the POS shows {result.total.amount} {result.total.currency}, the channel owes "
            f"{order.merchant_total().amount} {order.currency} (minor units)"
        )
        flag = attention("total_differs", detail)  # type: ignore[assignment]  # UNSET or a dict
        alerts = (_alert(row, "order.attention", detail, f"total/{row.id}"),)
    update = OrderUpdate(
        id=row.id,
        version=row.version,
        pos_order_id=result.pos_order_id,
        decision="accept",
        not_carried=_merged(row, result.not_carried) if result.not_carried else None,
        attention=flag,
    )
    event = order_event(row, "in_pos", pos_order_id=result.pos_order_id, adjustment=result.adjustment, pos_total=result.total.amount)
    return Changes(order=update, events=(event,), alerts=alerts, messages=(accept_message(row),))


def _merged(row: OrderRow, more: tuple[NotCarried, ...]) -> list[dict[str, str]]:
    known = [*row.not_carried]
    for each in more:
        entry = {"field": each.field, "reason": each.reason}
        if entry not in known:
            known.append(entry)
    return known


def accept_message(row: OrderRow, why: str = "in_pos") -> NewMessage:
    """The message that has the platform told yes."""
    return NewMessage(
        connection=row.delivery_connection,
        kind="platform.accept",
        subject=f"order/{row.platform_order_id}",
        dedupe_key=f"order/{row.id}/accept/{row.generation}/{why}",
        lane=Lane.ORDER,
        correlation=row.correlation,
        deadline_at=row.deadline_at,
    )


def _alert(row: OrderRow, kind: str, detail: str, dedupe_key: str) -> NewAlert:
    return NewAlert(id=new_id("alr"), dedupe_key=dedupe_key, kind=kind, severity="critical", subject=row.id, detail=detail[:500])


def _unresolvable(row: OrderRow, detail: str) -> Changes:
    update = OrderUpdate(id=row.id, version=row.version, decision="unknown", attention=attention("outcome_unknown", detail))
    return Changes(
        order=update,
        events=(order_event(row, "outcome_unknown", "order.attention"),),
        alerts=(_alert(row, "order.outcome_unknown", f"look in the POS, then resubmit or accept: {detail}", f"unknown/{row.id}"),),
    )


async def cancel(place: Workplace, desk: Desk) -> Changes:
    """Take an order back from the POS; look for it as long as it may still turn up there."""
    claim = desk.claim
    row = claim.order
    if row is None:
        return Changes()
    order, key = order_of(place.master, place.tenant, claim)
    submitted = place.effects(desk, key, order=row)
    told = [done.vendor_ref for _, done in sorted(submitted.done.items(), key=lambda each: each[0] != "order") if done.vendor_ref]
    pos_order_id = row.pos_order_id or next(iter(told), None)
    if pos_order_id is None:
        if not submitted.may_be_there:
            return Changes()
        found = await _look(place, row, order, claim.at)
        if isinstance(found, Changes):
            return found
        pos_order_id = found
    link = await place.link(row.link)
    location_ref = link.pos_location_ref if link is not None else ""
    task = CancelTask(row.id, pos_order_id, location_ref, "cancelled by the channel", row.generation)

    adapter = place.adapter

    async def plan(done: Mapping[str, Done]) -> Step | Cancelled | CannotCancel:
        if not isinstance(adapter, OrderCancel):
            return CannotCancel(f"{place.facts.name} takes no cancel by its API: void it at the POS")
        return await adapter.cancel(task, done)

    cancels = place.effects(desk, key, order=row, family="cancel")
    try:
        result: Cancelled | CannotCancel = await cancels.run(plan)
    except NotFound:
        result = Cancelled()
    except (Rejected, Unresolvable) as error:
        result = CannotCancel(str(error))
    if isinstance(result, CannotCancel):
        detail = f"the POS keeps a cancelled order ({pos_order_id}): {result.reason}"
        return Changes(
            order=OrderUpdate(id=row.id, version=row.version, attention=attention("cannot_cancel", detail)),
            events=(order_event(row, "pos_keeps_order", "order.attention", pos_order_id=pos_order_id),),
            alerts=(_alert(row, "order.attention", detail, f"cannot_cancel/{row.id}"),),
        )
    update = OrderUpdate(id=row.id, version=row.version, pos_order_id=pos_order_id)
    return Changes(order=update, events=(order_event(row, "cancelled_at_pos", pos_order_id=pos_order_id),))


async def _look(place: Workplace, row: OrderRow, order: Order, since: datetime) -> str | Changes:
    finder = _finder(place.search, await _task(place, row, order))
    if finder is not None:
        found = await finder("order", row.placed_at - timedelta(minutes=5))
        if found is not None and found.vendor_ref:
            return found.vendor_ref
        if utc_now() - since < timedelta(seconds=LOOK_FOR_SECONDS):
            return Changes(end=Later(max(5.0, backoff(8)), fresh=True))
    detail = "a cancelled order may be in the POS, but was not found within an hour: look for it there"
    return Changes(
        order=OrderUpdate(id=row.id, version=row.version, attention=attention("may_be_in_pos", detail)),
        events=(order_event(row, "not_found_at_pos", "order.attention"),),
        alerts=(_alert(row, "order.attention", detail, f"may_be_in_pos/{row.id}"),),
    )
