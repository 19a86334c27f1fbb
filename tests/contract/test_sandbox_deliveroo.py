"""Deliveroo's simulated side: signed order events, answers in their order and limits, menus processed later, sites and riders."""

import asyncio
import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from adapters.deliveroo.sandbox import signature
from tests.contract.openapi import vendor_spec
from tests.contract.sandbox_client import Client, sandboxes

STORE, OTHER, BRAND = "harbour-street-01", "old-mill-02", "harbour-and-mill"
ORDER, MENU, SITE = (
    "/deliveroo/order/v1/orders",
    f"/deliveroo/menu/v1/brands/{BRAND}/menus/main",
    f"/deliveroo/site/v1/brands/{BRAND}/sites",
)
OFF = f"{MENU}/item_unavailabilities/{STORE}"
OFF_V2 = f"/deliveroo/menu/v2/brands/{BRAND}/sites/{STORE}/menu/item_unavailabilities"
THIRD = f"/deliveroo/menu/v3/brands/{BRAND}"


class Deliveroo:
    """A sandbox with a token and a webhook address for every event."""

    def __init__(self, client: Client, app: dict[str, str]) -> None:
        self.client, self.app = client, app
        self.call, self.control = client.call, client.control

    async def ask(self, headers: dict[str, str] | None = None, **change: str) -> tuple[int, Any]:
        names = ("client_id", "client_secret")
        fields = {**({} if headers else {n: self.app[n] for n in names}), "grant_type": "client_credentials", **change}
        async with self.client.http.post(f"{self.client.root}/deliveroo/oauth2/token", data=fields, headers=headers) as answer:
            return answer.status, await answer.json()

    async def placed(self, **more: Any) -> str:
        return str((await self.control("POST", "/deliveroo/orders", {"store": STORE, **more}))["orders"][0])

    async def patch(self, order: str, status: str, **more: Any) -> tuple[int, Any]:
        return await self.call("PATCH", f"{ORDER}/{order}", {"status": status, **more})

    async def row(self, order: str) -> Any:
        return next(each for each in (await self.client.state("deliveroo"))["orders"] if each["id"] == order)

    async def events(self, name: str, count: int = 1) -> list[Any]:
        """The bodies of an event, once so many came."""
        async with asyncio.timeout(5):
            while len(found := [each["body"] for each in map(json.loads, self.raw()) if each["event"] == name]) < count:
                await asyncio.sleep(0.01)
        return found

    def raw(self) -> list[bytes]:
        return [raw for _, raw in self.client.hooks.got]

    async def upload(self, body: Any) -> Any:
        """Upload a menu and wait for its result."""
        before = len([raw for raw in self.raw() if b"menu.upload_result" in raw])
        assert (await self.call("PUT", MENU, body))[0] == 202
        return (await self.events("menu.upload_result", before + 1))[-1]["menu_upload_result"]

    async def refused(self) -> list[tuple[str, int]]:
        return [(each["reason"], each["status"]) for each in (await self.client.state("deliveroo"))["rejected"]]


@pytest_asyncio.fixture
async def deliveroo() -> AsyncIterator[Deliveroo]:
    """A Deliveroo sandbox, a token, and a registered webhook address."""
    async with sandboxes() as client:
        shop = Deliveroo(client, (await client.control("GET", ""))["deliveroo"]["app"])
        await client.control("POST", "/deliveroo/webhooks", {"url": client.hooks.url})
        client.token = (await shop.ask())[1]["access_token"]
        yield shop


def now(minutes: float = 0) -> str:
    """A time so many minutes from now."""
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


