"""A turn touches what it names: attempts and orders of the past cost it nothing, though its plans were made while there were none."""

import asyncpg
import pytest

from hub.database.pool import Database
from hub.mailbox.changes import AttemptClosed, AttemptOpened, Changes, OrderGuard, OrderUpdate, item_row
from hub.mailbox.messages import NewMessage
from hub.mailbox.store import Item, PostgresMailbox
from hub.model import OrderState
from tests.integration.mailbox.desk import Bench

pytestmark = pytest.mark.postgres

PAST = 5_000
_ORDERS = """
insert into hub.orders (tenant_id, id, link, location, platform, platform_order_id, delivery_connection, pos, pos_connection, pos_order_id,
  state, body, consumer, totals, placed_at, created_at, updated_at)
select $1, 'ord_past' || g, $2, $3, 'ubereats', 'past' || g, $4, 'square', $5, 'past' || g, 'completed', '', $6, '{}', hub.clock(),
  hub.clock(), hub.clock() from generate_series(1, $7::integer) g
"""
_ATTEMPTS = """
insert into hub.attempts (tenant_id, connection, subject, step, generation, order_id, repeat, idempotency_key, request, sealed_with,
  timeout_seconds, epoch, started_at, first_started_at, finished_at, outcome)
select $1, $2, 'order/ord_past' || g, 'order', 1, 'ord_past' || g, 'key', 'k', '', 'd', 10, 1, hub.clock(), hub.clock(), hub.clock(), 'done'
from generate_series(1, $3::integer) g
"""


def _opened(order: str) -> AttemptOpened:
    return AttemptOpened(
        subject=f"order/{order}", step="order", generation=1, order_id=order, repeat="key", idempotency_key="k", request=b"r",
        sealed_with="d", timeout_seconds=10.0,
    )  # fmt: skip


async def _whole_turn(bench: Bench, store: PostgresMailbox, epoch: int, key: str, *, explained: bool = False) -> int:
    """An order comes in, is claimed by its POS, written there, and decided; the pages that the turn with most in it touched."""
    order = bench.order(key)
    submit = NewMessage(connection=bench.pos, kind="pos.submit", subject=f"order/{order.id}", dedupe_key=f"s{key}")
    platform = PostgresMailbox(bench.url)
    activation = await platform.activate(bench.tenant, bench.platform, bench.platform, "1")
    assert activation is not None
    await platform.turn(bench.tenant, bench.platform, activation.epoch, [Item(0, Changes(order=order, messages=(submit,)))], 0, [])
    await platform.close()
    await bench.put(bench.message(f"n{key}"))
    turn = await store.turn(bench.tenant, bench.pos, epoch, [], 16, [])
    claim = next(claim for claim in turn.claims if claim.order is not None)
    other = next(claim for claim in turn.claims if claim.order is None)
    opened = Changes(end=None, order=OrderGuard(order.id, 1), attempts_opened=(_opened(order.id),))
    await store.turn(bench.tenant, bench.pos, epoch, [Item(claim.message, opened), Item(other.message, Changes())], 0, [])
    closed = AttemptClosed(subject=f"order/{order.id}", step="order", generation=1, outcome="done", vendor_ref="v")
    follow = bench.message(f"f{key}", subject=f"order/{order.id}")
    done = Changes(
        order=OrderUpdate(id=order.id, version=1, state=OrderState.ACCEPTED, pos_order_id=f"v{key}"),
        attempts_closed=(closed,), messages=(follow,), cleared=(f"late/{order.id}",),
    )  # fmt: skip
    if not explained:
        after = await store.turn(bench.tenant, bench.pos, epoch, [Item(claim.message, done)], 16, [])
        assert [each.attempts[0].outcome for each in after.claims] == ["done"], "what follows knows what was written"
        await store.turn(bench.tenant, bench.pos, epoch, [Item(each.message, Changes()) for each in after.claims], 0, [])
        return 0
    query = "explain (analyze, buffers, format json) select * from hub.owner_turn($1, $2, $3, $4, 16, '{}')"
    async with store._sessions.use() as connection:
        plan = (await connection.fetchval(query, bench.tenant, bench.pos, epoch, [item_row(0, claim.message, done)]))[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def test_orders_and_attempts_of_the_past_cost_a_turn_nothing(database: Database, database_url: str, owner_url: str) -> None:
    """With 5,000 of each behind it, an order's last turn and the claim of what follows touch few pages."""
    bench = await Bench(database, database_url).open()
    store = PostgresMailbox(database_url)
    activation = await store.activate(bench.tenant, bench.pos, bench.pos, "1")
    assert activation is not None
    for number in range(7):  # long enough for PostgreSQL to settle on plans, made over next to nothing
        await _whole_turn(bench, store, activation.epoch, f"early{number}")
    owner = await asyncpg.connect(owner_url)
    try:
        consumer = await owner.fetchval("select consumer from hub.orders where tenant_id = $1 limit 1", bench.tenant)
        await owner.execute(_ORDERS, bench.tenant, bench.link, bench.location, bench.platform, bench.pos, consumer, PAST)
        await owner.execute(_ATTEMPTS, bench.tenant, bench.pos, PAST)
    finally:
        await owner.close()
    touched = await _whole_turn(bench, store, activation.epoch, "late", explained=True)
    assert touched < 400, f"an order's last turn touched {touched} pages"
    await store.close()
