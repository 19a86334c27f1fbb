"""Delivery Hero's wire format, as far as the adapter reads it. Unknown fields are ignored, unknown values kept, anything may be null.

Amounts, quantities and coordinates come as text or as numbers: they are `Any` here, numbers with a fraction as Decimal.
"""

from decimal import Decimal
from typing import Any

import msgspec

from hub.contract import Drifted

Text = str | int | None


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What comes over the wire."""


class Sponsorship(Wire, frozen=True):
    """Who pays which part of a discount."""

    sponsor: str | None = None
    amount: Any = None


class Discount(Wire, frozen=True):
    """An amount off; those of products and toppings are part of the order's discount of the same name."""

    name: str | None = None
    amount: Any = None
    type: str | None = None
    sponsorships: list[Sponsorship] | None = None


class Topping(Wire, frozen=True):
    """A chosen option, for one of its parent."""

    id: Text = None
    remote_code: Text = None
    name: str | None = None
    price: Any = None
    quantity: Any = None
    children: "list[Topping] | None" = None
    discounts: list[Discount] | None = None


class Variation(Wire, frozen=True):
    """Which size of a product."""

    name: str | None = None


class Product(Wire, frozen=True):
    """A line: `unit_price` is without toppings, `paid_price` for all of it."""

    id: Text = None
    remote_code: Text = None
    name: str | None = None
    quantity: Any = None
    unit_price: Any = None
    paid_price: Any = None
    comment: str | None = None
    variation: Variation | None = None
    selected_toppings: list[Topping] | None = None
    discounts: list[Discount] | None = None


class Comments(Wire, frozen=True):
    """What the consumer and the platform wrote."""

    customer_comment: str | None = None
    vendor_comment: str | None = None


class Customer(Wire, frozen=True):
    """The consumer."""

    id: Text = None
    first_name: str | None = None
    last_name: str | None = None
    mobile_phone: Text = None
    mobile_phone_country_code: Text = None
    email: str | None = None


class Address(Wire, frozen=True):
    """Where the restaurant's own courier goes."""

    street: Text = None
    number: Text = None
    building: Text = None
    entrance: Text = None
    floor: Text = None
    flat_number: Text = None
    company: Text = None
    delivery_area: Text = None
    city: Text = None
    postcode: Text = None
    delivery_instructions: str | None = None
    latitude: Any = None
    longitude: Any = None


class Delivery(Wire, frozen=True):
    """A delivery: with a pick-up time it is the platform's riders', without one the restaurant's."""

    address: Address | None = None
    expected_delivery_time: str | None = None
    rider_pickup_time: str | None = None


class Pickup(Wire, frozen=True):
    """The consumer comes."""

    pickup_time: str | None = None
    pickup_code: Text = None


class LocalInfo(Wire, frozen=True):
    """Country and brand."""

    country_code: str | None = None
    currency_symbol: str | None = None
    platform: str | None = None
    platform_key: str | None = None


class Payment(Wire, frozen=True):
    """Paid, or pending: then somebody collects."""

    status: str | None = None
    type: str | None = None
    required_money_change: Any = None


class Fee(Wire, frozen=True):
    """A named fee."""

    name: str | None = None
    value: Any = None


class Price(Wire, frozen=True):
    """What the order costs."""

    grand_total: Any = None
    vat_total: Any = None
    delivery_fee: Any = None
    delivery_fees: list[Fee] | None = None
    container_charge: Any = None
    service_fee_total: Any = None
    discount_amount_total: Any = None
    pay_restaurant: Any = None
    collect_from_customer: Any = None
    rider_tip: Any = None


class Restaurant(Wire, frozen=True):
    """The platform's own id of the store."""

    id: Text = None


class Adjustments(Wire, frozen=True):
    """Between when and when a rider may be told to come; the spelling differs between documents."""

    first: str | None = msgspec.field(default=None, name="minPickUpTimestamp")
    first_too: str | None = msgspec.field(default=None, name="minPickupTimestamp")
    last: str | None = msgspec.field(default=None, name="maxPickUpTimestamp")
    last_too: str | None = msgspec.field(default=None, name="maxPickupTimestamp")


