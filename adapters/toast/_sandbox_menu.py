"""The simulated restaurant group's menus: built at the start, edited by staff, and shown as Menus V2 and V3 show them."""

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from adapters._sandbox.calls import ControlError, Json
from adapters._sandbox.vendor import number, word

from ._sandbox_checks import major, stamp

_SINCE = 1_756_000_000.0
_PUBLIC = ("POS", "KIOSK", "TOAST_ONLINE_ORDERING", "ORDERING_PARTNERS")

TAXES = {
    "sales": ("Sales Tax", Decimal("0.08875")),
    "levy": ("Beverage Levy", Decimal("0.015")),
    "meals": ("Meals Tax (included)", Decimal("0.07")),
}
"""Name and rate of each tax, by key."""
STATIONS = ("grill", "cold", "bar")

_GROUPS: tuple[tuple[str, str, int, int | None, str, bool], ...] = (
    ("bun", "Bun", 1, 1, "REQUIRED", False),
    ("extras", "Extras", 0, 4, "OPTIONAL", True),
    ("sauces", "Sauces", 1, 2, "REQUIRED", False),
    ("milk", "Choice of Milk", 1, 1, "REQUIRED", False),
    ("cheese", "Cheese", 0, None, "OPTIONAL_FORCE_SHOW", False),
    ("meal", "Make it a Meal", 0, 1, "OPTIONAL", False),
    ("drink", "Meal Drink", 1, 1, "REQUIRED", False),
)
_OPTIONS: dict[str, tuple[tuple[str, str, int, str], ...]] = {
    "bun": (("brioche", "Brioche", 0, "9001"), ("glutenfree", "Gluten-free", 135, "9002")),
    "extras": (("bacon", "Smoked Bacon", 150, "9011"), ("cheddar", "Aged Cheddar", 99, "9012"), ("patty", "Extra Patty", 333, "9013")),
    "sauces": (("toum", "ثومية Toum", 0, "9021"), ("tahini", "Tahini", 50, "9022"), ("harissa", "Harissa piquée", 35, "9023")),
    "milk": (("whole", "Whole", 0, "9031"), ("oat", "Oat", 65, "9032"), ("almond", "Almond", 75, "9033")),
    "cheese": (("cheddar", "Aged Cheddar", 50, "9012"), ("halloumi", "Halloumi", 125, "9042")),
    "meal": (("fries-drink", "Fries & Drink", 450, "9051"),),
    "drink": (("cola", "Cola", 0, "9061"), ("limonana", "ليمون نعناع Limonana", 85, "9062")),
}
_NESTED = {"fries-drink": ("drink",)}
_ITEMS: tuple[tuple[str, str, int | None, str, str, str, tuple[str, ...]], ...] = (
    ("burger", "Classic Burger", 1099, "mains", "sales", "1001", ("bun", "extras", "meal")),
    ("shawarma", "شاورما دجاج Chicken Shawarma", 899, "mains", "sales", "1002", ("sauces", "extras", "meal")),
    ("falafel", "Falafel Wrap", 849, "mains", "sales", "1003", ("sauces", "cheese")),
    ("catering", "Catering Tray", None, "mains", "sales", "1004", ()),
    ("fries", "Jalapeño Fries", 433, "sides", "sales", "2001", ("cheese",)),
    ("caesar", "Caesar Salad", 1033, "sides", "sales", "2002", ()),
    ("cafe", "Café au lait", 375, "hot", "sales levy", "3001", ("milk",)),
    ("water", "مياه معدنية Mineral Water", 199, "drinks", "sales levy", "3002", ()),
    ("lemonade", "Lemonade “Maison”", 425, "drinks", "sales levy", "3003", ()),
    ("brulee", "Crème brûlée", 725, "sweets", "meals", "4001", ()),
    ("staffmeal", "Staff Meal", 500, "staff", "sales", "5001", ()),
)
_SECTIONS = {
    "mains": "Mains",
    "sides": "Sides & Salads",
    "drinks": "Drinks",
    "hot": "Hot Drinks",
    "sweets": "حلويات Sweets",
    "staff": "Crew",
}
_MENUS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("allday", "All Day", ("mains", "sides", "drinks", "sweets")),
    ("crew", "Crew", ("staff",)),
)
_INSIDE = {"drinks": ("hot",)}
_AT = {"mains": "grill", "sides": "cold", "drinks": "bar", "hot": "bar", "sweets": "cold", "staff": "grill"}


