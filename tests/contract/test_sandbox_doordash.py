"""DoorDash's simulated side: signed callers, offered orders and both ways to confirm, menus pushed and pulled, items and stores."""

import asyncio
import base64
import copy
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from adapters.doordash._sandbox_access import Keys
from tests.contract.openapi import Spec, vendor_spec
from tests.contract.sandbox_client import Client, sandboxes

API = "/doordash/marketplace/api/v1"
STORE = "harbour-01"
HEADER = {"alg": "HS256", "typ": "JWT", "dd-ver": "DD-JWT-V1"}


def signed(claims: dict[str, Any], secret: str, header: dict[str, Any] = HEADER) -> str:
    """A JWT, made here from RFC 7515 alone."""

    def part(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    text = ".".join(part(json.dumps(each, separators=(",", ":")).encode()) for each in (header, claims))
    key = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    return f"{text}.{part(hmac.new(key, text.encode(), hashlib.sha256).digest())}"


class Provider:
    """What DoorDash calls: answers by `reply`, keeps what came."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, dict[str, str], Any]] = []
        self.reply: Callable[[str, Any], tuple[int, Any]] = lambda _, __: (202, None)
        self.url = ""

    async def receive(self, request: web.Request) -> web.Response:
        raw = await request.read()
        body = json.loads(raw) if raw else None
        self.got.append((request.method, request.path_qs, {k.lower(): v for k, v in request.headers.items()}, body))
        status, answer = self.reply(request.method, body)
        return web.Response(status=status, body=b"" if answer is None else json.dumps(answer).encode())

    async def body(self, holds: Callable[[Any], bool], seconds: float = 5) -> Any:
        """The first body of which this holds, once there is one."""
        async with asyncio.timeout(seconds):
            while True:
                for _, _, _, body in self.got:
                    if body is not None and holds(body):
                        return body
                await asyncio.sleep(0.01)


class Dash:
    """Calls with freshly signed tokens, and control calls."""

    def __init__(self, client: Client, provider: Provider, app: dict[str, str]) -> None:
        self.client, self.provider, self.app = client, provider, app

    def token(self, header: dict[str, Any] = HEADER, **changes: Any) -> str:
        now = int(time.time())
        claims = {"aud": "doordash", "iss": self.app["developer_id"], "kid": self.app["key_id"], "iat": now, "exp": now + 300}
        return signed({**claims, **changes}, self.app["signing_secret"], header)

    async def raw(self, method: str, path: str, body: Any = None, token: str = "", **headers: str) -> tuple[int, str]:
        sent = {"Authorization": f"Bearer {token or self.token()}", "auth-version": "v2", "User-Agent": "MerchantSandbox/1.0"}
        url = self.client.root + (path if path.startswith("/doordash") else API + path)
        async with self.client.http.request(method, url, json=body, headers={**sent, **headers}) as answer:
            return answer.status, await answer.text()

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        status, text = await self.raw(method, path, body)
        return status, json.loads(text) if text else None

    async def control(self, path: str, body: Any = None) -> Any:
        return await self.client.control("POST", f"/doordash/{path}", body or {})

    async def refused(self, path: str, body: Any) -> int:
        async with self.client.http.post(f"{self.client.root}/_control/doordash/{path}", json=body) as answer:
            return answer.status

    async def state(self) -> Any:
        return await self.client.state("doordash")

    async def place(self, **more: Any) -> str:
        return str((await self.control("orders", {"store": STORE, **more}))["orders"][0])

    async def row(self, order: str) -> Any:
        return next(each for each in (await self.state())["orders"] if each["id"] == order)

    async def until(self, order: str, state: str) -> Any:
        async with asyncio.timeout(5):
            while (row := await self.row(order))["state"] != state:
                await asyncio.sleep(0.01)
        return row

    async def sent(self, order: str) -> Any:
        """The order as it was offered."""
        return (await self.provider.body(lambda body: body.get("order", {}).get("id") == order))["order"]

    async def confirmed(self, **more: Any) -> str:
        order = await self.place(**more)
        assert (await self.call("PATCH", f"/orders/{order}", {"merchant_supplied_id": "pos-1", "order_status": "success"}))[0] == 202
        return order

    async def menu_event(self, reference: str) -> Any:
        return await self.provider.body(lambda body: body.get("event", {}).get("reference") == reference)


@asynccontextmanager
async def receiving() -> AsyncIterator[Provider]:
    """A provider on a free port."""
    provider = Provider()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", provider.receive)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}/in"
    try:
        yield provider
    finally:
        await runner.cleanup()


@pytest_asyncio.fixture
async def dash() -> AsyncIterator[Dash]:
    """A DoorDash sandbox, an access key, and a provider that answers 202."""
    async with receiving() as provider, sandboxes() as client:
        made = Dash(client, provider, (await client.control("GET", ""))["doordash"]["app"])
        await made.control("webhooks", {"url": provider.url})
        await made.control("settings", {"menu_job_s": 0.05, "adjustment_s": 0, "report_s": 0.05})
        yield made


def menu(reference: str = "ref-1", **changes: Any) -> dict[str, Any]:
    """A small valid menu: one item with an option that has the item's own id, elsewhere and at another price."""
    milk = {"name": "Milk", "merchant_supplied_id": "milk", "min_num_options": 1, "max_num_options": 1}
    item = {
        "name": "Tea",
        "merchant_supplied_id": "tea",
        "price": 250,
        "tax_rate": "5",
        "extras": [{**milk, "options": [{"name": "Oat", "merchant_supplied_id": "oat", "price": 50}]}],
    }
    shelf = {"name": "Hot", "merchant_supplied_id": "hot", "items": [item]}
    return {
        "reference": reference,
        "store": {"merchant_supplied_id": STORE, "provider_type": "merchant_sandbox"},
        "open_hours": [{"day_index": "MON", "start_time": "08:00", "end_time": "22:00:00"}],
        "special_hours": [{"date": "2031-01-01", "closed": True}],
        "menu": {"name": "All", "merchant_supplied_id": "all", "categories": [shelf]},
        **changes,
    }


def test_the_published_token_is_made_and_taken() -> None:
    """The vector's token comes out of its claims, is good within its half hour, and no longer with a sign changed."""
    vector = json.loads(vendor_spec("doordash", "jwt_test_vector.json").read_text("utf-8"))
    names = {"aud": "doordash", "iss": vector["developer_id"], "kid": vector["key_id"]}
    assert signed({**names, "iat": vector["iat"], "exp": vector["exp"]}, vector["signing_secret"]) == vector["jwt"]
    keys = Keys(vector["developer_id"], vector["key_id"], vector["signing_secret"])
    assert keys.why_not(vector["jwt"], vector["iat"]) == ""
    assert keys.why_not(vector["jwt"], vector["iat"] - 1) == "the JWT's iat is in the future"
    assert keys.why_not(vector["jwt"], vector["exp"]) == "the JWT has expired"
    assert keys.why_not(vector["jwt"].replace(".eyJh", ".eyJi"), vector["iat"]) == "the JWT's signature is wrong"


async def test_callers_without_a_good_token_are_refused(dash: Dash) -> None:
    """Header, audience, ids, times and signature of the token, the version and the agent are checked."""
    now, path = int(time.time()), f"/stores/{STORE}/store_details"
    bad = [
        dash.token({"alg": "HS256", "typ": "JWT"}),
        *(dash.token(**change) for change in ({"aud": "x"}, {"iss": "x"}, {"kid": "x"}, {"iat": now + 60}, {"exp": now + 1900})),
        *(dash.token(**change) for change in ({"iat": now - 90, "exp": now - 30}, {"iat": None}, {"exp": True})),
        dash.token()[:-4] + "AAAA",
        "x",
        "é.é.é",
    ]
    for token in bad:
        assert (await dash.raw("GET", path, token=token.encode().decode("latin-1")))[0] == 401, token
    assert (await dash.raw("GET", path, **{"auth-version": "v1"}))[0] == 401
    assert (await dash.raw("GET", path, **{"User-Agent": "curl/8"}))[0] == 400
    assert (await dash.raw("GET", path, token=dash.token(iat=str(now), exp=str(now + 1800))))[0] == 200
    assert len((await dash.state())["rejected"]) == len(bad) + 2


async def test_tokens_can_be_made_to_expire_and_new_ones_are_good(dash: Dash) -> None:
    """What was made before is refused; a token made again in the same second, the same bytes, is refused once."""
    path, old, same = f"/stores/{STORE}/store_details", dash.token(iat=int(time.time()) - 5), dash.token()
    assert [(await dash.raw("GET", path, token=each))[0] for each in (old, same)] == [200, 200]
    await dash.control("faults", {"expire_tokens": True})
    assert [(await dash.raw("GET", path, token=each))[0] for each in (old, old, same)] == [401] * 3
    assert (await dash.raw("GET", path, token=dash.token()))[0] == 200


async def test_an_order_is_offered_confirmed_made_ready_and_delivered(dash: Dash) -> None:
    """The webhook carries the whole order and the address's token; a PATCH confirms; the Dasher takes it to its end."""
    order = await dash.place(type="delivery")
    offered = await dash.sent(order)
    method, _, headers, body = dash.provider.got[0]
    assert (method, headers["authorization"]) == ("POST", dash.app["webhook_secret"])
    assert (body["event"], offered["fulfillment_type"]) == ({"type": "OrderCreate", "status": "NEW"}, "dx_delivery")
    ready, mine = f"/orders/{order}/events/order_ready_for_pickup", {"merchant_supplied_id": "pos-7"}
    assert (await dash.call("PATCH", ready, mine))[0] == 400
    confirmation = {**mine, "order_status": "success", "prep_time": "2031-01-01T00:00:00Z", "pickup_instructions": "Side door"}
    assert await dash.call("PATCH", f"/orders/{order}", confirmation) == (202, None)
    assert (await dash.call("PATCH", ready, {"merchant_supplied_id": "other"}))[0] == 400
    assert (await dash.call("PATCH", f"/orders/{order}/events/eaten", mine))[0] == 400
    assert [(await dash.call("PATCH", ready, mine))[0] for _ in range(2)] == [202, 202]
    for state in ("arrived", "picked_up", "dropoff"):
        await dash.control(f"orders/{order}/courier", {"state": state})
    told = await dash.provider.body(lambda body: body.get("delivery", {}).get("dasher_status") == "dropoff")
    assert (told["event"]["type"], told["delivery"]["client_order_id"]) == ("dasher_status_update", "pos-7")
    row = await dash.row(order)
    assert (row["state"], row["pos_reference"], row["total"]) == ("DELIVERED", "pos-7", row["payments"][0]["amount"])
    passed = [each["state"] for each in row["history"] if each["state"] != "ACKNOWLEDGED"]
    assert passed == ["NEW", "CONFIRMED", "READY", "arrived_at_store", "PICKED_UP", "DELIVERED"]


async def test_what_is_sent_has_the_published_shape(dash: Dash) -> None:
    """Orders fit the published schema and hold what the sample holds; events have the samples' fields."""
    spec = Spec.load(vendor_spec("doordash", "marketplace-openapi-trimmed.json"), closed=False)
    await dash.control("orders", {"store": STORE, "count": 60})
    await dash.provider.body(lambda _: len(dash.provider.got) == 60)
    sample = json.loads(vendor_spec("doordash", "order_create_webhook.json").read_text("utf-8"))["order"]
    for _, _, _, body in dash.provider.got:
        spec._check({"$ref": "#/components/schemas/Order"}, body["order"], "order")
        assert sample.keys() <= body["order"].keys()
        assert sample["categories"][0].keys() == body["order"]["categories"][0].keys()
        assert all(isinstance(body["order"][name], type(value)) for name, value in sample.items())

    def keys(name: str) -> Any:
        return json.loads(vendor_spec("doordash", name).read_text("utf-8")).keys()

    order = await dash.confirmed(type="delivery")
    await dash.control(f"orders/{order}/courier", {"state": "release"})
    await dash.control(f"orders/{order}/courier", {"state": "dasher_confirmed"})
    assert (await dash.provider.body(lambda body: "distance_from_store" in body)).keys() == keys("order_release_webhook.json")
    assert (await dash.provider.body(lambda body: "delivery" in body)).keys() == keys("dasher_status_webhook.json")
    await dash.control(f"orders/{order}/cancel")
    gone = await dash.provider.body(lambda body: "is_asap" in body)
    assert gone.keys() == keys("order_cancel_webhook.json")
    assert (gone["external_order_id"], gone["client_order_id"]) == (order, "pos-1")
    await dash.control(f"stores/{STORE}", {"status": "closed", "reason": "Incorrect Store Hours"})
    assert (await dash.provider.body(lambda body: "reason_id" in body)).keys() == keys("store_temp_deactivated_webhook.json")
    assert (await dash.call("GET", f"/stores/{STORE}/store_details"))[1].keys() == keys("store_details_response.json")
    listed = (await dash.call("GET", f"/stores/{STORE}/menu_details"))[1]
    sample = json.loads(vendor_spec("doordash", "menu_details_response.json").read_text("utf-8"))
    assert (listed.keys(), listed["menus"][0].keys()) == (sample.keys(), sample["menus"][0].keys())
    status, shown = await dash.call("GET", f"/stores/{STORE}/store_menu")
    spec.check_response("GET", f"/api/v1/stores/{STORE}/store_menu", status, shown)
    assert "tax_rate" not in json.dumps(shown)


async def test_menu_jobs_pauses_and_availability_have_the_published_shape(dash: Dash) -> None:
    """The menu status webhook is the sample's; a pause of our own and an item off sale fit the published schemas."""
    spec = Spec.load(vendor_spec("doordash", "marketplace-openapi-trimmed.json"), closed=False)
    body = menu()
    spec.check_request("POST", "/api/v1/menus", body)
    status, answer = await dash.call("POST", "/menus", body)
    spec.check_response("POST", "/api/v1/menus", status, answer)
    told = await dash.menu_event("ref-1")
    sample = json.loads(vendor_spec("doordash", "menu_status_webhook.json").read_text("utf-8"))
    assert (told.keys(), told["event"].keys()) == (sample.keys(), sample["event"].keys())
    await dash.call("PUT", f"/stores/{STORE}/status", {"is_active": False})
    await dash.call("PUT", f"/stores/{STORE}/items/status", [{"merchant_supplied_id": "tea", "is_active": False}])
    for path in (f"/stores/{STORE}/store_details", "/stores/tea/item/availability"):
        spec.check_response("GET", f"/api/v1{path}", *await dash.call("GET", path))


async def test_amounts_balance(dash: Dash) -> None:
    """The subtotal is the lines before discounts; the total is what the merchant gets; a plain order has no extras."""
    await dash.control("orders", {"store": STORE, "count": 120})
    await dash.control("orders", {"store": "oldmill-02", "count": 20, "plain": True})
    await dash.provider.body(lambda _: len(dash.provider.got) == 140)
    rows = {each["id"]: each for each in (await dash.state())["orders"]}

    def worth(piece: Any) -> int:
        inner = sum(worth(option) for extra in piece.get("extras", []) for option in extra["options"])
        return int((piece["price"] + inner) * piece["quantity"])

    funders = set()
    for _, _, _, body in dash.provider.got:
        order, row = body["order"], rows[body["order"]["id"]]
        items = [item for shelf in order["categories"] for item in shelf["items"]]
        assert order["subtotal"] == sum(map(worth, items)) == sum(each["total"] for each in row["items"])
        promotions = [*order.get("applied_discounts", []), *(i["applied_item_discount"] for i in items if "applied_item_discount" in i)]
        off = sum(each["discount_amount"] for each in promotions)
        extra = order["tip_amount"] + order["merchant_tip_amount"] + order.get("delivery_fee", 0) + order.get("taxes_on_fees", 0)
        assert row["total"] == order["subtotal"] + order["tax"] + extra - off
        assert order.get("subtotal_for_tax", order["subtotal"]) == order["subtotal"] - off
        funders.add(order.get("subtotal_discount_funding_source"))
        if row["store"] == "oldmill-02":
            assert (row["total"], order["is_tax_remitted_by_doordash"]) == (order["subtotal"] + order["tax"], True)
    assert funders == {None, "merchant", "doordash"}


async def test_an_answer_of_200_confirms_by_its_body_and_other_answers_fail_the_order(dash: Dash) -> None:
    """Success and fail in the body count as said; without a confirmation, or with an error status, the order has failed."""
    answers = [
        ((200, {"merchant_supplied_id": "pos-9", "order_status": "success"}), "CONFIRMED", "pos-9"),
        ((200, {"merchant_supplied_id": "-", "order_status": "fail", "failure_reason": "Store Unavailable"}), "FAILED", "-"),
        ((200, {"order_status": "success"}), "FAILED", None),
        ((200, None), "FAILED", None),
        ((503, None), "FAILED", None),
    ]
    for answer, state, reference in answers:
        dash.provider.reply = lambda _, __, answer=answer: answer
        row = await dash.until(await dash.place(), state)
        assert row["reference"] == reference
    rejected = (await dash.state())["rejected"]
    assert [each["status"] for each in rejected] == [200, 200, 503]
    assert all(each["reason"].startswith("answer to orders: order ") for each in rejected)


@pytest.mark.parametrize(
    "body",
    [
        {"order_status": "success"},
        {"merchant_supplied_id": "p", "order_status": "ok"},
        {"merchant_supplied_id": 7, "order_status": "success"},
        {"merchant_supplied_id": "p", "order_status": "fail"},
        {"merchant_supplied_id": "p", "order_status": "success", "prep_time": "2031-01-01T00:00:00"},
        {"merchant_supplied_id": "p", "order_status": "success", "pickup_instructions": "x" * 129},
        {"merchant_supplied_id": "p", "order_status": "fail", "failure_reason": "x", "errors": [{"code": "BUSY"}]},
        {"merchant_supplied_id": "p", "order_status": "fail", "failure_reason": "x", "errors": [{"code": "POS_OFFLINE", "message": "x"}]},
    ],
)
async def test_a_confirmation_is_checked(dash: Dash, body: dict[str, Any]) -> None:
    """A confirmation that misses or misuses a field is 400, names it, and the order waits on."""
    order = await dash.place()
    status, answer = await dash.call("PATCH", f"/orders/{order}", body)
    assert (status, len(answer["field_errors"]), (await dash.row(order))["state"]) == (400, 1, "NEW")


async def test_a_settled_or_late_order_is_not_confirmed_again(dash: Dash) -> None:
    """Only the exact repeat is no rejection; an order that nobody confirmed in time fails without a word; unknown ids are 404."""
    order, body = await dash.confirmed(), {"merchant_supplied_id": "pos-1", "order_status": "success"}
    assert (await dash.call("PATCH", f"/orders/{order}", body))[0] == 400
    state = await dash.state()
    assert (state["rejected"], state["calls"]["order.confirm.repeated"]) == ([], 1)
    assert (await dash.call("PATCH", f"/orders/{order}", {**body, "merchant_supplied_id": "pos-2"}))[0] == 400
    late = await dash.place(accept_deadline_s=0.05)
    assert (await dash.until(late, "FAILED"))["failure"] == "TIME_OUT"
    assert await dash.call("PATCH", f"/orders/{late}", body) == (400, {"code": "bad_request", "message": "Order has expired"})
    assert (await dash.call("PATCH", "/orders/nothing", body))[0] == 404
    assert not [body for *_, body in dash.provider.got if "is_asap" in body]
    window = (await dash.row(order))["deadline_at"]
    assert time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 170)) < window
    assert window < time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 485))


