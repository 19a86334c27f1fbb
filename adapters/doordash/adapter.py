"""DoorDash by the Marketplace API: orders come by webhook alone and are confirmed by a later call; menus are pushed and pulled."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from adapters.doordash import decisions, errors, models, stores
from adapters.doordash.decisions import order_path
from adapters.doordash.extras import read_made, report_extras
from adapters.doordash.mapping import moment, order_from, order_in
from adapters.doordash.menu import store_menu
from adapters.doordash.models import text
from adapters.doordash.webhooks import COURIER_STATES, ORDER_STATES, order_id, shape_of
from hub.contract import (
    NO_PLACES,
    AmendTask,
    Connected,
    DecisionTask,
    Done,
    Drifted,
    Extra,
    Facts,
    Fetched,
    Http,
    JobResult,
    Misconfigured,
    Places,
    Rejected,
    Repeat,
    Request,
    Response,
    Step,
    Unreadable,
    decode,
)
from hub.model import CourierSighting, Menu, OrderState, StockLevel, StoreChange, StoreStatus

NOWHERE = "hub-connection-test"
"""A store that is not there: to be told so shows that the key is good."""


class DoorDash:
    """One tenant's stores; the key is the partner app's, as is the provider type."""

    store_changes = frozenset({"open", "pause"})

    def __init__(self, facts: Facts, connection: Connected, http: Http) -> None:
        self._facts, self._connection, self._http = facts, connection, http

    def failure(self, operation: str, response: Response) -> Exception | None:
        """A second confirmation is a 400, a busy menu a 200, and half a success a 400 with a list."""
        return errors.failure(operation, response)

    def read_step(self, step: str, response: Response) -> Done:
        """A menu leaves its job, a report its id; all else answers with nothing."""
        if step.startswith("menu"):
            answer: models.JobAnswer = decode(response.body, models.JobAnswer)
            return Done(answer.reference, {"job": answer.reference})
        return read_made(response) if step.startswith("report_create") else Done()

    async def test(self) -> str:
        """Ask for a store that is not there: DoorDash lists none, and says so only to a key it knows."""
        try:
            await self.ask(self.request("GET", _store_path(NOWHERE, "store_details"), "store_status"))
        except Rejected:
            return "DoorDash knows this key; it does not list stores, so none is counted"
        return "DoorDash knows this key"

    def _provider_type(self) -> str:
        found = self._connection.details.get("provider_type", "")
        if not found:
            raise Misconfigured("the provider app has no provider type: DoorDash names it at the onboarding")
        return found

    def request(self, method: str, path: str, operation: str, body: object = None, *, about: str = "") -> Request:
        """A request with the headers that DoorDash wants beside the token."""
        agent = "".join(word[:1].upper() + word[1:] for word in self._provider_type().split("_"))
        headers = {"auth-version": "v2", "User-Agent": f"{agent}/1.0"}
        if body is None:
            return Request(method, path, operation, headers=headers, about=about)
        headers["Content-Type"] = "application/json"
        return Request(method, path, operation, body=msgspec.json.encode(body), headers=headers, about=about)

    async def ask(self, request: Request) -> Response:
        """Send a read."""
        return await self._http.read(request)

    # Orders

    async def fetch_order(self, platform_order_id: str, notice: bytes, places: Places = NO_PLACES) -> Fetched:
        """The order in the notice; DoorDash has no read, so without one it is Unreadable. It was placed when it came."""
        order = order_in(notice) if notice else None
        if order is None:
            raise Unreadable("DoorDash cannot be asked for an order: only its own call tells it")
        if text(order.id) != platform_order_id:
            raise Drifted(f"the call was about order {platform_order_id} and holds {order.id}")
        place = places.get(text(order.store.merchant_supplied_id))
        return Fetched(order_from(order, place.currency if place else "", datetime.now(UTC)), OrderState.RECEIVED)

    def notice_state(self, notice: bytes) -> OrderState | None:
        """Cancelled, on its way or delivered. A release tells that the Dasher comes, not that anybody cooks."""
        told: models.Notice = decode(notice, models.Notice)
        if told.delivery is not None:
            return ORDER_STATES.get(told.delivery.dasher_status or "")
        return OrderState.CANCELLED if shape_of(told) == "order_canceled" else None

    def couriers(self, notice: bytes) -> Sequence[CourierSighting]:
        """The Dasher's step; a release says where the Dasher is, some hundred metres away."""
        told: models.Notice = decode(notice, models.Notice)
        at = moment(told.created_at, "created_at")
        if told.delivery is not None:
            state = COURIER_STATES.get(told.delivery.dasher_status or "")
            return [CourierSighting(order_id(told), state, at)] if state else []
        if shape_of(told) != "order_release":
            return []
        dasher = told.dasher or models.Dasher()
        latitude, longitude = ("" if each is None else str(each) for each in (dasher.latitude, dasher.longitude))
        return [CourierSighting(order_id(told), "near", at, latitude, longitude)]

    def accept_step(self, task: DecisionTask) -> Step:
        """Confirm, under our reference: it comes back with every later call about the order."""
        return self._decision("accept", order_path(task.platform_order_id), task, decisions.accepted(task))

    def reject_step(self, task: DecisionTask) -> Step:
        """Fail the order."""
        return self._decision("reject", order_path(task.platform_order_id), task, decisions.refused(task, self._facts))

    def ready_step(self, task: DecisionTask) -> Step:
        """Ready for pick-up."""
        path = order_path(task.platform_order_id, "events", "order_ready_for_pickup")
        return self._decision("ready", path, task, {"merchant_supplied_id": task.reference})

    def cancel_step(self, task: DecisionTask) -> Step:
        """Take an accepted order back. Some reasons pause the store: closed for twelve hours, busy for fifteen minutes."""
        path = order_path(task.platform_order_id, "cancellation")
        return self._decision("cancel", path, task, decisions.cancelled(task, self._facts))

    def _decision(self, name: str, path: str, task: DecisionTask, body: Mapping[str, Any]) -> Step:
        return Step(name, self.request("PATCH", path, name, body, about=task.platform_order_id), Repeat.NATURAL)

    def amend_step(self, task: AmendTask) -> Step | None:
        """Take out or reduce lines; the whole order comes back by webhook. None when no line of DoorDash's changes."""
        change = decisions.adjusted(task)
        if change is None:
            return None
        operation, repeat, body = change
        order = task.decision.platform_order_id
        return Step("amend", self.request("PATCH", order_path(order, "adjustment"), operation, body, about=order), repeat)

    # Menu and items

    def push_menu_step(self, store_ref: str, menu: Menu) -> Step:
        """Replace our menu of the store; how it went is told later, under the reference."""
        store = {"merchant_supplied_id": store_ref, "provider_type": self._provider_type()}
        body = {"reference": str(uuid.uuid4()), "store": store, **store_menu(store_ref, menu)}
        request = self.request("POST", "/marketplace/api/v1/menus", "push_menu", body, about=store_ref)
        return Step("menu", msgspec.structs.replace(request, timeout=30.0), Repeat.NATURAL)

    async def read_back(self, store_ref: str) -> frozenset[str]:
        """Ids of the items on the store's menu."""
        response = await self.ask(self.request("GET", _store_path(store_ref, "store_menu"), "read_menu", about=store_ref))
        shown: models.StoreMenu = decode(response.body, models.StoreMenu)
        categories = [each for each in (shown.menu.categories if shown.menu else None) or [] if each.active is not False]
        items = [item for category in categories for item in category.items or [] if item.active is not False]
        return frozenset(text(item.merchant_supplied_id) for item in items)

    def job_results(self, notice: bytes) -> Sequence[JobResult]:
        """How a menu went; a failure that names a menu made it and could not set its hours."""
        told: models.Notice = decode(notice, models.Notice)
        if told.event is None or told.store is None:
            raise Drifted("a menu's status has an event and a store")
        status = (told.event.status or "").upper()
        store, job = text(told.store.merchant_supplied_id), text(told.event.reference)
        if status == "SUCCESS":
            return [JobResult(store, "done", job)]
        if status != "FAILURE":
            return [JobResult(store, "running", job, status)]
        partly = told.menu is not None and bool(told.menu.id)
        return [JobResult(store, "partial" if partly else "failed", job, _said(told.event.details))]

    async def availability_step(self, store_ref: str, levels: Sequence[StockLevel]) -> Step:
        """Set levels of one kind: items and options have calls of their own, and the first level says which.

        Levels of the other kind are not sent: callers give one kind a call. There is no end to it: `until` is the hub's to keep.
        """
        if not levels:
            raise Rejected("no level to set")
        kind = levels[0].kind
        part, operation = ("items", "items_status") if kind == "item" else ("item_options", "options_status")
        rows = [{"merchant_supplied_id": level.id, "is_active": level.available} for level in levels if level.kind == kind]
        request = self.request("PUT", _store_path(store_ref, part, "status"), operation, rows, about=store_ref)
        return Step("availability", request, Repeat.NATURAL)

    # Stores

    async def store_status(self, store_ref: str) -> StoreStatus:
        """How DoorDash shows the store."""
        path = _store_path(store_ref, "store_details")
        response = await self.ask(self.request("GET", path, "store_status", about=store_ref))
        return stores.status_from(decode(response.body, models.StoreDetails))

    async def store_step(self, store_ref: str, change: StoreChange) -> Step:
        """Open or pause."""
        body = stores.change_body(change)
        request = self.request("PUT", _store_path(store_ref, "status"), "set_store", body, about=store_ref)
        return Step("store", request, Repeat.NATURAL)

    def extras(self) -> Mapping[str, Extra]:
        """Reports."""
        return report_extras(self)


def _store_path(store_ref: str, *parts: str) -> str:
    return "/marketplace/api/v1/stores/" + "/".join((quote(store_ref, safe=""), *parts))


def _said(details: msgspec.Raw) -> str:
    if details == models.ABSENT:
        return ""
    try:
        return msgspec.json.decode(details, type=str)
    except msgspec.DecodeError:
        return bytes(details).decode("utf-8", "replace")[:500]
