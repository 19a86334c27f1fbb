"""Uber Eats by the order suite: fetch, accept, deny, ready, delay, cancel; menus as full snapshots, items and stores one by one."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from adapters.ubereats import menu as menus
from adapters.ubereats import models, stores
from adapters.ubereats.extras import promotion_extras, read_made
from adapters.ubereats.mapping import moment, order_from, state_of
from adapters.ubereats.webhooks import COURIER_STATES, is_legacy, order_id, told_at
from hub.contract import (
    NO_PLACES,
    AlreadyDone,
    AuthRevoked,
    DecisionTask,
    Done,
    Drifted,
    Extra,
    Facts,
    Fetched,
    Http,
    Misconfigured,
    NotFound,
    Places,
    PlatformOrder,
    Rejected,
    Repeat,
    Request,
    Response,
    Step,
    decode,
)
from hub.contract.tasks import Connected
from hub.model import FINAL, CourierSighting, Menu, StockLevel, Store, StoreChange, StoreStatus

PAGE = "50"
OPEN_WINDOW = timedelta(days=2)
"""How far back open orders are looked for: Uber lists 60 days, and an order nobody told of is found within minutes or was denied."""
_JSON = {"Content-Type": "application/json"}
_DECISIONS = frozenset({"accept", "deny", "ready", "cancel"})
_Listed = TypeVar("_Listed", models.OrderList, models.StoreList)


class UberEats:
    """One tenant's connection; the token is the partner app's."""

    store_changes = stores.CHANGES

    def __init__(self, facts: Facts, connection: Connected, http: Http) -> None:
        self._facts, self._connection, self._http = facts, connection, http

    def failure(self, operation: str, response: Response) -> Exception | None:
        """409 on a decision says that it was made before; a 403 names a setting at Uber."""
        status = response.status
        if status < 400:
            return None
        body = _error(response)
        word = body.code or body.error
        detail = f"{word} {body.message}".strip()[:300]
        if status == 409 and operation in _DECISIONS:
            return AlreadyDone(f"{operation}: settled before", code=word, detail=detail, status=status)
        if word == "invalid_client" or (operation == "token" and status in (400, 401)):
            return AuthRevoked(f"Uber refuses the app's credentials: {word}", code=word, detail=detail, status=status)
        if status == 401 and "scope" in detail:
            return Misconfigured(f"the app has no scope for {operation}: {detail}", code=word, detail=detail, status=status)
        if status == 403:
            message = f"Uber forbids {operation} ({word}): the store must name this app as its order manager"
            return Misconfigured(message, code=word, detail=detail, status=status)
        return None

    def read_step(self, step: str, response: Response) -> Done:
        """A promotion leaves its id, all else nothing that is needed; a body, where there is one, must be JSON."""
        if step.startswith("promotion_create"):
            return read_made(response)
        if response.body.strip() and not step.startswith("menu"):
            decode(response.body, Any)
        return Done()

    async def test(self) -> str:
        """List the first stores."""
        stores = await self.list_stores()
        return f"{len(stores)} stores visible"

    async def list_stores(self) -> Sequence[Store]:
        """Every page of the app's stores."""
        found: list[Store] = []
        async for page in self._pages("/v1/delivery/stores", "list_stores", {}, models.StoreList):
            for store in page.data or []:
                ref = store.id or store.store_id
                if not ref:
                    raise Drifted("a store in data[] has no id")
                country = (store.location.country if store.location else None) or ""
                found.append(
                    Store(ref, store.name or ref, currency=store.currency_code or "", timezone=store.timezone or "", country=country)
                )
        return found

    async def fetch_order(self, platform_order_id: str, notice: bytes, places: Places = NO_PLACES) -> Fetched:
        """Read an order with all its parts, by the suite; raises Misconfigured where a legacy notice names one it does not know."""
        path = f"/v1/delivery/order/{quote(platform_order_id, safe='')}"
        try:
            response = await self._http.read(Request("GET", path, "fetch_order", query={"expand": "carts,deliveries,payment"}))
        except NotFound as error:
            if is_legacy(notice):
                message = "this store sends legacy notices: set webhooks_version 1.0.0 in its integration config at Uber"
                raise Misconfigured(message, detail=error.detail) from error
            raise
        order: models.Order = decode(response.body, models.OrderAnswer).order
        if order.id != platform_order_id:
            raise Drifted(f"asked for order {platform_order_id}, got {order.id}")
        return Fetched(order_from(order), state_of(order.state, order.preparation_status))

    async def open_orders(self, store_ref: str) -> Sequence[PlatformOrder]:
        """Orders of a store that wait or are under way, placed within `OPEN_WINDOW`, every page."""
        found: list[PlatformOrder] = []
        since = (datetime.now(UTC) - OPEN_WINDOW).strftime("%Y-%m-%dT%H:%M:%SZ")
        path = f"/v1/delivery/store/{quote(store_ref, safe='')}/orders"
        async for page in self._pages(path, "list_orders", {"start_time": since}, models.OrderList):
            for order in page.data or []:
                state = state_of(order.state, order.preparation_status)
                if state not in FINAL:
                    found.append(PlatformOrder(order.id, state, moment(order.created_time, "data.created_time")))
        return found

    async def _pages(self, path: str, operation: str, query: dict[str, str], kind: type[_Listed]) -> AsyncIterator[_Listed]:
        token, seen = "", {""}
        while True:
            more = {"next_page_token": token} if token else {}
            response = await self._http.read(Request("GET", path, operation, query={"page_size": PAGE, **query, **more}))
            page: _Listed = decode(response.body, kind)
            yield page
            token = (page.pagination_data.next_page_token if page.pagination_data else None) or ""
            if not token:
                return
            if token in seen:
                raise Drifted(f"{operation}: the pages go in a circle")
            seen.add(token)

    def accept_step(self, task: DecisionTask) -> Step:
        """Accept, naming our reference."""
        body: dict[str, Any] = {"external_reference_id": task.reference, "accepted_by": "integration-hub"}
        if task.ready_at is not None:
            body["ready_for_pickup_time"] = stores.rfc3339(task.ready_at)
        return self._decision("accept", task, body)

    def reject_step(self, task: DecisionTask) -> Step:
        """Deny with a reason Uber knows."""
        kind = self._facts.reject_reasons.get(task.reason, "OTHER")
        return self._decision("deny", task, {"deny_reason": {"info": task.detail or task.reason, "type": kind}})

    def ready_step(self, task: DecisionTask) -> Step:
        """Ready for pick-up."""
        return self._decision("ready", task, {})

    def cancel_step(self, task: DecisionTask) -> Step:
        """Cancel an accepted order."""
        kind = self._facts.cancel_reasons.get(task.reason, "OTHER")
        return self._decision("cancel", task, {"cancellation_reason": {"type": kind, "info": task.detail or task.reason}})

    def delay_step(self, task: DecisionTask) -> Step | None:
        """Move the time at which the food is ready."""
        if task.ready_at is None:
            return None
        return self._decision("update-ready-time", task, {"ready_for_pickup_time": stores.rfc3339(task.ready_at)})

    def couriers(self, notice: bytes) -> Sequence[CourierSighting]:
        """The delivery's step; the notice tells no position."""
        told: models.Notice = decode(notice, models.Notice)
        state = COURIER_STATES.get(told.current_state or "")
        return [CourierSighting(order_id(told), state, told_at(told))] if state else []

    def _decision(self, name: str, task: DecisionTask, body: dict[str, Any]) -> Step:
        path = f"/v1/delivery/order/{quote(task.platform_order_id, safe='')}/{name}"
        return Step(name, self.write(path, name, body), Repeat.NATURAL)

    def write(self, path: str, operation: str, body: Any) -> Request:
        """A POST of JSON."""
        return Request("POST", path, operation, body=msgspec.json.encode(body), headers=_JSON)

    async def ask(self, path: str, operation: str, query: Mapping[str, str] | None = None) -> Response:
        """A read."""
        return await self._http.read(Request("GET", path, operation, query=dict(query or {})))

    def push_menu_step(self, store_ref: str, menu: Menu) -> Step:
        """Replace the store's menu."""
        body = msgspec.json.encode(menus.menu_body(menu))
        request = Request("PUT", _menus(store_ref), "push_menu", body=body, headers=_JSON, timeout=30.0)
        return Step("menu", request, Repeat.NATURAL)

    async def read_back(self, store_ref: str) -> frozenset[str]:
        """Ids of the items that Uber shows, as the hub knows them."""
        response = await self._http.read(Request("GET", _menus(store_ref), "read_menu"))
        found: models.ShownMenu = decode(response.body, models.ShownMenu)
        return frozenset(menus.from_uber_id(item.id) for item in found.items or [])

    async def availability_step(self, store_ref: str, levels: Sequence[StockLevel]) -> Step:
        """Set one level: options are items as well, and each has a call of its own."""
        if len(levels) != 1:
            raise Rejected("Uber Eats takes one item a call")
        path = f"{_menus(store_ref)}/items/{quote(menus.to_uber_id(levels[0].id), safe='')}"
        return Step("availability", self.write(path, "availability", stores.suspension(levels[0])), Repeat.NATURAL)

    async def store_status(self, store_ref: str) -> StoreStatus:
        """How Uber shows the store, and its usual preparation time where it tells one."""
        shown, about = await asyncio.gather(
            self.ask(_store(store_ref, "/status"), "store_status"), self.ask(_store(store_ref), "get_store")
        )
        told: stores.StatusAnswer = decode(shown.body, stores.StatusAnswer)
        times = decode(about.body, stores.StoreAnswer).prep_times
        return stores.status_from(told, (times.default_value or 0) if times else 0)

    async def store_step(self, store_ref: str, change: StoreChange) -> Step:
        """Open, pause (until a time), or set the preparation time; raises Rejected otherwise."""
        what, body = stores.change_call(change)
        return Step("store", self.write(_store(store_ref, f"/{what}"), what, body), Repeat.NATURAL)

    def extras(self) -> Mapping[str, Extra]:
        """Promotions."""
        return promotion_extras(self)


def _store(store_ref: str, what: str = "") -> str:
    return f"/v1/delivery/store/{quote(store_ref, safe='')}{what}"


def _menus(store_ref: str) -> str:
    return f"/v2/eats/stores/{quote(store_ref, safe='')}/menus"


def _error(response: Response) -> models.ErrorBody:
    try:
        return msgspec.json.decode(response.body, type=models.ErrorBody)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return models.ErrorBody()