async def test_cancelling_needs_a_reason_and_may_pause_the_store(dash: Dash) -> None:
    """Only confirmed orders are cancelled, only by who may; a busy kitchen pauses the store for a quarter of an hour."""
    fresh, order = await dash.place(), await dash.confirmed()
    busy = {"cancel_reason": "KITCHEN_BUSY", "cancel_details": "Rush"}
    assert (await dash.call("PATCH", f"/orders/{fresh}/cancellation", busy))[0] == 400
    assert (await dash.call("PATCH", f"/orders/{order}/cancellation", {"cancel_reason": "TIRED"}))[0] == 400
    await dash.control("settings", {"cancellation_allowed": 0})
    assert (await dash.call("PATCH", f"/orders/{order}/cancellation", busy))[0] == 403
    await dash.control("settings", {"cancellation_allowed": 1})
    assert [(await dash.call("PATCH", f"/orders/{order}/cancellation", busy))[0] for _ in range(2)] == [202, 400]
    assert (await dash.state())["calls"]["order.cancel.repeated"] == 1
    paused = await dash.provider.body(lambda body: "reason_id" in body)
    assert (paused["reason"], paused["store"]["merchant_supplied_id"]) == ("KITCHEN_BUSY", STORE)
    assert await dash.refused("orders", {"store": STORE}) == 409
    assert await dash.refused(f"orders/{order}/cancel", {}) == 409


