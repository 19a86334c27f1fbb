"""What the merchant is owed, and where an order may go."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from hub.model import FINAL, TRANSITIONS, Charge, Discount, Fulfilment, Line, Menu, Modifier, Money, Order, OrderState, Tax, Tip, may_follow
from hub.model.menu import Category, Item, ModifierGroup
from hub.model.menu import Modifier as Option


def usd(amount: int) -> Money:
    """Cents."""
    return Money(amount, "USD")


def order(**more: Any) -> Order:
    """One line of 10.00."""
    given: dict[str, Any] = {
        "platform": "ubereats",
        "platform_order_id": "u-1",
        "store_ref": "s",
        "currency": "USD",
        "lines": (Line("burger", "Burger", 1, usd(1000), usd(1000)),),
        "total": usd(1000),
        "placed_at": datetime(2026, 1, 10, tzinfo=UTC),
        "fulfilment": Fulfilment("pickup"),
    }
    return Order(**{**given, **more})


@pytest.mark.parametrize(
    ("more", "owed"),
    [
        ({}, 1000),
        ({"charges": (Charge("bag", "Bag", usd(50), "merchant"),)}, 1050),
        ({"charges": (Charge("service", "Service", usd(99), "platform"),)}, 1000),
        ({"discounts": (Discount("2 off", usd(200), "merchant"),)}, 800),
        ({"discounts": (Discount("2 off", usd(200), "platform"),)}, 1000),
        ({"taxes": (Tax("Tax", usd(80), "merchant"),)}, 1080),
        ({"taxes": (Tax("VAT", usd(80), "merchant", inclusive=True),)}, 1000),
        ({"taxes": (Tax("Tax", usd(80), "platform"),)}, 1000),
        ({"tips": (Tip(usd(300), "courier"), Tip(usd(200), "merchant"))}, 1000),
    ],
)
def test_merchant_total(more: dict[str, Any], owed: int) -> None:
    """Only what is the merchant's counts: its charges, added taxes and the discounts it pays for."""
    assert order(**more).merchant_total() == usd(owed)


def test_tips_are_parted() -> None:
    """The courier's tip is not the merchant's."""
    assert order(tips=(Tip(usd(300), "courier"), Tip(usd(200), "merchant"))).merchant_tip() == usd(200)


def test_nested_modifiers_multiply() -> None:
    """Quantities are per one of the parent, at every level."""
    cheese = Modifier("cheese", "Cheese", 2, usd(50))
    patty = Modifier("patty", "Patty", 3, usd(100), modifiers=(cheese,))
    line = Line("burger", "Burger", 2, usd(1000), usd(3200), modifiers=(patty,))
    assert patty.price() == usd(600)
    assert line.expected_total() == usd(3200)


def test_an_order_survives_its_encoding() -> None:
    """Encoded and decoded it is the same order, times included."""
    whole = order(tips=(Tip(usd(1), "courier"),), deadline_at=datetime(2026, 1, 10, 1, tzinfo=UTC))
    assert msgspec.json.decode(msgspec.json.encode(whole), type=Order) == whole


def test_ends_are_ends() -> None:
    """Nothing follows a completed, cancelled, rejected or failed order, and every state is in the table."""
    assert set(TRANSITIONS) == set(OrderState)
    assert {OrderState.COMPLETED, OrderState.CANCELLED, OrderState.REJECTED, OrderState.FAILED} == FINAL


def test_no_state_goes_back() -> None:
    """Following a state never leads back to one that led to it, so an order's life ends."""
    for state, following in TRANSITIONS.items():
        assert state not in following
        for each in following:
            assert state not in TRANSITIONS[each]


def test_only_a_received_order_is_decided() -> None:
    """Accepting and rejecting are possible once; later an order is cancelled."""
    assert may_follow(OrderState.RECEIVED, OrderState.ACCEPTED)
    assert may_follow(OrderState.RECEIVED, OrderState.REJECTED)
    assert not may_follow(OrderState.ACCEPTED, OrderState.REJECTED)
    assert not may_follow(OrderState.RECEIVED, OrderState.READY)
    assert may_follow(OrderState.READY, OrderState.CANCELLED)


def test_a_menu_is_found_by_id_before_plu() -> None:
    """Where a PLU equals another thing's id, the id wins; items and options are both sellable."""
    soup, stew = Item("soup", "Soup", usd(500), plu="stew"), Item("stew", "Stew", usd(900), plu="17")
    group = ModifierGroup("g", "Extras", 0, 0, (Option("bread", "Bread", usd(100), plu="99"),))
    menu = Menu("USD", (Category("c", "All", ("soup", "stew")),), (soup, stew), (group,))
    found = menu.sellable()
    assert (found["stew"], found["17"], found["99"].name) == (stew, stew, "Bread")
    assert menu.item("soup") is soup
    assert menu.item("none") is None
