"""Square, simulated: one seller with two locations, its catalog, orders, payments, inventory, tokens and webhooks."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import msgspec

from adapters._sandbox.calls import Answer, Call, ControlError, Json, Refused, Route, timestamp
from adapters._sandbox.vendor import Failure
from adapters._sandbox.webhooks import Attempt, Event

from . import _sandbox_bodies as bodies
from ._sandbox_access import EVENT_TYPES, Subscriptions, Tokens, unauthorized
from ._sandbox_catalog import FIRST_LOCATION, SECOND_LOCATION, Catalog
from ._sandbox_checks import checked, refuse
from ._sandbox_drafts import Drafts
from ._sandbox_orders import Kept, Orders
from ._sandbox_payments import Payments
from ._sandbox_staff import StaffedSandbox
from ._sandbox_stock import Stock

_CATALOG_PAGE = 10
_DATA_TYPES = {"order.created": "order_created", "order.updated": "order_updated", "order.fulfillment.updated": "order_fulfillment_updated"}


def _cursor(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def _place(cursor: str | None) -> Any:
    if not cursor:
        return None
    try:
        return json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except ValueError as error:
        raise refuse("INVALID_CURSOR", "The cursor is not one of ours", "cursor") from error


class SquareSandbox(StaffedSandbox):
    """Square's side. Bodies, error codes and limits are those of its published specification (2025-08-20)."""

    slug = "square"
    kind: ClassVar[Literal["pos", "delivery"]] = "pos"
    narrows = True
    webhook_timeout = 10
    webhook_schedule = (60, 120, 240, 480, 960, 1920, 3600, 7200, 14400, 28800, 28800)
    default_settings: ClassVar[dict[str, float]] = {"token_lifetime_s": 30 * 86_400, "catalog_page": _CATALOG_PAGE}

    def __init__(self, seed: str | None = None) -> None:
        super().__init__(seed)
        self._merchant = "MLSBX7SELLER1"
        self._tokens = Tokens(self.ids, self._merchant)
        self._subscriptions = Subscriptions(self.ids)
        self._narrowed: dict[str, frozenset[str]] = {}
        self.restart()

    def restart(self) -> None:
        self._locations: dict[str, Json] = {}
        self._catalog = Catalog()
        self._add_location(FIRST_LOCATION, "Harbour Street Kitchen", "America/New_York", "USD")
        self._add_location(SECOND_LOCATION, "Old Mill Café", "America/Chicago", "USD")

        def new_id() -> str:
            return self.ids.text(24)

        drafts = Drafts(self._catalog, lambda: self.ids.text(22))
        self._orders = Orders(drafts, self._locations, self._tell, new_id)
        self._payments = Payments(self._orders, lambda location: str(self._locations[location]["currency"]), self._tell, new_id)
        self._stock = Stock(self._catalog, self._locations, self._tell, new_id)
        self._done: dict[tuple[str, str], tuple[bytes, bytes]] = {}

    def _add_location(self, identifier: str, name: str, timezone: str, currency: str) -> None:
        self._locations[identifier] = {
            "id": identifier,
            "name": name,
            "address": {"address_line_1": "12 Harbour Street", "locality": "Springfield", "postal_code": "01103", "country": "US"},
            "timezone": timezone,
            "capabilities": ["CREDIT_CARD_PROCESSING"],
            "status": "ACTIVE",
            "created_at": "2025-08-24T10:00:00Z",
            "merchant_id": self._merchant,
            "country": "US",
            "language_code": "en-US",
            "currency": currency,
            "business_name": name,
            "type": "PHYSICAL",
            "mcc": "5812",
        }

    # Tokens, errors, webhooks

    def failure(self, kind: Failure, detail: str) -> Answer:
        if kind == "token_expired":
            return unauthorized("ACCESS_TOKEN_EXPIRED", detail)
        if kind == "token_revoked":
            return unauthorized("ACCESS_TOKEN_REVOKED", detail)
        status, category, code = {
            "error": (500, "API_ERROR", "INTERNAL_SERVER_ERROR"),
            "rate_limited": (429, "RATE_LIMIT_ERROR", "RATE_LIMITED"),
            "not_found": (404, "INVALID_REQUEST_ERROR", "NOT_FOUND"),
            "bad_body": (400, "INVALID_REQUEST_ERROR", "EXPECTED_JSON_BODY"),
        }[kind]
        return Answer(status, {"errors": [{"category": category, "code": code, "detail": detail}]})

    def authenticate(self, call: Call, route: Route) -> None:
        self._tokens.check(call.bearer())

    def expire_all_tokens(self) -> None:
        self._tokens.expire_all()

    def app_credentials(self) -> dict[str, str]:
        return {"client_id": self._tokens.client_id, "client_secret": self._tokens.client_secret}

    def connection_credentials(self) -> dict[str, str]:
        return {"access_token": self._tokens.current, "refresh_token": self._tokens.refresh_token}

    def webhook_headers(self, attempt: Attempt) -> dict[str, str]:
        event = attempt.event
        digest = hmac.digest(event.secret.encode(), event.url.encode() + event.body, hashlib.sha256)
        again = {"square-retry-number": str(attempt.number), "square-retry-reason": attempt.reason} if attempt.number else {}
        return {
            "x-square-hmacsha256-signature": base64.b64encode(digest).decode(),
            "square-environment": "Sandbox",
            "square-initial-delivery-timestamp": timestamp(attempt.first_at),
            **again,
        }

    def webhooks(self) -> list[Json]:
        return [{"id": each["id"], "url": each["notification_url"]} for each in self._subscriptions.held.values()]

    def add_webhook(self, url: str, secret: str | None, events: list[str] | None = None) -> Json:
        for each in [each for each in self._subscriptions.held.values() if each["notification_url"] == url]:
            self._subscriptions.delete(each["id"])
        body = {"subscription": {"name": "control", "event_types": events or list(EVENT_TYPES), "notification_url": url}}
        try:
            made = self._subscriptions.create(body, secret)
        except Refused as refused:
            raise ControlError(400, refused.reason) from refused
        return {"id": made["id"], "secret": made["signature_key"]}

    def narrow_webhook(self, webhook: str, stores: list[str]) -> None:
        self._subscriptions.get(webhook)
        self._narrowed[webhook] = frozenset(stores)

    def _tell(self, kind: str, subject: str, data: Json) -> None:
        wanting = self._subscriptions.wanting(kind)
        if self._narrowed and (kept := self._orders.kept.get(subject)) is not None:
            location = kept.order["location_id"]
            wanting = [each for each in wanting if location in self._narrowed.get(each["id"], (location,))]
        if not wanting:
            return
        body = msgspec.json.encode(
            {
                "merchant_id": self._merchant,
                "type": kind,
                "event_id": self.ids.uuid(),
                "created_at": timestamp(time.time()),
                "data": {
                    "type": _DATA_TYPES.get(kind, kind.split(".")[0]),
                    **({"id": subject} if subject else {}),
                    **({"object": data} if data else {}),
                },
            }
        )
        about = self._alias(subject)
        for each in wanting:
            self.emit(Event(each["notification_url"], each["signature_key"], body, kind, about))

    def _alias(self, subject: str) -> str:
        """What a subject is called by the fault switches: an order's own reference, the same in every run."""
        order = self._orders.payments.get(subject, {}).get("order_id", subject)
        kept = self._orders.kept.get(order)
        return str(kept.order.get("reference_id", order)) if kept else subject

    # Operations

    def routes(self) -> list[Route]:
        def path(name: str) -> Callable[[Call], str]:
            return lambda call: self._alias(call.params[name])

        def key(call: Call) -> str:
            return call.peek("idempotency_key")

        def nothing(_: Call) -> str:
            return ""

        def reference(call: Call) -> str:
            return call.peek("order", "reference_id") or key(call)

        tables: list[tuple[str, str, str, Callable[[Call], Any], Callable[[Call], str]]] = [
            ("GET", "/v2/locations", "locations.list", lambda _: {"locations": list(self._locations.values())}, nothing),
            ("GET", "/v2/locations/{id}", "locations.get", self._get_location, path("id")),
            ("GET", "/v2/catalog/list", "catalog.list", self._list_catalog, lambda call: call.query.get("cursor", "")),
            ("GET", "/v2/catalog/object/{id}", "catalog.get", self._get_object, path("id")),
            ("POST", "/v2/orders", "orders.create", self._create_order, reference),
            ("POST", "/v2/orders/calculate", "orders.calculate", self._calculate, reference),
            ("POST", "/v2/orders/search", "orders.search", self._search, nothing),
            ("POST", "/v2/orders/batch-retrieve", "orders.batch_get", self._batch, nothing),
            ("GET", "/v2/orders/{id}", "orders.get", lambda call: self._order(self._orders.get(call.params["id"])), path("id")),
            ("PUT", "/v2/orders/{id}", "orders.update", self._update_order, path("id")),
            ("POST", "/v2/orders/{id}/pay", "orders.pay", self._pay, path("id")),
            ("GET", "/v2/payments", "payments.list", self._list_payments, nothing),
            ("POST", "/v2/payments", "payments.create", self._create_payment, lambda call: self._alias(call.peek("order_id"))),
            ("GET", "/v2/payments/{id}", "payments.get", lambda call: {"payment": self._payments.get(call.params["id"])}, path("id")),
            (
                "POST",
                "/v2/payments/{id}/cancel",
                "payments.cancel",
                lambda c: {"payment": self._payments.cancel(c.params["id"])},
                path("id"),
            ),
            (
                "POST",
                "/v2/payments/{id}/complete",
                "payments.complete",
                lambda c: {"payment": self._payments.complete(c.params["id"])},
                path("id"),
            ),
            ("POST", "/v2/refunds", "refunds.create", self._create_refund, lambda call: self._alias(call.peek("payment_id"))),
            ("POST", "/v2/inventory/changes/batch-create", "inventory.change", self._change_inventory, key),
            ("POST", "/v2/inventory/counts/batch-retrieve", "inventory.counts", self._counts, nothing),
            ("GET", "/v2/webhooks/subscriptions", "webhooks.list", self._list_subscriptions, nothing),
            ("POST", "/v2/webhooks/subscriptions", "webhooks.create", self._subscribe, key),
            ("GET", "/v2/webhooks/subscriptions/{id}", "webhooks.get", self._get_subscription, path("id")),
            ("PUT", "/v2/webhooks/subscriptions/{id}", "webhooks.update", self._change_subscription, path("id")),
            ("DELETE", "/v2/webhooks/subscriptions/{id}", "webhooks.delete", self._unsubscribe, path("id")),
            ("POST", "/v2/webhooks/subscriptions/{id}/signature-key", "webhooks.renew_key", self._renew_key, path("id")),
        ]
        made = [Route(method, pattern, name, self._answering(act), about) for method, pattern, name, act, about in tables]
        token = self._answering(lambda call: self._tokens.grant(call.json(), self.settings["token_lifetime_s"]))
        made.append(Route("POST", "/oauth2/token", "oauth.token", token, lambda call: call.peek("grant_type"), open=True))
        made.append(Route("GET", "/oauth2/authorize", "oauth.authorize", lambda call: self._tokens.authorize(call), nothing, open=True))
        return made

    @staticmethod
    def _answering(act: Callable[[Call], Json | bytes]) -> Callable[[Call], Answer]:
        return lambda call: Answer(200, act(call))

    def _once(self, call: Call, operation: str, check: Callable[[Any, str], None], effect: Callable[[Json], Json]) -> Json | bytes:
        """Do an effect once for each idempotency key; the same key with another body is refused."""
        body = checked(check, call.json())
        key = body.get("idempotency_key")
        if not key:
            return effect(body)
        if (before := self._done.get((operation, key))) is not None:
            if before[0] != call.body and json.loads(before[0]) != body:
                detail = "The idempotency key was used before with another request"
                raise refuse("IDEMPOTENCY_KEY_REUSED", detail, "idempotency_key")
            return before[1]
        answer = msgspec.json.encode(effect(body))
        self._done[operation, key] = (call.body, answer)
        return answer

    @staticmethod
    def _order(kept: Kept) -> Json:
        return {"order": kept.order}

    def _get_location(self, call: Call) -> Json:
        found = self._locations.get(call.params["id"])
        if found is None:
            raise refuse("NOT_FOUND", f"No location {call.params['id']}", "location_id", 404)
        return {"location": found}

    def _list_catalog(self, call: Call) -> Json:
        kinds = {each.strip().upper() for each in call.query.get("types", "").split(",") if each.strip()}
        begin = _place(call.query.get("cursor")) or 0
        listed = self._catalog.listed(kinds)
        size = int(self.settings["catalog_page"]) or _CATALOG_PAGE
        more = {"cursor": _cursor(begin + size)} if begin + size < len(listed) else {}
        return {"objects": listed[begin : begin + size], **more}

    def _get_object(self, call: Call) -> Json:
        found = self._catalog.objects.get(call.params["id"])
        if found is None:
            raise refuse("NOT_FOUND", f"Object not found: {call.params['id']}", "object_id", 404)
        return {"object": found}

    def _create_order(self, call: Call) -> Json | bytes:
        return self._once(call, "order", bodies.CREATE_ORDER, lambda body: self._order(self._orders.create(body["order"])))

    def _calculate(self, call: Call) -> Json:
        return {"order": self._orders.calculate(checked(bodies.CALCULATE_ORDER, call.json())["order"])}

    def _update_order(self, call: Call) -> Json | bytes:
        def effect(body: Json) -> Json:
            return self._order(self._orders.update(call.params["id"], body["order"], body.get("fields_to_clear") or []))

        return self._once(call, f"update {call.params['id']}", bodies.UPDATE_ORDER, effect)

    def _pay(self, call: Call) -> Json | bytes:
        return self._once(call, "pay", bodies.PAY_ORDER, lambda body: self._order(self._payments.pay(call.params["id"], body)))

    def _create_payment(self, call: Call) -> Json | bytes:
        return self._once(call, "payment", bodies.CREATE_PAYMENT, lambda body: {"payment": self._payments.create(body)})

    def _list_payments(self, call: Call) -> Json:
        page, more = self._payments.find(call.query, next(iter(self._locations)), _place(call.query.get("cursor")) or 0)
        return {"payments": page, **({"cursor": _cursor(more)} if more else {})}

    def _create_refund(self, call: Call) -> Json | bytes:
        return self._once(call, "refund", bodies.CREATE_REFUND, lambda body: {"refund": self._payments.refund(body)})

    def _search(self, call: Call) -> Json:
        body = checked(bodies.SEARCH_ORDERS, call.json())
        limit = body.get("limit") or 500
        if not 1 <= limit <= 1000:
            raise refuse("INVALID_VALUE", "limit is from 1 to 1000", "limit")
        if not body["location_ids"]:
            raise refuse("ARRAY_EMPTY", "At least one location", "location_ids")
        for identifier in body["location_ids"]:
            if identifier not in self._locations:
                raise refuse("INVALID_LOCATION", f"No location {identifier}", "location_ids")
        page, more = self._orders.search(body["location_ids"], body.get("query") or {}, limit, _place(body.get("cursor")))
        following = {"cursor": _cursor(more)} if more else {}
        if body.get("return_entries"):
            entries = [{"order_id": k.order["id"], "version": k.order["version"], "location_id": k.order["location_id"]} for k in page]
            return {"order_entries": entries, **following}
        return {"orders": [kept.order for kept in page], **following}

    def _batch(self, call: Call) -> Json:
        identifiers = call.json().get("order_ids")
        if not isinstance(identifiers, list) or not 1 <= len(identifiers) <= 100:
            raise refuse("INVALID_VALUE", "order_ids has 1 to 100 ids", "order_ids")
        return {"orders": [self._orders.kept[each].order for each in identifiers if each in self._orders.kept]}

    def _change_inventory(self, call: Call) -> Json | bytes:
        return self._once(call, "inventory", bodies.CHANGE_INVENTORY, self._stock.change)

    def _counts(self, call: Call) -> Json:
        body = checked(bodies.COUNTS, call.json())
        counts, more = self._stock.find(body, _place(body.get("cursor")) or 0, body.get("limit") or 1000)
        return {"counts": counts, **({"cursor": _cursor(more)} if more else {})}

    def _list_subscriptions(self, _: Call) -> Json:
        return {"subscriptions": [self._subscriptions.public(each) for each in self._subscriptions.held.values()]}

    def _subscribe(self, call: Call) -> Json | bytes:
        return self._once(call, "subscribe", bodies.SUBSCRIBE, lambda body: {"subscription": dict(self._subscriptions.create(body))})

    def _get_subscription(self, call: Call) -> Json:
        return {"subscription": self._subscriptions.public(self._subscriptions.get(call.params["id"]))}

    def _change_subscription(self, call: Call) -> Json:
        return {"subscription": self._subscriptions.public(self._subscriptions.change(call.params["id"], call.json()))}

    def _unsubscribe(self, call: Call) -> Json:
        self._subscriptions.delete(call.params["id"])
        return {}

    def _renew_key(self, call: Call) -> Json:
        return {"signature_key": self._subscriptions.renew_key(call.params["id"])}


SANDBOX = SquareSandbox
