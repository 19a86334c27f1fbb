"""The owner of one connection: claims messages, runs their handlers, and commits what they decided, many at a time.

A turn starts when something has finished and none is running. Handlers never write: they return `Changes`, or hand over progress
with `Desk.commit` and wait for the turn that carries it.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import structlog

from hub.clock import monotonic
from hub.contract import AuthRevoked
from hub.mailbox.changes import AttemptClosed, Changes, Dead
from hub.mailbox.claims import Claim
from hub.mailbox.retry import decide
from hub.mailbox.store import Activation, Item, MailboxStore, RefusedByDatabase, Replaced, Turn, Unreachable
from hub.observe.correlation import Correlation
from hub.ownership.alone import ClaimDoor
from hub.ownership.clocks import DatabaseClock, Lifetimes
from hub.ownership.endings import Outcome, dead, one_per_order, suspended, with_closed
from hub.ownership.pace import Pace

log = structlog.get_logger("hub.owner")

LOOK_SECONDS = 60.0
"""An owner that waits looks by itself this often, should every hint be lost and nobody sweep."""
LONGEST_BACK_OFF_SECONDS = 60.0
IDLE_SECONDS = 0.5
"""How often a paused connection's owner looks whether it may work again, at most."""


class Superseded(Exception):
    """The order moved on under this handler: its message is decided anew."""


class Desk:
    """What a handler gets: its claim, and a way to commit progress before a vendor call."""

    def __init__(self, owner: "Owner", claim: Claim) -> None:
        self._owner = owner
        self.claim = claim
        self.closed: list[AttemptClosed] = []

    @property
    def lifetimes(self) -> Lifetimes:
        """How long the owner has known of writes whose outcome is open."""
        return self._owner.lifetimes

    def now(self) -> datetime:
        """The database's time: what its rows' times are held against."""
        return self._owner.clock.now()

    async def commit(self, changes: Changes) -> None:
        """Commit progress in the next turn; raises Superseded when its compare-and-set missed."""
        await self._owner.progress(self.claim, changes)


Handler = Callable[[Desk], Awaitable[Changes]]


