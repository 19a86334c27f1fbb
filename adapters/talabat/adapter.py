"""Talabat by Delivery Hero's POS middleware: orders are dispatched to us and answered at the addresses that come with them."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from adapters.talabat import callbacks, errors, models, stores
from adapters.talabat.extras import bulk_extras, items_body, read_items
from adapters.talabat.mapping import currency_of, moment, order_from, state_of, told_state
from adapters.talabat.menu import import_body
from adapters.talabat.webhooks import CATALOG_CALLBACK
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
    Place,
    Places,
    PlatformOrder,
    Rejected,
    Repeat,
    Request,
    Response,
    RetryLater,
    Step,
    Unreadable,
    VendorError,
    decode,
)
from hub.model import CourierSighting, Menu, NotCarried, OrderState, StockLevel, StoreChange, StoreStatus, fit_nesting

PATIENCE = (0.3, 0.7, 1.5, 2.5)
"""Seconds between asking for a store's availability again: the middleware asks its platforms first."""
KEPT_SECONDS = 3600.0
"""How long it is remembered which platform's store a store of ours is."""
AT_ONCE = 8
_JSON = {"Content-Type": "application/json"}
_Outcome = Literal["running", "done", "failed", "partial"]
_OUTCOMES: Mapping[str, _Outcome] = {"in_progress": "running", "done": "done", "done_with_errors": "partial", "failed": "failed"}


