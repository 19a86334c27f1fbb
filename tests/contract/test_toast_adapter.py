"""Toast's adapter against its simulated side: orders priced, made, approved, cooked and voided; menu, stock, kitchen, webhooks."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from adapters.toast import PROVIDER
from adapters.toast.adapter import Toast
from adapters.toast.extras import BusinessDayParams
from adapters.toast.states import order_and_place
from hub.calls import StaticCredentials, VendorClient, open_session
from hub.clock import monotonic
from hub.contract import (
    CAPABILITIES,
    AlreadyDone,
    AuthRevoked,
    Cancelled,
    CancelTask,
    Connected,
    Done,
    Fact,
    IngressRequest,
    Misconfigured,
    NotFound,
    Offline,
    PlaceParams,
    PosRejected,
    Queued,
    RateLimited,
    Rejected,
    Step,
    SubmitTask,
    Submitted,
)
from hub.model import (
    Address,
    Charge,
    Customer,
    Discount,
    Fulfilment,
    Line,
    Menu,
    Modifier,
    Money,
    Order,
    OrderState,
    Payment,
    StockLevel,
    Tax,
    Tip,
)
from tests.contract.sandbox_client import Client, sandboxes
from tests.contract.test_sandbox_toast import conforms

SLUG = "toast"
STORE, OTHER, NEW = (
    "d3a1f6c2-6b0e-4f0a-9a51-3f1c5b7e2a01",
    "8c2e7b94-51d3-4c6e-8f27-6a90d4b1e702",
    "5b0c9e6e-6a55-4f0e-8a53-2d1f1d0a7c11",
)
SETTINGS = {"payment_type": "Delivery Platform"}


@dataclass
class Bench:
    """An adapter with its real client, the menu it read, and the vendor's control API."""

    vendor: Client
    client: VendorClient
    adapter: Toast
    secret: str
    menu: Menu
    seen: int = 0
    facts: list[Fact] = field(default_factory=list)

    def product(self, name: str, group: str = "") -> str:
        """The id of an item, or of an option of a group, by their names."""
        if not group:
            return next(item.id for item in self.menu.items if name in item.name)
        return next(m.id for g in self.menu.groups if g.name == group for m in g.modifiers if name in m.name)

    async def carry_out(self, step: Step) -> Done:
        """Send a step and read its answer, as the hub does."""
        return self.adapter.read_step(step.name, await self.client.send(step.request, not_after=monotonic() + 10))

    async def run(self, task: SubmitTask, done: dict[str, Done] | None = None) -> Submitted | Queued | Offline | PosRejected:
        """The whole plan of a submission."""
        done = {} if done is None else done
        while isinstance(answer := await self.adapter.submit(task, done), Step):
            try:
                done[answer.name] = await self.carry_out(answer)
            except AlreadyDone:
                done[answer.name] = Done(data={"settled": True})
        return answer

    async def hear(self, kind: str = "pos_order.changed") -> tuple[Fact, bytes]:
        """The next webhook that tells such a fact, verified."""
        assert PROVIDER.ingress is not None
        while True:
            headers, body = (await self.vendor.hooks.wait(self.seen + 1))[self.seen]
            self.seen += 1
            request = IngressRequest("POST", "", {}, headers, body, self.vendor.hooks.url)
            assert PROVIDER.ingress.signed(request, ["another", self.secret])
            assert not PROVIDER.ingress.signed(request, ["another"])
            (fact,) = PROVIDER.ingress.facts(request)
            self.facts.append(fact)
            if fact.kind == kind:
                return fact, body

    async def until(self, state: OrderState) -> Fact:
        """Hear of an order until a call says that it is there; every state on the way is read as the hub would."""
        while True:
            fact, body = await self.hear()
            seen = await self.adapter.order(fact.subject.removeprefix("order/"), body)
            assert fact.subject == f"order/{seen.pos_order_id}"
            if seen.state is state:
                return fact

    async def control(self, path: str, **body: Any) -> Any:
        """A control call."""
        return await self.vendor.control("POST", f"/{SLUG}/{path}", body)

    async def row(self, pos_order_id: str) -> dict[str, Any]:
        """The order as the vendor has it."""
        guid, _ = order_and_place(pos_order_id)
        return next(each for each in (await self.vendor.state(SLUG))["orders"] if each["id"] == guid)


