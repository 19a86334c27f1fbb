"""All that the handlers of one connection work with: its adapter and client, its links and menus, the keys that seal."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from hub.attempts import Effects
from hub.calls import AppTokens, ConnectionTokens, Limiter, Memory, SharedLimits, VendorClient
from hub.clock import monotonic
from hub.contract import Facts, Misconfigured, OrderIntake, OrderSearch, OrderTarget, Place, Provider, Providers
from hub.contract.capabilities import Adapter
from hub.contract.tasks import Connected
from hub.database.pool import Database
from hub.mailbox.changes import OrderGuard
from hub.mailbox.claims import OrderRow
from hub.model import Menu
from hub.ownership.owner import Desk
from hub.vault import BodyVault, DataKey, MasterKeys

FRESH_SECONDS = 2.0
"""How long links and menu numbers are believed before they are read again."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """Which POS location serves which store, and by what policies."""

    id: str
    location: str
    pos_connection: str
    pos_location_ref: str
    pos: str
    delivery_connection: str
    delivery_store_ref: str
    platform: str
    accept: str
    unmapped: str
    at_deadline: str
    active: bool
    mappings: dict[str, str]
    currency: str
    timezone: str


class ConnectionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A connection as the table has it."""

    id: str
    provider: str
    environment: str
    name: str
    provider_app: str | None
    settings: dict[str, Any]
    status: str


class Policies(msgspec.Struct, frozen=True, kw_only=True):
    """Times that the operator sets, in seconds."""

    reconcile_seconds: float = 60.0
    deadline_margin_seconds: float = 60.0
    sandbox_url: str = ""
    public_url: str = ""


_LINKS = """
select l.id, l.location, l.pos_connection, l.pos_location_ref, p.provider as pos, l.delivery_connection, l.delivery_store_ref,
  d.provider as platform, l.accept, l.unmapped, l.at_deadline, l.active,
  w.currency, w.timezone,
  coalesce((select jsonb_object_agg(m.channel_key, m.pos_product) from hub.mappings m where m.link = l.id), '{}') as mappings
from hub.links l
join hub.connections p on p.id = l.pos_connection
join hub.connections d on d.id = l.delivery_connection
join hub.locations w on w.id = l.location
where l.pos_connection = $1 or l.delivery_connection = $1
"""


class Kept:
    """What outlives the reopening of a connection: its limits' buckets, calls under way, and what its vendor's settings were."""

    def __init__(self, facts: Facts, environment: str, *, shared: SharedLimits | None = None, owner: str = "", share: int = 1) -> None:
        found = facts.environments.get(environment)
        limits = facts.limits if found is None or found.limited else ()
        self.limiter, self.memory = Limiter(limits, shared=shared, owner=owner, share=share), Memory()
        self.gate = asyncio.Semaphore(facts.concurrency)


class Workplace:
    """One connection's. Reads are cached for moments; nothing here writes."""

    def __init__(
        self,
        *,
        tenant: str,
        row: ConnectionRow,
        provider: Provider,
        adapter: Adapter,
        client: VendorClient,
        database: Database,
        master: MasterKeys,
        bodies: BodyVault,
        policies: Policies,
        kept: Kept,
    ) -> None:
        self.kept = kept
        self.tenant, self.connection, self.row = tenant, row.id, row
        self.provider, self.adapter, self.client = provider, adapter, client
        # Asked once: isinstance with a protocol looks at every attribute, each time (Python 3.11).
        self.intake = adapter if isinstance(adapter, OrderIntake) else None
        self.target = adapter if isinstance(adapter, OrderTarget) else None
        self.search = adapter if isinstance(adapter, OrderSearch) else None
        self.database, self.master, self.bodies, self.policies = database, master, bodies, policies
        self._links: tuple[Link, ...] = ()
        self._links_read = -1e9
        self._menus: dict[tuple[str, str], tuple[float, int, Menu | None]] = {}

    @property
    def facts(self) -> Facts:
        """The provider's facts."""
        return self.provider.facts

    async def links(self) -> tuple[Link, ...]:
        """Links on either side of this connection, ended ones too."""
        if monotonic() - self._links_read > FRESH_SECONDS:
            async with self.database.tenant(self.tenant) as transaction:
                rows = await transaction.fetch(_LINKS, self.connection)
            self._links = tuple(msgspec.convert(dict(row), Link) for row in rows)
            self._links_read = monotonic()
        return self._links

    async def link(self, identifier: str) -> Link | None:
        """A link by id."""
        return next((link for link in await self.links() if link.id == identifier), None)

    async def link_of_store(self, store_ref: str) -> Link | None:
        """The active link of a platform's store."""
        for link in await self.links():
            if link.active and link.delivery_connection == self.connection and link.delivery_store_ref == store_ref:
                return link
        return None

    async def places(self) -> dict[str, Place]:
        """What is known of the stores that this connection's active links name."""
        mine = [link for link in await self.links() if link.active and link.delivery_connection == self.connection]
        return {link.delivery_store_ref: Place(link.currency, link.timezone) for link in mine}

    async def menu(self, pos_connection: str, location_ref: str) -> tuple[int, Menu | None]:
        """Number and body of the newest menu of a POS location; (0, None) when none was read yet."""
        key = (pos_connection, location_ref)
        read_at, number, menu = self._menus.get(key, (-1e9, 0, None))
        if monotonic() - read_at <= FRESH_SECONDS:
            return number, menu
        async with self.database.tenant(self.tenant) as transaction:
            newest = await transaction.fetchval(
                "select max(number) from hub.menu_versions where connection = $1 and location_ref = $2", *key
            )
            if newest is not None and newest != number:
                body = await transaction.fetchval(
                    "select body from hub.menu_versions where connection = $1 and location_ref = $2 and number = $3",
                    *key,
                    newest,
                )
                number, menu = newest, msgspec.convert(body, Menu)
        self._menus[key] = (monotonic(), number, menu)
        return number, menu

    def effects(self, desk: Desk, key: DataKey, *, order: OrderRow | None = None, subject: str = "", family: str = "order") -> Effects:
        """The vendor writes of a message; with an order they are guarded by its version and belong to its subject.

        `family` keeps apart the writes of submitting and of cancelling, whose steps have names of their own.
        """
        return Effects(
            desk=desk,
            adapter=self.adapter,
            client=self.client,
            tenant=self.tenant,
            connection=self.connection,
            subject=f"{family}/{order.id}" if order is not None else subject,
            key=key,
            generation=order.generation if order is not None else 1,
            guard=OrderGuard(order.id, order.version) if order is not None else None,
            order_id=order.id if order is not None else None,
            visibility_lag=self.facts.visibility_lag,
        )


