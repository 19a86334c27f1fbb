"""K-Series' adapter against its simulated side: orders judged by webhook, menu, counts, readiness, reports, tokens that rotate."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import pytest
import pytest_asyncio

from adapters.lightspeed import PROVIDER
from adapters.lightspeed.adapter import Lightspeed
from adapters.lightspeed.extras import DayParams, EndpointParams, SalesParams
from hub.calls import StaticCredentials, VendorClient, open_session
from hub.clock import monotonic
from hub.contract import (
    AlreadyDone,
    AuthRevoked,
    Connected,
    Done,
    Extra,
    Fact,
    IngressRequest,
    Misconfigured,
    Offline,
    PlaceParams,
    PosOrder,
    Queued,
    Rejected,
    Request,
    Step,
    SubmitTask,
)
from hub.model import (
    Address,
    Charge,
    Customer,
    Discount,
    Fulfilment,
    Line,
    Modifier,
    Money,
    Order,
    OrderState,
    Payment,
    StoreStatus,
    Tax,
    Tip,
)
from tests.contract.sandbox_client import Client, sandboxes

STORE = "61700452100101"
SETTINGS = {"delivery_profile": "DELIVERY", "takeaway_profile": "TAKEAWAY", "open_item": "FEE-1", "discount_item": "OFF-1"}
SLUG = "lightspeed"


def eur(amount: int) -> Money:
    """Cents."""
    return Money(amount, "EUR")


@dataclass
class Bench:
    """An adapter with its real client, and the vendor's control API."""

    vendor: Client
    client: VendorClient
    adapter: Lightspeed
    credentials: Mapping[str, str]
    seen: int = 0
    facts: list[Fact] = field(default_factory=list)

    async def carry_out(self, step: Step) -> Done:
        """Send a step and read its answer, as the hub does."""
        response = await self.client.send(step.request, not_after=monotonic() + 10)
        return self.adapter.read_step(step.name, response)

    async def submit(self, task: SubmitTask) -> Queued:
        """The whole plan."""
        done: dict[str, Done] = {}
        while isinstance(answer := await self.adapter.submit(task, done), Step):
            try:
                done[answer.name] = await self.carry_out(answer)
            except AlreadyDone:
                done[answer.name] = Done(data={"settled": True})
        assert isinstance(answer, Queued), answer
        return answer

    async def hear(self, kind: str = "pos_order.changed") -> tuple[Fact, bytes]:
        """The next webhook that tells such a fact, verified."""
        while True:
            headers, body = (await self.vendor.hooks.wait(self.seen + 1))[self.seen]
            self.seen += 1
            request = IngressRequest("POST", "", {}, headers, body, self.vendor.hooks.url)
            assert PROVIDER.ingress is not None
            assert PROVIDER.ingress.signed(request, [self.credentials["webhook_password"]])
            assert not PROVIDER.ingress.signed(request, ["another"])
            (fact,) = PROVIDER.ingress.facts(request)
            self.facts.append(fact)
            if fact.kind == kind:
                return fact, body

    async def order(self) -> PosOrder:
        """What the next webhook about an order says."""
        fact, body = await self.hear()
        return await self.adapter.order(fact.subject.partition("/")[2], body)

    async def run(self, name: str, params: Any) -> Any:
        """An extra, read or run."""
        extra: Extra = self.adapter.extras()[name]
        assert isinstance(params, extra.params)
        if extra.read is not None:
            return await extra.read(params)
        assert extra.step is not None
        assert extra.done is not None
        return extra.done(await self.carry_out(await extra.step(params)))

    async def row(self, reference: str) -> dict[str, Any]:
        """The order as the vendor has it."""
        orders = (await self.vendor.state(SLUG))["orders"]
        return next(each for each in orders if each["reference"] == reference)


