"""A hub of a benchmark's own with a crowd of unlinked connections, made straight in its database: no vendor hears of them."""

import asyncio
import contextlib
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from cluster.embedded import remove_data
from cluster.ray_cluster import remove_ray_data
from cluster.run_file import RunFile
from cluster.start import Running, Say, down, up
from hub.contract import Lane
from hub.database.pool import Database
from hub.ids import new_id
from hub.mailbox.messages import NewMessage, enqueue
from hub.settings import Settings
from hub.tenancy import create_tenant

NAMESPACE = "hub"
_CONNECTIONS = """
insert into hub.connections (tenant_id, id, provider, environment, name)
select $1, c, 'square', 'simulator', c from unnest($2::text[]) c
"""
_CREDENTIALS = """
insert into hub.credentials (id, tenant_id, connection, sealed)
select * from unnest($1::text[], $2::text[], $3::text[], $4::bytea[])
"""
_LEASES = "insert into hub.leases (tenant_id, connection, host) select $1, * from unnest($2::text[], $3::text[])"


def _silent_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def crowd_hub(settings: Settings, say: Say, **changes: Any) -> Iterator[Running]:
    """Bring a hub up without vendors for the length of a block, in a home that goes with it; keyword arguments change its settings."""
    with tempfile.TemporaryDirectory(prefix="hub-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        run = RunFile(home)
        with run.locked():
            port = run.ports("api")["api"]
        # Nobody listens there, and nothing is said: the crowd's messages call no vendor.
        settings = settings.replace(home=home, port=port, sandbox_url=f"http://127.0.0.1:{_silent_port()}", **changes)
        try:
            running = up(settings, say)
            try:
                yield running
            finally:
                down(running)
        finally:
            if not settings.ray_address:
                remove_ray_data(home)
            if not settings.database_url:
                remove_data(home)


class Crowd:
    """Connections of one tenant, and what can be asked of them and of their hosts."""

    def __init__(self, running: Running, database: Database, tenant: str) -> None:
        self._running, self._database, self.tenant = running, database, tenant
        self._master = running.settings.open_master_keys()

    async def add(self, count: int, host: str | None = None) -> list[str]:
        """Make connections; the Supervisor places them, or they go to this host; an empty one is their own."""
        made = [new_id("con") for _ in range(count)]
        text = msgspec.json.encode({"access_token": "none"})
        sealed = [self._master.seal(text, self.tenant, "credentials", connection) for connection in made]
        hosts = [connection if host == "" else host for connection in made]
        async with self._database.tenant(self.tenant) as t:
            await t.execute(_CONNECTIONS, self.tenant, made)
            await t.execute(_CREDENTIALS, [new_id("key") for _ in made], [self.tenant] * count, made, sealed)
            await t.execute(_LEASES, self.tenant, made, hosts)
        return made

    async def taken(self, connections: Collection[str], seconds: float) -> float:
        """Wait until each has an owner; returns the seconds it took. Raises TimeoutError."""
        began = time.monotonic()
        async with asyncio.timeout(seconds):
            while True:
                async with self._database.tenant(self.tenant) as t:
                    query = "select count(*) from hub.leases where connection = any($1) and epoch > 0"
                    if await t.fetchval(query, list(connections)) == len(connections):
                        return time.monotonic() - began
                await asyncio.sleep(0.02)

    async def put(self, connections: Collection[str], key: str) -> None:
        """Put a message into the mailbox of each, which handles it without a call; nobody is woken."""
        subject = f"bench/{key}"
        messages = [
            NewMessage(connection=connection, kind="noted", subject=subject, dedupe_key=subject, lane=Lane.ORDER)
            for connection in connections
        ]
        async with self._database.tenant(self.tenant) as t:
            await enqueue(t, self.tenant, messages)

    async def left(self, connections: Collection[str]) -> int:
        """How many messages of these are not done."""
        async with self._database.tenant(self.tenant) as t:
            return int(await t.fetchval("select count(*) from hub.due where connection = any($1)", list(connections)))

    async def done(self, connections: Collection[str], seconds: float) -> float:
        """Wait until no message of these is left; returns the seconds it took, seen every 2 ms for a few. Raises TimeoutError."""
        began = time.monotonic()
        pause = 0.002 if len(connections) < 10 else 0.25  # counting thousands is work for the database too
        async with asyncio.timeout(seconds):
            while await self.left(connections):  # noqa: ASYNC110 - another process does it
                await asyncio.sleep(pause)
        return time.monotonic() - began

    async def lease(self, connection: str) -> tuple[str, datetime]:
        """A connection's host, and when it was taken."""
        async with self._database.tenant(self.tenant) as t:
            row = await t.fetchrow("select host, activated_at from hub.leases where connection = $1", connection)
        assert row is not None
        return row["host"], row["activated_at"]

    async def figures(self) -> list[dict[str, Any]]:
        """What each host says of itself."""
        import ray

        async with self._database.tenant(self.tenant) as t:
            hosts = [row["host"] for row in await t.fetch("select distinct host from hub.leases where host is not null order by 1")]

        def ask() -> list[dict[str, Any]]:
            handles = [ray.get_actor(host, NAMESPACE) for host in hosts]
            answers: list[dict[str, Any]] = ray.get([handle.figures.remote() for handle in handles], timeout=60)
            return [{"host": host, **answer} for host, answer in zip(hosts, answers, strict=True)]

        return await asyncio.to_thread(ask)


@contextlib.asynccontextmanager
async def opened(running: Running) -> AsyncIterator[Crowd]:
    """A crowd without members yet."""
    database = await Database(running.settings.database_url, application="hub bench").open()
    try:
        yield Crowd(running, database, await create_tenant(database, "Bench crowd", demo=True))
    finally:
        await database.close()
