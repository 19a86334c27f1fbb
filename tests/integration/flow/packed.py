"""Several connections in one host, whose messages a test's own function handles: packing without vendors."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any

import pytest

from hub.contract import InstalledProviders, Lane
from hub.database.pool import Database
from hub.ids import new_id
from hub.mailbox.changes import Changes
from hub.mailbox.messages import NewMessage, enqueue
from hub.ownership import host as host_module
from hub.ownership.host import Host
from hub.ownership.owner import Desk
from hub.ownership.workplace import Policies
from hub.vault import MasterKeys

Handler = Callable[[Desk], Awaitable[Changes]]


class Pack:
    """Tenants with one connection each, all given to one host."""

    def __init__(self, database: Database, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database, self.url, self._patch = database, url, monkeypatch
        self.name = f"hosts-{new_id('cor')}"
        self.tenants: dict[str, str] = {}
        self.hinted: list[str] = []

    async def open(self, count: int) -> list[str]:
        """Make connections, each of a tenant of its own; returns their ids."""
        made = []
        for number in range(count):
            tenant, connection = new_id("ten"), new_id("con")
            await self.database.fetchval("select hub.tenant_create($1, $2, false)", tenant, f"Tenant {number}")
            async with self.database.tenant(tenant) as t:
                await t.execute(
                    "insert into hub.connections (tenant_id, id, provider, environment, name) values ($1, $2, 'square', 'simulator', 'x')",
                    tenant, connection,
                )  # fmt: skip
                await t.execute("insert into hub.leases (tenant_id, connection, host) values ($1, $2, $3)", tenant, connection, self.name)
            self.tenants[connection] = tenant
            made.append(connection)
        return made

    async def put(self, connection: str, *keys: str, subject: str = "", **wanted: Any) -> None:
        """Put messages into a mailbox; nobody is woken."""
        messages = [
            NewMessage(
                connection=connection, kind="noted", subject=subject or f"thing/{key}", dedupe_key=key, **{"lane": Lane.ORDER, **wanted}
            )
            for key in keys
        ]
        async with self.database.tenant(self.tenants[connection]) as t:
            await enqueue(t, self.tenants[connection], messages)

    async def rows(self, connection: str, query: str, *args: Any) -> list[Any]:
        """Rows as the connection's tenant."""
        async with self.database.tenant(self.tenants[connection]) as t:
            return list(await t.fetch(query, *args))

    async def empty(self, connection: str, seconds: float = 10) -> None:
        """Wait until nothing of the connection is due."""
        async with asyncio.timeout(seconds):
            while await self.rows(connection, "select 1 from hub.due where connection = $1 limit 1", connection):
                await asyncio.sleep(0.02)

    def host(self, handler: Handler, *, name: str = "", passive_after: float = 60.0, code_version: str = "1") -> Host:
        """A host whose messages this function handles."""

        async def handle(place: Any, desk: Desk) -> Changes:
            return await handler(desk)

        async def open_place(**wanted: Any) -> Any:
            return _Place(wanted["connection"])

        self._patch.setattr(host_module, "handle", handle)
        self._patch.setattr(host_module, "open_workplace", open_place)
        return Host(
            name=name or self.name,
            database_url=self.url,
            master=MasterKeys({"k": b"k" * 32}),
            providers=InstalledProviders(),
            policies=Policies(),
            wake_others=self.hint,
            on_commit=lambda tenant: None,
            code_version=code_version,
            passive_after=passive_after,
        )

    def hint(self, connections: Collection[str]) -> None:
        """Remember who was hinted outside the host."""
        self.hinted += connections


class _Limiter:
    def is_full(self) -> bool:
        return True


class _Kept:
    limiter = _Limiter()


class _Client:
    calls = 0

    def limits(self) -> dict[str, float]:
        return {}

    def auth_state(self) -> dict[str, Any]:
        return {}


class _Place:
    def __init__(self, connection: str) -> None:
        self.connection, self.kept, self.client = connection, _Kept(), _Client()


@contextlib.asynccontextmanager
async def hosting(*hosts: Host) -> AsyncIterator[None]:
    """Run hosts for the length of a block, then stop them cleanly."""
    tasks = [asyncio.create_task(host.run()) for host in hosts]
    try:
        yield
    finally:
        for host in hosts:
            host.stop(2.0)
        _, late = await asyncio.wait(tasks, timeout=15)
        for task in late:
            task.cancel()


async def dies(host: Host, task: "asyncio.Task[None]") -> None:
    """End a host as kill -9 would: nothing is released, nothing is committed any more."""
    host._stop.set()
    running = [hosted for hosted in host._hosted.values() if hosted.owner is not None]
    for hosted in running:
        assert hosted.task is not None
        hosted.task.remove_done_callback(hosted._ended)
        hosted.task.cancel()
        for message in hosted.owner._held.values():  # type: ignore[union-attr]
            message.cancel()
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    await host._sessions.close()
    await host._database.close()


async def until(true: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)
