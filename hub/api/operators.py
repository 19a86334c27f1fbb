"""What runs the hub itself: tenants, people, provider apps, API keys, the audit trail."""

from datetime import datetime
from typing import Any

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from hub.api.correlation import correlation
from hub.api.guard import manager, operator, owner
from hub.api.pages import Cursor, Limit, Page, after, by_id, page
from hub.api.problems import Problem, not_found
from hub.api.writes import ApiRequest, Written, context_of, write
from hub.audit import record, trail
from hub.database.pool import Transaction
from hub.identity import at_least, tokens
from hub.identity.principal import Role
from hub.identity.sql import SQL as IDENTITY
from hub.ids import new_id
from hub.tenancy import create_provider_app, create_tenant, create_user
from hub.tenancy.errors import Invalid
from hub.tenancy.sql import TENANCY


class NewTenant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tenant to make."""

    name: str


class TenantView(msgspec.Struct, frozen=True):
    """A tenant."""

    id: str
    name: str
    demo: bool
    created_at: datetime | None = None


class NewUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person to make, or to make a member; without a password one is generated and shown once."""

    email: str
    role: Role
    tenant: str | None = None
    password: str | None = None
    operator: bool = False


class MadeUser(msgspec.Struct, frozen=True):
    """A person; `password` only when it was generated now."""

    id: str
    email: str
    role: str
    tenant: str
    password: str | None


class UserView(msgspec.Struct, frozen=True):
    """A member of the tenant."""

    id: str
    email: str
    role: str
    operator: bool
    totp: bool
    created_at: datetime


class NewProviderApp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Partner-level credentials, one set for many tenants."""

    provider: str
    environment: str
    name: str
    credentials: dict[str, str]


class ProviderAppView(msgspec.Struct, frozen=True):
    """A provider app; its credentials are never shown."""

    id: str
    provider: str
    environment: str
    name: str


class NewApiKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key to make, no more powerful than its maker."""

    name: str
    role: Role = "viewer"


class ApiKeyView(msgspec.Struct, frozen=True):
    """An API key; `key` only in the answer that made it."""

    id: str
    name: str
    role: str
    created_at: datetime | None = None
    revoked_at: datetime | None = None
    key: str | None = None


class AuditView(msgspec.Struct, frozen=True):
    """Who changed what."""

    id: str
    actor: str
    action: str
    subject: str
    fields: dict[str, Any]
    correlation_id: str
    at: datetime


class Tenants(Controller):
    """Tenants; operators only."""

    path = "/tenants"
    tags = ["operators"]  # noqa: RUF012 - Litestar's way
    guards = [operator]  # noqa: RUF012

    @get()
    async def list_tenants(self, request: ApiRequest, limit: Limit = 50, cursor: Cursor = None) -> Page[TenantView]:
        """List all tenants."""
        rows = await TENANCY.tenants(context_of(request).database, after=after(cursor), limit=limit + 1)
        return page(rows, limit, lambda row: msgspec.convert(dict(row), TenantView), by_id)

    @post(status_code=201)
    async def make_tenant(self, request: ApiRequest, data: JSONBody[NewTenant]) -> Response[TenantView]:
        """Make a tenant."""

        async def effect(transaction: Transaction) -> Written:
            tenant = await create_tenant(transaction, data.name)
            await record(transaction, request.user.tenant, request.user.user, "tenant.create", tenant, correlation=correlation())
            return Written(TenantView(tenant, data.name.strip(), demo=False))

        return await write(request, effect, status=201)


class Users(Controller):
    """People."""

    path = "/users"
    tags = ["operators"]  # noqa: RUF012

    @get(guards=[manager])
    async def list_users(self, request: ApiRequest, limit: Limit = 50, cursor: Cursor = None) -> Page[UserView]:
        """List the members of your tenant."""
        async with context_of(request).database.tenant(request.user.tenant) as transaction:
            rows = await TENANCY.members(transaction, after=after(cursor), limit=limit + 1)
        return page(rows, limit, lambda row: msgspec.convert(dict(row), UserView), by_id)

    @post(status_code=201, guards=[operator])
    async def make_user(self, request: ApiRequest, data: JSONBody[NewUser]) -> Response[MadeUser]:
        """Make a person a member of a tenant (yours when none is named); operators only."""
        tenant = data.tenant or request.user.tenant

        async def effect(transaction: Transaction) -> Written:
            made = await create_user(transaction, data.email, tenant=tenant, role=data.role, password=data.password, operator=data.operator)
            await record(transaction, request.user.tenant, request.user.user, "user.create", made.id, correlation=correlation())
            return Written(MadeUser(made.id, data.email.lower(), data.role, tenant, made.password))

        return await write(request, effect, status=201)


