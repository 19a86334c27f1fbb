"""Foodics' simulated side: tokens and scopes, the menu, orders whose sums the caller answers for, lost orders, and plain webhooks."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from tests.contract.openapi import vendor_spec
from tests.contract.sandbox_client import Client, sandboxes

V5 = "/foodics/v5"
BRANCH = "9cc1b4c5-406d-4519-9424-a21a77da9aef"
KUWAIT = "0b6c7a52-3f0e-4a9e-9d0b-6f2f5b6d9a11"
FULL = (
    "?include=branch,customer,charges.charge,charges.taxes,payments.payment_method,products.product,"
    "products.options.modifier_option,products.options.taxes,products.taxes,original_order"
)


@pytest_asyncio.fixture
async def foodics() -> AsyncIterator[Client]:
    """A Foodics sandbox, its merchant's token, and a registered webhook address."""
    async with sandboxes() as client:
        await client.control("POST", "/foodics/webhooks", {"url": client.hooks.url})
        await client.control("POST", "/foodics/settings", {"accept_after_s": 0})
        client.token = (await client.control("GET", ""))["foodics"]["credentials"]["access_token"]
        yield client


async def rows(client: Client, path: str) -> Any:
    """The rows of a collection."""
    status, body = await client.call("GET", f"{V5}/{path}")
    assert status == 200, body
    return body["data"]


async def ids(client: Client) -> dict[str, str]:
    """Ids by SKU, code or name: products, options, taxes, payment methods and charges."""
    found = {each["sku"]: each["id"] for each in await rows(client, "products") + await rows(client, "modifier_options")}
    found |= {each["name"]: each["id"] for each in await rows(client, "taxes") + await rows(client, "charges")}
    return found | {each["code"]: each["id"] for each in await rows(client, "payment_methods")}


async def order_of(client: Client, **changes: Any) -> dict[str, Any]:
    """Two shawarmas with tahini twice and a bottle of water, delivered and paid: 74.26, and 12 for the way."""
    at = await ids(client)
    tahini = {"modifier_option_id": at["EX-T"], "quantity": 2, "unit_price": 1.57, "total_price": 6.28}
    shawarma = {"product_id": at["GR-01"], "quantity": 2, "unit_price": 28.99, "total_price": 57.98, "options": [tahini]}
    water = {"product_id": at["DR-02"], "quantity": 4, "unit_price": 2.5, "total_price": 10, "kitchen_notes": "بارد"}
    return {
        "type": 3,
        "branch_id": BRANCH,
        "business_date": "2030-01-31",
        "meta": {"3rd_party_order_number": "ord_1"},
        "customer_notes": "بدون أدوات مائدة",
        "products": [shawarma, water],
        "charges": [{"charge_id": at["Delivery Charge"], "amount": 12}],
        "payments": [{"amount": 86.26, "tendered": 86.26, "tips": 0, "payment_method_id": at["external"], "business_date": "2030-01-31"}],
        "subtotal_price": 74.26,
        "rounding_amount": 0,
        "total_price": 74.26,
        **changes,
    }


async def made(client: Client, **changes: Any) -> str:
    """The id of an order that was taken."""
    status, body = await client.call("POST", f"{V5}/orders", await order_of(client, **changes))
    assert status == 200, body
    return str(body["data"]["id"])


