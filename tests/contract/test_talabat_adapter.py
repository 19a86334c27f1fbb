"""Talabat's adapter against its simulated side, over HTTP and through the hub's own client: every write as a step, every call verified."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from aiohttp import web

from adapters.talabat import PROVIDER
from adapters.talabat.adapter import Talabat
from adapters.talabat.extras import BulkAvailability, BulkMenu, LogParams, Refs
from hub.calls import StaticCredentials, VendorClient, open_session
from hub.clock import monotonic
from hub.contract import (
    AlreadyDone,
    AmendTask,
    Connected,
    DecisionTask,
    Done,
    Fact,
    Fetched,
    IngressRequest,
    JobResult,
    Place,
    Rejected,
    RetryLater,
    Step,
    Unreadable,
)
from hub.model import Category, Item, Menu, Modifier, ModifierGroup, Money, OrderState, StockLevel, StoreChange
from hub.model import menu as menus
from tests.contract.sandbox_client import Client, sandboxes

STORE, OTHER = "TB-HARBOUR-01", "TB-OLDMILL-02"
AED = {STORE: Place("AED", "Asia/Dubai"), OTHER: Place("AED", "Asia/Dubai")}


@dataclass
class Came:
    """A call that reached us, and the facts in it."""

    request: IngressRequest
    facts: list[Fact]


class Bench:
    """The adapter, its client, and an ingress that keeps what came; `mute` holds back answers to dispatches."""

    def __init__(self, sandbox: Client, adapter: Talabat, client: VendorClient, secret: str) -> None:
        self.sandbox, self.adapter, self.client, self.secret = sandbox, adapter, client, secret
        self.came: list[Came] = []
        self.open = asyncio.Event()
        self.open.set()

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        suffix = request.path.removeprefix("/webhooks/talabat/")
        call = IngressRequest(request.method, suffix, dict(request.query), headers, body, str(request.url))
        ingress = PROVIDER.ingress
        assert ingress is not None
        if not ingress.signed(call, [self.secret]):
            answer = ingress.refused("bad_signature")
        else:
            facts = list(ingress.facts(call))
            self.came.append(Came(call, facts))
            answer = ingress.stored(facts)
            if facts[0].kind == "order.placed":
                await self.open.wait()
        return web.Response(status=answer.status, body=answer.body, content_type="application/json")

    async def fact(self, kind: str, subject: str = "") -> Came:
        """The newest call with such a fact."""
        async with asyncio.timeout(5):
            while True:
                for came in reversed(self.came):
                    if any(fact.kind == kind and fact.subject.startswith(subject) for fact in came.facts):
                        return came
                await asyncio.sleep(0.01)

    async def do(self, step: Step | None) -> Done:
        """Carry a step out as the hub does."""
        assert step is not None
        response = await self.client.send(step.request, not_after=monotonic() + 10)
        return self.adapter.read_step(step.name, response)

    async def placed(self, **more: Any) -> Fetched:
        """An order as it comes in, once our answer to it arrived."""
        more = {"store": STORE, **more}
        token = (await self.sandbox.control("POST", "/talabat/orders", more))["orders"][0]
        came = await self.fact("order.placed", f"order/{token}")
        assert [fact.store_ref for fact in came.facts] == [more["store"]]
        if self.open.is_set():
            async with asyncio.timeout(5):
                while (await self.row(token))["reference"] != token:
                    await asyncio.sleep(0.01)
        return await self.adapter.fetch_order(token, came.request.body, AED)

    async def row(self, token: str) -> Any:
        return next(each for each in (await self.sandbox.state("talabat"))["orders"] if each["id"] == token)

    async def refused(self) -> list[str]:
        return [each["reason"] for each in (await self.sandbox.state("talabat"))["rejected"]]


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    """A sandbox, a connection to it, and the plugin registered."""
    app = web.Application()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    made: list[Bench] = []

    async def receive(request: web.Request) -> web.Response:
        return await made[0].receive(request)

    app.router.add_route("*", "/{path:.*}", receive)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks/talabat"
    try:
        async with sandboxes() as sandbox, open_session() as session:
            await sandbox.control("POST", "/talabat/webhooks", {"url": url})
            held = (await sandbox.control("GET", ""))["talabat"]
            client = VendorClient(
                slug="talabat",
                session=session,
                bases={"api": f"{sandbox.root}/talabat"},
                auth=PROVIDER.auth(PROVIDER.facts),
                tokens=StaticCredentials(held["app"]),
                callbacks=[urlsplit(sandbox.root).netloc],
            )
            details = {"chain_code": held["credentials"]["chain_code"]}
            adapter = Talabat(PROVIDER.facts, Connected("con_x", "simulator", {}, url, details), client)
            client.use_failures(adapter.failure)
            made.append(Bench(sandbox, adapter, client, held["app"]["webhook_secret"]))
            await adapter.test()
            yield made[0]
    finally:
        await runner.cleanup()


def decided(fetched: Fetched, **more: Any) -> DecisionTask:
    """A decision about an order."""
    order = fetched.order
    return DecisionTask(
        "ord_1", order.platform_order_id, order.store_ref, fulfilment=order.fulfilment.kind, vendor_refs=order.vendor_refs, **more
    )


def aed(amount: int) -> Money:
    """Fils, a hundred to the dirham."""
    return Money(amount, "AED")


def menu() -> Menu:
    """A tea in two sizes, of which the large one can be sweetened, and a cake that went."""
    honey = menus.Modifier("honey", "Honey عسل", aed(150))
    sizes = (menus.Modifier("small", "Small", aed(0)), menus.Modifier("large", "Large", aed(500), group_ids=("sweet",)))
    items = (
        Item("tea", "Tea", aed(1250), description="Black", group_ids=("size",), image_url="https://img.example.com/tea.png"),
        Item("cake", "Cake", aed(2000), availability=menus.Availability(available=False)),
    )
    groups = (ModifierGroup("size", "Size", 1, 1, sizes), ModifierGroup("sweet", "Sweet", 0, 0, (honey,)))
    return Menu("AED", (Category("hot", "Hot", ("tea", "cake")),), items, groups, hours=(menus.Hours("friday", "18:00", "02:00"),))


async def test_an_order_goes_its_way_with_the_platform_s_rider(bench: Bench) -> None:
    """In, accepted, later, ready, the rider comes and leaves; a second accept was done before."""
    fetched = await bench.placed(type="delivery")
    order, row = fetched.order, await bench.row(fetched.order.platform_order_id)
    assert (fetched.state, order.store_ref, order.fulfilment.kind) == (OrderState.RECEIVED, STORE, "delivery_by_platform")
    assert (order.total.amount, order.customer.name, order.note or None) == (row["total"], row["customer"], row["note"])
    with pytest.raises(Unreadable):
        await bench.adapter.fetch_order(order.platform_order_id, b"")
    await bench.do(bench.adapter.accept_step(decided(fetched)))
    assert (await bench.row(order.platform_order_id))["state"] == "ACCEPTED"
    with pytest.raises(AlreadyDone):
        await bench.do(bench.adapter.accept_step(decided(fetched)))
    await bench.do(bench.adapter.delay_step(decided(fetched, ready_at=datetime.now(UTC) + timedelta(hours=9))))
    for _ in range(2):
        await bench.do(bench.adapter.ready_step(decided(fetched)))
    assert bench.adapter.picked_up_step(decided(fetched)) is None
    for state, kind in (("arrived", "courier.moved"), ("picked_up", "order.changed")):
        await bench.sandbox.control("POST", f"/talabat/orders/{order.platform_order_id}/courier", {"state": state})
        came = await bench.fact(kind)
        assert came.facts[0].subject == f"order/{order.platform_order_id}"
        if kind == "courier.moved":
            assert [each.state for each in bench.adapter.couriers(came.request.body)] == ["arrived"]
        else:
            assert bench.adapter.notice_state(came.request.body) is OrderState.PICKED_UP
    (listed,) = await bench.adapter.open_orders(STORE)
    read = await bench.adapter.fetch_order(listed.platform_order_id, b"", AED)
    assert (read.state, read.order.lines, read.order.total) == (OrderState.ACCEPTED, order.lines, order.total)
    assert not [each for each in await bench.refused() if "accepted" not in each and "reported" not in each]


@pytest.mark.parametrize("kind", ["vendor_delivery", "pickup"])
async def test_the_restaurant_s_courier_or_the_consumer_takes_it(bench: Bench, kind: str) -> None:
    """Nobody waits for `ready`; that the food left is told once."""
    fetched = await bench.placed(type=kind)
    await bench.do(bench.adapter.accept_step(decided(fetched)))
    assert bench.adapter.ready_step(decided(fetched)) is None
    assert bench.adapter.delay_step(decided(fetched, ready_at=datetime.now(UTC))) is None
    await bench.do(bench.adapter.picked_up_step(decided(fetched)))
    with pytest.raises(AlreadyDone):
        await bench.do(bench.adapter.picked_up_step(decided(fetched)))
    assert (await bench.row(fetched.order.platform_order_id))["state"] == "PICKED_UP"


async def test_an_accept_before_our_acknowledgement_is_tried_again(bench: Bench) -> None:
    """While our answer is on its way the accept conflicts, and a moment later it does not."""
    bench.open.clear()
    fetched = await bench.placed()
    with pytest.raises(RetryLater) as error:
        await bench.do(bench.adapter.accept_step(decided(fetched)))
    assert error.value.after == 1.0
    bench.open.set()
    async with asyncio.timeout(5):
        while (await bench.row(fetched.order.platform_order_id))["state"] != "RECEIVED":
            await asyncio.sleep(0.01)
    await bench.do(bench.adapter.accept_step(decided(fetched)))
    assert await bench.refused() == []


async def test_every_kind_of_order_adds_up_to_the_last_fils(bench: Bench) -> None:
    """Lines add up to what they cost, parts to the grand total, and nothing is left unexplained."""
    await bench.sandbox.control("POST", "/talabat/orders", {"store": STORE, "count": 60})
    async with asyncio.timeout(10):
        while len(bench.came) < 60:
            await asyncio.sleep(0.02)
    rows = {each["id"]: each for each in (await bench.sandbox.state("talabat"))["orders"]}
    for came in bench.came:
        token = came.facts[0].subject.removeprefix("order/")
        order = (await bench.adapter.fetch_order(token, came.request.body, AED)).order
        row = rows[token]
        assert (order.total.amount, order.currency) == (row["total"], "AED")
        assert [line.total.amount for line in order.lines] == [each["total"] for each in row["items"]]
        assert all(line.total == line.expected_total() for line in order.lines)
        assert [line.note or None for line in order.lines] == [each["note"] for each in row["items"]]
        assert sum(tax.amount.amount for tax in order.taxes if tax.inclusive) == row["tax"]
        platform = sum(each.amount.amount for each in order.charges if each.to == "platform")
        platform -= sum(each.amount.amount for each in order.discounts if each.funded_by == "platform")
        assert order.merchant_total().amount + platform == row["total"]
        assert not [each for each in order.not_carried if each.field.startswith("price")]


async def test_refusals_cancels_and_what_comes_too_late(bench: Bench) -> None:
    """A test order is refused as one; after the accept other words are sent; the consumer's cancellation comes to us."""
    fetched, late, theirs = await bench.placed(test=True), await bench.placed(), await bench.placed()
    await bench.do(bench.adapter.reject_step(decided(fetched, reason="busy")))
    assert (await bench.row(fetched.order.platform_order_id))["reason"] == "PLUGIN:TEST_ORDER"
    with pytest.raises(AlreadyDone):
        await bench.do(bench.adapter.reject_step(decided(fetched, reason="busy")))
    with pytest.raises(Rejected, match="CANCELLED"):
        await bench.do(bench.adapter.accept_step(decided(fetched)))
    assert (await bench.adapter.fetch_order(fetched.order.platform_order_id, b"")).state is OrderState.CANCELLED
    await bench.do(bench.adapter.accept_step(decided(late)))
    await bench.do(bench.adapter.cancel_step(decided(late, reason="item_unavailable", detail="no bread")))
    assert (await bench.row(late.order.platform_order_id))["reason"] == "PLUGIN:CONTENT_WRONG_MISLEADING"
    await bench.sandbox.control("POST", f"/talabat/orders/{theirs.order.platform_order_id}/cancel", {})
    came = await bench.fact("order.cancelled")
    assert came.facts[0].dedupe_key == f"order/{theirs.order.platform_order_id}/cancelled"


