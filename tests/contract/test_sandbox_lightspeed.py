"""K-Series' simulated side: orders are taken in at once and judged later; references and refresh tokens are good once."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from tests.contract.openapi import vendor_spec
from tests.contract.sandbox_client import Client, sandboxes

STORE, OTHER = 61700452100101, 61700452100102
AT = f"?businessLocationId={STORE}"
TO_GO, PAY, HOOK = "/lightspeed/o/op/1/order/toGo", "/lightspeed/o/op/1/pay", "/lightspeed/o/wh/1/webhook"
BURGER = {
    "quantity": 2,
    "sku": "BRG-1",
    "modifiers": [{"modifierId": "61700452106001"}],
    "subItems": [{"quantity": 1, "sku": "O-BRI"}, {"quantity": 2, "sku": "O-CHE"}, {"quantity": 1, "sku": "O-PAT"}],
}


@pytest_asyncio.fixture
async def pos() -> AsyncIterator[Client]:
    """A K-Series sandbox that judges orders at once, a merchant's token, and a registered webhook endpoint."""
    async with sandboxes() as client:
        await client.control("POST", "/lightspeed/settings", {"order_delay_s": 0})
        await client.control("POST", "/lightspeed/webhooks", {"url": client.hooks.url})
        client.token = (await client.control("GET", ""))["lightspeed"]["credentials"]["access_token"]
        yield client


def order(reference: str = "UE-1", **more: Any) -> dict[str, Any]:
    """A take-away order of a café au lait for 3.75."""
    coffee = {"quantity": 1, "sku": "CAF-1", "subItems": [{"quantity": 1, "sku": "O-WHO"}]}
    who = {"firstName": "نورة", "lastName": "Whitfield", "contactNumberAsE164": "+15550100123"}
    body = {"businessLocationId": STORE, "thirdPartyReference": reference, "endpointId": "HUB-ORDERS", "customerInfo": who}
    return {**body, "items": [coffee], **more}


async def events(pos: Client, count: int) -> list[dict[str, Any]]:
    """The bodies of so many webhooks."""
    return [json.loads(raw) for _, raw in await pos.hooks.wait(count)]


async def row(pos: Client, reference: str = "UE-1") -> dict[str, Any]:
    """An order as the control API shows it."""
    return next(each for each in (await pos.state("lightspeed"))["orders"] if each["reference"] == reference)


async def failed(pos: Client, body: dict[str, Any]) -> str:
    """Why an order that was taken in failed."""
    assert await pos.call("POST", TO_GO, body) == (200, {"status": "ok"})
    told = (await events(pos, len(pos.hooks.got) + 1))[-1]
    assert told.keys() == {"status", "reason", "thirdPartyReference"}
    assert (told["status"], told["thirdPartyReference"]) == ("FAILURE", body["thirdPartyReference"])
    return str(told["reason"])


async def token(pos: Client, fields: dict[str, str], secret: str = "") -> tuple[int, Any]:
    """Ask the token endpoint, the client by Basic."""
    app = (await pos.control("GET", ""))["lightspeed"]["app"]
    client = f"{app['client_id']}:{secret or app['client_secret']}"
    auth = {"Authorization": f"Basic {base64.b64encode(client.encode()).decode()}"}
    async with pos.http.post(f"{pos.root}/lightspeed/oauth/token", data=fields, headers=auth) as answer:
        return answer.status, await answer.json()


