"""Uber Eats' calls to us: the signature over the body, and what each notice means."""

import contextlib
import hashlib
import hmac
import json
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ubereats import PROVIDER
from adapters.ubereats.webhooks import UberEatsIngress
from hub.contract import IngressRequest, Lane, Malformed

INGRESS = UberEatsIngress()
VECTOR = json.loads(resources.files("adapters.ubereats").joinpath("fixtures/webhook_signature.json").read_text())


def request(body: bytes, signature: str = "") -> IngressRequest:
    """A call with this signature."""
    return IngressRequest("POST", "", {}, {"x-uber-signature": signature}, body, "https://hub.example.com/in")


def notice(kind: str, href: str = "https://api.uber.com/v1/delivery/order/o-1", **more: Any) -> bytes:
    """A notice about order o-1 of store s-1."""
    given = {
        "event_type": kind,
        "event_id": "e-1",
        "event_time": 1,
        "meta": {"resource_id": "o-1", "user_id": "s-1"},
        "resource_href": href,
    }
    return json.dumps({**given, **more}).encode()


def test_the_vector() -> None:
    """The documents' body verifies with any of the app's secrets, the old and the new one while they are rotated."""
    call = request(VECTOR["raw_body"].encode(), VECTOR["signature"])
    assert INGRESS.signed(call, [VECTOR["client_secret"]])
    assert INGRESS.signed(call, ["new-secret", VECTOR["client_secret"]])
    assert not INGRESS.signed(call, ["new-secret"])
    assert not INGRESS.signed(call, [])
    assert PROVIDER.facts.webhook is not None
    assert (PROVIDER.facts.webhook.secret, PROVIDER.facts.webhook.level) == ("client_secret", "app")


@pytest.mark.parametrize("signature", ["", "0" * 64, VECTOR["signature"][:-1], "\u00fc\udcff" * 32])
def test_a_wrong_signature_is_refused(signature: str) -> None:
    """Missing, wrong, short, or no ASCII at all; and so is a changed body."""
    assert not INGRESS.signed(request(VECTOR["raw_body"].encode(), signature), [VECTOR["client_secret"]])
    assert not INGRESS.signed(request(VECTOR["raw_body"].encode() + b" ", VECTOR["signature"]), [VECTOR["client_secret"]])


def test_no_secret_signs_nothing() -> None:
    """An app without a secret can't be signed for with the empty one."""
    forged = hmac.new(b"", b"{}", hashlib.sha256).hexdigest()
    assert not INGRESS.signed(request(b"{}", forged), [""])


def test_the_documents_notice() -> None:
    """An order of a store, placed; the order id is the address's last part."""
    (fact,) = INGRESS.facts(request(VECTOR["raw_body"].encode()))
    order = "153dd7f1-339d-4619-940c-418943c14636"
    assert (fact.kind, fact.subject, fact.dedupe_key) == ("order.placed", f"order/{order}", f"order/{order}/placed")
    assert (fact.store_ref, fact.lane) == ("89dd9741-66b5-4bb4-b216-a813f3b21b4f", Lane.ORDER)


@pytest.mark.parametrize(
    ("kind", "fact", "key", "lane"),
    [
        ("orders.notification", "order.placed", "order/o-1/placed", Lane.ORDER),
        ("orders.scheduled.notification", "order.placed", "order/o-1/placed", Lane.ORDER),
        ("orders.cancel", "order.cancelled", "order/o-1/cancelled", Lane.CANCEL),
        ("orders.failure", "order.cancelled", "order/o-1/cancelled", Lane.CANCEL),
        ("order.failed", "order.cancelled", "order/o-1/cancelled", Lane.CANCEL),
        ("delivery.state_changed", "order.changed", "order/o-1/changed/e-1", Lane.STATUS),
        ("orders.release", "order.changed", "order/o-1/changed/e-1", Lane.STATUS),
        ("store.provisioned", "store.provisioned", "store/s-1/e-1", Lane.STATUS),
        ("store.deprovisioned", "store.deprovisioned", "store/s-1/e-1", Lane.STATUS),
        ("store.status.changed", "store.changed", "store/s-1/changed/e-1", Lane.STATUS),
        ("store.menu_refresh_request", "menu.wanted", "menu/s-1/wanted/e-1", Lane.MENU),
        ("something.new", "noted", "event/e-1", Lane.BULK),
    ],
)
def test_notices(kind: str, fact: str, key: str, lane: Lane) -> None:
    """Each kind, in every spelling, is one fact of the store; an unknown kind is noted."""
    (found,) = INGRESS.facts(request(notice(kind)))
    assert (found.kind, found.dedupe_key, found.lane, found.store_ref) == (fact, key, lane, "s-1")


@pytest.mark.parametrize(("step", "known"), [("EN_ROUTE_TO_DROPOFF", True), ("COMPLETED", True), ("SCHEDULED", False), ("NEW", False)])
def test_a_step_of_a_delivery_is_news_of_courier_and_order(step: str, known: bool) -> None:
    """In this order, under keys of their own; a step that tells of no courier is news of the order alone."""
    found = INGRESS.facts(request(notice("delivery.state_changed", current_state=step)))
    courier = [("courier.moved", "order/o-1", "order/o-1/courier/e-1")] if known else []
    assert [(fact.kind, fact.subject, fact.dedupe_key) for fact in found] == [
        *courier,
        ("order.changed", "order/o-1", "order/o-1/changed/e-1"),
    ]


@pytest.mark.parametrize(
    ("href", "order"),
    [
        ("https://api.uber.com/v2/eats/order/abc", "abc"),
        ("https://evil.example.com/v1/delivery/order/abc", "abc"),
        ("https://api.uber.com/v1/delivery/order/abc/?expand=carts", "abc"),
        ("", "o-1"),
    ],
)
def test_the_path_names_the_order(href: str, order: str) -> None:
    """Of either API generation, at whatever host; without a path the notice's own id."""
    assert INGRESS.facts(request(notice("orders.notification", href)))[0].subject == f"order/{order}"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff\x00", b'{"event_type":"orders.notification"}', notice("orders.notification", "", meta={})]
)
def test_what_does_not_fit_is_malformed(body: bytes) -> None:
    """Broken JSON, missing fields, an order notice without an order."""
    with pytest.raises(Malformed):
        INGRESS.facts(request(body))


@given(st.binary(max_size=200) | st.text().map(lambda text: notice("orders.notification", text)))
def test_no_body_breaks_the_reading(body: bytes) -> None:
    """Facts or Malformed, never another error."""
    with contextlib.suppress(Malformed):
        assert INGRESS.facts(request(body))


def test_answers() -> None:
    """200 with nothing in it; only what was not stored is asked for again."""
    stored = INGRESS.stored(())
    assert (stored.status, stored.body) == (200, b"")
    assert {reason: INGRESS.refused(reason).status for reason in ("unknown_store", "bad_signature", "malformed", "not_stored")} == {
        "unknown_store": 404,
        "bad_signature": 401,
        "malformed": 400,
        "not_stored": 503,
    }