def menu(**changes: Any) -> dict[str, Any]:
    """A small valid upload."""

    def entry(identifier: str, kind: str, price: int, groups: list[str]) -> dict[str, Any]:
        texts = {
            "name": {"en": f"The {identifier}"},
            "description": {"en": ""},
            "operational_name": identifier.upper(),
            "plu": f"P-{identifier}",
        }
        more = {"price_info": {"price": price}, "tax_rate": "20", "contains_alcohol": False, "modifier_ids": groups}
        return {"id": identifier, "type": kind, **texts, **more}

    parts: dict[str, Any] = {
        "currency_code": "GBP",
        "items": [entry("tea", "ITEM", 250, ["milk"]), entry("cake", "ITEM", 399, []), entry("oat", "CHOICE", 45, [])],
        "modifiers": [
            {"id": "milk", "name": {"en": "Milk"}, "item_ids": ["oat"], "min_selection": 0, "max_selection": 2, "repeatable": True}
        ],
        "categories": [{"id": "all", "name": {"en": "Everything"}, "item_ids": ["tea", "cake"]}],
        "mealtimes": [
            {
                "id": "day",
                "name": {"en": "All day"},
                "description": {"en": "All day"},
                "image": {"url": "https://img.example.com/cover.jpg"},
                "category_ids": ["all"],
                "schedule": [{"day_of_week": 0, "time_periods": [{"start": "09:00", "end": "22:00"}]}],
            }
        ],
    }
    return {"name": "Main", "site_ids": [STORE], "menu": {**parts, **changes}}


