"""History does not slow the hub down: what each hot query touches over 40,000 messages and 8,000 orders is counted in pages."""

import asyncpg
import pytest

from cluster.bench.filling import fill, open_shops, put_ready
from cluster.bench.history import Place, pages_of, place_in, queries
from hub.clock import utc_now
from hub.database.pool import Database
from hub.events.reader import encode_cursor
from hub.model import FINAL, OrderState
from tests.integration.mailbox.desk import Bench

pytestmark = pytest.mark.postgres

ROWS = 40_000
LIMIT = 500
LIMITS = {"a mailbox's first 50": 2000}
"""A page of a mailbox is found among the ids of all that waits there: 2,000 messages."""
_INSIDE = "select pg_stat_get_xact_tuples_hot_updated('hub.orders'::regclass)"


async def test_what_the_hot_queries_touch_does_not_grow_with_history(database_url: str, owner_url: str) -> None:
    """Statements that one session planned over empty tables find what they look for through their indexes when the tables are full."""
    owner = await asyncpg.connect(owner_url)
    database = await Database(database_url, most=1).open()
    try:
        if not await owner.fetchval("select rolsuper from pg_roles where rolname = current_user"):
            pytest.skip("filling a history at speed takes a superuser")
        shops = await open_shops(owner, 4)
        async with database.pool.acquire() as connection:
            early = Place(shops[0], encode_cursor(1, 1), "ord_none", utc_now())
            for query in queries(early).values():
                await pages_of(connection, shops[0].tenant, query, 6)
            await fill(owner_url, ROWS, shops)
            await put_ready(connection, shops[0])
        place = await place_in(database, shops[0], ROWS)
        async with database.pool.acquire() as connection:
            touched = {label: await pages_of(connection, shops[0].tenant, query, 2) for label, query in queries(place).items()}
        assert {label: pages for label, pages in touched.items() if pages > LIMITS.get(label, LIMIT)} == {}
        assert touched["50 orders in mid-history"] < touched["newest 50 orders"] + 10, "a deep page starts where it lies"
    finally:
        await database.close()
        await owner.close()


async def test_an_order_ends_where_the_model_says_and_changes_inside_its_page_until_then(database_url: str) -> None:
    """Every state on the way is written beside the row's last version, without an entry in any index; `ended` names the final ones."""
    database = await Database(database_url, most=1).open()
    try:
        bench = await Bench(database, database_url).open()
        order = bench.order("p1")
        async with database.tenant(bench.tenant) as t:
            await t.execute("insert into hub.consumers (tenant_id, id) values ($1, $2)", bench.tenant, order.consumer)
            await t.execute(
                "insert into hub.orders (tenant_id, id, link, location, platform, platform_order_id, delivery_connection, pos,"
                " pos_connection, state, body, consumer, totals, placed_at, created_at, updated_at)"
                " values ($1, $2, $3, $4, 'ubereats', 'p1', $5, 'square', $6, 'received', '', $7, '{}', hub.clock(), hub.clock(),"
                " hub.clock())",
                bench.tenant, order.id, bench.link, bench.location, bench.platform, bench.pos, order.consumer,
            )  # fmt: skip
        for state in OrderState:
            async with database.tenant(bench.tenant) as t:
                before = await t.fetchval(_INSIDE)
                ended = await t.fetchval(
                    "update hub.orders set state = $2, version = version + 1, updated_at = hub.clock(), decision = 'accept',"
                    " attention = '{}' where id = $1 returning ended",
                    order.id,
                    state.value,
                )
                inside = await t.fetchval(_INSIDE) - before
            assert ended == (state.value if state in FINAL else None)
            assert inside == (0 if state in FINAL else 1), state
    finally:
        await database.close()
