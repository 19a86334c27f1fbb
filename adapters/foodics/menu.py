"""Foodics' products as the hub's menu. How a product uses a modifier is the product's own, so a group is a modifier and its use."""

import hashlib
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from adapters.foodics import models
from adapters.foodics.bill import minor_units
from adapters.foodics.stores import here
from hub.model import Availability, Category, Item, Menu, ModifierGroup, Money, StockLevel
from hub.model.menu import Modifier, Tax

OPEN_PRICE = 2


class Wanted(msgspec.Struct, frozen=True):
    """Which menu: a branch's, in a currency; of one group and at one price tag where these are named (by id or name)."""

    branch: str
    currency: str
    tax_inclusive: bool
    group: str = ""
    price_tag: str = ""


def _named(row: models.Named, wanted: str) -> bool:
    return wanted in (row.id, row.name)


def _sold(product: models.Product, wanted: Wanted) -> bool:
    """Tell whether a branch sells a product at a distance; one priced at the counter cannot be."""
    if product.is_active is False or product.pricing_method == OPEN_PRICE or here(product.branches, wanted.branch).is_active is False:
        return False
    groups = [each for each in product.groups or [] if each.pivot.is_active is not False]
    return not wanted.group or any(_named(each, wanted.group) for each in groups)


def _price(product: models.Product, wanted: Wanted) -> Money:
    tag = next((each for each in product.price_tags or [] if wanted.price_tag and _named(each, wanted.price_tag)), None)
    if tag is not None and tag.pivot.price is not None:
        return Money(minor_units(tag.pivot.price, wanted.currency), wanted.currency)
    own = here(product.branches, wanted.branch).price
    return Money(minor_units(product.price if own is None else own, wanted.currency), wanted.currency)


def _option(option: models.Option, modifier: models.Modifier, wanted: Wanted) -> Modifier | None:
    there = here(option.branches, wanted.branch)
    excluded = option.id in (modifier.pivot.excluded_options_ids or [])
    if option.deleted_at or option.is_active is False or there.is_active is False or excluded:
        return None
    price = option.price if there.price is None else there.price
    return Modifier(
        id=option.id,
        name=option.label(),
        price=Money(minor_units(price, wanted.currency), wanted.currency),
        plu=option.sku or "",
        default=option.id in (modifier.pivot.default_options_ids or []),
        availability=Availability(there.is_in_stock is not False),
        translations=option.translations(),
    )


def _group(modifier: models.Modifier, wanted: Wanted) -> ModifierGroup | None:
    options = [_option(each, modifier, wanted) for each in modifier.options or []]
    made = tuple(each for each in options if each is not None)
    if not made or modifier.deleted_at:
        return None
    use = modifier.pivot
    identifier = f"{modifier.id}:{use.minimum_options or 0}-{use.maximum_options or 0}"
    special = [*(use.excluded_options_ids or []), "", *(use.default_options_ids or [])]
    if len(special) > 1:
        identifier += f"-{hashlib.sha256('/'.join(special).encode()).hexdigest()[:8]}"
    return ModifierGroup(identifier, modifier.label(), use.minimum_options or 0, use.maximum_options or 0, made, modifier.translations())


def _item(product: models.Product, groups: tuple[str, ...], wanted: Wanted) -> Item:
    return Item(
        id=product.id,
        name=product.label(),
        price=_price(product, wanted),
        plu=product.sku or "",
        description=product.description or "",
        group_ids=groups,
        tax_ids=tuple(tax.id for tax in (product.tax_group.taxes if product.tax_group else None) or []),
        image_url=product.image or "",
        availability=Availability(here(product.branches, wanted.branch).is_in_stock is not False),
        translations=product.translations(),
    )


def menu_from(products: Sequence[models.Product], display: Sequence[models.DisplayCategory], wanted: Wanted) -> Menu:
    """The menu of one branch, in the order in which the business shows it."""
    items: list[Item] = []
    groups: dict[str, ModifierGroup] = {}
    taxes: dict[str, Tax] = {}
    names: dict[str, str] = {}
    translated: dict[str, dict[str, str]] = {}
    below: dict[str, list[str]] = {}
    for product in products:
        if not _sold(product, wanted):
            continue
        used = sorted(product.modifiers or [], key=lambda each: each.pivot.index or 0)
        own = [group for group in (_group(each, wanted) for each in used) if group is not None]
        groups |= {group.id: group for group in own}
        items.append(_item(product, tuple(dict.fromkeys(group.id for group in own)), wanted))
        for tax in (product.tax_group.taxes if product.tax_group else None) or []:
            taxes[tax.id] = Tax(tax.id, tax.label(), format(tax.rate or Decimal(0), "f"), wanted.tax_inclusive)
        home = product.category.id if product.category else ""
        names[home] = product.category.label() if product.category else "Menu"
        translated[home] = product.category.translations() if product.category else {}
        below.setdefault(home, []).append(product.id)
    places = {each.category_id: number for number, each in enumerate(display)}
    shown = {child.child_id: number for each in display for number, child in enumerate(each.children or [])}
    return Menu(
        currency=wanted.currency,
        categories=tuple(
            Category(
                home or "uncategorised",
                names[home],
                tuple(sorted(below[home], key=lambda each: shown.get(each, len(shown)))),
                translated[home],
            )
            for home in sorted(below, key=lambda each: places.get(each, len(places)))
        ),
        items=tuple(items),
        groups=tuple(groups.values()),
        taxes=tuple(taxes.values()),
    )


def sold_out(products: Sequence[models.Product], branch: str) -> list[StockLevel]:
    """Products and options that are not in stock at a branch. Nobody counts them, and nothing says until when."""
    items = {each.id for each in products if here(each.branches, branch).is_in_stock is False}
    options = {
        option.id
        for product in products
        for modifier in product.modifiers or []
        for option in modifier.options or []
        if here(option.branches, branch).is_in_stock is False
    }
    return [StockLevel(each, False) for each in sorted(items)] + [StockLevel(each, False, kind="modifier") for each in sorted(options)]
