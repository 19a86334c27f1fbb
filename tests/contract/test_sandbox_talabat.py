"""Talabat's simulated side: orders are dispatched to a plugin under a JWT, answered by callback, and catalogs are imported."""

import asyncio
import base64
import copy
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from tests.contract.openapi import vendor_spec
from tests.contract.sandbox_client import Client, sandboxes

STORE, OTHER, CHAIN = "TB-HARBOUR-01", "TB-OLDMILL-02", "/talabat/v2/chains/tb-sandbox-chain"
ITEMS = f"{CHAIN}/vendors/{STORE}/catalog/items/availability"
AVAILABILITY = f"{CHAIN}/remoteVendors/{STORE}/availability"


class Plugin:
    """The hub's side: keeps what it is sent and answers as a plugin has to, unless `answers` says otherwise."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, dict[str, str], Any]] = []
        self.answers: list[tuple[int, Any]] = []

    async def receive(self, request: web.Request) -> web.Response:
        raw = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.got.append((request.method, request.path_qs, headers, json.loads(raw) if raw else None))
        status, body = self.answers.pop(0) if self.answers else (202 if request.method == "GET" else 200, None)
        if body is None and request.path.startswith("/plugin/order/"):
            body = {"remoteResponse": {"remoteOrderId": f"hub-{self.got[-1][3]['code']}"}}
        return web.json_response(body, status=status)

    def sent(self, part: str) -> list[Any]:
        return [body for _, path, _, body in self.got if part in path]

    async def wait(self, part: str, count: int = 1) -> list[Any]:
        async with asyncio.timeout(5):
            while len(self.sent(part)) < count:
                await asyncio.sleep(0.01)
        return self.sent(part)


class Talabat:
    """A sandbox with a logged-in plugin."""

    def __init__(self, client: Client, plugin: Plugin, base: str) -> None:
        self.client, self.plugin, self.base = client, plugin, base
        self.call, self.control = client.call, client.control

    async def placed(self, **more: Any) -> Any:
        """One order as it was dispatched, once the middleware has our acknowledgement."""
        token = (await self.control("POST", "/talabat/orders", {"store": STORE, **more}))["orders"][0]
        await self.plugin.wait("/order/")
        async with asyncio.timeout(5):
            while (await self.row(token))["state"] == "WAITING_FOR_ACKNOWLEDGEMENT":
                await asyncio.sleep(0.01)
        return next(each for each in self.plugin.sent("/order/") if each["token"] == token)

    async def row(self, token: str) -> Any:
        return next(each for each in (await self.client.state("talabat"))["orders"] if each["id"] == token)

    async def back(self, order: Any, name: str, body: Any = None) -> tuple[int, Any]:
        """Call one of an order's callback URLs."""
        return await self.call("POST", order["callbackUrls"][name].removeprefix(self.client.root), body)

    async def accept(self, order: Any, **more: Any) -> tuple[int, Any]:
        return await self.back(order, "orderAcceptedUrl", {"status": "order_accepted", "acceptanceTime": soon(30), **more})

    async def refused(self) -> list[str]:
        return [each["reason"] for each in (await self.client.state("talabat"))["rejected"]]


def soon(minutes: float) -> str:
    """A time so many minutes from now."""
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


@pytest_asyncio.fixture
async def talabat() -> AsyncIterator[Talabat]:
    """A Talabat sandbox, a token, and a plugin registered at a base URL."""
    plugin, app = Plugin(), web.Application()
    app.router.add_route("*", "/{path:.*}", plugin.receive)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}/plugin"
    try:
        async with sandboxes() as client:
            await client.control("POST", "/talabat/webhooks", {"url": base + "/"})
            client.token = (await login(client))[1]["access_token"]
            yield Talabat(client, plugin, base)
    finally:
        await runner.cleanup()


async def login(client: Client, **change: str) -> tuple[int, Any]:
    """Ask for a token."""
    held = (await client.control("GET", ""))["talabat"]["app"]
    form = {"username": held["username"], "password": held["password"], "grant_type": "client_credentials", **change}
    async with client.http.post(f"{client.root}/talabat/v2/login", data=form) as answer:
        return answer.status, await answer.json()