async def test_lines_are_adjusted_and_the_whole_order_is_told(dash: Dash) -> None:
    """Quantities, removals and substitutes count by the platform's line ids, all of them or none; one line has to stay."""
    items = [{"id": "water", "quantity": 3}, {"id": "brulee"}, {"id": "burger-single", "modifiers": [{"id": "bacon", "quantity": 2}]}]
    order = await dash.confirmed(items=items, plain=True)
    lines = {item["merchant_supplied_id"]: item for shelf in (await dash.sent(order))["categories"] for item in shelf["items"]}
    tag = {name: line["line_item_id"] for name, line in lines.items()}
    bacon = lines["burger-single"]["extras"][0]["options"][0]["line_option_id"]
    fewer = {"line_item_id": tag["water"], "adjustment_type": "ITEM_UPDATE", "quantity": 1}
    gone = {"line_item_id": tag["brulee"], "adjustment_type": "ITEM_REMOVE"}
    options = [{"line_option_id": bacon, "adjustment_type": "ITEM_UPDATE", "quantity": 1}]
    less = {"line_item_id": tag["burger-single"], "adjustment_type": "ITEM_UPDATE", "options": options}

    async def adjust(*changes: Any) -> int:
        return (await dash.call("PATCH", f"/orders/{order}/adjustment", {"items": list(changes)}))[0]

    assert await adjust(fewer, {"line_item_id": "brulee", "adjustment_type": "ITEM_REMOVE"}) == 404
    assert await adjust(*({"line_item_id": each, "adjustment_type": "ITEM_REMOVE"} for each in tag.values())) == 400
    assert await adjust({**fewer, "quantity": 0}) == await adjust() == await adjust({**fewer, "adjustment_type": "EAT"}) == 400
    assert (await dash.row(order))["subtotal"] == 3 * 229 + 833 + 1249 + 2 * 173
    assert await adjust(fewer, gone, less) == 202
    told = await dash.provider.body(lambda body: body.get("event", {}).get("type") == "OrderAdjustment")
    assert (told["order"]["id"], told["order"]["subtotal"]) == (order, 229 + 1249 + 173)
    assert told["order"]["tax"] == round((1249 + 173) * 0.08)
    assert await adjust(gone) == 404
    assert (await dash.state())["calls"]["order.adjust.repeated"] == 1
    other = {"name": "Soda", "merchant_supplied_id": "soda", "price": 300, "quantity": 2}
    assert await adjust({"line_item_id": tag["water"], "adjustment_type": "ITEM_SUBSTITUTE", "substituted_item": other}) == 202
    assert (await dash.row(order))["subtotal"] == 600 + 1249 + 173


