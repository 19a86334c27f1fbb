"""The Supervisor's decisions: who hosts what, who must be woken, who must be rolled. One at a time, by a lease with an epoch."""

from collections.abc import Collection
from typing import Protocol

import msgspec
import structlog

from hub.database.pool import Database

log = structlog.get_logger("hub.supervisor")

LEASE_SECONDS = 10.0
SWEEP_OLDER_SECONDS = 1.0


class Placed(msgspec.Struct, frozen=True):
    """A connection and where it lives."""

    connection: str
    host: str | None
    code_version: str


class Hosts(Protocol):
    """Where hosts are started: Ray actors, or this process in tests."""

    async def ensure(self, host: str) -> bool:
        """Start the host if it is not there; True when it was started now."""
        ...

    async def look(self, host: str) -> None:
        """Have a host see what it was given."""
        ...

    async def roll(self, host: str) -> None:
        """Stop a host cleanly so that `ensure` starts it with the present code."""
        ...

    def wake(self, connections: Collection[str]) -> None:
        """Hint owners."""
        ...


class Supervisor:
    """Places connections and sweeps for lost hints, while it holds the lease."""

    def __init__(self, *, database: Database, hosts: Hosts, holder: str, code_version: str, per_host: int = 1) -> None:
        self._database, self._hosts = database, hosts
        self._holder, self._code_version, self._per_host = holder, code_version, per_host
        self.epoch: int | None = None
        self.started = 0

    async def round(self) -> bool:
        """Hold the lease, place what has no host, see that hosts are there, wake who has old work. False without the lease."""
        query = "select hub.take_singleton('supervisor', $1, $2)"
        self.epoch = await self._database.fetchval(query, self._holder, LEASE_SECONDS)
        if self.epoch is None:
            return False
        placed = await self._place()
        for host in sorted({each.host for each in placed if each.host}):
            if await self._hosts.ensure(host):
                self.started += 1
                log.info("host started", host=host)
        late = await self._database.fetch("select connection from hub.due_connections($1)", SWEEP_OLDER_SECONDS)
        self._hosts.wake([row["connection"] for row in late])
        return True

    async def _place(self) -> list[Placed]:
        rows = await self._database.fetch("select connection, host, code_version, status from hub.connections_to_place()")
        counts: dict[str, int] = {}
        for row in rows:
            if row["host"]:
                counts[row["host"]] = counts.get(row["host"], 0) + 1
        placed = []
        for row in rows:
            host = row["host"]
            if host is None:
                host = self._choose(row["connection"], counts)
                counts[host] = counts.get(host, 0) + 1
                await self._database.fetchval("select hub.assign_host($1, $2, $3)", row["connection"], host, self.epoch)
                await self._hosts.ensure(host)
                await self._hosts.look(host)
            placed.append(Placed(row["connection"], host, row["code_version"]))
        return placed

    def _choose(self, connection: str, counts: dict[str, int]) -> str:
        if self._per_host <= 1:
            return connection
        for host, count in sorted(counts.items()):
            if host.startswith("hosts-") and count < self._per_host:
                return host
        return f"hosts-{len([host for host in counts if host.startswith('hosts-')]) + 1:04}"

    async def roll_old(self) -> None:
        """Roll hosts whose owners were activated by other code than this Supervisor's, once, when it starts."""
        rows = await self._database.fetch("select connection, host, code_version from hub.connections_to_place()")
        old = {row["host"] for row in rows if row["host"] and row["code_version"] not in ("", self._code_version)}
        for host in sorted(old):
            log.info("rolling", host=host)
            await self._hosts.roll(host)

    async def release(self) -> None:
        """Let the next Supervisor in at once."""
        await self._database.execute("select hub.release_singleton('supervisor', $1)", self._holder)
