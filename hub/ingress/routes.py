"""Whose call is it: connections, keys of provider apps and stores, looked up without a tenant through reviewed functions."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

import msgspec

from hub.contract import Provider
from hub.database.pool import Database
from hub.vault import MasterKeys

_MOST = 10_000
_T = TypeVar("_T")


class ConnectionRoute(NamedTuple):
    """A connection that vendors call by its id, and the secrets its tenant gave for that."""

    tenant: str
    connection: str
    provider: str
    secrets: tuple[str, ...]


class AppKey(NamedTuple):
    """A provider app and the secrets its calls are signed with."""

    app: str
    secrets: tuple[str, ...]


class StoreRoute(NamedTuple):
    """The connection whose claim on a store is proven."""

    tenant: str
    connection: str


class Routes:
    """Looks up, and remembers what it found for `kept` seconds; what it did not find is asked for every time."""

    def __init__(self, database: Database, master: MasterKeys, *, kept: float = 2.0) -> None:
        self._database, self._master, self._kept = database, master, kept
        self._found: dict[tuple[str, ...], tuple[float, Any]] = {}
        self._asking: dict[tuple[str, ...], asyncio.Task[Any]] = {}

    async def connection(self, provider: Provider, connection: str, *, newest: float | None = None) -> ConnectionRoute | None:
        """The connection of this id and provider, or None. An answer older than `newest` seconds is asked for again."""

        async def ask() -> ConnectionRoute | None:
            row = await self._database.fetchrow("select * from hub.route_connection($1)", connection)
            if row is None or row["provider"] != provider.slug:
                return None
            secrets = self._secrets(provider, row["sealed"], row["tenant_id"], "credentials", connection)
            return ConnectionRoute(row["tenant_id"], connection, row["provider"], secrets)

        return await self._get(("connection", provider.slug, connection), ask, newest)

    async def apps(self, provider: Provider, *, newest: float | None = None) -> tuple[AppKey, ...]:
        """Keys of the provider's apps. An answer older than `newest` seconds is asked for again."""
        known: tuple[AppKey, ...] | None = self._known(("apps", provider.slug), newest)
        if known is not None:
            return known

        async def ask() -> tuple[AppKey, ...] | None:
            rows = await self._database.fetch("select id, sealed from hub.provider_app_keys($1)", provider.slug)
            keys = (AppKey(row["id"], self._secrets(provider, row["sealed"], "", "provider_apps", row["id"])) for row in rows)
            return tuple(keys) or None

        return await self._get(("apps", provider.slug), ask, newest) or ()

    async def store(self, app: str, store_ref: str) -> StoreRoute | None:
        """The connection that an app's events of this store go to, or None when no claim is proven."""
        known: StoreRoute | None = self._known(("store", app, store_ref), None)
        if known is not None:
            return known

        async def ask() -> StoreRoute | None:
            row = await self._database.fetchrow("select tenant_id, connection from hub.route_ingress($1, $2)", app, store_ref)
            return StoreRoute(row["tenant_id"], row["connection"]) if row is not None else None

        return await self._get(("store", app, store_ref), ask, None)

    async def order(self, app: str, platform_order_id: str) -> StoreRoute | None:
        """The connection of this app that took an order in, for calls that name no store; None when none did, or several."""

        async def ask() -> StoreRoute | None:
            row = await self._database.fetchrow("select tenant_id, connection from hub.route_order($1, $2)", app, platform_order_id)
            return StoreRoute(row["tenant_id"], row["connection"]) if row is not None else None

        return await self._get(("order", app, platform_order_id), ask, None)

    async def provision(self, app: str, store_ref: str) -> None:
        """Take the vendor's word that a store was connected: proves the only claim on it, where nothing is proven yet."""
        await self._database.fetch("select * from hub.prove_claim($1, $2, 'provisioned')", app, store_ref)

    def _secrets(self, provider: Provider, sealed: bytes | None, *parts: str) -> tuple[str, ...]:
        webhook = provider.facts.webhook
        if sealed is None or webhook is None:
            return ()
        secret = msgspec.json.decode(self._master.open(sealed, *parts), type=dict[str, Any]).get(webhook.secret)
        return (secret,) if isinstance(secret, str) and secret else ()

    def _known(self, key: tuple[str, ...], newest: float | None) -> Any:
        known = self._found.get(key)
        kept = self._kept if newest is None else min(newest, self._kept)
        return known[1] if known is not None and time.monotonic() - known[0] < kept else None

    async def _get(self, key: tuple[str, ...], ask: Callable[[], Awaitable[_T | None]], newest: float | None) -> _T | None:
        known: _T | None = self._known(key, newest)
        if known is not None:
            return known
        running = self._asking.get(key)
        if running is not None:
            shared: _T | None = await asyncio.shield(running)
            if shared is not None:
                return shared
        task = asyncio.ensure_future(ask())
        self._asking[key] = task
        task.add_done_callback(lambda done: self._settle(key, done))
        return await asyncio.shield(task)

    def _settle(self, key: tuple[str, ...], task: "asyncio.Future[Any]") -> None:
        if self._asking.get(key) is task:
            del self._asking[key]
        if task.cancelled() or task.exception() is not None or task.result() is None:
            self._found.pop(key, None)
            return
        if len(self._found) >= _MOST:
            self._found.clear()
        self._found[key] = (time.monotonic(), task.result())
