"""K-Series' wire format, as far as the adapter speaks it. Amounts are decimals in major units; unknown fields are ignored."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

Id = int | str
ENCODER = msgspec.json.Encoder(decimal_format="number")
"""Writes amounts as JSON numbers with exactly their decimals."""


class Sent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, rename="camel"):
    """A part of a request."""


class Instruction(Sent, frozen=True, omit_defaults=True, kw_only=True):
    """A production instruction, by its id."""

    modifier_id: str


class OrderItem(Sent, frozen=True, omit_defaults=True, kw_only=True):
    """A line, or a choice below one; its price is said where the menu lets it be said."""

    quantity: int
    sku: str
    custom_item_name: str | None = None
    custom_item_price: Decimal | None = None
    modifiers: tuple[Instruction, ...] = ()
    sub_items: tuple["OrderItem", ...] = ()


class CustomerInfo(Sent, frozen=True, omit_defaults=True, kw_only=True):
    """Who gets the food."""

    first_name: str
    last_name: str = ""
    contact_number_as_e164: str = ""


class DeliveryAddress(Sent, frozen=True, omit_defaults=True, kw_only=True):
    """Where it goes."""

    address_line1: str = ""
    address_line2: str = ""
    zip: str = ""
    city: str = ""


class OrderPayment(Sent, frozen=True, omit_defaults=True, kw_only=True):
    """What was paid elsewhere; the amount holds the tip."""

    payment_method: str
    payment_amount: Decimal
    tip_amount: Decimal | None = None


class NewOrder(Sent, frozen=True, omit_defaults=True, kw_only=True):
    """The body of both order calls; only the one for food that leaves has a delivery address."""

    business_location_id: int
    third_party_reference: str
    endpoint_id: str
    customer_info: CustomerInfo
    items: tuple[OrderItem, ...]
    order_note: str
    max_time_to_attempt_order_deliver_to_pos: int
    account_profile_code: str = ""
    collection_code: str = ""
    order_collection_time_as_iso8601: str = ""
    payment: OrderPayment | None = None
    delivery_address: DeliveryAddress | None = None


class Subscription(Sent, frozen=True, omit_defaults=True, kw_only=True):
    """An event that an endpoint wants."""

    resource: str
    name: str


class NewEndpoint(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The body that registers a webhook endpoint, or changes it: then what is left out goes back to its default."""

    endpoint_id: str
    url: str
    username: str
    password: str
    subscribe_to: tuple[Subscription, ...]
    with_basic_auth: bool = True
    provide_account: bool = True
    expand_transactions: bool = False
    expand_payments: bool = False


