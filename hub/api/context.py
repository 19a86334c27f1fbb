"""What the API is given: the seams and settings it works with. Nothing here starts anything."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

from hub.contract.provider import Providers
from hub.database.pool import Database
from hub.identity.throttle import LoginThrottle
from hub.model import Store
from hub.ownership.owners import Owners
from hub.settings import Settings
from hub.vault import BodyVault, MasterKeys

Tester = Callable[[str, str], Awaitable[dict[str, Any]]]
"""Tries a connection (tenant, connection id) with one harmless read; returns what to show."""

Lister = Callable[[str, str], Awaitable[Sequence[Store]]]
"""Lists the stores of a connection's vendor (tenant, connection id); raises the vendor's error."""


@dataclass(frozen=True)
class ApiContext:
    """The parts of a running hub that the API needs."""

    database: Database
    master: MasterKeys
    owners: Owners
    providers: Providers
    settings: Settings
    tester: Tester
    lister: Lister | None = None
    redis: Any = None
    throttle: LoginThrottle = field(default_factory=LoginThrottle)

    @cached_property
    def bodies(self) -> BodyVault:
        """Seals message bodies and kept answers under the tenant's key of the day."""

        async def keep(tenant: str, day: date, wrapped: bytes) -> bytes | None:
            found: bytes | None = await self.database.fetchval("select hub.day_key_of($1, $2, $3)", tenant, day, wrapped)
            return found

        return BodyVault(self.master, keep)
