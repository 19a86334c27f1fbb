"""The hub's menu as Uber Eats' full snapshot: everything orderable is an item, options included."""

from typing import Any
from urllib.parse import quote, unquote

from hub.model import Hours, Item, Menu, ModifierGroup, Money

SLUG = "ubereats"
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def to_uber_id(identifier: str) -> str:
    """Uber forbids / and ; in ids: percent-encoded, they come back as they were."""
    return quote(identifier, safe="#:_-.~ ")


def from_uber_id(identifier: str) -> str:
    """The hub's id again."""
    return unquote(identifier)


def _text(text: str) -> dict[str, Any]:
    # Only one translation is honoured.
    return {"translations": {"en_us": text}}


def _price(thing_price: Money, channel: dict[str, Money]) -> int:
    return channel.get(SLUG, thing_price).amount


def _item(identifier: str, name: str, price: int, plu: str, tax: dict[str, float]) -> dict[str, Any]:
    return {
        "id": to_uber_id(identifier),
        "title": _text(name),
        "external_data": identifier,
        "price_info": {"price": price},
        "tax_info": tax,
        "quantity_info": {},
    }


def _tax(item: Item, menu: Menu) -> dict[str, float]:
    rates = [tax for tax in menu.taxes if tax.id in item.tax_ids]
    if not rates:
        return {}
    whole = float(sum(float(tax.rate) for tax in rates))
    return {"vat_rate_percentage": whole} if any(tax.inclusive for tax in rates) else {"tax_rate": whole}


def _group(group: ModifierGroup) -> dict[str, Any]:
    quantity: dict[str, int] = {"min_permitted": group.minimum}
    if group.maximum:
        quantity["max_permitted"] = group.maximum
    return {
        "id": to_uber_id(group.id),
        "title": _text(group.name),
        "external_data": group.id,
        "quantity_info": {"quantity": quantity},
        "modifier_options": [{"type": "ITEM", "id": to_uber_id(modifier.id)} for modifier in group.modifiers],
    }


def _availability(hours: tuple[Hours, ...]) -> list[dict[str, Any]]:
    if not hours:
        return [{"day_of_week": day, "time_periods": [{"start_time": "00:00", "end_time": "23:59"}]} for day in _DAYS]
    by_day: dict[str, list[dict[str, str]]] = {}
    for each in hours:
        by_day.setdefault(each.day, []).append({"start_time": each.opens, "end_time": min(each.closes, "23:59")})
    return [{"day_of_week": day, "time_periods": by_day[day]} for day in _DAYS if day in by_day]


def menu_body(menu: Menu) -> dict[str, Any]:
    """The body of the menu PUT; items that are not available are left out of the snapshot's sale by a suspension."""
    items: dict[str, dict[str, Any]] = {}
    for item in menu.items:
        made = _item(item.id, item.name, _price(item.price, item.channel_prices), item.plu, _tax(item, menu))
        if item.description:
            made["description"] = _text(item.description)
        if item.image_url:
            made["image_url"] = item.image_url
        if item.group_ids:
            made["modifier_group_ids"] = {"ids": [to_uber_id(group) for group in item.group_ids]}
        if not item.availability.available:
            made["suspension_info"] = {"suspension": {"suspend_until": 8640000000, "reason": "not available"}}
        items[item.id] = made
    for group in menu.groups:
        for modifier in group.modifiers:
            if modifier.id not in items:
                price = _price(modifier.price, modifier.channel_prices)
                items[modifier.id] = _item(modifier.id, modifier.name, price, modifier.plu, {})
                if modifier.group_ids:
                    items[modifier.id]["modifier_group_ids"] = {"ids": [to_uber_id(each) for each in modifier.group_ids]}
    known = set(items)
    categories = [
        {
            "id": to_uber_id(category.id),
            "title": _text(category.name),
            "entities": [{"type": "ITEM", "id": to_uber_id(each)} for each in category.item_ids if each in known],
        }
        for category in menu.categories
    ]
    return {
        "items": list(items.values()),
        "modifier_groups": [_group(group) for group in menu.groups],
        "categories": categories,
        "menus": [
            {
                "id": "main",
                "title": _text("Menu"),
                "service_availability": _availability(menu.hours),
                "category_ids": [category["id"] for category in categories],
            }
        ],
        "display_options": {"disable_item_instructions": False},
    }
