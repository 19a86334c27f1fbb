"""Foodics' adapter against its simulated side: sums that balance, the cashier's word, lost answers, stock, menu, inventory, webhooks."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from adapters.foodics import PROVIDER
from adapters.foodics.extras import InventoryMove, StockParams
from hub.contract import (
    AuthorizationCode,
    AuthRevoked,
    Cancelled,
    CancelTask,
    CannotCancel,
    Done,
    IngressRequest,
    Misconfigured,
    NoParams,
    NotFound,
    Offline,
    PosRejected,
    Queued,
    Rejected,
    Response,
    Step,
    Submitted,
)
from hub.model import Charge, Fulfilment, Line, Modifier, Money, OrderState, Payment, StockLevel, Tax
from tests.contract.foodics_bench import KUWAIT, REFERENCE, SECRET, SLUG, STORE, Bench, bench, keys, read, sar, sold
from tests.contract.sandbox_client import Client, sandboxes


@pytest_asyncio.fixture
async def vendor() -> AsyncIterator[Client]:
    """The simulated side, which calls us back."""
    async with sandboxes() as client:
        await client.control("POST", f"/{SLUG}/webhooks", {"url": client.hooks.url})
        yield client


@pytest_asyncio.fixture
async def pos(vendor: Client) -> AsyncIterator[Bench]:
    """A connected business whose charges are named."""
    async with bench(vendor, await keys(vendor)) as first:
        at = first.at
    named = {"delivery_charge": at["Delivery Charge"], "charge": at["Bag Charge"], "open_item": at["SD-01"]}
    async with bench(vendor, await keys(vendor), **named) as made:
        yield made


async def test_an_order_waits_for_the_cashier_and_shows_what_the_merchant_is_owed(pos: Bench) -> None:
    """Lines, options, notes, charge, discount, taxes, tip and payment balance; accepting it and each later state is read anew."""
    order = sold()
    answer = await pos.submit(pos.task(order))
    assert isinstance(answer, Queued)
    assert timedelta(minutes=9) < answer.until - datetime.now(UTC) <= timedelta(minutes=10)
    assert ([each.field for each in answer.not_carried], answer.adjustment) == (["charges owed to the platform"], "")
    row = await pos.row(answer.pos_order_id)
    assert (row["due"], row["total"], row["charges"], row["tip"], row["reference"]) == (8926, 7726, 1200, 500, REFERENCE)
    assert row["due"] == order.merchant_total().amount
    assert row["payments"] == [{"amount": 8926, "type": "Delivery Platform"}]
    assert (row["type"], row["due_at"]) == (3, "2030-01-02 15:00:05")
    assert row["kitchen_notes"] == "talabat T-42 · الباب الخلفي · NO cutlery"
    assert "نورة العتيبي · +966 54 483 4934" in row["customer_notes"]
    assert "شارع العليا 12, الرياض" in row["customer_notes"]
    line = row["items"][0]
    assert (line["quantity"], line["total"], line["note"]) == (2, 7726, "بدون بصل")
    assert [(each["quantity"], each["price"]) for each in line["modifiers"]] == [(1, 650), (2, 157)]
    # 15 % are in the shawarma's price, none in the water's; a part of them went with the discount.
    assert row["tax"] == pytest.approx(7726 * (1 - 1000 / 8726) * 15 / 115, abs=1.5)
    assert (await pos.adapter.order(row["id"])).state is OrderState.RECEIVED
    seen = []
    for state in ("accepted", "preparing", "ready", "picked_up", "delivered", "completed"):
        await pos.move(row["id"], state)
        told = await pos.adapter.order(row["id"], b"whatever an unsigned call says")
        seen.append(told.state.value)
        assert (told.reference, told.total) == (REFERENCE, sar(8926))
    assert seen == ["accepted", "preparing", "ready", "picked_up", "delivered", "completed"]


async def test_an_order_is_submitted_where_the_cashier_was_quick(pos: Bench) -> None:
    """An order that is active already counts as in the POS, with its total and what was not carried; a declined one is refused."""
    order = await pos.queued(pos.task(sold()))
    await pos.move(order, "accepted")
    done = {"order": await pos.adapter.find(pos.task(sold()), "order", datetime.now(UTC)) or Done()}
    answer = await pos.submit(pos.task(sold()), done)
    assert isinstance(answer, Submitted)
    assert (answer.pos_order_id, answer.total, answer.adjustment) == (order, sar(8926), "")
    assert [each.field for each in answer.not_carried] == ["charges owed to the platform"]
    other = await pos.queued(pos.task(sold(), reference="ord_2"))
    await pos.move(other, "declined")
    found = await pos.adapter.find(pos.task(sold(), reference="ord_2"), "order", datetime.now(UTC))
    assert found is not None
    assert isinstance(await pos.submit(pos.task(sold(), reference="ord_2"), {"order": found}), PosRejected)
    told = await pos.adapter.order(other)
    assert (told.state, told.reason) == (OrderState.CANCELLED, "declined at the cashier")


async def test_a_lost_answer_is_looked_up_among_more_orders_than_a_page(pos: Bench) -> None:
    """Our reference and generation tell; an order that vanished is neither found nor read."""
    since = datetime.now(UTC)
    plain = sold(charges=(), discounts=(), payments=(), tips=(), taxes=())
    step = await pos.adapter.submit(pos.task(plain), {})
    assert isinstance(step, Step)
    await asyncio.gather(*(pos.submit(pos.task(plain, reference=f"ord_{number}")) for number in range(53)))
    assert await pos.adapter.find(pos.task(plain), "order", since) is None
    order = (await pos.carry_out(step)).vendor_ref
    found = await pos.adapter.find(pos.task(plain), "order", since)
    assert (found.vendor_ref if found else "") == order
    assert await pos.adapter.find(pos.task(plain, generation=2), "order", since) is None
    listed = await pos.adapter.open_orders(STORE, since - timedelta(minutes=1))
    assert (len(listed), len({each.reference for each in listed})) == (54, 54)
    assert listed[-1] == await pos.adapter.order(order)
    await pos.move(order, "vanished")
    assert await pos.adapter.find(pos.task(plain), "order", since) is None
    with pytest.raises(NotFound):
        await pos.adapter.order(order)


@pytest.mark.parametrize(
    ("changes", "owed", "shown"),
    [
        ({"lines": (Line("water", "Water", 3, sar(250), sar(999)),), "discounts": (), "charges": ()}, 999, (750, 249)),
        ({"lines": (Line("water", "Water", 3, sar(250), sar(700)),), "discounts": ()}, 1900, (700, 1200)),
        ({"lines": (Line("water", "Water", 1, sar(250), sar(250)),)}, 450, (0, 450)),
        ({"taxes": (Tax("VAT", sar(1309), "merchant"),), "discounts": ()}, 11235, (8726, 2509)),
        ({"taxes": (Tax("VAT", sar(1309), "platform"),), "fulfilment": Fulfilment("pickup"), "charges": ()}, 7726, (7726, 0)),
    ],
)
async def test_whatever_the_channel_charges_is_what_the_pos_shows(
    pos: Bench, changes: dict[str, Any], owed: int, shown: tuple[int, int]
) -> None:
    """Lines that are dearer or cheaper, a discount above all lines, taxes that are added or the platform's: total and charges."""
    order = sold(**changes)
    assert order.merchant_total() == sar(owed)
    row = await pos.row(await pos.queued(pos.task(order)))
    assert (row["total"], row["charges"], row["due"]) == (*shown, owed)


