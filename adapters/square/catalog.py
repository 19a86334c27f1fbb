"""Square's catalog on the wire, as far as a menu needs it. Unknown fields are ignored."""

import msgspec

from adapters.square.models import Money


class LocationOverride(msgspec.Struct, frozen=True, kw_only=True):
    """What differs at one location."""

    location_id: str | None = None
    price_money: Money | None = None
    track_inventory: bool | None = None
    sold_out: bool = False
    sold_out_valid_until: str | None = None


class VariationData(msgspec.Struct, frozen=True, kw_only=True):
    """The sellable thing."""

    item_id: str = ""
    name: str = ""
    sku: str | None = None
    ordinal: int = 0
    price_money: Money | None = None
    track_inventory: bool | None = None
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
    location_overrides: list[LocationOverride] = []


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
