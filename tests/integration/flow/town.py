"""A restaurant on real parts without a cluster: PostgreSQL, simulated vendors over HTTP, the ingress, and owners in this process."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any

import uvicorn

from adapters._sandbox.server import running as sandboxes
from adapters._sandbox.vendor import Sandbox
from hub.contract import InstalledProviders, Provider, Providers
from hub.database.pool import Database
from hub.extras.answers import no_owner
from hub.ids import new_id
from hub.ingress import Flusher, Ingress, IngressContext, keep_day_key
from hub.mailbox.messages import NewMessage, enqueue
from hub.ownership.host import Host
from hub.ownership.workplace import Policies
from hub.tenancy import (
    approve_claim,
    claim_store,
    create_connection,
    create_link,
    create_location,
    create_provider_app,
    create_tenant,
)
from hub.vault import BodyVault, MasterKeys

UBER = "ubereats"
SQUARE = "square"


class TownProviders(InstalledProviders):
    """The installed providers and some of a test's own."""

    def __init__(self, *more: Provider) -> None:
        super().__init__()
        self._loaded |= {provider.slug: provider for provider in more}


class Owners:
    """Wakes hosts of this process."""

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}

    def wake(self, connections: Collection[str]) -> None:
        for connection in connections:
            if connection in self.hosts:
                self.hosts[connection].wake(connection)

    async def state(self, connection: str) -> dict[str, Any] | None:
        return None

    async def extra(self, connection: str, name: str, params: bytes) -> bytes:
        host = self.hosts.get(connection)
        return await host.extra(connection, name, params) if host is not None else no_owner().encode()


