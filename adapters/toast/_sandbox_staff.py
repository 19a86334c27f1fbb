"""What restaurant staff does at the POS, in the kitchen and in Toast Web, and how the control API shows the restaurants."""

import re
import time
from abc import abstractmethod
from typing import Any

from adapters._sandbox.calls import ControlError, Json
from adapters._sandbox.vendor import Sandbox, word

from ._sandbox_checks import is_guid, stamp
from ._sandbox_menu import Menu
from ._sandbox_orders import Orders
from ._sandbox_places import Place
from ._sandbox_stock import Stock
from ._sandbox_totals import Order, Selection

_WORDS = {
    **dict.fromkeys(("ACCEPTED", "APPROVED"), "APPROVED"),
    **dict.fromkeys(("PREPARING", "IN_PREPARATION", "SENT"), "IN_PREPARATION"),
    **dict.fromkeys(("READY", "READY_FOR_PICKUP"), "READY_FOR_PICKUP"),
    **dict.fromkeys(("COMPLETED", "CLOSED"), "CLOSED"),
    **dict.fromkeys(("CANCELLED", "CANCELED", "VOIDED"), "VOIDED"),
    **dict.fromkeys(("REJECTED", "NOT_APPROVED"), "NOT_APPROVED"),
    **{each: each for each in ("HOLD", "IN_PROGRESS", "PICKED_UP", "DELIVERED")},
}
_ONLINE = {**dict.fromkeys(("OPEN", "ONLINE", "ACTIVE"), True), **dict.fromkeys(("CLOSED", "OFFLINE", "PAUSED"), False)}


class StaffedSandbox(Sandbox):
    """The part of Toast's sandbox that the control API steers."""

    _places: dict[str, Place]
    _menu: Menu
    _orders: Orders
    _stock: Stock

    @abstractmethod
    def _publish(self, category: str, kind: str, details: Json, about: str) -> None:
        """The vendor's own class does it."""

    def move_order(self, order: str, body: Json) -> Json:
        """Move an order as the restaurant's staff would: hub words or Toast's own."""
        state = _WORDS.get(word(body, "state").upper())
        if state is None:
            raise ControlError(400, f"state is one of {', '.join(sorted(_WORDS))}")
        found = self._orders.kept.get(order)
        if found is None:
            raise ControlError(404, f"no order {order}")
        if not self._moved(found, state):
            raise ControlError(409, f"order {order} is {found.state} and cannot become {state}")
        return {"id": order, "state": found.state}

    def _moved(self, order: Order, state: str) -> bool:
        if state in {"APPROVED", "NOT_APPROVED"}:
            return self._orders.decide(order, approved=state == "APPROVED")
        if order.voided:
            return False
        if state == "VOIDED":
            self._orders.end(order)
        elif state == "HOLD":
            self._orders.hold(order)
        elif state in {"IN_PROGRESS", "PICKED_UP", "DELIVERED"}:
            if order.delivery.get("deliveryState", "DELIVERED") == "DELIVERED":
                return False
            self._orders.deliver(order, {"deliveryState": state})
        else:
            return self._orders.cook(order, state)
        return True

    def edit_menu(self, body: Json) -> Json:
        edits = body.get("edits")
        if not isinstance(edits, list) or not all(isinstance(each, dict) for each in edits):
            raise ControlError(400, "edits is a list of {op: price | rename | remove, ...}")
        for each in edits:
            self._menu.edit(each, time.time())
        for place in self._places.values():
            self._publish("menus", "menus_updated", {"restaurantGuid": place.ref, "publishedDate": stamp(self._menu.updated)}, place.ref)
        return self._menu_row(next(iter(self._places.values())))

    def set_stock(self, body: Json) -> Json:
        item, available = word(body, "item"), body.get("available")
        found = self._menu.find(item)
        if found is None or not isinstance(available, bool):
            raise ControlError(404 if found is None else 400, "item is a GUID, multi-location id, PLU or SKU, available a boolean")
        place = self._place(word(body, "store", next(iter(self._places))))
        quantity = body.get("quantity")
        if quantity is not None and (not isinstance(quantity, int) or isinstance(quantity, bool) or quantity < 1):
            raise ControlError(400, "quantity is an integer from 1 up")
        self._stock.set(place, found.guid, quantity if available else 0.0)
        return {"item": found.guid, "store": place.ref, "available": available}

    def _place(self, ref: str) -> Place:
        if ref not in self._places:
            raise ControlError(404, f"no restaurant {ref}")
        return self._places[ref]

    def set_store(self, store: str, body: Json) -> Json:
        """Change a restaurant: {status, name, approval: auto | staff, connected}; with {create: true, currency, timezone} make one."""
        status, approval = word(body, "status", "ONLINE" if body.get("create") else "KEEP").upper(), word(body, "approval", "keep")
        if status not in _ONLINE and (status != "KEEP" or "status" in body):
            raise ControlError(400, f"status is one of {', '.join(_ONLINE)}")
        if approval not in {"auto", "staff"} and (approval != "keep" or "approval" in body):
            raise ControlError(400, "approval is auto or staff")
        if not isinstance(body.get("connected", True), bool):
            raise ControlError(400, "connected is a boolean")
        if store not in self._places:
            self._make(store, body)
        place = self._place(store)
        place.name = word(body, "name", place.name)
        place.approval = place.approval if approval == "keep" else approval
        online = _ONLINE.get(status, place.online)
        if online != place.online:
            place.online = online
            kind = f"availability_{'online' if online else 'offline'}"
            self._publish("restaurant_availability", kind, place.availability(), store)
        connected = body.get("connected", place.connected)
        if connected != place.connected:
            place.connected, place.changed = connected, time.time()
            self._publish("partners", "partner_added" if connected else "partner_removed", place.access(), store)
        return self._store_row(place)

    def _make(self, store: str, body: Json) -> None:
        if body.get("create") is not True:
            raise ControlError(404, f"no restaurant {store}; with create: true it is made")
        if not is_guid(store):
            raise ControlError(400, f"a restaurant's ref is a GUID, {store!r} is not")
        currency = word(body, "currency", "USD")
        if not re.fullmatch("[A-Z]{3}", currency):
            raise ControlError(400, "currency is an ISO 4217 code")
        made = Place(store, word(body, "name", store), currency, word(body, "timezone", "America/New_York"), changed=time.time())
        self._places[store] = made
        self._publish("partners", "partner_added", made.access(), store)

    @staticmethod
    def _store_row(place: Place) -> Json:
        status = "ONLINE" if place.online else "OFFLINE"
        more = {"approval": place.approval, "connected": place.connected, "timezone": place.timezone}
        return {"ref": place.ref, "name": place.name, "status": status, "currency": place.currency, **more}

    def stores(self) -> list[Json]:
        return [self._store_row(each) for each in self._places.values()]

    def snapshot(self) -> Json:
        stock = [{"item": item, "store": ref, "quantity": left, "available": left > 0} for (ref, item), left in self._stock.levels.items()]
        orders = [_shown(order) for order in self._orders.kept.values()]
        return {"orders": orders, "menus": [self._menu_row(each) for each in self._places.values()], "stock": stock}

    def _menu_row(self, place: Place) -> Json:
        rows = [
            {"id": each.guid, "name": each.name, "price": each.price, "available": self._stock.status(place, each.guid) != "OUT_OF_STOCK"}
            for each in self._menu.items.values()
        ]
        return {"store": place.ref, "pushed": False, "pushes": 0, "items": rows, "updated": stamp(self._menu.updated)}


