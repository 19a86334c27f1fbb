"""Square's catalog as the hub's menu: variations are what is sold, seen at one location."""

import json
from importlib import resources
from typing import Any

import pytest

from adapters.square import PROVIDER
from adapters.square.adapter import Square
from hub.contract import Connected, Drifted, Misconfigured
from hub.model import Menu
from tests.unit.adapters.sales import FakeHttp, usd

LOCATIONS = {"locations": [{"id": "LOC", "name": "Main", "currency": "USD", "timezone": "America/New_York", "country": "US"}]}


def money(amount: int) -> dict[str, Any]:
    """Cents on the wire."""
    return {"amount": amount, "currency": "USD"}


def variation(identifier: str, name: str, price: int | None, **more: Any) -> dict[str, Any]:
    """A variation."""
    data = {"item_id": "I", "name": name, **({"price_money": money(price)} if price is not None else {}), **more}
    return {"type": "ITEM_VARIATION", "id": identifier, "item_variation_data": data}


def item(identifier: str, name: str, *variations: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An item."""
    return {"type": "ITEM", "id": identifier, "item_data": {"name": name, "variations": list(variations), **more}}


def modifier_list(identifier: str, **more: Any) -> dict[str, Any]:
    """A list with two options."""
    options = [
        {"type": "MODIFIER", "id": "M2", "modifier_data": {"name": "Cheese", "price_money": money(50), "ordinal": 2}},
        {
            "type": "MODIFIER",
            "id": "M1",
            "modifier_data": {"name": "Bacon", "price_money": money(150), "ordinal": 1, "on_by_default": True},
        },
    ]
    return {"type": "MODIFIER_LIST", "id": identifier, "modifier_list_data": {"name": "Extras", "modifiers": options, **more}}


async def menu_of(*pages: list[dict[str, Any]]) -> Menu:
    """The menu from these pages."""
    answers = [{"objects": page, "cursor": f"c{number}"} for number, page in enumerate(pages[:-1])] + [{"objects": pages[-1]}]
    http = FakeHttp(LOCATIONS, *answers)
    menu = await Square(PROVIDER.facts, Connected("con", "simulator"), http).read_menu("LOC")
    assert [request.query.get("cursor", "") for request in http.requests[1:]] == ["", *(f"c{n}" for n in range(len(pages) - 1))]
    return menu


async def test_variations_are_the_items() -> None:
    """One variation keeps the item's name, several are named after both; every page is read."""
    one = item("I1", "Soup", variation("V1", "Regular", 500, sku="17"), category_id="CAT", description="hot", tax_ids=["T"])
    two = item("I2", "Coffee", variation("V2", "Small", 300), variation("V3", "Large", 400), categories=[{"id": "CAT"}])
    category = {"type": "CATEGORY", "id": "CAT", "category_data": {"name": "Food"}}
    tax = {"type": "TAX", "id": "T", "tax_data": {"name": "VAT", "percentage": "20.0", "inclusion_type": "INCLUSIVE"}}
    menu = await menu_of([one], [two, category], [tax])
    assert [(i.id, i.name, i.price.amount, i.parent_id) for i in menu.items] == [
        ("V1", "Soup", 500, "I1"),
        ("V2", "Coffee (Small)", 300, "I2"),
        ("V3", "Coffee (Large)", 400, "I2"),
    ]
    assert (menu.items[0].plu, menu.items[0].description, menu.items[0].tax_ids) == ("17", "hot", ("T",))
    assert [(c.name, c.item_ids) for c in menu.categories] == [("Food", ("V1", "V2", "V3"))]
    assert (menu.taxes[0].rate, menu.taxes[0].inclusive, menu.currency) == ("20.0", True, "USD")


async def test_modifier_lists_are_groups() -> None:
    """In their order, with prices, defaults and bounds; SINGLE means at most one."""
    info = [{"modifier_list_id": "L"}, {"modifier_list_id": "OFF", "enabled": False}, {"modifier_list_id": "GONE"}]
    menu = await menu_of(
        [
            item("I1", "Burger", variation("V1", "", 900), modifier_list_info=info),
            modifier_list("L", selection_type="SINGLE"),
            modifier_list("OFF"),
        ]
    )
    group = menu.groups[0]
    assert [(m.id, m.price, m.default) for m in group.modifiers] == [("M1", usd(150), True), ("M2", usd(50), False)]
    assert (group.minimum, group.maximum) == (0, 1)
    assert menu.items[0].group_ids == ("L",)


async def test_options_have_prices_and_stock_of_the_location() -> None:
    """A location's override counts there only."""
    override = [{"location_id": "X", "price_money": money(1)}, {"location_id": "LOC", "price_money": money(75), "sold_out": True}]
    listed = modifier_list("L")
    listed["modifier_list_data"]["modifiers"][0]["modifier_data"]["location_overrides"] = override
    menu = await menu_of([item("I1", "Burger", variation("V1", "", 900), modifier_list_info=[{"modifier_list_id": "L"}]), listed])
    assert [(m.id, m.price, m.availability.available) for m in menu.groups[0].modifiers] == [
        ("M1", usd(150), True),
        ("M2", usd(75), False),
    ]


async def test_an_items_own_bounds_make_a_group_of_its_own() -> None:
    """Where an item overrules the list, the other items keep the list's bounds."""
    strict = item("I1", "Burger", variation("V1", "", 900), modifier_list_info=[{"modifier_list_id": "L", "min_selected_modifiers": 1}])
    loose = item("I2", "Fries", variation("V2", "", 300), modifier_list_info=[{"modifier_list_id": "L"}])
    menu = await menu_of([strict, loose, modifier_list("L", max_selected_modifiers=2)])
    bounds = {group.id: (group.minimum, group.maximum) for group in menu.groups}
    assert bounds == {"L": (0, 2), "L:I1": (1, 2)}
    assert [i.group_ids for i in menu.items] == [("L:I1",), ("L",)]


async def test_the_menu_is_of_one_location() -> None:
    """Prices and sold-out marks of the location; what is elsewhere, archived, deleted or priced at the counter is left out."""
    override = [{"location_id": "LOC", "price_money": money(700), "sold_out": True, "sold_out_valid_until": "2026-01-11T00:00:00Z"}]
    here = item("I1", "Soup", variation("V1", "", 500, location_overrides=override))
    elsewhere = item("I2", "Stew", variation("V2", "", 500)) | {"present_at_all_locations": False, "present_at_location_ids": ["X"]}
    absent = item("I3", "Pie", variation("V3", "", 500)) | {"absent_at_location_ids": ["LOC"]}
    archived, open_price = item("I4", "Old", variation("V4", "", 1), is_archived=True), item("I5", "Any", variation("V5", "", None))
    deleted = item("I6", "Gone", variation("V6", "", 1)) | {"is_deleted": True}
    menu = await menu_of([here, elsewhere, absent, archived, open_price, deleted, modifier_list("T", modifier_type="TEXT")])
    (only,) = menu.items
    assert (only.id, only.price, only.availability.available, only.availability.until) == ("V1", usd(700), False, "2026-01-11T00:00:00Z")
    assert menu.groups == ()


async def test_the_official_example_is_read() -> None:
    """Unknown fields are no hindrance: a category without items and a tax of 5 percent."""
    text = resources.files("adapters.square").joinpath("fixtures/catalog_official.json").read_text()
    menu = await menu_of(json.loads(text)["objects"])
    assert (menu.items, menu.categories) == ((), ())
    assert [(t.name, t.rate, t.inclusive) for t in menu.taxes] == [("Sales Tax", "5.0", False)]


async def test_an_unknown_location_is_a_setting_to_mend() -> None:
    """The error names the location."""
    adapter = Square(PROVIDER.facts, Connected("con", "simulator"), FakeHttp(LOCATIONS))
    with pytest.raises(Misconfigured, match="ELSEWHERE"):
        await adapter.read_menu("ELSEWHERE")


async def test_a_catalog_that_does_not_fit_is_drift() -> None:
    """A price that is text is no price."""
    bad = item("I", "Soup", variation("V", "", None, price_money={"amount": "5"}))
    with pytest.raises(Drifted):
        await menu_of([bad])
