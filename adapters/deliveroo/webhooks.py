"""Deliveroo's calls to us: signed over a sequence GUID and the raw body, told to one address for all sites of the app.

Order and menu events name their site. Rider events name only orders: they go to the connection of the site that their address
names (`/riders/<any site of the brand>`).
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from adapters.deliveroo import models
from adapters.deliveroo.mapping import courier_state, orders_of, rider_of
from hub.contract import Answer, Fact, IngressRequest, Lane, Malformed, decode, matches
from hub.contract.errors import Drifted

LEGACY = frozenset({"new_order", "cancel_order"})
_RIDERS = re.compile(r"riders/(?P<site>.+)")
_CANCELLED = frozenset({"canceled", "cancelled"})
_STORED = Answer(200)
_REFUSED = {
    # A refusal is repeated for minutes and counts towards the circuit breaker of the one address of all sites; the call is kept.
    "unknown_store": Answer(200),
    "bad_signature": Answer(401, b'{"code":"bad_signature"}'),
    "malformed": Answer(400, b'{"code":"malformed"}'),
    "not_stored": Answer(503, b'{"code":"not_stored"}'),
}


class DeliverooIngress:
    """Verify and read."""

    def signed(self, request: IngressRequest, secrets: Sequence[str]) -> bool:
        """Hex HMAC-SHA256 over GUID, a space and the raw body; the legacy events have a space, a line feed and a space."""
        guid = request.headers.get("x-deliveroo-sequence-guid", "")
        given = request.headers.get("x-deliveroo-hmac-sha256", "").strip().lower()
        if not guid or not given:
            return False
        separator = b" \n " if _name(request.body) in LEGACY else b" "
        message = guid.encode("utf-8", "replace") + separator + request.body
        return matches(given, [hmac.digest(secret.encode(), message, hashlib.sha256).hex() for secret in secrets if secret])

    def facts(self, request: IngressRequest) -> Sequence[Fact]:
        """The facts of one call; events that nobody foresaw, the legacy ones too, are noted."""
        guid = request.headers.get("x-deliveroo-sequence-guid") or hashlib.sha256(request.body).hexdigest()[:32]
        try:
            notice: models.Notice = decode(request.body, models.Notice)
            if notice.event in ("order.new", "order.status_update"):
                return (_order(notice),)
            if notice.event == "rider.status_update":
                return _rider(notice, request, guid)
            if notice.event == "menu.upload_result":
                return _menu(notice, guid)
        except Drifted as error:
            name = _name(request.body)
            if name and not name.startswith(("order.", "rider.", "menu.")):
                return (_noted(guid),)
            raise Malformed(str(error)) from error
        return (_noted(guid),)

    def stored(self, facts: Sequence[Fact]) -> Answer:
        """200 with an empty body: it means received, never accepted."""
        return _STORED

    def refused(self, reason: Literal["unknown_store", "bad_signature", "malformed", "not_stored"]) -> Answer:
        """What was not stored is to come again; what belongs to nobody is not."""
        return _REFUSED[reason]


def _name(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=models.NoticeName).event
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _noted(guid: str, store: str = "") -> Fact:
    return Fact("noted", f"event/{guid}", f"event/{guid}", store, Lane.BULK)


def _order(notice: models.Notice) -> Fact:
    order = notice.body.order
    if order is None or not order.id or order.location_id == "":
        raise Malformed(f"{notice.event} holds no order with an id and a location")
    subject, site = f"order/{order.id}", str(order.location_id)
    if notice.event == "order.new":
        return Fact("order.placed", subject, f"{subject}/placed", site, Lane.ORDER)
    if order.status in _CANCELLED:
        return Fact("order.cancelled", subject, f"{subject}/cancelled", site, Lane.CANCEL)
    return Fact("order.changed", subject, f"{subject}/changed/{order.status}", site)


def _rider(notice: models.Notice, request: IngressRequest, guid: str) -> Sequence[Fact]:
    """A sighting for each order of the trip."""
    named = _RIDERS.fullmatch(request.suffix.strip("/"))
    site = named["site"] if named else ""
    orders, news = orders_of(notice.body), rider_of(notice.body.riders)
    if not orders:
        raise Malformed("the rider event names no order")
    state = courier_state(news[1].status) if news else None
    if news is None or state is None:
        return (_noted(guid, site),)
    at = news[0].at or news[1].at
    return tuple(Fact("courier.moved", f"order/{each}", f"order/{each}/courier/{news[1].status}/{at}", site) for each in orders)


def _menu(notice: models.Notice, guid: str) -> Sequence[Fact]:
    result = notice.body.menu_upload_result
    if result is None:
        raise Malformed("menu.upload_result holds no result")
    sites = dict.fromkeys(str(site) for site in result.site_ids or [])
    job = f"job/{result.menu_id}/{guid}"
    return tuple(Fact("menu.job", f"menu/{site}", f"menu/{site}/{job}", site, Lane.MENU) for site in sites) or (_noted(guid),)