async def test_an_order_is_taken_in_judged_made_ready_and_closed(pos: Client) -> None:
    """The answer says only ok; SUCCESS and PAYMENT come by webhook, then what staff do, and the check adds up."""
    fee = {"quantity": 1, "sku": "FEE-1", "customItemPrice": 2.99, "customItemName": "Bag & delivery"}
    off = {"quantity": 1, "sku": "OFF-1", "customItemPrice": 1.5}
    payment = {"paymentMethod": "OOPAYMENT", "paymentAmount": 40.41, "tipAmount": 2.5}
    body = order(items=[BURGER, fee, off], payment=payment, orderNote="بدون بصل", accountProfileCode="DELIVERY", collectionCode="A7")
    assert await pos.call("POST", TO_GO, body) == (200, {"status": "ok"})
    told = sorted(await events(pos, 2), key=lambda each: each["type"])
    assert [(each["type"], each["status"]) for each in told] == [("ORDER", "SUCCESS"), ("PAYMENT", "SUCCESS")]
    check = told[0]["ikentooAccountIdentifier"]
    for state, count in (("preparing", 3), ("ready", 4), ("picked_up", 5), ("completed", 6)):
        await pos.control("POST", f"/lightspeed/orders/{check}/pos-status", {"state": state})
        await pos.hooks.wait(count)
    assert [each["status"] for each in await events(pos, 6)][2:] == ["CHECK_WAS_UPDATED", "READY_FOR_PICKUP", "IN_DELIVERY", "CLOSED"]
    shown = await row(pos)
    assert (shown["id"], shown["state"], shown["total"], shown["tip"], shown["note"]) == (check, "CLOSED", 3791, 250, "بدون بصل")
    assert shown["tax"] == 235 + 36 + 61 + 50 - 14
    assert shown["payments"] == [{"amount": 3791, "type": "OOPAYMENT", "reference": "UE-1"}]
    assert [(each["id"], each["total"]) for each in shown["items"]] == [("BRG-1", 3642), ("FEE-1", 299), ("OFF-1", -150)]
    assert [(each["id"], each["quantity"], each["price"]) for each in shown["items"][0]["modifiers"]][1:] == [
        ("O-BRI", 1, 0),
        ("O-CHE", 2, 99),
        ("O-PAT", 1, 333),
    ]
    status, account = await pos.call("GET", f"/lightspeed/o/op/1/order/accounts/{check}{AT}")
    assert (status, account["currentAmount"], account["paidAmount"]) == (200, 37.91, 37.91)


async def test_webhooks_carry_basic_and_a_key_that_retries_keep(pos: Client) -> None:
    """There is no signature: user and password as registered, and one idempotency key however often it is sent."""
    pos.hooks.answers = [500, 503]
    await pos.call("POST", TO_GO, order())
    got = await pos.hooks.wait(3)
    credentials = (await pos.control("GET", ""))["lightspeed"]["connection"]
    expected = base64.b64encode(f"{credentials['webhook_username']}:{credentials['webhook_password']}".encode()).decode()
    assert {headers["authorization"] for headers, _ in got} == {f"Basic {expected}"}
    assert len({headers["x-lightspeed-idempotency-key"] for headers, _ in got}) == 1
    assert len({raw for _, raw in got}) == 1


@pytest.mark.parametrize(
    ("more", "field", "code"),
    [
        ({"thirdPartyReference": None}, "thirdPartyReference", "NotNull"),
        ({"thirdPartyReference": "x" * 49}, "thirdPartyReference", "Size"),
        ({"customerInfo": {"lastName": "D"}}, "customerInfo.firstName", "NotNull"),
        ({"collectionCode": "123456789"}, "collectionCode", "Size"),
        ({"maxTimeToAttemptOrderDeliverToPos": 59_999}, "maxTimeToAttemptOrderDeliverToPos", "Min"),
        ({"orderCollectionTimeAsIso8601": "2020-01-01T00:00:00.000+00:00"}, "orderCollectionTimeAsIso8601", "Future"),
        ({"items": [{"quantity": 0, "sku": "CSR-1"}]}, "items[0].quantity", "Min"),
        ({"payment": {"paymentAmount": 3.755}}, "payment.paymentAmount", "Digits"),
        ({"payment": {"paymentAmount": -1}}, "payment.paymentAmount", "DecimalMin"),
    ],
)
async def test_a_broken_rule_is_named_with_its_field(pos: Client, more: dict[str, Any], field: str, code: str) -> None:
    """A 400 lists the fields that break a rule as the documented error does, and nothing is kept."""
    status, body = await pos.call("POST", TO_GO, order(**more))
    assert (status, body["error"], body["path"]) == (400, "Bad Request", TO_GO.removeprefix("/lightspeed"))
    assert body["message"].startswith("Validation failed for object='toGoOrder'")
    assert [(each["field"], each["code"]) for each in body["errors"]] == [(field, code)]
    state = await pos.state("lightspeed")
    assert (state["orders"], state["rejected"][-1]["injected"]) == ([], False)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"businessLocationId": str(STORE)}, 400),
        ({"businessLocationId": 7}, 404),
        ({"endpointId": "hub-orders"}, 400),
        ({"surprise": 1}, 400),
        ({"items": [{"quantity": 1.5, "sku": "CSR-1"}]}, 400),
        ({"payment": {"paymentAmount": "3.75"}}, 400),
        ({"payment": {"paymentAmount": 1, "tipAmount": 2}}, 400),
        ({"accountProfileCode": "SPACE"}, 400),
    ],
)
async def test_what_cannot_be_read_or_found_is_refused(pos: Client, more: dict[str, Any], status: int) -> None:
    """Wrong types, unknown fields, locations, profiles and endpoints (whose ids are case-sensitive) are refused at once."""
    answered, body = await pos.call("POST", TO_GO, order(**more))
    assert (answered, body["status"]) == (status, status)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"sku": "NOPE"}, "item not found: NOPE"),
        ({"sku": "O-BAC"}, "item not found: O-BAC"),
        ({"sku": "BRG-1"}, "Bun of BRG-1 takes 1 to 1, not 0"),
        ({"sku": "FLF-1", "subItems": [{"quantity": 3, "sku": "O-TAH"}]}, "Sauce of FLF-1 takes 0 to 2, not 3"),
        ({"sku": "CSR-1", "subItems": [{"quantity": 1, "sku": "O-TAH"}]}, "item not found: O-TAH is no choice of CSR-1"),
        ({"sku": "CSR-1", "modifiers": [{"modifierId": "61700452106001"}]}, "modifier not found: 61700452106001 on CSR-1"),
        ({"sku": "CSR-1", "customItemPrice": 1}, "the price of CSR-1 cannot be customized"),
        ({"sku": "CSR-1", "discountCode": "NOPE", "discountAmountOverride": 1}, "discount not found: NOPE"),
        ({"sku": "CSR-1", "discountCode": "PROMO", "discountAmountOverride": 10.34}, "the discount is greater than CSR-1"),
    ],
)
async def test_what_the_pos_does_not_take_fails_by_webhook(pos: Client, item: dict[str, Any], reason: str) -> None:
    """Unknown items, choices and discounts pass the first answer and come back as FAILURE with a reason."""
    assert await failed(pos, order(items=[{"quantity": 1, **item}])) == reason
    assert (await row(pos))["history"][-1]["state"] == "FAILURE"