async def bench(vendor: Client, settings: Mapping[str, Any], **credentials: str) -> tuple[Bench, Any]:
    """A bench, and the session to close."""
    told = (await vendor.control("GET", ""))[SLUG]
    assert sorted(told["app"]) == sorted(name for name, each in PROVIDER.facts.credentials.items() if each.of == "app")
    session = open_session()
    client = VendorClient(
        slug=SLUG,
        session=session,
        bases={"api": f"{vendor.root}/{SLUG}"},
        auth=PROVIDER.auth(PROVIDER.facts),
        tokens=StaticCredentials({**told["app"], **credentials}),
    )
    defaults = {name: each.default for name, each in PROVIDER.facts.settings.items()}
    adapter = Toast(PROVIDER.facts, Connected("con_x", "simulator", defaults | dict(settings), vendor.hooks.url), client)
    client.use_failures(adapter.failure)
    return Bench(vendor, client, adapter, told["app"]["webhook_secret"], Menu("USD", (), ())), session


@pytest_asyncio.fixture
async def pos() -> AsyncIterator[Bench]:
    """A connected restaurant whose menu was read, approving orders at once."""
    async with sandboxes() as vendor:
        await vendor.control("POST", f"/{SLUG}/webhooks", {"url": vendor.hooks.url})
        await vendor.control("POST", f"/{SLUG}/settings", {"approval_delay_s": 0})
        made, session = await bench(vendor, SETTINGS)
        async with session:
            made.menu = await made.adapter.read_menu(STORE)
            yield made


def money(amount: int, currency: str = "USD") -> Money:
    """Minor units."""
    return Money(amount, currency)


def sold(**more: Any) -> Order:
    """Two burgers with bacon and a meal, and a salad, at the menu's prices: 49.89."""
    drink = Modifier("lim", "Limonana", 1, money(85))
    options = (
        Modifier("bun", "Gluten-free", 1, money(135)),
        Modifier("bacon", "Bacon", 2, money(150)),
        Modifier("meal", "Meal", 1, money(450), modifiers=(drink,)),
        Modifier("onion", "Onion", 1, money(0), removed=True),
    )
    lines = (
        Line("burger", "Burger", 2, money(1099), money(4138), modifiers=options, note="بدون مخلل"),
        Line("salad", "Salad", 1, money(1033), money(1033)),
    )
    given: dict[str, Any] = {
        "platform": "ubereats",
        "platform_order_id": "0b7a2a54",
        "store_ref": "store-1",
        "currency": "USD",
        "lines": lines,
        "total": money(5171),
        "placed_at": datetime.now(UTC),
        "fulfilment": Fulfilment("delivery_by_platform", ready_at=datetime.now(UTC) + timedelta(minutes=25), courier="Uber"),
        "display_id": "B2AB1",
        "customer": Customer("نورة Whitfield", "+1 (555) 010-0123", phone_code="555 55"),
        "taxes": (Tax("Tax", money(459), "platform"),),
        "tips": (Tip(money(200), "merchant"),),
        "payments": (Payment("prepaid", money(5371)),),
    }
    return Order(**{**given, **more})


def task(pos: Bench, order: Order | None = None, reference: str = "ord_01jd0000000000000000000000", **more: Any) -> SubmitTask:
    """An order for the first restaurant."""
    products = {
        "burger": pos.product("Classic Burger"),
        "salad": pos.product("Caesar"),
        "bun": pos.product("Gluten-free", "Bun"),
        "bacon": pos.product("Bacon", "Extras"),
        "meal": pos.product("Fries", "Make it a Meal"),
        "lim": pos.product("Limonana", "Meal Drink"),
        "brulee": pos.product("brûlée"),
    }
    return SubmitTask(reference, order or sold(), STORE, products, **more)


async def test_it_has_what_its_facts_say(pos: Bench) -> None:
    """Every capability that provider.toml lists is implemented, and no other; so are the extras."""
    has = {name for name, protocol in CAPABILITIES.items() if isinstance(pos.adapter, protocol)}
    has.discard("order_list")  # a platform's list has the same method as a POS's search
    assert has | {"ingress"} == set(PROVIDER.facts.capabilities)
    assert tuple(pos.adapter.extras()) == PROVIDER.facts.extras
    assert await pos.adapter.test() == "2 restaurants"