async def test_taxes_on_top_where_prices_are_without_tax(pos: Bench, vendor: Client) -> None:
    """The channel's added tax becomes tax rows by the business's rates; what rounding leaves goes to the rounding."""
    await vendor.control("POST", f"/{SLUG}/stores/{STORE}", {"tax_inclusive": False})
    async with bench(vendor, await keys(vendor), delivery_charge=pos.at["Delivery Charge"]) as net:
        order = sold(taxes=(Tax("VAT", sar(1027), "merchant"),))
        row = await net.row(await net.queued(net.task(order)))
        assert (row["due"], row["tax"]) == (order.merchant_total().amount, 1026)
        held = await net.row(await net.queued(net.task(sold(), reference="ord_held")))
        assert (held["due"], held["tax"]) == (8926, 0)


async def test_what_is_not_on_the_menu_is_named(pos: Bench, vendor: Client) -> None:
    """A line goes as the open item with its name and price, an option's price to its line; without an open item it is refused."""
    line = Line("cake", "كعكة", 2, sar(5000), sar(10600), modifiers=(Modifier("gold", "Gold", 3, sar(100)),))
    row = await pos.row(await pos.queued(pos.task(sold(lines=(line,)))))
    item = row["items"][0]
    assert (item["id"], item["total"], item["note"]) == (pos.at["SD-01"], 10600, "كعكة; 3x Gold")
    async with bench(vendor, await keys(vendor)) as bare:
        refused = await bare.submit(bare.task(sold(lines=(line,))))
        assert isinstance(refused, PosRejected)
        assert "open_item" in refused.reason


