"""The consumers', couriers' and platform's side of Uber Eats: placing, cancelling and delivering orders, and store staff."""

import random
import time
from abc import abstractmethod
from typing import Any

import msgspec

from adapters._sandbox.calls import ControlError, Json, Refused, seconds, timestamp
from adapters._sandbox.vendor import Sandbox, number, word
from adapters._sandbox.webhooks import Event

from ._sandbox_baskets import drawn, named
from ._sandbox_menu import Menu, built_in, check_price
from ._sandbox_orders import ENDED, Placed, Purse, cost, describe

API = "https://api.uber.com"
_KINDS = {
    **dict.fromkeys(("delivery", "delivery_by_uber", "delivery_by_platform"), "DELIVERY_BY_UBER"),
    **dict.fromkeys(("delivery_by_merchant", "merchant_delivery"), "DELIVERY_BY_MERCHANT"),
    **dict.fromkeys(("pickup", "pick_up"), "PICKUP"),
    "dine_in": "DINE_IN",
}
_COURIER = ("SCHEDULED", "EN_ROUTE_TO_PICKUP", "ARRIVED_AT_PICKUP", "EN_ROUTE_TO_DROPOFF", "ARRIVED_AT_DROPOFF", "COMPLETED", "FAILED")
_WORDS = {
    "ASSIGNED": "EN_ROUTE_TO_PICKUP",
    "ARRIVED": "ARRIVED_AT_PICKUP",
    "PICKED_UP": "EN_ROUTE_TO_DROPOFF",
    "DELIVERED": "COMPLETED",
}
"""The hub's words for a courier's steps."""
_MOST_AT_ONCE = 5_000


