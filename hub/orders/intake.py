"""A platform's order comes in: fetched where the notice is thin, mapped, resolved over its link, stored with what follows."""

from datetime import timedelta
from typing import Any

import msgspec

from hub.clock import utc_now
from hub.contract import DecisionTask, Fetched, Lane, NotFound, NoticeStates, OrderIntake, RetryLater, Unreadable
from hub.ids import new_id
from hub.mailbox.changes import Changes, Later, NewAlert, NewEvent, OrderInsert
from hub.mailbox.messages import NewMessage
from hub.mailbox.retry import backoff
from hub.model import NotCarried, Order, OrderState
from hub.orders.lifecycle import attention, move, order_event, with_more
from hub.orders.records import new_consumer_key, seal_order, totals_of
from hub.orders.resolution import Resolution, resolve
from hub.ownership.owner import Desk
from hub.ownership.workplace import Link, Workplace

OVER = frozenset({OrderState.CANCELLED, OrderState.REJECTED, OrderState.FAILED, OrderState.COMPLETED})
NOT_FOUND_TRIES = 6
UNLINKED_SECONDS = 15.0


async def placed(place: Workplace, desk: Desk) -> Changes:
    """Take an order in. A repeated notice, or one whose cancellation came first, changes nothing."""
    claim = desk.claim
    if claim.order is not None or claim.tombstone:
        return Changes()
    adapter = place.intake
    assert adapter is not None
    notice = await place.bodies.open(place.tenant, claim.body, "messages", place.connection, claim.dedupe_key)
    try:
        fetched = await adapter.fetch_order(claim.key, notice, await place.places())
    except NotFound as error:
        if claim.tries < NOT_FOUND_TRIES:
            raise RetryLater(f"the platform does not show the order yet: {error}") from error
        raise
    except Unreadable as error:
        if claim.kind == "order.placed":
            raise
        # News of an order whose own call has not come: it may still be on its way, else nothing ever tells what it holds.
        if claim.tries < NOT_FOUND_TRIES:
            raise RetryLater(f"the order itself has not come yet: {error}") from error
        return Changes()
    if fetched.state in OVER:
        note = NewEvent(
            type="order.updated",
            subject=claim.subject,
            data={"step": "over_before_intake", "state": fetched.state.value, "platform_order_id": claim.key},
            correlation=claim.correlation,
        )
        return Changes(events=(note,))
    link = await place.link_of_store(fetched.order.store_ref)
    if link is None:
        return await _unlinked(place, desk, adapter, fetched.order)
    number, menu = await place.menu(link.pos_connection, link.pos_location_ref)
    return _stored(place, desk, fetched, link, number, resolve(fetched.order, menu, link.mappings))


def _deadline(place: Workplace, desk: Desk, order: Order) -> Order:
    if order.deadline_at is not None or not place.facts.accept_deadline:
        return order
    start = min(order.placed_at, desk.claim.at)
    return msgspec.structs.replace(order, deadline_at=start + timedelta(seconds=place.facts.accept_deadline))


