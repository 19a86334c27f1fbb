"""DoorDash's adapter against its simulated side: over HTTP, through the hub's own client, each call routed by its address."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from adapters.doordash import PROVIDER
from adapters.doordash.adapter import DoorDash
from adapters.doordash.extras import ReportParams, ReportRef
from adapters.doordash.menu import own_menu_id
from hub.calls import StaticCredentials, VendorClient, open_session
from hub.clock import monotonic
from hub.contract import (
    AlreadyDone,
    AmendTask,
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
    OutcomeUnknown,
    Place,
    RateLimited,
    Rejected,
    Request,
    RetryLater,
    Step,
    Unreadable,
)
from hub.model import Category, Hours, Item, Menu, Modifier, ModifierGroup, Money, OrderState, StockLevel, StoreChange
from hub.model import menu as menus
from tests.contract.openapi import Spec, vendor_spec
from tests.contract.sandbox_client import Client, sandboxes

SLUG = "doordash"
STORE, OTHER = "harbour-01", "oldmill-02"
USD = {STORE: Place("USD", "America/New_York"), OTHER: Place("USD", "America/Chicago")}
EVENTS = ("orders", "order_canceled", "order_release", "order_adjustment", "dasher_status", "menu_status", "store_deactivated")


class Bench:
    """The adapter, its client, and an ingress that answers as the hub does and keeps what came."""

    def __init__(self) -> None:
        self.came: list[tuple[IngressRequest, list[Fact], int]] = []
        self.menu: Menu | None = None
        self.sent: list[Request] = []
        self.secret = ""
        self.sandbox: Client
        self.adapter: DoorDash
        self.client: VendorClient

    async def receive(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        suffix = request.path.removeprefix("/webhooks/doordash").strip("/")
        call = IngressRequest(request.method, suffix, dict(request.query), headers, await request.read(), str(request.url))
        ingress, host = PROVIDER.ingress, PROVIDER.menu_host
        assert ingress is not None
        assert host is not None
        if not ingress.signed(call, [self.secret]):
            answer = ingress.refused("bad_signature")
        elif (wanted := host.wanted(call)) is not None:
            assert self.menu is not None
            answer = host.document(wanted, self.menu, call)
        else:
            facts = list(ingress.facts(call))
            answer = ingress.stored(facts)
            self.came.append((call, facts, answer.status))
        return web.Response(status=answer.status, body=answer.body, content_type="application/json")

    async def fact(self, kind: str, subject: str = "", nth: int = 0) -> tuple[Fact, bytes]:
        """The nth such fact, once it came, and the body that told it."""
        async with asyncio.timeout(5):
            while True:
                found = [
                    (fact, call.body)
                    for call, facts, _ in self.came
                    for fact in facts
                    if fact.kind == kind and fact.subject.startswith(subject)
                ]
                if len(found) > nth:
                    return found[nth]
                await asyncio.sleep(0.01)

    async def do(self, step: Step | None) -> Done:
        """Carry a step out as the hub does."""
        assert step is not None
        self.sent.append(step.request)
        response = await self.client.send(step.request, not_after=monotonic() + 10)
        return self.adapter.read_step(step.name, response)

    async def control(self, path: str, body: Any = None) -> Any:
        return await self.sandbox.control("POST", f"/{SLUG}/{path}", body or {})

    async def placed(self, **more: Any) -> Fetched:
        """An order as it comes in."""
        order = (await self.control("orders", {"store": STORE, **more}))["orders"][0]
        fact, body = await self.fact("order.placed", f"order/{order}")
        assert fact.store_ref == {"store": STORE, **more}["store"]
        return await self.adapter.fetch_order(order, body, USD)

    async def row(self, order: str) -> Any:
        return next(each for each in (await self.sandbox.state(SLUG))["orders"] if each["id"] == order)

    async def rejected(self) -> list[str]:
        return [each["reason"] for each in (await self.sandbox.state(SLUG))["rejected"]]

    async def stock(self) -> set[str]:
        return {each["item"] for each in (await self.sandbox.state(SLUG))["stock"]}


def task(fetched: Fetched, **more: Any) -> DecisionTask:
    """A word about an order."""
    order = fetched.order
    return DecisionTask("ord_1", order.platform_order_id, order.store_ref, vendor_refs=order.vendor_refs, **more)


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    """A sandbox, a connection to it, and every address registered."""
    made = Bench()
    app = web.Application()
    app.router.add_route("*", "/webhooks/doordash{rest:.*}", made.receive)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    root = f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks/doordash"
    try:
        async with sandboxes(seed="doordash-adapter") as sandbox, open_session() as session:
            credentials = (await sandbox.control("GET", ""))[SLUG]["app"]
            made.sandbox, made.secret = sandbox, credentials["webhook_secret"]
            made.client = VendorClient(
                slug=SLUG,
                session=session,
                bases={"api": f"{sandbox.root}/{SLUG}"},
                auth=PROVIDER.auth(PROVIDER.facts),
                tokens=StaticCredentials(credentials),
            )
            details = {name: credentials[name] for name, field in PROVIDER.facts.credentials.items() if not field.secret}
            made.adapter = DoorDash(PROVIDER.facts, Connected("con_x", "simulator", {}, root, details), made.client)
            made.client.use_failures(made.adapter.failure)
            for event in EVENTS:
                await made.control("webhooks", {"url": f"{root}/{event}", "events": [event]})
            pull = f"{root}/menu_request/{credentials['provider_type']}"
            await made.control("webhooks", {"url": pull, "events": ["menu_request"]})
            yield made
    finally:
        await runner.cleanup()


def own_menu(price: int = 1299) -> Menu:
    """Nested choices, two taxes, Arabic, hours past midnight."""
    bun = ModifierGroup("g-bun", "Bun", 1, 1, (menus.Modifier("m-brioche", "Brioche", Money(0, "USD"), default=True),))
    spicy = menus.Modifier("m-spicy", "حار", Money(50, "USD"), group_ids=("g-bun",))
    heat = ModifierGroup("g-heat", "Heat", 0, 2, (spicy, menus.Modifier("m-mild", "Mild", Money(0, "USD"))))
    items = (
        Item("i-burger", "Burger", Money(price, "USD"), group_ids=("g-heat",), tax_ids=("t",), description="Grilled"),
        Item("i-juice", "عصير برتقال", Money(400, "USD"), tax_ids=("t",)),
    )
    hours = (Hours("friday", "10:00", "16:00"), Hours("friday", "15:00", "02:00"))
    categories = (Category("c", "Main", ("i-burger", "i-juice", "i-gone")),)
    return Menu("USD", categories, items, (heat, bun), (menus.Tax("t", "Sales", "8.875"),), hours)


@pytest.mark.parametrize("bearer", [0, 1])
async def test_an_order_is_answered_202_and_confirmed_by_a_later_call(bench: Bench, bearer: int) -> None:
    """Whichever way the secret comes, nothing is confirmed until the accept; then ready goes out under the same reference."""
    await bench.control("settings", {"webhook_bearer": bearer})
    fetched = await bench.placed(type="delivery")
    order = fetched.order.platform_order_id
    assert bench.came[-1][2] == 202
    assert fetched.state is OrderState.RECEIVED
    assert (await bench.row(order))["state"] == "NEW"
    estimate = fetched.order.fulfilment.ready_at
    await bench.do(bench.adapter.accept_step(task(fetched, ready_at=estimate)))
    row = await bench.row(order)
    assert (row["state"], row["reference"], row["prep_time"]) == ("CONFIRMED", "ord_1", None)
    with pytest.raises(AlreadyDone):
        await bench.do(bench.adapter.accept_step(task(fetched)))
    await bench.do(bench.adapter.ready_step(task(fetched)))
    await bench.do(bench.adapter.ready_step(task(fetched)))
    assert (await bench.row(order))["state"] == "READY"
    assert await bench.rejected() == []


async def test_a_time_of_the_kitchens_own_goes_along(bench: Bench) -> None:
    """Only DoorDash's estimate is kept back."""
    fetched = await bench.placed()
    own = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=31)
    await bench.do(bench.adapter.accept_step(task(fetched, ready_at=own)))
    assert (await bench.row(fetched.order.platform_order_id))["prep_time"] == own.isoformat().replace("+00:00", "Z")


