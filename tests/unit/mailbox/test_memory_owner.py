"""An owner over the mailbox in memory: the runtime's promises without a database."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta

import pytest

from hub.clock import utc_now
from hub.contract import AuthRevoked, Drifted, Lane, Misconfigured, OutcomeUnknown, Rejected, RetryLater
from hub.mailbox.changes import Changes, Dead, Later, NewEvent
from hub.mailbox.memory import MemoryMailbox, Stored
from hub.mailbox.messages import NewMessage
from hub.mailbox.retry import LONGEST_SECONDS, backoff, decide
from hub.mailbox.store import Activation, Item, Replaced, Turn, Unreachable
from hub.ownership.owner import Desk, Owner

HERE = "con_here"


def message(key: str, subject: str = "", lane: Lane = Lane.ORDER) -> NewMessage:
    """A message of the connection under test."""
    return NewMessage(connection=HERE, kind="noted", subject=subject or f"thing/{key}", dedupe_key=key, lane=lane)


def owner_of(store: MemoryMailbox, handle: Callable[[Desk], Awaitable[Changes]], room: int = 16) -> Owner:
    """An owner whose messages a function handles."""
    return Owner(tenant="ten", connection=HERE, host=HERE, store=store, handle=handle, wake_others=lambda connections: None, room=room)


@contextlib.asynccontextmanager
async def running(owner: Owner) -> AsyncIterator[None]:
    """Run an owner for the length of a block."""
    task = asyncio.create_task(owner.run())
    try:
        yield
    finally:
        owner.stop()
        await asyncio.wait({task}, timeout=5)


async def emptied(stored: Stored) -> None:
    """Wait until nothing is due."""
    async with asyncio.timeout(5):
        while stored.due():
            await asyncio.sleep(0.005)


async def test_subjects_keep_their_order_and_a_fact_is_handled_once() -> None:
    """Within a subject the order of arrival; a repeated fact is no message."""
    store, seen = MemoryMailbox(), list[str]()

    async def handle(desk: Desk) -> Changes:
        seen.append(desk.claim.dedupe_key)
        return Changes()

    store.stored.put(*(message(key, f"thing/{key[0]}") for key in ("a1", "b1", "a2", "a1", "b2")))
    async with running(owner_of(store, handle)):
        await emptied(store.stored)
    assert [key for key in seen if key[0] == "a"] == ["a1", "a2"]
    assert [key for key in seen if key[0] == "b"] == ["b1", "b2"]


async def test_what_finished_meanwhile_is_committed_in_one_turn() -> None:
    """Ten handlers that end together take one turn to commit, not ten."""
    store, gate = MemoryMailbox(), asyncio.Barrier(10)

    async def handle(desk: Desk) -> Changes:
        await gate.wait()
        return Changes(events=(NewEvent(type="t", subject=desk.claim.subject, data={}),))

    store.stored.put(*(message(str(number)) for number in range(10)))
    owner = owner_of(store, handle)
    async with running(owner):
        await emptied(store.stored)
    assert len(store.stored.events) == 10
    assert owner.turns <= 4


async def test_a_cancel_runs_at_once_and_a_dead_head_parks_what_follows() -> None:
    """The cancel lane passes; everything else waits for a person."""
    store, seen = MemoryMailbox(), list[str]()

    async def handle(desk: Desk) -> Changes:
        seen.append(desk.claim.dedupe_key)
        return Changes(end=Dead("rejected", "no")) if desk.claim.dedupe_key == "bad" else Changes()

    store.stored.put(message("bad", "order/1"), message("behind", "order/1"))
    owner = owner_of(store, handle)
    async with running(owner):
        await asyncio.sleep(0.05)
        store.stored.put(message("cancel", "order/1", Lane.CANCEL))
        owner.wake()
        await asyncio.sleep(0.05)
    assert seen == ["bad", "cancel"]
    assert [m.reason for m in store.stored.dead()] == ["rejected"]


async def test_progress_is_committed_before_the_handler_goes_on() -> None:
    """What a handler hands over is stored when its await returns."""
    store, stored_then = MemoryMailbox(), list[int]()

    async def handle(desk: Desk) -> Changes:
        await desk.commit(Changes(end=None, events=(NewEvent(type="t", subject="s", data={}),)))
        stored_then.append(len(store.stored.events))
        return Changes()

    store.stored.put(message("one"))
    async with running(owner_of(store, handle)):
        await emptied(store.stored)
    assert stored_then == [1]


async def test_an_owner_that_was_replaced_stops_and_writes_nothing() -> None:
    """A higher epoch ends it; the result it still had is not applied."""
    store, gate = MemoryMailbox(), asyncio.Event()

    async def handle(desk: Desk) -> Changes:
        await gate.wait()
        return Changes(events=(NewEvent(type="late", subject="s", data={}),))

    store.stored.put(message("one"))
    owner = owner_of(store, handle)
    task = asyncio.create_task(owner.run())
    await asyncio.sleep(0.02)
    await store.activate("ten", HERE, HERE, "2")
    gate.set()
    await asyncio.wait_for(task, 5)
    assert store.stored.events == []
    assert owner.status == "replaced"


class Flaky(MemoryMailbox):
    """Loses the answer of its third turn, after committing it."""

    turns = 0

    async def turn(self, tenant: str, connection: str, epoch: int, items: Sequence[Item], room: int, held: Sequence[int]) -> Turn:
        found = await super().turn(tenant, connection, epoch, items, room, held)
        self.turns += 1
        if self.turns == 3:
            raise Unreachable("the answer was lost")
        return found


async def test_an_owner_that_loses_the_database_starts_over_without_suspicion() -> None:
    """Whether the turn committed is unknown: claims are read anew, everything ends once, nobody is a suspect."""
    store, seen = Flaky(), list[str]()

    async def handle(desk: Desk) -> Changes:
        assert not desk.claim.alone
        await asyncio.sleep(0.01 * int(desk.claim.dedupe_key))
        seen.append(desk.claim.dedupe_key)
        return Changes(events=(NewEvent(type="t", subject=desk.claim.dedupe_key, data={}),))

    store.stored.put(*(message(str(number)) for number in range(4)))
    async with running(owner_of(store, handle)):
        await emptied(store.stored)
    assert sorted(event.subject for event in store.stored.events) == ["0", "1", "2", "3"]
    assert store.stored.epochs[HERE] == 2


async def test_suspects_run_alone_and_the_poison_one_dies_alone() -> None:
    """Three deaths alone condemn a message; its neighbour is handled."""
    store = MemoryMailbox()
    store.stored.put(message("poison"), message("innocent"))
    handled = []
    for _ in range(8):
        activation = await store.activate("ten", HERE, HERE, "1")
        assert activation is not None
        turn = await store.turn("ten", HERE, activation.epoch, [], 8, [])
        assert len(turn.claims) <= (2 if activation.epoch == 1 else 1)
        if turn.claims and turn.claims[0].dedupe_key == "innocent":
            handled.append("innocent")
            await store.turn("ten", HERE, activation.epoch, [Item(turn.claims[0].message, Changes())], 0, [])
    assert handled == ["innocent"]
    assert [m.reason for m in store.stored.dead()] == ["poison"]


async def test_a_stale_turn_is_refused() -> None:
    """An old epoch may not even claim."""
    store = MemoryMailbox()
    await store.activate("ten", HERE, HERE, "1")
    await store.activate("ten", HERE, HERE, "1")
    with pytest.raises(Replaced):
        await store.turn("ten", HERE, 1, [], 1, [])


async def test_a_later_time_is_kept() -> None:
    """A message is not claimed before its time, and the turn says when to look again."""
    store = MemoryMailbox()
    later = utc_now() + timedelta(seconds=30)
    store.stored.put(NewMessage(connection=HERE, kind="noted", subject="s/1", dedupe_key="k", available_at=later))
    activation = await store.activate("ten", HERE, HERE, "1")
    assert activation is not None
    turn = await store.turn("ten", HERE, activation.epoch, [], 8, [])
    assert (turn.claims, turn.next_due_at) == ((), later)


@pytest.mark.parametrize(
    ("error", "tries", "expected"),
    [
        (RetryLater("x", after=7.0), 1, Later),
        (OutcomeUnknown("x"), 3, Later),
        (OutcomeUnknown("x"), 99, Dead),
        (Drifted("x"), 2, Later),
        (Drifted("x"), 9, Dead),
        (Rejected("x"), 1, Dead),
        (Misconfigured("x"), 1, Dead),
        (AuthRevoked("x"), 50, Later),
        (ValueError("x"), 1, Later),
        (ValueError("x"), 9, Dead),
    ],
)
def test_what_an_error_means_for_its_message(error: Exception, tries: int, expected: type) -> None:
    """Errors say what happens next: later, or dead with a reason."""
    assert isinstance(decide(error, tries), expected)


def test_back_off_grows_to_a_bound_and_never_undercuts_the_vendor() -> None:
    """Doubling with jitter, at most half a minute of our own, at least what Retry-After says."""
    assert backoff(1) < backoff(6) < LONGEST_SECONDS * 1.25
    assert backoff(1, after=60.0) >= 60.0


class Hasty(MemoryMailbox):
    """Says that owners came and went in quick succession."""

    async def activate(self, tenant: str, connection: str, host: str, code_version: str, *, survivor: bool = False) -> Activation | None:
        found = await super().activate(tenant, connection, host, code_version, survivor=survivor)
        assert found is not None
        return Activation(found.epoch, 6, found.dead)


async def test_a_crash_loop_backs_off() -> None:
    """After several lives of seconds an owner waits before it takes the message that may have ended them."""
    store, seen = Hasty(), list[str]()

    async def handle(desk: Desk) -> Changes:
        seen.append(desk.claim.dedupe_key)
        return Changes()

    store.stored.put(message("one"))
    owner = owner_of(store, handle)
    task = asyncio.create_task(owner.run())
    await asyncio.sleep(0.1)
    assert (owner.status, seen) == ("backing off", [])
    task.cancel()