async def test_an_order_shows_what_is_owed_and_is_followed_to_its_end(pos: Bench) -> None:
    """Paid in full without Toast's tax, with options, notes and guest; each change is heard and read, whichever tells further."""
    sent = task(pos)
    answer = await pos.run(sent)
    assert isinstance(answer, Submitted)
    assert answer.total == sent.order.merchant_total() == money(5171)
    assert answer.adjustment == ""
    assert {each.field for each in answer.not_carried} == {"taxes remitted by the platform"}
    row = await pos.row(answer.pos_order_id)
    assert (row["total"], row["tip"], row["tax"], row["kind"], row["reference"]) == (5171, 200, 0, "TAKE_OUT", f"HUB:{sent.reference}")
    assert row["payments"] == [{"amount": 5171, "tip": 200, "type": "OTHER", "name": "Delivery Platform", "voided": False}]
    burger = row["items"][0]
    assert (burger["quantity"], burger["note"], row["customer"]) == (2, "NO Onion; بدون مخلل", "نورة Whitfield")
    assert [(m["name"], m["quantity"]) for m in burger["modifiers"]][1] == ("Smoked Bacon", 2)
    assert "Limonana" in burger["modifiers"][2]["modifiers"][0]["name"]
    assert row["note"] == "courier: Uber · phone code 555 55"
    await pos.until(OrderState.ACCEPTED)
    for word, state in (("preparing", OrderState.PREPARING), ("ready", OrderState.READY), ("completed", OrderState.COMPLETED)):
        await pos.control(f"orders/{row['id']}/pos-status", state=word)
        fact = await pos.until(state)
        assert (fact.store_ref, fact.subject) == (STORE, f"order/{answer.pos_order_id}")
    seen = await pos.adapter.order(answer.pos_order_id)
    assert (seen.state, seen.reference, seen.total) == (OrderState.READY, sent.reference, money(5171))


@pytest.mark.parametrize(
    ("more", "adjustment"),
    [
        ({"taxes": ()}, "-4.21"),
        ({"taxes": (Tax("Tax", money(459), "merchant"),)}, ""),
        ({"taxes": (Tax("Tax", money(470), "merchant"),)}, "0.11"),
        ({"taxes": (Tax("Tax", money(401), "merchant"),)}, "-0.53"),
        ({"charges": (Charge("delivery", "Delivery Fee", money(299), "merchant"), Charge("service", "S", money(99), "platform"))}, ""),
        ({"discounts": (Discount("Promo", money(500), "merchant"), Discount("Theirs", money(300), "platform"))}, ""),
        ({"discounts": (Discount("All", money(9000), "merchant"),), "charges": (Charge("bag", "Bag", money(4000), "merchant"),)}, ""),
        ({"lines": (Line("salad", "Salad", 3, money(950), money(2850)),)}, "-2.49"),
        ({"lines": (Line("brulee", "Brûlée", 3, money(725), money(2175)),), "taxes": ()}, ""),
        ({"lines": (Line("brulee", "Brûlée", 3, money(700), money(2100)),), "taxes": ()}, "-0.75"),
        ({"lines": (Line("salad", "Salad", 1, money(1033), money(1333), modifiers=(Modifier("gold", "Gold", 2, money(150)),)),)}, "3.00"),
    ],
)
async def test_toast_shows_what_the_merchant_is_owed_to_the_cent(pos: Bench, more: dict[str, Any], adjustment: str) -> None:
    """Whatever the channel charged, taxed or gave away: prices are asked for until Toast's total is the merchant's."""
    sent = task(pos, sold(**more))
    answer = await pos.run(sent)
    assert isinstance(answer, Submitted), answer
    assert answer.total == sent.order.merchant_total()
    row = await pos.row(answer.pos_order_id)
    assert (row["total"], row["payments"][0]["amount"]) == (answer.total.amount, answer.total.amount)
    assert answer.adjustment == (f"Channel adjustment: {adjustment} USD" if adjustment else "")
    assert (await pos.vendor.state(SLUG))["calls"]["orders.prices"] <= 3


