"""Uber Eats' wire format: the order suite's order, lists, stores, webhooks. Unknown fields are ignored, unknown values kept.

Only what an order cannot do without is required. Parts that no public description fixes are `Raw`: they are read apart, so that a
shape of theirs nobody foresaw costs a note and not the order.
"""

from typing import Any

import msgspec

ABSENT = msgspec.Raw(b"null")


class Amount(msgspec.Struct, frozen=True):
    """Money times 100,000."""

    amount_e5: int
    currency_code: str


class Price(msgspec.Struct, frozen=True):
    """Gross is with tax, net without; `is_tax_inclusive` says that the shown price is the gross one."""

    gross: Amount
    net: Amount | None = None
    tax: Amount | None = None
    is_tax_inclusive: bool | None = None


class Quantity(msgspec.Struct, frozen=True):
    """How many; `unit` is PIECE or a weight."""

    amount: int = 1
    unit: str | None = "PIECE"


class SelectedItem(msgspec.Struct, frozen=True, kw_only=True):
    """A chosen option, itself an item with options."""

    id: str
    cart_item_id: str
    title: str | None = None
    external_data: str | None = None
    quantity: Quantity | None = None
    selected_modifier_groups: "list[ModifierGroup] | None" = None


class RemovedItem(msgspec.Struct, frozen=True, kw_only=True):
    """A default that was taken off; it has no price."""

    id: str
    title: str | None = None
    external_data: str | None = None


class ModifierGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A group that something was chosen from; lists may be null."""

    id: str
    title: str | None = None
    external_data: str | None = None
    selected_items: list[SelectedItem] | None = None
    removed_items: list[RemovedItem] | None = None


class Allergy(msgspec.Struct, frozen=True):
    """What the consumer cannot have."""

    allergens: list[str] | None = None
    instructions: str | None = None


class CustomerRequest(msgspec.Struct, frozen=True):
    """What the consumer wrote to an item."""

    special_instructions: str | None = None
    allergy: Allergy | None = None


class CartItem(msgspec.Struct, frozen=True, kw_only=True):
    """A line; its price is in the price breakdown."""

    id: str
    cart_item_id: str
    title: str | None = None
    external_data: str | None = None
    quantity: Quantity | None = None
    customer_request: CustomerRequest | None = None
    customer_requests: CustomerRequest | None = None  # both spellings are seen
    selected_modifier_groups: list[ModifierGroup] | None = None


class Cart(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer's part of the order."""

    id: str | None = None
    special_instructions: str | None = None
    include_single_use_items: bool | None = None
    items: list[CartItem] | None = None


class BreakdownRow(msgspec.Struct, frozen=True, kw_only=True):
    """The price of a cart item or option: `total` and `quantity` are for all of them in the whole line."""

    cart_item_id: str
    total: Price
    unit: Price | None = None
    price_type: str | None = None
    quantity: Quantity | None = None


class ItemCharges(msgspec.Struct, frozen=True, kw_only=True):
    """What the items cost, before promotions."""

    price_breakdown: list[BreakdownRow] = []
    total: Price | None = None


class Fee(msgspec.Struct, frozen=True, kw_only=True):
    """A fee beside the items."""

    amount: Price
    id: str | None = None


class Fees(msgspec.Struct, frozen=True, kw_only=True):
    """All fees."""

    details: list[Fee] | None = None
    total: Price | None = None


class FundingSplit(msgspec.Struct, frozen=True):
    """Who paid which part of a promotion."""

    funding_source: str
    amount_paid: Price


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """A promotion: `discount_value` is times 100,000, a number or its digits; who pays is told by either of two fields or by none."""

    discount_value: Any = None
    external_promotion_id: str | None = None
    type: str | None = None
    funded_by: str | None = None
    promo_funding_splits: list[FundingSplit] | None = None


class Promotions(msgspec.Struct, frozen=True, kw_only=True):
    """All promotions; `total` is negative or positive depending on the document, so only its size is used."""

    total: Price | None = None
    details: msgspec.Raw = ABSENT


class Tips(msgspec.Struct, frozen=True, kw_only=True):
    """Tips."""

    total: Price | None = None


class PaymentDetail(msgspec.Struct, frozen=True, kw_only=True):
    """The order's money."""

    order_total: Price
    item_charges: ItemCharges
    promotions: msgspec.Raw = ABSENT
    fees: msgspec.Raw = ABSENT
    tips: msgspec.Raw = ABSENT
    cash_amount_due: Price | None = None