async def test_an_order_of_the_tablet_is_not_answered(bench: Bench) -> None:
    """Without an address for the accept it is accepted there."""
    await bench.sandbox.control("POST", f"/talabat/stores/{STORE}", {"direct": False})
    fetched = await bench.placed()
    assert fetched.state is OrderState.ACCEPTED
    assert bench.adapter.accept_step(decided(fetched)) is None
    assert bench.adapter.cancel_step(decided(fetched)) is None


async def test_lines_are_changed_after_the_accept(bench: Bench) -> None:
    """The updated order comes with the platform's word that it did it."""
    fetched = await bench.placed(items=[{"id": "P-FRIES", "quantity": 3}, {"id": "P-WATER"}], plain=True)
    fries, water = fetched.order.lines
    await bench.do(bench.adapter.accept_step(decided(fetched)))
    task = AmendTask(decided(fetched), fetched.order, {fries.id: 1, water.id: 0})
    await bench.do(bench.adapter.amend_step(task))
    with pytest.raises(RetryLater):
        await bench.do(bench.adapter.amend_step(task))
    came = await bench.fact("order.changed")
    updated = (await bench.adapter.fetch_order(fetched.order.platform_order_id, came.request.body, AED)).order
    assert [(line.plu, line.quantity, line.total.amount) for line in updated.lines] == [("P-FRIES", 1, 997)]


