"""A process that hosts connections, one or hundreds: opens what they share, takes them in sets, runs an owner for each that has work."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable
from typing import Any

import aiohttp
import structlog

from hub.calls import URGENT, SharedLimits, open_session
from hub.clock import monotonic
from hub.contract import Lane, Providers
from hub.database.pool import Database
from hub.extras.answers import failed, no_owner
from hub.extras.calls import read
from hub.mailbox.changes import Changes
from hub.mailbox.retry import decide
from hub.mailbox.sessions import Sessions
from hub.mailbox.store import Activation, PostgresMailbox
from hub.ownership.alone import ClaimDoor
from hub.ownership.handlers import handle
from hub.ownership.hosted import HANDLERS_A_CALL, REOPEN_SECONDS, Hosted
from hub.ownership.owner import Desk, Owner
from hub.ownership.workplace import Policies, Workplace, open_workplace
from hub.vault import BodyVault, MasterKeys

log = structlog.get_logger("hub.host")

SESSIONS = 4
"""Database connections for the turns of all owners of a process; one that hosts a single connection uses one."""
READS = 3
"""Database connections for what handlers read."""
DRAIN_SECONDS = 20.0
LOOKS = (0.5, 1.5, 120.0)
"""Seconds between looks of a host at what it was given: soon after its start, when hints may have missed it, and then rarely."""
ASKED_SECONDS = 0.2
"""Hints for connections that a host does not know make it look, at most so often."""


class Host:
    """Owners of the connections that the Supervisor gave to this host's name."""

    def __init__(
        self,
        *,
        name: str,
        database_url: str,
        master: MasterKeys,
        providers: Providers,
        policies: Policies,
        wake_others: Callable[[Collection[str]], None],
        on_commit: Callable[[str], None],
        code_version: str = "",
        shared: SharedLimits | None = None,
        passive_after: float = 60.0,
    ) -> None:
        self.name, self._shared, self._passive_after = name, shared, passive_after
        self._master, self._providers, self._policies = master, providers, policies
        self._wake_others, self._on_commit, self._code_version = wake_others, on_commit, code_version
        self._database = Database(database_url, application=f"hub {name}", least=0, most=READS, idle_seconds=15.0)
        self._sessions = Sessions(database_url, application=f"hub {name}", most=SESSIONS)
        self._bodies = BodyVault(master, self._keep)
        self._session: aiohttp.ClientSession | None = None
        self._hosted: dict[str, Hosted] = {}
        self._door = ClaimDoor(lambda: sum(hosted.held for hosted in self._hosted.values()))
        self._stop = asyncio.Event()
        self._ended = asyncio.Event()
        self._drain_seconds = DRAIN_SECONDS
        self._asked = asyncio.Event()
        self._lost: set[str] = set()
        self.outlived = False
        """Another process of this host's name works: this one was given up, by a cluster that could not reach it."""

    async def _keep(self, tenant: str, day: Any, wrapped: bytes) -> bytes | None:
        return await self._database.fetchval("select hub.day_key_of($1, $2, $3)", tenant, day, wrapped)  # type: ignore[no-any-return]

    async def run(self) -> None:
        """Host owners until `stop`; survives a database that is away."""
        try:
            self._session = open_session()
            await self._database.open()
            looks = iter(LOOKS)
            pause = next(looks)
            while not self._stop.is_set():
                self._asked.clear()
                began = monotonic()
                try:
                    await self._look()
                    pause = next(looks, LOOKS[-1])
                except Exception as error:  # a database that is away, an adapter that cannot be loaded: look again
                    log.warning("cannot look at what this host was given", host=self.name, error=f"{type(error).__name__}: {error}")
                    looks, pause = iter(LOOKS), LOOKS[0]
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._asked.wait(), pause)
                    await asyncio.wait_for(self._stop.wait(), max(0.0, began + ASKED_SECONDS - monotonic()))
        finally:
            await self._end()
            self._ended.set()

    async def _end(self) -> None:
        self.stop()
        tasks = [hosted.task for hosted in self._hosted.values() if hosted.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=self._drain_seconds + 7)
        await self._sessions.close()
        if self._session is not None:
            await self._session.close()
        await self._database.close()

    def stop(self, within: float = DRAIN_SECONDS) -> None:
        """Finish what runs and end; after `within` seconds without what still runs."""
        if not self._stop.is_set():
            self._drain_seconds = within
        self._stop.set()
        self._asked.set()
        for hosted in self._hosted.values():
            hosted.stop(self._drain_seconds)

    async def drain(self, within: float = DRAIN_SECONDS) -> int:
        """Take nothing new, finish what runs within so many seconds, let go of the rest without suspicion.

        Returns, when `run` has ended, how many messages were let go of unfinished. Whoever hosts the connections next goes on with them.
        """
        self.stop(within)
        await self._ended.wait()
        return sum(hosted.cut for hosted in self._hosted.values())

    def look(self) -> None:
        """Have the host see, soon, what it was given."""
        self._asked.set()

    async def _look(self) -> None:
        """Take connections that were given to this host, let go of those that were taken away, wake those whose hint got lost."""
        rows = await self._database.fetch("select * from hub.host_connections($1)", self.name)
        if self._stop.is_set():
            return
        given = {row["connection"]: row for row in rows}
        self._lost &= given.keys()
        if self._lost:
            # Taken over, and still this host's by name: two processes have the name, and the later one is right. Taking the
            # connections back would have both take them from each other for ever.
            log.warning("another process of this name took over", host=self.name, connections=sorted(self._lost))
            self.outlived = True
            self.stop()
            return
        for connection in [known for known in self._hosted if known not in given]:
            self._hosted[connection].stop(self._drain_seconds)
            if not self._hosted[connection].active:
                del self._hosted[connection]
        await self._take([row for row in rows if row["connection"] not in self._hosted])
        for connection, row in given.items():
            hosted, wait = self._hosted.get(connection), row["wait"]
            if hosted is None:
                continue
            if hosted.active:
                if wait is not None and wait < -1:
                    hosted.wake()
            elif wait is not None and (hosted.due is None or monotonic() + wait < hosted.due):
                hosted.due_in(wait)

    async def _take(self, rows: Collection[Any]) -> None:
        """Become the owner of connections, all in one statement."""
        if not rows:
            return
        began = monotonic()
        query = "select * from hub.host_take($1, $2, $3)"
        found = await self._database.fetch(query, self.name, self._code_version, [row["connection"] for row in rows])
        if self._stop.is_set():
            return
        taken = {row["connection"]: row for row in found}
        for row in rows:
            one = taken.get(row["connection"])
            if one is None:
                continue
            activation = Activation(one["epoch"], one["quick_restarts"], tuple(one["dead"] or ()), one["suspects"])
            hosted = Hosted(row["tenant_id"], row["connection"], row["provider"], activation, self._owner, self._gone)
            self._hosted[hosted.connection] = hosted
            if activation.suspects:
                hosted.activate()
        log.info("took", host=self.name, connections=len(taken), seconds=round(monotonic() - began, 3))

    def _gone(self, hosted: Hosted) -> None:
        if hosted.replaced:
            self._lost.add(hosted.connection)
            self._asked.set()
        if not self._stop.is_set() and self._hosted.get(hosted.connection) is hosted:
            del self._hosted[hosted.connection]

    def _owner(self, hosted: Hosted, activation: Activation) -> Owner:
        provider = self._providers.get(hosted.slug)

        async def run(desk: Desk) -> Changes:
            URGENT.set(desk.claim.lane <= Lane.ORDER)
            try:
                return await handle(await self._place(hosted), desk)
            except LookupError as error:
                return Changes(end=decide(error, desk.claim.tries))

        return Owner(
            tenant=hosted.tenant,
            connection=hosted.connection,
            host=self.name,
            store=PostgresMailbox(sessions=self._sessions),
            handle=run,
            wake_others=self._wake_neighbours,
            code_version=self._code_version,
            room=HANDLERS_A_CALL * (provider.facts.concurrency if provider is not None else 16),
            on_commit=lambda: self._on_commit(hosted.tenant),
            door=self._door,
            activation=activation,
            passive_after=self._passive_after,
        )

    def _wake_neighbours(self, connections: Iterable[str]) -> None:
        """Wake who is here at once, and hint the others."""
        others = []
        for connection in connections:
            hosted = self._hosted.get(connection)
            if hosted is not None:
                hosted.wake()
            else:
                others.append(connection)
        if others:
            self._wake_others(others)

    async def _place(self, hosted: Hosted) -> Workplace:
        if hosted.place is not None and monotonic() - hosted.opened <= REOPEN_SECONDS:
            return hosted.place
        hosted.opening = hosted.opening or asyncio.Lock()
        async with hosted.opening:
            if hosted.place is None or monotonic() - hosted.opened > REOPEN_SECONDS:
                assert self._session is not None
                hosted.place = await open_workplace(
                    tenant=hosted.tenant,
                    connection=hosted.connection,
                    providers=self._providers,
                    database=self._database,
                    master=self._master,
                    bodies=self._bodies,
                    session=self._session,
                    policies=self._policies,
                    kept=hosted.kept,
                    shared=self._shared,
                )
                hosted.kept = hosted.place.kept
                hosted.opened = monotonic()
            return hosted.place

    def wake(self, *connections: str) -> None:
        """Have owners look at their mailboxes; one that is not known here makes the host look at what it was given."""
        for connection in connections:
            hosted = self._hosted.get(connection)
            if hosted is not None:
                hosted.wake()
            else:
                self._asked.set()

    async def extra(self, connection: str, name: str, params: bytes) -> bytes:
        """Have an owner here read an extra; JSON both ways. A passive connection becomes active."""
        hosted = self._hosted.get(connection)
        if hosted is None:
            self._asked.set()
            return no_owner().encode()
        try:
            place = await self._place(hosted)
        except Exception as error:
            log.warning("an extra's connection cannot be opened", connection=connection, error=f"{type(error).__name__}: {error}")
            return failed(error).encode()
        hosted.wake()
        return (await read(place, name, params)).encode()

    def state(self, connection: str) -> dict[str, Any] | None:
        """Live state of an owner here: shape in the interface, figures of this process."""
        hosted = self._hosted.get(connection)
        return {"actor": self.name, **hosted.state()} if hosted is not None else None

    def figures(self) -> dict[str, int]:
        """How many connections are here, how many of them are active, and how many messages are claimed."""
        active = [hosted for hosted in self._hosted.values() if hosted.active]
        return {"connections": len(self._hosted), "active": len(active), "running": sum(hosted.held for hosted in active)}