class Remitted(msgspec.Struct, frozen=True):
    """A tax that somebody pays to the state."""

    gross: Amount


class TaxRemittance(msgspec.Struct, frozen=True):
    """Who remits which tax."""

    merchant: Remitted | None = None
    uber: Remitted | None = None


class RemittanceRow(msgspec.Struct, frozen=True):
    """An entity (UBER, MERCHANT) and what it remits."""

    entity: str
    amount: Amount


class TaxReporting(msgspec.Struct, frozen=True):
    """The part of the tax report that says who remits."""

    remittance_info: list[RemittanceRow] | None = None


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """Payment, present when the order was read with expand=payment."""

    payment_detail: PaymentDetail
    tax_remittance: msgspec.Raw = ABSENT
    taxRemittance: msgspec.Raw = ABSENT  # noqa: N815 - both spellings are seen
    tax_reporting: msgspec.Raw = ABSENT
    taxReporting: msgspec.Raw = ABSENT  # noqa: N815 - both spellings are seen


class Phone(msgspec.Struct, frozen=True):
    """A masked number and the code that connects."""

    number: str | None = None
    pin_code: str | None = None


class Contact(msgspec.Struct, frozen=True):
    """How to reach the consumer."""

    phone: Phone | None = None


class Name(msgspec.Struct, frozen=True):
    """The consumer's name, the last name shortened."""

    display_name: str | None = None
    first_name: str | None = None
    last_name: str | None = None


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer."""

    id: str | None = None
    is_primary_customer: bool | None = None
    name: Name | None = None
    contact: Contact | None = None


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a merchant's courier goes."""

    street_address_line_one: str | None = None
    street_address_line_two: str | None = None
    unit_number: str | int | None = None
    business_name: str | None = None
    city: str | None = None
    postal_code: str | None = None
    country: str | None = None
    latitude: float | str | None = None
    longitude: float | str | None = None
    instructions: str | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery of the order; the place is told for the merchant's own couriers only."""

    location: Place | None = None
    instructions: str | None = None


class StoreOfOrder(msgspec.Struct, frozen=True):
    """The store."""

    id: str


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
    display_id: str | None = None
    preparation_status: str | None = None
    fulfillment_type: str | None = None
    store_instructions: str | None = None
    preparation_time: PreparationTime | None = None
    scheduled_order_target_delivery_time_range: TimeRange | None = None
    customers: list[Customer] | None = None
    deliveries: list[Delivery] | None = None
    carts: list[Cart] | None = None


class OrderAnswer(msgspec.Struct, frozen=True):
    """The answer to a read of one order."""

    order: Order


class ListedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order in a store's list."""

    id: str
    state: str
    preparation_status: str | None = None
    created_time: str | None = None


class Pagination(msgspec.Struct, frozen=True):
    """Where the next page begins."""

    next_page_token: str | None = None


class OrderList(msgspec.Struct, frozen=True):
    """A page of orders."""

    data: list[ListedOrder] | None = None
    pagination_data: Pagination | None = None


class StorePlace(msgspec.Struct, frozen=True):
    """Where a store is."""

    country: str | None = None


class ListedStore(msgspec.Struct, frozen=True, kw_only=True):
    """A store in the list, under either name of its id."""

    id: str | None = None
    store_id: str | None = None
    name: str | None = None
    timezone: str | None = None
    currency_code: str | None = None
    location: StorePlace | None = None


class StoreList(msgspec.Struct, frozen=True):
    """A page of stores."""

    data: list[ListedStore] | None = None
    pagination_data: Pagination | None = None


class Meta(msgspec.Struct, frozen=True):
    """What a webhook is about: `resource_id` is the order, `user_id` the store."""

    resource_id: str | None = None
    user_id: str | None = None


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook."""

    event_type: str
    event_id: str
    meta: Meta | None = None
    resource_href: str | None = None
    store_id: str | None = None
    event_time: float | None = None
    current_state: str | None = None


class NoticeLink(msgspec.Struct, frozen=True):
    """The link of a webhook alone."""

    resource_href: str | None = None


class ShownItem(msgspec.Struct, frozen=True):
    """An item of the menu that Uber shows."""

    id: str


class ShownMenu(msgspec.Struct, frozen=True):
    """The part of a menu that is read back."""

    items: list[ShownItem] | None = None


class ErrorBody(msgspec.Struct, frozen=True):
    """An error answer; OAuth uses `error`."""

    code: str = ""
    message: str = ""
    error: str = ""
