"""Square's simulated side answers as Square does: official shapes, official sums, refusals with Square's error codes."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from tests.contract.openapi import Spec, SpecError, vendor_spec
from tests.contract.sandbox_client import MAIN, Client, sandboxes

ORDERS = "/square/v2/orders"
PICKUP = {"type": "PICKUP", "pickup_details": {"recipient": {"display_name": "Guest"}, "schedule_type": "ASAP"}}


@pytest_asyncio.fixture
async def square() -> AsyncIterator[Client]:
    """A Square sandbox and a seller's token."""
    async with sandboxes() as client:
        yield await client.as_square()


def usd(amount: int) -> dict[str, Any]:
    """Dollars in cents."""
    return {"amount": amount, "currency": "USD"}


def order(**more: Any) -> dict[str, Any]:
    """An order of one ad hoc line of 10.50 with a pickup."""
    line = {"name": "Soup", "quantity": "1", "base_price_money": usd(1050)}
    return {"location_id": MAIN, "reference_id": "ord_1", "line_items": [line], "fulfillments": [PICKUP], **more}


def payment(order_id: str, amount: int, key: str = "pay-1") -> dict[str, Any]:
    """A payment taken by a marketplace."""
    details = {"type": "EXTERNAL", "source": "Market", "source_id": "m-1"}
    return {"idempotency_key": key, "source_id": "EXTERNAL", "amount_money": usd(amount), "order_id": order_id, "external_details": details}


async def made(square: Client, key: str = "key-1", **more: Any) -> Any:
    """An order that was created."""
    status, body = await square.call("POST", ORDERS, {"idempotency_key": key, "order": order(**more)})
    assert status == 200, body
    return body["order"]


def code(body: Any) -> str:
    """The first error's code."""
    return str(body["errors"][0]["code"])


async def test_the_official_example_adds_up_to_the_official_sums(square: Client) -> None:
    """Discounts in percent before amounts, rounded once and shared by largest remainder, then tax: 61.76 as Square says."""
    steak = {"name": "New York Strip Steak", "quantity": "1", "base_price_money": usd(1599)}
    modifier = {"name": "Well", "base_price_money": usd(50)}
    larger = {"name": "New York Steak", "quantity": "2", "base_price_money": usd(2200), "modifiers": [modifier]}
    larger["applied_discounts"] = [{"discount_uid": "one"}]
    discounts = [
        {"uid": "labor", "name": "Labor Day Sale", "percentage": "5", "scope": "ORDER"},
        {"uid": "member", "name": "Membership Discount", "percentage": "0.5", "scope": "ORDER"},
        {"uid": "one", "name": "$1 off", "amount_money": usd(100), "scope": "LINE_ITEM"},
    ]
    taxes = [{"uid": "tax", "name": "State Sales Tax", "percentage": "9", "scope": "ORDER"}]
    found = await made(square, line_items=[steak, larger], discounts=discounts, taxes=taxes)
    assert [found[name]["amount"] for name in ("total_money", "total_tax_money", "total_discount_money")] == [6176, 510, 433]
    assert [line["total_money"]["amount"] for line in found["line_items"]] == [1648, 4528]
    assert [line["total_discount_money"]["amount"] for line in found["line_items"]] == [87, 346]


@pytest.mark.parametrize(
    ("more", "total", "tax"),
    [
        ({"taxes": [{"name": "VAT", "percentage": "5", "type": "INCLUSIVE", "scope": "ORDER"}]}, 1050, 50),
        ({"service_charges": [{"name": "Bag", "amount_money": {"amount": 25, "currency": "USD"}}]}, 1075, 0),
        (
            {
                "taxes": [{"name": "Tax", "percentage": "10", "scope": "ORDER"}],
                "service_charges": [{"name": "Fee", "percentage": "10", "taxable": True}],
            },
            1271,
            116,
        ),
        ({"service_charges": [{"name": "Fee", "percentage": "10", "calculation_phase": "TOTAL_PHASE"}]}, 1155, 0),
    ],
)
async def test_charges_and_taxes_add_up(square: Client, more: dict[str, Any], total: int, tax: int) -> None:
    """Inclusive taxes are inside the price, additive ones on top, and a charge is taxed only when it says so."""
    found = await made(square, **more)
    assert (found["total_money"]["amount"], found["total_tax_money"]["amount"]) == (total, tax)