async def test_a_menu_is_pushed_and_ordered_from(bench: Bench) -> None:
    """A job, its end for each store, and orders that name the hub's own ids, two levels down."""
    done = await bench.do(bench.adapter.push_menu_step(STORE, menu()))
    came = await bench.fact("menu.job", f"menu/{STORE}")
    async with asyncio.timeout(5):
        while bench.adapter.job_results(came.request.body)[0].outcome == "running":
            await asyncio.sleep(0.02)
            came = await bench.fact("menu.job", f"menu/{STORE}")
    assert bench.adapter.job_results(came.request.body) == [JobResult(STORE, "done", done.job, "Import successful")]
    shown = {each["id"]: each for each in (await bench.sandbox.state("talabat"))["menus"][0]["items"]}
    assert {key: (each["price"], each["available"]) for key, each in shown.items()} == {
        "tea": (1250, True), "cake": (2000, False), "small": (0, True), "large": (500, True), "honey": (150, True),
    }  # fmt: skip
    items = [{"id": "tea", "quantity": 2, "modifiers": [{"id": "large", "modifiers": [{"id": "honey"}]}]}]
    (line,) = (await bench.placed(items=items, plain=True)).order.lines
    large = line.modifiers[0]
    assert (line.plu, large.plu, large.modifiers[0].plu, line.total) == ("tea", "large", "honey", aed(3800))
    assert isinstance(large, Modifier)
    with pytest.raises(Unreadable):
        await bench.adapter.read_back(STORE)
    await bench.sandbox.control("POST", f"/talabat/stores/{STORE}", {"request_menu": True})
    assert (await bench.fact("menu.wanted")).facts[0].subject == f"menu/{STORE}"
    assert await bench.refused() == []


