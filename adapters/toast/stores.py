"""Restaurants of the partner app: what each is, how it is configured, what it sells, whether it takes orders. Read, and remembered."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

from adapters.toast import models
from adapters.toast.menu import CHANNEL, Document, hours_of, menu_from, open_items
from adapters.toast.terms import Terms
from hub.contract import Connected, Drifted, Http, Misconfigured, NotFound, Request, Response, VendorError, decode, pages
from hub.model import Hours, Menu, Store, StoreStatus

_LONG, _SHORT = 86_400.0, 900.0
_RESTAURANTS, _AT_ONCE = 200, 8
_PARTNERS = "/partners/v1/connectedRestaurants"
HEADER = "Toast-Restaurant-External-ID"


def call(
    method: str,
    path: str,
    operation: str,
    ref: str,
    body: object = None,
    query: Mapping[str, str] | None = None,
    timeout: float = 10.0,
) -> Request:
    """A call about one restaurant."""
    encoded = models.ENCODER.encode(body) if body is not None else b""
    headers = {HEADER: ref} | ({"Content-Type": "application/json"} if encoded else {})
    return Request(method, path, operation, body=encoded, query=dict(query or {}), headers=headers, timeout=timeout, about=ref)


class Restaurants:
    """What a connection knows of the app's restaurants."""

    def __init__(self, connection: Connected, http: Http) -> None:
        self._connection, self._http = connection, http
        v2 = connection.settings.get("menus_api") == "V2"
        self._menus, self._channel = ("v2", CHANNEL) if v2 else ("v3", "")
        self._group = str(connection.settings.get("management_group", ""))

    async def count(self) -> int:
        """How many restaurants let the app in."""
        response = await self._http.read(Request("GET", _PARTNERS, "list_restaurants", query={"pageSize": "1"}))
        page: models.AccessPage = decode(response.body, models.AccessPage)
        return page.total_count if page.total_count is not None else len(page.results or [])

    async def all(self) -> list[Store]:
        """The restaurants that let the app in, of the management group where the setting names one."""
        found: dict[str, models.Access] = {}

        async def ask(token: str) -> tuple[list[models.Access], str]:
            query = {"pageSize": str(_RESTAURANTS)} | ({"pageToken": token} if token else {})
            response = await self._http.read(Request("GET", _PARTNERS, "list_restaurants", query=query))
            page: models.AccessPage = decode(response.body, models.AccessPage)
            return page.results or [], page.next_page_token or ""

        async for page in pages(ask):
            for access in page:
                if not access.deleted and (not self._group or access.management_group_guid == self._group):
                    found[access.restaurant_guid] = access
        stores: list[Store] = []
        listed = list(found.values())
        for start in range(0, len(listed), _AT_ONCE):
            stores += await asyncio.gather(*(self._store(access) for access in listed[start : start + _AT_ONCE]))
        return stores

    async def _store(self, access: models.Access) -> Store:
        ref = access.restaurant_guid
        place = await self.place(ref)
        name = place.general.name or access.restaurant_name or ref
        location = place.general.location_name or access.location_name or ""
        full = f"{name} ({location})" if location and location not in name else name
        return Store(ref, full, place.general.currency_code or "", place.general.time_zone or "", place.location.country or "")

    async def place(self, ref: str) -> models.Restaurant:
        """A restaurant, at most a day old; raises Misconfigured when the app may not see it or its currency is not told."""

        async def ask() -> models.Restaurant:
            path = f"/restaurants/v1/restaurants/{quote(ref, safe='')}"
            response = await self._http.read(call("GET", path, "get_restaurant", ref))
            found: models.Restaurant = decode(response.body, models.Restaurant)
            if not found.general.currency_code:
                raise Drifted(f"restaurant {ref} has no currency")
            return found

        return await self._http.remember(f"place/{ref}", _LONG, ask)

    async def currency(self, ref: str) -> str:
        """The currency of a restaurant (ISO 4217)."""
        return (await self.place(ref)).general.currency_code or ""

    async def rows(self, ref: str, path: str, operation: str, kind: Any, query: Mapping[str, str] | None = None) -> AsyncIterator[Any]:
        """Every row of a list whose next page is named in a header."""

        async def ask(token: str) -> tuple[list[Any], str]:
            asked = {**(query or {})} | ({"pageToken": token} if token else {})
            response = await self._http.read(call("GET", path, operation, ref, query=asked))
            return decode(response.body, list[kind]) or [], response.headers.get("toast-next-page-token", "")

        async for page in pages(ask):
            for row in page:
                yield row

    async def configured(self, ref: str, kind: str) -> tuple[models.Configured, ...]:
        """Dining options, payment types and the like of a restaurant, at most a quarter of an hour old."""

        async def ask() -> tuple[models.Configured, ...]:
            return tuple([row async for row in self.rows(ref, f"/config/v2/{kind}", "list_config", models.Configured)])

        return await self._http.remember(f"config/{ref}/{kind}", _SHORT, ask)

    async def terms(self, ref: str) -> Terms:
        """What an order at a restaurant may refer to, and what the tenant chose."""
        chosen = {name: str(value) for name, value in self._connection.settings.items()}
        return Terms(
            place=await self.place(ref),
            dining_options=await self.configured(ref, "diningOptions"),
            payment_types=await self.configured(ref, "alternatePaymentTypes"),
            charges=await self.configured(ref, "serviceCharges"),
            discounts=await self.configured(ref, "discounts"),
            takeout=chosen.get("takeout_option", ""),
            delivery=chosen.get("delivery_option", ""),
            dine_in=chosen.get("dine_in_option", ""),
            platform_couriers=chosen.get("platform_couriers", "") or "TAKE_OUT",
            payment_type=chosen.get("payment_type", ""),
            cash_type=chosen.get("cash_payment_type", ""),
            charge=chosen.get("service_charge", ""),
            discount=chosen.get("discount", ""),
            open_item=chosen.get("open_item", ""),
        )

    async def menu(self, ref: str) -> Menu:
        """The menu: read only when Toast says that it was published anew."""
        stamp = await self._published(ref)
        return await self._http.remember(f"menu/{ref}/{stamp}", _LONG if stamp else 0.0, lambda: self._menu(ref))

    async def _menu(self, ref: str) -> Menu:
        currency, rates = await self.currency(ref), await self.configured(ref, "taxRates")
        return menu_from(await self._document(ref), currency, rates, self._channel)

    async def open_items(self, ref: str) -> Mapping[str, str]:
        """Items whose price an order names, by id."""
        return open_items(await self._document(ref), self._channel)

    async def _published(self, ref: str) -> str:
        response = await self._http.read(call("GET", f"/menus/{self._menus}/metadata", "menu_metadata", ref))
        metadata: Document = decode(response.body, Document)
        return metadata.last_updated or ""

    async def _document(self, ref: str) -> Document:
        response = await self._http.read(call("GET", f"/menus/{self._menus}/menus", "get_menus", ref, timeout=60.0))
        document: Document = decode(response.body, Document)
        return document

    async def availability(self, ref: str) -> models.Availability:
        """Whether the restaurant wants online orders now."""
        response = await self._http.read(call("GET", "/restaurant-availability/v1/availability", "get_availability", ref))
        found: models.Availability = decode(response.body, models.Availability)
        return found

    async def online_ordering(self, ref: str) -> StoreStatus:
        """Whether online orders are taken, how long take-out takes, and when it is to be had."""
        found, place = await self.availability(ref), await self.place(ref)
        minutes = (place.prep_times.takeout_prep_time if place.prep_times else None) or 0
        return StoreStatus(
            "open" if found.status == "ONLINE" else "paused" if found.status == "OFFLINE" else "unknown",
            reason="" if found.status == "ONLINE" else found.reason or "",
            prep_seconds=minutes * 60,
            hours=await self._hours(ref),
        )

    async def _hours(self, ref: str) -> tuple[Hours, ...]:
        response: Response
        try:
            response = await self._http.read(call("GET", "/ordermgmt-config/v1/published/orderingSchedule", "get_schedule", ref))
        except (Misconfigured, NotFound):
            return ()  # another scope, or nothing published: the status matters more
        schedule: models.OrderingSchedule = decode(response.body, models.OrderingSchedule)
        periods = schedule.service_periods or []
        takeout = [period for period in periods if period.dining_option_behavior == "TAKE_OUT"] or periods[:1]
        days = (day for period in takeout for day in period.day_periods or [])
        return tuple(dict.fromkeys(hour for day in days for hour in hours_of(day.day, day.time_ranges)))

    async def obstacle(self, ref: str) -> str:
        """Why the restaurant wants no orders now, "" when it does or when nobody knows."""
        try:
            found = await self._http.remember(f"availability/{ref}", 10.0, lambda: self.availability(ref))
        except VendorError:
            return ""  # an order posted while it is offline is taken all the same
        return (found.reason or "the restaurant is offline for online orders") if found.status == "OFFLINE" else ""