async def test_an_order_is_paid_prepared_and_completed(square: Client) -> None:
    """An external payment of the whole total pays the order; fulfilment then completes it."""
    found = await made(square)
    status, body = await square.call("POST", "/square/v2/payments", payment(found["id"], 1050))
    assert (status, body["payment"]["status"]) == (200, "COMPLETED")
    paid = (await square.call("GET", f"{ORDERS}/{found['id']}"))[1]["order"]
    assert (paid["state"], paid["version"], paid["net_amount_due_money"]["amount"]) == ("OPEN", 2, 0)
    for state in ("RESERVED", "PREPARED", "COMPLETED"):
        change = {
            "version": paid["version"],
            "location_id": MAIN,
            "fulfillments": [{"uid": paid["fulfillments"][0]["uid"], "state": state}],
        }
        status, body = await square.call("PUT", f"{ORDERS}/{found['id']}", {"order": change})
        assert status == 200, body
        paid = body["order"]
    assert paid["state"] == "COMPLETED"
    shown = (await square.state("square"))["orders"][0]
    assert (shown["reference"], shown["state"], shown["total"], shown["currency"]) == ("ord_1", "COMPLETED", 1050, "USD")
    assert [(each["amount"], each["status"]) for each in shown["payments"]] == [(1050, "COMPLETED")]
    assert [each["state"] for each in shown["history"]] == ["OPEN", "PAID", "RESERVED", "PREPARED", "COMPLETED"]


async def test_the_same_key_answers_the_same_and_another_body_is_refused(square: Client) -> None:
    """An idempotency key used twice makes one order; with another body it is IDEMPOTENCY_KEY_REUSED."""
    first, second = await made(square), await made(square)
    assert first == second
    status, body = await square.call("POST", ORDERS, {"idempotency_key": "key-1", "order": order(reference_id="other")})
    assert (status, code(body)) == (400, "IDEMPOTENCY_KEY_REUSED")
    assert len((await square.state("square"))["orders"]) == 1


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"reference_id": "x" * 41}, "VALUE_TOO_LONG"),
        ({"ticket_name": "x" * 31}, "VALUE_TOO_LONG"),
        ({"location_id": "nowhere"}, "INVALID_LOCATION"),
        ({"surprise": 1}, "UNKNOWN_BODY_PARAMETER"),
        ({"line_items": [{"name": "A", "quantity": 1, "base_price_money": usd(1)}]}, "EXPECTED_STRING"),
        ({"line_items": [{"name": "A", "quantity": "1", "base_price_money": {"amount": 1.5, "currency": "USD"}}]}, "EXPECTED_INTEGER"),
        ({"line_items": [{"name": "A", "quantity": "1", "base_price_money": {"amount": 1, "currency": "EUR"}}]}, "INVALID_VALUE"),
        ({"line_items": [{"quantity": "1", "catalog_object_id": "UNKNOWN"}]}, "NOT_FOUND"),
        ({"line_items": [{"name": "A", "quantity": "1"}]}, "MISSING_REQUIRED_PARAMETER"),
        ({"fulfillments": [{"type": "PICKUP"}]}, "MISSING_REQUIRED_PARAMETER"),
        ({"fulfillments": [{"type": "PICKUP", "state": "FLYING"}]}, "INVALID_ENUM_VALUE"),
        ({"fulfillments": [PICKUP, PICKUP]}, "ARRAY_LENGTH_TOO_LONG"),
    ],
)
async def test_what_square_would_refuse_is_refused(square: Client, more: dict[str, Any], expected: str) -> None:
    """Lengths, types, currencies, ids and required fields are checked, and the refusal is on record as a real one."""
    status, body = await square.call("POST", ORDERS, {"order": order(**more)})
    assert status in {400, 404}
    assert code(body) == expected
    state = await square.state("square")
    assert state["orders"] == []
    assert state["rejected"][-1]["injected"] is False


async def test_money_that_does_not_fit_the_order_is_refused(square: Client) -> None:
    """A payment has to be the whole of what is due, once, under a key of at most 45 signs."""
    found = await made(square)
    for body, expected in (
        (payment(found["id"], 1049), "PAYMENT_AMOUNT_MISMATCH"),
        (payment(found["id"], 1050, "k" * 46), "VALUE_TOO_LONG"),
        ({**payment(found["id"], 1050), "external_details": None}, "MISSING_REQUIRED_PARAMETER"),
    ):
        status, answer = await square.call("POST", "/square/v2/payments", body)
        assert (status, code(answer)) == (400, expected)
    assert (await square.call("POST", "/square/v2/payments", payment(found["id"], 1050)))[0] == 200
    assert (await square.call("POST", "/square/v2/payments", payment(found["id"], 1050, "again")))[0] == 400