async def bench(vendor: Client, settings: Mapping[str, Any], *, drop: tuple[str, ...] = ()) -> tuple[Bench, Any]:
    """A bench and the session to close."""
    told = (await vendor.control("GET", ""))[SLUG]
    credentials = {name: value for name, value in {**told["app"], **told["credentials"]}.items() if name not in drop}
    session = open_session()
    client = VendorClient(
        slug=SLUG,
        session=session,
        bases={"api": f"{vendor.root}/{SLUG}"},
        auth=PROVIDER.auth(PROVIDER.facts),
        tokens=StaticCredentials(credentials),
    )
    details = {name: credentials[name] for name, f in PROVIDER.facts.credentials.items() if not f.secret and name in credentials}
    defaults = {name: f.default for name, f in PROVIDER.facts.settings.items()}
    connected = Connected("con_x", "simulator", defaults | dict(settings), vendor.hooks.url, details)
    adapter = Lightspeed(PROVIDER.facts, connected, client)
    client.use_failures(adapter.failure)
    return Bench(vendor, client, adapter, credentials), session


@pytest_asyncio.fixture
async def pos() -> AsyncIterator[Bench]:
    """A connected restaurant whose endpoint is registered by the adapter itself."""
    async with sandboxes() as vendor:
        await vendor.control("POST", f"/{SLUG}/settings", {"order_delay_s": 0})
        made, session = await bench(vendor, SETTINGS)
        async with session:
            endpoint = await made.run("webhook", EndpointParams(made.credentials["webhook_password"]))
            assert (endpoint.id, endpoint.url) == (made.credentials["endpoint_id"], vendor.hooks.url)
            yield made


PRODUCTS = {
    "burger": "BRG-1", "bun": "O-BRI", "patty": "O-PAT", "rare": "O-RAR", "cook": "instruction:61700452106001",
    "combo": "CMB-1", "falafel": "FLF-1", "wine": "WIN-1", "tahini": "O-TAH",
}  # fmt: skip


def sold(**more: Any) -> Order:
    """Two burgers with a patty done rare, a combo, and a line that the POS does not know."""
    rare = Modifier("rare", "Patty rare", 1, eur(0))
    options = (
        Modifier("bun", "Brioche", 1, eur(0)),
        Modifier("patty", "Extra Patty", 1, eur(350), modifiers=(rare,)),
        Modifier("cook", "Rare", 1, eur(0)),
        Modifier("gold", "Gold leaf", 2, eur(100)),
    )
    wrap = Modifier("falafel", "Falafel", 1, eur(0), modifiers=(Modifier("tahini", "Tahini", 1, eur(50)),))
    lines = (
        Line("burger", "Burger", 2, eur(1400), eur(3900), modifiers=options, note="بدون بصل"),
        Line("combo", "Lunch Deal", 1, eur(1450), eur(1850), modifiers=(wrap, Modifier("wine", "Wine", 1, eur(350)))),
        Line("cake", "Birthday cake", 1, eur(2200), eur(2200)),
    )
    given: dict[str, Any] = {
        "platform": "ubereats",
        "platform_order_id": "0b7a2a54",
        "store_ref": "store-1",
        "currency": "EUR",
        "lines": lines,
        "total": eur(8500),
        "placed_at": datetime.now(UTC),
        "fulfilment": Fulfilment("delivery_by_platform", ready_at=datetime.now(UTC) + timedelta(minutes=25)),
        "display_id": "B2AB1",
        "customer": Customer("نورة Whitfield", "+1 (555) 010-0123", address=Address("1 Quai", city="Paris", postal_code="75001")),
        "charges": (Charge("delivery", "Delivery", eur(299), "merchant"), Charge("service", "Service", eur(99), "platform")),
        "discounts": (Discount("Promo", eur(500), "merchant"),),
        "tips": (Tip(eur(200), "merchant"),),
        "payments": (Payment("prepaid", eur(8500)),),
    }
    return Order(**{**given, **more})


def task(order: Order | None = None, reference: str = "ord_01jd0000000000000000000000", **more: Any) -> SubmitTask:
    """An order for the first location."""
    return SubmitTask(reference, order or sold(), STORE, PRODUCTS, **more)


