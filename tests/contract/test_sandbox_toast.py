"""Toast's simulated side: priced, made, approved, cooked and voided orders; menus, stock, kitchen, logins and webhooks."""

import asyncio
import base64
import copy
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.contract.openapi import Spec, vendor_spec
from tests.contract.sandbox_client import Client, sandboxes

STORE = "d3a1f6c2-6b0e-4f0a-9a51-3f1c5b7e2a01"
OTHER = "8c2e7b94-51d3-4c6e-8f27-6a90d4b1e702"
NEW = "5b0c9e6e-6a55-4f0e-8a53-2d1f1d0a7c11"
RESTAURANT = "Toast-Restaurant-External-ID"
ORDERS = "/orders/v2/orders"


class Toast:
    """Calls of a partner for one restaurant, and what it knows of its menu and configuration."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.store = STORE
        self.items: dict[str, tuple[str, dict[str, Any]]] = {}
        self.menu: dict[str, Any] = {}
        self.config: dict[str, dict[str, str]] = {}

    async def login(self) -> None:
        app = (await self.client.control("GET", ""))["toast"]["app"]
        status, body = await self.client.call("POST", "/toast/authentication/v1/authentication/login", credentials(app))
        assert status == 200, body
        self.client.token = body["token"]["accessToken"]

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        return await self.client.call(method, f"/toast{path}", body, **{RESTAURANT: self.store, **headers})

    async def done(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = await self.call(method, path, body)
        assert status == 200, answer
        return answer

    async def control(self, path: str, **body: Any) -> Any:
        return await self.client.control("POST", f"/toast/{path}", body)

    async def read(self) -> None:
        """Learn a restaurant's menu and configuration."""
        self.menu = await self.done("GET", "/menus/v3/menus")

        def walk(groups: list[dict[str, Any]]) -> None:
            for group in groups:
                self.items.update({item["name"]: (group["guid"], item) for item in group["menuItems"]})
                walk(group["menuGroups"])

        for each in self.menu["menus"]:
            walk(each["menuGroups"])
        for kind in ("diningOptions", "alternatePaymentTypes", "serviceCharges", "discounts"):
            self.config[kind] = {row["name"]: row["guid"] for row in await self.done("GET", f"/config/v2/{kind}")}

    def line(self, name: str, quantity: float = 1, modifiers: list[Any] | None = None, **more: Any) -> dict[str, Any]:
        group, item = self.items[name]
        body = {"entityType": "MenuItemSelection", "item": {"guid": item["guid"]}, "itemGroup": {"guid": group}, "quantity": quantity}
        return {**body, "modifiers": modifiers or [], **more}

    def option(self, group: str, name: str, quantity: int = 1, modifiers: list[Any] | None = None) -> dict[str, Any]:
        found = next(each for each in self.menu["modifierGroupReferences"].values() if each["name"] == group)
        options = [self.menu["modifierOptionReferences"][str(ref)] for ref in found["modifierOptionReferences"]]
        guid = next(each["guid"] for each in options if name in each["name"])
        return {"item": {"guid": guid}, "optionGroup": {"guid": found["guid"]}, "quantity": quantity, "modifiers": modifiers or []}

    def order(self, *lines: dict[str, Any], kind: str = "Take Out", **more: Any) -> dict[str, Any]:
        guest = {"firstName": "Zoë", "lastName": "Müller", "phone": "+1 555-555-0101", "email": "ue12345@example.com"}
        check = {"selections": list(lines) or [self.line("Caesar Salad")], "customer": guest}
        return {"diningOption": {"guid": self.config["diningOptions"][kind]}, "checks": [check], **more}

    def payment(self, amount: Any, tip: Any = 0.0) -> dict[str, Any]:
        kind = {"guid": self.config["alternatePaymentTypes"]["Delivery Platform"]}
        return {"type": "OTHER", "otherPayment": kind, "amount": amount, "tipAmount": tip}

    async def state(self, order: str) -> Any:
        rows = (await self.client.state("toast"))["orders"]
        return next(row for row in rows if row["id"] == order)


def credentials(app: dict[str, str]) -> dict[str, str]:
    """The body of a login."""
    return {"clientId": app["client_id"], "clientSecret": app["client_secret"], "userAccessType": "TOAST_MACHINE_CLIENT"}


