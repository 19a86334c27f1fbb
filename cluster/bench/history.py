"""`hub bench history`: what each hot query costs over a short history and over a long one, in databases of its own."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec
import psutil

from cluster.bench.filling import EVENT_DAYS, FACT_DAYS, MESSAGE_DAYS, READY, Shop, fill, open_shops, put_ready
from cluster.bench.machine import machine
from cluster.embedded import PostgresUrls, remove_data, start_postgres
from cluster.start import Say
from hub.api.alerts import SQL as ALERTS
from hub.api.messages import MESSAGES
from hub.api.orders import SQL as ORDERS
from hub.database.migrate import migrate
from hub.database.pool import Database
from hub.events.reader import encode_cursor, latest_cursor, read_events
from hub.reconcile.orders import OF_PLATFORM, OF_POS

Query = Callable[[Any], Awaitable[Any]]

SHOPS = 16
APPENDS = 100
_SETTINGS = ("shared_buffers", "max_wal_size", "wal_compression", "synchronous_commit", "server_version")
_MIDDLE = """
select e.xid::text::bigint as transaction, e.id from hub.events e where e.tenant_id = $1
order by e.xid, e.id offset $2 limit 1
"""
_RETAIN = {
    "retain 5000 events": ("select * from hub.retain_events($1, '', 5000)", EVENT_DAYS - 10),
    "retain 500 blocks of facts": ("select * from hub.retain_blocks('facts', $1, 0, 500)", FACT_DAYS - 10),
    "drop a day of messages": ("select hub.drop_old_messages($1)", MESSAGE_DAYS - 1),
}


class Place(msgspec.Struct, frozen=True):
    """Where in the filled history the queries look: its middle."""

    shop: Shop
    cursor: str
    order: str
    placed_at: Any


def queries(place: Place) -> dict[str, Query]:
    """The hot queries as the hub asks them, each within a tenant's transaction."""
    shop = place.shop
    every = dict.fromkeys(("state", "provider", "location", "since", "until", "text", "at", "after"))

    def orders(query: Any, **given: Any) -> Query:
        return lambda t: query(t, **{**every, **given}, limit=51)

    return {
        "claim 16": lambda t: t.fetch("select * from hub.owner_turn($1, $2, 1, $3, 16, '{}')", shop.tenant, shop.pos, []),
        "resume by cursor, 100 events": lambda t: read_events(t, shop.tenant, place.cursor, 100),
        "newest cursor": lambda t: latest_cursor(t, shop.tenant),
        "an order": lambda t: ORDERS.order(t, id=place.order),
        "newest 50 orders": orders(ORDERS.orders),
        "50 orders in mid-history": orders(ORDERS.orders, at=place.placed_at, after=place.order),
        "undecided orders of a tenant": orders(ORDERS.open_orders, state="received"),
        "rejected orders of a tenant": orders(ORDERS.past_orders, state="rejected"),
        "an order's timeline": lambda t: ORDERS.timeline(t, subject=place.order, after=None, limit=201),
        "open alerts": lambda t: ALERTS.open_alerts(t, after=None, limit=51),
        "a mailbox's first 50": lambda t: MESSAGES.messages(t, connection=shop.pos, after=None, state=None, limit=51),
        "sweep": lambda t: t.fetch("select * from hub.due_connections(1)"),
        "connections to place": lambda t: t.fetch("select * from hub.connections_to_place()"),
        "operator figures": lambda t: t.fetchrow("select * from hub.operator_figures()"),
        "undecided orders of all": lambda t: t.fetch("select * from hub.undecided_orders(20)"),
        "a courier's order": lambda t: t.fetch("select * from hub.route_order('app', 'none')"),
        "reconcile with a platform": lambda t: t.fetch(OF_PLATFORM, shop.platform, ["none", "neither"]),
        "reconcile with a POS": lambda t: t.fetch(OF_POS, shop.pos, ["none", "neither"]),
    }


