"""Uber Eats' decisions, reads and error names over a faked HTTP seam."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs

import pytest

from adapters.ubereats import PROVIDER
from adapters.ubereats.access import AppToken
from adapters.ubereats.adapter import UberEats
from hub.contract import (
    AlreadyDone,
    AuthRevoked,
    Connected,
    DecisionTask,
    Done,
    Drifted,
    Misconfigured,
    NotFound,
    PlatformOrder,
    Rejected,
    Repeat,
    Token,
)
from hub.model import OrderState, StockLevel, StoreChange, StoreStatus
from tests.unit.adapters.baskets import SAMPLE, sample
from tests.unit.adapters.sales import FakeHttp, answered

ORDER = SAMPLE["order"]["id"]
READY = datetime(2026, 1, 10, 18, 15, tzinfo=UTC)


def uber(*answers: Any) -> tuple[UberEats, FakeHttp]:
    """An adapter and its HTTP."""
    http = FakeHttp(*answers)
    return UberEats(PROVIDER.facts, Connected("con", "simulator"), http), http


def task(**more: Any) -> DecisionTask:
    """A decision about an order."""
    return DecisionTask("ord_1", ORDER, "store-1", **more)


async def test_an_order_is_fetched_with_all_its_parts() -> None:
    """By the order suite whatever the notice links to, and never at the notice's host."""
    notice = b'{"resource_href":"https://evil.example.com/v1/delivery/order/x"}'
    adapter, http = uber(SAMPLE)
    fetched = await adapter.fetch_order(ORDER, notice)
    (request,) = http.requests
    assert (request.method, request.path, request.base) == ("GET", f"/v1/delivery/order/{ORDER}", "api")
    assert request.query == {"expand": "carts,deliveries,payment"}
    assert (fetched.state, fetched.order.platform_order_id) == (OrderState.RECEIVED, ORDER)


async def test_another_orders_answer_is_drift() -> None:
    """An answer about something else is never taken for the order."""
    with pytest.raises(Drifted, match="asked for order 42"):
        await uber(SAMPLE)[0].fetch_order("42", b"")


async def test_a_legacy_store_is_told_to_change_its_setting() -> None:
    """A notice of the old API whose order the suite does not know; any other missing order stays missing."""
    legacy = b'{"resource_href":"https://api.uber.com/v2/eats/order/1"}'
    with pytest.raises(Misconfigured, match=r"webhooks_version 1\.0\.0"):
        await uber(NotFound("no"))[0].fetch_order("1", legacy)
    with pytest.raises(NotFound):
        await uber(NotFound("no"))[0].fetch_order("1", b"")


async def test_open_orders_are_read_page_by_page() -> None:
    """Until no page follows; a page that names itself is drift."""
    row = {"id": "1", "state": "OFFERED", "created_time": "2026-01-10T18:00:00Z"}
    last = {"id": "2", "state": "ACCEPTED", "preparation_status": "READY_FOR_HANDOFF"}
    adapter, http = uber({"data": [row], "pagination_data": {"next_page_token": "n"}}, {"data": [last], "pagination_data": {}})
    assert await adapter.open_orders("store-1") == [
        PlatformOrder("1", OrderState.RECEIVED, READY - timedelta(minutes=15)),
        PlatformOrder("2", OrderState.READY, None),
    ]
    assert [r.path for r in http.requests] == ["/v1/delivery/store/store-1/orders"] * 2
    assert [r.query.get("next_page_token") for r in http.requests] == [None, "n"]
    same = {"data": [], "pagination_data": {"next_page_token": "n"}}
    with pytest.raises(Drifted):
        await uber(same, same)[0].open_orders("store-1")


async def test_stores_and_the_connections_test() -> None:
    """Every page of stores, under either name of their id."""
    first = {"data": [{"id": "a", "name": "A", "timezone": "UTC"}], "pagination_data": {"next_page_token": "n"}}
    adapter, _ = uber(first, {"data": [{"store_id": "b"}]})
    assert [store.ref for store in await adapter.list_stores()] == ["a", "b"]
    assert await uber({"data": []})[0].test() == "0 stores visible"


@pytest.mark.parametrize(
    ("name", "verb", "more", "body"),
    [
        (
            "accept_step",
            "accept",
            {"ready_at": READY},
            {"external_reference_id": "ord_1", "accepted_by": "integration-hub", "ready_for_pickup_time": "2026-01-10T18:15:00Z"},
        ),
        ("accept_step", "accept", {}, {"external_reference_id": "ord_1", "accepted_by": "integration-hub"}),
        ("reject_step", "deny", {"reason": "too_busy"}, {"deny_reason": {"info": "too_busy", "type": "RESTAURANT_TOO_BUSY"}}),
        (
            "reject_step",
            "deny",
            {"reason": "item_unavailable", "detail": "no bread"},
            {"deny_reason": {"info": "no bread", "type": "ITEM_ISSUE"}},
        ),
        ("reject_step", "deny", {"reason": "unheard_of"}, {"deny_reason": {"info": "unheard_of", "type": "OTHER"}}),
        ("ready_step", "ready", {}, {}),
        ("cancel_step", "cancel", {"reason": "store_closed"}, {"cancellation_reason": {"type": "STORE_CLOSED", "info": "store_closed"}}),
    ],
)
def test_decisions(name: str, verb: str, more: dict[str, Any], body: dict[str, Any]) -> None:
    """Each is one call that sets a state, with Uber's word for the reason."""
    step = getattr(uber()[0], name)(task(**more))
    assert (step.name, step.repeat) == (verb, Repeat.NATURAL)
    assert (step.request.method, step.request.path) == ("POST", f"/v1/delivery/order/{ORDER}/{verb}")
    assert json.loads(step.request.body) == body