async def test_every_reason_for_refusing_is_one_doordash_takes(bench: Bench) -> None:
    """An order fails with words and a code; refusing twice was done before."""
    for reason in PROVIDER.facts.reject_reasons:
        fetched = await bench.placed()
        await bench.do(bench.adapter.reject_step(task(fetched, reason=reason, detail="Classic Burger")))
        row = await bench.row(fetched.order.platform_order_id)
        assert row["state"] == "FAILED"
        assert row["failure"].endswith(" - Classic Burger")
    with pytest.raises(AlreadyDone):
        await bench.do(bench.adapter.reject_step(task(fetched)))
    assert await bench.rejected() == []


async def test_too_late_and_unknown_orders_are_refused_for_good(bench: Bench) -> None:
    """Expired is not the same as processed before."""
    fetched = await bench.placed(accept_deadline_s=0.01)
    await asyncio.sleep(0.1)
    with pytest.raises(Rejected) as told:
        await bench.do(bench.adapter.accept_step(task(fetched)))
    assert told.value.code == "expired"
    with pytest.raises(NotFound):
        await bench.do(bench.adapter.accept_step(DecisionTask("ord_2", "no/such order", STORE)))


@pytest.mark.parametrize("store", [STORE, OTHER])
async def test_totals_of_drawn_orders_are_doordashs_own(bench: Bench, store: str) -> None:
    """Promotions, tips, own deliveries and remitted taxes: nothing lost, and the merchant's part leaves out what DoorDash remits."""
    await bench.control("settings", {"nested_as_extra": int(store == OTHER)})
    ids: Sequence[str] = (await bench.control("orders", {"store": store, "count": 60}))["orders"]
    rows = {row["id"]: row for row in (await bench.sandbox.state(SLUG))["orders"]}
    seen: set[str] = set()
    for order in ids:
        _, body = await bench.fact("order.placed", f"order/{order}")
        mapped = (await bench.adapter.fetch_order(order, body, USD)).order
        row = rows[order]
        assert mapped.total.amount == row["total"], row
        assert [(line.plu, line.quantity, line.total.amount) for line in mapped.lines] == [
            (each["id"], each["quantity"], each["total"])
            for each in sorted(row["items"], key=lambda each: [line.plu for line in mapped.lines].index(each["id"]))
        ]
        remitted = row["tax"] if store == OTHER and not row["fees"] else 0
        if not row["fees"]:
            assert mapped.merchant_total().amount + mapped.merchant_tip().amount == row["total"] - remitted
        assert all(line.total == line.expected_total() for line in mapped.lines)
        seen |= {each["funded_by"] for each in row["discounts"]} | {mapped.fulfilment.kind} | {tip.to for tip in mapped.tips}
        assert (mapped.customer.address is not None) == (mapped.fulfilment.kind == "delivery_by_merchant")
    assert seen == {"merchant", "doordash", "delivery_by_platform", "delivery_by_merchant", "pickup"}


