"""Toast's calls to us: signed over the raw body and the envelope's own timestamp; one address for all restaurants of the app."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Literal

import msgspec

from adapters.toast.models import Envelope
from adapters.toast.states import pos_id
from hub.contract import Answer, Fact, IngressRequest, Lane, Malformed, matches

_DECODER = msgspec.json.Decoder(Envelope)
_STOCK = frozenset({"in_stock", "low_quantity", "out_of_stock"})
_STORE = frozenset({"availability_online", "availability_offline", "ordering_schedule_updated"})


class ToastIngress:
    """Verify and read."""

    def signed(self, request: IngressRequest, secrets: Sequence[str]) -> bool:
        """Base64 HMAC-SHA256 with the subscription's secret over body and timestamp, which no header repeats."""
        try:
            stamp = _DECODER.decode(request.body).timestamp
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        message = request.body + stamp.encode()
        wanted = [base64.b64encode(hmac.digest(secret.encode(), message, hashlib.sha256)) for secret in secrets if secret]
        return bool(stamp) and matches(request.headers.get("toast-signature", ""), wanted)

    def facts(self, request: IngressRequest) -> Sequence[Fact]:
        """One fact a call."""
        event = read_notice(request.body)
        # The header is not signed: it counts where the body names no restaurant.
        store = event.details.restaurant_guid or request.headers.get("toast-restaurant-external-id", "")
        kind, key = event.event_type or "", event.guid or hashlib.sha256(request.body).hexdigest()[:32]
        if subject := _order(event, store):
            return (Fact("pos_order.changed", subject, f"{subject}/changed/{_version(event) or key}", store),)
        if "order" in kind and kind.endswith("updated") and kind not in _STORE:
            raise Malformed(f"{kind} names no order or no restaurant")
        if kind == "menus_updated":
            return (Fact("menu.changed", "sync/menu", f"menu/{key}", store, Lane.MENU),)
        if kind in _STOCK:
            return (Fact("stock.changed", "sync/stock", f"stock/{key}", store, Lane.STOCK),)
        if kind in _STORE and store:
            return (Fact("store.changed", f"store/{store}", f"store/{store}/changed/{key}", store),)
        if kind == "partner_added" and store:
            return (Fact("store.provisioned", f"store/{store}", f"store/{store}/provisioned/{key}", store),)
        if kind == "partner_removed" and store:
            return (Fact("store.deprovisioned", f"store/{store}", f"store/{store}/deprovisioned/{key}", store),)
        return (Fact("noted", f"event/{key}", f"event/{key}", store, Lane.BULK),)

    def stored(self, facts: Sequence[Fact]) -> Answer:
        """200."""
        return Answer(200)

    def refused(self, reason: Literal["unknown_store", "bad_signature", "malformed", "not_stored"]) -> Answer:
        """Toast repeats 404, 429 and 5xx, and after many errors it stops calling for all restaurants.

        So a restaurant that nobody linked, whose calls are kept aside, is no error.
        """
        return Answer({"unknown_store": 200, "bad_signature": 401, "malformed": 400, "not_stored": 503}[reason])


def read_notice(body: bytes) -> Envelope:
    """A webhook's body; raises Malformed."""
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(str(error)) from error


def guest_status(event: Envelope, guid: str) -> str:
    """The guest's status that a call tells of an order, "" when it tells none or is about another one."""
    named = event.details.order_guid or (event.details.order.guid if event.details.order else None)
    return (event.details.guest_order_status or "") if named in (None, guid) else ""


def _order(event: Envelope, store: str) -> str:
    guid = event.details.order.guid if event.details.order else event.details.order_guid
    return f"order/{pos_id(guid, store)}" if guid and store else ""


def _version(event: Envelope) -> str:
    """A change of an order comes once more by reconcile, under its time; a guest's status under its own."""
    if event.details.guest_order_status:
        return f"{event.details.guest_order_status}/{event.details.last_updated or ''}"
    return (event.details.order.modified_date or "") if event.details.order else ""
