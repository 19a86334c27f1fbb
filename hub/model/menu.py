"""The canonical menu: read from a POS, shown to channels. Ids are the POS's own; `plu` is its short code where it has one.

`translations` holds names in further languages, by BCP 47 tag, where the POS has more than one.
"""

from typing import Literal

import msgspec

from hub.model.money import Money


class Tax(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tax rate in percent as a decimal string ("8.25")."""

    id: str
    name: str
    rate: str
    inclusive: bool = False


class Availability(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether a thing is on sale now, and until when it is off ("" until somebody says so)."""

    available: bool = True
    until: str = ""


class Modifier(msgspec.Struct, frozen=True, omit_defaults=True):
    """An option of a group; `group_ids` nests further groups under it."""

    id: str
    name: str
    price: Money
    plu: str = ""
    default: bool = False
    group_ids: tuple[str, ...] = ()
    availability: Availability = Availability()
    channel_prices: dict[str, Money] = {}
    translations: dict[str, str] = {}


class ModifierGroup(msgspec.Struct, frozen=True, omit_defaults=True):
    """A choice: between `minimum` and `maximum` options (0 = no upper limit)."""

    id: str
    name: str
    minimum: int
    maximum: int
    modifiers: tuple[Modifier, ...]
    translations: dict[str, str] = {}


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """A sellable thing; where a POS sells variations, each variation is an item (`parent_id` joins them)."""

    id: str
    name: str
    price: Money
    plu: str = ""
    description: str = ""
    parent_id: str = ""
    group_ids: tuple[str, ...] = ()
    tax_ids: tuple[str, ...] = ()
    image_url: str = ""
    allergens: tuple[str, ...] = ()
    """The POS's own words or codes."""
    contains_alcohol: bool = False
    availability: Availability = Availability()
    channel_prices: dict[str, Money] = {}
    translations: dict[str, str] = {}


class Category(msgspec.Struct, frozen=True, omit_defaults=True):
    """A heading and the items below it, in order."""

    id: str
    name: str
    item_ids: tuple[str, ...]
    translations: dict[str, str] = {}


class Hours(msgspec.Struct, frozen=True):
    """A daypart in the store's own zone: `HH:MM` from opening to closing; closing before opening ends next day."""

    day: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    opens: str
    closes: str


class Menu(msgspec.Struct, frozen=True, omit_defaults=True):
    """A whole menu of one location in one currency."""

    currency: str
    categories: tuple[Category, ...]
    items: tuple[Item, ...]
    groups: tuple[ModifierGroup, ...] = ()
    taxes: tuple[Tax, ...] = ()
    hours: tuple[Hours, ...] = ()

    def item(self, identifier: str) -> Item | None:
        """The item of this id, or None."""
        return next((item for item in self.items if item.id == identifier), None)

    def sellable(self) -> dict[str, Item | Modifier]:
        """Items and modifiers by id and, where no id is the same, by PLU."""
        by_key: dict[str, Item | Modifier] = {}
        things: list[Item | Modifier] = [*self.items, *(m for g in self.groups for m in g.modifiers)]
        for thing in things:
            by_key[thing.id] = thing
        for thing in things:
            if thing.plu:
                by_key.setdefault(thing.plu, thing)
        return by_key
