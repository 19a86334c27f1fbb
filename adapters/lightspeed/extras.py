"""Beside orders: counts, readiness and reports are read, the webhook endpoint is registered."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal
from urllib.parse import quote

import msgspec

from adapters.lightspeed import models
from adapters.lightspeed.menu import minor
from adapters.lightspeed.stores import JSON, Locations, get, status_of
from hub.contract import Connected, Done, Extra, Http, Misconfigured, NotFound, PlaceParams, Rejected, Repeat, Request, Step, decode
from hub.model import Money, StoreStatus
from hub.model.extras import BulkResult, InventoryItem, SalesFigure

MOST_DAYS = 31
SUBSCRIPTIONS = (
    models.Subscription(resource="order", name="DELIVERED"),
    models.Subscription(resource="payment", name="DELIVERED"),
    models.Subscription(resource="item", name="SALES_RESTRICTION_UPDATED"),
    models.Subscription(resource="order_api", name="ONLINE_ORDER_READINESS"),
)


class SalesParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days of a location (the last one included; one day when `last` is absent), and what sales are added up by."""

    ref: str
    first: date
    last: date | None = None
    group: Literal["staff", "device", "deviceId", "tag", "accountingGroup", "statisticGroup"] = "accountingGroup"


class DayParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A business day of a location."""

    ref: str
    day: date


class EndpointParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The password that K-Series is to send with its calls: the same as in this connection's credentials."""

    password: str

    def __repr__(self) -> str:
        return "EndpointParams(password=...)"


class PaymentMethod(msgspec.Struct, frozen=True):
    """A way to pay at the POS; `code` is what the setting payment_method takes."""

    code: str
    name: str


class Endpoint(msgspec.Struct, frozen=True):
    """A registered webhook endpoint and the address that it calls."""

    id: str
    url: str


class LightspeedExtras:
    """The calls of one connection."""

    def __init__(self, connection: Connected, http: Http, locations: Locations) -> None:
        self._connection, self._http, self._locations = connection, http, locations

    def all(self) -> Mapping[str, Extra]:
        """The calls by name."""
        return {
            "inventory": Extra(title="Counts of restricted items", params=PlaceParams, result=list[InventoryItem], read=self._inventory),
            "readiness": Extra(title="Whether online orders are taken", params=PlaceParams, result=StoreStatus, read=self._readiness),
            "sales": Extra(title="Sales by day and group", params=SalesParams, result=list[SalesFigure], read=self._sales),
            "daily_financials": Extra(title="Receipts of a day", params=DayParams, result=list[SalesFigure], read=self._daily),
            "payment_methods": Extra(title="Payment methods", params=PlaceParams, result=list[PaymentMethod], read=self._methods),
            "webhook": Extra(
                title="Register this connection's webhook endpoint",
                params=EndpointParams,
                result=Endpoint,
                step=self._register,
                done=lambda done: Endpoint(done.vendor_ref, str(done.data.get("url", ""))),
            ),
            "webhook_location": Extra(
                title="Send a location's item and readiness notifications to the endpoint",
                params=PlaceParams,
                result=BulkResult,
                step=self._add_location,
                done=lambda done: BulkResult(done.vendor_ref, "done"),
            ),
        }

    async def _inventory(self, params: PlaceParams) -> list[InventoryItem]:
        names = (await self._locations.menu(params.ref)).sellable()
        return [
            InventoryItem(
                each.id,
                names[each.id].name if each.id in names else each.id,
                "" if each.quantity is None else str(each.quantity),
                sku=each.id,
                location_ref=params.ref,
            )
            for each in await self._locations.restrictions(params.ref)
        ]

    async def _readiness(self, params: PlaceParams) -> StoreStatus:
        return status_of(await self._locations.readiness(params.ref))

    async def _sales(self, params: SalesParams) -> list[SalesFigure]:
        last = params.last or params.first
        if not 0 <= (last - params.first).days < MOST_DAYS:
            raise Rejected(f"from 1 to {MOST_DAYS} days at once")
        currency = (await self._locations.remembered(params.ref)).currency
        found: list[SalesFigure] = []
        for number in range((last - params.first).days + 1):
            day = params.first + timedelta(days=number)
            query = {"date": day.isoformat(), "groupBy": params.group}
            response = await self._http.read(get(_finance(params.ref, "aggregatedSales"), "aggregated_sales", params.ref, **query))
            sums: models.Sums = decode(response.body, models.Sums)
            found += [_figure(each, currency, day) for each in _grouped(sums)]
        return found

    async def _daily(self, params: DayParams) -> list[SalesFigure]:
        currency = (await self._locations.remembered(params.ref)).currency
        path = _finance(params.ref, "dailyFinancials")
        response = await self._http.read(get(path, "daily_financials", params.ref, date=params.day.isoformat()))
        told: models.Financials = decode(response.body, models.Financials)
        return [_receipt(sale, currency, params.day) for sale in told.sales or []]

    async def _methods(self, params: PlaceParams) -> list[PaymentMethod]:
        response = await self._http.read(get(_finance(params.ref, "paymentMethods"), "payment_methods", params.ref))
        told: models.Resource = decode(response.body, models.Resource)
        listed = (told.embedded.payment_method_list if told.embedded else None) or []
        return [PaymentMethod(each.code, each.name or each.code) for each in listed]

    async def _register(self, params: EndpointParams) -> Step:
        """PUT makes an endpoint, POST changes the one that is there."""
        details, url = self._connection.details, self._connection.webhook_url
        identifier = details.get("endpoint_id", "")
        if not url or not identifier or not params.password:
            raise Misconfigured("a webhook endpoint needs an id, an address and a password")
        try:
            await self._http.read(get(_endpoint(identifier), "get_webhook"))
            method = "POST"
        except NotFound:
            method = "PUT"
        body = models.NewEndpoint(
            endpoint_id=identifier,
            url=url,
            username=details.get("webhook_username") or "hub",
            password=params.password,
            subscribe_to=SUBSCRIPTIONS,
        )
        request = Request(method, "/o/wh/1/webhook", "save_webhook", body=models.ENCODER.encode(body), headers=JSON)
        return Step("webhook", request, Repeat.NATURAL)

    async def _add_location(self, params: PlaceParams) -> Step:
        endpoint = _endpoint(self._connection.details.get("endpoint_id", ""))
        path = f"{endpoint}/business-locations/{quote(params.ref, safe='')}"
        return Step("location", Request("PUT", path, "add_webhook_location", about=params.ref), Repeat.NATURAL)