async def test_an_unknown_outcome_is_looked_up_and_a_duplicate_is_the_same_order(pos: Bench) -> None:
    """The order is found by its external id, before and after; sent twice it is refused as done and stays one."""
    sent = task(pos)
    assert await pos.adapter.find(sent, "order", sent.order.placed_at) is None
    step = await pos.adapter.submit(sent, {})
    assert isinstance(step, Step)
    await pos.carry_out(step)
    with pytest.raises(AlreadyDone):
        await pos.carry_out(step)
    found = await pos.adapter.find(sent, "order", sent.order.placed_at)
    assert found is not None
    answer = await pos.adapter.submit(sent, {"order": Done(data={"settled": True})})
    assert isinstance(answer, Submitted)
    assert answer.pos_order_id == f"{found.vendor_ref}@{STORE}"
    (listed,) = await pos.adapter.open_orders(STORE, sent.order.placed_at)
    assert (listed.pos_order_id, listed.reference, listed.total) == (answer.pos_order_id, sent.reference, answer.total)
    again = await pos.run(task(pos, generation=2))
    assert isinstance(again, Submitted)
    assert len(await pos.adapter.open_orders(STORE, sent.order.placed_at)) == 2


async def test_a_lost_answer_leaves_one_order_even_when_it_took_the_last_one(pos: Bench) -> None:
    """Asked for the next step again, the plan gives a step although Toast would refuse the price by now."""
    await pos.control("stock", item=pos.product("Caesar").split(":")[1], available=True, quantity=1)
    sent = task(pos)
    step = await pos.adapter.submit(sent, {})
    assert isinstance(step, Step)
    await pos.carry_out(step)
    assert isinstance(await pos.adapter.submit(sent, {}), Step)
    other = await pos.adapter.submit(task(pos, reference="ord_01jd0000000000000000000001"), {})
    assert isinstance(other, Step)
    with pytest.raises(Rejected, match="out of stock"):
        await pos.carry_out(other)


async def test_the_restaurant_approves_or_does_not(pos: Bench) -> None:
    """Until somebody decides it is queued; then the call tells."""
    await pos.control(f"stores/{STORE}", approval="staff")
    states = {}
    for number, word in enumerate(("accepted", "rejected")):
        answer = await pos.run(task(pos, reference=f"ord_01jd000000000000000000000{number}"))
        assert isinstance(answer, Queued)
        assert (await pos.adapter.order(answer.pos_order_id)).state is OrderState.RECEIVED
        await pos.control(f"orders/{order_and_place(answer.pos_order_id)[0]}/pos-status", state=word)
        states[word] = await pos.adapter.order(answer.pos_order_id)
    assert [each.state for each in states.values()] == [OrderState.ACCEPTED, OrderState.FAILED]
    assert states["rejected"].reason
    refused = task(pos, reference="ord_01jd0000000000000000000001")
    assert isinstance(await pos.adapter.submit(refused, {"order": Done(data={"settled": True})}), PosRejected)


async def test_orders_leave_by_other_ways_and_later(pos: Bench) -> None:
    """The restaurant's driver gets the address, a later order its time, cash stays open, an order for a table is dine-in."""
    address = Address("401 Park Drive", "Suite 8", "Boston", "02215", "US", "42.3446", "-71.1023", "Ring")
    later = datetime.now(UTC) + timedelta(days=1)
    guest = Customer("Sarah", "5555550100", email="sarah_g@example.com", address=address)
    driven = sold(
        fulfilment=Fulfilment("delivery_by_merchant", scheduled_for=later), customer=guest, payments=(Payment("cash", money(5171)),)
    )
    answer = await pos.run(task(pos, driven))
    assert isinstance(answer, Submitted)
    row = await pos.row(answer.pos_order_id)
    assert (row["kind"], row["state"], row["note"], row["payments"]) == ("DELIVERY", "FUTURE", "Ring", [])
    assert row["promised"] == later.isoformat(timespec="milliseconds").replace("+00:00", "+0000")
    assert {each.field for each in answer.not_carried} >= {"customer.address state", "payment", "tip"}
    for word, state in (("IN_PROGRESS", OrderState.PICKED_UP), ("DELIVERED", OrderState.DELIVERED)):
        await pos.control(f"orders/{row['id']}/pos-status", state=word)
        assert (await pos.adapter.order(answer.pos_order_id)).state is state
    table = await pos.run(task(pos, sold(fulfilment=Fulfilment("dine_in")), reference="ord_01jd0000000000000000000001"))
    assert isinstance(table, Submitted)
    assert (await pos.row(table.pos_order_id))["kind"] == "DINE_IN"


