"""The consumers', riders' and platform staff's side of Talabat, and what the middleware sends to the plugin."""

import math
import random
import time
from abc import abstractmethod
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from adapters._sandbox.baskets import ORDER_NOTES, Card
from adapters._sandbox.calls import Call, ControlError, Json, timestamp
from adapters._sandbox.orders import wanted_orders
from adapters._sandbox.vendor import Sandbox, number, word
from adapters._sandbox.webhooks import Event

from ._sandbox_catalog import Catalog, CatalogError, built_in, written
from ._sandbox_orders import ACCEPTED, CANCELLED, OWN, PICKED_UP, PICKUP, VENDOR, Placed, charge, number_lines, vat_of

STATES = ("OPEN", "CLOSED", "CLOSED_UNTIL", "CLOSED_TODAY", "INACTIVE")
_KINDS = {
    **dict.fromkeys(("delivery", "own_delivery", "delivery_by_platform"), OWN),
    **dict.fromkeys(("vendor_delivery", "delivery_by_merchant", "merchant_delivery"), VENDOR),
    **dict.fromkeys(("pickup", "pick_up"), PICKUP),
}
_RIDER = {
    **dict.fromkeys(("assigned", "scheduled", "en_route_to_pickup"), "ASSIGNED"),
    **dict.fromkeys(("arrived", "arrived_at_pickup", "courier_arrived_at_vendor"), "ARRIVED"),
    **dict.fromkeys(("picked_up", "en_route_to_dropoff", "arrived_at_dropoff", "order_picked_up"), "PICKED_UP"),
    **dict.fromkeys(("delivered", "completed"), "DELIVERED"),
}
_STATUS = {**dict.fromkeys(("ONLINE", "ACTIVE"), "OPEN"), **dict.fromkeys(("OFFLINE", "PAUSED"), "CLOSED")}
_ENTITIES = {"AED": "AE", "KWD": "KW", "BHD": "BH", "OMR": "OM", "QAR": "QA", "JOD": "JO", "EGP": "EG", "IQD": "IQ", "SAR": "SA"}
_DISPATCHES = 11
_START = (("TB-HARBOUR-01", "Harbour Street Kitchen"), ("TB-OLDMILL-02", "Old Mill Café"))


