"""Deliveroo's wire format: orders, riders, menu results, sites. Unknown fields are ignored, unknown values kept.

Only what an order cannot do without is required. Money is `{fractional, currency_code}` in minor units.
"""

from typing import Any

import msgspec

from hub.contract import decode


class Amount(msgspec.Struct, frozen=True):
    """Money in minor units."""

    fractional: int
    currency_code: str


class Fee(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `fee_breakdown`, such as DEPOSIT_FEE."""

    type: str | None = None
    amount: Amount | None = None


class MealCard(msgspec.Struct, frozen=True, kw_only=True):
    """What a meal voucher paid."""

    provider: str | None = None
    amount: Amount | None = None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A line or, recursively, a chosen option, whose quantity is per one of its parent. `pos_item_id` is the menu's `plu`."""

    quantity: int
    name: str | None = None
    operational_name: str | None = None
    pos_item_id: str | None = None
    unit_price: Amount | None = None
    menu_unit_price: Amount | None = None
    total_price: Amount | None = None
    modifiers: "list[Item] | None" = None


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """When a status was entered (RFC 3339)."""

    at: str | None = None
    status: str | None = None


class Loyalty(msgspec.Struct, frozen=True):
    """The consumer's number in the partner's loyalty scheme."""

    loyalty_id: str | None = None


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """The consumer: a masked number and the code that connects."""

    first_name: str | None = None
    contact_number: str | None = None
    contact_access_code: str | None = None
    loyalty: Loyalty | None = None


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where the restaurant's own courier goes."""

    street: str | None = None
    number: str | None = None
    postal_code: str | None = None
    city: str | None = None
    address_line_1: str | None = None
    address_line_2: str | None = None
    latitude: float | str | None = None
    longitude: float | str | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """Present where the restaurant delivers."""

    delivery_fee: Amount | None = None
    address: Address | None = None
    estimated_delivery_at: str | None = None


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """An offer; its shape is not published."""

    id: str | int | None = None
    type: str | None = None


class Remake(msgspec.Struct, frozen=True):
    """The order that this one makes good for."""

    parent_order_id: str | None = None
    fault: str | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order; every call about one holds it whole."""

    id: str
    location_id: str | int
    status: str
    total_price: Amount
    items: list[Item]
    brand_id: str | None = None
    order_number: str | int | None = None
    display_id: str | int | None = None
    status_log: list[LogEntry] | None = None
    fulfillment_type: str | None = None
    order_notes: str | None = None
    cutlery_notes: str | None = None
    asap: bool | None = None
    prepare_for: str | None = None
    start_preparing_at: str | None = None
    confirm_at: str | None = None
    table_number: str | int | None = None
    subtotal: Amount | None = None
    partner_order_subtotal: Amount | None = None
    partner_order_total: Amount | None = None
    offer_discount: Amount | None = None
    cash_due: Amount | None = None
    bag_fee: Amount | None = None
    surcharge: Amount | None = None
    fee_breakdown: list[Fee] | None = None
    promotions: list[Promotion] | None = None
    remake_details: Remake | None = None
    is_tabletless: bool | None = None
    meal_cards: list[MealCard] | None = None
    customer: Customer | None = None
    delivery: Delivery | None = None


class Rider(msgspec.Struct, frozen=True, kw_only=True):
    """A rider: names and numbers are not read."""

    estimated_arrival_time: str | None = None
    at: str | None = None
    lat: float | str | None = None
    lon: float | str | None = None
    status_log: list[LogEntry] | None = None


class MenuResult(msgspec.Struct, frozen=True, kw_only=True):
    """How an upload went; `errors` is an object, a list or null."""

    http_status: int
    menu_id: str
    site_ids: list[str | int] | None = None
    errors: Any = None


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What a call is about: an order, riders of an order, or an upload."""

    order: Order | None = None
    order_id: str | None = None
    stacked_with: list[str] | None = None
    riders: list[Rider] | None = None
    menu_upload_result: MenuResult | None = None


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook."""

    event: str
    body: Body = Body()


class NoticeName(msgspec.Struct, frozen=True):
    """The name of a webhook alone."""

    event: str = ""


class OrderList(msgspec.Struct, frozen=True):
    """A page of a site's orders."""

    orders: list[Order] | None = None
    next: str | int | None = None


class Brand(msgspec.Struct, frozen=True, kw_only=True):
    """A brand and its market (GB, AE, ...)."""

    id: str
    name: str | None = None
    market: str | None = None


class Brands(msgspec.Struct, frozen=True):
    """The app's brands."""

    brands: list[Brand] | None = None


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A site, and which calls it makes: POS, ORDER_EVENTS, POS_AND_ORDER_EVENTS."""

    location_id: str | int
    name: str | None = None
    orders_api_webhook_type: str | None = None


class Sites(msgspec.Struct, frozen=True):
    """The sites of a brand."""

    sites: list[Site] | None = None


class ShownItem(msgspec.Struct, frozen=True):
    """An item or option of the menu."""

    id: str


class ShownMenu(msgspec.Struct, frozen=True):
    """The part of a menu that is read back."""

    items: list[ShownItem] | None = None


class Shown(msgspec.Struct, frozen=True):
    """An uploaded menu."""

    menu: ShownMenu


class UploadAnswer(msgspec.Struct, frozen=True):
    """The answer to an upload that changes nothing."""

    result: str | None = None


class SiteBrands(msgspec.Struct, frozen=True):
    """The brands that a site is of."""

    brand_id: list[str] | None = None


class SiteStatus(msgspec.Struct, frozen=True):
    """OPEN, CLOSED or READY_TO_OPEN."""

    status: str


class Mode(msgspec.Struct, frozen=True):
    """QUIET, MODERATE or BUSY."""

    mode: str


class Times(msgspec.Struct, frozen=True):
    """Minutes of preparation by workload."""

    quiet: int
    busy: int


class OpeningHours(msgspec.Struct, frozen=True):
    """Opening hours by day; a list of days in some descriptions."""

    opening_hours: Any = None


class Problem(msgspec.Struct, frozen=True):
    """An error answer: `error` is an object of the APIs, a word of OAuth."""

    error: Any = None
    message: str | None = None


def order_in(notice: bytes) -> Order | None:
    """The order that a call holds, or None; raises Drifted."""
    found: Notice = decode(notice, Notice)
    return found.body.order
