"""What a consumer orders, whatever the platform: lines drawn from a menu (the same ones for the same seed), or named one by one."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from adapters._sandbox.calls import ControlError

NOTES = (
    "",
    "",
    "No onions please",
    "بدون بصل، شكراً",
    "Sauce on the side – très peu salé",
    'Cut in 2; say "hi" <3 & thanks \U0001f354',
    "Allergic to sesame!",
)
"""Notes that consumers write on lines; two of seven write none."""
ORDER_NOTES = ("", "", "No cutlery", "بدون أدوات مائدة")
CUSTOMERS = (("Dana", "Whitfield"), ("نورة", "القحطاني"), ("Zoë", "Müller-Lüdenscheidt"), ("Sam", "O'Neil"))
"""Invented consumers."""
_DEPTH = 4


@dataclass(frozen=True)
class Group:
    """A choice that comes with a dish: between `least` and `most` options in all, at most `each` of one of them."""

    id: str
    name: str
    options: tuple[str, ...]
    least: int = 0
    most: int = 1
    each: int = 1


@dataclass(frozen=True)
class Dish:
    """Something on a menu, dish or option alike. `price` in the smallest unit; `tax` in percent; `groups` by id."""

    id: str
    name: str
    price: int
    groups: tuple[str, ...] = ()
    tax: Decimal = Decimal(0)
    plu: str = ""
    available: bool = True
    sold_alone: bool = True
    prices: Mapping[str, int] = field(default_factory=dict)
    """Prices that differ by the group in which the option is chosen."""


@dataclass
class Line:
    """One line, or one chosen option; an option's `quantity` is for one of its parent. Prices in the smallest unit."""

    id: str
    name: str
    price: int
    quantity: int = 1
    plu: str = ""
    note: str = ""
    tax: Decimal = Decimal(0)
    group: Group | None = None
    options: list["Line"] = field(default_factory=list)

    def unit(self) -> int:
        """The price of one, with its options."""
        return self.price + sum(option.unit() * option.quantity for option in self.options)

    def total(self) -> int:
        """The price of all of them, with their options."""
        return self.unit() * self.quantity


class Card:
    """A menu as a consumer reads it."""

    def __init__(self, dishes: Sequence[Dish], groups: Sequence[Group]) -> None:
        self.dishes = {dish.id: dish for dish in dishes}
        self.groups = {group.id: group for group in groups}

    def for_sale(self) -> list[Dish]:
        """Dishes that can be ordered by themselves now."""
        return [dish for dish in self.dishes.values() if dish.sold_alone and dish.available and self._can(dish)]

    def _can(self, dish: Dish) -> bool:
        """Tell whether each choice that must be made can be made."""
        for group in map(self.groups.__getitem__, dish.groups):
            if sum(group.each for option in group.options if self.dishes[option].available) < group.least:
                return False
        return True

    def line(self, dish: Dish, quantity: int, group: Group | None = None) -> Line:
        """A line of a dish, at the price it has in a group."""
        price = dish.prices.get(group.id, dish.price) if group else dish.price
        return Line(dish.id, dish.name, price, quantity, dish.plu, tax=dish.tax, group=group)

    def drawn(self, dice: random.Random) -> list[Line]:
        """One to four lines of what is for sale, with options and notes; raises ControlError when nothing is."""
        choice = self.for_sale()
        if not choice:
            raise ControlError(409, "nothing on this store's menu is for sale")
        lines = []
        for dish in dice.sample(choice, min(len(choice), dice.choice((1, 1, 2, 2, 3, 4)))):
            line = self.line(dish, dice.choice((1, 1, 1, 2, 3)))
            line.note = dice.choice(NOTES)
            self._choose(line, dice, 0)
            lines.append(line)
        return lines

    def _choose(self, line: Line, dice: random.Random, depth: int) -> None:
        for group in map(self.groups.__getitem__, self.dishes[line.id].groups):
            options = [self.dishes[each] for each in group.options if self.dishes[each].available]
            wanted = min(dice.randint(group.least, max(group.least, min(group.most, group.least + 2))), group.most)
            dice.shuffle(options)
            for place, option in enumerate(options):
                # The rest must still be reachable with the options that are left.
                needed = max(0, wanted - group.each * (len(options) - place - 1))
                count = max(needed, dice.randint(1, max(1, min(wanted, group.each))))
                count = min(count, wanted, group.each)
                if count <= 0:
                    break
                chosen = self.line(option, count, group)
                wanted -= count
                if depth < _DEPTH:
                    self._choose(chosen, dice, depth + 1)
                line.options.append(chosen)

    def named(self, wanted: Any) -> list[Line]:
        """Lines named by a control call, `[{id, quantity?, note?, price?, modifiers?}]`, unknown ids included; raises ControlError."""
        if not isinstance(wanted, list) or not wanted:
            raise ControlError(400, "items is a list with at least one {id, quantity?, note?, price?, modifiers?}")
        return [self._named(each, None) for each in wanted]

    def _named(self, wanted: Any, parent: Dish | None) -> Line:
        if not isinstance(wanted, dict) or not isinstance(wanted.get("id"), str):
            raise ControlError(400, "an item is {id, quantity?, note?, price?, modifiers?: [{id, quantity?}]}")
        quantity, price, inner = wanted.get("quantity", 1), wanted.get("price"), wanted.get("modifiers", [])
        if not isinstance(quantity, int) or isinstance(quantity, bool) or not 1 <= quantity <= 999:
            raise ControlError(400, "quantity is an integer from 1 to 999")
        if price is not None and (not isinstance(price, int) or isinstance(price, bool)):
            raise ControlError(400, "price is an integer in the smallest unit")
        if not isinstance(inner, list):
            raise ControlError(400, "modifiers is a list")
        dish = self.dishes.get(wanted["id"])
        group = None
        if parent is not None:
            offered = map(self.groups.__getitem__, parent.groups)
            group = next((each for each in offered if wanted["id"] in each.options), Group("unlisted", "Unlisted", (wanted["id"],)))
        line = self.line(dish, quantity, group) if dish else Line(wanted["id"], wanted["id"], 1234, quantity, group=group)
        line.name = str(wanted.get("title", line.name))
        line.note = str(wanted.get("note", ""))
        line.price = line.price if price is None else price
        nowhere = Dish(wanted["id"], wanted["id"], 0)
        line.options = [self._named(each, dish or nowhere) for each in inner]
        return line
