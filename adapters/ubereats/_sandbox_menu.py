"""Uber Eats' menu: what a pushed one has to be, how it is read for an order, and the one a store has before any push."""

import re
from collections.abc import Iterator
from typing import Any

from adapters._sandbox.calls import Json, Refused

from ._sandbox_checks import refuse

_DEEPEST = 6
_DAYS = frozenset({"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"})
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_MENU_TYPES = frozenset({"MENU_TYPE_FULFILLMENT_DELIVERY", "MENU_TYPE_FULFILLMENT_PICK_UP", "MENU_TYPE_FULFILLMENT_DINE_IN"})
_CONTEXTS = frozenset({"MENU", "ITEM", "MODIFIER_GROUP"})
_ITEM_FIELDS = frozenset(
    {
        *("id", "title", "description", "image_url", "external_data", "price_info", "quantity_info", "suspension_info"),
        *("modifier_group_ids", "tax_info", "tax_label_info", "nutritional_info", "dish_info", "visibility_info", "product_info"),
        *("bundled_items", "beverage_info", "physical_properties_info", "reward_group_id", "selling_info", "product_traits"),
    }
)
_GROUP_FIELDS = frozenset({"id", "title", "external_data", "modifier_options", "quantity_info", "display_type"})


def _bad(at: str, problem: str) -> Refused:
    return refuse("invalid_request", f"{at}: {problem}")


def _objects(body: Json, name: str) -> list[Json]:
    value = body.get(name)
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise _bad(name, "a required list of objects")
    return value


def _identifier(each: Json, at: str, seen: set[str]) -> str:
    identifier = each.get("id")
    if not isinstance(identifier, str) or not identifier:
        raise _bad(f"{at}.id", "a required text")
    if "/" in identifier or ";" in identifier:
        raise _bad(f"{at}.id", "must not contain / or ;")
    if identifier in seen:
        raise _bad(f"{at}.id", f"{identifier!r} is there twice")
    seen.add(identifier)
    return identifier


def _words(value: Any, at: str) -> None:
    translations = value.get("translations") if isinstance(value, dict) else None
    if not isinstance(translations, dict) or len(translations) != 1:
        raise _bad(at, "needs translations with exactly one language")
    locale, words = next(iter(translations.items()))
    if not re.fullmatch(r"[a-z]{2}(_[a-z]{2})?", locale) or not isinstance(words, str) or not words:
        raise _bad(at, "translations is {locale such as en_us: text}")


def _whole(value: Any, at: str, most: int = 10**9) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise _bad(at, "an integer from 0 up")
    return value


def check_price(price: Any, at: str) -> None:
    """Check a price_info; raises Refused. Prices are integers in the smallest unit."""
    if not isinstance(price, dict):
        raise _bad(at, "a required object")
    amount = _whole(price.get("price"), f"{at}.price")
    if price.get("core_price") is not None and _whole(price["core_price"], f"{at}.core_price") < amount:
        raise _bad(f"{at}.core_price", "must not be below price")
    for index, override in enumerate(price.get("overrides") or []):
        where = f"{at}.overrides[{index}]"
        if not isinstance(override, dict) or override.get("context_type") not in _CONTEXTS:
            raise _bad(where, f"context_type is one of {', '.join(sorted(_CONTEXTS))}")
        if not isinstance(override.get("context_value"), str):
            raise _bad(where, "needs context_value")
        _whole(override.get("price"), f"{where}.price")


def check_suspension(value: Any, at: str) -> None:
    """Check a suspension_info; raises Refused. Times are seconds since 1970."""
    if not isinstance(value, dict):
        raise _bad(at, "an object")
    suspension = value.get("suspension")
    if suspension is None:
        return
    if not isinstance(suspension, dict):
        raise _bad(f"{at}.suspension", "an object or null")
    if suspension.get("suspend_until") is not None:
        _whole(suspension["suspend_until"], f"{at}.suspension.suspend_until", 1 << 62)


def _quantity(value: Any, at: str) -> None:
    quantity = (value or {}).get("quantity") if isinstance(value or {}, dict) else None
    if not quantity:
        return
    numbers = {name: _whole(each, f"{at}.quantity.{name}") for name, each in quantity.items() if isinstance(each, int | float)}
    if numbers.get("min_permitted", 0) > numbers.get("max_permitted", 10**9):
        raise _bad(f"{at}.quantity", "min_permitted is above max_permitted")
    if ("charge_above" in numbers) != ("refund_under" in numbers):
        raise _bad(f"{at}.quantity", "charge_above and refund_under go together")