def catalog(**changes: Any) -> dict[str, Any]:
    """A small valid catalog: a tea with a size of which the large one has extras."""

    def links(kind: str, *ids: str) -> dict[str, Any]:
        return {each: {"id": each, "type": kind} for each in ids}

    def made(kind: str, identifier: str, **more: Any) -> tuple[str, dict[str, Any]]:
        return identifier, {"id": identifier, "type": kind, "title": {"default": identifier}, **more}

    hours = {"startTime": "09:00:00", "endTime": "23:00:00", "weekDays": ["MONDAY"]}
    return dict(
        [
            made("Product", "tea", price="12.50", toppings=links("Topping", "size")),
            made("Product", "small"),
            made("Product", "large", toppings=links("Topping", "extras")),
            made("Product", "honey", price="1.00"),
            made("Topping", "size", quantity={"minimum": 1, "maximum": 1}, products=links("Product", "small", "large")),
            made("Topping", "extras", quantity={"minimum": 0, "maximum": 1}, products=links("Product", "honey")),
            made("Category", "hot", products=links("Product", "tea")),
            made("Category", "hidden", products=links("Product", "small", "large", "honey")),
            made("Menu", "all", menuType="DELIVERY", products=links("Product", "tea"), schedule=links("ScheduleEntry", "day")),
            ("day", {"id": "day", "type": "ScheduleEntry", **hours}),
        ],
        **changes,
    )


async def imported(talabat: Talabat, items: Any, *vendors: str) -> Any:
    """The last callback of an import."""
    before = len(talabat.plugin.sent("/import"))
    body = {"vendors": list(vendors or (STORE,)), "catalog": {"items": items}, "callbackUrl": f"{talabat.base}/import"}
    status, answer = await talabat.call("PUT", f"{CHAIN}/catalog", body)
    assert (status, answer["status"]) == (202, "submitted"), answer
    first, last = (await talabat.plugin.wait("/import", before + 2))[before:]
    assert {first["catalogImportId"], last["catalogImportId"]} == {answer["catalogImportId"]}
    assert first["status"] == "in_progress"
    return last


async def test_a_dispatch_carries_the_middleware_s_jwt(talabat: Talabat) -> None:
    """HS512 over header and claims with the plugin secret."""
    await talabat.placed()
    method, path, headers, _ = talabat.plugin.got[0]
    head, claims, signature = headers["authorization"].removeprefix("Bearer ").split(".")
    secret = (await talabat.control("GET", ""))["talabat"]["credentials"]["webhook_secret"]
    digest = hmac.digest(secret.encode(), f"{head}.{claims}".encode(), hashlib.sha512)
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == signature
    assert (method, path) == ("POST", f"/plugin/order/{STORE}")
    parts = [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (head, claims)]
    assert parts == [{"typ": "JWT", "alg": "HS512"}, {"service": "middleware"}]


