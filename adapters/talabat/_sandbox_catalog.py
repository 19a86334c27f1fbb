"""Talabat's catalog as its import checks it: a flat map of entities that link to each other, prices as decimal text."""

import re
import time
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from adapters._sandbox.baskets import Card, Dish, Group
from adapters._sandbox.calls import Json

_DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_LINKS = {
    "Menu": {"products": "Product", "schedule": "ScheduleEntry", "images": "Image"},
    "Category": {"products": "Product", "images": "Image"},
    "Product": {"toppings": "Topping", "variants": "Product", "images": "Image"},
    "Topping": {"products": "Product", "images": "Image"},
    "Image": {},
    "ScheduleEntry": {},
}
_FLAGS = ("active", "isPrepackedItem", "isExpressItem", "excludeDishInformation")
_PRICE = re.compile(r"\d{1,9}(\.\d{1,4})?")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d")
_THREE = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
_NONE = ("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF")
_PLACES = {**dict.fromkeys(_THREE, 3), **dict.fromkeys(_NONE, 0)}


class CatalogError(ValueError):
    """Why a catalog cannot be imported."""


def places(currency: str) -> int:
    """Decimal places of a currency's smallest unit."""
    return _PLACES.get(currency, 2)


def written(amount: int, currency: str) -> str:
    """An amount in the smallest unit as decimal text in major units."""
    return f"{Decimal(amount).scaleb(-places(currency)):f}"


def read_price(value: Any, currency: str, where: str) -> int:
    """Decimal text as an amount in the smallest unit; raises CatalogError."""
    if not isinstance(value, str) or not _PRICE.fullmatch(value):
        raise CatalogError(f"{where}: a price is decimal text such as 12.50, not {value!r}")
    amount = Decimal(value).scaleb(places(currency))
    if amount != int(amount):
        raise CatalogError(f"{where}: {value} has more decimals than {currency}")
    return int(amount)