async def test_a_stale_version_and_a_cancel_of_a_paid_order_are_refused(square: Client) -> None:
    """Updates go by version; a paid order is refunded before it can be CANCELED."""
    found = await made(square)
    paid = (await square.call("POST", "/square/v2/payments", payment(found["id"], 1050)))[1]["payment"]
    uid = found["fulfillments"][0]["uid"]
    cancel = {"location_id": MAIN, "state": "CANCELED", "fulfillments": [{"uid": uid, "state": "CANCELED"}]}
    status, body = await square.call("PUT", f"{ORDERS}/{found['id']}", {"order": {**cancel, "version": 1}})
    assert (status, code(body)) == (409, "CONFLICT")
    assert (await square.call("PUT", f"{ORDERS}/{found['id']}", {"order": {**cancel, "version": 2}}))[0] == 400
    refund = {"idempotency_key": "r", "payment_id": paid["id"], "amount_money": usd(1050), "reason": "Cancelled"}
    assert (await square.call("POST", "/square/v2/refunds", refund))[1]["refund"]["status"] == "COMPLETED"
    status, body = await square.call("PUT", f"{ORDERS}/{found['id']}", {"order": {**cancel, "version": 3}})
    assert (status, body["order"]["state"]) == (200, "CANCELED")
    assert (await square.state("square"))["orders"][0]["payments"][0]["status"] == "REFUNDED"


async def test_a_search_by_time_pages_to_its_end(square: Client) -> None:
    """Every order of the window is found once, newest first, and two full pages are the end."""
    ids = [(await made(square, f"k{n}", reference_id=f"r{n}"))["id"] for n in range(6)]
    query = {"filter": {"date_time_filter": {"created_at": {"start_at": "2020-01-01T00:00:00Z"}}, "state_filter": {"states": ["OPEN"]}}}
    found, cursor = [], None
    for _ in range(2):
        body = {"location_ids": [MAIN], "limit": 3, "query": query, **({"cursor": cursor} if cursor else {})}
        answer = (await square.call("POST", f"{ORDERS}/search", body))[1]
        found += [each["id"] for each in answer["orders"]]
        if not (cursor := answer.get("cursor")):
            break
    assert found == ids[::-1]
    assert cursor is None
    status, body = await square.call("POST", f"{ORDERS}/search", {"location_ids": [MAIN], "cursor": "nonsense"})
    assert (status, code(body)) == (400, "INVALID_CURSOR")


async def test_tokens_expire_and_a_refresh_gives_a_new_one(square: Client) -> None:
    """An unknown token is UNAUTHORIZED, an old one ACCESS_TOKEN_EXPIRED, and the refresh token brings another."""
    good, square.token = square.token, "guess"
    assert code((await square.call("GET", "/square/v2/locations"))[1]) == "UNAUTHORIZED"
    square.token = good
    await square.control("POST", "/square/faults", {"expire_tokens": True})
    status, body = await square.call("GET", "/square/v2/locations")
    assert (status, code(body)) == (401, "ACCESS_TOKEN_EXPIRED")
    credentials = (await square.control("GET", ""))["square"]["credentials"]
    ask = {name: credentials[name] for name in ("client_id", "client_secret", "refresh_token")}
    answer = (await square.call("POST", "/square/oauth2/token", {**ask, "grant_type": "refresh_token"}))[1]
    square.token = answer["access_token"]
    assert (await square.call("GET", "/square/v2/locations"))[0] == 200
    wrong = {**ask, "client_secret": "wrong", "grant_type": "refresh_token"}
    assert (await square.call("POST", "/square/oauth2/token", wrong))[0] == 401


async def test_a_consent_gives_a_code_and_the_code_a_token_once(square: Client) -> None:
    """Back to the application with code and state; the code is good once, for its redirect address; unknown scopes are refused."""
    app = square.sandboxes["square"].app_credentials()
    back = "https://hub.example/oauth/square/callback"
    ask = {"client_id": app["client_id"], "scope": "ORDERS_READ ITEMS_READ", "state": "s 1", "session": "false", "redirect_uri": back}
    for wrong, status in (
        ({"client_id": "other"}, 401),
        ({"scope": "ORDERS_READ EVERYTHING"}, 400),
        ({"scope": ""}, 400),
        ({"redirect_uri": ""}, 400),
    ):
        async with square.http.get(f"{square.root}/square/oauth2/authorize", params={**ask, **wrong}, allow_redirects=False) as answer:
            assert answer.status == status, wrong
    codes = []
    for _ in range(2):
        async with square.http.get(f"{square.root}/square/oauth2/authorize", params=ask, allow_redirects=False) as answer:
            assert answer.status == 302
            sent = parse_qs(urlsplit(answer.headers["Location"]).query)
            assert (answer.headers["Location"].split("?")[0], sent["state"]) == (back, ["s 1"])
            codes.append(sent["code"][0])
    grant = {**app, "grant_type": "authorization_code", "code": codes[0]}
    status, got = await square.call("POST", "/square/oauth2/token", {**grant, "redirect_uri": back})
    assert (status, got["token_type"], bool(got["refresh_token"])) == (200, "bearer", True)
    assert (await square.call("POST", "/square/oauth2/token", {**grant, "redirect_uri": back}))[0] == 401
    stolen = {**grant, "code": codes[1], "redirect_uri": "https://elsewhere.example"}
    assert (await square.call("POST", "/square/oauth2/token", stolen))[0] == 401
    square.token = got["access_token"]
    assert (await square.call("GET", "/square/v2/locations"))[0] == 200