class Owner:
    """Runs one connection until it is stopped or replaced, or was idle for `passive_after` seconds.

    `activation` is what its host took the connection with; without one it activates by itself. `wake` may be called from its own loop
    only.
    """

    def __init__(
        self,
        *,
        tenant: str,
        connection: str,
        host: str,
        store: MailboxStore,
        handle: Handler,
        wake_others: Callable[[tuple[str, ...]], None],
        code_version: str = "",
        room: int = 16,
        on_commit: Callable[[], None] | None = None,
        door: ClaimDoor | None = None,
        activation: Activation | None = None,
        passive_after: float | None = None,
    ) -> None:
        self.tenant, self.connection, self.host = tenant, connection, host
        self.epoch = 0
        self.status = "starting"
        self._store, self._handle, self._wake_others = store, handle, wake_others
        self._code_version, self._room, self._on_commit = code_version, room, on_commit
        self._news = asyncio.Event()
        self._held: dict[int, asyncio.Task[None]] = {}
        self._finished: list[Outcome] = []
        self._door, self._activation, self._passive_after = door or ClaimDoor(), activation, passive_after
        self._suspects = False
        self._stopping = False
        self._stop_at: float | None = None
        self._next_look = 0.0
        self._pace = Pace()
        self.next_due: float | None = None
        """When the next message is due, on the monotonic clock; None when none is."""
        self._worked = monotonic()
        self.turns = self.handled = self.cut = 0
        self.clock, self.lifetimes = DatabaseClock(), Lifetimes()
        self._failed: dict[int, tuple[type[Exception], int]] = {}

    def wake(self) -> None:
        """Look at the mailbox soon; many wake-ups become one look."""
        self._news.set()

    def stop(self, within: float | None = None) -> None:
        """Finish what runs, take nothing new, let go; after `within` seconds of what still runs too."""
        self._stopping = True
        if within is not None:
            self._stop_at = monotonic() + within
        self._news.set()

    @property
    def woken(self) -> bool:
        """True when a wake-up came that no turn has answered."""
        return self._news.is_set()

    @property
    def held(self) -> int:
        """How many messages it has claimed."""
        return len(self._held)

    def state(self) -> dict[str, Any]:
        """Live figures for people."""
        return {
            "pid": os.getpid(),
            "epoch": self.epoch,
            "status": self.status,
            "running": len(self._held),
            "turns": self.turns,
            "handled": self.handled,
        }

    async def run(self) -> None:
        """Own the connection. Returns after `stop`, when another owner took over, or when it may be passive; `status` says which."""
        survivor = False
        while not self._stopping:
            try:
                activation, self._activation = self._activation or await self._activate(survivor), None
                if activation is None:
                    log.info("not ours", connection=self.connection, host=self.host)
                    self.status = "replaced"
                    return
                self.epoch, self._suspects = activation.epoch, activation.suspects
                if activation.quick_restarts > 2:
                    await self._back_off(activation)
                await self._turns()
                await self._drop()
                if not self._stopping:
                    self.status = "passive"
                    return
                await self._store.release(self.tenant, self.connection, self.epoch)
            except Replaced:
                log.warning("replaced", connection=self.connection, epoch=self.epoch)
                self.status = "replaced"
                await self._drop()
                return
            except Unreachable as error:
                # What the lost turn did is unknown: forget everything in memory and start from what is stored.
                log.warning("database unreachable", connection=self.connection, error=str(error))
                self.status = "database unreachable"
                await self._drop()
                survivor = True
                await asyncio.sleep(0.5)
        self.status = "stopped"

    async def _activate(self, survivor: bool) -> Activation | None:
        found = await self._store.activate(self.tenant, self.connection, self.host, self._code_version, survivor=survivor)
        if found is not None:
            log.info("activated", connection=self.connection, epoch=found.epoch, dead=list(found.dead))
        return found

    async def _back_off(self, activation: Activation) -> None:
        pause = min(LONGEST_BACK_OFF_SECONDS, 2.0 ** (activation.quick_restarts - 2))
        log.warning("crash loop: waiting", connection=self.connection, seconds=pause)
        self.status = "backing off"
        limit = monotonic() + pause
        while not self._stopping and monotonic() < limit:  # noqa: ASYNC110 - `stop` is answered within half a second
            await asyncio.sleep(min(0.5, pause))

    async def _drop(self) -> None:
        self._door.open(self)
        tasks = list(self._held.values())
        self.cut += len(tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5)
        self._held.clear()
        self._finished.clear()

    async def _turns(self) -> None:
        """Turn after turn; returns when there is nothing left to finish after `stop`, and when the connection may be passive."""
        self._news.set()
        while await self._wait():
            await self._pace.gather(len(self._held) - len(self._finished))
            self._news.clear()
            if self._suspects and not self._held and not self._stopping and not self._door.shut_for(self):
                await self._door.shut(self, self.wake)
            batch, self._finished = one_per_order(self._finished)
            room = self._free(batch)
            if batch or room > 0 or self._stopping:
                await self._take_turn(batch, room)
            else:
                self._next_look = monotonic() + LOOK_SECONDS
            if self._finished:
                self._news.set()
            if self._stopping and not self._finished and (not self._held or self._late()):
                return

    async def _take_turn(self, batch: list[Outcome], room: int) -> None:
        asked = monotonic()
        turn = await self._turn(batch, room)
        back = self.clock.follow(turn.now, asked)
        self._settle(batch, turn)
        self._suspects = turn.suspects
        if not turn.suspects or not self._held:
            self._door.open(self)
        if back:
            log.warning("the database's clock went back", connection=self.connection, seconds=round(back))
            await self._store.clock_went_back(self.tenant, self.connection, self.epoch, back)
            self._news.set()

    def _free(self, batch: list[Outcome]) -> int:
        """How many messages this turn may claim."""
        if self._stopping or not self._door.lets(self, self.wake):
            return 0
        if self._door.shut_for(self) and self._held:
            # What its suspect leaves is stored first, while nobody else runs; then it looks again.
            if batch:
                self._news.set()
            return 0
        return self._room - len(self._held) + sum(f.waiter is None for f in batch)

    def _late(self) -> bool:
        return self._stop_at is not None and monotonic() >= self._stop_at

    async def _wait(self) -> bool:
        """Wait for something to do; False when nothing came for so long that the connection may be passive."""
        if self.status in ("paused", "suspended") and not self._finished and not self._stopping:
            # Nothing may be taken: whoever knocks meanwhile is answered in one turn.
            await asyncio.sleep(IDLE_SECONDS)
        while not self._news.is_set():
            now = monotonic()
            if self._idle(now):
                return False
            ends = [self._next_look, now + LOOK_SECONDS]
            if self._stop_at is not None:
                ends.append(self._stop_at)
            if self._passive_after is not None:
                ends.append(max(now + 0.01, self._worked + self._passive_after))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), max(0.0, min(ends) - now))
            if monotonic() >= self._next_look or self._late():
                break
        return True

    def _idle(self, now: float) -> bool:
        if self._passive_after is None or self._stopping or self._held or self._finished or now < self._worked + self._passive_after:
            return False
        return self.next_due is None or self.next_due > now + self._passive_after

    async def _turn(self, batch: list[Outcome], room: int) -> Turn:
        held = [message for message in self._held if all(f.claim.message != message or f.waiter for f in batch)]
        items = [Item(f.claim.message, self.clock.translated(f.changes)) for f in batch]
        self.turns += 1
        try:
            return await self._store.turn(self.tenant, self.connection, self.epoch, items, room, held)
        except RefusedByDatabase as error:
            if not items:
                raise Unreachable(str(error)) from error
            log.exception("a turn was refused; applying its items one by one", connection=self.connection)
        return await self._one_by_one(batch, held)

    async def _one_by_one(self, batch: list[Outcome], held: list[int]) -> Turn:
        missed: set[int] = set()
        turn: Turn | None = None
        for number, finished in enumerate(batch):
            try:
                item = Item(finished.claim.message, self.clock.translated(finished.changes))
                turn = await self._store.turn(self.tenant, self.connection, self.epoch, [item], 0, held)
                if turn.missed:
                    missed.add(number)
            except RefusedByDatabase as error:
                log.warning("the database refused an item", message=finished.claim.message, error=str(error))
                if finished.waiter is not None and not finished.waiter.done():
                    finished.waiter.set_exception(error)
                    continue
                gone = dead(finished.claim, Dead("refused_by_database", str(error)))
                await self._store.turn(self.tenant, self.connection, self.epoch, [Item(finished.claim.message, gone)], 0, held)
        if turn is None:
            turn = await self._store.turn(self.tenant, self.connection, self.epoch, [], 0, held)
        self._news.set()
        return Turn(
            missed=frozenset(missed),
            claims=(),
            woken=turn.woken,
            now=turn.now,
            next_due_at=turn.now,
            status=turn.status,
            suspects=turn.suspects,
        )

    def _settle(self, batch: list[Outcome], turn: Turn) -> None:
        self.status = turn.status
        for number, finished in enumerate(batch):
            waiter = finished.waiter
            if waiter is None:
                self._held.pop(finished.claim.message, None)
                self.handled += 1
            elif not waiter.done():
                if number in turn.missed:
                    waiter.set_exception(Superseded(finished.claim.subject))
                    # The turn let go of the message; a fresh claim may already be here.
                    self._held.pop(finished.claim.message, None)
                else:
                    waiter.set_result(None)
        for number, finished in enumerate(batch):
            if number not in turn.missed:
                for alert in finished.changes.alerts:
                    log.warning("alert", connection=self.connection, alert=alert.kind, subject=alert.subject, detail=alert.detail)
        for claim in turn.claims:
            self._held[claim.message] = asyncio.create_task(self._run(claim), name=f"{self.connection} {claim.kind}")
        if batch or turn.claims:
            self._worked = monotonic()
        if batch and self._on_commit is not None:
            self._on_commit()
        if turn.woken:
            if self.connection in turn.woken:
                self._news.set()
            others = tuple(connection for connection in turn.woken if connection != self.connection)
            if others:
                self._wake_others(others)
        self._plan(turn.next_due_at, turn.now)

    def _plan(self, next_due_at: datetime | None, now: datetime) -> None:
        self.next_due = None
        if next_due_at is not None:
            self.next_due = monotonic() + max(0.005, (next_due_at - now).total_seconds())
        look = monotonic() + LOOK_SECONDS
        self._next_look = look if self.next_due is None else min(look, self.next_due)

    async def _run(self, claim: Claim) -> None:
        desk = Desk(self, claim)
        Correlation.set(claim.correlation)
        structlog.contextvars.bind_contextvars(
            correlation=claim.correlation, connection=self.connection, message=claim.message, kind=claim.kind
        )
        try:
            changes = await self._handle(desk)
            self._failed.pop(claim.message, None)
        except Superseded:
            return
        except asyncio.CancelledError:
            raise
        except AuthRevoked as error:
            log.warning("access was revoked", error=str(error))
            changes = suspended(self.connection, claim, str(error))
        except Exception as error:  # every failure becomes a decision about the message
            end = decide(error, claim.tries, self._alike(claim, error))
            if isinstance(end, Dead):
                log.exception("gave up", tries=claim.tries)
                self._failed.pop(claim.message, None)
                changes = dead(claim, end)
            else:
                log.warning("will try again", error=f"{type(error).__name__}: {error}", tries=claim.tries, after=end)
                changes = Changes(end=end)
        if desk.closed:
            changes = with_closed(changes, desk.closed)
        self._finished.append(Outcome(claim, changes, None))
        self._news.set()

    def _alike(self, claim: Claim, error: Exception) -> int:
        """How many tries of a message failed in a row with this kind of error, as far as this owner has seen them."""
        kind, count = self._failed.get(claim.message, (type(error), 0))
        count = count + 1 if kind is type(error) else 1
        self._failed[claim.message] = (type(error), count)
        return count

    async def progress(self, claim: Claim, changes: Changes) -> None:
        """Commit progress of a running handler (see `Desk.commit`)."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._finished.append(Outcome(claim, changes, waiter))
        self._news.set()
        await waiter
