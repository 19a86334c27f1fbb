"""Toast, simulated: one restaurant group with its menus, configuration, orders, kitchen, stock, logins and webhooks."""

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

from ._sandbox_access import SETTINGS, Limits, Logins, limited
from ._sandbox_checks import body, is_guid, moment, page, problem, refuse
from ._sandbox_drafts import Drafts
from ._sandbox_menu import Menu
from ._sandbox_orders import Orders
from ._sandbox_places import ENTITIES, GROUP, HARBOUR, MILL, Place
from ._sandbox_shown import WEBHOOK, View, shown
from ._sandbox_staff import StaffedSandbox
from ._sandbox_stock import Stock
from ._sandbox_totals import Order

_EVENTS = frozenset(
    {
        *("order_updated", "channel_order_updated", "guest_order_status", "menus_updated", "in_stock", "low_quantity", "out_of_stock"),
        *("partner_added", "partner_removed", "availability_online", "availability_offline", "ordering_schedule_updated"),
    }
)
_NO_RESTAURANT = "partners."
_Act = Callable[[Call], Any]


class ToastSandbox(StaffedSandbox):
    """Toast's side. Amounts on the wire are decimal units of the restaurant's currency."""

    slug = "toast"
    kind: ClassVar[Literal["pos", "delivery"]] = "pos"
    webhook_timeout = 2
    webhook_schedule = (300, 600)
    default_settings: ClassVar[dict[str, float]] = {
        "token_lifetime_s": 86_400,
        "logins_per_hour": 100,
        "approval_delay_s": 0.2,
        "approval_deadline_s": 300,
        "config_page": 300,
        "requests_per_second": 0,
        "menus_per_second": 0,
        "rms_pro": 1,
        **SETTINGS,
    }

    def __init__(self, seed: str | None = None) -> None:
        super().__init__(seed)
        self._logins = Logins(self.ids)
        self._webhook_secret = self.ids.text(32)
        self._hooks: dict[str, Json] = {}
        self.restart()

    def restart(self) -> None:
        self._limits = Limits()
        self._menu = Menu()
        self._places = {
            HARBOUR: Place(HARBOUR, "Harbour Street Kitchen", "USD", "America/New_York"),
            MILL: Place(MILL, "Old Mill Café", "USD", "America/Chicago"),
        }
        self._stock = Stock(self._menu, lambda _, kind, details, item: self._publish("stock", kind, details, item))
        drafts = Drafts(self._menu, self._stock.short)
        self._orders = Orders(drafts, self._stock, lambda name: self.settings[name], self.ids.uuid, self.later, self._told)

    # Tokens, errors, webhooks

    def failure(self, kind: Failure, detail: str) -> Answer:
        if kind == "rate_limited":
            return limited("GLOBAL", time.time() + 1)
        status = {"error": 500, "token_expired": 401, "token_revoked": 401, "not_found": 404, "bad_body": 400}[kind]
        return problem(status, detail)

    def authenticate(self, call: Call, route: Route) -> None:
        why = self._logins.tokens.why_not(call.bearer(), route.scope)
        if why:
            status = 403 if "scope" in why else 401
            raise Refused(problem(status, why), why)
        if not route.operation.startswith(_NO_RESTAURANT):
            place = self._place_of(call)
            self._limits.take(place.ref, "GLOBAL", self.settings["requests_per_second"])
            if route.operation.startswith("menus.get"):
                self._limits.take(place.ref, "ENDPOINT", self.settings["menus_per_second"])

    def _place_of(self, call: Call) -> Place:
        ref = call.headers.get("toast-restaurant-external-id", "")
        if not is_guid(ref):
            raise refuse("The header Toast-Restaurant-External-ID must be a restaurant's GUID", "Toast-Restaurant-External-ID")
        place = self._places.get(ref)
        if place is None or not place.connected:
            raise refuse("The API client does not have access to the restaurant", "Toast-Restaurant-External-ID", 403)
        return place

    def expire_all_tokens(self) -> None:
        self._logins.tokens.expire_all()

    def app_credentials(self) -> dict[str, str]:
        logins = self._logins
        return {"client_id": logins.client_id, "client_secret": logins.client_secret, "webhook_secret": self._webhook_secret}

    def connection_credentials(self) -> dict[str, str]:
        return {}

    def webhook_headers(self, attempt: Attempt) -> dict[str, str]:
        event = attempt.event
        envelope = json.loads(event.body)
        digest = hmac.digest(event.secret.encode(), event.body + envelope["timestamp"].encode(), hashlib.sha256)
        place = {} if envelope["eventCategory"] == "partners" else {"Toast-Restaurant-External-ID": envelope["details"]["restaurantGuid"]}
        return {
            "Toast-Signature": base64.b64encode(digest).decode(),
            "Toast-Event-Type": envelope["eventType"],
            "Toast-Event-Category": envelope["eventCategory"],
            "Toast-Attempt-Number": str(attempt.number + 1),
            **place,
        }

    def webhook_failed(self, status: int) -> bool:
        return status in {404, 429} or status >= 500

    def webhooks(self) -> list[Json]:
        return [{"id": name, "url": each["url"]} for name, each in self._hooks.items()]

    def add_webhook(self, url: str, secret: str | None, events: list[str] | None = None) -> Json:
        if unknown := set(events or ()) - _EVENTS:
            raise ControlError(400, f"unknown event types {', '.join(sorted(unknown))}; known: {', '.join(sorted(_EVENTS))}")
        self._hooks = {name: each for name, each in self._hooks.items() if each["url"] != url}
        name = self.ids.uuid()
        self._hooks[name] = {"url": url, "secret": secret or self._webhook_secret, "events": events and frozenset(events)}
        return {"id": name, "secret": self._hooks[name]["secret"]}

    def _publish(self, category: str, kind: str, details: Json, about: str) -> None:
        for hook in self._hooks.values():
            sent_as = kind
            if kind == "order_updated" and hook["events"] and "channel_order_updated" in hook["events"]:
                sent_as = "channel_order_updated"
            if hook["events"] and sent_as not in hook["events"]:
                continue
            envelope = {
                "timestamp": timestamp(time.time()),
                "eventCategory": sent_as if category == "orders" else category,
                "eventType": sent_as,
                "guid": self.ids.uuid(),
                "details": details,
            }
            self.emit(Event(hook["url"], hook["secret"], msgspec.json.encode(envelope), sent_as, about))

    def _told(self, order: Order, guest: str) -> None:
        about = order.external or str(order.guid)
        details: Json = {"restaurantGuid": order.place.ref, "order": shown(order, WEBHOOK)}
        self._publish("orders", "order_updated", details, about)
        if guest:
            moved = {"restaurantGuid": order.place.ref, "orderGuid": order.guid, "guestOrderStatus": guest}
            details = {**moved, "lastUpdated": timestamp(order.modified)}
            self._publish("guest_order_fulfillment_status", "guest_order_status", details, about)

    # Operations

    def routes(self) -> list[Route]:
        order, check = "/orders/v2/orders/{order}", "/orders/v2/orders/{order}/checks/{check}"
        kitchen = "/kitchen/v1/published/prepStations"
        tables: list[tuple[str, str, str, str, _Act, Callable[[Call], str]]] = [
            ("GET", "/partners/v1/restaurants", "partners.restaurants", "partners:read", self._accesses, _nothing),
            ("GET", "/partners/v1/connectedRestaurants", "partners.connected", "partners:read", self._connected, _nothing),
            ("GET", "/restaurants/v1/restaurants/{place}", "restaurants.get", "restaurants:read", self._restaurant, _path("place")),
            ("GET", "/restaurants/v1/groups/{group}/restaurants", "restaurants.group", "restaurants:read", self._group, _nothing),
            ("GET", "/restaurant-availability/v1/availability", "availability.get", "restaurants:read", self._availability, _place),
            ("GET", "/ordermgmt-config/v1/published/orderingSchedule", "schedule.get", "digital_schedule:read", self._schedule, _place),
            ("GET", "/menus/v2/menus", "menus.get_v2", "menus:read", lambda call: self._menus(call, channel=False), _place),
            ("GET", "/menus/v3/menus", "menus.get_v3", "menus.channel:read", lambda call: self._menus(call, channel=True), _place),
            ("GET", "/menus/v2/metadata", "menus.metadata_v2", "menus:read", self._metadata, _place),
            ("GET", "/menus/v3/metadata", "menus.metadata_v3", "menus.channel:read", self._metadata, _place),
            ("GET", "/config/v2/{kind}", "config.list", "config:read", self._configs, _path("kind")),
            ("GET", "/config/v2/{kind}/{guid}", "config.get", "config:read", self._config, _path("guid")),
            ("POST", "/orders/v2/prices", "orders.prices", "orders.orders:write", self._prices, _reference),
            ("POST", "/orders/v2/orders", "orders.create", "orders.orders:write", self._create, _reference),
            ("GET", "/orders/v2/ordersBulk", "orders.bulk", "orders:read", self._bulk, _place),
            ("GET", order, "orders.get", "orders:read", self._get, self._order_name),
            ("POST", f"{order}/void", "orders.void", "orders:void", self._void, self._order_name),
            ("PATCH", f"{order}/deliveryInfo", "orders.delivery", "orders.delivery_info:write", self._deliver, self._order_name),
            ("POST", f"{check}/selections", "orders.selections", "orders.items:write", self._selections, self._order_name),
            ("POST", f"{check}/payments", "orders.payments", "orders.payments:write", self._payments, self._order_name),
            ("PATCH", check + "/payments/{payment}", "orders.tip", "orders.payments:write", self._tip, self._order_name),
            ("POST", f"{check}/appliedDiscounts", "orders.discounts", "orders.discounts:write", self._discounts, self._order_name),
            ("GET", "/stock/v1/inventory", "stock.list", "stock:read", self._stock_list, _place),
            ("POST", "/stock/v1/inventory/search", "stock.search", "stock:read", self._stock_search, _place),
            ("PUT", "/stock/v1/inventory/update", "stock.update", "stock:write", self._stock_update, _place),
            ("GET", kitchen, "kitchen.stations", "kitchen:read", self._stations, _place),
            ("GET", kitchen + "/{guid}", "kitchen.station", "kitchen:read", self._station, _path("guid")),
            ("GET", "/kitchen/v1/export/itemFulfillments", "kitchen.fulfillments", "kitchen:read", self._fulfillments, _place),
        ]
        made = [Route(method, pattern, name, _answering(act), about, scope=scope) for method, pattern, name, scope, act, about in tables]
        login = Route(
            "POST",
            "/authentication/v1/authentication/login",
            "authentication.login",
            lambda call: self._logins.login(call, self.settings),
            lambda call: call.peek("clientId"),
            open=True,
        )
        return [*made, login]

    def _order_name(self, call: Call) -> str:
        kept = self._orders.kept.get(call.params["order"])
        return (kept.external if kept else None) or call.params["order"]

    def _accesses(self, call: Call) -> list[Json]:
        since = moment(call.query["lastModified"], "lastModified") if "lastModified" in call.query else 0.0
        return [each.access() for each in self._places.values() if each.changed >= since]

    def _connected(self, call: Call) -> Json:
        rows = [each for each in self._accesses(call) if not each["deleted"]]
        size = call.query.get("pageSize", "100")
        if not size.isdigit() or not 1 <= int(size) <= 200:
            raise refuse("pageSize is from 1 to 200", "pageSize")
        token = call.query.get("pageToken", "")
        results, following = page(rows, token, int(size))
        number = int(token[1:] or 0) // int(size) + 1 if token else 1
        return {
            "currentPageNum": number,
            "results": results,
            "totalResultCount": len(rows),
            "pageSize": int(size),
            "currentPageToken": token or None,
            "nextPageToken": following or None,
            "totalCount": len(rows),
            "nextPageNum": number + 1 if following else None,
            "lastPageNum": max(1, -(-len(rows) // int(size))),
            "previousPageNum": number - 1 or None,
        }

    def _restaurant(self, call: Call) -> Json:
        place = self._places.get(call.params["place"])
        if place is None or not place.connected:
            raise refuse("Restaurant not found", "restaurantGUID", 404)
        return place.info()

    def _group(self, call: Call) -> list[Json]:
        if call.params["group"] != GROUP:
            raise refuse("Restaurant group not found", "managementGroupGUID", 404)
        return [{"guid": each.ref} for each in self._places.values() if each.connected]

    def _availability(self, call: Call) -> Json:
        return self._place_of(call).availability()

    def _schedule(self, call: Call) -> Json:
        return self._place_of(call).schedule()

    def _menus(self, call: Call, *, channel: bool) -> Json:
        place = self._place_of(call)
        return self._menu.shown(place.ref, place.timezone, place.places, channel=channel)

    def _metadata(self, call: Call) -> Json:
        whole = self._menus(call, channel=True)
        return {name: whole[name] for name in ("restaurantGuid", "lastUpdated")}

    def _configs(self, call: Call) -> Answer:
        kind = call.params["kind"]
        if kind not in ENTITIES:
            raise refuse(f"No such configuration: {kind}", "", 404)
        if "lastModified" in call.query:
            moment(call.query["lastModified"], "lastModified")
        rows = list(self._place_of(call).config[kind].values())
        return _paged(rows, call, int(self.settings["config_page"]))

    def _config(self, call: Call) -> Json:
        found = self._place_of(call).config.get(call.params["kind"], {}).get(call.params["guid"])
        if found is None:
            raise refuse("No such entity at this restaurant", "guid", 404)
        return found

    def _prices(self, call: Call) -> Json:
        return shown(self._orders.priced(body(call, dict), self._place_of(call)), View())

    def _create(self, call: Call) -> Json:
        return self._view(call, self._orders.create(body(call, dict), self._place_of(call)))

    def _view(self, call: Call, order: Order) -> Json:
        def may(scope: str) -> bool:
            return not self._logins.tokens.why_not(call.bearer(), scope)

        return shown(order, View(guest=may("guest.pi:read"), address=may("delivery_info.address:read")))

    def _found(self, call: Call) -> Order:
        return self._orders.get(call.params["order"], self._place_of(call))

    def _get(self, call: Call) -> Json:
        return self._view(call, self._found(call))

    def _bulk(self, call: Call) -> list[Json]:
        return [self._view(call, each) for each in self._orders.bulk(dict(call.query), self._place_of(call))]

    def _void(self, call: Call) -> Json:
        order = self._found(call)
        self._orders.void(order, body(call, dict))
        return self._view(call, order)

    def _deliver(self, call: Call) -> Json:
        order = self._found(call)
        self._orders.deliver(order, body(call, dict))
        return self._view(call, order)

    def _selections(self, call: Call) -> Json:
        order = self._found(call)
        self._orders.add_selections(order, self._orders.check(order, call.params["check"]), body(call, list))
        return self._view(call, order)

    def _payments(self, call: Call) -> Json:
        order = self._found(call)
        self._orders.add_payments(order, self._orders.check(order, call.params["check"]), body(call, list))
        return self._view(call, order)

    def _tip(self, call: Call) -> Json:
        order = self._found(call)
        self._orders.tip(order, self._orders.check(order, call.params["check"]), call.params["payment"], body(call, dict))
        return self._view(call, order)

    def _discounts(self, call: Call) -> Json:
        order = self._found(call)
        self._orders.add_discounts(order, self._orders.check(order, call.params["check"]), body(call, list))
        return self._view(call, order)

    def _stock_list(self, call: Call) -> list[Json]:
        return self._stock.listed(self._place_of(call), call.query.get("status", ""))

    def _stock_search(self, call: Call) -> list[Json]:
        return self._stock.search(self._place_of(call), body(call, dict))

    def _stock_update(self, call: Call) -> list[Json]:
        return self._stock.update(self._place_of(call), body(call, list))

    def _stations(self, call: Call) -> Answer:
        return _paged(self._place_of(call).stations(), call, int(self.settings["config_page"]))

    def _station(self, call: Call) -> Json:
        for each in self._place_of(call).stations():
            if each["guid"] == call.params["guid"]:
                return each
        raise refuse("Prep station not found", "guid", 404)

    def _fulfillments(self, call: Call) -> Answer:
        day = call.query.get("businessDate", "")
        if len(day) != 8 or not day.isdigit():
            raise refuse("businessDate is yyyymmdd", "businessDate")
        if not self.settings["rms_pro"]:
            return Answer(204)
        return Answer(200, self._orders.fulfillments(self._place_of(call), int(day)))


def _answering(act: _Act) -> Callable[[Call], Answer]:
    def answer(call: Call) -> Answer:
        made = act(call)
        return made if isinstance(made, Answer) else Answer(200, made)

    return answer


def _paged(rows: list[Json], call: Call, size: int) -> Answer:
    found, following = page(rows, call.query.get("pageToken", ""), max(1, size))
    return Answer(200, found, {"Toast-Next-Page-Token": following} if following else {})


def _nothing(_: Call) -> str:
    return ""


def _place(call: Call) -> str:
    return call.headers.get("toast-restaurant-external-id", "")


def _path(name: str) -> Callable[[Call], str]:
    return lambda call: call.params[name]


def _reference(call: Call) -> str:
    return call.peek("externalId")


SANDBOX = ToastSandbox