async def test_an_order_is_taken_shown_and_moved_by_staff(foodics: Client) -> None:
    """It starts as pending, source API; staff accept it, cook it and close it; each step has its time and is told."""
    order = await made(foodics)
    shown = (await foodics.call("GET", f"{V5}/orders/{order}{FULL}"))[1]["data"]
    assert (shown["status"], shown["source"], shown["delivery_status"], shown["total_price"]) == (1, 2, None, 74.26)
    line = shown["products"][0]
    assert (line["product"]["sku"], line["options"][0]["modifier_option"]["name_localized"]) == ("GR-01", "طحينة")
    for state in ("accepted", "preparing", "ready", "picked_up", "delivered", "completed"):
        await foodics.control("POST", f"/foodics/orders/{order}/pos-status", {"state": state})
    row = (await foodics.state("foodics"))["orders"][0]
    assert [each["state"] for each in row["history"]] == [
        *("pending", "active", "sent_to_kitchen", "ready", "en_route", "delivered", "closed"),
    ]
    assert (row["reference"], row["state"], row["total"], row["due"], row["note"]) == ("ord_1", "closed", 7426, 8626, "بدون أدوات مائدة")
    assert row["payments"] == [{"amount": 8626, "type": "Delivery Platform"}]
    assert [(each["name"], each["quantity"], each["total"], len(each["modifiers"])) for each in row["items"]] == [
        ("Chicken Shawarma Plate", 2, 6426, 1),
        ("Mineral Water", 4, 1000, 0),
    ]
    events = [json.loads(raw) for _, raw in await foodics.hooks.wait(17)]
    kinds = [each["event"] for each in events]
    assert (kinds.count("order.created"), kinds.count("order.delivery.created"), kinds.count("order.delivery.updated")) == (1, 1, 4)
    mine = [each["order"]["updated_at"] for each in events if each["event"] == "application.order.updated"]
    assert len(set(mine)) == 6


async def test_webhooks_are_unsigned_unless_a_secret_is_given(foodics: Client) -> None:
    """No header vouches for a body; with a secret one does; a failed one is sent three times in all."""
    foodics.hooks.answers = [500, 500, 500, 500, 500, 500]
    order = await made(foodics)
    got = await foodics.hooks.wait(6)
    assert not [name for headers, _ in got for name in headers if "signature" in name]
    body = json.loads(got[0][1])
    assert body["business"] == {"name": "Harbour Hospitality", "reference": 690517}
    assert (body["order"]["id"], body["order"]["products"][0]["product"]["sku"]) == (order, "GR-01")
    async with asyncio.timeout(2):
        while (sent := (await foodics.state("foodics"))["webhooks"]).get("given_up") != 2:
            await asyncio.sleep(0.01)
    assert (sent["sends"], sent.get("delivered")) == (6, None)
    await foodics.control("POST", "/foodics/webhooks", {"url": foodics.hooks.url, "secret": "told", "events": ["menu.updated"]})
    await foodics.control("POST", "/foodics/stock", {"item": "GR-01", "available": False})
    headers, raw = (await foodics.hooks.wait(7))[-1]
    assert headers["x-foodics-signature"] == hmac.digest(b"told", raw, hashlib.sha256).hex()
    assert json.loads(raw)["entity"] == {"type": "product", "id": (await ids(foodics))["GR-01"]}


@pytest.mark.parametrize(
    ("field", "path", "value"),
    [
        ("total_price", (), {"total_price": 86.26}),
        ("subtotal_price", (), {"subtotal_price": 74.25}),
        ("payments", ("payments", 0), {"amount": 74.26}),
        ("payments.0.tendered", ("payments", 0), {"tendered": 80}),
        ("payments.0.payment_method_id", ("payments", 0), {"payment_method_id": "cash"}),
        ("total_price", (), {"total_price": "74.26"}),
        ("total_price", (), {"total_price": 74.261}),
        ("products.0.unit_price", ("products", 0), {"unit_price": -1}),
        ("products.0.total_price", ("products", 0), {"total_price": 28.99}),
        ("products.0.options.0.total_price", ("products", 0, "options", 0), {"total_price": 3.14}),
        ("products.0.options.0.modifier_option_id", ("products", 0, "options", 0), {"modifier_option_id": "none"}),
        ("products.0.taxes.0.rate", ("products", 0), {"taxes": [{"id": "VAT", "rate": 5, "amount": 2.76}]}),
        ("products.0.taxes.0.amount", ("products", 0), {"taxes": [{"id": "VAT", "rate": 15, "amount": 8.7}]}),
        ("products.1.product_id", ("products", 1), {"product_id": "GR-90"}),
        ("products.1.quantity", ("products", 1), {"quantity": 1.5}),
        ("charges.0.charge_id", ("charges", 0), {"charge_id": "none"}),
        ("branch_id", (), {"branch_id": "none"}),
        ("business_date", (), {"business_date": None}),
        ("due_at", (), {"due_at": "2030-01-31T10:00:00Z"}),
        ("type", (), {"type": 9}),
        ("products", (), {"products": []}),
        ("customer_id", (), {"customer_id": "none"}),
    ],
)
async def test_an_order_that_is_wrong_is_refused_by_field(foodics: Client, field: str, path: tuple[str | int, ...], value: Any) -> None:
    """Unknown ids, forms of numbers and dates, and sums that do not balance are each a 422 that names the field."""
    body, at = await order_of(foodics), await ids(foodics)
    place: Any = body
    for key in path:
        place = place[key]
    place.update({name: at.get(each, each) if isinstance(each, str) else each for name, each in value.items()})
    for tax in place.get("taxes", []):
        tax["id"] = at[tax["id"]]
    status, answer = await foodics.call("POST", f"{V5}/orders", body)
    assert (status, answer["message"]) == (422, "The given data was invalid.")
    assert field in answer["errors"]
    assert (await foodics.state("foodics"))["orders"] == []


