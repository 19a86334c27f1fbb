"""Deliveroo's adapter against its simulated side, through the hub's own client: every write as a step, every call verified."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from adapters.deliveroo import PROVIDER
from adapters.deliveroo.adapter import Deliveroo
from adapters.deliveroo.stores import SiteReport
from hub.calls import StaticCredentials, VendorClient, open_session
from hub.clock import monotonic
from hub.contract import (
    AlreadyDone,
    AuthRevoked,
    Connected,
    DecisionTask,
    Done,
    Fact,
    Fetched,
    IngressRequest,
    JobResult,
    Misconfigured,
    NotFound,
    Place,
    PlaceParams,
    RateLimited,
    Rejected,
    Step,
    Unreadable,
)
from hub.model import Category, Hours, Item, Menu, ModifierGroup, Money, OrderState, StockLevel, StoreChange
from hub.model import menu as menus
from tests.contract.sandbox_client import Client, sandboxes

STORE, OTHER, SLUG = "harbour-street-01", "old-mill-02", "deliveroo"
PLACES = {STORE: Place("GBP", "Europe/London"), OTHER: Place("GBP", "Europe/London")}


@dataclass
class Came:
    """A call that reached us, and the facts in it."""

    request: IngressRequest
    facts: list[Fact]


class Bench:
    """The adapter, its client, and an ingress that keeps what came."""

    def __init__(self, sandbox: Client, adapter: Deliveroo, client: VendorClient, secret: str) -> None:
        self.sandbox, self.adapter, self.client, self.secret = sandbox, adapter, client, secret
        self.came: list[Came] = []

    async def receive(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        suffix = request.path.removeprefix("/webhooks/deliveroo").strip("/")
        call = IngressRequest(request.method, suffix, {}, headers, await request.read(), str(request.url))
        ingress = PROVIDER.ingress
        assert ingress is not None
        assert not ingress.signed(call, ["another"])
        if not ingress.signed(call, [self.secret]):
            return web.Response(status=ingress.refused("bad_signature").status)
        facts = list(ingress.facts(call))
        self.came.append(Came(call, facts))
        return web.Response(status=ingress.stored(facts).status)

    async def fact(self, kind: str, key: str = "") -> Came:
        """The newest call with such a fact."""
        async with asyncio.timeout(5):
            while True:
                for came in reversed(self.came):
                    if any(fact.kind == kind and key in fact.dedupe_key for fact in came.facts):
                        return came
                await asyncio.sleep(0.01)

    async def do(self, step: Step | None) -> Done:
        """Carry a step out as the hub does."""
        assert step is not None
        response = await self.client.send(step.request, not_after=monotonic() + 10)
        return self.adapter.read_step(f"{step.name}/msg_1", response)

    async def placed(self, **more: Any) -> Fetched:
        """An order as it comes in."""
        more = {"store": STORE, **more}
        order = (await self.sandbox.control("POST", f"/{SLUG}/orders", more))["orders"][0]
        came = await self.fact("order.placed", f"order/{order}/placed")
        assert [(fact.store_ref, fact.subject) for fact in came.facts] == [(more["store"], f"order/{order}")]
        return await self.adapter.fetch_order(order, came.request.body, PLACES)

    async def row(self, order: str) -> Any:
        return next(each for each in (await self.sandbox.state(SLUG))["orders"] if each["id"] == order)

    async def refused(self) -> list[str]:
        return [each["reason"] for each in (await self.sandbox.state(SLUG))["rejected"]]

    async def limits_off(self) -> None:
        names = ("menu_upload_gap_s", "patch_window_s", "sync_status_gap_s", "unavailable_post_gap_s")
        await self.sandbox.control("POST", f"/{SLUG}/settings", dict.fromkeys(names, 0))


def task(fetched: Fetched, **more: Any) -> DecisionTask:
    """A word about an order."""
    order = fetched.order
    given: dict[str, Any] = {"fulfilment": order.fulfilment.kind, "vendor_refs": order.vendor_refs, **more}
    return DecisionTask("ord_1", order.platform_order_id, order.store_ref, **given)


async def connected(sandbox: Client, **changes: str) -> tuple[Deliveroo, VendorClient, str, Any]:
    """An adapter of the sandbox's app and brand; `changes` spoil its credentials."""
    told = (await sandbox.control("GET", ""))[SLUG]
    credentials = {**told["app"], **told["credentials"], **changes}
    base = f"{sandbox.root}/{SLUG}"
    session = open_session()
    client = VendorClient(
        slug=SLUG,
        session=session,
        bases={"api": base, "auth": base},
        auth=PROVIDER.auth(PROVIDER.facts),
        tokens=StaticCredentials(credentials),
    )
    details = {name: credentials[name] for name, field in PROVIDER.facts.credentials.items() if not field.secret}
    settings = {name: field.default for name, field in PROVIDER.facts.settings.items()}
    adapter = Deliveroo(PROVIDER.facts, Connected("con_x", "simulator", settings, details=details), client)
    client.use_failures(adapter.failure)
    return adapter, client, credentials["webhook_secret"], session


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    """A sandbox, a connection to it, and its webhooks registered."""
    made: list[Bench] = []

    async def receive(request: web.Request) -> web.Response:
        return await made[0].receive(request)

    app = web.Application()
    app.router.add_post("/webhooks/{tail:.*}", receive)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    root = f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks/{SLUG}"
    try:
        async with sandboxes() as sandbox:
            adapter, client, secret, session = await connected(sandbox)
            async with session:
                made.append(Bench(sandbox, adapter, client, secret))
                await sandbox.control("POST", f"/{SLUG}/webhooks", {"url": root})
                riders = {"url": f"{root}/riders/{STORE}", "events": ["rider.status_update"]}
                await sandbox.control("POST", f"/{SLUG}/webhooks", riders)
                yield made[0]
    finally:
        await runner.cleanup()