@pytest_asyncio.fixture
async def toast() -> AsyncIterator[Toast]:
    """A Toast sandbox, a token, a registered webhook address, and the first restaurant's menu and configuration."""
    async with sandboxes() as client:
        await client.control("POST", "/toast/webhooks", {"url": client.hooks.url})
        made = Toast(client)
        await made.login()
        await made.read()
        yield made


@lru_cache
def spec(name: str) -> Spec:
    """Toast's own document as OpenAPI 3.0: definitions with `allOf` merged, so that unknown fields are found."""
    yaml = pytest.importorskip("yaml")

    class Loader(yaml.SafeLoader):  # type: ignore[misc, name-defined]
        """YAML 1.2: YES and NO are texts."""

    Loader.yaml_implicit_resolvers = {key: each for key, each in yaml.SafeLoader.yaml_implicit_resolvers.items() if key not in "yYnNoO"}

    document = yaml.load(Path(vendor_spec("toast", f"toast-{name}-openapi.yaml")).read_text("utf-8"), Loader)
    schemas = document.get("definitions") or document["components"]["schemas"]

    def merged(node: Any) -> Any:
        if isinstance(node, list):
            return [merged(each) for each in node]
        if not isinstance(node, dict):
            return node
        if "allOf" not in node:
            return {key: merged(each) for key, each in node.items() if key != "enum" or all(isinstance(one, str) for one in each)}
        parts = [merged(schemas[part["$ref"].rsplit("/", 1)[-1]] if "$ref" in part else part) for part in node["allOf"]]
        properties = {
            key: each for part in (*parts, merged(node.get("properties", {}))) for key, each in part.get("properties", {}).items()
        }
        return {"type": "object", "properties": properties, "required": [each for part in parts for each in part.get("required", [])]}

    return Spec({"paths": {}, "components": {"schemas": {key: merged(each) for key, each in schemas.items()}}})


def conforms(name: str, schema: str, body: Any) -> None:
    """Check a body without its nulls (the documents do not mark them)."""

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: bare(each) for key, each in value.items() if each is not None}
        return [bare(each) for each in value] if isinstance(value, list) else value

    spec(name)._check({"$ref": f"#/components/schemas/{schema}"}, bare(body), schema)