async def test_a_pushed_menu_is_a_job_and_then_what_consumers_order_from(dash: Dash) -> None:
    """A second push waits for the first; the webhook names the menu; PATCH and a known own id replace, and old ids live on."""
    assert await dash.call("POST", "/menus", menu()) == (200, {"reference": "ref-1", "status": "IN_PROGRESS"})
    other = menu("ref-x")
    other["menu"] = {**other["menu"], "name": "Other"}
    status, text = await dash.raw("POST", "/menus", other)
    assert (status, text) == (200, "INVALID_ARGUMENT::INVALID_ARGUMENT: Already have a job IN_PROGRESS")
    told = await dash.menu_event("ref-1")
    assert (told["event"]["type"], told["event"]["status"]) == ("MenuCreate", "SUCCESS")
    offered = await dash.sent(await dash.place(plain=True))
    item = offered["categories"][0]["items"][0]
    assert (offered["categories"][0]["name"], item["merchant_supplied_id"], item["price"]) == ("Hot", "tea", 250)
    assert item["extras"][0]["options"][0]["merchant_supplied_id"] == "oat"
    first = told["menu"]["id"]
    changed = menu("ref-2")
    changed["menu"]["categories"][0]["items"][0]["price"] = 275
    assert (await dash.call("PATCH", f"/menus/{first}", changed))[0] == 200
    assert (await dash.menu_event("ref-2"))["event"]["type"] == "MenuUpdate"
    await dash.call("POST", "/menus", menu("ref-3"))
    second = (await dash.menu_event("ref-3"))["menu"]["id"]
    assert second != first
    assert [each["menu_id"] for each in (await dash.call("GET", f"/stores/{STORE}/menu_details"))[1]["menus"]] == [second]
    elsewhere = menu("ref-4", store={"merchant_supplied_id": "oldmill-02", "provider_type": "merchant_sandbox"})
    assert (await dash.raw("PATCH", f"/menus/{first}", elsewhere))[0] == 403
    assert (await dash.raw("PATCH", "/menus/nothing", menu()))[0] == 404
    await dash.control(f"stores/{STORE}", {"onboarding": True})
    assert "under active onboarding" in (await dash.raw("POST", "/menus", menu()))[1]
    held = (await dash.state())["menus"][0]
    assert (held["pushed"], [each["id"] for each in held["items"]]) == (True, ["tea", "oat"])


