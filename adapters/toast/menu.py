"""Toast's menus as the hub's.

The price of an item depends on the menu group it is ordered from, the price of an option on its modifier group, and an order has to
name both: so ids in the hub's menu are `<group>:<item>`. Menus V2 shows everything and is filtered; V3 shows what the channel may see.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from adapters.toast.models import Configured, TimeRange, Told, minor
from hub.model import Category, Hours, Item, Menu, ModifierGroup, Money
from hub.model.menu import Modifier, Tax

CHANNEL = "ORDERING_PARTNERS"
OPEN_PRICE, INCLUDED = "OPEN_PRICE", "TAX_INCLUDED"
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class TimePrice(Told, frozen=True, kw_only=True):
    """A price that holds at some hours, and the one of all others."""

    base_price: Decimal | None = None


class Rules(Told, frozen=True, kw_only=True):
    """How a price is found that is not a number."""

    time_specific_pricing_rules: list[TimePrice] | None = None


class Schedule(Told, frozen=True, kw_only=True):
    """Times that hold for some days."""

    days: list[str] | None = None
    time_ranges: list[TimeRange] | None = None


class MenuTimes(Told, frozen=True, kw_only=True):
    """When a menu is on."""

    always_available: bool | None = None
    schedule: list[Schedule] | None = None


class Sold(Told, frozen=True, kw_only=True):
    """An item or an option; `guid` of an option is its item reference."""

    guid: str
    name: str | None = None
    description: str | None = None
    visibility: list[str] | None = None
    price: Decimal | None = None
    pricing_strategy: str | None = None
    pricing_rules: Rules | None = None
    tax_info: list[Any] | None = None
    tax_inclusion: str | None = None
    plu: str | None = None
    image: str | None = None
    is_default: bool | None = None
    modifier_group_references: list[int] | None = None


class OptionGroup(Told, frozen=True, kw_only=True):
    """A modifier group: one GUID may stand here several times, with other prices."""

    guid: str
    name: str | None = None
    visibility: list[str] | None = None
    min_selections: int | None = None
    max_selections: int | None = None
    modifier_option_references: list[int] | None = None


class MenuGroup(Told, frozen=True, kw_only=True):
    """A heading with items and further headings."""

    guid: str
    name: str | None = None
    visibility: list[str] | None = None
    menu_groups: list["MenuGroup"] | None = None
    menu_items: list[Sold] | None = None


class OneMenu(Told, frozen=True, kw_only=True):
    """A menu."""

    guid: str
    visibility: list[str] | None = None
    availability: MenuTimes | None = None
    menu_groups: list[MenuGroup] | None = None


class Document(Told, frozen=True, kw_only=True):
    """All menus of a restaurant."""

    last_updated: str | None = None
    menus: list[OneMenu] | None = None
    modifier_group_references: dict[str, OptionGroup] | None = None
    modifier_option_references: dict[str, Sold] | None = None


def product(group: str, item: str) -> str:
    """The hub's id of an item in a menu group, or of an option in a modifier group."""
    return f"{group}:{item}"


def parts(identifier: str) -> tuple[str, str]:
    """Group and item of a hub's id; a bare GUID is an item of no group. What follows them only tells prices apart."""
    group, _, rest = identifier.partition(":")
    return (group, rest.partition(":")[0]) if rest else ("", group)


def price_of(thing: Sold) -> Decimal | None:
    """The price; None when it is named at the counter or depends on what else is ordered."""
    if thing.pricing_strategy == OPEN_PRICE:
        return None
    if thing.price is not None:
        return thing.price
    if thing.pricing_strategy == "SIZE_PRICE":
        return Decimal(0)  # the options of its size group hold the prices
    rules = thing.pricing_rules.time_specific_pricing_rules if thing.pricing_rules else None
    return next((rule.base_price for rule in rules or []), None)


