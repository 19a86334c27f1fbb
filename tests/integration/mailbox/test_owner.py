"""An owner's promises on real PostgreSQL: order, fencing, compare-and-set, retries, poison."""

import asyncio
from datetime import timedelta
from unittest.mock import patch

import pytest

from hub.clock import utc_now
from hub.contract import Drifted, Lane, RetryLater
from hub.database.pool import Database
from hub.mailbox.changes import Changes, Dead, Later, NewEvent, OrderGuard, OrderUpdate
from hub.mailbox.messages import NewMessage
from hub.mailbox.store import Activation, Item, PostgresMailbox, RefusedByDatabase, Replaced
from hub.model import OrderState
from hub.ownership.owner import Desk, Superseded
from tests.integration.mailbox.desk import Bench, running

pytestmark = pytest.mark.postgres


@pytest.fixture
async def bench(database: Database, database_url: str) -> Bench:
    """A fresh tenant."""
    return await Bench(database, database_url).open()


async def test_messages_of_a_subject_run_in_order_and_subjects_run_beside_each_other(bench: Bench) -> None:
    """Within a subject the order of arrival is kept; another subject does not wait for it."""
    seen: list[str] = []
    both = asyncio.Barrier(2)

    async def handle(desk: Desk) -> Changes:
        key = desk.claim.dedupe_key
        if key in ("a1", "b1"):
            async with asyncio.timeout(5):
                await both.wait()
        seen.append(key)
        return Changes()

    await bench.put(*(bench.message(key, f"thing/{key[0]}") for key in ("a1", "a2", "a3", "b1", "b2")))
    async with running(bench.owner(handle)):
        await bench.idle()
    assert [key for key in seen if key[0] == "a"] == ["a1", "a2", "a3"]
    assert [key for key in seen if key[0] == "b"] == ["b1", "b2"]


async def test_a_fact_is_handled_once_however_often_it_is_told(bench: Bench) -> None:
    """The dedupe key names the fact: a second message of it is none."""
    seen: list[str] = []

    async def handle(desk: Desk) -> Changes:
        seen.append(desk.claim.dedupe_key)
        return Changes()

    await bench.put(bench.message("same"), bench.message("other"))
    await bench.put(bench.message("same"))
    async with running(bench.owner(handle)):
        await bench.idle()
    assert sorted(seen) == ["other", "same"]


async def test_a_cancel_passes_the_head_of_its_subject(bench: Bench) -> None:
    """The cancel lane does not wait for a head that is waiting for its time."""
    seen: list[tuple[str, int]] = []

    async def handle(desk: Desk) -> Changes:
        seen.append((desk.claim.dedupe_key, desk.claim.tries))
        if desk.claim.dedupe_key == "submit" and desk.claim.tries == 1:
            await bench.put(bench.message("cancel", "order/1", lane=Lane.CANCEL))
            return Changes(end=Later(0.5))
        return Changes()

    await bench.put(bench.message("submit", "order/1"), bench.message("behind", "order/1"))
    owner = bench.owner(handle)
    async with running(owner):
        await asyncio.sleep(0.2)
        owner.wake()
        await bench.idle()
    assert seen == [("submit", 1), ("cancel", 1), ("submit", 2), ("behind", 1)]


async def test_a_missed_compare_and_set_loses_every_change_and_is_decided_anew(bench: Bench) -> None:
    """Two messages decide on the same version of an order: the second sees what the first did."""
    order = bench.order("p1")
    await bench.put(bench.message("make", "order/p1", connection=bench.platform))

    async def make(desk: Desk) -> Changes:
        return Changes(order=order)

    async with running(bench.owner(make, connection=bench.platform)):
        await bench.idle()
    await bench.put(bench.message("x", f"order/{order.id}", lane=Lane.CANCEL))
    await bench.put(bench.message("y", f"order/{order.id}", lane=Lane.CANCEL))
    together = asyncio.Barrier(2)
    versions: list[int] = []

    async def handle(desk: Desk) -> Changes:
        row = desk.claim.order
        assert row is not None
        versions.append(row.version)
        if row.version == 1:
            async with asyncio.timeout(5):
                await together.wait()
        event = NewEvent(type="order.updated", subject=row.id, data={"by": desk.claim.dedupe_key, "saw": row.version})
        return Changes(order=OrderUpdate(id=row.id, version=row.version, decision=desk.claim.dedupe_key), events=(event,))

    async with running(bench.owner(handle)):
        await bench.idle()
    assert sorted(versions) == [1, 1, 2]
    events = await bench.rows("select data from hub.events where subject = $1 order by id", order.id)
    assert [row["data"]["saw"] for row in events] == [1, 2]
    assert (await bench.rows("select version from hub.orders where id = $1", order.id))[0]["version"] == 3