async def test_an_order_is_accepted_prepared_and_picked_up(talabat: Talabat) -> None:
    """Our order id comes with the acknowledgement; the rider's moves reach us under it; reports know the order."""
    order = await talabat.placed(type="delivery")
    assert (await talabat.row(order["token"]))["state"] == "RECEIVED"
    assert (await talabat.back(order, "orderPreparedUrl"))[0] == 409
    assert await talabat.accept(order) == (200, {"message": "Order status successfully changed."})
    assert (await talabat.back(order, "orderPreparationTimeAdjustmentUrl", {"expectedPickupAt": soon(25)}))[0] == 204
    status, body = await talabat.back(order, "orderPreparationTimeAdjustmentUrl", {"expectedPickupAt": soon(600)})
    assert (status, body["code"]) == (400, "PREPARATION_TIME_EXCEEDS_ALLOWED_MAX_TIME")
    await talabat.control("POST", f"/talabat/orders/{order['token']}/courier", {"state": "arrived"})
    status, body = await talabat.back(order, "orderPreparationTimeAdjustmentUrl", {"expectedPickupAt": soon(25)})
    assert (status, body["code"]) == (409, "conflict-error")
    assert await talabat.back(order, "orderPreparedUrl") == (200, {"code": "OK"})
    await talabat.control("POST", f"/talabat/orders/{order['token']}/courier", {"state": "picked_up"})
    told = await talabat.plugin.wait("/posOrderStatus", 2)
    assert {each["status"] for each in told} == {"COURIER_ARRIVED_AT_VENDOR", "ORDER_PICKED_UP"}
    assert talabat.plugin.got[-1][:2] == ("PUT", f"/plugin/remoteId/{STORE}/remoteOrder/hub-{order['code']}/posOrderStatus")
    row = await talabat.row(order["token"])
    assert (row["state"], row["pos_reference"], row["prepared"]) == ("PICKED_UP", f"hub-{order['code']}", True)
    assert (await talabat.call("GET", f"{CHAIN}/orders/ids?status=accepted&vendorId={STORE}"))[1] == {
        "orderIdentifiers": [order["token"]],
        "count": 1,
    }
    reported = (await talabat.call("GET", f"{CHAIN}/orders/{order['token']}"))[1]["order"]
    assert (reported["status"], reported["products"]) == ("accepted", order["products"])


async def test_an_accept_before_our_acknowledgement_is_to_be_tried_again(talabat: Talabat) -> None:
    """It conflicts with the state to wait for and is no fault of ours; a 503 is sent again with the same token."""
    talabat.plugin.answers = [(503, {})]
    await talabat.client.control("POST", "/talabat/settings", {"webhook_retry_scale": 0.02})
    order = await talabat.placed()
    status, body = await talabat.accept(order)
    assert (status, body["currentState"]) == (409, "ASSIGNED_TO_TRANSPORT")
    assert [each["token"] for each in await talabat.plugin.wait("/order/", 2)] == [order["token"]] * 2
    await asyncio.sleep(0.05)
    assert ((await talabat.accept(order))[0], await talabat.refused()) == (200, [])


async def test_a_lost_dispatch_is_sent_again(talabat: Talabat) -> None:
    """A dispatch that never arrives was never acknowledged, so another follows."""
    await talabat.control("POST", "/talabat/settings", {"webhook_retry_scale": 0.01})
    await talabat.control("POST", "/talabat/faults", {"drop_webhooks": 1})
    token = (await talabat.control("POST", "/talabat/orders", {"store": STORE}))["orders"][0]
    await talabat.control("DELETE", "/talabat/faults")
    assert (await talabat.plugin.wait("/order/"))[0]["token"] == token


async def test_what_a_plugin_must_not_answer_is_noted(talabat: Talabat) -> None:
    """A 400 ends the order; an acknowledgement needs our order id, always the same."""
    talabat.plugin.answers = [(400, {"reason": "CLOSED"}), (200, {})]
    first, second = await talabat.placed(), await talabat.placed()
    assert [(await talabat.row(each["token"]))["state"] for each in (first, second)] == ["CANCELLED", "RECEIVED"]
    assert len(await talabat.refused()) == 2