async def test_every_order_comes_to_what_deliveroo_owes(bench: Bench) -> None:
    """Lines, options, offers and fees of many orders: merchant_total is partner_order_total, by either reading of item totals."""
    for reading in (0, 1):
        await bench.sandbox.control("POST", f"/{SLUG}/settings", {"item_total_with_modifiers": reading})
        placed = await bench.sandbox.control("POST", f"/{SLUG}/orders", {"store": STORE, "count": 60})
        for order in placed["orders"]:
            came = await bench.fact("order.placed", f"order/{order}/placed")
            mapped = (await bench.adapter.fetch_order(order, came.request.body, PLACES)).order
            row = await bench.row(order)
            partner = mapped.merchant_total().amount
            funded = sum(each.amount.amount for each in mapped.discounts)
            assert (mapped.total.amount, funded) == (row["total"], row["discount"])
            assert row["total"] <= partner <= row["total"] + funded
            assert sum(each.amount.amount for each in mapped.charges) == sum(row["fees"].values())
            shown = [(line.name, line.quantity, line.total.amount) for line in mapped.lines]
            assert shown == [(item["name"], item["quantity"], item["total"]) for item in row["items"]]
            assert not [note for note in mapped.not_carried if note.field in ("lines", "total")]
            assert (mapped.note, mapped.customer.name) == (
                "\n".join(filter(None, (row["note"], "NO CUTLERY" if mapped.fulfilment.include_cutlery is False else ""))),
                row["customer"],
            )


async def test_an_order_is_accepted_cooked_and_delivered(bench: Bench) -> None:
    """Each word reaches Deliveroo once, repeats are success, and its own rider's way is followed."""
    item = {"id": "chips", "quantity": 2, "modifiers": [{"id": "toum"}, {"id": "harissa"}]}
    fetched = await bench.placed(items=[item], type="delivery", plain=True)
    order = fetched.order
    assert (fetched.state, order.merchant_total(), order.fulfilment.kind) == (
        OrderState.RECEIVED,
        Money(964, "GBP"),
        "delivery_by_platform",
    )
    assert [(m.plu, m.unit_price.amount) for m in order.lines[0].modifiers] == [("PLU-toum", 0), ("PLU-harissa", 49)]
    assert order.deadline_at is not None
    assert timedelta(minutes=9) < order.deadline_at - datetime.now(UTC) < timedelta(minutes=10)
    accept = bench.adapter.accept_step(task(fetched))
    await bench.do(accept)
    with pytest.raises(AlreadyDone):
        await bench.do(accept)
    came = await bench.fact("order.changed", "changed/accepted")
    assert bench.adapter.notice_state(came.request.body) is OrderState.ACCEPTED
    late = task(fetched, ready_at=(order.fulfilment.ready_at or datetime.now(UTC)) + timedelta(minutes=5))
    assert order.fulfilment.ready_at is not None
    for step in (bench.adapter.delay_step(late), bench.adapter.preparing_step(task(fetched)), bench.adapter.ready_step(task(fetched))):
        await bench.do(step)
    assert bench.adapter.picked_up_step(task(fetched)) is None
    row = await bench.row(order.platform_order_id)
    assert (row["state"], row["stage"]) == ("accepted", "ready_for_collection")
    await bench.sandbox.control("POST", f"/{SLUG}/orders/{order.platform_order_id}/courier", {"state": "delivered"})
    came = await bench.fact("order.changed", "changed/delivered")
    assert bench.adapter.notice_state(came.request.body) is OrderState.COMPLETED
    assert await bench.adapter.open_orders(STORE) == []
    assert await bench.refused() == []


