"""The platform's side of DoorDash: consumers, Dashers and staff, and what the provider's answer to an order means."""

import json
import random
import re
import time

import msgspec

from adapters._sandbox.baskets import ORDER_NOTES, Card
from adapters._sandbox.calls import ControlError, Json, Refused, timestamp
from adapters._sandbox.orders import wanted_orders
from adapters._sandbox.vendor import number, word
from adapters._sandbox.webhooks import Event

from ._sandbox_access import PROVIDER, check_confirmation, refuse
from ._sandbox_jobs import Jobs
from ._sandbox_menu import MenuError, Shelf, StoreMenu, built_in, check_menu
from ._sandbox_orders import CANCELLED, CONFIRMED, DASHER, DELIVERED, ENDED, FAILED, NEW, PICKED_UP, PICKUP, READY, SELF, Placed, charge

_KINDS = {
    **dict.fromkeys(("delivery", "dx_delivery", "delivery_by_platform"), DASHER),
    **dict.fromkeys(("merchant_delivery", "mx_fleet_delivery", "delivery_by_merchant"), SELF),
    **dict.fromkeys(("pickup", "pick_up"), PICKUP),
}
_DASHER = {
    **dict.fromkeys(("dasher_confirmed", "assigned", "scheduled"), "dasher_confirmed"),
    **dict.fromkeys(("arriving_at_store", "en_route_to_pickup"), "arriving_at_store"),
    **dict.fromkeys(("arrived_at_store", "arrived", "arrived_at_pickup"), "arrived_at_store"),
    **dict.fromkeys(("dasher_out_for_delivery", "picked_up", "en_route_to_dropoff"), "dasher_out_for_delivery"),
    **dict.fromkeys(("dropoff", "delivered", "completed"), "dropoff"),
    "release": "release",
}
_DASHER_IS = {
    "phone_number": "+1 555 0142",
    "first_name": "Jude",
    "last_name": "D.",
    "vehicle": {"color": "Black", "make": "Dodge", "model": "Dakota"},
}
_OPEN = frozenset({"open", "online", "active"})
_CLOSED = frozenset({"closed", "offline", "inactive", "paused"})
_FLAGS = ("auto_release", "bank", "onboarding", "remits_tax")
_START = (("harbour-01", "Harbour Street Kitchen", "America/New_York"), ("oldmill-02", "Old Mill Café", "America/Chicago"))


