"""Stock and stores over HTTP: what is shown, what is put into mailboxes, and what is refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from hub.contract import Lane, MemoryProviders, Provider
from hub.model import Hours, Item, Menu, Money, StockLevel, StoreChange, StoreStatus
from hub.model.menu import Modifier, ModifierGroup
from hub.stores.stock import Levels
from hub.tenancy import create_link, create_user
from tests.integration.api.api_world import PASSWORD, Side, World, login
from tests.integration.api.test_orders import queued

pytestmark = pytest.mark.postgres

SAR = Money(1500, "SAR")
MENU = Menu(
    "SAR", (), (Item("i1", "شاورما", SAR), Item("i2", "Soup", SAR)), (ModifierGroup("g", "More", 0, 0, (Modifier("m1", "Toum", SAR),)),)
)
SOON = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=3)
PAUSABLE = ("open", "pause", "prep_time")


class Platform:
    """An adapter class of a platform whose stores can be paused."""

    store_changes = frozenset(PAUSABLE)


def pausable(world: World) -> None:
    """Let the world's platform have store control."""
    known = world.context.providers.all()
    courier = known["courier"]
    facts = msgspec.structs.replace(courier.facts, capabilities=("store_control",))
    adapter: Any = Platform
    made = Provider(facts, adapter, courier.auth)
    object.__setattr__(world.context, "providers", MemoryProviders(*(p for s, p in known.items() if s != "courier"), made))


async def menu(world: World, side: Side, ref: str = "L1", body: Menu = MENU, number: int = 1) -> None:
    """Give a POS location a menu."""
    async with world.context.database.tenant(side.tenant) as tx:
        await tx.execute(
            "insert into hub.menu_versions (tenant_id, connection, location_ref, number, digest, body)"
            " values ($1, $2, $3, $4, $5, $6)",
            side.tenant, side.pos, ref, number, bytes([number]) * 32, msgspec.to_builtins(body),
        )  # fmt: skip


async def keep(world: World, connection: str, ref: str, item: str, available: bool, **more: Any) -> None:
    """Keep a level, as an owner would."""
    async with world.context.database.tenant(world.a.tenant) as tx:
        await tx.execute(
            "insert into hub.stock (tenant_id, connection, place_ref, item, available, quantity, until, told_at)"
            " values ($1, $2, $3, $4, $5, $6, $7, hub.clock())",
            world.a.tenant, connection, ref, item, available, more.get("quantity"), more.get("until"),
        )  # fmt: skip


async def opened(world: World, connection: str, shape: type) -> list[tuple[dict, Any]]:
    """What waits in a mailbox, with its opened words."""
    found = []
    for message in await queued(world, connection):
        body = await world.context.bodies.open(world.a.tenant, message["body"], "messages", connection, message["dedupe_key"])
        found.append((message, msgspec.json.decode(body, type=shape)))
    return found


async def staffed(world: World, role: str) -> Side:
    """Somebody of the first tenant with a role."""
    email = f"{role}-{world.a.email}"
    await create_user(world.context.database, email, tenant=world.a.tenant, role=role, password=PASSWORD)
    side = Side(world.a.tenant, email, "")
    await login(world.client, side)
    return side


async def test_stock_shows_what_the_pos_told_and_what_channels_confirmed(world: World) -> None:
    """Name, quantity and end of the POS; beside it each channel's word with its time, and whether it is the same."""
    await menu(world, world.a)
    await keep(world, world.a.pos, "L1", "i1", False, quantity=0, until=SOON)
    await keep(world, world.a.pos, "L1", "i2", False)
    await keep(world, world.a.pos, "L1", "m1", True, quantity=3)
    await keep(world, world.a.delivery, "store", "i1", False)
    await keep(world, world.a.delivery, "store", "i2", True)
    rows = {row["item"]: row for row in (await world.call(world.a, "GET", "/stock")).json()["items"]}
    assert rows.keys() == {"i1", "i2", "m1"}
    first = rows["i1"]
    assert (first["name"], first["available"], first["quantity"], first["location_ref"]) == ("شاورما", False, 0, "L1")
    assert (first["connection"], datetime.fromisoformat(first["until"]), first["told_at"][-1]) == (world.a.pos, SOON, "Z")
    (channel,) = first["channels"]
    assert (channel["link"], channel["store_ref"], channel["platform"]) == (world.a.link, "store", "courier")
    assert (channel["confirmed"], channel["available"]) == (True, False)
    assert channel["at"]
    assert (rows["i2"]["channels"][0]["confirmed"], rows["i2"]["channels"][0]["available"]) == (False, True)
    assert (rows["m1"]["name"], rows["m1"]["channels"][0]["at"]) == ("Toum", None)


