"""Delivery Hero's calls to us: the token that signs them, the facts in them, and the few answers that it takes."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest

from adapters.talabat.webhooks import TalabatIngress
from hub.contract import Fact, IngressRequest, Lane, Malformed
from tests.unit.adapters.talabat.talabat_orders import DISPATCH, TOKEN, raw, talabat

SECRET = "shared-plugin-secret"
VECTOR = (
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzUxMiJ9.eyJzZXJ2aWNlIjoibWlkZGxld2FyZSJ9."
    "L9kOkPk-UfsVzs7VTKJMG08rUwcdJAcbYHb-Jv997q5DA74LDqohjKrROqL6wfO1ZoTvDyfuJ_Ea7zIbQLOjLA"
)
INGRESS = TalabatIngress()
STATUS = f"remoteId/TB-1/remoteOrder/{TOKEN}/posOrderStatus"


def call(suffix: str, body: Any = None, method: str = "POST", token: str = "", **query: str) -> IngressRequest:
    """A call as it came."""
    content = b"" if body is None else body if isinstance(body, bytes) else raw(body)
    return IngressRequest(method, suffix, query, {"authorization": token}, content, f"https://hub.example.com/webhooks/talabat/{suffix}")


def token(claims: Any, secret: str = SECRET, alg: str = "HS512") -> str:
    """A token as Delivery Hero makes it."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({"alg": alg}, claims)]
    digest = hmac.digest(secret.encode(), ".".join(parts).encode(), hashlib.sha512)
    return "Bearer " + ".".join([*parts, base64.urlsafe_b64encode(digest).rstrip(b"=").decode()])


def test_the_known_token() -> None:
    """Signed with the secret's bytes as they are; any of our secrets will do."""
    assert INGRESS.signed(call("order/x", token=f"Bearer {VECTOR}"), ["old", SECRET])
    assert not INGRESS.signed(call("order/x", token=f"Bearer {VECTOR}"), ["other", ""])
    assert not INGRESS.signed(call("order/x", token=f"Bearer {VECTOR}"), [])


@pytest.mark.parametrize(
    ("given", "good"),
    [
        (token({"service": "middleware"}), True),
        (token({"service": "middleware", "exp": time.time() + 86_400}), True),
        (token({"service": "middleware", "exp": time.time() - 3600}), False),
        (token({"service": "middleware", "exp": "soon"}), False),
        (token({"service": "courier"}), False),
        (token({}), False),
        (token(["middleware"]), False),
        (token({"service": "middleware"}, alg="HS256"), False),
        (token({"service": "middleware"}, alg="none"), False),
        (token({"service": "middleware"}, secret=""), False),
        (token({"service": "middleware"}).rpartition(".")[0] + ".", False),
        (token({"service": "middleware"})[:-4], False),
        (token({"service": "middleware"}).replace("Bearer", "Basic"), False),
        (f"Bearer {VECTOR[:-3]}é", False),
        ("Bearer", False),
        ("", False),
    ],
)
def test_tokens(given: str, good: bool) -> None:
    """Algorithm, signature, service and end are checked."""
    assert INGRESS.signed(call("order/x", token=given), [SECRET]) is good


def status(word: str, **more: Any) -> Fact:
    """The fact of a status call."""
    (fact,) = INGRESS.facts(call(STATUS, {"status": word, "message": "", **more}, "PUT"))
    return fact


def test_an_order_and_what_becomes_of_it() -> None:
    """Keys name the fact: a repeated dispatch or cancellation is the same one, a second change is not."""
    subject = f"order/{TOKEN}"
    assert INGRESS.facts(call("order/TB-1", DISPATCH)) == (Fact("order.placed", subject, f"{subject}/placed", "TB-1", Lane.ORDER),)
    assert status("ORDER_CANCELLED") == Fact("order.cancelled", subject, f"{subject}/cancelled", "TB-1", Lane.CANCEL)
    assert status("ORDER_PICKED_UP", occurredAt="a").dedupe_key == status("ORDER_PICKED_UP", occurredAt="b").dedupe_key
    assert (status("COURIER_ARRIVED_AT_VENDOR").kind, status("ORDER_PICKED_UP").kind) == ("courier.moved", "order.changed")
    first, second = (status("PRODUCT_ORDER_MODIFICATION_FAILED", occurredAt=at) for at in "ab")
    assert (first.kind, first.dedupe_key == second.dedupe_key) == ("order.changed", False)
    assert (status("SHOW_RIDER_WAITING_WARNING").kind, status("BRAND_NEW").store_ref) == ("noted", "TB-1")