def test_a_ready_time_keeps_its_moment() -> None:
    """A time of another zone is the same instant on the wire."""
    local = READY.astimezone(timezone(timedelta(hours=3)))
    told = json.loads(uber()[0].accept_step(task(ready_at=local)).request.body)["ready_for_pickup_time"]
    assert datetime.fromisoformat(told.replace("Z", "+00:00")) == READY


def test_every_reject_reason_has_ubers_word() -> None:
    """The hub's reasons are all translated, for refusing and for cancelling."""
    wanted = {"store_closed", "item_unavailable", "too_busy", "pos_offline", "other"}
    assert set(PROVIDER.facts.reject_reasons) == wanted
    assert set(PROVIDER.facts.cancel_reasons) == wanted


def test_the_answer_to_a_decision_needs_no_body() -> None:
    """Empty is fine, JSON is fine, a web page is drift."""
    adapter = uber()[0]
    assert adapter.read_step("accept", answered(204, b"")) == Done()
    assert adapter.read_step("ready", answered(200, {})) == Done()
    with pytest.raises(Drifted):
        adapter.read_step("accept", answered(200, b"<html>"))


@pytest.mark.parametrize("operation", ["accept", "deny", "ready", "cancel"])
def test_a_settled_order_is_settled(operation: str) -> None:
    """409 on a decision is success before; on anything else it is not."""
    found = uber()[0].failure(operation, answered(409, {"code": "conflict", "message": "already"}))
    assert isinstance(found, AlreadyDone)
    assert (found.code, found.detail) == ("conflict", "conflict already")
    assert uber()[0].failure("push_menu", answered(409, {})) is None


@pytest.mark.parametrize(
    ("operation", "status", "body", "error"),
    [
        ("accept", 403, {"code": "user_not_allowed"}, Misconfigured),
        ("token", 401, {"error": "invalid_client"}, AuthRevoked),
        ("token", 400, {"error": "invalid_scope"}, AuthRevoked),
        ("accept", 401, {"code": "unauthorized"}, type(None)),
        ("accept", 429, b"", type(None)),
        ("accept", 500, b"<html>", type(None)),
        ("accept", 200, b"", type(None)),
    ],
)
def test_errors_are_named_by_what_happens_next(operation: str, status: int, body: Any, error: type) -> None:
    """What differs from the shared table; the rest is left to it."""
    assert type(uber()[0].failure(operation, answered(status, body))) is error


def test_the_token_is_the_apps() -> None:
    """Client credentials, form-encoded, at the auth host; expires_in as number or as text."""
    auth = PROVIDER.auth(PROVIDER.facts)
    assert auth.owner == "app"
    assert auth.first_token({"client_id": "c", "client_secret": "s"}) is None
    request = auth.token_request({"client_id": "c", "client_secret": "s&"}, None)
    assert request is not None
    assert (request.base, request.path) == ("auth", "/oauth/v2/token")
    form = parse_qs(request.body.decode())
    assert (form["grant_type"], form["client_secret"]) == (["client_credentials"], ["s&"])
    assert form["scope"] == ["eats.store eats.order eats.store.orders.read eats.store.status.write"]
    for seconds in (2592000, "2592000"):
        token = auth.read_token(answered(200, {"access_token": "t", "expires_in": seconds}), READY, None)
        assert token == Token("t", READY + timedelta(days=30))
    assert auth.authorize(request, Token("t")) == {"Authorization": "Bearer t"}
    with pytest.raises(Drifted):
        auth.read_token(answered(200, {"token": "t"}), READY, None)


def test_hosts() -> None:
    """Production at Uber's two hosts, the simulator below one address."""
    production, simulator = PROVIDER.facts.environments["production"], PROVIDER.facts.environments["simulator"]
    assert (production.base("api"), production.base("auth")) == ("https://api.uber.com", "https://auth.uber.com")
    assert (simulator.base("api"), simulator.base("auth")) == ("{sandbox}/ubereats", "{sandbox}/ubereats")


async def test_an_accepted_order_reads_as_accepted() -> None:
    """The state beside the order is Uber's."""
    assert (await uber(sample(state="ACCEPTED"))[0].fetch_order(ORDER, b"")).state is OrderState.ACCEPTED


