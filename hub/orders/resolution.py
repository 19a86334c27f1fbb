"""Which POS product each line means: the channel's key by the link's mapping, else by the POS menu the customer saw."""

from collections import OrderedDict
from collections.abc import Mapping

import msgspec

from hub.model import Menu, Modifier, Order

_Index = tuple[Menu, dict[str, str], dict[tuple[str, str], set[int]]]
_INDEXED: OrderedDict[int, _Index] = OrderedDict()
_MOST_INDEXED = 64
"""Menus whose indexes are kept: a menu serves thousands of orders."""


class Resolution(msgspec.Struct, frozen=True):
    """Products by channel key, and lines or modifiers that no product answers to."""

    products: dict[str, str]
    unmapped: list[dict[str, str]]
    repriced: list[dict[str, str]]


def _keys(plu: str, identifier: str) -> list[str]:
    return [key for key in (plu, identifier) if key]


def _prices(menu: Menu) -> dict[tuple[str, str], set[int]]:
    """Prices by kind and id: one product may be a dish and an option, and cost something else in each group."""
    found: dict[tuple[str, str], set[int]] = {}
    for item in menu.items:
        found.setdefault(("line", item.id), set()).add(item.price.amount)
    for group in menu.groups:
        for option in group.modifiers:
            found.setdefault(("modifier", option.id), set()).add(option.price.amount)
    return found


def _index(menu: Menu) -> tuple[dict[str, str], dict[tuple[str, str], set[int]]]:
    """Product ids by every key, and prices by kind and id."""
    # By identity, with the menu kept so that no other one takes its place: comparing menus costs more than indexing them.
    known = _INDEXED.get(id(menu))
    if known is None:
        ids = {key: thing.id for key, thing in menu.sellable().items()}
        known = _INDEXED[id(menu)] = (menu, ids, _prices(menu))
        if len(_INDEXED) > _MOST_INDEXED:
            _INDEXED.popitem(last=False)
    return known[1], known[2]


def resolve(order: Order, menu: Menu | None, mappings: Mapping[str, str]) -> Resolution:
    """Resolve every line and modifier.

    A key is looked for in the link's mappings first, then among the menu's ids, then among its PLUs. Without a menu nothing but
    mappings resolves. A line whose price differs from the menu's is listed as repriced: the channel's price stands.
    """
    sellable, prices = _index(menu) if menu is not None else ({}, {})
    products: dict[str, str] = {}
    unmapped: list[dict[str, str]] = []
    repriced: list[dict[str, str]] = []

    def settle(kind: str, identifier: str, name: str, plu: str, price: int) -> None:
        for key in _keys(plu, identifier):
            product = mappings.get(key)
            if product is None:
                product = sellable.get(key)
            if product is not None:
                for each in _keys(plu, identifier):
                    products.setdefault(each, product)
                known = prices.get((kind, product))
                if known and price not in known and price != 0:
                    repriced.append({"kind": kind, "id": identifier, "name": name})
                return
        unmapped.append({"kind": kind, "id": identifier, "name": name, "plu": plu})

    def walk(modifiers: tuple[Modifier, ...]) -> None:
        for modifier in modifiers:
            if not modifier.removed:
                settle("modifier", modifier.id, modifier.name, modifier.plu, modifier.unit_price.amount)
            walk(modifier.modifiers)

    for line in order.lines:
        settle("line", line.id, line.name, line.plu, line.unit_price.amount)
        walk(line.modifiers)
    return Resolution(products, unmapped, repriced)