async def test_rejections_need_a_reason_that_fits_the_state(talabat: Talabat) -> None:
    """Any reason before the acceptance, few after it; a settled order conflicts, and the very same call is no fault."""
    order, late = await talabat.placed(), await talabat.placed()
    deny = {"status": "order_rejected", "reason": "TOO_BUSY", "message": "Full"}
    assert (await talabat.back(order, "orderRejectedUrl", {**deny, "reason": "BORED"}))[1]["code"] == "INVALID_REQUEST"
    assert (await talabat.back(order, "orderRejectedUrl", deny))[0] == 200
    assert (await talabat.back(order, "orderRejectedUrl", deny))[1]["currentState"] == "CANCELLED"
    assert (await talabat.accept(order))[0] == 409
    await talabat.accept(late)
    assert (await talabat.back(late, "orderRejectedUrl", deny))[0] == 400
    assert (await talabat.back(late, "orderRejectedUrl", {**deny, "reason": "FOOD_QUALITY_SPILLAGE"}))[0] == 200
    assert (len(await talabat.refused()), (await talabat.client.state("talabat"))["calls"]["order.status.repeated"]) == (3, 1)
    assert set((await talabat.call("GET", f"{CHAIN}/orders/ids?status=cancelled"))[1]["orderIdentifiers"]) == {
        order["token"],
        late["token"],
    }
    assert talabat.plugin.sent("/posOrderStatus") == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"acceptanceTime": None}, "INVALID_REQUEST"),
        ({"acceptanceTime": "2030-01-01T00:00:00"}, "INVALID_REQUEST"),
        ({"acceptanceTime": "2020-01-01T00:00:00Z"}, "INVALID_REQUEST"),
        ({"status": "order_delivered"}, "INVALID_ORDER_STATUS"),
        ({"status": "order_picked_up"}, "INVALID_ORDER_STATUS"),
        ({"remoteOrderId": 7}, "INVALID_REQUEST"),
        ({"modifications": {"products": {}}}, "INVALID_REQUEST"),
    ],
)
async def test_a_wrong_status_update_is_refused(talabat: Talabat, change: dict[str, Any], code: str) -> None:
    """Times, statuses, ids and shapes are checked, and the order stays as it is."""
    order = await talabat.placed(type="delivery")
    status, body = await talabat.accept(order, **change)
    assert (status, body["code"], (await talabat.row(order["token"]))["state"]) == (400, code, "RECEIVED")


async def test_unanswered_and_cancelled_orders_end_and_we_are_told(talabat: Talabat) -> None:
    """The deadline and the consumer both cancel; repeated expiry closes the vendor where that is switched on."""
    await talabat.control("POST", "/talabat/settings", {"auto_close_after": 1})
    theirs, lost = await talabat.placed(), await talabat.placed(accept_deadline_s=0.3)
    await talabat.control("POST", f"/talabat/orders/{theirs['token']}/cancel", {})
    told = await talabat.plugin.wait("/posOrderStatus", 2)
    assert [each["status"] for each in told] == ["ORDER_CANCELLED"] * 2
    assert (await talabat.row(lost["token"]))["reason"] == "NO_RESPONSE"
    async with talabat.client.http.post(f"{talabat.client.root}/_control/talabat/orders", json={"store": STORE}) as answer:
        assert answer.status == 409


async def test_the_amounts_of_every_kind_of_order_add_up(talabat: Talabat) -> None:
    """Lines, fees and discounts make the total as decimal text; shares make a discount; kinds show as the document says."""
    await talabat.control("POST", "/talabat/orders", {"store": STORE, "count": 120})
    seen: set[str] = set()
    for order in await talabat.plugin.wait("/order/", 120):
        price = {name: Decimal(value) for name, value in order["price"].items() if isinstance(value, str) and value}
        lines = sum(Decimal(each["paidPrice"]) for each in order["products"])
        off = sum((Decimal(each["amount"]) for each in order["discounts"]), Decimal(0))
        fees = sum(Decimal(str(each["value"])) for each in order["price"]["deliveryFees"])
        for each in order["products"]:
            assert Decimal(each["paidPrice"]) == int(each["quantity"]) * unit(each, "unitPrice")
            seen |= {"line discount"} if each["discounts"] else set()
            seen |= {"note"} if each["comment"] else set()
            seen |= {"nested"} if any(option["children"] for option in each["selectedToppings"]) else set()
        assert (price["subTotal"], price["discountAmountTotal"], price["grandTotal"]) == (lines, off, lines + fees - off)
        for discount in order["discounts"]:
            assert sum(Decimal(each["amount"]) for each in discount["sponsorships"]) == Decimal(discount["amount"])
            seen |= {each["sponsor"] for each in discount["sponsorships"]}
        delivery = order["delivery"]
        kind = "pickup" if order["expeditionType"] == "pickup" else "own" if delivery["riderPickupTime"] else "vendor"
        assert (order["pickup"] is None, kind == "vendor") == (kind != "pickup", bool(delivery and delivery["address"]))
        assert (order["callbackUrls"]["orderPreparedUrl"] is None) == (kind != "own")
        seen |= {kind, order["payment"]["type"], *(name for name in ("riderTip", "vatTotal") if price[name])}
    wanted = {"own", "vendor", "pickup", "cash", "online", "riderTip", "vatTotal", "PLATFORM", "VENDOR", "THIRD_PARTY"}
    assert seen == wanted | {"line discount", "note", "nested"}