async def test_guests_as_records(pos: Bench, vendor: Client) -> None:
    """Customer and address are made once, found by number the next time, and named by the order; no record is an order's id."""
    async with bench(vendor, await keys(vendor), guests="records", delivery_charge=pos.at["Delivery Charge"]) as made:
        done: dict[str, Done] = {}
        answer = await made.submit(made.task(sold()), done)
        assert list(done) == ["customer", "address", "order"]
        assert not done["customer"].vendor_ref
        assert await made.adapter.find(made.task(sold()), "address", datetime.now(UTC)) == done["address"]
        row = await made.row(answer.pos_order_id)
        assert (row["customer"], row["customer_notes"]) == ("نورة العتيبي", None)
        again: dict[str, Done] = {}
        await made.submit(made.task(sold(), reference="ord_2"), again)
        assert list(again) == ["order"]


async def test_branches_that_hide_orders(pos: Bench, vendor: Client) -> None:
    """One without a place never shows its orders: refused; one that takes none is offline; another currency is refused."""
    other = (await pos.adapter.list_stores())[1]
    assert (other.currency, other.timezone, other.open) == ("SAR", "Asia/Riyadh", True)
    kuwaiti = sold(currency="KWD", lines=(), charges=(), discounts=(), taxes=(), tips=(), payments=())
    assert isinstance(await pos.submit(pos.task(kuwaiti)), PosRejected)
    await vendor.control("POST", f"/{SLUG}/stores/{STORE}", {"located": False})
    hidden = await pos.submit(pos.task(sold()))
    assert isinstance(hidden, PosRejected)
    assert "latitude" in hidden.reason
    await vendor.control("POST", f"/{SLUG}/stores/{STORE}", {"located": True, "status": "closed"})
    async with bench(vendor, await keys(vendor)) as fresh:
        assert isinstance(await fresh.submit(fresh.task(sold())), Offline)


async def test_three_decimals_in_kuwait(vendor: Client) -> None:
    """Another business: its token, its currency, fils to the last one; a token of another business is noticed."""
    about = {"create": True, "currency": "KWD", "timezone": "Asia/Kuwait", "name": "Salmiya"}
    made = await vendor.control("POST", f"/{SLUG}/stores/{KUWAIT}", about)
    mine = {**await keys(vendor), **made["credentials"]}
    lines = (Line("shawarma", "Shawarma", 1, Money(2899, "KWD"), Money(2899, "KWD")),)
    paid = (Payment("prepaid", Money(2899, "KWD")),)
    order = sold(currency="KWD", lines=lines, charges=(), discounts=(), taxes=(), tips=(), payments=paid)
    async with bench(vendor, mine) as kuwait:
        assert "(690518)" in await kuwait.adapter.test()
        row = await kuwait.row(await kuwait.queued(kuwait.task(order, location_ref=KUWAIT)))
    assert (row["due"], row["currency"], row["payments"][0]["amount"]) == (2899, "KWD", 2899)
    async with bench(vendor, {**mine, "business_reference": "1"}) as strange:
        with pytest.raises(Misconfigured, match="690518"):
            await strange.adapter.test()