async def test_webhooks_carry_the_documented_signature(square: Client) -> None:
    """The signature is over the registered address and the raw body, with that subscription's own key."""
    subscription = {"name": "hub", "event_types": ["order.created"], "notification_url": square.hooks.url}
    status, body = await square.call("POST", "/square/v2/webhooks/subscriptions", {"subscription": subscription})
    assert status == 200, body
    found = await made(square)
    headers, raw = (await square.hooks.wait(1))[0]
    digest = hmac.digest(body["subscription"]["signature_key"].encode(), square.hooks.url.encode() + raw, hashlib.sha256)
    assert headers["x-square-hmacsha256-signature"] == base64.b64encode(digest).decode()
    event = json.loads(raw)
    assert (event["type"], event["data"]["object"]["order_created"]["order_id"]) == ("order.created", found["id"])


async def test_staff_move_orders_and_change_the_menu_and_stock(square: Client) -> None:
    """What staff do at the counter reaches the API: an order made ready, a price changed, an item off sale."""
    found = await made(square)
    await square.call("POST", "/square/v2/payments", payment(found["id"], 1050))
    await square.control("POST", f"/square/orders/{found['id']}/pos-status", {"state": "ready"})
    assert (await square.call("GET", f"{ORDERS}/{found['id']}"))[1]["order"]["fulfillments"][0]["state"] == "PREPARED"
    menu = (await square.state("square"))["menus"][0]
    variation = menu["items"][0]["variations"][0]["id"]
    await square.control("POST", "/square/menu", {"edits": [{"op": "price", "id": variation, "amount": 1234}]})
    await square.control("POST", "/square/stock", {"item": variation, "available": False})
    held = (await square.call("GET", f"/square/v2/catalog/object/{variation}"))[1]["object"]["item_variation_data"]
    assert held["price_money"]["amount"] == 1234
    assert {each["location_id"]: each["sold_out"] for each in held["location_overrides"]}[MAIN] is True
    counts = (await square.call("POST", "/square/v2/inventory/counts/batch-retrieve", {"catalog_object_ids": [variation]}))[1]
    assert counts["counts"][0]["quantity"] == "0"


async def test_an_inactive_location_takes_no_orders(square: Client) -> None:
    """A closed store refuses orders until it opens again; one that is made by control takes them in its currency."""
    await square.control("POST", f"/square/stores/{MAIN}", {"status": "INACTIVE"})
    assert code((await square.call("POST", ORDERS, {"order": order()}))[1]) == "INVALID_LOCATION"
    await square.control("POST", "/square/stores/LNEW", {"status": "ACTIVE", "create": True, "currency": "SAR", "name": "فرع"})
    line = {"name": "شاي", "quantity": "1", "base_price_money": {"amount": 500, "currency": "SAR"}}
    found = await made(square, location_id="LNEW", line_items=[line])
    assert found["total_money"] == {"amount": 500, "currency": "SAR"}


