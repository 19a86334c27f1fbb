"""What is sold out at the POS is off sale on the channel; menus keep it so; stores open and pause as they are told."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cluster.pairs import make_store
from cluster.sandbox_process import call
from hub.contract import Lane
from hub.database.pool import Database
from hub.ids import new_id
from hub.mailbox.messages import NewMessage
from hub.model import StockLevel, StoreChange
from hub.ownership.workplace import FRESH_SECONDS
from hub.tenancy import approve_claim, claim_store, create_link
from tests.integration.flow.town import town
from tests.integration.pairs.shelves import (
    items_of,
    off_at_counter,
    on_sale,
    quiet,
    set_stock,
    set_store,
    staff_stock,
    status_of,
    until,
    until_on_sale,
)
from tests.integration.pairs.street import Street
from tests.integration.pairs.test_pairs import street

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(120)]


async def clean(here: Street) -> None:
    """Nothing died, nothing alerts."""
    assert [dict(row) for row in await here.rows("select kind, subject, reason, detail from hub.dead_letters")] == []
    assert [dict(row) for row in await here.rows("select kind, detail from hub.alerts where cleared_at is null")] == []


async def push_menu(here: Street, stores: int = 1) -> None:
    """Push the POS's menu to all stores again; wait until the platform has them."""
    before = (await here.rows("select count(*) as n from hub.events where type = 'menu.published'"))[0]["n"]
    key = f"sync/menu/{new_id('cor')}"
    await here.put(NewMessage(connection=here.platform, kind="sync.menu", subject="sync/menu", dedupe_key=key, lane=Lane.MENU))
    await here.until("select 1 from hub.events where type = 'menu.published' having count(*) >= $1", before + stores)
    await quiet(here)


@pytest.mark.parametrize(
    ("pos", "platform"), [("square", "ubereats"), ("toast", "deliveroo"), ("foodics", "doordash"), ("lightspeed", "talabat")]
)
async def test_what_staff_sell_out_is_off_sale_on_the_channel(database: Database, database_url: str, pos: str, platform: str) -> None:
    """Both sides are kept with their times; put back, it is on sale again; what was not touched stays on sale."""
    async with street(database, database_url, pos, platform) as here:
        item, other = (await items_of(here))[:2]
        await quiet(here)
        staff_stock(here, item, False)
        await until_on_sale(here, item, False)
        assert on_sale(here, other)
        await asyncio.sleep(1.0)  # Foodics tells changes by the second
        staff_stock(here, item, True)
        await until_on_sale(here, item, True)
        events = await here.rows("select data from hub.events where type = 'stock.changed' and subject = $1 order by id", here.link)
        assert [row["data"]["confirmed"] for row in events if row["data"]["confirmed"]] == [1, 1]
        await clean(here)


async def second_store(here: Street) -> str:
    """One more store of the platform, linked with the same POS location."""
    vendors = await asyncio.to_thread(call, here.root, "GET", "/_control")
    slug, currency = here.platform_slug, here.counter.stores()[0]["currency"]
    store = await asyncio.to_thread(make_store, here.root, slug, vendors[slug], name="There", key=new_id("cor")[4:16], currency=currency)
    async with here.database.tenant(here.tenant) as t:
        linked = await create_link(
            t, here.providers, tenant=here.tenant, location=await t.fetchval("select id from hub.locations"), pos_connection=here.pos,
            pos_location_ref=here.location_ref, delivery_connection=here.platform, delivery_store_ref=store,
        )  # fmt: skip
        await approve_claim(t, await claim_store(t, tenant=here.tenant, connection=here.platform, store_ref=store), actor="test")
    here.owners.wake(linked.woken)
    return store


async def test_every_linked_channel_is_told(database: Database, database_url: str) -> None:
    """Two stores of one POS location: both are off sale, each with its own confirmation."""
    async with street(database, database_url, "square", "ubereats") as here:
        first, second = here.store, await second_store(here)
        await asyncio.sleep(FRESH_SECONDS)
        await push_menu(here, 2)
        item = (await items_of(here))[0]
        staff_stock(here, item, False)
        for here.store in (first, second):
            await until_on_sale(here, item, False)
        await clean(here)


async def test_what_was_sold_out_before_the_link_is_off_sale_with_it(database: Database, database_url: str) -> None:
    """A new link reads what is sold out; a POS calls about changes only."""
    async with town(database, database_url, kind=Street) as here:
        assert isinstance(here, Street)
        here.vendors["square"].set_stock({"item": "FLF-1", "available": False})
        await here.pair("square", "ubereats")
        here.start()
        await here.publish()
        item = next(each for each in await items_of(here) if each.plu == "FLF-1")
        await until_on_sale(here, item, False)
        assert (await status_of(here, "open"))["status"] == "open"
        await clean(here)


