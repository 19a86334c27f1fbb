"""Toast's wire format, as far as the adapter speaks it. Amounts are decimals in major units; unknown fields are ignored."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec

from hub.model import exponent

ENCODER = msgspec.json.Encoder(decimal_format="number")
"""Writes amounts as JSON numbers with exactly their decimals."""
NAMING = "HUB:"
"""The naming authority before every external id of ours."""


def minor(value: Decimal | None, currency: str) -> int:
    """Minor units of an amount in major units; Toast's doubles may hold noise, so it is rounded half up. None is nothing."""
    return int((value or Decimal(0)).scaleb(exponent(currency)).quantize(Decimal(1), ROUND_HALF_UP))


class Sent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, rename="camel"):
    """A part of a request."""


class Told(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of an answer or of a webhook: anything may be absent or null."""


class Ref(msgspec.Struct, frozen=True, rename="camel"):
    """A thing of Toast's by its GUID."""

    guid: str | None = None
    entity_type: str | None = None


class Selection(Sent, frozen=True, omit_defaults=True, kw_only=True, tag_field="entityType", tag="MenuItemSelection"):
    """A line, a modifier of one, or a special request, which has a text and no item. A modifier's quantity is for one of its parent."""

    quantity: int
    external_id: str | None = None
    item: Ref | None = None
    item_group: Ref | None = None
    option_group: Ref | None = None
    selection_type: str | None = None
    display_name: str | None = None
    open_price_amount: Decimal | None = None
    modifiers: tuple["Selection", ...] = ()


class Guest(Sent, frozen=True, omit_defaults=True, kw_only=True, tag_field="entityType", tag="Customer"):
    """Who gets the food; Toast wants all of it for food that leaves the restaurant."""

    first_name: str
    last_name: str
    phone: str
    email: str
    phone_country_code: str | None = None


class ChargeApplied(Sent, frozen=True, omit_defaults=True, kw_only=True):
    """A service charge whose amount is named."""

    service_charge: Ref
    charge_amount: Decimal
    external_id: str


class DiscountApplied(Sent, frozen=True, omit_defaults=True, kw_only=True):
    """A discount whose amount is named; a check takes one."""

    discount: Ref
    discount_amount: Decimal
    external_id: str


class PaymentMade(Sent, frozen=True, kw_only=True):
    """What was paid elsewhere; the amount does not hold the tip."""

    other_payment: Ref
    amount: Decimal
    tip_amount: Decimal
    external_id: str
    type: str


class CheckSent(Sent, frozen=True, omit_defaults=True, kw_only=True, tag_field="entityType", tag="Check"):
    """The one check of an order."""

    selections: tuple[Selection, ...]
    external_id: str
    tab_name: str
    customer: Guest
    tax_exempt: bool = False
    applied_service_charges: tuple[ChargeApplied, ...] = ()
    applied_discounts: tuple[DiscountApplied, ...] = ()
    payments: tuple[PaymentMade, ...] = ()


class DeliverySent(Sent, frozen=True, omit_defaults=True, kw_only=True):
    """Where the restaurant's own driver goes; the state is two capital letters."""

    address1: str
    city: str
    state: str
    zip_code: str
    address2: str = ""
    country: str = ""
    latitude: Decimal | None = None
    longitude: Decimal | None = None
    notes: str = ""


class OrderSent(Sent, frozen=True, omit_defaults=True, kw_only=True, tag_field="entityType", tag="Order"):
    """An order to price or to make."""

    external_id: str
    dining_option: Ref
    checks: tuple[CheckSent, ...]
    delivery_info: DeliverySent | None = None
    promised_date: str | None = None
    required_prep_time: str | None = None


class SelectionTold(Told, frozen=True, kw_only=True):
    """A line as Toast shows it: prices without added tax."""

    price: Decimal | None = None
    pre_discount_price: Decimal | None = None
    tax: Decimal | None = None
    fulfillment_status: str | None = None
    selection_type: str | None = None
    voided: bool | None = None


class AmountTold(Told, frozen=True, kw_only=True):
    """A service charge, a discount or a payment as Toast shows it."""

    external_id: str | None = None
    charge_amount: Decimal | None = None
    discount_amount: Decimal | None = None
    type: str | None = None


class CheckTold(Told, frozen=True, kw_only=True):
    """A check as Toast shows it; `total_amount` holds taxes and no tip."""

    total_amount: Decimal | None = None
    payment_status: str | None = None
    selections: list[SelectionTold] | None = None
    applied_service_charges: list[AmountTold] | None = None
    applied_discounts: list[AmountTold] | None = None
    payments: list[AmountTold] | None = None
    voided: bool | None = None
    deleted: bool | None = None


class DeliveryTold(Told, frozen=True, kw_only=True):
    """Where a delivery is."""

    delivery_state: str | None = None


class Order(Told, frozen=True, kw_only=True):
    """An order as Toast shows it. Webhooks leave the external id out."""

    guid: str | None = None
    external_id: str | None = None
    approval_status: str | None = None
    modified_date: str | None = None
    voided: bool | None = None
    deleted: bool | None = None
    checks: list[CheckTold] | None = None
    delivery_info: DeliveryTold | None = None


class OrderAnswer(Order, frozen=True, kw_only=True):
    """The answer to an order: the order, as Toast's examples have it, or a list of it, as its schema has it."""

    orders: list[Order] | None = None

    @property
    def order(self) -> Order:
        """The order, whichever way it was answered."""
        return self.orders[0] if self.orders else self


class Problem(Told, frozen=True, kw_only=True):
    """Toast's error body."""

    message: str | None = None
    code: int | str | None = None
    field_name: str | None = None
    developer_message: str | None = None


class Access(Told, frozen=True, kw_only=True):
    """A restaurant that lets this client in."""

    restaurant_guid: str
    restaurant_name: str | None = None
    location_name: str | None = None
    management_group_guid: str | None = None
    deleted: bool | None = None


class AccessPage(Told, frozen=True, kw_only=True):
    """A page of restaurants."""

    results: list[Access] | None = None
    next_page_token: str | None = None
    total_count: int | None = None


class General(Told, frozen=True, kw_only=True):
    """What a restaurant is called, and its zone and currency."""

    name: str | None = None
    location_name: str | None = None
    time_zone: str | None = None
    currency_code: str | None = None
    archived: bool | None = None


class Location(Told, frozen=True, kw_only=True):
    """Where a restaurant is."""

    state_code: str | None = None
    country: str | None = None
    phone: str | None = None
    phone_country_code: str | None = None


class PrepTimes(Told, frozen=True, kw_only=True):
    """Minutes."""

    takeout_prep_time: int | None = None


class Restaurant(Told, frozen=True, kw_only=True):
    """A restaurant."""

    guid: str
    general: General = General()
    location: Location = Location()
    prep_times: PrepTimes | None = None


class Configured(Told, frozen=True, kw_only=True):
    """A dining option, payment type, service charge, discount or tax rate of one restaurant."""

    guid: str
    name: str | None = None
    behavior: str | None = None
    curbside: bool | None = None
    amount_type: str | None = None
    gratuity: bool | None = None
    taxable: bool | None = None
    type: str | None = None
    active: bool | None = None
    selection_type: str | None = None
    rate: Decimal | None = None


class Availability(Told, frozen=True, kw_only=True):
    """Whether online orders are wanted."""

    status: str | None = None
    reason: str | None = None


class TimeRange(Told, frozen=True, kw_only=True):
    """Local times, `HH:MM` or longer."""

    start: str | None = None
    end: str | None = None


class DayPeriod(Told, frozen=True, kw_only=True):
    """Times of a day."""

    day: str | None = None
    time_ranges: list[TimeRange] | None = None


class ServicePeriod(Told, frozen=True, kw_only=True):
    """Times of a way to get the food."""

    dining_option_behavior: str | None = None
    day_periods: list[DayPeriod] | None = None


class OrderingSchedule(Told, frozen=True, kw_only=True):
    """When online orders are taken."""

    service_periods: list[ServicePeriod] | None = None


class StockRow(Told, frozen=True, kw_only=True):
    """The stock of an item reference."""

    guid: str | None = None
    status: str | None = None
    quantity: Decimal | None = None
    item_guid_validity: str | None = None


class PrepStation(Told, frozen=True, kw_only=True):
    """A preparation station."""

    guid: str
    name: str | None = None
    connected_prep_stations: list[Any] | None = None
    printing_mode: str | None = None


class Fulfilled(Told, frozen=True, kw_only=True):
    """What the kitchen did with an item."""

    order_guid: str | None = None
    selection_guid: str | None = None
    selection_menu_item_name: str | None = None
    ticket_fired_at: str | None = None
    item_started_at: str | None = None
    item_fulfilled_at: str | None = None
    prep_station_guid: str | None = None
    prep_station_name: str | None = None


class Details(Told, frozen=True, kw_only=True):
    """What a webhook is about. The guest's status comes without the order."""

    restaurant_guid: str | None = None
    order: Order | None = None
    order_guid: str | None = None
    guest_order_status: str | None = None
    last_updated: str | None = None
    item_guid: str | None = None


class Envelope(Told, frozen=True, kw_only=True):
    """A webhook."""

    timestamp: str = ""
    event_category: str | None = None
    event_type: str | None = None
    guid: str | None = None
    details: Details = Details()
