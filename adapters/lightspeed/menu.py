"""K-Series' menu document: as the hub's menu, and as a shelf on which an order's products and their POS prices are found.

What is ordered is a SKU. A modifier or a combo's choice has a price of its own within its group; a production instruction is free,
has no SKU and is ordered by another field, so its id in the hub's menu carries a prefix.
"""

import html
import re
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal

import msgspec

from adapters.lightspeed.models import Choice, Entry, InstructionGroup, MenuDocument
from hub.model import Category, Item, Menu, ModifierGroup, Money, exponent
from hub.model.menu import Modifier, Tax

INSTRUCTION = "instruction:"
FREE_PRICE = "CUSTOMIZED_ITEM_PRICE_WILL_BE_POSTIVE"
LOWERING = "CUSTOMIZED_ITEM_PRICE_WILL_BE_NEGATIVE"
_UNSOLD = frozenset({LOWERING, "CUSTOMIZED_ITEM_PRICE_WILL_BE_A_PERCENTAGE_OF_TOTAL"})
_TAG = re.compile(r"<[^>]*>")


def minor(value: Decimal | None, currency: str) -> int:
    """Minor units of an amount in major units; what is finer is rounded half up, None is nothing."""
    return int((value or Decimal(0)).scaleb(exponent(currency)).quantize(Decimal(1), ROUND_HALF_UP))


class Priced(msgspec.Struct, frozen=True):
    """A product on the shelf. `unit` is its POS price in minor units, `rate` the tax in percent that comes on top (0 when inside)."""

    entry: Entry
    sku: str
    unit: int
    rate: Decimal

    @property
    def free(self) -> bool:
        """Whether an order may name its price."""
        return self.entry.pricing_strategy == FREE_PRICE

    @property
    def sold(self) -> bool:
        """Whether it is something to sell, not a discount."""
        return self.entry.pricing_strategy not in _UNSOLD

    def gross(self, value: int) -> int:
        """What the POS charges for a value of it, with the tax it adds."""
        return value + int((value * self.rate / 100).quantize(Decimal(1), ROUND_HALF_UP))

    def net(self, gross: int) -> int:
        """The value that comes to so much with tax, or as near as rounding lets it."""
        near = int((gross / (1 + self.rate / 100)).quantize(Decimal(1), ROUND_HALF_UP))
        return min((near, near - 1, near + 1), key=lambda value: abs(self.gross(value) - gross))


class Shelf:
    """What a location sells for online orders. Prices are in minor units of its currency."""

    def __init__(self, document: MenuDocument, currency: str) -> None:
        self.currency = currency
        self._by_sku: dict[str, Priced] = {}
        for _, entry in walk(document):
            if entry.sku:
                self._by_sku.setdefault(entry.sku, self._priced(entry, entry.product_price))

    def product(self, sku: str) -> Priced | None:
        """A product that may stand on a line of its own, or None."""
        return self._by_sku.get(sku)

    def choice(self, parent: Priced, sku: str) -> Priced | None:
        """A product as a choice of another, at its price there, or None."""
        for group in parent.entry.menu_deal_groups or []:
            for entry in group.items or []:
                if entry.sku == sku:
                    return self._priced(entry, entry.extra_price)
        for group in parent.entry.menu_modifier_groups or []:
            for entry in group.product_modifiers or []:
                if entry.sku == sku:
                    return self._priced(entry, _modifier_price(entry))
        return None

    def _priced(self, entry: Entry, price: Decimal | None) -> Priced:
        on_top = entry.tax_included_in_price is False
        rate = (entry.default_tax_percentage or Decimal(0)) if on_top else Decimal(0)
        return Priced(entry, entry.sku or "", minor(price, self.currency), rate)


def instructs(parent: Priced, identifier: str) -> bool:
    """Tell whether a production instruction may be given for a product."""
    groups = parent.entry.production_instruction_list or []
    return any(str(each.ikentoo_modifier_id) == identifier for g in groups for each in g.production_instruction_list or [])


def walk(document: MenuDocument) -> Iterator[tuple[Entry, Entry]]:
    """Every sellable entry with the nearest group above it, in the menu's order."""

    def below(group: Entry) -> Iterator[tuple[Entry, Entry]]:
        for entry in group.menu_entry or []:
            if entry.menu_entry is not None or entry.kind == "group":
                yield from below(entry)
            else:
                yield group, entry

    for top in document.menu_entry_groups or []:
        yield from below(top)


def _modifier_price(entry: Entry) -> Decimal | None:
    return entry.extra_price if entry.extra_price is not None else entry.product_price


