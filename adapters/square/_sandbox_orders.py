"""Square's orders and the money on them: create, update under a version, search by time, pay, refund."""

import bisect
import copy
import time
from collections.abc import Callable, Iterator
from typing import Any

from adapters._sandbox.calls import Json, seconds, timestamp

from ._sandbox_checks import refuse
from ._sandbox_drafts import Drafts, has_ended, without_nulls
from ._sandbox_totals import add_up

Tell = Callable[[str, str, Json], None]

_FORWARD = {"PROPOSED": 0, "RESERVED": 1, "PREPARED": 2, "COMPLETED": 3}
_REACHED = {
    "PICKUP": {"RESERVED": "accepted_at", "PREPARED": "ready_at", "COMPLETED": "picked_up_at"},
    "DELIVERY": {"RESERVED": "in_progress_at", "PREPARED": "ready_at", "COMPLETED": "delivered_at"},
}
_BY_UID = ("line_items", "taxes", "discounts", "service_charges", "fulfillments")
_MONEY_FIELDS = frozenset({"line_items", "taxes", "discounts", "service_charges", "pricing_options"})


class Kept:
    """An order with what the API does not show: its total without tip and its history."""

    def __init__(self, order: Json, total: int, at: float) -> None:
        self.order = order
        self.total = total
        self.created = at
        self.updated = at
        self.closed = 0.0
        self.history: list[Json] = []
        self.payments: list[str] = []

    def log(self, state: str, at: float) -> None:
        """Note a state."""
        if not self.history or self.history[-1]["state"] != state:
            self.history.append({"state": state, "at": timestamp(at)})