async def test_products_and_options_go_off_sale(bench: Bench) -> None:
    """One at a time, until a time or further notice; what Talabat does not know is refused."""
    until = datetime.now(UTC) + timedelta(hours=1)
    for level in (
        StockLevel("P-FRIES", available=False, until=until),
        StockLevel("O-TOUM", available=False, kind="modifier"),
        StockLevel("P-WATER", available=False),
        StockLevel("P-WATER", available=True),
    ):
        await bench.do(await bench.adapter.availability_step(STORE, [level]))
    stock = {each["item"]: each["available"] for each in (await bench.sandbox.state("talabat"))["stock"] if each["store"] == STORE}
    assert stock == {"P-FRIES": False, "O-TOUM": False, "P-WATER": True}
    for ids in (["none"], ["P-FRIES", "none"]):
        with pytest.raises(Rejected):
            await bench.do(await bench.adapter.availability_step(STORE, [StockLevel(each, available=False) for each in ids]))


async def test_a_store_is_paused_and_opened(bench: Bench) -> None:
    """With what Talabat offers for it; its own closures come to us."""
    assert (await bench.adapter.store_status(STORE)).status == "open"
    pause = StoreChange("pause", until=datetime.now(UTC) + timedelta(minutes=45), reason="busy")
    await bench.do(await bench.adapter.store_step(STORE, pause))
    status = await bench.adapter.store_status(STORE)
    assert (status.status, status.reason) == ("paused", "TOO_BUSY_KITCHEN")
    assert status.until is not None
    assert timedelta(minutes=55) < status.until - datetime.now(UTC) <= timedelta(minutes=60)
    await bench.do(await bench.adapter.store_step(STORE, StoreChange("open")))
    await bench.do(await bench.adapter.store_step(STORE, StoreChange("pause")))
    assert (await bench.adapter.store_status(STORE)).status == "closed"
    await bench.do(await bench.adapter.store_step(STORE, StoreChange("open")))
    await bench.sandbox.control("POST", f"/talabat/stores/{STORE}", {"status": "closed", "changeable": False})
    assert (await bench.fact("store.changed")).facts[0].store_ref == STORE
    with pytest.raises(Rejected, match="does not let it be changed"):
        await bench.adapter.store_step(STORE, StoreChange("open"))


