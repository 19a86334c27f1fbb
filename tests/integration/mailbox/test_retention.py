"""What is older than the operator keeps leaves, by itself and in small transactions; what is due, dead or open stays however old it is."""

from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from hub.clock import utc_now
from hub.database.pool import Database
from hub.events.reader import ForgottenCursor, encode_cursor, latest_cursor, read_events
from hub.ids import new_id
from hub.ownership import schedule
from hub.ownership.schedule import Keep, Schedule
from tests.integration.mailbox.desk import Bench

pytestmark = pytest.mark.postgres

_CLOCK = "create or replace function hub.clock() returns timestamptz language sql volatile parallel safe return clock_timestamp()"
_PARTITIONS = """
select c.relname, c.relrowsecurity and c.relforcerowsecurity as forced, c.relowner = p.relowner as owned, c.reloptions,
  has_table_privilege('hub_service', c.oid, 'select, insert, update, delete') as open
from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent
where i.inhparent = 'hub.messages'::regclass order by 1
"""


class Past:
    """The owner of the schema, who can turn the database's clock."""

    def __init__(self, owner: asyncpg.Connection, bench: Bench) -> None:
        self.owner, self.bench = owner, bench

    async def days(self, days: float) -> None:
        """Set the clock to so many days ago; 0 puts it right."""
        await self.owner.execute(f"{_CLOCK} - interval '{days} days'" if days else _CLOCK)

    async def keys(self, table: str) -> list[str]:
        """Dedupe keys in a table of this tenant."""
        return sorted(
            r["dedupe_key"] for r in await self.owner.fetch(f"select dedupe_key from {table} where tenant_id = $1", self.bench.tenant)
        )

    async def retain(self, keep: Keep | None = None) -> dict[str, int]:
        """Run the Scheduler's retention."""
        gone = await Schedule(self.bench.database, holder="test", keep=keep or Keep()).retention()
        await self.owner.execute("select hub.release_singleton('scheduler', 'test')")
        return gone


@pytest.fixture
async def past(database: Database, database_url: str, owner_url: str) -> Any:
    """A tenant and the clock."""
    owner = await asyncpg.connect(owner_url)
    made = Past(owner, await Bench(database, database_url).open())
    yield made
    await made.days(0)
    await owner.close()


async def _finish(past: Past, *keys: str) -> None:
    await past.owner.execute(
        "delete from hub.due d using hub.messages m where m.id = d.id and m.at = d.at and m.tenant_id = $1 and m.dedupe_key = any ($2)",
        past.bench.tenant, list(keys),
    )  # fmt: skip


async def _die(past: Past, key: str, resolution: str | None, days: float) -> None:
    await past.owner.execute(
        "with d as (delete from hub.due d using hub.messages m where m.id = d.id and m.at = d.at and m.tenant_id = $1 and m.dedupe_key = $2"
        " returning d.*, m.kind)"
        " insert into hub.dead_letters (tenant_id, id, connection, kind, subject, lane, message_at, reason, tries, at, resolution,"
        "   resolved_at)"
        " select tenant_id, id, connection, kind, subject, lane, at, 'refused', 1, at, $3::text,"
        "   case when $3 is not null then clock_timestamp() - $4 * interval '1 day' end from d",
        past.bench.tenant, key, resolution, days,
    )  # fmt: skip


async def test_a_day_of_messages_leaves_as_a_whole_and_what_is_open_moves(past: Past) -> None:
    """The partition of a day that is past its time is gone; a message that is due, or dead and open, is still read by its id and time."""
    bench = past.bench
    await past.days(20)
    await past.owner.fetchval("select hub.prepare_partitions(0)")
    await bench.put(*(bench.message(key) for key in ("done", "due", "dead", "skipped")))
    await past.days(0)
    name = f"messages_{utc_now() - timedelta(days=20):%Y%m%d}"
    assert await past.owner.fetchval("select to_regclass('hub.' || $1) is not null", name)
    await bench.put(bench.message("fresh"))
    await _finish(past, "done")
    await _die(past, "dead", None, 0)
    await _die(past, "skipped", "skipped", 19)
    gone = await past.retain()
    assert gone["days_of_messages"] == 1
    assert await past.owner.fetchval("select to_regclass('hub.' || $1)", name) is None
    assert await past.keys("hub.messages") == ["dead", "due", "fresh"]
    assert await past.keys("hub.messages_default") == ["dead", "due"]
    claimed = await bench.rows("select 1 from hub.due d join hub.messages m on m.id = d.id and m.at = d.at")
    assert len(claimed) == 2
    assert await past.keys("hub.facts") == ["dead", "done", "due", "fresh", "skipped"], "facts outlive their messages"
    await _finish(past, "due")
    await past.retain()
    assert await past.keys("hub.messages") == ["dead", "fresh"]