async def test_sums_balance_with_discounts_taxes_and_without_payments(foodics: Client) -> None:
    """Both readings of a line's price are taken, discounts come off, taxes are in the price, or on top where the seller says so."""
    at = await ids(foodics)
    vat, line = at["VAT"], {"product_id": at["SD-02"], "quantity": 1, "unit_price": 17.33, "total_price": 17.33}
    option = {"modifier_option_id": at["EX-C"], "quantity": 1, "unit_price": 2.25, "total_price": 2.25}
    bare = {"type": 2, "charges": None, "payments": None}
    await made(foodics, **bare, products=[{**line, "total_price": 19.58, "options": [option]}], subtotal_price=19.58, total_price=19.58)
    inside = [{"id": vat, "rate": 15, "amount": 1.99}]
    sums = {"subtotal_price": 17.33, "discount_amount": 2.08, "total_price": 15.25}
    await made(foodics, **bare, **sums, products=[{**line, "taxes": inside}])
    less = [{**line, "discount_amount": 1.33, "total_price": 16}]
    await made(foodics, **bare, products=less, subtotal_price=16, rounding_amount=-0.05, total_price=15.95)
    await foodics.control("POST", f"/foodics/stores/{BRANCH}", {"tax_inclusive": False})
    assert (await rows(foodics, "settings"))["tax_inclusive_pricing"] is False
    on_top = [{"id": vat, "rate": 15, "amount": 2.5995}]
    await made(foodics, **bare, products=[{**line, "taxes": on_top}], subtotal_price=17.33, total_price=19.93)
    assert [each["tax"] for each in (await foodics.state("foodics"))["orders"]] == [0, 199, 0, 260]


async def test_the_same_order_twice_is_two_orders_and_its_number_finds_them(foodics: Client) -> None:
    """Nothing is idempotent here: only our own number among the branch's orders tells, by reference, ten pages deep."""
    first, second = await made(foodics), await made(foodics)
    assert first != second
    found = await rows(foodics, f"orders?filter[branch_id]={BRANCH}&filter[reference_after]=1&sort=-reference")
    assert [(each["id"], each["meta"]["3rd_party_order_number"]) for each in found] == [(second, "ord_1")]
    assert "products" not in found[0]
    assert len(await rows(foodics, "orders?filter[status]=1&filter[updated_after]=2020-01-01")) == 2
    body = (await foodics.call("GET", f"{V5}/orders?per_page=1&page=2"))[1]
    assert (body["meta"]["last_page"], body["meta"]["total"], body["links"]["next"]) == (2, 2, None)
    assert body["links"]["prev"].endswith("/foodics/v5/orders?page=1")
    for wrong in ("filter[colour]=red", "include=soup", "sort=taste", "page=0", "filter[reference_after]=x"):
        assert (await foodics.call("GET", f"{V5}/orders?{wrong}"))[0] == 400