def _plain(entry: Entry) -> str:
    texts = (entry.item_rich_data.texts if entry.item_rich_data else None) or []
    found = next((each.description for each in texts if each.description), "")
    return html.unescape(_TAG.sub(" ", found)).strip()


def _taxes(entry: Entry) -> list[Tax]:
    inside = entry.tax_included_in_price is not False
    shares = [(each.description or "Tax", each.percentage) for each in entry.taxes or []] or [("Tax", entry.default_tax_percentage)]
    found = []
    for name, percentage in shares:
        if percentage:
            rate = f"{percentage.normalize():f}"
            found.append(Tax(f"{name}/{rate}/{'inside' if inside else 'added'}", name, rate, inside))
    return found


class _Groups:
    """Modifier groups by id. One that differs from another of its name gets an id with its parent's SKU."""

    def __init__(self, currency: str) -> None:
        self._currency = currency
        self.made: dict[str, ModifierGroup] = {}

    def of(self, entry: Entry) -> tuple[str, ...]:
        """Ids of a product's groups."""
        ids = [self._choice(group, group.items or [], entry, deal=True) for group in entry.menu_deal_groups or []]
        ids += [self._choice(group, group.product_modifiers or [], entry, deal=False) for group in entry.menu_modifier_groups or []]
        return tuple(dict.fromkeys([*ids, *(self._instructions(group) for group in entry.production_instruction_list or [])]))

    def _choice(self, group: Choice, entries: list[Entry], parent: Entry, *, deal: bool) -> str:
        options = tuple(
            Modifier(
                entry.sku,
                entry.product_name or entry.sku,
                Money(minor(entry.extra_price if deal else _modifier_price(entry), self._currency), self._currency),
                group_ids=self.of(entry),
            )
            for entry in entries
            if entry.sku
        )
        several = bool(group.multi_selection_permitted)
        least = max(group.minimum_selection or 0, 1 if group.must_select_an_item else 0)
        most = (group.maximum_selection or 0) if several else 1
        identifier = group.sku or f"{parent.sku}/{group.description}"
        return self._keep(ModifierGroup(identifier, group.description or identifier, least, most, options), parent.sku or "")

    def _instructions(self, group: InstructionGroup) -> str:
        nothing = Money(0, self._currency)
        options = tuple(
            Modifier(f"{INSTRUCTION}{each.ikentoo_modifier_id}", each.instruction or str(each.ikentoo_modifier_id), nothing)
            for each in group.production_instruction_list or []
        )
        identifier = f"{INSTRUCTION}{group.production_intruction_group_id}"
        name = group.production_instruction_group_name or "Instructions"
        return self._keep(ModifierGroup(identifier, name, 0, 0 if group.multi_selection_permitted else 1, options), "")

    def _keep(self, group: ModifierGroup, parent: str) -> str:
        known = self.made.setdefault(group.id, group)
        if known == group:
            return group.id
        own = msgspec.structs.replace(group, id=f"{group.id}@{parent}")
        self.made[own.id] = own
        return own.id


def menu_from(document: MenuDocument, currency: str, hidden: frozenset[str]) -> Menu:
    """The menu of one location, without the SKUs that serve the hub itself."""
    groups = _Groups(currency)
    items: dict[str, Item] = {}
    taxes: dict[str, Tax] = {}
    categories: dict[str, tuple[str, list[str]]] = {}
    for group, entry in walk(document):
        if not entry.sku or entry.sku in hidden or entry.pricing_strategy in _UNSOLD:
            continue
        mine = _taxes(entry)
        taxes |= {tax.id: tax for tax in mine}
        rich = entry.item_rich_data
        if entry.sku not in items:
            items[entry.sku] = Item(
                entry.sku,
                entry.product_name or entry.sku,
                Money(minor(entry.product_price, currency), currency),
                description=_plain(entry),
                group_ids=groups.of(entry),
                tax_ids=tuple(tax.id for tax in mine),
                image_url=(rich.raw_image_url or rich.square_image_url or "") if rich else "",
                allergens=tuple(str(code) for code in (rich.allergen_codes or [])) if rich else (),
                contains_alcohol=bool(rich and rich.contains_alcohol),
            )
        home = str(group.id or group.name or "menu")
        listed = categories.setdefault(home, (group.name or "Menu", []))[1]
        if entry.sku not in listed:
            listed.append(entry.sku)
    return Menu(
        currency=currency,
        categories=tuple(Category(home, name, tuple(ids)) for home, (name, ids) in categories.items()),
        items=tuple(items.values()),
        groups=tuple(groups.made.values()),
        taxes=tuple(taxes.values()),
    )
