"""DoorDash's calls to us: unsigned but for a secret in Authorization, told apart by the address they are sent to.

An order's call is answered 202: only the later PATCH confirms it. A 200 would, which is why an answer nobody is sure of is 202 too.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from adapters.doordash import models
from adapters.doordash.menu import store_menu
from adapters.doordash.models import text
from hub.contract import Answer, Fact, IngressRequest, Lane, Malformed, Misconfigured, matches
from hub.model import CourierState, Menu, OrderState

PULL = "menu_request"
COURIER_STATES: Mapping[str, CourierState] = {
    "dasher_confirmed": "assigned",
    "arriving_at_store": "near",
    "arrived_at_store": "arrived",
    "dasher_out_for_delivery": "picked_up",
    "dropoff": "delivered",
}
ORDER_STATES: Mapping[str, OrderState] = {
    "dasher_out_for_delivery": OrderState.PICKED_UP,
    "dropoff": OrderState.DELIVERED,
}
_DECODER = msgspec.json.Decoder(models.Notice)
# Facts whose calls are certainly no order.
_PLAIN = frozenset({"order.cancelled", "order.changed", "courier.moved", "menu.job", "store.changed"})
_REFUSED = {
    # Anything but a 2xx fails an order at DoorDash at once; it is not known to repeat a call.
    "unknown_store": Answer(404, b'{"code":"not_found","message":"no such store here"}'),
    "bad_signature": Answer(401, b'{"code":"unauthenticated","message":"wrong Authorization"}'),
    "malformed": Answer(400, b'{"code":"bad_request","message":"malformed"}'),
    "not_stored": Answer(503, b'{"code":"unavailable","message":"not stored"}'),
}


class DoorDashIngress:
    """Verify and read; a call without a suffix is told by its shape."""

    def signed(self, request: IngressRequest, secrets: Sequence[str]) -> bool:
        """The secret itself, or as a bearer token."""
        wanted = [form for secret in secrets if secret for form in (secret, f"Bearer {secret}")]
        return matches(request.headers.get("authorization", ""), wanted)

    def facts(self, request: IngressRequest) -> Sequence[Fact]:
        """The facts of one call; an unknown one is noted."""
        head, _, rest = request.suffix.strip("/").partition("/")
        if head == PULL:
            pulled = pull_of(request)
            store = pulled[1] if pulled else rest
            return (_noted(f"menu/{store}", store, str(sorted(request.query.items())).encode()),)
        try:
            notice = _DECODER.decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Malformed(str(error)) from error
        name = head or shape_of(notice)
        read = _READERS.get(name)
        return read(notice, request.body) if read else (_noted(f"call/{name[:100]}", _store(notice), request.body),)

    def stored(self, facts: Sequence[Fact]) -> Answer:
        """200 for what is certainly no order; 202, which confirms nothing, for the rest."""
        return Answer(200) if facts and all(fact.kind in _PLAIN for fact in facts) else Answer(202)

    def refused(self, reason: Literal["unknown_store", "bad_signature", "malformed", "not_stored"]) -> Answer:
        """Never a 2xx."""
        return _REFUSED[reason]


class DoorDashMenus:
    """Hands out the menu when DoorDash pulls it, from `menu_request/<provider type>/<store>`.

    The document names the provider type, and nothing but the registered address tells it here.
    """

    def wanted(self, request: IngressRequest) -> str | None:
        """The store whose menu is asked for."""
        pulled = pull_of(request)
        return pulled[1] if pulled else None

    def document(self, store_ref: str, menu: Menu, request: IngressRequest) -> Answer:
        """The store's one menu, as an update where a single one is asked for by its id."""
        pulled = pull_of(request)
        if pulled is None or not pulled[0]:
            return Answer(404, b'{"message":"register the address with the provider type: .../menu_request/<provider type>"}')
        try:
            body = store_menu(store_ref, menu)
        except Misconfigured as error:
            return Answer(500, msgspec.json.encode({"message": str(error)}))
        ids = [each for each in request.query.get("ids", "").split(",") if each]
        entry = {"reference": f"pull-{_digest(msgspec.json.encode(body))}", **body}
        if len(ids) == 1:
            entry = {"id": ids[0], **entry}
        store = {"merchant_supplied_id": store_ref, "provider_type": pulled[0]}
        return Answer(200, msgspec.json.encode({"store": store, "menus": [entry]}))


