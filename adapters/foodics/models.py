"""Foodics' wire format, as far as the adapter speaks it. Unknown fields are ignored, unknown values kept; amounts are in major units."""

from decimal import Decimal
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

R = TypeVar("R")
ENCODER = msgspec.json.Encoder(decimal_format="number")


class PageMeta(msgspec.Struct, frozen=True):
    """Where a page stands among its pages."""

    current_page: int | None = None
    last_page: int | None = None


class Page(msgspec.Struct, Generic[R], frozen=True):
    """A page of a collection."""

    data: list[R]
    meta: PageMeta | None = None


class One(msgspec.Struct, Generic[R], frozen=True):
    """A single row."""

    data: R


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """Anything with a name: the Latin one, and the Arabic one beside it."""

    id: str
    name: str | None = None
    name_localized: str | None = None
    deleted_at: str | None = None

    def label(self) -> str:
        """The name, whichever there is."""
        return self.name or self.name_localized or self.id

    def translations(self) -> dict[str, str]:
        """The Arabic name, where it stands beside another."""
        return {"ar": self.name_localized} if self.name and self.name_localized and self.name_localized != self.name else {}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A business's settings: one currency, one zone, and whether prices hold their tax."""

    business_currency: str
    business_timezone: str | None = None
    tax_inclusive_pricing: bool | None = None


class Merchant(msgspec.Struct, frozen=True, kw_only=True):
    """The business that a token is for."""

    reference: int | str | None = None
    name: str | None = None


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """Who the token speaks for."""

    business: Merchant


class Branch(Named, frozen=True, kw_only=True):
    """A branch. Without a place on the map or opening hours it takes orders over the API and never shows them."""

    latitude: Any = UNSET
    longitude: Any = UNSET
    opening_from: str | UnsetType | None = UNSET
    opening_to: str | UnsetType | None = UNSET
    inventory_end_of_day_time: str | None = None
    receives_online_orders: bool | None = None


class BranchPivot(msgspec.Struct, frozen=True, kw_only=True):
    """What differs at one branch; no price: the product's own."""

    price: Decimal | None = None
    is_active: bool | None = None
    is_in_stock: bool | None = None


class AtBranch(msgspec.Struct, frozen=True, kw_only=True):
    """A branch as a product or an option names it."""

    id: str
    pivot: BranchPivot = BranchPivot()


class Option(Named, frozen=True, kw_only=True):
    """A modifier option."""

    sku: str | None = None
    price: Decimal | None = None
    is_active: bool | None = None
    branches: list[AtBranch] | None = None


class ModifierPivot(msgspec.Struct, frozen=True, kw_only=True):
    """How a product uses a modifier."""

    minimum_options: int | None = None
    maximum_options: int | None = None
    default_options_ids: list[str] | None = None
    excluded_options_ids: list[str] | None = None
    index: int | None = None


class Modifier(Named, frozen=True, kw_only=True):
    """A modifier with its options; some accounts show those only in the modifier's own read."""

    options: list[Option] | None = None
    pivot: ModifierPivot = ModifierPivot()


class Tax(Named, frozen=True, kw_only=True):
    """A tax; the rate is in percent."""

    rate: Decimal | None = None
    applies_on_order_types: list[int] | None = None


class TaxGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The taxes of a product."""

    taxes: list[Tax] | None = None


class TagPivot(msgspec.Struct, frozen=True, kw_only=True):
    """A price tag's price, and whether a group is on."""

    price: Decimal | None = None
    is_active: bool | None = None


class Tagged(Named, frozen=True, kw_only=True):
    """A group or a price tag, as a product names it."""

    pivot: TagPivot = TagPivot()


class Product(Named, frozen=True, kw_only=True):
    """A product with what was included."""

    sku: str | None = None
    description: str | None = None
    image: str | None = None
    is_active: bool | None = None
    pricing_method: int | None = None
    price: Decimal | None = None
    category: Named | None = None
    tax_group: TaxGroup | None = None
    groups: list[Tagged] | None = None
    price_tags: list[Tagged] | None = None
    branches: list[AtBranch] | None = None
    modifiers: list[Modifier] | None = None


