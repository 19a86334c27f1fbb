"""Uber Eats' simulated side: consumers order, the suite shows it, states move in order, menus are checked, webhooks signed."""

import asyncio
import copy
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.contract.sandbox_client import SCOPES, UBER_STORE, Client, sandboxes

ORDER = "/ubereats/v1/delivery/order"
MENUS = f"/ubereats/v2/eats/stores/{UBER_STORE}/menus"
PARTS = "?expand=carts,deliveries,payment"


@pytest_asyncio.fixture
async def uber() -> AsyncIterator[Client]:
    """An Uber sandbox, a token, and a registered webhook address."""
    async with sandboxes() as client:
        await client.control("POST", "/ubereats/webhooks", {"url": client.hooks.url})
        yield await client.as_uber()


async def placed(uber: Client, **more: Any) -> str:
    """One order; its id."""
    return str((await uber.control("POST", "/ubereats/orders", {"store": UBER_STORE, **more}))["orders"][0])


async def shown(uber: Client, order: str) -> Any:
    """The whole order as the suite shows it."""
    status, body = await uber.call("GET", f"{ORDER}/{order}{PARTS}")
    assert status == 200, body
    return body["order"]


def e5(summary: Any) -> int:
    """A gross amount."""
    return int(summary["gross"]["amount_e5"])


def menu(**changes: Any) -> dict[str, Any]:
    """A small valid menu."""

    def text(words: str) -> dict[str, Any]:
        return {"translations": {"en_us": words}}

    body: dict[str, Any] = {
        "items": [
            {
                "id": "tea",
                "title": text("Tea"),
                "price_info": {"price": 250},
                "tax_info": {"tax_rate": 8},
                "modifier_group_ids": {"ids": ["milk"]},
            },
            {"id": "oat", "title": text("Oat"), "price_info": {"price": 50}, "tax_info": {"tax_rate": 8}},
        ],
        "modifier_groups": [{"id": "milk", "title": text("Milk"), "modifier_options": [{"type": "ITEM", "id": "oat"}]}],
        "categories": [{"id": "hot", "title": text("Hot"), "entities": [{"type": "ITEM", "id": "tea"}]}],
        "menus": [
            {
                "id": "all",
                "title": text("All"),
                "service_availability": [{"day_of_week": "monday", "time_periods": [{"start_time": "00:00", "end_time": "23:59"}]}],
                "category_ids": ["hot"],
            }
        ],
    }
    return {**body, **changes}


async def test_an_order_is_announced_fetched_accepted_and_made_ready(uber: Client) -> None:
    """The webhook has ids only; accepting keeps our reference; ready comes after accept; the state shows each step."""
    order = await placed(uber)
    headers, raw = (await uber.hooks.wait(1))[0]
    secret = (await uber.control("GET", ""))["ubereats"]["credentials"]["client_secret"]
    assert headers["x-uber-signature"] == hmac.digest(secret.encode(), raw, hashlib.sha256).hex()
    assert headers["x-environment"] == "sandbox"
    event = json.loads(raw)
    assert event["event_type"] == "orders.notification"
    assert event["meta"] == {"resource_id": order, "status": "pos", "user_id": UBER_STORE}
    assert event["resource_href"] == f"https://api.uber.com/v1/delivery/order/{order}"
    assert (await uber.call("POST", f"{ORDER}/{order}/ready", {}))[0] == 409
    body = {"ready_for_pickup_time": "2030-01-01T00:00:00Z", "external_reference_id": "ord_1"}
    assert (await uber.call("POST", f"{ORDER}/{order}/accept", body))[0] == 204
    assert (await uber.call("POST", f"{ORDER}/{order}/ready", {}))[0] == 204
    found = await shown(uber, order)
    assert (found["state"], found["external_id"], found["preparation_status"]) == ("ACCEPTED", "ord_1", "READY_FOR_HANDOFF")
    state = (await uber.state("ubereats"))["orders"][0]
    assert (state["id"], state["reference"], state["state"]) == (order, "ord_1", "ACCEPTED")
    assert [each["state"] for each in state["history"]] == ["OFFERED", "ACCEPTED", "READY_FOR_HANDOFF"]


async def test_a_settled_order_conflicts(uber: Client) -> None:
    """Accepting again, denying after accepting, and another reference are 409; only the exact repeat is no rejection."""
    order = await placed(uber)
    await uber.call("POST", f"{ORDER}/{order}/accept", {"external_reference_id": "ord_1"})
    assert (await uber.call("POST", f"{ORDER}/{order}/accept", {"external_reference_id": "ord_1"}))[0] == 409
    state = await uber.state("ubereats")
    assert state["rejected"] == []
    assert state["calls"]["order.accept.repeated"] == 1
    assert (await uber.call("POST", f"{ORDER}/{order}/accept", {"external_reference_id": "ord_2"}))[0] == 409
    status, body = await uber.call("POST", f"{ORDER}/{order}/deny", {"deny_reason": {"type": "STORE_CLOSED", "info": "x"}})
    assert (status, body["code"]) == (409, "resource_status_conflict")
    assert [(row["status"], row["injected"]) for row in (await uber.state("ubereats"))["rejected"]] == [(409, False), (409, False)]


