"""Square's wire format, as far as the adapter speaks it. Unknown fields are ignored, unknown values kept."""

from typing import Any

import msgspec


class Money(msgspec.Struct, frozen=True):
    """Minor units."""

    amount: int = 0
    currency: str = ""


class Modifier(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A modifier of a line: from the catalog, or ad hoc with name and price."""

    catalog_object_id: str | None = None
    name: str | None = None
    base_price_money: Money | None = None
    quantity: str | None = None


class LineItem(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A line: a variation of the catalog, or ad hoc with name and price. The quantity is text."""

    quantity: str
    uid: str | None = None
    catalog_object_id: str | None = None
    name: str | None = None
    base_price_money: Money | None = None
    note: str | None = None
    modifiers: tuple[Modifier, ...] = ()


class Discount(msgspec.Struct, frozen=True, kw_only=True):
    """A discount on the order; type and scope are said, not defaulted."""

    uid: str
    name: str
    amount_money: Money
    type: str = "FIXED_AMOUNT"
    scope: str = "ORDER"


class ServiceCharge(msgspec.Struct, frozen=True, kw_only=True):
    """A charge on top of everything, untaxed."""

    uid: str
    name: str
    amount_money: Money
    calculation_phase: str = "TOTAL_PHASE"
    taxable: bool = False


class Address(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Where a courier goes; the country is ISO 3166-1 alpha-2."""

    address_line_1: str = ""
    address_line_2: str = ""
    locality: str = ""
    postal_code: str = ""
    country: str = ""


class Recipient(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Who gets the food."""

    display_name: str
    phone_number: str = ""
    email_address: str = ""
    address: Address | None = None


class PickupDetails(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Food handed over the counter. Square sets `pickup_at` itself when the schedule is ASAP."""

    recipient: Recipient
    schedule_type: str
    note: str
    pickup_at: str | None = None
    prep_time_duration: str | None = None


class DeliveryDetails(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Food that is brought. SCHEDULED needs `deliver_at`, ASAP needs `prep_time_duration`."""

    recipient: Recipient
    schedule_type: str
    note: str
    external_delivery_id: str
    managed_delivery: bool
    courier_provider_name: str = ""
    deliver_at: str | None = None
    prep_time_duration: str | None = None


class FulfillmentDraft(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How the food is to leave; the details of its type are set."""

    type: str
    state: str
    pickup_details: PickupDetails | None = None
    delivery_details: DeliveryDetails | None = None


class OrderDraft(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An order to create."""

    location_id: str
    reference_id: str
    source: dict[str, str]
    ticket_name: str
    line_items: tuple[LineItem, ...]
    fulfillments: tuple[FulfillmentDraft, ...]
    discounts: tuple[Discount, ...] = ()
    service_charges: tuple[ServiceCharge, ...] = ()
    metadata: dict[str, str] = {}
    pricing_options: dict[str, bool] = {}


class CreateOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The body that creates an order."""

    idempotency_key: str
    order: OrderDraft


class ExternalDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Who took the money."""

    source: str
    source_id: str
    type: str = "EXTERNAL"


class CashDetails(msgspec.Struct, frozen=True):
    """What the consumer hands over."""

    buyer_supplied_money: Money


class CreatePayment(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The body of a payment that was taken elsewhere; `amount_money` is without the tip."""

    idempotency_key: str
    source_id: str
    amount_money: Money
    order_id: str
    location_id: str
    reference_id: str
    tip_money: Money | None = None
    external_details: ExternalDetails | None = None
    cash_details: CashDetails | None = None


class PayOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The body that pays an order of nothing. Without a version Square pays the latest, so a repeat never turns stale."""

    idempotency_key: str
    payment_ids: tuple[str, ...] = ()


class CreateRefund(msgspec.Struct, frozen=True, kw_only=True):
    """The body that gives a payment back."""

    idempotency_key: str
    payment_id: str
    amount_money: Money
    reason: str


class FulfillmentChange(msgspec.Struct, frozen=True):
    """A fulfilment's new state."""

    uid: str
    state: str


class OrderChange(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What changes of an order, and the version it changes."""

    version: int
    location_id: str
    fulfillments: tuple[FulfillmentChange, ...] = ()
    state: str | None = None


class UpdateOrder(msgspec.Struct, frozen=True):
    """The body that changes an order."""

    order: OrderChange


class Tender(msgspec.Struct, frozen=True, kw_only=True):
    """What paid an order."""

    id: str = ""
    payment_id: str | None = None


class Fulfillment(msgspec.Struct, frozen=True, kw_only=True):
    """How the food leaves, as Square tells it."""

    uid: str | None = None
    type: str | None = None
    state: str | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order as Square tells it."""

    id: str
    location_id: str
    state: str = "OPEN"
    version: int = 1
    reference_id: str | None = None
    total_money: Money = Money()
    total_tip_money: Money = Money()
    fulfillments: list[Fulfillment] = []
    tenders: list[Tender] = []


class OrderAnswer(msgspec.Struct, frozen=True):
    """The answer to create, read and update."""

    order: Order


class OrderList(msgspec.Struct, frozen=True):
    """A page of a search."""

    orders: list[Order] = []
    cursor: str | None = None


class PaidOutside(msgspec.Struct, frozen=True):
    """Who took the money of an EXTERNAL payment."""

    source: str | None = None


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment; `total_money` is with the tip."""

    id: str
    status: str = ""
    amount_money: Money = Money()
    total_money: Money = Money()
    tip_money: Money = Money()
    refunded_money: Money = Money()
    source_type: str | None = None
    external_details: PaidOutside | None = None
    created_at: str | None = None
    order_id: str | None = None
    reference_id: str | None = None


class PaymentPage(msgspec.Struct, frozen=True):
    """A page of payments."""

    payments: list[Payment] = []
    cursor: str | None = None


class InventoryCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many of a variation are in a state at a location, as a decimal text."""

    catalog_object_id: str | None = None
    location_id: str | None = None
    state: str | None = None
    quantity: str | None = None


class CountPage(msgspec.Struct, frozen=True):
    """A page of counts."""

    counts: list[InventoryCount] = []
    cursor: str | None = None


class PaymentAnswer(msgspec.Struct, frozen=True):
    """The answer to a payment."""

    payment: Payment


class PaidAnswer(msgspec.Struct, frozen=True):
    """The answer to the payment step: a payment, or the order itself where nothing was to be paid."""

    payment: Payment | None = None
    order: Order | None = None


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """A refund."""

    id: str
    status: str | None = None


class RefundAnswer(msgspec.Struct, frozen=True):
    """The answer to a refund."""

    refund: Refund


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """A location of the seller."""

    id: str
    name: str = ""
    currency: str = ""
    timezone: str = ""
    country: str = ""
    status: str = "ACTIVE"


class LocationList(msgspec.Struct, frozen=True):
    """All locations."""

    locations: list[Location] = []


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook; `data.object` holds one record named after the event."""

    type: str
    event_id: str
    merchant_id: str = ""
    data: dict[str, Any] = {}


class VendorProblem(msgspec.Struct, frozen=True, kw_only=True):
    """One error of an answer."""

    category: str = ""
    code: str = ""
    detail: str = ""
    field: str = ""


class Problems(msgspec.Struct, frozen=True):
    """An error answer."""

    errors: list[VendorProblem] = []