def stamp(seconds: float) -> str:
    """A time as Toast reads it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000")


def cents(value: float) -> int:
    """Decimal dollars in cents."""
    return int(Decimal(str(value)) * 100)


async def test_an_order_is_priced_paid_approved_cooked_and_completed(toast: Toast) -> None:
    """Prices answer what the payment has to be; a new order waits for approval; each step is told with a signed webhook."""
    burger = toast.line(
        "Classic Burger",
        2,
        [
            toast.option("Bun", "Gluten-free"),
            toast.option("Extras", "Bacon", 3),
            toast.option("Make it a Meal", "Fries", 1, [toast.option("Meal Drink", "Limonana")]),
            {"selectionType": "SPECIAL_REQUEST", "displayName": "بدون بصل", "quantity": 1},
        ],
        externalId="HUB:UE-1:1",
    )
    body = toast.order(burger, toast.line("Caesar Salad"), externalId="HUB:UE-1")
    priced = await toast.done("POST", "/orders/v2/prices", body)
    check = priced["checks"][0]
    assert priced["guid"] is check["guid"] is check["selections"][0]["guid"] is None
    lines = 2 * (1099 + 135 + 3 * 150 + 450 + 85), 1033
    assert [cents(each["price"]) for each in check["selections"]] == list(lines)
    tax = [int(Decimal(each) * Decimal("0.08875") + Decimal("0.5")) for each in lines]
    assert (cents(check["amount"]), cents(check["taxAmount"])) == (sum(lines), sum(tax))
    assert cents(check["totalAmount"]) == sum(lines) + sum(tax)
    body["checks"][0]["payments"] = [toast.payment(check["totalAmount"], 2.5)]
    made = await toast.done("POST", ORDERS, body)
    assert (made["approvalStatus"], made["externalId"], made["checks"][0]["paymentStatus"]) == ("NEEDS_APPROVAL", "HUB:UE-1", "OPEN")
    await asyncio.sleep(0.3)
    found = await toast.done("GET", f"{ORDERS}/{made['guid']}")
    assert (found["approvalStatus"], found["checks"][0]["paymentStatus"]) == ("APPROVED", "CLOSED")
    assert (await toast.done("GET", f"{ORDERS}/HUB:UE-1"))["guid"] == made["guid"]
    for state, status in (("preparing", "SENT"), ("ready", "READY"), ("completed", "READY")):
        await toast.control(f"orders/{made['guid']}/pos-status", state=state)
        assert (await toast.done("GET", f"{ORDERS}/{made['guid']}"))["checks"][0]["selections"][0]["fulfillmentStatus"] == status
    row = await toast.state(made["guid"])
    assert [each["state"] for each in row["history"]] == ["NEEDS_APPROVAL", "APPROVED", "IN_PREPARATION", "READY_FOR_PICKUP", "CLOSED"]
    assert (row["reference"], row["store"], row["total"], row["tip"], row["currency"]) == (
        "HUB:UE-1",
        STORE,
        sum(lines) + sum(tax),
        250,
        "USD",
    )
    assert (row["items"][0]["note"], row["items"][0]["modifiers"][1]["quantity"], row["customer"]) == ("بدون بصل", 3, "Zoë Müller")
    secret = (await toast.client.control("GET", ""))["toast"]["credentials"]["webhook_secret"]
    seen = await toast.client.hooks.wait(8)
    for headers, raw in seen:
        event = json.loads(raw)
        expected = hmac.digest(secret.encode(), raw + event["timestamp"].encode(), hashlib.sha256)
        assert headers["toast-signature"] == base64.b64encode(expected).decode()
        assert (headers["toast-attempt-number"], headers["toast-restaurant-external-id"]) == ("1", STORE)
        assert (headers["toast-event-type"], headers["toast-event-category"]) == (event["eventType"], event["eventCategory"])
    events = [json.loads(raw) for _, raw in seen]
    shown = next(each["details"]["order"] for each in events if each["eventType"] == "order_updated")
    assert (shown["guid"], shown["externalId"], shown["checks"][0]["customer"]) == (made["guid"], None, None)
    guest = {each["details"]["guestOrderStatus"] for each in events if each["eventType"] == "guest_order_status"}
    assert guest == {"IN_PREPARATION", "READY_FOR_PICKUP", "CLOSED"}


async def test_an_external_id_makes_one_order(toast: Toast) -> None:
    """The very same order once more is refused as a repeat; another one under its external id, or a line's, is a plain refusal."""
    body = toast.order(toast.line("Caesar Salad", externalId="HUB:1:a"), externalId="HUB:1")
    await toast.done("POST", ORDERS, body)
    status, answer = await toast.call("POST", ORDERS, body)
    assert (status, answer["status"], answer["fieldName"]) == (400, 400, "externalId")
    state = await toast.client.state("toast")
    assert (state["rejected"], state["calls"]["orders.create.repeated"], len(state["orders"])) == ([], 1, 1)
    assert (await toast.call("POST", ORDERS, {**body, "numberOfGuests": 2}))[0] == 400
    assert (await toast.call("POST", ORDERS, {**body, "externalId": "HUB:2"}))[0] == 400
    assert len((await toast.client.state("toast"))["rejected"]) == 2