class Orders:
    """All orders of the seller, by id and by location in the order of their making."""

    def __init__(self, drafts: Drafts, locations: dict[str, Json], tell: Tell, new_id: Callable[[], str]) -> None:
        self.kept: dict[str, Kept] = {}
        self.payments: dict[str, Json] = {}
        self._drafts = drafts
        self._locations = locations
        self._tell = tell
        self._new_id = new_id
        self._at: dict[str, list[Kept]] = {}

    def location(self, identifier: str, at: str = "order.location_id") -> Json:
        """An active location; raises Refused."""
        location = self._locations.get(identifier)
        if location is None:
            raise refuse("INVALID_LOCATION", f"No location {identifier}", at)
        if location["status"] != "ACTIVE":
            raise refuse("INVALID_LOCATION", f"Location {identifier} is inactive", at)
        return location

    def get(self, identifier: str) -> Kept:
        """An order; raises Refused with 404."""
        kept = self.kept.get(identifier)
        if kept is None:
            raise refuse("NOT_FOUND", f"Order not found for id {identifier}", "order_id", 404)
        return kept

    def calculate(self, body: Json) -> Json:
        """The order with its sums, not kept."""
        location = self.location(body["location_id"])
        order = self._drafts.draft(body, location)
        add_up(order, location["currency"])
        now = timestamp(time.time())
        return {**order, "created_at": now, "updated_at": now, "version": 1}

    def create(self, body: Json) -> Kept:
        """Keep a new order."""
        location = self.location(body["location_id"])
        order = self._drafts.draft(body, location)
        if order["state"] not in {"OPEN", "DRAFT"}:
            raise refuse("INVALID_VALUE", "A new order is OPEN or DRAFT", "order.state")
        if len(order.get("fulfillments", [])) > 1:
            raise refuse("ARRAY_LENGTH_TOO_LONG", "A new order has at most one fulfillment", "order.fulfillments")
        now = time.time()
        for each in order.get("fulfillments", []):
            if each["state"] not in {"PROPOSED", "RESERVED"}:
                raise refuse("INVALID_VALUE", "A new fulfillment is PROPOSED", "order.fulfillments[0].state")
            self._details(each)["placed_at"] = timestamp(now)
        kept = Kept(order, add_up(order, location["currency"]), now)
        order.update(id=self._new_id(), version=1, created_at=timestamp(now), updated_at=timestamp(now))
        kept.log(order["state"], now)
        self.kept[order["id"]] = kept
        self._at.setdefault(location["id"], []).append(kept)
        self._tell("order.created", order["id"], {"order_created": self._thin(kept, updated=False)})
        return kept

    @staticmethod
    def _details(fulfillment: Json) -> Json:
        return fulfillment.setdefault("pickup_details" if fulfillment["type"] == "PICKUP" else "delivery_details", {})  # type: ignore[no-any-return]

    @staticmethod
    def _thin(kept: Kept, *, updated: bool = True) -> Json:
        order = kept.order
        return {
            "order_id": order["id"],
            "version": order["version"],
            "location_id": order["location_id"],
            "state": order["state"],
            "created_at": order["created_at"],
            **({"updated_at": order["updated_at"]} if updated else {}),
        }

    def update(self, identifier: str, body: Json, clear: list[str]) -> Kept:
        """Change an order under its version; fulfillments and states move as Square allows."""
        kept = self.get(identifier)
        order = kept.order
        if order["state"] in {"COMPLETED", "CANCELED"}:
            raise refuse("BAD_REQUEST", f"Order {identifier} is {order['state']} and cannot be updated", "order.state")
        if body["version"] != order["version"]:
            detail = f"The order is at version {order['version']}, the update is for {body['version']}"
            raise refuse("CONFLICT", detail, "order.version", 409)
        if body.get("location_id", order["location_id"]) != order["location_id"]:
            raise refuse("INVALID_VALUE", "The location of an order cannot change", "order.location_id")
        if kept.payments and (_MONEY_FIELDS & body.keys() or any(each.split("[")[0] in _MONEY_FIELDS for each in clear)):
            raise refuse("BAD_REQUEST", "What is paid for cannot change", "order.line_items")
        location = self._locations[order["location_id"]]
        merged = self._merge(copy.deepcopy(order), without_nulls(body), clear)
        repriced = bool(_MONEY_FIELDS & body.keys() or clear)
        draft = self._drafts.draft(merged, location) if repriced else self._drafts.with_fulfillments(merged)
        moves = self._moves(order.get("fulfillments", []), draft.get("fulfillments", []))
        self._check_state(kept, draft)
        now = time.time()
        for fulfillment, old in moves:
            if reached := _REACHED[fulfillment["type"]].get(fulfillment["state"]):
                self._details(fulfillment)[reached] = timestamp(now)
            elif fulfillment["state"] == "CANCELED":
                self._details(fulfillment)["canceled_at"] = timestamp(now)
            if old is not None:
                kept.log(fulfillment["state"], now)
        order.update(draft)
        for name in set(order) & set(_BY_UID) - set(draft):
            del order[name]
        self._resum(kept)
        self._settle(kept, now)
        self._changed(kept, now)
        if moves:
            update = [{"fulfillment_uid": each["uid"], "old_state": old or "PROPOSED", "new_state": each["state"]} for each, old in moves]
            thin = {**self._thin(kept), "fulfillment_update": update}
            self._tell("order.fulfillment.updated", identifier, {"order_fulfillment_updated": thin})
        return kept

    @staticmethod
    def _merge(order: Json, change: Json, clear: list[str]) -> Json:
        for path in clear:
            name, _, rest = path.partition("[")
            if rest and name in _BY_UID:
                order[name] = [each for each in order.get(name, []) if each["uid"] != rest.rstrip("]")]
            else:
                order.pop(name, None)
        for name, value in change.items():
            if name not in _BY_UID:
                order[name] = value
                continue
            held = {each["uid"]: each for each in order.get(name, [])}
            for each in value:
                known = held.get(each.get("uid", ""))
                if known is None:
                    order.setdefault(name, []).append(each)
                    continue
                for key, one in each.items():
                    known[key] = {**known[key], **one} if isinstance(one, dict) and isinstance(known.get(key), dict) else one
        return order

    @staticmethod
    def _moves(before: list[Json], after: list[Json]) -> list[tuple[Json, str | None]]:
        """Fulfillments whose state changed, with the state they had; raises Refused for a step that is not allowed."""
        old = {each["uid"]: each for each in before}
        moves: list[tuple[Json, str | None]] = []
        for each in after:
            was = old.get(each["uid"])
            if was is None:
                moves.append((each, None))
            elif was["state"] != each["state"]:
                forward = _FORWARD.get(each["state"], 9) > _FORWARD.get(was["state"], 9) or each["state"] in {"CANCELED", "FAILED"}
                if has_ended(was) or not forward:
                    detail = f"A fulfillment cannot go from {was['state']} to {each['state']}"
                    raise refuse("INVALID_VALUE", detail, "order.fulfillments.state")
                moves.append((each, was["state"]))
        return moves

    def _check_state(self, kept: Kept, draft: Json) -> None:
        wanted, fulfillments = draft["state"], draft.get("fulfillments", [])
        if wanted == kept.order["state"]:
            return
        if wanted == "DRAFT":
            raise refuse("INVALID_VALUE", "An order cannot go back to DRAFT", "order.state")
        if wanted in {"COMPLETED", "CANCELED"} and not all(has_ended(each) for each in fulfillments):
            raise refuse("BAD_REQUEST", "Every fulfillment has to be COMPLETED, CANCELED or FAILED first", "order.state")
        if wanted == "COMPLETED" and not self.is_paid(kept):
            raise refuse("BAD_REQUEST", "An order has to be fully paid before it is COMPLETED", "order.state")
        if wanted == "CANCELED" and self._paid(kept) > self._refunded(kept):
            raise refuse("BAD_REQUEST", "A paid order cannot be CANCELED: refund it first", "order.state")
        if wanted == "CANCELED" and any(each["state"] == "COMPLETED" for each in fulfillments):
            raise refuse("BAD_REQUEST", "A fulfilled order cannot be CANCELED", "order.state")

    def _of(self, kept: Kept, status: str) -> Iterator[Json]:
        return (self.payments[each] for each in kept.payments if self.payments[each]["status"] == status)

    def _paid(self, kept: Kept) -> int:
        return sum(int(each["amount_money"]["amount"]) for each in self._of(kept, "COMPLETED"))

    def _refunded(self, kept: Kept) -> int:
        return sum(each.get("refunded_money", {}).get("amount", 0) for each in self._of(kept, "COMPLETED"))

    def is_paid(self, kept: Kept) -> bool:
        """Tell whether completed payments cover the order."""
        return bool(kept.payments or not kept.total) and self._paid(kept) >= kept.total

    def _resum(self, kept: Kept) -> None:
        tip = sum(each.get("tip_money", {}).get("amount", 0) for each in self._of(kept, "COMPLETED"))
        kept.total = add_up(kept.order, self._locations[kept.order["location_id"]]["currency"], tip, self._paid(kept))

    def _settle(self, kept: Kept, now: float) -> None:
        """Complete an order that is paid and fulfilled; note when it closed."""
        order = kept.order
        fulfillments = order.get("fulfillments", [])
        done = all(has_ended(each) for each in fulfillments) and (not fulfillments or any(e["state"] == "COMPLETED" for e in fulfillments))
        if order["state"] == "OPEN" and kept.payments and self.is_paid(kept) and done:
            order["state"] = "COMPLETED"
        if order["state"] in {"COMPLETED", "CANCELED"}:
            kept.closed = now
            order["closed_at"] = timestamp(now)
            kept.log(order["state"], now)

    def _changed(self, kept: Kept, now: float) -> None:
        order = kept.order
        kept.updated = now
        order.update(version=order["version"] + 1, updated_at=timestamp(now))
        self._tell("order.updated", order["id"], {"order_updated": self._thin(kept)})

    def attach(self, kept: Kept, payment: Json) -> None:
        """Put a payment on an order; a completed one becomes a tender and may complete the order."""
        if payment["id"] not in kept.payments:
            kept.payments.append(payment["id"])
        if payment["status"] == "COMPLETED":
            self.settle_payments(kept, [payment])

    def settle_payments(self, kept: Kept, payments: list[Json]) -> None:
        """Make completed payments the order's tenders; empty for an order of nothing."""
        now = time.time()
        for payment in payments:
            kept.order.setdefault("tenders", []).append(
                {
                    "id": payment["id"],
                    "location_id": payment["location_id"],
                    "transaction_id": kept.order["id"],
                    "created_at": payment["created_at"],
                    "amount_money": payment["total_money"],
                    "tip_money": payment.get("tip_money", {"amount": 0, "currency": payment["amount_money"]["currency"]}),
                    "type": "CASH" if payment["source_type"] == "CASH" else "OTHER",
                    "payment_id": payment["id"],
                }
            )
        self._resum(kept)
        kept.log("PAID", now)
        if not payments and not kept.order.get("fulfillments"):
            kept.order["state"] = "COMPLETED"
        self._settle(kept, now)
        self._changed(kept, now)

    def refund(self, kept: Kept, payment: Json, refund: Json) -> None:
        """Note a refund on the order it belongs to."""
        now = time.time()
        kept.order.setdefault("refunds", []).append(
            {
                "id": refund["id"],
                "location_id": payment["location_id"],
                "transaction_id": kept.order["id"],
                "tender_id": payment["id"],
                "created_at": refund["created_at"],
                "reason": refund.get("reason", "Refund via API"),
                "amount_money": refund["amount_money"],
                "status": "APPROVED",
            }
        )
        kept.log("REFUNDED", now)
        self._changed(kept, now)

    def search(self, locations: list[str], query: Json, limit: int, after: list[Any] | None) -> tuple[list[Kept], list[Any] | None]:
        """A page of orders of these locations, and the place to go on from (None at the end)."""
        filters = query.get("filter") or {}
        sort = query.get("sort") or {}
        field = (sort.get("sort_field") or "CREATED_AT").lower()
        newest_first = (sort.get("sort_order") or "DESC") == "DESC"
        ranges = {name: each for name, each in (filters.get("date_time_filter") or {}).items() if each}
        if len(ranges) > 1 or any(name != field for name in ranges):
            raise refuse("BAD_REQUEST", "A date_time_filter needs the sort_field of the same time", "query.sort.sort_field")
        moment = {"created_at": _created, "updated_at": _updated, "closed_at": _closed}[field]
        window = ranges.get(field) or {}
        start = seconds(window["start_at"]) if window.get("start_at") else 0.0
        end = seconds(window["end_at"]) if window.get("end_at") else float("inf")
        found: list[Kept] = []
        for location in dict.fromkeys(locations):
            here = self._at.get(location, [])
            if field == "created_at":
                here = here[bisect.bisect_left(here, start, key=_created) : bisect.bisect_left(here, end, key=_created)]
            else:
                here = [kept for kept in here if start <= moment(kept) < end]
            found += [kept for kept in here if _matches(kept.order, filters)]
        if field == "closed_at":
            found = [kept for kept in found if kept.closed]
        found.sort(key=lambda kept: (moment(kept), kept.order["id"]), reverse=newest_first)
        begin = 0
        if after is not None:
            place = (after[0], after[1])
            begin = bisect.bisect_right(
                found,
                (-place[0], _flipped(place[1])) if newest_first else place,
                key=lambda kept: (-moment(kept), _flipped(kept.order["id"])) if newest_first else (moment(kept), kept.order["id"]),
            )
        page = found[begin : begin + limit]
        more = begin + limit < len(found)
        return page, [moment(page[-1]), page[-1].order["id"]] if more and page else None


def _created(kept: Kept) -> float:
    return kept.created


def _updated(kept: Kept) -> float:
    return kept.updated


def _closed(kept: Kept) -> float:
    return kept.closed


def _flipped(text: str) -> tuple[int, ...]:
    """A key that sorts texts backwards."""
    return tuple(-ord(sign) for sign in text)


def _matches(order: Json, filters: Json) -> bool:
    states = (filters.get("state_filter") or {}).get("states")
    if states and order["state"] not in states:
        return False
    wanted = filters.get("fulfillment_filter") or {}
    for name, field in (("fulfillment_types", "type"), ("fulfillment_states", "state")):
        if wanted.get(name) and not any(each[field] in wanted[name] for each in order.get("fulfillments", [])):
            return False
    sources = (filters.get("source_filter") or {}).get("source_names")
    if sources and order["source"].get("name") not in sources:
        return False
    customers = (filters.get("customer_filter") or {}).get("customer_ids")
    return not customers or order.get("customer_id") in customers
