"""What a person may ask of an order, from which states, and the message that has it done."""

from dataclasses import dataclass
from typing import Any

import msgspec

from hub.api.correlation import correlation
from hub.api.messages import MESSAGES
from hub.api.order_view import opened
from hub.api.order_words import Amend, Delay, Reason, Said, check_quantities
from hub.api.problems import Problem
from hub.api.writes import sealed
from hub.contract import Lane, Providers
from hub.database.pool import Transaction
from hub.ids import new_id
from hub.mailbox.messages import NewMessage, enqueue
from hub.model import FINAL, OrderState
from hub.orders.intake import submit_message
from hub.tenancy.sql import event
from hub.vault import DataKey, MasterKeys

_S = OrderState

LEGAL: dict[str, frozenset[OrderState]] = {
    "accept": frozenset({_S.RECEIVED}),
    "reject": frozenset({_S.RECEIVED}),
    "preparing": frozenset({_S.ACCEPTED}),
    "ready": frozenset({_S.ACCEPTED, _S.PREPARING}),
    "picked_up": frozenset({_S.ACCEPTED, _S.PREPARING, _S.READY}),
    "delay": frozenset({_S.ACCEPTED, _S.PREPARING}),
    "amend": frozenset({_S.ACCEPTED, _S.PREPARING}),
    "cancel": frozenset({_S.ACCEPTED, _S.PREPARING, _S.READY, _S.PICKED_UP}),
    "resubmit": frozenset(state for state in OrderState if state not in FINAL),
}
"""From which states each action may start; a received order is rejected, not cancelled."""

NEEDS: dict[str, tuple[str, str]] = {
    "preparing": ("preparing", "does not want to know when cooking starts"),
    "picked_up": ("picked_up", "does not want to know when the food left"),
    "delay": ("delay", "takes no later time for an accepted order"),
    "amend": ("order_amend", "lets no lines be taken out of an accepted order"),
}
"""The capability that an action needs of the order's platform, and what it means to lack it."""

_LANES = {"preparing": Lane.STATUS, "ready": Lane.STATUS, "picked_up": Lane.STATUS, "delay": Lane.ORDER, "amend": Lane.ORDER}
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


@dataclass(frozen=True)
class Doing:
    """Who acts, in which transaction, and what deciding takes."""

    transaction: Transaction
    sql: Any
    providers: Providers
    master: MasterKeys
    day_key: DataKey
    actor: str


def _check_platform(doing: Doing, row: Any, action: str) -> None:
    """Raise a 409 Problem where the order's platform has no such word."""
    if action not in NEEDS:
        return
    capability, lack = NEEDS[action]
    found = doing.providers.get(row["platform"])
    if found is None:
        raise Problem(409, f"the provider {row['platform']!r} is not installed", state=row["state"])
    if capability not in found.facts.capabilities:
        raise Problem(409, f"{found.facts.name} {lack}", state=row["state"])


def _check_words(doing: Doing, row: Any, said: Said) -> None:
    """Raise what is wrong with an amendment's lines."""
    if isinstance(said, Amend):
        order = opened(doing.master, row)
        if order is None:
            raise Problem(409, "the order's consumer was erased, and its lines with it", state=row["state"])
        check_quantities(said, order)


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


async def perform(doing: Doing, row: Any, action: str, said: Said) -> list[str]:
    """Decide on a locked order and put the message that does it into a mailbox; returns the connections to wake.

    The order's version is compared and set, so that an owner who was deciding at the same time decides anew. Raises Problem, Invalid.
    """
    check(action, row)
    _check_platform(doing, row, action)
    _check_words(doing, row, said)
    transaction, sql = doing.transaction, doing.sql
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
        case "preparing" | "ready" | "picked_up":
            message = _to_platform(row, action, f"manual/{row['version']}", _LANES[action])
        case "delay" | "amend":
            # These leave the order's version as it is: each time they are asked for is a fact of its own.
            message = _to_platform(row, action, f"manual/{new_id('evt')}", _LANES[action])
        case "cancel":
            message = _to_platform(row, "cancel", f"manual/{row['version']}", Lane.CANCEL)
        case _:
            decision = "accept" if row["decision"] == "accept" else "submit"
            await _decide(transaction, sql.regenerate, row, decision)
            message = submit_message(row["id"], row["pos_connection"], row["generation"] + 1, row["correlation"])
            superseded = message
    if said is not None:
        message = sealed(doing.day_key, tenant, message, said)
    skipped = []
    if superseded is not None:
        # A dead message of the same step would park the new one behind it.
        skipped = await MESSAGES.skip_superseded(
            transaction,
            connection=message.connection,
            subject=message.subject,
            kind=message.kind,
            by=doing.actor,
            why=f"superseded by {action}",
        )
        if action == "accept" and skipped:
            message = msgspec.structs.replace(message, dedupe_key=f"{message.dedupe_key}/again/{row['version']}")
    data = {"step": f"{action}_requested", "by": doing.actor, "platform_order_id": row["platform_order_id"]}
    match said:
        case Delay():
            data["ready_at"] = said.ready_at.isoformat() if said.ready_at else ""
        case Amend():
            data |= {"reason": said.reason, "lines": sorted(said.quantities)}
        case Reason():
            data["reason"] = said.reason
    await event(transaction, tenant, "order.updated", row["id"], data, location=row["location"], correlation=correlation())
    woken = await enqueue(transaction, tenant, [message])
    return [*woken, message.connection]


async def _decide(transaction: Transaction, query: Any, row: Any, decision: str) -> None:
    if await query(transaction, id=row["id"], version=row["version"], decision=decision) is None:
        raise Problem(409, "the order changed meanwhile: look at it again", state=row["state"])
