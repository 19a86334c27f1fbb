"""A vendor that exists nowhere, a hub's ingress in front of a real database, and what a test reads back."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from hub.contract import Answer, Fact, IngressRequest, Lane, Malformed
from hub.contract.provider import AuthFacts, Environment, Facts, MemoryProviders, Provider, WebhookFacts
from hub.database.pool import Database
from hub.ids import new_id
from hub.ingress import Flusher, Ingress, IngressContext, keep_day_key
from hub.ownership.owners import MemoryOwners
from hub.vault import BodyVault, MasterKeys

MASTER = MasterKeys({"k1": bytes(range(32))})
TENANT_SECRET = "s3cret-of-the-tenant"
PUBLIC = "https://hub.example"


def sign(body: bytes, secret: str, url: str = "") -> str:
    """The vendor's signature: over the registered address and the body."""
    return hmac.new(secret.encode(), url.encode() + body, hashlib.sha256).hexdigest()


class VendorCalls:
    """A vendor whose bodies are `{"events": [{kind, order, store}]}`; with `url` it signs the address too."""

    def __init__(self, *, signs_url: bool) -> None:
        self.signs_url = signs_url

    def signed(self, request: IngressRequest, secrets: Sequence[str]) -> bool:
        """Compare the hex HMAC."""
        given = request.headers.get("x-signature", "")
        if given == "explode":
            raise TypeError("an adapter that stumbles over a header")
        url = request.url if self.signs_url else ""
        return any(hmac.compare_digest(sign(request.body, secret, url), given) for secret in secrets)

    def facts(self, request: IngressRequest) -> Sequence[Fact]:
        """One fact an event."""
        try:
            events = json.loads(request.body)["events"]
        except (ValueError, KeyError, TypeError) as error:
            raise Malformed(f"no events: {error}") from error
        if events == "explode":
            raise ZeroDivisionError("an adapter with a fault")
        return [
            Fact(event.get("kind", "order.placed"), f"order/{event['order']}", f"order/{event['order']}/placed", event["store"], Lane.ORDER)
            for event in events
        ]

    def stored(self, facts: Sequence[Fact]) -> Answer:
        """202 with an id that follows from the fact."""
        return Answer(202, json.dumps({"ids": [fact.dedupe_key for fact in facts]}).encode())

    def refused(self, reason: Literal["unknown_store", "bad_signature", "malformed", "not_stored"]) -> Answer:
        """The vendor's own refusals."""
        status = {"unknown_store": 422, "bad_signature": 401, "malformed": 400, "not_stored": 503}[reason]
        return Answer(status, json.dumps({"refused": reason}).encode())


def _provider(slug: str, level: Literal["app", "connection"], ack_within: float) -> Provider:
    def nothing(*_: Any) -> Any:
        raise AssertionError("no adapter is made here")

    facts = Facts(
        slug=slug,
        name=slug,
        kind="delivery",
        regions=("any",),
        docs="https://docs.example/",
        summary="made up for tests",
        environments={"simulator": Environment("{sandbox}/x")},
        auth=AuthFacts("static", level),
        credentials={},
        capabilities=(),
        order_states=(),
        money_unit="minor",
        idempotency="key",
        evidence={},
        webhook=WebhookFacts("hmac", "X-Signature", "hex", "secret", ack_within, 60, level),
    )
    return Provider(facts, nothing, nothing, VendorCalls(signs_url=level == "connection"))


@dataclass
class Side:
    """A tenant with a connection at each vendor."""

    tenant: str
    till: str
    courier: str