async def test_the_official_sample_is_a_menu_but_for_the_id_that_it_has_twice(dash: Dash) -> None:
    """DoorDash's sample repeats an item id, which its own error text forbids; without it the sample is taken."""
    body = json.loads(vendor_spec("doordash", "menu_create_request.json").read_text("utf-8"))
    body["store"] = menu()["store"]
    status, text = await dash.raw("POST", "/menus", body)
    assert status == 400
    assert text.startswith("Invalid menu payload: [StoreMenu.menu.MenuCategory[Entree]: find duplicate merchant id:7c38617d-")
    body["menu"]["categories"][0]["items"].pop()
    assert (await dash.raw("POST", "/menus", body))[0] == 200


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("store", "provider_type"), "someone_else"),
        (("store", "merchant_supplied_id"), "nowhere"),
        (("open_hours",), None),
        (("special_hours",), None),
        (("open_hours", 0, "day_index"), "Monday"),
        (("open_hours", 0, "start_time"), "8:00"),
        (("special_hours", 0, "date"), "1.1.2031"),
        (("menu",), None),
        (("menu", "name"), ""),
        (("menu", "categories", 0, "name"), None),
        (("menu", "categories", 0, "items", 0, "merchant_supplied_id"), None),
        (("menu", "categories", 0, "items", 0, "price"), 2.5),
        (("menu", "categories", 0, "items", 0, "price"), -1),
        (("menu", "categories", 0, "items", 0, "name"), "x" * 501),
        (("menu", "categories", 0, "items", 0, "description"), "x" * 1001),
        (("menu", "categories", 0, "items", 0, "tax_rate"), 5),
        (("menu", "categories", 0, "items", 0, "active"), "yes"),
        (("menu", "categories", 0, "items", 0, "extras", 0, "min_num_options"), 2),
        (("menu", "categories", 0, "items", 0, "extras", 0, "options", 0, "price"), None),
    ],
)
async def test_a_menu_that_doordash_would_refuse_is_refused(dash: Dash, path: tuple[str | int, ...], value: Any) -> None:
    """Required fields, prices in whole units, lengths, hours and limits are checked in plain text, and the old menu stays."""
    body: Any = copy.deepcopy(menu())
    place = body
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    status, text = await dash.raw("POST", "/menus", body)
    assert (status, text.startswith(("Invalid menu payload: [", "INVALID_ARGUMENT::"))) == (400, True), text
    assert (await dash.state())["menus"][0]["pushed"] is False


