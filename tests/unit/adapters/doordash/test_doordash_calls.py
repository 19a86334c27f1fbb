"""DoorDash's calls and answers: who called, what it means, what each refusal means, and the tokens we sign."""

import base64
import json
import time
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest

from adapters.doordash import PROVIDER
from adapters.doordash.access import claims, secret
from adapters.doordash.adapter import DoorDash
from adapters.doordash.errors import failure
from adapters.doordash.models import Deactivation, StoreDetails
from adapters.doordash.stores import status_from
from adapters.doordash.webhooks import DoorDashIngress, DoorDashMenus
from hub.contract import (
    AlreadyDone,
    Connected,
    Drifted,
    IngressRequest,
    Malformed,
    Misconfigured,
    NotFound,
    RateLimited,
    Rejected,
    Response,
    RetryLater,
)
from hub.model import Category, Item, Menu, Money, OrderState

INGRESS, MENUS = DoorDashIngress(), DoorDashMenus()
STORE = {"merchant_supplied_id": "s-1", "provider_type": "papa_pizza"}
ORDER = {"event": {"type": "OrderCreate", "status": "NEW"}, "order": {"id": "o-1", "store": STORE}}
CANCEL = {"external_order_id": "o-1", "client_order_id": "ord_1", "store": STORE, "is_asap": True}
RELEASE = {**CANCEL, "dasher": {"latitude": 40.0293899, "longitude": -75.099853}, "distance_from_store": 460.2}
DASHER = {
    "event": {"type": "dasher_status_update", "status": "SUCCESS", "reference": "r"},
    "created_at": "2026-06-02T17:41:29.996321Z",
    "delivery": {"external_order_id": "o-1", "location_id": "s-1", "dasher_status": "dasher_out_for_delivery"},
}
MENU = {
    "event": {"type": "MenuCreate", "status": "Success", "reference": "ref"},
    "store": {"merchant_supplied_id": "s-1"},
    "menu": {"id": "m"},
}
CLOSED = {
    "store": {"doordash_store_id": 1, "merchant_supplied_id": "s-1"},
    "event": {"type": "Store Temporarily Deactivated"},
    "reason_id": 22,
}
ADJUSTED = {"event": {"type": "OrderAdjustment", "status": "SUCCESS"}, "order": {"id": "o-1", "store": STORE}}