class Catalog:
    """A checked catalog of one vendor and what of it is off sale; raises CatalogError when it breaks a rule."""

    def __init__(self, items: Any, currency: str) -> None:
        if not isinstance(items, dict) or not items:
            raise CatalogError("catalog.items is a map of entities by their id")
        self.items: dict[str, Json] = items
        self.currency = currency
        self._off: dict[str, float] = {}
        for key, entity in items.items():
            self._check_entity(key, entity)
        self._check_links()
        self._variants: defaultdict[str, list[str]] = defaultdict(list)
        for product in self.of("Product"):
            if product.get("parent"):
                self._variants[product["parent"]["id"]].append(product["id"])
        self._listed = {product for menu in self.of("Menu") for product in menu["products"]}
        self._listed |= {variant for product in self._listed for variant in self._variants[product]}
        self._check_categories()
        self._check_levels()
        self._check_menus()

    def of(self, kind: str) -> Iterator[Json]:
        """The entities of a type."""
        return (each for each in self.items.values() if each["type"] == kind)

    def _check_entity(self, key: str, entity: Any) -> None:
        if not isinstance(entity, dict) or entity.get("id") != key:
            raise CatalogError(f"{key}: the key is not the entity's id")
        kind = entity.get("type")
        if not isinstance(kind, str) or kind not in _LINKS:
            raise CatalogError(f"{key}: type is one of {', '.join(_LINKS)}")
        if kind in {"Menu", "Category", "Product", "Topping"}:
            title = entity.get("title")
            if not isinstance(title, dict) or not isinstance(title.get("default"), str) or not title["default"]:
                raise CatalogError(f"{key}: title.default is required")
        if kind == "Product":
            for name in ("price", "containerPrice"):
                if entity.get(name) is not None:
                    read_price(entity[name], self.currency, key)
            for name in _FLAGS:
                if not isinstance(entity.get(name, True), bool):
                    raise CatalogError(f"{key}: {name} is a boolean")
        elif kind == "Topping":
            quantity = entity.get("quantity")
            if not isinstance(quantity, dict) or not all(type(quantity.get(each)) is int for each in ("minimum", "maximum")):
                raise CatalogError(f"{key}: quantity has minimum and maximum")
            if not 0 <= quantity["minimum"] <= quantity["maximum"] or not quantity["maximum"]:
                raise CatalogError(f"{key}: minimum is from 0 to maximum")
        elif kind == "ScheduleEntry":
            self._check_schedule(key, entity)
        elif kind == "Image" and not str(entity.get("url", "")).startswith(("http://", "https://")):
            raise CatalogError(f"{key}: url is an http or https address")
        elif kind == "Menu" and (not isinstance(entity.get("menuType"), str) or not entity["menuType"]):
            raise CatalogError(f"{key}: menuType is required")

    @staticmethod
    def _check_schedule(key: str, entity: Json) -> None:
        start, end, days = entity.get("startTime"), entity.get("endTime"), entity.get("weekDays")
        if not all(isinstance(each, str) and _TIME.fullmatch(each) for each in (start, end)):
            raise CatalogError(f"{key}: startTime and endTime are HH:MM:SS")
        if str(start) >= str(end):
            raise CatalogError(f"{key}: a schedule does not cross midnight")
        if not isinstance(days, list) or not days or not all(each in _DAYS for each in days):
            raise CatalogError(f"{key}: weekDays are names of days")

    def _check_links(self) -> None:
        for key, entity in self.items.items():
            for name, kind in _LINKS[entity["type"]].items():
                links = {} if entity.get(name) is None else entity[name]
                if not isinstance(links, dict):
                    raise CatalogError(f"{key}: {name} is a map of links by id")
                for to, link in links.items():
                    self._check_link(f"{key}.{name}.{to}", to, link, kind)
            if entity["type"] in {"Menu", "Topping"} and not entity.get("products"):
                raise CatalogError(f"{key}: products is empty")
            if entity["type"] == "Product" and entity.get("parent") is not None:
                self._check_parent(key, entity["parent"])

    def _check_link(self, where: str, to: str, link: Any, kind: str) -> None:
        if not isinstance(link, dict) or link.get("id") != to or link.get("type") != kind:
            raise CatalogError(f"{where}: a link is {{id, type: {kind}}} under its own id")
        if self.items.get(to, {}).get("type") != kind:
            raise CatalogError(f"{where}: there is no {kind} {to}")
        if link.get("price") is not None:
            read_price(link["price"], self.currency, where)
        if type(link.get("order", 0)) is not int:
            raise CatalogError(f"{where}: order is an integer")

    def _check_parent(self, key: str, parent: Any) -> None:
        if not isinstance(parent, dict) or self.items.get(str(parent.get("id")), {}).get("type") != "Product":
            raise CatalogError(f"{key}: parent is a link to a Product")
        if self.items[parent["id"]].get("parent") is not None or self.items[key].get("variants"):
            raise CatalogError(f"{key}: variants have no variants of their own")

    def _check_categories(self) -> None:
        categories: defaultdict[str, set[str]] = defaultdict(set)
        for category in self.of("Category"):
            for product in category.get("products") or {}:
                categories[product].add(category["id"])
        if not any(True for _ in self.of("Category")):
            raise CatalogError("A catalog must contain at least one category")
        for product in self.of("Product"):
            if not categories[product["id"]]:
                raise CatalogError(f"{product['id']}: Product or one or more of its variants does not belong to a category")
            if categories[product["id"]] & categories[(product.get("parent") or {}).get("id", "")]:
                raise CatalogError(f"{product['id']}: a product and its variants are in the same category")

    def _check_levels(self) -> None:
        for product in self.of("Product"):
            for topping in self._toppings(product):
                nested = [option for option in self._options(topping) if option.get("toppings")]
                exactly_one = topping["quantity"]["minimum"] == topping["quantity"]["maximum"] == 1
                if nested and not exactly_one and product["id"] in self._listed:
                    raise CatalogError(f"{topping['id']}: a topping that opens a second level is a choice of exactly one")
                for second in (each for option in nested for each in self._toppings(option)):
                    if product["id"] in self._listed and any(option.get("toppings") for option in self._options(second)):
                        raise CatalogError(f"{second['id']}: there are at most two levels of toppings")

    def _check_menus(self) -> None:
        for identifier in self._listed:
            if not self._variants[identifier] and self._price(self.items[identifier]) is None:
                raise CatalogError(f"{identifier}: a product on a menu has a price")

    def _toppings(self, product: Json) -> list[Json]:
        held = product.get("toppings") or (self._parent(product) or {}).get("toppings") or {}
        return [self.items[each] for each in sorted(held, key=lambda each: held[each].get("order", 0))]

    def _options(self, topping: Json) -> list[Json]:
        held = topping["products"]
        return [self.items[each] for each in sorted(held, key=lambda each: held[each].get("order", 0))]

    def _parent(self, product: Json) -> Json | None:
        return self.items[product["parent"]["id"]] if product.get("parent") else None

    def _price(self, product: Json) -> int | None:
        for holder in (product, self._parent(product) or {}):
            if holder.get("price") is not None:
                return read_price(holder["price"], self.currency, product["id"])
        return None

    def card(self, tax: Decimal) -> Card:
        """The menu as consumers read it now; `tax` in percent. Each option of a topping can be taken once."""
        prices: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for topping in self.of("Topping"):
            for option, link in topping["products"].items():
                if link.get("price") is not None:
                    prices[option][topping["id"]] = read_price(link["price"], self.currency, option)
        dishes = [
            Dish(
                each["id"],
                each["title"]["default"],
                self._price(each) or 0,
                tuple(topping["id"] for topping in self._toppings(each)),
                tax,
                available=self.available(each["id"]),
                sold_alone=each["id"] in self._listed and not self._variants[each["id"]],
                prices=prices[each["id"]],
            )
            for each in self.of("Product")
        ]
        groups = [
            Group(each["id"], each["title"]["default"], tuple(each["products"]), each["quantity"]["minimum"], each["quantity"]["maximum"])
            for each in self.of("Topping")
        ]
        return Card(dishes, groups)

    def category_of(self, product: str) -> str:
        """The name of the first category that has a product; empty when none has."""
        return next((each["title"]["default"] for each in self.of("Category") if product in (each.get("products") or {})), "")

    def available(self, product: str) -> bool:
        """Tell whether a product can be ordered now."""
        return self.items[product].get("active") is not False and self._off.get(product, 0) <= time.time()

    def known(self, kind: str, identifier: str) -> list[str]:
        """The products meant by an id of type ITEM (sold by itself) or TOPPING (an option, or all options of a topping)."""
        entity = self.items.get(identifier, {"type": ""})
        if kind == "TOPPING" and entity["type"] == "Topping":
            return list(entity["products"])
        if entity["type"] != "Product":
            return []
        fits = any(identifier in each["products"] for each in self.of("Topping")) if kind == "TOPPING" else identifier in self._listed
        return [identifier] if fits else []

    def switch(self, product: str, until: float) -> None:
        """Take a product off sale until a time in seconds since 1970; 0 puts it back."""
        self._off[product] = until

    def off_sale(self) -> dict[str, bool]:
        """The products whose availability was ever set, and whether they are on sale."""
        return {each: self.available(each) for each in self._off}

    def summary(self) -> list[Json]:
        """The products as the control API shows them; prices in the smallest unit."""
        return [
            {
                "id": each["id"],
                "name": each["title"]["default"],
                "price": self._price(each) or 0,
                "available": self.available(each["id"]),
            }
            for each in self.of("Product")
        ]


