"""What becomes of an accepted order: couriers, consumers and staff move it; and what waits for staff, or is in other money, is held."""

import asyncio
from typing import Any

import pytest

from adapters._sandbox.calls import ControlError
from hub.database.pool import Database
from hub.ownership.workplace import FRESH_SECONDS
from hub.tenancy import create_link
from hub.tenancy.errors import Invalid
from tests.integration.pairs.street import Street
from tests.integration.pairs.test_pairs import street

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(120)]
_ALERT = "select detail from hub.alerts where subject = $1 and kind = $2 and cleared_at is null"
_TOLD = "select 1 from hub.attempts where order_id = $1 and connection = $2 and step like $3 and outcome = 'done'"


async def on_the_way(here: Street, word: str) -> Any:
    """An accepted order that the platform's own courier moves by this word."""
    for _ in range(15):
        row = await here.state(here.buy(), "accepted")
        try:
            here.delivery.move_courier(row["platform_order_id"], {"state": word, "lat": 51.5, "lng": -0.1})
        except ControlError:
            continue  # the consumer fetches it
        return row
    raise AssertionError("no order was for the platform's courier")


@pytest.mark.parametrize(
    ("pos", "platform", "delivered"),
    [
        ("square", "ubereats", "completed"),
        ("toast", "deliveroo", "completed"),
        ("foodics", "doordash", "delivered"),
        ("lightspeed", "talabat", None),
    ],
)
async def test_a_courier_moves_an_accepted_order(
    database: Database, database_url: str, pos: str, platform: str, delivered: str | None
) -> None:
    """Taken, then brought, as far as the platform tells; who the courier is is kept nowhere."""
    async with street(database, database_url, pos, platform) as here:
        row = await on_the_way(here, "arrived")
        query = "select data from hub.events where subject = $1 and data->>'step' = 'courier_moved'"
        seen = (await here.until(query, row["id"]))["data"]
        assert seen["courier"] in ("arrived", "near")
        here.delivery.move_courier(row["platform_order_id"], {"state": "picked_up"})
        await here.state(row["platform_order_id"], "picked_up")
        if delivered is not None:
            here.delivery.move_courier(row["platform_order_id"], {"state": "delivered"})
            await here.state(row["platform_order_id"], delivered)
        shown = str([dict(each) for each in await here.rows("select data from hub.events where subject = $1", row["id"])])
        assert not [name for name in ("Jude", "555 0142", "Courier", "Rider") if name in shown]
        assert not await here.rows("select * from hub.dead_letters")


@pytest.mark.parametrize(
    ("pos", "platform", "taken"),
    [("square", "doordash", True), ("toast", "talabat", True), ("foodics", "ubereats", False), ("lightspeed", "deliveroo", False)],
)
async def test_a_consumers_cancel_reaches_the_pos_or_a_person(
    database: Database, database_url: str, pos: str, platform: str, taken: bool
) -> None:
    """Cancelled in the POS where it takes that of an accepted order; elsewhere somebody is told to void it there."""
    async with street(database, database_url, pos, platform) as here:
        row = await here.state(here.buy(), "accepted")
        here.delivery.cancel_order(row["platform_order_id"], {})
        await here.state(row["platform_order_id"], "cancelled")
        if taken:
            await here.until("select 1 from hub.events where subject = $1 and data->>'step' = 'cancelled_at_pos'", row["id"])
            (counter,) = here.at_counter(row["id"])
            words = " ".join([str(counter["state"]), *map(str, counter.get("fulfillment", []))]).upper()
            assert any(word in words for word in ("CANCEL", "VOID", "DECLINED", "NOT_APPROVED")), counter
            assert await here.alerts() == []
        else:
            alert = await here.until(_ALERT, row["id"], "order.attention")
            assert "void it" in alert["detail"]
        assert not await here.rows("select * from hub.dead_letters")


@pytest.mark.parametrize(
    ("pos", "platform"), [("square", "deliveroo"), ("toast", "ubereats"), ("foodics", "talabat"), ("lightspeed", "doordash")]
)
async def test_the_kitchens_words_reach_the_platform(database: Database, database_url: str, pos: str, platform: str) -> None:
    """Ready at the POS is told to the platform, whose courier waits; what is completed there is over, or picked up, here."""
    async with street(database, database_url, pos, platform) as here:
        row = await here.state(here.buy(type="delivery"), "accepted")
        (counter,) = here.at_counter(row["id"])
        here.counter.move_order(counter["id"], {"state": "ready"})
        await here.state(row["platform_order_id"], "ready")
        await here.until(_TOLD, row["id"], here.platform, "ready%")
        here.counter.move_order(counter["id"], {"state": "completed"})
        await here.state(row["platform_order_id"], "completed", "picked_up", "delivered")
        assert not await here.rows("select * from hub.dead_letters")


@pytest.mark.parametrize("pos", ["square", "foodics"])
async def test_a_cancel_by_staff_that_the_platform_does_not_take_is_a_persons(database: Database, database_url: str, pos: str) -> None:
    """Deliveroo takes none after the accept: the order stays what it is there, and somebody is told to call."""
    async with street(database, database_url, pos, "deliveroo") as here:
        row = await here.state(here.buy(), "accepted")
        (counter,) = here.at_counter(row["id"])
        here.counter.move_order(counter["id"], {"state": "cancelled"})
        held = await here.until("select attention, state from hub.orders where id = $1 and attention is not null", row["id"])
        assert held["attention"]["reason"] == "call_platform"
        await here.until(_ALERT, row["id"], "order.attention")
        assert not await here.rows("select * from hub.dead_letters")