def unit(line: Any, price: str) -> Decimal:
    """The price of one, with its options."""
    options = line["selectedToppings"] if price == "unitPrice" else line["children"]
    return Decimal(line[price]) + sum((each["quantity"] * unit(each, "price") for each in options), Decimal(0))


def shape(official: Any, ours: Any, where: str = "order") -> list[str]:
    """Where ours lacks a key of the official sample, or has another type there."""
    if isinstance(official, dict) and isinstance(ours, dict):
        missing = [f"{where}.{key}" for key in official.keys() - ours.keys()]
        return missing + [each for key in official.keys() & ours.keys() for each in shape(official[key], ours[key], f"{where}.{key}")]
    if isinstance(official, list) and isinstance(ours, list):
        return shape(official[0], ours[0], where + "[]") if official and ours else []
    return [] if official is None or ours is None or type(official) is type(ours) else [where]


async def test_bodies_have_the_shape_of_the_official_samples(talabat: Talabat) -> None:
    """The order but for optional placeholders, the catalog callback, the store's availability, and the JWT byte for byte."""

    def sample(name: str) -> Any:
        return json.loads(vendor_spec("talabat", name).read_text("utf-8"))

    vector, calls = sample("jwt_vector.json"), sample("official_calls.json")
    await talabat.control("POST", "/talabat/webhooks", {"url": talabat.base, "secret": vector["secret"]})
    order = await talabat.placed(type="delivery", items=[{"id": "P-BURGER", "modifiers": [{"id": "O-REGULAR"}]}])
    assert talabat.plugin.got[0][2]["authorization"] == f"Bearer {vector['token']}"
    optional = {f"order.{each}" for each in ("extraParameters", "invoicingInformation", "customer.flags", "customer.invoiceAddress")}
    found = set(shape(sample("order_dispatch_generic.json"), order))
    assert found == {*optional, "order.products[].selectedToppings[].sku"}
    last = await imported(talabat, catalog())
    assert (shape(calls["catalog_callback"], last), last.keys()) == ([], calls["catalog_callback"].keys())
    await talabat.control("POST", "/talabat/settings", {"availability_delay_s": 0})
    await talabat.control("POST", f"/talabat/stores/{STORE}", {"status": "closed"})
    row = (await talabat.call("GET", AVAILABILITY))[1][0]
    assert shape(calls["store_availability_get_200"][0], row) == []


async def test_products_are_changed_after_the_acceptance(talabat: Talabat) -> None:
    """One change at a time; its result comes as a status, with the whole order or with an error code."""
    items = [{"id": "P-FRIES", "quantity": 3}, {"id": "P-BURGER", "modifiers": [{"id": "O-LARGE", "modifiers": [{"id": "O-BEEF"}]}]}]
    order = await talabat.placed(items=items, plain=True, type="pickup")
    fries, burger = order["products"]
    less = {"id": fries["id"], "quantity": "1", "modification": {"type": "CHANGE", "properties": ["quantity"]}}
    beef = {"id": burger["selectedToppings"][0]["children"][0]["id"], "modification": {"type": "REMOVAL"}}
    without = {"id": burger["id"], "modification": {"type": "CHANGE", "properties": ["selectedToppings"]}, "selectedToppings": [beef]}
    assert (await talabat.back(order, "orderProductModificationUrl", {"modifications": {"products": [less]}}))[0] == 409
    assert (await talabat.accept(order, modifications={"products": [less, without]}))[0] == 200
    assert (await talabat.back(order, "orderProductModificationUrl", {"modifications": {"products": [less]}}))[0] == 409
    done = (await talabat.plugin.wait("/posOrderStatus"))[0]
    assert done["status"] == "PRODUCT_ORDER_MODIFICATION_SUCCESSFUL"
    assert [each["paidPrice"] for each in done["updatedOrder"]["products"]] == ["9.97", "29.83"]
    for change, code in (
        ({**less, "quantity": "0"}, "QUANTITY_CANNOT_BE_ZERO"),
        ({**less, "quantity": "9"}, "INVALID_TOTAL_PRICE_CHANGE"),
        ({**less, "id": "x"}, "UNKNOWN_PRODUCT_ID"),
        ({"modification": {"type": "ADDITION"}}, "PRODUCT_REMOTE_CODE_REQUIRED"),
    ):
        count = len(talabat.plugin.sent("/posOrderStatus"))
        assert (await talabat.back(order, "orderProductModificationUrl", {"modifications": {"products": [change]}}))[0] == 202
        assert (await talabat.plugin.wait("/posOrderStatus", count + 1))[-1]["message"] == code