def _stored(place: Workplace, desk: Desk, fetched: Fetched, link: Link, number: int, found: Resolution) -> Changes:
    claim = desk.claim
    order = _deadline(place, desk, fetched.order)
    if found.unmapped and link.unmapped == "accept":
        reason = "not on the POS menu: sent as an open item with its name and price"
        extra = tuple(NotCarried(f"{each['kind']} {each['id']}", reason) for each in found.unmapped)
        order = msgspec.structs.replace(order, not_carried=(*order.not_carried, *extra))
    order_id, consumer = new_id("ord"), new_id("cns")
    key, wrapped = new_consumer_key(place.master, place.tenant, consumer)
    decision, flag = ("reject", None) if fetched.refuse else _decision(link, found, order)
    insert = OrderInsert(
        id=order_id,
        link=link.id,
        location=link.location,
        platform=link.platform,
        platform_order_id=order.platform_order_id,
        pos=link.pos,
        pos_connection=link.pos_connection,
        state=OrderState.RECEIVED,
        decision=decision,
        body=seal_order(key, place.tenant, order_id, order),
        consumer=consumer,
        consumer_key=wrapped,
        display_id=order.display_id,
        totals=totals_of(order),
        not_carried=[{"field": n.field, "reason": n.reason} for n in order.not_carried],
        attention=flag,
        menu_version=number or None,
        correlation=claim.correlation,
        placed_at=order.placed_at,
        deadline_at=order.deadline_at,
    )
    messages = list(_follow_ups(place, insert, fetched.refuse or "item_unavailable"))
    if order.deadline_at is not None:
        messages.append(_clock(place, insert))
    event = NewEvent(
        type="order.created",
        subject=order_id,
        location=link.location,
        data={
            "step": "received",
            "platform_order_id": order.platform_order_id,
            "platform": link.platform,
            "decision": decision,
        },
        correlation=claim.correlation,
    )
    alerts: tuple[NewAlert, ...] = ()
    if flag is not None and decision != "submit":
        alerts = (
            NewAlert(
                id=new_id("alr"),
                dedupe_key=f"unmapped/{order_id}",
                kind="order.attention",
                severity="warning",
                subject=order_id,
                detail=flag["detail"],
            ),
        )
    return Changes(order=insert, events=(event,), messages=tuple(messages), alerts=alerts)


def _decision(link: Link, found: Resolution, order: Order) -> tuple[str, dict[str, Any] | None]:
    flag = None
    if order.currency != link.currency:
        return "hold", attention("currency", f"the order is in {order.currency}, the location sells in {link.currency}")
    if found.unmapped:
        names = ", ".join(each["name"] for each in found.unmapped[:5])
        flag = attention("unmapped", f"not on the POS menu: {names}", items=found.unmapped)
        if link.unmapped == "hold":
            return "hold", flag
        if link.unmapped == "reject":
            return "reject", flag
    elif found.repriced:
        names = ", ".join(each["name"] for each in found.repriced[:5])
        flag = attention("repriced", f"the channel's price differs from the POS menu: {names}", items=found.repriced)
    return ("wait" if link.accept == "manual" else "submit"), flag


def _follow_ups(place: Workplace, order: OrderInsert, why: str) -> tuple[NewMessage, ...]:
    if order.decision == "submit":
        return (submit_message(order.id, order.pos_connection, 1, order.correlation),)
    if order.decision == "reject":
        return (reject_message(place.connection, order.id, order.platform_order_id, why, order.correlation),)
    return ()


def submit_message(order_id: str, pos_connection: str, generation: int, correlation: str) -> NewMessage:
    """The message that has a POS connection take an order."""
    return NewMessage(
        connection=pos_connection,
        kind="pos.submit",
        subject=f"order/{order_id}",
        dedupe_key=f"order/{order_id}/submit/{generation}",
        lane=Lane.ORDER,
        correlation=correlation,
    )


def reject_message(connection: str, order_id: str, platform_order_id: str, reason: str, correlation: str) -> NewMessage:
    """The message that has a platform told no; it runs at once, past whatever stands before it."""
    return NewMessage(
        connection=connection,
        kind="platform.reject",
        subject=f"order/{platform_order_id}",
        dedupe_key=f"order/{order_id}/reject/{reason}",
        lane=Lane.CANCEL,
        correlation=correlation,
    )


def _clock(place: Workplace, order: OrderInsert) -> NewMessage:
    assert order.deadline_at is not None
    left = (order.deadline_at - utc_now()).total_seconds()
    margin = min(place.policies.deadline_margin_seconds, left / 4)
    # Half-way to the margin somebody is told; at the margin the policy decides.
    first = order.deadline_at - timedelta(seconds=margin + max(0.0, (left - margin) / 2))
    return NewMessage(
        connection=place.connection,
        kind="order.deadline",
        subject=f"order/{order.platform_order_id}",
        dedupe_key=f"order/{order.id}/deadline",
        lane=Lane.CANCEL,
        correlation=order.correlation,
        available_at=first,
        deadline_at=order.deadline_at - timedelta(seconds=margin),
    )


