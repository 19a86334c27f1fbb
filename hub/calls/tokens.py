"""Tokens: kept sealed beside their credentials, refreshed by whoever wins a compare-and-set lease; losers wait and read again."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from hub.clock import utc_now
from hub.contract import Token
from hub.database.pool import Database
from hub.vault import MasterKeys

LEASE_SECONDS = 20.0
EARLY = timedelta(minutes=2)
"""A token is refreshed this long before it ends, so that no order waits for it."""


class Stored(msgspec.Struct, frozen=True):
    """What the credential row says."""

    credentials: Mapping[str, str]
    token: Token | None
    version: int
    refreshing: bool


class TokenSource(Protocol):
    """Where one owner's credentials and token live."""

    async def read(self) -> Stored:
        """Read the row; raises LookupError when there is none."""
        ...

    async def lease(self, version: int) -> bool:
        """Win the right to refresh this version of the token."""
        ...

    async def unlease(self, version: int) -> None:
        """Give the right back after a failed refresh, so that nobody waits for its end."""
        ...

    async def store(self, version: int, token: Token) -> bool:
        """Store the new token unless somebody stored one since."""
        ...


class _Sealed:
    def __init__(self, database: Database, master: MasterKeys, owner: tuple[str, str, str]) -> None:
        self._database, self._master = database, master
        self._tenant, self._table, self._id = owner

    def _stored(self, row: Any) -> Stored:
        credentials = msgspec.json.decode(self._master.open(row["sealed"], self._tenant, self._table, self._id))
        token = None
        if row["token"]:
            text = self._master.open(row["token"], self._tenant, "tokens", self._id)
            token = msgspec.json.decode(text, type=Token)
        refreshing = row["refreshing_until"] is not None and row["refreshing_until"] > row["now"]
        return Stored(credentials, token, row["version"], refreshing)

    def _seal(self, token: Token) -> bytes:
        return self._master.seal(msgspec.json.encode(token), self._tenant, "tokens", self._id)


class AppTokens(_Sealed):
    """A partner app's: one for all tenants, reached through reviewed functions."""

    def __init__(self, database: Database, master: MasterKeys, app: str) -> None:
        super().__init__(database, master, ("", "provider_apps", app))

    async def read(self) -> Stored:
        row = await self._database.fetchrow("select * from hub.app_credential($1)", self._id)
        if row is None:
            raise LookupError(f"provider app {self._id} has no credentials")
        return self._stored(row)

    async def lease(self, version: int) -> bool:
        query = "select hub.app_credential_lease($1, $2, $3)"
        return bool(await self._database.fetchval(query, self._id, version, LEASE_SECONDS))

    async def unlease(self, version: int) -> None:
        await self._database.fetchval("select hub.app_credential_unlease($1, $2)", self._id, version)

    async def store(self, version: int, token: Token) -> bool:
        query = "select hub.app_credential_store($1, $2, $3, $4)"
        return bool(await self._database.fetchval(query, self._id, version, self._seal(token), token.expires_at))


class ConnectionTokens(_Sealed):
    """A tenant connection's; what its partner app holds (a client id and its secret) is added when credentials are read."""

    def __init__(self, database: Database, master: MasterKeys, tenant: str, connection: str, app: str | None = None) -> None:
        super().__init__(database, master, (tenant, "credentials", connection))
        self._app = AppTokens(database, master, app) if app is not None else None

    async def read(self) -> Stored:
        async with self._database.tenant(self._tenant) as transaction:
            row = await transaction.fetchrow(
                "select sealed, token, version, refreshing_until, hub.clock() as now from hub.credentials where connection = $1",
                self._id,
            )
        if row is None:
            raise LookupError(f"connection {self._id} has no credentials")
        stored = self._stored(row)
        if self._app is None:
            return stored
        app = await self._app.read()
        return msgspec.structs.replace(stored, credentials={**app.credentials, **stored.credentials})

    async def lease(self, version: int) -> bool:
        async with self._database.tenant(self._tenant) as transaction:
            row = await transaction.fetchrow(
                "update hub.credentials set refreshing_until = hub.clock() + make_interval(secs => $3)"
                " where connection = $1 and version = $2"
                " and (refreshing_until is null or refreshing_until < hub.clock()) returning 1",
                self._id,
                version,
                LEASE_SECONDS,
            )
        return row is not None

    async def unlease(self, version: int) -> None:
        async with self._database.tenant(self._tenant) as transaction:
            query = "update hub.credentials set refreshing_until = null where connection = $1 and version = $2"
            await transaction.execute(query, self._id, version)

    async def store(self, version: int, token: Token) -> bool:
        async with self._database.tenant(self._tenant) as transaction:
            row = await transaction.fetchrow(
                "update hub.credentials set token = $3, expires_at = $4, version = version + 1, refreshing_until = null"
                " where connection = $1 and version = $2 returning 1",
                self._id,
                version,
                self._seal(token),
                token.expires_at,
            )
        return row is not None


class StaticCredentials:
    """Credentials held in memory: for tests and for trying a connection that is not stored yet."""

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._stored = Stored(credentials, None, 1, refreshing=False)
        self._lock = asyncio.Lock()

    async def read(self) -> Stored:
        return self._stored

    async def lease(self, version: int) -> bool:
        if self._stored.version != version or self._stored.refreshing:
            return False
        self._stored = msgspec.structs.replace(self._stored, refreshing=True)
        return True

    async def unlease(self, version: int) -> None:
        if self._stored.version == version:
            self._stored = msgspec.structs.replace(self._stored, refreshing=False)

    async def store(self, version: int, token: Token) -> bool:
        if self._stored.version != version:
            return False
        self._stored = Stored(self._stored.credentials, token, version + 1, refreshing=False)
        return True


def is_stale(token: Token, now: datetime | None = None) -> bool:
    """Tell whether a token ends so soon that it should be refreshed before use."""
    return token.expires_at is not None and token.expires_at - EARLY < (now or utc_now())
