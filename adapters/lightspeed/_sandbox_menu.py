"""What the simulated restaurant sells: items by SKU, modifier groups, combos and kitchen instructions, and the menu documents of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from adapters._sandbox.calls import ControlError, Json
from adapters._sandbox.vendor import number, word

from ._sandbox_checks import decimal

FIXED, RAISES, LOWERS = "PRICE_CANNOT_BE_CUSTOMIZED", "CUSTOMIZED_ITEM_PRICE_WILL_BE_POSTIVE", "CUSTOMIZED_ITEM_PRICE_WILL_BE_NEGATIVE"
MENU_ID = 61700452109001
PROFILES: tuple[Json, ...] = (
    {"id": 61700452107001, "code": "TABLE", "name": "Eat in", "deliveryMode": "NONE"},
    {"id": 61700452107002, "code": "TAKEAWAY", "name": "Take away", "deliveryMode": "TAKE_AWAY"},
    {"id": 61700452107003, "code": "DELIVERY", "name": "Livraison", "deliveryMode": "DELIVERY"},
)
DISCOUNTS: tuple[Json, ...] = (
    {"name": "Platform promotion", "code": "PROMO", "discountPercentage": 0, "discountAmount": 0},
    {"name": "10% Discount", "code": "10PCT", "discountPercentage": 10, "discountAmount": 0},
)
TAXES = {Decimal(10): ("VAT10", "VAT 10%"), Decimal(20): ("VAT20", "VAT 20%")}


@dataclass
class Item:
    """A product, an option, or a combo (`choices` are its groups). `price` in the smallest unit, `tax` in percent."""

    sku: str
    name: str
    price: int
    tax: Decimal = Decimal(10)
    groups: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    instructions: tuple[int, ...] = ()
    extra: int = 0
    option: bool = False
    strategy: str = FIXED
    named: bool = False
    about: str = ""
    section: str = "Food"


@dataclass(frozen=True)
class Group:
    """A choice of options or combo items: from `least` to `most` in all; only a `several` one takes more than one."""

    sku: str
    name: str
    options: tuple[str, ...]
    least: int = 0
    most: int = 1

    @property
    def several(self) -> bool:
        """Tell whether more than one may be chosen."""
        return self.most > 1


@dataclass(frozen=True)
class Instructions:
    """Free kitchen instructions, ordered by id."""

    id: int
    name: str
    texts: dict[int, str]
    several: bool = False


_DRINK = Decimal(20)
_ITEMS = (
    Item(
        "BRG-1", "Classic Burger", 1290, groups=("G-BUN", "G-EXTRA"), instructions=(61700452105001, 61700452105002), about="Dry-aged beef"
    ),
    Item("SHW-1", "شاورما دجاج", 985, groups=("G-SAUCE", "G-EXTRA"), instructions=(61700452105002,), about="دجاج متبل مع ثومية"),
    Item("FLF-1", "Falafel Wrap", 849, groups=("G-SAUCE",), instructions=(61700452105002,)),
    Item("FRY-1", "Jalapeño Fries", 433, groups=("G-SAUCE",), extra=0),
    Item("CSR-1", "Caesar Salad", 1033),
    Item("BRU-1", "Crème brûlée", 725, about="Vanilla from Réunion"),
    Item("CAF-1", "Café au lait", 375, groups=("G-MILK",), section="Drinks"),
    Item("WTR-1", "Mineral Water", 199, section="Drinks", extra=0),
    Item("WIN-1", "House Red, glass", 645, _DRINK, section="Drinks", extra=350),
    Item("CMB-1", "Lunch Deal", 1450, choices=("C-MAIN", "C-DRINK")),
    Item("FEE-1", "Delivery Fee", 0, _DRINK, strategy=RAISES, named=True, section="Other"),
    Item("OFF-1", "Platform Discount", 0, strategy=LOWERS, named=True, section="Other"),
    Item("O-BRI", "Brioche", 0, option=True),
    Item("O-GLF", "Gluten-free Bun", 135, option=True),
    Item("O-BAC", "Smoked Bacon", 150, option=True),
    Item("O-CHE", "Aged Cheddar", 99, option=True),
    Item("O-PAT", "Extra Patty", 333, groups=("G-DONE",), option=True),
    Item("O-RAR", "Patty rare", 0, option=True),
    Item("O-WEL", "Patty well done", 0, option=True),
    Item("O-TOU", "ثومية Toum", 0, option=True),
    Item("O-TAH", "Tahini", 50, option=True),
    Item("O-HAR", "Harissa piquée", 35, option=True),
    Item("O-WHO", "Whole Milk", 0, option=True, section="Drinks"),
    Item("O-OAT", "Oat Milk", 65, option=True, section="Drinks"),
)
_GROUPS = (
    Group("G-BUN", "Bun", ("O-BRI", "O-GLF"), 1, 1),
    Group("G-EXTRA", "Extras", ("O-BAC", "O-CHE", "O-PAT"), 0, 4),
    Group("G-SAUCE", "Sauce", ("O-TOU", "O-TAH", "O-HAR"), 0, 2),
    Group("G-MILK", "Choice of milk", ("O-WHO", "O-OAT"), 1, 1),
    Group("G-DONE", "Doneness", ("O-RAR", "O-WEL"), 0, 1),
    Group("C-MAIN", "Main", ("SHW-1", "FLF-1"), 1, 1),
    Group("C-DRINK", "Drink", ("WTR-1", "CAF-1", "WIN-1"), 1, 1),
)
_INSTRUCTIONS = (
    Instructions(61700452105001, "Cooking", {61700452106001: "Rare", 61700452106002: "Medium", 61700452106003: "Well done"}),
    Instructions(61700452105002, "Kitchen", {61700452106004: "No onions", 61700452106005: "Sauce on the side"}, several=True),
)
_TREE: tuple[tuple[int, str, str, tuple[Any, ...]], ...] = (
    (61700452108001, "Mains", "blue", ("BRG-1", "SHW-1", "FLF-1", "CMB-1")),
    (61700452108002, "Sides & Sweets", "green", ("FRY-1", "CSR-1", "BRU-1")),
    (61700452108003, "Drinks", "red", ("WTR-1", "WIN-1", (61700452108004, "Hot drinks", "red", ("CAF-1",)))),
    (61700452108005, "Fees", "grey", ("FEE-1", "OFF-1")),
)


def tax_of(amount: int, rate: Decimal, *, included: bool) -> int:
    """The tax in an amount, or on top of it, in the smallest unit."""
    share = rate / (100 + rate) if included else rate / 100
    return int((amount * share).quantize(Decimal(1), ROUND_HALF_UP))


class Catalog:
    """The restaurant's items and groups, and what its staff may change about them."""

    def __init__(self) -> None:
        self.items = {item.sku: Item(**vars(item)) for item in _ITEMS}
        self.groups = {group.sku: group for group in _GROUPS}
        self.instructions = {each.id: each for each in _INSTRUCTIONS}

    def edit(self, edit: Json) -> None:
        """Do one edit, {op: price | rename | remove, id}; raises ControlError."""
        item = self.items.get(word(edit, "id"))
        if item is None:
            raise ControlError(404, f"no item {edit['id']}")
        operation = word(edit, "op")
        if operation == "price":
            item.price = int(number(edit, "amount"))
        elif operation == "rename":
            item.name = word(edit, "name")
        elif operation == "remove":
            del self.items[item.sku]
        else:
            raise ControlError(400, "op is price, rename or remove")

    def options(self, group: str) -> list[Item]:
        """The options of a group that are still there."""
        return [self.items[sku] for sku in self.groups[group].options if sku in self.items]

    def instruction_groups(self, wanted: tuple[int, ...] | None = None) -> list[Json]:
        """Instruction groups as the API writes them; all, or those of an item."""
        return [
            {
                "multiSelectionPermitted": each.several,
                "productionInstructionGroupName": each.name,
                "productionIntructionGroupId": each.id,
                "productionInstructionList": [{"instruction": text, "ikentooModifierId": i} for i, text in each.texts.items()],
            }
            for each in self.instructions.values()
            if wanted is None or each.id in wanted
        ]

    def summary(self, currency: str) -> list[Json]:
        """Items as the control API shows them."""
        return [{"id": i.sku, "name": i.name, "price": i.price, "currency": currency, "option": i.option} for i in self.items.values()]