async def test_an_imported_catalog_is_what_consumers_order_from(talabat: Talabat) -> None:
    """One import serves many vendors; the callback names each; orders draw from it; the log has both states."""
    last = await imported(talabat, catalog(), STORE, OTHER)
    assert (last["status"], [each["posVendorId"] for each in last["details"]]) == ("done", [STORE, OTHER])
    assert {each["globalEntityId"] for each in last["details"]} == {"TB_AE"}
    order = await talabat.placed()
    assert {each["remoteCode"] for each in order["products"]} == {"tea"}
    logs = (await talabat.call("GET", f"{CHAIN}/vendors/{STORE}/menu-import-logs?limit=5"))[1]["menuImportLogs"][STORE]
    assert [each["status"] for each in logs] == ["done", "in_progress"]
    await talabat.control("POST", "/talabat/stores/kw-1", {"create": True, "currency": "KWD"})
    mixed = {**catalog(), "tea": {**catalog()["tea"], "price": "1.125"}}
    assert [each["status"] for each in (await imported(talabat, mixed, STORE, "kw-1"))["details"]] == ["failed", "done"]
    made = await talabat.placed(store="kw-1", items=[{"id": "tea", "modifiers": [{"id": "small"}]}], plain=True)
    assert (made["price"]["grandTotal"], (await talabat.row(made["token"]))["total"]) == ("1.125", 1125)


@pytest.mark.parametrize("name", ["catalog_import.json", "catalog_simple_official.json"])
async def test_the_sample_catalogs_are_imported(talabat: Talabat, name: str) -> None:
    """As they are, but for the official one's misspelt startTime."""
    text = vendor_spec("talabat", name).read_text("utf-8").replace('"starTime"', '"startTime"')
    assert (await imported(talabat, json.loads(text)["catalog"]["items"]))["status"] == "done"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("tea", "id"), "coffee"),
        (("tea", "price"), 12.5),
        (("tea", "price"), "12.505"),
        (("tea", "price"), None),
        (("tea", "title"), "Tea"),
        (("tea", "toppings"), {"none": {"id": "none", "type": "Topping"}}),
        (("hidden", "products", "honey"), None),
        (("size", "quantity"), {"min": 1, "max": 1}),
        (("size", "quantity", "maximum"), 2),
        (("honey", "toppings"), {"size": {"id": "size", "type": "Topping"}}),
        (("day", "endTime"), "02:00:00"),
        (("day", "weekDays"), ["Monday"]),
        (("hot", "type"), "Group"),
        (("small", "parent"), {"id": "large", "type": "Product"}),
    ],
)
async def test_a_catalog_that_breaks_a_rule_fails_and_the_old_one_stays(talabat: Talabat, path: tuple[str, ...], value: Any) -> None:
    """It is taken in, and then the callback says what is wrong."""
    items = copy.deepcopy(catalog())
    place: Any = items
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    last = await imported(talabat, items)
    assert (last["status"], last["message"] != "") == ("failed", True)
    assert (await talabat.client.state("talabat"))["menus"][0]["pushed"] is False


