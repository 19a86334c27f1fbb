"""Square's calls to us: signed over the registered address and the raw body, one subscription a connection."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from adapters.square.models import Event
from hub.contract import Answer, Fact, IngressRequest, Lane, Malformed

_DECODER = msgspec.json.Decoder(Event)
_ORDERS = frozenset({"order.created", "order.updated", "order.fulfillment.updated"})


class SquareIngress:
    """Verify and read."""

    def signed(self, request: IngressRequest, secrets: Sequence[str]) -> bool:
        """Base64 HMAC-SHA256 of address and body, with the subscription's signature key."""
        given = request.headers.get("x-square-hmacsha256-signature", "").encode("utf-8", "replace")
        message = request.url.encode() + request.body
        found = False
        for secret in filter(None, secrets):
            wanted = base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest())
            found |= hmac.compare_digest(wanted, given)
        return found

    def facts(self, request: IngressRequest) -> Sequence[Fact]:
        """One fact a call; a change of the catalog may be a mark that something is sold out."""
        try:
            event = _DECODER.decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Malformed(str(error)) from error
        if event.type in _ORDERS:
            order, version = _order(event)
            if not order:
                raise Malformed(f"{event.type} names no order")
            return (Fact("pos_order.changed", f"order/{order}", f"order/{order}/changed/{version}"),)
        if event.type == "catalog.version.updated":
            menu = Fact("menu.changed", "sync/menu", f"menu/{event.event_id}", lane=Lane.MENU)
            return (menu, Fact("stock.changed", "sync/stock", f"stock/{event.event_id}", lane=Lane.STOCK))
        if event.type == "inventory.count.updated":
            return (Fact("stock.changed", "sync/stock", f"stock/{event.event_id}", lane=Lane.STOCK),)
        if event.type == "oauth.authorization.revoked":
            return (Fact("connection.revoked", "connection/self", f"revoked/{event.event_id}"),)
        return (Fact("noted", f"event/{event.event_id}", f"event/{event.event_id}", lane=Lane.BULK),)

    def stored(self, facts: Sequence[Fact]) -> Answer:
        """200."""
        return Answer(200, b"{}")

    def refused(self, reason: Literal["unknown_store", "bad_signature", "malformed", "not_stored"]) -> Answer:
        """Square repeats everything but 2xx for a day."""
        status = {"unknown_store": 404, "bad_signature": 401, "malformed": 400, "not_stored": 503}[reason]
        return Answer(status, msgspec.json.encode({"errors": [{"code": reason}]}))


def _order(event: Event) -> tuple[str, str]:
    # One change of an order comes as several events with one version; the search by reconcile tells the same version.
    record: Any = event.data.get("object")
    inner: Any = next(iter(record.values()), {}) if isinstance(record, dict) and record else {}
    if not isinstance(inner, dict):
        inner = {}
    return str(inner.get("order_id") or event.data.get("id") or ""), str(inner.get("version") or event.event_id)
