"""The feed of events: in order, read on from a cursor, nothing skipped and nothing twice."""

import base64

import asyncpg
import pytest

from tests.integration.api.api_world import World

pytestmark = pytest.mark.postgres


async def test_the_feed_is_read_on_without_loss_or_repeat(world: World) -> None:
    """Pages follow each other; the last cursor, later, gives exactly what came since."""
    seen, cursor = [], ""
    while True:
        page = (await world.call(world.a, "GET", f"/events?limit=2{cursor}")).json()
        if not page["items"]:
            break
        seen += page["items"]
        cursor = f"&cursor={page['next_cursor']}"
    assert len({event["id"] for event in seen}) == len(seen) >= 5
    assert {event["tenant"] for event in seen} == {world.a.tenant}
    assert {"connection.changed", "link.changed", "store.changed", "order.created"} <= {event["type"] for event in seen}
    await world.call(world.a, "POST", f"/orders/{world.a.order}/accept")
    later = (await world.call(world.a, "GET", f"/events?limit=200{cursor}")).json()["items"]
    assert [(event["type"], event["data"]["step"]) for event in later] == [("order.updated", "accept_requested")]


async def test_a_late_commit_is_not_skipped(world: World) -> None:
    """What a running transaction has written holds the feed back until it is committed."""
    start = (await world.call(world.a, "GET", "/events?limit=200")).json()["next_cursor"]
    insert = "insert into hub.events (tenant_id, type, subject, data, at) values ($1, $2, 'x', '{}', hub.clock())"
    pool = world.context.database.pool
    async with pool.acquire() as slow:
        transaction = slow.transaction()
        await transaction.start()
        await slow.execute("select set_config('hub.tenant', $1, true)", world.a.tenant)
        await slow.execute(insert, world.a.tenant, "slow")
        async with world.context.database.tenant(world.a.tenant) as quick:
            await quick.execute(insert, world.a.tenant, "quick")
        assert (await world.call(world.a, "GET", f"/events?cursor={start}")).json() == {"items": [], "next_cursor": start}
        await transaction.commit()
    items = (await world.call(world.a, "GET", f"/events?cursor={start}")).json()["items"]
    assert sorted(event["type"] for event in items) == ["quick", "slow"]


async def test_the_feed_is_filtered(world: World) -> None:
    """By types, several at once, and by location."""
    items = (await world.call(world.a, "GET", "/events?type=link.changed,order.created")).json()["items"]
    assert [event["type"] for event in items] == ["link.changed", "order.created"]
    here = (await world.call(world.a, "GET", f"/events?limit=200&location={world.a.location}")).json()["items"]
    assert {event["location"] for event in here} == {world.a.location}
    assert (await world.call(world.a, "GET", f"/events?location={world.b.location}")).json()["items"] == []


@pytest.mark.parametrize("cursor", ["x", "€", "AAAA", base64.urlsafe_b64encode(b"\xff" * 16).decode().rstrip("=")])
async def test_a_strange_cursor_is_422(world: World, cursor: str) -> None:
    """A cursor that is none of ours is named as the bad parameter."""
    answer = await world.call(world.a, "GET", f"/events?cursor={cursor}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_cursor_from_before_what_is_kept_is_410(world: World, owner_url: str) -> None:
    """Whoever would miss events is told so, and starts at the oldest that is kept by leaving the cursor out."""
    first = (await world.call(world.a, "GET", "/events?limit=1")).json()
    kept = (await world.call(world.a, "GET", f"/events?limit=200&cursor={first['next_cursor']}")).json()["items"]
    owner = await asyncpg.connect(owner_url)
    try:
        await owner.execute(
            "update hub.events set at = at - interval '100 days' where tenant_id = $1 and type <> 'order.created'", world.a.tenant
        )
        await owner.execute("select hub.retain_events(90, '', 2)")
    finally:
        await owner.close()
    answer = await world.call(world.a, "GET", f"/events?cursor={first['next_cursor']}")
    assert answer.status_code == 410
    assert answer.json()["type"] == "urn:hub:problem:cursor-forgotten"
    fresh = (await world.call(world.a, "GET", "/events?limit=200")).json()["items"]
    assert [event["id"] for event in fresh] == [event["id"] for event in kept[1:]]