class CallbackUrls(Wire, frozen=True):
    """Where to answer; an absent one means that this answer is not wanted."""

    order_accepted_url: str | None = None
    order_rejected_url: str | None = None
    order_picked_up_url: str | None = None
    order_prepared_url: str | None = None
    order_product_modification_url: str | None = None
    order_preparation_time_adjustment_url: str | None = None


class Order(Wire, frozen=True):
    """An order as it is dispatched and reported; `status` and `reason` come with reports only."""

    token: str | None = None
    code: Text = None
    short_code: Text = None
    status: str | None = None
    reason: Any = None
    comments: Comments | None = None
    created_at: str | None = None
    expiry_date: str | None = None
    customer: Customer | None = None
    delivery: Delivery | None = None
    pickup: Pickup | None = None
    discounts: list[Discount] | None = None
    expedition_type: str | None = None
    local_info: LocalInfo | None = None
    payment: Payment | None = None
    test: bool | None = None
    pre_order: bool | None = None
    platform_restaurant: Restaurant | None = None
    price: Price | None = None
    products: list[Product] | None = None
    corporate_tax_id: Text = None
    callback_urls: CallbackUrls | None = None
    adjustments: Adjustments | None = msgspec.field(default=None, name="PreparationTimeAdjustments")
    adjustments_too: Adjustments | None = msgspec.field(default=None, name="preparationTimeAdjustments")
    adjustments_as_well: Adjustments | None = msgspec.field(default=None, name="preparationTimeAdjustmentInformation")


class OrderReport(Wire, frozen=True):
    """The answer to a question for one order."""

    order: Order


class OrderIds(Wire, frozen=True):
    """The answer to a question for orders."""

    order_identifiers: list[str] | None = None


class StatusNotice(Wire, frozen=True):
    """A call about an order's status; it names the order in its address only, unless the updated order is in it."""

    status: str | None = None
    message: str | None = None
    occurred_at: str | None = None
    updated_order: Order | None = None
    token: str | None = None


class Platform(Wire, frozen=True):
    """How one platform shows a store, and what may be set there."""

    availability_state: str
    changeable: bool = False
    availability_states: list[str] | None = None
    closed_reason: str | None = None
    closed_until: str | None = None
    closing_minutes: list[int] | None = None
    closing_reasons: list[str] | None = None
    platform_key: str | None = None
    platform_restaurant_id: Text = None
    platform_type: str | None = None


class ImportAnswer(Wire, frozen=True):
    """A catalog was taken in."""

    catalog_import_id: str


class ImportDetail(Wire, frozen=True):
    """How an import goes for one store on one platform."""

    status: str | None = None
    pos_vendor_id: Text = None


class ImportNotice(Wire, frozen=True):
    """A call about an import."""

    catalog_import_id: str
    status: str | None = None
    message: str | None = None
    details: list[ImportDetail] | None = None


class ImportLog(Wire, frozen=True):
    """A row of the import log."""

    created_at: str | None = None
    menu_import_id: Text = None
    message: str | None = None
    status: str | None = None


class ItemsDetail(Wire, frozen=True):
    """How an availability update went on one platform."""

    platform_vendor_id: Text = None
    global_entity_id: str | None = None
    status: str | None = None


class ItemsAnswer(Wire, frozen=True):
    """A partial or failed availability update; the products that failed are not named."""

    status: str | None = None
    details: list[ItemsDetail] | None = None


class Problem(Wire, frozen=True):
    """An error body: each endpoint has its own."""

    code: Any = None
    error_code: str | None = None
    message: str | None = None
    current_state: str | None = None
    status: str | None = None
    details: list[ItemsDetail] | None = None


_NOTICE = msgspec.json.Decoder(StatusNotice, float_hook=Decimal)
_ORDER = msgspec.json.Decoder(Order, float_hook=Decimal)
_REPORT = msgspec.json.Decoder(OrderReport, float_hook=Decimal)


def order_in(notice: bytes) -> Order | None:
    """The order that a call carries: a dispatch is one, a status may have the updated one; raises Drifted."""
    try:
        about = _NOTICE.decode(notice)
        return _ORDER.decode(notice) if about.token else about.updated_order
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Drifted(f"the order does not fit: {error}") from error


def reported(body: bytes) -> Order:
    """The order of a report; raises Drifted."""
    try:
        return _REPORT.decode(body).order
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Drifted(f"the report does not fit: {error}") from error