async def test_what_the_pos_refuses_alerts_and_is_off_sale_on_the_channels(database: Database, database_url: str) -> None:
    """The rest is set at the POS, and nothing that is set later waits behind it."""
    async with street(database, database_url, "foodics", "ubereats") as here:
        item, other = (await items_of(here))[:2]
        await quiet(here)
        await set_stock(here, StockLevel("0b7a2a54-0000-4000-8000-000000000000", False), StockLevel(item.id, False))
        await until_on_sale(here, item, False)
        alert = await here.until("select subject, detail from hub.alerts where kind = 'stock.refused' and cleared_at is null")
        assert (alert["subject"], "0b7a2a54" in alert["detail"], item.id in alert["detail"]) == (here.pos, True, False)
        await set_stock(here, StockLevel(other.id, False))
        await until_on_sale(here, other, False)
        assert {item.id, other.id} <= off_at_counter(here)
        await clean(here)


@pytest.mark.parametrize(
    ("pos", "platform", "writes"),
    [
        ("toast", "ubereats", True),
        ("foodics", "talabat", True),
        ("square", "deliveroo", False),
        ("lightspeed", "doordash", False),
    ],
)
async def test_the_hub_sells_out(database: Database, database_url: str, pos: str, platform: str, writes: bool) -> None:
    """The POS is told where it can be, the channel always; what the POS cannot be told, its next list does not undo."""
    async with street(database, database_url, pos, platform) as here:
        item, other = (await items_of(here))[:2]
        await quiet(here)
        await set_stock(here, StockLevel(item.id, available=False))
        await until_on_sale(here, item, False)
        assert any(item.id.endswith(key) for key in off_at_counter(here)) is writes
        staff_stock(here, other, False)
        await until_on_sale(here, other, False)
        await quiet(here)
        assert not on_sale(here, item)
        await set_stock(here, StockLevel(item.id, available=True))
        await until_on_sale(here, item, True)
        assert not on_sale(here, other)
        await clean(here)


@pytest.mark.parametrize(("pos", "platform"), [("toast", "doordash"), ("square", "talabat")])
async def test_off_sale_until_a_time_ends_by_itself(database: Database, database_url: str, pos: str, platform: str) -> None:
    """At the POS too; but not what somebody took off sale for good meanwhile."""
    async with street(database, database_url, pos, platform) as here:
        item, other = (await items_of(here))[:2]
        await quiet(here)
        end = datetime.now(UTC) + timedelta(seconds=3)
        await set_stock(here, StockLevel(item.id, False, until=end), StockLevel(other.id, False, until=end))
        await until_on_sale(here, item, False)
        await set_stock(here, StockLevel(other.id, False))
        await until_on_sale(here, item, True)
        await quiet(here)
        assert not on_sale(here, other)
        assert not any(item.id.endswith(key) for key in off_at_counter(here))
        await clean(here)


@pytest.mark.parametrize(
    ("pos", "platform"), [("square", "ubereats"), ("toast", "talabat"), ("foodics", "ubereats"), ("lightspeed", "doordash")]
)
async def test_a_pushed_menu_leaves_sold_out_what_is_sold_out(database: Database, database_url: str, pos: str, platform: str) -> None:
    """A menu replaces the store's, and is followed by the stock: at once, or when the platform's job is done.

    Deliveroo, which takes a menu a minute, is left out.
    """
    async with street(database, database_url, pos, platform) as here:
        item = (await items_of(here))[0]
        await quiet(here)
        await set_stock(here, StockLevel(item.id, available=False))
        await until_on_sale(here, item, False)
        # The platform's own staff put it back, or its menu did: what it confirmed before the menu is no longer sure.
        here.delivery.set_stock({"item": _key_there(here, item.id), "available": True, "store": here.store})
        assert on_sale(here, item)
        await push_menu(here)
        await until_on_sale(here, item, False)
        await clean(here)


def _key_there(here: Street, item: str) -> str:
    return next(str(each["item"]) for each in here.delivery.state()["stock"] if str(each["item"]).endswith(item))


async def test_what_the_platform_refuses_alerts_and_the_rest_is_confirmed(database: Database, database_url: str) -> None:
    """An item that the platform does not have stays unconfirmed; once it takes it, the alert goes."""
    async with street(database, database_url, "square", "ubereats") as here:
        item, other = (await items_of(here))[:2]
        await quiet(here)
        here.delivery.edit_menu({"store": here.store, "edits": [{"op": "remove", "id": item.id}]})
        await set_stock(here, StockLevel(item.id, available=False), StockLevel(other.id, available=False))
        await until_on_sale(here, other, False)
        alert = await here.until("select subject, detail from hub.alerts where kind = 'stock.refused' and cleared_at is null")
        assert alert["subject"] == here.link
        assert item.id in alert["detail"]
        assert not await here.rows("select 1 from hub.stock where connection = $1 and item = $2", here.platform, item.id)
        await push_menu(here)
        await until_on_sale(here, item, False)
        await clean(here)