@pytest.mark.parametrize(
    ("path", "value", "status"),
    [
        (("diningOption",), None, 400),
        (("diningOption", "guid"), "not-a-guid", 400),
        (("diningOption", "guid"), NEW, 404),
        (("externalId",), "no-authority", 400),
        (("checks",), [], 400),
        (("surprise",), 1, 400),
        (("promisedDate",), "2030-01-01T10:00:00Z", 400),
        (("promisedDate",), "2020-01-01T10:00:00.000+0000", 400),
        (("requiredPrepTime",), "PT7M", 400),
        (("marketplaceFacilitatorTaxInfo",), {"taxes": []}, 400),
        (("checks", 0, "customer"), None, 400),
        (("checks", 0, "customer", "lastName"), " ", 400),
        (("checks", 0, "customer", "email"), "zoë@example.com", 400),
        (("checks", 0, "customer", "email"), f"{'a' * 50}@example.com", 400),
        (("checks", 0, "tabName"), "x" * 256, 400),
        (("checks", 0, "selections", 0, "item", "guid"), NEW, 404),
        (("checks", 0, "selections", 0, "itemGroup"), None, 400),
        (("checks", 0, "selections", 0, "itemGroup", "guid"), NEW, 404),
        (("checks", 0, "selections", 0, "quantity"), None, 400),
        (("checks", 0, "selections", 0, "quantity"), 0.5, 400),
        (("checks", 0, "selections", 0, "modifiers"), [], 400),
        (("checks", 0, "selections", 0, "modifiers", 0, "optionGroup"), None, 400),
        (("checks", 0, "selections", 0, "modifiers", 0, "quantity"), 2, 400),
        (("checks", 0, "selections", 0, "openPriceAmount"), 3.5, 400),
        (("checks", 0, "payments", 0, "amount"), "14.00", 400),
        (("checks", 0, "payments", 0, "amount"), 4.005, 400),
        (("checks", 0, "payments", 0, "amount"), 1099, 400),
        (("checks", 0, "payments", 0, "tipAmount"), None, 400),
        (("checks", 0, "payments", 0, "type"), "CASH", 400),
        (("checks", 0, "payments", 0, "type"), "CREDIT", 400),
        (("checks", 0, "payments", 0, "otherPayment", "guid"), NEW, 404),
    ],
)
async def test_an_order_that_toast_would_refuse_is_refused(toast: Toast, path: tuple[str | int, ...], value: Any, status: int) -> None:
    """References, required fields, money, modifier rules and guests' data are checked, and no order is made."""
    body = toast.order(toast.line("Café au lait", 1, [toast.option("Choice of Milk", "Oat")]), externalId="HUB:1")
    body["checks"][0]["payments"] = [toast.payment(4.0)]
    wrong = copy.deepcopy(body)
    place: Any = wrong
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    found, answer = await toast.call("POST", ORDERS, wrong)
    assert (found, answer["status"]) == (status, status), answer
    assert (await toast.client.state("toast"))["orders"] == []
    assert (await toast.call("POST", ORDERS, body))[0] == 200


async def test_the_restaurant_decides_and_an_order_nobody_approves_is_not_approved(toast: Toast) -> None:
    """With approval by staff an order waits; staff approve or reject; after the deadline it is NOT_APPROVED for good."""
    await toast.control("settings", approval_deadline_s=0.3)
    await toast.control(f"stores/{STORE}", approval="staff")
    made = [(await toast.done("POST", ORDERS, toast.order()))["guid"] for _ in range(3)]
    await toast.control(f"orders/{made[0]}/pos-status", state="accepted")
    await toast.control(f"orders/{made[1]}/pos-status", state="rejected")
    await asyncio.sleep(0.5)
    found = [(await toast.done("GET", f"{ORDERS}/{each}"))["approvalStatus"] for each in made]
    assert found == ["APPROVED", "NOT_APPROVED", "NOT_APPROVED"]
    async with toast.client.http.post(f"{toast.client.root}/_control/toast/orders/{made[2]}/pos-status", json={"state": "ready"}) as answer:
        assert answer.status == 409
    await toast.control("settings", approval_delay_s=0)
    await toast.control(f"stores/{STORE}", approval="auto")
    assert (await toast.done("POST", ORDERS, toast.order()))["approvalStatus"] == "APPROVED"
    later = await toast.done("POST", ORDERS, toast.order(promisedDate="2100-01-01T10:00:00.000+0000"))
    assert (later["approvalStatus"], later["promisedDate"]) == ("FUTURE", "2100-01-01T10:00:00.000+0000")
    soon = stamp(time.time() + 600.3)
    made = [(await toast.done("POST", ORDERS, toast.order(promisedDate=soon, requiredPrepTime="PT10M")))["guid"]]
    found = [(await toast.state(made[0]))["state"]]
    await asyncio.sleep(0.5)
    assert [*found, (await toast.state(made[0]))["state"]] == ["FUTURE", "APPROVED"]