async def test_a_lost_order_cannot_be_read(bench: Bench) -> None:
    """Without its call there is no order; a call about it does not hold it."""
    for notice in (b"", b'{"external_order_id":"x","store":{"merchant_supplied_id":"s"}}'):
        with pytest.raises(Unreadable):
            await bench.adapter.fetch_order("x", notice)


async def test_cancels_run_both_ways(bench: Bench) -> None:
    """The consumer's is told under our reference's order; ours gives a reason, and twice is done before."""
    fetched = await bench.placed()
    order = fetched.order.platform_order_id
    await bench.do(bench.adapter.accept_step(task(fetched)))
    await bench.control(f"orders/{order}/cancel")
    fact, body = await bench.fact("order.cancelled", f"order/{order}")
    assert (fact.dedupe_key, fact.store_ref) == (f"order/{order}/cancelled", STORE)
    assert bench.adapter.notice_state(body) is OrderState.CANCELLED
    with pytest.raises(AlreadyDone):
        await bench.do(bench.adapter.cancel_step(task(fetched)))

    fetched = await bench.placed()
    with pytest.raises(Rejected):
        await bench.do(bench.adapter.cancel_step(task(fetched)))
    await bench.do(bench.adapter.accept_step(task(fetched)))
    await bench.do(bench.adapter.cancel_step(task(fetched, reason="busy", detail="oven broke")))
    row = await bench.row(fetched.order.platform_order_id)
    assert (row["state"], row["failure"]) == ("CANCELLED", "merchant: KITCHEN_BUSY oven broke")
    fact, _ = await bench.fact("store.changed")
    assert fact.subject == f"store/{STORE}"
    await bench.control("settings", {"cancellation_allowed": 0})
    with pytest.raises(Misconfigured, match="listed providers"):
        await bench.do(bench.adapter.cancel_step(task(fetched)))


