"""What handlers come to: outcomes that wait for their owner's turn, and what becomes of a message that cannot go on."""

import asyncio
from collections.abc import Sequence

from hub.contract import AuthRevoked
from hub.ids import new_id
from hub.mailbox.changes import AttemptClosed, Changes, ConnectionStatus, Dead, NewAlert
from hub.mailbox.claims import Claim
from hub.mailbox.retry import decide


class Outcome:
    """What a handler decided, or, with a `waiter`, progress that it waits to see committed."""

    __slots__ = ("changes", "claim", "waiter")

    def __init__(self, claim: Claim, changes: Changes, waiter: "asyncio.Future[None] | None") -> None:
        self.claim, self.changes, self.waiter = claim, changes, waiter


def one_per_order(finished: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """Part outcomes in those of this turn and later ones: two changes of one order cannot both win a compare-and-set in one statement."""
    seen: set[str] = set()
    now: list[Outcome] = []
    later: list[Outcome] = []
    for item in finished:
        order = item.changes.order
        key = order.id if order is not None else ""
        if key and key in seen:
            later.append(item)
        else:
            seen.add(key)
            now.append(item)
    return now, later


def dead(claim: Claim, end: Dead) -> Changes:
    """Park the message, and tell a person."""
    alert = NewAlert(
        id=new_id("alr"),
        dedupe_key=f"dead/{claim.message}",
        kind="message.dead",
        severity="critical",
        subject=claim.order.id if claim.order else claim.subject,
        detail=f"{claim.kind} {claim.subject} is parked ({end.reason}): {end.detail}"[:500],
    )
    return Changes(end=end, alerts=(alert,))


def suspended(connection: str, claim: Claim, reason: str) -> Changes:
    """Suspend the connection whose vendor withdrew access; the message waits for the next consent."""
    alert = NewAlert(
        id=new_id("alr"),
        dedupe_key=f"revoked/{connection}",
        kind="connection.suspended",
        severity="critical",
        subject=connection,
        detail=f"the vendor withdrew access: connect again ({reason})"[:500],
    )
    end = decide(AuthRevoked(reason), claim.tries)
    return Changes(end=end, connection=ConnectionStatus("suspended", reason), alerts=(alert,))


def with_closed(changes: Changes, closed: Sequence[AttemptClosed]) -> Changes:
    """Changes with attempts that were closed on the way."""
    fields = {name: getattr(changes, name) for name in changes.__struct_fields__}
    fields["attempts_closed"] = (*changes.attempts_closed, *closed)
    return Changes(**fields)
