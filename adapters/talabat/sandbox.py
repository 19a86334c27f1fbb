"""Talabat, simulated: Delivery Hero's POS middleware (v2) and the calls it makes to the plugin that a hub hosts."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from adapters._sandbox.calls import Answer, Call, ControlError, Json, Refused, Route, seconds, timestamp
from adapters._sandbox.tokens import TokenDesk, form
from adapters._sandbox.vendor import Failure
from adapters._sandbox.webhooks import Attempt, Event

from ._sandbox_callbacks import Callbacks, moment, refuse
from ._sandbox_catalog import Catalog, CatalogError
from ._sandbox_orders import ACCEPTED, CANCELLED, PICKED_UP, RECEIVED, TRANSPORT, UNACKNOWLEDGED, WAITING

_CHAIN = "tb-sandbox-chain"
_KEY, _PLATFORM, _TYPE = "TB", "12", "TALABAT"
_SETTABLE = ("CLOSED_UNTIL", "CLOSED", "OPEN")
_CLOSING_REASONS = ("TOO_BUSY_KITCHEN", "CLOSED", "TOO_BUSY_NO_DRIVERS", "TECHNICAL_PROBLEM", "UPDATES_IN_MENU", "OTHER")
_CLOSING_MINUTES = (240, 720, 120, 60, 30)
_DAY = 86_400
_LOGS_KEPT = 500


def _catalog_refuse(message: str, status: int = 400) -> Refused:
    return Refused(Answer(status, {"errorCode": "BAD_REQUEST", "message": message}), message)


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class TalabatSandbox(Callbacks):
    """The middleware's side for one chain of vendors, all on Talabat."""

    slug = "talabat"
    kind: ClassVar[Literal["pos", "delivery"]] = "delivery"
    webhook_timeout = 10
    # Ten repeats, from half a minute to four minutes apart; the growth between them is not published.
    webhook_schedule = (30, 38, 48, 61, 77, 97, 122, 154, 194, 240)
    default_settings: ClassVar[dict[str, float]] = {
        "accept_deadline_s": 900,
        "auto_close_after": 0,
        "availability_delay_s": 0.2,
        "import_delay_s": 0.2,
        "modification_delay_s": 0.2,
        "redispatch_s": 30,
        "token_lifetime_s": 1800,
    }

    def __init__(self, seed: str | None = None) -> None:
        super().__init__(seed)
        self._desk = TokenDesk(self.ids)
        self._username, self._password = f"plugin-{self.ids.text(8).lower()}", self.ids.text(24)
        self._secret = self.ids.text(32)
        self._hook: tuple[str, str] | None = None
        self.restart()

    def restart(self) -> None:
        super().restart()
        self._imports: dict[str, bool] = {}
        self._logs: dict[str, list[Json]] = {}

    # Tokens, errors, the plugin

    def failure(self, kind: Failure, detail: str) -> Answer:
        status, code = {
            "error": (500, "INTERNAL_ERROR"),
            "rate_limited": (429, "TOO_MANY_REQUESTS"),
            "token_expired": (401, "POS_ERROR"),
            "token_revoked": (401, "POS_ERROR"),
            "not_found": (404, "NOT_FOUND"),
            "bad_body": (400, "INVALID_REQUEST"),
        }[kind]
        return Answer(status, {"code": code, "message": detail})

    def authenticate(self, call: Call, route: Route) -> None:
        if why := self._desk.why_not(call.bearer()):
            if route.operation == "catalog.import":
                raise Refused(Answer(401, {"errorCode": "AUTHENTICATION_ERROR", "message": why}), why)
            raise refuse("VALIDATION_ERROR" if route.operation == "order.prepared" else "POS_ERROR", why, 401)
        if call.params.get("chain", _CHAIN) != _CHAIN:
            if route.operation == "catalog.import":
                raise _catalog_refuse(f"no chain {call.params['chain']}", 404)
            raise refuse("FORBIDDEN", "User is not authorized for this chain", 403)

    def expire_all_tokens(self) -> None:
        self._desk.expire_all()

    def app_credentials(self) -> dict[str, str]:
        return {"username": self._username, "password": self._password, "webhook_secret": self._secret}

    def connection_credentials(self) -> dict[str, str]:
        return {"chain_code": _CHAIN}

    def webhooks(self) -> list[Json]:
        return [] if self._hook is None else [{"id": "plugin", "url": self._hook[1]}]

    def add_webhook(self, url: str, secret: str | None, events: list[str] | None = None) -> Json:
        """Set the plugin's base URL; calls to it are signed with the plugin secret unless another is given."""
        if events is not None:
            raise ControlError(400, "a plugin gets every event: name none")
        self._hook = (secret or self._secret, url)
        return {"id": "plugin", "secret": self._hook[0]}

    def _plugin(self) -> tuple[str, str] | None:
        return self._hook

    def webhook_headers(self, attempt: Attempt) -> dict[str, str]:
        parts = ({"typ": "JWT", "alg": "HS512"}, {"service": "middleware"})
        signed = ".".join(_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
        digest = hmac.digest(attempt.event.secret.encode(), signed.encode(), hashlib.sha512)
        return {"Authorization": f"Bearer {signed}.{_base64url(digest)}"}

    def webhook_failed(self, status: int) -> bool:
        return status == 429 or status >= 500

    def webhook_answered(self, event: Event, status: int, body: bytes) -> None:
        if event.kind == "order.dispatch" and event.subject in self._by_alias:
            self._dispatched(event, status, body)
        elif event.kind == "catalog.status" and status == 204 and event.subject in self._imports:
            self._imports[event.subject] = False
        allowed = {"order.status": (200, 401, 404, 500, 502), "menu.request": (202, 401, 404, 500, 502)}
        if status not in allowed.get(event.kind, (status,)):
            self._complain(event, status, f"{status} is not among {', '.join(map(str, allowed[event.kind]))}")

    def _dispatched(self, event: Event, status: int, body: bytes) -> None:
        placed, now = self._by_alias[event.subject], time.time()
        if self.webhook_failed(status):
            if placed.state == WAITING:
                placed.move(TRANSPORT, now)
            return
        if status not in {200, 201, 202}:
            self._complain(event, status, "the synchronous reject is a dead end" if status == 400 else "not an acknowledgement")
            if placed.state in UNACKNOWLEDGED:
                self._cancel(placed, "DISPATCH_REFUSED")
            return
        remote = Call("POST", event.url, body=body).peek("remoteResponse", "remoteOrderId")
        if not remote or (placed.acknowledged and remote != placed.remote_id):
            self._complain(event, status, f"another remoteOrderId {remote!r}" if remote else "no remoteOrderId")
        first, placed.acknowledged = not placed.acknowledged, True
        placed.remote_id = placed.remote_id or remote
        if placed.state in UNACKNOWLEDGED:
            placed.move(RECEIVED, now)
        elif first and placed.state == CANCELLED:
            self._tell(placed, "ORDER_CANCELLED", placed.reason)

    # Operations

    def routes(self) -> list[Route]:
        def order(call: Call) -> str:
            placed = self._orders.get(call.params["token"])
            return placed.alias if placed else call.params["token"]

        def vendor(call: Call) -> str:
            return call.params.get("vendor", "")

        one, chain = "/v2/orders/{token}", "/v2/chains/{chain}"
        state, product = chain + "/remoteVendors/{vendor}/availability", "/globalEntityId/{entity}/restaurant/{vendor}/modify-product"
        tables: list[tuple[str, str, str, Callable[[Call], Answer], Callable[[Call], str]]] = [
            ("POST", "/v2/order/status/{token}", "order.status", self._status, order),
            ("POST", one + "/preparation-completed", "order.prepared", self._prepared, order),
            ("POST", one + "/adjust-preparation-time", "order.adjust_time", self._adjust, order),
            ("POST", "/v2/order/{token}/modifications/product", "order.modify", self._modify, order),
            ("GET", chain + "/orders/ids", "orders.ids", self._order_ids, lambda call: call.query.get("status", "")),
            ("GET", chain + "/orders/{token}", "order.get", self._get_order, order),
            ("PUT", chain + "/catalog", "catalog.import", self._import, vendor),
            ("PUT", chain + "/global-entity/{entity}/catalog", "catalog.import", self._import, vendor),
            ("GET", chain + "/vendors/{vendor}/menu-import-logs", "catalog.logs", self._import_logs, vendor),
            ("PUT", chain + "/vendors/{vendor}/catalog/items/availability", "items.availability", self._set_items, vendor),
            ("GET", state, "store.availability", self._availability, vendor),
            ("PUT", state, "store.set_availability", self._set_availability, vendor),
            ("PUT", chain + product, "product.modify", self._modify_product, vendor),
        ]
        made = [Route(method, path, name, act, about) for method, path, name, act, about in tables]
        made.append(Route("POST", "/v2/login", "login", self._login, vendor, open=True))
        return made

    def _login(self, call: Call) -> Answer:
        fields = form(call)
        if fields is None or not all(fields.get(name) for name in ("username", "password", "grant_type")):
            raise refuse("INVALID_REQUEST", "a form with username, password and grant_type is required")
        if fields["grant_type"] != "client_credentials":
            raise refuse("INVALID_REQUEST", "grant_type is client_credentials")
        if (fields["username"], fields["password"]) != (self._username, self._password):
            raise refuse("POS_ERROR", "username or password is wrong", 401)
        lifetime = self.settings["token_lifetime_s"]
        return Answer(200, {"access_token": self._desk.issue(lifetime), "token_type": "bearer", "expires_in": int(lifetime)})

    def _store(self, call: Call) -> Json:
        found = self._stores.get(call.params["vendor"])
        if found is None:
            raise refuse("POS_ERROR", f"no vendor {call.params['vendor']}", 404)
        return found

    def _order_ids(self, call: Call) -> Answer:
        status, hours, vendor = call.query.get("status"), call.query.get("pastNumberOfHours", "24"), call.query.get("vendorId")
        if status not in {"cancelled", "accepted"}:
            raise refuse("INVALID_ORDER_STATUS", "status is cancelled or accepted")
        if not hours.isdigit() or not 1 <= int(hours) <= 24:
            raise refuse("INVALID_REQUEST", "pastNumberOfHours is from 1 to 24")
        since = time.time() - int(hours) * 3600
        states = {CANCELLED} if status == "cancelled" else {ACCEPTED, PICKED_UP}
        found = [each.token for each in self._orders.values() if each.state in states and each.created >= since]
        if vendor is not None:
            found = [each for each in found if self._orders[each].store["ref"] == vendor]
        return Answer(200, {"orderIdentifiers": found, "count": len(found)})

    def _get_order(self, call: Call) -> Answer:
        placed = self._order(call, "ORDER_NOT_FOUND", 400)
        if placed.state not in {ACCEPTED, PICKED_UP, CANCELLED}:
            raise refuse("INVALID_ORDER_STATUS", "only accepted and cancelled orders are reported")
        cancelled = placed.state == CANCELLED
        status = {
            "status": "cancelled" if cancelled else "accepted",
            "reason": placed.reason.removeprefix("PLUGIN:") if cancelled else None,
        }
        return Answer(200, {"order": {**placed.payload(), **status}})

    # Catalogs

    def _import(self, call: Call) -> Answer:
        body, entity = call.json(), call.params.get("entity")
        name, key = ("vendors", "ref") if entity is None else ("platformVendors", "platform_id")
        wanted, catalog = body.get(name), body.get("catalog")
        if not isinstance(wanted, list) or not wanted or not all(isinstance(each, str) for each in wanted):
            raise _catalog_refuse(f"{name} is a list of ids and not empty")
        if not isinstance(catalog, dict) or not isinstance(catalog.get("items"), dict):
            raise _catalog_refuse("catalog.items is required")
        back = body.get("callbackUrl")
        if back is not None and not str(back).startswith(("http://", "https://")):
            raise _catalog_refuse("callbackUrl is an http or https address")
        held = {each[key]: each for each in self._stores.values() if entity in {None, each["entity"]}}
        if unknown := [each for each in wanted if each not in held]:
            raise _catalog_refuse(f"no vendor {unknown[0]}", 404)
        identifier, stores = self.ids.uuid(), [held[each] for each in dict.fromkeys(wanted)]
        self._imports[identifier] = True
        self._report(identifier, back, stores, {each["ref"]: "in_progress" for each in stores}, "")
        self.later(self.settings["import_delay_s"], lambda: self._finish_import(call, identifier, back, stores, catalog["items"]))
        return Answer(202, {"status": "submitted", "catalogImportId": identifier})

    def _finish_import(self, call: Call, identifier: str, back: Any, stores: list[Json], items: Json) -> None:
        results, message = {}, "Import successful"
        for store in stores:
            try:
                self._menus[store["ref"]] = Catalog(items, store["currency"])
                results[store["ref"]] = "done"
                self._pushes[store["ref"]].append({"at": timestamp(time.time()), "id": identifier, "items": len(items)})
            except CatalogError as error:
                results[store["ref"]], message = "failed", str(error)
                self.reject(call, f"catalog import failed for {store['ref']}: {error}", 202, injected=False)
        self._report(identifier, back, stores, results, message)
        del self._imports[identifier]

    def _report(self, identifier: str, back: Any, stores: list[Json], results: dict[str, str], message: str) -> None:
        """Log how an import goes, and call back unless the plugin answered that it wants no more."""
        every = set(results.values())
        for store in stores:
            row = {"menuImportId": identifier, "message": message, "status": results[store["ref"]], "url": "", "version": 1}
            self._logs.setdefault(store["ref"], []).append({"createdAt": timestamp(time.time()), **row})
            del self._logs[store["ref"]][:-_LOGS_KEPT]
        if self._imports[identifier]:
            details = [
                {
                    "status": results[each["ref"]],
                    "posVendorId": each["ref"],
                    "platformVendorId": each["platform_id"],
                    "globalEntityId": each["entity"],
                }
                for each in stores
            ]
            overall = every.pop() if len(every) == 1 else "done_with_errors"
            body = {"catalogImportId": identifier, "status": overall, "message": message, "details": details}
            self._send_back("catalog.status", identifier, back, body)

    def _import_logs(self, call: Call) -> Answer:
        vendor, query = self._store(call)["ref"], call.query
        limit, sort = query.get("limit", "1"), query.get("sort", "desc")
        if not limit.isdigit() or not 1 <= int(limit) <= 100 or sort not in {"asc", "desc"}:
            raise refuse("INVALID_REQUEST", "limit is from 1 to 100, and sort asc or desc")
        start = max(moment(query.get("from", "1970-01-01T00:00:00Z"), "from"), time.time() - 30 * _DAY)
        end = moment(query["to"], "to") if "to" in query else float("inf")
        rows = [each for each in self._logs.get(vendor, []) if start <= seconds(each["createdAt"]) <= end]
        rows = rows if sort == "asc" else rows[::-1]
        return Answer(200, {"menuImportLogs": {vendor: rows[: int(limit)]}})

    def _set_items(self, call: Call) -> Answer:
        store, body = self._store(call), call.json()
        kind, items, available, when = (body.get(name) for name in ("type", "items", "isAvailable", "willBeAvailable"))
        # The document calls the entity required, and lets who does not know it leave it empty.
        if body.get("globalEntityId") not in (store["entity"], _KEY, ""):
            raise refuse("INVALID_REQUEST", f"globalEntityId is not {body.get('globalEntityId')!r} here")
        if kind not in ("ITEM", "TOPPING") or not isinstance(available, bool):
            raise refuse("INVALID_REQUEST", "type is ITEM or TOPPING, and isAvailable a boolean")
        if not isinstance(items, list) or not items or not all(isinstance(each, str) for each in items):
            raise refuse("INVALID_REQUEST", "items is a list of ids and not empty")
        if when is not None and (available or when not in ("NEXT_BUSINESS_DAY", "AT_TIMESTAMP")):
            raise refuse("INVALID_REQUEST", "willBeAvailable is NEXT_BUSINESS_DAY or AT_TIMESTAMP of what is not available")
        until = 0 if available else float("inf")
        if when is not None:
            until = time.time() + _DAY if when == "NEXT_BUSINESS_DAY" else moment(body.get("atTimeStamp"), "atTimeStamp")
        menu = self._menus[store["ref"]]
        found = {each: menu.known(kind, each) for each in items}
        for product in (each for products in found.values() for each in products):
            menu.switch(product, until)
        if all(found.values()):
            return Answer(204)
        some = any(found.values())
        row = {"platformVendorId": store["platform_id"], "globalEntityId": store["entity"], "status": "Failed"}
        answer = Answer(200 if some else 400, {"status": "Partial Success" if some else "Failed", "details": [row]})
        missing = ", ".join(each for each, products in found.items() if not products)
        raise Refused(answer, f"no {kind} {missing}")

    def _modify_product(self, call: Call) -> Answer:
        body, product = call.json(), call.json().get("product")
        wrong = [name for name in ("processId", "timestamp", "callback") if not isinstance(body.get(name), str)]
        if not isinstance(product, dict) or not (product.get("productId") or product.get("posProductId")):
            wrong.append("product.productId")
        elif product.get("action") not in ("upsert", "delete") or not isinstance(product.get("updatedFields"), list):
            wrong.append("product.action")
        if wrong:
            violations = [{"field": each, "message": "is missing or wrong"} for each in wrong]
            raise Refused(Answer(400, {"message": "Bad Request", "constraintViolations": violations}), f"{wrong[0]} is missing or wrong")
        assert isinstance(product, dict)
        identifier = product.get("productId") or product.get("posProductId")
        # The API takes it for every brand; only Pandora's make the change. The status is spelled as the document spells it.
        done = {"id": identifier, "traceId": body["processId"], "status": "Not Suppported", "message": "The platform does not support it"}
        delay = self.settings["import_delay_s"]
        self.later(delay, lambda: self._send_back("product.status", str(identifier), body["callback"], done))
        return Answer(204)

    # Stores

    def _availability(self, call: Call) -> Answer:
        store, now = self._store(call), time.time()
        store["asked"] = store["asked"] or now
        if now - store["asked"] < self.settings["availability_delay_s"]:
            return Answer(204)
        row = {
            "availabilityState": store["state"],
            "availabilityStates": list(_SETTABLE),
            "changeable": store["changeable"],
            "closingMinutes": list(_CLOSING_MINUTES),
            "closingReasons": list(_CLOSING_REASONS),
            "platformId": _PLATFORM,
            "platformKey": _KEY,
            "platformRestaurantId": store["platform_id"],
            "platformType": _TYPE,
        }
        if store["reason"]:
            row["closedReason"] = store["reason"]
        if store["until"]:
            row["closedUntil"] = timestamp(store["until"])
        return Answer(200, [row])

    def _set_availability(self, call: Call) -> Answer:
        store, body = self._store(call), call.json()
        state, reason, minutes = (body.get(name) for name in ("availabilityState", "closedReason", "closingMinutes"))
        if body.get("platformKey") != _KEY or str(body.get("platformRestaurantId")) != store["platform_id"]:
            raise refuse("POS_ERROR", "platformKey and platformRestaurantId name no platform of this vendor")
        if not store["changeable"]:
            raise refuse("POS_ERROR", "the availability is not changeable")
        if state not in _SETTABLE:
            raise refuse("POS_ERROR", f"availabilityState is one of {', '.join(_SETTABLE)}")
        if reason is not None and reason not in _CLOSING_REASONS:
            raise refuse("POS_ERROR", f"closedReason is one of {', '.join(_CLOSING_REASONS)}")
        if (minutes is not None and minutes not in _CLOSING_MINUTES) or (state == "CLOSED_UNTIL") != (minutes is not None):
            raise refuse("POS_ERROR", f"closingMinutes is one of {', '.join(map(str, _CLOSING_MINUTES))}, with CLOSED_UNTIL and only then")
        pause = 60 * (minutes or 0)
        until = time.time() + pause if pause else 0.0
        store.update(state=state, reason="" if state == "OPEN" else reason or "OTHER", until=until)
        if until:
            self.later(pause, lambda: self._reopen(store, until))
        return Answer(200)

    @staticmethod
    def _reopen(store: Json, until: float) -> None:
        if store["until"] == until:
            store.update(state="OPEN", reason="", until=0.0)


SANDBOX = TalabatSandbox
