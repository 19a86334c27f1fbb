"""Uber Eats' decisions, reads and error names over a faked HTTP seam."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs

import pytest

from adapters.ubereats import PROVIDER
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
    Repeat,
    Token,
)
from hub.model import OrderState
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