class ProviderApps(Controller):
    """Partner-level credentials; operators only."""

    path = "/provider-apps"
    tags = ["operators"]  # noqa: RUF012
    guards = [operator]  # noqa: RUF012

    @get()
    async def list_apps(
        self, request: ApiRequest, provider: FromQuery[str | None] = None, limit: Limit = 50, cursor: Cursor = None
    ) -> Page[ProviderAppView]:
        """List provider apps, without their credentials."""
        database = context_of(request).database
        rows = await TENANCY.provider_apps(database, provider=provider or "", after=after(cursor), limit=limit + 1)
        return page(rows, limit, lambda row: msgspec.convert(dict(row), ProviderAppView), by_id)

    @post(status_code=201)
    async def make_app(self, request: ApiRequest, data: JSONBody[NewProviderApp]) -> Response[ProviderAppView]:
        """Make a provider app. Its credentials are checked against the provider's form, sealed, and not shown again."""
        context = context_of(request)

        async def effect(transaction: Transaction) -> Written:
            app = await create_provider_app(
                transaction,
                context.master,
                context.providers,
                provider=data.provider,
                environment=data.environment,
                name=data.name,
                credentials=data.credentials,
            )
            await record(transaction, request.user.tenant, request.user.user, "provider_app.create", app, correlation=correlation())
            return Written(ProviderAppView(app, data.provider, data.environment, data.name.strip()))

        return await write(request, effect, status=201)


class ApiKeys(Controller):
    """Keys for programs."""

    path = "/api-keys"
    tags = ["access"]  # noqa: RUF012
    guards = [owner]  # noqa: RUF012

    @get()
    async def list_keys(self, request: ApiRequest, limit: Limit = 50, cursor: Cursor = None) -> Page[ApiKeyView]:
        """List keys, without the keys themselves."""
        async with context_of(request).database.tenant(request.user.tenant) as transaction:
            rows = await IDENTITY.api_keys(transaction, after=after(cursor), limit=limit + 1)
        return page(rows, limit, lambda row: msgspec.convert(dict(row), ApiKeyView), by_id)

    @post(status_code=201)
    async def make_key(self, request: ApiRequest, data: JSONBody[NewApiKey]) -> Response[ApiKeyView]:
        """Make a key. It is in this answer and nowhere else."""
        who = request.user
        if not 0 < len(data.name.strip()) <= 200 or "\x00" in data.name:
            raise Invalid(("/name", "a name has between 1 and 200 characters"))
        if not at_least(who.role, data.role):
            raise Problem(403, "a key is no more powerful than its maker")
        key, secret = new_id("key"), f"hub_{tokens.new_secret()}"

        async def effect(transaction: Transaction) -> Written:
            name = data.name.strip()
            await IDENTITY.api_key_insert(transaction, tenant=who.tenant, id=key, name=name, hash=tokens.digest(secret), role=data.role)
            await record(transaction, who.tenant, who.user, "api_key.create", key, correlation=correlation())
            row = await IDENTITY.api_key(transaction, id=key)
            return Written(msgspec.convert({**dict(row), "key": secret}, ApiKeyView))

        return await write(request, effect, status=201)

    @delete("/{key_id:str}", status_code=204)
    async def revoke_key(self, request: ApiRequest, key_id: FromPath[str]) -> Response[None]:
        """Revoke a key: it stops working within ten seconds."""
        who = request.user

        async def effect(transaction: Transaction) -> Written:
            if not await IDENTITY.api_key_revoke(transaction, id=key_id):
                raise not_found(f"API key {key_id}")
            await record(transaction, who.tenant, who.user, "api_key.revoke", key_id, correlation=correlation())
            return Written(None)

        return await write(request, effect, status=204)


class Audit(Controller):
    """The audit trail."""

    path = "/audit-log"
    tags = ["access"]  # noqa: RUF012
    guards = [manager]  # noqa: RUF012

    @get()
    async def list_audit(
        self, request: ApiRequest, subject: FromQuery[str | None] = None, limit: Limit = 50, cursor: Cursor = None
    ) -> Page[AuditView]:
        """List who changed what, newest first."""
        async with context_of(request).database.tenant(request.user.tenant) as transaction:
            rows = await trail.page(transaction, after=after(cursor), limit=limit + 1, subject=subject)
        return page(rows, limit, lambda row: msgspec.convert(row, AuditView), by_id)
