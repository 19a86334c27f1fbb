"""Uber Eats, simulated: the order suite (1.0.0), menus, store status, tokens and signed webhooks of one partner app."""

import hashlib
import hmac
import time
from collections.abc import Callable
from typing import ClassVar, Literal

import msgspec

from adapters._sandbox.calls import Answer, Call, Json, Route, timestamp
from adapters._sandbox.vendor import Failure
from adapters._sandbox.webhooks import Attempt

from ._sandbox_access import Tokens, unauthorized
from ._sandbox_checks import fields, moment, names, page_token, position_of, reason_of, refuse
from ._sandbox_consumers import Consumers
from ._sandbox_menu import Menu, check_price, check_suspension
from ._sandbox_orders import ENDED, Placed
from ._sandbox_promotions import Promotions

_PAGE = 50
_PARTS = frozenset({"carts", "deliveries", "payment"})
_STATES = frozenset({"OFFERED", "ACCEPTED", "HANDED_OFF", "SUCCEEDED", "FAILED"})
_STATUSES = frozenset({"SCHEDULED", "ACTIVE", "COMPLETED"})


class UberEatsSandbox(Consumers):
    """Uber's side, strict about tokens, scopes, bodies and the order of states."""

    slug = "ubereats"
    kind: ClassVar[Literal["pos", "delivery"]] = "delivery"
    webhook_timeout = 10
    # Uber's guide: 10 s, 30 s, 60 s, 120 s, ... seven sends in all; its per-event pages say 1 s, 2 s, 4 s.
    webhook_schedule = (10, 30, 60, 120, 240, 480)
    default_settings: ClassVar[dict[str, float]] = {
        "accept_deadline_s": 690,
        "token_lifetime_s": 2_592_000,
        "token_requests_per_hour": 100,
    }

    def __init__(self, seed: str | None = None) -> None:
        super().__init__(seed)
        self._tokens = Tokens(self.ids)
        self._promotions = Promotions(self._store, self.ids.uuid)
        self._client_id = self._tokens.client_id
        self._webhook: tuple[str, str] | None = None
        self.restart()

    def _add_store(self, identifier: str, name: str, currency: str) -> None:
        self._stores[identifier] = {
            "id": identifier,
            "name": name,
            "currency": currency,
            "timezone": "America/New_York",
            "status": "ONLINE",
            "offline_reason": "",
            "offline_until": "",
            "prep_time_s": 900,
            "tax_remitted_by": "MERCHANT",
            "pos_data": {
                "integration_enabled": True,
                "is_order_manager": True,
                "integrator_store_id": "",
                "integrator_brand_id": "",
                "merchant_store_id": "",
                "store_configuration_data": "",
                "require_manual_acceptance": False,
                "webhooks_config": {"webhooks_version": "1.0.0"},
            },
        }
        self._new_menu(identifier)

    def restart(self) -> None:
        super().restart()
        self._promotions.held.clear()
        self._tokens.forgive()

    # Tokens, errors, webhooks

    def failure(self, kind: Failure, detail: str) -> Answer:
        if kind in {"token_expired", "token_revoked"}:
            return unauthorized(detail)
        status, code = {
            "error": (500, "internal_server_error"),
            "rate_limited": (429, "rate_limited"),
            "not_found": (404, "not_found"),
            "bad_body": (400, "invalid_request"),
        }[kind]
        return Answer(status, {"code": code, "message": detail, "metadata": {}})

    def authenticate(self, call: Call, route: Route) -> None:
        self._tokens.check(call.bearer(), route.scope)

    def expire_all_tokens(self) -> None:
        self._tokens.expire_all()

    def app_credentials(self) -> dict[str, str]:
        scopes = "eats.store.promotion.read eats.store.promotion.write"
        return {"client_id": self._tokens.client_id, "client_secret": self._tokens.client_secret, "more_scopes": scopes}

    def connection_credentials(self) -> dict[str, str]:
        return {}

    def webhook_headers(self, attempt: Attempt) -> dict[str, str]:
        digest = hmac.digest(attempt.event.secret.encode(), attempt.event.body, hashlib.sha256)
        return {"X-Uber-Signature": digest.hex(), "X-Environment": "sandbox"}

    def webhook_failed(self, status: int) -> bool:
        return status in {500, 502, 503, 504}

    def webhooks(self) -> list[Json]:
        return [] if self._webhook is None else [{"id": "primary", "url": self._webhook[1]}]

    def add_webhook(self, url: str, secret: str | None, events: list[str] | None = None) -> Json:
        """Set the app's one webhook address; it is signed with the client secret unless another is given."""
        self._webhook = (secret or self._tokens.client_secret, url)
        return {"id": "primary", "secret": self._webhook[0]}

    def _key_and_url(self) -> tuple[str, str] | None:
        return self._webhook

    # Operations

    def routes(self) -> list[Route]:
        def alias(call: Call) -> str:
            placed = self._orders.get(call.params["id"])
            return placed.alias if placed else call.params["id"]

        def store(call: Call) -> str:
            return call.params["store"]

        def nothing(_: Call) -> str:
            return ""

        order, read, menu, status = "eats.order", "eats.store.orders.read", "eats.store", "eats.store.status.write"
        one, shop, legacy = "/v1/delivery/order/{id}", "/v1/delivery/store/{store}", "/v1/eats/store/{store}"
        menus, pos_data = "/v2/eats/stores/{store}/menus", "/v1/eats/stores/{store}/pos_data"
        promo = "eats.store.promotion."
        offers, offer = "/v1/delivery/stores/{store}", "/v1/delivery/promotions/{id}"
        tables: list[tuple[str, str, str, Callable[[Call], Answer], Callable[[Call], str], str]] = [
            ("GET", one, "order.get", self._get_order, alias, order),
            ("POST", one + "/accept", "order.accept", self._accept, alias, order),
            ("POST", one + "/deny", "order.deny", self._deny, alias, order),
            ("POST", one + "/cancel", "order.cancel", self._cancel, alias, order),
            ("POST", one + "/ready", "order.ready", self._ready, alias, order),
            ("POST", one + "/update-ready-time", "order.ready_time", self._ready_time, alias, order),
            ("GET", shop + "/orders", "orders.list", self._list_orders, store, read),
            ("PUT", menus, "menu.put", self._put_menu, store, menu),
            ("GET", menus, "menu.get", lambda call: Answer(200, self._menus[self._store(call)["id"]].body), store, menu),
            ("POST", menus + "/items/{id}", "menu.item", self._update_item, lambda call: call.params["id"], menu),
            ("GET", "/v1/delivery/stores", "stores.list", self._list_stores, nothing, menu),
            ("GET", shop, "store.get", lambda call: Answer(200, self._about(self._store(call))), store, menu),
            ("GET", shop + "/status", "store.status", self._status, store, menu),
            ("POST", shop + "/update-store-status", "store.set_status", self._set_status, store, status),
            ("POST", shop + "/update-store-prep-time", "store.prep_time", self._prep_time, store, menu),
            ("GET", legacy + "/status", "store.status", self._status, store, menu),
            ("POST", legacy + "/status", "store.set_status", self._set_status, store, status),
            ("POST", offers + "/promotion", "promotion.create", lambda c: self._promotions.create(c), store, promo + "write"),
            ("GET", offers + "/promotions", "promotion.list", lambda c: self._promotions.listed(c), store, promo + "read"),
            ("GET", offer, "promotion.get", lambda c: self._promotions.get(c), nothing, promo + "read"),
            ("POST", offer + "/revoke", "promotion.revoke", lambda c: self._promotions.revoke(c), nothing, promo + "write"),
            ("GET", pos_data, "pos_data.get", lambda call: Answer(200, self._store(call)["pos_data"]), store, menu),
            ("PATCH", pos_data, "pos_data.change", self._change_pos_data, store, menu),
        ]
        made = [Route(method, path, name, act, about, scope=scope) for method, path, name, act, about, scope in tables]
        made.append(Route("POST", "/oauth/v2/token", "oauth.token", self._token, nothing, open=True))
        return made

    def _token(self, call: Call) -> Answer:
        return Answer(200, self._tokens.grant(call, self.settings["token_lifetime_s"], self.settings["token_requests_per_hour"]))

    def _store(self, call: Call) -> Json:
        found = self._stores.get(call.params["store"])
        if found is None:
            raise refuse("not_found", f"no store {call.params['store']}", 404)
        return found

    def _order(self, call: Call) -> Placed:
        placed = self._orders.get(call.params["id"])
        if placed is None:
            raise refuse("not_found", f"no order {call.params['id']}", 404)
        return placed

    def _managed(self, call: Call) -> Placed:
        placed = self._order(call)
        if placed.store["pos_data"]["is_order_manager"] is not True:
            raise refuse("user_not_allowed", "this app is not the order manager of the store", 403)
        return placed

    def _get_order(self, call: Call) -> Answer:
        expand = {each for each in call.query.get("expand", "").split(",") if each}
        if unknown := sorted(expand - _PARTS):
            raise refuse("invalid_request", f"expand knows carts, deliveries and payment, not {unknown[0]}")
        return Answer(200, {"order": self._order(call).shown(expand)})

    def _list_orders(self, call: Call) -> Answer:
        store, query = self._store(call), call.query
        size = query.get("page_size", str(_PAGE))
        if not size.isdigit() or not 1 <= int(size) <= _PAGE:
            raise refuse("invalid_request", f"page_size is from 1 to {_PAGE}")
        states = names(query.get("state"), _STATES, "state")
        statuses = names(query.get("status"), _STATUSES, "status")
        start = moment(query["start_time"], "start_time") if query.get("start_time") else 0
        end = moment(query["end_time"], "end_time") if query.get("end_time") else float("inf")
        here = self._by_store[store["id"]]
        position = position_of(query.get("next_page_token", ""), len(here))
        page: list[Json] = []
        while position and len(page) < int(size):
            position -= 1
            placed = here[position]
            if placed.created < start:
                position = 0
            elif placed.created < end and (not states or placed.state in states) and (not statuses or placed.status in statuses):
                page.append(placed.shown(set()))
        return Answer(200, {"data": page, "pagination_data": {"page_size": len(page), "next_page_token": page_token(position)}})

    @staticmethod
    def _conflict(placed: Placed, wanted: str, *, repeats: bool = False) -> None:
        conflict = refuse("resource_status_conflict", f"order {placed.id} is {placed.state} and cannot be {wanted}", 409)
        conflict.repeats = repeats
        raise conflict

    def _body(self, call: Call) -> Json:
        return call.json() if call.body else {}

    def _accept(self, call: Call) -> Answer:
        placed, body = self._managed(call), self._body(call)
        fields(body, ready_for_pickup_time=str, external_reference_id=str, accepted_by=str, order_pickup_instructions=str)
        if body.get("ready_for_pickup_time"):
            moment(body["ready_for_pickup_time"], "ready_for_pickup_time")
        if placed.state != "OFFERED":
            accepted = any(each["state"] == "ACCEPTED" for each in placed.history)
            self._conflict(placed, "accepted", repeats=accepted and placed.external_id == (body.get("external_reference_id") or ""))
        placed.external_id = body.get("external_reference_id") or ""
        placed.ready_at = body.get("ready_for_pickup_time") or placed.ready_at
        placed.pickup_note = body.get("order_pickup_instructions") or ""
        placed.status = "ACTIVE"
        placed.move("ACCEPTED", time.time())
        return Answer(204)

    def _deny(self, call: Call) -> Answer:
        placed, body = self._managed(call), call.json()
        fields(body, deny_reason=dict)
        reason = reason_of(body, "deny_reason")
        if not reason.get("info"):
            raise refuse("invalid_request", "deny_reason.info is required")
        if placed.state != "OFFERED":
            self._conflict(placed, "denied", repeats=placed.failure.get("reason") == "POS_DENIED")
        self._fail(placed, "POS_DENIED", "MERCHANT", f"{reason['type']}: {reason['info']}")
        return Answer(204)

    def _cancel(self, call: Call) -> Answer:
        placed, body = self._managed(call), self._body(call)
        fields(body, cancellation_reason=dict)
        reason = reason_of(body, "cancellation_reason") if body else {"type": "OTHER"}
        if placed.state in ENDED:
            ended = refuse("not_found", f"order {placed.id} has ended", 404)
            ended.repeats = (placed.failure.get("reason"), placed.failure.get("failure_attributed_to_party")) == ("CANCELED", "MERCHANT")
            raise ended
        self._fail(placed, "CANCELED", "MERCHANT", f"{reason['type']}: {reason.get('info', '')}")
        return Answer(204)

    def _ready(self, call: Call) -> Answer:
        placed = self._managed(call)
        fields(self._body(call))
        if placed.state != "ACCEPTED" or placed.preparation == "READY_FOR_HANDOFF":
            self._conflict(placed, "ready", repeats=placed.preparation == "READY_FOR_HANDOFF")
        placed.preparation = "READY_FOR_HANDOFF"
        placed.log("READY_FOR_HANDOFF", time.time())
        return Answer(204)

    def _ready_time(self, call: Call) -> Answer:
        placed, body = self._managed(call), call.json()
        fields(body, ready_for_pickup_time=str)
        moment(body.get("ready_for_pickup_time"), "ready_for_pickup_time")
        if placed.state != "ACCEPTED":
            self._conflict(placed, "given another ready time")
        placed.ready_at = body["ready_for_pickup_time"]
        return Answer(204)

    def _put_menu(self, call: Call) -> Answer:
        store = self._store(call)["id"]
        menu = Menu(call.json())
        self._menus[store] = menu
        self._pushes[store].append({"at": timestamp(time.time()), "items": len(menu.items)})
        return Answer(204)

    def _update_item(self, call: Call) -> Answer:
        store, body = self._store(call)["id"], call.json()
        if not self._pushes[store]:
            raise refuse("invalid_request", "only a menu that was uploaded through the API can be changed")
        item = self._menus[store].items.get(call.params["id"])
        if item is None:
            raise refuse("not_found", f"no item {call.params['id']}", 404)
        fields(body, price_info=dict, suspension_info=dict, menu_type=str)
        if body.get("price_info") is not None:
            check_price(body["price_info"], "price_info")
        if body.get("suspension_info") is not None:
            check_suspension(body["suspension_info"], "suspension_info")
        for name in ("price_info", "suspension_info"):
            if body.get(name) is not None:
                item[name] = {**item.get(name, {}), **msgspec.json.decode(msgspec.json.encode(body[name]))}
        return Answer(204)

    @staticmethod
    def _about(store: Json) -> Json:
        shown = {name: store[name] for name in ("id", "name", "timezone", "pos_data")}
        return {**shown, "store_id": store["id"], "status": store["status"], "prep_times": {"default_value": store["prep_time_s"]}}

    def _list_stores(self, call: Call) -> Answer:
        stores = list(self._stores.values())
        if not all(call.query.get(name, "0").isdigit() for name in ("next_page_token", "page_size")):
            raise refuse("invalid_request", "page_size and next_page_token are numbers")
        position, size = int(call.query.get("next_page_token", 0)), int(call.query.get("page_size", 0)) or _PAGE
        token = str(position + size) if position + size < len(stores) else ""
        page = [self._about(each) for each in stores[position : position + size]]
        return Answer(200, {"data": page, "pagination_data": {"next_page_token": token}})

    def _status(self, call: Call) -> Answer:
        store = self._store(call)
        answer: Json = {"status": store["status"]}
        if store["status"] == "OFFLINE":
            answer.update(offline_reason=store["offline_reason"], offlineReason=store["offline_reason"])
            if store["offline_until"]:
                answer["is_offline_until"] = store["offline_until"]
        return Answer(200, answer)

    def _set_status(self, call: Call) -> Answer:
        store, body = self._store(call), call.json()
        fields(body, status=str, paused_until=str, is_offline_until=str, reason=str)
        status = {"PAUSED": "OFFLINE"}.get(body.get("status", ""), body.get("status"))
        if status not in {"ONLINE", "OFFLINE"}:
            raise refuse("invalid_request", "status is ONLINE, OFFLINE or PAUSED")
        until = body.get("is_offline_until") or body.get("paused_until") or ""
        if until:
            self.later(moment(until, "is_offline_until") - time.time(), lambda: self._reopen(store, until))
        reason = "" if status == "ONLINE" else "PAUSED_BY_API_INTEGRATION"
        store.update(status=status, offline_until=until, offline_reason=reason)
        return Answer(204)

    @staticmethod
    def _reopen(store: Json, until: str) -> None:
        if store["offline_until"] == until:
            store.update(status="ONLINE", offline_until="", offline_reason="")

    def _prep_time(self, call: Call) -> Answer:
        store, body = self._store(call), call.json()
        fields(body, default_prep_time=int)
        if not 0 < body.get("default_prep_time", 0) <= 10_800:
            raise refuse("invalid_request", "default_prep_time is seconds, up to 10800")
        store["prep_time_s"] = body["default_prep_time"]
        return Answer(204)

    def _change_pos_data(self, call: Call) -> Answer:
        store, body = self._store(call), call.json()
        if unknown := sorted(body.keys() - store["pos_data"].keys()):
            raise refuse("invalid_request", f"unknown field {unknown[0]}")
        store["pos_data"].update(body)
        return Answer(204)


SANDBOX = UberEatsSandbox