async def test_a_reference_is_good_once(pos: Client) -> None:
    """The same reference again is a 409 as documented, a repeat is no rejection, another body is; a failed one stays used."""
    await pos.call("POST", TO_GO, order())
    again = {"status": "fail", "msg": "reference has already been used UE-1"}
    assert await pos.call("POST", TO_GO, order()) == (409, again)
    state = await pos.state("lightspeed")
    assert (len(state["orders"]), state["calls"]["orders.to_go.repeated"], state["rejected"]) == (1, 1, [])
    assert await pos.call("POST", TO_GO, order(orderNote="other")) == (409, again)
    assert (await pos.state("lightspeed"))["rejected"][-1]["status"] == 409


async def test_a_combo_discount_and_tax_add_up(pos: Client) -> None:
    """A combo costs its price plus its choices' extras; a discount in percent comes off before the tax inside the price."""
    sauce, wine = {"quantity": 1, "sku": "O-TAH"}, {"quantity": 1, "sku": "WIN-1"}
    combo = {"quantity": 1, "sku": "CMB-1", "subItems": [{"quantity": 1, "sku": "FLF-1", "subItems": [sauce]}, wine]}
    salad = {"quantity": 1, "sku": "CSR-1", "discountCode": "10PCT"}
    await pos.call("POST", TO_GO, order(items=[combo, salad]))
    await pos.hooks.wait(1)
    shown = await row(pos)
    assert (shown["total"], shown["tax"]) == (1450 + 50 + 350 + 930, 132 + 5 + 58 + 85)


async def test_a_local_order_opens_a_check_and_another_adds_to_it(pos: Client) -> None:
    """A second round goes on the same open check; once that is closed, it takes no more."""
    local = "/lightspeed/o/op/1/order/local"
    salad = {"quantity": 1, "sku": "CSR-1", "course": 1}
    assert (await pos.call("POST", TO_GO, order(items=[salad])))[0] == 400
    await pos.call("POST", local, order(items=[salad], tableNumber="12"))
    check = (await events(pos, 1))[0]["ikentooAccountIdentifier"]
    await pos.call("POST", local, order("UE-2", accountIdentifier=check))
    assert (await events(pos, 2))[1]["ikentooAccountIdentifier"] == check
    open_ = (await pos.call("GET", f"/lightspeed/o/op/1/order/table/getCheck{AT}"))[1]
    assert [(each["ikaccountId"], each["currentAmount"], each["tableNumber"]) for each in open_] == [(check, 14.08, 12)]
    await pos.control("POST", f"/lightspeed/orders/{check}/pos-status", {"state": "completed"})
    assert [each["status"] for each in await events(pos, 4)][2:] == ["CLOSED", "CLOSED"]
    await pos.call("POST", local, order("UE-3", accountIdentifier=check))
    assert (await events(pos, 5))[4]["reason"] == f"account is already closed: {check}"


