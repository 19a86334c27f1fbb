"""Square's calls to us: the signature over address and body, and what each event means."""

import base64
import contextlib
import hashlib
import hmac
import json
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.square.webhooks import SquareIngress
from hub.contract import IngressRequest, Lane, Malformed

INGRESS = SquareIngress()
VECTOR = json.loads(resources.files("adapters.square").joinpath("fixtures/webhook_signature.json").read_text())


def request(body: bytes, *, signature: str = "", url: str = "https://hub.example.com/in") -> IngressRequest:
    """A call with this signature."""
    return IngressRequest("POST", "", {}, {"x-square-hmacsha256-signature": signature}, body, url)


def event(kind: str, inner: dict[str, Any] | None = None, **more: Any) -> bytes:
    """An event around one record."""
    data = {"type": "x", "object": {"record": inner}} if inner is not None else {}
    return json.dumps({"merchant_id": "M", "type": kind, "event_id": "e1", "data": data, **more}).encode()


def vector(**changed: str) -> IngressRequest:
    """The official vector, with something changed."""
    given = {**VECTOR, **changed}
    return request(given["raw_body"].encode(), signature=given["signature"], url=given["notification_url"])


def test_the_official_vector() -> None:
    """The SDK's own example verifies, with any of several keys, and with none of the wrong ones."""
    key = VECTOR["signature_key"]
    assert INGRESS.signed(vector(), [key])
    assert INGRESS.signed(vector(), ["other", key])
    assert not INGRESS.signed(vector(), ["other"])
    assert not INGRESS.signed(vector(), [])


@pytest.mark.parametrize(
    "changed",
    [
        {"raw_body": VECTOR["raw_body"] + " "},
        {"notification_url": VECTOR["notification_url"] + "/"},
        {"signature": ""},
        {"signature": VECTOR["signature"].lower()},
        {"signature": "\u00fc\udcff" * 20},
    ],
)
def test_anything_changed_is_refused(changed: dict[str, str]) -> None:
    """A byte of the body, the address, the signature; a header that is no ASCII is refused, not an error."""
    assert not INGRESS.signed(vector(**changed), [VECTOR["signature_key"]])


def test_no_key_signs_nothing() -> None:
    """A connection without a key can't be signed for with the empty key."""
    forged = base64.b64encode(hmac.new(b"", b"https://hub.example.com/in{}", hashlib.sha256).digest()).decode()
    assert not INGRESS.signed(request(b"{}", signature=forged), [""])


def test_the_official_order_event() -> None:
    """One fact about the order, in the order's own lane of subjects."""
    raw = resources.files("adapters.square").joinpath("fixtures/order_created_event.json").read_bytes()
    (fact,) = INGRESS.facts(request(raw))
    assert (fact.kind, fact.subject) == ("pos_order.changed", "order/eA3vssLHKJrv9H0IdJCM3gNqfdcZY")
    assert fact.dedupe_key == "order/eA3vssLHKJrv9H0IdJCM3gNqfdcZY/changed/1"


def test_dedupe_keys_name_the_fact() -> None:
    """A repeat is the same fact even under a new event id or as another event of one version; another version is another fact."""
    one = event("order.updated", {"order_id": "O", "version": 2, "state": "OPEN"})
    again = event("order.updated", {"order_id": "O", "version": 2, "state": "OPEN"}, event_id="e2")
    later = event("order.updated", {"order_id": "O", "version": 3, "state": "OPEN"})
    moved = event("order.fulfillment.updated", {"order_id": "O", "version": 2})
    keys = [INGRESS.facts(request(body))[0].dedupe_key for body in (one, again, moved, later)]
    assert keys == [*["order/O/changed/2"] * 3, "order/O/changed/3"]


def test_an_event_without_a_version_is_a_fact_of_its_own() -> None:
    """Its event id stands in, so nothing is taken for a repeat."""
    (fact,) = INGRESS.facts(request(event("order.updated", {"order_id": "O"})))
    assert fact.dedupe_key == "order/O/changed/e1"


@pytest.mark.parametrize(
    ("kind", "fact", "lane"),
    [
        ("inventory.count.updated", "stock.changed", Lane.STOCK),
        ("oauth.authorization.revoked", "connection.revoked", Lane.STATUS),
        ("payment.updated", "noted", Lane.BULK),
        ("something.new", "noted", Lane.BULK),
    ],
)
def test_other_events(kind: str, fact: str, lane: Lane) -> None:
    """A count, a revocation, and everything else as a note."""
    (found,) = INGRESS.facts(request(event(kind, {"id": "1"})))
    assert (found.kind, found.lane) == (fact, lane)


def test_a_change_of_the_catalog_may_be_a_sold_out_mark() -> None:
    """Menu and stock are both read anew."""
    found = INGRESS.facts(request(event("catalog.version.updated", {"id": "1"})))
    assert [(fact.kind, fact.lane) for fact in found] == [("menu.changed", Lane.MENU), ("stock.changed", Lane.STOCK)]
    assert len({fact.dedupe_key for fact in found}) == 2


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff\x00", b'{"type":"order.updated"}', event("order.updated"), event("order.created", {})]
)
def test_what_does_not_fit_is_malformed(body: bytes) -> None:
    """Broken JSON, missing fields, an order event without an order."""
    with pytest.raises(Malformed):
        INGRESS.facts(request(body))


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text() | st.integers(), lambda x: st.dictionaries(st.text(), x)).map(
        lambda v: json.dumps({"type": "order.updated", "event_id": "e", "data": {"object": v}}).encode()
    )
)
def test_no_body_breaks_the_reading(body: bytes) -> None:
    """Facts or Malformed, never another error."""
    with contextlib.suppress(Malformed):
        assert INGRESS.facts(request(body))


def test_answers() -> None:
    """200 and an empty object when stored; refusals make Square try again."""
    stored = INGRESS.stored(())
    assert (stored.status, stored.body) == (200, b"{}")
    assert {reason: INGRESS.refused(reason).status for reason in ("unknown_store", "bad_signature", "malformed", "not_stored")} == {
        "unknown_store": 404,
        "bad_signature": 401,
        "malformed": 400,
        "not_stored": 503,
    }