async def test_a_delivery_has_fees_discounts_tips_and_a_way_to_go(toast: Toast) -> None:
    """Charges come before discounts, tax after; the tip can change; a delivered order changes no more."""
    address = {"address1": "401 Park Drive", "city": "Boston", "state": "MA", "zipCode": "02215", "notes": "Ring"}
    body = toast.order(toast.line("Caesar Salad", 2), kind="Delivery")
    assert (await toast.call("POST", ORDERS, body))[0] == 400
    body["deliveryInfo"] = address
    check = body["checks"][0]
    check["appliedServiceCharges"] = [{"serviceCharge": {"guid": toast.config["serviceCharges"]["Delivery Fee"]}, "chargeAmount": 2.99}]
    check["appliedDiscounts"] = [{"discount": {"guid": toast.config["discounts"]["Platform Promotion"]}, "discountAmount": 3.5}]
    made = await toast.done("POST", ORDERS, body)
    shown = made["checks"][0]
    assert [cents(shown[each]) for each in ("amount", "taxAmount")] == [2066 + 299 - 350, 152]
    where = f"{ORDERS}/{made['guid']}/checks/{shown['guid']}"
    assert (await toast.call("POST", f"{where}/payments", [toast.payment(21.68)]))[0] == 400
    paid = (await toast.done("POST", f"{where}/payments", [toast.payment(21.67)]))["checks"][0]["payments"][0]
    tipped = await toast.done("PATCH", f"{where}/payments/{paid['guid']}", {"tipAmount": 4})
    assert tipped["checks"][0]["payments"][0]["tipAmount"] == 4.0
    await toast.done("POST", f"{where}/selections", [toast.line("Lemonade “Maison”")])
    assert (await toast.state(made["guid"]))["items"][1]["name"] == "Lemonade “Maison”"
    for state in ("IN_PROGRESS", "DELIVERED"):
        moved = await toast.done("PATCH", f"{ORDERS}/{made['guid']}/deliveryInfo", {"deliveryState": state})
    assert (moved["deliveryInfo"]["deliveryState"], moved["deliveryInfo"]["address1"]) == ("DELIVERED", "401 Park Drive")
    assert (await toast.call("PATCH", f"{ORDERS}/{made['guid']}/deliveryInfo", {"notes": "x"}))[0] == 400


async def test_a_void_ends_an_order_and_staff_can_void_too(toast: Toast) -> None:
    """Both voidAll flags are needed; voided once is voided; unknown orders and other restaurants' are 404."""
    ours, theirs = [(await toast.done("POST", ORDERS, toast.order()))["guid"] for _ in range(2)]
    whole = {"selections": {"voidAll": True}, "payments": {"voidAll": True}}
    assert (await toast.call("POST", f"{ORDERS}/{ours}/void", {"selections": {"voidAll": True}}))[0] == 400
    assert (await toast.done("POST", f"{ORDERS}/{ours}/void", whole))["voided"] is True
    assert (await toast.call("POST", f"{ORDERS}/{ours}/void", whole))[0] == 400
    assert len((await toast.client.state("toast"))["rejected"]) == 1
    await toast.control(f"orders/{theirs}/pos-status", state="cancelled")
    assert (await toast.state(theirs))["state"] == "VOIDED"
    assert (await toast.call("GET", f"{ORDERS}/{NEW}"))[0] == 404
    assert (await toast.call("GET", f"{ORDERS}/nonsense"))[0] == 400
    toast.store = OTHER
    assert (await toast.call("GET", f"{ORDERS}/{theirs}"))[0] == 404


async def test_orders_are_listed_in_pages_by_change_and_by_day(toast: Toast) -> None:
    """Pages come once each; a window needs both ends, milliseconds and a zone; a page has at most 100."""
    made = [(await toast.done("POST", ORDERS, toast.order(externalId=f"HUB:{n}"))) for n in range(5)]
    window = "startDate=2020-01-01T00:00:00.000%2B0000&endDate=2100-01-01T00:00:00.000%2B0000"
    found = [each["guid"] for n in (1, 2, 3) for each in await toast.done("GET", f"/orders/v2/ordersBulk?{window}&pageSize=2&page={n}")]
    assert found == [each["guid"] for each in made]
    assert len(await toast.done("GET", f"/orders/v2/ordersBulk?businessDate={made[0]['businessDate']}")) == 5
    for query in ("", window.split("&")[0], window.replace(".000%2B", "%2B"), f"{window}&pageSize=101", "businessDate=2030"):
        assert (await toast.call("GET", f"/orders/v2/ordersBulk?{query}"))[0] == 400


