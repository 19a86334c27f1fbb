"""What is on sale where, and what a restaurant asks of its stores, on a street."""

import asyncio
from typing import Any

import msgspec

from hub.contract import Lane
from hub.ids import new_id
from hub.ingress import keep_day_key
from hub.mailbox.messages import NewMessage
from hub.model import Item, Menu, StockLevel, StoreChange
from hub.stores.stock import Levels
from hub.vault import BodyVault
from tests.integration.pairs.street import Street

_KEPT = "select 1 from hub.stock where connection = $1 and place_ref = $2 and item = $3 and available = $4"


async def items_of(here: Street) -> list[Item]:
    """The POS's items, as the hub read them last."""
    row = await here.until("select body from hub.menu_versions where connection = $1 order by number desc limit 1", here.pos)
    return list(msgspec.convert(row["body"], Menu).items)


def staff_stock(here: Street, item: Item, available: bool) -> None:
    """Staff at the POS take an item off sale or put it back."""
    here.counter.set_stock({"item": item.plu or item.id, "available": available, "store": here.location_ref})


def on_sale(here: Street, item: Item) -> bool:
    """Whether the platform sells it."""
    rows = [each for each in here.delivery.state()["stock"] if each.get("store") in (None, here.store) and not each["available"]]
    off = {str(each["item"]) for each in rows}
    return not any(item.id == key or key.endswith((f"-{item.id}", f":{item.id}")) for key in off)


def off_at_counter(here: Street) -> set[str]:
    """Names of what the POS itself has off sale at the location."""
    rows = [each for each in here.counter.state()["stock"] if not each["available"] and each.get("store") in (None, here.location_ref)]
    return {str(each["item"]) for each in rows}


async def until_on_sale(here: Street, item: Item, available: bool, *, kept: bool = True) -> None:
    """Wait until the platform shows it so and, with `kept`, until both sides are kept so."""
    if kept:
        for connection, place in ((here.pos, here.location_ref), (here.platform, here.store)):
            await here.until(_KEPT, connection, place, item.id, available)
    await until(lambda: on_sale(here, item) is available, f"{item.name} on sale: {available}")


async def until(true: Any, what: str, seconds: float = 15) -> None:
    """Wait until something is so."""
    try:
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.03)
    except TimeoutError:
        raise AssertionError(f"never: {what}") from None


async def quiet(here: Street) -> None:
    """Wait until no mailbox has anything to do now."""
    busy = "select d.*, hub.clock() as now, m.kind from hub.due d join hub.messages m using (id, at) where d.available_at <= hub.clock()"
    limit = asyncio.get_running_loop().time() + 15
    while found := await here.rows(busy):
        assert asyncio.get_running_loop().time() < limit, [dict(row) for row in found]
        await asyncio.sleep(0.05)


async def say(here: Street, connection: str, kind: str, subject: str, lane: Lane, body: Any) -> None:
    """Put a sealed word into a mailbox, as the API does."""
    key = f"{subject}/{new_id('evt')}"
    day = await BodyVault(here.master, keep_day_key(here.database)).key(here.tenant)
    sealed = day.seal(msgspec.json.encode(body), here.tenant, "messages", connection, key)
    await here.put(NewMessage(connection=connection, kind=kind, subject=subject, dedupe_key=key, lane=lane, body=sealed))


async def set_stock(here: Street, *levels: StockLevel) -> None:
    """Somebody sets levels in the hub."""
    await say(here, here.pos, "stock.set", f"stock/{here.location_ref}", Lane.STOCK, Levels(here.location_ref, levels))


async def set_store(here: Street, change: StoreChange) -> None:
    """Somebody changes the store in the hub."""
    await say(here, here.platform, "store.set", f"store/{here.store}", Lane.STATUS, change)


async def status_of(here: Street, *wanted: str) -> dict[str, Any]:
    """Wait until the store's kept status is one of these, and return it."""
    query = "select status from hub.vendor_stores where connection = $1 and ref = $2 and status->>'status' = any ($3)"
    return dict((await here.until(query, here.platform, here.store, list(wanted)))["status"])
