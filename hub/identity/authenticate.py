"""From an Authorization header to a principal. Access tokens cost no query; API keys cost one every ten seconds."""

from weakref import WeakKeyDictionary

from hub.clock import monotonic
from hub.database.pool import Database
from hub.identity import tokens
from hub.identity.principal import Denied, Keeper, Principal
from hub.identity.sql import SQL

KEY_SECONDS = 10.0
"""How long a looked-up API key is trusted; a revoked one works no longer than this."""

_known: "WeakKeyDictionary[Database, dict[bytes, tuple[float, Principal]]]" = WeakKeyDictionary()


async def authenticate(context: Keeper, authorization: str | None) -> Principal:
    """The principal of `Bearer <access token>` or `Bearer hub_<api key>`; raises Denied."""
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Denied("send `Authorization: Bearer` with an access token or an API key")
    if token.startswith("hub_"):
        return await _by_key(context.database, token)
    return tokens.read(context.master, token)


async def _by_key(database: Database, token: str) -> Principal:
    known = _known.setdefault(database, {})
    hashed = tokens.digest(token)
    now = monotonic()
    found = known.get(hashed)
    if found is not None and found[0] > now:
        return found[1]
    row = await SQL.find_api_key(database, hash=hashed)
    if row is None:
        known.pop(hashed, None)
        raise Denied("the API key is unknown or revoked")
    principal = Principal(row["tenant_id"], row["id"], row["role"])
    if len(known) > 10_000:
        known.clear()
    known[hashed] = (now + KEY_SECONDS, principal)
    return principal
