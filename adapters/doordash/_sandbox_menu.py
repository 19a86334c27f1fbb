"""DoorDash's menus: what a pushed or pulled one has to be, how consumers read it, and the one a store has at the start.

Prices are integers in the smallest unit of the store's currency; `tax_rate` is a text in percent.
"""

import re
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from adapters._sandbox.baskets import Card, Dish, Group
from adapters._sandbox.calls import Json, timestamp

DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(:[0-5]\d)?")
_RATE = re.compile(r"\d{1,3}(\.\d{1,4})?")
_LENGTHS = {"subtitle": 500, "description": 1000, "merchant_supplied_id": 1024}
_FLAGS = ("active", "is_alcohol", "is_bike_friendly", "default")
_LIMITS = (
    ("min_num_options", "max_num_options"),
    ("min_option_choice_quantity", "max_option_choice_quantity"),
    ("min_aggregate_options_quantity", "max_aggregate_options_quantity"),
)
_NUMBERS = ("sort_id", "price", "base_price", "num_free_options", *(name for pair in _LIMITS for name in pair))
_DEEPEST = 3
_SHORTEST_MINUTES = 30
_UNTAXED = Decimal("8.875")
"""What the platform charges where a menu names no tax rate."""


class MenuError(ValueError):
    """A menu that is refused; the text names the place."""


def _objects(value: Any, at: str, *, required: bool = False) -> list[Json]:
    if value is None and not required:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise MenuError(f"{at}: has to be a list of objects")
    return value


def _text(holder: Json, name: str, at: str, most: int = 1024) -> str:
    value = holder.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= most:
        raise MenuError(f"{at}: {name} is required, a text of at most {most} signs")
    return value


def _values(each: Json, at: str) -> None:
    for name, most in _LENGTHS.items():
        value = each.get(name)
        if value is not None and (not isinstance(value, str) or len(value) > most):
            raise MenuError(f"{at}: {name} has to be a text of at most {most} signs")
    for name in _FLAGS:
        if not isinstance(each.get(name, True), bool | None):
            raise MenuError(f"{at}: {name} has to be a boolean")
    for name in _NUMBERS:
        value = each.get(name, 0)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise MenuError(f"{at}: {name} has to be an integer from 0 up")
    rate = each.get("tax_rate")
    if rate is not None and not (isinstance(rate, str) and _RATE.fullmatch(rate) and Decimal(rate) <= 100):
        raise MenuError(f"{at}: tax_rate has to be a text in percent")
    image = each.get("original_image_url")
    if image and not (isinstance(image, str) and image.startswith(("http://", "https://"))):
        raise MenuError(f"{at}: original_image_url has to be an address")


def _level(holder: Json, name: str, at: str, kind: str, check: Callable[[Json, str], None]) -> None:
    """Check one level of the tree; ids must not repeat in it."""
    seen: set[str] = set()
    for each in _objects(holder.get(name), f"{at}.{name}"):
        called = _text(each, "name", f"{at}.{kind}", 500)
        _values(each, f"{at}.{kind}[{called}]")
        identifier = each.get("merchant_supplied_id")
        if identifier and identifier in seen:
            raise MenuError(f"{at}: find duplicate merchant id:{identifier}, name:{called}")
        seen.add(identifier or "")
        check(each, f"{at}.{kind}[{called}]")


def _category(category: Json, at: str) -> None:
    _level(category, "items", at, "MenuItem", _item)


def _item(item: Json, at: str) -> None:
    _text(item, "merchant_supplied_id", at)
    _priced(item, at)
    _hours(item.get("item_special_hours"), f"{at}.item_special_hours")
    _level(item, "extras", at, "ItemExtra", lambda extra, where: _extra(extra, where, 1))


def _priced(each: Json, at: str) -> None:
    if each.get("price") is None:
        raise MenuError(f"{at}: price is required")


def _extra(extra: Json, at: str, depth: int) -> None:
    for least, most in _LIMITS:
        if extra.get(least) and extra.get(most) and extra[least] > extra[most]:
            raise MenuError(f"{at}: {least} is above {most}")

    def option(each: Json, where: str) -> None:
        _priced(each, where)
        if each.get("extras") and depth >= _DEEPEST:
            raise MenuError(f"{where}: extras are nested deeper than {_DEEPEST} levels")
        _level(each, "extras", where, "ItemExtra", lambda inner, there: _extra(inner, there, depth + 1))

    _level(extra, "options", at, "ItemExtraOption", option)


def _hours(value: Any, at: str, *, required: bool = False) -> None:
    for each in _objects(value, at, required=required):
        if each.get("day_index") not in DAYS or not all(_CLOCK.fullmatch(str(each.get(name))) for name in ("start_time", "end_time")):
            raise MenuError(f"{at}: is {{day_index: MON…SUN, start_time, end_time}} with times as HH:MM or HH:MM:SS")