async def _once(connection: Any, tenant: str, query: Query) -> float:
    """Milliseconds of a run, which is then taken back."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute("select set_config('hub.tenant', $1, true)", tenant)
        started = time.perf_counter()
        await query(connection)
        return (time.perf_counter() - started) * 1000
    finally:
        await transaction.rollback()


async def _pages(connection: Any) -> int:
    """Pages that this session has touched so far."""
    await connection.execute("select pg_stat_force_next_flush()")
    return int(await connection.fetchval("select sum(hits + reads) from pg_stat_get_backend_io(pg_backend_pid())"))


async def pages_of(connection: Any, tenant: str, query: Query, repeats: int) -> int:
    """Pages that a run of a query touches, on average."""
    await _once(connection, tenant, query)
    before = await _pages(connection)
    for _ in range(repeats):
        await _once(connection, tenant, query)
    return round((await _pages(connection) - before) / repeats)


async def place_in(database: Database, shop: Shop, rows: int) -> Place:
    """The middle of a filled shop's history."""
    async with database.tenant(shop.tenant) as t:
        event: Any = await t.fetchrow(_MIDDLE, shop.tenant, rows // 4)
        order: Any = await t.fetchrow("select id, placed_at from hub.orders order by placed_at, id offset $1 limit 1", rows // 20)
    return Place(shop, encode_cursor(event["transaction"], event["id"]), order["id"], order["placed_at"])


async def _appending(database: Database, shop: Shop) -> dict[str, float]:
    """What a fact costs the database's process and its log when fifty are stored at once."""
    async with database.pool.acquire() as connection:
        await put_ready(connection, shop, 500)
        process = psutil.Process(await connection.fetchval("select pg_backend_pid()"))
        before, log = process.cpu_times(), await connection.fetchval("select pg_current_wal_insert_lsn()::text")
        await put_ready(connection, shop, APPENDS * 50)
        after = process.cpu_times()
        written = await connection.fetchval("select pg_current_wal_insert_lsn() - $1::text::pg_lsn", log)
    cpu = after.user + after.system - before.user - before.system
    return {"cpu_us": round(cpu / (APPENDS * 50) * 1e6, 1), "wal_bytes": round(float(written) / (APPENDS * 50))}


class History(msgspec.Struct):
    """A filled database and what was measured in it."""

    rows: int
    owner: Any
    database: Any
    place: Place
    figures: dict[str, Any]
    ms: dict[str, Any] = {}
    pages: dict[str, int] = {}


async def _open(urls: PostgresUrls, name: str, rows: int, say: Say) -> History:
    def of(url: str) -> str:
        return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))

    owner = await asyncpg.connect(urls.admin_url)
    await owner.execute(f"create database {name}")
    await owner.close()
    await migrate(of(urls.admin_url))
    owner = await asyncpg.connect(of(urls.admin_url))
    database = await Database(of(urls.api_url), most=1).open()
    shops = await open_shops(owner, SHOPS)
    say(f"filling {rows:,} rows")
    started = time.monotonic()
    await fill(of(urls.admin_url), rows, shops)
    filled = time.monotonic() - started
    await put_ready(database, shops[0])
    appended = await _appending(database, shops[1])
    await owner.execute("vacuum (analyze) hub.due")
    size = await owner.fetchval("select pg_database_size(current_database())")
    figures = {"rows": rows, "fill_seconds": round(filled, 1), "database_mib": round(size / 2**20), "append_a_fact": appended}
    return History(rows, owner, database, await place_in(database, shops[0], rows), figures)


async def _ask(history: History, label: str, repeats: int) -> list[float]:
    """Run one query; its pages are kept, its times returned."""
    query = queries(history.place).get(label)
    if query is None:
        statement, days = _RETAIN[label]

        async def query(t: Any) -> Any:
            return await t.fetch(statement, days)

    async with history.database.pool.acquire() as connection:
        history.pages[label] = await pages_of(connection, history.place.shop.tenant, query, 1)
        return [await _once(connection, history.place.shop.tenant, query) for _ in range(repeats)]


async def _compare(urls: PostgresUrls, rows: Sequence[int], repeats: int, say: Say) -> list[dict[str, Any]]:
    histories = [await _open(urls, f"history_{number}", size, say) for number, size in enumerate(rows)]
    try:
        say("measuring")
        for label in (*queries(histories[0].place), *_RETAIN):
            times: list[list[float]] = [[] for _ in histories]
            for _ in range(3):  # in turn: what else the machine does falls on all alike
                for history, found in zip(histories, times, strict=True):
                    found += await _ask(history, label, 1 if label in _RETAIN else max(1, repeats // 3))
            for history, found in zip(histories, times, strict=True):
                history.ms[label] = round(statistics.median(found), 3)
        server = {name: await histories[0].owner.fetchval("select current_setting($1)", name) for name in _SETTINGS}
        return [{**history.figures, "ms": history.ms, "pages": history.pages, "postgres": server} for history in histories]
    finally:
        for history in histories:
            await history.database.close()
            await history.owner.close()


def bench_history(say: Say, *, rows: Sequence[int], repeats: int) -> dict[str, Any]:
    """Fill a database for each size, then ask all of them in turn; ratios compare the last size with the first: 1 is flat."""
    with tempfile.TemporaryDirectory(prefix="hub-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        urls = start_postgres(home)
        try:
            found = asyncio.run(_compare(urls, rows, repeats, say))
        finally:
            remove_data(home)
    ratio = {
        unit: {label: round(found[-1][unit][label] / max(first, 0.001), 2) for label, first in found[0][unit].items()}
        for unit in ("ms", "pages")
    }
    return {"machine": machine(), "ready": READY, "repeats": repeats, "sizes": found, "ratio": ratio}
