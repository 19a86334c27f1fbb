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
from hub.ids import new_id
from hub.mailbox.changes import AttemptClosed, Changes, ConnectionStatus, Dead, NewAlert
from hub.mailbox.claims import Claim
from hub.mailbox.retry import decide
from hub.mailbox.store import Item, MailboxStore, RefusedByDatabase, Replaced, Turn, Unreachable
from hub.ownership.clocks import DatabaseClock, Lifetimes

log = structlog.get_logger("hub.owner")

LOOK_SECONDS = 15.0
"""An idle owner looks by itself this often, should every hint be lost."""


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


class _Finished:
    __slots__ = ("changes", "claim", "waiter")

    def __init__(self, claim: Claim, changes: Changes, waiter: "asyncio.Future[None] | None") -> None:
        self.claim, self.changes, self.waiter = claim, changes, waiter


class Owner:
    """Runs one connection until it is stopped or replaced. `wake` may be called from its own loop only."""

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
    ) -> None:
        self.tenant, self.connection, self.host = tenant, connection, host
        self.epoch = 0
        self.status = "starting"
        self._store, self._handle, self._wake_others = store, handle, wake_others
        self._code_version, self._room, self._on_commit = code_version, room, on_commit
        self._news = asyncio.Event()
        self._held: dict[int, asyncio.Task[None]] = {}
        self._finished: list[_Finished] = []
        self._stopping = False
        self._next_look: float = 0.0
        self.turns = self.handled = 0
        self.clock, self.lifetimes = DatabaseClock(), Lifetimes()
        self._failed: dict[int, tuple[type[Exception], int]] = {}

    def wake(self) -> None:
        """Look at the mailbox soon; many wake-ups become one look."""
        self._news.set()

    def stop(self) -> None:
        """Finish what runs, take nothing new, let go."""
        self._stopping = True
        self._news.set()

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
        """Own the connection. Returns after `stop`, or when another owner took over."""
        survivor = False
        while not self._stopping:
            try:
                activation = await self._store.activate(self.tenant, self.connection, self.host, self._code_version, survivor=survivor)
                if activation is None:
                    log.info("not ours", connection=self.connection, host=self.host)
                    return
                self.epoch = activation.epoch
                if activation.quick_restarts > 2:
                    pause = min(60.0, 2.0 ** (activation.quick_restarts - 2))
                    log.warning("crash loop: waiting", connection=self.connection, seconds=pause)
                    self.status = "backing off"
                    await asyncio.sleep(pause)
                log.info("activated", connection=self.connection, epoch=self.epoch, dead=list(activation.dead))
                await self._turns()
                await self._drop()
                if self._stopping:
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

    async def _drop(self) -> None:
        tasks = list(self._held.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5)
        self._held.clear()
        self._finished.clear()

    async def _turns(self) -> None:
        self._news.set()
        while True:
            await self._wait()
            self._news.clear()
            batch, self._finished = self._one_per_order(self._finished)
            room = 0 if self._stopping else self._room - len(self._held) + sum(f.waiter is None for f in batch)
            asked = monotonic()
            turn = await self._turn(batch, room)
            back = self.clock.follow(turn.now, asked)
            self._settle(batch, turn)
            if back:
                log.warning("the database's clock went back", connection=self.connection, seconds=round(back))
                await self._store.clock_went_back(self.tenant, self.connection, self.epoch, back)
                self._news.set()
            if self._finished:
                self._news.set()
            if self._stopping and not self._held and not self._finished:
                return

    async def _wait(self) -> None:
        if self.status in ("paused", "suspended") and not self._finished and not self._stopping:
            # Nothing may be taken: whoever knocks meanwhile is answered in one turn.
            await asyncio.sleep(IDLE_SECONDS)
        if self._news.is_set():
            return
        delay = max(0.0, self._next_look - monotonic())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), min(delay, LOOK_SECONDS))

    @staticmethod
    def _one_per_order(finished: list[_Finished]) -> tuple[list[_Finished], list[_Finished]]:
        # Two changes of one order cannot both win a compare-and-set in one statement: the second waits for the next turn.
        seen: set[str] = set()
        now, later = [], []
        for item in finished:
            order = item.changes.order
            key = order.id if order is not None else ""
            if key and key in seen:
                later.append(item)
            else:
                seen.add(key)
                now.append(item)
        return now, later

    async def _turn(self, batch: list[_Finished], room: int) -> Turn:
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

    async def _one_by_one(self, batch: list[_Finished], held: list[int]) -> Turn:
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
                dead = self._dead(finished.claim, Dead("refused_by_database", str(error)))
                await self._store.turn(self.tenant, self.connection, self.epoch, [Item(finished.claim.message, dead)], 0, held)
        if turn is None:
            turn = await self._store.turn(self.tenant, self.connection, self.epoch, [], 0, held)
        self._news.set()
        return Turn(missed=frozenset(missed), claims=(), woken=turn.woken, now=turn.now, next_due_at=turn.now, status=turn.status)

    def _settle(self, batch: list[_Finished], turn: Turn) -> None:
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
        wait = LOOK_SECONDS
        if next_due_at is not None:
            wait = max(0.005, (next_due_at - now).total_seconds())
        self._next_look = monotonic() + min(wait, LOOK_SECONDS)

    async def _run(self, claim: Claim) -> None:
        desk = Desk(self, claim)
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
            changes = self._suspend(claim, str(error))
        except Exception as error:  # every failure becomes a decision about the message
            end = decide(error, claim.tries, self._alike(claim, error))
            if isinstance(end, Dead):
                log.exception("gave up", tries=claim.tries)
                self._failed.pop(claim.message, None)
                changes = self._dead(claim, end)
            else:
                log.warning("will try again", error=f"{type(error).__name__}: {error}", tries=claim.tries, after=end)
                changes = Changes(end=end)
        if desk.closed:
            changes = _with_closed(changes, desk.closed)
        self._finished.append(_Finished(claim, changes, None))
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
        self._finished.append(_Finished(claim, changes, waiter))
        self._news.set()
        await waiter

    def _dead(self, claim: Claim, end: Dead) -> Changes:
        return Changes(
            end=end,
            alerts=(
                NewAlert(
                    id=new_id("alr"),
                    dedupe_key=f"dead/{claim.message}",
                    kind="message.dead",
                    severity="critical",
                    subject=claim.order.id if claim.order else claim.subject,
                    detail=f"{claim.kind} {claim.subject} is parked ({end.reason}): {end.detail}"[:500],
                ),
            ),
        )

    def _suspend(self, claim: Claim, reason: str) -> Changes:
        return Changes(
            end=decide(AuthRevoked(reason), claim.tries),
            connection=ConnectionStatus("suspended", reason),
            alerts=(
                NewAlert(
                    id=new_id("alr"),
                    dedupe_key=f"revoked/{self.connection}",
                    kind="connection.suspended",
                    severity="critical",
                    subject=self.connection,
                    detail=f"the vendor withdrew access: connect again ({reason})"[:500],
                ),
            ),
        )


def _with_closed(changes: Changes, closed: list[AttemptClosed]) -> Changes:
    fields = {name: getattr(changes, name) for name in changes.__struct_fields__}
    fields["attempts_closed"] = (*changes.attempts_closed, *closed)
    return Changes(**fields)
