"""Deliveroo's calls: signatures over GUID and raw bytes, facts with keys that name them, answers that refuse nothing in vain."""

import json
from typing import Any

import pytest

from adapters.deliveroo import PROVIDER
from hub.contract import Fact, IngressRequest, Lane, Malformed
from tests.contract.openapi import vendor_spec

INGRESS = PROVIDER.ingress
assert INGRESS is not None
# Made with openssl: HMAC-SHA256 of "g-1", a space and the body; for the legacy event with space, line feed, space.
ARABIC = '{"event":"order.new","body":{"note":"بدون بصل"}}'.encode()
SIGNED = "20f71958f0c7ce261aec4d40bd2e754909f4e36ea75c28a5215e6d946602f245"
LEGACY = b'{"event":"new_order"}'
LEGACY_SIGNED = "94b3fc20f0819fb538e2a8a1f2b58de4dd54ec06a33ef15b53ec4cb8becb0915"
RIDER = {"status_log": [{"at": "2026-04-04T12:00:00Z", "status": "rider_in_transit"}], "at": "2026-04-04T12:00:05Z"}


def call(body: bytes, guid: str = "g-1", signature: str = "", suffix: str = "") -> IngressRequest:
    """A call with its headers."""
    headers = {"x-deliveroo-sequence-guid": guid, "x-deliveroo-hmac-sha256": signature}
    return IngressRequest("POST", suffix, {}, {name: value for name, value in headers.items() if value}, body, "https://hub.example")


def facts(event: str, body: Any, suffix: str = "", guid: str = "g-1") -> list[Fact]:
    """The facts of an event."""
    assert INGRESS is not None
    return list(INGRESS.facts(call(json.dumps({"event": event, "body": body}).encode(), guid, suffix=suffix)))


@pytest.mark.parametrize(
    ("body", "guid", "signature", "secrets", "expected"),
    [
        (ARABIC, "g-1", SIGNED, ["s3cret"], True),
        (ARABIC, "g-1", SIGNED.upper(), ["old", "s3cret"], True),
        (ARABIC, "g-2", SIGNED, ["s3cret"], False),
        (ARABIC + b" ", "g-1", SIGNED, ["s3cret"], False),
        (ARABIC, "g-1", SIGNED, ["other", ""], False),
        (ARABIC, "g-1", SIGNED, [], False),
        (ARABIC, "", SIGNED, ["s3cret"], False),
        (ARABIC, "g-1", "", ["s3cret"], False),
        (ARABIC, "g-1", "é", ["s3cret"], False),
        (LEGACY, "g-1", LEGACY_SIGNED, ["s3cret"], True),
        (ARABIC, "g-1", LEGACY_SIGNED, ["s3cret"], False),
        (b"\xff", "g-1", SIGNED, ["s3cret"], False),
    ],
)
def test_signatures(body: bytes, guid: str, signature: str, secrets: list[str], expected: bool) -> None:
    """GUID, one space, the very bytes, any known secret; the legacy separator for legacy events only."""
    assert INGRESS is not None
    assert INGRESS.signed(call(body, guid, signature), secrets) is expected


def test_the_published_vectors() -> None:
    """The vectors of the sample events; the legacy one is of a body that no legacy event has."""
    assert INGRESS is not None
    path = vendor_spec("deliveroo", "signature_vectors.json")
    for vector in json.loads(path.read_text("utf-8"))["vectors"]:
        body = (path.parent / vector["body_file"]).read_bytes()
        request = call(body, vector["x-deliveroo-sequence-guid"], vector["x-deliveroo-hmac-sha256"])
        assert INGRESS.signed(request, [vector["webhook_secret"]]) is not vector["separator"].startswith("legacy")


@pytest.mark.parametrize(
    ("event", "status", "kind", "key", "lane"),
    [
        ("order.new", "placed", "order.placed", "placed", Lane.ORDER),
        ("order.status_update", "canceled", "order.cancelled", "cancelled", Lane.CANCEL),
        ("order.status_update", "rejected", "order.changed", "changed/rejected", Lane.STATUS),
        ("order.status_update", "delivered", "order.changed", "changed/delivered", Lane.STATUS),
        ("order.status_update", "teleported", "order.changed", "changed/teleported", Lane.STATUS),
    ],
)
def test_order_events(event: str, status: str, kind: str, key: str, lane: Lane) -> None:
    """The key names the fact whatever the delivery; the site routes it."""
    order = {"id": "gb:1", "location_id": 4163, "status": status, "items": [], "total_price": {"fractional": 1, "currency_code": "GBP"}}
    for guid in ("g-1", "g-2"):
        (fact,) = facts(event, {"order": order}, guid=guid)
        assert (fact.kind, fact.subject, fact.dedupe_key, fact.store_ref, fact.lane) == (
            kind,
            "order/gb:1",
            f"order/gb:1/{key}",
            "4163",
            lane,
        )


def test_rider_events_go_where_their_address_says() -> None:
    """A fact for each order of the trip; without a site in the address nobody's; unknown statuses are noted."""
    body = {"order_id": "gb:1", "stacked_with": ["gb:2", "gb:1"], "riders": [RIDER]}
    found = facts("rider.status_update", body, "riders/site 1")
    assert [(fact.kind, fact.subject, fact.store_ref) for fact in found] == [
        ("courier.moved", "order/gb:1", "site 1"),
        ("courier.moved", "order/gb:2", "site 1"),
    ]
    assert found[0].dedupe_key == "order/gb:1/courier/rider_in_transit/2026-04-04T12:00:05Z"
    assert {fact.store_ref for fact in facts("rider.status_update", body)} == {""}
    body["riders"] = [{"status_log": [{"at": "2026-04-04T12:00:00Z", "status": "rider_sleeps"}]}]
    assert [fact.kind for fact in facts("rider.status_update", body)] == ["noted"]


def test_menu_results_are_a_job_a_site_and_an_upload() -> None:
    """Two uploads of one menu are two facts; a repeat of a call is one."""
    body = {"menu_upload_result": {"http_status": 200, "brand_id": "b", "menu_id": "hub-s1", "site_ids": ["s1", "s2"], "errors": None}}
    found = facts("menu.upload_result", body)
    assert [(fact.kind, fact.subject, fact.store_ref) for fact in found] == [("menu.job", "menu/s1", "s1"), ("menu.job", "menu/s2", "s2")]
    assert found == facts("menu.upload_result", body) != facts("menu.upload_result", body, guid="g-2")


def test_what_nobody_foresaw_is_noted() -> None:
    """New and legacy events are noted; known ones that do not fit are malformed."""
    assert INGRESS is not None
    assert [fact.kind for fact in (*facts("brand.new", {"order": 3}), *facts("cancel_order", {}))] == ["noted", "noted"]
    for body in (
        b"",
        b"[]",
        b'{"event":"order.new","body":{}}',
        b'{"event":"rider.status_update","body":{"riders":[]}}',
        b'{"event":"order.new","body":3}',
    ):
        with pytest.raises(Malformed):
            INGRESS.facts(call(body))


def test_answers() -> None:
    """Stored is 200 and empty; a stranger's is 200 too, as a refusal would open the circuit breaker; what was not stored comes again."""
    assert INGRESS is not None
    reasons = ("unknown_store", "bad_signature", "malformed", "not_stored")
    assert (INGRESS.stored(()).status, INGRESS.stored(()).body) == (200, b"")
    assert [INGRESS.refused(reason).status for reason in reasons] == [200, 401, 400, 503]  # type: ignore[arg-type]