async def test_a_cancelled_order_is_voided_once(pos: Bench) -> None:
    """With or without the restaurant in its id; voided is voided; an unknown one is not there; the call tells it."""
    answer = await pos.run(task(pos))
    assert isinstance(answer, Submitted)
    cancel = CancelTask("ord_1", order_and_place(answer.pos_order_id)[0], STORE, "cancelled")
    step = await pos.adapter.cancel(cancel, {})
    assert isinstance(step, Step)
    done = await pos.carry_out(step)
    assert isinstance(await pos.adapter.cancel(cancel, {"void": done}), Cancelled)
    assert isinstance(await pos.adapter.cancel(CancelTask("ord_1", answer.pos_order_id, "", "again"), {}), Cancelled)
    with pytest.raises(AlreadyDone):
        await pos.carry_out(step)
    await pos.until(OrderState.CANCELLED)
    with pytest.raises(NotFound):
        await pos.adapter.cancel(CancelTask("ord_1", NEW, STORE, "cancelled"), {})


async def test_what_is_not_on_the_menu_needs_an_open_item(pos: Bench) -> None:
    """Without the setting it is refused with the items that could be named; with it, it is an item of its name and price."""
    cake = Line("cake", "Birthday cake", 2, money(2200), money(4600), modifiers=(Modifier("n", "Name", 1, money(100)),))
    sent = task(pos, sold(lines=(cake,)))
    refused = await pos.adapter.submit(sent, {})
    assert isinstance(refused, PosRejected)
    assert "Catering Tray (" in refused.reason
    named = refused.reason.rpartition("(")[2].rstrip(")")
    told, session = await bench(pos.vendor, {**SETTINGS, "open_item": named})
    async with session:
        answer = await told.run(sent)
    assert isinstance(answer, Submitted)
    assert (answer.total, answer.adjustment) == (money(4600), "")
    (item,) = (await pos.row(answer.pos_order_id))["items"]
    assert (item["name"], item["quantity"], item["note"]) == ("Catering Tray", 2, "Birthday cake, Name")


async def test_toast_s_refusals_name_what_is_wrong(pos: Bench) -> None:
    """A missing choice is the order's fault, a payment type that is not named or not there is a setting's."""
    bare = Line("burger", "Burger", 1, money(1099), money(1099))
    with pytest.raises(Rejected, match="Bun needs at least 1"):
        await pos.run(task(pos, sold(lines=(bare,))))
    for name, words in (("", "Delivery Platform, External Cash"), ("Vouchers", "no payment type 'Vouchers'")):
        told, session = await bench(pos.vendor, {"payment_type": name})
        async with session:
            with pytest.raises(Misconfigured, match=words):
                await told.adapter.submit(task(pos), {})
    yen = await pos.adapter.submit(task(pos, sold(currency="JPY", lines=(), taxes=(), tips=(), payments=())), {})
    assert isinstance(yen, PosRejected)


def whole(value: Any) -> Any:
    """A request with what Toast's document asks of answers only: GUIDs, types, and an item for special requests."""
    if isinstance(value, list):
        return [whole(each) for each in value]
    if not isinstance(value, dict):
        return value
    made = {name: whole(each) for name, each in value.items()}
    if "entityType" in made or "externalId" in made:
        made = {"guid": NEW, "entityType": "", **made}
    return {"item": {"guid": NEW, "entityType": "MenuItem"}, **made} if "quantity" in made else made


@pytest.mark.parametrize("kind", ["delivery_by_platform", "delivery_by_merchant"])
async def test_orders_are_what_toast_s_own_document_says(pos: Bench, kind: Any) -> None:
    """Every field of an order to price or to make is known there and has its type."""
    guest = Customer("Sarah", "5555550100", address=Address("1 Park", "", "Boston", "02215", "US", "42.3446", "-71.1023", "Ring"))
    charges, discounts = (Charge("bag", "Bag", money(50), "merchant"),), (Discount("Promo", money(100), "merchant"),)
    order = sold(fulfilment=Fulfilment(kind, ready_at=datetime.now(UTC)), customer=guest, charges=charges, discounts=discounts, taxes=())
    step = await pos.adapter.submit(task(pos, order), {})
    assert isinstance(step, Step)
    conforms("orders", "Order", whole(json.loads(step.request.body)))


