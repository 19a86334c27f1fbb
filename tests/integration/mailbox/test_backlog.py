"""A backlog does not slow an owner down: what a turn, a sweep and an append touch is counted in pages, not in seconds."""

from typing import Any

import asyncpg
import pytest

from hub.database.pool import Database
from hub.mailbox.store import PostgresMailbox
from tests.integration.mailbox.desk import Bench

pytestmark = pytest.mark.postgres

BACKLOG = 20_000
_MESSAGES = """
insert into hub.messages
select $1, nextval('hub.message_ids'), $2, 'noted', 'order/' || g, 'key-' || g, '', '', clock_timestamp()
from generate_series(1, $3::integer) g
"""
_DUE = """
insert into hub.due (id, tenant_id, connection, subject, lane, at, available_at)
select id, tenant_id, connection, subject, 1, at, at from hub.messages where connection = $1
"""


SWEEPS = ("select * from hub.due_connections(0)", "select * from hub.late_connections(0)")


async def _pages(connection: Any, query: str, *args: Any) -> int:
    plan = (await connection.fetchval(f"explain (analyze, buffers, format json) {query}", *args))[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def _as_owner(url: str, statement: str, *args: Any) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement, *args)
    finally:
        await connection.close()


async def test_what_a_turn_and_a_sweep_touch_does_not_grow_with_the_backlog(database: Database, database_url: str, owner_url: str) -> None:
    """With 20,000 messages waiting, whose statements were planned over empty tables, a claim of 16 touches few pages."""
    bench = await Bench(database, database_url).open()
    store = PostgresMailbox(database_url)
    activation = await store.activate(bench.tenant, bench.pos, bench.pos, "1")
    assert activation is not None
    for _ in range(8):  # long enough for PostgreSQL to settle on generic plans, made over nothing
        await store.turn(bench.tenant, bench.pos, activation.epoch, [], 16, [])
        for query in SWEEPS:
            await database.fetch(query)
    await _as_owner(owner_url, _MESSAGES, bench.tenant, bench.pos, BACKLOG)
    await _as_owner(owner_url, _DUE, bench.pos)
    for analyzed in (False, True):
        if analyzed:
            await _as_owner(owner_url, "analyze hub.due, hub.messages")
        query = "select * from hub.owner_turn($1, $2, $3, $4, 16, '{}')"
        async with store._sessions.use() as own:
            turn = await _pages(own, query, bench.tenant, bench.pos, activation.epoch, [])
        async with database.tenant(bench.tenant) as transaction:
            sweeps = [await _pages(transaction, query) for query in SWEEPS]
            starts = await _pages(transaction, "select * from hub.host_connections($1)", bench.pos)
        assert turn < 1500, f"a claim of 16 touched {turn} pages (analyzed: {analyzed})"
        assert max(sweeps) < 1500, f"a sweep touched {sweeps} pages (analyzed: {analyzed})"
        assert starts < 300, f"a host's look touched {starts} pages (analyzed: {analyzed})"
    await store.close()