class Talabat:
    """One chain of a tenant's; the token is the partner app's."""

    store_changes = frozenset({"open", "pause"})

    def __init__(self, facts: Facts, connection: Connected, http: Http) -> None:
        self._facts, self._connection, self._http = facts, connection, http
        self._entity = str(connection.settings.get("global_entity", ""))

    def failure(self, operation: str, response: Response) -> Exception | None:
        """Conflicts name the state they are about; a 200 may be a partial failure."""
        return errors.failure(operation, response)

    def read_step(self, step: str, response: Response) -> Done:
        """An import leaves its job, an update for many products how it went; decisions leave nothing."""
        if step.startswith(("menu", "bulk_menu")):
            answer: models.ImportAnswer = decode(response.body, models.ImportAnswer)
            return Done(answer.catalog_import_id, {"job": answer.catalog_import_id})
        if step.startswith("bulk_availability"):
            return read_items(response)
        return Done()

    async def test(self) -> str:
        """Ask for the orders of the last hour."""
        found = await self._order_ids({"pastNumberOfHours": "1"}, "")
        return f"{len(found)} orders accepted in the last hour"

    def _path(self, *parts: str) -> str:
        chain = self._connection.details.get("chain_code", "")
        if not chain:
            raise Misconfigured("the connection has no chain code: Talabat gives it at the onboarding")
        return "/v2/chains/" + "/".join(quote(part, safe="") for part in (chain, *parts))

    async def ask(self, path: str, operation: str, query: dict[str, str], about: str) -> Response:
        """A read."""
        return await self._http.read(Request("GET", path, operation, query=query, about=about))

    # Orders

    async def fetch_order(self, platform_order_id: str, notice: bytes, places: Places = NO_PLACES) -> Fetched:
        """The order in the notice, else as it is reported: Talabat reports accepted and cancelled orders only (Unreadable otherwise).

        Orders name the platform's id of their store: the linked store that has it is found by asking for its availability.
        """
        order = models.order_in(notice) if notice else None
        if order is None:
            response = await self.ask(self._path("orders", platform_order_id), "fetch_order", {}, platform_order_id)
            order = models.reported(response.body)
        if order.token != platform_order_id:
            raise Drifted(f"asked for order {platform_order_id}, got {order.token}")
        vendor = order.platform_restaurant.id if order.platform_restaurant else None
        store_ref, note = await self._store_of("" if vendor is None else str(vendor), places)
        place = places.get(store_ref)
        mapped = order_from(order, store_ref, (place.currency if place else "") or currency_of(order))
        if note is not None:
            mapped = msgspec.structs.replace(mapped, not_carried=(*mapped.not_carried, note))
        return Fetched(mapped, state_of(order), "test_order" if order.test else "")

    async def _store_of(self, vendor: str, places: Mapping[str, Place]) -> tuple[str, NotCarried | None]:
        """The store that a platform's store is: as the setting says, else as the middleware tells; the platform's id where none is."""
        named = str(self._connection.settings.get("platform_stores", "")).replace(",", " ").split()
        for pair in named:
            theirs, _, ours = pair.partition("=")
            if theirs == vendor and ours:
                return ours, None
        refs, problems = list(places), list[VendorError]()
        for start in range(0, len(refs), AT_ONCE):
            some = refs[start : start + AT_ONCE]
            for ref, ids in zip(some, await asyncio.gather(*map(self._platform_ids, some)), strict=True):
                if isinstance(ids, VendorError):
                    problems.append(ids)
                elif vendor in ids:
                    return ref, None
        waiting = next((each for each in problems if not isinstance(each, (Rejected, Misconfigured))), None)
        if waiting is not None:
            raise waiting
        if problems and len(refs) == 1:
            return refs[0], NotCarried("platformRestaurant.id", f"{vendor!r} is taken as the only linked store: {problems[0]}")
        if problems:
            message = f"which of the linked stores is Talabat's {vendor}? Say so in the setting platform_stores ({problems[0]})"
            raise Misconfigured(message) from problems[0]
        return vendor, None

    async def _platform_ids(self, store_ref: str) -> Sequence[str] | VendorError:
        """The platform's ids of a store, or why they are not told."""

        async def ask() -> Sequence[str]:
            return [str(each.platform_restaurant_id) for each in await self._platforms(store_ref)]

        try:
            return await self._http.remember(f"talabat/platforms/{store_ref}", KEPT_SECONDS, ask)
        except VendorError as error:
            return error

    async def open_orders(self, store_ref: str) -> Sequence[PlatformOrder]:
        """Orders accepted in the last 24 hours, whether or not they were picked up: more is not listed."""
        found = await self._order_ids({"vendorId": store_ref}, store_ref)
        return [PlatformOrder(each, OrderState.ACCEPTED, None) for each in found]

    async def _order_ids(self, query: dict[str, str], about: str) -> Sequence[str]:
        response = await self.ask(self._path("orders", "ids"), "list_orders", {"status": "accepted", **query}, about)
        return decode(response.body, models.OrderIds).order_identifiers or []

    def notice_state(self, notice: bytes) -> OrderState | None:
        """Cancelled or picked up, where a status call says so."""
        return told_state(decode(notice, models.StatusNotice).status)

    def couriers(self, notice: bytes) -> Sequence[CourierSighting]:
        """The rider arrived. The call names its order in its address only, so `platform_order_id` is mostly empty."""
        told: models.StatusNotice = decode(notice, models.StatusNotice)
        if told.status != "COURIER_ARRIVED_AT_VENDOR":
            return []
        order = (told.updated_order.token if told.updated_order else None) or ""
        return [CourierSighting(order, "arrived", moment(told.occurred_at, "occurredAt"))]

    def accept_step(self, task: DecisionTask) -> Step | None:
        """Accept; None where it is accepted on the tablet."""
        return callbacks.accept(task)

    def reject_step(self, task: DecisionTask) -> Step | None:
        """Refuse; a test order is always refused as one."""
        return callbacks.refuse("reject", task, self._facts)

    def cancel_step(self, task: DecisionTask) -> Step | None:
        """Take an accepted order back, for one of the few reasons that are allowed then."""
        return callbacks.refuse("cancel", task, self._facts)

    def ready_step(self, task: DecisionTask) -> Step | None:
        """Tell the platform's rider that the food is ready."""
        return callbacks.ready(task)

    def picked_up_step(self, task: DecisionTask) -> Step | None:
        """Tell that the restaurant's courier or the consumer has the food."""
        return callbacks.picked_up(task)

    def delay_step(self, task: DecisionTask) -> Step | None:
        """Have the platform's rider come later, within the order's window."""
        return callbacks.delay(task)

    def amend_step(self, task: AmendTask) -> Step | None:
        """Take out or reduce lines of an accepted order."""
        return callbacks.amend(task)

    # Menu and products

    def fit_menu(self, menu: Menu) -> tuple[Menu, tuple[NotCarried, ...]]:
        """Two levels of choices, the second only below a choice of exactly one."""
        return fit_nesting(menu, levels=2, may_open=lambda group: (group.minimum, group.maximum) == (1, 1))

    def push_menu_step(self, store_ref: str, menu: Menu) -> Step:
        """Replace the store's catalog; how it went is told later."""
        return self.menu_step("menu", (store_ref,), menu)

    def menu_step(self, name: str, store_refs: tuple[str, ...], menu: Menu) -> Step:
        """One import for one or many stores; raises Misconfigured for a menu that Talabat cannot hold."""
        if not store_refs:
            raise Rejected("an import names at least one store")
        root = self._connection.webhook_url.rstrip("/")
        back = f"{root}/{CATALOG_CALLBACK}/{quote(store_refs[0], safe='')}" if root else ""
        body = msgspec.json.encode(import_body(store_refs, menu, back))
        operation = "push_menu" if name == "menu" else name
        request = Request("PUT", self._path("catalog"), operation, body=body, headers=_JSON, timeout=30.0, about=store_refs[0])
        return Step(name, request, Repeat.NATURAL)

    async def read_back(self, store_ref: str) -> frozenset[str]:
        """Talabat shows no catalog: raises Unreadable."""
        raise Unreadable("Talabat does not tell which catalog it shows: the callback of an import and its log do")

    def job_results(self, notice: bytes) -> Sequence[JobResult]:
        """How an import went, a result a store; a store that differs from platform to platform is done in part."""
        told: models.ImportNotice = decode(notice, models.ImportNotice)
        by_store: dict[str, set[str]] = {}
        for each in told.details or []:
            ref = "" if each.pos_vendor_id is None else str(each.pos_vendor_id)
            by_store.setdefault(ref, set()).add(each.status or told.status or "")
        found = []
        for ref, words in (by_store or {"": {told.status or ""}}).items():
            outcomes: set[_Outcome] = {_OUTCOMES.get(word, "running") for word in words}
            outcome: _Outcome = "running" if "running" in outcomes else outcomes.pop() if len(outcomes) == 1 else "partial"
            found.append(JobResult(ref, outcome, told.catalog_import_id, told.message or ""))
        return found

    async def availability_step(self, store_ref: str, levels: Sequence[StockLevel]) -> Step:
        """Set levels that are alike: one call takes products or options, on or off, until one time. Raises Rejected for a mixture."""
        alike = {(level.kind, level.available, None if level.available else level.until) for level in levels}
        if len(alike) != 1:
            raise Rejected("Talabat takes products that go on or off sale alike in one call, and nothing else with them")
        kind, available, until = alike.pop()
        ids = tuple(level.id for level in levels)
        body = items_body(self._entity, kind, ids, available=available, until=until, next_day=False)
        return self.items_step("availability", store_ref, body)

    def items_step(self, name: str, store_ref: str, body: Mapping[str, Any]) -> Step:
        """One availability update."""
        path = self._path("vendors", store_ref, "catalog", "items", "availability")
        return Step(name, self._put(path, name, body, store_ref), Repeat.NATURAL)

    def _put(self, path: str, operation: str, body: Mapping[str, Any], about: str) -> Request:
        return Request("PUT", path, operation, body=msgspec.json.encode(body), headers=_JSON, about=about)

    # Stores

    async def _platforms(self, store_ref: str) -> Sequence[models.Platform]:
        """The store's platforms; 204 means that they are being asked. Raises RetryLater when that takes too long."""
        path = self._path("remoteVendors", store_ref, "availability")
        for pause in (*PATIENCE, None):
            response = await self.ask(path, "store_status", {}, store_ref)
            if response.status != 204:
                found: list[models.Platform] = decode(response.body, list[models.Platform])
                return found
            if pause is not None:
                await asyncio.sleep(pause)
        raise RetryLater("Talabat does not know the store's availability yet", after=5.0)

    async def store_status(self, store_ref: str) -> StoreStatus:
        """How Talabat shows the store."""
        return stores.status_from(await self._platforms(store_ref))

    async def store_step(self, store_ref: str, change: StoreChange) -> Step:
        """Open or pause, with what Talabat allows for the store now: a pause is rounded up to one of its lengths."""
        body = stores.change_body(await self._platforms(store_ref), change)
        path = self._path("remoteVendors", store_ref, "availability")
        return Step("store", self._put(path, "set_store", body, store_ref), Repeat.NATURAL)

    def extras(self) -> Mapping[str, Extra]:
        """Bulk operations and the import log."""
        return bulk_extras(self, self._path, self._entity)