async def test_only_what_waits_is_cancelled(pos: Bench) -> None:
    """A waiting order is declined, a declined one stays so, an accepted one is the cashier's to void; a race is read, not guessed."""
    waiting = await pos.queued(pos.task(sold()))
    assert await pos.cancel(waiting) == Cancelled()
    assert (await pos.row(waiting))["state"] == "declined"
    assert await pos.cancel(waiting) == Cancelled()
    taken = await pos.queued(pos.task(sold(), reference="ord_2"))
    step = await pos.adapter.cancel(CancelTask("ord_2", taken, STORE, "x"), {})
    assert isinstance(step, Step)
    await pos.move(taken, "accepted")
    assert isinstance(await pos.cancel(taken), CannotCancel)
    raced = await pos.carry_out(step)
    assert raced.data == {"settled": True}
    assert isinstance(await pos.adapter.cancel(CancelTask("ord_2", taken, STORE, "x"), {"cancel": raced}), CannotCancel)
    with pytest.raises(NotFound):
        await pos.cancel("no/such order")


async def test_menu_and_stock(pos: Bench, vendor: Client) -> None:
    """Deleted products are left out, a use's limits make a group, branch prices hold; stock is set and read for items and options."""
    menu = await pos.adapter.read_menu(STORE)
    assert [each.name for each in menu.categories] == ["Grill", "Sides", "Drinks"]
    assert (menu.currency, "GR-90" in {each.plu for each in menu.items}, "كباب حلبي" in {each.name for each in menu.items}) == (
        "SAR",
        False,
        True,
    )
    burger = next(each for each in menu.items if each.plu == "GR-02")
    extras = next(each for each in menu.groups if each.id == burger.group_ids[1])
    assert (extras.minimum, extras.maximum, [each.plu for each in extras.modifiers]) == (0, 4, ["EX-C", "EX-J"])
    assert (burger.price, {each.rate for each in menu.taxes}, menu.taxes[0].inclusive) == (sar(3250), {"15", "0"}, True)
    await vendor.control("POST", f"/{SLUG}/settings", {"hide_product_options": 1})
    assert await pos.adapter.read_menu(STORE) == menu
    await vendor.control("POST", f"/{SLUG}/settings", {"hide_product_options": 0})
    off = [StockLevel(pos.at["GR-02"], False), StockLevel(pos.at["EX-T"], False, kind="modifier")]
    for level in off:
        await pos.carry_out(await pos.adapter.stock_step(STORE, [level]))
    assert list(await pos.adapter.read_stock(STORE)) == off
    assert list(await pos.adapter.read_stock((await pos.adapter.list_stores())[1].ref)) == []
    await pos.carry_out(await pos.adapter.stock_step(STORE, [StockLevel(pos.at["GR-02"], True)]))
    edits = [{"op": "price", "id": "GR-02", "amount": 3075, "store": STORE}]
    await vendor.control("POST", f"/{SLUG}/menu", {"edits": edits})
    after = (await pos.adapter.read_menu(STORE)).sellable()
    assert (after[pos.at["GR-02"]].price, after[pos.at["GR-02"]].availability.available) == (sar(3075), True)
    assert not after[pos.at["EX-T"]].availability.available
    with pytest.raises(Rejected):
        await pos.adapter.stock_step(STORE, off)


async def test_inventory(pos: Bench) -> None:
    """Items with levels and cost, and what moved them at a branch."""
    items = {each.sku: each for each in await read(pos.adapter, "inventory_items", NoParams())}
    flour = items["IN-02"]
    assert (flour.name_localized, flour.unit, flour.minimum, flour.maximum, flour.par, flour.cost, flour.currency) == (
        *("طحين", "KG", "5", "100", "50"),
        *("3.25", "SAR"),
    )
    moves = await read(pos.adapter, "inventory_transactions", StockParams(STORE))
    assert {each.location_ref for each in moves} == {STORE}
    wanted = InventoryMove(
        transaction=moves[0].transaction,
        item_id=items["IN-01"].id,
        item="Chicken Breast",
        kind="1",
        reference="PUR-00001",
        day="2025-08-24",
        location_ref=STORE,
        supplier="Market Supplies",
        quantity="10",
        unit="KG",
        cost="24.5",
    )
    assert moves[0] == wanted
    assert await read(pos.adapter, "inventory_transactions", StockParams(STORE, date(2025, 8, 25))) == []