async def test_envelopes_chains_vendors_and_tokens_are_checked_at_once(talabat: Talabat) -> None:
    """Each endpoint family refuses with its own body."""
    body = {"vendors": [STORE], "catalog": {"items": catalog()}}
    for path, change, status in (
        (f"{CHAIN}/catalog", {"vendors": []}, 400),
        (f"{CHAIN}/catalog", {"vendors": ["nobody"]}, 404),
        (f"{CHAIN}/catalog", {"catalog": []}, 400),
        ("/talabat/v2/chains/other/catalog", {}, 404),
        (f"{CHAIN}/global-entity/TB_AE/catalog", {}, 400),
    ):
        found, answer = await talabat.call("PUT", path, {**body, **change})
        assert (found, answer["errorCode"]) == (status, "BAD_REQUEST")
    assert (await talabat.call("PUT", f"{CHAIN}/global-entity/TB_AE/catalog", {**body, "platformVendors": ["600101"]}))[0] == 202
    assert (await talabat.call("GET", AVAILABILITY.replace("tb-sandbox-chain", "other")))[1]["code"] == "FORBIDDEN"
    assert (await talabat.call("POST", "/talabat/v2/order/status/x", {"status": "order_accepted"}))[1]["code"] == "ORDER_NOT_FOUND"
    assert (await login(talabat.client, password="no"))[0] == 401
    assert (await login(talabat.client, grant_type="password"))[0] == 400
    async with talabat.client.http.post(f"{talabat.client.root}/talabat/v2/login", json={}) as answer:
        assert answer.status == 400
    await talabat.control("POST", "/talabat/faults", {"expire_tokens": True})
    assert await talabat.call("PUT", f"{CHAIN}/catalog", body) == (
        401,
        {"errorCode": "AUTHENTICATION_ERROR", "message": "expired access token"},
    )
    assert (await talabat.call("GET", AVAILABILITY))[0] == 401


async def test_items_go_off_sale_and_come_back(talabat: Talabat) -> None:
    """All done is 204, partly 200, nothing 400; ITEM is what is sold by itself, TOPPING an option."""
    body: dict[str, Any] = {"globalEntityId": "TB_AE", "type": "ITEM", "items": ["P-FRIES"], "isAvailable": False}
    assert (await talabat.call("PUT", ITEMS, body))[0] == 204
    assert (await talabat.call("PUT", ITEMS, {**body, "type": "TOPPING", "items": ["O-BEEF"], "willBeAvailable": "NEXT_BUSINESS_DAY"}))[
        0
    ] == 204
    stock = (await talabat.client.state("talabat"))["stock"]
    assert {(each["item"], each["available"]) for each in stock} == {("P-FRIES", False), ("O-BEEF", False)}
    status, answer = await talabat.call("PUT", ITEMS, {**body, "items": ["P-FRIES", "none"], "isAvailable": True})
    assert (status, answer["status"], answer["details"][0]["platformVendorId"]) == (200, "Partial Success", "600101")
    assert (await talabat.call("PUT", ITEMS, {**body, "items": ["O-BEEF"]}))[0] == 400
    for change in (
        {"globalEntityId": "FP_SG"},
        {"items": []},
        {"type": "DISH"},
        {"willBeAvailable": "AT_TIMESTAMP", "atTimestamp": soon(60)},
        {"isAvailable": True, "willBeAvailable": "NEXT_BUSINESS_DAY"},
    ):
        assert (await talabat.call("PUT", ITEMS, {**body, **change}))[1]["code"] == "INVALID_REQUEST"