async def test_a_menu_that_the_platform_cannot_take_alerts(database: Database, database_url: str) -> None:
    """The job's failure is told with its reason; the next menu that is taken clears it."""
    async with street(database, database_url, "square", "doordash") as here:
        here.delivery.set_settings({"fail_menu_jobs": 1})
        key = f"sync/menu/{new_id('cor')}"
        await here.put(NewMessage(connection=here.platform, kind="sync.menu", subject="sync/menu", dedupe_key=key))
        alert = await here.until("select subject, detail from hub.alerts where kind = 'menu.failed' and cleared_at is null")
        assert alert["subject"] == here.link
        assert "could not be processed" in alert["detail"]
        await here.until("select 1 from hub.events where type = 'menu.failed' and subject = $1", here.link)
        here.delivery.set_settings({"fail_menu_jobs": 0})
        await push_menu(here)
        assert await here.alerts() == []


async def test_a_platform_pulls_its_menu(database: Database, database_url: str) -> None:
    """DoorDash asks at the real ingress, signed in as it signs in, and shows every item at its price."""
    async with street(database, database_url, "square", "doordash") as here:
        here.delivery.edit_menu({"store": here.store, "edits": [{"op": "remove", "id": (await items_of(here))[0].id}]})
        items = await items_of(here)

        def shown() -> dict[str, int]:
            held = next(each for each in here.delivery.state()["menus"] if each["store"] == here.store)
            return {item["name"]: item["price"] for item in held["items"]}

        assert items[0].name not in shown()
        here.delivery.set_store(here.store, {"request_menu": True})
        await until(lambda: items[0].name in shown(), "the pulled menu")
        assert {item.name: shown().get(item.name) for item in items} == {item.name: item.price.amount for item in items}


@pytest.mark.parametrize("platform", ["ubereats", "talabat", "deliveroo", "doordash"])
async def test_a_store_pauses_and_opens_again(database: Database, database_url: str, platform: str) -> None:
    """As the platform shows it, with an event each; orders that come meanwhile are not accepted by anybody."""
    async with street(database, database_url, "square", platform) as here:
        assert (await status_of(here, "open"))["status"] == "open"
        await set_store(here, StoreChange("pause", reason="busy"))
        await status_of(here, "paused", "closed")
        row = next(store for store in here.delivery.stores() if store["ref"] == here.store)
        assert str(row["status"]).lower() not in ("open", "online"), row
        await set_store(here, StoreChange("open"))
        await status_of(here, "open")
        steps = await here.rows("select data->>'step' as step from hub.events where type = 'store.changed' and subject = $1", here.link)
        assert [row["step"] for row in steps if row["step"] != "seen"] == ["pause", "open"]
        await clean(here)


@pytest.mark.parametrize(
    ("platform", "change"),
    [
        ("ubereats", StoreChange("prep_time", prep_seconds=4 * 3600)),
        ("deliveroo", StoreChange("pause", until=datetime(2030, 1, 1, tzinfo=UTC))),
        ("doordash", StoreChange("busy")),
        ("talabat", StoreChange("prep_time", prep_seconds=900)),
    ],
)
async def test_an_impossible_change_is_refused_with_what_is_possible(
    database: Database, database_url: str, platform: str, change: StoreChange
) -> None:
    """An event says so; the store is as before, and the next change is taken."""
    async with street(database, database_url, "square", platform) as here:
        await set_store(here, change)
        query = "select data from hub.events where type = 'store.changed' and subject = $1 and data->>'step' = 'refused'"
        data: dict[str, Any] = (await here.until(query, here.link))["data"]
        assert data["change"] == change.kind
        assert len(data["detail"]) > 20
        assert (await status_of(here, "open"))["status"] == "open"
        await set_store(here, StoreChange("pause"))
        await status_of(here, "paused", "closed")
        await clean(here)


async def test_what_the_platforms_staff_change_is_seen(database: Database, database_url: str) -> None:
    """The platform's call has the store read anew; Uber's preparation time comes with it."""
    async with street(database, database_url, "square", "ubereats") as here:
        await status_of(here, "open")
        here.delivery.set_store(here.store, {"status": "OFFLINE"})
        shown = await status_of(here, "paused")
        assert (shown["prep_seconds"], shown["reason"]) == (900, "PAUSED_BY_RESTAURANT")
        await here.until("select 1 from hub.events where type = 'store.changed' and subject = $1 and data->>'step' = 'seen'", here.link)