async def test_a_day_with_much_to_do_stays(past: Past) -> None:
    """Thousands of messages that are still due are not copied: their day leaves when they are fewer."""
    bench = past.bench
    await past.days(25)
    await past.owner.fetchval("select hub.prepare_partitions(0)")
    for part in range(11):
        await bench.put(*(bench.message(f"{part}/{n}") for n in range(100)))
    await past.days(0)
    assert "days_of_messages" not in await past.retain()
    await past.owner.execute("delete from hub.due where tenant_id = $1", bench.tenant)
    assert (await past.retain())["days_of_messages"] == 1


async def test_facts_outlive_every_vendors_patience_and_then_leave(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    """After their days facts leave, page by page, except those of messages that are due, or dead and open."""
    monkeypatch.setattr(schedule, "BLOCKS", 1)
    bench = past.bench
    await past.days(40)
    await bench.put(*(bench.message(f"old/{n:03}") for n in range(300)), bench.message("periodic"), bench.message("dead"))
    await past.days(0)
    await bench.put(bench.message("fresh"))
    await _finish(past, *(f"old/{n:03}" for n in range(300)))
    await _die(past, "dead", None, 0)
    assert "facts" not in await past.retain(Keep(facts=60))
    assert await past.owner.fetchval("select pg_relation_size('hub.facts') / 8192") > 2, "the walk has more than one step"
    assert (await past.retain())["facts"] == 300
    assert await past.keys("hub.facts") == ["dead", "fresh", "periodic"]


async def test_events_leave_oldest_first_and_an_older_cursor_is_told(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trimming in several chunks leaves the kept events whole; a cursor from before is refused, one at or behind the floor reads on."""
    monkeypatch.setattr(schedule, "EVENTS", 3)
    bench = past.bench
    insert = "insert into hub.events (tenant_id, type, subject, data, at) values ($1, 'order.updated', $2, '{}', hub.clock())"
    cursors = []

    async def happen(subject: str) -> None:
        async with bench.database.tenant(bench.tenant) as t:
            await t.execute(insert, bench.tenant, subject)
        async with bench.database.tenant(bench.tenant) as t:
            cursors.append(await latest_cursor(t, bench.tenant))

    async def read(cursor: str | None) -> list[str]:
        async with bench.database.tenant(bench.tenant) as t:
            return [event["subject"] for event in (await read_events(t, bench.tenant, cursor, 100))[0]]

    await past.days(100)
    for n in range(8):
        await happen(f"old{n}")
    await past.days(0)
    await happen("new0")
    await happen("new1")
    assert (await past.retain())["events"] == 8
    assert await read(None) == ["new0", "new1"]
    assert await read(cursors[7]) == ["new0", "new1"], "the cursor of the last that left has missed nothing"
    for forgotten in (cursors[6], cursors[0], encode_cursor(0, 0)):
        with pytest.raises(ForgottenCursor):
            await read(forgotten)
    assert await past.retain() == {}


async def test_a_tenant_whose_events_all_left_is_behind_nothing(past: Past) -> None:
    """With no event left, `from now on` is still a place that can be read on from."""
    bench = past.bench
    await past.days(100)
    async with bench.database.tenant(bench.tenant) as t:
        await t.execute(
            "insert into hub.events (tenant_id, type, subject, data, at) values ($1, 'x', 's', '{}', hub.clock())", bench.tenant
        )
    await past.days(0)
    await past.retain()
    async with bench.database.tenant(bench.tenant) as t:
        cursor = await latest_cursor(t, bench.tenant)
        assert await read_events(t, bench.tenant, cursor, 10) == ([], cursor)


async def test_attempts_of_an_order_that_goes_on_stay(past: Past) -> None:
    """Finished attempts leave after their days, except an unknown one, and those of an order that is not over."""
    bench = past.bench
    await past.days(40)
    async with bench.database.tenant(bench.tenant) as t:
        for state in ("accepted", "completed"):
            await t.execute("insert into hub.consumers (tenant_id, id) values ($1, $2)", bench.tenant, f"cns_{state}")
            await t.execute(
                "insert into hub.orders (tenant_id, id, link, location, platform, platform_order_id, delivery_connection, pos,"
                " pos_connection, state, body, consumer, totals, placed_at, created_at, updated_at)"
                " values ($1, $2, $3, $4, 'ubereats', $2, $5, 'square', $6, $7, '', $8, '{}', hub.clock(), hub.clock(), hub.clock())",
                bench.tenant, state, bench.link, bench.location, bench.platform, bench.pos, state, f"cns_{state}",
            )  # fmt: skip
        for subject, order, outcome in (("open", "accepted", "done"), ("over", "completed", "done"), ("unknown", "completed", None)):
            await t.execute(
                "insert into hub.attempts (tenant_id, connection, subject, step, generation, order_id, repeat, idempotency_key, request,"
                " sealed_with, timeout_seconds, epoch, started_at, first_started_at, outcome)"
                " values ($1, $2, $3, 'order', 1, $4, 'key', 'k', 'x', 'd', 10, 1, hub.clock(), hub.clock(), $5)",
                bench.tenant, bench.pos, subject, order, outcome,
            )  # fmt: skip
    await past.days(0)
    assert (await past.retain())["attempts"] == 1
    assert sorted(row["subject"] for row in await bench.rows("select subject from hub.attempts")) == ["open", "unknown"]
    assert len(await bench.rows("select 1 from hub.orders")) == 2, "orders stay"


async def test_what_else_has_no_use_any_more_leaves(past: Past) -> None:
    """Cleared alerts, kept answers, ended sessions, spent consents, tombstones, resolved dead letters; what is alive of them stays."""
    bench, owner = past.bench, past.owner
    user = new_id("usr")
    await past.days(0)
    for age, name in ((0, "new"), (200, "old")):
        await owner.execute(
            f"""
            insert into hub.users (id, email, password_hash, created_at) values ('{user}{name}', '{user}{name}', '', clock_timestamp());
            insert into hub.alerts (tenant_id, id, dedupe_key, kind, severity, subject, detail, raised_at, seen_at, cleared_at)
              select '{bench.tenant}', '{name}' || c, '{name}' || c, 'k', 'warning', 's', 'd', t, t, case when c = 'cleared' then t end
              from unnest(array['open', 'cleared']) c, (select clock_timestamp() - interval '{age} days' as t) t;
            insert into hub.operator_alerts (id, dedupe_key, kind, detail, cleared_at)
              values ('{user}{name}', '{user}{name}', 'k', 'd', clock_timestamp() - interval '{age} days');
            insert into hub.idempotency_keys (tenant_id, key, body_hash, status, answer, at)
              values ('{bench.tenant}', '{name}', '', 200, '{{}}', clock_timestamp() - interval '{age} days');
            insert into hub.sessions (id, user_id, tenant_id, token_hash, expires_at)
              values ('{user}{name}', '{user}{name}', '{bench.tenant}', '', clock_timestamp() - interval '{age} days');
            insert into hub.oauth_states (tenant_id, state_hash, connection, user_id, redirect_uri, expires_at)
              values ('{bench.tenant}', '{user}{name}', '{bench.pos}', 'u', 'r', clock_timestamp() - interval '{age} days');
            insert into hub.tombstones (tenant_id, connection, platform_order_id, at)
              values ('{bench.tenant}', '{bench.pos}', '{name}', clock_timestamp() - interval '{age} days');
            insert into hub.unrouted_events (provider, provider_app, store_ref, reason, digest, sealed, correlation, at)
              values ('p', '{user}', 's', 'r', '{name}', '', '', clock_timestamp() - interval '{age} days');
            """
        )
        await bench.put(bench.message(f"{name}/skipped"))
        await _die(past, f"{name}/skipped", "skipped", age)
    gone = await past.retain()
    expected = (
        "alerts",
        "operator_alerts",
        "idempotency_keys",
        "sessions",
        "oauth_states",
        "tombstones",
        "unrouted_events",
        "dead_letters",
    )
    assert {name: gone.get(name) for name in expected} == dict.fromkeys(expected, 1)
    left = await bench.rows("select id from hub.alerts order by id")
    assert [row["id"] for row in left] == ["newcleared", "newopen", "oldopen"]


async def test_retention_goes_on_over_many_chunks_and_stops_when_another_took_over(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between chunks the lease is renewed and deadlines are looked at; whoever lost the lease stops at once."""
    monkeypatch.setattr(schedule, "EVENTS", 2)
    monkeypatch.setattr(schedule, "LOOK_SECONDS", 0.0)
    bench = past.bench
    await past.days(100)
    async with bench.database.tenant(bench.tenant) as t:
        for n in range(9):
            await t.execute(
                "insert into hub.events (tenant_id, type, subject, data, at) values ($1, 'x', $2, '{}', hub.clock())", bench.tenant, str(n)
            )
    await past.days(0)
    ours = Schedule(bench.database, holder="ours", keep=Keep())
    assert await Schedule(bench.database, holder="other", keep=Keep()).hold(schedule.LEASE_SECONDS)
    assert (await ours.retention())["events"] == 2
    await past.owner.execute("select hub.release_singleton('scheduler', 'other')")
    assert (await ours.retention())["events"] == 7
    await past.owner.execute("select hub.release_singleton('scheduler', 'ours')")


async def test_partitions_are_closed_and_belong_to_whoever_owns_the_table(past: Past) -> None:
    """Each partition has row security forced, its parent's owner, its own storage settings, and no right for a service."""
    await past.owner.fetchval("select hub.prepare_partitions(5)")
    rows = await past.owner.fetch(_PARTITIONS)
    assert len(rows) >= 6
    for row in rows:
        assert (row["forced"], row["owned"], row["open"]) == (True, True, False), row["relname"]
        assert "autovacuum_vacuum_insert_threshold=-1" in row["reloptions"], row["relname"]