@dataclass
class World:
    """A running ingress."""

    context: IngressContext
    database: Database
    owners: MemoryOwners
    client: httpx.AsyncClient
    app: str
    secret: str
    a: Side
    b: Side

    async def post(self, path: str, body: bytes, secret: str | None = None, **headers: str) -> httpx.Response:
        """Call a webhook, signed with a secret when one is given."""
        if secret is not None:
            headers["x-signature"] = sign(body, secret, PUBLIC + path if path.startswith("/webhooks/till") else "")
        return await self.client.post(path, content=body, headers=headers)

    async def claim(self, side: Side, store_ref: str, *, proof: str = "") -> None:
        """Claim a store for a side's courier connection, proven when a proof is given."""
        async with self.database.tenant(side.tenant) as tx:
            await tx.execute(
                "insert into hub.store_claims (tenant_id, id, provider, provider_app, connection, store_ref, proof, proven_at)"
                " values ($1, $2, 'courier', $3, $4, $5, $6, case when $6 = '' then null else hub.clock() end)",
                side.tenant,
                new_id("clm"),
                self.app,
                side.courier,
                store_ref,
                proof,
            )

    async def messages(self, side: Side) -> list[Any]:
        """The side's messages, oldest first."""
        async with self.database.tenant(side.tenant) as tx:
            return list(await tx.fetch("select * from hub.messages order by id"))

    async def rows(self, side: Side, table: str) -> list[Any]:
        """All rows of a table that the side may see."""
        async with self.database.tenant(side.tenant) as tx:
            return list(await tx.fetch(f"select * from hub.{table}"))

    async def unrouted(self) -> list[Any]:
        """What is kept for the operator, newest first."""
        return list(await self.database.fetch("select * from hub.unrouted_list(100)"))


def events(*found: tuple[str, str], kind: str = "order.placed") -> bytes:
    """A body of (order, store) pairs."""
    return json.dumps({"events": [{"kind": kind, "order": order, "store": store} for order, store in found]}).encode()


async def add_connection(database: Database, tenant: str, provider: str, secret: str | None) -> str:
    """Make a connection, with credentials when a secret is given."""
    connection = new_id("con")
    async with database.tenant(tenant) as tx:
        await tx.execute(
            "insert into hub.connections (tenant_id, id, provider, environment, name) values ($1, $2, $3, 'simulator', $2)",
            tenant,
            connection,
            provider,
        )
        await tx.execute("insert into hub.leases (tenant_id, connection) values ($1, $2)", tenant, connection)
        if secret is not None:
            sealed = MASTER.seal(json.dumps({"secret": secret}).encode(), tenant, "credentials", connection)
            query = "insert into hub.credentials (id, tenant_id, connection, sealed) values ($1, $2, $3, $4)"
            await tx.execute(query, new_id("key"), tenant, connection, sealed)
    return connection


async def add_app(database: Database, secret: str) -> str:
    """Make a provider app of the courier."""
    app = new_id("app")
    sealed = MASTER.seal(json.dumps({"secret": secret}).encode(), "", "provider_apps", app)
    query = "select hub.provider_app_create($1, 'courier', 'simulator', $1, $2, $3)"
    await database.execute(query, app, new_id("key"), sealed)
    return app


async def add_side(database: Database) -> Side:
    """Make a tenant and its connections."""
    tenant = new_id("ten")
    await database.execute("select hub.tenant_create($1, 'Test', false)", tenant)
    till = await add_connection(database, tenant, "till", TENANT_SECRET)
    return Side(tenant, till, await add_connection(database, tenant, "courier", None))


def make_context(database: Database, flusher: Flusher, *, ack_within: float = 5.0, kept: float = 2.0) -> IngressContext:
    """The ingress's surroundings for the two vendors."""
    return IngressContext(
        providers=MemoryProviders(_provider("till", "connection", ack_within), _provider("courier", "app", ack_within)),
        database=database,
        master=MASTER,
        bodies=BodyVault(MASTER, keep_day_key(database)),
        flusher=flusher,
        public_url=PUBLIC,
        body_limit=4096,
        routes_kept=kept,
    )


def client_of(context: IngressContext) -> httpx.AsyncClient:
    """A client that calls the ingress in this process."""
    app: Any = Ingress(context)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://hub.test")