class Town:
    """One tenant with a POS and a platform, linked."""

    def __init__(self, database: Database, url: str, root: str, vendors: dict[str, Sandbox], providers: Providers) -> None:
        self.database, self.url, self.root, self.vendors, self.providers = database, url, root, vendors, providers
        self.master = MasterKeys({"k": b"k" * 32})
        self.owners = Owners()
        self.tasks: list[asyncio.Task[None]] = []
        self.tenant = self.pos = self.platform = self.link = self.store = self.location_ref = ""
        self.policies: dict[str, Any] = {"reconcile_seconds": 3600.0, "deadline_margin_seconds": 60.0}
        self.sandbox_urls: dict[str, str] = {}
        self.public_url = ""

    @property
    def uber(self) -> Sandbox:
        return self.vendors[UBER]

    @property
    def square(self) -> Sandbox:
        return self.vendors[SQUARE]

    async def open(self, *, pos: str = SQUARE, pos_credentials: dict[str, str] | None = None, **wanted: Any) -> "Town":
        """Make the tenant; keyword arguments go to the link, but `pos_settings` and `pos_location`."""
        settings, place = wanted.pop("pos_settings", {}), wanted.pop("pos_location", None)
        self.tenant = await create_tenant(self.database, "Test restaurant")
        self.store = self.uber.stores()[0]["ref"]
        self.location_ref = place or self.square.stores()[0]["ref"]
        apps = {
            slug: await create_provider_app(
                self.database, self.master, self.providers, provider=slug, environment="simulator",
                name=f"app {new_id('cor')}", credentials=vendor.app_credentials(),
            )
            for slug, vendor in ((UBER, self.uber), (SQUARE, self.square))
        }  # fmt: skip
        async with self.database.tenant(self.tenant) as t:
            made = {}
            known = self.square.connection_credentials()
            for slug, credentials in ((pos, pos_credentials if pos_credentials is not None else known), (UBER, {})):
                created = await create_connection(
                    t, self.master, self.providers, tenant=self.tenant, provider=slug, name=slug, credentials=credentials,
                    settings=settings if slug == pos else {}, environment="simulator", simulator=True, provider_app=apps.get(slug),
                )  # fmt: skip
                made[slug] = created.id
            self.pos, self.platform = made[pos], made[UBER]
            where = await create_location(t, tenant=self.tenant, name="Here", timezone="UTC", currency="USD")
            linked = await create_link(
                t, self.providers, tenant=self.tenant, location=where, pos_connection=self.pos, pos_location_ref=self.location_ref,
                delivery_connection=self.platform, delivery_store_ref=self.store, **wanted,
            )  # fmt: skip
            self.link = linked.id
            claim = await claim_store(t, tenant=self.tenant, connection=self.platform, store_ref=self.store)
            claim_id = claim if isinstance(claim, str) else claim["id"]
            await approve_claim(t, claim_id, actor="test")
            await t.execute("update hub.leases set host = connection")
        return self

    def start(self, *connections: str, host: Callable[..., Host] = Host) -> list[Host]:
        """Start hosts of connections (both when none is named)."""
        started = []
        for connection in connections or (self.pos, self.platform):
            made = host(
                name=connection,
                database_url=self.url,
                master=self.master,
                providers=self.providers,
                policies=Policies(sandbox_url=self.sandbox_urls.get(connection, self.root), public_url=self.public_url, **self.policies),
                wake_others=self.owners.wake,
                on_commit=lambda tenant: None,
            )
            self.owners.hosts[connection] = made
            self.tasks.append(asyncio.create_task(made.run()))
            started.append(made)
        return started

    async def stop(self) -> None:
        """Stop every host."""
        for host in self.owners.hosts.values():
            host.stop()
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=20)

    async def rows(self, query: str, *args: Any) -> list[Any]:
        """Rows as the tenant."""
        async with self.database.tenant(self.tenant) as t:
            return list(await t.fetch(query, *args))

    async def put(self, *messages: NewMessage) -> None:
        """Put messages into mailboxes and wake their owners."""
        async with self.database.tenant(self.tenant) as t:
            woken = await enqueue(t, self.tenant, list(messages))
        self.owners.wake(woken)

    async def publish(self) -> None:
        """Read the POS's menu and push it to the platform."""
        for connection in (self.pos, self.platform):
            key = f"sync/menu/{new_id('cor')}"
            await self.put(NewMessage(connection=connection, kind="sync.menu", subject="sync/menu", dedupe_key=key))
        await self.until("select 1 from hub.events where type = 'menu.published'")

    def order(self, **wanted: Any) -> str:
        """A consumer orders; the platform's order id."""
        return str(self.uber.place_orders({"store": self.store, **wanted})[0])

    async def until(self, query: str, *args: Any, seconds: float = 20) -> Any:
        """Wait for a row, and return it."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    found = await self.rows(query, *args)
                    if found:
                        return found[0]
                    await asyncio.sleep(0.03)
        except TimeoutError:
            due = await self.rows("select m.kind, d.subject, d.tries, d.available_at from hub.due d join hub.messages m using (id)")
            orders = await self.rows("select platform_order_id, state, decision, attention from hub.orders")
            raise AssertionError(f"never: {query} {args}; due {[dict(r) for r in due]}; orders {[dict(r) for r in orders]}") from None

    async def state(self, platform_order_id: str, *states: str, seconds: float = 20) -> Any:
        """Wait until an order is in one of these states, and return its row."""
        query = "select * from hub.orders where platform_order_id = $1 and state = any ($2)"
        return await self.until(query, platform_order_id, list(states), seconds=seconds)

    async def alerts(self) -> list[str]:
        """Kinds of open alerts."""
        return [row["kind"] for row in await self.rows("select kind from hub.alerts where cleared_at is null order by raised_at")]

    def at_square(self, reference: str) -> list[dict[str, Any]]:
        """The POS's orders of one reference."""
        return [order for order in self.square.state()["orders"] if order["reference"] == reference]

    def at_uber(self, platform_order_id: str) -> str:
        """Where the platform has an order."""
        return next(str(order["state"]) for order in self.uber.state()["orders"] if order["id"] == platform_order_id)


@contextlib.asynccontextmanager
async def town(database: Database, url: str, *more: Provider, kind: type[Town] = Town) -> AsyncIterator[Town]:
    """Simulated vendors and the ingress, for the length of a block."""
    async with sandboxes(webhook_retry_scale=0.02) as (root, vendors):
        found = kind(database, url, root, vendors, TownProviders(*more))
        flusher = Flusher(url, found.owners).start()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        ingress = Ingress(
            IngressContext(
                providers=found.providers,
                database=database,
                master=found.master,
                bodies=BodyVault(found.master, keep_day_key(database)),
                flusher=flusher,
                public_url=f"http://127.0.0.1:{port}",
                routes_kept=0.0,
            )
        )
        server = uvicorn.Server(uvicorn.Config(ingress, host="127.0.0.1", port=port, log_level="error", lifespan="off"))
        task = asyncio.create_task(server.serve())
        found.public_url = f"http://127.0.0.1:{port}"
        vendors[UBER].add_webhook(f"http://127.0.0.1:{port}/webhooks/{UBER}", None)
        try:
            yield found
        finally:
            await found.stop()
            server.should_exit = True
            await asyncio.wait({task}, timeout=5)
            await flusher.close()
