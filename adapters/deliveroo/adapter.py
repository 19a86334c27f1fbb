"""Deliveroo by the partner platform suite: orders pushed whole and answered by status, menus uploaded and processed later."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from adapters.deliveroo import errors, models, stores
from adapters.deliveroo.mapping import (
    SYNC_REASONS,
    delay_minutes,
    order_from,
    placed_at,
    sightings,
    state_of,
    written,
)
from adapters.deliveroo.menu import CHOICE, from_deliveroo_id, menu_id, upload_body
from hub.contract import (
    NO_PLACES,
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
    NotFound,
    PlaceParams,
    Places,
    PlatformOrder,
    Rejected,
    Repeat,
    Request,
    Response,
    Step,
    Unreadable,
    decode,
    pages,
)
from hub.model import FINAL, CourierSighting, Menu, OrderState, StockLevel, Store, StoreChange, StoreStatus

OPEN_WINDOW = timedelta(days=7)
"""How far back open orders are looked for: scheduled ones are placed days before."""
LOOKUP_WINDOW = timedelta(days=1)
"""How far back an order that is over is looked for: orders are decided within minutes."""
MENU_KEPT = 60.0
"""How many seconds it is remembered which items a site shows."""
_JSON = {"Content-Type": "application/json"}
_SITES_KEPT = 2000
_MENU_STEP = "menu"


class Deliveroo:
    """One brand of a tenant's; the token is the partner app's."""

    store_changes = frozenset({"open", "pause", "busy", "prep_time", "hours"})

    def __init__(self, facts: Facts, connection: Connected, http: Http) -> None:
        self._facts, self._connection, self._http = facts, connection, http
        self._sites: dict[str, str] = {}

    def failure(self, operation: str, response: Response) -> Exception | None:
        """409 says that it was decided before; 429 names no time, so each limit's own is waited for."""
        return errors.failure(operation, response)

    def read_step(self, step: str, response: Response) -> Done:
        """An upload leaves its menu as the job, unless it changes nothing; everything else leaves nothing."""
        name, _, rest = step.partition("/")
        if name != _MENU_STEP:
            return Done()
        answer = decode(response.body, models.UploadAnswer) if response.body.strip() else models.UploadAnswer()
        if answer.result == "MATCH_EXISTING_MENU":
            return Done(data={"unchanged": True})
        job = unquote(rest.partition("/")[0])
        return Done(job, {"job": job})

    async def test(self) -> str:
        """Look the brand up, and how many of its sites send order events."""
        brand = await self._brand()
        sites = await self._brand_sites()
        silent = sum(site.orders_api_webhook_type == "POS" for site in sites)
        told = f"{brand.name or brand.id} ({brand.market or 'no market'}): {len(sites)} sites"
        return f"{told}, {silent} of them send no order events: set their webhook type to ORDER_EVENTS" if silent else told

    def _detail(self, name: str) -> str:
        value = self._connection.details.get(name, "")
        if not value:
            raise Misconfigured(f"the connection has no {name}: Deliveroo's Developer Portal shows it")
        return value

    def _path(self, api: str, *parts: str) -> str:
        """A path below the brand of an API, such as `/menu/v1`."""
        return "/".join((f"{api}/brands", *(quote(part, safe="") for part in (self._detail("brand_id"), *parts))))

    def _site(self, store_ref: str, what: str) -> str:
        return f"{self._path('/site/v1', 'sites', store_ref)}/{what}"

    async def _read(self, path: str, operation: str, kind: Any, *, about: str = "", query: Mapping[str, str] | None = None) -> Any:
        response = await self._http.read(Request("GET", path, operation, query=dict(query or {}), about=about))
        return decode(response.body, kind)

    def _write(self, name: str, method: str, path: str, operation: str, body: Any, about: str, timeout: float = 10.0) -> Step:
        """A step that sets a state: twice changes nothing, or answers 409."""
        encoded = msgspec.json.encode(body)
        return Step(name, Request(method, path, operation, body=encoded, headers=_JSON, about=about, timeout=timeout), Repeat.NATURAL)

    # Stores

    async def _brand(self) -> models.Brand:
        wanted = self._detail("brand_id")
        found: models.Brands = await self._read("/site/v1/brands", "list_brands", models.Brands)
        brands = found.brands or []
        brand = next((each for each in brands if each.id == wanted), None)
        if brand is None:
            known = ", ".join(each.id for each in brands[:20]) or "none"
            raise Misconfigured(f"the app may not use the brand {wanted}; it may use: {known}")
        return brand

    async def _brand_sites(self) -> Sequence[models.Site]:
        path = self._path("/order/v1/integrator") + "/sites-config"
        found: models.Sites = await self._read(path, "list_sites", models.Sites)
        return found.sites or []

    async def list_stores(self) -> Sequence[Store]:
        """The brand's sites, in the zone of its market. Deliveroo tells no currency of a site: its orders do."""
        market = ((await self._brand()).market or "").upper()
        _, zone = stores.MARKETS.get(market, ("", ""))
        sites = [(str(site.location_id), site.name) for site in await self._brand_sites()]
        return [Store(ref, name or ref, timezone=zone, country=market[:2]) for ref, name in sites]

    async def _hours(self, store_ref: str) -> models.OpeningHours:
        found: models.OpeningHours = await self._read(
            self._site(store_ref, "opening_hours"), "opening_hours", models.OpeningHours, about=store_ref
        )
        return found

    async def _times(self, store_ref: str) -> models.Times:
        found: models.Times = await self._read(self._site(store_ref, "workload/times"), "workload_times", models.Times, about=store_ref)
        return found

    async def store_status(self, store_ref: str) -> StoreStatus:
        """How Deliveroo shows the site, with its opening hours."""
        status: models.SiteStatus = await self._read(self._site(store_ref, "status"), "store_status", models.SiteStatus, about=store_ref)
        return stores.status_from(status, stores.hours_from(await self._hours(store_ref)))

    async def store_step(self, store_ref: str, change: StoreChange) -> Step:
        """Open, pause without an end, switch the workload, set preparation times or the week's hours; raises Rejected otherwise."""
        if change.kind in ("open", "pause"):
            if change.kind == "pause" and change.until is not None:
                raise Rejected("Deliveroo's closures do not end by themselves: pause without an end, and open the site again")
            status = "OPEN" if change.kind == "open" else "CLOSED"
            return self._write("store", "PUT", self._site(store_ref, "status"), "set_store", {"status": status}, store_ref)
        if change.kind == "busy":
            mode = {"mode": "BUSY" if change.busy else "QUIET"}
            return self._write("store", "PUT", self._site(store_ref, "workload/mode"), "set_workload", mode, store_ref)
        if change.kind == "prep_time":
            body = stores.times_body(await self._times(store_ref), change)
            return self._write("store", "PUT", self._site(store_ref, "workload/times"), "set_times", body, store_ref)
        body = stores.hours_body(change)
        return self._write("store", "POST", self._site(store_ref, "opening_hours"), "set_hours", body, store_ref)

    async def _report(self, params: PlaceParams) -> stores.SiteReport:
        ref = params.ref
        status, mode, times, brands = await asyncio.gather(
            self.store_status(ref),
            self._read(self._site(ref, "workload/mode"), "workload_mode", models.Mode, about=ref),
            self._times(ref),
            self._read(f"/site/v1/restaurant_locations/{quote(ref, safe='')}", "site_brand", models.SiteBrands, about=ref),
        )
        status = msgspec.structs.replace(status, prep_seconds=60 * (times.busy if mode.mode == "BUSY" else times.quiet))
        return stores.SiteReport(ref, status, mode.mode, times.quiet, times.busy, tuple(brands.brand_id or ()))

    def extras(self) -> Mapping[str, Extra]:
        """The whole of a site."""
        return {
            "site": Extra(title="Status, hours and workload of a site", params=PlaceParams, result=stores.SiteReport, read=self._report)
        }

    # Orders

    async def fetch_order(self, platform_order_id: str, notice: bytes, places: Places = NO_PLACES) -> Fetched:
        """The order in the notice, else out of the lists of the linked sites: one order cannot be asked for.

        Raises NotFound, and Unreadable where no site's list could tell.
        """
        order = models.order_in(notice) if notice else None
        if order is None:
            order = await self._find(platform_order_id, places)
        if order.id != platform_order_id:
            raise Drifted(f"asked for order {platform_order_id}, got {order.id}")
        self._sites[order.id] = str(order.location_id)
        while len(self._sites) > _SITES_KEPT:
            del self._sites[next(iter(self._sites))]
        return Fetched(order_from(order, datetime.now(UTC)), state_of(order.status) or OrderState.RECEIVED)

    async def _find(self, platform_order_id: str, places: Places) -> models.Order:
        known = self._sites.get(platform_order_id)
        sites = sorted({*places, *([known] if known else [])}, key=lambda ref: ref != known)
        unread = not sites
        for live in (True, False):
            for site in sites:
                try:
                    async for order in self._listed(site, live=live):
                        if order.id == platform_order_id:
                            return order
                except NotFound:
                    unread = True
        if unread:
            raise Unreadable("Deliveroo does not show a single order, and not every linked site has a list of them")
        raise NotFound(f"no linked site lists the order {platform_order_id}")

    async def _listed(self, store_ref: str, *, live: bool) -> AsyncIterator[models.Order]:
        brand = quote(self._detail("brand_id"), safe="")
        path = f"/order/v2/brand/{brand}/restaurant/{quote(store_ref, safe='')}/orders"
        since = written(datetime.now(UTC) - (OPEN_WINDOW if live else LOOKUP_WINDOW))

        async def ask(cursor: str) -> tuple[models.OrderList, str]:
            query = {"start_date": since, "live_orders": "true" if live else "false"} | ({"cursor": cursor} if cursor else {})
            page: models.OrderList = await self._read(path, "list_orders", models.OrderList, about=store_ref, query=query)
            return page, "" if page.next is None else str(page.next)

        async for page in pages(ask):
            for order in page.orders or []:
                yield order

    async def open_orders(self, store_ref: str) -> Sequence[PlatformOrder]:
        """Orders of a site that are under way, every page."""
        found, now = [], datetime.now(UTC)
        async for order in self._listed(store_ref, live=True):
            state = state_of(order.status) or OrderState.RECEIVED
            if state not in FINAL:
                found.append(PlatformOrder(order.id, state, placed_at(order, now)))
        return found

    def notice_state(self, notice: bytes) -> OrderState | None:
        """The order's status; a rider's news are none of the order's."""
        order = models.order_in(notice)
        return state_of(order.status) if order is not None else None

    def couriers(self, notice: bytes) -> Sequence[CourierSighting]:
        """Where the rider of each order of the trip is."""
        told: models.Notice = decode(notice, models.Notice)
        return sightings(told.body)

    def _has_tablet(self, task: DecisionTask) -> bool:
        """Whether staff decide on Deliveroo's tablet: as the order says, else as the setting does."""
        told = task.vendor_refs.get("tablet", "")
        return told == "yes" if told else bool(self._connection.settings.get("tablet", False))

    def _order_path(self, task: DecisionTask, what: str = "") -> str:
        return f"/order/v1/orders/{quote(task.platform_order_id, safe='')}{what}"

    def _status(self, name: str, task: DecisionTask, status: str, **more: str) -> Step:
        operation = "confirm" if status == "confirmed" else name
        return self._write(name, "PATCH", self._order_path(task), operation, {"status": status, **more}, task.platform_order_id)

    def _sync(self, name: str, task: DecisionTask, status: str, **more: str) -> Step:
        body = {"status": status, **more, "occurred_at": written(datetime.now(UTC))}
        return self._write(name, "POST", self._order_path(task, "/sync_status"), "sync_status", body, task.platform_order_id)

    def _stage(self, name: str, task: DecisionTask, stage: str, **more: int) -> Step:
        body = {"stage": stage, **more, "occurred_at": written(datetime.now(UTC))}
        return self._write(name, "POST", self._order_path(task, "/prep_stage"), name, body, task.platform_order_id)

    def accept_step(self, task: DecisionTask) -> Step:
        """Accept; with a tablet say that the order reached the POS, as its staff accept."""
        return self._sync("accept", task, "succeeded") if self._has_tablet(task) else self._status("accept", task, "accepted")

    def reject_step(self, task: DecisionTask) -> Step:
        """Refuse; with a tablet say that the order did not reach the POS, and its staff are asked."""
        notes = task.detail or task.reason
        if self._has_tablet(task):
            return self._sync("reject", task, "failed", reason=SYNC_REASONS.get(task.reason, "other"), notes=notes)
        reason = self._facts.reject_reasons.get(task.reason, "other")
        return self._status("reject", task, "rejected", reject_reason=reason, notes=notes)

    def preparing_step(self, task: DecisionTask) -> Step:
        """Say that the kitchen has begun; a scheduled order is confirmed by that."""
        if task.vendor_refs.get("scheduled") and not self._has_tablet(task):
            return self._status("preparing", task, "confirmed")
        return self._stage("preparing", task, "in_kitchen")

    def ready_step(self, task: DecisionTask) -> Step:
        """Say that the food is ready."""
        return self._stage("ready", task, "ready_for_collection")

    def picked_up_step(self, task: DecisionTask) -> Step | None:
        """Say that it left; Deliveroo knows it of its own riders."""
        return None if task.fulfilment == "delivery_by_platform" else self._stage("picked_up", task, "collected")

    def delay_step(self, task: DecisionTask) -> Step | None:
        """Say that the kitchen is up to ten minutes late; None for more, which Deliveroo does not take."""
        minutes = delay_minutes(task.vendor_refs.get("prepare_for", ""), task.ready_at)
        return None if minutes is None else self._stage("delay", task, "in_kitchen", delay=minutes)

    # Menu and availability

    def push_menu_step(self, store_ref: str, menu: Menu) -> Step:
        """Replace the site's menu; how it went is told later. Raises Misconfigured for what Deliveroo cannot hold."""
        own = menu_id(store_ref)
        path = self._path("/menu/v1", "menus", own)
        name = f"{_MENU_STEP}/{quote(own, safe='')}"
        return self._write(name, "PUT", path, "push_menu", upload_body(store_ref, menu), store_ref, timeout=30.0)

    async def _shown(self, store_ref: str) -> frozenset[str]:
        """Ids of the items and options of the menu that this hub uploaded for the site."""
        path = self._path("/menu/v1", "menus", menu_id(store_ref))
        found: models.Shown = await self._read(path, "read_menu", models.Shown, about=store_ref)
        return frozenset(item.id for item in found.menu.items or [])

    async def read_back(self, store_ref: str) -> frozenset[str]:
        """Ids of the items and options that Deliveroo shows, as the hub knows them; raises NotFound before the first upload."""
        return frozenset(from_deliveroo_id(each) for each in await self._shown(store_ref))

    def job_results(self, notice: bytes) -> Sequence[JobResult]:
        """How an upload went, a result a site."""
        told: models.Notice = decode(notice, models.Notice)
        result = told.body.menu_upload_result
        if result is None:
            raise Drifted(f"{told.event} holds no upload result")
        failed = result.http_status != 200
        detail = errors.upload_errors(result.errors) or (f"Deliveroo answered {result.http_status}" if failed else "")
        sites = [str(site) for site in result.site_ids or []] or [""]
        return [JobResult(site, "failed" if failed else "done", result.menu_id, detail) for site in sites]

    async def availability_step(self, store_ref: str, levels: Sequence[StockLevel]) -> Step:
        """Put products and options on or off sale. What the site's menu does not have is left out: one such id spoils a call.

        Where nothing is left all of it is sent, and Deliveroo says no.
        """
        known = await self._menu_with(store_ref, levels)
        now = datetime.now(UTC)
        rows: dict[str, str] = {}
        for level in levels:
            ids = [each for each in (level.id, CHOICE + level.id) if each in known] if known is not None else [level.id]
            rows |= dict.fromkeys(ids, stores.off_status(level, now))
        rows = rows or {level.id: stores.off_status(level, now) for level in levels}
        body = {"item_unavailabilities": [{"item_id": item, "status": status} for item, status in rows.items()]}
        path = self._path("/menu/v2", "sites", store_ref, "menu", "item_unavailabilities")
        return self._write("availability", "POST", path, "availability", body, store_ref)

    async def _menu_with(self, store_ref: str, levels: Sequence[StockLevel]) -> frozenset[str] | None:
        """What the site's menu has, read anew where something is missing; None for a menu that is not from this hub."""
        try:
            known = await self._http.remember(f"deliveroo/menu/{store_ref}", MENU_KEPT, lambda: self._shown(store_ref))
            if not {level.id for level in levels} <= known:
                known = await self._shown(store_ref)
        except NotFound:
            return None
        return known