def registered(response_body: bytes, connection: Connected) -> Done:
    """What registering left."""
    told = decode(response_body, dict) if response_body.strip() else {}
    identifier = str(told.get("endpointId") or connection.details.get("endpoint_id", ""))
    return Done(identifier, {"url": str(told.get("url") or connection.webhook_url)})


def located(response_body: bytes) -> Done:
    """What adding a location left."""
    told = decode(response_body, dict) if response_body.strip() else {}
    return Done(str(told.get("businessLocationId") or ""))


def _finance(ref: str, what: str) -> str:
    return f"/f/finance/{quote(ref, safe='')}/{what}"


def _endpoint(identifier: str) -> str:
    return f"/o/wh/1/webhook/{quote(identifier, safe='')}"


def _grouped(node: models.Sums) -> list[models.Sums]:
    """The nodes of the first grouping that stand for a value, wherever the vendor begins its nesting."""
    if node.group_by_value is not None:
        return [node]
    return [found for child in node.children or [] for found in _grouped(child)]


def _figure(node: models.Sums, currency: str, day: date) -> SalesFigure:
    value = node.group_by_value or ""
    count = int(node.number_of_sales) if node.number_of_sales is not None else None
    return SalesFigure(value, value, Money(minor(node.total_amount, currency), currency), count, day)


def _worth(line: models.SalesLine) -> Decimal:
    """What a line came to: with its tax, which tax-exclusive businesses are told beside it."""
    added = [each.tax_amount or Decimal(0) for each in line.tax_lines or [] if each.tax_included is False]
    if added:
        return (line.total_net_amount_without_tax or Decimal(0)) + sum(added, Decimal(0))
    return line.total_net_amount_with_tax or Decimal(0)


def _receipt(sale: models.Sale, currency: str, day: date) -> SalesFigure:
    key = sale.receipt_id or sale.account_fisc_id or ""
    whole = sum((_worth(line) for line in sale.sales_lines or []), Decimal(0))
    label = " ".join(filter(None, (sale.type, sale.account_profile_code, sale.account_fisc_id)))
    return SalesFigure(key, label, Money(minor(whole, currency), currency), len(sale.sales_lines or []), day)
