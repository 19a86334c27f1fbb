"""Uber Eats' calls to us: signed with the app's client secret over the raw body, thin, told to one address for all stores."""

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from adapters.ubereats.models import Notice, NoticeLink
from hub.contract import Answer, Fact, FactKind, IngressRequest, Lane, Malformed
from hub.model import CourierState

_DECODER = msgspec.json.Decoder(Notice)
_LINK_DECODER = msgspec.json.Decoder(NoticeLink)
_ID = re.compile(r"[0-9A-Za-z_-]{1,100}")
_PLACED: tuple[FactKind, str, Lane] = ("order.placed", "placed", Lane.ORDER)
_CANCELLED: tuple[FactKind, str, Lane] = ("order.cancelled", "cancelled", Lane.CANCEL)
_CHANGED: tuple[FactKind, str, Lane] = ("order.changed", "", Lane.STATUS)
_DELIVERY = "delivery.state_changed"
COURIER_STATES: Mapping[str, CourierState] = {
    "EN_ROUTE_TO_PICKUP": "assigned",
    "ARRIVED_AT_PICKUP": "arrived",
    "EN_ROUTE_TO_DROPOFF": "picked_up",
    "COMPLETED": "delivered",
    "FAILED": "failed",
}
"""Steps of a delivery that tell where its courier is."""
# Spellings differ between documents and live code.
_ORDER_EVENTS = {
    "orders.notification": _PLACED,
    "orders.scheduled.notification": _PLACED,
    "orders.cancel": _CANCELLED,
    "order.cancel": _CANCELLED,
    "orders.failure": _CANCELLED,
    "orders.failed": _CANCELLED,
    "order.failure": _CANCELLED,
    "order.failed": _CANCELLED,
    "orders.release": _CHANGED,
    "order.release": _CHANGED,
    _DELIVERY: _CHANGED,
}
_STORE_EVENTS: dict[str, FactKind] = {"store.provisioned": "store.provisioned", "store.deprovisioned": "store.deprovisioned"}
_STORED = Answer(200)
_REFUSED = {
    # Uber repeats 500, 502, 503 and 504 for minutes, longer than nobody has claimed the store: a 404 ends it and shows in its dashboard.
    "unknown_store": Answer(404, b'{"code":"unknown_store"}'),
    "bad_signature": Answer(401, b'{"code":"bad_signature"}'),
    "malformed": Answer(400, b'{"code":"malformed"}'),
    "not_stored": Answer(503, b'{"code":"not_stored"}'),
}


class UberEatsIngress:
    """Verify and read; the order id is the last part of `resource_href`'s path, whose host is never called."""

    def signed(self, request: IngressRequest, secrets: Sequence[str]) -> bool:
        """Lower-case hex HMAC-SHA256 of the raw body."""
        given = request.headers.get("x-uber-signature", "").encode("utf-8", "replace")
        found = False
        for secret in filter(None, secrets):
            wanted = hmac.digest(secret.encode(), request.body, "sha256").hex().encode()
            found |= hmac.compare_digest(wanted, given)
        return found

    def facts(self, request: IngressRequest) -> Sequence[Fact]:
        """One fact a call; a step of a delivery is news of its courier and of its order."""
        try:
            notice = _DECODER.decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Malformed(str(error)) from error
        fact = self._fact(notice)
        if notice.event_type == _DELIVERY and notice.current_state in COURIER_STATES:
            return (Fact("courier.moved", fact.subject, f"{fact.subject}/courier/{notice.event_id}", fact.store_ref, Lane.STATUS), fact)
        return (fact,)

    def _fact(self, notice: Notice) -> Fact:
        store = (notice.meta.user_id if notice.meta else None) or notice.store_id or ""
        event = _ORDER_EVENTS.get(notice.event_type)
        if event is not None:
            kind, suffix, lane = event
            subject = f"order/{order_id(notice)}"
            return Fact(kind, subject, f"{subject}/{suffix or 'changed/' + notice.event_id}", store, lane)
        provision = _STORE_EVENTS.get(notice.event_type)
        if provision is not None:
            if not store:
                raise Malformed(f"{notice.event_type} names no store")
            return Fact(provision, f"store/{store}", f"store/{store}/{notice.event_id}", store)
        if notice.event_type == "store.status.changed" and store:
            return Fact("store.changed", f"store/{store}", f"store/{store}/changed/{notice.event_id}", store)
        if notice.event_type == "store.menu_refresh_request" and store:
            return Fact("menu.wanted", f"menu/{store}", f"menu/{store}/wanted/{notice.event_id}", store, Lane.MENU)
        return Fact("noted", f"event/{notice.event_id}", f"event/{notice.event_id}", store, Lane.BULK)

    def stored(self, facts: Sequence[Fact]) -> Answer:
        """200 with an empty body: it means received, never accepted."""
        return _STORED

    def refused(self, reason: Literal["unknown_store", "bad_signature", "malformed", "not_stored"]) -> Answer:
        """Uber repeats 500, 502, 503 and 504 only, so only what was not stored is answered so."""
        return _REFUSED[reason]


def order_id(notice: Notice) -> str:
    """The order's id: from the path of `resource_href`, else `meta.resource_id`; raises Malformed when there is none that can be one."""
    steps = (notice.resource_href or "").partition("?")[0].rstrip("/").rsplit("/", 2)
    found = steps[2] if len(steps) == 3 and steps[1] in ("order", "orders") else (notice.meta.resource_id if notice.meta else None) or ""
    if not _ID.fullmatch(found):
        raise Malformed(f"{notice.event_type} names no order: {found[:100]!r}")
    return found


def told_at(notice: Notice) -> datetime | None:
    """When it happened: in seconds as documented, in milliseconds as seen; by the size it is one or the other."""
    at = notice.event_time
    return datetime.fromtimestamp(at / 1000 if at > 1e11 else at, UTC) if at is not None and 0 < at < 1e14 else None


def is_legacy(body: bytes) -> bool:
    """Tell whether a notice links to the legacy API (`/v2/eats/order/...`)."""
    try:
        href = _LINK_DECODER.decode(body).resource_href or ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return "/eats/order" in href.partition("?")[0]
