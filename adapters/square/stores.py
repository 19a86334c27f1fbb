"""What a seller has: locations, catalog, counts and payments, read page by page."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import msgspec

from adapters.square import catalog, models
from hub.contract import Drifted, Http, Request, decode, pages
from hub.model import StockLevel

VERSION = "2025-08-20"
MENU_TYPES = "ITEM,ITEM_VARIATION,CATEGORY,MODIFIER_LIST,MODIFIER,TAX,DISCOUNT,IMAGE"
STOCK_TYPES = "ITEM,MODIFIER_LIST"
"""Variations come inside their items, options inside their lists."""
_HEADERS = {"Square-Version": VERSION, "Content-Type": "application/json"}
_ENCODER = msgspec.json.Encoder()
_COUNTS, _PAYMENTS = 1000, 100


def call(method: str, path: str, operation: str, body: object = None, query: Mapping[str, str] | None = None) -> Request:
    """A call of the version that this adapter speaks."""
    encoded = _ENCODER.encode(body) if body is not None else b""
    return Request(method, path, operation, body=encoded, query=dict(query or {}), headers=_HEADERS)


def time_text(at: datetime) -> str:
    """A time as Square writes it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Seller:
    """The reads of one seller."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def locations(self) -> list[models.Location]:
        """All locations."""
        response = await self._http.read(call("GET", "/v2/locations", "list_locations"))
        found: models.LocationList = decode(response.body, models.LocationList)
        return found.locations

    async def catalog(self, types: str) -> list[catalog.CatalogObject]:
        """The catalog's objects of these types."""

        async def ask(cursor: str) -> tuple[list[catalog.CatalogObject], str]:
            query = {"types": types} | ({"cursor": cursor} if cursor else {})
            response = await self._http.read(call("GET", "/v2/catalog/list", "list_catalog", query=query))
            page: catalog.CatalogPage = decode(response.body, catalog.CatalogPage)
            return page.objects, page.cursor or ""

        return [each async for page in pages(ask) for each in page]

    async def counts(self, location_ref: str) -> dict[str, Decimal]:
        """How many of each variation are in stock at a location, as far as they were ever counted there; it may be less than none."""

        async def ask(cursor: str) -> tuple[list[models.InventoryCount], str]:
            body = {"location_ids": [location_ref], "states": ["IN_STOCK"], "limit": _COUNTS} | ({"cursor": cursor} if cursor else {})
            response = await self._http.read(call("POST", "/v2/inventory/counts/batch-retrieve", "list_counts", body))
            page: models.CountPage = decode(response.body, models.CountPage)
            return page.counts, page.cursor or ""

        rows = [each async for page in pages(ask) for each in page]
        mine = [row for row in rows if row.location_id in (None, location_ref) and row.state in (None, "IN_STOCK")]
        return {row.catalog_object_id: _decimal(row.quantity) for row in mine if row.catalog_object_id and row.quantity is not None}

    async def levels(self, location_ref: str) -> list[StockLevel]:
        """What is counted or marked as sold out at a location: a mark counts as none left, whatever the count."""
        objects, counts = await self.catalog(STOCK_TYPES), await self.counts(location_ref)
        levels: list[StockLevel] = []
        for thing in objects:
            for each in thing.item_data.variations if thing.item_data else []:
                data = each.item_variation_data
                if data is None or each.is_deleted:
                    continue
                here = _here(data.location_overrides, location_ref)
                tracked = data.track_inventory if here is None or here.track_inventory is None else here.track_inventory
                level = _level(each.id, here, counts.get(each.id) if tracked else None)
                if level is not None:
                    levels.append(level)
            for each in thing.modifier_list_data.modifiers if thing.modifier_list_data else []:
                option = _here(each.modifier_data.location_overrides, location_ref) if each.modifier_data else None
                if option is not None and _marked(option) and not each.is_deleted:
                    levels.append(StockLevel(each.id, available=False, until=_until(option), kind="modifier"))
        return levels

    async def payments(self, location_ref: str, since: datetime, until: datetime) -> list[models.Payment]:
        """A location's payments that were made within a window, the newest first."""
        window = {"location_id": location_ref, "begin_time": time_text(since), "end_time": time_text(until), "limit": str(_PAYMENTS)}

        async def ask(cursor: str) -> tuple[list[models.Payment], str]:
            query = window | ({"cursor": cursor} if cursor else {})
            response = await self._http.read(call("GET", "/v2/payments", "list_payments", query=query))
            page: models.PaymentPage = decode(response.body, models.PaymentPage)
            return page.payments, page.cursor or ""

        return [each async for page in pages(ask) for each in page]

    async def payment(self, identifier: str) -> models.Payment:
        """One payment; raises NotFound."""
        response = await self._http.read(call("GET", f"/v2/payments/{identifier}", "get_payment"))
        answer: models.PaymentAnswer = decode(response.body, models.PaymentAnswer)
        return answer.payment


def _here(overrides: list[catalog.LocationOverride], location_ref: str) -> catalog.LocationOverride | None:
    return next((each for each in overrides if each.location_id == location_ref), None)


def _level(identifier: str, here: catalog.LocationOverride | None, count: Decimal | None) -> StockLevel | None:
    if here is not None and _marked(here):
        return StockLevel(identifier, available=False, quantity=0, until=_until(here))
    if count is None:
        return None
    return StockLevel(identifier, available=count > 0, quantity=max(0, int(count)))


def _marked(here: catalog.LocationOverride) -> bool:
    """Whether it is marked as sold out: a mark may have ended by itself."""
    until = _until(here)
    return here.sold_out and (until is None or until > datetime.now(UTC))


def _until(here: catalog.LocationOverride) -> datetime | None:
    """When a mark ends by itself."""
    text = here.sold_out_valid_until
    if not text:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise Drifted(f"sold_out_valid_until is no time: {text[:40]!r}") from error


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise Drifted(f"a count is no number: {text[:40]!r}") from error
