"""Notices with ids that are none, parts that are null, and every spelling of a cancellation."""

import hashlib
import hmac
import json
from typing import Any

import pytest

from adapters.ubereats.webhooks import UberEatsIngress
from hub.contract import Fact, IngressRequest, Lane, Malformed

INGRESS = UberEatsIngress()


def told(**fields: Any) -> Fact:
    """The fact of a notice."""
    body = json.dumps({"event_type": "orders.notification", "event_id": "e", **fields}).encode()
    (fact,) = INGRESS.facts(IngressRequest("POST", "", {}, {}, body, "https://hub.example.com/in"))
    return fact


def test_the_signature_is_lower_case_hex() -> None:
    """As documented: the same digest in capitals is none of Uber's."""
    digest = hmac.new(b"secret", b"{}", hashlib.sha256).hexdigest()
    for given, right in ((digest, True), (digest.upper(), False), (f" {digest}", False)):
        call = IngressRequest("POST", "", {}, {"x-uber-signature": given}, b"{}", "https://hub.example.com/in")
        assert INGRESS.signed(call, ["other", "secret"]) is right


@pytest.mark.parametrize("kind", ["orders.cancel", "order.cancel", "orders.failure", "order.failure", "orders.failed", "order.failed"])
def test_every_spelling_of_a_cancellation_is_one_fact(kind: str) -> None:
    """So that two spellings of the same are a duplicate, and it overtakes."""
    fact = told(event_type=kind, resource_href="https://api.uber.com/v1/delivery/order/o-1", meta={"user_id": "s"})
    assert (fact.kind, fact.dedupe_key, fact.lane) == ("order.cancelled", "order/o-1/cancelled", Lane.CANCEL)


@pytest.mark.parametrize("order", ["a b", "a\u0000", "ü", "x" * 101, "", "a%2Fb"])
def test_an_id_that_can_be_none_is_malformed(order: str) -> None:
    """Nothing but letters, digits, - and _ becomes a subject or a path."""
    with pytest.raises(Malformed, match="names no order"):
        told(resource_href=f"https://api.uber.com/v1/delivery/order/{order}")
    with pytest.raises(Malformed, match="names no order"):
        told(meta={"resource_id": order})


def test_a_link_to_something_else_is_not_the_order() -> None:
    """Only the part after `order` is an order's id; for another path the notice's own id counts."""
    fact = told(resource_href="https://api.uber.com/v1/eats/stores/s-1/created-orders", meta={"resource_id": "o-1"})
    assert fact.subject == "order/o-1"


def test_nulls_are_absences() -> None:
    """A notice may leave out what it does not need."""
    assert told(event_type="store.provisioned", meta=None, resource_href=None, store_id="s").subject == "store/s"
    assert told(event_type="eats.report.success", meta=None).kind == "noted"


@pytest.mark.parametrize("kind", ["store.provisioned", "store.deprovisioned"])
def test_a_store_event_names_its_store(kind: str) -> None:
    """Without one nobody can claim it."""
    with pytest.raises(Malformed, match="names no store"):
        told(event_type=kind)
