"""What a plugin may change in the products of an order: removals, other quantities, options taken off, products added."""

import copy
from typing import Any

from adapters._sandbox.baskets import Card, Line
from adapters._sandbox.calls import Json

_PROPERTIES = ("quantity", "selectedToppings")


class ChangeFailed(Exception):
    """The platform does not make a change; its text is the platform's error code."""


def changed(lines: list[Line], products: list[Any], card: Card, prefix: str) -> list[Line]:
    """The lines with the wanted changes; raises ChangeFailed. Added lines get platform ids that begin with the prefix."""
    if not products:
        raise ChangeFailed("PRODUCTS_MUST_BE_SET_FOR_MODIFICATION")
    left = copy.deepcopy(lines)
    for place, product in enumerate(products, 1):
        change = product.get("modification") if isinstance(product, dict) else None
        kind = change.get("type") if isinstance(change, dict) else None
        if kind == "REMOVAL":
            left.remove(_found(left, product))
        elif kind == "CHANGE":
            _change(_found(left, product), product, product["modification"].get("properties"))
        elif kind == "ADDITION":
            left.append(_added(product, card, f"{prefix}-{place}"))
        else:
            raise ChangeFailed("VALIDATION_ERROR")
    if left == lines:
        raise ChangeFailed("MODIFICATION_HAS_NO_EFFECT")
    if not left:
        raise ChangeFailed("VALIDATION_ERROR")
    if sum(line.total() for line in left) > sum(line.total() for line in lines):
        raise ChangeFailed("INVALID_TOTAL_PRICE_CHANGE")
    return left


def _found(lines: list[Line], product: Json) -> Line:
    if not product.get("id"):
        raise ChangeFailed("PRODUCT_ID_REQUIRED_FOR_MODIFICATION")
    found = next((line for line in lines if line.plu == product["id"]), None)
    if found is None:
        raise ChangeFailed("UNKNOWN_PRODUCT_ID")
    return found


def _quantity(product: Json) -> int:
    value = product.get("quantity")
    if value is None:
        raise ChangeFailed("QUANTITY_REQUIRED")
    if isinstance(value, bool) or not str(value).isdigit():
        raise ChangeFailed("VALIDATION_ERROR")
    if not int(value):
        raise ChangeFailed("QUANTITY_CANNOT_BE_ZERO")
    return int(value)


def _change(line: Line, product: Json, properties: Any) -> None:
    if not isinstance(properties, list) or not properties or not all(each in _PROPERTIES for each in properties):
        raise ChangeFailed("PROPERTIES_MUST_BE_SET_FOR_MODIFICATION")
    if "quantity" in properties:
        line.quantity = _quantity(product)
    if "selectedToppings" in properties:
        toppings = product.get("selectedToppings")
        if not isinstance(toppings, list) or not toppings:
            raise ChangeFailed("SELECTED_TOPPINGS_MUST_BE_SET_FOR_TOPPING_MODIFICATION")
        for topping in toppings:
            change = topping.get("modification") if isinstance(topping, dict) else None
            if not isinstance(change, dict) or change.get("type") != "REMOVAL":
                raise ChangeFailed("SUB_PRODUCT_MODIFICATION_NOT_SUPPORTED")
            if not _without(line, topping.get("id")):
                raise ChangeFailed("UNKNOWN_PRODUCT_ID")


def _without(line: Line, identifier: Any) -> bool:
    for option in line.options:
        if option.plu == identifier:
            line.options.remove(option)
            return True
        if _without(option, identifier):
            return True
    return False


def _added(product: Json, card: Card, identifier: str) -> Line:
    if not product.get("remoteCode"):
        raise ChangeFailed("PRODUCT_REMOTE_CODE_REQUIRED")
    if product.get("selectedToppings"):
        raise ChangeFailed("PRODUCT_ADDITION_WITH_TOPPINGS_NOT_ALLOWED")
    dish = next((each for each in card.for_sale() if each.id == product["remoteCode"]), None)
    if dish is None:
        raise ChangeFailed("PRODUCT_ADDITION_NOT_ALLOWED")
    line = card.line(dish, _quantity(product))
    line.plu = identifier
    return line
