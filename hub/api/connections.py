"""/connections: make, change, try, pause, resume and look at a tenant's accounts at providers."""

from datetime import datetime
from typing import Any, Literal

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody

from hub.api.correlation import correlation
from hub.api.guard import manager, staff
from hub.api.pages import Cursor, Limit, Page, after, by_id, page
from hub.api.problems import Problem
from hub.api.writes import ApiRequest, Written, context_of, write
from hub.audit import record
from hub.contract.errors import VendorError
from hub.database.pool import Transaction
from hub.mailbox.messages import enqueue
from hub.tenancy import Unknown, create_connection
from hub.tenancy.connections import change_connection, remove_connection, set_paused, sync_message
from hub.tenancy.sql import CONNECTIONS


class NewConnection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account at a provider. Which credentials and settings it wants, `providers/{slug}` says."""

    provider: str
    name: str
    credentials: dict[str, str] = {}
    settings: dict[str, str | int | bool] = {}
    environment: str | None = None
    provider_app: str | None = None


class ConnectionChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change; credentials replace the whole set."""

    name: str | None = None
    credentials: dict[str, str] | None = None
    settings: dict[str, str | int | bool] | None = None


class ConnectionView(msgspec.Struct, frozen=True):
    """A connection. Its credentials are never shown; `webhook_url` is what to register at the vendor."""

    id: str
    provider: str
    environment: str
    name: str
    provider_app: str | None
    settings: dict[str, Any]
    status: str
    status_reason: str
    version: int
    created_at: datetime
    webhook_url: str | None


class Mailbox(msgspec.Struct, frozen=True):
    """What waits in a connection's mailbox."""

    ready: int
    dead: int
    oldest_due: datetime | None


class State(msgspec.Struct, frozen=True):
    """A connection's live state; `pid`, `node` and `owner` are null while no owner answers.

    `owner` says what the owner is at: `active`, `passive` (idle: it let go of its memory, the next message wakes it), or what hinders it.
    """

    actor: str | None
    pid: int | None
    node: str | None
    epoch: int
    status: str
    mailbox: Mailbox
    limits: Any
    auth: Any
    owner: str | None = None


class Tried(msgspec.Struct, frozen=True):
    """What came of trying a connection with one harmless read."""

    ok: bool
    detail: str
    error: str | None = None


