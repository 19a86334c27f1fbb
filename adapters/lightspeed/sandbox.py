"""Lightspeed Restaurant K-Series, simulated: tokens, locations, menus, orders that are judged later, payments, stock and reports."""

import base64
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, Literal
from zoneinfo import ZoneInfo

import msgspec

from adapters._sandbox.calls import Answer, Call, ControlError, Json, Route
from adapters._sandbox.vendor import Failure, Sandbox, number, word
from adapters._sandbox.webhooks import Attempt, Event

from ._sandbox_access import EVENTS, Endpoint, Endpoints, Grants, unauthorized
from ._sandbox_checks import checked, flag, many, places, problem, refuse, shape, stamp, text
from ._sandbox_menu import DISCOUNTS, MENU_ID, PROFILES, Catalog, Document
from ._sandbox_orders import Orders, Surroundings
from ._sandbox_reports import BUSINESS, Reports
from ._sandbox_shown import readiness
from ._sandbox_tickets import Line, Pricing, Store, everything

FIRST_STORE, SECOND_STORE = "61700452100101", "61700452100102"
_ENDPOINT, _USERNAME = "HUB-ORDERS", "hub"
_TABLES = ("1", "2", "3", "12")
_PAGE_SIZE = 25
_SKUS = shape({"skus!": many(text(25, 1), 1, 50)})
_MESSAGE = shape({"message!": text(0, 1), "alsoToPrinter": flag})
_POSED = {
    **dict.fromkeys(("open", "active", "online", "ready"), "open"),
    **dict.fromkeys(("closed", "inactive"), "closed"),
    **dict.fromkeys(("paused", "busy"), "paused"),
    "offline": "offline",
}
_STAFF_STATES = {
    **dict.fromkeys(("accepted", "success"), "SUCCESS"),
    **dict.fromkeys(("preparing", "check_was_updated"), "CHECK_WAS_UPDATED"),
    **dict.fromkeys(("ready", "ready_for_pickup"), "READY_FOR_PICKUP"),
    **dict.fromkeys(("picked_up", "in_delivery"), "IN_DELIVERY"),
    **dict.fromkeys(("completed", "delivered", "closed"), "CLOSED"),
    **dict.fromkeys(("cancelled", "canceled", "rejected"), "CANCELLED"),
    "abandoned": "ABANDONED",
}


