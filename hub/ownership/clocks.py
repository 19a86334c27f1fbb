"""The database's clock as its owner knows it: followed from turn to turn by a clock that nobody sets.

What is due goes by the database's clock. This process has its own, and either may be set while messages wait, so that times of one are
never held against the other's here.
"""

from datetime import datetime, timedelta

import msgspec

from hub.clock import monotonic, utc_now
from hub.mailbox.changes import Changes

SLACK_SECONDS = 2.0
"""Clocks that differ by less are the same."""


class DatabaseClock:
    """The database's time between two turns, and how far it is from this process's own."""

    def __init__(self) -> None:
        self._at: datetime | None = None
        self._known = 0.0

    def follow(self, now: datetime, asked: float) -> float:
        """Take in the time of a turn that was asked for at `asked` (monotonic); returns the seconds that the clock went back, or 0."""
        back = 0.0
        if self._at is not None:
            back = (self._at - now).total_seconds() + asked - self._known
        self._at, self._known = now, monotonic()
        return back if back > SLACK_SECONDS else 0.0

    def now(self) -> datetime:
        """The database's time now, as far as this process can tell."""
        if self._at is None:
            return utc_now()
        return self._at + timedelta(seconds=monotonic() - self._known)

    def translated(self, changes: Changes) -> Changes:
        """Changes whose timers, reckoned by this process's clock, ring as soon by the database's."""
        ahead = self.now() - utc_now()
        if abs(ahead.total_seconds()) < SLACK_SECONDS or not any(message.available_at for message in changes.messages):
            return changes
        messages = tuple(
            msgspec.structs.replace(message, available_at=message.available_at + ahead) if message.available_at else message
            for message in changes.messages
        )
        return msgspec.structs.replace(changes, messages=messages)


class Lifetimes:
    """How long this owner has lived through what became of a write: by no clock that can be set."""

    def __init__(self) -> None:
        self._since = monotonic()
        self._sent: dict[tuple[str, str, int], float] = {}

    def sending(self, subject: str, step: str, generation: int) -> None:
        """A write goes out now."""
        self._sent[subject, step, generation] = monotonic()

    def settled(self, subject: str, step: str, generation: int) -> None:
        """What became of it is known."""
        self._sent.pop((subject, step, generation), None)

    def age(self, subject: str, step: str, generation: int) -> float:
        """Seconds since this owner sent it, or since it is the owner."""
        return monotonic() - self._sent.get((subject, step, generation), self._since)
