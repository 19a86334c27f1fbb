"""Reads of one order in front of Serve: the same bytes as the API's own route, and each under its own tenant."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from hub.api.app import build_api
from hub.front import OrderReader, OrderReads
from hub.identity import Principal, tokens
from hub.ids import new_id
from hub.observe.metrics import REGISTRY
from hub.tenancy import create_tenant
from tests.integration.api.api_world import World, add_order

pytestmark = pytest.mark.postgres

PATH = "/api/v1/orders/"


class Both:
    """The API's route, and the front that answers before it."""

    def __init__(self, world: World, reader: OrderReader) -> None:
        self.world, self.reader = world, reader
        api: Any = build_api(world.context)
        front: Any = OrderReads(world.context, reader, api)
        self.slow = httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://hub.test")
        self.fast = httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url="http://hub.test")

    async def same(self, order: str, authorization: str | None) -> httpx.Response:
        """Ask both; their answers must be the same, header by header and byte by byte."""
        headers = {"X-Correlation-Id": "cor-of-the-test"} | ({"Authorization": authorization} if authorization is not None else {})
        slow = await self.slow.get(PATH + order, headers=headers)
        fast = await self.fast.get(PATH + order, headers=headers)
        assert (fast.status_code, dict(fast.headers), fast.content) == (slow.status_code, dict(slow.headers), slow.content)
        return fast


def answered() -> float:
    """How many reads were answered in front."""
    return REGISTRY.get_sample_value("hub_order_reads_total", {"by": "answered"}) or 0.0


@pytest.fixture
async def both(world: World, database_url: str) -> AsyncIterator[Both]:
    """Both ways to the world's orders."""
    reader = OrderReader(database_url)
    both = Both(world, reader)
    async with both.slow, both.fast:
        yield both
    await reader.close()


async def test_what_is_found_is_answered_in_the_same_bytes(both: Both) -> None:
    """With everything an order can hold, and by a person's token or an API key."""
    w = both.world
    async with w.context.database.tenant(w.a.tenant) as tx:
        await tx.execute(
            "update hub.orders set attention = $1, not_carried = $2, pos_order_id = $3",
            {"reason": "naïve \u2028 'quoted' \"x\"", "n": 1.5, "deep": {"a": [None, True]}},
            [{"field": "tip", "reason": "no place"}],
            new_id("evt"),
        )
    key = (await w.call(w.a, "POST", "/api-keys", {"name": "screen", "role": "viewer"})).json()
    before = answered()
    for token in (w.a.token, key["key"]):
        answer = await both.same(w.a.order, f"Bearer {token}")
        assert (answer.status_code, answer.json()["customer"]["name"]) == (200, "Noura")
    assert (await both.same(w.a.order, f"bearer  {w.a.token} ")).status_code == 200
    assert answered() == before + 3


async def test_refusals_are_the_same(both: Both) -> None:
    """Not there, another tenant's, no token, a bad one, an expired one, one of a foreign key, an unknown API key."""
    w = both.world
    expired = tokens.issue(w.context.master, Principal(w.a.tenant, w.a.user, "owner", False, w.a.session), lifetime=-1)
    before = answered()
    for order, authorization, status in (
        (new_id("ord"), f"Bearer {w.a.token}", 404),
        (w.b.order, f"Bearer {w.a.token}", 404),
        (w.a.order, None, 401),
        (w.a.order, "", 401),
        (w.a.order, "Basic YTpi", 401),
        (w.a.order, "Bearer nonsense", 401),
        (w.a.order, f"Bearer {w.a.token[:-2]}", 401),
        (w.a.order, f"Bearer {expired}", 401),
        (w.a.order, "Bearer hub_unknown", 401),
    ):
        answer = await both.same(order, authorization)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answered() == before


async def test_an_ended_session_and_an_erased_consumer_look_the_same(both: Both) -> None:
    """After signing out an access token lives on until it lapses, in front as behind; erasure shows nulls at once."""
    w = both.world
    assert (await both.same(w.a.order, f"Bearer {w.a.token}")).json()["customer"]["name"] == "Noura"
    async with w.context.database.tenant(w.a.tenant) as tx:
        await tx.execute("update hub.consumers set sealed_key = null, erased_at = hub.clock()")
    order = (await both.same(w.a.order, f"Bearer {w.a.token}")).json()
    assert (order["erased"], order["customer"], order["lines"]) == (True, None, None)
    await w.call(w.a, "POST", "/auth/logout")
    assert (await both.same(w.a.order, f"Bearer {w.a.token}")).status_code == 200


