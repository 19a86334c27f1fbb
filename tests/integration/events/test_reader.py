"""Reading events by cursor: a late commit is neither skipped nor repeated, and a tenant's history is its own."""

import pytest

from hub.events.reader import encode_cursor, latest_cursor, read_events
from tests.integration.events.live_world import World

pytestmark = pytest.mark.postgres


async def _read(world: World, cursor: str | None, limit: int = 100, types: tuple[str, ...] = ()) -> tuple[list[str], str | None]:
    async with world.database.tenant(world.a) as tx:
        events, behind = await read_events(tx, world.a, cursor, limit, types)
    return [event["subject"] for event in events], behind


async def test_pages_follow_each_other(world: World) -> None:
    """Reading on from each page's cursor gives every event once, in order; the end keeps its cursor."""
    for number in range(5):
        await world.happen(world.a, f"s{number}")
    await world.happen(world.b, "another's")
    first, cursor = await _read(world, None, 2)
    second, cursor = await _read(world, cursor, 2)
    third, cursor = await _read(world, cursor, 2)
    assert [*first, *second, *third] == [f"s{number}" for number in range(5)]
    assert await _read(world, cursor) == ([], cursor)


async def test_an_event_that_commits_late_is_not_skipped(world: World, database_url: str) -> None:
    """While an older transaction is open, younger events wait; then both come, in the order of their transactions."""
    async with world.unfinished(database_url, world.a, "early"):
        await world.happen(world.a, "late")
        seen, cursor = await _read(world, None)
        assert seen == []
    assert await _read(world, cursor) == (["early", "late"], (await _read(world, None))[1])


async def test_the_latest_cursor_skips_nothing_that_commits_later(world: World, database_url: str) -> None:
    """From `latest_cursor` on, an event of a transaction that was open meanwhile is still read."""
    await world.happen(world.a, "old")
    async with world.unfinished(database_url, world.a, "early"), world.database.tenant(world.a) as tx:
        cursor = await latest_cursor(tx, world.a)
    assert (await _read(world, cursor))[0] == ["early"]


async def test_types_filter(world: World) -> None:
    """Only the wanted types are read."""
    await world.happen(world.a, "one", "order.created")
    await world.happen(world.a, "two", "stock.changed")
    assert (await _read(world, None, types=("stock.changed",)))[0] == ["two"]


async def test_another_tenants_cursor_shows_nothing_of_it(world: World) -> None:
    """A cursor is a place, not a right: with another tenant's, one's own events behind it are read."""
    await world.happen(world.b, "another's")
    async with world.database.tenant(world.b) as tx:
        _, cursor = await read_events(tx, world.b, None, 10)
    await world.happen(world.a, "mine")
    assert (await _read(world, cursor))[0] == ["mine"]
    assert (await _read(world, encode_cursor(0, 0)))[0] == ["mine"]


async def test_the_cursor_query_uses_its_index(world: World) -> None:
    """The page is found in the primary key's order, without a sort over the tenant's history."""
    async with world.database.tenant(world.a) as tx:
        await tx.execute("set local enable_seqscan = off")
        rows = await tx.fetch(
            "explain select 1 from hub.events e where e.tenant_id = $1 and (e.xid, e.id) > ('1'::xid8, 1)"
            " and e.xid < pg_snapshot_xmin(pg_current_snapshot()) order by e.xid, e.id limit 10",
            world.a,
        )
    plan = "\n".join(row[0] for row in rows)
    assert "events_pkey" in plan
    assert "Sort" not in plan