def _shown(order: Order) -> Json:
    payments = [each for check in order.checks for each in check.payments]
    tips = sum(each.tip for each in payments)
    lines = [each for check in order.checks for each in check.selections]
    customer = next((check.customer for check in order.checks if check.customer), None)
    return {
        "id": order.guid,
        "store": order.place.ref,
        "reference": order.external,
        "state": order.state,
        "kind": order.dining["behavior"],
        "total": sum(check.total for check in order.checks),
        "currency": order.place.currency,
        "tax": sum(check.tax for check in order.checks),
        "tip": tips,
        "discount": sum(each.amount for check in order.checks for each in check.discounts),
        "charges": sum(each.amount for check in order.checks for each in check.charges),
        "note": next((each.name for each in lines if each.dish is None), order.body.get("deliveryInfo", {}).get("notes")),
        "customer": f"{customer['firstName']} {customer['lastName']}" if customer else None,
        "promised": stamp(order.promised) if order.promised else None,
        "payments": [_paid(each) for each in payments],
        "items": [_item(each) for each in lines if each.dish is not None],
        "history": order.history,
    }


def _paid(payment: Any) -> Json:
    kind = payment.kind["name"] if payment.kind else "Cash"
    return {
        "amount": payment.amount,
        "tip": payment.tip,
        "type": "OTHER" if payment.kind else "CASH",
        "name": kind,
        "voided": bool(payment.voided),
    }


def _item(line: Selection) -> Json:
    return {
        "id": line.dish.guid if line.dish else None,
        "name": line.name,
        "quantity": line.quantity,
        "note": "; ".join(each.name for each in line.modifiers if each.dish is None) or None,
        "total": line.gross,
        "reference": line.external,
        "modifiers": [
            {
                "id": each.dish.guid,
                "name": each.name,
                "quantity": each.quantity,
                "price": each.unit,
                "modifiers": _item(each)["modifiers"],
            }
            for each in line.modifiers
            if each.dish is not None
        ],
    }