def _special_hours(value: Any) -> None:
    for each in _objects(value, "StoreMenu.special_hours", required=True):
        try:
            date.fromisoformat(str(each.get("date")))
        except ValueError as error:
            raise MenuError("StoreMenu.special_hours: date is YYYY-MM-DD") from error
        if not isinstance(each.get("closed", False), bool):
            raise MenuError("StoreMenu.special_hours: closed has to be a boolean")
        if not each.get("closed") and not all(_CLOCK.fullmatch(str(each.get(name))) for name in ("start_time", "end_time")):
            raise MenuError("StoreMenu.special_hours: start_time and end_time are HH:MM or HH:MM:SS")


def check_menu(body: Json) -> None:
    """Check what is decided at once about a menu; raises MenuError."""
    store = body.get("store")
    if not isinstance(store, dict):
        raise MenuError("StoreMenu.store: is required")
    for name in ("merchant_supplied_id", "provider_type"):
        _text(store, name, "StoreMenu.store")
    if not isinstance(body.get("reference", ""), str):
        raise MenuError("StoreMenu.reference: has to be a text")
    _hours(body.get("open_hours"), "StoreMenu.open_hours", required=True)
    _special_hours(body.get("special_hours"))
    menu = body.get("menu")
    if not isinstance(menu, dict):
        raise MenuError("StoreMenu.menu: is required")
    _text(menu, "name", "StoreMenu.menu", 500)
    _values(menu, "StoreMenu.menu")
    _level(menu, "categories", "StoreMenu.menu", "MenuCategory", _category)


def _minute(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:5])


def hours_problem(body: Json) -> str:
    """What is wrong with opening hours that are well written; an empty text when nothing is."""
    spans: list[tuple[int, int]] = []
    for each in body["open_hours"]:
        start, end = _minute(each["start_time"]), _minute(each["end_time"])
        length = (end - start) % 1440 or 1440
        if length <= _SHORTEST_MINUTES:
            return f"open_hours: {each['day_index']} is open for {_SHORTEST_MINUTES} minutes or less"
        begin = DAYS.index(each["day_index"]) * 1440 + start
        spans.append((begin, begin + length))
    week = 7 * 1440
    spans.sort()
    for (_, end), (begin, _) in zip(spans, [*spans[1:], *((first + week, last) for first, last in spans[:1])], strict=True):
        if begin < end:
            return "open_hours: times overlap"
    dates = [each["date"] for each in body["special_hours"]]
    return "special_hours: a date is there twice" if len(dates) > len(set(dates)) else ""


@dataclass
class StoreMenu:
    """One menu of a store; `ids` are all that it has ever had, the last one its own."""

    ids: list[str]
    body: Json
    updated: float
    status: str = "SUCCESS"
    succeeded: float = 0
    built_in: bool = False

    @property
    def active(self) -> bool:
        """Tell whether consumers see it."""
        return self.body["menu"].get("active") is not False

    def details(self, store: str) -> Json:
        """The menu as `menu_details` lists it."""
        menu = self.body["menu"]
        return {
            "menu_id": self.ids[-1],
            "name": menu["name"],
            "subtitle": menu.get("subtitle") or "",
            "is_active": self.active,
            "is_pos_menu": True,
            "url": f"https://www.doordash.com/store/{store}",
            "latest_menu_update": {"created_at": timestamp(self.updated), "status": self.status},
            "last_successful_menu_update_at": timestamp(self.succeeded),
            "open_hours": self.body["open_hours"],
            "special_hours": self.body["special_hours"],
        }


def without_tax(value: Any) -> Any:
    """A menu as it is read back: its tax fields are not shown."""
    if isinstance(value, dict):
        return {name: without_tax(each) for name, each in value.items() if name not in {"tax_rate", "tax_category"}}
    return [without_tax(each) for each in value] if isinstance(value, list) else value