async def test_an_order_is_queued_told_and_followed_to_its_end(pos: Bench) -> None:
    """The answer is a queue; SUCCESS accepts with the check's total, which is what the merchant is owed, to the cent."""
    sent = task()
    queued = await pos.submit(sent)
    assert queued.pos_order_id == sent.reference
    assert timedelta(0) < queued.until - datetime.now(UTC) < timedelta(minutes=7)
    seen = await pos.order()
    assert (seen.pos_order_id, seen.reference, seen.state) == (sent.reference, sent.reference, OrderState.ACCEPTED)
    assert seen.total == sent.order.merchant_total() == eur(7749)
    shown = await pos.row(sent.reference)
    assert (shown["total"], shown["tip"], shown["profile"], shown["collection_code"]) == (7749, 200, "DELIVERY", "B2AB1")
    assert (shown["customer"], shown["phone"], shown["address"]["zip"]) == ("نورة Whitfield", "+15550100123", "75001")
    assert shown["payments"] == [{"amount": 7749, "type": "OOPAYMENT", "reference": sent.reference}]
    assert "2x Burger: + 2x Gold leaf, بدون بصل" in shown["note"]
    lines = [(each["id"], each["name"], each["total"]) for each in shown["items"]]
    assert lines == [
        ("BRG-1", "Classic Burger", 3246),
        ("FEE-1", "Burger: Gold leaf", 400),
        ("CMB-1", "Lunch Deal", 1850),
        ("FEE-1", "Birthday cake", 2200),
        ("FEE-1", "Delivery", 299),
        ("OFF-1", "Promo", -500),
        ("FEE-1", "Channel adjustment", 254),
    ]
    options = [(each["id"], each["quantity"]) for each in shown["items"][0]["modifiers"]]
    assert options == [("61700452106001", 1), ("O-BRI", 1), ("O-PAT", 1), ("O-RAR", 1)]
    states = (("preparing", OrderState.ACCEPTED), ("ready", OrderState.READY), ("picked_up", OrderState.PICKED_UP))
    for state, expected in (*states, ("completed", OrderState.COMPLETED)):
        await pos.vendor.control("POST", f"/{SLUG}/orders/{sent.reference}/pos-status", {"state": state})
        assert (await pos.order()).state is expected
    assert len({fact.dedupe_key for fact in pos.facts}) == len(pos.facts) == 6


@pytest.mark.parametrize(("currency", "included"), [("USD", False), ("KWD", True), ("KWD", False), ("JPY", False)])
async def test_currencies_and_taxes_on_top(pos: Bench, currency: str, included: bool) -> None:
    """The POS's own total, tax added or not, is what the merchant is owed in the currency's smallest unit."""
    store = {"status": "open", "create": True, "currency": currency, "tax_included": included}
    await pos.vendor.control("POST", f"/{SLUG}/stores/7001", store)
    line = Line("salad", "Salad", 3, Money(1100, currency), Money(3300, currency))
    order = sold(
        currency=currency,
        lines=(line,),
        total=Money(4000, currency),
        charges=(Charge("delivery", "Delivery", Money(299, currency), "merchant"),),
        discounts=(),
        tips=(),
        taxes=(Tax("Sales tax", Money(390, currency), "merchant"),),
    )
    await pos.submit(SubmitTask("ord_01jd0000000000000000000007", order, "7001", {"salad": "CSR-1"}))
    seen = await pos.order()
    assert (seen.state, seen.reason, seen.total) == (OrderState.ACCEPTED, "", order.merchant_total())


async def test_the_same_bytes_twice_are_one_order(pos: Bench) -> None:
    """A repeat is refused as a used reference, which is success; a new generation is an order of its own."""
    sent = task()
    step = await pos.adapter.submit(sent, {})
    assert isinstance(step, Step)
    await pos.carry_out(step)
    with pytest.raises(AlreadyDone):
        await pos.carry_out(step)
    assert (await pos.submit(sent)).pos_order_id == sent.reference
    again = await pos.submit(task(generation=2))
    assert again.pos_order_id == f"{sent.reference}-2"
    assert [(await pos.order()).reference for _ in range(2)] == [sent.reference] * 2
    assert len((await pos.vendor.state(SLUG))["orders"]) == 2


