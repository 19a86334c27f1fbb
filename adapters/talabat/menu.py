"""The hub's menu as a catalog: a flat map of entities that link to each other. Items and options alike are Products."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from hub.contract import Misconfigured
from hub.model import Hours, Item, Menu, ModifierGroup
from hub.model.menu import Modifier

SLUG = "talabat"
HIDDEN = "category:options"
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_END = "23:59:59"
Entity = dict[str, Any]


class _Catalog:
    """Collects entities under ids that are unique; only Products bear ids of the hub's own."""

    def __init__(self, menu: Menu) -> None:
        self.menu = menu
        self.groups = {group.id: group for group in menu.groups if group.modifiers}
        self.items: dict[str, Entity] = {}
        self._options = {option.id for group in self.groups.values() for option in group.modifiers}

    def build(self) -> dict[str, Entity]:
        for item in self.menu.items:
            self._product(item, description=item.description, image=item.image_url)
        for group in self.groups.values():
            for option in group.modifiers:
                if option.id not in self.items:
                    self._product(option)
        for group in self.groups.values():
            self._topping(group)
        shown = self._categories()
        self._add("menu:main", "Menu", title=_title("Menu"), menuType="DELIVERY", products=_links("Product", shown), schedule=self._hours())
        return self.items

    def _add(self, identifier: str, kind: str, **more: Any) -> None:
        if identifier in self.items:
            raise Misconfigured(f"the menu has two things of the id {identifier!r}: Talabat needs an id for each")
        self.items[identifier] = {"id": identifier, "type": kind, **more}

    def _product(self, thing: Item | Modifier, description: str = "", image: str = "") -> None:
        groups = [group for group in thing.group_ids if group in self.groups]
        more: Entity = {}
        if description:
            more["description"] = {"default": description}
        if groups:
            more["toppings"] = _links("Topping", (f"topping:{group}" for group in groups))
        if image:
            self._add(f"image:{thing.id}", "Image", url=image, alt={"default": thing.name})
            more["images"] = _links("Image", [f"image:{thing.id}"])
        flags = {"isPrepackedItem": False, "isExpressItem": False, "excludeDishInformation": True}
        active = thing.availability.available
        self._add(
            thing.id, "Product", title=_title(thing.name, thing.translations), price=self._price(thing), active=active, **flags, **more
        )

    def _price(self, thing: Item | Modifier) -> str:
        price = thing.channel_prices.get(SLUG, thing.price)
        if price.currency != self.menu.currency:
            raise Misconfigured(f"{thing.id} costs {price.currency} in a menu of {self.menu.currency}: a menu has one currency")
        if price.amount < 0:
            raise Misconfigured(f"{thing.id} costs {price.decimal()}: Talabat takes no price below zero")
        return f"{price.decimal():f}"

    def _topping(self, group: ModifierGroup) -> None:
        most = group.maximum or max(len(group.modifiers), group.minimum)
        products = _links("Product", (option.id for option in group.modifiers))
        for option in group.modifiers:
            products[option.id]["price"] = self._price(option)
        quantity = {"minimum": group.minimum, "maximum": most}
        self._add(f"topping:{group.id}", "Topping", title=_title(group.name, group.translations), quantity=quantity, products=products)

    def _categories(self) -> list[str]:
        """Make the categories; what no category lists stays in one that no menu shows. Returns what is shown, in order."""
        known = {item.id: item for item in self.menu.items}
        shown: dict[str, None] = {}
        for order, category in enumerate(self.menu.categories):
            listed = [each for each in dict.fromkeys(category.item_ids) if each in known]
            if listed:
                shown.update(dict.fromkeys(listed))
                products = _links("Product", listed)
                self._add(
                    f"category:{category.id}",
                    "Category",
                    title=_title(category.name, category.translations),
                    order=order,
                    products=products,
                )
        if not shown:
            raise Misconfigured("no category of the menu has an item: Talabat takes no menu without")
        for identifier in shown:
            self._check_levels(known[identifier])
        rest = [key for key, each in self.items.items() if each["type"] == "Product" and key not in shown]
        if rest:
            self._add(HIDDEN, "Category", title=_title("Options"), order=len(self.menu.categories), products=_links("Product", rest))
        return list(shown)

    def _check_levels(self, item: Item) -> None:
        """Talabat knows two levels of choices, and the second only below a choice of exactly one."""
        for first in self._choices(item):
            opening = [option for option in first.modifiers if self._choices(option)]
            if opening and (first.minimum, first.maximum) != (1, 1):
                raise Misconfigured(
                    f"{item.name}: {opening[0].name} in {first.name!r} opens another choice, which Talabat allows only where exactly one "
                    "is chosen: make it a choice of one, or keep the item off Talabat"
                )
            for second in (each for option in opening for each in self._choices(option)):
                if any(self._choices(option) for option in second.modifiers):
                    raise Misconfigured(f"{item.name}: {second.name!r} opens a third level of choices, and Talabat has two")

    def _choices(self, thing: Item | Modifier) -> list[ModifierGroup]:
        return [self.groups[group] for group in thing.group_ids if group in self.groups]

    def _hours(self) -> Mapping[str, Entity]:
        """A schedule entry for each daypart, with the days it is on."""
        parts: dict[tuple[str, str], list[str]] = {}
        for each in self.menu.hours or tuple(Hours(day, "00:00", "24:00") for day in _DAYS):  # type: ignore[arg-type]
            for day, start, end in _daily(each):
                days = parts.setdefault((start, end), [])
                if day.upper() not in days:
                    days.append(day.upper())
        for place, ((start, end), days) in enumerate(parts.items(), 1):
            self._add(f"hours:{place}", "ScheduleEntry", startTime=start, endTime=end, weekDays=days)
        return _links("ScheduleEntry", (f"hours:{place}" for place in range(1, len(parts) + 1)))


def _daily(hours: Hours) -> list[tuple[str, str, str]]:
    """Entries end on their own day: what goes past midnight is told in two."""
    start, closes = f"{hours.opens}:00", hours.closes
    if closes >= "24:00" or hours.opens < closes:
        return [(hours.day, start, _END if closes >= "23:59" else f"{closes}:00")]
    following = _DAYS[(_DAYS.index(hours.day) + 1) % 7]
    found: list[tuple[str, str, str]] = [(hours.day, start, _END)]
    return [*found, (following, "00:00:00", f"{closes}:00")] if closes not in ("00:00", hours.opens) else found


def _title(text: str, translations: Mapping[str, str] = MappingProxyType({})) -> Entity:
    return {"default": text} | {language: name for language, name in translations.items() if language == "ar"}


def _links(kind: str, identifiers: Iterable[str]) -> dict[str, Entity]:
    return {each: {"id": each, "type": kind, "order": order} for order, each in enumerate(identifiers)}


def catalog(menu: Menu) -> dict[str, Any]:
    """The catalog of a menu; raises Misconfigured, naming what Talabat cannot hold and what to do about it."""
    return {"items": _Catalog(menu).build()}


def import_body(stores: Iterable[str], menu: Menu, callback_url: str) -> dict[str, Any]:
    """The body of an import for one or many stores of the chain."""
    body: dict[str, Any] = {"vendors": list(stores), "catalog": catalog(menu)}
    if callback_url:
        body["callbackUrl"] = callback_url
    return body
