"""Delivery Hero's calls to a plugin: what they are is in their address, who calls is in an HS512 token that signs no body."""

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from adapters.talabat import models
from hub.contract import Answer, Fact, IngressRequest, Lane, Malformed, decode, matches
from hub.contract.errors import Drifted

SERVICE = "middleware"
CATALOG_CALLBACK = "catalog-callback"
SKEW = 60.0
_STATUS = re.compile(r"remoteId/(?P<store>.+)/remoteOrder/(?P<order>.+)/posOrderStatus")
_ROUTES = {
    "order": re.compile(r"order/(?P<store>.+)"),
    "availability": re.compile(r"remoteId/(?P<store>.+)/availability"),
    "menu": re.compile(r"menuimport/(?P<store>.+)"),
    "import": re.compile(rf"{CATALOG_CALLBACK}(?:/(?P<store>.+))?"),
}
_CHANGES = frozenset({"PRODUCT_ORDER_MODIFICATION_SUCCESSFUL", "PRODUCT_ORDER_MODIFICATION_FAILED"})
_REFUSED = {
    # A 400 would cancel the order; 429 and 5xx are repeated up to ten times. Order statuses may be answered 200, 401, 404, 500, 502 only.
    "unknown_store": Answer(500, b'{"code":"unknown_store"}'),
    "bad_signature": Answer(401, b'{"code":"bad_signature"}'),
    "malformed": Answer(500, b'{"code":"malformed"}'),
    "not_stored": Answer(500, b'{"code":"not_stored"}'),
}


class TalabatIngress:
    """Verify and read. Our order id is the platform's token, so that calls about an order name it whatever we remember."""

    def signed(self, request: IngressRequest, secrets: Sequence[str]) -> bool:
        """Bearer token: HS512 over its own header and claims with the plugin secret's bytes; `service` and `exp` are checked."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        parts = token.strip().split(".")
        if scheme.lower() != "bearer" or len(parts) != 3:
            return False
        signature = _unpacked(parts[2])
        wanted = [hmac.digest(secret.encode(), f"{parts[0]}.{parts[1]}".encode(), hashlib.sha512) for secret in secrets if secret]
        if signature is None or not matches(signature, wanted):
            return False
        head, claims = _object(parts[0]), _object(parts[1])
        if head.get("alg") != "HS512" or claims.get("service") != SERVICE:
            return False
        ends = claims.get("exp")
        return ends is None or (isinstance(ends, (int, float)) and not isinstance(ends, bool) and ends > time.time() - SKEW)

    def facts(self, request: IngressRequest) -> Sequence[Fact]:
        """The facts of one call; an address or a status that nobody foresaw is noted."""
        suffix = request.suffix.strip("/")
        try:
            if found := _STATUS.fullmatch(suffix):
                return (_status(request.body, found["store"], found["order"]),)
            for name, pattern in _ROUTES.items():
                if found := pattern.fullmatch(suffix):
                    return _READERS[name](request, found["store"] or "")
        except Drifted as error:
            raise Malformed(str(error)) from error
        return (_noted(f"call/{suffix[:100]}", request.body, ""),)

    def stored(self, facts: Sequence[Fact]) -> Answer:
        """A dispatch is acknowledged with our order id, which accepts nothing; a wish for a menu is answered 202, all else 200."""
        for fact in facts:
            if fact.kind == "order.placed":
                remote = {"remoteResponse": {"remoteOrderId": fact.subject.removeprefix("order/")}}
                return Answer(200, msgspec.json.encode(remote))
            if fact.kind == "menu.wanted":
                return Answer(202)
        return Answer(200)

    def refused(self, reason: Literal["unknown_store", "bad_signature", "malformed", "not_stored"]) -> Answer:
        """One of the few answers that Delivery Hero takes."""
        return _REFUSED[reason]


def _unpacked(text: str) -> bytes | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None


def _object(text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(_unpacked(text) or b"")
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:24]


def _noted(subject: str, body: bytes, store: str) -> Fact:
    return Fact("noted", subject, f"{subject}/noted/{_digest(body)}", store, Lane.BULK)


def _placed(request: IngressRequest, store: str) -> Sequence[Fact]:
    order = models.order_in(request.body)
    if order is None or not order.token:
        raise Malformed("the dispatched order has no token")
    subject = f"order/{order.token}"
    return (Fact("order.placed", subject, f"{subject}/placed", store, Lane.ORDER),)


def _status(body: bytes, store: str, order: str) -> Fact:
    status = decode(body, models.StatusNotice).status
    if not status:
        raise Malformed("the order status is empty")
    subject = f"order/{order}"
    if status == "ORDER_CANCELLED":
        return Fact("order.cancelled", subject, f"{subject}/cancelled", store, Lane.CANCEL)
    if status == "ORDER_PICKED_UP":
        return Fact("order.changed", subject, f"{subject}/changed/picked_up", store)
    if status == "COURIER_ARRIVED_AT_VENDOR":
        return Fact("courier.moved", subject, f"{subject}/courier/arrived", store)
    if status in _CHANGES:
        return Fact("order.changed", subject, f"{subject}/changed/{_digest(body)}", store)
    return _noted(subject, body, store)


def _closed(request: IngressRequest, store: str) -> Sequence[Fact]:
    return (Fact("store.changed", f"store/{store}", f"store/{store}/changed/{_digest(request.body)}", store),)


def _menu_wanted(request: IngressRequest, store: str) -> Sequence[Fact]:
    wanted = request.query.get("menuImportId")
    if not wanted:
        raise Malformed("a wish for a menu has a menuImportId")
    return (Fact("menu.wanted", f"menu/{store}", f"menu/{store}/wanted/{wanted}", store, Lane.MENU),)


def _imported(request: IngressRequest, store: str) -> Sequence[Fact]:
    notice: models.ImportNotice = decode(request.body, models.ImportNotice)
    told = [str(each.pos_vendor_id) for each in notice.details or [] if each.pos_vendor_id is not None]
    ending = f"job/{notice.catalog_import_id}/{notice.status}/{_digest(request.body)}"
    return tuple(
        Fact("menu.job", f"menu/{each}", f"menu/{each}/{ending}", each, Lane.MENU) for each in dict.fromkeys(told or [store]) if each
    ) or (_noted(f"import/{notice.catalog_import_id}", request.body, store),)


_READERS = {"order": _placed, "availability": _closed, "menu": _menu_wanted, "import": _imported}