async def test_denials_and_cancels_fail_the_order_and_say_so(uber: Client) -> None:
    """A denial, our cancel and the consumer's each end in FAILED with its reason and a failure webhook."""
    denied, ours, theirs = [await placed(uber) for _ in range(3)]
    assert (await uber.call("POST", f"{ORDER}/{denied}/deny", {"deny_reason": {"type": "ITEM_ISSUE", "info": "Sold out"}}))[0] == 204
    await uber.call("POST", f"{ORDER}/{ours}/accept", {})
    assert (await uber.call("POST", f"{ORDER}/{ours}/cancel", {"cancellation_reason": {"type": "KITCHEN_CLOSED", "info": "Fire"}}))[
        0
    ] == 204
    assert (await uber.call("POST", f"{ORDER}/{ours}/cancel"))[0] == 404
    state = await uber.state("ubereats")
    assert (state["rejected"], state["calls"]["order.cancel.repeated"]) == ([], 1)
    assert (await uber.call("POST", f"{ORDER}/{denied}/cancel"))[0] == 404
    assert [row["injected"] for row in (await uber.state("ubereats"))["rejected"]] == [False]
    await uber.control("POST", f"/ubereats/orders/{theirs}/cancel", {})
    found = {each["id"]: each for each in (await uber.state("ubereats"))["orders"]}
    assert [(found[each]["state"], found[each]["failure"]) for each in (denied, ours, theirs)] == [
        ("FAILED", "POS_DENIED"),
        ("FAILED", "CANCELED"),
        ("FAILED", "CANCELED"),
    ]
    events = [json.loads(raw)["event_type"] for _, raw in await uber.hooks.wait(6)]
    assert events.count("orders.failure") == 3


async def test_an_order_nobody_accepts_is_cancelled_at_its_deadline(uber: Client) -> None:
    """After the deadline the platform gives up on it; an accepted order stays."""
    kept, lost = await placed(uber, accept_deadline_s=0.2), await placed(uber, accept_deadline_s=0.2)
    assert (await uber.call("POST", f"{ORDER}/{kept}/accept", {}))[0] == 204
    await asyncio.sleep(0.4)
    assert (await shown(uber, kept))["state"] == "ACCEPTED"
    found = await shown(uber, lost)
    assert (found["state"], found["failure_info"]["reason"]) == ("FAILED", "ACCEPT_TIMED_OUT")
    assert (await uber.call("POST", f"{ORDER}/{lost}/accept", {}))[0] == 409


async def test_the_amounts_of_every_kind_of_order_add_up(uber: Client) -> None:
    """Lines, fees, tip, tax and promotion make the total; the variety has all of them, and funding parts sum to the promotion."""
    orders = (await uber.control("POST", "/ubereats/orders", {"store": UBER_STORE, "count": 120}))["orders"]
    seen: set[str] = set()
    for order in orders:
        found = await shown(uber, order)
        detail = found["payment"]["payment_detail"]
        rows = detail["item_charges"]["price_breakdown"]
        lines = sum(e5(row["total"]) for row in rows)
        assert lines == e5(detail["item_charges"]["total"])
        assert all(e5(row["unit"]) * row["quantity"]["amount"] == e5(row["total"]) for row in rows)
        fees, tip, off = (
            e5(detail.get("fees", {"total": ZERO})["total"]),
            e5(detail.get("tips", {"total": ZERO})["total"]),
            e5(detail["promotions"]["total"]),
        )
        total = detail["order_total"]
        assert e5(total) == lines + fees + tip + off + total["tax"]["amount_e5"]
        assert total["net"]["amount_e5"] + total["tax"]["amount_e5"] == e5(total)
        promotions = detail["promotions"].get("details", [])
        assert all(type(each["discount_value"]) is int and each["discount_value"] > 0 for each in promotions)
        assert sum(each["discount_value"] for each in promotions) == -off
        remitted = found["payment"].get("tax_remittance", {})
        assert sum(e5(each) for each in remitted.values()) == total["tax"]["amount_e5"]
        seen |= {found["fulfillment_type"], *(f"funded by {each['funded_by']}" for each in promotions)}
        seen |= {f"remitted by {each}" for each in remitted}
        seen |= {
            name for name, there in (("fee", fees), ("tip", tip), ("tax", e5(total)), ("note", found.get("store_instructions"))) if there
        }
        seen |= {
            "nested"
            for item in found["carts"][0]["items"]
            for g in item["selected_modifier_groups"]
            for o in g["selected_items"]
            if o["selected_modifier_groups"]
        }
        if e5(detail["cash_amount_due"]):
            assert found["fulfillment_type"] == "DELIVERY_BY_MERCHANT"
            seen.add("cash")
    assert seen >= {
        "DELIVERY_BY_UBER",
        "DELIVERY_BY_MERCHANT",
        "PICKUP",
        "funded by UBER",
        "funded by MERCHANT",
        "remitted by merchant",
        "fee",
        "tip",
        "tax",
        "note",
        "nested",
        "cash",
    }