async def test_what_the_pos_refuses_and_what_staff_cancel_is_told(pos: Bench) -> None:
    """FAILURE comes with its reason though it lacks a type; CANCELLED after SUCCESS is a cancellation."""
    await pos.vendor.control("POST", f"/{SLUG}/stock", {"item": "FEE-1", "available": False})
    await pos.submit(task())
    seen = await pos.order()
    assert (seen.state, seen.reason) == (OrderState.FAILED, "item is not available: FEE-1")
    plain = sold(lines=(Line("combo", "Salad", 1, eur(1033), eur(1033)),), charges=(), discounts=(), tips=())
    kept = SubmitTask("ord_01jd0000000000000000000001", plain, STORE, {"combo": "CSR-1"})
    await pos.submit(kept)
    assert (await pos.order()).total == eur(1033)
    await pos.vendor.control("POST", f"/{SLUG}/orders/{kept.reference}/pos-status", {"state": "cancelled"})
    assert (await pos.order()).state is OrderState.CANCELLED


async def test_an_unready_location_is_offline_and_told_of(pos: Bench) -> None:
    """No order goes to a closed or unreachable POS; the endpoint hears when it opens once its location was added."""
    added = await pos.run("webhook_location", PlaceParams(STORE))
    assert (added.ref, added.outcome) == (STORE, "done")
    told: tuple[tuple[str, str, Literal["paused", "closed"]], ...] = (
        ("offline", "no POS device is reachable", "paused"),
        ("closed", "the sales period is closed", "closed"),
        ("paused", "the POS is not accepting online orders", "paused"),
    )
    for posed, why, status in told:
        await pos.vendor.control("POST", f"/{SLUG}/stores/{STORE}", {"status": posed})
        fact, _ = await pos.hear("store.changed")
        assert (fact.subject, fact.store_ref) == (f"store/{STORE}", STORE)
        assert await pos.run("readiness", PlaceParams(STORE)) == StoreStatus(status, reason=why)
        other, session = await bench(pos.vendor, SETTINGS)
        async with session:
            assert await other.adapter.submit(task(), {}) == Offline(why)
            assert f"Harbour Street Kitchen: {why}" in await other.adapter.test()
    await pos.vendor.control("POST", f"/{SLUG}/stores/{STORE}", {"status": "open"})
    assert "Harbour Street Kitchen: ready" in await pos.adapter.test()


async def test_stores_menu_counts(pos: Bench) -> None:
    """Locations have currency and zone; the menu its combos, options and instructions; counts are read and told."""
    stores = {store.ref: store for store in await pos.adapter.list_stores()}
    assert (stores[STORE].currency, stores[STORE].timezone) == ("EUR", "Europe/Paris")
    menu = await pos.adapter.read_menu(STORE)
    wine = next(item for item in menu.items if item.id == "WIN-1")
    assert (wine.contains_alcohol, wine.allergens) == (True, ("SULPHITES",))
    things, groups = menu.sellable(), {group.id: group for group in menu.groups}
    assert "FEE-1" not in things
    assert "OFF-1" not in things
    burger, combo = menu.item("BRG-1"), menu.item("CMB-1")
    assert burger is not None
    assert combo is not None
    assert (burger.price, burger.description) == (eur(1290), "Dry-aged beef")
    assert burger.group_ids == ("G-BUN", "G-EXTRA", "instruction:61700452105001", "instruction:61700452105002")
    assert [(groups[g].minimum, groups[g].maximum) for g in burger.group_ids] == [(1, 1), (0, 4), (0, 1), (0, 0)]
    assert [(m.id, m.price) for m in groups[combo.group_ids[1]].modifiers] == [("WTR-1", eur(0)), ("CAF-1", eur(0)), ("WIN-1", eur(350))]
    assert next(m for m in groups["G-EXTRA"].modifiers if m.id == "O-PAT").group_ids == ("G-DONE",)
    assert {(tax.rate, tax.inclusive) for tax in menu.taxes} == {("10", True), ("20", True)}
    assert all(set(each.group_ids) <= set(groups) for each in things.values())
    await pos.run("webhook_location", PlaceParams(STORE))
    for item, body in (("FRY-1", {"available": True, "count": 3}), ("O-TAH", {"available": False})):
        await pos.vendor.control("POST", f"/{SLUG}/stock", {"item": item, **body})
        fact, _ = await pos.hear("stock.changed")
        assert (fact.subject, fact.store_ref) == ("sync/stock", STORE)
    levels = {level.id: level for level in await pos.adapter.read_stock(STORE)}
    assert [(e.available, e.quantity, e.kind) for e in levels.values()] == [(True, 3, "item"), (False, 0, "modifier")]
    rows = await pos.run("inventory", PlaceParams(STORE))
    assert [(row.id, row.name, row.quantity) for row in rows] == [("FRY-1", "Jalapeño Fries", "3"), ("O-TAH", "Tahini", "0")]