def guid_of(*names: str) -> str:
    """The fixed GUID of an entity of the restaurant group."""
    return str(uuid.UUID(bytes=hashlib.blake2b("/".join(names).encode(), digest_size=16).digest(), version=4))


def location_id(*names: str) -> str:
    """The fixed multi-location id of an entity: 18 digits."""
    return str(10**17 + int.from_bytes(hashlib.blake2b("/".join(names).encode(), digest_size=6).digest()))


@dataclass
class Dish:
    """A menu item, or a modifier option under its item reference. `price` in the smallest unit; None for an open price."""

    key: str
    name: str
    price: int | None
    plu: str
    groups: tuple[str, ...] = ()
    section: str = ""
    taxes: tuple[str, ...] = ()
    guid: str = ""
    multi: str = ""

    @property
    def included(self) -> bool:
        """Whether its price includes its taxes."""
        return "meals" in self.taxes

    @property
    def station(self) -> str:
        """The key of the prep station that makes it."""
        return _AT.get(self.section, "grill")


@dataclass
class Choice:
    """A modifier group; `most` is None without a limit, `repeat` lets one option be taken several times."""

    key: str
    name: str
    least: int
    most: int | None
    mode: str
    repeat: bool
    ref: int
    guid: str
    options: list[tuple[int, Dish]] = field(default_factory=list)