@pytest.mark.parametrize("plural", [0, 1])
async def test_webhooks_name_what_to_read_again(pos: Bench, vendor: Client, plural: int) -> None:
    """The secret in the path vouches; several events of one change are one fact; its version is the one that a list tells."""
    await vendor.control("POST", f"/{SLUG}/settings", {"plural_events": plural})
    ingress = PROVIDER.ingress
    assert ingress is not None
    order = await pos.queued(pos.task(sold()))
    await pos.move(order, "accepted")
    await pos.move(order, "ready")
    found = set()
    for headers, body in await vendor.hooks.wait(7):
        request = IngressRequest("POST", SECRET, {}, headers, body, vendor.hooks.url)
        assert ingress.signed(request, [SECRET])
        assert not ingress.signed(request, ["another-secret-of-32-characters-x"])
        found |= set(ingress.facts(request))
    assert {(each.kind, each.subject) for each in found} == {("pos_order.changed", f"order/{order}")}
    assert len(found) == 3
    (listed,) = await pos.adapter.open_orders(STORE, datetime.now(UTC) - timedelta(minutes=1))
    assert f"order/{order}/changed/{listed.version}" in {each.dedupe_key for each in found}
    assert listed.state is OrderState.READY


async def test_tokens_are_refreshed_once_or_revoked(vendor: Client) -> None:
    """An expired token is refreshed with the app's secret; without a refresh token the connection has to be made anew."""
    held = await keys(vendor)
    vendor.sandboxes[SLUG].expire_all_tokens()
    async with bench(vendor, held) as refreshed:
        assert await refreshed.adapter.test() == "Harbour Hospitality (690517)"
    vendor.sandboxes[SLUG].expire_all_tokens()
    with pytest.raises(AuthRevoked):
        async with bench(vendor, {name: value for name, value in held.items() if name != "refresh_token"}):
            pass


async def test_the_scopes_of_the_consent_are_enough(vendor: Client) -> None:
    """The owner's consent gives a code, the code a token, and that one does everything the adapter does."""
    app = {name: value for name, value in (await keys(vendor)).items() if name.startswith("client_")}
    auth = PROVIDER.auth(PROVIDER.facts)
    assert isinstance(auth, AuthorizationCode)
    root, back = f"{vendor.root}/{SLUG}", "https://hub.example.com/back"
    async with vendor.http.get(auth.consent_url(root, app, back, "s-1"), allow_redirects=False) as answer:
        assert answer.status == 302, await answer.text()
        given = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert given["state"] == ["s-1"]
    asked = auth.code_request(app, given["code"][0], back)
    async with vendor.http.post(root + asked.path, data=asked.body, headers=asked.headers) as answer:
        token = auth.read_token(Response(answer.status, {}, await answer.read()), datetime.now(UTC), None)
    consented = {**app, "access_token": token.access, "refresh_token": token.refresh}
    async with bench(vendor, consented, guests="records") as pos:
        assert await pos.adapter.test() == "Harbour Hospitality (690517)"
        order = await pos.queued(pos.task(sold(charges=(Charge("bag", "Bag", sar(50), "merchant"),))))
        assert await pos.cancel(order) == Cancelled()
        await pos.carry_out(await pos.adapter.stock_step(STORE, [StockLevel(pos.at["GR-02"], False)]))
        assert await read(pos.adapter, "inventory_items", NoParams())
        assert await read(pos.adapter, "inventory_transactions", StockParams())


async def test_the_arabic_name_stands_beside_the_latin_one(pos: Bench) -> None:
    """Products, options and categories keep both, and a channel that knows Arabic gets it."""
    menu = await pos.adapter.read_menu(STORE)
    told = {item.name: item.translations.get("ar", "") for item in menu.items}
    assert any(name and not name.isascii() for name in told.values()), told
    assert any(category.translations for category in menu.categories)
    assert any(option.translations for group in menu.groups for option in group.modifiers)