async def test_reports(pos: Bench) -> None:
    """A closed check is in the day's sales by group and among its receipts; payment methods are listed."""
    sent = task()
    await pos.submit(sent)
    await pos.order()
    await pos.vendor.control("POST", f"/{SLUG}/orders/{sent.reference}/pos-status", {"state": "completed"})
    today = datetime.now(UTC).date()
    sales = await pos.run("sales", SalesParams(STORE, today - timedelta(days=1), today + timedelta(days=1)))
    by_group = {row.key: row.total.amount for row in sales}
    assert sum(by_group.values()) == 7749
    assert by_group["Other"] == 400 + 2200 + 299 - 500 + 254
    daily = [row for day in (today, today + timedelta(days=1)) for row in await pos.run("daily_financials", DayParams(STORE, day))]
    assert [row.total for row in daily] == [eur(7749)]
    assert "OOPAYMENT" in {method.code for method in await pos.run("payment_methods", PlaceParams(STORE))}
    with pytest.raises(Rejected, match="31 days"):
        await pos.run("sales", SalesParams(STORE, date(2026, 1, 1), date(2026, 3, 1)))


async def test_an_endpoint_is_made_once_and_changed_after_that(pos: Bench) -> None:
    """The registration says Basic, the account and all four subscriptions; a second one updates."""
    extra = pos.adapter.extras()["webhook"]
    assert extra.step is not None
    step = await extra.step(EndpointParams("another password"))
    assert (step.request.method, step.request.path) == ("POST", "/o/wh/1/webhook")
    body = json.loads(step.request.body)
    assert (body["withBasicAuth"], body["provideAccount"], len(body["subscribeTo"])) == (True, True, 4)
    await pos.carry_out(step)
    assert "another password" not in repr(EndpointParams("another password"))
    await pos.submit(task())
    headers, _ = (await pos.vendor.hooks.wait(1))[0]
    request = IngressRequest("POST", "", {}, headers, b"{}", "")
    assert PROVIDER.ingress is not None
    assert PROVIDER.ingress.signed(request, ["another password"])


async def test_tokens_rotate_and_a_used_refresh_token_is_a_revocation(pos: Bench) -> None:
    """An expired token is refreshed by form and Basic, once; the next refresh uses the new refresh token."""
    other, session = await bench(pos.vendor, SETTINGS)
    stale, second = await bench(pos.vendor, SETTINGS)
    async with session, second:
        for _ in range(2):
            await pos.vendor.control("POST", f"/{SLUG}/faults", {"expire_tokens": True})
            assert len(await other.adapter.list_stores()) == 2
        with pytest.raises(AuthRevoked):
            await stale.adapter.list_stores()


async def test_settings_that_are_wrong_are_named(pos: Bench) -> None:
    """An endpoint that is not registered, a location of somebody else: a person must mend it."""
    gone = Request("DELETE", f"/o/wh/1/webhook/{pos.credentials['endpoint_id']}", "delete_webhook")
    await pos.client.send(gone, not_after=monotonic() + 5)
    step = await pos.adapter.submit(task(), {})
    assert isinstance(step, Step)
    with pytest.raises(Misconfigured, match="register the endpoint"):
        await pos.carry_out(step)
    with pytest.raises(Misconfigured, match="no business location 7"):
        await pos.adapter.read_menu("7")