class _Reader:
    """Reads one document. `channel` is the visibility that things must have, "" for all."""

    def __init__(self, document: Document, currency: str, rates: Iterable[Configured], channel: str) -> None:
        self._document, self._currency, self._channel = document, currency, channel
        self._rates = {rate.guid: rate for rate in rates if rate.rate is not None and (rate.type or "PERCENT") == "PERCENT"}
        self._named = self._group_names()
        self.groups: dict[str, ModifierGroup] = {}
        self.taxes: dict[str, Tax] = {}
        self.items: dict[str, Item] = {}

    def seen(self, thing: OneMenu | MenuGroup | OptionGroup | Sold) -> bool:
        return not self._channel or thing.visibility is None or self._channel in thing.visibility

    def headings(self, groups: list[MenuGroup] | None) -> Iterator[MenuGroup]:
        for group in groups or []:
            if self.seen(group):
                yield group
                yield from self.headings(group.menu_groups)

    def shelves(self) -> Iterator[MenuGroup]:
        for menu in self._document.menus or []:
            if self.seen(menu):
                yield from self.headings(menu.menu_groups)

    def _group_names(self) -> dict[int, str]:
        """Ids of modifier groups by reference: the GUID, and where it stands for several price lists, which of them."""
        by_guid: dict[str, dict[str, list[int]]] = {}
        for reference, group in (self._document.modifier_group_references or {}).items():
            prices = [(o.guid, str(price_of(o)), o.modifier_group_references) for _, o in self._options(group)]
            digest = hashlib.sha256(repr((prices, group.min_selections, group.max_selections)).encode()).hexdigest()[:8]
            by_guid.setdefault(group.guid, {}).setdefault(digest, []).append(int(reference))
        return {
            reference: guid if len(variants) == 1 else f"{guid}:{digest}"
            for guid, variants in by_guid.items()
            for digest, references in variants.items()
            for reference in references
        }

    def _options(self, group: OptionGroup) -> Iterator[tuple[int, Sold]]:
        options = self._document.modifier_option_references or {}
        for reference in group.modifier_option_references or []:
            option = options.get(str(reference))
            if option is not None and self.seen(option):
                yield reference, option

    def choices(self, thing: Sold, path: tuple[int, ...] = ()) -> tuple[str, ...] | None:
        """Ids of a thing's groups, each read once; None when one of them asks for options of which there are not enough."""
        found: list[str] = []
        for reference in thing.modifier_group_references or []:
            group = (self._document.modifier_group_references or {}).get(str(reference))
            if group is None or reference in path or not self.seen(group):
                continue
            name, least = self._named[reference], max(0, group.min_selections or 0)
            if name not in self.groups:
                self._add(name, least, group, (*path, reference))
            if self.groups[name].modifiers:
                found.append(name)
            elif least:
                return None
        return tuple(dict.fromkeys(found))

    def _add(self, name: str, least: int, group: OptionGroup, path: tuple[int, ...]) -> None:
        variant = name.removeprefix(group.guid)
        made: list[Modifier] = []
        for _, option in self._options(group):
            price, nested = price_of(option), self.choices(option, path)
            if price is None or nested is None:
                continue
            made.append(
                Modifier(
                    id=product(group.guid, option.guid) + variant,
                    name=option.name or "",
                    price=Money(minor(price, self._currency), self._currency),
                    plu=option.plu or "",
                    default=bool(option.is_default),
                    group_ids=nested,
                )
            )
        self.groups[name] = ModifierGroup(name, group.name or "", least, group.max_selections or 0, tuple(made))

    def item(self, heading: MenuGroup, thing: Sold) -> Item | None:
        """An item of a heading; None when it cannot be sold at a distance."""
        price, groups = price_of(thing), self.choices(thing)
        if price is None or groups is None or not self.seen(thing):
            return None
        taxes = (self._tax(rate, included=thing.tax_inclusion == INCLUDED) for rate in thing.tax_info or [])
        return Item(
            id=product(heading.guid, thing.guid),
            name=thing.name or "",
            price=Money(minor(price, self._currency), self._currency),
            plu=thing.plu or "",
            description=thing.description or "",
            group_ids=groups,
            tax_ids=tuple(tax for tax in taxes if tax),
            image_url=thing.image or "",
        )

    def _tax(self, guid: Any, *, included: bool) -> str:
        rate = self._rates.get(guid) if isinstance(guid, str) else None
        if rate is None or rate.rate is None:
            return ""
        name = f"{guid}:included" if included else guid
        percent = format((rate.rate * 100).normalize(), "f")
        self.taxes[name] = Tax(name, rate.name or "Tax", percent, included)
        return name

    def hours(self) -> tuple[Hours, ...]:
        """When at least one menu is on; () when one is on always."""
        found: dict[Hours, None] = {}
        for menu in self._document.menus or []:
            if not self.seen(menu):
                continue
            if menu.availability is None or menu.availability.always_available or not menu.availability.schedule:
                return ()
            for each in menu.availability.schedule:
                found.update(dict.fromkeys(hour for day in each.days or [] for hour in hours_of(day, each.time_ranges)))
        return tuple(found)


