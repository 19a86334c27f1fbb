"""Group commit: nothing lost, nothing twice, one bad row harms no other, and no caller can stop it."""

import asyncio
from typing import Any

import asyncpg
import pytest

from hub.database.pool import Database
from hub.ids import new_id
from hub.ingress import Flusher, NotStored, Row, Unstorable
from hub.ownership.owners import MemoryOwners
from tests.integration.ingress.ingress_world import World, events

pytestmark = pytest.mark.postgres


def _row(world: World, key: str = "", *, connection: str = "", subject: str = "order/1") -> Row:
    return Row(connection or world.a.till, key or new_id("evt"), world.a.tenant, "noted", subject, 1, b"sealed", "cor_test")


async def _keys(world: World) -> set[str]:
    return {message["dedupe_key"] for message in await world.messages(world.a)}


async def test_many_requests_share_commits(world: World) -> None:
    """Two hundred requests at once are stored by few transactions, each once."""
    rows = [_row(world) for _ in range(200)]
    before = await world.database.fetchval("select pg_current_xact_id()::text::bigint")
    counts = await asyncio.gather(*(world.context.flusher.store([row]) for row in rows))
    after = await world.database.fetchval("select pg_current_xact_id()::text::bigint")
    assert counts == [1] * 200
    assert await _keys(world) == {row.dedupe_key for row in rows}
    assert after - before < 50


async def test_duplicates_in_one_batch_are_one_message(world: World) -> None:
    """The same fact told by three requests at once is new for one of them."""
    key = new_id("evt")
    counts = await asyncio.gather(*(world.context.flusher.store([_row(world, key)]) for _ in range(3)))
    assert sorted(counts) == [0, 0, 1]
    assert len(await world.messages(world.a)) == 1


async def test_only_the_bad_row_fails(world: World) -> None:
    """A row that PostgreSQL refuses fails alone; all others of its batch are stored."""
    good = [_row(world) for _ in range(20)]
    bad = [_row(world, connection=new_id("con")), _row(world, subject="a\x00b")]
    mixed = [*good[:7], bad[0], *good[7:15], bad[1], *good[15:]]
    results = await asyncio.gather(*(world.context.flusher.store([row]) for row in mixed), return_exceptions=True)
    assert [result for result in results if result != 1] == [r for r in results if isinstance(r, Unstorable)]
    assert sum(isinstance(result, Unstorable) for result in results) == 2
    assert await _keys(world) == {row.dedupe_key for row in good}


async def test_a_caller_that_leaves_takes_nothing_back(world: World) -> None:
    """A request that is cancelled while it waits is stored all the same, and its owner woken."""
    rows = [_row(world) for _ in range(5)]
    tasks = [asyncio.create_task(world.context.flusher.store([row])) for row in rows]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await world.context.flusher.store([_row(world)])
    assert {row.dedupe_key for row in rows} <= await _keys(world)
    assert world.owners.woken


async def test_a_lost_connection_is_made_anew(world: World, admin_url: str) -> None:
    """After the server ended the flusher's connection, also amid traffic, everything answered is there, once."""
    admin = await asyncpg.connect(admin_url)
    stored: list[str] = []

    async def traffic() -> None:
        for _ in range(60):
            row = _row(world)
            await world.context.flusher.store([row])
            stored.append(row.dedupe_key)

    async def murder() -> None:
        for _ in range(5):
            await asyncio.sleep(0.05)
            await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'hub-ingress'")

    try:
        await asyncio.gather(murder(), *(traffic() for _ in range(4)))
    finally:
        await admin.close()
    assert len(stored) == 240
    assert await _keys(world) == set(stored)


async def test_after_a_lost_answer_owners_are_woken_though_nothing_is_new(world: World, monkeypatch: Any) -> None:
    """A commit whose answer got lost is repeated; its facts are known then, and yet their owner hears of them."""
    flusher = world.context.flusher
    await flusher.store([_row(world)])
    world.owners.woken.clear()
    original, lost = flusher._append, []

    async def append(rows: list[Row]) -> list[Row]:
        found = await original(rows)
        if not lost:
            lost.append(1)
            raise ConnectionResetError("the answer got lost")
        return found

    monkeypatch.setattr(flusher, "_append", append)
    assert await flusher.store([_row(world)]) == 0
    assert world.owners.woken == [world.a.till]


async def test_too_much_waiting_is_refused_at_once(database: Database) -> None:
    """Beyond its limit the flusher refuses instead of filling memory."""
    flusher = Flusher("postgresql://nobody@127.0.0.1:1/none", MemoryOwners(), waiting_limit=2).start()
    row = Row("con_x", "k", "ten_x", "noted", "s", 1, b"", "")
    waiting = [asyncio.create_task(flusher.store([row])) for _ in range(2)]
    await asyncio.sleep(0.01)
    with pytest.raises(NotStored):
        await flusher.store([row])
    await flusher.close()
    assert all(isinstance(result, NotStored) for result in await asyncio.gather(*waiting, return_exceptions=True))


async def test_closing_stores_what_waits(database_url: str, world: World) -> None:
    """A clean stop commits what was handed over before it."""
    flusher = Flusher(database_url, MemoryOwners()).start()
    rows = [_row(world) for _ in range(30)]
    waiting = [asyncio.create_task(flusher.store([row])) for row in rows]
    await asyncio.sleep(0)
    await flusher.close()
    assert await asyncio.gather(*waiting) == [1] * 30
    with pytest.raises(NotStored):
        await flusher.store([_row(world)])


async def test_two_flushers_with_the_same_facts_do_not_deadlock(database_url: str, world: World) -> None:
    """Two api replicas that store the same facts in other orders finish, and each fact is new once."""
    keys = [new_id("evt") for _ in range(60)]
    other = Flusher(database_url, MemoryOwners()).start()
    try:
        one = [world.context.flusher.store([_row(world, key)]) for key in keys]
        two = [other.store([_row(world, key)]) for key in reversed(keys)]
        counts = await asyncio.wait_for(asyncio.gather(*one, *two), 20)
    finally:
        await other.close()
    assert sum(counts) == 60


async def test_a_vendors_call_survives_its_client(world: World) -> None:
    """A vendor that hangs up while its call is being stored loses nothing."""
    order = new_id("ord")
    path = f"/webhooks/till/{world.a.till}"
    body = events((order, "s"))
    call = asyncio.create_task(world.post(path, body, "s3cret-of-the-tenant"))
    async with asyncio.timeout(10):
        while not world.context.flusher._waiting:
            await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await world.context.flusher.store([_row(world)])
    assert f"order/{order}/placed" in await _keys(world)
