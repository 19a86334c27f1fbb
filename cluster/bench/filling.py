"""A database filled with years of business in minutes: rows as the hub would have left them, made by PostgreSQL itself."""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec

from hub.ids import new_id

MESSAGE_DAYS, FACT_DAYS, EVENT_DAYS = 7, 30, 90
"""How far back each history reaches, as its retention leaves it."""
CHUNK = 500_000
READY = 2000
OPEN_ORDERS = 200

_INDEXES = """
select i.indexrelid::regclass::text as name, i.indrelid::regclass::text as table, pg_get_indexdef(i.indexrelid) as definition,
  c.conname as constraint, pg_get_constraintdef(c.oid) as constrained
from pg_index i left join pg_constraint c on c.conindid = i.indexrelid and c.contype in ('p', 'u')
where i.indrelid = any ($1::regclass[])
  and not exists (select 1 from pg_constraint f where f.conindid = i.indexrelid and f.contype = 'f')
"""


class Shop(msgspec.Struct, frozen=True):
    """A tenant with a POS and a platform."""

    tenant: str
    pos: str
    platform: str
    link: str
    location: str


async def open_shops(owner: asyncpg.Connection, count: int) -> list[Shop]:
    """Make tenants with two connections, a location and a link each; the first has half of everything that is filled in."""
    shops = [Shop(new_id("ten"), new_id("con"), new_id("con"), new_id("lnk"), new_id("loc")) for _ in range(count)]
    for number, shop in enumerate(shops):
        await owner.execute("insert into hub.tenants (id, name) values ($1, $2)", shop.tenant, f"Shop {number}")
        for connection, provider in ((shop.pos, "square"), (shop.platform, "ubereats")):
            await owner.execute(
                "insert into hub.connections (tenant_id, id, provider, environment, name) values ($1, $2, $3, 'simulator', 'bench')",
                shop.tenant, connection, provider,
            )  # fmt: skip
            await owner.execute(
                "insert into hub.leases (tenant_id, connection, host, epoch) values ($1, $2, $2, 1)", shop.tenant, connection
            )
        await owner.execute(
            "insert into hub.locations (tenant_id, id, name, timezone, currency) values ($1, $2, 'L', 'UTC', 'USD')",
            shop.tenant, shop.location,
        )  # fmt: skip
        await owner.execute(
            "insert into hub.links (tenant_id, id, location, pos_connection, pos_location_ref, delivery_connection, delivery_store_ref)"
            " values ($1, $2, $3, $4, 'p', $5, 's')",
            shop.tenant, shop.link, shop.location, shop.pos, shop.platform,
        )  # fmt: skip
    return shops


# A row's shop: every second row is the first one's. An order's number is that of the first of its five messages.
_SHOP = """
  join (select row_number() over () - 1 as number, s.* from unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
        as s(tenant, pos, platform, link, location)) s
  on s.number = case when (g / 5) % 2 = 0 then 0 else (g / 5) % cardinality($4::text[]) end and $3::float8 > 0
"""
_ORDER = "'ord_' || lpad((g / 5)::text, 26, '0')"
_NAME = "md5((g / 5)::text)::uuid"
_FILLS = {
    "facts": f"""
insert into hub.facts (tenant_id, connection, dedupe_key, message, at)
select s.tenant, s.platform, 'order/' || {_NAME} || '/' || g % 5, g,
  hub.clock() - {FACT_DAYS} * interval '1 day' * (1 - g / $3::float8)
from generate_series($1::bigint, $2::bigint) g {_SHOP}""",
    "messages": f"""
insert into hub.messages (tenant_id, id, connection, kind, subject, dedupe_key, body, correlation, at)
select s.tenant, g, s.platform, 'order.placed', 'order/' || {_NAME}, 'order/' || {_NAME} || '/' || g % 5,
  decode(repeat(md5(g::text), 8), 'hex'), 'cor_' || lpad(g::text, 26, '0'),
  hub.clock() - {MESSAGE_DAYS} * interval '1 day' * (1 - g / $3::float8)
from generate_series($1::bigint, $2::bigint) g {_SHOP}""",
    "events": f"""
insert into hub.events (tenant_id, type, subject, location, data, correlation, at)
select s.tenant, 'order.updated', {_ORDER}, s.location, '{{"step": "accepted", "state": "accepted"}}', 'cor_' || lpad(g::text, 26, '0'),
  hub.clock() - {EVENT_DAYS} * interval '1 day' * (1 - g / $3::float8)
from generate_series($1::bigint, $2::bigint) g {_SHOP}""",
    "consumers": f"""
insert into hub.consumers (tenant_id, id, sealed_key)
select s.tenant, 'cns_' || lpad((g / 5)::text, 26, '0'), decode(repeat(md5(g::text), 4), 'hex')
from generate_series($1::bigint, $2::bigint, 5) g {_SHOP}""",
    "orders": f"""
insert into hub.orders (tenant_id, id, link, location, platform, platform_order_id, delivery_connection, pos, pos_connection, pos_order_id,
  state, decision, body, consumer, display_id, totals, placed_at, deadline_at, created_at, updated_at)
select s.tenant, {_ORDER}, s.link, s.location, 'ubereats', {_NAME}, s.platform, 'square', s.pos, md5('pos' || g),
  case when g > $3::float8 - 5 * {OPEN_ORDERS} then case when g / 5 % 10 = 0 then 'received' else 'accepted' end else 'completed' end,
  'accept', decode(repeat(md5(g::text), 16), 'hex'), 'cns_' || lpad((g / 5)::text, 26, '0'), (g / 5 % 1000)::text,
  '{{"total": {{"amount": 1250, "currency": "USD"}}}}', t.at, t.at + interval '5 minutes', t.at, t.at
from generate_series($1::bigint, $2::bigint, 5) g {_SHOP}
cross join lateral (select hub.clock() - {EVENT_DAYS} * interval '1 day' * (1 - g / $3::float8) as at) t""",
    "attempts": f"""
insert into hub.attempts (tenant_id, connection, subject, step, generation, order_id, repeat, idempotency_key, request, sealed_with,
  timeout_seconds, epoch, started_at, first_started_at, finished_at, outcome)
select s.tenant, s.pos, 'order/' || {_ORDER}, 'order', 1, {_ORDER}, 'key', md5(g::text), decode(repeat(md5(g::text), 16), 'hex'), 'day', 10,
  1, t.at, t.at, t.at, 'done'
from generate_series($1::bigint, $2::bigint, 5) g {_SHOP}
cross join lateral (select hub.clock() - {FACT_DAYS} * interval '1 day' * (1 - g / $3::float8) as at) t""",
    "dead_letters": f"""
insert into hub.dead_letters (tenant_id, id, connection, kind, subject, lane, message_at, reason, tries, at, resolution, resolved_at)
select s.tenant, g, s.platform, 'order.placed', 'order/' || {_NAME}, 1, hub.clock(), 'refused', 3, hub.clock(), 'skipped',
  hub.clock()
from generate_series($1::bigint, $2::bigint, 100) g {_SHOP}""",
    "alerts": f"""
insert into hub.alerts (tenant_id, id, dedupe_key, kind, severity, subject, detail, raised_at, seen_at, cleared_at)
select s.tenant, 'alr_' || lpad(g::text, 26, '0'), 'late/' || g, 'order.late', 'critical', {_ORDER}, 'it is late', t.at, t.at,
  case when g > 1000 then t.at end
from generate_series($1::bigint, $2::bigint, 100) g {_SHOP}
cross join lateral (select hub.clock() - {EVENT_DAYS} * interval '1 day' * (1 - g / $3::float8) as at) t""",
}
_TOGETHER = (("messages", "dead_letters", "facts"), ("events", "consumers", "orders", "attempts", "alerts"))
"""What is filled by each of two sessions, one a core."""


