"""Foodics' calls to us: as a rule unsigned, so the address ends in a secret, and what they say is only a hint to read again."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Literal

import msgspec

from adapters.foodics.mapping import version_of
from adapters.foodics.models import Notice
from hub.contract import Answer, Fact, IngressRequest, Lane, Malformed, matches

_DECODER = msgspec.json.Decoder(Notice)
_STOCKED = frozenset({"product", "modifier", "combo"})


class FoodicsIngress:
    """Verify and read. The registered address is the connection's with its secret as the last path segment."""

    def signed(self, request: IngressRequest, secrets: Sequence[str]) -> bool:
        """The secret in the path, or a hex HMAC-SHA256 of the raw body by it in X-Foodics-Signature."""
        given = request.headers.get("x-foodics-signature", "").lower()
        digests = [hmac.digest(secret.encode(), request.body, hashlib.sha256).hex() for secret in secrets if secret]
        by_path, by_header = matches(request.suffix.strip("/"), secrets), matches(given, digests)
        return by_path or by_header

    def facts(self, request: IngressRequest) -> Sequence[Fact]:
        """What a call names. One change of an order comes under several event names, spelled in the singular and the plural."""
        try:
            notice = _DECODER.decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Malformed(str(error)) from error
        event, order = notice.event, notice.order
        if order is not None:
            if not order.id:
                raise Malformed(f"{event} names no order")
            subject = f"order/{order.id}"
            version = version_of(order.updated_at, order.status, order.delivery_status)
            return (Fact("pos_order.changed", subject, f"{subject}/changed/{version}"),)
        if event.partition(".")[0] in ("order", "orders", "application"):
            raise Malformed(f"{event} holds no order")
        if event == "menu.updated":
            entity = notice.entity
            key = f"{entity.type}/{entity.id}/{notice.timestamp}" if entity else hashlib.sha256(request.body).hexdigest()
            changed = Fact("menu.changed", "sync/menu", f"menu/{key}", lane=Lane.MENU)
            if entity is not None and entity.type not in _STOCKED:
                return (changed,)
            # Being sold out is told as a change of the product.
            return (Fact("stock.changed", "sync/stock", f"stock/{key}", lane=Lane.STOCK), changed)
        key = hashlib.sha256(request.body).hexdigest()
        return (Fact("noted", f"event/{key}", f"event/{key}", lane=Lane.BULK),)

    def stored(self, facts: Sequence[Fact]) -> Answer:
        """200; Foodics ignores the body."""
        return Answer(200)

    def refused(self, reason: Literal["unknown_store", "bad_signature", "malformed", "not_stored"]) -> Answer:
        """Anything but 2xx is sent three times in all; many of them in a minute block the address for an hour."""
        return Answer({"unknown_store": 404, "bad_signature": 401, "malformed": 400, "not_stored": 503}[reason])