def call(body: Any = b"", suffix: str = "", method: str = "POST", header: str = "", **query: str) -> IngressRequest:
    """A call as it comes."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return IngressRequest(method, suffix, query, {"authorization": header} if header else {}, raw, "https://hub.example/webhooks/doordash")


@pytest.mark.parametrize(
    ("header", "secrets", "good"),
    [
        ("s3cret", ["s3cret"], True),
        ("Bearer s3cret", ["old", "s3cret"], True),
        ("Basic s3cret", ["s3cret"], False),
        ("s3cre", ["s3cret"], False),
        ("", ["", "s3cret"], False),
        ("Bearer ", [""], False),
        ("s3cret", [], False),
    ],
)
def test_the_secret_is_the_header_or_its_bearer(header: str, secrets: list[str], good: bool) -> None:
    """Nothing else is a signature; an empty secret matches nothing."""
    assert INGRESS.signed(call(header=header), secrets) is good


@pytest.mark.parametrize(
    ("suffix", "body", "facts", "status"),
    [
        ("orders", ORDER, [("order.placed", "order/o-1", "order/o-1/placed")], 202),
        ("order_canceled", CANCEL, [("order.cancelled", "order/o-1", "order/o-1/cancelled")], 200),
        ("order_release", RELEASE, [("courier.moved", "order/o-1", "order/o-1/courier/release")], 200),
        (
            "dasher_status",
            DASHER,
            [
                ("courier.moved", "order/o-1", "order/o-1/courier/dasher_out_for_delivery/2026-06-02T17:41:29.996321Z"),
                ("order.changed", "order/o-1", "order/o-1/changed/picked_up"),
            ],
            200,
        ),
        ("menu_status", MENU, [("menu.job", "menu/s-1", None)], 200),
        ("store_deactivated", CLOSED, [("store.changed", "store/s-1", None)], 200),
        ("order_adjustment", ADJUSTED, [("order.changed", "order/o-1", None)], 200),
    ],
)
def test_calls_are_told_by_address_and_else_by_shape(suffix: str, body: Any, facts: list[Any], status: int) -> None:
    """The same facts either way; an order is answered 202 and nothing else is."""
    for address in (suffix, f"/{suffix}/", ""):
        found = INGRESS.facts(call(body, address))
        assert [(f.kind, f.subject) for f in found] == [(kind, subject) for kind, subject, _ in facts]
        assert all(key is None or f.dedupe_key == key for f, (_, _, key) in zip(found, facts, strict=True))
        assert {f.store_ref for f in found} == {"s-1"}
        assert INGRESS.stored(found).status == status
        assert INGRESS.stored(found).body == b""


def test_the_address_decides_over_the_type() -> None:
    """Types contradict each other: a cancellation that calls itself something else is one."""
    (fact,) = INGRESS.facts(call({**CANCEL, "event": {"type": "OrderAdjust"}}, "order_canceled"))
    assert fact.kind == "order.cancelled"


def test_no_answer_means_accepted() -> None:
    """What nobody is sure of is answered 202, and no refusal is a 2xx."""
    assert INGRESS.stored(()).status == 202
    unknown = INGRESS.facts(call({"event": {"type": "news"}}, "onboarding"))
    assert (unknown[0].kind, INGRESS.stored(unknown).status) == ("noted", 202)
    strange = INGRESS.facts(call({**DASHER, "delivery": {**DASHER["delivery"], "dasher_status": "waving"}}, "dasher_status"))  # type: ignore[dict-item]
    assert [fact.kind for fact in strange] == ["noted"]
    reasons = ("unknown_store", "bad_signature", "malformed", "not_stored")
    assert [INGRESS.refused(reason).status for reason in reasons] == [404, 401, 400, 503]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("suffix", "body"),
    [
        ("orders", b"{"),
        ("orders", CANCEL),
        ("order_canceled", {"store": STORE}),
        ("menu_status", {"event": {}}),
        ("store_deactivated", {}),
        ("", b"[]"),
    ],
)
def test_what_cannot_be_read_is_malformed(suffix: str, body: Any) -> None:
    """Named, and kept by the hub."""
    with pytest.raises(Malformed):
        INGRESS.facts(call(body, suffix))


def adapter() -> DoorDash:
    """An adapter that sends nothing."""
    return DoorDash(PROVIDER.facts, Connected("con_x", "simulator", details={"provider_type": "papa_pizza"}), None)  # type: ignore[arg-type]


def test_notices_tell_states_and_couriers() -> None:
    """A release moves the courier and cooks nothing."""

    def state(body: Any) -> OrderState | None:
        return adapter().notice_state(json.dumps(body).encode())

    assert [state(each) for each in (CANCEL, DASHER, RELEASE, ADJUSTED)] == [OrderState.CANCELLED, OrderState.PICKED_UP, None, None]
    (near,) = adapter().couriers(json.dumps(RELEASE).encode())
    assert (near.state, near.latitude, near.longitude) == ("near", "40.0293899", "-75.099853")
    assert adapter().couriers(json.dumps(CANCEL).encode()) == []
    with pytest.raises(Drifted):
        adapter().couriers(b"[]")


def test_jobs_end_in_one_of_four_ways() -> None:
    """Spellings differ; a failure that names a menu failed on its hours only."""

    def outcome(event: dict[str, Any], **more: Any) -> tuple[str, str]:
        body = {"event": {"type": "MenuUpdate", "reference": "ref", **event}, "store": {"merchant_supplied_id": "s-1"}, **more}
        (result,) = adapter().job_results(json.dumps(body).encode())
        assert (result.store_ref, result.job) == ("s-1", "ref")
        return result.outcome, result.detail

    assert outcome({"status": "Success"}) == ("done", "")
    assert outcome({"status": "FAILURE", "details": "bad hours"}, menu={"id": "m"}) == ("partial", "bad hours")
    assert outcome({"status": "FAILURE", "details": {"code": 1}}) == ("failed", '{"code": 1}')
    assert outcome({"status": "PENDING"}) == ("running", "PENDING")


def test_a_pull_is_answered_with_one_menu() -> None:
    """As an update where one id is asked for; without the provider type in the address nothing is handed out."""
    menu = Menu("USD", (Category("c", "Main", ("i",)),), (Item("i", "Tea", Money(300, "USD")),))
    asked = call(suffix="menu_request/papa_pizza/s-1", method="GET", ids="m-1")
    assert MENUS.wanted(asked) == "s-1"
    body = json.loads(MENUS.document("s-1", menu, asked).body)
    assert (body["store"], [each["id"] for each in body["menus"]]) == ({**STORE}, ["m-1"])
    assert body["menus"][0]["reference"].startswith("pull-")
    several = call(suffix="menu_request/papa_pizza/s-1", method="GET", ids="m-1,m-2")
    assert "id" not in json.loads(MENUS.document("s-1", menu, several).body)["menus"][0]
    bare = call(suffix="menu_request/s-1", method="GET")
    assert (MENUS.wanted(bare), MENUS.document("s-1", menu, bare).status) == ("s-1", 404)
    assert MENUS.wanted(call(ORDER, "menu_request/papa_pizza/s-1")) is None
    assert MENUS.wanted(call(suffix="orders", method="GET")) is None


JOB = b"INVALID_ARGUMENT::INVALID_ARGUMENT: Already have a job IN_PROGRESS"
MIXED = b'[{"merchant_supplied_id":"taco","response":"Success"},{"merchant_supplied_id":"soup","response":"%s"}]'


@pytest.mark.parametrize(
    ("operation", "status", "body", "kind"),
    [
        ("accept", 400, b"Order has already been processed", AlreadyDone),
        ("reject", 400, b'{"message":"Order has already been processed"}', AlreadyDone),
        ("accept", 400, b"Order has already been processed or order has expired", AlreadyDone),
        ("accept", 400, b"Order has expired", Rejected),
        ("accept", 400, b"merchant_supplied_id is required", None),
        ("ready", 400, b"Order has expired", None),
        ("cancel", 400, b"Order has already been cancelled", AlreadyDone),
        ("cancel", 400, b"Order is not confirmed or has already been cancelled", None),
        ("cancel", 403, b"", Misconfigured),
        ("accept", 403, b"", None),
        ("remove_line", 404, b"no line item x in order y", AlreadyDone),
        ("remove_line", 404, b"Order, item, or option with provided ID does not exist", None),
        ("remove_line", 404, b"Order with provided ID does not exist", None),
        ("adjust_lines", 404, b"no line item x in order y", None),
        ("push_menu", 200, JOB, RetryLater),
        ("push_menu", 400, JOB, RetryLater),
        ("push_menu", 200, b"INVALID_ARGUMENT: something", Rejected),
        ("push_menu", 200, b'{"reference":"r","status":"IN_PROGRESS"}', None),
        ("push_menu", 400, b"INVALID_ARGUMENT: Store does not exist for the menu", NotFound),
        ("push_menu", 400, b"INVALID_ARGUMENT: Store under active onboarding and not ready to receive menu push", Misconfigured),
        ("push_menu", 400, b"Invalid menu payload: [x]", None),
        ("push_menu", 500, b"oops", None),
        ("items_status", 400, MIXED % b"Not Found", Rejected),
        ("options_status", 400, MIXED % b"Server Error", RetryLater),
        ("items_status", 400, b"{}", None),
        ("items_status", 404, b"", None),
        ("set_store", 400, b"no active menu", None),
        ("report_link", 401, b"", None),
        ("accept", 202, b"", None),
    ],
)
def test_the_table_of_refusals(operation: str, status: int, body: bytes, kind: type | None) -> None:
    """By endpoint; None is the shared table's."""
    found = failure(operation, Response(status, {}, body))
    assert type(found) is (kind or type(None))


