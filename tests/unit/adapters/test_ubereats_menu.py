"""The hub's menu as Uber's snapshot, and back."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ubereats import PROVIDER
from adapters.ubereats.adapter import UberEats
from adapters.ubereats.menu import from_uber_id, menu_body, to_uber_id
from hub.contract import Connected, Done, Drifted, Repeat
from hub.model import Availability, Category, Hours, Item, Menu, ModifierGroup, Money
from hub.model.menu import Modifier, Tax
from tests.unit.adapters.sales import FakeHttp, answered, usd

EXTRAS = ModifierGroup("extras", "Extras", 0, 3, (Modifier("bacon", "Bacon", usd(150), plu="B"), Modifier("cheese", "Cheese", usd(50))))
BURGER = Item("burger/1", "Burger", usd(1000), description="Good", group_ids=("extras", "gone"), tax_ids=("t1", "t2"))


def menu(**more: Any) -> Menu:
    """A burger with extras."""
    given: dict[str, Any] = {
        "currency": "USD",
        "categories": (Category("food", "Food", ("burger/1", "gone")),),
        "items": (BURGER,),
        "groups": (EXTRAS,),
        "taxes": (Tax("t1", "State", "8.1"), Tax("t2", "City", "0.2")),
    }
    return Menu(**{**given, **more})


def shown(**more: Any) -> dict[str, dict[str, Any]]:
    """The body's items by the hub's id."""
    return {item["external_data"]: item for item in menu_body(menu(**more))["items"]}


@given(st.text(max_size=60))
def test_ids_are_legal_and_come_back(identifier: str) -> None:
    """No slash, no semicolon, and never two ids that become one."""
    there = to_uber_id(identifier)
    assert not set(there) & {"/", ";"}
    assert from_uber_id(there) == identifier


def test_everything_orderable_is_an_item() -> None:
    """Options too, with their prices; the item knows its groups, and only those that are there."""
    body = menu_body(menu())
    assert [(i["id"], i["external_data"], i["price_info"]) for i in body["items"]] == [
        ("burger%2F1", "burger/1", {"price": 1000}),
        ("bacon", "bacon", {"price": 150}),
        ("cheese", "cheese", {"price": 50}),
    ]
    assert body["items"][0]["modifier_group_ids"] == {"ids": ["extras"]}
    assert body["items"][0]["tax_info"] == {"tax_rate": 8.3}
    assert body["modifier_groups"][0]["modifier_options"] == [{"type": "ITEM", "id": "bacon"}, {"type": "ITEM", "id": "cheese"}]
    assert body["modifier_groups"][0]["quantity_info"] == {"quantity": {"min_permitted": 0, "max_permitted": 3}}
    assert body["categories"][0]["entities"] == [{"type": "ITEM", "id": "burger%2F1"}]
    assert body["menus"][0]["category_ids"] == ["food"]
    assert all(set(text["translations"]) == {"en_us"} for text in (i["title"] for i in body["items"]))


@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=6, unique=True))
def test_a_snapshot_hangs_together(ids: list[str]) -> None:
    """Whatever the ids are, every reference in the body names a thing of the body."""
    options = tuple(Modifier(f"m{each}", "M", usd(1), group_ids=(f"g{ids[0]}",)) for each in ids)
    groups = tuple(ModifierGroup(f"g{each}", "G", 0, 0, options) for each in ids)
    items = tuple(Item(each, "I", usd(100), group_ids=(f"g{each}",)) for each in ids)
    body = menu_body(Menu("USD", (Category("c", "C", tuple(ids)),), items, groups))
    known = {item["id"] for item in body["items"]}
    assert len(known) == len(body["items"]) == 2 * len(ids)
    assert {e["id"] for c in body["categories"] for e in c["entities"]} <= known
    assert {o["id"] for g in body["modifier_groups"] for o in g["modifier_options"]} <= known
    named = {i for item in body["items"] for i in item.get("modifier_group_ids", {}).get("ids", [])}
    assert named <= {g["id"] for g in body["modifier_groups"]}


def test_channel_prices_win() -> None:
    """Where the menu has a price for Uber Eats it is sent, for items and for options."""
    dear = {"ubereats": usd(1200), "other": usd(1)}
    options = ModifierGroup("extras", "Extras", 0, 0, (Modifier("bacon", "Bacon", usd(150), channel_prices={"ubereats": usd(175)}),))
    items = shown(items=(Item("burger", "Burger", usd(1000), channel_prices=dear),), groups=(options,))
    assert [items[i]["price_info"]["price"] for i in ("burger", "bacon")] == [1200, 175]


def test_an_option_with_two_prices_has_an_override() -> None:
    """One thing is one item; a group's own price for it stands beside the item's."""
    large = ModifierGroup("large", "Large", 0, 0, (Modifier("bacon", "Bacon", usd(300)),))
    info = shown(groups=(EXTRAS, large))["bacon"]["price_info"]
    assert info == {"price": 150, "overrides": [{"context_type": "MODIFIER_GROUP", "context_value": "large", "price": 300}]}


def test_inclusive_tax_is_vat() -> None:
    """Prices that hold their tax name it as VAT; without a tax nothing is said."""
    items = shown(taxes=(Tax("t1", "VAT", "20", inclusive=True),))
    assert (items["burger/1"]["tax_info"], items["bacon"]["tax_info"]) == ({"vat_rate_percentage": 20.0}, {})


def test_what_is_off_is_suspended() -> None:
    """Until the time that is known, else until somebody says so; options too."""
    off = Availability(False, "2026-01-11T00:00:00Z")
    option = ModifierGroup("extras", "Extras", 0, 0, (Modifier("bacon", "Bacon", usd(1), availability=Availability(False)),))
    items = shown(items=(Item("burger", "Burger", usd(1), availability=off),), groups=(option,))
    assert items["burger"]["suspension_info"]["suspension"]["suspend_until"] == 1768089600
    assert items["bacon"]["suspension_info"]["suspension"]["suspend_until"] > 4_000_000_000
    assert "suspension_info" not in shown()["burger/1"]


def periods(*hours: Hours) -> dict[str, list[tuple[str, str]]]:
    """Opening times by day."""
    found = menu_body(menu(hours=hours))["menus"][0]["service_availability"]
    return {day["day_of_week"]: [(p["start_time"], p["end_time"]) for p in day["time_periods"]] for day in found}


def test_hours() -> None:
    """Several dayparts, a night that ends the next day, a day around the clock; without hours the whole week."""
    assert periods(Hours("monday", "17:00", "22:00"), Hours("monday", "09:00", "14:00")) == {
        "monday": [("09:00", "14:00"), ("17:00", "22:00")]
    }
    assert periods(Hours("sunday", "18:00", "02:00")) == {"monday": [("00:00", "02:00")], "sunday": [("18:00", "23:59")]}
    assert periods(Hours("friday", "18:00", "00:00")) == {"friday": [("18:00", "23:59")]}
    assert periods(Hours("friday", "00:00", "00:00")) == {"friday": [("00:00", "23:59")]}
    assert len(periods()) == 7
    assert set(map(tuple, periods().values())) == {(("00:00", "23:59"),)}


@pytest.mark.parametrize(("currency", "amount"), [("USD", 1050), ("JPY", 1050), ("KWD", 1050)])
def test_prices_are_minor_units(currency: str, amount: int) -> None:
    """The menu's integers go as they are, unlike an order's."""
    body = menu_body(Menu(currency, (), (Item("i", "I", Money(amount, currency)),)))
    assert body["items"][0]["price_info"]["price"] == amount


async def test_a_push_is_read_back() -> None:
    """The PUT's ids, shown by Uber, are the hub's ids again."""
    http = FakeHttp()
    adapter = UberEats(PROVIDER.facts, Connected("con", "simulator"), http)
    step = adapter.push_menu_step("store-1", menu())
    assert (step.name, step.repeat) == ("menu", Repeat.NATURAL)
    assert (step.request.method, step.request.path) == ("PUT", "/v2/eats/stores/store-1/menus")
    http.answers.append(answered(200, step.request.body))
    assert await adapter.read_back("store-1") == {"burger/1", "bacon", "cheese"}
    assert adapter.read_step("menu", answered(204, b"")) == Done()
    assert json.loads(step.request.body)["display_options"] == {"disable_item_instructions": False}


async def test_a_menu_that_does_not_fit_is_drift() -> None:
    """Items that are no list are no empty menu."""
    adapter = UberEats(PROVIDER.facts, Connected("con", "simulator"), FakeHttp({"items": "none"}))
    with pytest.raises(Drifted):
        await adapter.read_back("store-1")