def _item(item: Json, at: str) -> None:
    if unknown := sorted(item.keys() - _ITEM_FIELDS):
        raise _bad(at, f"unknown field {unknown[0]}")
    _words(item.get("title"), f"{at}.title")
    if item.get("description") is not None:
        _words(item["description"], f"{at}.description")
    check_price(item.get("price_info"), f"{at}.price_info")
    tax = item.get("tax_info")
    if not isinstance(tax, dict):
        raise _bad(f"{at}.tax_info", "a required object")
    rates = {name: tax[name] for name in ("tax_rate", "vat_rate_percentage") if tax.get(name) is not None}
    if len(rates) > 1:
        raise _bad(f"{at}.tax_info", "either tax_rate or vat_rate_percentage")
    for name, rate in rates.items():
        if not isinstance(rate, int | float) or isinstance(rate, bool) or not 0 <= rate <= 100:
            raise _bad(f"{at}.tax_info.{name}", "a percentage from 0 to 100")
    if len(item.get("external_data") or "") > 1024:
        raise _bad(f"{at}.external_data", "at most 1024 signs")
    if item.get("image_url") is not None and not str(item["image_url"]).startswith(("http://", "https://")):
        raise _bad(f"{at}.image_url", "an address")
    if item.get("suspension_info") is not None:
        check_suspension(item["suspension_info"], f"{at}.suspension_info")
    _quantity(item.get("quantity_info"), f"{at}.quantity_info")


class Menu:
    """A menu that passed: its items and groups by id."""

    def __init__(self, body: Json) -> None:
        """Check a PUT body; raises Refused that names the first bad place."""
        self.body = body
        self.items: dict[str, Json] = {}
        self.groups: dict[str, Json] = {}
        parts = {name: _objects(body, name) for name in ("items", "modifier_groups", "categories", "menus")}
        seen: dict[str, set[str]] = {name: set() for name in parts}
        if body.get("menu_type") is not None and body["menu_type"] not in _MENU_TYPES:
            raise _bad("menu_type", f"one of {', '.join(sorted(_MENU_TYPES))}")
        for index, item in enumerate(parts["items"]):
            self.items[_identifier(item, f"items[{index}]", seen["items"])] = item
            _item(item, f"items[{index}]")
        for index, group in enumerate(parts["modifier_groups"]):
            self.groups[_identifier(group, f"modifier_groups[{index}]", seen["modifier_groups"])] = group
            self._group(group, f"modifier_groups[{index}]")
        for index, item in enumerate(parts["items"]):
            for each in self.group_ids(item):
                if each not in self.groups:
                    raise _bad(f"items[{index}].modifier_group_ids", f"no modifier group {each!r}")
        for index, category in enumerate(parts["categories"]):
            _identifier(category, f"categories[{index}]", seen["categories"])
            _words(category.get("title"), f"categories[{index}].title")
            self._entities(category.get("entities"), f"categories[{index}].entities")
        for index, menu in enumerate(parts["menus"]):
            _identifier(menu, f"menus[{index}]", seen["menus"])
            self._menu(menu, f"menus[{index}]", seen["categories"])
        if not parts["menus"]:
            raise _bad("menus", "at least one")
        for identifier in self.items:
            self._depth(identifier, ())

    def _group(self, group: Json, at: str) -> None:
        if unknown := sorted(group.keys() - _GROUP_FIELDS):
            raise _bad(at, f"unknown field {unknown[0]}")
        _words(group.get("title"), f"{at}.title")
        self._entities(group.get("modifier_options"), f"{at}.modifier_options")
        _quantity(group.get("quantity_info"), f"{at}.quantity_info")

    def _entities(self, entities: Any, at: str) -> None:
        if not isinstance(entities, list) or not entities:
            raise _bad(at, "a list with at least one {type, id}")
        for index, each in enumerate(entities):
            if not isinstance(each, dict) or each.get("type") != "ITEM" or each.get("id") not in self.items:
                raise _bad(f"{at}[{index}]", "is {type: ITEM, id} of an item in this menu")

    @staticmethod
    def _menu(menu: Json, at: str, categories: set[str]) -> None:
        _words(menu.get("title"), f"{at}.title")
        days = menu.get("service_availability")
        if not isinstance(days, list) or not days:
            raise _bad(f"{at}.service_availability", "a list with at least one day")
        for day in days:
            periods = day.get("time_periods") if isinstance(day, dict) else None
            if not isinstance(periods, list) or day.get("day_of_week") not in _DAYS:
                raise _bad(f"{at}.service_availability", "is {day_of_week: monday…, time_periods}")
            for period in periods:
                start, end = (str(period.get(name)) if isinstance(period, dict) else "" for name in ("start_time", "end_time"))
                if not _CLOCK.fullmatch(start) or not _CLOCK.fullmatch(end) or start >= end:
                    raise _bad(f"{at}.service_availability", "start_time and end_time are HH:MM, the last one 23:59")
        wanted = menu.get("category_ids")
        if not isinstance(wanted, list) or not wanted or any(each not in categories for each in wanted):
            raise _bad(f"{at}.category_ids", "names categories of this menu")

    def _depth(self, identifier: str, above: tuple[str, ...]) -> None:
        if identifier in above:
            raise _bad("items", f"{identifier!r} is nested in itself")
        if len(above) > _DEEPEST:
            raise _bad("items", f"{above[0]!r} nests deeper than {_DEEPEST} levels")
        for group in self.group_ids(self.items[identifier]):
            for option in self.groups[group]["modifier_options"]:
                self._depth(option["id"], (*above, identifier))

    @staticmethod
    def group_ids(item: Json) -> list[str]:
        """The ids of an item's modifier groups."""
        return list((item.get("modifier_group_ids") or {}).get("ids") or [])

    def for_sale(self, now: float) -> Iterator[Json]:
        """Items of any category that are not suspended at this time."""
        seen: set[str] = set()
        for category in self.body["categories"]:
            for entity in category["entities"]:
                item = self.items[entity["id"]]
                if item["id"] not in seen and not is_suspended(item, now):
                    seen.add(item["id"])
                    yield item

    def summary(self) -> list[Json]:
        """Id, title, price, external data and suspension of every item."""
        return [
            {
                "id": item["id"],
                "title": title(item),
                "name": title(item),
                "price": item["price_info"]["price"],
                "external_data": item.get("external_data"),
                "suspended_until": suspended_until(item),
            }
            for item in self.items.values()
        ]


