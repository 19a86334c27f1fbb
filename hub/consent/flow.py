"""From a manager's wish to a stored token: the address of the vendor's consent, and what becomes of who comes back from it."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from hub.audit import record
from hub.calls import ConnectionTokens, VendorClient, open_session
from hub.contract import Misconfigured, OAuthCode, Provider, Providers, VendorError
from hub.database.pool import Database, Transaction
from hub.database.queries import load_queries
from hub.identity.principal import at_least
from hub.identity.tokens import digest
from hub.ownership.owners import Owners
from hub.ownership.workplace import bases
from hub.tenancy.connections import app_for
from hub.tenancy.errors import Conflict, Unknown
from hub.tenancy.sql import CONNECTIONS, event
from hub.vault import MasterKeys

SQL: Any = load_queries(Path(__file__).with_name("consent.sql"))
STATE_SECONDS = 600.0
"""How long a person has to consent."""

log = structlog.get_logger("hub.consent")


@dataclass(frozen=True)
class ConsentContext:
    """The parts of a running hub that a consent needs. `public_url` is where browsers reach the hub."""

    database: Database
    master: MasterKeys
    providers: Providers
    owners: Owners
    public_url: str
    sandbox_url: str = ""


@dataclass(frozen=True)
class Wanted:
    """A consent to be asked for: where the browser goes, and what is kept until it comes back."""

    url: str
    state: str
    redirect_uri: str
    new_app: str | None


class Refused(Exception):
    """Who came back does not connect anything; the message tells a person what to do."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


async def prepare(context: ConsentContext, *, tenant: str, connection: str) -> Wanted:
    """Make the address of a connection's consent; raises Unknown, and Conflict where there is no consent to ask for."""
    async with context.database.tenant(tenant) as transaction:
        row = await CONNECTIONS.connection(transaction, id=connection)
        if row is None:
            raise Unknown(f"connection {connection}")
        provider = context.providers.get(row["provider"])
        if provider is None:
            raise Conflict(f"the provider {row['provider']!r} is not installed")
        auth = provider.auth(provider.facts)
        if not isinstance(auth, OAuthCode):
            raise Conflict(f"{provider.facts.name} is connected by credentials, not by a consent: change the connection's credentials")
        app = row["provider_app"] or await app_for(transaction, provider.facts, row["environment"], None)
    known = (await ConnectionTokens(context.database, context.master, tenant, connection, app).read()).credentials
    redirect_uri = f"{context.public_url}/oauth/{provider.slug}/callback"
    state = secrets.token_urlsafe(32)
    try:
        base = bases(provider.facts, row["environment"], context.sandbox_url)["consent"]
        url = auth.consent_url(base, known, redirect_uri, state)
    except Misconfigured as error:
        raise Conflict(str(error)) from error
    except KeyError as error:
        raise Conflict(f"the operator has made no provider app for {provider.slug} in {row['environment']} that holds {error}") from error
    return Wanted(url, state, redirect_uri, None if row["provider_app"] else app)


async def begin(transaction: Transaction, wanted: Wanted, *, tenant: str, user: str, connection: str, correlation: str = "") -> None:
    """Keep the state of a prepared consent, bound to the user and the connection, in the transaction of its audit row."""
    await SQL.forget_old_states(transaction)
    await SQL.keep_state(
        transaction,
        tenant=tenant,
        hash=digest(wanted.state),
        connection=connection,
        user=user,
        redirect_uri=wanted.redirect_uri,
        seconds=STATE_SECONDS,
    )
    if wanted.new_app is not None:
        await SQL.attach_app(transaction, app=wanted.new_app, id=connection)
    await record(transaction, tenant, user, "connection.authorize", connection, correlation=correlation)


async def finish(context: ConsentContext, provider: Provider, *, state: str, code: str, correlation: str = "") -> str:
    """Take the state, turn the code into the connection's token, and let the connection work; returns its name.

    Without a code the vendor sent an error: the state is used up and nothing else changes. Raises Refused.
    """
    taken = await SQL.take_state(context.database, provider=provider.slug, hash=digest(state))
    if taken is None:
        raise Refused("This address is no longer valid: it works once, for ten minutes. Start connecting again in the hub.")
    if not code:
        raise Refused(f"{provider.facts.name} says that access was not given. Start again in the hub if it should be.")
    tenant, connection, user = taken["tenant_id"], taken["connection"], taken["user_id"]
    async with context.database.tenant(tenant) as transaction:
        role = await SQL.role_of(transaction, user=user)
        row = await CONNECTIONS.connection(transaction, id=connection)
    if role is None or not at_least(role, "manager"):
        raise Refused("Who began this may no longer connect accounts. Ask a manager to start again in the hub.")
    if row is None:
        raise Refused("The connection was removed meanwhile. Make a new one in the hub.")
    await _exchange(context, provider, tenant, row, code, taken["redirect_uri"])
    async with context.database.tenant(tenant) as transaction:
        lifted = await SQL.lift_suspension(transaction, id=connection)
        await SQL.clear_alert(transaction, dedupe_key=f"revoked/{connection}")
        data = {"change": "connection.authorized", "status": "active" if lifted else row["status"]}
        await event(transaction, tenant, "connection.changed", connection, data, correlation=correlation)
        await record(transaction, tenant, user, "connection.authorized", connection, correlation=correlation)
    context.owners.wake([connection])
    log.info("connected by consent", connection=connection, provider=provider.slug)
    return str(row["name"])


async def _exchange(context: ConsentContext, provider: Provider, tenant: str, row: Any, code: str, redirect_uri: str) -> None:
    session = open_session()
    try:
        client = VendorClient(
            slug=provider.slug,
            session=session,
            bases=bases(provider.facts, row["environment"], context.sandbox_url),
            auth=provider.auth(provider.facts),
            tokens=ConnectionTokens(context.database, context.master, tenant, row["id"], row["provider_app"]),
        )
        await client.exchange(code, redirect_uri)
    except (VendorError, KeyError) as error:
        log.warning("a consent's code was not exchanged", provider=provider.slug, connection=row["id"], error=type(error).__name__)
        name = provider.facts.name
        raise Refused(f"{name} gave no token ({type(error).__name__}). Start connecting again in the hub.", 502) from error
    finally:
        await session.close()