class Sync(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to read anew. On a delivery connection `menu` publishes the POS's menu to its linked stores."""

    resource: Literal["menu", "orders", "stock", "stores"]


class Queued(msgspec.Struct, frozen=True):
    """A read that is queued."""

    connection: str
    resource: str
    correlation_id: str


def webhook_url(request: ApiRequest, provider: str, connection: str) -> str | None:
    """The address a vendor calls: app-level ones are one for all connections."""
    context = context_of(request)
    found = context.providers.get(provider)
    if found is None or found.facts.webhook is None:
        return None
    root = f"{context.settings.registered_url}/webhooks/{provider}"
    return root if found.facts.webhook.level == "app" else f"{root}/{connection}"


def _view(request: ApiRequest, row: Any) -> ConnectionView:
    fields = {**dict(row), "webhook_url": webhook_url(request, row["provider"], row["id"])}
    return msgspec.convert(fields, ConnectionView)


async def _read(request: ApiRequest, transaction: Transaction, connection: str) -> ConnectionView:
    row = await CONNECTIONS.connection(transaction, id=connection)
    if row is None:
        raise Unknown(f"connection {connection}")
    return _view(request, row)


class Connections(Controller):
    """Accounts at providers."""

    path = "/connections"
    tags = ["connections"]  # noqa: RUF012 - Litestar's way

    @get()
    async def list_connections(
        self, request: ApiRequest, provider: FromQuery[str | None] = None, limit: Limit = 50, cursor: Cursor = None
    ) -> Page[ConnectionView]:
        """List connections."""
        async with context_of(request).database.tenant(request.user.tenant) as transaction:
            rows = await CONNECTIONS.connections(transaction, after=after(cursor), provider=provider, limit=limit + 1)
        return page(rows, limit, lambda row: _view(request, row), by_id)

    @post(status_code=201, guards=[manager])
    async def make(self, request: ApiRequest, data: JSONBody[NewConnection]) -> Response[ConnectionView]:
        """Make a connection and start reading from it."""
        context, who = context_of(request), request.user

        async def effect(transaction: Transaction) -> Written:
            made = await create_connection(
                transaction,
                context.master,
                context.providers,
                tenant=who.tenant,
                provider=data.provider,
                name=data.name,
                credentials=data.credentials,
                settings=data.settings,
                environment=data.environment,
                provider_app=data.provider_app,
                simulator=bool(context.settings.sandbox_url),
                actor=who.user,
                correlation=correlation(),
            )
            return Written(await _read(request, transaction, made.id), {made.id, *made.woken})

        return await write(request, effect, status=201)

    @get("/{connection_id:str}")
    async def one(self, request: ApiRequest, connection_id: FromPath[str]) -> ConnectionView:
        """Show a connection."""
        async with context_of(request).database.tenant(request.user.tenant) as transaction:
            return await _read(request, transaction, connection_id)

    @patch("/{connection_id:str}", guards=[manager])
    async def change(self, request: ApiRequest, connection_id: FromPath[str], data: JSONBody[ConnectionChange]) -> Response[ConnectionView]:
        """Change a connection. New credentials lift a suspension."""
        context, who = context_of(request), request.user

        async def effect(transaction: Transaction) -> Written:
            await change_connection(
                transaction,
                context.master,
                context.providers,
                tenant=who.tenant,
                connection=connection_id,
                name=data.name,
                credentials=data.credentials,
                settings=data.settings,
                actor=who.user,
                correlation=correlation(),
            )
            return Written(await _read(request, transaction, connection_id), {connection_id})

        return await write(request, effect)

    @delete("/{connection_id:str}", status_code=204, guards=[manager])
    async def remove(self, request: ApiRequest, connection_id: FromPath[str]) -> Response[None]:
        """Take a connection out of service and forget its credentials. A link that uses it must go first (409)."""
        who = request.user

        async def effect(transaction: Transaction) -> Written:
            await remove_connection(transaction, tenant=who.tenant, connection=connection_id, actor=who.user, correlation=correlation())
            return Written(None, {connection_id})

        return await write(request, effect, status=204)

    @post("/{connection_id:str}/test", status_code=200, guards=[staff])
    async def try_it(self, request: ApiRequest, connection_id: FromPath[str]) -> Tried:
        """Make one harmless call to the vendor and say what came of it."""
        context, who = context_of(request), request.user
        async with context.database.tenant(who.tenant) as transaction:
            await _read(request, transaction, connection_id)
        try:
            found = await context.tester(who.tenant, connection_id)
        except VendorError as error:
            return Tried(ok=False, detail=str(error), error=type(error).__name__)
        except (OSError, TimeoutError) as error:
            return Tried(ok=False, detail=f"the vendor could not be reached: {type(error).__name__}", error="RetryLater")
        return Tried(bool(found.get("ok", True)), str(found.get("detail", "")), found.get("error"))

    @post("/{connection_id:str}/pause", status_code=200, guards=[staff])
    async def pause(self, request: ApiRequest, connection_id: FromPath[str]) -> Response[ConnectionView]:
        """Take nothing new from its mailbox until it is resumed; what the vendor sends is stored meanwhile."""
        return await self._set(request, connection_id, paused=True)

    @post("/{connection_id:str}/resume", status_code=200, guards=[staff])
    async def resume(self, request: ApiRequest, connection_id: FromPath[str]) -> Response[ConnectionView]:
        """Go on, also after a suspension."""
        return await self._set(request, connection_id, paused=False)

    @staticmethod
    async def _set(request: ApiRequest, connection_id: str, *, paused: bool) -> Response[ConnectionView]:
        who = request.user

        async def effect(transaction: Transaction) -> Written:
            await set_paused(
                transaction,
                tenant=who.tenant,
                connection=connection_id,
                paused=paused,
                actor=who.user,
                correlation=correlation(),
            )
            return Written(await _read(request, transaction, connection_id), {connection_id})

        return await write(request, effect)

    @get("/{connection_id:str}/state")
    async def state(self, request: ApiRequest, connection_id: FromPath[str]) -> State:
        """Show where it runs and what waits; live figures come from its owner, counts from the database."""
        context = context_of(request)
        async with context.database.tenant(request.user.tenant) as transaction:
            view = await _read(request, transaction, connection_id)
            row = await CONNECTIONS.mailbox(transaction, id=connection_id)
        live = await context.owners.state(connection_id) or {}
        auth = {"token_expires_at": row["token_expires_at"], **(live.get("auth") or {})}
        return State(
            live.get("actor") or row["host"],
            live.get("pid"),
            live.get("node"),
            live.get("epoch") or row["epoch"] or 0,
            view.status,
            Mailbox(row["ready"], row["dead"], row["oldest_due"]),
            live.get("limits") or {},
            auth,
            live.get("status"),
        )

    @post("/{connection_id:str}/sync", status_code=202, guards=[staff])
    async def sync(self, request: ApiRequest, connection_id: FromPath[str], data: JSONBody[Sync]) -> Response[Queued]:
        """Read menus, orders, stock or stores anew from the vendor."""
        who = request.user

        async def effect(transaction: Transaction) -> Written:
            view = await _read(request, transaction, connection_id)
            if view.status == "suspended":
                raise Problem(409, f"the connection is suspended: {view.status_reason or 'connect it again'}")
            message = sync_message(connection_id, data.resource, correlation())
            woken = await enqueue(transaction, who.tenant, [message])
            await record(transaction, who.tenant, who.user, f"connection.sync.{data.resource}", connection_id, correlation=correlation())
            return Written(Queued(connection_id, data.resource, correlation()), woken)

        return await write(request, effect, status=202)