async def test_progress_is_refused_when_the_order_moved_on(bench: Bench) -> None:
    """A handler about to call a vendor learns, before the call, that its order was decided otherwise."""
    order = bench.order("p2")
    refused: list[str] = []
    await bench.put(bench.message("make", "order/p2", connection=bench.platform))

    async def make(desk: Desk) -> Changes:
        return Changes(order=order)

    async with running(bench.owner(make, connection=bench.platform)):
        await bench.idle()
    await bench.put(bench.message("submit", f"order/{order.id}"))

    async def handle(desk: Desk) -> Changes:
        row = desk.claim.order
        assert row is not None
        if row.state is OrderState.CANCELLED:
            return Changes()
        async with bench.database.tenant(bench.tenant) as t:
            await t.execute("update hub.orders set state = 'cancelled', version = version + 1 where id = $1", row.id)
        try:
            await desk.commit(Changes(end=None, order=OrderGuard(row.id, row.version)))
        except Superseded:
            refused.append(row.id)
            raise
        raise AssertionError("the vendor would have been called")

    async with running(bench.owner(handle)):
        await bench.idle()
    assert refused == [order.id]


async def test_an_early_cancel_leaves_a_tombstone_that_the_order_meets(bench: Bench) -> None:
    """An order whose cancellation came first is never made, also when both are decided in the same turn."""
    together = asyncio.Barrier(2)
    tombstones: list[bool] = []

    async def handle(desk: Desk) -> Changes:
        tombstones.append(desk.claim.tombstone)
        if desk.claim.tombstone or desk.claim.order:
            return Changes()
        if len(tombstones) <= 2:
            async with asyncio.timeout(5):
                await together.wait()
        if desk.claim.dedupe_key == "placed":
            return Changes(order=bench.order("p3"))
        return Changes(tombstone="p3")

    await bench.put(
        bench.message("placed", "order/p3", connection=bench.platform),
        bench.message("cancelled", "order/p3", lane=Lane.CANCEL, connection=bench.platform),
    )
    async with running(bench.owner(handle, connection=bench.platform)):
        await bench.idle()
    orders = await bench.rows("select 1 from hub.orders where platform_order_id = 'p3'")
    stones = await bench.rows("select 1 from hub.tombstones where platform_order_id = 'p3'")
    assert (len(orders), len(stones)) in ((1, 0), (0, 1))


async def test_a_failure_is_tried_again_later_and_a_refusal_parks_its_subject(bench: Bench) -> None:
    """A retry is a later time; a dead head blocks what follows it until a person replays or skips it."""
    seen: list[str] = []

    async def handle(desk: Desk) -> Changes:
        seen.append(desk.claim.dedupe_key)
        if desk.claim.dedupe_key == "flaky" and desk.claim.tries < 3:
            raise RetryLater("not now")
        if desk.claim.dedupe_key == "bad":
            return Changes(end=Dead("rejected", "no"))
        return Changes()

    await bench.put(bench.message("flaky"), bench.message("bad", "thing/bad"), bench.message("after", "thing/bad"))
    async with running(bench.owner(handle)):
        async with asyncio.timeout(10):
            while seen.count("flaky") < 3:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
    assert seen.count("flaky") == 3
    assert "after" not in seen
    dead = await bench.rows("select reason, resolved_at from hub.dead_letters")
    assert [(row["reason"], row["resolved_at"]) for row in dead] == [("rejected", None)]