async def test_stock_is_read_written_used_up_and_told(toast: Toast) -> None:
    """Out of stock cannot be ordered, a quantity runs down, and the webhooks say so."""
    caesar, bacon = toast.items["Caesar Salad"][1]["guid"], toast.option("Extras", "Bacon")["item"]["guid"]
    rows = [{"guid": caesar, "status": "QUANTITY", "quantity": 6.0}, {"guid": bacon, "status": "OUT_OF_STOCK"}]
    answer = await toast.done("PUT", "/stock/v1/inventory/update", [*rows, {"guid": NEW, "status": "IN_STOCK"}])
    assert [each["itemGuidValidity"] for each in answer] == ["VALID", "VALID", "INVALID"]
    conforms("stock", "MenuItemInventory", answer[0])
    for wrong in ({"status": "QUANTITY"}, {"status": "OUT_OF_STOCK", "quantity": 3}, {"status": "SOLD"}):
        assert (await toast.call("PUT", "/stock/v1/inventory/update", [{"guid": caesar, **wrong}]))[0] == 400
    await toast.done("POST", ORDERS, toast.order(toast.line("Caesar Salad", 4)))
    assert (await toast.call("POST", ORDERS, toast.order(toast.line("Caesar Salad", 3))))[0] == 400
    await toast.done("POST", ORDERS, toast.order(toast.line("Caesar Salad", 2)))
    listed = await toast.done("GET", "/stock/v1/inventory?status=OUT_OF_STOCK")
    assert {each["guid"] for each in listed} == {caesar, bacon}
    await toast.control("stock", item="2002", available=True)
    found = await toast.done("POST", "/stock/v1/inventory/search", {"guids": [caesar], "multiLocationIds": ["1"]})
    assert [each.get("status", each["itemGuidValidity"]) for each in found] == ["IN_STOCK", "INVALID"]
    stocks = [(await toast.client.state("toast"))["stock"]]
    assert stocks == [[{"item": bacon, "store": STORE, "quantity": 0.0, "available": False}]]
    await asyncio.sleep(0.2)
    events = [json.loads(raw) for _, raw in toast.client.hooks.got]
    kinds = [each["eventType"] for each in events if each["eventCategory"] == "stock" and each["details"]["itemGuid"] == caesar]
    assert sorted(kinds) == ["in_stock", "in_stock", "low_quantity", "out_of_stock"]


async def test_a_menu_edit_moves_the_metadata_and_v3_hides_what_partners_may_not_see(toast: Toast) -> None:
    """V2 has the crew's menu, V3 has not; an edit is published; a required, a repeatable, a shared and a nested group are there."""
    groups = toast.menu["modifierGroupReferences"].values()
    options = toast.menu["modifierOptionReferences"]
    assert any(each["requiredMode"] == "REQUIRED" and each["maxSelections"] == 1 for each in groups)
    assert any(options[str(ref)]["allowsDuplicates"] for each in groups for ref in each["modifierOptionReferences"])
    assert any(each["modifierGroupReferences"] for each in options.values())
    assert [each["name"] for each in (await toast.done("GET", "/menus/v2/menus"))["menus"]] == ["All Day", "Crew"]
    assert [each["name"] for each in toast.menu["menus"]] == ["All Day"]
    before = (await toast.done("GET", "/menus/v2/metadata"))["lastUpdated"]
    edits = [
        {"op": "price", "id": "2002", "amount": 1111},
        {"op": "rename", "id": "1002", "name": "شاورما"},
        {"op": "remove", "id": "4001"},
    ]
    await toast.control("menu", edits=edits)
    assert (await toast.done("GET", "/menus/v3/metadata"))["lastUpdated"] > before
    toast.items.clear()
    await toast.read()
    assert (toast.items["Caesar Salad"][1]["price"], "شاورما" in toast.items, "Crème brûlée" in toast.items) == (11.11, True, False)
    seen = [json.loads(raw) for _, raw in await toast.client.hooks.wait(2)]
    assert {each["details"]["restaurantGuid"] for each in seen if each["eventType"] == "menus_updated"} == {STORE, OTHER}