async def test_menus_v3_and_v2_are_read_when_they_were_published(pos: Bench) -> None:
    """Ids say group and item, options of one PLU keep none, open prices and what partners may not see are left out."""
    names = {item.name for item in pos.menu.items}
    assert "Classic Burger" in names
    assert not names & {"Catering Tray", "Staff Meal"}
    burger = next(item for item in pos.menu.items if item.name == "Classic Burger")
    bun, extras, meal = (next(g for g in pos.menu.groups if g.id == each) for each in burger.group_ids)
    assert ((bun.minimum, bun.maximum), (extras.minimum, extras.maximum), burger.price) == ((1, 1), (0, 4), money(1099))
    assert (bun.modifiers[0].default, meal.modifiers[0].group_ids) == (
        True,
        (next(g.id for g in pos.menu.groups if g.name == "Meal Drink"),),
    )
    cheddars = [m for g in pos.menu.groups for m in g.modifiers if m.name == "Aged Cheddar"]
    assert [(m.price.amount, m.plu) for m in cheddars] == [(99, ""), (50, "")]
    assert {tax.rate for tax in pos.menu.taxes} == {"8.875", "1.5", "7"}
    brulee = next(item for item in pos.menu.items if "brûlée" in item.name)
    assert next(tax for tax in pos.menu.taxes if tax.id == brulee.tax_ids[0]).inclusive
    assert [category.name for category in pos.menu.categories] == ["Mains", "Sides & Salads", "Drinks", "Hot Drinks", "حلويات Sweets"]
    calls = (await pos.vendor.state(SLUG))["calls"]["menus.get_v3"]
    assert await pos.adapter.read_menu(STORE) == pos.menu
    assert (await pos.vendor.state(SLUG))["calls"]["menus.get_v3"] == calls
    await pos.control("menu", edits=[{"op": "price", "id": "2002", "amount": 1111}])
    assert (await pos.hear("menu.changed"))[0].subject == "sync/menu"
    changed = await pos.adapter.read_menu(STORE)
    assert next(item for item in changed.items if item.name == "Caesar Salad").price == money(1111)
    told, session = await bench(pos.vendor, {**SETTINGS, "menus_api": "V2"})
    async with session:
        assert {item.name for item in (await told.adapter.read_menu(STORE)).items} == names


async def test_stock_is_set_read_and_told(pos: Bench) -> None:
    """One level for an item wherever it stands on the menu; unknown items are named, or refused when there is no other."""
    cheddar, salad = pos.product("Cheddar", "Extras"), pos.product("Caesar")
    levels = [StockLevel(cheddar, False), StockLevel(salad, True, 4), StockLevel(f"x:{NEW}", False)]
    done = await pos.carry_out(await pos.adapter.stock_step(STORE, levels))
    assert done.data == {"failed": [NEW]}
    (fact, _) = await pos.hear("stock.changed")
    assert (fact.subject, fact.store_ref) == ("sync/stock", STORE)
    found = {level.id: level for level in await pos.adapter.read_stock(STORE)}
    assert found == {
        cheddar: StockLevel(cheddar, False, kind="modifier"),
        (other := pos.product("Cheddar", "Cheese")): StockLevel(other, False, kind="modifier"),
        salad: StockLevel(salad, True, 4),
    }
    await pos.carry_out(await pos.adapter.stock_step(STORE, [StockLevel(cheddar, True), StockLevel(salad, True)]))
    assert await pos.adapter.read_stock(STORE) == []
    with pytest.raises(Rejected, match="none of these"):
        await pos.carry_out(await pos.adapter.stock_step(STORE, [StockLevel(NEW, False)]))


async def test_restaurants_are_listed_close_and_leave(pos: Bench) -> None:
    """With currency and zone; a closed one takes no order for now; webhooks tell of closing, leaving and coming."""
    stores = await pos.adapter.list_stores()
    assert [(each.ref, each.currency, each.timezone, each.country) for each in stores] == [
        (STORE, "USD", "America/New_York", "US"),
        (OTHER, "USD", "America/Chicago", "US"),
    ]
    ordering = pos.adapter.extras()["online_ordering"].read
    assert ordering is not None
    status = await ordering(PlaceParams(STORE))
    assert (status.status, status.prep_seconds, len(status.hours), status.hours[0].opens) == ("open", 900, 7, "08:00")
    await pos.control(f"stores/{STORE}", status="closed")
    assert (await pos.hear("store.changed"))[0].subject == f"store/{STORE}"
    assert (await ordering(PlaceParams(STORE))).status == "paused"
    assert isinstance(await pos.adapter.submit(task(pos), {}), Offline)
    await pos.control(f"stores/{OTHER}", connected=False)
    assert (await pos.hear("store.deprovisioned"))[0].store_ref == OTHER
    await pos.control(f"stores/{OTHER}", connected=True)
    assert (await pos.hear("store.provisioned"))[0].store_ref == OTHER
    none, session = await bench(pos.vendor, {**SETTINGS, "management_group": NEW})
    async with session:
        assert await none.adapter.list_stores() == []


