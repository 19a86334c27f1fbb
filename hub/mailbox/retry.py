"""When to try again: a policy that returns a value. Nothing here sleeps."""

import random

import asyncpg

from hub.contract import (
    AuthExpired,
    AuthRevoked,
    Drifted,
    Misconfigured,
    OutcomeUnknown,
    Rejected,
    RetryLater,
)
from hub.mailbox.changes import Dead, End, Later

FIRST_SECONDS = 0.25
LONGEST_SECONDS = 30.0
DRIFTED_TRIES = 6
"""A garbled answer may be a vendor's hiccup; six in a row are a change of its API."""
BUG_TRIES = 5
UNKNOWN_TRIES = 40
"""With back-off up to half a minute, about a quarter of an hour of asking what became of a write."""


def backoff(tries: int, after: float | None = None) -> float:
    """Seconds to wait after this many tries: doubling, with jitter, no sooner than the vendor said."""
    step = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(tries - 1, 10))
    wait = step * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, no secret
    return max(wait, after or 0.0)


def decide(error: Exception, tries: int, alike: int | None = None) -> End:
    """Say how a message ends whose handler raised this error after this many tries, the last `alike` of them with its kind of error.

    What says that something is wrong for good (an answer nobody can read, a bug) counts only in a row: a message that waited out a
    vendor's outage must not die of the first hiccup afterwards.
    """
    alike = tries if alike is None else alike
    detail = f"{type(error).__name__}: {error}"
    match error:
        case RetryLater():
            return Later(backoff(tries, error.after))
        case OutcomeUnknown():
            return Later(backoff(tries)) if tries < UNKNOWN_TRIES else Dead("unknown_outcome", detail)
        case AuthExpired() | AuthRevoked():
            return Later(backoff(tries, 1.0))
        case Drifted():
            return Later(backoff(tries)) if alike < DRIFTED_TRIES else Dead("drifted", detail)
        case Misconfigured():
            return Dead("misconfigured", detail)
        case Rejected():
            return Dead("rejected", detail)
        case asyncpg.PostgresConnectionError() | asyncpg.TooManyConnectionsError() | asyncpg.OperatorInterventionError():
            return Later(backoff(tries, 1.0))  # our database is away, or has no connection left: nothing is wrong with the message
        case _:
            return Later(backoff(tries, 1.0)) if alike < BUG_TRIES else Dead("error", detail)