@pytest.mark.parametrize(("currency", "price", "wrong"), [("KWD", 1.033, 0.0001), ("JPY", 1033.0, 0.5), ("CAD", 10.33, 0.001)])
async def test_money_has_the_decimals_of_the_restaurant_s_currency(toast: Toast, currency: str, price: float, wrong: float) -> None:
    """A new restaurant of any currency sells the same menu; its configuration is its own."""
    toast.store = NEW
    assert (await toast.call("GET", "/menus/v3/menus"))[0] == 403
    await toast.control(f"stores/{NEW}", create=True, name="Third", currency=currency, timezone="Asia/Kuwait")
    body = toast.order(externalId="HUB:9")
    assert (await toast.call("POST", ORDERS, body))[0] == 404
    await toast.read()
    body = toast.order(externalId="HUB:9")
    assert toast.items["Caesar Salad"][1]["price"] == price
    priced = (await toast.done("POST", "/orders/v2/prices", body))["checks"][0]
    assert (priced["amount"], Decimal(str(priced["totalAmount"]))) == (price, Decimal(str(price)) + Decimal(str(priced["taxAmount"])))
    body["checks"][0]["payments"] = [toast.payment(wrong)]
    assert (await toast.call("POST", ORDERS, body))[0] == 400
    body["checks"][0]["payments"] = [toast.payment(priced["totalAmount"])]
    made = await toast.done("POST", ORDERS, body)
    row = await toast.state(made["guid"])
    assert (row["currency"], row["payments"][0]["amount"]) == (currency, row["total"])
    info = await toast.done("GET", f"/restaurants/v1/restaurants/{NEW}")
    assert (info["general"]["currencyCode"], info["general"]["timeZone"]) == (currency, "Asia/Kuwait")


async def test_logins_tokens_scopes_and_headers_are_checked(toast: Toast) -> None:
    """Wrong secrets, unknown and expired tokens, missing scopes, missing restaurants and other content types are refused."""
    app = (await toast.client.control("GET", ""))["toast"]["app"]
    login = "/authentication/v1/authentication/login"
    assert (await toast.call("POST", login, {**credentials(app), "clientSecret": "no"}))[0] == 401
    assert (await toast.call("POST", login, {**credentials(app), "userAccessType": "PERSON"}))[0] == 400
    made = (await toast.done("POST", ORDERS, toast.order(kind="Take Out")))["guid"]
    await toast.control("settings", scope_void=0, scope_guest=0)
    await toast.login()
    assert (await toast.call("POST", f"{ORDERS}/{made}/void", {}))[0] == 403
    customer = (await toast.done("GET", f"{ORDERS}/{made}"))["checks"][0]["customer"]
    assert (customer["firstName"], customer["email"], customer["phone"]) == ("Zoë", None, None)
    assert (await toast.call("GET", f"{ORDERS}/{made}", **{RESTAURANT: "x"}))[0] == 400
    assert (await toast.call("GET", f"{ORDERS}/{made}", **{RESTAURANT: NEW}))[0] == 403
    headers = {"Authorization": f"Bearer {toast.client.token}", RESTAURANT: STORE, "Content-Type": "text/plain"}
    async with toast.client.http.post(f"{toast.client.root}/toast{ORDERS}", data=b"{}", headers=headers) as answer:
        assert answer.status == 415
    await toast.control("settings", menus_per_second=1)
    assert [(await toast.call("GET", "/menus/v3/menus"))[0] for _ in range(2)] == [200, 429]
    await toast.control("faults", expire_tokens=True)
    assert (await toast.call("GET", f"{ORDERS}/{made}"))[0] == 401
    await toast.control("settings", logins_per_hour=0)
    assert (await toast.call("POST", login, credentials(app)))[0] == 429


async def test_restaurants_come_go_and_close(toast: Toast) -> None:
    """Partners see their restaurants in pages; closing is told; a restaurant that ends the connection is out of reach."""
    assert [each["restaurantGuid"] for each in await toast.done("GET", "/partners/v1/restaurants")] == [STORE, OTHER]
    first = await toast.done("GET", "/partners/v1/connectedRestaurants?pageSize=1")
    second = await toast.done("GET", f"/partners/v1/connectedRestaurants?pageSize=1&pageToken={first['nextPageToken']}")
    assert ([each["restaurantGuid"] for each in second["results"]], second["nextPageToken"]) == ([OTHER], None)
    await toast.control(f"stores/{STORE}", status="closed")
    assert (await toast.done("GET", "/restaurant-availability/v1/availability"))["status"] == "OFFLINE"
    assert (await toast.done("GET", "/ordermgmt-config/v1/published/orderingSchedule"))["acceptScheduledOrders"] is True
    assert (await toast.call("POST", ORDERS, toast.order()))[0] == 200
    await toast.control(f"stores/{STORE}", connected=False)
    assert (await toast.call("GET", "/menus/v3/metadata"))[0] == 403
    events = [(headers, json.loads(raw)) for headers, raw in await toast.client.hooks.wait(3)]
    assert {each["eventType"] for _, each in events} >= {"availability_offline", "partner_removed"}
    assert all((RESTAURANT.lower() in headers) == (each["eventCategory"] != "partners") for headers, each in events)


