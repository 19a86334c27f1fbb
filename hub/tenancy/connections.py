"""Connections: a tenant's account at a provider. Credentials go in sealed and never come out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from hub.audit import record
from hub.contract import Lane, OAuthCode
from hub.contract.provider import Facts, Provider, Providers
from hub.database.pool import Transaction
from hub.ids import new_id
from hub.mailbox.messages import NewMessage, enqueue
from hub.reconcile.orders import first_reconcile
from hub.tenancy.errors import Conflict, Invalid, Unknown
from hub.tenancy.fields import checked_settings, credential_errors
from hub.tenancy.sql import CONNECTIONS, TENANCY, event
from hub.vault import MasterKeys

FIRST_READS: dict[str, tuple[str, ...]] = {"pos": ("stores", "menu", "stock"), "delivery": ("stores",)}
"""What a new connection of each kind reads, beside its orders; a platform's menu is written, so only when asked."""


@dataclass(frozen=True, slots=True)
class Created:
    """A new connection and the mailboxes to wake after the commit."""

    id: str
    woken: list[str]


def _default_environment(facts: Facts, wanted: str | None, *, simulator: bool) -> str:
    if wanted is not None:
        return wanted
    return "simulator" if simulator and "simulator" in facts.environments else "production"


async def app_for(transaction: Transaction, facts: Facts, environment: str, wanted: str | None) -> str | None:
    """The provider app that a connection uses: the wanted one, else the only one that fits; raises Invalid, Unknown."""
    needs = facts.auth.owner == "app" or any(field.of == "app" for field in facts.credentials.values())
    if not needs:
        if wanted is not None:
            raise Invalid(("/provider_app", f"{facts.slug} has no provider apps"))
        return None
    rows = await TENANCY.provider_apps(transaction, provider=facts.slug, after=None, limit=1000)
    fitting = [row["id"] for row in rows if row["environment"] == environment]
    if wanted is not None:
        if wanted not in fitting:
            raise Unknown(f"provider app {wanted} of {facts.slug} in {environment}", "/provider_app")
        return wanted
    if len(fitting) == 1:
        return str(fitting[0])
    if not fitting:
        if facts.auth.owner != "app":
            return None
        raise Invalid(("/provider_app", f"the operator has made no provider app for {facts.slug} in {environment} yet"))
    raise Invalid(("/provider_app", f"{facts.slug} has several provider apps in {environment}: name one"))


def _name_errors(name: str) -> list[tuple[str, str]]:
    return [] if 0 < len(name.strip()) <= 200 and "\x00" not in name else [("/name", "a name has between 1 and 200 characters")]


async def create_connection(
    transaction: Transaction,
    master: MasterKeys,
    providers: Providers,
    *,
    tenant: str,
    provider: str,
    name: str,
    credentials: Mapping[str, str],
    settings: Mapping[str, Any] | None = None,
    environment: str | None = None,
    provider_app: str | None = None,
    simulator: bool = False,
    actor: str = "hub",
    correlation: str = "",
) -> Created:
    """Make a connection, its sealed credentials and its lease, and queue its first reads; raises Invalid, Unknown, Conflict.

    `simulator` says that this hub has a sandbox: only then may a connection use it, and then it is the default environment.
    The transaction must be the tenant's.
    """
    found = providers.get(provider)
    if found is None:
        raise Invalid(("/provider", f"no provider {provider!r} is installed"))
    facts = found.facts
    chosen = _default_environment(facts, environment, simulator=simulator)
    allowed = sorted(e for e in facts.environments if simulator or e != "simulator")
    full, setting_errors = checked_settings(facts, settings or {})
    errors = [*_name_errors(name), *credential_errors(facts, "connection", credentials), *setting_errors]
    if chosen not in allowed:
        errors.append(("/environment", f"one of {', '.join(allowed)}"))
    if errors:
        raise Invalid(*errors)
    app = await app_for(transaction, facts, chosen, provider_app)
    connection = new_id("con")
    if await CONNECTIONS.name_taken(transaction, provider=provider, name=name.strip(), id=connection):
        raise Conflict(f"a connection to {provider} with the name {name.strip()!r} is there already")
    await CONNECTIONS.insert_connection(
        transaction,
        tenant=tenant,
        id=connection,
        provider=provider,
        environment=chosen,
        name=name.strip(),
        provider_app=app,
        settings=full,
    )
    if _awaits_consent(found, credentials):
        reason = f"connect it: POST /api/v1/connections/{connection}/authorize gives the address of its consent"
        await CONNECTIONS.update_connection(transaction, id=connection, name=name.strip(), settings=full, status="suspended", reason=reason)
    sealed = master.seal(msgspec.json.encode(dict(credentials)), tenant, "credentials", connection)
    await CONNECTIONS.insert_credentials(transaction, id=new_id("key"), tenant=tenant, connection=connection, sealed=sealed)
    await CONNECTIONS.insert_lease(transaction, tenant=tenant, connection=connection)
    await _tell(transaction, tenant, connection, "connection.create", "created", actor, correlation)
    messages = [sync_message(connection, resource, correlation or connection) for resource in FIRST_READS[facts.kind]]
    messages.append(first_reconcile(connection))
    return Created(connection, await enqueue(transaction, tenant, messages))


