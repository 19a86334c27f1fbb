"""A location as K-Series tells it: currency and zone, readiness, menu, restricted items. All of it read, none of it written."""

from collections.abc import Sequence
from functools import partial
from urllib.parse import quote

import msgspec

from adapters.lightspeed import models
from adapters.lightspeed.menu import Shelf, menu_from
from hub.contract import Connected, Http, Misconfigured, NotFound, Request, decode, pages
from hub.model import Menu, StockLevel, Store, StoreStatus

JSON = {"Content-Type": "application/json"}
SKUS = 50
"""How many SKUs one question for restrictions may name."""
_BUSINESSES = 100
_LONG, _SHORT = 3600.0, 60.0


def get(path: str, operation: str, about: str = "", **query: str) -> Request:
    """A GET about a location."""
    return Request("GET", path, operation, query=query, about=about)


class Locations:
    """Reads of one connection. `remembered` ones are as old as the vendor's settings may be."""

    def __init__(self, connection: Connected, http: Http) -> None:
        self._http = http
        settings = connection.settings
        self._menu_id = str(settings.get("menu_id", ""))
        self._profile = str(settings.get("delivery_profile", ""))
        self._hidden = frozenset(str(settings.get(name, "")) for name in ("open_item", "discount_item"))

    async def all(self) -> Sequence[Store]:
        """Every location that the token sees."""
        found: dict[str, Store] = {}

        async def ask(cursor: str) -> tuple[list[models.Business], str]:
            number = int(cursor or 0)
            query = {"page": str(number), "size": str(_BUSINESSES)}
            response = await self._http.read(Request("GET", "/f/data/businesses", "list_businesses", query=query))
            told: models.Resource = decode(response.body, models.Resource)
            listed = (told.embedded.business_list if told.embedded else None) or []
            return listed, str(number + 1) if len(listed) >= _BUSINESSES else ""

        async for page in pages(ask):
            for business in page:
                for each in business.business_locations or []:
                    ref = str(each.id)
                    found[ref] = Store(ref, each.name or ref, business.currency_code or "", each.timezone or "", each.country or "")
        return list(found.values())

    async def remembered(self, ref: str) -> Store:
        """One location; raises Misconfigured when the token does not see it, or when its currency is not told."""
        stores = await self._http.remember("locations", _LONG, self.all)
        store = next((each for each in stores if each.ref == ref), None)
        if store is None or not ref.isdecimal():
            raise Misconfigured(f"this account has no business location {ref}")
        if not store.currency:
            raise Misconfigured(f"the currency of business location {ref} is not told")
        return store

    async def document(self, ref: str) -> models.MenuDocument:
        """The menu that the setting menu_id names, else the location's only one; raises Misconfigured."""
        menu = self._menu_id or await self._http.remember(f"menu-id/{ref}", _LONG, lambda: self._only_menu(ref))
        query = {"businessLocationId": ref, "richContent": "true"} | ({"accountProfile": self._profile} if self._profile else {})
        try:
            response = await self._http.read(
                Request("GET", f"/o/op/2/menu/load/{quote(menu, safe='')}", "load_menu", query=query, about=ref, timeout=30.0)
            )
        except NotFound as error:
            raise Misconfigured(f"business location {ref} has no menu {menu}", detail=error.detail) from error
        document: models.MenuDocument = decode(response.body, models.MenuDocument)
        return document

    async def _only_menu(self, ref: str) -> str:
        response = await self._http.read(get("/o/op/1/menu/list", "list_menus", ref, businessLocationId=ref))
        menus: list[models.MenuName] = decode(response.body, list[models.MenuName])
        if len(menus) != 1:
            named = ", ".join(f"{each.menu_name} ({each.ikentoo_menu_id})" for each in menus) or "none"
            raise Misconfigured(f"business location {ref} has these menus: {named}; name one in the setting menu_id")
        return str(menus[0].ikentoo_menu_id)

    async def menu(self, ref: str) -> Menu:
        """The menu, read now."""
        currency = (await self.remembered(ref)).currency
        return menu_from(await self.document(ref), currency, self._hidden)

    async def shelf(self, ref: str) -> Shelf:
        """What is sold and how it is priced, at most a minute old."""
        currency = (await self.remembered(ref)).currency
        return Shelf(await self._http.remember(f"document/{ref}", _SHORT, lambda: self.document(ref)), currency)

    async def readiness(self, ref: str) -> models.Readiness:
        """Whether the location takes online orders now."""
        response = await self._http.read(get("/o/op/1/onlineOrderReadiness", "readiness", ref, businessLocationId=ref))
        found: models.Readiness = decode(response.body, models.Readiness)
        return found

    async def restrictions(self, ref: str) -> list[StockLevel]:
        """What is limited among all that the menu sells, with its count; what is not named is not limited."""
        menu = await self.menu(ref)
        options = {modifier.id for group in menu.groups for modifier in group.modifiers if ":" not in modifier.id}
        items = {item.id for item in menu.items}
        skus = sorted(items | options)
        found: list[StockLevel] = []
        for start in range(0, len(skus), SKUS):
            async for page in pages(partial(self._restricted, ref, skus[start : start + SKUS])):
                found += [
                    StockLevel(each.sku, each.count is None or each.count > 0, each.count, kind="item" if each.sku in items else "modifier")
                    for each in page
                ]
        return found

    async def _restricted(self, ref: str, skus: list[str], cursor: str) -> tuple[list[models.Restriction], str]:
        number = int(cursor or 0)
        query = {"businessLocationId": ref, "page": str(number), "size": str(SKUS)}
        body = msgspec.json.encode({"skus": skus})
        response = await self._http.read(
            Request("POST", "/o/op/1/itemAvailability", "item_availability", body=body, query=query, headers=JSON, about=ref)
        )
        page: models.RestrictionPage = decode(response.body, models.RestrictionPage)
        total = (page.metadata.total_pages if page.metadata else None) or 1
        return page.data or [], str(number + 1) if number + 1 < total else ""


def obstacle(readiness: models.Readiness) -> str:
    """What keeps a location from taking orders, "" when nothing does."""
    if readiness.status == "READY":
        return ""
    pos, configuration = readiness.pos_status or models.PosStatus(), readiness.online_ordering_api_configuration
    if configuration is not None and configuration.enabled is False:
        return "ordering by API is switched off"
    if pos.available_devices is False:
        return "no POS device is reachable"
    if pos.sales_period == "CLOSED":
        return "the sales period is closed"
    return "the POS is not accepting online orders" if pos.accepting_online_orders is False else f"the POS says {readiness.status}"


def status_of(readiness: models.Readiness) -> StoreStatus:
    """Readiness as a store's status."""
    why = obstacle(readiness)
    if not why:
        return StoreStatus("open")
    closed = readiness.pos_status is not None and readiness.pos_status.sales_period == "CLOSED"
    return StoreStatus("closed" if closed else "paused", reason=why)
