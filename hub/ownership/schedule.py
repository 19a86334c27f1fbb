"""What happens by the calendar: the last look at deadlines, retention, and partitions made ahead."""

import structlog

from hub.database.pool import Database
from hub.ids import new_id

log = structlog.get_logger("hub.scheduler")

RETAIN_CHUNK = 5000


class Schedule:
    """The Scheduler's work, in rounds."""

    def __init__(self, database: Database, *, holder: str, body_days: int) -> None:
        self._database, self._holder, self._body_days = database, holder, body_days

    async def hold(self, seconds: float) -> bool:
        """Hold the Scheduler's lease."""
        return await self._database.fetchval("select hub.take_singleton('scheduler', $1, $2)", self._holder, seconds) is not None

    async def clock(self) -> float:
        """See whether the database's clock went back, and bring back what was put off meanwhile; the seconds."""
        back: float = await self._database.fetchval("select hub.mend_clock()")
        if back:
            log.warning("the database's clock went back", seconds=round(back))
        return back

    async def deadlines(self) -> int:
        """Raise an alert for each undecided order close to or past its deadline, whatever its own clock message did."""
        rows = await self._database.fetch("select * from hub.undecided_orders($1)", 20.0)
        for row in rows:
            async with self._database.tenant(row["tenant_id"]) as transaction:
                await transaction.execute(
                    "insert into hub.alerts as t (tenant_id, id, dedupe_key, kind, severity, subject, detail, raised_at, seen_at)"
                    " values ($1, $2, $3, 'order.late', 'critical', $4, $5, hub.clock(), hub.clock())"
                    " on conflict (tenant_id, dedupe_key) where cleared_at is null"
                    " do update set count = t.count + 1, seen_at = excluded.seen_at, severity = excluded.severity",
                    row["tenant_id"],
                    new_id("alr"),
                    f"late/{row['id']}",
                    row["id"],
                    f"order {row['platform_order_id']} is undecided at its deadline {row['deadline_at']:%H:%M:%S} UTC",
                )
        return len(rows)

    async def retention(self) -> None:
        """Drop what is older than the operator keeps, a chunk at a time, and make partitions ahead."""
        await self._database.fetchval("select hub.prepare_partitions(3)")
        row = await self._database.fetchrow("select * from hub.retain($1, $2)", self._body_days, RETAIN_CHUNK)
        if row is not None and any(row.values()):
            log.info("retention", **dict(row))