def title(entity: Json) -> str:
    """The one text of an item or group."""
    return str(next(iter(entity["title"]["translations"].values())))


def suspended_until(item: Json) -> int:
    """Until when an item is off sale, seconds since 1970; 0 when it never was."""
    return int(((item.get("suspension_info") or {}).get("suspension") or {}).get("suspend_until") or 0)


def is_suspended(item: Json, now: float) -> bool:
    """Tell whether an item is off sale at this time."""
    return suspended_until(item) > now


def price_in(item: Json, group: str | None) -> int:
    """An item's price, as an option of a group where that differs."""
    for override in item["price_info"].get("overrides") or []:
        if group is not None and override["context_type"] == "MODIFIER_GROUP" and override["context_value"] == group:
            return int(override["price"])
    return int(item["price_info"]["price"])


def _text(words: str) -> Json:
    return {"translations": {"en_us": words}}


def _entry(identifier: str, name: str, price: int, data: str, groups: tuple[str, ...] = (), rate: float = 8.875) -> Json:
    return {
        "id": identifier,
        "title": _text(name),
        "external_data": data,
        "price_info": {"price": price},
        "tax_info": {"tax_rate": rate},
        **({"modifier_group_ids": {"ids": list(groups)}} if groups else {}),
    }


def _choice(identifier: str, name: str, least: int, most: int, options: tuple[str, ...]) -> Json:
    return {
        "id": identifier,
        "title": _text(name),
        "external_data": identifier,
        "quantity_info": {"quantity": {"min_permitted": least, "max_permitted": most}},
        "modifier_options": [{"type": "ITEM", "id": each} for each in options],
    }


def built_in() -> Menu:
    """The menu a store has before anything is pushed: nested choices, odd prices, Arabic and accents."""
    items = [
        _entry("burger-single", "Classic Burger – Single", 1249, "BRG-1", ("bun", "extras")),
        _entry("burger-double", "Classic Burger – Double", 1633, "BRG-2", ("bun", "extras")),
        _entry("shawarma", "شاورما دجاج Chicken Shawarma", 1019, "SHW-1", ("sauces",)),
        _entry("falafel", "Falafel Wrap", 969, "FLF-1", ("sauces",)),
        _entry("fries", "Jalapeño Fries", 497, "FRY-1", ("sauces",)),
        _entry("combo", "Lunch Combo “Café”", 1787, "CMB-1", ("combo-main",)),
        _entry("water", "مياه معدنية Mineral Water", 229, "WTR-1", rate=0),
        _entry("brulee", "Crème brûlée", 833, "CRB-1"),
        _entry("bun-brioche", "Brioche", 0, "BUN-1"),
        _entry("bun-gluten-free", "Gluten-free", 135, "BUN-2"),
        _entry("bacon", "Smoked Bacon", 173, "EXT-1"),
        _entry("cheddar", "Aged Cheddar", 99, "EXT-2"),
        _entry("toum", "ثومية Toum", 0, "SAU-1"),
        _entry("tahini", "Tahini", 57, "SAU-2"),
        _entry("combo-burger", "Burger of the Day", 0, "CMB-2", ("bun",)),
        _entry("combo-wrap", "Wrap of the Day", 0, "CMB-3", ("sauces",)),
    ]
    groups = [
        _choice("bun", "Bun", 1, 1, ("bun-brioche", "bun-gluten-free")),
        _choice("extras", "Extras", 0, 3, ("bacon", "cheddar")),
        _choice("sauces", "Sauces", 0, 2, ("toum", "tahini")),
        _choice("combo-main", "Main", 1, 1, ("combo-burger", "combo-wrap")),
    ]
    served = ("burger-single", "burger-double", "shawarma", "falafel", "fries", "combo", "water", "brulee")
    all_day = [{"start_time": "00:00", "end_time": "23:59"}]
    return Menu(
        {
            "items": items,
            "modifier_groups": groups,
            "categories": [{"id": "all", "title": _text("Everything"), "entities": [{"type": "ITEM", "id": each} for each in served]}],
            "menus": [
                {
                    "id": "main",
                    "title": _text("Menu"),
                    "service_availability": [{"day_of_week": day, "time_periods": all_day} for day in sorted(_DAYS)],
                    "category_ids": ["all"],
                }
            ],
        }
    )