async def test_options_nest_three_levels_and_no_deeper(dash: Dash) -> None:
    """A third level of options is taken, a fourth refused."""

    def nested(levels: int) -> list[Any]:
        option = {"name": f"O{levels}", "merchant_supplied_id": "tea", "price": levels}
        inner = {"extras": nested(levels - 1)} if levels > 1 else {}
        return [{"name": "More", "min_num_options": 1, "max_num_options": 1, "options": [{**option, **inner}]}]

    body = menu()
    for levels, status in ((4, 400), (3, 200)):
        body["menu"]["categories"][0]["items"][0]["extras"] = nested(levels)
        assert (await dash.raw("POST", "/menus", body))[0] == status
    await dash.menu_event("ref-1")
    assert (await dash.sent(await dash.place(plain=True)))["subtotal"] % (250 + 1 + 2 + 3) == 0


async def test_nested_choices_can_come_under_the_sample_s_other_name(dash: Dash) -> None:
    """An option's own choices are `extras` as in the schema, or `extra` as in the sample."""
    wanted = [{"id": "combo", "modifiers": [{"id": "of-burger", "modifiers": [{"id": "bun-gluten-free"}]}]}]
    for setting, name, other in ((0, "extras", "extra"), (1, "extra", "extras")):
        await dash.control("settings", {"nested_as_extra": setting})
        order = await dash.sent(await dash.place(items=wanted, plain=True))
        option = order["categories"][0]["items"][0]["extras"][0]["options"][0]
        assert (option[name][0]["options"][0]["price"], other in option, order["subtotal"]) == (135, False, 1787 + 135)


async def test_bad_hours_and_failed_jobs_are_told_later(dash: Dash) -> None:
    """Overlapping hours fail the job although the menu is made; a job that fails as a whole names no menu."""
    twice = [
        {"day_index": "MON", "start_time": "08:00", "end_time": "12:00"},
        {"day_index": "MON", "start_time": "11:00", "end_time": "15:00"},
    ]
    await dash.call("POST", "/menus", menu("ref-1", open_hours=twice))
    told = await dash.menu_event("ref-1")
    assert (told["event"]["status"], "overlap" in told["event"]["details"], bool(told["menu"]["id"])) == ("FAILURE", True, True)
    await dash.control("settings", {"fail_menu_jobs": 1})
    await dash.call("POST", "/menus", menu("ref-2"))
    told = await dash.menu_event("ref-2")
    assert (told["event"]["status"], "menu" in told) == ("FAILURE", False)


