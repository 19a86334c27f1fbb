"""Connections to PostgreSQL and transactions that know their tenant. No session state, so PgBouncer (1.21+) may sit between."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
import msgspec

Transaction: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
"""A pooled connection inside a transaction."""


async def _codecs(connection: asyncpg.Connection) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind,
            schema="pg_catalog",
            encoder=lambda value: msgspec.json.encode(value).decode(),
            decoder=lambda text: msgspec.json.decode(text),
            format="text",
        )


async def connect(url: str, *, application: str = "hub", seconds: float = 10) -> asyncpg.Connection:
    """Open one connection whose json columns are Python values."""
    connection = await asyncpg.connect(url, timeout=seconds, command_timeout=20, server_settings={"application_name": application})
    await _codecs(connection)
    return connection


class Database:
    """A pool. Use `tenant()` for a tenant's rows; the bare methods reach only the reviewed functions."""

    def __init__(self, url: str, *, application: str = "hub", least: int = 1, most: int = 8, idle_seconds: float = 300.0) -> None:
        self._url, self._application, self._least, self._most = url, application, least, most
        self._idle = idle_seconds
        self._pool: asyncpg.Pool | None = None

    async def open(self) -> "Database":
        """Connect; raises OSError or asyncpg errors when the server is not there."""
        self._pool = await asyncpg.create_pool(
            self._url,
            min_size=self._least,
            max_size=self._most,
            init=_codecs,
            command_timeout=20,
            max_inactive_connection_lifetime=self._idle,
            server_settings={"application_name": self._application},
        )
        return self

    async def close(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    @property
    def pool(self) -> asyncpg.Pool:
        """The pool; raises RuntimeError before `open`."""
        if self._pool is None:
            raise RuntimeError("the database is not open: await Database.open() first")
        return self._pool

    @asynccontextmanager
    async def tenant(self, tenant: str) -> "AsyncIterator[Transaction]":
        """Run a transaction in which row security shows this tenant's rows and no others."""
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute("select set_config('hub.tenant', $1, true)", tenant)
            yield connection

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """Rows of a query that needs no tenant."""
        return list(await self.pool.fetch(query, *args))

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:
        """First row of a query that needs no tenant, or None."""
        return await self.pool.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        """First value of a query that needs no tenant."""
        return await self.pool.fetchval(query, *args)

    async def execute(self, query: str, *args: Any) -> str:
        """Run a statement that needs no tenant."""
        return str(await self.pool.execute(query, *args))