async def test_the_dasher_is_followed(bench: Bench) -> None:
    """Each step moves the courier; leaving and arriving move the order too; a release is no word from the kitchen."""
    fetched = await bench.placed(type="delivery")
    order = fetched.order.platform_order_id
    await bench.do(bench.adapter.accept_step(task(fetched)))
    steps = {
        "release": "near",
        "dasher_confirmed": "assigned",
        "arriving_at_store": "near",
        "arrived_at_store": "arrived",
        "dasher_out_for_delivery": "picked_up",
        "dropoff": "delivered",
    }
    for place, (word, state) in enumerate(steps.items()):
        await bench.control(f"orders/{order}/courier", {"state": word})
        _, body = await bench.fact("courier.moved", f"order/{order}", place)
        (sighting,) = bench.adapter.couriers(body)
        assert (sighting.platform_order_id, sighting.state) == (order, state)
        assert (sighting.latitude != "") == (word == "release")
        moved = {"dasher_out_for_delivery": OrderState.PICKED_UP, "dropoff": OrderState.DELIVERED}
        assert bench.adapter.notice_state(body) is moved.get(word)
    assert (await bench.fact("order.changed", f"order/{order}", 1))[0].dedupe_key == f"order/{order}/changed/delivered"
    assert {status for _, facts, status in bench.came if facts[0].kind != "order.placed"} == {200}


async def test_lines_are_reduced_and_taken_out(bench: Bench) -> None:
    """By DoorDash's line ids; the whole order comes back, and a line that is gone was taken out before."""
    items = [{"id": "burger-single", "quantity": 3}, {"id": "fries", "quantity": 1}, {"id": "brulee", "quantity": 1}]
    fetched = await bench.placed(items=items, plain=True)
    order, lines = fetched.order, {line.plu: line.id for line in fetched.order.lines}
    await bench.do(bench.adapter.accept_step(task(fetched)))

    def amend(**quantities: int) -> Step | None:
        wanted = {lines[plu.replace("_", "-")]: quantity for plu, quantity in quantities.items()}
        return bench.adapter.amend_step(AmendTask(task(fetched), order, wanted))

    await bench.do(amend(burger_single=2))
    await bench.do(amend(fries=0))
    _, body = await bench.fact("order.changed", f"order/{order.platform_order_id}", 1)
    assert bench.adapter.notice_state(body) is None
    changed = (await bench.adapter.fetch_order(order.platform_order_id, body, USD)).order
    assert [(line.plu, line.quantity) for line in changed.lines] == [("burger-single", 2), ("brulee", 1)]
    with pytest.raises(AlreadyDone):
        await bench.do(amend(fries=0))
    with pytest.raises(NotFound):
        await bench.do(amend(burger_single=1, fries=0))
    assert amend(burger_single=3) is None


async def test_a_menu_is_pushed_told_and_replaced(bench: Bench) -> None:
    """The job's reference comes back; a second push waits for the first, and takes its place under our own menu id."""
    done = await bench.do(bench.adapter.push_menu_step(STORE, own_menu()))
    with pytest.raises(RetryLater):
        await bench.do(bench.adapter.push_menu_step(STORE, own_menu()))
    fact, body = await bench.fact("menu.job")
    assert (fact.subject, bench.adapter.job_results(body)) == (f"menu/{STORE}", [JobResult(STORE, "done", done.job)])
    again = await bench.do(bench.adapter.push_menu_step(STORE, own_menu(price=1399)))
    _, body = await bench.fact("menu.job", nth=1)
    assert bench.adapter.job_results(body)[0].job == again.job
    assert await bench.adapter.read_back(STORE) == {"i-burger", "i-juice"}
    shown = next(each for each in (await bench.sandbox.state(SLUG))["menus"] if each["store"] == STORE)
    assert {each["id"]: each["price"] for each in shown["items"]} == {
        "i-burger": 1399,
        "i-juice": 400,
        "m-spicy": 50,
        "m-mild": 0,
        "m-brioche": 0,
    }
    fetched = await bench.placed(items=[{"id": "i-burger", "modifiers": [{"id": "m-spicy", "modifiers": [{"id": "m-brioche"}]}]}])
    (line,) = fetched.order.lines
    assert (line.plu, line.total.amount) == ("i-burger", 1449)
    assert line.modifiers == (Modifier("m-spicy", "حار", 1, Money(50, "USD"), "m-spicy", "g-heat", "Heat", (_brioche(),)),)