class Platform(Jobs):
    """The part of DoorDash's sandbox that the control API steers."""

    _orders: dict[str, Placed]
    _by_alias: dict[str, Placed]

    # Orders

    def place_orders(self, body: Json) -> list[str]:
        """Place `count` orders at `store`: `items` as named, else drawn; `type`, `accept_deadline_s`, `scheduled_for`, `plain`, `test`."""
        store = self._store_named(word(body, "store"))
        if self.deactivations(store):
            raise ControlError(409, f"store {store['ref']} is deactivated and takes no orders")
        wanted = wanted_orders(body, _KINDS)
        if body.get("accept_deadline_s") is not None:
            number(body, "accept_deadline_s")
        shelf = self.shelf(store["ref"])
        card = shelf.card()
        return [self._place(store, shelf, card, wanted.kind, body, wanted.scheduled) for _ in range(wanted.count)]

    def _place(self, store: Json, shelf: Shelf, card: Card, kind: str, body: Json, scheduled: float) -> str:
        now, ordinal = time.time(), len(self._orders) + 1
        dice = random.Random(f"{self.faults.switches.seed}|{store['ref']}|{ordinal}")  # noqa: S311
        deadline = self.settings["accept_deadline_s"] + self.settings["accept_spread_s"] * dice.random()
        if body.get("accept_deadline_s") is not None:
            deadline = number(body, "accept_deadline_s")
        drawn_kind = dice.choices((DASHER, PICKUP, SELF), (65, 20, 15))[0]
        lines = card.named(shelf.keyed(body["items"])) if body.get("items") is not None else card.drawn(dice)
        placed = Placed(
            id=self.ids.uuid(),
            number=ordinal,
            store=store,
            kind=kind or drawn_kind,
            lines=lines,
            bill=charge(lines, kind or drawn_kind, dice, plain=body.get("plain") is True),
            created=now,
            deadline=now + deadline,
            pickup_at=scheduled or now + 1200,
            categories=shelf.categories,
            extras=shelf.extras,
            new_id=self.ids.uuid,
            dice=dice,
            note=dice.choice(ORDER_NOTES),
            asap=not scheduled,
            nested_name="extra" if self.settings["nested_as_extra"] else "extras",
        )
        placed.log(NEW, now)
        placed.call_off = self.later(deadline, lambda: self._expire(placed))
        if body.get("test") is True:
            self.later(self.settings["test_cancel_s"], lambda: self._end_test(placed))
        self._orders[placed.id] = self._by_alias[placed.alias] = placed
        self.tell("orders", placed.alias, {"event": {"type": "OrderCreate", "status": "NEW"}, "order": placed.payload()})
        return placed.id

    def _expire(self, placed: Placed) -> None:
        if placed.state == NEW:
            self._fail(placed, "TIME_OUT")

    def _end_test(self, placed: Placed) -> None:
        if placed.state not in ENDED:
            self.cancel(placed, "test order")

    @staticmethod
    def _fail(placed: Placed, reason: str) -> None:
        placed.reason = reason
        placed.move(FAILED, time.time())

    def cancel(self, placed: Placed, reason: str) -> None:
        """End an order and tell so; the event gives no reason."""
        placed.reason = reason
        placed.move(CANCELLED, time.time())
        self.tell("order_canceled", placed.alias, {**placed.names(), "store": placed.where(), "is_asap": placed.asap})

    def settle(self, placed: Placed, body: Json) -> None:
        """Take a confirmation in, whichever way it came; raises Refused."""
        check_confirmation(body)
        if placed.state != NEW:
            if placed.reason == "TIME_OUT" and not placed.confirmation:
                raise refuse(400, "bad_request", "Order has expired")
            same = all(placed.confirmation.get(name) == body[name] for name in ("order_status", "merchant_supplied_id"))
            raise refuse(400, "bad_request", "Order has already been processed", repeats=same)
        placed.confirmation, placed.pos_id = body, body["merchant_supplied_id"]
        if body["order_status"] == "success":
            placed.move(CONFIRMED, time.time())
        else:
            self._fail(placed, body["failure_reason"])

    def webhook_answered(self, event: Event, status: int, body: bytes) -> None:
        if event.kind == "menu_request":
            self.menu_answered(event, status, body)
        elif event.kind == "orders" and (placed := self._by_alias.get(event.subject)) is not None and placed.state == NEW:
            self._order_answered(placed, event, status, body)

    def _order_answered(self, placed: Placed, event: Event, status: int, body: bytes) -> None:
        """A 200 confirms at once by its body; another 2xx says that a PATCH will come; anything else fails the order."""
        if not 200 <= status < 300:
            self.complain(event, status, f"order {placed.id} fails by status {status}")
            self._fail(placed, f"HTTP {status}")
        elif status == 200:
            try:
                parsed = json.loads(body.decode("utf-8"))
                self.settle(placed, parsed if isinstance(parsed, dict) else {})
            except (ValueError, RecursionError, Refused) as error:
                self.complain(event, status, f"order {placed.id} fails: a 200 without a confirmation ({error})")
                self._fail(placed, "no confirmation in the answer")
        elif len(placed.history) == 1:
            placed.log("ACKNOWLEDGED", time.time())

    def _placed(self, order: str) -> Placed:
        placed = self._orders.get(order)
        if placed is None:
            raise ControlError(404, f"no order {order}")
        return placed

    def cancel_order(self, order: str, body: Json) -> Json:
        """Let the consumer or the platform cancel, for a `reason` that the provider is not told."""
        placed = self._placed(order)
        if placed.state in {*ENDED, PICKED_UP}:
            raise ControlError(409, f"order {order} is {placed.state} already")
        self.cancel(placed, word(body, "reason", "cancelled by the consumer"))
        return {"id": order, "state": placed.state}

    def move_courier(self, order: str, body: Json) -> Json:
        """Move the Dasher of a confirmed order; `release` (or arriving, where the store has it so) releases it to the kitchen."""
        placed, state = self._placed(order), _DASHER.get(word(body, "state").lower())
        if state is None:
            raise ControlError(400, f"state is one of {', '.join(sorted(_DASHER))}")
        if placed.kind != DASHER or placed.state not in {CONFIRMED, READY, PICKED_UP}:
            raise ControlError(409, f"order {order} is {placed.kind} and {placed.state}: no Dasher is {state}")
        if not placed.released and (state == "release" or (state == "arriving_at_store" and placed.store["auto_release"])):
            self._release(placed, body)
        if state != "release":
            self._dash(placed, state)
        return {"id": order, "state": placed.state, "courier": placed.dasher}

    def _release(self, placed: Placed, body: Json) -> None:
        placed.released = True
        placed.log("RELEASED", time.time())
        dasher = {
            "first_name": _DASHER_IS["first_name"],
            "latitude": body.get("lat", 42.1015),
            "longitude": body.get("lng", -72.5898),
            "masked_phone_number": _DASHER_IS["phone_number"],
            "vehicle": _DASHER_IS["vehicle"],
        }
        event = {"dasher": dasher, "distance_from_store": 460.2, "store": placed.where(), **placed.names()}
        self.tell("order_release", placed.alias, event)

    def _dash(self, placed: Placed, state: str) -> None:
        now, placed.dasher = time.time(), state
        if state == "dasher_out_for_delivery" and placed.state != PICKED_UP:
            placed.move(PICKED_UP, now)
        elif state == "dropoff":
            placed.move(DELIVERED, now)
        else:
            placed.log(state, now)
        delivery = {**placed.names(), "location_id": placed.store["ref"], "dasher_status": state, "dasher": _DASHER_IS}
        event = {"type": "dasher_status_update", "status": "SUCCESS", "reference": self.ids.uuid()}
        self.tell("dasher_status", placed.alias, {"event": event, "created_at": timestamp(now), "delivery": delivery})

    # Menus and stores

    def edit_menu(self, body: Json) -> Json:
        """Apply edits of platform staff to a store's menus: {op: price | rename | remove, id, amount?, name?}, items and options alike."""
        store = self._store_named(word(body, "store", next(iter(self._stores))))["ref"]
        edits = body.get("edits")
        if not isinstance(edits, list) or not all(isinstance(each, dict) for each in edits):
            raise ControlError(400, "edits is a list of {op: price | rename | remove, id, ...}")
        changed: list[Json] = msgspec.json.decode(msgspec.json.encode([menu.body for menu in self._menus[store]]))
        for edit in edits:
            if not sum(_edit(menu["menu"].get("categories") or [], edit) for menu in changed):
                raise ControlError(404, f"no item or option {edit['id']}")
        try:
            for menu in changed:
                check_menu(menu)
        except MenuError as error:
            raise ControlError(409, str(error)) from error
        for held, menu in zip(self._menus[store], changed, strict=True):
            held.body = menu
        return {"store": store, "items": self.shelf(store).summary()}

    def set_stock(self, body: Json) -> Json:
        """Take an item or option off sale at `store` (or all of them), or put it back."""
        item, available = word(body, "item"), body.get("available")
        if not isinstance(available, bool):
            raise ControlError(400, "available is a boolean")
        stores = [self._store_named(word(body, "store"))["ref"]] if "store" in body else list(self._stores)
        found = [(store, kind) for store in stores for kind in ("item", "item_option") if self.has(store, kind, item)]
        if not found:
            raise ControlError(404, f"no item or option {item}")
        for store, kind in found:
            self.switch(store, kind, item, available)
        return {"item": item, "available": available, "stores": len({store for store, _ in found})}

    def has(self, store: str, kind: str, identifier: str) -> bool:
        """Tell whether a store's menus have an `item` or `item_option`."""
        return self.shelf(store).knows(identifier, alone=kind == "item")

    def switch(self, store: str, kind: str, identifier: str, available: bool) -> None:
        """Take something off sale or put it back; it stays so when menus change."""
        if available:
            self._off[store][kind].pop(identifier, None)
        else:
            self._off[store][kind].setdefault(identifier, time.time())

    @staticmethod
    def deactivations(store: Json) -> list[Json]:
        """Those in force now; the store is online when there are none."""
        now = time.time()
        store["deactivations"] = [each for each in store["deactivations"] if each["until"] is None or each["until"] > now]
        return list(store["deactivations"])

    def deactivate(self, store: Json, reason: str, notes: str, until: float | None, *, tell: bool) -> None:
        """Take a store offline; what the provider did not ask for itself it is told."""
        now = time.time()
        store["deactivations"] = [*self.deactivations(store)[-20:], {"reason": reason, "notes": notes, "from": now, "until": until}]
        if tell:
            event = {
                "store": {"doordash_store_id": store["doordash_id"], "merchant_supplied_id": store["ref"]},
                "event": {"type": "Store Temporarily Deactivated"},
                "reason_id": 22,
                "reason": reason,
                "notes": notes,
                "start_time": timestamp(now),
                "end_time": None if until is None else timestamp(until),
            }
            self.tell("store_deactivated", store["ref"], event)

    def _store_named(self, store: str) -> Json:
        if store not in self._stores:
            raise ControlError(404, f"no store {store}; there are: {', '.join(self._stores)}")
        return self._stores[store]

    def set_store(self, store: str, body: Json) -> Json:
        """Change a store's `status` (open, closed for a `reason`), `auto_release`, `bank`, `onboarding`, `remits_tax`, or `create` it.

        `request_menu: true` lets the platform pull the store's menus.
        """
        status = word(body, "status", "").lower() if body.get("status") is not None else ""
        if status and status not in _OPEN | _CLOSED:
            raise ControlError(400, "status is open or closed")
        if store not in self._stores:
            if body.get("create") is not True:
                raise ControlError(404, f"no store {store}; with create: true it is made")
            currency = word(body, "currency", "USD")
            if not re.fullmatch("[A-Z]{3}", currency):
                raise ControlError(400, "currency is an ISO 4217 code")
            self._add_store(store, word(body, "name", store), currency, word(body, "timezone", "America/New_York"))
        held = self._stores[store]
        held.update({name: body[name] for name in _FLAGS if isinstance(body.get(name), bool)}, name=word(body, "name", held["name"]))
        if status in _CLOSED:
            self.deactivate(held, word(body, "reason", "Merchant requested take down"), "", None, tell=True)
        elif status:
            held["deactivations"] = []
        if body.get("request_menu") is True:
            self.request_menu(store)
        return self._row(held)

    def _row(self, store: Json) -> Json:
        status = "closed" if self.deactivations(store) else "open"
        return {"ref": store["ref"], "name": store["name"], "status": status, "currency": store["currency"]}

    def _add_store(self, ref: str, name: str, currency: str, timezone: str) -> None:
        self._stores[ref] = {
            "ref": ref,
            "name": name,
            "currency": currency,
            "timezone": timezone,
            "doordash_id": 700_101 + len(self._stores),
            "deactivations": [],
            "auto_release": False,
            "bank": True,
            "onboarding": False,
            "remits_tax": len(self._stores) == 1,
        }
        now = time.time()
        self._menus[ref] = [StoreMenu([self.ids.uuid()], built_in(ref, PROVIDER), now, succeeded=now, built_in=True)]
        self._pushes[ref] = []
        self._off[ref] = {"item": {}, "item_option": {}}
        self._plan_pull(ref)

    def stores(self) -> list[Json]:
        return [self._row(store) for store in self._stores.values()]

    def snapshot(self) -> Json:
        return {
            "orders": [placed.summary() for placed in self._orders.values()],
            "menus": [
                {"store": store, "pushed": bool(pushes), "pushes": pushes, "items": self.shelf(store).summary()}
                for store, pushes in self._pushes.items()
            ],
            "stock": [
                {"item": item, "store": store, "available": False}
                for store, kinds in self._off.items()
                for item in sorted({each for off in kinds.values() for each in off})
            ],
        }

    def restart(self) -> None:
        self._stores, self._menus, self._pushes, self._off = {}, {}, {}, {}
        self._orders, self._by_alias, self._pending, self._next_pull = {}, {}, {}, {}
        for ref, name, timezone in _START:
            self._add_store(ref, name, "USD", timezone)


def _edit(entities: list[Json], edit: Json) -> int:
    """Apply one edit to every entity of its id that has a price; how many there were."""
    identifier, operation, found = word(edit, "id"), word(edit, "op"), 0
    for each in list(entities):
        for name in ("items", "extras", "options"):
            found += _edit(each.get(name) or [], edit)
        if each.get("merchant_supplied_id") != identifier or "price" not in each:
            continue
        found += 1
        if operation == "price":
            each["price"] = int(number(edit, "amount"))
        elif operation == "rename":
            each["name"] = word(edit, "name")
        elif operation == "remove":
            entities.remove(each)
        else:
            raise ControlError(400, f"unknown edit {operation!r}; known: price, remove, rename")
    return found
