"""K-Series' calls to us: no signature, only the Basic credentials that we set when we registered the endpoint."""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Literal

import msgspec

from adapters.lightspeed.models import Notice
from hub.contract import Answer, Fact, IngressRequest, Lane, Malformed, matches

_DECODER = msgspec.json.Decoder(Notice)


class LightspeedIngress:
    """Verify and read."""

    def signed(self, request: IngressRequest, secrets: Sequence[str]) -> bool:
        """The password of the Basic header; the user's name is no secret and is not looked at."""
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            password = base64.b64decode(encoded, validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return False
        return matches(password, [secret.encode() for secret in secrets])

    def facts(self, request: IngressRequest) -> Sequence[Fact]:
        """One fact a call, told apart by the vendor's idempotency key, which repeats keep."""
        notice = read_notice(request.body)
        key = request.headers.get("x-lightspeed-idempotency-key", "")[:200] or hashlib.sha256(request.body).hexdigest()
        store = str(notice.business_location_id or "")
        if about_order(notice):
            if not notice.third_party_reference:
                raise Malformed(f"an order's {notice.status} names no reference")
            subject = f"order/{notice.third_party_reference}"
            return (Fact("pos_order.changed", subject, f"{subject}/changed/{key}", store),)
        if notice.type == "ITEM":
            return (Fact("stock.changed", "sync/stock", f"stock/{key}", store, Lane.STOCK),)
        if notice.type == "ORDER_API" and store:
            return (Fact("store.changed", f"store/{store}", f"store/{store}/{key}", store),)
        return (Fact("noted", f"event/{key}", f"event/{key}", store, Lane.BULK),)

    def stored(self, facts: Sequence[Fact]) -> Answer:
        """200."""
        return Answer(200)

    def refused(self, reason: Literal["unknown_store", "bad_signature", "malformed", "not_stored"]) -> Answer:
        """What is repeated is not published: only what was not stored is answered so that it can be."""
        return Answer({"unknown_store": 404, "bad_signature": 401, "malformed": 400, "not_stored": 503}[reason])


def read_notice(body: bytes) -> Notice:
    """A webhook's body; raises Malformed."""
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(str(error)) from error


def about_order(notice: Notice) -> bool:
    """Tell whether a notice is about an order. A failed order's has no type; a payment's that lacks it names its errors."""
    if notice.type is not None:
        return notice.type == "ORDER"
    return notice.status is not None and notice.third_party_reference is not None and notice.errors is None