@dataclass
class Shelf:
    """What consumers can choose from at a store. Options are known by their place; `Dish.plu` is the merchant's id."""

    off_items: Container[str] = ()
    off_options: Container[str] = ()
    categories: dict[str, tuple[str, str]] = field(default_factory=dict)
    extras: dict[str, str] = field(default_factory=dict)
    _dishes: dict[str, Dish] = field(default_factory=dict)
    _groups: dict[str, Group] = field(default_factory=dict)

    def put(self, menus: Iterable[StoreMenu]) -> "Shelf":
        """Put menus on it; of an item that is there twice the first available one counts."""
        for menu in menus:
            for category in menu.body["menu"].get("categories") or []:
                shown = menu.active and category.get("active") is not False
                for item in category.get("items") or []:
                    key = item["merchant_supplied_id"]
                    if key not in self._dishes or not self._dishes[key].available:
                        self._dish(item, key, key in self.off_items or not shown, _UNTAXED, alone=True)
                        self.categories[key] = (category["name"], category.get("merchant_supplied_id") or "")
        return self

    def _dish(self, each: Json, key: str, off: bool, tax: Decimal, *, alone: bool) -> None:
        tax = Decimal(each["tax_rate"]) if each.get("tax_rate") else tax
        groups = [self._group(extra, key, tax) for extra in each.get("extras") or [] if extra.get("active") is not False]
        available = not off and each.get("active") is not False
        own = each.get("merchant_supplied_id") or each["name"]
        self._dishes[key] = Dish(key, each["name"], each["price"], tuple(groups), tax, own, available, alone)

    def _group(self, extra: Json, parent: str, tax: Decimal) -> str:
        own = extra.get("merchant_supplied_id") or extra["name"]
        key = f"{parent}\n{own}"
        self.extras[key] = own
        options = []
        for option in extra.get("options") or []:
            identifier = option.get("merchant_supplied_id") or option["name"]
            options.append(f"{key}\n{identifier}")
            self._dish(option, options[-1], identifier in self.off_options, tax, alone=False)
        each = extra.get("max_option_choice_quantity") or 1
        distinct = extra.get("max_num_options") or len(options)
        least = extra.get("min_aggregate_options_quantity") or extra.get("min_num_options") or 0
        most = extra.get("max_aggregate_options_quantity") or distinct * each
        if least <= distinct:
            most = min(most, distinct)
        if (extra.get("min_num_options") or 0) > 1:
            each = 1
        self._groups[key] = Group(key, extra["name"], tuple(options), least, max(least, most), each)
        return key

    def card(self) -> Card:
        """The card that orders are drawn from."""
        return Card(list(self._dishes.values()), list(self._groups.values()))

    def keyed(self, wanted: Any, parent: Dish | None = None) -> Any:
        """Items of a control call, their options named as the card names them."""
        if not isinstance(wanted, list):
            return wanted
        made: list[Any] = []
        for each in wanted:
            if not isinstance(each, dict):
                made.append(each)
                continue
            key = each.get("id")
            for group in parent.groups if parent else ():
                key = next((option for option in self._groups[group].options if self._dishes[option].plu == key), key)
            dish = self._dishes.get(key) if isinstance(key, str) else None
            made.append({**each, "id": key, "modifiers": self.keyed(each.get("modifiers", []), dish or Dish("", "", 0))})
        return made

    def knows(self, identifier: str, *, alone: bool) -> bool:
        """Tell whether the menus have an item (`alone`) or an option of this merchant's id."""
        return any(dish.plu == identifier and dish.sold_alone is alone for dish in self._dishes.values())

    def summary(self) -> list[Json]:
        """Id, name, price and availability of each item and each option."""
        found: dict[str, Json] = {}
        for dish in sorted(self._dishes.values(), key=lambda each: not each.sold_alone):
            found.setdefault(dish.plu, {"id": dish.plu, "name": dish.name, "price": dish.price, "available": dish.available})
        return list(found.values())


def _option(identifier: str, name: str, price: int, *extras: Json) -> Json:
    return {"merchant_supplied_id": identifier, "name": name, "price": price, **({"extras": list(extras)} if extras else {})}


def _choice(identifier: str, name: str, least: int, most: int, *options: Json, each: int = 1) -> Json:
    limits = {"min_num_options": least, "max_num_options": most, "max_option_choice_quantity": each}
    return {"merchant_supplied_id": identifier, "name": name, **limits, "options": list(options)}


def built_in(store: str, provider: str) -> Json:
    """The menu of a store at the start: nested choices, odd prices, two tax rates, Arabic and accents."""
    bun = _choice("bun", "Bun", 1, 1, _option("bun-brioche", "Brioche", 0), _option("bun-gluten-free", "Gluten-free", 135))
    toppings = _choice("toppings", "Toppings", 0, 3, _option("bacon", "Smoked Bacon", 173), _option("cheddar", "Cheddar", 99), each=2)
    sauces = _choice("sauces", "Sauces", 0, 2, _option("toum", "ثومية Toum", 0), _option("tahini", "Tahini", 57))
    main = _choice(
        "main", "Main", 1, 1, _option("of-burger", "Burger of the Day", 0, bun), _option("of-wrap", "Wrap of the Day", 0, sauces)
    )

    def item(identifier: str, name: str, price: int, *extras: Json, tax: str = "8") -> Json:
        return {**_option(identifier, name, price), "tax_rate": tax, "extras": list(extras)}

    grill = [item("burger-single", "Classic Burger – Single", 1249, bun, toppings), item("shawarma", "شاورما دجاج", 1019, sauces)]
    sides = [item("fries", "Jalapeño Fries", 497, sauces), item("combo", "Lunch Combo “Café”", 1787, main)]
    sweet = [item("brulee", "Crème brûlée", 833), item("water", "مياه معدنية Mineral Water", 229, tax="0")]
    shelves = (("grill", "Grill", grill), ("sides", "Sides & Combos", sides), ("sweet", "Sweets & Drinks", sweet))
    return {
        "reference": "",
        "store": {"merchant_supplied_id": store, "provider_type": provider},
        "open_hours": [{"day_index": day, "start_time": "00:00", "end_time": "23:59"} for day in DAYS],
        "special_hours": [],
        "menu": {
            "name": "All Day",
            "active": True,
            "categories": [{"merchant_supplied_id": key, "name": name, "items": items} for key, name, items in shelves],
        },
    }
