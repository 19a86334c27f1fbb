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


class Recipient(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Who gets the food."""

    display_name: str
    phone_number: str | None = None
    address: dict[str, str] | None = None


class Fulfillment(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How the food leaves; details by type."""

    type: str | None = None
    state: str | None = None
    uid: str | None = None
    pickup_details: dict[str, Any] | None = None
    delivery_details: dict[str, Any] | None = None


class OrderDraft(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An order to create."""

    location_id: str
    reference_id: str
    source: dict[str, str]
    ticket_name: str
    line_items: tuple[LineItem, ...]
    fulfillments: tuple[Fulfillment, ...]
    discounts: tuple[Discount, ...] = ()
    service_charges: tuple[ServiceCharge, ...] = ()
    metadata: dict[str, str] = {}
    pricing_options: dict[str, bool] = {}


class Tender(msgspec.Struct, frozen=True, kw_only=True):
    """What paid an order."""

    id: str = ""
    payment_id: str | None = None


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
    created_at: str | None = None


class OrderAnswer(msgspec.Struct, frozen=True):
    """The answer to create, read and update."""

    order: Order


class OrderList(msgspec.Struct, frozen=True):
    """A page of a search."""

    orders: list[Order] = []
    cursor: str | None = None


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment."""

    id: str
    status: str = ""
    order_id: str | None = None
    amount_money: Money = Money()
    total_money: Money = Money()
    refunded_money: Money = Money()


class PaymentAnswer(msgspec.Struct, frozen=True):
    """The answer to a payment."""

    payment: Payment


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """A refund."""

    id: str
    status: str = ""


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


class LocationOverride(msgspec.Struct, frozen=True, kw_only=True):
    """What differs at one location."""

    location_id: str
    price_money: Money | None = None
    sold_out: bool = False
    sold_out_valid_until: str | None = None


class VariationData(msgspec.Struct, frozen=True, kw_only=True):
    """The sellable thing."""

    item_id: str = ""
    name: str = ""
    sku: str | None = None
    ordinal: int = 0
    price_money: Money | None = None
    location_overrides: list[LocationOverride] = []


class CategoryRef(msgspec.Struct, frozen=True):
    """An item's place in a category."""

    id: str
    ordinal: int = 0


class ModifierListInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A modifier list on an item; -1 means: as the list says."""

    modifier_list_id: str
    min_selected_modifiers: int = -1
    max_selected_modifiers: int = -1
    enabled: bool = True


class ItemData(msgspec.Struct, frozen=True, kw_only=True):
    """An item: a heading over its variations."""

    name: str = ""
    description: str | None = None
    description_plaintext: str | None = None
    categories: list[CategoryRef] = []
    category_id: str | None = None
    tax_ids: list[str] = []
    modifier_list_info: list[ModifierListInfo] = []
    variations: "list[CatalogObject]" = []
    image_ids: list[str] = []
    is_archived: bool = False


class CategoryData(msgspec.Struct, frozen=True):
    """A category."""

    name: str = ""


class ModifierData(msgspec.Struct, frozen=True, kw_only=True):
    """An option."""

    name: str = ""
    price_money: Money | None = None
    on_by_default: bool = False
    ordinal: int = 0


class ModifierListData(msgspec.Struct, frozen=True, kw_only=True):
    """A list of options."""

    name: str = ""
    selection_type: str | None = None
    modifier_type: str | None = None
    min_selected_modifiers: int = -1
    max_selected_modifiers: int = -1
    modifiers: "list[CatalogObject]" = []


class TaxData(msgspec.Struct, frozen=True, kw_only=True):
    """A tax."""

    name: str = ""
    percentage: str = "0"
    inclusion_type: str = "ADDITIVE"


class ImageData(msgspec.Struct, frozen=True):
    """An image."""

    url: str = ""


class CatalogObject(msgspec.Struct, frozen=True, kw_only=True):
    """One object of the catalog; the data of its type is set."""

    type: str
    id: str
    is_deleted: bool = False
    present_at_all_locations: bool = True
    present_at_location_ids: list[str] = []
    absent_at_location_ids: list[str] = []
    item_data: ItemData | None = None
    item_variation_data: VariationData | None = None
    category_data: CategoryData | None = None
    modifier_list_data: ModifierListData | None = None
    modifier_data: ModifierData | None = None
    tax_data: TaxData | None = None
    image_data: ImageData | None = None


class CatalogPage(msgspec.Struct, frozen=True):
    """A page of the catalog."""

    objects: list[CatalogObject] = []
    cursor: str | None = None


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
