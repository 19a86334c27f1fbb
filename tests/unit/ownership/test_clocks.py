"""The database's clock is followed by one that nobody sets."""

from datetime import timedelta
from typing import Any

import pytest

from hub.clock import utc_now
from hub.mailbox.changes import Changes
from hub.mailbox.messages import NewMessage
from hub.ownership import clocks
from hub.ownership.clocks import DatabaseClock, Lifetimes

HOUR = timedelta(hours=1)


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The monotonic clock, which the test moves."""
    now = {"at": 100.0}
    monkeypatch.setattr(clocks, "monotonic", lambda: now["at"])
    return now


def _message(**fields: Any) -> NewMessage:
    return NewMessage(connection="con_1", kind="order.deadline", subject="x", dedupe_key="x", **fields)


def test_a_clock_that_goes_back_is_seen_and_one_that_is_only_asked_late_is_not(moment: dict[str, float]) -> None:
    """Ten seconds passed: ten minutes less is a jump; an answer that hung for a minute is none, nor is a jump ahead."""
    clock, start = DatabaseClock(), utc_now()
    assert clock.follow(start, 100.0) == 0
    moment["at"] = 110.0
    assert clock.follow(start + timedelta(seconds=10), 110.0) == 0
    moment["at"] = 180.0
    assert clock.follow(start + timedelta(seconds=20), 120.0) == 0, "asked at 120, answered at 180"
    assert clock.follow(start + HOUR, 180.0) == 0
    moment["at"] = 190.0
    assert clock.follow(start + timedelta(seconds=90), 190.0) == pytest.approx(3600 - 90 + 10)


def test_the_databases_time_goes_on_between_turns(moment: dict[str, float]) -> None:
    """By the monotonic clock, whatever the process's own says."""
    clock, start = DatabaseClock(), utc_now() + HOUR
    clock.follow(start, 100.0)
    moment["at"] = 107.0
    assert clock.now() == start + timedelta(seconds=7)


def test_timers_are_translated_into_the_databases_time(moment: dict[str, float]) -> None:
    """In five minutes by our clock is in five minutes by the database's, an hour ahead; at once stays at once."""
    clock = DatabaseClock()
    clock.follow(utc_now() + HOUR, 100.0)
    rings = utc_now() + timedelta(minutes=5)
    later, at_once = clock.translated(Changes(messages=(_message(available_at=rings), _message()))).messages
    assert later.available_at is not None
    assert abs((later.available_at - rings - HOUR).total_seconds()) < 5
    assert at_once.available_at is None
    same = DatabaseClock()
    same.follow(utc_now(), 100.0)
    changes = Changes(messages=(_message(available_at=rings),))
    assert same.translated(changes) is changes


def test_a_writes_age_is_what_its_owner_lived_through(moment: dict[str, float]) -> None:
    """Since it was sent; one that an earlier owner sent is as old as this owner."""
    lives = Lifetimes()
    moment["at"] = 130.0
    lives.sending("order/1", "order", 1)
    moment["at"] = 135.0
    assert lives.age("order/1", "order", 1) == 5
    assert lives.age("order/2", "order", 1) == 35
    lives.settled("order/1", "order", 1)
    assert lives.age("order/1", "order", 1) == 35