ZERO = {"gross": {"amount_e5": 0}}


async def test_named_items_are_ordered_as_named(uber: Client) -> None:
    """Quantities, options, notes and ids no menu has come back as they were asked for."""
    wanted = [
        {"id": "shawarma", "quantity": 2, "modifiers": [{"id": "tahini", "quantity": 2}], "note": "بدون بصل"},
        {"id": "not-on-the-menu", "quantity": 1, "price": 777},
    ]
    found = await shown(uber, await placed(uber, items=wanted, type="pickup", plain=True))
    first, second = found["carts"][0]["items"]
    option = first["selected_modifier_groups"][0]["selected_items"][0]
    assert (first["id"], first["quantity"]["amount"], first["customer_request"]["special_instructions"]) == ("shawarma", 2, "بدون بصل")
    assert (option["id"], option["quantity"]["amount"]) == ("tahini", 2)
    assert (second["id"], "external_data" in second) == ("not-on-the-menu", False)
    total = found["payment"]["payment_detail"]["item_charges"]["total"]
    assert e5(total) == (2 * 1019 + 2 * 2 * 57 + 777) * 1000
    assert found["fulfillment_type"] == "PICKUP"


async def test_parts_come_only_when_expanded(uber: Client) -> None:
    """Without expand there are no carts, deliveries or payment."""
    order = await placed(uber)
    body = (await uber.call("GET", f"{ORDER}/{order}"))[1]["order"]
    assert not {"carts", "deliveries", "payment"} & body.keys()
    assert (await uber.call("GET", f"{ORDER}/{order}?expand=everything"))[0] == 400


async def test_a_store_s_orders_are_listed_in_pages(uber: Client) -> None:
    """Pages hold at most 50, newest first, and every order of the state comes once although new ones arrive."""
    orders = (await uber.control("POST", "/ubereats/orders", {"store": UBER_STORE, "count": 120}))["orders"]
    await uber.call("POST", f"{ORDER}/{orders[3]}/accept", {})
    found: list[str] = []
    token = ""
    while True:
        status, body = await uber.call(
            "GET", f"/ubereats/v1/delivery/store/{UBER_STORE}/orders?state=OFFERED&page_size=50&next_page_token={token}"
        )
        assert status == 200, body
        found += [each["id"] for each in body["data"]]
        if not (token := body["pagination_data"]["next_page_token"]):
            break
        await placed(uber)
    assert found == [each for each in reversed(orders) if each != orders[3]]
    assert (await uber.call("GET", f"/ubereats/v1/delivery/store/{UBER_STORE}/orders?page_size=51"))[0] == 400


async def test_a_pushed_menu_is_what_consumers_order_from(uber: Client) -> None:
    """A PUT replaces the whole menu, a GET reads it back, and orders draw from it; an item's suspension takes it off sale."""
    assert (await uber.call("PUT", MENUS, menu()))[0] == 204
    assert (await uber.call("GET", MENUS))[1] == menu()
    found = await shown(uber, await placed(uber))
    assert {item["id"] for item in found["carts"][0]["items"]} == {"tea"}
    gone = {"suspension_info": {"suspension": {"suspend_until": 4102444800, "reason": "sold out"}}}
    assert (await uber.call("POST", f"{MENUS}/items/tea", gone))[0] == 204
    async with uber.http.post(f"{uber.root}/_control/ubereats/orders", json={"store": UBER_STORE}) as answer:
        assert answer.status == 409
    assert (await uber.state("ubereats"))["stock"] == [{"item": "tea", "store": UBER_STORE, "available": False}]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("items", 0, "id"), "a/b"),
        (("items", 0, "title"), {"translations": {"en_us": "A", "fr_fr": "B"}}),
        (("items", 0, "price_info"), {"price": 2.5}),
        (("items", 0, "price_info"), {"price": 250, "core_price": 200}),
        (("items", 0, "tax_info"), None),
        (("items", 0, "tax_info"), {"tax_rate": 5, "vat_rate_percentage": 5}),
        (("items", 0, "external_data"), "x" * 1025),
        (("items", 0, "modifier_group_ids", "ids"), ["nothing"]),
        (("items", 0, "surprise"), 1),
        (("items", 1, "id"), "tea"),
        (("modifier_groups", 0, "modifier_options", 0, "id"), "nothing"),
        (("modifier_groups", 0, "quantity_info"), {"quantity": {"min_permitted": 3, "max_permitted": 1}}),
        (("modifier_groups", 0, "modifier_options", 0, "id"), "tea"),
        (("categories", 0, "entities", 0, "id"), "nothing"),
        (("menus", 0, "category_ids"), ["nothing"]),
        (("menus", 0, "service_availability", 0, "time_periods", 0, "end_time"), "24:00"),
        (("menus",), []),
    ],
)
async def test_a_menu_that_uber_would_refuse_is_refused(uber: Client, path: tuple[str | int, ...], value: Any) -> None:
    """Ids, references, prices, taxes and opening times are checked, and the old menu stays."""
    body = copy.deepcopy(menu())
    place: Any = body
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    status, answer = await uber.call("PUT", MENUS, body)
    assert (status, answer["code"]) == (400, "invalid_request")
    assert (await uber.state("ubereats"))["menus"][0]["pushed"] is False