async def test_every_answer_and_event_fits_the_official_specification(square: Client) -> None:
    """Bodies of all operations, refusals included, and all webhooks are valid against Square's OpenAPI document."""
    spec = Spec.load(vendor_spec("square", "openapi-trimmed.json"))
    await square.control("POST", "/square/webhooks", {"url": square.hooks.url})

    async def ask(method: str, path: str, body: Any = None) -> Any:
        if body is not None:
            spec.check_request(method, path, body)
        status, answer = await square.call(method, "/square" + path, body)
        spec.check_response(method, path, status, answer)
        return answer

    await ask("GET", "/v2/locations")
    await ask("GET", f"/v2/locations/{MAIN}")
    await ask("GET", "/v2/locations/nowhere")
    catalog, cursor = [], ""
    while cursor is not None:
        page = await ask("GET", f"/v2/catalog/list?types=ITEM,ITEM_VARIATION,CATEGORY,MODIFIER_LIST,TAX,DISCOUNT,IMAGE&cursor={cursor}")
        catalog += page["objects"]
        cursor = page.get("cursor")
    variation = next(each["id"] for each in catalog if each["type"] == "ITEM_VARIATION")
    modifier = next(each for each in catalog if each["type"] == "MODIFIER_LIST")["modifier_list_data"]["modifiers"][0]["id"]
    await ask("GET", f"/v2/catalog/object/{variation}")
    line = {"catalog_object_id": variation, "quantity": "2", "modifiers": [{"catalog_object_id": modifier}], "note": "بدون بصل"}
    full = order(
        line_items=[line],
        pricing_options={"auto_apply_taxes": True},
        service_charges=[{"name": "Bag", "amount_money": usd(10), "calculation_phase": "SUBTOTAL_PHASE"}],
        discounts=[{"name": "Offer", "amount_money": usd(99), "scope": "ORDER"}],
    )
    await ask("POST", "/v2/orders/calculate", {"order": full})
    found = (await ask("POST", "/v2/orders", {"idempotency_key": "a", "order": full}))["order"]
    body = payment(found["id"], found["total_money"]["amount"])
    paid = (await ask("POST", "/v2/payments", {**body, "tip_money": usd(150), "reference_id": "x"}))["payment"]
    await ask("GET", f"/v2/payments/{paid['id']}")
    await ask("GET", f"/v2/payments?location_id={MAIN}&begin_time=2020-01-01T00:00:00Z&limit=1")
    await ask("GET", "/v2/payments?location_id=nowhere")
    await ask("GET", f"/v2/orders/{found['id']}")
    await ask("POST", "/v2/orders/search", {"location_ids": [MAIN], "return_entries": False})
    await ask("POST", "/v2/refunds", {"idempotency_key": "r", "payment_id": paid["id"], "amount_money": usd(50), "reason": "Late"})
    await ask("PUT", f"/v2/orders/{found['id']}", {"order": {"location_id": MAIN, "version": 1}})
    await ask("POST", "/v2/inventory/counts/batch-retrieve", {"location_ids": [MAIN]})
    await ask("GET", "/v2/webhooks/subscriptions")
    await square.control("POST", "/square/stock", {"item": variation, "available": False})
    await square.control("POST", "/square/menu", {"edits": [{"op": "rename", "id": variation, "name": "Été"}]})
    for _, raw in await square.hooks.wait(8):
        spec.check_event(json.loads(raw))


def test_the_specification_check_sees_wrong_bodies() -> None:
    """An unknown field, a wrong type and a missing required field are each named with their place."""
    spec = Spec.load(vendor_spec("square", "openapi-trimmed.json"))
    good = {"order": {"location_id": "L", "line_items": [{"quantity": "1"}], "reference_id": None}}
    spec.check_request("POST", "/v2/orders", good)
    for bad, place in (
        ({"order": {"location_id": "L", "surprise": 1}}, "surprise"),
        ({"order": {"location_id": "L", "line_items": [{"quantity": 1}]}}, "$.order.line_items[0].quantity"),
        ({"order": {"reference_id": "x"}}, "location_id"),
    ):
        with pytest.raises(SpecError, match=place.replace("$", r"\$").replace("[", r"\[")):
            spec.check_request("POST", "/v2/orders", bad)
    with pytest.raises(SpecError, match="no GET /v2/nothing"):
        spec.check_response("GET", "/v2/nothing", 200, {})


async def test_a_location_has_one_currency(square: Client) -> None:
    """A price in another currency than the location's is refused, also one that would come from the catalog."""
    await square.control("POST", "/square/stores/LKUWAIT", {"create": True, "currency": "KWD"})
    kwd = {"name": "Soup", "quantity": "1", "base_price_money": {"amount": 2125, "currency": "KWD"}}
    assert (await made(square, location_id="LKUWAIT", line_items=[kwd]))["total_money"] == {"amount": 2125, "currency": "KWD"}
    objects = (await square.call("GET", "/square/v2/catalog/list?types=ITEM_VARIATION"))[1]["objects"]
    for line in ({**kwd, "base_price_money": usd(2125)}, {"catalog_object_id": objects[0]["id"], "quantity": "1"}):
        body = {"idempotency_key": "key-2", "order": order(location_id="LKUWAIT", line_items=[line])}
        status, answer = await square.call("POST", ORDERS, body)
        assert (status, code(answer)) == (400, "INVALID_VALUE")