async def test_orders_are_refused_cancelled_and_handed_over(bench: Bench) -> None:
    """A refusal has Deliveroo's word; a cancellation is told once; what the restaurant hands over is collected."""
    fetched = await bench.placed()
    await bench.do(bench.adapter.reject_step(task(fetched, reason="item_unavailable", detail="no toum")))
    row = await bench.row(fetched.order.platform_order_id)
    assert (row["state"], row["reason"]) == ("rejected", "ingredient_unavailable")
    came = await bench.fact("order.changed", "changed/rejected")
    assert bench.adapter.notice_state(came.request.body) is OrderState.REJECTED
    with pytest.raises(AlreadyDone):
        await bench.do(bench.adapter.accept_step(task(fetched)))
    fetched = await bench.placed(type="merchant_delivery")
    assert fetched.order.customer.address is not None
    assert (fetched.order.customer.address.city, fetched.order.customer.address.latitude) == ("Port Example", "51.5101")
    await bench.do(bench.adapter.accept_step(task(fetched)))
    await bench.do(bench.adapter.picked_up_step(task(fetched)))
    assert (await bench.row(fetched.order.platform_order_id))["state"] == "delivered"
    fetched = await bench.placed(type="pickup")
    await bench.sandbox.control("POST", f"/{SLUG}/orders/{fetched.order.platform_order_id}/cancel", {})
    came = await bench.fact("order.cancelled")
    assert came.facts[0].dedupe_key == f"order/{fetched.order.platform_order_id}/cancelled"
    assert bench.adapter.notice_state(came.request.body) is OrderState.CANCELLED


async def test_a_tablet_is_told_whether_the_order_arrived(bench: Bench) -> None:
    """With a tablet nothing is accepted or refused: sync statuses go out, and staff decide."""
    await bench.sandbox.control("POST", f"/{SLUG}/stores/{STORE}", {"tabletless": False})
    first, second = await bench.placed(), await bench.placed()
    assert first.order.deadline_at is not None
    assert first.order.deadline_at - datetime.now(UTC) < timedelta(minutes=3)
    accept = bench.adapter.accept_step(task(first))
    await bench.do(accept)
    with pytest.raises(RateLimited) as error:
        await bench.do(accept)
    assert (error.value.after, error.value.scope) == (10.0, "order")
    await bench.limits_off()
    with pytest.raises(AlreadyDone):
        await bench.do(accept)
    await bench.do(bench.adapter.reject_step(task(second, reason="price_mismatch")))
    rows = [(await bench.row(each.order.platform_order_id))["sync"] for each in (first, second)]
    assert [(each["status"], each.get("reason")) for each in rows] == [("succeeded", None), ("failed", "price_mismatched")]


async def test_a_scheduled_order_is_confirmed_when_its_kitchen_begins(bench: Bench) -> None:
    """Accepting does not confirm; the kitchen's start does, twice is once."""
    when = datetime.now(UTC) + timedelta(hours=2)
    fetched = await bench.placed(scheduled_for=when.isoformat(), type="delivery")
    assert fetched.order.fulfilment.scheduled_for == when.replace(microsecond=0)
    await bench.do(bench.adapter.accept_step(task(fetched)))
    step = bench.adapter.preparing_step(task(fetched))
    await bench.do(step)
    with pytest.raises(AlreadyDone):
        await bench.do(step)
    assert (await bench.row(fetched.order.platform_order_id))["state"] == "confirmed"
    await bench.do(bench.adapter.ready_step(task(fetched)))


async def test_an_order_is_found_in_the_lists(bench: Bench) -> None:
    """Without a notice the linked sites' lists tell, live orders first; pages are walked; without sites nothing can."""
    placed = (await bench.sandbox.control("POST", f"/{SLUG}/orders", {"store": OTHER, "count": 60}))["orders"]
    fetched = await bench.adapter.fetch_order(placed[55], b"", PLACES)
    assert (fetched.order.store_ref, fetched.state) == (OTHER, OrderState.RECEIVED)
    assert [each.platform_order_id for each in await bench.adapter.open_orders(OTHER)] == placed
    await bench.do(bench.adapter.reject_step(task(fetched)))
    assert (await bench.adapter.fetch_order(placed[55], b"", PLACES)).state is OrderState.REJECTED
    with pytest.raises(NotFound):
        await bench.adapter.fetch_order("gb:nothing", b"", PLACES)
    for places in ({}, {**PLACES, "elsewhere": Place("GBP")}):
        with pytest.raises(Unreadable):
            await bench.adapter.fetch_order("gb:nothing", b"", places)


