"""The audit trail. Append only: services hold no right to change a row."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hub.database.pool import Transaction
from hub.database.queries import load_queries
from hub.ids import new_id

_SQL: Any = load_queries(Path(__file__).with_suffix(".sql"))


async def record(
    transaction: Transaction,
    tenant: str,
    actor: str,
    action: str,
    subject: str,
    *,
    fields: Sequence[str] = (),
    correlation: str = "",
) -> None:
    """Write one row in the change's own transaction. `actor` is a user, a key or `hub admin`; `fields` are names only."""
    await _SQL.record_row(
        transaction,
        tenant=tenant,
        id=new_id("aud"),
        actor=actor,
        action=action,
        subject=subject,
        fields={"changed": sorted(fields)} if fields else {},
        correlation=correlation,
    )


async def page(transaction: Transaction, *, after: str | None, limit: int, subject: str | None = None) -> list[dict[str, Any]]:
    """Rows of the transaction's tenant, newest first, older than the id `after`."""
    rows = await _SQL.page(transaction, after=after, limit=limit, subject=subject)
    return [dict(row) for row in rows]