async def test_what_is_read_beside_menus_and_orders_is_there(pos: Client) -> None:
    """Businesses, floor plans, profiles, instructions, discounts and the old menu can be read; a message reaches the POS."""
    for path in ("businesses", f"{STORE}/floorplans", f"{STORE}/floorplans/61700452102900/tables", f"account-profiles{AT}"):
        status, rows = await pos.call("GET", f"/lightspeed/o/op/data/{path}")
        assert (status, bool(rows)) == (200, True)
    for path in ("modifiers", "discounts", "load/61700452109001"):
        assert (await pos.call("GET", f"/lightspeed/o/op/1/menu/{path}{AT}"))[0] == 200
    assert (await pos.call("GET", "/lightspeed/o/op/1/menu/list"))[0] == 400
    assert (await pos.call("POST", f"/lightspeed/o/op/1/printMsg{AT}", {"message": "Courier here"}))[0] == 200
    assert (await pos.state("lightspeed"))["messages"][0]["message"] == "Courier here"
    assert len((await pos.call("GET", "/lightspeed/f/data/businesses"))[1]["_embedded"]["businessList"][0]["businessLocations"]) == 2
    await pos.call("POST", TO_GO, order())
    await pos.control("POST", "/lightspeed/reset")
    state = await pos.state("lightspeed")
    assert (state["orders"], len(state["webhooks"]["to"])) == ([], 1)


async def test_a_payment_must_fit_what_is_due(pos: Client) -> None:
    """A later payment settles a check once; too much, an unknown check or method fail by webhook, a used reference at once."""
    payment = {"paymentAmount": 3.76, "paymentMethod": "OOPAYMENT"}
    assert await failed(pos, order("UE-0", payment=payment)) == "the payment amount is greater than the amount due"
    await pos.call("POST", TO_GO, order())
    check = (await events(pos, 2))[1]["ikentooAccountIdentifier"]
    task = {"businessLocationId": STORE, "endpointId": "HUB-ORDERS", "iKaccountIdentifier": check, "paymentAmount": 3.75, "tipAmount": 1}
    for reference, more, expected in (
        ("p1", {"paymentAmount": 3.76}, "OVERPAID"),
        ("p2", {"iKaccountIdentifier": "A0.0"}, "ACCOUNT_NOT_FOUND"),
        ("p3", {"paymentMethod": "SHELLS"}, "PAYMENT_METHOD_NOT_FOUND"),
        ("p4", {}, None),
    ):
        body = {**task, "thirdPartyPaymentReference": reference, **more}
        assert await pos.call("POST", PAY, body) == (200, {"status": "ok"})
        told = (await events(pos, len(pos.hooks.got) + 1))[-1]
        assert (told["thirdPartyReference"], told.get("errors", {}).get("account", {}).get("type")) == (reference, expected)
    status, answer = await pos.call("POST", PAY, {**task, "thirdPartyPaymentReference": "p4"})
    assert (status, answer["message"]) == (400, "reference has already been used p4")
    assert (await row(pos))["payments"] == [{"amount": 375, "type": "OOPAYMENT", "reference": "p4"}]


async def test_an_offline_pos_takes_the_order_later_or_times_it_out(pos: Client) -> None:
    """An order waits for the POS until its own limit; a paused POS refuses, and readiness says so."""
    ready = f"/lightspeed/o/op/1/onlineOrderReadiness{AT}"
    await pos.control("POST", f"/lightspeed/stores/{STORE}", {"status": "offline"})
    assert (await pos.call("GET", ready))[1]["posStatus"]["availableDevices"] is False
    await pos.call("POST", TO_GO, order("late"))
    await pos.control("POST", f"/lightspeed/stores/{STORE}", {"status": "open"})
    assert [each["status"] for each in await events(pos, 3)] == ["NOT_READY", "READY", "SUCCESS"]
    await pos.control("POST", "/lightspeed/settings", {"patience_scale": 0.001})
    await pos.control("POST", f"/lightspeed/stores/{STORE}", {"status": "offline"})
    await pos.hooks.wait(4)
    assert (await failed(pos, order("gone", maxTimeToAttemptOrderDeliverToPos=60_000))).startswith("Timeout")
    await pos.control("POST", f"/lightspeed/stores/{STORE}", {"status": "paused"})
    await pos.hooks.wait(6)
    assert await failed(pos, order("shut")) == "the POS is not accepting online orders"