class LightspeedSandbox(Sandbox):
    """K-Series' side. Orders and payments are answered at once and judged `order_delay_s` later; webhooks carry Basic, no signature."""

    slug = "lightspeed"
    kind: ClassVar[Literal["pos", "delivery"]] = "pos"
    webhook_timeout = 10
    webhook_schedule = (10, 60, 300, 1800)
    default_settings: ClassVar[dict[str, float]] = {
        "token_lifetime_s": 3600,
        "refresh_lifetime_s": 14 * 86_400,
        "order_delay_s": 0.2,
        "patience_scale": 1,
    }

    def __init__(self, seed: str | None = None) -> None:
        super().__init__(seed)
        self._grants = Grants(self.ids)
        self._endpoints = Endpoints()
        self._webhook_password = self.ids.text(24)
        self.restart()

    def restart(self) -> None:
        self._stores = {
            FIRST_STORE: Store(FIRST_STORE, "Harbour Street Kitchen", "EUR", "Europe/Paris"),
            SECOND_STORE: Store(SECOND_STORE, "Old Mill Café", "EUR", "Europe/Brussels"),
        }
        self._catalog = Catalog()
        self._stock: dict[tuple[str, str], Json] = {}
        self._messages: deque[Json] = deque(maxlen=100)
        pricing = Pricing(self._catalog, self._stock)
        around = Surroundings(self._stores, self._endpoints, self.settings, self.later, self._tell, self._sold, self.ids)
        self._orders = Orders(pricing, around)
        self._reports = Reports(self._orders, self._stores)

    # Tokens, errors, webhooks

    def failure(self, kind: Failure, detail: str) -> Answer:
        if kind in {"token_expired", "token_revoked"}:
            return unauthorized(detail)
        if kind == "error":
            return Answer(503, {"status": 503, "timestamp": stamp(), "message": detail, "apiSubExceptions": []})
        return problem({"rate_limited": 429, "not_found": 404, "bad_body": 400}[kind], detail)

    def authenticate(self, call: Call, route: Route) -> None:
        self._grants.check(call, route.scope)

    def expire_all_tokens(self) -> None:
        self._grants.expire_all()

    def app_credentials(self) -> dict[str, str]:
        return {"client_id": self._grants.client_id, "client_secret": self._grants.client_secret}

    def connection_credentials(self) -> dict[str, str]:
        access, refresh = self._grants.offered(self.settings["token_lifetime_s"], self.settings["refresh_lifetime_s"])
        webhook = {"endpoint_id": _ENDPOINT, "webhook_username": _USERNAME, "webhook_password": self._webhook_password}
        return {"access_token": access, "refresh_token": refresh, **webhook}

    def webhook_headers(self, attempt: Attempt) -> dict[str, str]:
        key, _, credentials = attempt.event.secret.partition("\n")
        basic = {"Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"} if credentials else {}
        return {"X-Lightspeed-Idempotency-Key": key, **basic}

    def webhooks(self) -> list[Json]:
        return [{"id": name, "url": each.told["url"]} for name, each in self._endpoints.held.items()]

    def add_webhook(self, url: str, secret: str | None, events: list[str] | None = None) -> Json:
        wanted = list(EVENTS) if events is None else events
        if unknown := sorted(set(wanted) - set(EVENTS)):
            raise ControlError(400, f"no event {unknown[0]}; there are: {', '.join(EVENTS)}")
        held = self._endpoints.held
        name = next(
            (key for key, each in held.items() if each.told["url"] == url), _ENDPOINT if _ENDPOINT not in held else self.ids.text(16)
        )
        password = secret or self._webhook_password
        told: Json = {
            "endpointId": name,
            "url": url,
            "withBasicAuth": True,
            "username": _USERNAME,
            "password": password,
            **dict.fromkeys(("provideAccount", "expandTransactions", "expandPayments"), False),
            "subscribeTo": [{"resource": each, "name": EVENTS[each]} for each in wanted],
        }
        held[name] = Endpoint(told, everywhere=True)
        return {"id": name, "secret": password, "username": _USERNAME}

    def _tell(self, endpoint: str, kind: str, subject: str, told: Json) -> None:
        if (held := self._endpoints.held.get(endpoint)) is not None:
            secret = f"{self.ids.uuid()}\n{held.credentials()}"
            self.emit(Event(held.told["url"], secret, msgspec.json.encode(told), kind, subject))

    # Operations

    def routes(self) -> list[Route]:
        def here(call: Call) -> str:
            return call.query.get("businessLocationId", "") or call.params.get("businessLocationId", "")

        def param(name: str) -> Callable[[Call], str]:
            return lambda call: call.params[name]

        def sent(name: str) -> Callable[[Call], str]:
            return lambda call: call.peek(name)

        account, endpoint = param("accountIdentifier"), param("endpointId")
        located, reports = "/o/wh/1/webhook/{endpointId}/business-locations", "/f/finance/{businessLocationId}"
        tables: list[tuple[str, str, str, Callable[[Call], Any], Callable[[Call], str]]] = [
            ("GET", "/o/op/data/businesses", "businesses.list", self._businesses, here),
            ("GET", "/o/op/data/{businessLocationId}/floorplans", "floorplans.list", self._floorplans, here),
            ("GET", "/o/op/data/{businessLocationId}/floorplans/{floorPlanId}/tables", "tables.list", self._tables, here),
            ("GET", "/o/op/data/account-profiles", "profiles.list", lambda call: self._at(call) and list(PROFILES), here),
            ("GET", "/o/op/1/menu/list", "menu.list", self._menus, here),
            ("GET", "/o/op/1/menu/load/{menuId}", "menu.load_v1", lambda call: self._menu(call, groups=False), here),
            ("GET", "/o/op/2/menu/load/{menuId}", "menu.load", lambda call: self._menu(call, groups=True), here),
            ("GET", "/o/op/1/menu/modifiers", "menu.modifiers", lambda call: self._at(call) and self._catalog.instruction_groups(), here),
            ("GET", "/o/op/1/menu/discounts", "menu.discounts", lambda call: self._at(call) and list(DISCOUNTS), here),
            ("POST", "/o/op/1/order/toGo", "orders.to_go", lambda call: self._orders.submit(call, "toGo"), sent("thirdPartyReference")),
            ("POST", "/o/op/1/order/local", "orders.local", lambda call: self._orders.submit(call, "local"), sent("thirdPartyReference")),
            ("GET", "/o/op/1/order/table/getCheck", "checks.list", lambda call: self._orders.checks(self._at(call)), here),
            ("GET", "/o/op/1/order/table/{tableNumber}/getCheck", "checks.table", self._table_check, here),
            ("GET", "/o/op/1/order/accounts/{accountIdentifier}", "checks.get", lambda c: self._orders.check(c, self._at(c)), account),
            ("POST", "/o/op/1/pay", "payments.create", self._orders_pay, sent("thirdPartyPaymentReference")),
            ("POST", "/o/op/1/printMsg", "messages.print", self._print, here),
            ("GET", "/o/op/1/itemAvailability", "availability.get", self._availability, here),
            ("POST", "/o/op/1/itemAvailability", "availability.query", self._availability, here),
            ("GET", "/o/op/1/onlineOrderReadiness", "readiness.get", lambda call: readiness(self._at(call)), here),
            ("PUT", "/o/wh/1/webhook", "webhooks.create", lambda call: self._endpoints.save(call, new=True), sent("endpointId")),
            ("POST", "/o/wh/1/webhook", "webhooks.update", lambda call: self._endpoints.save(call, new=False), sent("endpointId")),
            ("GET", "/o/wh/1/webhook/{endpointId}", "webhooks.get", lambda call: self._endpoints.get(call).shown(), endpoint),
            ("DELETE", "/o/wh/1/webhook/{endpointId}", "webhooks.delete", self._endpoints_delete, endpoint),
            ("GET", located, "webhooks.locations", lambda call: list(self._endpoints.get(call).locations.values()), endpoint),
            ("PUT", located + "/{businessLocationId}", "webhooks.add_location", self._add_location, endpoint),
            ("DELETE", located + "/{businessLocationId}", "webhooks.remove_location", self._remove_location, endpoint),
            ("GET", "/f/data/businesses", "finance.businesses", lambda call: self._reports.businesses(call), here),
            ("GET", reports + "/tax-rates", "finance.tax_rates", lambda call: self._reports.tax_rates(call), here),
            ("GET", reports + "/paymentMethods", "finance.payment_methods", lambda call: self._reports.payment_methods(call), here),
            ("GET", reports + "/accountingGroups", "finance.accounting_groups", lambda call: self._reports.accounting_groups(call), here),
            ("GET", reports + "/financials/{from}/{to}", "finance.financials", lambda call: self._reports.financials(call), here),
            ("GET", reports + "/dailyFinancials", "finance.daily", lambda call: self._reports.daily(call), here),
            ("GET", reports + "/aggregatedSales", "finance.aggregated", lambda call: self._reports.aggregated(call), here),
            ("GET", reports + "/saleByExternalReference", "finance.by_reference", lambda call: self._reports.by_reference(call), here),
        ]
        made = [
            Route(method, path, name, self._answering(act), about, scope="financial-api" if path.startswith("/f/") else "orders-api")
            for method, path, name, act, about in tables
        ]
        made.append(Route("GET", "/oauth/authorize", "oauth.authorize", lambda call: self._grants.authorize(call), here, open=True))
        made.append(Route("POST", "/oauth/token", "oauth.token", self._token, here, open=True))
        return made

    @staticmethod
    def _answering(act: Callable[[Call], Any]) -> Callable[[Call], Answer]:
        def answer(call: Call) -> Answer:
            found = act(call)
            return found if isinstance(found, Answer) else Answer(200, found)

        return answer

    def _token(self, call: Call) -> Answer:
        return self._grants.grant(call, self.settings["token_lifetime_s"], self.settings["refresh_lifetime_s"])

    def _at(self, call: Call) -> Store:
        identifier = call.params.get("businessLocationId") or call.query.get("businessLocationId")
        if identifier is None:
            raise refuse(call, "Required request parameter 'businessLocationId' for method parameter type Long is not present")
        if not identifier.isdigit():
            raise refuse(call, f"Failed to convert '{identifier}' of businessLocationId to type Long")
        if (store := self._stores.get(identifier)) is None:
            raise refuse(call, f"Invalid input business location id {identifier}", 404)
        return store

    def _businesses(self, _: Call) -> list[Json]:
        return [{**BUSINESS, "businessLocations": [{"id": int(each.id), "name": each.name} for each in self._stores.values()]}]

    @staticmethod
    def _rows_of_tables() -> list[Json]:
        return [{"id": f"61700452102{place:03}", "number": int(table), "active": True} for place, table in enumerate(_TABLES)]

    def _floorplans(self, call: Call) -> list[Json]:
        self._at(call)
        tables = {"tables": self._rows_of_tables()} if call.query.get("expandTables") == "true" else {}
        return [{"id": 61700452102900, "name": "Dining Room", **tables}]

    def _tables(self, call: Call) -> list[Json]:
        self._at(call)
        if call.params["floorPlanId"] != "61700452102900":
            raise refuse(call, f"no floor plan {call.params['floorPlanId']}", 404)
        return self._rows_of_tables()

    def _menus(self, call: Call) -> list[Json]:
        self._at(call)
        return [{"menuName": "Main Menu", "ikentooMenuId": MENU_ID}]

    def _menu(self, call: Call, *, groups: bool) -> Json:
        store = self._at(call)
        if call.params["menuId"] != str(MENU_ID):
            raise refuse(call, f"menu not found: {call.params['menuId']}", 404)
        profile = call.query.get("accountProfile")
        if profile and all(each["code"] != profile for each in PROFILES):
            raise refuse(call, f"no account profile {profile}")
        rich = call.query.get("richContent") == "true"
        return Document(self._catalog, store.currency, tax_included=store.tax_included, rich=rich, groups=groups).menu()

    def _table_check(self, call: Call) -> list[Json]:
        return self._orders.checks(self._at(call), call.params["tableNumber"])

    def _orders_pay(self, call: Call) -> Answer:
        return self._orders.pay(call)

    def _print(self, call: Call) -> Json:
        store, body = self._at(call), checked(call, "printMessage", _MESSAGE)
        self._messages.append({"store": store.id, "message": body["message"], "printer": bool(body.get("alsoToPrinter"))})
        return {"status": "ok"}

    def _availability(self, call: Call) -> Json:
        store, query = self._at(call), call.query
        if call.method == "POST":
            skus = checked(call, "itemAvailability", _SKUS)["skus"]
        else:
            skus = [each for each in query.get("skus", "").split(",") if each]
            if len(skus) > 50:
                raise refuse(call, "skus has 1 to 50 elements")
        page, size = query.get("page", "0"), query.get("size", str(_PAGE_SIZE))
        if not (page.isdigit() and size.isdigit() and int(size)):
            raise refuse(call, "page is from 0, size from 1")
        begin, length = int(page) * int(size), int(size)
        found = [each for (where, sku), each in self._stock.items() if where == store.id and (not skus or sku in skus)]
        current = {"page": int(page), "pageSize": length}
        metadata = {"warnings": [], "current": current, "total": len(found), "totalPages": math.ceil(len(found) / length)}
        return {"data": found[begin : begin + length], "metadata": metadata}

    def _endpoints_delete(self, call: Call) -> Answer:
        return self._endpoints.delete(call)

    def _add_location(self, call: Call) -> Json:
        return self._endpoints.add_location(call, self._at(call).id)

    def _remove_location(self, call: Call) -> Json:
        return self._endpoints.remove_location(call, call.params["businessLocationId"])

    # What staff do, and what the control API shows

    def _restrict(self, store: Store, sku: str, count: int | None) -> None:
        if count is None:
            self._stock.pop((store.id, sku), None)
        else:
            self._stock[store.id, sku] = {"sku": sku, "count": count, "updatedAt": stamp(zone="+00:00")}
        told = {
            "sku": sku,
            "businessLocationId": int(store.id),
            "count": count,
            "countUpdatedAt": stamp(zone="+00:00"),
            "status": "NOT_RESTRICTED" if count is None else "RESTRICTED",
            "type": "ITEM",
        }
        for endpoint in self._endpoints.about("item", store.id):
            self._tell(endpoint, "ITEM", f"{store.id} {sku}", told)

    def _sold(self, store: Store, lines: list[Line]) -> None:
        for line, count, _ in everything(lines):
            if (held := self._stock.get((store.id, line.item.sku))) is not None:
                self._restrict(store, line.item.sku, held["count"] - count)

    def move_order(self, order: str, body: Json) -> Json:
        state = _STAFF_STATES.get(word(body, "state").lower())
        if state is None:
            raise ControlError(400, f"state is one of {', '.join(sorted(_STAFF_STATES))}")
        found = self._orders.find(order)
        self._orders.move(found, state)
        return {"id": found.account.identifier if found.account else found.reference, "state": found.state}

    def edit_menu(self, body: Json) -> Json:
        edits = body.get("edits")
        if not isinstance(edits, list) or not all(isinstance(each, dict) for each in edits):
            raise ControlError(400, "edits is a list of {op: price | rename | remove, id, ...}")
        for each in edits:
            self._catalog.edit(each)
        return {"items": self._items(None)}

    def set_stock(self, body: Json) -> Json:
        """Restrict an item to `count` (0 where `available` is false), or lift the restriction."""
        item, available = word(body, "item"), body.get("available")
        if item not in self._catalog.items:
            raise ControlError(404, f"no item {item}")
        if not isinstance(available, bool):
            raise ControlError(400, "available is a boolean")
        count = int(number(body, "count")) if "count" in body else None
        store = self._stores.get(word(body, "store", next(iter(self._stores))))
        if store is None:
            raise ControlError(404, f"no location {body['store']}")
        self._restrict(store, item, count if available else 0)
        return {"item": item, "store": store.id, "available": available}

    def set_store(self, store: str, body: Json) -> Json:
        """Open, close, pause or disconnect a location's POS; with `create` make one, taxed on top where `tax_included` is false."""
        posed = _POSED.get(word(body, "status", "open").lower())
        if posed is None:
            raise ControlError(400, f"status is one of {', '.join(_POSED)}")
        if store not in self._stores:
            self._stores[store] = self._new_store(store, body)
        found = self._stores[store]
        found.name = word(body, "name", found.name)
        if "status" in body and posed != found.posed:
            found.posed, found.changed_at = posed, time.time()
            told = {"businessLocationId": int(found.id), "type": "ORDER_API", **readiness(found)}
            for endpoint in self._endpoints.about("order_api", found.id):
                self._tell(endpoint, "ORDER_API", found.id, told)
            self._orders.retry(found)
        return self._shown(found)

    @staticmethod
    def _new_store(store: str, body: Json) -> Store:
        if body.get("create") is not True:
            raise ControlError(404, f"no location {store}; with create: true it is made")
        if not (store.isascii() and store.isdigit() and 0 < int(store) < 1 << 53 and str(int(store)) == store):
            raise ControlError(400, "the reference of a location is a whole number from 1, below 2^53")
        currency, timezone = word(body, "currency", "EUR"), word(body, "timezone", "Europe/Paris")
        if not (len(currency) == 3 and currency.isalpha() and currency.isupper()):
            raise ControlError(400, "currency is an ISO 4217 code")
        try:
            ZoneInfo(timezone)
        except (ValueError, OSError, KeyError) as error:
            raise ControlError(400, f"no time zone {timezone}") from error
        return Store(store, word(body, "name", store), currency, timezone, body.get("tax_included", True) is not False)

    @staticmethod
    def _shown(store: Store) -> Json:
        about = {"ref": store.id, "name": store.name, "status": store.posed, "currency": store.currency, "decimals": places(store.currency)}
        return {**about, "timezone": store.timezone, "tax_included": store.tax_included}

    def stores(self) -> list[Json]:
        return [self._shown(store) for store in self._stores.values()]

    def _items(self, store: str | None) -> list[Json]:
        def sells(sku: str) -> bool:
            held = self._stock.get((store or "", sku))
            return held is None or bool(held["count"])

        return [{"id": i.sku, "name": i.name, "price": i.price, "available": sells(i.sku)} for i in self._catalog.items.values()]

    def snapshot(self) -> Json:
        return {
            "orders": self._orders.shown(),
            "menus": [{"store": store, "pushed": False, "pushes": 0, "items": self._items(store)} for store in self._stores],
            "stock": [
                {"item": sku, "store": store, "quantity": held["count"], "available": held["count"] > 0}
                for (store, sku), held in self._stock.items()
            ],
            "messages": list(self._messages),
        }


SANDBOX = LightspeedSandbox
