"""Uber Eats' wire format: the order suite's order, lists, stores, webhooks. Unknown fields are ignored, unknown values kept."""

from typing import Any

import msgspec


class Amount(msgspec.Struct, frozen=True):
    """Money times 100,000."""

    amount_e5: int
    currency_code: str


class Price(msgspec.Struct, frozen=True):
    """Gross is what the consumer pays for it, net is before tax."""

    gross: Amount
    net: Amount | None = None
    tax: Amount | None = None


class Quantity(msgspec.Struct, frozen=True):
    """How many; `unit` is PIECE or a weight."""

    amount: int = 1
    unit: str = "PIECE"


class SelectedItem(msgspec.Struct, frozen=True, kw_only=True):
    """A chosen option, itself an item with options."""

    id: str
    cart_item_id: str
    title: str = ""
    external_data: str | None = None
    quantity: Quantity = Quantity()
    selected_modifier_groups: "list[ModifierGroup] | None" = None


class ModifierGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A group that something was chosen from; `removed_items` are defaults taken off."""

    id: str
    title: str = ""
    external_data: str | None = None
    selected_items: list[SelectedItem] | None = None
    removed_items: list[SelectedItem] | None = None


class CustomerRequest(msgspec.Struct, frozen=True):
    """What the consumer wrote to an item."""

    special_instructions: str | None = None


class CartItem(msgspec.Struct, frozen=True, kw_only=True):
    """A line; its price is in the price breakdown."""

    id: str
    cart_item_id: str
    title: str = ""
    external_data: str | None = None
    quantity: Quantity = Quantity()
    customer_request: CustomerRequest | None = None
    selected_modifier_groups: list[ModifierGroup] | None = None


class Cart(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer's part of the order."""

    id: str = ""
    special_instructions: str | None = None
    include_single_use_items: bool | None = None
    items: list[CartItem] = []


class BreakdownRow(msgspec.Struct, frozen=True, kw_only=True):
    """The price of a cart item or option: `total` is for its quantity in the whole line."""

    cart_item_id: str
    total: Price
    unit: Price | None = None
    price_type: str = "ITEM"
    quantity: Quantity | None = None


class ItemCharges(msgspec.Struct, frozen=True, kw_only=True):
    """What the items cost."""

    price_breakdown: list[BreakdownRow] = []
    total: Price | None = None


class Fee(msgspec.Struct, frozen=True, kw_only=True):
    """A fee beside the items; inferred shape."""

    id: str
    amount: Price


class Fees(msgspec.Struct, frozen=True, kw_only=True):
    """All fees."""

    details: list[Fee] = []
    total: Price | None = None


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """A promotion and who pays for it; inferred shape."""

    discount_value: int
    external_promotion_id: str = ""
    type: str = ""
    funded_by: str = "MERCHANT"


class Promotions(msgspec.Struct, frozen=True, kw_only=True):
    """All promotions; `total` is negative or positive depending on the document, so only its size is used."""

    total: Price | None = None
    details: list[Promotion] = []


class Tips(msgspec.Struct, frozen=True, kw_only=True):
    """Tips; inferred shape."""

    total: Price | None = None


class PaymentDetail(msgspec.Struct, frozen=True, kw_only=True):
    """The order's money."""

    order_total: Price
    item_charges: ItemCharges
    promotions: Promotions | None = None
    fees: Fees | None = None
    tips: Tips | None = None
    cash_amount_due: Price | None = None


class Remitted(msgspec.Struct, frozen=True):
    """A tax that somebody pays to the state."""

    gross: Amount


class TaxRemittance(msgspec.Struct, frozen=True):
    """Who remits which tax."""

    merchant: Remitted | None = None
    uber: Remitted | None = None


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """Payment, present when the order was read with expand=payment."""

    payment_detail: PaymentDetail
    tax_remittance: TaxRemittance | None = None
    taxRemittance: TaxRemittance | None = None  # noqa: N815 - both spellings are seen


class Phone(msgspec.Struct, frozen=True):
    """A masked number and the code that connects."""

    number: str = ""
    pin_code: str | None = None
    country_iso2: str = ""


class Contact(msgspec.Struct, frozen=True):
    """How to reach the consumer."""

    phone: Phone | None = None


class Name(msgspec.Struct, frozen=True):
    """The consumer's name, the last name shortened."""

    display_name: str = ""
    first_name: str = ""
    last_name: str = ""


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer."""

    id: str = ""
    is_primary_customer: bool = True
    name: Name = Name()
    contact: Contact | None = None


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a merchant's courier goes."""

    street_address_line_one: str = ""
    street_address_line_two: str = ""
    city: str = ""
    postal_code: str = ""
    country: str = ""
    latitude: float | str | None = None
    longitude: float | str | None = None
    instructions: str = ""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery of the order."""

    id: str = ""
    current_state: str = ""
    status: str = ""
    location: Place | None = None


class StoreOfOrder(msgspec.Struct, frozen=True):
    """The store."""

    id: str
    name: str = ""
    timezone: str = "UTC"


class PreparationTime(msgspec.Struct, frozen=True):
    """When the food should be ready (RFC 3339)."""

    ready_for_pickup_time: str | None = None


class TimeRange(msgspec.Struct, frozen=True):
    """A window (RFC 3339)."""

    start_time: str | None = None
    end_time: str | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order of the suite."""

    id: str
    state: str
    store: StoreOfOrder
    created_time: str
    payment: Payment
    status: str = ""
    display_id: str = ""
    external_id: str | None = None
    preparation_status: str = ""
    fulfillment_type: str = "DELIVERY_BY_UBER"
    store_instructions: str | None = None
    preparation_time: PreparationTime | None = None
    scheduled_order_target_delivery_time_range: TimeRange | None = None
    customers: list[Customer] = []
    deliveries: list[Delivery] | None = None
    carts: list[Cart] = []


class OrderAnswer(msgspec.Struct, frozen=True):
    """The answer to a read of one order."""

    order: Order


class ListedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order in a store's list."""

    id: str
    state: str
    status: str = ""
    preparation_status: str = ""
    created_time: str | None = None


class Pagination(msgspec.Struct, frozen=True):
    """Where the next page begins."""

    next_page_token: str | None = None


class OrderList(msgspec.Struct, frozen=True):
    """A page of orders."""

    data: list[ListedOrder] = []
    pagination_data: Pagination = Pagination()


class ListedStore(msgspec.Struct, frozen=True, kw_only=True):
    """A store in the list."""

    id: str = ""
    store_id: str = ""
    name: str = ""
    timezone: str = ""
    status: str = ""
    currency_code: str = ""


class StoreList(msgspec.Struct, frozen=True):
    """A page of stores."""

    data: list[ListedStore] = []
    pagination_data: Pagination = Pagination()


class Meta(msgspec.Struct, frozen=True):
    """What a webhook is about: `resource_id` is the order, `user_id` the store."""

    resource_id: str = ""
    user_id: str = ""
    status: str = ""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook."""

    event_type: str
    event_id: str
    meta: Meta = Meta()
    resource_href: str = ""
    store_id: str = ""


class ShownItem(msgspec.Struct, frozen=True):
    """An item of the menu that Uber shows."""

    id: str


class ShownMenu(msgspec.Struct, frozen=True):
    """The part of a menu that is read back."""

    items: list[ShownItem] = []


class ErrorBody(msgspec.Struct, frozen=True):
    """An error answer; OAuth uses `error`."""

    code: str = ""
    message: str = ""
    error: str = ""
    metadata: Any = None
