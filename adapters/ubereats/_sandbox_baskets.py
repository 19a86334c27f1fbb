"""What a consumer orders: lines drawn from the store's menu, the same ones for the same seed, or lines named one by one."""

import random
from dataclasses import dataclass, field
from typing import Any

from adapters._sandbox.calls import ControlError, Json

from ._sandbox_menu import Menu, is_suspended, price_in, title

_NOTES = (
    "",
    "",
    "No onions please",
    "بدون بصل، شكراً",
    "Sauce on the side – très peu salé",
    'Cut in 2; say "hi" <3 & thanks \U0001f354',
    "Allergic to sesame!",
)


@dataclass
class Line:
    """One line, or one chosen option; `quantity` of an option is for one of its parent. Prices in the smallest unit."""

    id: str
    title: str
    price: int
    quantity: int = 1
    external_data: str | None = None
    note: str = ""
    tax_rate: float = 0
    inclusive: bool = False
    group: Json | None = None
    options: list["Line"] = field(default_factory=list)

    def unit(self) -> int:
        """The price of one, with its options."""
        return self.price + sum(option.unit() * option.quantity for option in self.options)


def _from_menu(item: Json, quantity: int, group: Json | None = None) -> Line:
    tax: Json = item["tax_info"]
    vat = tax.get("vat_rate_percentage")
    return Line(
        id=item["id"],
        title=title(item),
        price=price_in(item, group["id"] if group else None),
        quantity=quantity,
        external_data=item.get("external_data"),
        tax_rate=float(vat if vat is not None else tax.get("tax_rate") or 0),
        inclusive=vat is not None,
        group=group,
    )


def _limits(group: Json) -> tuple[int, int]:
    quantity = (group.get("quantity_info") or {}).get("quantity") or {}
    least, most = quantity.get("min_permitted") or 0, quantity.get("max_permitted")
    return int(least), int(most if most is not None else max(least, 3))


def _most_of(item: Json, group: str) -> int:
    """How many of one option a group allows."""
    for override in (item.get("quantity_info") or {}).get("overrides") or []:
        if override.get("context_type") == "MODIFIER_GROUP" and override.get("context_value") == group:
            return int((override.get("quantity") or {}).get("max_permitted") or 1)
    return 1


def _choose(menu: Menu, line: Line, dice: random.Random, now: float, depth: int = 0) -> None:
    """Choose options within each group's limits."""
    for identifier in menu.group_ids(menu.items[line.id]):
        group = menu.groups[identifier]
        least, most = _limits(group)
        options = [menu.items[each["id"]] for each in group["modifier_options"]]
        options = [each for each in options if not is_suspended(each, now)]
        wanted = min(dice.randint(least, max(least, min(most, least + 2))), most)
        dice.shuffle(options)
        for option in options:
            if wanted <= 0:
                break
            count = dice.randint(1, min(wanted, _most_of(option, identifier)))
            chosen = _from_menu(option, count, group)
            wanted -= count
            if depth < 6:
                _choose(menu, chosen, dice, now, depth + 1)
            line.options.append(chosen)


def drawn(menu: Menu, dice: random.Random, now: float) -> list[Line]:
    """One to four lines of what is for sale; raises ControlError when nothing is."""
    choice = list(menu.for_sale(now))
    if not choice:
        raise ControlError(409, "nothing on this store's menu is for sale")
    lines = []
    for item in dice.sample(choice, min(len(choice), dice.choice((1, 1, 2, 2, 3, 4)))):
        line = _from_menu(item, dice.choice((1, 1, 1, 2, 3)))
        line.note = dice.choice(_NOTES)
        _choose(menu, line, dice, now)
        lines.append(line)
    return lines


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 999:
        raise ControlError(400, "quantity is an integer from 1 to 999")
    return value


def _named_one(menu: Menu, wanted: Any, parent: Json | None) -> Line:
    if not isinstance(wanted, dict) or not isinstance(wanted.get("id"), str):
        raise ControlError(400, "an item is {id, quantity?, note?, modifiers?: [{id, quantity?}]}")
    quantity = _count(wanted.get("quantity", 1))
    item = menu.items.get(wanted["id"])
    group: Json | None = None
    if parent is not None:
        named = [menu.groups[each] for each in menu.group_ids(parent)]
        group = next((each for each in named if any(o["id"] == wanted["id"] for o in each["modifier_options"])), None)
        group = group or {"id": "unlisted", "title": {"translations": {"en_us": "Unlisted"}}}
    line = _from_menu(item, quantity, group) if item else Line(wanted["id"], wanted["id"], 1234, quantity, group=group, tax_rate=8.875)
    line.title = str(wanted.get("title", line.title))
    line.external_data = wanted.get("external_data", line.external_data)
    line.note = str(wanted.get("note", ""))
    if "price" in wanted:
        price = wanted["price"]
        if not isinstance(price, int) or isinstance(price, bool):
            raise ControlError(400, "price is an integer in the smallest unit")
        line.price = price
    inner = wanted.get("modifiers", [])
    if not isinstance(inner, list):
        raise ControlError(400, "modifiers is a list")
    line.options = [_named_one(menu, each, item or {}) for each in inner]
    return line


def named(menu: Menu, wanted: Any) -> list[Line]:
    """Lines named by a control call, unknown ids included; raises ControlError for a shape that cannot be."""
    if not isinstance(wanted, list) or not wanted:
        raise ControlError(400, "items is a list with at least one {id, quantity?, note?, modifiers?}")
    return [_named_one(menu, each, None) for each in wanted]