async def test_stock_is_counted_and_told(pos: Client) -> None:
    """Only restricted items are listed; a sale lowers the count, 0 fails the order, and each change is a webhook."""
    query = f"/lightspeed/o/op/1/itemAvailability{AT}"
    assert (await pos.call("GET", query + "&skus=CSR-1"))[1]["data"] == []
    await pos.control("POST", "/lightspeed/stock", {"item": "CSR-1", "available": True, "count": 2})
    await pos.call("POST", TO_GO, order(items=[{"quantity": 2, "sku": "CSR-1"}]))
    told = [each for each in await events(pos, 3) if each["type"] == "ITEM"]
    assert [(each["count"], each["status"]) for each in told] == [(2, "RESTRICTED"), (0, "RESTRICTED")]
    found = (await pos.call("POST", query, {"skus": ["CSR-1", "BRG-1"]}))[1]
    assert [(each["sku"], each["count"]) for each in found["data"]] == [("CSR-1", 0)]
    assert await failed(pos, order("UE-2", items=[{"quantity": 1, "sku": "CSR-1"}])) == "item is not available: CSR-1"
    await pos.control("POST", "/lightspeed/stock", {"item": "CSR-1", "available": True})
    assert (await pos.call("GET", query))[1]["metadata"]["total"] == 0
    assert (await pos.call("POST", query, {"skus": []}))[0] == 400


async def test_a_refresh_token_is_good_once(pos: Client) -> None:
    """A refresh rotates both tokens; the old one used again ends the whole grant, and the merchant has to agree anew."""
    await pos.control("POST", "/lightspeed/faults", {"expire_tokens": True})
    businesses = "/lightspeed/o/op/data/businesses"
    assert (await pos.call("GET", businesses))[0] == 401
    fields = {"grant_type": "refresh_token", "refresh_token": (await pos.control("GET", ""))["lightspeed"]["connection"]["refresh_token"]}
    assert await token(pos, fields, "wrong") == (401, {"error": "invalid_client", "error_description": "client id or secret is wrong"})
    status, answer = await token(pos, fields)
    assert (status, answer["expires_in"]) == (200, 3600)
    pos.token = answer["access_token"]
    assert (await pos.call("GET", businesses))[0] == 200
    assert (await token(pos, fields))[1]["error"] == "invalid_grant"
    assert (await pos.call("GET", businesses))[0] == 401
    assert (await token(pos, {**fields, "refresh_token": answer["refresh_token"]}))[1]["error"] == "invalid_grant"


async def test_an_authorization_code_is_good_once_for_its_scopes(pos: Client) -> None:
    """The code comes back to an https address with the state, buys one pair of tokens, and those know only their scopes."""
    app = (await pos.control("GET", ""))["lightspeed"]["app"]
    ask = {"response_type": "code", "client_id": app["client_id"], "scope": "orders-api", "state": "s 1"}
    for back, expected in (("http://hub.example/cb", 400), ("https://hub.example/cb", 302)):
        query = {**ask, "redirect_uri": back}
        async with pos.http.get(f"{pos.root}/lightspeed/oauth/authorize", params=query, allow_redirects=False) as answer:
            assert answer.status == expected
            location = answer.headers.get("Location", "")
    sent = parse_qs(urlsplit(location).query)
    assert sent["state"] == ["s 1"]
    fields = {"grant_type": "authorization_code", "code": sent["code"][0], "redirect_uri": "https://hub.example/cb"}
    status, answer = await token(pos, fields)
    assert (status, answer["scope"]) == (200, "orders-api")
    assert (await token(pos, fields))[1]["error"] == "invalid_grant"
    pos.token = answer["access_token"]
    assert (await pos.call("GET", f"/lightspeed/o/op/1/menu/list{AT}"))[0] == 200
    assert (await pos.call("GET", f"/lightspeed/f/finance/{STORE}/tax-rates"))[0] == 403