async def test_an_accepted_order_can_vanish(foodics: Client) -> None:
    """Taken with a 200 and never seen again: by rate, or one at the control's word; the state still shows it."""
    await foodics.control("POST", "/foodics/settings", {"vanish_rate": 1})
    lost = await made(foodics)
    await foodics.control("POST", "/foodics/settings", {"vanish_rate": 0})
    kept, later = await made(foodics), await made(foodics)
    await foodics.control("POST", f"/foodics/orders/{later}/pos-status", {"state": "accepted"})
    await foodics.control("POST", f"/foodics/orders/{later}/pos-status", {"state": "vanished"})
    assert [each["id"] for each in await rows(foodics, "orders")] == [kept]
    for order in (lost, later):
        assert (await foodics.call("GET", f"{V5}/orders/{order}"))[0] == 404
    assert [each["state"] for each in (await foodics.state("foodics"))["orders"]] == ["vanished", "pending", "vanished"]


@pytest.mark.parametrize("change", [{"status": "paused"}, {"status": "offline"}, {"located": False}])
async def test_an_order_to_a_branch_that_takes_none_waits_for_ever(foodics: Client, change: dict[str, Any]) -> None:
    """Foodics answers 200, the order stays pending, nobody hears of it, and staff never see it."""
    await foodics.control("POST", f"/foodics/stores/{BRANCH}", change)
    await foodics.control("POST", "/foodics/settings", {"accept_after_s": 0.01})
    order = await made(foodics)
    await asyncio.sleep(0.05)
    assert (await foodics.call("GET", f"{V5}/orders/{order}"))[1]["data"]["status"] == 1
    assert ((await foodics.state("foodics"))["orders"][0]["reached_cashier"], foodics.hooks.got) == (False, [])
    async with foodics.http.post(f"{foodics.root}/_control/foodics/orders/{order}/pos-status", json={"state": "accepted"}) as answer:
        assert answer.status == 409


async def test_apps_decline_what_waits_and_say_how_the_delivery_goes(foodics: Client) -> None:
    """A delivery's stages only go forward; declining is for a pending order; a repeat is no rejection."""
    waiting, order = await made(foodics), await made(foodics)
    path = f"{V5}/orders/{order}"
    assert (await foodics.call("PUT", f"{V5}/orders/{waiting}", {"status": 3}))[1]["data"]["status"] == 3
    assert (await foodics.call("PUT", f"{V5}/orders/{waiting}", {"status": 3}))[0] == 422
    assert (await foodics.call("PUT", path, {"delivery_status": 3}))[0] == 422
    await foodics.control("POST", f"/foodics/orders/{order}/pos-status", {"state": "accepted"})
    driver = next(each["id"] for each in await rows(foodics, "users") if each["type"] == 2)
    sent = {"delivery_status": 4, "driver_id": driver, "dispatched_at": "2030-01-31 10:00:00"}
    body = (await foodics.call("PUT", f"{path}?include=driver", sent))[1]["data"]
    assert (body["delivery_status"], body["driver"]["id"], body["dispatched_at"]) == (4, driver, "2030-01-31 10:00:00")
    for wrong in ({"delivery_status": 2}, {"status": 3}, {"status": 7}, {"delivered_at": "now"}, {}):
        assert (await foodics.call("PUT", path, wrong))[0] == 422
    arrived = {"event": "order_customer_arrived", "order_id": order}
    assert (await foodics.call("POST", f"{V5}/devices/push_notifications", arrived))[0] == 200
    assert (await foodics.state("foodics"))["calls"]["orders.update.repeated"] == 1
    await foodics.control("POST", f"/foodics/orders/{order}/pos-status", {"state": "completed"})
    await foodics.control("POST", f"/foodics/orders/{order}/pos-status", {"state": "returned"})
    returned = (await rows(foodics, "orders?filter[status]=5&include=original_order"))[0]
    assert (returned["original_order"]["id"], returned["id"] != order) == (order, True)