def _brioche() -> Modifier:
    return Modifier("m-brioche", "Brioche", 1, Money(0, "USD"), "m-brioche", "g-bun", "Bun")


async def test_menus_that_fail_say_why(bench: Bench) -> None:
    """A job that fails, a store that is being onboarded, and one that is not there."""
    await bench.control("settings", {"fail_menu_jobs": 1})
    done = await bench.do(bench.adapter.push_menu_step(STORE, own_menu()))
    _, body = await bench.fact("menu.job")
    assert bench.adapter.job_results(body) == [JobResult(STORE, "failed", done.job, "The menu could not be processed")]
    await bench.control(f"stores/{STORE}", {"onboarding": True})
    with pytest.raises(Misconfigured, match="onboarded"):
        await bench.do(bench.adapter.push_menu_step(STORE, own_menu()))
    with pytest.raises(NotFound):
        await bench.do(bench.adapter.push_menu_step("nowhere", own_menu()))


async def test_a_menu_is_pulled(bench: Bench) -> None:
    """First a new menu, then an update by its id; both are told as jobs like a pushed one."""
    bench.menu = own_menu()
    for turn in range(2):
        await bench.control(f"stores/{STORE}", {"request_menu": True})
        _, body = await bench.fact("menu.job", nth=turn)
        assert [result.outcome for result in bench.adapter.job_results(body)] == ["done"]
        assert json.loads(body)["event"]["type"] == ("MenuUpdate" if turn else "MenuCreate")
    assert await bench.adapter.read_back(STORE) == {"i-burger", "i-juice"}
    assert await bench.rejected() == []


async def test_items_and_options_go_off_sale_and_back(bench: Bench) -> None:
    """Each kind by its own call; a batch of which some are unknown says which, and the rest is set."""
    for available in (False, True):
        await bench.do(await bench.adapter.availability_step(STORE, [StockLevel("fries", available), StockLevel("water", available)]))
        await bench.do(await bench.adapter.availability_step(STORE, [StockLevel("bacon", available, kind="modifier")]))
        assert await bench.stock() == (set() if available else {"fries", "water", "bacon"})
    with pytest.raises(Rejected, match=r"1 of 2 were set.*no-such") as told:
        await bench.do(await bench.adapter.availability_step(STORE, [StockLevel("fries", False), StockLevel("no-such", False)]))
    assert (told.value.code, await bench.stock()) == ("partial", {"fries"})
    with pytest.raises(NotFound):
        await bench.do(await bench.adapter.availability_step(STORE, [StockLevel("no-such", False)]))
    await bench.control("settings", {"item_calls_per_minute": 0})
    with pytest.raises(RateLimited) as limited:
        await bench.do(await bench.adapter.availability_step(STORE, [StockLevel("fries", True)]))
    assert (limited.value.scope, (limited.value.after or 0) >= 1) == ("endpoint", True)


async def test_a_store_is_paused_and_opened(bench: Bench) -> None:
    """A pause has an end; opening a store without bank data is refused, and other changes are not taken."""
    assert (await bench.adapter.store_status(STORE)).status == "open"
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)
    await bench.do(await bench.adapter.store_step(STORE, StoreChange("pause", until, reason="pos_offline")))
    status = await bench.adapter.store_status(STORE)
    assert (status.status, status.until, status.reason) == ("paused", until, "store_pos_connectivity_issues: pos_offline")
    await bench.do(await bench.adapter.store_step(STORE, StoreChange("open")))
    assert (await bench.adapter.store_status(STORE)).status == "open"
    await bench.control(f"stores/{STORE}", {"status": "closed"})
    assert (await bench.adapter.store_status(STORE)).status == "closed"
    await bench.control(f"stores/{STORE}", {"bank": False})
    with pytest.raises(Rejected) as told:
        await bench.do(await bench.adapter.store_step(STORE, StoreChange("open")))
    assert "bank" in told.value.detail
    with pytest.raises(Rejected, match="open and pause"):
        await bench.adapter.store_step(STORE, StoreChange("prep_time", prep_seconds=60))
    with pytest.raises(NotFound):
        await bench.adapter.store_status("no/where")


