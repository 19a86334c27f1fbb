"""The Supervisor's decisions: who hosts what, who must be woken, who must be rolled. One at a time, by a lease with an epoch."""

import asyncio
from collections.abc import Collection
from typing import Protocol

import structlog

from hub.clock import monotonic
from hub.database.pool import Database
from hub.ownership.placement import place

log = structlog.get_logger("hub.supervisor")

LEASE_SECONDS = 10.0
SWEEP_OLDER_SECONDS = 1.0
PLACE_AT_ONCE = 1000
ROLL_AT_ONCE = 2
"""So many hosts are rolled beside each other: the others go on with their orders."""
ROLL_AGAIN_SECONDS = 60.0
"""A host that still has owners of old code after it was rolled is rolled again after this long."""
LONGEST_WAKE_SECONDS = 10.0
"""Work that an owner was woken for and did not take is behind a parked head, most likely: it is woken ever more rarely."""


class Hosts(Protocol):
    """Where hosts are started: Ray actors, or this process in tests."""

    async def ensure(self, host: str) -> bool:
        """Start the host if it is not there; True when it was started now. Called for every host in every round: remember."""
        ...

    async def look(self, host: str) -> None:
        """Have a host look at what it was given."""
        ...

    async def roll(self, host: str) -> None:
        """Drain a host and end it, so that `ensure` starts it with new code."""
        ...

    def wake(self, connections: Collection[str]) -> None:
        """Hint owners."""
        ...


class Supervisor:
    """Works in rounds; a round does nothing unless this Supervisor holds the lease."""

    def __init__(self, *, database: Database, hosts: Hosts, holder: str, code_version: str, per_host: int = 1) -> None:
        self._database, self._hosts = database, hosts
        self._holder, self._code_version, self._per_host = holder, code_version, per_host
        self._woken: dict[str, tuple[object, float, float]] = {}
        self._rolling: dict[str, asyncio.Task[None]] = {}
        self._rolled: dict[str, float] = {}
        self._wanted: set[str] = set()
        self.epoch: int | None = None
        self.started = 0

    async def round(self) -> bool:
        """Hold the lease, place what has no host, see that hosts are there, roll old ones, wake who has old work.

        False without the lease. A round asks a few questions about all connections, none about each.
        """
        query = "select hub.take_singleton('supervisor', $1, $2)"
        self.epoch = await self._database.fetchval(query, self._holder, LEASE_SECONDS)
        if self.epoch is None:
            return False
        loads = await self._database.fetch("select * from hub.host_loads($1)", self._code_version)
        placed = await self._place({row["host"]: row["connections"] for row in loads})
        wanted = {row["host"] for row in loads} | placed
        for host in sorted(wanted):
            if host not in self._rolling and await self._hosts.ensure(host):
                self.started += 1
                log.info("host started", host=host)
        self._end(self._wanted - wanted)
        self._wanted = wanted
        for host in placed:
            await self._hosts.look(host)
        self._roll([row["host"] for row in loads if row["old"]])
        await self._sweep()
        return True

    async def _place(self, loads: dict[str, int]) -> set[str]:
        """Give hosts to connections without one; returns the hosts that got some."""
        rows = await self._database.fetch("select * from hub.unplaced_connections($1)", PLACE_AT_ONCE)
        if not rows:
            return set()
        chosen = place([row["connection"] for row in rows], loads, self._per_host)
        query = "select hub.assign_hosts($1, $2, $3)"
        await self._database.fetchval(query, list(chosen), list(chosen.values()), self.epoch)
        return set(chosen.values())

    def _roll(self, old: Collection[str]) -> None:
        """Begin to roll hosts whose owners were activated by other code than this Supervisor's, a few beside each other."""
        now = monotonic()
        for host in sorted(old):
            if len(self._rolling) >= ROLL_AT_ONCE:
                return
            if host in self._rolling or now - self._rolled.get(host, -ROLL_AGAIN_SECONDS) < ROLL_AGAIN_SECONDS:
                continue
            log.info("rolling", host=host)
            self._rolled[host] = now
            self._rolling[host] = asyncio.create_task(self._roll_one(host), name=f"roll {host}")

    def _end(self, empty: Collection[str]) -> None:
        """End hosts whose last connection was removed or moved."""
        for host in empty:
            if host not in self._rolling:
                log.info("ending an empty host", host=host)
                self._rolling[host] = asyncio.create_task(self._roll_one(host, anew=False), name=f"end {host}")

    async def _roll_one(self, host: str, *, anew: bool = True) -> None:
        try:
            await self._hosts.roll(host)
            if anew:
                await self._hosts.ensure(host)
                await self._taken(host)
        except Exception as error:
            log.warning("a host could not be rolled", host=host, error=f"{type(error).__name__}: {error}")
        finally:
            self._rolling.pop(host, None)

    async def _taken(self, host: str) -> None:
        """Wait until a host's connections are taken by this code, so that no more hosts are away at once than may be."""
        limit = monotonic() + ROLL_AGAIN_SECONDS / 2
        query = "select coalesce(sum(old), 0) from hub.host_loads($1) where host = $2"
        while await self._database.fetchval(query, self._code_version, host) and monotonic() < limit:  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    async def _sweep(self) -> None:
        """Wake who has work that nobody took: its hint got lost."""
        now = monotonic()
        known: dict[str, tuple[object, float, float]] = {}
        woken = []
        for row in await self._database.fetch("select * from hub.late_connections($1)", SWEEP_OLDER_SECONDS):
            connection, oldest = row["connection"], row["oldest"]
            before, at, wait = self._woken.get(connection, (None, 0.0, 0.0))
            if before != oldest:
                at, wait = now, SWEEP_OLDER_SECONDS
                woken.append(connection)
            elif now >= at + wait:
                at, wait = now, min(2 * wait, LONGEST_WAKE_SECONDS)
                woken.append(connection)
            known[connection] = (oldest, at, wait)
        self._woken = known
        self._hosts.wake(woken)

    async def release(self) -> None:
        """Let the next Supervisor in at once; what is being rolled is left to it."""
        for task in list(self._rolling.values()):
            task.cancel()
        await self._database.execute("select hub.release_singleton('supervisor', $1)", self._holder)
