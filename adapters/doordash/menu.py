"""The hub's menu as DoorDash's tree: categories, items, extras, options. The same document is pushed and handed out on a pull."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from hub.contract import Misconfigured
from hub.model import Hours, Item, Menu, ModifierGroup
from hub.model.menu import Modifier

SLUG = "doordash"
DEEPEST = 3
"""Levels of choices: below an item, and two more below options."""
LONGEST_NAME = 500
LONGEST_DESCRIPTION = 1000
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_INDEXES = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_DAY = 24 * 60
_WEEK = 7 * _DAY
_LONGEST = _DAY - 1
Json = dict[str, Any]


def own_menu_id(store_ref: str) -> str:
    """Our id of a store's menu: pushed again under the same id, it takes the place of the former one."""
    return f"hub-{store_ref}"


def store_menu(store_ref: str, menu: Menu) -> Json:
    """Hours and menu of one store, as both directions want them; raises Misconfigured, naming what DoorDash cannot hold.

    What is sold out is not told here: an item that a menu hides would stay hidden when it is back.
    """
    tree = _Tree(menu)
    body = {"name": "Menu", "merchant_supplied_id": own_menu_id(store_ref), "active": True, "categories": tree.categories()}
    return {"open_hours": open_hours(menu.hours), "special_hours": [], "menu": body}


class _Tree:
    """Builds the tree; groups are written out wherever they are used."""

    def __init__(self, menu: Menu) -> None:
        self._menu = menu
        self._items = {item.id: item for item in menu.items}
        self._groups = {group.id: group for group in menu.groups if group.modifiers}

    def categories(self) -> list[Json]:
        made = []
        for place, category in enumerate(self._menu.categories):
            items = [self._items[each] for each in dict.fromkeys(category.item_ids) if each in self._items]
            if items:
                head = {"name": _name(category.name or category.id), "merchant_supplied_id": category.id, "active": True, "sort_id": place}
                made.append({**head, "items": [self._item(item, order) for order, item in enumerate(items)]})
        if not made:
            raise Misconfigured("no category of the menu has an item: DoorDash would show an empty store")
        return made

    def _item(self, item: Item, place: int) -> Json:
        made = self._priced(item, place)
        if item.description:
            made["description"] = item.description[:LONGEST_DESCRIPTION]
        if item.image_url:
            made["original_image_url"] = item.image_url
        if rate := self._rate(item):
            made["tax_rate"] = rate
        made["extras"] = self._extras(item.group_ids, item.name, 1)
        return made

    def _priced(self, thing: Item | Modifier, place: int) -> Json:
        price = thing.channel_prices.get(SLUG, thing.price)
        if price.currency != self._menu.currency:
            raise Misconfigured(f"{thing.id} costs {price.currency} in a menu of {self._menu.currency}: a menu has one currency")
        if price.amount < 0:
            raise Misconfigured(f"{thing.id} costs {price.decimal()}: DoorDash takes no price below zero")
        named = {"name": _name(thing.name or thing.id), "merchant_supplied_id": thing.id}
        return {**named, "active": True, "sort_id": place, "price": price.amount}

    def _rate(self, item: Item) -> str:
        """The added taxes in percent; taxes within the price have no place."""
        rates = [Decimal(tax.rate) for tax in self._menu.taxes if tax.id in item.tax_ids and not tax.inclusive]
        return f"{sum(rates, Decimal(0)).normalize():f}" if rates else ""

    def _extras(self, group_ids: Iterable[str], where: str, level: int) -> list[Json]:
        groups = [self._groups[each] for each in dict.fromkeys(group_ids) if each in self._groups]
        if groups and level > DEEPEST:
            raise Misconfigured(f"{where}: {groups[0].name!r} is a choice of level {level}, and DoorDash has {DEEPEST}")
        return [self._extra(group, place, level) for place, group in enumerate(groups)]

    def _extra(self, group: ModifierGroup, place: int, level: int) -> Json:
        named = {"name": _name(group.name or group.id), "merchant_supplied_id": group.id, "active": True, "sort_id": place}
        options = {option.id: option for option in group.modifiers}
        shown = [self._option(option, order, level) for order, option in enumerate(options.values())]
        return {**named, **_limits(group, len(shown)), "options": shown}

    def _option(self, option: Modifier, place: int, level: int) -> Json:
        made = self._priced(option, place)
        if option.default:
            made["default"] = True
        if extras := self._extras(option.group_ids, option.name, level + 1):
            made["extras"] = extras
        return made


def _name(name: str) -> str:
    return name[:LONGEST_NAME]


def _limits(group: ModifierGroup, count: int) -> Json:
    """How many different options; where more are wanted than there are, how many in all."""
    if group.minimum > count:
        most = max(group.maximum, group.minimum)
        whole = {"min_aggregate_options_quantity": group.minimum, "max_aggregate_options_quantity": most}
        return {"min_num_options": 1, "max_num_options": count, "max_option_choice_quantity": most, **whole}
    return {"min_num_options": group.minimum, "max_num_options": max(min(group.maximum or count, count), group.minimum)}


# Hours


def _minute(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)


def _clock(minute: int) -> str:
    return f"{minute // 60 % 24:02d}:{minute % 60:02d}"


def open_hours(hours: Sequence[Hours]) -> list[Json]:
    """Local times that never overlap; an end before the start is the next day's. Without hours: all day, every day.

    What touches is joined, because ordering ends twenty minutes before each end.
    """
    spans: list[tuple[int, int]] = []
    for each in hours or [Hours(day, "00:00", "23:59") for day in _DAYS]:  # type: ignore[arg-type]
        start = _minute(each.opens)
        length = (_minute(each.closes) - start) % _DAY or _LONGEST
        begin = _DAYS.index(each.day) * _DAY + start
        spans.append((begin, begin + length))
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            first, last = joined[-1]
            if max(last, end) - first <= _LONGEST:
                joined[-1] = (first, max(last, end))
                continue
            begin = last
        if begin < end:
            joined.append((begin, end))
    if len(joined) > 1 and joined[-1][1] - _WEEK > joined[0][0]:
        joined[-1] = (joined[-1][0], joined[0][0] + _WEEK)
    return [{"day_index": _INDEXES[begin // _DAY], "start_time": _clock(begin), "end_time": _clock(end)} for begin, end in joined]