def shape(value: Any) -> Any:
    """Key names and types, all the way down; a list has the shape of its first element."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


async def test_tokens_are_short_and_asked_for_in_two_ways(deliveroo: Deliveroo) -> None:
    """Client id and secret go in the form or in Basic; a token lives 300 s; a wrong secret and an old token are 401."""
    status, body = await deliveroo.ask()
    assert (status, body["expires_in"], body["token_type"], body["access_token"].count(".")) == (200, 300, "Bearer", 2)
    pair = b64encode(f"{deliveroo.app['client_id']}:{deliveroo.app['client_secret']}".encode()).decode()
    assert (await deliveroo.ask({"Authorization": f"Basic {pair}"}))[0] == 200
    assert (await deliveroo.ask(client_secret="no"))[0] == 401
    assert (await deliveroo.ask(grant_type="password"))[0] == 400
    await deliveroo.control("POST", "/deliveroo/faults", {"expire_tokens": True})
    status, body = await deliveroo.call("GET", "/deliveroo/site/v1/brands")
    assert (status, body["error"]["code"]) == (401, "unauthorized")
    await deliveroo.control("POST", "/deliveroo/settings", {"token_lifetime_s": 0})
    deliveroo.client.token = (await deliveroo.ask())[1]["access_token"]
    assert (await deliveroo.call("GET", "/deliveroo/site/v1/brands"))[0] == 401


async def test_order_events_are_signed_over_guid_and_body_and_repeated(deliveroo: Deliveroo) -> None:
    """HMAC-SHA256 over GUID, one space and raw bytes; after a failure the very same event comes again."""
    deliveroo.client.hooks.answers = [500, 404]
    order = await deliveroo.placed()
    got = await deliveroo.client.hooks.wait(3)
    for headers, raw in got:
        signed = headers["x-deliveroo-sequence-guid"].encode() + b" " + raw
        expected = hmac.new(deliveroo.app["webhook_secret"].encode(), signed, hashlib.sha256).hexdigest()
        assert headers["x-deliveroo-hmac-sha256"] == expected
        assert (headers["x-deliveroo-payload-type"], headers["x-deliveroo-webhook-version"]) == ("event/order.new", "1")
    assert len({headers["x-deliveroo-sequence-guid"] for headers, _ in got}) == 1
    assert json.loads(got[0][1])["body"]["order"]["id"] == order


def test_signatures_agree_with_the_vectors() -> None:
    """The sandbox signs the sample bodies as the vectors say; a legacy signature is another one."""
    path = vendor_spec("deliveroo", "signature_vectors.json")
    for vector in json.loads(path.read_text("utf-8"))["vectors"]:
        raw = (path.parent / vector["body_file"]).read_bytes()
        made = signature(vector["webhook_secret"], vector["x-deliveroo-sequence-guid"], raw)
        assert (made == vector["x-deliveroo-hmac-sha256"]) is not vector["separator"].startswith("legacy")


async def test_order_and_rider_bodies_have_the_samples_shape(deliveroo: Deliveroo) -> None:
    """Key names and types are those of the sample events."""
    folder = vendor_spec("deliveroo")
    await deliveroo.placed(items=[{"id": "chips", "modifiers": [{"id": "toum"}]}], type="delivery", plain=True)
    sample = shape(json.loads((folder / "order_new_event.json").read_text("utf-8"))["body"])
    body = (await deliveroo.events("order.new"))[0]
    sample["order"]["fee_breakdown"] = []
    assert shape(body) == sample
    await deliveroo.patch(body["order"]["id"], "accepted")
    await deliveroo.control("POST", f"/deliveroo/orders/{body['order']['id']}/courier", {"state": "arrived"})
    sample = shape(json.loads((folder / "rider_status_update_event.json").read_text("utf-8"))["body"])
    assert shape((await deliveroo.events("rider.status_update"))[0]) == sample


@pytest.mark.parametrize("file", ["menu_upload.json", "menu_certification_two_groups.json"])
async def test_the_sample_menus_are_taken(deliveroo: Deliveroo, file: str) -> None:
    """Both samples pass, for a site of ours."""
    body = {**json.loads(vendor_spec("deliveroo", file).read_text("utf-8")), "site_ids": [STORE]}
    assert (await deliveroo.upload(body))["http_status"] == 200


async def test_an_order_is_synced_accepted_prepared_and_delivered(deliveroo: Deliveroo) -> None:
    """Each step answers as the vendor does, each new status is told, and the status log grows."""
    order = await deliveroo.placed(type="delivery")
    sync = {"status": "succeeded", "occurred_at": now()}
    assert await deliveroo.call("POST", f"{ORDER}/{order.replace(':', '%3A')}/sync_status", sync) == (200, None)
    assert await deliveroo.patch(order, "accepted") == (204, None)
    for stage in ({"stage": "in_kitchen", "delay": 4}, {"stage": "ready_for_collection_soon"}, {"stage": "ready_for_collection"}):
        assert await deliveroo.call("POST", f"{ORDER}/{order}/prep_stage", {**stage, "occurred_at": now()}) == (200, None)
    for state in ("rider_assigned", "rider_in_transit", "delivered"):
        await deliveroo.control("POST", f"/deliveroo/orders/{order}/courier", {"state": state, "lat": 51.5, "lng": -0.2})
    told = (await deliveroo.events("order.status_update", 2))[-1]["order"]
    assert [each["status"] for each in told["status_log"]] == ["pending", "placed", "accepted", "delivered"]
    rider = (await deliveroo.events("rider.status_update", 2))[-1]["riders"][0]
    assert ([each["status"] for each in rider["status_log"]], rider["lon"]) == (["rider_assigned", "rider_in_transit"], -0.2)
    row = await deliveroo.row(order)
    assert (row["state"], row["stage"], row["sync"]["status"]) == ("delivered", "ready_for_collection", "succeeded")
    assert await deliveroo.refused() == []


async def test_a_decided_order_conflicts(deliveroo: Deliveroo) -> None:
    """A second acceptance is a repeat and no rejection, a rejection after it is a conflict, and each is a 409."""
    order = await deliveroo.placed()
    await deliveroo.patch(order, "accepted")
    assert (await deliveroo.patch(order, "accepted"))[0] == 409
    state = await deliveroo.client.state("deliveroo")
    assert (state["rejected"], state["calls"]["order.status.repeated"]) == ([], 1)
    status, body = await deliveroo.patch(order, "rejected", reject_reason="busy")
    assert (status, body["error"]["code"]) == (409, "conflict")
    assert (await deliveroo.patch("gb:nothing", "accepted"))[0] == 404


async def test_answers_that_deliveroo_would_refuse(deliveroo: Deliveroo) -> None:
    """Unknown words, missing reasons, times out of range, stages backwards or too early, and a confirmation of an ASAP order."""
    await deliveroo.control("POST", "/deliveroo/settings", {"patch_window_s": 0, "sync_status_gap_s": 0})
    order = await deliveroo.placed()
    bad: list[tuple[str, str, dict[str, Any], int]] = [
        ("PATCH", "", {"status": "ACCEPTED"}, 400),
        ("PATCH", "", {"status": "accepted", "minutes": 3}, 400),
        ("PATCH", "", {"status": "rejected"}, 400),
        ("PATCH", "", {"status": "rejected", "reject_reason": "tired"}, 400),
        ("PATCH", "", {"status": "confirmed"}, 400),
        ("POST", "/sync_status", {"status": "succeeded"}, 400),
        ("POST", "/sync_status", {"status": "failed", "occurred_at": now()}, 400),
        ("POST", "/prep_stage", {"stage": "in_kitchen", "occurred_at": now()}, 409),
    ]
    for method, path, body, status in bad:
        assert (await deliveroo.call(method, f"{ORDER}/{order}{path}", body))[0] == status, body
    await deliveroo.patch(order, "accepted")
    await deliveroo.call("POST", f"{ORDER}/{order}/prep_stage", {"stage": "ready_for_collection", "occurred_at": now()})
    late: list[tuple[dict[str, Any], int]] = [
        ({"stage": "in_kitchen", "occurred_at": now()}, 409),
        ({"stage": "collected", "occurred_at": now(-61)}, 400),
        ({"stage": "collected", "occurred_at": now(6)}, 400),
        ({"stage": "collected", "occurred_at": now(), "delay": 2}, 400),
        ({"stage": "in_kitchen", "occurred_at": now(), "delay": 3}, 400),
    ]
    for body, status in late:
        assert (await deliveroo.call("POST", f"{ORDER}/{order}/prep_stage", body))[0] == status, body


async def test_five_status_calls_a_minute_and_one_sync_status_in_ten_seconds(deliveroo: Deliveroo) -> None:
    """The sixth call about one order is 429 without Retry-After, and another order is not; a second sync status waits, then conflicts."""
    order, other = await deliveroo.placed(), await deliveroo.placed()
    assert [(await deliveroo.patch(order, "accepted"))[0] for _ in range(5)] == [204, 409, 409, 409, 409]
    headers = {"Authorization": f"Bearer {deliveroo.client.token}"}
    url = f"{deliveroo.client.root}{ORDER}/{order}"
    async with deliveroo.client.http.patch(url, json={"status": "accepted"}, headers=headers) as answer:
        assert (answer.status, "Retry-After" in answer.headers) == (429, False)
        assert (await answer.json())["error"]["code"] == "too_many_requests"
    assert (await deliveroo.patch(other, "accepted"))[0] == 204
    sync, path = {"status": "succeeded", "occurred_at": now()}, f"{ORDER}/{order}/sync_status"
    assert [(await deliveroo.call("POST", path, sync))[0] for _ in range(2)] == [200, 429]
    await deliveroo.control("POST", "/deliveroo/settings", {"sync_status_gap_s": 0})
    assert (await deliveroo.call("POST", path, sync))[0] == 409


async def test_an_order_nobody_accepts_is_rejected_and_three_close_the_site(deliveroo: Deliveroo) -> None:
    """After the deadline the order is rejected and told so; the third in a quarter of an hour closes the site."""
    lost = [await deliveroo.placed(accept_deadline_s=0.1) for _ in range(3)]
    told = await deliveroo.events("order.status_update", 3)
    assert {each["order"]["status"] for each in told} == {"rejected"}
    assert (await deliveroo.patch(lost[0], "accepted"))[0] == 409
    status = f"{SITE}/{STORE}/status"
    assert (await deliveroo.call("GET", status))[1] == {"status": "CLOSED"}
    assert (await deliveroo.call("PUT", status, {"status": "OPEN"}))[0] == 200
    assert (await deliveroo.row(await deliveroo.placed()))["state"] == "placed"
    gulf = {"create": True, "currency": "KWD", "timezone": "Asia/Kuwait"}
    await deliveroo.control("POST", "/deliveroo/stores/kw-1", gulf)
    order = await deliveroo.placed(store="kw-1", items=[{"id": "pho"}], plain=True)
    row = await deliveroo.row(order)
    seconds = datetime.fromisoformat(row["deadline_at"]) - datetime.fromisoformat(row["history"][0]["at"])
    assert (order[:3], row["total"], row["currency"], round(seconds.total_seconds())) == ("kw:", 1163, "KWD", 420)


async def test_scheduled_orders_are_confirmed_and_consumers_cancel(deliveroo: Deliveroo) -> None:
    """A scheduled order is accepted, then confirmed; a cancellation is `canceled` and told."""
    order = await deliveroo.placed(scheduled_for=now(90))
    sent = (await deliveroo.events("order.new"))[0]["order"]
    assert (sent["asap"], sent["confirm_at"]) == (False, sent["start_preparing_at"])
    assert (await deliveroo.patch(order, "confirmed"))[0] == 409
    assert [(await deliveroo.patch(order, each))[0] for each in ("accepted", "confirmed")] == [204, 204]
    await deliveroo.control("POST", f"/deliveroo/orders/{order}/cancel", {})
    assert (await deliveroo.events("order.status_update", 3))[-1]["order"]["status"] == "canceled"


async def test_a_tablet_s_staff_accept_and_are_alerted(deliveroo: Deliveroo) -> None:
    """With a tablet an integration cannot accept, staff do; without a sync status in time they are alerted, and one too late is a 409."""
    await deliveroo.control("POST", f"/deliveroo/stores/{STORE}", {"tabletless": False})
    await deliveroo.control("POST", "/deliveroo/settings", {"sync_status_deadline_s": 0.3})
    order = await deliveroo.placed()
    assert (await deliveroo.patch(order, "accepted"))[0] == 400
    assert (await deliveroo.events("order.status_update"))[0]["order"]["status"] == "accepted"
    await asyncio.sleep(0.3)
    assert (await deliveroo.row(order))["staff_alerted"] is True
    assert (await deliveroo.call("POST", f"{ORDER}/{order}/sync_status", {"status": "succeeded", "occurred_at": now()}))[0] == 409


async def test_the_amounts_of_every_kind_of_order_add_up(deliveroo: Deliveroo) -> None:
    """Lines make the subtotal, less the offer the total; the other reading of an item's total holds its modifiers."""

    def lines(items: list[Any], times: int = 1) -> int:
        return sum(each["total_price"]["fractional"] * times + lines(each["modifiers"], times * each["quantity"]) for each in items)

    placed = {"store": STORE, "count": 150}
    await deliveroo.control("POST", "/deliveroo/orders", placed)
    seen: set[str] = set()
    for order in [each["order"] for each in await deliveroo.events("order.new", 150)]:
        cents = {name: each["fractional"] for name, each in order.items() if isinstance(each, dict) and "fractional" in each}
        assert lines(order["items"]) == cents["subtotal"]
        assert cents["total_price"] == cents["subtotal"] - cents["offer_discount"]
        assert sum(each["amount"]["fractional"] for each in order["promotions"]) == cents["offer_discount"]
        assert cents["total_price"] <= cents["partner_order_total"] <= cents["subtotal"]
        assert ("delivery" in order) is (order["fulfillment_type"] == "restaurant")
        assert cents["cash_due"] in {0, cents["total_price"]}
        seen |= {
            order["fulfillment_type"],
            *(name for name, amount in cents.items() if amount),
            *(each["type"] for each in order["fee_breakdown"]),
        }
        seen |= {"nested" for each in order["items"] for inner in each["modifiers"] if inner["modifiers"]}
        if cents["offer_discount"]:
            seen.add("partner funds" if cents["partner_order_total"] < cents["subtotal"] else "platform funds")
    kinds = {"deliveroo", "customer", "restaurant", "partner funds", "platform funds", "nested", "DEPOSIT_FEE"}
    assert seen >= kinds | {"bag_fee", "surcharge", "cash_due", "offer_discount"}
    await deliveroo.control("POST", "/deliveroo/settings", {"item_total_with_modifiers": 1})
    await deliveroo.placed(items=[{"id": "chips", "quantity": 2, "modifiers": [{"id": "harissa"}]}, {"id": "unknown"}], plain=True)
    first, second = (await deliveroo.events("order.new", 151))[-1]["order"]["items"]
    assert (first["unit_price"]["fractional"], first["total_price"]["fractional"]) == (433, 2 * (433 + 49))
    assert (first["pos_item_id"], second["pos_item_id"]) == ("PLU-chips", "unknown")


