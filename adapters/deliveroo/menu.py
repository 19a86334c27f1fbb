"""The hub's menu as Deliveroo's upload: dishes are ITEMs in categories, options are CHOICEs in modifiers.

`plu` is the hub's id, which comes back on orders as `pos_item_id`. An option that is also a dish gets an id of its own, as Deliveroo
wants one type for each id.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from hub.contract import Misconfigured
from hub.model import Hours, Item, Menu, ModifierGroup
from hub.model.menu import Modifier

SLUG = "deliveroo"
LANGUAGE = "en"
CHOICE = "choice:"
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CATEGORY, _ITEM, _GROUP = (3, 120), (2, 120), (1, 120)
_DESCRIPTION = 500
_END = "23:59"
Entity = dict[str, Any]


def menu_id(store_ref: str) -> str:
    """The menu that this hub keeps for a site."""
    return f"hub-{store_ref}"


def from_deliveroo_id(identifier: str) -> str:
    """The hub's id of an item or option."""
    return identifier.removeprefix(CHOICE)


def _words(text: str) -> dict[str, str]:
    return {LANGUAGE: text}


def _name(text: str, what: str, bounds: tuple[int, int]) -> dict[str, str]:
    """A name that fits; raises Misconfigured for one that is too short."""
    least, most = bounds
    name = text.strip()
    if len(name) < least:
        raise Misconfigured(f"{what} is named {name!r}: Deliveroo takes names of {least} to {most} characters")
    return _words(name if len(name) <= most else name[: most - 1] + "…")


def _rate(item: Item, menu: Menu) -> str:
    """The sum of an item's rates in percent, as text."""
    try:
        whole = sum((Decimal(tax.rate) for tax in menu.taxes if tax.id in item.tax_ids), Decimal(0))
    except InvalidOperation as error:
        raise Misconfigured(f"a tax of {item.name} has no rate in percent") from error
    return f"{whole.normalize():f}"


