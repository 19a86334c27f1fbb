"""What an owner makes of a message that cannot go on, and of what its handler had found at the vendor by then."""

from collections.abc import Sequence

from hub.contract import AuthRevoked
from hub.ids import new_id
from hub.mailbox.changes import AttemptClosed, Changes, ConnectionStatus, Dead, NewAlert
from hub.mailbox.claims import Claim
from hub.mailbox.retry import decide


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