async def test_the_menu_has_two_languages_taxes_and_modifiers(foodics: Client) -> None:
    """Relations come only when included; removed products stay listed; prices are major units; options can be read by modifier."""
    products = {each["sku"]: each for each in await rows(foodics, "products?include=category,tax_group.taxes,modifiers.options,branches")}
    plate = products["GR-01"]
    assert (plate["name"], plate["name_localized"], plate["price"]) == ("Chicken Shawarma Plate", "صحن شاورما دجاج", 28.99)
    assert plate["category"]["name_localized"] == "المشاوي"
    limits = [[each["pivot"][name] for name in ("minimum_options", "maximum_options", "unique_options")] for each in plate["modifiers"]]
    assert limits == [[1, 1, True], [0, 4, False]]
    assert {each["tax_group"]["taxes"][0]["rate"] for each in products.values()} == {0, 15}
    assert products["GR-90"]["deleted_at"] is not None
    assert "modifiers" not in (await rows(foodics, "products"))[0]
    await foodics.control("POST", "/foodics/settings", {"hide_product_options": 1})
    bare = (await rows(foodics, "products?include=modifiers.options"))[0]["modifiers"][0]
    assert "options" not in bare
    assert [each["sku"] for each in (await rows(foodics, f"modifiers/{bare['id']}"))["options"]] == ["SZ-R", "SZ-L"]
    children = [each["child_type"] for category in (await rows(foodics, "menu_display"))["categories"] for each in category["children"]]
    assert children == ["product"] * 7


async def test_stock_and_prices_change_over_the_api_and_by_staff(foodics: Client) -> None:
    """86 is a branch's `is_in_stock`; a branch's price is its own; a wrong field changes nothing."""
    at = await ids(foodics)
    path = f"{V5}/products/{at['GR-02']}"
    change = {"branches": [{"id": BRANCH, "is_in_stock": False, "price": 30}]}
    body = (await foodics.call("PUT", f"{path}?include=branches", change))[1]["data"]
    assert [each["pivot"] for each in body["branches"]] == [
        {"price": 30, "is_active": True, "is_in_stock": False},
        {"price": None, "is_active": True, "is_in_stock": True},
    ]
    assert (await foodics.call("PUT", path, {"branches": [{"id": "none", "is_in_stock": True}]}))[0] == 422
    assert (await foodics.call("PUT", path, {"price": "30"}))[0] == 422
    assert (await foodics.call("PUT", f"{V5}/products/none", {"price": 30}))[0] == 404
    option = {"branches": [{"id": BRANCH, "is_in_stock": False}]}
    assert (await foodics.call("PUT", f"{V5}/modifier_options/{at['EX-J']}", option))[0] == 200
    await foodics.control("POST", "/foodics/stock", {"item": "GR-02", "available": True})
    edits = [
        {"op": "price", "id": at["SD-01"], "amount": 1050},
        {"op": "remove", "id": "DR-02"},
        {"op": "rename", "id": "DR-01", "name": "شاي"},
    ]
    await foodics.control("POST", "/foodics/menu", {"edits": edits})
    state = await foodics.state("foodics")
    items = {each["id"]: each for each in state["menus"][0]["items"]}
    assert (items[at["SD-01"]]["price"], items[at["DR-01"]]["name"], at["DR-02"] in items) == (1050, "شاي", False)
    assert (items[at["GR-02"]]["price"], items[at["GR-02"]]["available"], items[at["EX-J"]]["available"]) == (3000, True, False)
    new = {"name": "Burger", "sku": "P001", "price": 742, "pricing_method": 1, "selling_method": 2, "costing_method": 1}
    assert (await foodics.call("POST", f"{V5}/products", new))[1]["errors"].keys() == {"category_id"}
    new["category_id"] = (await rows(foodics, "categories"))[0]["id"]
    assert (await foodics.call("POST", f"{V5}/products", new))[1]["data"]["price"] == 742
    assert "sku" in (await foodics.call("POST", f"{V5}/products", new))[1]["errors"]