async def test_only_the_item_that_cannot_be_stored_fails(bench: Bench) -> None:
    """A NUL in one item's text does not take its neighbours' changes with it."""
    together = asyncio.Barrier(2)

    async def handle(desk: Desk) -> Changes:
        async with asyncio.timeout(5):
            await together.wait()
        text = "bad \x00 text" if desk.claim.dedupe_key == "nul" else "fine"
        return Changes(events=(NewEvent(type="t", subject="s", data={"text": text}),))

    await bench.put(bench.message("nul"), bench.message("good"))
    async with running(bench.owner(handle)):
        await bench.idle()
    events = await bench.rows("select data from hub.events where type = 't'")
    dead = await bench.rows("select reason from hub.dead_letters")
    assert [row["data"]["text"] for row in events] == ["fine"]
    assert [row["reason"] for row in dead] == ["refused_by_database"]


async def test_a_stale_owner_can_write_nothing(bench: Bench) -> None:
    """After a takeover the old epoch's turn is refused, whatever it carries."""
    await bench.put(bench.message("one"))
    old, new = PostgresMailbox(bench.url), PostgresMailbox(bench.url)
    first = await old.activate(bench.tenant, bench.pos, bench.pos, "1")
    assert first is not None
    turn = await old.turn(bench.tenant, bench.pos, first.epoch, [], 1, [])
    second = await new.activate(bench.tenant, bench.pos, bench.pos, "1")
    assert second is not None
    assert second.epoch == first.epoch + 1
    with pytest.raises(Replaced):
        await old.turn(bench.tenant, bench.pos, first.epoch, [Item(turn.claims[0].message, Changes())], 1, [])
    again = await new.turn(bench.tenant, bench.pos, second.epoch, [], 4, [])
    assert [(claim.dedupe_key, claim.alone) for claim in again.claims] == [("one", True)]
    await old.close()
    await new.close()


async def test_a_message_that_kills_its_owner_three_times_alone_is_dead_and_its_neighbours_are_not(bench: Bench) -> None:
    """Suspects run one by one; only the one that was alone at three deaths is condemned."""
    await bench.put(bench.message("poison"), bench.message("innocent"))
    done: list[str] = []
    for _ in range(12):
        store = PostgresMailbox(bench.url)
        activation = await store.activate(bench.tenant, bench.pos, bench.pos, "1")
        assert activation is not None
        turn = await store.turn(bench.tenant, bench.pos, activation.epoch, [], 8, [])
        if not turn.claims:
            break
        if "poison" not in [claim.dedupe_key for claim in turn.claims]:
            items = [Item(claim.message, Changes()) for claim in turn.claims]
            done += [claim.dedupe_key for claim in turn.claims]
            await store.turn(bench.tenant, bench.pos, activation.epoch, items, 0, [])
        await store.close()
    assert done == ["innocent"]
    dead = await bench.rows("select reason from hub.dead_letters")
    alerts = await bench.rows("select kind from hub.alerts where cleared_at is null")
    assert [row["reason"] for row in dead] == ["poison"]
    assert [row["kind"] for row in alerts] == ["message.dead"]


async def test_a_suspect_runs_although_a_timer_of_its_subject_waits(bench: Bench) -> None:
    """A deadline's timer, older and in the cancel lane, does not keep a suspect of the same order waiting for it."""
    later = NewMessage(
        connection=bench.pos,
        kind="noted",
        subject="order/1",
        dedupe_key="timer",
        lane=Lane.CANCEL,
        available_at=utc_now() + timedelta(minutes=5),
    )
    await bench.put(later, bench.message("accept", "order/1"))
    for expected in (False, True):
        store = PostgresMailbox(bench.url)
        activation = await store.activate(bench.tenant, bench.pos, bench.pos, "1")
        assert activation is not None
        turn = await store.turn(bench.tenant, bench.pos, activation.epoch, [], 8, [])
        assert [(claim.dedupe_key, claim.alone) for claim in turn.claims] == [("accept", expected)]
        await store.close()


async def test_a_wake_up_while_a_suspect_runs_leaves_it_running(bench: Bench) -> None:
    """Nothing else may be claimed until it has ended: the owner waits for that, and lets its process go on meanwhile."""
    await bench.put(bench.message("one"), bench.message("two"))
    store = PostgresMailbox(bench.url)
    first = await store.activate(bench.tenant, bench.pos, bench.pos, "1")
    assert first is not None
    await store.turn(bench.tenant, bench.pos, first.epoch, [], 2, [])
    second = await store.activate(bench.tenant, bench.pos, bench.pos, "1")
    assert second is not None
    await store.close()
    begun = asyncio.Event()

    async def handle(desk: Desk) -> Changes:
        begun.set()
        await asyncio.sleep(0.2)
        return Changes()

    owner = bench.owner(handle)
    owner._activation = Activation(second.epoch, 0, (), suspects=True)
    async with running(owner):
        await begun.wait()
        owner.wake()
        await bench.idle()


