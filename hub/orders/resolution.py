"""Which POS product each line means: the channel's key by the link's mapping, else by the POS menu the customer saw."""

from collections.abc import Mapping

import msgspec

from hub.model import Menu, Modifier, Order


class Resolution(msgspec.Struct, frozen=True):
    """Products by channel key, and lines or modifiers that no product answers to."""

    products: dict[str, str]
    unmapped: list[dict[str, str]]
    repriced: list[dict[str, str]]


def _keys(plu: str, identifier: str) -> list[str]:
    return [key for key in (plu, identifier) if key]


def resolve(order: Order, menu: Menu | None, mappings: Mapping[str, str]) -> Resolution:
    """Resolve every line and modifier.

    A key is looked for in the link's mappings first, then among the menu's ids, then among its PLUs. Without a menu nothing but
    mappings resolves. A line whose price differs from the menu's is listed as repriced: the channel's price stands.
    """
    sellable = menu.sellable() if menu is not None else {}
    products: dict[str, str] = {}
    unmapped: list[dict[str, str]] = []
    repriced: list[dict[str, str]] = []

    def settle(kind: str, identifier: str, name: str, plu: str, price: int) -> None:
        for key in _keys(plu, identifier):
            product = mappings.get(key)
            if product is None and key in sellable:
                product = sellable[key].id
            if product is not None:
                for each in _keys(plu, identifier):
                    products.setdefault(each, product)
                known = sellable.get(product)
                if known is not None and known.price.amount != price and price != 0:
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
