"""The database's clock is set an hour ahead and back: nothing is lost, doubled, or put off until that time comes again."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from hub.database.pool import Database
from hub.ids import new_id
from hub.mailbox.messages import NewMessage, enqueue
from hub.ownership.schedule import Keep, Schedule
from tests.contract.hostile_pos import LOCATION, TOKEN, HostilePosServer, hostile_provider
from tests.integration.flow.town import Town, town

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(120)]

HOUR = 3600


class Hands:
    """Sets the database's clock, as the owner of its schema."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def set(self, seconds: int) -> None:
        """Have `hub.clock()` differ by so much from the time."""
        connection = await asyncpg.connect(self._url, timeout=15)
        try:
            await connection.execute(
                "create or replace function hub.clock() returns timestamptz language sql volatile parallel safe"
                f" return clock_timestamp() + make_interval(secs => {seconds})"
            )
        finally:
            await connection.close()


@pytest.fixture
async def hands(owner_url: str) -> AsyncIterator[Hands]:
    """The clock's hands, right again after the test."""
    found = Hands(owner_url)
    yield found
    await found.set(0)


@pytest.fixture
async def here(database: Database, database_url: str, hands: Hands) -> AsyncIterator[Town]:
    """A town whose tenant is not made yet."""
    async with town(database, database_url) as found:
        yield found


async def _all_accepted(here: Town, placed: list[str], seconds: float) -> None:
    for each in placed:
        row = await here.state(each, "accepted", seconds=seconds)
        (found,) = here.at_square(row["id"])
        assert [payment["status"] for payment in found["payments"]] == ["COMPLETED"]
        assert here.at_uber(each) == "ACCEPTED"


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_orders_flow_on_while_the_clock_jumps_and_comes_back(here: Town, hands: Hands, jump: int) -> None:
    """Orders before, between and after two jumps, with failing calls: each once in the POS, paid once, accepted; events in order."""
    await here.open()
    here.start()
    await here.publish()
    for vendor in (here.uber, here.square):
        vendor.faults.set({"error_rate": 0.3, "duplicate_webhooks": 0.5, "seed": 3})
    placed = []
    for moment in (jump, 0, None):
        placed += [here.order() for _ in range(6)]
        await asyncio.sleep(0.3)
        if moment is not None:
            await hands.set(moment)
    await _all_accepted(here, placed, seconds=40)
    events = await here.rows("select subject, data ->> 'step' as step from hub.events where type = 'order.updated' order by xid, id")
    for order in {row["subject"] for row in events if row["subject"].startswith("ord_")}:
        steps = [row["step"] for row in events if row["subject"] == order]
        assert steps == [step for step in ("received", "in_pos", "accepted") if step in steps]


async def test_what_was_put_off_while_the_clock_was_ahead_is_not_put_off_for_an_hour(here: Town, hands: Hands) -> None:
    """A submit that failed by a clock an hour ahead is tried again a moment after that clock went back."""
    await here.open()
    here.start()
    await here.publish()
    await hands.set(HOUR)
    here.square.faults.set({"error_rate": 1.0})
    placed = here.order()
    await here.until("select 1 from hub.due d join hub.messages m using (id, at) where m.kind = 'pos.submit' and d.tries >= 3")
    await hands.set(0)
    here.square.faults.clear()
    await _all_accepted(here, [placed], seconds=45)


async def test_a_message_for_an_idle_owner_is_not_put_off_by_a_clock_that_was_ahead(here: Town, hands: Hands) -> None:
    """It came by a clock an hour ahead, nobody took it, and the clock went back: the Scheduler's look brings it back."""
    await here.open()
    await hands.set(HOUR)
    placed = here.order()
    await here.until("select 1 from hub.due d join hub.messages m using (id, at) where m.kind = 'order.placed'")
    await hands.set(0)
    schedule = Schedule(here.database, holder="test", keep=Keep())
    assert await schedule.clock() > HOUR - 60
    assert await schedule.clock() == 0, "the same message is evidence once"
    here.start()
    for connection in (here.pos, here.platform):
        await here.put(NewMessage(connection=connection, kind="sync.menu", subject="sync/menu", dedupe_key=new_id("cor")))
    await _all_accepted(here, [placed], seconds=30)


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_a_deadline_rings_in_its_time_whatever_the_database_says_the_time_is(here: Town, hands: Hands, jump: int) -> None:
    """The platform waits 11.5 minutes: the order's clock rings within them, not an hour later, nor before anybody could act."""
    await here.open()
    here.start()
    await here.publish()
    await hands.set(jump)
    key = new_id("cor")
    await here.put(NewMessage(connection=here.platform, kind="sync.stores", subject="sync/stores", dedupe_key=key))
    await here.until("select 1 from hub.facts f where dedupe_key = $1 and not exists (select 1 from hub.due d where d.id = f.message)", key)
    here.square.faults.set({"error_rate": 1.0})
    placed = here.order()
    row = await here.until(
        "select extract(epoch from d.available_at - hub.clock())::float as left from hub.due d join hub.messages m using (id, at)"
        " where m.kind = 'order.deadline' and d.subject = $1",
        f"order/{placed}",
    )
    assert 60 < row["left"] < 690


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_a_write_that_has_not_shown_itself_is_not_sent_again_because_an_hour_seems_over(
    database: Database, database_url: str, hands: Hands, jump: int
) -> None:
    """The POS shows an order late and knows no key: the hub waits as long as it takes, by what it has lived through."""
    async with (
        town(database, database_url, hostile_provider(visibility_lag=3.0)) as here,
        HostilePosServer("drop_after", visibility_lag=2.5) as pos,
    ):
        settings = {"lookup": True, "timeout_ms": 300}
        await here.open(pos="hostile", pos_credentials={"access_token": TOKEN}, pos_location=LOCATION, pos_settings=settings)
        here.sandbox_urls[here.pos] = pos.url
        here.start()
        placed = here.order()
        await here.until("select 1 from hub.attempts where connection = $1 and step = 'order' and outcome is null", here.pos)
        async with asyncio.timeout(5):
            while not pos.orders:
                await asyncio.sleep(0.02)
        await hands.set(jump)
        here.owners.wake([here.pos])
        row = await here.state(placed, "accepted", seconds=40)
        assert [order["reference"] for order in pos.orders] == [row["id"]]


async def test_a_lease_taken_by_a_clock_that_was_ahead_is_free(database: Database, hands: Hands) -> None:
    """Its holder died, the clock went back: the next one need not wait for an hour; a lease in its time holds."""
    take = "select hub.take_singleton('test', $1, 10)"
    await hands.set(HOUR)
    first = await database.fetchval(take, "dead")
    await hands.set(0)
    second = await database.fetchval(take, "next")
    assert second == first + 1
    assert await database.fetchval(take, "other") is None


async def test_a_token_that_was_being_refreshed_is_not_locked_for_an_hour(here: Town, hands: Hands) -> None:
    """Whoever refreshed it died while the clock was ahead."""
    await here.open()
    await hands.set(HOUR)
    async with here.database.tenant(here.tenant) as t:
        await t.execute("update hub.credentials set refreshing_until = hub.clock() + interval '30 seconds' where connection = $1", here.pos)
        await enqueue(t, here.tenant, [NewMessage(connection=here.pos, kind="sync.menu", subject="x", dedupe_key="x")])
    await hands.set(0)
    await Schedule(here.database, holder="test", keep=Keep()).clock()
    assert await here.rows("select 1 from hub.credentials where connection = $1 and refreshing_until is null", here.pos)