def bases(facts: Facts, environment: str, sandbox_url: str) -> Mapping[str, str]:
    """Base URLs of an environment; raises Misconfigured for one the provider does not have, or a simulator without its URL."""
    found = facts.environments.get(environment)
    if found is None:
        names = ", ".join(sorted(facts.environments))
        raise Misconfigured(f"{facts.slug} has no environment {environment!r}: choose one of {names}")
    urls = {name: found.base(name) for name in ("api", "auth", "consent")}
    return {name: _placed(url, sandbox_url) for name, url in urls.items()}


def callbacks(facts: Facts, environment: str, sandbox_url: str) -> tuple[str, ...]:
    """Hosts that addresses in the vendor's calls may name."""
    found = facts.environments.get(environment)
    host = urlsplit(sandbox_url).netloc
    return tuple(name.replace("{sandbox}", host) for name in (found.callbacks if found else ()) if host or "{sandbox}" not in name)


def _placed(url: str, sandbox_url: str) -> str:
    if "{sandbox}" not in url:
        return url
    if not sandbox_url:
        raise Misconfigured("the simulator environment needs HUB_SANDBOX_URL, which is unset in production")
    return url.replace("{sandbox}", sandbox_url.rstrip("/"))


def webhook_address(facts: Facts, connection: str, public_url: str) -> str:
    """The address under which a vendor calls: the app's, or the connection's own."""
    root = f"{public_url}/webhooks/{facts.slug}"
    return root if facts.webhook is None or facts.webhook.level == "app" else f"{root}/{connection}"


def connected(facts: Facts, row: ConnectionRow, credentials: Mapping[str, str], public_url: str) -> Connected:
    """What an adapter is told of its connection: settings with their defaults, its address, and what of its credentials is no secret."""
    settings = {name: field.default for name, field in facts.settings.items()} | row.settings
    details = {name: credentials[name] for name, field in facts.credentials.items() if not field.secret and name in credentials}
    return Connected(row.id, row.environment, settings, webhook_address(facts, row.id, public_url), details)


async def open_workplace(
    *,
    tenant: str,
    connection: str,
    providers: Providers,
    database: Database,
    master: MasterKeys,
    bodies: BodyVault,
    session: aiohttp.ClientSession,
    policies: Policies,
    kept: Kept | None = None,
    shared: SharedLimits | None = None,
) -> Workplace:
    """Read a connection and make its adapter; raises Misconfigured when its provider or environment is not there."""
    async with database.tenant(tenant) as transaction:
        found = await transaction.fetchrow(
            "select id, provider, environment, name, provider_app, settings, status from hub.connections where id = $1",
            connection,
        )
    if found is None:
        raise Misconfigured(f"connection {connection} is not there")
    row = msgspec.convert(dict(found), ConnectionRow)
    provider = providers.get(row.provider)
    if provider is None:
        raise Misconfigured(f"provider {row.provider!r} is not installed")
    facts = provider.facts
    if facts.auth.owner == "app":
        if row.provider_app is None:
            raise Misconfigured(f"connection {connection} has no provider app: the operator adds one for {facts.name}")
        tokens: AppTokens | ConnectionTokens = AppTokens(database, master, row.provider_app)
    else:
        tokens = ConnectionTokens(database, master, tenant, connection, row.provider_app)
    if kept is None:
        app = row.provider_app
        share = await database.fetchval("select hub.app_sharers($1)", app) if app is not None else 1
        kept = Kept(facts, row.environment, shared=shared, owner=app or connection, share=share)
    client = VendorClient(
        slug=facts.slug,
        session=session,
        bases=bases(facts, row.environment, policies.sandbox_url),
        auth=provider.auth(facts),
        tokens=tokens,
        callbacks=callbacks(facts, row.environment, policies.sandbox_url),
        limiter=kept.limiter,
        gate=kept.gate,
        memory=kept.memory,
    )
    known = (await ConnectionTokens(database, master, tenant, connection, row.provider_app).read()).credentials
    adapter = provider.adapter(facts, connected(facts, row, known, policies.public_url), client)
    client.use_failures(adapter.failure)
    return Workplace(
        tenant=tenant,
        row=row,
        provider=provider,
        adapter=adapter,
        client=client,
        database=database,
        master=master,
        bodies=bodies,
        policies=policies,
        kept=kept,
    )