async def test_customers_addresses_and_inventory(foodics: Client) -> None:
    """A phone number is one customer's; an address is used with its customer; stock items and transactions are read."""
    person = {"name": "نورة القحطاني", "dial_code": 966, "phone": "555550101"}
    customer = (await foodics.call("POST", f"{V5}/customers", person))[1]["data"]["id"]
    assert "phone" in (await foodics.call("POST", f"{V5}/customers", person))[1]["errors"]
    where = {"name": "Home", "description": "12 Harbour Street", "customer_id": customer}
    address = (await foodics.call("POST", f"{V5}/addresses", where))[1]["data"]["id"]
    assert [each["id"] for each in await rows(foodics, f"addresses?filter[customer_id]={customer}")] == [address]
    status, body = await foodics.call("POST", f"{V5}/orders", await order_of(foodics, customer_address_id=address))
    assert (status, list(body["errors"])) == (422, ["customer_address_id"])
    await made(foodics, customer_id=customer, customer_address_id=address)
    assert (await foodics.state("foodics"))["orders"][0]["customer"] == "نورة القحطاني"
    stock = await rows(foodics, "inventory_items?include=category")
    assert {(each["sku"], each["storage_unit"]) for each in stock} == {("IN-01", "KG"), ("IN-02", "KG"), ("IN-03", "Bottle")}
    moved = await rows(foodics, f"inventory_transactions?filter[branch_id]={BRANCH}&include=items")
    assert [each["pivot"]["quantity"] for each in moved[0]["items"]] == [10, 20, 30]
    assert len(await rows(foodics, "warehouses")) == 2


async def test_tokens_come_by_code_and_are_good_for_their_scopes(foodics: Client) -> None:
    """Codes are used once; `Bearer` is case-sensitive; a missing scope is 403; an expired token is replaced by refreshing."""
    app = (await foodics.control("GET", ""))["foodics"]["app"]
    back = "https://hub.example.com/back"
    ask = {"client_id": app["client_id"], "redirect_uri": back, "state": "s1", "scope": "general.read orders.limited.create"}
    async with foodics.http.get(f"{foodics.root}/foodics/authorize", params=ask, allow_redirects=False) as answer:
        query = parse_qs(urlsplit(answer.headers["Location"]).query)
    grant = {**app, "grant_type": "authorization_code", "code": query["code"][0], "redirect_uri": back}
    status, token = await foodics.call("POST", "/foodics/oauth/token", grant)
    assert (status, query["state"], token["token_type"]) == (200, ["s1"], "Bearer")
    assert (await foodics.call("POST", "/foodics/oauth/token", grant))[0] == 400
    assert (await foodics.call("POST", "/foodics/oauth/token", {**grant, "client_secret": "no"}))[0] == 401
    body, foodics.token = await order_of(foodics), token["access_token"]
    assert (await foodics.call("GET", f"{V5}/orders"))[0] == 403
    assert (await foodics.call("POST", f"{V5}/orders", body))[0] == 403
    assert (await foodics.call("POST", f"{V5}/orders", {**body, "payments": None}))[0] == 200
    assert (await foodics.call("GET", f"{V5}/branches", Authorization=f"bearer {foodics.token}"))[0] == 401
    await foodics.control("POST", "/foodics/faults", {"expire_tokens": True})
    assert await foodics.call("GET", f"{V5}/branches") == (401, {"message": "Unauthenticated."})
    again = {**app, "grant_type": "refresh_token", "refresh_token": token["refresh_token"]}
    foodics.token = (await foodics.call("POST", "/foodics/oauth/token", again))[1]["access_token"]
    assert len(await rows(foodics, "branches")) == 2
    await foodics.control("POST", "/foodics/settings", {"token_lifetime_s": 0, "requests_per_minute": 2})
    foodics.token = (await foodics.control("GET", ""))["foodics"]["credentials"]["access_token"]
    async with foodics.http.get(f"{foodics.root}{V5}/whoami", headers={"Authorization": f"Bearer {foodics.token}"}) as answer:
        assert answer.headers["X-RateLimit-Remaining"] == "1"
        assert (await answer.json())["data"]["business"]["reference"] == 690517
    await foodics.call("GET", f"{V5}/branches")
    assert await foodics.call("GET", f"{V5}/branches") == (429, {"message": "Too Many Attempts."})