class DisplayChild(msgspec.Struct, frozen=True, kw_only=True):
    """One thing below a heading."""

    child_id: str
    child_type: str | None = None


class DisplayCategory(msgspec.Struct, frozen=True, kw_only=True):
    """A heading in its place."""

    category_id: str
    children: list[DisplayChild] | None = None


class Display(msgspec.Struct, frozen=True, kw_only=True):
    """The order in which the menu is shown."""

    categories: list[DisplayCategory] | None = None


class Method(Named, frozen=True, kw_only=True):
    """A way to pay; 8 is External, which is what an app may pay with."""

    type: int | None = None
    is_active: bool | None = None


class ChargeKind(Named, frozen=True, kw_only=True):
    """A charge that the business knows, and the order types it may stand in."""

    order_types: list[int] | None = None


class CustomerRow(Named, frozen=True, kw_only=True):
    """A customer."""

    dial_code: int | str | None = None
    phone: str | None = None


class AddressRow(Named, frozen=True, kw_only=True):
    """A customer's address."""

    description: str | None = None


class ChargeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A charge of an order."""

    amount: Decimal | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order as Foodics tells it. `meta` is an object, or an empty list where there is none."""

    id: str
    status: int | None = None
    delivery_status: int | None = None
    updated_at: str | None = None
    reference: int | str | None = None
    meta: Any = None
    total_price: Decimal | None = None
    charges: list[ChargeRow] | None = None


class TaxLine(msgspec.Struct, frozen=True, kw_only=True):
    """A tax of a line or an option, computed by the caller."""

    id: str
    rate: Decimal
    amount: Decimal


class OptionLine(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A chosen option; its total is for all of the line."""

    modifier_option_id: str
    quantity: int
    unit_price: Decimal
    total_price: Decimal
    taxes: tuple[TaxLine, ...] = ()


class ProductLine(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A line; its total is without its options."""

    product_id: str
    quantity: int
    unit_price: Decimal
    total_price: Decimal
    kitchen_notes: str = ""
    options: tuple[OptionLine, ...] = ()
    taxes: tuple[TaxLine, ...] = ()


class ChargeLine(msgspec.Struct, frozen=True, kw_only=True):
    """A charge beside the lines."""

    charge_id: str
    amount: Decimal


class PaymentLine(msgspec.Struct, frozen=True, kw_only=True):
    """What the channel collected."""

    payment_method_id: str
    amount: Decimal
    tendered: Decimal
    tips: Decimal
    business_date: str


class NewOrder(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The body that makes an order. `total_price` is without charges; payments cover both."""

    type: int
    branch_id: str
    business_date: str
    meta: dict[str, str | int]
    products: tuple[ProductLine, ...]
    subtotal_price: Decimal
    total_price: Decimal
    rounding_amount: Decimal | None = None
    discount_amount: Decimal | None = None
    discount_id: str = ""
    guests: int = 0
    due_at: str = ""
    kitchen_notes: str = ""
    customer_notes: str = ""
    customer_id: str = ""
    customer_address_id: str = ""
    charges: tuple[ChargeLine, ...] = ()
    payments: tuple[PaymentLine, ...] = ()


class NewCustomer(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The body that makes a customer."""

    name: str
    dial_code: int
    phone: str
    email: str = ""


class NewAddress(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The body that makes a customer's address."""

    customer_id: str
    name: str
    description: str
    latitude: str = ""
    longitude: str = ""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error answer: a message, and what is wrong by field."""

    message: str | None = None
    errors: dict[str, Any] | None = None

    def words(self) -> str:
        """The first complaint about each field, else the message."""
        said = [f"{field}: {texts[0] if isinstance(texts, list) and texts else texts}" for field, texts in (self.errors or {}).items()]
        return "; ".join(said) or self.message or ""


class NoticeOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The order in a webhook: only what names the change; everything else is read again."""

    id: str
    status: int | None = None
    delivery_status: int | None = None
    updated_at: str | None = None


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """What changed in the menu."""

    type: str = ""
    id: str = ""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook. There is no event id."""

    event: str
    timestamp: int | float | None = None
    order: NoticeOrder | None = None
    entity: Entity | None = None