async def _unlinked(place: Workplace, desk: Desk, adapter: OrderIntake, order: Order) -> Changes:
    claim = desk.claim
    order = _deadline(place, desk, order)
    alert = NewAlert(
        id=new_id("alr"),
        dedupe_key=f"unlinked/{place.connection}/{order.store_ref}",
        kind="order.unlinked",
        severity="critical",
        subject=claim.subject,
        detail=f"store {order.store_ref} has orders but no link to a POS location: link it, or they are refused at the deadline",
    )
    margin = timedelta(seconds=place.policies.deadline_margin_seconds)
    if order.deadline_at is None or utc_now() < order.deadline_at - margin:
        return Changes(end=Later(max(UNLINKED_SECONDS, backoff(claim.tries))), alerts=(alert,))
    task = DecisionTask(claim.key, order.platform_order_id, order.store_ref, reason="pos_offline", detail="store not linked")
    step = adapter.reject_step(msgspec.structs.replace(task, vendor_refs=order.vendor_refs, fulfilment=order.fulfilment.kind))
    if step is not None:
        key = await place.bodies.key(place.tenant)
        await place.effects(desk, key, subject=claim.subject).perform(step)
    return Changes(alerts=(alert,))


async def cancelled(place: Workplace, desk: Desk) -> Changes:
    """The platform or its consumer cancelled: stop the submit, take the order back from the POS. Early ones leave a tombstone."""
    claim = desk.claim
    if claim.order is None:
        return Changes() if claim.tombstone else Changes(tombstone=claim.key)
    changes = move(claim.order, OrderState.CANCELLED, "cancelled_by_platform")
    if changes is None:
        return Changes()
    return with_more(changes, messages=(cancel_at_pos(claim.order.id, claim.order.pos_connection, claim.order.correlation),))


def cancel_at_pos(order_id: str, pos_connection: str, correlation: str, why: str = "cancelled") -> NewMessage:
    """The message that has a POS connection take an order back."""
    return NewMessage(
        connection=pos_connection,
        kind="pos.cancel",
        subject=f"order/{order_id}",
        dedupe_key=f"order/{order_id}/cancel/{why}",
        lane=Lane.CANCEL,
        correlation=correlation,
    )


async def changed(place: Workplace, desk: Desk) -> Changes:
    """The platform says that something changed: follow the order to where it is, as the call tells or the platform when asked."""
    claim = desk.claim
    row = claim.order
    if row is None:
        return await placed(place, desk)
    state = await _told_or_read(place, desk)
    if state is None:
        return Changes()
    if state in (OrderState.CANCELLED, OrderState.FAILED, OrderState.REJECTED):
        return await cancelled(place, desk)
    if state in (OrderState.RECEIVED, OrderState.ACCEPTED) or state is row.state:
        return Changes()
    step = f"platform_{state.value}"
    return move(row, state, step) or Changes(events=(order_event(row, step),))


async def _told_or_read(place: Workplace, desk: Desk) -> OrderState | None:
    claim, adapter = desk.claim, place.intake
    assert adapter is not None
    notice = b""
    if claim.body:
        notice = await place.bodies.open(place.tenant, claim.body, "messages", place.connection, claim.dedupe_key)
    if notice and isinstance(adapter, NoticeStates):
        told = adapter.notice_state(notice)
        if told is not None:
            return told
    try:
        return (await adapter.fetch_order(claim.key, b"", await place.places())).state
    except Unreadable:
        return None
    except NotFound:
        if claim.tries < NOT_FOUND_TRIES:
            raise
        return None