async def test_orders_are_listed_in_pages(deliveroo: Deliveroo) -> None:
    """Pages hold fifty, oldest first; ended orders are left out of the live ones; dates and cursors are checked."""
    path = f"/deliveroo/order/v2/brand/{BRAND}/restaurant/{STORE}/orders"
    orders = (await deliveroo.control("POST", "/deliveroo/orders", {"store": STORE, "count": 70}))["orders"]
    await deliveroo.patch(orders[2], "rejected", reject_reason="busy")
    found, cursor = [], ""
    while cursor is not None:
        _, body = await deliveroo.call("GET", f"{path}?live_orders=true&cursor={cursor}")
        found, cursor = found + [each["id"] for each in body["orders"]], body["next"]
    assert found == orders[:2] + orders[3:]
    assert (await deliveroo.call("GET", f"{path}?start_date=2100-01-01T00:00:00Z"))[1] == {"orders": [], "next": None}
    assert [(await deliveroo.call("GET", f"{path}?{query}"))[0] for query in ("start_date=x", "cursor=x", "live_orders=x")] == [400] * 3


async def test_a_menu_is_live_when_its_webhook_says_so(deliveroo: Deliveroo) -> None:
    """Processing comes later; the same menu again matches and tells nothing; another one within a minute is 429."""
    assert (await deliveroo.call("GET", MENU))[0] == 404
    assert (await deliveroo.call("PUT", OFF, {"unavailable_ids": [], "hidden_ids": []}))[0] == 404
    result = await deliveroo.upload(menu())
    assert result == {"http_status": 200, "brand_id": BRAND, "menu_id": "main", "site_ids": [STORE], "errors": None}
    assert (await deliveroo.call("GET", MENU))[1] == menu()
    assert await deliveroo.call("PUT", MENU, menu()) == (200, {"result": "MATCH_EXISTING_MENU"})
    assert (await deliveroo.call("PUT", MENU, menu(categories=[])))[0] == 429
    order = await deliveroo.row(await deliveroo.placed())
    assert {item["id"] for item in order["items"]} <= {"tea", "cake"}
    await deliveroo.control("POST", "/deliveroo/menu", {"store": STORE, "edits": [{"op": "price", "id": "tea", "amount": 260}]})
    assert (await deliveroo.call("GET", MENU))[1]["menu"]["items"][0]["price_info"]["price"] == 260
    assert [each["pushed"] for each in (await deliveroo.client.state("deliveroo"))["menus"]] == [True, False]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("items", 0, "price_info"), {"price": 2.5}),
        (("items", 0, "price_info"), {"price": 250, "overrides": [{"type": "MODIFIER", "id": "nothing", "price": 1}]}),
        (("items", 0, "tax_rate"), 20),
        (("items", 0, "type"), "DISH"),
        (("items", 0, "name"), "Tea"),
        (("items", 0, "name"), {"en": "T"}),
        (("items", 0, "modifier_ids"), ["nothing"]),
        (("items", 0, "image"), {"url": "tea.jpg"}),
        (("items", 1, "id"), "tea"),
        (("items", 2, "modifier_ids"), ["milk"]),
        (("modifiers", 0, "item_ids"), ["cake"]),
        (("modifiers", 0, "min_selection"), 3),
        (("modifiers", 0, "repeatable"), None),
        (("categories", 0, "item_ids"), ["oat"]),
        (("categories", 0, "name"), {"en": "Al"}),
        (("mealtimes", 0, "schedule", 0, "day_of_week"), 7),
        (("mealtimes", 0, "schedule", 0, "time_periods"), [{"start": "10:00", "end": "24:00"}]),
        (("mealtimes",), []),
        (("currency_code",), "EUR"),
    ],
)
async def test_a_menu_that_processing_refuses_stays_out(deliveroo: Deliveroo, path: tuple[str | int, ...], value: Any) -> None:
    """Its webhook says 400 and why, and the old menu stays."""
    body = menu()
    place: Any = body["menu"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    result = await deliveroo.upload(body)
    assert (result["http_status"], bool(result["errors"]["processing"])) == (400, True)
    assert bool(result["errors"]["images"]) is ("image" in path)
    assert (await deliveroo.client.state("deliveroo"))["menus"][0]["pushed"] is False


async def test_large_menus_go_through_a_file_and_a_job(deliveroo: Deliveroo) -> None:
    """The address takes one PUT without Authorization for some seconds; a job publishes it; the menu is read back by its address."""
    _, draft = await deliveroo.call("PUT", f"{THIRD}/menus/big")
    content, http, root = {"site_ids": [OTHER], "menu": menu()["menu"]}, deliveroo.client.http, deliveroo.client.root
    publish = {"action": "publish_menu_to_live", "params": {"menu_id": "big", "version": draft["version"]}}
    assert (await deliveroo.call("POST", f"{THIRD}/jobs", publish))[0] == 400
    async with http.put(draft["upload_url"], json=content, headers={"Authorization": "Bearer x"}) as answer:
        assert (answer.status, answer.content_type) == (400, "application/xml")
    async with http.put(draft["upload_url"], json=content) as answer:
        assert answer.status == 200
    _, job = await deliveroo.call("POST", f"{THIRD}/jobs", publish)
    assert (await deliveroo.call("GET", f"{THIRD}/jobs/{job['job_id']}"))[1]["status"] == "in_progress"
    assert (await deliveroo.events("menu.upload_result"))[0]["menu_upload_result"]["site_ids"] == [OTHER]
    assert (await deliveroo.call("GET", f"{THIRD}/jobs/{job['job_id']}"))[1]["status"] == "success"
    async with http.get((await deliveroo.call("GET", f"{THIRD}/menus/big"))[1]["download_url"]) as answer:
        assert await answer.json() == content
    await deliveroo.control("POST", "/deliveroo/settings", {"upload_url_s": 0})
    late = (await deliveroo.call("PUT", f"{THIRD}/menus/big"))[1]["upload_url"]
    async with http.put(late, json=content) as answer:
        assert (answer.status, late.startswith(root)) == (403, True)


async def test_items_are_taken_off_sale_one_by_one_or_all_at_once(deliveroo: Deliveroo) -> None:
    """A POST with an unknown id changes nothing, a PUT replaces everything and ignores it; a new day puts back what is not hidden."""
    await deliveroo.upload(menu())
    wanted = [{"item_id": "tea", "status": "unavailable"}, {"item_id": "oat", "status": "hidden"}]
    unknown = [*wanted, {"item_id": "nothing", "status": "hidden"}]
    assert (await deliveroo.call("POST", OFF, {"item_unavailabilities": unknown}))[0] == 404
    assert (await deliveroo.call("POST", OFF, {"item_unavailabilities": wanted}))[0] == 429
    assert (await deliveroo.call("GET", OFF))[1] == {"unavailable_ids": None, "hidden_ids": None}
    await asyncio.sleep(0.1)
    assert (await deliveroo.call("POST", OFF_V2, {"item_unavailabilities": wanted}))[0] == 204
    assert (await deliveroo.call("GET", OFF))[1] == {"unavailable_ids": ["tea"], "hidden_ids": ["oat"]}
    assert {item["id"] for item in (await deliveroo.row(await deliveroo.placed()))["items"]} == {"cake"}
    await deliveroo.control("POST", f"/deliveroo/stores/{STORE}", {"new_day": True})
    assert (await deliveroo.call("GET", OFF_V2))[1] == {"unavailable_ids": None, "hidden_ids": ["oat"]}
    replaced = {"unavailable_ids": ["cake", "nothing"], "hidden_ids": []}
    assert [(await deliveroo.call("PUT", OFF, replaced))[0] for _ in range(2)] == [204, 429]
    await deliveroo.control("POST", "/deliveroo/stock", {"item": "tea", "available": False})
    state = await deliveroo.client.state("deliveroo")
    assert [(each["item"], each["status"]) for each in state["stock"]] == [("cake", "unavailable"), ("tea", "unavailable")]


async def test_sites_open_within_their_hours(deliveroo: Deliveroo) -> None:
    """A closed site takes no orders; opening outside hours or on vacation is a 400 that says why; modes, brands and routing are read."""
    status = f"{SITE}/{STORE}/status"
    assert (await deliveroo.call("PUT", status, {"status": "CLOSED"}))[0] == 200
    async with deliveroo.client.http.post(f"{deliveroo.client.root}/_control/deliveroo/orders", json={"store": STORE}) as answer:
        assert answer.status == 409
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    hours: dict[str, Any] = {"opening_hours": {day: [] for day in days}}
    assert await deliveroo.call("POST", f"{SITE}/{STORE}/opening_hours", hours) == (200, hours)
    answer = await deliveroo.call("PUT", status, {"status": "OPEN"})
    assert answer == (400, {"error": {"code": "bad_request", "message": "Unable to open restaurant, reason: OPENING_HOURS"}})
    await deliveroo.control("POST", f"/deliveroo/stores/{OTHER}", {"blocked": "VACATION_MODE"})
    assert "VACATION_MODE" in (await deliveroo.call("PUT", f"{SITE}/{OTHER}/status", {"status": "OPEN"}))[1]["error"]["message"]
    assert (await deliveroo.call("PUT", f"{SITE}/{STORE}/workload/mode", {"mode": "BUSY"}))[0] == 200
    assert (await deliveroo.call("PUT", f"{SITE}/{STORE}/workload/mode", {"mode": "HECTIC"}))[0] == 400
    assert await deliveroo.call("GET", f"{SITE}/{STORE}/workload/mode") == (200, {"mode": "BUSY"})
    late = {"opening_hours": {"monday": [{"local_start_time": "10:00", "local_end_time": "24:00"}]}}
    assert (await deliveroo.call("POST", f"{SITE}/{STORE}/opening_hours", late))[0] == 400
    times = f"{SITE}/{STORE}/workload/times"
    assert [(await deliveroo.call("PUT", times, {"quiet": 12, "busy": busy}))[0] for busy in (22, 12, 20)] == [200, 400, 400]
    assert await deliveroo.call("GET", times) == (200, {"busy": 22, "quiet": 12})
    brands = (await deliveroo.call("GET", "/deliveroo/site/v1/brands"))[1]["brands"]
    assert [(each["id"], each["market"]) for each in brands] == [(BRAND, "gb")]
    assert (await deliveroo.call("GET", f"/deliveroo/site/v1/restaurant_locations/{STORE}"))[1]["brand_id"] == [BRAND]
    config = f"/deliveroo/order/v1/integrator/brands/{BRAND}/sites-config"
    row = {"location_id": OTHER, "orders_api_webhook_type": "POS", "name": "Old Mill Café"}
    assert row in (await deliveroo.call("PUT", config, {"sites": [row]}))[1]["sites"]
    await deliveroo.placed(store=OTHER)
    await deliveroo.control("POST", f"/deliveroo/stores/{STORE}", {"status": "open"})
    order = await deliveroo.placed()
    assert [each["order"]["id"] for each in await deliveroo.events("order.new")] == [order]


async def test_duplicated_events_share_their_guid_and_reset_starts_over(deliveroo: Deliveroo) -> None:
    """A duplicate is the same bytes under the same GUID; a reset forgets orders and keeps token and address."""
    await deliveroo.control("POST", "/deliveroo/faults", {"duplicate_webhooks": 1, "reorder_webhooks": 1})
    await deliveroo.placed()
    got = await deliveroo.client.hooks.wait(2)
    assert got[0][1] == got[1][1]
    assert got[0][0]["x-deliveroo-sequence-guid"] == got[1][0]["x-deliveroo-sequence-guid"]
    await deliveroo.control("POST", "/deliveroo/reset")
    state = await deliveroo.client.state("deliveroo")
    assert (state["orders"], len(state["webhooks"]["to"])) == ([], 1)
    assert (await deliveroo.call("GET", "/deliveroo/site/v1/brands"))[0] == 200