def _links(kind: str, identifiers: tuple[str, ...], **prices: str) -> Json:
    return {each: {"id": each, "type": kind, "order": n, **prices} for n, each in enumerate(identifiers)}


def built_in(currency: str) -> Catalog:
    """The catalog that a vendor has before one is imported; its prices are the same numbers of the smallest unit everywhere."""
    items: dict[str, Json] = {}

    def product(identifier: str, name: str, price: int, toppings: tuple[str, ...] = (), **more: Any) -> None:
        items[identifier] = {"id": identifier, "type": "Product", "title": {"default": name}, "price": written(price, currency)}
        items[identifier].update(active=True, toppings=_links("Topping", toppings), **more)

    def topping(identifier: str, name: str, least: int, most: int, options: tuple[str, ...]) -> None:
        items[identifier] = {"id": identifier, "type": "Topping", "title": {"default": name}, "products": _links("Product", options)}
        items[identifier]["quantity"] = {"minimum": least, "maximum": most}

    def category(identifier: str, name: str, products: tuple[str, ...]) -> None:
        items[identifier] = {"id": identifier, "type": "Category", "title": {"default": name}, "products": _links("Product", products)}

    product("P-BURGER", "Cheeseburger", 2350, ("T-SIZE", "T-SAUCE"))
    product("P-SHAWARMA", "شاورما دجاج", 1895, ("T-SAUCE",))
    product("P-FALAFEL", "Falafel Plate", 1499)
    product("P-FRIES", "Fries", 997)
    product("P-WATER", "Water", 300)
    product("P-KNAFEH", "Knafeh à la crème", 1650)
    for size, price in (("S", 1650), ("L", 2733)):
        product(f"P-KNAFEH-{size}", f"Knafeh {size}", price, parent={"id": "P-KNAFEH", "type": "Product"})
    items["P-KNAFEH"]["variants"] = _links("Product", ("P-KNAFEH-S", "P-KNAFEH-L"))
    product("O-REGULAR", "Regular", 0)
    product("O-LARGE", "Large", 633, ("T-EXTRAS",))
    for option, name, price in (
        ("O-CHEESE", "Cheddar", 250),
        ("O-BEEF", "Beef Bacon", 467),
        ("O-TOUM", "Toum", 0),
        ("O-CHILI", "Chili", 99),
    ):
        product(option, name, price)
    topping("T-SIZE", "Size", 1, 1, ("O-REGULAR", "O-LARGE"))
    topping("T-EXTRAS", "Extras", 0, 2, ("O-CHEESE", "O-BEEF"))
    topping("T-SAUCE", "Sauces", 0, 2, ("O-TOUM", "O-CHILI"))
    items["T-SAUCE"]["products"]["O-CHILI"]["price"] = written(150, currency)
    category("C-MAIN", "Mains", ("P-BURGER", "P-SHAWARMA", "P-FALAFEL", "P-FRIES"))
    category("C-MORE", "Sweets & Drinks", ("P-WATER", "P-KNAFEH"))
    category("C-HIDDEN", "Options", ("P-KNAFEH-S", "P-KNAFEH-L", "O-REGULAR", "O-LARGE", "O-CHEESE", "O-BEEF", "O-TOUM", "O-CHILI"))
    served = ("P-BURGER", "P-SHAWARMA", "P-FALAFEL", "P-FRIES", "P-WATER", "P-KNAFEH")
    items["S-ALL"] = {"id": "S-ALL", "type": "ScheduleEntry", "startTime": "00:00:00", "endTime": "23:59:59", "weekDays": list(_DAYS)}
    items["M-1"] = {
        "id": "M-1",
        "type": "Menu",
        "title": {"default": "Menu"},
        "menuType": "DELIVERY",
        "products": _links("Product", served),
    }
    items["M-1"]["schedule"] = _links("ScheduleEntry", ("S-ALL",))
    return Catalog(items, currency)
