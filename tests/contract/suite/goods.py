"""What the checks sell: a menu with every difficulty a channel may meet, and orders made out of a POS's own menu."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hub.contract import SubmitTask
from hub.ids import new_id
from hub.model import (
    Address,
    Charge,
    Customer,
    Discount,
    Fulfilment,
    Item,
    Line,
    Menu,
    Modifier,
    Money,
    NotCarried,
    Order,
    Payment,
    Tax,
    Tip,
)
from hub.model.menu import Category, Hours, ModifierGroup
from hub.model.menu import Modifier as Option
from hub.model.menu import Tax as Rate

NOTE = "No onions, please – بدون بصل"
CUSTOMER = Customer("Zoë Al-Qahtani", "+1 555-555-0147", address=Address("12 Harbour Street", "Flat 3", "Springfield", "01103", "US"))
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def channel_menu(currency: str) -> Menu:
    """Two categories, four items, a required choice, an optional one that may be taken twice, an Arabic name, two tax rates."""

    def money(amount: int) -> Money:
        return Money(amount, currency)

    sizes = (Option("small", "Small", money(0), "S-1"), Option("large", "Large", money(150), "L-1"))
    more = (Option("cheese", "Cheese", money(100), "CH-1"), Option("bacon", "Bacon", money(175), "BA-1"))
    groups = (ModifierGroup("size", "Size of the drink", 1, 1, sizes), ModifierGroup("more", "Extras to add", 0, 3, more))
    items = (
        Item("burger", "Burger", money(1095), "BUR-1", "Beef, bread", group_ids=("more",), tax_ids=("full",)),
        Item("shawarma", "شاورما دجاج", money(850), "SHA-1", tax_ids=("full",)),
        Item("lemonade", "Lemonade", money(350), "LEM-1", group_ids=("size",), tax_ids=("low",)),
        Item("creme", "Crème brûlée", money(595), "CRE-1", tax_ids=("low",)),
    )
    hours = tuple(Hours(day, "08:00", "23:00") for day in DAYS)
    taxes = (Rate("full", "VAT", "20", inclusive=True), Rate("low", "Reduced VAT", "5", inclusive=True))
    categories = (Category("mains", "Mains", ("burger", "shawarma")), Category("others", "Drinks and desserts", ("lemonade", "creme")))
    return Menu(currency, categories, items, groups, taxes, hours)


def _options(menu: Menu, group_ids: tuple[str, ...], depth: int = 0) -> tuple[Modifier, ...]:
    groups = {group.id: group for group in menu.groups}
    chosen: list[Modifier] = []
    for identifier in group_ids:
        group = groups[identifier]
        options = [o for o in group.modifiers if o.availability.available]
        count = max(group.minimum, 1 if depth == 0 else 0)
        for option in options[:count]:
            nested = _options(menu, option.group_ids, depth + 1)
            chosen.append(Modifier(option.id, option.name, 1, option.price, option.plu, group.id, group.name, nested))
    return tuple(chosen)


def lines_of(menu: Menu, count: int = 3, **more: Any) -> tuple[Line, ...]:
    """Lines of what the POS sells, one of them twice, with the choices that have to be made and one that need not."""
    made = []
    sellable = [item for item in menu.items if item.availability.available]
    for number, item in enumerate(sellable[:count]):
        line = Line(
            item.id, item.name, 1 + number % 2, item.price, Money(0, menu.currency), item.plu, _options(menu, item.group_ids), **more
        )
        made.append(Line(line.id, line.name, line.quantity, line.unit_price, line.expected_total(), line.plu, line.modifiers, line.note))
    return tuple(made)


def order_of(menu: Menu, location_ref: str, *, lines: tuple[Line, ...] | None = None, **more: Any) -> SubmitTask:
    """A task to submit such an order: nothing but the lines and a note, unless more is given."""
    lines = lines_of(menu) if lines is None else lines
    now = datetime.now(UTC).replace(microsecond=0)
    given: dict[str, Any] = {
        "platform": "ubereats",
        "platform_order_id": new_id("cor"),
        "store_ref": "store-1",
        "currency": menu.currency,
        "lines": lines,
        "placed_at": now,
        "display_id": "B2AB1",
        "fulfilment": Fulfilment("pickup", ready_at=now + timedelta(minutes=25)),
        "customer": CUSTOMER,
        "note": NOTE,
        "total": Money(0, menu.currency),
        "deadline_at": now + timedelta(minutes=11),
    }
    order = Order(**{**given, **more})
    paid = Payment("prepaid", Money(order.merchant_total().amount, menu.currency))
    order = Order(**{**given, "total": order.merchant_total(), "payments": (paid,), **more})
    products = {}
    for line in lines:
        _products(line, products)
    return SubmitTask(new_id("ord"), order, location_ref, products)


def _products(thing: Line | Modifier, products: dict[str, str]) -> None:
    for key in filter(None, (thing.plu, thing.id)):
        products[key] = thing.id
    for modifier in thing.modifiers:
        _products(modifier, products)


def awkward(menu: Menu) -> dict[str, Any]:
    """Money beside the lines: who is owed it and who pays for it differ."""

    def money(amount: int) -> Money:
        return Money(amount, menu.currency)

    return {
        "charges": (Charge("bag", "Bag fee", money(29), "merchant"), Charge("service", "Service fee", money(199), "platform")),
        "discounts": (Discount("Lunch deal", money(133), "merchant"), Discount("Platform week", money(200), "platform")),
        "tips": (Tip(money(150), "merchant"), Tip(money(250), "courier")),
        "taxes": (Tax("Sales tax", money(87), "merchant"), Tax("Marketplace tax", money(41), "platform")),
    }


def named(lost: tuple[NotCarried, ...], *fields: str) -> bool:
    """Tell whether one of the fields is listed as not carried."""
    return any(any(field in each.field for field in fields) for each in lost)