def test_limits_are_an_endpoints_and_a_menus_is_a_minute() -> None:
    """There is no header as a rule; one that names more is followed."""
    for operation, headers, after in (("push_menu", {}, 60), ("items_status", {}, 1), ("accept", {"retry-after": "7"}, 7)):
        found = failure(operation, Response(429, headers, b"Developer account endpoint rate limit exceeded"))
        assert isinstance(found, RateLimited)
        assert (found.after, found.scope) == (after, "endpoint")


def test_a_store_is_open_when_nothing_deactivates_it() -> None:
    """One that has no end is closed; else it is paused until the last one ends."""
    rows = [
        Deactivation(reason="busy", end_time="2026-12-12T12:30:00Z"),
        Deactivation(reason="oven", notes="hot", end_time="2026-12-12T13:00:00Z"),
    ]
    assert status_from(StoreDetails(current_deactivations=[])).status == "open"
    paused = status_from(StoreDetails(current_deactivations=rows))
    assert (paused.status, paused.until, paused.reason) == ("paused", datetime(2026, 12, 12, 13, tzinfo=UTC), "busy; oven: hot")
    assert status_from(StoreDetails(current_deactivations=[*rows, Deactivation(reason="gone")])).status == "closed"
    assert [status_from(StoreDetails(is_active=each)).status for each in (None, True, False)] == ["unknown", "open", "closed"]


