"""Signed calls that no owner can take: kept, so that a person can look, and alerted."""

import hashlib

import structlog

from hub.ids import new_id
from hub.ingress.context import IngressContext
from hub.ingress.routes import StoreRoute

log = structlog.get_logger("hub.ingress")


async def keep_unreadable(context: IngressContext, provider: str, home: StoreRoute, body: bytes, why: str, correlation: str) -> None:
    """Keep a body that cannot be read in its connection's mailbox, dead at once, under its digest; raises asyncpg errors."""
    digest = hashlib.sha256(body).hexdigest()
    key = await context.bodies.key(home.tenant)
    sealed = key.seal(body, home.tenant, "messages", home.connection, f"body/{digest}")
    query = "select hub.append_dead($1, $2, $3, $4, $5, $6, $7)"
    detail = _tame(why, 500)
    await context.database.fetchval(query, home.tenant, home.connection, digest, sealed, detail, correlation, new_id("alr"))
    log.warning("ingress.unreadable", provider=provider, connection=home.connection, detail=detail, correlation_id=correlation)


async def keep_unrouted(context: IngressContext, provider: str, app: str, body: bytes, store_ref: str, why: str, correlation: str) -> None:
    """Keep a call of nobody's store for the operator, with an alert to the operator; raises asyncpg errors."""
    store = _tame(store_ref, 200)
    await context.database.execute(
        "select hub.store_unrouted($1, $2, $3, $4, $5, $6, $7, $8)",
        provider,
        app,
        store,
        _tame(why, 500),
        hashlib.sha256(body).digest(),
        context.master.seal(body, "", "unrouted", app),
        correlation,
        new_id("alr"),
    )
    log.warning("ingress.unrouted", provider=provider, store_ref=store, detail=_tame(why, 500), correlation_id=correlation)


def _tame(text: str, longest: int) -> str:
    """What PostgreSQL's text can hold of a text."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")[:longest]
