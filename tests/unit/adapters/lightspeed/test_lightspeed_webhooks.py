"""K-Series' calls: Basic credentials, facts of the documented bodies, refusals."""

import base64
from typing import Any

import msgspec
import pytest

from adapters.lightspeed.webhooks import LightspeedIngress
from hub.contract import IngressRequest, Lane, Malformed

INGRESS = LightspeedIngress()
KEY = "5a81c7f4-9e2f-4db2-965d-6946a4f9c25b"


def called(body: Any, authorization: str = "", key: str = KEY) -> IngressRequest:
    """A call with this body."""
    headers = {"authorization": authorization} if authorization else {}
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return IngressRequest("POST", "", {}, headers | ({"x-lightspeed-idempotency-key": key} if key else {}), raw, "https://hub/x")


@pytest.mark.parametrize(
    ("authorization", "secrets", "signed"),
    [
        ("Basic aHViOnMzY3JldDp3aXRoOmNvbG9ucw==", ["s3cret:with:colons"], True),
        ("basic aHViOnMzY3JldDp3aXRoOmNvbG9ucw==", ["old", "s3cret:with:colons"], True),
        ("Basic aHViOnMzY3JldDp3aXRoOmNvbG9ucw==", ["s3cret"], False),
        ("Basic " + base64.b64encode("hub:пароль".encode()).decode(), ["пароль"], True),
        ("Bearer aHViOnMzY3JldDp3aXRoOmNvbG9ucw==", ["s3cret:with:colons"], False),
        ("Basic !!!", ["x"], False),
        ("Basic ключ", ["x"], False),
        ("Basic aHViOg==", [""], False),
        ("Basic aHVi", [""], False),
        ("", ["x"], False),
    ],
)
def test_only_the_password_opens(authorization: str, secrets: list[str], signed: bool) -> None:
    """Everything after the first colon; an empty password opens nothing."""
    assert INGRESS.signed(called({}, authorization), secrets) is signed


ORDER = ("pos_order.changed", "order/REF12212", Lane.STATUS)


@pytest.mark.parametrize(
    ("body", "fact"),
    [
        ({"status": "SUCCESS", "ikentooAccountId": "2114", "thirdPartyReference": "REF12212", "type": "ORDER"}, ORDER),
        ({"status": "FAILURE", "reason": "A consumer already exists", "thirdPartyReference": "REF12212"}, ORDER),
        ({"status": "NEW_WORD", "ikentooAccountId": 304087979524124, "thirdPartyReference": "REF12212", "type": "ORDER"}, ORDER),
        ({"status": "FAILURE", "thirdPartyReference": "REF12212", "type": "PAYMENT"}, ("noted", f"event/{KEY}", Lane.BULK)),
        ({"status": "FAILURE", "thirdPartyReference": "R", "errors": {"timeout": {}}}, ("noted", f"event/{KEY}", Lane.BULK)),
        (
            {"sku": "A", "businessLocationId": 7, "count": 5, "status": "RESTRICTED", "type": "ITEM"},
            ("stock.changed", "sync/stock", Lane.STOCK),
        ),
        ({"businessLocationId": 7, "status": "READY", "type": "ORDER_API"}, ("store.changed", "store/7", Lane.STATUS)),
        ({"type": "SOMETHING", "thirdPartyReference": "R", "status": "X"}, ("noted", f"event/{KEY}", Lane.BULK)),
        ({}, ("noted", f"event/{KEY}", Lane.BULK)),
    ],
)
def test_facts(body: Any, fact: tuple[str, str, Lane]) -> None:
    """What each body means; a payment's failure never reads as an order's."""
    (found,) = INGRESS.facts(called(body))
    assert (found.kind, found.subject, found.lane) == fact
    assert found.dedupe_key.endswith(KEY)
    assert found.store_ref == str(body.get("businessLocationId", ""))


def test_the_vendors_key_tells_repeats_from_news() -> None:
    """The same key is the same fact; without one the body tells."""
    body = {"status": "CHECK_WAS_UPDATED", "type": "ORDER", "thirdPartyReference": "r"}
    keys = [INGRESS.facts(called(body, key=key))[0].dedupe_key for key in (KEY, KEY, "other", "", "")]
    assert (keys[0] == keys[1], keys[3] == keys[4], len(set(keys))) == (True, True, 3)


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", {"type": "ORDER", "status": "SUCCESS"}, {"status": 5}])
def test_what_cannot_be_read_is_malformed(body: Any) -> None:
    """Neither JSON nor an order without a reference is taken."""
    with pytest.raises(Malformed):
        INGRESS.facts(called(body))


def test_answers() -> None:
    """200 for what is stored; only what was not stored asks for a repeat."""
    assert INGRESS.stored(()).status == 200
    assert [INGRESS.refused(why).status for why in ("unknown_store", "bad_signature", "malformed", "not_stored")] == [404, 401, 400, 503]