def hours_of(day: str | None, ranges: list[TimeRange] | None) -> Iterator[Hours]:
    """The hub's hours of a day; from 00:00 to 00:00 is the whole day."""
    name = (day or "").lower()
    for each in ranges or []:
        if name in _DAYS and each.start and each.end:
            opens, closes = each.start[:5], each.end[:5]
            yield msgspec.convert(
                {"day": name, "opens": opens, "closes": "23:59" if (opens, closes) == ("00:00", "00:00") else closes}, Hours
            )


def menu_from(document: Document, currency: str, rates: Iterable[Configured], channel: str) -> Menu:
    """The menu of one restaurant; `channel` is the visibility that V2 is filtered by, "" for none."""
    reader = _Reader(document, currency, rates, channel)
    categories: dict[str, Category] = {}
    for heading in reader.shelves():
        found: dict[str, Item] = {}
        for thing in heading.menu_items or []:
            item = reader.item(heading, thing)
            if item is not None:
                found[item.id] = item
        if found and heading.guid not in categories:
            categories[heading.guid] = Category(heading.guid, heading.name or "", tuple(found))
            reader.items.update(found)
    items = tuple(reader.items.values())
    groups = tuple(group for group in reader.groups.values() if group.modifiers)
    return Menu(currency, tuple(categories.values()), items, _unambiguous(groups, items), tuple(reader.taxes.values()), reader.hours())


def _unambiguous(groups: tuple[ModifierGroup, ...], items: tuple[Item, ...]) -> tuple[ModifierGroup, ...]:
    """Groups whose options keep their PLU only where it means one thing: an order must say which group an option is from."""
    counts = Counter(modifier.plu for group in groups for modifier in group.modifiers)
    counts.update({item.plu for item in items})
    return tuple(
        msgspec.structs.replace(
            group,
            modifiers=tuple(
                msgspec.structs.replace(modifier, plu=modifier.plu if counts[modifier.plu] == 1 else "") for modifier in group.modifiers
            ),
        )
        for group in groups
    )


def open_items(document: Document, channel: str) -> Mapping[str, str]:
    """Items whose price an order names, by id: what the setting open_item may be."""
    reader = _Reader(document, "USD", (), channel)
    return {
        product(heading.guid, thing.guid): thing.name or ""
        for heading in reader.shelves()
        for thing in heading.menu_items or []
        if thing.pricing_strategy == OPEN_PRICE and reader.seen(thing)
    }


def products_by_item(menu: Menu) -> dict[str, list[tuple[str, bool]]]:
    """Ids of the menu by the item GUID that stock is kept under, and whether each is an option."""
    found: dict[str, list[tuple[str, bool]]] = {}
    for item in menu.items:
        found.setdefault(parts(item.id)[1], []).append((item.id, False))
    for group in menu.groups:
        for modifier in group.modifiers:
            found.setdefault(parts(modifier.id)[1], []).append((modifier.id, True))
    return found