async def _take_indexes(owner: asyncpg.Connection, tables: Sequence[str]) -> list[str]:
    """Drop the tables' indexes and return the statements that make them again: built at once they cost a quarter."""
    back = []
    for row in await owner.fetch(_INDEXES, [f"hub.{table}" for table in tables]):
        if row["constraint"]:
            await owner.execute(f"alter table {row['table']} drop constraint {row['constraint']}")
            back.append(f"alter table {row['table']} add constraint {row['constraint']} {row['constrained']}")
        else:
            await owner.execute(f"drop index {row['name']}")
            back.append(row["definition"])
    return back


async def _fill(url: str, tables: Sequence[str], rows: int, shops: Sequence[Shop]) -> None:
    owner = await asyncpg.connect(url)
    try:
        # No foreign keys, no triggers: the rows are made to fit.
        await owner.execute("set session_replication_role = replica; set synchronous_commit = off; set maintenance_work_mem = '256MB'")
        names = [[getattr(shop, field) for shop in shops] for field in ("tenant", "pos", "platform", "link", "location")]
        for table in tables:
            back = await _take_indexes(owner, [table])
            for start in range(1, rows + 1, CHUNK):
                await owner.execute(_FILLS[table], start, min(start + CHUNK - 1, rows), float(rows), *names)
            for statement in back:
                await owner.execute(statement)
    finally:
        await owner.close()


async def fill(url: str, rows: int, shops: Sequence[Shop]) -> None:
    """Fill the history of an empty schema: `rows` messages, facts and events, a fifth as many orders and attempts.

    `url` is a superuser's. 5 million rows take a few minutes and 10 GB on 2 cores.
    """
    owner = await asyncpg.connect(url)
    try:
        clock = "create or replace function hub.clock() returns timestamptz language sql volatile parallel safe return clock_timestamp()"
        await owner.execute(f"{clock} - interval '{MESSAGE_DAYS} days'")
        await owner.fetchval("select hub.prepare_partitions($1)", MESSAGE_DAYS)
        await owner.execute(clock)
        await owner.execute(f"select setval('hub.message_ids', {rows + 1})")
    finally:
        await owner.close()
    await asyncio.gather(*(_fill(url, tables, rows, shops) for tables in _TOGETHER))
    await _each(url, "vacuum (analyze) " + ", ".join(f"hub.{table}" for table in _FILLS), "checkpoint")


async def _each(url: str, *statements: str) -> None:
    owner = await asyncpg.connect(url)
    try:
        for statement in statements:
            await owner.execute(statement)
    finally:
        await owner.close()


async def put_ready(service: Any, shop: Shop, count: int = READY) -> None:
    """Put messages that may run now into a shop's POS mailbox, fifty at a time as ingress does; two to a subject."""
    names = [new_id("cor") for _ in range(count)]
    for start in range(0, count, 50):
        part = names[start : start + 50]
        size = len(part)
        await service.execute(
            "select count(*) from hub.append_messages($1, $2, $3, $4, $5, $6, $7, $8)",
            [shop.tenant] * size, [shop.pos] * size, ["noted"] * size, [f"thing/{start + n // 2}" for n in range(size)], [1] * size,
            [f"thing/{name}/noted" for name in part], [b"x" * 250] * size, part,
        )  # fmt: skip