async def test_webhook_endpoints_are_made_changed_and_removed(pos: Client) -> None:
    """An update resets what it omits, SUCCESS needs its subscription, events of items need the location, and a deleted one is gone."""
    url = pos.hooks.url
    made = {"endpointId": "MINE", "url": url, "withBasicAuth": True, "username": "u", "password": "p", "provideAccount": True}
    status, answer = await pos.call("PUT", HOOK, made)
    assert (status, answer["provideAccount"], "password" in answer) == (200, True, False)
    assert (await pos.call("PUT", HOOK, made))[0] == 400
    assert (await pos.call("POST", HOOK, {"endpointId": "mine", "url": url}))[0] == 400
    item = {"resource": "item", "name": "SALES_RESTRICTION_UPDATED"}
    assert (await pos.call("POST", HOOK, {"endpointId": "MINE", "url": url, "subscribeTo": [item]}))[1]["provideAccount"] is False
    await pos.call("POST", TO_GO, order(endpointId="MINE"))
    await pos.control("POST", "/lightspeed/orders/UE-1/pos-status", {"state": "cancelled"})
    assert [each["status"] for each in await events(pos, 1)] == ["CANCELLED"]
    assert (await pos.call("PUT", f"{HOOK}/MINE/business-locations/{STORE}"))[1]["businessLocationId"] == STORE
    await pos.control("POST", "/lightspeed/stock", {"item": "WTR-1", "available": False})
    assert [headers.get("authorization") is None for headers, _ in (await pos.hooks.wait(3))].count(True) == 2
    assert (await pos.call("DELETE", f"{HOOK}/MINE"))[0] == 200
    assert (await pos.call("GET", f"{HOOK}/MINE"))[0] == 404


async def test_a_menu_is_written_in_the_currency_of_the_store(pos: Client) -> None:
    """Prices are decimal numbers of the store's currency, groups carry their limits, and amounts have no more decimals than it."""
    await pos.control("POST", "/lightspeed/stores/7001", {"create": True, "name": "فرع", "currency": "KWD", "tax_included": False})
    listed = (await pos.call("GET", "/lightspeed/o/op/1/menu/list?businessLocationId=7001"))[1]
    path = f"/lightspeed/o/op/2/menu/load/{listed[0]['ikentooMenuId']}?businessLocationId=7001&richContent=true"
    menu = (await pos.call("GET", path))[1]
    burger = menu["menuEntryGroups"][0]["menuEntry"][0]
    assert (burger["productPrice"], burger["taxIncludedInPrice"], burger["defaultTaxAmount"]) == (1.29, False, 0.129)
    bun, extras = burger["menuModifierGroups"]
    assert (bun["mustSelectAnItem"], bun["minimumSelection"], bun["maximumSelection"], extras["maximumSelection"]) == (True, 1, 1, 4)
    lunch = menu["menuEntryGroups"][0]["menuEntry"][3]
    assert [each["extraPrice"] for each in lunch["menuDealGroups"][1]["items"]] == [0, 0, 0.35]
    await pos.call("POST", TO_GO, order(businessLocationId=7001, payment={"paymentAmount": 0.413}))
    await pos.hooks.wait(2)
    shown = await row(pos)
    assert (shown["total"], shown["tax"], shown["payments"][0]["amount"]) == (413, 38, 413)
    status, _ = await pos.call("POST", TO_GO, order("UE-2", businessLocationId=7001, payment={"paymentAmount": 0.4131}))
    assert status == 400
    await pos.control(
        "POST", "/lightspeed/menu", {"edits": [{"op": "price", "id": "BRG-1", "amount": 1500}, {"op": "remove", "id": "SHW-1"}]}
    )
    mains = (await pos.call("GET", path))[1]["menuEntryGroups"][0]["menuEntry"]
    assert [(each["sku"], each["productPrice"]) for each in mains][:2] == [("BRG-1", 1.5), ("FLF-1", 0.849)]
    assert (await pos.call("GET", path.replace("7001", "7002")))[0] == 404


