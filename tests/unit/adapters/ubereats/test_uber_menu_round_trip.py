"""A menu that was pushed comes back in orders: what Uber stores of an item names the hub's thing again."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.ubereats.menu import from_uber_id, menu_body
from hub.contract import Misconfigured
from hub.model import Category, Hours, Item, Line, Menu, ModifierGroup, Money
from hub.model import Modifier as Chosen
from hub.model.menu import Modifier, Tax
from tests.unit.adapters.ubereats.uber_answers import answer, mapped, price, row, uber

_IDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


def usd(minor: int) -> Money:
    """Cents."""
    return Money(minor, "USD")


@st.composite
def menus(draw: st.DrawFn) -> Menu:
    """A menu with ids of any kind, channel prices here and there, and a group on every item."""
    names = draw(st.lists(_IDS, min_size=2, max_size=6, unique=True))
    cut = draw(st.integers(1, len(names) - 1))
    special = st.sampled_from([{}, {"ubereats": usd(777)}, {"other": usd(1)}])
    options = tuple(Modifier(f"m{n}", n, usd(draw(st.integers(0, 500))), channel_prices=draw(special)) for n in names[cut:])
    items = tuple(Item(n, n, usd(draw(st.integers(1, 5000))), group_ids=("g",), channel_prices=draw(special)) for n in names[:cut])
    return Menu("USD", (Category("c", "C", tuple(names[:cut])),), items, (ModifierGroup("g", "G", 0, 0, options),))


@settings(max_examples=80, deadline=None)
@given(menus())
def test_an_order_of_a_pushed_menu_finds_its_things(menu: Menu) -> None:
    """Each item of the snapshot, ordered with every option, has its product by external_data and its price by the channel's."""
    shown = {item["id"]: item for item in menu_body(menu)["items"]}
    lines: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    food = 0

    def ordered(identifier: str) -> dict[str, Any]:
        nonlocal food
        there, key = shown[identifier], f"ci-{len(rows)}"
        rows.append(row(key, price(there["price_info"]["price"])))
        food += there["price_info"]["price"]
        return {"id": identifier, "cart_item_id": key, "title": "x", "external_data": there["external_data"]}

    things = menu.sellable()
    options = [o["id"] for o in menu_body(menu)["modifier_groups"][0]["modifier_options"]]
    for category in menu_body(menu)["categories"]:
        for entity in category["entities"]:
            chosen = [{"id": "g", "selected_items": [ordered(option) for option in options]}]
            lines.append({**ordered(entity["id"]), "selected_modifier_groups": chosen})
    payment = {"payment_detail": {"order_total": price(food), "item_charges": {"price_breakdown": rows}}}
    order = mapped(answer(carts=[{"items": lines}], payment=payment))
    assert [line.plu for line in order.lines] == [item.id for item in menu.items]
    for line in order.lines:
        parts: list[Line | Chosen] = [line, *line.modifiers]
        for part in parts:
            thing = things[part.plu]
            assert from_uber_id(part.id) == thing.id
            assert part.unit_price == thing.channel_prices.get("ubereats", thing.price)


async def test_a_push_is_one_repeatable_write() -> None:
    """The same menu is the same bytes, and what Uber shows after it are the hub's ids."""
    menu = Menu("USD", (Category("c", "C", ("a/b;c%2F",)),), (Item("a/b;c%2F", "A", usd(1)),))
    adapter, http = uber()
    step = adapter.push_menu_step("s", menu)
    assert step == adapter.push_menu_step("s", menu)
    assert not set(json.loads(step.request.body)["items"][0]["id"]) & {"/", ";"}
    http._bodies.append(step.request.body)
    assert await adapter.read_back("s") == {"a/b;c%2F"}


def test_one_item_takes_one_kind_of_tax() -> None:
    """VAT and an added tax on one item is a fault of the menu, named by item."""
    taxes = (Tax("v", "VAT", "20", inclusive=True), Tax("c", "City", "1"))
    menu = Menu("USD", (), (Item("soup", "Soup", usd(1), tax_ids=("v", "c")),), taxes=taxes)
    with pytest.raises(Misconfigured, match="item soup has both"):
        menu_body(menu)


def test_a_channel_price_in_another_currency_is_refused() -> None:
    """Cents are never sent as pence."""
    with pytest.raises(Misconfigured, match="one currency"):
        menu_body(Menu("USD", (), (Item("soup", "Soup", usd(1), channel_prices={"ubereats": Money(1, "GBP")}),)))


def test_overlapping_hours_are_one_period() -> None:
    """What a night runs into the next morning's daypart is told once; the day ends at 23:59."""
    hours = (Hours("monday", "20:00", "03:00"), Hours("tuesday", "02:00", "10:00"), Hours("tuesday", "12:00", "24:00"))
    days = menu_body(Menu("USD", (), (), hours=hours))["menus"][0]["service_availability"]
    assert [(d["day_of_week"], [(p["start_time"], p["end_time"]) for p in d["time_periods"]]) for d in days] == [
        ("monday", [("20:00", "23:59")]),
        ("tuesday", [("00:00", "10:00"), ("12:00", "23:59")]),
    ]