async def test_an_item_goes_off_sale_until_a_time_or_for_good_and_comes_back() -> None:
    """One item a call, under its id at Uber with every sign in place."""
    until = datetime(2026, 1, 11, 6, tzinfo=UTC)
    cases = ((False, until, int(until.timestamp())), (False, None, 8640000000), (True, None, 0))
    for available, end, wanted in cases:
        step = await uber()[0].availability_step("s 1", [StockLevel("a/b", available, until=end)])
        assert step.request.path == "/v2/eats/stores/s%201/menus/items/a%252Fb"
        assert json.loads(step.request.body)["suspension_info"]["suspension"]["suspend_until"] == wanted
    with pytest.raises(Rejected):
        await uber()[0].availability_step("s", [StockLevel("a", True), StockLevel("b", True)])


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({"status": "ONLINE"}, StoreStatus("open", prep_seconds=600)),
        ({"status": "OFFLINE", "offline_reason": "OUT_OF_MENU_HOURS"}, StoreStatus("closed", None, "OUT_OF_MENU_HOURS", 600)),
        ({"status": "OFFLINE", "offlineReason": "PAUSED_BY_RESTAURANT"}, StoreStatus("paused", None, "PAUSED_BY_RESTAURANT", 600)),
        ({"status": "OFFLINE", "is_offline_until": "2026-01-10T18:15:00Z"}, StoreStatus("paused", READY, "", 600)),
        ({"status": "ASLEEP"}, StoreStatus("unknown", None, "ASLEEP", 600)),
    ],
)
async def test_a_store_is_read_as_it_stands(told: dict[str, Any], wanted: StoreStatus) -> None:
    """Status, end, reason in both spellings, and how long food takes."""
    found = await uber(told, {"prep_times": {"default_value": 600}})[0].store_status("s")
    assert found == wanted


@pytest.mark.parametrize(
    ("change", "path", "body"),
    [
        (StoreChange("open"), "update-store-status", {"status": "ONLINE"}),
        (
            StoreChange("pause", until=READY, reason="oven"),
            "update-store-status",
            {"status": "OFFLINE", "is_offline_until": "2026-01-10T18:15:00Z", "reason": "oven"},
        ),
        (StoreChange("prep_time", prep_seconds=900), "update-store-prep-time", {"default_prep_time": 900}),
    ],
)
async def test_a_store_is_changed(change: StoreChange, path: str, body: dict[str, Any]) -> None:
    """Opened, paused until a time, or given another preparation time."""
    request = (await uber()[0].store_step("s", change)).request
    assert (request.path, json.loads(request.body)) == (f"/v1/delivery/store/s/{path}", body)


@pytest.mark.parametrize(
    "change", [StoreChange("busy"), StoreChange("hours"), StoreChange("prep_time"), StoreChange("prep_time", prep_seconds=10_801)]
)
async def test_what_uber_does_not_take_is_refused_with_what_it_takes(change: StoreChange) -> None:
    """Before anything is sent."""
    with pytest.raises(Rejected, match="takes"):
        await uber()[0].store_step("s", change)


def test_a_delay_names_the_new_time() -> None:
    """Without one there is nothing to tell."""
    step = uber()[0].delay_step(task(ready_at=READY))
    assert step is not None
    assert step.request.path == f"/v1/delivery/order/{ORDER}/update-ready-time"
    assert json.loads(step.request.body) == {"ready_for_pickup_time": "2026-01-10T18:15:00Z"}
    assert uber()[0].delay_step(task()) is None


@pytest.mark.parametrize("at", [1768068900, 1768068900000])
def test_a_courier_is_seen_at_the_time_of_the_notice(at: int) -> None:
    """In seconds or milliseconds; a step that is no courier's tells nothing."""
    notice = {"event_type": "delivery.state_changed", "event_id": "e", "event_time": at, "meta": {"resource_id": "o-1"}}
    (seen,) = uber()[0].couriers(json.dumps({**notice, "current_state": "ARRIVED_AT_PICKUP"}).encode())
    assert (seen.platform_order_id, seen.state, seen.at) == ("o-1", "arrived", READY)
    assert uber()[0].couriers(json.dumps({**notice, "current_state": "SCHEDULED"}).encode()) == []


def test_a_missing_scope_is_the_operators_to_mend() -> None:
    """It does not revoke the connection's access."""
    found = uber()[0].failure("list_promotions", answered(401, {"code": "unauthorized", "message": "This call needs the scope x."}))
    assert isinstance(found, Misconfigured)
    assert uber()[0].failure("list_promotions", answered(401, {"code": "unauthorized"})) is None


@pytest.mark.parametrize(("more", "scopes"), [("", "eats.order"), (" a b ", "eats.order a b")])
def test_further_scopes_are_asked_for(more: str, scopes: str) -> None:
    """Those of the app beside the usual ones."""
    request = AppToken("/token", "eats.order", owner="app").token_request(
        {"client_id": "i", "client_secret": "s", "more_scopes": more}, None
    )
    assert request is not None
    assert parse_qs(request.body.decode())["scope"] == [scopes]
