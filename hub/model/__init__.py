"""Canonical records: money, orders, menus, stores and the order's states. Everything else speaks in these."""

from hub.model.fitting import fit_nesting
from hub.model.location import Store
from hub.model.menu import Availability, Category, Hours, Item, Menu, ModifierGroup
from hub.model.money import CurrencyMismatch, Money, exponent, total, zero
from hub.model.order import (
    Address,
    Charge,
    Customer,
    Discount,
    Fulfilment,
    Line,
    Modifier,
    NotCarried,
    Order,
    Payment,
    Tax,
    Tip,
)
from hub.model.states import FINAL, TRANSITIONS, OrderState, may_follow
from hub.model.stock import CourierSighting, CourierState, StockLevel, StoreChange, StoreStatus

__all__ = [
    "FINAL", "TRANSITIONS", "Address", "Availability", "Category", "Charge", "CourierSighting", "CourierState",
    "CurrencyMismatch", "Customer", "Discount", "Fulfilment", "Hours", "Item", "Line", "Menu", "Modifier", "ModifierGroup",
    "Money", "NotCarried", "Order", "OrderState", "Payment", "StockLevel", "Store", "StoreChange", "StoreStatus", "Tax",
    "Tip", "exponent", "fit_nesting", "may_follow", "total", "zero",
]  # fmt: skip