async def test_riders_are_followed(bench: Bench) -> None:
    """A fact for each order of the trip, routed by the registered address; the stacked order knows the position only."""
    first, second = [(await bench.placed(type="delivery", plain=True)).order.platform_order_id for _ in range(2)]
    for order in (first, second):
        await bench.do(bench.adapter.accept_step(DecisionTask("ord_1", order, STORE)))
    states = ("assigned", "arrived", "confirmed_at_restaurant", "in_transit")
    for state in states:
        body = {"state": state, "lat": 51.5, "lng": -0.125, "stacked_with": [second]}
        await bench.sandbox.control("POST", f"/{SLUG}/orders/{first}/courier", body)
    seen = []
    for state in states:
        came = await bench.fact("courier.moved", f"order/{first}/courier/rider_{state}/")
        assert [(fact.subject, fact.store_ref) for fact in came.facts] == [(f"order/{first}", STORE), (f"order/{second}", STORE)]
        own, stacked = bench.adapter.couriers(came.request.body)
        assert (own.platform_order_id, own.latitude, own.longitude) == (first, "51.5", "-0.125")
        assert (stacked.platform_order_id, stacked.state, stacked.latitude, stacked.eta) == (second, "assigned", "51.5", None)
        assert own.eta is not None
        seen.append(own.state)
    assert seen == ["assigned", "near", "arrived", "picked_up"]


def small_menu(burger: int = 900) -> Menu:
    """A menu with nested options, an option that is also a dish, and two prices of one option."""

    def option(identifier: str, name: str, price: int, *groups: str) -> menus.Modifier:
        return menus.Modifier(identifier, name, Money(price, "GBP"), group_ids=groups)

    groups = (
        ModifierGroup("size", "Size", 1, 1, (option("large", "Large", 200, "extras"), option("regular", "Regular", 0))),
        ModifierGroup("extras", "Extras", 0, 0, (option("cheese", "Cheese", 95), option("chips", "Chips", 250))),
        ModifierGroup("dips", "Dips", 0, 2, (option("cheese", "Cheese", 50),)),
    )
    items = (
        Item("burger", "Burger برجر", Money(burger, "GBP"), description="Beef", group_ids=("size", "dips"), tax_ids=("vat",)),
        Item("chips", "Chips", Money(433, "GBP"), tax_ids=("vat",), channel_prices={SLUG: Money(450, "GBP")}),
        Item("secret", "Off the card", Money(1, "GBP")),
    )
    hours = (Hours("friday", "18:00", "02:00"), Hours("sunday", "10:00", "22:00"))
    return Menu(
        "GBP",
        (Category("c1", "Mains", ("burger", "chips", "gone")),),
        items,
        groups,
        (menus.Tax("vat", "VAT", "20", inclusive=True),),
        hours,
    )


async def test_a_menu_is_pushed_sold_and_taken_off_sale(bench: Bench) -> None:
    """The upload's job ends by webhook; the same again is unchanged; orders and availability speak the hub's ids."""
    await bench.limits_off()
    step = bench.adapter.push_menu_step(STORE, small_menu())
    done = await bench.do(step)
    came = await bench.fact("menu.job")
    assert [(fact.subject, fact.store_ref) for fact in came.facts] == [(f"menu/{STORE}", STORE)]
    assert bench.adapter.job_results(came.request.body) == [JobResult(STORE, "done", done.job)]
    assert (await bench.do(step)).data == {"unchanged": True}
    assert await bench.adapter.read_back(STORE) == {"burger", "chips", "large", "regular", "cheese"}
    wanted = {"id": "burger", "modifiers": [{"id": "large", "modifiers": [{"id": "choice:chips"}]}, {"id": "cheese"}]}
    order = (await bench.placed(items=[wanted, {"id": "chips"}], plain=True)).order
    large, cheese = order.lines[0].modifiers
    assert [line.plu for line in order.lines] == ["burger", "chips"]
    assert (large.modifiers[0].plu, large.modifiers[0].unit_price.amount, cheese.unit_price.amount) == ("chips", 250, 50)
    assert order.merchant_total().amount == 900 + 200 + 250 + 50 + 450
    soon = datetime.now(UTC) + timedelta(hours=3)
    off = [StockLevel("chips", available=False), StockLevel("large", available=False, until=soon, kind="modifier"), StockLevel("no", False)]
    await bench.do(await bench.adapter.availability_step(STORE, off))
    stock = {each["item"]: each["status"] for each in (await bench.sandbox.state(SLUG))["stock"]}
    assert stock == {"chips": "hidden", "choice:chips": "hidden", "large": "unavailable"}
    await bench.do(await bench.adapter.availability_step(STORE, [StockLevel("chips", available=True)]))
    assert [each["item"] for each in (await bench.sandbox.state(SLUG))["stock"]] == ["large"]
    with pytest.raises(NotFound):
        await bench.do(await bench.adapter.availability_step(STORE, [StockLevel("no", available=False)]))
    await bench.do(await bench.adapter.availability_step(OTHER, [StockLevel("pho", available=False)]))