async def test_menus_are_pulled_from_the_provider(dash: Dash) -> None:
    """A GET at the registered address and the store's id brings the menus; the ids of known ones are named and must match."""
    entry = {name: value for name, value in menu("pull-1").items() if name != "store"}
    answer: dict[str, Any] = {"store": menu()["store"], "menus": [entry]}
    dash.provider.reply = lambda method, _: (200, answer) if method == "GET" else (202, None)
    await dash.control(f"stores/{STORE}", {"request_menu": True})
    told = await dash.menu_event("pull-1")
    assert (told["event"]["type"], told["event"]["status"]) == ("MenuCreate", "Success")
    method, path, headers, body = dash.provider.got[0]
    assert (method, path, headers["authorization"], body) == ("GET", f"/in/{STORE}", dash.app["webhook_secret"], None)
    entry.update(reference="pull-2", id=told["menu"]["id"])
    await dash.control(f"stores/{STORE}", {"request_menu": True})
    assert (await dash.menu_event("pull-2"))["event"]["type"] == "MenuUpdate"
    assert [path for method, path, *_ in dash.provider.got if method == "GET"][1] == f"/in/{STORE}?ids={told['menu']['id']}"
    for change in ({"reference": ""}, {"reference": "pull-3", "id": "nothing"}, {"id": None, "menu": {}}):
        entry.update(change)
        await dash.control(f"stores/{STORE}", {"request_menu": True})
        await asyncio.sleep(0.05)
    reasons = [each["reason"] for each in (await dash.state())["rejected"]]
    assert len(reasons) == 3
    assert all(each.startswith("answer to menu_request: Invalid menu payload: [") for each in reasons)


async def test_items_and_options_go_off_sale_and_stay_so_when_the_menu_changes(dash: Dash) -> None:
    """Some unknown ids are 400 with a result for each, all unknown 404, more than forty 413, too many calls 429."""
    path, off = f"/stores/{STORE}/items/status", {"merchant_supplied_id": "fries", "is_active": False}
    assert await dash.call("PUT", path, [off]) == (200, None)
    assert await dash.call("PUT", path, [{**off, "merchant_supplied_id": "water"}, {**off, "merchant_supplied_id": "bacon"}]) == (
        400,
        [{"merchant_supplied_id": "water", "response": "Success"}, {"merchant_supplied_id": "bacon", "response": "Not Found"}],
    )
    assert (await dash.call("PUT", path, [{**off, "merchant_supplied_id": "bacon"}]))[0] == 404
    assert (await dash.call("PUT", f"/stores/{STORE}/item_options/status", [{**off, "merchant_supplied_id": "bacon"}]))[0] == 200
    assert (await dash.call("PUT", path, [off] * 41))[0] == 413
    assert (await dash.call("PUT", path, off))[0] == (await dash.call("PUT", path, [{**off, "is_active": "no"}]))[0] == 400
    assert (await dash.call("PUT", "/stores/nowhere/items/status", [off]))[0] == 404
    found = (await dash.call("GET", "/stores/fries/item/availability"))[1]
    assert (found["is_active"], (await dash.call("GET", "/stores/cheddar/item_option/availability"))[1]["is_active"]) == (False, True)
    assert (await dash.call("GET", "/stores/nothing/item/availability"))[0] == 404
    await dash.control("stock", {"item": "water", "available": True, "store": STORE})
    assert [each["item"] for each in (await dash.state())["stock"]] == ["bacon", "fries"]
    body = menu()
    body["menu"]["categories"][0]["items"][0]["merchant_supplied_id"] = "fries"
    await dash.call("POST", "/menus", body)
    await dash.menu_event("ref-1")
    assert await dash.refused("orders", {"store": STORE}) == 409
    await dash.control("settings", {"item_calls_per_minute": 0})
    assert (await dash.call("PUT", path, [off]))[0] == 429


async def test_a_store_is_paused_shown_and_reopened(dash: Dash) -> None:
    """An end, both durations or two weeks; the pause is listed and keeps consumers out; without bank data it stays shut."""
    path, details = f"/stores/{STORE}/status", f"/stores/{STORE}/store_details"
    for body in ({}, {"is_active": 0}, {"is_active": False, "reason": "tired"}, {"is_active": False, "end_time": "2001-01-01T00:00:00Z"}):
        assert (await dash.call("PUT", path, body))[0] == 400
    assert (await dash.call("PUT", path, {"is_active": False, "duration_in_hours": 1}))[0] == 400
    pause = {"is_active": False, "reason": "operational_issues", "notes": "Oven"}
    for more, days in (({}, 14), ({"end_time": "2031-01-01T01:00:00+01:00", "duration_in_hours": 1, "duration_in_secs": 0}, 14)):
        assert await dash.call("PUT", path, {**pause, **more}) == (200, None)
        body = (await dash.call("GET", details))[1]
        assert body["current_deactivations"][0]["end_time"][:10] == time.strftime("%Y-%m-%d", time.gmtime(time.time() + days * 86_400))
        assert (body["is_active"], body["current_deactivations"][0]["reason"]) == (False, "operational_issues")
        assert await dash.refused("orders", {"store": STORE}) == 409
        assert (await dash.call("PUT", path, {"is_active": True}))[0] == 200
    assert (await dash.call("GET", details))[1]["current_deactivations"] == []
    await dash.control(f"stores/{STORE}", {"bank": False})
    assert (await dash.call("PUT", path, {"is_active": True}))[0] == 400
    assert (await dash.call("GET", "/stores/nowhere/store_details"))[0] == 404


