"""What the ingress is given."""

from datetime import date

import msgspec

from hub.contract import Providers
from hub.database.pool import Database
from hub.ingress.flusher import Flusher
from hub.vault import BodyVault, MasterKeys
from hub.vault.bodies import Keep

BODY_LIMIT = 1 << 20


class IngressContext(msgspec.Struct, frozen=True, kw_only=True):
    """The ingress's surroundings; `public_url` is the address vendors registered, without a slash at its end.

    `body_limit` is in bytes; `routes_kept` is how many seconds found routes and keys are remembered.
    """

    providers: Providers
    database: Database
    master: MasterKeys
    bodies: BodyVault
    flusher: Flusher
    public_url: str
    body_limit: int = BODY_LIMIT
    routes_kept: float = 2.0


def keep_day_key(database: Database) -> Keep:
    """Make the store of wrapped day keys that BodyVault asks for."""

    async def keep(tenant: str, day: date, wrapped: bytes) -> bytes | None:
        found: bytes | None = await database.fetchval("select hub.day_key_of($1, $2, $3)", tenant, day, wrapped)
        return found

    return keep
