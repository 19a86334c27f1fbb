"""What a person may ask of an order, from which states, and the message that has it done."""

from typing import Any

import msgspec

from hub.api.correlation import correlation
from hub.api.messages import MESSAGES
from hub.api.problems import Problem
from hub.contract import Lane
from hub.database.pool import Transaction
from hub.mailbox.messages import NewMessage, enqueue
from hub.model import FINAL, OrderState
from hub.orders.intake import submit_message
from hub.tenancy.sql import event
from hub.vault import DataKey

_S = OrderState

LEGAL: dict[str, frozenset[OrderState]] = {
    "accept": frozenset({_S.RECEIVED}),
    "reject": frozenset({_S.RECEIVED}),
    "ready": frozenset({_S.ACCEPTED, _S.PREPARING}),
    "cancel": frozenset({_S.ACCEPTED, _S.PREPARING, _S.READY, _S.PICKED_UP}),
    "resubmit": frozenset(state for state in OrderState if state not in FINAL),
}
"""From which states each action may start; a received order is rejected, not cancelled."""

_PERHAPS_THERE = frozenset({"unknown", "queued"})


def check(action: str, row: Any) -> None:
    """Raise a 409 Problem that names the state when the action does not fit it."""
    state = OrderState(row["state"])
    if state not in LEGAL[action]:
        hint = "; reject it instead" if action == "cancel" and state is _S.RECEIVED else ""
        raise Problem(409, f"an order that is {state.value} takes no {action}{hint}", state=state.value)
    if action in ("accept", "resubmit") and row["decision"] == "reject" and state is _S.RECEIVED:
        raise Problem(409, f"the order is {state.value} and its rejection is under way", state=state.value)
    if action == "resubmit" and row["pos_order_id"] is not None:
        raise Problem(409, f"the order is {state.value} and in the POS already, as {row['pos_order_id']}", state=state.value)


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why: a key of the provider's `reject_reasons` or `cancel_reasons`, and words for the platform."""

    reason: str = "other"
    detail: str = ""


def _to_platform(row: Any, kind: str, why: str, lane: Lane) -> NewMessage:
    return NewMessage(
        connection=row["delivery_connection"],
        kind=f"platform.{kind}",
        subject=f"order/{row['platform_order_id']}",
        dedupe_key=f"order/{row['id']}/{kind}/{why}",
        lane=lane,
        correlation=row["correlation"],
        deadline_at=row["deadline_at"] if kind == "accept" else None,
    )


async def perform(
    transaction: Transaction, sql: Any, row: Any, action: str, reason: Reason | None, *, day_key: DataKey, actor: str
) -> list[str]:
    """Decide on a locked order and put the message that does it into a mailbox; returns the connections to wake.

    The order's version is compared and set, so that an owner who was deciding at the same time decides anew.
    """
    check(action, row)
    tenant, superseded = row["tenant_id"], None
    match action:
        case "accept":
            if row["pos_order_id"] is None and row["decision"] not in _PERHAPS_THERE:
                message = submit_message(row["id"], row["pos_connection"], row["generation"], row["correlation"])
            else:
                message = _to_platform(row, "accept", f"{row['generation']}/manual/{row['version']}", Lane.ORDER)
            superseded = message
            await _decide(transaction, sql.decide, row, "accept")
        case "reject":
            # Asked again while it is under way, it is the same fact.
            version = row["version"] if row["decision"] == "reject" else row["version"] + 1
            message = _to_platform(row, "reject", f"manual/{version}", Lane.CANCEL)
            if row["decision"] != "reject":
                await _decide(transaction, sql.decide, row, "reject")
        case "ready":
            message = _to_platform(row, "ready", f"manual/{row['version']}", Lane.STATUS)
        case "cancel":
            message = _to_platform(row, "cancel", f"manual/{row['version']}", Lane.CANCEL)
        case _:
            decision = "accept" if row["decision"] == "accept" else "submit"
            await _decide(transaction, sql.regenerate, row, decision)
            message = submit_message(row["id"], row["pos_connection"], row["generation"] + 1, row["correlation"])
            superseded = message
    if reason is not None:
        body = day_key.seal(msgspec.json.encode(reason), tenant, "messages", message.connection, message.dedupe_key)
        message = msgspec.structs.replace(message, body=body)
    skipped = []
    if superseded is not None:
        # A dead message of the same step would park the new one behind it.
        skipped = await MESSAGES.skip_superseded(
            transaction,
            connection=message.connection,
            subject=message.subject,
            kind=message.kind,
            by=actor,
            why=f"superseded by {action}",
        )
        if action == "accept" and skipped:
            message = msgspec.structs.replace(message, dedupe_key=f"{message.dedupe_key}/again/{row['version']}")
    data = {"step": f"{action}_requested", "by": actor, "platform_order_id": row["platform_order_id"]}
    if reason is not None:
        data["reason"] = reason.reason
    await event(transaction, tenant, "order.updated", row["id"], data, location=row["location"], correlation=correlation())
    woken = await enqueue(transaction, tenant, [message])
    return [*woken, message.connection]


async def _decide(transaction: Transaction, query: Any, row: Any, decision: str) -> None:
    if await query(transaction, id=row["id"], version=row["version"], decision=decision) is None:
        raise Problem(409, "the order changed meanwhile: look at it again", state=row["state"])