async def test_each_event_type_may_have_an_address_of_its_own(dash: Dash) -> None:
    """Cancellations go where they are registered, with that address's token; an automatic release comes with the Dasher."""
    other = await dash.control("webhooks", {"url": f"{dash.provider.url}/gone", "secret": "own-token", "events": ["order_canceled"]})
    assert (other["secret"], await dash.refused("webhooks", {"url": "http://x", "events": ["eaten"]})) == ("own-token", 400)
    await dash.control("settings", {"webhook_bearer": 1})
    await dash.control(f"stores/{STORE}", {"auto_release": True})
    order = await dash.confirmed(type="delivery")
    assert await dash.refused(f"orders/{order}/courier", {"state": "flying"}) == 400
    await dash.control(f"orders/{order}/courier", {"state": "arriving_at_store", "lat": 1.5})
    assert (await dash.provider.body(lambda body: "distance_from_store" in body))["dasher"]["latitude"] == 1.5
    await dash.control(f"orders/{order}/cancel")
    await dash.provider.body(lambda body: "is_asap" in body)
    seen = {path: headers["authorization"] for _, path, headers, _ in dash.provider.got}
    assert seen == {"/in": f"Bearer {dash.app['webhook_secret']}", "/in/gone": "Bearer own-token"}


async def test_stores_of_any_currency_and_menus_edited_by_staff(dash: Dash) -> None:
    """A store in Kuwaiti dinar counts in fils; staff rename, price and remove; scheduled and test orders are told as such."""
    await dash.control("stores/kw-1", {"create": True, "name": "Kuwait", "currency": "KWD", "timezone": "Asia/Kuwait"})
    edits = [
        {"op": "price", "id": "fries", "amount": 1505},
        {"op": "rename", "id": "fries", "name": "بطاطس"},
        {"op": "remove", "id": "combo"},
    ]
    await dash.control("menu", {"store": "kw-1", "edits": edits})
    assert await dash.refused("menu", {"store": "kw-1", "edits": [{"op": "remove", "id": "nothing"}]}) == 404
    more = {"items": [{"id": "fries", "quantity": 2}], "plain": True, "scheduled_for": "2031-01-01T12:00:00Z", "test": True}
    await dash.control("settings", {"test_cancel_s": 0.3})
    order = await dash.place(**{"store": "kw-1", **more})
    offered = await dash.sent(order)
    assert (offered["subtotal"], offered["tax"], offered["currency_code"]) == (3010, 241, "KWD")
    assert (offered["estimated_pickup_time"], offered["store"]["timezone"]) == ("2031-01-01T12:00:00.000Z", "Asia/Kuwait")
    assert (await dash.row(order))["currency"] == "KWD"
    assert "combo" not in json.dumps([each for each in (await dash.state())["menus"] if each["store"] == "kw-1"])
    gone = await dash.provider.body(lambda body: "is_asap" in body)
    assert (gone["is_asap"], gone["client_order_id"]) == (False, "")
    await dash.control("reset")
    state = await dash.state()
    assert (state["orders"], [each["ref"] for each in state["stores"]]) == ([], [STORE, "oldmill-02"])


async def test_reports_are_made_linked_and_fetched(dash: Dash) -> None:
    """A report is asked for, in progress, then linked; the file lists the orders; bad types and dates are refused."""
    order, today = await dash.confirmed(), time.strftime("%Y-%m-%d", time.gmtime())
    reports, asked = "/doordash/dataexchange/v1/reports", {"report_type": "ORDER_DETAIL", "start_date": today, "end_date": today}
    for change in ({"report_type": "HOROSCOPE"}, {"start_date": "yesterday"}, {"end_date": "2001-01-01"}, {"store_ids": {}}):
        assert (await dash.call("POST", reports, {**asked, **change}))[0] == 400
    assert (await dash.call("POST", reports, {**asked, "store_ids": [1]}))[0] == 404
    status, made = await dash.call("POST", reports, {**asked, "webhook_url": f"{dash.provider.url}/report"})
    link = f"{reports}/{made['report_id']}/reportlink"
    assert (status, (await dash.call("GET", link))[1]["report_status"]) == (200, "IN_PROGRESS")
    told = await dash.provider.body(lambda body: body.get("report_id") == made["report_id"])
    assert (await dash.call("GET", link))[1] == told
    assert told["report_status"] == "SUCCEEDED"
    async with dash.client.http.get(told["report_link"]) as answer:
        assert order in await answer.text()
    assert (await dash.call("GET", f"{reports}/nothing/reportlink"))[0] == 404