class Consumers(Sandbox):
    """The part of Talabat's sandbox that the control API steers."""

    base_url: str
    _stores: dict[str, Json]
    _menus: dict[str, Catalog]
    _pushes: dict[str, list[Json]]
    _orders: dict[str, Placed]
    _by_alias: dict[str, Placed]

    @abstractmethod
    def _plugin(self) -> tuple[str, str] | None:
        """The secret and the base URL of the plugin, when there is one."""

    # To the plugin

    def _send(self, kind: str, about: str, path: str, body: Json | None, method: str = "POST") -> None:
        """Call the plugin at its base URL plus a path."""
        if (plugin := self._plugin()) is not None:
            raw = b"" if body is None else msgspec.json.encode(body)
            self.emit(Event(plugin[1].rstrip("/") + path, plugin[0], raw, kind, about, method))

    def _send_back(self, kind: str, about: str, url: Any, body: Json) -> None:
        """Call an address that the plugin named in a request."""
        if isinstance(url, str) and (plugin := self._plugin()) is not None:
            self.emit(Event(url, plugin[0], msgspec.json.encode(body), kind, about))

    def _dispatch(self, placed: Placed, sends: int = _DISPATCHES) -> None:
        """Send an order to the plugin; one that is lost on the way is sent again as one that was not answered."""
        if self._plugin() is None or placed.acknowledged or placed.state == CANCELLED:
            return
        lost = self.sender.counts["dropped"] if self.sender else 0
        self._send("order.dispatch", placed.alias, f"/order/{quote(placed.store['ref'], safe='')}", placed.payload())
        if self.sender and self.sender.counts["dropped"] > lost and sends > 1:
            self.later(self.settings["redispatch_s"] * self.sender.scale, lambda: self._dispatch(placed, sends - 1))

    def _tell(self, placed: Placed, status: str, message: str = "", **more: Any) -> None:
        """Tell the plugin of an order's new status; impossible while it has not named its own order id."""
        if placed.remote_id:
            path = f"/remoteId/{quote(placed.store['ref'], safe='')}/remoteOrder/{quote(placed.remote_id, safe='')}/posOrderStatus"
            body = {"status": status, "message": message, "occurredAt": timestamp(time.time()), **more}
            self._send("order.status", placed.alias, path, body, "PUT")

    def _complain(self, event: Event, status: int, reason: str) -> None:
        """Note what the plugin should not have answered."""
        self.reject(Call(event.method, event.url), f"answer to {event.kind}: {reason}", status, injected=False)

    # Orders

    def place_orders(self, body: Json) -> list[str]:
        """Place `count` orders at `store`: `items` as named, else drawn; `type`, `accept_deadline_s`, `scheduled_for`, `plain`, `test`.

        Callback addresses need this sandbox's own base URL: it is the one that the last vendor call came to, or `base_url`.
        """
        store = self._store_named(word(body, "store"))
        if store["state"] != "OPEN":
            raise ControlError(409, f"store {store['ref']} is {store['state']} and takes no orders")
        wanted = wanted_orders(body, _KINDS)
        if not word(body, "base_url", self.base_url or "?").startswith("http"):
            raise ControlError(409, f"callback URLs are not known yet: log in at /{self.slug}/v2/login first, or name base_url")
        deadline = number(body, "accept_deadline_s", self.settings["accept_deadline_s"])
        card = self._menus[store["ref"]].card(vat_of(store["currency"]))
        return [self._place(store, card, wanted.kind, body, deadline, wanted.scheduled) for _ in range(wanted.count)]

    def _place(self, store: Json, card: Card, kind: str, body: Json, deadline: float, scheduled: float) -> str:
        now, ordinal, ref = time.time(), len(self._orders) + 1, store["ref"]
        dice = random.Random(f"{self.faults.switches.seed}|{ref}|{ordinal}")  # noqa: S311
        menu = self._menus[ref]
        kind = kind or dice.choices((OWN, VENDOR, PICKUP), (60, 20, 20))[0]
        lines = card.named(body["items"]) if body.get("items") is not None else card.drawn(dice)
        number_lines(lines, f"tb-{ordinal}")
        placed = Placed(
            token=self.ids.uuid(),
            number=ordinal,
            store=store,
            kind=kind,
            lines=lines,
            bill=charge(lines, store["currency"], kind, dice, plain=body.get("plain") is True),
            created=now,
            deadline=now + deadline,
            ready=scheduled or now + 1200,
            root=word(body, "base_url", self.base_url),
            categories={line.id: menu.category_of(line.id) for line in lines},
            dice=dice,
            note=dice.choice(ORDER_NOTES),
            scheduled=bool(scheduled),
            test=body.get("test") is True,
            direct=store["direct"],
        )
        placed.log(placed.state, now)
        if placed.direct:
            placed.call_off = self.later(deadline, lambda: self._expire(placed))
        else:
            placed.accepted = True
            placed.move(ACCEPTED, now)
        self._orders[placed.token] = self._by_alias[placed.alias] = placed
        self._dispatch(placed)
        return placed.token

    def _expire(self, placed: Placed) -> None:
        if placed.state in {ACCEPTED, PICKED_UP, CANCELLED}:
            return
        self._cancel(placed, "NO_RESPONSE")
        store = placed.store
        store["expired"] += 1
        if store["state"] == "OPEN" and 0 < self.settings["auto_close_after"] <= store["expired"]:
            store.update(state="CLOSED", reason="ORDER_FAILURE", expired=0)

    def _cancel(self, placed: Placed, reason: str, *, tell: bool = True) -> None:
        placed.reason = reason
        placed.move(CANCELLED, time.time())
        if tell:
            self._tell(placed, "ORDER_CANCELLED", reason)

    def _placed(self, order: str) -> Placed:
        placed = self._orders.get(order)
        if placed is None:
            raise ControlError(404, f"no order {order}")
        return placed

    def cancel_order(self, order: str, body: Json) -> Json:
        """Let the consumer or the platform cancel, for a `reason`."""
        placed = self._placed(order)
        if placed.state in {PICKED_UP, CANCELLED}:
            raise ControlError(409, f"order {order} is {placed.state} already")
        self._cancel(placed, word(body, "reason", "CANCELLED_BY_CUSTOMER"))
        return {"id": order, "state": placed.state}

    def move_courier(self, order: str, body: Json) -> Json:
        """Move the platform's rider: assigned, arrived, picked_up, delivered; the plugin hears of the middle two."""
        placed = self._placed(order)
        state = _RIDER.get(word(body, "state").lower())
        if state is None:
            raise ControlError(400, f"state is one of {', '.join(sorted(_RIDER))}")
        if placed.kind != OWN or placed.state == CANCELLED or (state != "ASSIGNED" and placed.state not in {ACCEPTED, PICKED_UP}):
            raise ControlError(409, f"order {order} is {placed.kind} and {placed.state}: no rider is {state}")
        now, placed.rider = time.time(), state
        if state == "ARRIVED":
            self._tell(placed, "COURIER_ARRIVED_AT_VENDOR", "The rider is at the vendor")
        elif state == "PICKED_UP" and placed.state == ACCEPTED:
            placed.move(PICKED_UP, now)
            self._tell(placed, "ORDER_PICKED_UP", "The rider has the order")
        if state != "PICKED_UP":
            placed.log(f"RIDER_{state}", now)
        return {"id": order, "state": placed.state, "courier": state}

    # Menus and stores

    def edit_menu(self, body: Json) -> Json:
        """Apply edits of platform staff to a store's catalog: {op: price | rename | remove, id, amount?, name?}."""
        store = self._store_named(word(body, "store", next(iter(self._stores))))
        edits = body.get("edits")
        if not isinstance(edits, list) or not all(isinstance(each, dict) for each in edits):
            raise ControlError(400, "edits is a list of {op: price | rename | remove, id, ...}")
        items: Json = msgspec.json.decode(msgspec.json.encode(self._menus[store["ref"]].items))
        for edit in edits:
            self._edit(items, edit, store["currency"])
        try:
            self._menus[store["ref"]] = Catalog(items, store["currency"])
        except CatalogError as error:
            raise ControlError(409, str(error)) from error
        return {"store": store["ref"], "items": self._menus[store["ref"]].summary()}

    @staticmethod
    def _edit(items: Json, edit: Json, currency: str) -> None:
        identifier, operation = word(edit, "id"), word(edit, "op")
        if items.get(identifier, {}).get("type") != "Product":
            raise ControlError(404, f"no product {identifier}")
        if operation == "price":
            price = written(int(number(edit, "amount")), currency)
            items[identifier]["price"] = price
            for topping in (each for each in items.values() if each["type"] == "Topping" and identifier in each["products"]):
                topping["products"][identifier]["price"] = price
        elif operation == "rename":
            items[identifier]["title"] = {"default": word(edit, "name")}
        elif operation == "remove":
            del items[identifier]
            for holder in items.values():
                for name in ("products", "variants"):
                    (holder.get(name) or {}).pop(identifier, None)
        else:
            raise ControlError(400, f"unknown edit {operation!r}; known: price, remove, rename")

    def set_stock(self, body: Json) -> Json:
        """Take a product off sale at `store` (or all of them), or put it back."""
        item, available = word(body, "item"), body.get("available")
        if not isinstance(available, bool):
            raise ControlError(400, "available is a boolean")
        stores = [self._store_named(word(body, "store"))["ref"]] if "store" in body else list(self._stores)
        held = [self._menus[store] for store in stores if self._menus[store].items.get(item, {}).get("type") == "Product"]
        if not held:
            raise ControlError(404, f"no product {item}")
        for menu in held:
            menu.switch(item, 0 if available else math.inf)
        return {"item": item, "available": available, "stores": len(held)}

    def _store_named(self, store: str) -> Json:
        if store not in self._stores:
            raise ControlError(404, f"no store {store}; there are: {', '.join(self._stores)}")
        return self._stores[store]

    def set_store(self, store: str, body: Json) -> Json:
        """Change a store's `status`, `reason`, `changeable`, `direct` (false: orders are accepted on the tablet), or `create` it.

        `request_menu: true` asks the plugin to push the store's catalog.
        """
        known = store in self._stores
        status = word(body, "status", self._stores[store]["state"] if known else "OPEN").upper()
        status = _STATUS.get(status, status)
        if status not in STATES:
            raise ControlError(400, f"status is one of {', '.join(STATES)}")
        if not known:
            if body.get("create") is not True:
                raise ControlError(404, f"no store {store}; with create: true it is made")
            self._add_store(store, word(body, "name", store), word(body, "currency", "AED"), word(body, "timezone", "Asia/Dubai"))
        held = self._stores[store]
        moved = held["state"] != status
        held.update({name: body[name] for name in ("changeable", "direct") if isinstance(body.get(name), bool)})
        held.update(name=word(body, "name", held["name"]), state=status, until=0.0)
        held["reason"] = "" if status == "OPEN" else word(body, "reason", held["reason"] or "OTHER")
        ref = quote(store, safe="")
        if moved:
            now = timestamp(time.time())
            closures = [{"reason": held["reason"], "start": now, "end": None, "changeable": held["changeable"]}]
            closed = {"timestamp": now, "closures": [] if status == "OPEN" else closures}
            self._send("store.availability", store, f"/remoteId/{ref}/availability", closed, "PUT")
        if body.get("request_menu") is True:
            query = urlencode({"vendorCode": held["platform_id"], "menuImportId": self.ids.uuid()})
            self._send("menu.request", store, f"/menuimport/{ref}?{query}", None, "GET")
        return {"ref": store, "name": held["name"], "status": status, "currency": held["currency"]}

    def _add_store(self, ref: str, name: str, currency: str, timezone: str) -> None:
        country = _ENTITIES.get(currency, currency[:2])
        self._stores[ref] = {
            "ref": ref,
            "name": name,
            "currency": currency,
            "timezone": timezone,
            "state": "OPEN",
            "reason": "",
            "until": 0.0,
            "changeable": True,
            "direct": True,
            "platform_id": str(600_101 + len(self._stores)),
            "country": country,
            "entity": f"TB_{country}",
            "asked": 0.0,
            "expired": 0,
        }
        self._menus[ref] = built_in(currency)
        self._pushes[ref] = []

    def stores(self) -> list[Json]:
        return [
            {"ref": ref, "name": each["name"], "status": each["state"], "currency": each["currency"]} for ref, each in self._stores.items()
        ]

    def snapshot(self) -> Json:
        return {
            "orders": [placed.summary() for placed in self._orders.values()],
            "menus": [
                {"store": store, "pushed": bool(self._pushes[store]), "pushes": self._pushes[store], "items": menu.summary()}
                for store, menu in self._menus.items()
            ],
            "stock": [
                {"item": item, "store": store, "available": available}
                for store, menu in self._menus.items()
                for item, available in menu.off_sale().items()
            ],
        }

    def restart(self) -> None:
        self._stores, self._menus, self._pushes = {}, {}, {}
        self._orders, self._by_alias = {}, {}
        for ref, name in _START:
            self._add_store(ref, name, "AED", "Asia/Dubai")