def test_stores_menus_and_imports() -> None:
    """Their ids stand in the address, whatever they are; an import tells about each of its stores."""
    (closed,) = INGRESS.facts(call("remoteId/a/b/availability", {"closures": []}, "PUT"))
    assert (closed.kind, closed.subject, closed.store_ref) == ("store.changed", "store/a/b", "a/b")
    (wanted,) = INGRESS.facts(call("menuimport/TB-1", None, "GET", vendorCode="6", menuImportId="m-1"))
    assert (wanted.kind, wanted.dedupe_key) == ("menu.wanted", "menu/TB-1/wanted/m-1")
    told = {"catalogImportId": "i", "status": "done", "details": [{"posVendorId": "x"}, {"posVendorId": "y"}, {"posVendorId": "x"}]}
    facts = INGRESS.facts(call("catalog-callback/x", told))
    assert [(each.kind, each.subject, each.store_ref) for each in facts] == [("menu.job", "menu/x", "x"), ("menu.job", "menu/y", "y")]
    (bare,) = INGRESS.facts(call("catalog-callback/z", {"catalogImportId": "i", "status": "failed"}))
    assert bare.store_ref == "z"
    running, done = (INGRESS.facts(call("catalog-callback/x", {**told, "status": word}))[0].dedupe_key for word in ("in_progress", "done"))
    assert running != done
    assert INGRESS.facts(call("something/else", {}))[0].kind == "noted"


@pytest.mark.parametrize(
    "request_",
    [
        call("order/TB-1", b"{"),
        call("order/TB-1", {"code": "no token"}),
        call("order/TB-1", {"token": 7}),
        call(STATUS, {"message": "no status"}),
        call(STATUS, b"\xff"),
        call("menuimport/TB-1", None, "GET", vendorCode="6"),
        call("catalog-callback/x", {"status": "done"}),
    ],
)
def test_what_cannot_be_read_is_malformed(request_: IngressRequest) -> None:
    """And told apart from what is merely new."""
    with pytest.raises(Malformed):
        INGRESS.facts(request_)


def test_answers_are_of_the_list_that_delivery_hero_takes() -> None:
    """Our order id is the token, so it is the same each time; no answer accepts, none cancels by a 400."""
    placed = INGRESS.stored(INGRESS.facts(call("order/TB-1", DISPATCH)))
    assert (placed.status, json.loads(placed.body)) == (200, {"remoteResponse": {"remoteOrderId": TOKEN}})
    assert INGRESS.stored((status("ORDER_CANCELLED"),)).status == 200
    assert INGRESS.stored((Fact("menu.wanted", "menu/x", "k", "x"),)).status == 202
    assert INGRESS.stored(()).status == 200
    given = {name: INGRESS.refused(name).status for name in ("unknown_store", "bad_signature", "malformed", "not_stored")}  # type: ignore[arg-type]
    assert given == {"unknown_store": 500, "bad_signature": 401, "malformed": 500, "not_stored": 500}


def test_a_rider_arrives() -> None:
    """When is told; the order is in the call's address only."""
    adapter = talabat()[0]
    (seen,) = adapter.couriers(raw({"status": "COURIER_ARRIVED_AT_VENDOR", "occurredAt": "2026-10-02T12:00:00Z"}))
    assert (seen.state, seen.platform_order_id, seen.at is None) == ("arrived", "", False)
    assert adapter.couriers(raw({"status": "ORDER_PICKED_UP"})) == []
    assert adapter.notice_state(raw(DISPATCH)) is None