async def test_an_order_that_vanished_from_the_pos_alerts(database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Foodics lets an order be gone without a word: reconcile asks for it, and the kitchen is to be rung."""
    monkeypatch.setattr("hub.reconcile.orders.SETTLED_SECONDS", 0.5)
    async with street(database, database_url, "foodics", "ubereats", policies={"reconcile_seconds": 1.0}) as here:
        row, other = [await here.state(here.buy(), "accepted") for _ in range(2)]
        (counter,) = here.at_counter(row["id"])
        here.counter.move_order(counter["id"], {"state": "vanished"})
        alert = await here.until(_ALERT, row["id"], "order.vanished")
        assert "ring the kitchen" in alert["detail"]
        held = await here.until("select attention from hub.orders where id = $1 and attention is not null", row["id"])
        assert held["attention"]["reason"] == "vanished"
        await asyncio.sleep(3)
        told = await here.rows("select 1 from hub.events where subject = $1 and data ->> 'step' = 'vanished_from_pos'", row["id"])
        assert len(told) == 1, "each reconcile says it again"
        assert not await here.rows(_ALERT, other["id"], "order.vanished")
        events = await here.rows("select 1 from hub.events where subject = $1 and data->>'step' = 'vanished_from_pos'", row["id"])
        assert len(events) == 1


async def waiting(here: Street, **wanted: Any) -> Any:
    """An order that Toast's staff have to approve: queued, and not accepted at the platform."""
    here.counter.set_store(here.location_ref, {"approval": "staff"})
    placed = here.buy(**wanted)
    row = await here.until("select * from hub.orders where platform_order_id = $1 and decision = 'queued'", placed)
    assert row["state"] == "received"
    assert str(here.at_platform(placed)["state"]).upper() not in ("ACCEPTED", "CONFIRMED")
    return row


@pytest.mark.parametrize("platform", ["ubereats", "talabat"])
async def test_an_order_that_waits_for_staff_is_accepted_once_they_approve(database: Database, database_url: str, platform: str) -> None:
    """Not before."""
    async with street(database, database_url, "toast", platform) as here:
        row = await waiting(here)
        (counter,) = here.at_counter(row["id"])
        here.counter.move_order(counter["id"], {"state": "approved"})
        await here.state(row["platform_order_id"], "accepted")
        assert len(here.at_counter(row["id"])) == 1
        assert await here.alerts() == []


async def test_an_order_that_staff_refuse_is_rejected_at_the_platform(database: Database, database_url: str) -> None:
    """And somebody is told why."""
    async with street(database, database_url, "toast", "ubereats") as here:
        row = await waiting(here)
        (counter,) = here.at_counter(row["id"])
        here.counter.move_order(counter["id"], {"state": "not_approved"})
        await here.state(row["platform_order_id"], "rejected")
        assert str(here.at_platform(row["platform_order_id"])["state"]) == "FAILED"
        await here.until(_ALERT, row["id"], "order.rejected_by_pos")


async def test_an_order_that_nobody_approves_is_rejected_at_its_deadline(database: Database, database_url: str) -> None:
    """Before the platform gives it up; it is taken back from the POS, whose staff may still approve it."""
    policies = {"deadline_margin_seconds": 2.0}
    async with street(database, database_url, "toast", "talabat", policies=policies) as here:
        row = await waiting(here, accept_deadline_s=10)
        await here.until(_ALERT, row["id"], "order.late")
        await here.state(row["platform_order_id"], "rejected")
        await here.until("select 1 from hub.events where subject = $1 and data->>'step' = 'cancelled_at_pos'", row["id"])
        (counter,) = here.at_counter(row["id"])
        assert counter["state"] in ("VOIDED", "NOT_APPROVED"), counter


@pytest.mark.parametrize(("side", "pointer"), [("pos", "/pos/location_ref"), ("delivery", "/delivery/store_ref")])
async def test_a_link_of_two_currencies_is_refused(database: Database, database_url: str, side: str, pointer: str) -> None:
    """What the vendors just listed counts, and the field that is wrong is named."""
    async with street(database, database_url, "square", "ubereats") as here:
        sides = {"pos": (here.pos, "other-location"), "delivery": (here.platform, "other-store")}
        (location,) = await here.rows("select id from hub.locations")
        async with here.database.tenant(here.tenant) as t:
            making = create_link(
                t, here.providers, tenant=here.tenant, location=location["id"], pos_connection=here.pos, pos_location_ref="other-location",
                delivery_connection=here.platform, delivery_store_ref="other-store", listed={sides[side]: "EUR"},
            )  # fmt: skip
            with pytest.raises(Invalid) as refused:
                await making
        assert [where for where, _ in refused.value.errors] == [pointer]


async def test_an_order_in_other_money_is_held_for_a_person(database: Database, database_url: str) -> None:
    """It is not sent to the POS, whose prices it does not know."""
    async with street(database, database_url, "square", "ubereats") as here:
        await here.rows("update hub.locations set currency = 'EUR' returning id")
        await asyncio.sleep(FRESH_SECONDS)
        row = await here.until("select * from hub.orders where platform_order_id = $1 and decision = 'hold'", here.buy())
        assert row["attention"]["reason"] == "currency"
        assert "USD" in row["attention"]["detail"]
        assert here.at_counter(row["id"]) == []
        await here.until(_ALERT, row["id"], "order.attention")
