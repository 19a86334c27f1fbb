"""The consumers' and riders' side of Deliveroo: placing, cancelling and delivering orders."""

import random
import time
from typing import Any

from adapters._sandbox.calls import ControlError, Json
from adapters._sandbox.orders import wanted_orders
from adapters._sandbox.vendor import number, word

from ._sandbox_orders import (
    ACCEPTED,
    CANCELED,
    CONFIRMED,
    DELIVERED,
    ENDED,
    OWN,
    PICKUP,
    PLACED,
    REJECTED,
    RIDER,
    TABLE,
    Placed,
    charge,
    market_of,
    second,
)
from ._sandbox_sites import STRIKES, Sites

_KINDS = {
    **dict.fromkeys(("delivery", "delivery_by_platform", RIDER), RIDER),
    **dict.fromkeys(("pickup", "pick_up", PICKUP), PICKUP),
    **dict.fromkeys(("merchant_delivery", "delivery_by_merchant", OWN), OWN),
    **dict.fromkeys(("dine_in", TABLE), TABLE),
}
_STEPS = {
    **dict.fromkeys(("assigned", "scheduled", "en_route_to_pickup", "rider_assigned"), "rider_assigned"),
    **dict.fromkeys(("arrived", "arrived_at_pickup", "rider_arrived"), "rider_arrived"),
    **dict.fromkeys(("confirmed_at_restaurant", "rider_confirmed_at_restaurant"), "rider_confirmed_at_restaurant"),
    **dict.fromkeys(("unassigned", "failed", "rider_unassigned"), "rider_unassigned"),
    **dict.fromkeys(("picked_up", "in_transit", "en_route_to_dropoff", "arrived_at_dropoff", "rider_in_transit"), "rider_in_transit"),
    **dict.fromkeys(("completed", DELIVERED), DELIVERED),
}
_STRIKES_WITHIN = 900


def _degrees(body: Json, name: str, default: float) -> float:
    value: Any = body.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ControlError(400, f"{name} is a number")
    return value


