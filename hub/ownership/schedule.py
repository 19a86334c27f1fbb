"""What happens by the calendar: the last look at deadlines, retention, and partitions made ahead."""

import asyncio
import time
from datetime import date

import asyncpg
import msgspec
import structlog

from hub.clock import utc_now
from hub.database.pool import Database
from hub.ids import new_id
from hub.settings import Settings

log = structlog.get_logger("hub.scheduler")

EVENTS = 5000
"""Events that leave in one transaction."""
BLOCKS = 500
"""Pages of a table, 8 KiB each, that one transaction looks through."""
LEASE_SECONDS = 15.0
LOOK_SECONDS = 5.0
"""How often deadlines are looked at, also while retention is busy."""


class Keep(msgspec.Struct, frozen=True):
    """How many days things are kept. `facts` is longer than any vendor tells a thing again (72 hours is the longest documented)."""

    bodies: int = 7
    facts: int = 30
    events: int = 90


def keep_of(settings: Settings) -> Keep:
    """What the operator set."""
    return Keep(settings.body_retention_days, settings.fact_retention_days, settings.event_retention_days)


class Schedule:
    """The Scheduler's work, in rounds."""

    def __init__(self, database: Database, *, holder: str, keep: Keep) -> None:
        self._database, self._holder, self._keep = database, holder, keep
        self._walked: date | None = None
        self._looked_at = 0.0

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
        self._looked_at = time.monotonic()
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

    async def retention(self) -> dict[str, int]:
        """Make partitions ahead and end what is older than the operator keeps, until nothing of it is left; returns rows by table.

        In transactions of well under a second, with pauses as long as they took. Old days of messages and day keys go in every round;
        the other tables are walked through once a day. Ends early when another Scheduler has taken over; the next round goes on.
        """
        gone: dict[str, int] = {}
        await self._database.fetchval("select hub.prepare_partitions(3)")
        await self._drop_days(gone)
        gone["day_keys"] = await self._database.fetchval("select hub.retain_day_keys($1)", self._keep.bodies)
        today = utc_now().date()
        if self._walked != today and await self._events(gone):
            walks = [await self._walk(gone, table, days) for table, days in self._tables()]
            if all(walks):
                self._walked = today
        gone = {name: count for name, count in gone.items() if count}
        if gone:
            log.info("retention", **gone)
        return gone

    def _tables(self) -> list[tuple[str, int]]:
        keep = self._keep
        return [
            ("messages_default", keep.bodies),
            ("unrouted_events", keep.bodies),
            ("facts", keep.facts),
            ("tombstones", keep.facts),
            ("attempts", keep.facts),
            ("dead_letters", keep.facts),
            ("alerts", keep.events),
            ("operator_alerts", keep.events),
            ("idempotency_keys", 2),
            ("sessions", 1),
            ("oauth_states", 1),
        ]

    async def _drop_days(self, gone: dict[str, int]) -> None:
        gone["days_of_messages"] = 0
        try:
            while await self._database.fetchval("select hub.drop_old_messages($1)", self._keep.bodies):
                gone["days_of_messages"] += 1
        except asyncpg.LockNotAvailableError:
            log.info("retention.busy", detail="a day of messages is in use; the next round tries again")

    async def _events(self, gone: dict[str, int]) -> bool:
        tenant: str | None = ""
        gone["events"] = 0
        while tenant is not None:
            started = time.monotonic()
            row = await self._database.fetchrow("select * from hub.retain_events($1, $2, $3)", self._keep.events, tenant, EVENTS)
            assert row is not None
            tenant = row["next"]
            gone["events"] += row["gone"]
            if not await self._breathe(started):
                return False
        return True

    async def _walk(self, gone: dict[str, int], table: str, days: int) -> bool:
        block: int | None = 0
        gone[table] = 0
        while block is not None:
            started = time.monotonic()
            row = await self._database.fetchrow("select * from hub.retain_blocks($1, $2, $3, $4)", table, days, block, BLOCKS)
            assert row is not None
            block = row["next"]
            gone[table] += row["gone"]
            if not await self._breathe(started):
                return False
        return True

    async def _breathe(self, started: float) -> bool:
        """Leave others as much time as was taken; keep the lease and the deadlines meanwhile. False when the lease is lost."""
        await asyncio.sleep(min(time.monotonic() - started, 1.0))
        if time.monotonic() - self._looked_at < LOOK_SECONDS:
            return True
        if not await self.hold(LEASE_SECONDS):
            return False
        await self.deadlines()
        return True