def _awaits_consent(provider: Provider, credentials: Mapping[str, str]) -> bool:
    """Tell whether only a consent in the browser gives these credentials a token."""
    if provider.facts.auth.mode != "oauth2_authorization_code" or credentials.get("refresh_token"):
        return False
    auth = provider.auth(provider.facts)
    return isinstance(auth, OAuthCode) and auth.first_token(credentials) is None


def sync_message(connection: str, resource: str, correlation: str) -> NewMessage:
    """A request to read a resource (stores, menu, stock, orders) anew; asked twice with one correlation it is one."""
    return NewMessage(
        connection=connection,
        kind=f"sync.{resource}",
        subject=f"sync/{resource}",
        dedupe_key=f"sync/{resource}/{correlation}",
        lane=Lane.BULK if resource == "orders" else Lane.MENU,
        correlation=correlation,
    )


async def _tell(
    transaction: Transaction,
    tenant: str,
    connection: str,
    action: str,
    status: str,
    actor: str,
    correlation: str,
    fields: tuple[str, ...] = (),
) -> None:
    await event(transaction, tenant, "connection.changed", connection, {"change": action, "status": status}, correlation=correlation)
    await record(transaction, tenant, actor, action, connection, fields=fields, correlation=correlation)


async def change_connection(
    transaction: Transaction,
    master: MasterKeys,
    providers: Providers,
    *,
    tenant: str,
    connection: str,
    name: str | None = None,
    credentials: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    actor: str,
    correlation: str = "",
) -> None:
    """Change a connection; credentials replace the whole set and lift a suspension. Raises Invalid, Unknown, Conflict.

    The token of a consent stays, and so does its suspension, when the new credentials bring no token of their own.
    """
    row = await _lock(transaction, connection)
    found = providers.get(row["provider"])
    if found is None:
        raise Conflict(f"the provider {row['provider']!r} is not installed")
    errors = _name_errors(name) if name is not None else []
    full, setting_errors = checked_settings(found.facts, {**row["settings"], **(settings or {})})
    errors += setting_errors
    if credentials is not None:
        errors += credential_errors(found.facts, "connection", credentials)
    if errors:
        raise Invalid(*errors)
    new_name = (name or row["name"]).strip()
    if await CONNECTIONS.name_taken(transaction, provider=row["provider"], name=new_name, id=connection):
        raise Conflict(f"a connection to {row['provider']} with the name {new_name!r} is there already")
    status, reason = row["status"], row["status_reason"]
    if credentials is not None:
        sealed = master.seal(msgspec.json.encode(dict(credentials)), tenant, "credentials", connection)
        if _awaits_consent(found, credentials):
            await CONNECTIONS.replace_sealed(transaction, connection=connection, sealed=sealed)
        else:
            await CONNECTIONS.replace_credentials(transaction, connection=connection, sealed=sealed)
            if status == "suspended":
                status, reason = "active", ""
    await CONNECTIONS.update_connection(transaction, id=connection, name=new_name, settings=full, status=status, reason=reason)
    given = {"name": name, "credentials": credentials, "settings": settings}
    changed = tuple(field for field, value in given.items() if value is not None)
    await _tell(transaction, tenant, connection, "connection.change", status, actor, correlation, changed)


async def set_paused(transaction: Transaction, *, tenant: str, connection: str, paused: bool, actor: str, correlation: str = "") -> None:
    """Pause a connection (it finishes what runs and takes nothing new) or resume it, also after a suspension."""
    row = await _lock(transaction, connection)
    status = "paused" if paused else "active"
    if row["status"] == status:
        return
    await CONNECTIONS.update_connection(transaction, id=connection, name=row["name"], settings=row["settings"], status=status, reason="")
    action = "connection.pause" if paused else "connection.resume"
    await _tell(transaction, tenant, connection, action, status, actor, correlation)


async def remove_connection(transaction: Transaction, *, tenant: str, connection: str, actor: str, correlation: str = "") -> None:
    """Take a connection out of service and forget its credentials; raises Conflict while a link uses it."""
    row = await _lock(transaction, connection)
    if await CONNECTIONS.links_of(transaction, id=connection):
        raise Conflict("a link uses this connection: remove the link first")
    await CONNECTIONS.update_connection(transaction, id=connection, name=row["name"], settings=row["settings"], status="removed", reason="")
    await CONNECTIONS.replace_credentials(transaction, connection=connection, sealed=b"")
    await CONNECTIONS.delete_claims(transaction, id=connection)
    await CONNECTIONS.delete_due(transaction, id=connection)
    await _tell(transaction, tenant, connection, "connection.remove", "removed", actor, correlation)


async def _lock(transaction: Transaction, connection: str) -> Any:
    row = await CONNECTIONS.lock_connection(transaction, id=connection)
    if row is None:
        raise Unknown(f"connection {connection}")
    return row