async def test_a_branch_of_another_currency_has_a_business_of_its_own(foodics: Client) -> None:
    """Its token reads its currency with three decimals and reaches no other branch; amounts may have three."""
    made_there = await foodics.control("POST", f"/foodics/stores/{KUWAIT}", {"create": True, "name": "مطعم السالمية", "currency": "KWD"})
    assert (made_there["currency"], made_there["decimals"]) == ("KWD", 3)
    water = [{"product_id": (await ids(foodics))["DR-02"], "quantity": 1, "unit_price": 0.255, "total_price": 0.255}]
    sums = {"subtotal_price": 0.255, "total_price": 0.255, "charges": None, "payments": None}
    foodics.token = made_there["credentials"]["access_token"]
    assert (await rows(foodics, "settings"))["business_currency"] == "KWD"
    assert [each["name"] for each in await rows(foodics, "branches")] == ["مطعم السالمية"]
    assert next(each for each in await rows(foodics, "products") if each["sku"] == "GR-01")["price"] == 2.899
    await made(foodics, branch_id=KUWAIT, products=water, **sums)
    row = (await foodics.state("foodics"))["orders"][0]
    assert (row["total"], row["currency"]) == (255, "KWD")
    assert (await foodics.call("POST", f"{V5}/orders", await order_of(foodics, products=water, **sums)))[0] == 422


def lacking(ours: Any, sample: Any, ignored: frozenset[str], at: str = "") -> list[str]:
    """Keys of a sample that a body lacks, and places where the kind of value differs."""
    if isinstance(ours, dict) and isinstance(sample, dict):
        missing = [f"{at}.{key}" for key in sample.keys() - ours.keys() - ignored]
        return missing + [
            each for key in sample.keys() & ours.keys() - ignored for each in lacking(ours[key], sample[key], ignored, f"{at}.{key}")
        ]
    if isinstance(ours, list) and isinstance(sample, list):
        return lacking(ours[0], sample[0], ignored, f"{at}[]") if ours and sample else []
    kinds = [float if type(each) is int else type(each) for each in (ours, sample)]
    return [] if None in (ours, sample) or kinds[0] is kinds[1] else [f"{at}: {ours!r} for {sample!r}"]


async def test_bodies_have_the_shape_of_the_samples(foodics: Client) -> None:
    """Products and orders have every key of the real answers, and values of their kind."""
    folder = vendor_spec("foodics")
    relations = "category,tax_group,tags,groups,branches,modifiers.options.branches,ingredients,price_tags,discounts,timed_events"
    products = (await foodics.call("GET", f"{V5}/products?include={relations}"))[1]
    assert lacking(products, json.loads((folder / "list-products.json").read_text("utf-8")), frozenset({"links", "meta"})) == []
    await made(foodics)
    orders = (await foodics.call("GET", f"{V5}/orders{FULL}"))[1]
    wanted = json.loads((folder / "list-orders.trimmed.json").read_text("utf-8"))
    assert lacking(orders, wanted, frozenset({"foodics", "ingredients"})) == []
    one = json.loads((folder / "get-order.json").read_text("utf-8"))["order"]
    staff = frozenset(
        {"creator", "voider", "user", "foodics", "revenue_center", "type", "is_ingredients_returned", "reference", "meta", "combos"}
    )
    event = json.loads((await foodics.hooks.wait(1))[0][1])["order"]
    assert lacking(event, one, staff) == []