async def test_a_store_is_closed_only_as_its_platform_allows(talabat: Talabat) -> None:
    """The first read is too early; writes name the platform and what the read listed; staff can forbid them."""
    assert (await talabat.call("GET", AVAILABILITY))[0] == 204
    await asyncio.sleep(0.25)
    status, (row,) = await talabat.call("GET", AVAILABILITY)
    assert (status, row["availabilityState"], "closedReason" in row) == (200, "OPEN", False)
    body = {"platformKey": row["platformKey"], "platformRestaurantId": int(row["platformRestaurantId"])}
    pause = {**body, "availabilityState": "CLOSED_UNTIL", "closedReason": "TOO_BUSY_KITCHEN", "closingMinutes": 30}
    for change in (
        {"closingMinutes": 31},
        {"closingMinutes": None},
        {"closedReason": "FRAUD"},
        {"availabilityState": "OPEN"},
        {"platformKey": "X"},
    ):
        assert (await talabat.call("PUT", AVAILABILITY, {**pause, **change}))[1]["code"] == "POS_ERROR"
    assert (await talabat.call("PUT", AVAILABILITY, pause))[0] == 200
    closed = (await talabat.call("GET", AVAILABILITY))[1][0]
    assert (closed["availabilityState"], closed["closedReason"], "closedUntil" in closed) == ("CLOSED_UNTIL", "TOO_BUSY_KITCHEN", True)
    await talabat.control("POST", f"/talabat/stores/{STORE}", {"status": "closed", "changeable": False, "request_menu": True})
    assert (await talabat.plugin.wait("/availability"))[0]["closures"][0]["changeable"] is False
    assert (await talabat.call("PUT", AVAILABILITY, {**body, "availabilityState": "OPEN"}))[0] == 400
    await talabat.plugin.wait(f"/menuimport/{STORE}?vendorCode=600101&menuImportId=")


async def test_staff_edit_the_menu_and_the_stock(talabat: Talabat) -> None:
    """A new price and name are what is sold, a removed product is gone, and one out of stock is not drawn."""
    edits = [
        {"op": "price", "id": "P-FRIES", "amount": 1111},
        {"op": "rename", "id": "P-FRIES", "name": "Chips"},
        {"op": "remove", "id": "P-WATER"},
    ]
    items = {each["id"]: each for each in (await talabat.control("POST", "/talabat/menu", {"edits": edits}))["items"]}
    assert ((items["P-FRIES"]["price"], items["P-FRIES"]["name"]), "P-WATER" in items) == ((1111, "Chips"), False)
    await talabat.control("POST", "/talabat/stock", {"item": "P-FRIES", "available": False})
    assert {each["available"] for each in (await talabat.client.state("talabat"))["stock"]} == {False}
    await talabat.control("POST", "/talabat/reset")
    assert (await talabat.client.state("talabat"))["stock"] == []


async def test_an_order_accepted_on_the_tablet_has_no_accept_url(talabat: Talabat) -> None:
    """An indirect vendor's order comes accepted; a product cannot be modified on this brand and the callback says so."""
    await talabat.control("POST", f"/talabat/stores/{STORE}", {"direct": False})
    order = await talabat.placed()
    assert order["callbackUrls"]["orderAcceptedUrl"] is order["callbackUrls"]["orderRejectedUrl"] is None
    assert (await talabat.call("POST", f"/talabat/v2/order/status/{order['token']}", {"status": "order_accepted"}))[0] == 409
    product = {"productId": "P-FRIES", "name": "Chips", "action": "upsert", "updatedFields": ["name"]}
    sample = {"processId": "p-1", "timestamp": "2030-01-01T00:00:00.000Z", "product": product}
    path = f"{CHAIN}/globalEntityId/TB_AE/restaurant/600101/modify-product"
    assert (await talabat.call("PUT", path, {**sample, "callback": f"{talabat.base}/product"}))[0] == 204
    assert (await talabat.plugin.wait("/product"))[0]["traceId"] == sample["processId"]
    status, body = await talabat.call("PUT", path, {})
    assert (status, body["constraintViolations"][0]["field"]) == (400, "processId")


async def test_orders_are_answered_where_the_sandbox_is_reached(talabat: Talabat) -> None:
    """At the address of the last call, unless the control call names another one."""
    order, other = await talabat.placed(plain=True), await talabat.placed(plain=True, base_url="http://sandbox.test/talabat")
    assert order["callbackUrls"]["orderAcceptedUrl"] == f"{talabat.client.root}/talabat/v2/order/status/{order['token']}"
    assert other["callbackUrls"]["orderAcceptedUrl"] == f"http://sandbox.test/talabat/v2/order/status/{other['token']}"