async def test_reports_are_ordered_and_fetched(bench: Bench) -> None:
    """Running first, then a link."""
    extras = bench.adapter.extras()
    assert set(extras) == set(PROVIDER.facts.extras)
    create, link = extras["report_create"], extras["report_link"]
    assert create.step is not None
    assert create.done is not None
    assert link.read is not None
    today = datetime.now(UTC).date()
    made = create.done(await bench.do(await create.step(ReportParams("ORDER_DETAIL", today, today, (700101,)))))
    assert (await link.read(ReportRef(made.id))).state == "running"
    await asyncio.sleep(0.3)
    ready = await link.read(ReportRef(made.id))
    assert (ready.state, ready.link.startswith(bench.sandbox.root)) == ("ready", True)
    with pytest.raises(NotFound):
        await link.read(ReportRef("no-such"))
    with pytest.raises(Rejected):
        await create.step(ReportParams("ORDER_DETAIL", today, date(2020, 1, 1)))


async def test_tokens_are_made_anew_and_a_wrong_key_is_told(bench: Bench) -> None:
    """The connection test succeeds without a store; expired tokens are replaced at once; another secret is a revocation."""
    assert "knows this key" in await bench.adapter.test()
    await bench.control("faults", {"expire_tokens": True})
    assert (await bench.adapter.store_status(STORE)).status == "open"
    credentials = {**(await bench.sandbox.control("GET", ""))[SLUG]["app"], "signing_secret": "c2VjcmV0"}
    async with open_session() as session:
        bases = {"api": f"{bench.sandbox.root}/{SLUG}"}
        auth = PROVIDER.auth(PROVIDER.facts)
        client = VendorClient(slug=SLUG, session=session, bases=bases, auth=auth, tokens=StaticCredentials(credentials))
        details = {"provider_type": credentials["provider_type"]}
        with pytest.raises(AuthRevoked):
            await DoorDash(PROVIDER.facts, Connected("con_y", "simulator", details=details), client).test()


async def test_what_took_effect_before_its_answer_was_lost_is_one_effect(bench: Bench) -> None:
    """The same confirmation again finds itself done."""
    fetched = await bench.placed()
    step = bench.adapter.accept_step(task(fetched))
    await bench.control("faults", {"timeout_after_effect": 1, "hold_ms": 50})
    with pytest.raises(OutcomeUnknown):
        await bench.do(step)
    await bench.control("faults", {"timeout_after_effect": 0})
    with pytest.raises(AlreadyDone):
        await bench.do(step)
    assert (await bench.row(fetched.order.platform_order_id))["state"] == "CONFIRMED"


async def test_requests_are_what_doordashs_document_describes(bench: Bench) -> None:
    """Every write with a body, against the official document."""
    spec = Spec.load(vendor_spec(SLUG, "marketplace-openapi-trimmed.json"))
    fetched = await bench.placed(items=[{"id": "burger-single", "quantity": 3}, {"id": "fries"}])
    adapter, line = bench.adapter, fetched.order.lines[0].id
    later = datetime.now(UTC) + timedelta(hours=1)
    steps = [
        adapter.accept_step(task(fetched, ready_at=later)),
        adapter.reject_step(task(fetched, reason="closed")),
        adapter.ready_step(task(fetched)),
        adapter.cancel_step(task(fetched, reason="other", detail="x")),
        adapter.amend_step(AmendTask(task(fetched), fetched.order, {line: 1})),
        adapter.push_menu_step(STORE, own_menu()),
        await adapter.availability_step(STORE, [StockLevel("fries", False)]),
        await adapter.availability_step(STORE, [StockLevel("bacon", False, kind="modifier")]),
        await adapter.store_step(STORE, StoreChange("pause", later, reason="x")),
    ]
    for step in steps:
        assert step is not None
        spec.check_request(step.request.method, step.request.path.removeprefix("/marketplace"), json.loads(step.request.body))
    assert own_menu_id(STORE) == "hub-harbour-01"