async def test_tokens_have_scopes_and_a_limit(uber: Client) -> None:
    """A wrong secret, an unknown scope, a missing scope and too many requests in an hour are each refused."""
    app = (await uber.control("GET", ""))["ubereats"]["app"]

    async def ask(**change: str) -> tuple[int, Any, str]:
        form = {**app, "grant_type": "client_credentials", "scope": SCOPES, **change}
        async with uber.http.post(f"{uber.root}/ubereats/oauth/v2/token", data=form) as answer:
            return answer.status, await answer.json(), answer.headers.get("Retry-After", "")

    assert (await ask(client_secret="no"))[:2] == (401, {"error": "invalid_client", "error_description": "client id or secret is wrong"})
    assert (await ask(scope="eats.everything"))[1]["error"] == "invalid_scope"
    order = await placed(uber)
    uber.token = (await ask(scope="eats.store"))[1]["access_token"]
    assert (await uber.call("GET", f"{ORDER}/{order}"))[0] == 401
    await uber.control("POST", "/ubereats/settings", {"token_requests_per_hour": 3})
    assert (await ask())[0] == 200
    status, _, wait = await ask()
    assert status == 429
    assert 3500 < int(wait) <= 3600


async def test_a_store_without_order_manager_or_online_status_takes_no_orders(uber: Client) -> None:
    """Without the order manager an accept is 403; a paused store gets no orders until it is online; provisioning is announced."""
    order = await placed(uber)
    await uber.control("POST", f"/ubereats/stores/{UBER_STORE}", {"is_order_manager": False})
    status, body = await uber.call("POST", f"{ORDER}/{order}/accept", {})
    assert (status, body["code"]) == (403, "user_not_allowed")
    pause = {"status": "PAUSED", "paused_until": "2100-01-01T00:00:00Z", "reason": "busy"}
    assert (await uber.call("POST", f"/ubereats/v1/eats/store/{UBER_STORE}/status", pause))[0] == 204
    async with uber.http.post(f"{uber.root}/_control/ubereats/orders", json={"store": UBER_STORE}) as answer:
        assert answer.status == 409
    await uber.control("POST", "/ubereats/stores/new-store", {"create": True, "currency": "KWD", "provision": True})
    kinds = [json.loads(raw)["event_type"] for _, raw in await uber.hooks.wait(2)]
    assert "store.provisioned" in kinds
    made = await placed(uber, store="new-store", items=[{"id": "fries"}], plain=True)
    total = (await shown(uber, made))["payment"]["payment_detail"]["item_charges"]["total"]["gross"]
    assert total == {"amount_e5": 497 * 100, "currency_code": "KWD"}


async def test_the_courier_takes_the_order_to_its_end(uber: Client) -> None:
    """Leaving with the food hands the order over, arriving completes it, and each step is told."""
    order = await placed(uber, type="delivery")
    await uber.call("POST", f"{ORDER}/{order}/accept", {})
    await uber.control("POST", f"/ubereats/orders/{order}/courier", {"state": "EN_ROUTE_TO_DROPOFF", "lat": 42.1, "lng": -72.5})
    found = await shown(uber, order)
    assert (found["state"], found["deliveries"][0]["delivery_partner"]["current_location"]["latitude"]) == ("HANDED_OFF", "42.1")
    await uber.control("POST", f"/ubereats/orders/{order}/courier", {"state": "COMPLETED"})
    found = await shown(uber, order)
    assert (found["state"], found["status"]) == ("SUCCEEDED", "COMPLETED")
    kinds = [json.loads(raw)["event_type"] for _, raw in await uber.hooks.wait(3)]
    assert kinds.count("delivery.state_changed") == 2