async def test_stock_is_filtered_and_paged(world: World) -> None:
    """By location, connection and what is off sale; pages hold every row once, and no channel's own rows."""
    for number in range(5):
        await keep(world, world.a.pos, "L1", f"i{number}", number % 2 == 0)
    await keep(world, world.a.pos, "unlinked", "i9", False)
    seen: list[str] = []
    cursor = ""
    while True:
        answer = (await world.call(world.a, "GET", f"/stock?limit=2{cursor}")).json()
        seen += [row["item"] for row in answer["items"]]
        if answer["next_cursor"] is None:
            break
        cursor = f"&cursor={answer['next_cursor']}"
    assert seen == ["i0", "i1", "i2", "i3", "i4"]

    async def found(query: str) -> int:
        return len((await world.call(world.a, "GET", f"/stock?{query}")).json()["items"])

    assert await found("unavailable=true") == 2
    assert await found(f"location={world.a.location}") == await found(f"connection={world.a.pos}") == 5
    assert await found("location=loc_other") == await found(f"connection={world.a.delivery}") == 0
    assert (await world.call(world.a, "GET", "/stock?cursor=abc")).status_code == 422


async def test_products_are_taken_off_sale_at_every_linked_pos_location(world: World) -> None:
    """A sealed message for each that has them on its newest menu, of the kind that the menu says; an event, an audit row, a wake-up."""
    await menu(world, world.a, body=Menu("SAR", (), (Item("gone", "Old", SAR),)))
    await menu(world, world.a, number=2)
    await menu(world, world.a, ref="L2", body=Menu("SAR", (), (Item("i2", "Soup", SAR),)))
    async with world.context.database.tenant(world.a.tenant) as tx:
        await create_link(
            tx, world.context.providers, tenant=world.a.tenant, location=world.a.location,
            pos_connection=world.a.pos, pos_location_ref="L2",
            delivery_connection=world.a.delivery, delivery_store_ref="second",
        )  # fmt: skip
    items = [{"id": "m1", "available": False, "until": SOON.isoformat()}, {"id": "i2", "available": True}]
    answer = await world.call(world.a, "POST", "/stock", {"location": world.a.location, "items": items})
    assert answer.status_code == 202, answer.text
    assert {row["location_ref"]: row["items"] for row in answer.json()["queued"]} == {"L1": ["m1", "i2"], "L2": ["i2"]}
    found = {levels.location_ref: (message, levels) for message, levels in await opened(world, world.a.pos, Levels)}
    message, levels = found["L1"]
    assert (message["kind"], message["subject"], message["lane"]) == ("stock.set", "stock/L1", Lane.STOCK)
    assert levels.levels == (StockLevel("m1", False, until=SOON, kind="modifier"), StockLevel("i2", True))
    assert found["L2"][1].levels == (StockLevel("i2", True),)
    assert world.a.pos in world.owners.woken
    audit = (await world.call(world.a, "GET", f"/audit-log?subject={world.a.location}")).json()["items"]
    assert "stock.set" in {row["action"] for row in audit}
    told = [e for e in (await world.call(world.a, "GET", "/events?limit=200")).json()["items"] if e["type"] == "stock.changed"]
    assert told[-1]["data"]["items"] == {"m1": False, "i2": True}