async def test_an_owner_that_stops_cleanly_leaves_no_suspects(bench: Bench) -> None:
    """What was claimed but not finished at a clean stop is claimed again without suspicion."""
    await bench.put(bench.message("one"))
    store = PostgresMailbox(bench.url)
    activation = await store.activate(bench.tenant, bench.pos, bench.pos, "1")
    assert activation is not None
    await store.turn(bench.tenant, bench.pos, activation.epoch, [], 8, [])
    await store.release(bench.tenant, bench.pos, activation.epoch)
    again = await store.activate(bench.tenant, bench.pos, bench.pos, "1")
    assert again is not None
    turn = await store.turn(bench.tenant, bench.pos, again.epoch, [], 8, [])
    assert [claim.alone for claim in turn.claims] == [False]
    await store.close()


async def test_a_dead_fact_found_anew_comes_to_life_and_a_skipped_one_does_not(bench: Bench) -> None:
    """Reconcile reopens a dead message of the same fact; a person's skip stands."""
    for resolution, expected in ((None, 2), ("skipped", 1)):
        key = f"order/{resolution}/placed"
        seen: list[str] = []

        async def handle(desk: Desk, seen: list[str] = seen) -> Changes:
            seen.append(desk.claim.dedupe_key)
            return Changes(end=Dead("rejected", "no")) if len(seen) == 1 else Changes()

        await bench.put(bench.message(key, f"order/{resolution}"))
        async with running(bench.owner(handle)):
            await bench.idle()
        if resolution:
            async with bench.database.tenant(bench.tenant) as t:
                await t.execute("update hub.dead_letters set resolution = 'skipped', resolved_at = hub.clock() where resolved_at is null")
        found = NewMessage(connection=bench.pos, kind="noted", subject=f"order/{resolution}", dedupe_key=key, reopen=True)
        await bench.put(found)
        async with running(bench.owner(handle)):
            await asyncio.sleep(0.2)
            await bench.idle()
        assert len(seen) == expected


async def test_a_value_that_row_security_forbids_is_refused(bench: Bench, database: Database) -> None:
    """An owner cannot write into another tenant's mailbox, whatever its handlers return."""
    other = await Bench(database, bench.url).open()
    store = PostgresMailbox(bench.url)
    activation = await store.activate(bench.tenant, bench.pos, bench.pos, "1")
    assert activation is not None
    message = NewMessage(connection=other.pos, kind="noted", subject="x/1", dedupe_key="across")
    with pytest.raises(RefusedByDatabase):
        await store.turn(bench.tenant, bench.pos, activation.epoch, [Item(0, Changes(messages=(message,)))], 0, [])
    assert await other.rows("select 1 from hub.due") == []
    await store.close()


async def test_only_failures_of_one_kind_in_a_row_are_held_against_a_message(bench: Bench) -> None:
    """It waited out a vendor's outage: one answer that cannot be read afterwards does not kill it; six in a row do."""
    errors: list[Exception] = [RetryLater("away", after=0.0) for _ in range(7)] + [Drifted("garbled")]

    async def handle(desk: Desk) -> Changes:
        if errors:
            raise errors.pop(0)
        return Changes()

    await bench.put(bench.message("hiccup"))
    with patch("hub.mailbox.retry.backoff", lambda tries, after=None: 0.0):
        async with running(bench.owner(handle)):
            await bench.idle()
        assert errors == []
        assert await bench.rows("select 1 from hub.dead_letters") == []
        errors += [Drifted("garbled") for _ in range(6)]
        await bench.put(bench.message("changed"))
        async with running(bench.owner(handle)):
            await bench.idle()
    (dead,) = await bench.rows("select reason, tries from hub.dead_letters")
    assert (dead["reason"], dead["tries"], errors) == ("drifted", 6, [])