class Menu:
    """All menus of the group: the same at every restaurant, with amounts in each restaurant's own currency."""

    def __init__(self) -> None:
        self.updated = _SINCE
        self.items: dict[str, Dish] = {}
        self.groups: dict[str, Choice] = {}
        for key, name, price, section, taxes, plu, groups in _ITEMS:
            names = ("item", key)
            self.items[guid_of(*names)] = Dish(
                key, name, price, plu, groups, section, tuple(taxes.split()), guid_of(*names), location_id(*names)
            )
        ref = 0
        for key, name, least, most, mode, repeat in _GROUPS:
            ref += 1
            self.groups[key] = Choice(key, name, least, most, mode, repeat, ref, guid_of("group", key))
        for key, options in _OPTIONS.items():
            for each, label, price, plu in options:
                ref += 1
                names = ("item", each)
                made = Dish(each, label, price, plu, _NESTED.get(each, ()), guid=guid_of(*names), multi=location_id(*names))
                self.groups[key].options.append((ref, made))

    def sections(self, item: Dish) -> set[str]:
        """GUIDs of the menu groups an item can be ordered from."""
        return {guid_of("section", item.section)}

    def everything(self) -> Iterator[Dish]:
        """Items and options; an option that is in several groups comes once for each."""
        yield from self.items.values()
        for group in self.groups.values():
            yield from (option for _, option in group.options)

    def find(self, identifier: str) -> Dish | None:
        """An item or option by GUID or multi-location id; for staff also by PLU or SKU."""
        return next((each for each in self.everything() if identifier in {each.guid, each.multi, each.plu, f"SKU-{each.plu}"}), None)

    def shown(self, restaurant: str, zone: str, places: int, *, channel: bool) -> Json:
        """The document of Menus V2, or of V3 (`channel`): what ordering partners may see."""
        menus = [self._menu(restaurant, places, *each) for each in _MENUS if not channel or each[0] != "crew"]
        return {
            "restaurantGuid": restaurant,
            "lastUpdated": stamp(self.updated),
            "restaurantTimeZone": zone,
            "menus": menus,
            "modifierGroupReferences": {str(each.ref): self._group(each) for each in self.groups.values()},
            "modifierOptionReferences": {
                str(ref): self._option(ref, option, group, places) for group in self.groups.values() for ref, option in group.options
            },
            "preModifierGroupReferences": {},
        }

    def _menu(self, restaurant: str, places: int, key: str, name: str, sections: tuple[str, ...]) -> Json:
        visible = ["POS"] if key == "crew" else list(_PUBLIC)
        return {
            **_entity("menu", key, name),
            "description": "",
            "highResImage": None,
            "image": None,
            "visibility": visible,
            "availability": {"alwaysAvailable": True},
            "menuGroups": [self._section(restaurant, places, each, visible) for each in sections],
        }

    def _section(self, restaurant: str, places: int, key: str, visible: list[str]) -> Json:
        return {
            **_entity("section", key, _SECTIONS[key]),
            "description": "",
            "image": None,
            "visibility": visible,
            "itemTags": [],
            "menuGroups": [self._section(restaurant, places, each, visible) for each in _INSIDE.get(key, ())],
            "menuItems": [self._item(restaurant, places, each, visible) for each in self.items.values() if each.section == key],
        }

    def _item(self, restaurant: str, places: int, item: Dish, visible: list[str]) -> Json:
        return {
            **_entity("item", item.key, item.name),
            "kitchenName": item.name[:20],
            "description": f"{item.name}, made to order",
            "image": f"https://images.example/{item.key}.jpg" if item.key == "burger" else None,
            "images": [f"https://images.example/{item.key}.jpg"] if item.key == "burger" else [],
            "visibility": visible,
            "price": None if item.price is None else major(item.price, places),
            "pricingStrategy": "OPEN_PRICE" if item.price is None else "BASE_PRICE",
            "pricingRules": None,
            "isDeferred": False,
            "isDiscountable": True,
            "salesCategory": {"name": "Food", "guid": guid_of("sales", "food")},
            "taxInfo": [guid_of(restaurant, "taxRates", each) for each in item.taxes],
            "taxInclusion": "TAX_INCLUDED" if item.included else "SMART_TAX" if item.key == "caesar" else "TAX_NOT_INCLUDED",
            "itemTags": [],
            "plu": item.plu,
            "sku": f"SKU-{item.plu}",
            "calories": None,
            "contentAdvisories": None,
            "unitOfMeasure": "NONE",
            "portions": [],
            "prepTime": 600 if item.section == "mains" else None,
            "prepStations": [guid_of(restaurant, "prepStations", item.station)],
            "modifierGroupReferences": [self.groups[each].ref for each in item.groups],
            "sortOrder": None,
        }

    @staticmethod
    def _group(group: Choice) -> Json:
        return {
            **_entity("group", group.key, group.name),
            "referenceId": group.ref,
            "visibility": list(_PUBLIC),
            "pricingStrategy": "NONE",
            "pricingRules": None,
            "minSelections": group.least,
            "maxSelections": group.most,
            "requiredMode": group.mode,
            "isMultiSelect": group.most != 1,
            "preModifierGroupReference": None,
            "modifierOptionReferences": [ref for ref, _ in group.options],
        }

    def _option(self, ref: int, option: Dish, group: Choice, places: int) -> Json:
        return {
            **_entity("item", option.key, option.name),
            "referenceId": ref,
            "kitchenName": option.name[:20],
            "description": "",
            "prepStations": [],
            "image": None,
            "visibility": list(_PUBLIC),
            "price": major(option.price or 0, places),
            "pricingStrategy": "BASE_PRICE",
            "pricingRules": None,
            "salesCategory": None,
            "taxInfo": [],
            "itemTags": [],
            "plu": option.plu,
            "sku": f"SKU-{option.plu}",
            "calories": None,
            "contentAdvisories": None,
            "unitOfMeasure": "NONE",
            "isDefault": group.key == "bun" and option.key == "brioche",
            "allowsDuplicates": group.repeat,
            "portions": [],
            "prepTime": None,
            "modifierGroupReferences": [self.groups[each].ref for each in option.groups],
            "sortOrder": None,
        }

    def edit(self, edit: Json, now: float) -> None:
        """One edit of the staff: {op: price | rename | remove, id, amount? | name?}; raises ControlError."""
        operation, found = word(edit, "op"), self.find(word(edit, "id"))
        if found is None:
            raise ControlError(404, f"no menu item or option {edit['id']}")
        same = [each for each in self.everything() if each.guid == found.guid]
        if operation == "price":
            amount = number(edit, "amount")
            if amount != int(amount):
                raise ControlError(400, "amount is an integer in the smallest unit")
            for each in same:
                each.price = int(amount)
        elif operation == "rename":
            for each in same:
                each.name = word(edit, "name")
        elif operation == "remove":
            self.items.pop(found.guid, None)
            for group in self.groups.values():
                group.options = [(ref, each) for ref, each in group.options if each.guid != found.guid]
        else:
            raise ControlError(400, f"unknown edit {operation!r}; known: price, rename, remove")
        self.updated = max(now, self.updated + 0.001)


def _entity(kind: str, key: str, name: str) -> Json:
    names = (kind, key)
    return {
        "name": name,
        "guid": guid_of(*names),
        "multiLocationId": location_id(*names),
        "masterId": int(location_id(*names)),
        "posName": "",
        "posButtonColorLight": "#DAE4FF",
        "posButtonColorDark": "#2B4FB9",
    }
