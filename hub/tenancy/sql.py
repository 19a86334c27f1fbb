"""The named queries of this room."""

from pathlib import Path
from typing import Any, Protocol

from hub.database.queries import load_queries

_HERE = Path(__file__).parent

TENANCY: Any = load_queries(_HERE / "tenancy.sql")
CONNECTIONS: Any = load_queries(_HERE / "connections.sql")
PLACES: Any = load_queries(_HERE / "places.sql")


class Queries(Protocol):
    """A transaction, or a Database for what needs no tenant."""

    async def fetchval(self, query: str, *args: Any) -> Any:
        """First value."""
        ...

    async def execute(self, query: str, *args: Any) -> str:
        """Run."""
        ...


async def event(
    transaction: Queries,
    tenant: str,
    type_: str,
    subject: str,
    data: dict[str, Any],
    *,
    location: str = "",
    correlation: str = "",
) -> None:
    """Write an event in the change's transaction; `data` holds ids and field names, no personal data."""
    await TENANCY.event(transaction, tenant=tenant, type=type_, subject=subject, location=location, data=data, correlation=correlation)
