"""An order's way through the hub, and what becomes of it when something is wrong."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from hub.database.pool import Database
from tests.integration.flow.town import Town, town

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(90)]


@pytest.fixture
async def here(database: Database, database_url: str) -> AsyncIterator[Town]:
    """A town whose tenant is not made yet."""
    async with town(database, database_url) as found:
        yield found


async def test_an_order_reaches_the_pos_paid_and_is_accepted(here: Town) -> None:
    """Once in the POS, paid once, at what the merchant is owed; then accepted on the platform under our reference."""
    await here.open()
    here.start()
    await here.publish()
    placed = here.order()
    row = await here.state(placed, "accepted")
    (found,) = here.at_square(row["id"])
    assert found["total"] == row["totals"]["merchant_total"]["amount"]
    assert [payment["status"] for payment in found["payments"]] == ["COMPLETED"]
    assert here.at_uber(placed) == "ACCEPTED"
    assert row["attention"] is None
    steps = [r["data"]["step"] for r in await here.rows("select data from hub.events where subject = $1 order by id", row["id"])]
    assert steps == ["received", "in_pos", "accepted"]


async def test_duplicated_and_reordered_webhooks_make_one_order(here: Town) -> None:
    """The dedupe key names the fact: the same notice twice is one order."""
    await here.open()
    here.start()
    await here.publish()
    here.uber.faults.set({"duplicate_webhooks": 1.0, "reorder_webhooks": 1.0})
    placed = [here.order() for _ in range(5)]
    for each in placed:
        row = await here.state(each, "accepted")
        assert len(here.at_square(row["id"])) == 1
    assert len(await here.rows("select 1 from hub.orders")) == 5


async def test_a_lost_webhook_is_found_by_reconcile(here: Town) -> None:
    """No notice comes; the list of open orders tells."""
    await here.open()
    here.policies["reconcile_seconds"] = 0.5
    here.start()
    await here.publish()
    here.uber.faults.set({"drop_webhooks": 1.0})
    row = await here.state(here.order(), "accepted")
    assert len(here.at_square(row["id"])) == 1
    assert await here.rows("select 1 from hub.events where data ->> 'step' = 'reconciled'")


async def test_a_cancel_that_comes_first_leaves_nothing_in_the_pos(here: Town) -> None:
    """Cancelled before its intake: no order goes to the POS."""
    await here.open()
    await here.database.fetchval("select 1")
    placed = here.order()
    await here.until("select 1 from hub.messages where kind = 'order.placed'")
    here.uber.cancel_order(placed, {})
    await here.until("select 1 from hub.messages where kind = 'order.cancelled'")
    here.start()
    await here.until("select 1 from hub.tombstones where platform_order_id = $1", placed)
    await asyncio.sleep(0.5)
    assert here.square.state()["orders"] == []


async def test_a_cancel_after_the_submit_takes_the_order_back_with_its_money(here: Town) -> None:
    """The consumer cancels an accepted order: refunded and cancelled at the POS."""
    await here.open()
    here.start()
    await here.publish()
    placed = here.order()
    row = await here.state(placed, "accepted")
    here.uber.cancel_order(placed, {})
    await here.state(placed, "cancelled")
    await here.until("select 1 from hub.events where subject = $1 and data ->> 'step' = 'cancelled_at_pos'", row["id"])
    (found,) = here.at_square(row["id"])
    assert {payment["status"] for payment in found["payments"]} <= {"REFUNDED"}


async def test_a_cancel_that_races_the_submit_leaves_no_paid_order(here: Town) -> None:
    """Whoever wins, in the end nothing stands in the POS for a cancelled order."""
    await here.open()
    here.start()
    await here.publish()
    here.square.faults.set({"latency_ms": 150})
    placed = here.order()
    await here.until("select 1 from hub.attempts where step = 'order'")
    here.uber.cancel_order(placed, {})
    row = await here.state(placed, "cancelled")
    async with asyncio.timeout(20):
        while True:
            found = here.at_square(row["id"])
            idle = not await here.rows("select 1 from hub.due d join hub.messages m using (id) where m.kind like 'pos.%'")
            if idle and all(p["status"] == "REFUNDED" for o in found for p in o["payments"]):
                break
            await asyncio.sleep(0.1)
    assert len(found) <= 1


async def test_ready_in_the_kitchen_is_ready_on_the_platform(here: Town) -> None:
    """The POS moves the order; the hub follows and tells."""
    await here.open()
    here.policies["reconcile_seconds"] = 0.5
    here.start()
    await here.publish()
    placed = here.order()
    row = await here.state(placed, "accepted")
    async with here.database.tenant(here.tenant) as t:
        await t.execute("update hub.orders set updated_at = updated_at - interval '5 minutes'")
    here.square.move_order(row["pos_order_id"], {"state": "PREPARED"})
    await here.state(placed, "ready")
    await here.until("select 1 from hub.attempts where step = 'ready' and outcome = 'done'")


@pytest.mark.parametrize("policy", ["accept", "hold", "reject"])
async def test_an_unknown_item_follows_the_links_policy(here: Town, policy: str) -> None:
    """Accept sends it as an open item and flags it, hold waits for a person, reject tells the platform no."""
    await here.open(unmapped=policy)
    here.start()
    await here.publish()
    placed = here.order(items=[{"id": "not-on-any-menu", "quantity": 1, "title": "Secret dish", "price": 500}])
    if policy == "accept":
        row = await here.state(placed, "accepted")
        assert row["attention"]["reason"] == "unmapped"
        assert any("Secret dish" in item["name"] for item in here.at_square(row["id"])[0]["items"])
        assert row["not_carried"]
    elif policy == "hold":
        row = await here.state(placed, "received")
        await asyncio.sleep(0.5)
        assert here.square.state()["orders"] == []
        assert (await here.alerts()).count("order.attention") == 1
        assert row["decision"] == "hold"
    else:
        await here.state(placed, "rejected")
        assert here.square.state()["orders"] == []
        assert here.at_uber(placed) in ("DENIED", "FAILED")


async def test_an_expired_token_is_refreshed_once_for_all(here: Town) -> None:
    """Many calls meet the expired token; one refresh serves them."""
    await here.open()
    here.start()
    await here.publish()
    before = here.square.calls["oauth.token"]
    here.square.expire_all_tokens()
    for each in [here.order() for _ in range(8)]:
        await here.state(each, "accepted")
    assert here.square.calls["oauth.token"] == before + 1


async def test_a_revoked_connection_is_suspended_and_goes_on_when_access_is_back(here: Town) -> None:
    """Suspended with an alert; the order waits and is not lost."""
    await here.open()
    here.start()
    await here.publish()
    here.square.faults.set({"revoke": 1.0})
    placed = here.order()
    await here.until("select 1 from hub.connections where id = $1 and status = 'suspended'", here.pos)
    assert "connection.suspended" in await here.alerts()
    here.square.faults.clear()
    async with here.database.tenant(here.tenant) as t:
        await t.execute("update hub.connections set status = 'active' where id = $1", here.pos)
    row = await here.state(placed, "accepted")
    assert len(here.at_square(row["id"])) == 1


@pytest.mark.parametrize("fault", ["error_rate", "timeout_after_effect", "malformed", "rate_limit"])
async def test_a_misbehaving_pos_gets_each_order_once(here: Town, fault: str) -> None:
    """Errors before the effect, hanging after it, garbage and rate limits: retried under the same key, once at the vendor."""
    await here.open()
    here.start()
    await here.publish()
    switches = {"rate_limit": 3} if fault == "rate_limit" else {fault: 0.4, "hold_ms": 200}
    here.square.faults.set({**switches, "seed": 5})
    placed = [here.order() for _ in range(3)]
    for each in placed:
        row = await here.state(each, "accepted", seconds=60)
        (found,) = here.at_square(row["id"])
        assert len(found["payments"]) == 1
    assert await here.rows("select 1 from hub.dead_letters") == []


@pytest.mark.parametrize("policy", ["reject", "accept"])
async def test_the_deadline_is_kept_by_the_links_policy(here: Town, policy: str) -> None:
    """The POS fails; somebody is alerted, then the platform hears what the policy says, and nothing stays open in the POS."""
    await here.open(at_deadline=policy)
    here.policies["deadline_margin_seconds"] = 687.0
    here.start()
    await here.publish()
    here.square.faults.set({"error_rate": 1.0})
    placed = here.order()
    expected = "rejected" if policy == "reject" else "accepted"
    here.policies["deadline_margin_seconds"] = 60.0
    async with here.database.tenant(here.tenant) as t:
        await here.until("select 1 from hub.due d join hub.messages m using (id) where m.kind = 'order.deadline'")
        await t.execute(
            "update hub.due d set available_at = hub.clock(), deadline_at = hub.clock() + interval '0.5 seconds'"
            " from hub.messages m where m.id = d.id and m.kind = 'order.deadline'"
        )
    here.owners.wake([here.platform])
    row = await here.state(placed, expected)
    assert await here.rows("select 1 from hub.alerts where kind = 'order.late'")
    here.square.faults.clear()
    if policy == "reject":
        assert here.at_uber(placed) in ("DENIED", "FAILED")
        await asyncio.sleep(1.0)
        assert all(p["status"] == "REFUNDED" for o in here.at_square(row["id"]) for p in o["payments"])
    else:
        assert here.at_uber(placed) == "ACCEPTED"


async def test_an_order_for_a_store_without_a_link_raises_an_alert(here: Town) -> None:
    """The store is claimed but linked to nothing: a person is told."""
    await here.open()
    async with here.database.tenant(here.tenant) as t:
        await t.execute("update hub.links set active = false")
    here.start()
    here.order()
    await here.until("select 1 from hub.alerts where kind = 'order.unlinked'")