class _Upload:
    """Collects the parts of a menu."""

    def __init__(self, menu: Menu) -> None:
        self._menu = menu
        self._groups = {group.id: group for group in menu.groups if group.modifiers}
        listed = {each for category in menu.categories for each in category.item_ids}
        # What no category lists cannot be ordered, and Deliveroo wants a category for every item.
        self._dishes = {item.id: item for item in menu.items if item.id in listed}
        self._rates: dict[str, str] = {}
        self._image = next((item.image_url for item in menu.items if item.image_url), "")

    def build(self) -> Entity:
        menu = self._menu
        for item in self._dishes.values():
            self._spread(_rate(item, menu), item.group_ids)
        dishes = self._dishes.values()
        items = {item.id: self._item(item, _rate(item, menu), item.description, item.image_url) for item in dishes}
        for group in self._groups.values():
            for option in group.modifiers:
                self._option(items, option, group)
        categories = self._categories()
        mealtime: Entity = {
            "id": "all-day",
            "name": _words("All day"),
            "description": _words("All day"),
            "seo_description": _words("All day"),
            "category_ids": [each["id"] for each in categories],
            "schedule": [{"day_of_week": DAYS.index(day), "time_periods": periods} for day, periods in schedule(menu.hours).items()],
        }
        if self._image:
            mealtime["image"] = {"url": self._image}
        return {
            "currency_code": menu.currency,
            "categories": categories,
            "items": list(items.values()),
            "modifiers": [self._modifier(group) for group in self._groups.values()],
            "mealtimes": [mealtime],
        }

    def _spread(self, rate: str, group_ids: Iterable[str]) -> None:
        """An option has the tax of the first dish that it comes with: the hub's options have none of their own."""
        for group in (self._groups[each] for each in group_ids if each in self._groups):
            for option in group.modifiers:
                if option.id not in self._rates:
                    self._rates[option.id] = rate
                    self._spread(rate, option.group_ids)

    def _price(self, thing: Item | Modifier) -> int:
        price = thing.channel_prices.get(SLUG, thing.price)
        if price.currency != self._menu.currency:
            raise Misconfigured(f"{thing.name} costs {price.currency} in a menu of {self._menu.currency}: a menu has one currency")
        if price.amount < 0:
            raise Misconfigured(f"{thing.name} costs {price.decimal()}: Deliveroo takes no price below zero")
        return price.amount

    def _item(self, thing: Item | Modifier, rate: str, description: str = "", image: str = "", *, choice: bool = False) -> Entity:
        made: Entity = {
            "id": self._choice_id(thing.id) if choice else thing.id,
            "type": "CHOICE" if choice else "ITEM",
            "name": _name(thing.name, f"{'option' if choice else 'item'} {thing.id}", _ITEM),
            "operational_name": thing.name[: _ITEM[1]],
            "description": _words(description[:_DESCRIPTION]),
            "price_info": {"price": self._price(thing), "overrides": [], "fees": []},
            "plu": thing.id,
            "tax_rate": rate,
            "contains_alcohol": isinstance(thing, Item) and thing.contains_alcohol,
            "modifier_ids": [group for group in thing.group_ids if group in self._groups],
        }
        if image:
            made["image"] = {"url": image}
        if isinstance(thing, Item) and thing.allergens:
            made["allergies"] = list(thing.allergens)
        return made

    def _choice_id(self, identifier: str) -> str:
        return CHOICE + identifier if identifier in self._dishes else identifier

    def _option(self, items: dict[str, Entity], option: Modifier, group: ModifierGroup) -> None:
        """One CHOICE for an option; where a group asks another price for it, that is said beside."""
        made = self._item(option, self._rates.get(option.id, "0"), choice=True)
        kept = items.setdefault(made["id"], made)
        price = made["price_info"]["price"]
        if price != kept["price_info"]["price"]:
            kept["price_info"]["overrides"].append({"type": "MODIFIER", "id": group.id, "price": price})

    def _modifier(self, group: ModifierGroup) -> Entity:
        options = list(dict.fromkeys(self._choice_id(option.id) for option in group.modifiers))
        return {
            "id": group.id,
            "name": _name(group.name, f"group {group.id}", _GROUP),
            "description": _words(""),
            "item_ids": options,
            "min_selection": group.minimum,
            "max_selection": max(group.maximum or len(options), group.minimum),
            "repeatable": group.minimum > len(options),
        }

    def _categories(self) -> list[Entity]:
        found = []
        for category in self._menu.categories:
            listed = [each for each in dict.fromkeys(category.item_ids) if each in self._dishes]
            if listed:
                name = _name(category.name, f"category {category.id}", _CATEGORY)
                found.append({"id": category.id, "name": name, "item_ids": listed})
        if not found:
            raise Misconfigured("no category of the menu has an item: Deliveroo takes no menu without")
        return found


def schedule(hours: Iterable[Hours]) -> Mapping[str, list[dict[str, str]]]:
    """Periods by day, in the week's order; all of it where no hours are given. What goes past midnight is told in two."""
    told = tuple(hours)
    if not told:
        return {day: [{"start": "00:00", "end": _END}] for day in DAYS}
    found: dict[str, list[tuple[str, str]]] = {}
    for each in told:
        past = each.closes <= each.opens
        found.setdefault(each.day, []).append((each.opens, _END if past else min(each.closes, _END)))
        if past and "00:00" < each.closes != each.opens:
            following = DAYS[(DAYS.index(each.day) + 1) % 7]
            found.setdefault(following, []).append(("00:00", each.closes))
    return {day: [{"start": start, "end": end} for start, end in _joined(found[day])] for day in DAYS if day in found}


def _joined(periods: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """In order, those that overlap made one."""
    found: list[tuple[str, str]] = []
    for start, end in sorted(periods):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def upload_body(store_ref: str, menu: Menu) -> Entity:
    """The body of an upload for one site; raises Misconfigured, naming what Deliveroo cannot hold."""
    return {"name": "Menu", "site_ids": [store_ref], "menu": _Upload(menu).build()}
