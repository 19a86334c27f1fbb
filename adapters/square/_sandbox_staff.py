"""What the seller's own staff does at the counter and in the back office, and how the control API shows the seller."""

from abc import abstractmethod
from decimal import Decimal

from adapters._sandbox.calls import ControlError, Json, Refused, timestamp
from adapters._sandbox.vendor import Sandbox, word

from ._sandbox_catalog import Catalog
from ._sandbox_orders import Kept, Orders
from ._sandbox_payments import Payments
from ._sandbox_stock import Stock

_STAFF_STATES = {
    **dict.fromkeys(("RESERVED", "ACCEPTED", "PREPARING"), "RESERVED"),
    **dict.fromkeys(("PREPARED", "READY"), "PREPARED"),
    **dict.fromkeys(("COMPLETED", "PICKED_UP", "DELIVERED"), "COMPLETED"),
    **dict.fromkeys(("CANCELED", "CANCELLED", "REJECTED"), "CANCELED"),
    "FAILED": "FAILED",
}


def _count(quantity: str) -> int | float:
    value = float(quantity)
    return int(value) if value.is_integer() else value


def _handing_over(order: Json) -> Json:
    """What the kitchen's ticket says beside the lines: for whom it is, and the notes."""
    for fulfillment in order.get("fulfillments", []):
        details = fulfillment.get("pickup_details") or fulfillment.get("delivery_details") or {}
        recipient = details.get("recipient") or {}
        return {"customer": recipient.get("display_name"), "phone": recipient.get("phone_number"), "note": details.get("note")}
    return {"customer": None, "phone": None, "note": None}


class StaffedSandbox(Sandbox):
    """The part of Square's sandbox that the control API steers."""

    _locations: dict[str, Json]
    _catalog: Catalog
    _orders: Orders
    _payments: Payments
    _stock: Stock

    @abstractmethod
    def _tell(self, kind: str, subject: str, data: Json) -> None:
        """The vendor's own class does it."""

    @abstractmethod
    def _add_location(self, identifier: str, name: str, timezone: str, currency: str) -> None:
        """The vendor's own class does it."""

    def move_order(self, order: str, body: Json) -> Json:
        """Move an order as staff at the counter would: hub words or Square's states; a cancel refunds first."""
        state = _STAFF_STATES.get(word(body, "state").upper())
        if state is None:
            raise ControlError(400, f"state is one of {', '.join(sorted(_STAFF_STATES))}")
        if order not in self._orders.kept:
            raise ControlError(404, f"no order {order}")
        kept = self._orders.kept[order]
        try:
            if state == "CANCELED":
                self._refund_all(kept)
            moves = [{"uid": each["uid"], "state": state} for each in kept.order.get("fulfillments", []) if each["state"] != state]
            change: Json = {"version": kept.order["version"], "fulfillments": moves}
            if state == "CANCELED" or (state == "COMPLETED" and not moves):
                change["state"] = state
            self._orders.update(order, change, [])
        except Refused as refused:
            raise ControlError(409, refused.reason) from refused
        return {"id": order, "state": kept.order["state"], "version": kept.order["version"]}

    def _refund_all(self, kept: Kept) -> None:
        for identifier in kept.payments:
            payment = self._payments.get(identifier)
            left = payment["total_money"]["amount"] - payment.get("refunded_money", {}).get("amount", 0)
            if payment["status"] == "COMPLETED" and left:
                amount = {"amount": left, "currency": payment["total_money"]["currency"]}
                self._payments.refund({"payment_id": identifier, "amount_money": amount, "reason": "Canceled by staff"})

    def edit_menu(self, body: Json) -> Json:
        edits = body.get("edits")
        if not isinstance(edits, list) or not all(isinstance(each, dict) for each in edits):
            raise ControlError(400, "edits is a list of {op: price | rename | remove | add, ...}")
        for each in edits:
            self._catalog.edit(each)
        updated = {"updated_at": timestamp(self._catalog.version / 1000)}
        self._tell("catalog.version.updated", "", {"catalog_version": updated})
        return self._catalog.summary()

    def set_stock(self, body: Json) -> Json:
        item, available = word(body, "item"), body.get("available")
        found = self._catalog.get(item, "ITEM_VARIATION") or next(
            (each for each in self._catalog.listed({"ITEM_VARIATION"}) if each["item_variation_data"].get("sku") == item), None
        )
        if found is None or not isinstance(available, bool):
            raise ControlError(404 if found is None else 400, "item is a variation's id or SKU, available a boolean")
        store = word(body, "store", next(iter(self._locations)))
        if store not in self._locations:
            raise ControlError(404, f"no location {store}")
        self._catalog.override(found, store)["track_inventory"] = True
        self._stock.set(found["id"], store, Decimal(100 if available else 0))
        return {"item": found["id"], "store": store, "available": available}

    def set_store(self, store: str, body: Json) -> Json:
        status = word(body, "status", "ACTIVE").upper()
        status = {"OPEN": "ACTIVE", "ONLINE": "ACTIVE", "CLOSED": "INACTIVE", "OFFLINE": "INACTIVE", "PAUSED": "INACTIVE"}.get(
            status, status
        )
        if status not in {"ACTIVE", "INACTIVE"}:
            raise ControlError(400, "status is ACTIVE or INACTIVE")
        if store not in self._locations:
            if body.get("create") is not True:
                raise ControlError(404, f"no location {store}; with create: true it is made")
            self._add_location(store, word(body, "name", store), "America/New_York", word(body, "currency", "USD"))
        location = self._locations[store]
        location["status"] = status
        if "name" in body:
            location["name"] = word(body, "name")
        self._tell("location.updated", store, {})
        return {"ref": store, "name": location["name"], "status": status, "currency": location["currency"]}

    def stores(self) -> list[Json]:
        return [{"ref": i, "name": at["name"], "status": at["status"], "currency": at["currency"]} for i, at in self._locations.items()]

    def snapshot(self) -> Json:
        return {
            "orders": [self._shown(kept) for kept in self._orders.kept.values()],
            "menus": [self._catalog.summary()],
            "stock": self._stock.shown(),
        }

    def _shown(self, kept: Kept) -> Json:
        order = kept.order
        return {
            "id": order["id"],
            "store": order["location_id"],
            "reference": order.get("reference_id"),
            "state": order["state"],
            "fulfillment": [each["state"] for each in order.get("fulfillments", [])],
            "total": kept.total,
            "currency": self._locations[order["location_id"]]["currency"],
            "payments": self._payments.shown(kept),
            "items": [
                {
                    "name": line.get("name"),
                    "variation": line.get("variation_name"),
                    "quantity": _count(line["quantity"]),
                    "note": line.get("note"),
                    "total": line["gross_sales_money"]["amount"],
                    "modifiers": [{"name": each["name"], "quantity": _count(each["quantity"])} for each in line.get("modifiers", [])],
                }
                for line in order.get("line_items", [])
            ],
            "ticket": order.get("ticket_name"),
            **_handing_over(order),
            "history": kept.history,
        }