async def test_a_token_that_was_good_is_refused_once_it_expires(both: Both) -> None:
    """Knowing a token does not make it live longer."""
    w = both.world
    short = tokens.issue(w.context.master, Principal(w.a.tenant, w.a.user, "owner", False, w.a.session), lifetime=2)
    assert (await both.same(w.a.order, f"Bearer {short}")).status_code == 200
    for _ in range(100):
        await asyncio.sleep(0.1)
        if (await both.slow.get(PATH + w.a.order, headers={"Authorization": f"Bearer {short}"})).status_code == 401:
            break
    assert (await both.same(w.a.order, f"Bearer {short}")).status_code == 401


async def test_a_batch_of_two_tenants_shows_each_its_own(both: Both) -> None:
    """In one call with ids of both, each tenant's part finds its own orders and none of the other's, whoever comes first."""
    w = both.world
    third = await create_tenant(w.context.database, "Gimel")
    mine = [w.a.order, *[await add_order(w.context, w.a) for _ in range(3)]]
    theirs = [w.b.order, *[await add_order(w.context, w.b) for _ in range(3)]]
    asked = [(tenant, order) for order in mine + theirs for tenant in (w.b.tenant, w.a.tenant, third)]
    batches = REGISTRY.get_sample_value("hub_order_read_batch_count") or 0
    found = await asyncio.gather(*(both.reader.read(*each) for each in asked))
    assert REGISTRY.get_sample_value("hub_order_read_batch_count") == batches + 1
    for (tenant, order), row in zip(asked, found, strict=True):
        owner = w.a.tenant if order in mine else w.b.tenant
        assert (row["tenant_id"], row["id"]) == (owner, order) if row is not None else tenant != owner
        assert row is not None or tenant != owner
        assert row is None or tenant == owner


async def test_the_call_itself_shows_a_part_nothing_but_its_tenants_rows(world: World) -> None:
    """Row security holds inside the function, and the transaction's own tenant is as before."""
    a, b = world.a, world.b
    query = "select tenant_id, id from hub.read_orders($1, $2, $3)"
    async with world.context.database.tenant(a.tenant) as tx:
        assert await tx.fetch(query, [b.tenant], [1], [a.order]) == []
        rows = await tx.fetch(query, [a.tenant, b.tenant], [2, 4], [a.order, b.order, b.order, a.order])
        assert [tuple(row) for row in rows] == [(a.tenant, a.order), (b.tenant, b.order)]
        assert await tx.fetchval("select current_setting('hub.tenant')") == a.tenant
    assert await world.context.database.fetch(query, [""], [1], [a.order]) == []


async def test_a_lost_connection_costs_no_answer(both: Both) -> None:
    """A read whose connection is gone is answered by the API, and the next one in front again."""
    w = both.world
    bearer = f"Bearer {w.a.token}"
    await both.same(w.a.order, bearer)
    assert both.reader._connection is not None
    both.reader._connection.terminate()
    before = answered()
    assert (await both.same(w.a.order, bearer)).status_code == 200
    assert (await both.same(w.a.order, bearer)).status_code == 200
    assert answered() > before


async def test_a_caller_that_leaves_takes_nobody_along(both: Both) -> None:
    """Cancelling one read of a batch leaves the others their answers."""
    w = both.world
    reads = [asyncio.ensure_future(both.reader.read(w.a.tenant, w.a.order)) for _ in range(3)]
    await asyncio.sleep(0)
    reads[0].cancel()
    rows = await asyncio.gather(*reads, return_exceptions=True)
    assert isinstance(rows[0], asyncio.CancelledError)
    assert [row["id"] for row in rows[1:] if not isinstance(row, BaseException) and row is not None] == [w.a.order] * 2


async def test_a_closed_reader_answers_who_waits_and_takes_no_more(both: Both) -> None:
    """Those inside are answered; later ones hear that it is closed, which sends them to the API."""
    w = both.world
    read = asyncio.ensure_future(both.reader.read(w.a.tenant, w.a.order))
    await asyncio.sleep(0)
    await both.reader.close()
    row = await read
    assert row is not None
    assert row["id"] == w.a.order
    with pytest.raises(ConnectionError):
        await both.reader.read(w.a.tenant, w.a.order)
    assert (await both.same(w.a.order, f"Bearer {w.a.token}")).status_code == 200
