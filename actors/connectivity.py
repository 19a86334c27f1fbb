"""Look at a connection's vendor with one harmless read, from whatever process asks."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from hub.calls import Memory, open_session
from hub.contract import Providers, Stores
from hub.database.pool import Database
from hub.ingress.context import keep_day_key
from hub.model import Store
from hub.ownership.workplace import Policies, Workplace, open_workplace
from hub.settings import Settings
from hub.vault import BodyVault, MasterKeys

LISTED_SECONDS = 30.0


class Connectivity:
    """Opens a connection beside its owner, for reads only; raises the vendor's error."""

    def __init__(self, settings: Settings, database: Database, master: MasterKeys, providers: Providers) -> None:
        self._settings, self._database, self._master, self._providers = settings, database, master, providers
        self._listed = Memory()

    @asynccontextmanager
    async def _open(self, tenant: str, connection: str) -> AsyncIterator[Workplace]:
        session = open_session()
        try:
            yield await open_workplace(
                tenant=tenant,
                connection=connection,
                providers=self._providers,
                database=self._database,
                master=self._master,
                bodies=BodyVault(self._master, keep_day_key(self._database)),
                session=session,
                policies=Policies(sandbox_url=self._settings.sandbox_url, public_url=self._settings.registered_url),
            )
        finally:
            await session.close()

    async def test(self, tenant: str, connection: str) -> dict[str, Any]:
        """Make the adapter's test call."""
        async with self._open(tenant, connection) as place:
            return {"detail": await place.adapter.test()}

    async def stores(self, tenant: str, connection: str) -> Sequence[Store]:
        """The vendor's stores, as listed at most half a minute ago; none where the vendor lists none."""

        async def ask() -> Sequence[Store]:
            async with self._open(tenant, connection) as place:
                return await place.adapter.list_stores() if isinstance(place.adapter, Stores) else ()

        return await self._listed.remember(connection, LISTED_SECONDS, ask)
