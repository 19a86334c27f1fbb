"""The hub's menu as Uber Eats' full snapshot: everything orderable is an item, options included."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote, unquote

from hub.contract import Misconfigured
from hub.model import Availability, Hours, Item, Menu, ModifierGroup
from hub.model.menu import Modifier

SLUG = "ubereats"
FAR = 8640000000
"""Off until somebody says otherwise (unix seconds)."""
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


def _price(thing: Item | Modifier) -> int:
    price = thing.channel_prices.get(SLUG, thing.price)
    if price.currency != thing.price.currency:
        raise Misconfigured(f"{thing.id} costs {thing.price.currency} but {price.currency} on Uber Eats: a menu has one currency")
    return price.amount


def _item(thing: Item | Modifier, tax: dict[str, float], groups: set[str]) -> dict[str, Any]:
    made = {
        "id": to_uber_id(thing.id),
        "title": _text(thing.name),
        "external_data": thing.id,
        "price_info": {"price": _price(thing)},
        "tax_info": tax,
        "quantity_info": {},
    }
    ids = [to_uber_id(group) for group in thing.group_ids if group in groups]
    if ids:
        made["modifier_group_ids"] = {"ids": ids}
    if not thing.availability.available:
        made["suspension_info"] = {"suspension": {"suspend_until": _until(thing.availability), "reason": "not available"}}
    return made


def _until(availability: Availability) -> int:
    try:
        return int(datetime.fromisoformat(availability.until.replace("Z", "+00:00")).timestamp())
    except ValueError:
        return FAR


def _override(made: dict[str, Any], modifier: Modifier, group: ModifierGroup) -> None:
    # One thing is one item at Uber; where a group asks another price for it, that is said beside the item's.
    price, info = _price(modifier), made["price_info"]
    if price != info["price"]:
        told = {"context_type": "MODIFIER_GROUP", "context_value": to_uber_id(group.id), "price": price}
        info.setdefault("overrides", []).append(told)


def _tax(item: Item, menu: Menu) -> dict[str, float]:
    rates = [tax for tax in menu.taxes if tax.id in item.tax_ids]
    if not rates:
        return {}
    if len({tax.inclusive for tax in rates}) == 2:
        raise Misconfigured(f"item {item.id} has both inclusive and added taxes: Uber Eats takes one kind for an item")
    whole = float(sum(Decimal(tax.rate) for tax in rates))
    return {"vat_rate_percentage": whole} if rates[0].inclusive else {"tax_rate": whole}


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
        # Uber's periods end on their own day: what goes past midnight is told in two.
        past = each.closes <= each.opens
        by_day.setdefault(each.day, []).append({"start_time": each.opens, "end_time": "23:59" if past else min(each.closes, "23:59")})
        if past and each.closes > "00:00" and each.closes != each.opens:
            following = _DAYS[(_DAYS.index(each.day) + 1) % 7]
            by_day.setdefault(following, []).append({"start_time": "00:00", "end_time": each.closes})
    return [{"day_of_week": day, "time_periods": _joined(by_day[day])} for day in _DAYS if day in by_day]


def _joined(periods: list[dict[str, str]]) -> list[dict[str, str]]:
    """In order, those that overlap made one."""
    joined: list[dict[str, str]] = []
    for period in sorted(periods, key=lambda each: each["start_time"]):
        if joined and period["start_time"] <= joined[-1]["end_time"]:
            joined[-1]["end_time"] = max(joined[-1]["end_time"], period["end_time"])
        else:
            joined.append(period)
    return joined


def menu_body(menu: Menu) -> dict[str, Any]:
    """The body of the menu PUT; items that are not available are left out of the snapshot's sale by a suspension."""
    items: dict[str, dict[str, Any]] = {}
    groups = {group.id for group in menu.groups}
    for item in menu.items:
        made = _item(item, _tax(item, menu), groups)
        if item.description:
            made["description"] = _text(item.description)
        if item.image_url:
            made["image_url"] = item.image_url
        items[item.id] = made
    for group in menu.groups:
        for modifier in group.modifiers:
            made = items.setdefault(modifier.id, _item(modifier, {}, groups))
            _override(made, modifier, group)
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
