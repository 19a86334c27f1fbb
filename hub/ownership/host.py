"""A process that hosts owners: opens what they share, runs one `Owner` a connection, keeps them running until it is told to stop."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection
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
from hub.mailbox.messages import enqueue
from hub.mailbox.retry import decide
from hub.mailbox.store import PostgresMailbox
from hub.ownership.handlers import handle
from hub.ownership.owner import Desk, Owner
from hub.ownership.workplace import Kept, Policies, Workplace, open_workplace
from hub.reconcile.orders import first_reconcile
from hub.vault import BodyVault, MasterKeys

log = structlog.get_logger("hub.host")

REOPEN_SECONDS = 30.0
"""A connection's settings and credentials are read anew this often, and after they proved wrong."""


class _Hosted:
    def __init__(self, owner: Owner, store: PostgresMailbox, slug: str) -> None:
        self.owner, self.store, self.slug = owner, store, slug
        self.place: Workplace | None = None
        self.kept: Kept | None = None
        self.opened = -1e9
        self.task: asyncio.Task[None] | None = None


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
    ) -> None:
        self.name, self._shared = name, shared
        self._url, self._master, self._providers, self._policies = database_url, master, providers, policies
        self._wake_others, self._on_commit, self._code_version = wake_others, on_commit, code_version
        self._database = Database(database_url, application=f"hub {name}", least=0, most=3)
        self._bodies = BodyVault(master, self._keep)
        self._session: aiohttp.ClientSession | None = None
        self._hosted: dict[str, _Hosted] = {}
        self._stop = asyncio.Event()
        self._looking = asyncio.Lock()

    async def _keep(self, tenant: str, day: Any, wrapped: bytes) -> bytes | None:
        return await self._database.fetchval("select hub.day_key_of($1, $2, $3)", tenant, day, wrapped)  # type: ignore[no-any-return]

    async def run(self) -> None:
        """Host owners until `stop`; survives a database that is away."""
        self._session = open_session()
        await self._database.open()
        try:
            while not self._stop.is_set():
                try:
                    await self.look()
                except Exception as error:  # a database that is away, an adapter that cannot be loaded: look again
                    log.warning("cannot look at what this host was given", host=self.name, error=f"{type(error).__name__}: {error}")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), 1.0 if not self._hosted else 5.0)
        finally:
            for hosted in self._hosted.values():
                hosted.owner.stop()
            tasks = [hosted.task for hosted in self._hosted.values() if hosted.task is not None]
            if tasks:
                await asyncio.wait(tasks, timeout=20)
            for hosted in self._hosted.values():
                await hosted.store.close()
            await self._session.close()
            await self._database.close()

    def stop(self) -> None:
        """Finish what runs and end."""
        self._stop.set()
        for hosted in self._hosted.values():
            hosted.owner.stop()

    async def look(self) -> None:
        """Start owners of connections that were given to this host, drop those that ended."""
        async with self._looking:
            for row in await self._database.fetch("select * from hub.connections_of_host($1)", self.name):
                hosted = self._hosted.get(row["connection"])
                if hosted is None or (hosted.task is not None and hosted.task.done()):
                    await self._start(row["tenant_id"], row["connection"], row["provider"])

    async def _start(self, tenant: str, connection: str, slug: str) -> None:
        provider = self._providers.get(slug)
        store = PostgresMailbox(self._url, application=f"hub {connection}")
        async with self._database.tenant(tenant) as transaction:
            await enqueue(transaction, tenant, [first_reconcile(connection)])

        async def run(desk: Desk) -> Changes:
            URGENT.set(desk.claim.lane <= Lane.ORDER)
            try:
                return await handle(await self._place(hosted, tenant, connection), desk)
            except LookupError as error:
                return Changes(end=decide(error, desk.claim.tries))

        owner = Owner(
            tenant=tenant,
            connection=connection,
            host=self.name,
            store=store,
            handle=run,
            wake_others=self._wake_others,
            code_version=self._code_version,
            room=provider.facts.concurrency if provider is not None else 16,
            on_commit=lambda: self._on_commit(tenant),
        )
        hosted = _Hosted(owner, store, slug)
        hosted.task = asyncio.create_task(owner.run(), name=connection)
        self._hosted[connection] = hosted

    async def _place(self, hosted: _Hosted, tenant: str, connection: str) -> Workplace:
        if hosted.place is None or monotonic() - hosted.opened > REOPEN_SECONDS:
            assert self._session is not None
            hosted.place = await open_workplace(
                tenant=tenant,
                connection=connection,
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

    def wake(self, connection: str) -> None:
        """Have an owner look at its mailbox."""
        hosted = self._hosted.get(connection)
        if hosted is not None:
            hosted.owner.wake()

    async def extra(self, connection: str, name: str, params: bytes) -> bytes:
        """Have an owner here read an extra; JSON both ways."""
        hosted = self._hosted.get(connection)
        if hosted is None:
            return no_owner().encode()
        try:
            place = await self._place(hosted, hosted.owner.tenant, connection)
        except Exception as error:
            log.warning("an extra's connection cannot be opened", connection=connection, error=f"{type(error).__name__}: {error}")
            return failed(error).encode()
        return (await read(place, name, params)).encode()

    def state(self, connection: str) -> dict[str, Any] | None:
        """Live state of an owner here: shape in the interface, figures of this process."""
        hosted = self._hosted.get(connection)
        if hosted is None:
            return None
        place = hosted.place
        return {
            "actor": self.name,
            **hosted.owner.state(),
            "pid": os.getpid(),
            "limits": place.client.limits() if place is not None else {},
            "auth": place.client.auth_state() if place is not None else {},
            "calls": place.client.calls if place is not None else 0,
        }