async def test_the_kitchen_s_stations_and_work_can_be_read(toast: Toast) -> None:
    """Stations come in pages by a header's token; fired and ready items are exported by business day; without the module 204."""
    await toast.control("settings", config_page=2)
    path = "/toast/kitchen/v1/published/prepStations"
    headers = {"Authorization": f"Bearer {toast.client.token}", RESTAURANT: STORE}
    async with toast.client.http.get(toast.client.root + path, headers=headers) as answer:
        found, token = await answer.json(), answer.headers["Toast-Next-Page-Token"]
    found += await toast.done("GET", f"/kitchen/v1/published/prepStations?pageToken={token}")
    assert [each["name"] for each in found] == ["Grill", "Cold", "Bar"]
    assert toast.items["Caesar Salad"][1]["prepStations"] == [found[1]["guid"]]
    made = await toast.done("POST", ORDERS, toast.order())
    await toast.control(f"orders/{made['guid']}/pos-status", state="ready")
    export = f"/kitchen/v1/export/itemFulfillments?businessDate={made['businessDate']}"
    rows = await toast.done("GET", export)
    assert [(row["orderGuid"], row["prepStationName"], bool(row["itemFulfilledAt"])) for row in rows] == [(made["guid"], "Cold", True)]
    await toast.control("settings", rms_pro=0)
    assert await toast.call("GET", export) == (204, None)


async def test_webhooks_are_sent_again_after_5xx_404_and_429_only(toast: Toast) -> None:
    """The attempt number counts up; two repeats at most; a 400 ends it."""
    toast.client.hooks.answers = [500, 429, 404, 400]
    await toast.control(f"stores/{STORE}", status="closed")
    await asyncio.sleep(1.2)
    assert [headers["toast-attempt-number"] for headers, _ in toast.client.hooks.got] == ["1", "2", "3"]
    await toast.control(f"stores/{STORE}", status="open")
    await asyncio.sleep(0.5)
    assert len(toast.client.hooks.got) == 4


async def test_bodies_have_the_shape_of_toast_s_own_documents(toast: Toast) -> None:
    """Orders, menus, restaurants, partners and logins have known fields of the right types, and nothing else."""
    lines = (
        toast.line("Classic Burger", 2, [toast.option("Bun", "Brioche"), toast.option("Extras", "Bacon", 2)]),
        toast.line("Crème brûlée"),
    )
    body = toast.order(*lines, kind="Delivery")
    body["deliveryInfo"] = {"address1": "1 Park", "city": "Boston", "state": "MA", "zipCode": "02215"}
    body["checks"][0]["appliedServiceCharges"] = [{"serviceCharge": {"guid": toast.config["serviceCharges"]["Bag Fee"]}}]
    body["checks"][0]["appliedDiscounts"] = [{"discount": {"guid": toast.config["discounts"]["Ten Percent"]}}]
    body["checks"][0]["payments"] = [toast.payment(1.0)]
    made = await toast.done("POST", ORDERS, body)
    conforms("orders", "Order", made)
    for version in (2, 3):
        menus = await toast.done("GET", f"/menus/v{version}/menus")
        for name, schema in (("modifierGroupReferences", "ModifierGroup"), ("modifierOptionReferences", "ModifierOption")):
            for ref, each in menus.pop(name).items():
                assert ref == str(each["referenceId"])
                conforms("menus", schema, each)
        conforms("menus", "Restaurant", menus)
    conforms("menus", "Metadata", await toast.done("GET", "/menus/v2/metadata"))
    info = await toast.done("GET", f"/restaurants/v1/restaurants/{STORE}")
    info["schedules"].pop("daySchedules")
    conforms("restaurants", "RestaurantInfo", info)
    conforms("partners", "PaginatedResponse", await toast.done("GET", "/partners/v1/connectedRestaurants"))
    app = (await toast.client.control("GET", ""))["toast"]["app"]
    conforms(
        "authentication", "AuthenticationResponse", await toast.done("POST", "/authentication/v1/authentication/login", credentials(app))
    )
    conforms("stock", "ErrorMessage", (await toast.call("GET", f"{ORDERS}/{NEW}"))[1])