async def test_reports_show_closed_checks(pos: Client) -> None:
    """Sales page by check, are found by our reference and add up by group; the range is a year at most."""
    for number in range(3):
        await pos.call("POST", TO_GO, order(f"UE-{number}", items=[BURGER, {"quantity": 1, "sku": "WIN-1"}]))
    await pos.hooks.wait(3)
    for number in range(3):
        await pos.control("POST", f"/lightspeed/orders/UE-{number}/pos-status", {"state": "completed"})
    base = f"/lightspeed/f/finance/{STORE}"
    path, seen = f"{base}/financials/2026-01-01T00:00:00Z/2026-12-31T00:00:00Z", []
    assert (await pos.call("GET", f"{base}/financials/2020-01-01T00:00:00Z/2026-12-31T00:00:00Z"))[0] == 400
    path = path.replace("2026", await year(pos))
    following: str | None = f"{path}?pageSize=2&include=payments"
    while following:
        page = (await pos.call("GET", following))[1]
        seen += page["sales"]
        following = "/lightspeed" + page["_links"]["nextPage"]["href"] if "nextPage" in page["_links"] else None
    assert [each["externalReferences"] for each in seen] == [[f"TASK:OO-{STORE}-UE-{number}"] for number in range(3)]
    assert (seen[0]["payments"][0]["code"], seen[0]["payments"][0]["netAmountWithTax"]) == ("CASH", "42.87")
    found = (await pos.call("GET", f"{base}/saleByExternalReference?externalReferenceId=TASK:OO-{STORE}-UE-1"))[1]
    assert found["accountFiscId"] == seen[1]["accountFiscId"]
    sums = (await pos.call("GET", f"{base}/aggregatedSales?groupBy=accountingGroup,staff"))[1]
    assert (sums["totalAmount"], [each["groupByValue"] for each in sums["children"][0]["children"]]) == ("128.61", ["Food", "Drinks"])
    assert len((await pos.call("GET", f"{base}/dailyFinancials"))[1]["sales"]) == 3
    for name in ("tax-rates", "paymentMethods", "accountingGroups"):
        assert "_embedded" in (await pos.call("GET", f"{base}/{name}"))[1]


async def year(pos: Client) -> str:
    """The year in which the sandbox closed a check."""
    return str((await row(pos))["history"][-1]["at"][:4])


def same_kinds(example: Any, found: Any, at: str = "", *, exact: bool = True) -> None:
    """Check that every name of an example is there with the same kind of value, and, if `exact`, no other."""
    if isinstance(example, dict):
        assert example.keys() <= found.keys(), at
        assert not exact or example.keys() == found.keys(), at
        for name, each in example.items():
            same_kinds(each, found[name], f"{at}.{name}", exact=exact)
    elif isinstance(example, list):
        for one, each in zip(example, found, strict=False):
            same_kinds(one, each, f"{at}[]", exact=exact)
    else:
        assert type(example) is type(found), at


async def test_webhooks_have_the_shape_of_the_official_examples(pos: Client) -> None:
    """Names and kinds of values are those of Lightspeed's own examples, quirks included."""
    examples = json.loads(vendor_spec("lightspeed", "kseries_webhook_examples.json").read_text("utf-8"))
    await pos.call("POST", TO_GO, order(payment={"paymentAmount": 3.75}))
    told = {each["type"]: each for each in await events(pos, 2)}
    same_kinds(examples["order_success_without_account"], told["ORDER"])
    same_kinds(examples["payment_success"], told["PAYMENT"])
    flags = dict.fromkeys(("provideAccount", "expandTransactions", "expandPayments"), True)
    delivered = {"resource": "order", "name": "DELIVERED"}
    await pos.call("PUT", HOOK, {"endpointId": "FULL", "url": pos.hooks.url, "subscribeTo": [delivered], **flags})
    local = {**order("L-1", endpointId="FULL", items=[{"quantity": 1, "sku": "BRU-1"}]), "tableNumber": "3", "clientCount": 2}
    await pos.call("POST", "/lightspeed/o/op/1/order/local", local)
    same_kinds(examples["order_success_with_account"], (await events(pos, 3))[-1])
    checks = (await pos.call("GET", f"/lightspeed/o/op/1/order/table/3/getCheck{AT}"))[1]
    assert [each["tableNumber"] for each in checks] == [3]
    await pos.control("POST", "/lightspeed/stock", {"item": "WTR-1", "available": True, "count": 5})
    same_kinds(examples["item_restricted"], (await events(pos, 4))[-1])
    await pos.control("POST", f"/lightspeed/stores/{OTHER}", {"status": "closed"})
    same_kinds(examples["order_api_ready"], (await events(pos, 5))[-1])
    await pos.control("POST", "/lightspeed/orders/L-1/pos-status", {"state": "completed"})
    same_kinds(examples["order_closed"], (await events(pos, 6))[-1], exact=False)