@pytest.mark.parametrize(
    ("items", "pointer"),
    [
        ([{"id": "i1", "available": False}, {"id": "i7", "available": False}], "/items/1/id"),
        ([{"id": "i1", "available": False}, {"id": "i1", "available": True}], "/items/1/id"),
        ([{"id": "i1", "available": True, "until": SOON.isoformat()}], "/items/0/until"),
        ([{"id": "i1", "available": False, "until": "2020-01-01T00:00:00Z"}], "/items/0/until"),
        ([{"id": "i1", "available": False, "until": "2199-01-01T00:00:00Z"}], "/items/0/until"),
        ([{"id": "i1", "available": False, "until": "2199-01-01T00:00:00"}], "/items/0/until"),
        ([{"id": "i1"}], "/items/0/available"),
        ([], "/items"),
    ],
)
async def test_what_is_no_stock_is_422(world: World, items: list[dict], pointer: str) -> None:
    """Not on the menu, twice, an end that ends nothing: the field is named and nothing is queued."""
    await menu(world, world.a)
    answer = await world.call(world.a, "POST", "/stock", {"location": world.a.location, "items": items})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert await queued(world, world.a.pos) == []


async def test_the_same_key_takes_off_sale_once(world: World) -> None:
    """A repeat gets the first answer; the key for something else is 422."""
    await menu(world, world.a)
    body = {"location": world.a.location, "items": [{"id": "i1", "available": False}]}
    answers = [await world.call(world.a, "POST", "/stock", body, Idempotency_Key="k1") for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(await queued(world, world.a.pos)) == 1
    other = {**body, "items": [{"id": "i2", "available": False}]}
    assert (await world.call(world.a, "POST", "/stock", other, Idempotency_Key="k1")).status_code == 422


async def test_a_location_without_a_pos_is_409_and_an_unknown_one_404(world: World) -> None:
    """Nothing could be told."""
    made = await world.call(world.a, "POST", "/locations", {"name": "New", "timezone": "Asia/Riyadh", "currency": "SAR"})
    items = [{"id": "i1", "available": False}]
    answer = await world.call(world.a, "POST", "/stock", {"location": made.json()["id"], "items": items})
    assert answer.status_code == 409
    unknown = await world.call(world.a, "POST", "/stock", {"location": "loc_none", "items": items})
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (404, "/location")


async def test_viewers_see_and_change_nothing(world: World) -> None:
    """Staff may; the least role looks on."""
    await menu(world, world.a)
    pausable(world)
    body = {"location": world.a.location, "items": [{"id": "i1", "available": False}]}
    viewer, staff = await staffed(world, "viewer"), await staffed(world, "staff")
    for path, sent in (("/stock", body), (f"/stores/{world.a.link}/pause", None)):
        assert (await world.call(viewer, "POST", path, sent)).status_code == 403
        assert (await world.call(staff, "POST", path, sent)).status_code == 202
    assert (await world.call(viewer, "GET", "/stock")).status_code == (await world.call(viewer, "GET", "/stores")).status_code == 200


async def test_a_store_is_shown_as_it_was_last_seen(world: World) -> None:
    """By its link's id, with what its platform takes; before it was seen it is unknown."""
    pausable(world)
    shown = (await world.call(world.a, "GET", f"/stores/{world.a.link}")).json()
    assert (shown["status"], shown["seen_at"], shown["name"]) == ("unknown", None, "Aleph")
    status = StoreStatus("paused", SOON, "oven", 900, (Hours("monday", "08:00", "23:00"),))
    async with world.context.database.tenant(world.a.tenant) as tx:
        await tx.execute(
            "insert into hub.vendor_stores (tenant_id, connection, ref, name, status, seen_at) values ($1, $2, $3, $4, $5, hub.clock())",
            world.a.tenant, world.a.delivery, "store", "Harbour", msgspec.to_builtins(status),
        )  # fmt: skip
    (shown,) = (await world.call(world.a, "GET", f"/stores?location={world.a.location}&platform=courier")).json()["items"]
    assert (shown["id"], shown["name"], shown["platform"], shown["store_ref"]) == (world.a.link, "Harbour", "courier", "store")
    assert (shown["status"], shown["reason"], shown["prep_seconds"], shown["takes"]) == ("paused", "oven", 900, sorted(PAUSABLE))
    assert datetime.fromisoformat(shown["until"]) == SOON
    assert shown["hours"] == [{"day": "monday", "opens": "08:00", "closes": "23:00"}]
    assert shown["seen_at"]
    assert (await world.call(world.a, "GET", "/stores?platform=other")).json()["items"] == []


@pytest.mark.parametrize(
    ("word", "body", "change"),
    [
        ("pause", None, StoreChange("pause")),
        ("pause", {"until": SOON.isoformat(), "reason": "oven"}, StoreChange("pause", until=SOON, reason="oven")),
        ("resume", None, StoreChange("open")),
        ("busy", {"prep_seconds": 1200}, StoreChange("prep_time", prep_seconds=1200)),
    ],
)
async def test_a_store_is_changed_by_a_message(world: World, word: str, body: dict | None, change: StoreChange) -> None:
    """Sealed, to the store's own subject, with an event, an audit row and a wake-up; the answer shows the store as it was."""
    pausable(world)
    answer = await world.call(world.a, "POST", f"/stores/{world.a.link}/{word}", body)
    assert (answer.status_code, answer.json()["queued"], answer.json()["store"]["id"]) == (202, [change.kind], world.a.link)
    ((message, said),) = [each for each in await opened(world, world.a.delivery, StoreChange) if each[0]["kind"] == "store.set"]
    assert (message["subject"], message["lane"], said) == ("store/store", Lane.STATUS, change)
    assert world.a.delivery in world.owners.woken
    audit = (await world.call(world.a, "GET", f"/audit-log?subject={world.a.link}")).json()["items"]
    assert f"store.{word}" in {row["action"] for row in audit}
    events = (await world.call(world.a, "GET", "/events?limit=200")).json()["items"]
    assert [e["data"]["step"] for e in events if e["subject"] == world.a.link and e["type"] == "store.changed"] == [f"{word}_requested"]


async def test_minutes_are_a_time(world: World) -> None:
    """Counted from now."""
    pausable(world)
    await world.call(world.a, "POST", f"/stores/{world.a.link}/pause", {"minutes": 30})
    ((_, said),) = [each for each in await opened(world, world.a.delivery, StoreChange) if each[0]["kind"] == "store.set"]
    assert timedelta(minutes=29) < said.until - datetime.now(UTC) <= timedelta(minutes=30)


@pytest.mark.parametrize(
    ("word", "body"),
    [
        ("pause", {"minutes": 5, "until": SOON.isoformat()}),
        ("pause", {"minutes": 0}),
        ("pause", {"until": "2020-01-01T00:00:00Z"}),
        ("pause", {"until": "2199-01-01T00:00:00Z"}),
        ("pause", {"reason": "x" * 201}),
        ("busy", {"prep_seconds": 0}),
        ("busy", {"minutes": 5}),
    ],
)
async def test_a_change_that_is_none_is_422(world: World, word: str, body: dict) -> None:
    """Two ends, an end in the past, none of the fields: nothing is queued."""
    pausable(world)
    assert (await world.call(world.a, "POST", f"/stores/{world.a.link}/{word}", body)).status_code == 422
    assert [m for m in await queued(world, world.a.delivery) if m["kind"] == "store.set"] == []


async def test_a_platform_that_does_not_take_it_is_409(world: World) -> None:
    """No store control at all, or not this change: the problem names the platform and what it takes."""
    answer = await world.call(world.a, "POST", f"/stores/{world.a.link}/pause")
    assert (answer.status_code, answer.json()["takes"]) == (409, [])
    assert answer.json()["detail"].startswith("Courier ")
    pausable(world)
    for body in (None, {"busy": False}, {"busy": True, "prep_seconds": 900}):
        answer = await world.call(world.a, "POST", f"/stores/{world.a.link}/busy", body)
        assert (answer.status_code, answer.json()["takes"]) == (409, sorted(PAUSABLE))
    assert [m for m in await queued(world, world.a.delivery) if m["kind"] == "store.set"] == []