async def test_a_refused_menu_says_why(bench: Bench) -> None:
    """The result is failed with Deliveroo's words; too many uploads wait a minute; an unknown site is a setting."""
    euro = Menu("EUR", (Category("c1", "Mains", ("a",)),), (Item("a", "Tea", Money(1, "EUR")),))
    await bench.do(bench.adapter.push_menu_step(OTHER, euro))
    (result,) = bench.adapter.job_results((await bench.fact("menu.job")).request.body)
    assert (result.store_ref, result.outcome) == (OTHER, "failed")
    assert "currency_code" in result.detail
    with pytest.raises(RateLimited) as error:
        await bench.do(bench.adapter.push_menu_step(OTHER, small_menu()))
    assert (error.value.after, error.value.scope) == (60.0, "store")
    with pytest.raises(Misconfigured, match="no site nowhere"):
        await bench.do(bench.adapter.push_menu_step("nowhere", small_menu()))


async def test_sites_are_read_and_changed(bench: Bench) -> None:
    """Stores with their zone; status, workload, preparation times and hours are set and read back."""
    assert [(s.ref, s.currency, s.timezone, s.country) for s in await bench.adapter.list_stores()] == [
        (STORE, "", "Europe/London", "GB"),
        (OTHER, "", "Europe/London", "GB"),
    ]
    assert await bench.adapter.test() == "Harbour & Mill (gb): 2 sites"
    hours = tuple(Hours(day, "00:00", "23:59") for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"))
    assert (await bench.adapter.store_status(STORE)).hours == hours
    for change in (StoreChange("busy"), StoreChange("prep_time", prep_seconds=1450), StoreChange("pause")):
        await bench.do(await bench.adapter.store_step(STORE, change))
    read = bench.adapter.extras()["site"].read
    assert read is not None
    report = await read(PlaceParams(STORE))
    assert isinstance(report, SiteReport)
    assert (report.status.status, report.workload, report.quiet_minutes, report.busy_minutes) == ("paused", "BUSY", 25, 35)
    assert (report.status.prep_seconds, report.brands) == (35 * 60, ("harbour-and-mill",))
    day = datetime.now(UTC)
    never = Hours(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")[(day.weekday() + 3) % 7], "10:00", "11:00")
    await bench.do(await bench.adapter.store_step(STORE, StoreChange("hours", hours=(never,))))
    with pytest.raises(Rejected, match="outside its opening hours"):
        await bench.do(await bench.adapter.store_step(STORE, StoreChange("open")))
    await bench.do(await bench.adapter.store_step(STORE, StoreChange("hours", hours=hours)))
    await bench.do(await bench.adapter.store_step(STORE, StoreChange("open")))
    assert (await bench.adapter.store_status(STORE)).status == "open"
    with pytest.raises(Rejected, match="do not end by themselves"):
        await bench.adapter.store_step(STORE, StoreChange("pause", until=day))


async def test_tokens_are_asked_for_anew_and_wrong_credentials_named(bench: Bench) -> None:
    """A token that ended is replaced once; a wrong secret is a revocation, a wrong brand a setting."""
    await bench.adapter.list_stores()
    await bench.sandbox.control("POST", f"/{SLUG}/faults", {"expire_tokens": True})
    assert len(await bench.adapter.list_stores()) == 2
    for changes, kind in (({"client_secret": "no"}, AuthRevoked), ({"brand_id": "no"}, Misconfigured)):
        adapter, _, _, session = await connected(bench.sandbox, **changes)
        async with session:
            with pytest.raises(kind):
                await adapter.test()
