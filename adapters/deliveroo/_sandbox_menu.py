"""Deliveroo's menu: what an uploaded one has to be, how a consumer reads it, and the one a site has before any upload.

Prices are integers in the smallest unit; `tax_rate` is a percentage as text, and prices contain the tax.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from adapters._sandbox.baskets import Card, Dish, Group
from adapters._sandbox.calls import Json

_TYPES = ("ITEM", "CHOICE", "BUNDLE")
_GROUP_TYPES = ("bundle-item", "up-sell-existing-items")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_RATE = re.compile(r"\d{1,2}(\.\d{1,3})?|100")
_LANGUAGE = re.compile(r"[a-z]{2}(-[A-Za-z]{2,4})?")
_DEAREST = 10**8
_DEEPEST = 6


class MenuError(ValueError):
    """A menu that processing refuses: its text says where and why; `images` are the addresses that are none."""

    def __init__(self, at: str, problem: str, images: tuple[str, ...] = ()) -> None:
        super().__init__(f"{at}: {problem}")
        self.images = images

    def shown(self) -> Json:
        """The errors of the upload result."""
        return {"processing": str(self), "images": [{"url": url, "message": "the image cannot be fetched"} for url in self.images]}


def check_periods(periods: Any, at: str) -> None:
    """Check opening times of a day, `[{start, end}]` as HH:MM; raises MenuError."""
    if not isinstance(periods, list):
        raise MenuError(at, "time_periods is a list")
    for period in periods:
        start, end = (str(period.get(name)) if isinstance(period, dict) else "" for name in ("start", "end"))
        if not _CLOCK.fullmatch(start) or not _CLOCK.fullmatch(end) or start >= end:
            raise MenuError(at, "a period is {start, end} as HH:MM, its end after its start")


def _words(holder: Json, name: str, at: str, least: int, most: int, *, needed: bool = True) -> None:
    """Check {language: text} with texts of some length; what is not needed may be absent or empty."""
    value = holder.get(name)
    if value is None and not needed:
        return
    if not isinstance(value, dict) or (needed and not value):
        raise MenuError(f"{at}.{name}", "is {language: text}")
    for language, text in value.items():
        if not _LANGUAGE.fullmatch(language) or not isinstance(text, str):
            raise MenuError(f"{at}.{name}", "is {language: text}")
        if not least <= len(text) <= most and (needed or text):
            raise MenuError(f"{at}.{name}", f"has {least} to {most} signs")


def _whole(value: Any, at: str, most: int = _DEAREST) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise MenuError(at, f"is an integer from 0 to {most}")
    return value


def _named(value: Any, known: Mapping[str, Any], at: str, *, needed: bool = True) -> list[str]:
    """Ids out of the menu."""
    if value is None and not needed:
        return []
    if not isinstance(value, list):
        raise MenuError(at, "is a list of ids")
    for each in value:
        if not isinstance(each, str) or each not in known:
            raise MenuError(at, f"{each!r} is not in this menu")
    return value


def _image(holder: Json, at: str, *, needed: bool) -> None:
    image = holder.get("image")
    if image is None and not needed:
        return
    url = image.get("url") if isinstance(image, dict) else None
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise MenuError(f"{at}.image", "needs an address", (str(url),))


def text_of(entity: Json, name: str = "name") -> str:
    """The first text of an entity in any language."""
    return str(next(iter((entity.get(name) or {}).values()), ""))


class Menu:
    """A menu that passed; `whole` asks for what the third version of the API asks for. Raises MenuError."""

    def __init__(self, body: Json, currencies: set[str], *, whole: bool = False) -> None:
        self.body = body
        self._strict = whole
        parts = {name: self._by_id(name) for name in ("categories", "items", "modifiers", "mealtimes")}
        self.categories, self.items, self.modifiers, self.mealtimes = parts.values()
        if (whole or "currency_code" in body) and {body.get("currency_code")} != currencies:
            raise MenuError("currency_code", f"is the sites' currency, {', '.join(sorted(currencies))}")
        for item in self.items.values():
            self._item(item, f"items.{item['id']}")
        for group in self.modifiers.values():
            self._group(group, f"modifiers.{group['id']}")
        for category in self.categories.values():
            self._category(category, f"categories.{category['id']}")
        for mealtime in self.mealtimes.values():
            self._mealtime(mealtime, f"mealtimes.{mealtime['id']}")
        if not self.mealtimes:
            raise MenuError("mealtimes", "there has to be one")
        heights: dict[str, int] = {}
        for identifier in self.items:
            self._height(identifier, (), heights)
        self.sold = {each for category in self.categories.values() for each in category["item_ids"]}
        for item in self.items.values():
            if whole and item["type"] == "ITEM" and item["id"] not in self.sold:
                raise MenuError(f"items.{item['id']}", "is in no category")

    def _by_id(self, name: str) -> dict[str, Json]:
        entities = self.body.get(name)
        if not isinstance(entities, list) or not all(isinstance(each, dict) for each in entities):
            raise MenuError(name, "is a list of objects")
        found: dict[str, Json] = {}
        for each in entities:
            identifier = each.get("id")
            if not isinstance(identifier, str) or not identifier:
                raise MenuError(name, "each has an id")
            if identifier in found:
                raise MenuError(name, f"{identifier!r} is there twice")
            found[identifier] = each
        return found

    def _item(self, item: Json, at: str) -> None:
        if item.get("type") not in _TYPES:
            raise MenuError(f"{at}.type", f"is one of {', '.join(_TYPES)}")
        _words(item, "name", at, 2, 120)
        _words(item, "description", at, 0, 500, needed=self._strict)
        for name in ("operational_name", "plu"):
            if not isinstance(item.get(name, "" if not self._strict else None), str):
                raise MenuError(f"{at}.{name}", "is a text")
        self._price(item.get("price_info"), f"{at}.price_info")
        rate = item.get("tax_rate")
        if not isinstance(rate, str) or not _RATE.fullmatch(rate):
            raise MenuError(f"{at}.tax_rate", 'is a percentage as text, such as "20"')
        if not isinstance(item.get("contains_alcohol"), bool):
            raise MenuError(f"{at}.contains_alcohol", "is a boolean")
        groups = _named(item.get("modifier_ids"), self.modifiers, f"{at}.modifier_ids", needed=False)
        if item["type"] == "BUNDLE":
            if _whole(item.get("party_size"), f"{at}.party_size", 100) < 1:
                raise MenuError(f"{at}.party_size", "is from 1 up")
            if not groups or any(self.modifiers[each].get("type") != "bundle-item" for each in groups):
                raise MenuError(f"{at}.modifier_ids", "a bundle has modifiers of the type bundle-item")
        _image(item, at, needed=False)

    def _price(self, info: Any, at: str) -> None:
        if not isinstance(info, dict):
            raise MenuError(at, "is an object")
        _whole(info.get("price"), f"{at}.price")
        for override in info.get("overrides") or []:
            kind = str(override.get("type")) if isinstance(override, dict) else ""
            holders = {"ITEM": self.items, "MODIFIER": self.modifiers}.get(kind, {})
            if not holders or override.get("id") not in holders:
                raise MenuError(f"{at}.overrides", "each is {type: ITEM | MODIFIER, id of this menu, price}")
            _whole(override.get("price"), f"{at}.overrides.price")
        for fee in info.get("fees") or []:
            if not isinstance(fee, dict) or not isinstance(fee.get("type"), str):
                raise MenuError(f"{at}.fees", "each is {type, amount}")
            _whole(fee.get("amount"), f"{at}.fees.amount")

    def _group(self, group: Json, at: str) -> None:
        _words(group, "name", at, 1, 120)
        _words(group, "description", at, 0, 500, needed=False)
        kind = group.get("type")
        if kind is not None and kind not in _GROUP_TYPES:
            raise MenuError(f"{at}.type", f"is one of {', '.join(_GROUP_TYPES)}")
        options = _named(group.get("item_ids"), self.items, f"{at}.item_ids")
        wanted = "CHOICE" if kind is None else "ITEM"
        if not options or any(self.items[each]["type"] != wanted for each in options):
            raise MenuError(f"{at}.item_ids", f"names items of the type {wanted}")
        repeatable = group.get("repeatable")
        if not isinstance(repeatable, bool):
            raise MenuError(f"{at}.repeatable", "is a boolean")
        least, most = (_whole(group.get(name), f"{at}.{name}", 1000) for name in ("min_selection", "max_selection"))
        if least > most or most < 1 or (not repeatable and least > len(options)):
            raise MenuError(at, f"{least} to {most} of {len(options)} cannot be selected")

    def _category(self, category: Json, at: str) -> None:
        _words(category, "name", at, 3, 120)
        _words(category, "description", at, 3, 255, needed=False)
        for each in _named(category.get("item_ids"), self.items, f"{at}.item_ids"):
            if self.items[each]["type"] == "CHOICE":
                raise MenuError(f"{at}.item_ids", f"{each!r} is a choice, which no category sells")

    def _mealtime(self, mealtime: Json, at: str) -> None:
        _words(mealtime, "name", at, 1, 120)
        _words(mealtime, "description", at, 0, 500, needed=self._strict)
        _image(mealtime, at, needed=self._strict)
        _named(mealtime.get("category_ids"), self.categories, f"{at}.category_ids")
        schedule = mealtime.get("schedule")
        if not isinstance(schedule, list) or not all(isinstance(each, dict) for each in schedule):
            raise MenuError(f"{at}.schedule", "is a list of {day_of_week, time_periods}")
        for day in schedule:
            _whole(day.get("day_of_week"), f"{at}.schedule.day_of_week", 6)
            check_periods(day.get("time_periods"), f"{at}.schedule")

    def _height(self, identifier: str, above: tuple[str, ...], known: dict[str, int]) -> int:
        """How many levels of choices an item has."""
        if identifier in above:
            raise MenuError(f"items.{identifier}", "is nested in itself")
        if identifier not in known:
            options = [option for group in self.items[identifier].get("modifier_ids") or [] for option in self.modifiers[group]["item_ids"]]
            known[identifier] = max((1 + self._height(option, (*above, identifier), known) for option in options), default=0)
        if known[identifier] > _DEEPEST or len(above) > _DEEPEST:
            raise MenuError(f"items.{identifier}", f"nests deeper than {_DEEPEST} levels")
        return known[identifier]

    def _prices(self, item: Json) -> Iterator[tuple[str, int]]:
        """Where an option has a price of its own: the group, whether it was named or its bundle was."""
        for override in item["price_info"].get("overrides") or []:
            holder = override["id"]
            for group in [holder] if override["type"] == "MODIFIER" else self.items[holder].get("modifier_ids") or []:
                yield group, override["price"]

    def card(self, off: Mapping[str, str]) -> Card:
        """The menu as a consumer reads it, without what is off sale."""
        dishes = [
            Dish(
                id=item["id"],
                name=text_of(item),
                price=item["price_info"]["price"],
                groups=tuple(item.get("modifier_ids") or ()),
                tax=Decimal(item["tax_rate"]),
                plu=item.get("plu") or "",
                available=item["id"] not in off,
                sold_alone=item["id"] in self.sold,
                prices=dict(self._prices(item)),
            )
            for item in self.items.values()
        ]
        groups = [
            Group(
                id=group["id"],
                name=text_of(group),
                options=tuple(group["item_ids"]),
                least=group["min_selection"],
                most=group["max_selection"],
                each=group["max_selection"] if group["repeatable"] else 1,
            )
            for group in self.modifiers.values()
        ]
        return Card(dishes, groups)

    def summary(self, off: Mapping[str, str]) -> list[Json]:
        """Id, name, price, PLU and availability of every item."""
        return [
            {
                "id": item["id"],
                "name": text_of(item),
                "price": item["price_info"]["price"],
                "plu": item.get("plu"),
                "available": item["id"] not in off,
            }
            for item in self.items.values()
        ]


def _entry(identifier: str, name: str, price: int, groups: tuple[str, ...] = (), *, kind: str = "ITEM", rate: str = "20") -> Json:
    return {
        "id": identifier,
        "type": kind,
        "name": {"en": name},
        "operational_name": name.upper()[:20],
        "description": {"en": name},
        "price_info": {"price": price, "overrides": [], "fees": []},
        "plu": f"PLU-{identifier}",
        "tax_rate": rate,
        "contains_alcohol": False,
        "modifier_ids": list(groups),
    }


def _choice(identifier: str, name: str, options: tuple[str, ...], least: int, most: int, *, repeatable: bool = False) -> Json:
    group: Json = {"id": identifier, "name": {"en": name}, "description": {"en": ""}, "item_ids": list(options)}
    return {**group, "min_selection": least, "max_selection": most, "repeatable": repeatable}


def built_in(currency: str) -> Menu:
    """The menu that a site has from the platform's own editor: nested choices, odd prices, Arabic and accents."""
    items = [
        _entry("smash-burger", "Smash Burger", 1049, ("g-size", "g-extras")),
        _entry("shawarma-plate", "شاورما دجاج Shawarma Plate", 987, ("g-sauce",)),
        _entry("pho", "Phở bò", 1163),
        _entry("chips", "Triple-cooked Chips", 433, ("g-sauce",)),
        _entry("sparkling", "Eau pétillante", 219, rate="0"),
        _entry("cake", "Gâteau au chocolat", 671, rate="12.5"),
        _entry("lunch-deal", "Lunch Deal", 1250, ("g-main",)),
        _entry("size-single", "Single", 0, kind="CHOICE"),
        _entry("size-double", "Double", 333, kind="CHOICE"),
        _entry("extra-cheese", "Extra Cheese", 95, kind="CHOICE"),
        _entry("extra-bacon", "Bacon", 157, kind="CHOICE"),
        _entry("toum", "ثومية Toum", 0, kind="CHOICE"),
        _entry("harissa", "Harissa", 49, kind="CHOICE"),
        _entry("deal-burger", "Burger of the Day", 0, ("g-size",), kind="CHOICE"),
        _entry("deal-plate", "Plate of the Day", 120, ("g-sauce",), kind="CHOICE"),
    ]
    modifiers = [
        _choice("g-size", "Size", ("size-single", "size-double"), 1, 1),
        _choice("g-extras", "Extras", ("extra-cheese", "extra-bacon"), 0, 4, repeatable=True),
        _choice("g-sauce", "Sauces", ("toum", "harissa"), 0, 2),
        _choice("g-main", "Main", ("deal-burger", "deal-plate"), 1, 1),
    ]
    categories: list[Json] = [
        {"id": "c-mains", "name": {"en": "Mains"}, "item_ids": ["smash-burger", "shawarma-plate", "pho", "lunch-deal"]},
        {"id": "c-more", "name": {"en": "Sides & Sweets"}, "item_ids": ["chips", "sparkling", "cake"]},
    ]
    all_day = [{"day_of_week": day, "time_periods": [{"start": "00:00", "end": "23:59"}]} for day in range(7)]
    mealtime: Json = {"id": "m-all-day", "name": {"en": "All day"}, "category_ids": ["c-mains", "c-more"], "schedule": all_day}
    parts = {"categories": categories, "items": items, "modifiers": modifiers, "mealtimes": [mealtime]}
    return Menu({"currency_code": currency, **parts}, {currency})