async def test_the_kitchen_tells_its_stations_and_what_they_did(pos: Bench) -> None:
    """Stations come page by page; items of a business day name order, line and station; without the module nothing is told."""
    await pos.control("settings", config_page=2)
    stations, items = (pos.adapter.extras()[name].read for name in ("kitchen_stations", "kitchen_items"))
    assert stations is not None
    assert items is not None
    assert [each.name for each in await stations(PlaceParams(STORE))] == ["Grill", "Cold", "Bar"]
    answer = await pos.run(task(pos))
    assert isinstance(answer, Submitted)
    await pos.control(f"orders/{order_and_place(answer.pos_order_id)[0]}/pos-status", state="ready")
    days = [date.today() - timedelta(days=n) for n in (0, 1)]  # noqa: DTZ011 - the restaurant's day may be yesterday's
    rows = [row for day in days for row in await items(BusinessDayParams(STORE, day))]
    assert {(row.pos_order_id, row.station) for row in rows} >= {(answer.pos_order_id, "Grill"), (answer.pos_order_id, "Cold")}
    assert all(row.fired_at and row.done_at for row in rows if row.station == "Cold")
    await pos.control("settings", rms_pro=0)
    with pytest.raises(Misconfigured, match="Pro"):
        await items(BusinessDayParams(STORE, days[0]))


@pytest.mark.parametrize(("currency", "owed"), [("KWD", 1033), ("JPY", 1033)])
async def test_money_has_the_decimals_of_the_restaurant(pos: Bench, currency: str, owed: int) -> None:
    """Dinars have three, yen none, in prices, payments and totals."""
    await pos.control(f"stores/{NEW}", create=True, name="Third", currency=currency, timezone="Asia/Kuwait")
    line = Line("salad", "Salad", 1, money(owed, currency), money(owed, currency))
    taxes = (Tax("VAT", money(52, currency), "platform"),)
    order = sold(currency=currency, lines=(line,), taxes=taxes, tips=(Tip(money(7, currency), "merchant"),), total=line.total)
    products = {"salad": pos.product("Caesar")}
    answer = await pos.run(SubmitTask("ord_01jd0000000000000000000009", order, NEW, products))
    assert isinstance(answer, Submitted)
    row = await pos.row(answer.pos_order_id)
    assert (answer.total, row["total"], row["tip"], row["payments"][0]["amount"]) == (money(owed, currency), owed, 7, owed)
    assert (await pos.adapter.read_menu(NEW)).item(pos.product("Caesar")).price == money(1033, currency)  # type: ignore[union-attr]


async def test_logins_scopes_and_limits(pos: Bench) -> None:
    """A wrong secret is a revocation, an expired token is renewed, a missing scope is a setting, a limit tells how long."""
    wrong, session = await bench(pos.vendor, SETTINGS, client_secret="no")
    async with session:
        with pytest.raises(AuthRevoked):
            await wrong.adapter.test()
    await pos.control("faults", expire_tokens=True)
    assert await pos.adapter.test() == "2 restaurants"
    await pos.control("settings", scope_void=0, scope_menus_v3=0)
    await pos.control("faults", expire_tokens=True)
    with pytest.raises(Misconfigured, match="scope"):
        await pos.adapter.read_menu(STORE)
    await pos.control("settings", scope_menus_v3=1, requests_per_second=1)
    await pos.control("faults", expire_tokens=True)
    with pytest.raises(RateLimited) as limited:
        await pos.adapter.read_stock(STORE)  # it asks for the menu as well
    assert limited.value.scope == "store"
    assert limited.value.after is not None
    assert limited.value.after <= 1
