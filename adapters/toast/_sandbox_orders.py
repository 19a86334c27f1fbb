"""Orders at Toast: made once per external id, approved by the restaurant, cooked, paid, delivered and voided."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from adapters._sandbox.calls import Json

from ._sandbox_checks import checked, is_guid, minor, moment, number, one_of, refuse, shape, stamp, text
from ._sandbox_checks import flag as boolean
from ._sandbox_checks import guid as guid_form
from ._sandbox_checks import time as time_form
from ._sandbox_drafts import Drafts, prep_minutes, station_of, wanted
from ._sandbox_menu import guid_of
from ._sandbox_places import Place
from ._sandbox_stock import Stock
from ._sandbox_totals import Added, Check, Order, Payment, Selection, add_up

Later = Callable[[float, Callable[[], None]], object]

_MOST_IN_PAGE = 100
_ALL = shape({"voidAll": boolean})
_VOID = shape({"selections": _ALL, "payments": _ALL})
_TIP = shape({"tipAmount!": number})
_DELIVERY = shape(
    {
        "deliveredDate": time_form,
        "dispatchedDate": time_form,
        "deliveryState": one_of("PENDING", "IN_PROGRESS", "PICKED_UP", "DELIVERED"),
        "deliveryEmployee": guid_form,
        "notes": text(1000),
    }
)
_GUEST = {"IN_PREPARATION": 1, "READY_FOR_PICKUP": 2, "CLOSED": 3}


class Orders:
    """All orders of the group. `tell` is called after each change, with the guest's status when that moved."""

    def __init__(
        self,
        drafts: Drafts,
        stock: Stock,
        settings: Callable[[str], float],
        new_id: Callable[[], str],
        later: Later,
        tell: Callable[[Order, str], None],
    ) -> None:
        self.kept: dict[str, Order] = {}
        self._drafts, self._stock, self._settings = drafts, stock, settings
        self._new_id, self._later, self._tell = new_id, later, tell
        self._external: dict[tuple[str, str], str] = {}
        self._sent: dict[str, str] = {}
        self._voided: set[str] = set()
        self._added: set[tuple[str, str]] = set()

    # What the API asks

    def priced(self, body: Json, place: Place) -> Order:
        """An order with its sums, not kept."""
        return self._drafts.order(body, place, time.time())

    def create(self, body: Json, place: Place) -> Order:
        """Keep a new order; raises Refused for an external id that is taken, or payments above what is due."""
        now, same = time.time(), json.dumps(body, sort_keys=True)
        self._refuse_repeat(body, place, same)
        order = self._drafts.order(body, place, now)
        names = list(_externals(order))
        self._unused(place, names)
        for n, check in enumerate(order.checks):
            if check.paid() > check.total:
                raise refuse("The payments are above the amount due", f"checks[{n}].payments")
        order.guid = self._new_id()
        place.orders_made += 1
        for check in order.checks:
            check.guid, check.display = self._new_id(), check.display or str(place.orders_made)
            self._name(check, now)
        self.kept[order.guid], self._sent[order.guid] = order, same
        self._external.update({(place.ref, each): order.guid for each in names})
        for check in order.checks:
            self._stock.take(place, wanted(check.selections))
        prep = prep_minutes(order.body["requiredPrepTime"]) if "requiredPrepTime" in order.body else 15
        wait = order.promised - prep * 60 - now if order.promised else 0
        if wait > 0:
            order.approval = "FUTURE"
            order.log("FUTURE", now)
            self._later(wait, lambda: self._fire(order))
        else:
            self._arrive(order)
        self._changed(order)
        return order

    def _refuse_repeat(self, body: Json, place: Place, same: str) -> None:
        name = body.get("externalId")
        held = self._external.get((place.ref, f"Order {name}")) if isinstance(name, str) else None
        if held is not None:
            repeats = self._sent.get(held) == same
            raise refuse(f"An order with the externalId {name} exists already", "externalId", repeats=repeats)

    def _unused(self, place: Place, names: list[str], *, repeats: bool = False) -> None:
        for name, count in Counter(names).items():
            if count > 1 or (place.ref, name) in self._external:
                raise refuse(f"The externalId of {name} is used already", "externalId", repeats=repeats)

    def _unused_more(self, order: Order, names: list[str], body: list[Any]) -> None:
        """Check the external ids of what is added to an order; the same once more is a repeat."""
        act = (str(order.guid), json.dumps(body, sort_keys=True))
        self._unused(order.place, names, repeats=act in self._added)
        self._added.add(act)

    def _name(self, check: Check, now: float) -> None:
        for line in _lines(check.selections):
            if line.guid is None:
                line.guid, line.created = self._new_id(), now
        for each in check.added():
            each.guid = each.guid or self._new_id()

    def get(self, identifier: str, place: Place) -> Order:
        """An order by GUID or external id; raises Refused."""
        if not is_guid(identifier):
            if ":" not in identifier:
                raise refuse(f"Malformed GUID: {identifier}", "guid")
            identifier = self._external.get((place.ref, f"Order {identifier}"), "")
        found = self.kept.get(identifier)
        if found is None or found.place is not place:
            raise refuse("Order not found", "guid", 404)
        return found

    def bulk(self, query: dict[str, str], place: Place) -> list[Order]:
        """A page of orders by modification time or business date, oldest first."""
        size, page = _whole(query, "pageSize", _MOST_IN_PAGE), _whole(query, "page", 1)
        if size > _MOST_IN_PAGE:
            raise refuse(f"pageSize is at most {_MOST_IN_PAGE}", "pageSize")
        mine = [order for order in self.kept.values() if order.place is place]
        if "businessDate" in query:
            day = query["businessDate"]
            if len(day) != 8 or not day.isdigit():
                raise refuse("businessDate is yyyymmdd", "businessDate")
            mine = [order for order in mine if place.business_date(order.promised or order.created) == int(day)]
        else:
            if "startDate" not in query or "endDate" not in query:
                raise refuse("startDate and endDate, or businessDate, are required", "startDate")
            start, end = moment(query["startDate"], "startDate"), moment(query["endDate"], "endDate")
            if end <= start:
                raise refuse("endDate must be later than startDate", "endDate")
            mine = [order for order in mine if start <= order.modified < end]
        return mine[(page - 1) * size : page * size]

    def check(self, order: Order, identifier: str) -> Check:
        """A check of an order that can still change; raises Refused."""
        if order.voided:
            raise refuse("The order is voided")
        for check in order.checks:
            if check.guid == identifier:
                return check
        raise refuse("Check not found", "checkGuid", 404)

    def add_selections(self, order: Order, check: Check, body: list[Any]) -> None:
        """Put more items on a check."""
        made = self._drafts.lines(body, order.place)
        names = list(_named(_lines(made)))
        self._unused_more(order, names, body)
        check.selections += made
        self._stock.take(order.place, wanted(made))
        self._more(order, check, names)

    def add_payments(self, order: Order, check: Check, body: list[Any]) -> None:
        """Pay a check or a part of it."""
        made = self._drafts.payments(body, order.place, time.time())
        names = list(_named(made))
        self._unused_more(order, names, body)
        if check.paid() + sum(each.amount for each in made) > check.total:
            raise refuse("The payments are above the amount due", "amount")
        check.payments += made
        self._more(order, check, names)

    def add_discounts(self, order: Order, check: Check, body: list[Any]) -> None:
        """Discount a check."""
        made = self._drafts.discounts(body, order.place)
        names = list(_named(made))
        self._unused_more(order, names, body)
        if check.discounts:
            raise refuse("The check has a discount already", "appliedDiscounts")
        check.discounts = made
        self._more(order, check, names)

    def _more(self, order: Order, check: Check, names: list[str]) -> None:
        self._external.update({(order.place.ref, each): str(order.guid) for each in names})
        self._name(check, time.time())
        add_up(check, order.place)
        self._changed(order)

    def tip(self, order: Order, check: Check, identifier: str, body: Json) -> None:
        """Set the tip of a payment."""
        amount = minor(checked(_TIP, body)["tipAmount"], order.place.places, "tipAmount")
        for payment in check.payments:
            if payment.guid == identifier:
                payment.tip = amount
                self._changed(order)
                return
        raise refuse("Payment not found", "paymentGuid", 404)

    def deliver(self, order: Order, body: Json) -> None:
        """Change where a delivery is; raises Refused once it is delivered."""
        change = checked(_DELIVERY, body)
        if order.dining["behavior"] != "DELIVERY":
            raise refuse("The order is not a delivery", "deliveryInfo")
        if order.voided:
            raise refuse("The order is voided")
        if order.delivery.get("deliveryState") == "DELIVERED":
            raise refuse("The order is delivered already", "deliveryState", repeats=change.get("deliveryState") == "DELIVERED")
        now = time.time()
        if "deliveryEmployee" in change:
            raise refuse("No such employee", "deliveryEmployee", 404)
        if change.get("deliveryState") in {"IN_PROGRESS", "PICKED_UP"}:
            order.delivery.setdefault("dispatchedDate", stamp(now))
        elif change.get("deliveryState") == "DELIVERED":
            order.delivery["deliveredDate"] = stamp(now)
        order.delivery.update(change)
        if "deliveryState" in change:
            order.log(change["deliveryState"], now)
        self._changed(order)

    def void(self, order: Order, body: Json) -> None:
        """Void an order with all its selections and payments; raises Refused."""
        wish = checked(_VOID, body)
        if not all(wish.get(name, {}).get("voidAll") for name in ("selections", "payments")):
            raise refuse("selections.voidAll and payments.voidAll must be true", "voidAll")
        if order.voided:
            raise refuse("The order is voided already", repeats=order.guid in self._voided)
        if any(payment.kind is None for check in order.checks for payment in check.payments):
            raise refuse("Only orders with OTHER payments can be voided", "payments")
        self._voided.add(str(order.guid))
        self.end(order)

    def fulfillments(self, place: Place, day: int) -> list[Json]:
        """What the kitchen did on a business day, item by item."""
        rows = []
        for order in self.kept.values():
            if order.place is not place or place.business_date(order.promised or order.created) != day:
                continue
            for line in (each for check in order.checks for each in check.selections if each.fired):
                station = station_of(place, line)
                name = next((each["name"] for each in place.stations() if each["guid"] == station), None)
                rows.append(
                    {
                        "restaurantGuid": place.ref,
                        "orderGuid": order.guid,
                        "selectionGuid": line.guid,
                        "selectionMenuItemGuid": line.dish.guid if line.dish else None,
                        "selectionMenuItemName": line.name,
                        "ticketGuid": guid_of(str(order.guid), "ticket"),
                        "ticketFiredAt": stamp(line.fired),
                        "itemStartedAt": stamp(line.fired),
                        "itemFulfilledAt": stamp(line.done) if line.done else None,
                        "itemFulfillmentLevel": 1 if line.done else 0,
                        "prepStationGuid": station,
                        "prepStationName": name,
                        "diningOptionBehavior": order.dining["behavior"],
                        "courseName": None,
                        "orderSource": "API",
                    }
                )
        return rows

    # What the restaurant does

    def _fire(self, order: Order) -> None:
        if not order.voided and order.approval == "FUTURE":
            self._arrive(order)
            self._changed(order)

    def _arrive(self, order: Order) -> None:
        delay, alone = self._settings("approval_delay_s"), order.place.approval == "staff"
        order.approval = "APPROVED" if not delay and not alone else "NEEDS_APPROVAL"
        order.log(order.approval, time.time())
        if alone:
            self._later(self._settings("approval_deadline_s"), lambda: self._decided(order, approved=False))
        elif delay:
            self._later(delay, lambda: self._decided(order, approved=True))

    def decide(self, order: Order, *, approved: bool) -> bool:
        """Approve an order, or let it not be approved; False when that is decided already."""
        if order.voided or order.approval not in {"NEEDS_APPROVAL", "FUTURE"}:
            return False
        order.approval = "APPROVED" if approved else "NOT_APPROVED"
        order.log(order.approval, time.time())
        self._changed(order)
        return True

    def _decided(self, order: Order, *, approved: bool) -> None:
        self.decide(order, approved=approved)

    def hold(self, order: Order) -> None:
        """Let the kitchen hold what it has not begun."""
        for line in (each for check in order.checks for each in _lines(check.selections) if each.status == "NEW"):
            line.status = "HOLD"
        self._changed(order)

    def cook(self, order: Order, guest: str) -> bool:
        """Move an order in the kitchen: IN_PREPARATION, READY_FOR_PICKUP or CLOSED; False for a step back."""
        now = time.time()
        if order.voided or order.approval == "NOT_APPROVED" or _GUEST[guest] <= _GUEST.get(order.guest, 0):
            return False
        if order.approval != "APPROVED":
            self.decide(order, approved=True)
        for line in (each for check in order.checks for each in _lines(check.selections)):
            line.fired = line.fired or now
            line.done = line.done or now if guest != "IN_PREPARATION" else 0
            line.status = "READY" if line.done else "SENT"
        if guest == "CLOSED":
            self._collect(order, now)
        order.guest = guest
        order.log(guest, now)
        self._changed(order, guest)
        return True

    def _collect(self, order: Order, now: float) -> None:
        for check in order.checks:
            if due := check.total - check.paid():
                check.payments.append(Payment(None, due, 0, now, guid=self._new_id()))

    def end(self, order: Order) -> None:
        """Void an order."""
        now = time.time()
        order.voided, order.guest = now, "VOIDED"
        for payment in (each for check in order.checks for each in check.payments):
            payment.voided = now
        order.log("VOIDED", now)
        self._changed(order, "VOIDED")

    def _changed(self, order: Order, guest: str = "") -> None:
        now = time.time()
        order.modified = max(now, order.modified + 0.001)
        for check in order.checks:
            settled = bool(order.voided) or (order.approval == "APPROVED" and check.paid() >= check.total)
            check.closed = (check.closed or now) if settled else 0
        self._tell(order, guest)


def _lines(selections: list[Selection]) -> Iterator[Selection]:
    for each in selections:
        yield each
        yield from _lines(each.modifiers)


def _named(parts: Iterable[Order | Check | Selection | Added]) -> Iterator[str]:
    """External ids by kind: they are unique among the parts of one kind."""
    for each in parts:
        if each.external:
            yield f"{type(each).__name__} {each.external}"


def _externals(order: Order) -> Iterator[str]:
    yield from _named([order, *order.checks])
    for check in order.checks:
        yield from _named(_lines(check.selections))
        yield from _named(check.added())


def _whole(query: dict[str, str], name: str, default: int) -> int:
    value = query.get(name, str(default))
    if not value.isdigit() or int(value) < 1:
        raise refuse(f"{name} is an integer from 1 up", name)
    return int(value)
