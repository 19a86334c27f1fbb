"""Uber Eats' calls to us: signed with the app's client secret over the raw body, thin, told to one address for all stores."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Literal

import msgspec

from adapters.ubereats.models import Notice
from hub.contract import Answer, Fact, IngressRequest, Lane, Malformed

_DECODER = msgspec.json.Decoder(Notice)
_PLACED = frozenset({"orders.notification", "orders.scheduled.notification"})
# Spellings differ between documents and live code.
_CANCELLED = frozenset({"orders.cancel", "orders.failure", "order.failed", "orders.failed", "order.cancel"})
_CHANGED = frozenset({"orders.release", "order.release", "delivery.state_changed"})
_STORED = Answer(200)


class UberEatsIngress:
    """Verify and read; the order id is the last part of `resource_href`'s path, whose host is never called."""

    def signed(self, request: IngressRequest, secrets: Sequence[str]) -> bool:
        """Lower-case hex HMAC-SHA256 of the raw body."""
        given = request.headers.get("x-uber-signature", "").encode("utf-8", "replace")
        found = False
        for secret in filter(None, secrets):
            wanted = hmac.new(secret.encode(), request.body, hashlib.sha256).hexdigest().encode()
            found |= hmac.compare_digest(wanted, given)
        return found

    def facts(self, request: IngressRequest) -> Sequence[Fact]:
        """One fact a call."""
        try:
            notice = _DECODER.decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Malformed(str(error)) from error
        return (self._fact(notice),)

    def _fact(self, notice: Notice) -> Fact:
        store, order = notice.meta.user_id or notice.store_id, order_id(notice)
        kind = notice.event_type
        if kind in _PLACED | _CANCELLED | _CHANGED and not order:
            raise Malformed(f"{kind} names no order")
        if kind in _PLACED:
            return Fact("order.placed", f"order/{order}", f"order/{order}/placed", store, Lane.ORDER)
        if kind in _CANCELLED:
            return Fact("order.cancelled", f"order/{order}", f"order/{order}/cancelled", store, Lane.CANCEL)
        if kind in _CHANGED:
            return Fact("order.changed", f"order/{order}", f"order/{order}/changed/{notice.event_id}", store)
        if kind == "store.provisioned":
            return Fact("store.provisioned", f"store/{store}", f"store/{store}/{notice.event_id}", store)
        if kind == "store.deprovisioned":
            return Fact("store.deprovisioned", f"store/{store}", f"store/{store}/{notice.event_id}", store)
        return Fact("noted", f"event/{notice.event_id}", f"event/{notice.event_id}", store, Lane.BULK)

    def stored(self, facts: Sequence[Fact]) -> Answer:
        """200 with an empty body: it means received, never accepted."""
        return _STORED

    def refused(self, reason: Literal["unknown_store", "bad_signature", "malformed", "not_stored"]) -> Answer:
        """Uber repeats 500, 502, 503 and 504 only; a 404 ends it and shows in its dashboard."""
        status = {"unknown_store": 404, "bad_signature": 401, "malformed": 400, "not_stored": 503}[reason]
        return Answer(status, msgspec.json.encode({"code": reason}))


def order_id(notice: Notice) -> str:
    """The order's id: from the path of `resource_href`, else `meta.resource_id`."""
    path = notice.resource_href.partition("://")[2].partition("/")[2].partition("?")[0]
    if "order" in path:
        return path.rstrip("/").rpartition("/")[2]
    return notice.meta.resource_id