class Consumers(Sites):
    """The part of Deliveroo's sandbox in which people order, and riders ride."""

    def restart(self) -> None:
        super().restart()
        self._orders: dict[str, Placed] = {}
        self._by_store: dict[str, list[Placed]] = {}

    # Webhooks

    def _tell_order(self, event: str, placed: Placed) -> None:
        if placed.store["webhook_type"] != "POS":
            self._tell(event, {"order": self._shown(placed)}, placed.alias)

    def _shown(self, placed: Placed) -> Json:
        return placed.payload(with_modifiers=self.settings["item_total_with_modifiers"] > 0)

    def _move(self, placed: Placed, state: str, reason: str = "") -> None:
        placed.move(state, time.time(), reason)
        self._tell_order("order.status_update", placed)

    # Orders

    def place_orders(self, body: Json) -> list[str]:
        """Place `count` orders at `store`: `items` as named, else drawn; `type`, `plain`, `accept_deadline_s`, `scheduled_for`."""
        store = self._store_named(word(body, "store"))
        if store["status"] != "OPEN":
            raise ControlError(409, f"store {store['ref']} is {store['status']} and takes no orders")
        wanted = wanted_orders(body, _KINDS)
        return [self._place(store, wanted.kind, body, wanted.scheduled) for _ in range(wanted.count)]

    def _deadline(self, store: Json, body: Json, now: float, scheduled: float) -> float:
        """Until when an order has to be accepted; a scheduled one until it should be ready."""
        if scheduled and body.get("accept_deadline_s") is None:
            return max(scheduled, now)
        setting = "accept_deadline_gulf_s" if store["currency"] in {"AED", "KWD"} else "accept_deadline_s"
        return now + number(body, "accept_deadline_s", self.settings[setting])

    def _place(self, store: Json, kind: str, body: Json, scheduled: float) -> str:
        now, ordinal, ref = time.time(), len(self._orders) + 1, store["ref"]
        dice = random.Random(f"{self.faults.switches.seed}|{ref}|{ordinal}")  # noqa: S311
        shelf = self._shelves[ref]
        menu = self._live[shelf.menu_id].menu
        card = menu.card(shelf.off)
        kind = kind or dice.choices((RIDER, PICKUP, OWN), (65, 20, 15))[0]
        lines = card.named(body["items"]) if body.get("items") is not None else card.drawn(dice)
        for line in lines:
            if line.id not in card.dishes:
                line.plu = line.id
        placed = Placed(
            id=f"{market_of(store['currency'])}:{self.ids.uuid()}",
            number=ordinal,
            store=store,
            brand=self.brand,
            kind=kind,
            lines=lines,
            kitchen={identifier: item["operational_name"] for identifier, item in menu.items.items() if item.get("operational_name")},
            bill=charge(lines, kind, dice, plain=body.get("plain") is True),
            created=now,
            deadline=self._deadline(store, body, now, scheduled),
            ready=scheduled or now + 1440,
            dice=dice,
            scheduled=bool(scheduled),
        )
        placed.call_off = self.later(placed.deadline - now, lambda: self._expire(placed))
        if not store["tabletless"]:
            self.later(self.settings["tablet_accept_s"], lambda: self._accept_on_tablet(placed))
            self.later(self.settings["sync_status_deadline_s"], lambda: self._alert(placed))
        self._orders[placed.id] = placed
        self._by_store.setdefault(ref, []).append(placed)
        self._tell_order("order.new", placed)
        return placed.id

    def _expire(self, placed: Placed) -> None:
        if placed.state != PLACED:
            return
        self._move(placed, REJECTED, "timed_out")
        store, now = placed.store, time.time()
        store["strikes"].append(now)
        if len(store["strikes"]) == STRIKES and store["strikes"][0] > now - _STRIKES_WITHIN and self.settings["auto_close"]:
            store["status"] = "CLOSED"
            store["strikes"].clear()

    def _accept_on_tablet(self, placed: Placed) -> None:
        if placed.state == PLACED:
            self._move(placed, ACCEPTED)

    def _alert(self, placed: Placed) -> None:
        """Prompt the staff on the tablet: nothing said that the order reached the POS."""
        if placed.sync.get("status") != "succeeded" and placed.state not in ENDED:
            placed.alerted = True

    def _placed(self, order: str) -> Placed:
        placed = self._orders.get(order)
        if placed is None:
            raise ControlError(404, f"no order {order}")
        return placed

    def cancel_order(self, order: str, body: Json) -> Json:
        """Let the consumer or the platform cancel, for a `reason` that only the control API shows."""
        placed = self._placed(order)
        if placed.state in ENDED:
            raise ControlError(409, f"order {order} is {placed.state} already")
        self._move(placed, CANCELED, word(body, "reason", "cancelled by the customer"))
        return {"id": order, "state": placed.state}

    def move_courier(self, order: str, body: Json) -> Json:
        """Move the rider: assigned, arrived, confirmed_at_restaurant, in_transit, unassigned, delivered.

        `lat`, `lng`, and `stacked_with`, the ids of orders on the same trip, come with the event.
        """
        placed = self._placed(order)
        step = _STEPS.get(word(body, "state").lower())
        if step is None:
            raise ControlError(400, f"state is one of {', '.join(sorted(_STEPS))}")
        if placed.kind != RIDER or placed.state not in {ACCEPTED, CONFIRMED}:
            raise ControlError(409, f"order {order} is for {placed.kind} and {placed.state}: no rider moves")
        stacked = body.get("stacked_with", [])
        if not isinstance(stacked, list) or any(each not in self._orders for each in stacked):
            raise ControlError(400, "stacked_with is a list of order ids")
        now = time.time()
        if step == DELIVERED:
            self._move(placed, DELIVERED)
            return {"id": order, "state": placed.state, "courier": step}
        if not placed.riders or placed.riders[-1]["status_log"][-1]["status"] == "rider_unassigned":
            placed.riders.append(self._new_rider(placed, now))
        rider = placed.riders[-1]
        if step != "rider_assigned":
            rider["status_log"].append({"at": second(now), "status": step})
        rider.update(at=second(now), lat=_degrees(body, "lat", rider["lat"]), lon=_degrees(body, "lng", rider["lon"]))
        placed.remember(step, now)
        shown = {"order_id": placed.id, "stacked_with": stacked, "riders": placed.riders}
        self._tell("rider.status_update", shown, placed.alias)
        return {"id": order, "state": placed.state, "courier": step}

    @staticmethod
    def _new_rider(placed: Placed, now: float) -> Json:
        ordinal = len(placed.riders)
        return {
            "estimated_arrival_time": second(now + 480),
            "at": second(now),
            "accuracy_in_meters": 12,
            "lat": 51.5101,
            "lon": -0.1341,
            "full_name": ("R. Rider", "Q. Wheeler")[ordinal % 2],
            "contact_number": f"+1 555 01{(50 + ordinal) % 100:02d}",
            "bridge_code": f"{placed.number % 10_000:04d}",
            "bridge_number": "+1 555 0199",
            "status_log": [{"at": second(now), "status": "rider_assigned"}],
        }

    def snapshot(self) -> Json:
        return {"orders": [placed.summary() for placed in self._orders.values()], **self._shelves_shown()}