async def test_bulk_operations(bench: Bench) -> None:
    """One menu for both stores, many products at once, every store's status, and the log of it."""
    extras = bench.adapter.extras()
    assert set(extras) == set(PROVIDER.facts.extras)
    push, stock, statuses, logs = (extras[name] for name in PROVIDER.facts.extras)
    assert all((push.step, push.done, stock.step, stock.done, statuses.read, logs.read))
    done = await bench.do(await push.step(BulkMenu((STORE, OTHER), menu())))
    (result,) = push.done(done)
    assert (result.ref, result.outcome) == (done.job, "running")
    async with asyncio.timeout(5):
        while not all(each["pushed"] for each in (await bench.sandbox.state("talabat"))["menus"]):
            await asyncio.sleep(0.02)
    came = await bench.fact("menu.job", f"menu/{OTHER}")
    assert {fact.store_ref for fact in came.facts} == {STORE, OTHER}
    done = await bench.do(await stock.step(BulkAvailability(STORE, ("tea", "cake"), available=False, next_business_day=True)))
    assert [each.outcome for each in stock.done(done)] == ["done"]
    done = await bench.do(await stock.step(BulkAvailability(STORE, ("tea", "none"), available=True)))
    assert [each.outcome for each in stock.done(done)] == ["failed"]
    found = await statuses.read(Refs((STORE, OTHER, "none")))
    assert [(each.ref, each.status.status if each.status else "") for each in found] == [(STORE, "open"), (OTHER, "open"), ("none", "")]
    rows = await logs.read(LogParams(STORE, limit=5))
    assert [each.outcome for each in rows] == ["done", "running"]
    assert {each.job for each in rows} == {result.ref}


async def test_an_expired_token_is_replaced_once(bench: Bench) -> None:
    """The same call goes out again with a new one."""
    fetched = await bench.placed()
    await bench.sandbox.control("POST", "/talabat/faults", {"expire_tokens": True})
    await bench.do(bench.adapter.accept_step(decided(fetched)))
    assert (await bench.row(fetched.order.platform_order_id))["state"] == "ACCEPTED"