VECTOR = {
    "developer_id": "582e4f20-0f48-4bc2-99c2-e094675e2919",
    "key_id": "585698aa-2aa6-4bb4-8b3f-dd9d3f47dc28",
    "signing_secret": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY",
}
VECTOR_JWT = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImRkLXZlciI6IkRELUpXVC1WMSJ9."
    "eyJhdWQiOiJkb29yZGFzaCIsImlzcyI6IjU4MmU0ZjIwLTBmNDgtNGJjMi05OWMyLWUwOTQ2NzVlMjkxOSIsImtpZCI6IjU4NTY5OGFhLTJhYTYtNGJiNC04YjNm"
    "LWRkOWQzZjQ3ZGMyOCIsImlhdCI6MTYzNjQ2Mzg0MSwiZXhwIjoxNjM2NDY1NjQxfQ."
    "4J2_w4OCXJqm_AuijZUFB13l7JzTLczngrgjQv4SEOY"
)


def test_the_vectors_secret_and_claims_are_ours() -> None:
    """The key is the decoded secret; header and claims are the vector's but for the times."""
    options: Any = {"verify_exp": False, "verify_iat": False}
    known = jwt.decode(VECTOR_JWT, secret(VECTOR), ["HS256"], audience="doordash", options=options)
    token = PROVIDER.auth(PROVIDER.facts).first_token(VECTOR)
    assert token is not None
    made = jwt.decode(token.access, secret(VECTOR), ["HS256"], audience="doordash")
    assert made.keys() == known.keys()
    assert {name: made[name] for name in ("aud", "iss", "kid")} == {name: known[name] for name in ("aud", "iss", "kid")}
    assert jwt.get_unverified_header(token.access) == jwt.get_unverified_header(VECTOR_JWT)
    assert 0 < made["exp"] - made["iat"] <= 1800
    assert made["iat"] <= time.time()


def test_tokens_of_one_second_differ() -> None:
    """So that a refused one is replaced by another."""
    assert claims(VECTOR, 1000) != claims(VECTOR, 1000)


@pytest.mark.parametrize("text", ["", "not base64!", "ab*d"])
def test_a_secret_that_cannot_be_one_is_named(text: str) -> None:
    """A person must copy it again."""
    with pytest.raises(Misconfigured):
        secret({"signing_secret": text})


def test_both_alphabets_end_of_a_secret_are_taken() -> None:
    """URL-safe signs, with or without padding."""
    raw = bytes(range(250, 256)) + b"\x00"
    text = base64.urlsafe_b64encode(raw).decode()
    assert secret({"signing_secret": text}) == secret({"signing_secret": text.rstrip("=")}) == raw