class Consumers(Sandbox):
    """The part of Uber's sandbox that the control API steers."""

    _stores: dict[str, Json]
    _menus: dict[str, Menu]
    _pushes: dict[str, list[Json]]
    _orders: dict[str, Placed]
    _by_store: dict[str, list[Placed]]
    _client_id: str

    @abstractmethod
    def _key_and_url(self) -> tuple[str, str] | None:
        """The signing key and the app's one webhook address, when there is one."""

    @abstractmethod
    def _add_store(self, identifier: str, name: str, currency: str) -> None:
        """The vendor's own class does it."""

    def _tell(self, kind: str, store: str, resource: str, href: str, about: str, **more: Any) -> None:
        """Send a thin webhook: ids only, and where to fetch the rest."""
        where = self._key_and_url()
        if where is None:
            return
        now = time.time()
        body = {
            "event_type": kind,
            "event_id": self.ids.uuid(),
            "event_time": int(now),
            "meta": {"resource_id": resource, "status": "pos", "user_id": store},
            "resource_href": href,
            "webhook_meta": {
                "client_id": self._client_id,
                "webhook_config_id": "sandbox.primary",
                "webhook_msg_timestamp": int(now),
                "webhook_msg_uuid": self.ids.uuid(),
            },
            **more,
        }
        self.emit(Event(where[1], where[0], msgspec.json.encode(body), kind, about))

    def _tell_order(self, kind: str, placed: Placed, **more: Any) -> None:
        if placed.store["pos_data"]["integration_enabled"]:
            self._tell(kind, placed.store["id"], placed.id, f"{API}/v1/delivery/order/{placed.id}", placed.alias, **more)

    def place_orders(self, body: Json) -> list[str]:
        """Place `count` orders at `store`: `items` as named, else drawn from its menu; `type`, `accept_deadline_s`, `plain`."""
        store = self._stores.get(word(body, "store"))
        if store is None:
            raise ControlError(404, f"no store {body['store']}; there are: {', '.join(self._stores)}")
        if store["status"] != "ONLINE":
            raise ControlError(409, f"store {store['id']} is {store['status']} and takes no orders")
        count = number(body, "count", 1)
        if not 1 <= count <= _MOST_AT_ONCE or count != int(count):
            raise ControlError(400, f"count is an integer from 1 to {_MOST_AT_ONCE}")
        kind = body.get("type")
        if kind is not None and (not isinstance(kind, str) or kind.lower() not in _KINDS):
            raise ControlError(400, f"type is one of {', '.join(sorted(_KINDS))}")
        if body.get("scheduled_for") is not None:
            try:
                seconds(word(body, "scheduled_for"))
            except ValueError as error:
                raise ControlError(400, f"scheduled_for: {error}") from error
        deadline = number(body, "accept_deadline_s", self.settings["accept_deadline_s"])
        return [self._place(store, kind and _KINDS[kind.lower()], body, deadline) for _ in range(int(count))]

    def _place(self, store: Json, kind: str | None, body: Json, deadline: float) -> str:
        now, ordinal = time.time(), len(self._orders) + 1
        dice = random.Random(f"{self.faults.switches.seed}|{store['id']}|{ordinal}")  # noqa: S311
        menu = self._menus[store["id"]]
        kind = kind or dice.choices(("DELIVERY_BY_UBER", "PICKUP", "DELIVERY_BY_MERCHANT"), (60, 25, 15))[0]
        lines = named(menu, body["items"]) if body.get("items") is not None else drawn(menu, dice, now)
        placed = Placed(
            id=self.ids.uuid(),
            number=ordinal,
            store=store,
            kind=kind,
            lines=lines,
            money=cost(lines, kind, dice, plain=body.get("plain") is True, remitted_by=store["tax_remitted_by"]),
            purse=Purse(store["currency"]),
            created=now,
            deadline=now + deadline,
            scheduled_for=body.get("scheduled_for") or "",
            note=dice.choice(("", "", "No cutlery", "بدون أدوات مائدة")),
            ready_at=timestamp(now + store["prep_time_s"]),
        )
        placed.parts = describe(placed, dice, self.ids.uuid)
        placed.log("OFFERED", now)
        if placed.scheduled_for:
            placed.status = "SCHEDULED"
        placed.call_off = self.later(deadline, lambda: self._time_out(placed))
        self._orders[placed.id] = placed
        self._by_store[store["id"]].append(placed)
        self._tell_order("orders.scheduled.notification" if placed.scheduled_for else "orders.notification", placed)
        return placed.id

    def _time_out(self, placed: Placed) -> None:
        if placed.state == "OFFERED":
            self._fail(placed, "ACCEPT_TIMED_OUT", "MERCHANT")

    def _fail(self, placed: Placed, reason: str, party: str, about: str = "") -> None:
        placed.failure = {"reason": reason, "failure_attributed_to_party": party, "will_merchant_be_paid": False}
        if about:
            placed.failure["description"] = about
        placed.move("FAILED", time.time())
        self._tell_order("orders.failure", placed)

    def _placed(self, order: str) -> Placed:
        placed = self._orders.get(order)
        if placed is None:
            raise ControlError(404, f"no order {order}")
        return placed

    def cancel_order(self, order: str, body: Json) -> Json:
        """Let the consumer cancel (or `by`: UBER)."""
        placed = self._placed(order)
        if placed.state in ENDED:
            raise ControlError(409, f"order {order} is {placed.state} already")
        self._fail(placed, "CANCELED", word(body, "by", "CUSTOMER").upper(), word(body, "reason", "Cancelled by the customer"))
        return {"id": order, "state": placed.state}

    def move_courier(self, order: str, body: Json) -> Json:
        """Move the courier; leaving with the food hands the order over, arriving completes it."""
        placed = self._placed(order)
        state = word(body, "state").upper()
        state = _WORDS.get(state, state)
        if state not in _COURIER:
            raise ControlError(400, f"state is one of {', '.join((*_COURIER, *map(str.lower, _WORDS)))}")
        if placed.kind == "PICKUP" or placed.state not in {"ACCEPTED", "HANDED_OFF"}:
            raise ControlError(409, f"order {order} is {placed.kind} and {placed.state}: no courier moves")
        courier: Json = {"name": {"display_name": "Courier"}, "vehicle": {"type": "CAR"}}
        if "lat" in body or "lng" in body:
            courier["current_location"] = {"latitude": str(body.get("lat", "")), "longitude": str(body.get("lng", ""))}
        placed.courier = {"status": state, "delivery_partner": courier}
        now = time.time()
        if state == "EN_ROUTE_TO_DROPOFF" and placed.state == "ACCEPTED":
            placed.move("HANDED_OFF", now)
        if state == "COMPLETED":
            placed.move("SUCCEEDED", now)
        self._tell_order("delivery.state_changed", placed, current_state=state)
        if state == "FAILED":
            self._fail(placed, "DELIVERY_FAILED", "UBER")
        return {"id": order, "state": placed.state, "courier": state}

    def edit_menu(self, body: Json) -> Json:
        """Apply edits of the merchant's staff to a store's menu: {op: price | suspend | remove, id, amount?, until?}."""
        store = self._known_store(word(body, "store", next(iter(self._stores))))
        edits = body.get("edits")
        if not isinstance(edits, list) or not all(isinstance(each, dict) for each in edits):
            raise ControlError(400, "edits is a list of {op: price | suspend | remove, id, ...}")
        changed: Json = msgspec.json.decode(msgspec.json.encode(self._menus[store].body))
        for edit in edits:
            self._edit(changed, edit)
        try:
            self._menus[store] = Menu(changed)
        except Refused as refused:
            raise ControlError(409, refused.reason) from refused
        return {"store": store, "items": self._menus[store].summary()}

    @staticmethod
    def _edit(menu: Json, edit: Json) -> None:
        identifier, operation = word(edit, "id"), word(edit, "op")
        item = next((each for each in menu["items"] if each["id"] == identifier), None)
        if item is None:
            raise ControlError(404, f"no item {identifier}")
        if operation == "price":
            item["price_info"] = {**item["price_info"], "price": int(number(edit, "amount"))}
            check_price(item["price_info"], "amount")
        elif operation == "suspend":
            item["suspension_info"] = {"suspension": {"suspend_until": int(number(edit, "until")), "reason": "staff"}}
        elif operation == "remove":
            menu["items"].remove(item)
            for holder, key in (("categories", "entities"), ("modifier_groups", "modifier_options")):
                for each in menu[holder]:
                    each[key] = [entity for entity in each[key] if entity["id"] != identifier]
        else:
            raise ControlError(400, f"unknown edit {operation!r}; known: price, remove, suspend")

    def set_stock(self, body: Json) -> Json:
        """Take an item off sale at `store` (or all of them), or put it back."""
        item, available = word(body, "item"), body.get("available")
        if not isinstance(available, bool):
            raise ControlError(400, "available is a boolean")
        stores = [self._known_store(word(body, "store"))] if "store" in body else list(self._stores)
        held = [self._menus[store].items[item] for store in stores if item in self._menus[store].items]
        if not held:
            raise ControlError(404, f"no item {item}")
        for each in held:
            until = 0 if available else int(time.time()) + 10 * 365 * 86_400
            each["suspension_info"] = {"suspension": {"suspend_until": until, "reason": "staff"}}
        return {"item": item, "available": available, "stores": len(held)}

    def _known_store(self, store: str) -> str:
        if store not in self._stores:
            raise ControlError(404, f"no store {store}; there are: {', '.join(self._stores)}")
        return store

    def set_store(self, store: str, body: Json) -> Json:
        """Change a store's status (ONLINE, OFFLINE) or order manager, make it with `create`, send its provisioning, ask for its menu."""
        status = word(body, "status", self._stores[store]["status"] if store in self._stores else "ONLINE").upper()
        status = {"OPEN": "ONLINE", "ACTIVE": "ONLINE", "CLOSED": "OFFLINE", "INACTIVE": "OFFLINE", "PAUSED": "OFFLINE"}.get(status, status)
        if status not in {"ONLINE", "OFFLINE"}:
            raise ControlError(400, "status is ONLINE or OFFLINE")
        if store not in self._stores:
            if body.get("create") is not True:
                raise ControlError(404, f"no store {store}; with create: true it is made")
            self._add_store(store, word(body, "name", store), word(body, "currency", "USD"))
        held = self._stores[store]
        if "name" in body:
            held["name"] = word(body, "name")
        changed, held["status"] = held["status"] != status, status
        held["offline_reason"] = "" if status == "ONLINE" else "PAUSED_BY_RESTAURANT"
        if "is_order_manager" in body:
            held["pos_data"]["is_order_manager"] = body["is_order_manager"] is True
        href = f"{API}/v1/delivery/store/{store}"
        if body.get("provision") is not None:
            held["pos_data"]["integration_enabled"] = body["provision"] is True
            kind = "store.provisioned" if body["provision"] is True else "store.deprovisioned"
            partner = held["pos_data"].get("integrator_store_id", "")
            self._tell(kind, store, store, href, store, store_id=store, partner_store_id=partner)
        elif body.get("request_menu") is True:
            self._tell("store.menu_refresh_request", store, store, href, store)
        elif changed:
            self._tell("store.status.changed", store, store, href, store, store_status=status)
        return {"ref": store, "name": held["name"], "status": status, "currency": held["currency"]}

    def stores(self) -> list[Json]:
        return [{"ref": i, "name": s["name"], "status": s["status"], "currency": s["currency"]} for i, s in self._stores.items()]

    def snapshot(self) -> Json:
        return {
            "orders": [placed.summary() for placed in self._orders.values()],
            "menus": [
                {"store": store, "pushed": bool(self._pushes[store]), "pushes": self._pushes[store], "items": menu.summary()}
                for store, menu in self._menus.items()
            ],
            "stock": [
                {"item": item["id"], "store": store, "available": item["suspended_until"] <= time.time()}
                for store, menu in self._menus.items()
                for item in menu.summary()
                if item["suspended_until"]
            ],
        }

    def restart(self) -> None:
        self._stores = {}
        self._menus = {}
        self._pushes = {}
        self._orders = {}
        self._by_store = {}
        self._add_store("7e973b58-40b7-4bd8-b01c-c7d1cbd194f6", "Harbour Street Kitchen", "USD")
        self._add_store("c7f1dc2f-fabe-4997-845c-cad26fdcb894", "Old Mill Café", "USD")
        second = self._stores["c7f1dc2f-fabe-4997-845c-cad26fdcb894"]
        second.update(timezone="America/Chicago", tax_remitted_by="UBER")

    def _new_menu(self, store: str) -> None:
        self._menus[store] = built_in()
        self._pushes[store] = []
        self._by_store[store] = []