class Told(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of an answer or a notification."""


class Taken(Told, frozen=True, kw_only=True):
    """The answer to an order: taken in, nothing more."""

    status: str | None = None
    msg: str | None = None


class Problem(Told, frozen=True, kw_only=True):
    """An error answer, of the API or of the token endpoint."""

    message: str | None = None
    msg: str | None = None
    status: int | str | None = None
    error: str | None = None
    error_description: str | None = msgspec.field(default=None, name="error_description")
    errors: list[dict[str, Any]] | None = None

    def words(self) -> str:
        """What it says, with the fields that break a rule."""
        fields = [f"{each.get('field')} {each.get('defaultMessage')}" for each in self.errors or []]
        return "; ".join(filter(None, (self.message or self.msg or self.error_description or self.error or "", *fields)))


class Location(Told, frozen=True, kw_only=True):
    """A business location."""

    id: Id = msgspec.field(name="blID")
    name: str | None = msgspec.field(default=None, name="blName")
    country: str | None = None
    timezone: str | None = None


class Business(Told, frozen=True, kw_only=True):
    """A business: one currency, several locations."""

    currency_code: str | None = None
    business_locations: list[Location] | None = None


class Embedded(Told, frozen=True, kw_only=True):
    """The lists of the Financial API."""

    business_list: list[Business] | None = None
    payment_method_list: list["Method"] | None = None


class Resource(Told, frozen=True, kw_only=True):
    """A HAL answer."""

    embedded: Embedded | None = msgspec.field(default=None, name="_embedded")


class Method(Told, frozen=True, kw_only=True):
    """A way to pay at the POS."""

    code: str
    name: str | None = None
    pm_id: Id | None = None


class MenuName(Told, frozen=True, kw_only=True):
    """A menu in the list."""

    menu_name: str | None = None
    ikentoo_menu_id: Id


class TaxShare(Told, frozen=True, kw_only=True):
    """A tax of an item."""

    description: str | None = None
    percentage: Decimal | None = None


class Text(Told, frozen=True, kw_only=True):
    """An item's words in one language; the description is HTML."""

    description: str | None = None


class RichData(Told, frozen=True, kw_only=True):
    """Pictures and words."""

    square_image_url: str | None = None
    raw_image_url: str | None = None
    texts: list[Text] | None = None
    allergen_codes: list[str | int] | None = None
    contains_alcohol: bool | None = None


class InstructionText(Told, frozen=True, kw_only=True):
    """One instruction."""

    instruction: str | None = None
    ikentoo_modifier_id: Id


class InstructionGroup(Told, frozen=True, kw_only=True):
    """Free kitchen instructions; the id is spelled as the vendor spells it."""

    multi_selection_permitted: bool | None = None
    production_instruction_group_name: str | None = None
    production_intruction_group_id: Id
    production_instruction_list: list[InstructionText] | None = None


class Choice(Told, frozen=True, kw_only=True):
    """A group of modifiers (`product_modifiers`) or of a combo (`items`)."""

    sku: str | None = None
    description: str | None = None
    must_select_an_item: bool | None = None
    multi_selection_permitted: bool | None = None
    minimum_selection: int | None = None
    maximum_selection: int | None = None
    product_modifiers: list["Entry"] | None = None
    items: list["Entry"] | None = None


class Entry(Told, frozen=True, kw_only=True):
    """An entry of the menu's tree: a group, an item, a combo or a modifier."""

    kind: str | None = msgspec.field(default=None, name="@type")
    id: Id | None = None
    name: str | None = None
    menu_entry: list["Entry"] | None = None
    sku: str | None = None
    product_name: str | None = None
    product_price: Decimal | None = None
    extra_price: Decimal | None = None
    custom_item_name_enabled: bool | None = None
    pricing_strategy: str | None = None
    default_tax_percentage: Decimal | None = None
    tax_included_in_price: bool | None = None
    taxes: list[TaxShare] | None = None
    item_rich_data: RichData | None = None
    production_instruction_list: list[InstructionGroup] | None = None
    menu_modifier_groups: list[Choice] | None = None
    menu_deal_groups: list[Choice] | None = None


class MenuDocument(Told, frozen=True, kw_only=True):
    """A whole menu."""

    menu_entry_groups: list[Entry] | None = None


class Restriction(Told, frozen=True, kw_only=True):
    """How many of an item are left."""

    sku: str
    count: int | None = None


class PageInfo(Told, frozen=True, kw_only=True):
    """Where a page stands."""

    total_pages: int | None = None


class RestrictionPage(Told, frozen=True, kw_only=True):
    """A page of restrictions."""

    data: list[Restriction] | None = None
    metadata: PageInfo | None = None


class PosStatus(Told, frozen=True, kw_only=True):
    """What keeps a location from taking orders."""

    sales_period: str | None = None
    accepting_online_orders: bool | None = None
    available_devices: bool | None = None


class OrderingConfiguration(Told, frozen=True, kw_only=True):
    """Whether ordering by API is switched on."""

    enabled: bool | None = None


class Readiness(Told, frozen=True, kw_only=True):
    """Whether a location takes orders now."""

    status: str
    pos_status: PosStatus | None = None
    online_ordering_api_configuration: OrderingConfiguration | None = None


class Account(Told, frozen=True, kw_only=True):
    """A check, as notifications show it."""

    current_amount: Decimal | None = None


class Notice(Told, frozen=True, kw_only=True):
    """A webhook. Those about failures may lack the type and the ids."""

    type: str | None = None
    status: str | None = None
    third_party_reference: str | None = None
    business_location_id: Id | None = None
    reason: str | None = None
    errors: dict[str, Any] | None = None
    account: Account | None = None


class Sums(Told, frozen=True, kw_only=True):
    """A node of the aggregated sales: a group's value with its totals, or what lies below it."""

    group_by_value: str | None = None
    total_amount: Decimal | None = None
    number_of_sales: Decimal | None = None
    children: list["Sums"] | None = None


class TaxLine(Told, frozen=True, kw_only=True):
    """A tax of a sales line."""

    tax_amount: Decimal | None = None
    tax_included: bool | None = None


class SalesLine(Told, frozen=True, kw_only=True):
    """A sold thing on a receipt."""

    total_net_amount_with_tax: Decimal | None = None
    total_net_amount_without_tax: Decimal | None = None
    tax_lines: list[TaxLine] | None = None


class Sale(Told, frozen=True, kw_only=True):
    """A closed check."""

    account_fisc_id: str | None = None
    receipt_id: str | None = None
    type: str | None = None
    account_profile_code: str | None = None
    timeof_close_and_paid: datetime | None = None
    sales_lines: list[SalesLine] | None = None


class Financials(Told, frozen=True, kw_only=True):
    """The receipts of a day."""

    sales: list[Sale] | None = None