def pull_of(request: IngressRequest) -> tuple[str, str] | None:
    """Provider type ("" where the address does not say) and store of a pull; None for any other call."""
    head, _, rest = request.suffix.strip("/").partition("/")
    if request.method != "GET" or head != PULL or not rest:
        return None
    provider, slash, store = rest.partition("/")
    return (provider, store) if slash else ("", rest)


def shape_of(notice: models.Notice) -> str:
    """The suffix that a call should have been sent to, by what is in it; "" when nothing tells."""
    kind = ((notice.event.type if notice.event else None) or "").lower()
    if notice.order is not None:
        return "order_adjustment" if "adjust" in kind else "orders"
    if notice.delivery is not None:
        return "dasher_status"
    if notice.external_order_id is not None:
        released = notice.dasher is not None or notice.distance_from_store != models.ABSENT
        return "order_release" if released else "order_canceled"
    if notice.menu is not None or kind.startswith("menu"):
        return "menu_status"
    return "store_deactivated" if notice.reason_id is not None or "deactivated" in kind else ""


def order_id(notice: models.Notice) -> str:
    """The order that a call is about, wherever it names it; "" for none."""
    delivery = notice.delivery.external_order_id if notice.delivery else None
    return text(notice.order.id if notice.order else None) or text(notice.external_order_id) or text(delivery)


def _store(notice: models.Notice) -> str:
    places = (notice.store, notice.order.store if notice.order else None)
    named = next((text(each.merchant_supplied_id) for each in places if each and text(each.merchant_supplied_id)), "")
    return named or text(notice.delivery.location_id if notice.delivery else None)


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:24]


def _noted(subject: str, store: str, body: bytes) -> Fact:
    return Fact("noted", subject, f"{subject}/noted/{_digest(body)}", store, Lane.BULK)


def _subject(notice: models.Notice) -> str:
    found = order_id(notice)
    if not found:
        raise Malformed("the call names no order")
    return f"order/{found}"


def _placed(notice: models.Notice, body: bytes) -> Sequence[Fact]:
    if notice.order is None:
        raise Malformed("an order's call holds no order")
    subject = _subject(notice)
    return (Fact("order.placed", subject, f"{subject}/placed", _store(notice), Lane.ORDER),)


def _cancelled(notice: models.Notice, body: bytes) -> Sequence[Fact]:
    subject = _subject(notice)
    return (Fact("order.cancelled", subject, f"{subject}/cancelled", _store(notice), Lane.CANCEL),)


def _released(notice: models.Notice, body: bytes) -> Sequence[Fact]:
    """The Dasher comes near: nobody has begun to cook by that."""
    subject = _subject(notice)
    return (Fact("courier.moved", subject, f"{subject}/courier/release", _store(notice)),)


def _adjusted(notice: models.Notice, body: bytes) -> Sequence[Fact]:
    subject = _subject(notice)
    return (Fact("order.changed", subject, f"{subject}/changed/{_digest(body)}", _store(notice)),)


def _dashed(notice: models.Notice, body: bytes) -> Sequence[Fact]:
    """Where the Dasher is, and the order's own state where that follows; another Dasher's turn is another fact."""
    subject, store = _subject(notice), _store(notice)
    status = (notice.delivery.dasher_status if notice.delivery else None) or ""
    if status not in COURIER_STATES:
        return (_noted(subject, store, body),)
    when = notice.created_at or _digest(body)
    moved = Fact("courier.moved", subject, f"{subject}/courier/{status}/{when}", store)
    if status not in ORDER_STATES:
        return (moved,)
    return (moved, Fact("order.changed", subject, f"{subject}/changed/{ORDER_STATES[status].value}", store))


def _worked(notice: models.Notice, body: bytes) -> Sequence[Fact]:
    store = _store(notice)
    if notice.event is None or not store:
        raise Malformed("a menu's status names its store and has an event")
    subject = f"menu/{store}"
    job = f"{text(notice.event.reference)}/{(notice.event.status or '').lower()}/{_digest(body)}"
    return (Fact("menu.job", subject, f"{subject}/job/{job}", store, Lane.MENU),)


def _deactivated(notice: models.Notice, body: bytes) -> Sequence[Fact]:
    store = _store(notice)
    if not store:
        raise Malformed("a deactivation names its store")
    return (Fact("store.changed", f"store/{store}", f"store/{store}/changed/{_digest(body)}", store),)


_READERS: Mapping[str, Callable[[models.Notice, bytes], Sequence[Fact]]] = {
    "orders": _placed,
    "order_canceled": _cancelled,
    "order_release": _released,
    "order_adjustment": _adjusted,
    "dasher_status": _dashed,
    "menu_status": _worked,
    "store_deactivated": _deactivated,
}
