"""Bodies before the hub knows whose they are: sealed with the tenant's key of the day, erased when that key is deleted."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta

from hub.clock import utc_now
from hub.vault.seal import DataKey, MasterKeys, Unsealable, key_id_of, new_data_key

Keep = Callable[[str, date, bytes], Awaitable[bytes | None]]
"""Store a wrapped day key unless one is there, and return the one that is there (tenant, day, wrapped)."""


class BodyVault:
    """Seals message bodies and attempts that belong to no consumer. Day keys are kept in memory once fetched."""

    def __init__(self, master: MasterKeys, keep: Keep) -> None:
        self._master, self._keep = master, keep
        self._keys: dict[tuple[str, str], DataKey] = {}

    async def key(self, tenant: str, day: date | None = None) -> DataKey:
        """The tenant's key of a day (today when none is given), made when it is not there yet."""
        day = day or utc_now().date()
        name = day.isoformat()
        known = self._keys.get((tenant, name))
        if known is not None:
            return known
        recent = day >= utc_now().date() - timedelta(days=1)
        fresh = self._master.wrap(new_data_key(), tenant, "day_keys", name) if recent else b""
        wrapped = await self._keep(tenant, day, fresh)
        if wrapped is None:
            raise Unsealable(f"the key of {name} was deleted")
        key = self._master.unwrap(wrapped, tenant, "day_keys", name, key_id=name)
        if len(self._keys) > 10_000:
            self._keys.clear()
        self._keys[tenant, name] = key
        return key

    async def open(self, tenant: str, sealed: bytes, *parts: str) -> bytes:
        """Open a body with the day key it names; empty bodies are not sealed."""
        if not sealed:
            return b""
        name = key_id_of(sealed)
        try:
            day = date.fromisoformat(name)
        except ValueError as error:
            raise Unsealable("the body names no day key") from error
        return (await self.key(tenant, day)).open(sealed, tenant, *parts)
