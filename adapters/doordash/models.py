"""DoorDash's wire format: orders, notices, menus read back, stores, reports. Unknown fields are ignored, unknown values kept.

Only an order's id and store are required. What no public description fixes is `Raw` and read apart, so that a shape nobody foresaw
costs a note and not the order. Amounts are integers in the currency's minor unit; a few documents write them as numbers.
"""

from decimal import Decimal

import msgspec

ABSENT = msgspec.Raw(b"null")
Text = str | int | None
"""An id: mostly a text, in some samples a number."""
Cents = Decimal | None
"""A whole number, however it is written."""


class StoreRef(msgspec.Struct, frozen=True, kw_only=True):
    """A store by the merchant's id."""

    merchant_supplied_id: Text = None
    provider_type: str | None = None
    timezone: str | None = None


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """Who ordered; the number is DoorDash's or masked."""

    id: Text = None
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """A promotion that was applied, to the order or to one item."""

    discount_amount: Cents = None
    promo_id: Text = None
    promo_code: str | None = None
    external_campaign_id: Text = None


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """A chosen option; `chargeable_quantity` is less than `quantity` where some come free. Nested ones are `extras` or `extra`."""

    name: str | None = None
    merchant_supplied_id: Text = None
    price: Cents = None
    quantity: int | None = None
    chargeable_quantity: int | None = None
    line_option_id: str | None = None
    extras: "list[Extra] | None" = None
    extra: "list[Extra] | None" = None
    removed_options: msgspec.Raw = ABSENT


class Extra(msgspec.Struct, frozen=True, kw_only=True):
    """A group that something was chosen from."""

    name: str | None = None
    merchant_supplied_id: Text = None
    options: list[Option] | None = None
    removed_options: msgspec.Raw = ABSENT


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A line; `price` is for one of it without its options."""

    name: str | None = None
    merchant_supplied_id: Text = None
    price: Cents = None
    quantity: int | None = None
    line_item_id: str | None = None
    special_instructions: str | None = None
    consumer_name: str | None = None
    extras: list[Extra] | None = None
    extra: list[Extra] | None = None
    removed_options: msgspec.Raw = ABSENT
    applied_item_discount: msgspec.Raw = ABSENT


class Category(msgspec.Struct, frozen=True, kw_only=True):
    """A heading of the menu and what was ordered below it."""

    name: str | None = None
    items: list[Item] | None = None


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where the restaurant's own courier goes."""

    street: str | None = None
    subpremise: str | None = None
    city: str | None = None
    state: str | None = None
    zip_code: Text = None
    country_code: str | None = None
    lat: Decimal | None = None
    lng: Decimal | None = None
    address_instructions: str | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order. It has no total, no currency as a rule, and no time at which it was placed."""

    id: str | int
    store: StoreRef
    consumer: Consumer | None = None
    categories: list[Category] | None = None
    subtotal: Cents = None
    tax: Cents = None
    currency_code: str | None = None
    estimated_pickup_time: str | None = None
    is_pickup: bool | None = None
    fulfillment_type: str | None = None
    experience: str | None = None
    delivery_short_code: str | None = None
    merchant_tip_amount: Cents = None
    tip_amount: Cents = None
    is_tax_remitted_by_doordash: bool | None = None
    tax_amount_remitted_by_doordash: Cents = None
    is_plastic_ware_option_selected: bool | None = None
    order_special_instructions: str | None = None
    delivery_address: Address | None = None
    delivery_fee: Cents = None
    taxes_on_fees: Cents = None
    extra_cart_order_fee: Cents = None
    subtotal_discount_funding_source: str | None = None
    applied_discounts: msgspec.Raw = ABSENT


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What a call is about, where it says so: several calls have none, and spellings differ."""

    type: str | None = None
    status: str | None = None
    reference: Text = None
    details: msgspec.Raw = ABSENT


class Dasher(msgspec.Struct, frozen=True, kw_only=True):
    """Where the courier is; name, number and vehicle are not read."""

    latitude: Decimal | None = None
    longitude: Decimal | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """How far a Dasher is with an order."""

    external_order_id: Text = None
    location_id: Text = None
    dasher_status: str | None = None


class MenuRef(msgspec.Struct, frozen=True, kw_only=True):
    """A menu by DoorDash's id."""

    id: str | None = None


class OrderRef(msgspec.Struct, frozen=True, kw_only=True):
    """As much of an order as a fact needs."""

    id: Text = None
    store: StoreRef | None = None


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Any call of DoorDash's, as far as it is needed to tell what it is."""

    event: Event | None = None
    order: OrderRef | None = None
    store: StoreRef | None = None
    external_order_id: Text = None
    delivery: Delivery | None = None
    dasher: Dasher | None = None
    distance_from_store: msgspec.Raw = ABSENT
    menu: MenuRef | None = None
    reason_id: Text = None
    created_at: str | None = None


class OrderNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A call that holds a whole order."""

    order: Order | None = None


class JobAnswer(msgspec.Struct, frozen=True):
    """A menu that DoorDash works on."""

    reference: str
    status: str | None = None


class ShownOption(msgspec.Struct, frozen=True, kw_only=True):
    """An item of the menu that is read back."""

    merchant_supplied_id: Text = None
    active: bool | None = None


class ShownCategory(msgspec.Struct, frozen=True, kw_only=True):
    """A category that is read back."""

    active: bool | None = None
    items: list[ShownOption] | None = None


class ShownMenu(msgspec.Struct, frozen=True, kw_only=True):
    """A menu's own part."""

    categories: list[ShownCategory] | None = None


class StoreMenu(msgspec.Struct, frozen=True, kw_only=True):
    """The menu that a store shows."""

    menu: ShownMenu | None = None


class ItemResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one entry of an item status call."""

    merchant_supplied_id: str
    response: str


class Deactivation(msgspec.Struct, frozen=True, kw_only=True):
    """Why a store is offline; no end means until somebody reopens it."""

    reason: str | None = None
    notes: str | None = None
    end_time: str | None = None


class StoreDetails(msgspec.Struct, frozen=True, kw_only=True):
    """A store: online when nothing deactivates it."""

    is_active: bool | None = None
    current_deactivations: list[Deactivation] | None = None


class ReportMade(msgspec.Struct, frozen=True):
    """A report that was ordered."""

    report_id: str


class ReportLink(msgspec.Struct, frozen=True, kw_only=True):
    """Where a report lies, once it does."""

    report_id: str | None = None
    report_link: str | None = None
    report_status: str | None = None


def text(value: str | int | None) -> str:
    """An id as a text."""
    return "" if value is None else str(value)
