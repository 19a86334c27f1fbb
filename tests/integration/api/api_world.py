"""Two tenants of one hub, with people, connections, locations, links and orders, and a client that speaks to its API."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec

from hub.api.context import ApiContext
from hub.contract import Done, Extra, Repeat, Request, Step
from hub.contract.capabilities import Adapter
from hub.contract.provider import (
    AuthFacts,
    CredentialField,
    Environment,
    Facts,
    MemoryProviders,
    Provider,
    SettingField,
    WebhookFacts,
)
from hub.ids import new_id
from hub.mailbox.messages import NewMessage, enqueue
from hub.model import Customer, Fulfilment, Line, Money, Order
from hub.orders.records import new_consumer_key, seal_order, totals_of
from hub.ownership.owners import MemoryOwners
from hub.tenancy import (
    claim_store,
    create_connection,
    create_link,
    create_location,
    create_tenant,
    create_user,
)

PASSWORD = "correct horse battery"


def _facts(slug: str, kind: Any, owner: Any, level: Any, credentials: dict[str, CredentialField]) -> Facts:
    return Facts(
        slug=slug,
        name=slug.title(),
        kind=kind,
        regions=("any",),
        docs="https://docs.example/",
        summary="made up for tests",
        environments={"production": Environment("https://api.example"), "simulator": Environment("{sandbox}/x")},
        auth=AuthFacts("static", owner),
        credentials=credentials,
        capabilities=("delay", "extras", "order_amend", "picked_up", "preparing"),
        order_states=("accepted",),
        money_unit="minor",
        idempotency="key",
        evidence={"all": "inferred"},
        settings={"fast": SettingField("Fast", default=False), "size": SettingField("Size", "small", ("small", "large"))},
        webhook=WebhookFacts("hmac", "x-signature", "hex", "secret", 5, 60, level),
    )


def _nothing(*_: Any) -> Adapter:
    raise AssertionError("no strategy is made here")


class CountParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to count."""

    ref: str
    most: int = 10
    items: tuple[str, ...] = ()


class LockParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A drawer and its new code."""

    drawer: str
    code: str


class Counted(msgspec.Struct, frozen=True):
    """A count."""

    ref: str
    count: int


class Till:
    """An adapter with one extra to read and one to run; it calls nobody."""

    def __init__(self, *_: Any) -> None:
        pass

    def extras(self) -> dict[str, Extra]:
        async def counts(params: CountParams) -> list[Counted]:
            return [Counted(params.ref, params.most)]

        async def lock(params: LockParams) -> Step:
            return Step("lock", Request("PUT", f"/drawers/{params.drawer}", "lock", body=params.code.encode()), Repeat.NATURAL)

        def locked(done: Done) -> Counted:
            return Counted(done.vendor_ref, 1)

        return {
            "counts": Extra(title="Counts", params=CountParams, result=list[Counted], read=counts),
            "lock": Extra(title="Lock a drawer", params=LockParams, result=Counted, step=lock, done=locked),
        }


def providers() -> MemoryProviders:
    """A till and a courier platform that exist nowhere."""
    till = {
        "access_token": CredentialField("Token", secret=True, of="connection", pattern="tok_[a-z]+"),
        "hint": CredentialField("Hint", secret=False, of="connection", required=False),
    }
    app = {"client_secret": CredentialField("Client secret", secret=True, of="app")}
    made: Any = _nothing
    adapter: Any = Till
    return MemoryProviders(
        Provider(_facts("till", "pos", "connection", "connection", till), adapter, made),
        Provider(_facts("courier", "delivery", "app", "app", app), adapter, made),
    )


@dataclass
class Side:
    """One tenant and what is its."""

    tenant: str
    email: str
    user: str
    pos: str = ""
    delivery: str = ""
    location: str = ""
    link: str = ""
    claim: str = ""
    order: str = ""
    dead: int = 0
    alert: str = ""
    token: str = ""
    session: str = ""
    refresh: str = ""


@dataclass
class World:
    """A hub with two tenants and an operator, who belongs to the first."""

    context: ApiContext
    owners: MemoryOwners
    client: httpx.AsyncClient
    app: str
    a: Side
    b: Side
    operator: Side
    tried: list[tuple[str, str]] = field(default_factory=list)

    async def call(self, side: Side, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Call /api/v1 as a tenant's owner."""
        sent = {"Authorization": f"Bearer {side.token}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        return await self.client.request(method, f"/api/v1{path}", json=body, headers=sent)


async def login(client: httpx.AsyncClient, side: Side) -> None:
    """Sign a side's person in."""
    answer = await client.post("/api/v1/auth/login", json={"email": side.email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    side.token, side.refresh = answer.json()["access_token"], answer.json()["refresh_token"]
    side.session = side.refresh.split(".")[0]


async def add_order(context: ApiContext, side: Side, *, state: str = "received", decision: str = "wait", name: str = "Noura") -> str:
    """Put an order into the table, as intake would."""
    order = Order(
        platform="courier",
        platform_order_id=new_id("ord")[4:],
        store_ref="store",
        currency="SAR",
        lines=(Line("l1", "Shawarma", 2, Money(1500, "SAR"), Money(3000, "SAR"), note="no onions"),),
        total=Money(3000, "SAR"),
        placed_at=datetime.now(UTC),
        fulfilment=Fulfilment("pickup"),
        customer=Customer(name=name, phone="+966500000000"),
    )
    identifier, consumer = new_id("ord"), new_id("cns")
    key, wrapped = new_consumer_key(context.master, side.tenant, consumer)
    async with context.database.tenant(side.tenant) as tx:
        await tx.execute("insert into hub.consumers (tenant_id, id, sealed_key) values ($1, $2, $3)", side.tenant, consumer, wrapped)
        await tx.execute(
            "insert into hub.orders (tenant_id, id, link, location, platform, platform_order_id, delivery_connection, pos,"
            " pos_connection, state, decision, body, consumer, display_id, totals, correlation, placed_at, deadline_at, created_at,"
            " updated_at) values ($1,$2,$3,$4,'courier',$5,$6,'till',$7,$8,$9,$10,$11,'A-17',$12,'cor_test',$13,$14,$13,$13)",
            side.tenant,
            identifier,
            side.link,
            side.location,
            order.platform_order_id,
            side.delivery,
            side.pos,
            state,
            decision,
            seal_order(key, side.tenant, identifier, order),
            consumer,
            totals_of(order),
            order.placed_at,
            order.placed_at + timedelta(minutes=8),
        )
        await tx.execute(
            "insert into hub.events (tenant_id, type, subject, location, data, correlation, at)"
            " values ($1, 'order.created', $2, $3, $4, 'cor_test', hub.clock())",
            side.tenant,
            identifier,
            side.location,
            {"step": "received", "detail": "by webhook"},
        )
    return identifier


async def add_dead(context: ApiContext, side: Side, *, connection: str = "", kind: str = "noted", subject: str = "store/x") -> int:
    """Put a message into a mailbox and bury it."""
    where = connection or side.delivery
    message = NewMessage(connection=where, kind=kind, subject=subject, dedupe_key=new_id("evt"), correlation="cor_test")
    async with context.database.tenant(side.tenant) as tx:
        await enqueue(tx, side.tenant, [message])
        row = await tx.fetchrow("delete from hub.due where id = (select max(id) from hub.due) returning *")
        assert row is not None
        await tx.execute(
            "insert into hub.dead_letters (tenant_id, id, connection, kind, subject, lane, message_at, reason, detail, tries)"
            " values ($1, $2, $3, $4, $5, $6, $7, 'drifted', 'no such field', 5)",
            side.tenant,
            row["id"],
            where,
            kind,
            subject,
            row["lane"],
            row["at"],
        )
        return int(row["id"])


async def add_side(context: ApiContext, name: str, app: str, *, operator: bool = False) -> Side:
    """Make a tenant with one of everything; its connections use the provider app `app`."""
    tenant = await create_tenant(context.database, name)
    email = f"{name.lower()}-{new_id('usr')[4:]}@example.test"
    made = await create_user(context.database, email, tenant=tenant, role="owner", password=PASSWORD, operator=operator)
    side = Side(tenant, email, made.id)
    async with context.database.tenant(tenant) as tx:
        pos = await create_connection(
            tx, context.master, context.providers, tenant=tenant, provider="till", name="Till", credentials={"access_token": "tok_a"}
        )
        delivery = await create_connection(
            tx, context.master, context.providers, tenant=tenant, provider="courier", name="Courier", credentials={}, provider_app=app
        )
        side.pos, side.delivery = pos.id, delivery.id
        side.location = await create_location(tx, tenant=tenant, name=name, timezone="Asia/Riyadh", currency="SAR")
        link = await create_link(
            tx,
            context.providers,
            tenant=tenant,
            location=side.location,
            pos_connection=side.pos,
            pos_location_ref="L1",
            delivery_connection=side.delivery,
            delivery_store_ref="store",
            accept="manual",
        )
        side.link = link.id
        side.claim = await claim_store(tx, tenant=tenant, connection=side.delivery, store_ref=f"store-{tenant}")
        side.alert = new_id("alr")
        await tx.execute(
            "insert into hub.alerts (tenant_id, id, dedupe_key, kind, severity, subject, detail, raised_at, seen_at)"
            " values ($1, $2, 'x', 'order.late', 'warning', 'x', 'late', hub.clock(), hub.clock())",
            tenant,
            side.alert,
        )
    side.order = await add_order(context, side)
    side.dead = await add_dead(context, side)
    return side
