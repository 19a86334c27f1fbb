"""Square's catalog as the hub's menu. The sellable thing is the variation."""

from adapters.square import models
from hub.model import Availability, Category, Item, Menu, ModifierGroup, Money
from hub.model.menu import Modifier as MenuModifier
from hub.model.menu import Tax


def _present(thing: models.CatalogObject, location: str) -> bool:
    if thing.is_deleted or location in thing.absent_at_location_ids:
        return False
    return thing.present_at_all_locations or location in thing.present_at_location_ids


def _money(money: models.Money | None, currency: str) -> Money:
    return Money(money.amount, money.currency or currency) if money is not None else Money(0, currency)


def _item(
    parent: models.CatalogObject, data: models.ItemData, variation: models.CatalogObject, currency: str, location: str, image: str
) -> Item | None:
    detail = variation.item_variation_data
    if detail is None or not _present(variation, location):
        return None
    here = next((o for o in detail.location_overrides if o.location_id == location), None)
    price = here.price_money if here is not None and here.price_money is not None else detail.price_money
    if price is None:
        return None  # priced at the counter: it cannot be sold at a distance
    several = len(data.variations) > 1
    return Item(
        id=variation.id,
        name=f"{data.name} ({detail.name})" if several and detail.name else data.name,
        price=_money(price, currency),
        plu=detail.sku or "",
        description=data.description_plaintext or data.description or "",
        parent_id=parent.id,
        group_ids=tuple(info.modifier_list_id for info in data.modifier_list_info if info.enabled),
        tax_ids=tuple(data.tax_ids),
        image_url=image,
        availability=Availability(not here.sold_out, here.sold_out_valid_until or "") if here is not None else Availability(),
    )


def _group(thing: models.CatalogObject, currency: str) -> ModifierGroup | None:
    data = thing.modifier_list_data
    if data is None:
        return None
    modifiers = tuple(
        MenuModifier(
            id=each.id,
            name=each.modifier_data.name,
            price=_money(each.modifier_data.price_money, currency),
            default=each.modifier_data.on_by_default,
        )
        for each in sorted(data.modifiers, key=lambda m: m.modifier_data.ordinal if m.modifier_data else 0)
        if each.modifier_data is not None and not each.is_deleted
    )
    single = data.selection_type == "SINGLE" and data.max_selected_modifiers <= 0
    return ModifierGroup(
        id=thing.id,
        name=data.name,
        minimum=max(0, data.min_selected_modifiers),
        maximum=1 if single else max(0, data.max_selected_modifiers),
        modifiers=modifiers,
    )


def menu_from(objects: list[models.CatalogObject], location: str, currency: str) -> Menu:
    """The menu of one location."""
    names = {o.id: o.category_data.name for o in objects if o.type == "CATEGORY" and o.category_data and not o.is_deleted}
    images = {o.id: o.image_data.url for o in objects if o.image_data is not None}
    items: list[Item] = []
    by_category: dict[str, list[str]] = {}
    for thing in objects:
        data = thing.item_data
        if data is None or data.is_archived or not _present(thing, location):
            continue
        image = next((images[i] for i in data.image_ids if i in images), "")
        made = [_item(thing, data, each, currency, location, image) for each in data.variations]
        found = [item for item in made if item is not None]
        items += found
        homes = [ref.id for ref in data.categories] or ([data.category_id] if data.category_id else []) or [""]
        for home in homes:
            by_category.setdefault(home if home in names else "", []).extend(item.id for item in found)
    groups = [_group(o, currency) for o in objects if o.type == "MODIFIER_LIST" and _present(o, location)]
    taxes = [
        Tax(o.id, o.tax_data.name, o.tax_data.percentage, o.tax_data.inclusion_type == "INCLUSIVE")
        for o in objects
        if o.tax_data is not None and not o.is_deleted
    ]
    kept = {group.id for group in groups if group is not None}
    return Menu(
        currency=currency,
        categories=tuple(
            Category(home or "uncategorised", names.get(home, "Menu"), tuple(ids)) for home, ids in by_category.items() if ids
        ),
        items=tuple(item if set(item.group_ids) <= kept else _without(item, kept) for item in items),
        groups=tuple(group for group in groups if group is not None),
        taxes=tuple(taxes),
    )


def _without(item: Item, kept: set[str]) -> Item:
    fields = {name: getattr(item, name) for name in item.__struct_fields__}
    fields["group_ids"] = tuple(each for each in item.group_ids if each in kept)
    return Item(**fields)
