"""Square's catalog as the hub's menu. The sellable thing is the variation."""

import msgspec

from adapters.square import catalog, models
from hub.model import Availability, Category, Item, Menu, ModifierGroup, Money
from hub.model.menu import Modifier as MenuModifier
from hub.model.menu import Tax


def _present(thing: catalog.CatalogObject, location: str) -> bool:
    if thing.is_deleted or location in thing.absent_at_location_ids:
        return False
    return thing.present_at_all_locations or location in thing.present_at_location_ids


def _money(money: models.Money | None, currency: str) -> Money:
    return Money(money.amount, money.currency or currency) if money is not None else Money(0, currency)


def _item(
    parent: catalog.CatalogObject, data: catalog.ItemData, variation: catalog.CatalogObject, currency: str, location: str, image: str
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
        group_ids=tuple(_group_id(info, parent.id) for info in data.modifier_list_info if info.enabled),
        tax_ids=tuple(data.tax_ids),
        image_url=image,
        availability=Availability(not here.sold_out, here.sold_out_valid_until or "") if here is not None else Availability(),
    )


def _group_id(info: catalog.ModifierListInfo, item: str) -> str:
    # An item may overrule a list's minimum and maximum; the menu then holds a group of its own for it.
    own = info.min_selected_modifiers >= 0 or info.max_selected_modifiers >= 0
    return f"{info.modifier_list_id}:{item}" if own else info.modifier_list_id


def _overruled(objects: list[catalog.CatalogObject], groups: dict[str, ModifierGroup]) -> dict[str, ModifierGroup]:
    found: dict[str, ModifierGroup] = {}
    for thing in objects:
        for info in thing.item_data.modifier_list_info if thing.item_data else []:
            group, identifier = groups.get(info.modifier_list_id), _group_id(info, thing.id)
            if group is None or identifier == group.id:
                continue
            low, high = info.min_selected_modifiers, info.max_selected_modifiers
            found[identifier] = msgspec.structs.replace(
                group, id=identifier, minimum=low if low >= 0 else group.minimum, maximum=high if high >= 0 else group.maximum
            )
    return found


def _option(identifier: str, data: catalog.ModifierData, currency: str, location: str) -> MenuModifier:
    here = next((o for o in data.location_overrides if o.location_id == location), None)
    price = here.price_money if here is not None and here.price_money is not None else data.price_money
    return MenuModifier(
        id=identifier,
        name=data.name,
        price=_money(price, currency),
        default=data.on_by_default,
        availability=Availability(not here.sold_out) if here is not None else Availability(),
    )


def _group(thing: catalog.CatalogObject, currency: str, location: str) -> ModifierGroup | None:
    data = thing.modifier_list_data
    if data is None or data.modifier_type == "TEXT":
        return None
    modifiers = tuple(
        _option(each.id, each.modifier_data, currency, location)
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


def menu_from(objects: list[catalog.CatalogObject], location: str, currency: str) -> Menu:
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
        variations = [_item(thing, data, each, currency, location, image) for each in data.variations]
        found = [item for item in variations if item is not None]
        items += found
        homes = [ref.id for ref in data.categories] or ([data.category_id] if data.category_id else []) or [""]
        for home in homes:
            by_category.setdefault(home if home in names else "", []).extend(item.id for item in found)
    made_groups = [_group(o, currency, location) for o in objects if o.type == "MODIFIER_LIST" and _present(o, location)]
    groups = {group.id: group for group in made_groups if group is not None}
    groups |= _overruled([o for o in objects if o.item_data is not None], groups)
    taxes = [
        Tax(o.id, o.tax_data.name, o.tax_data.percentage, o.tax_data.inclusion_type == "INCLUSIVE")
        for o in objects
        if o.tax_data is not None and not o.is_deleted
    ]
    kept = set(groups)
    return Menu(
        currency=currency,
        categories=tuple(
            Category(home or "uncategorised", names.get(home, "Menu"), tuple(ids)) for home, ids in by_category.items() if ids
        ),
        items=tuple(item if set(item.group_ids) <= kept else _without(item, kept) for item in items),
        groups=tuple(groups.values()),
        taxes=tuple(taxes),
    )


def _without(item: Item, kept: set[str]) -> Item:
    return msgspec.structs.replace(item, group_ids=tuple(each for each in item.group_ids if each in kept))
