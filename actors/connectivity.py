"""Try a connection with one harmless read, from whatever process asks."""

from collections.abc import Awaitable, Callable
from typing import Any

from hub.calls import open_session
from hub.contract import Providers
from hub.database.pool import Database
from hub.ingress.context import keep_day_key
from hub.ownership.workplace import Policies, open_workplace
from hub.settings import Settings
from hub.vault import BodyVault, MasterKeys


def tester(
    settings: Settings, database: Database, master: MasterKeys, providers: Providers
) -> Callable[[str, str], Awaitable[dict[str, Any]]]:
    """Make the function that tries a connection; it raises the vendor's error."""

    async def test(tenant: str, connection: str) -> dict[str, Any]:
        session = open_session()
        try:
            place = await open_workplace(
                tenant=tenant,
                connection=connection,
                providers=providers,
                database=database,
                master=master,
                bodies=BodyVault(master, keep_day_key(database)),
                session=session,
                policies=Policies(sandbox_url=settings.sandbox_url),
            )
            return {"detail": await place.adapter.test()}
        finally:
            await session.close()

    return test