class Document:
    """Writes the menu for one store: decimal prices in its currency, tax inside or on top."""

    def __init__(self, catalog: Catalog, currency: str, *, tax_included: bool, rich: bool, groups: bool = True) -> None:
        self._catalog = catalog
        self._currency = currency
        self._included = tax_included
        self._rich = rich
        self._groups = groups

    def menu(self) -> Json:
        """The whole menu; without `groups`, that is version 1, it has no modifier groups."""
        return {
            "menuName": "Main Menu",
            "ikentooMenuId": MENU_ID,
            "menuEntryGroups": [self._entry_group(each) for each in _TREE],
            "richDataMissing": not self._rich,
            "conditionalTaxRules": False,
        }

    def _entry_group(self, node: tuple[int, str, str, tuple[Any, ...]]) -> Json:
        identifier, name, color, entries = node
        return {"@type": "group", "id": str(identifier), "name": name, "color": color, "menuEntry": list(self._entries(entries))}

    def _entries(self, entries: tuple[Any, ...]) -> Iterator[Json]:
        for each in entries:
            if not isinstance(each, str):
                yield self._entry_group(each)
            elif each in self._catalog.items:
                item = self._catalog.items[each]
                yield self._item(item, "menuDeal" if item.choices else "menuItem")

    def _item(self, item: Item, kind: str, *, inside: bool = False) -> Json:
        code, description = TAXES[item.tax]
        tax, percentage = decimal(tax_of(item.price, item.tax, included=self._included), self._currency), float(item.tax)
        written: Json = {
            "@type": kind,
            "productName": item.name,
            "productPrice": decimal(item.price, self._currency),
            "color": "blue",
            "sku": item.sku,
            "customItemNameEnabled": item.named,
            "pricingStrategy": item.strategy,
            "defaultTaxAmount": tax,
            "defaultTaxPercentage": percentage,
            "taxIncludedInPrice": self._included,
            "conditionalTaxRules": False,
            "taxes": [{"description": f"{code} {description}", "amount": tax, "percentage": percentage}],
            "asSubItem": inside or item.option,
            "productionInstructionList": self._catalog.instruction_groups(item.instructions),
        }
        if inside:
            written["extraPrice"] = decimal(item.extra, self._currency)
        if self._rich:
            texts = [{"locale": "en-GB", "friendlyDisplayName": item.name, "description": item.about}]
            wine = item.sku == "WIN-1"
            written["itemRichData"] = {"containsAlcohol": wine, "texts": texts, "allergenCodes": ["SULPHITES"] if wine else []}
        if item.choices:
            written["menuDealGroups"] = [self._group(group, "items") for group in item.choices]
        if self._groups:
            written["menuModifierGroups"] = [self._group(group, "productModifiers") for group in item.groups]
        return written

    def _group(self, sku: str, members: str) -> Json:
        group, deal = self._catalog.groups[sku], members == "items"
        return {
            "description": group.name,
            "sku": group.sku,
            "mustSelectAnItem": group.least > 0,
            "multiSelectionPermitted": group.several,
            "minimumSelection": group.least,
            "maximumSelection": group.most,
            members: [self._item(i, "menuItem" if deal else "menuProductModifier", inside=deal) for i in self._catalog.options(sku)],
        }
