"""The menu as DoorDash's tree: limits, depth, prices, taxes and hours."""

import pytest

from adapters.doordash.menu import open_hours, store_menu
from hub.contract import Misconfigured
from hub.model import Availability, Category, Hours, Item, Menu, ModifierGroup, Money
from hub.model.menu import Modifier, Tax


def usd(amount: int) -> Money:
    """Cents."""
    return Money(amount, "USD")


def group(identifier: str, *options: Modifier, least: int = 0, most: int = 0) -> ModifierGroup:
    """A choice."""
    return ModifierGroup(identifier, identifier.title(), least, most, options)


def menu(item: Item, *groups: ModifierGroup) -> Menu:
    """A menu of one item."""
    taxes = (Tax("a", "State", "6.25"), Tax("b", "City", "2"), Tax("v", "VAT", "10", inclusive=True))
    return Menu("USD", (Category("c", "Main", (item.id, item.id)),), (item,), groups, taxes)


def test_an_item_is_written_out_with_its_choices() -> None:
    """Taxes are added up, a channel's price stands, what is sold out is still shown, an empty choice is left out."""
    options = (Modifier("m", "Mild", usd(0), default=True), Modifier("h", "Hot", usd(25)))
    item = Item(
        "i",
        "Burger",
        usd(1000),
        group_ids=("heat", "none", "gone"),
        tax_ids=("a", "b", "v"),
        availability=Availability(False),
        channel_prices={"doordash": usd(1100)},
    )
    made = store_menu("s", menu(item, group("heat", *options, least=1, most=1), group("none")))
    assert made["menu"]["merchant_supplied_id"] == "hub-s"
    (category,) = made["menu"]["categories"]
    (shown,) = category["items"]
    assert (shown["price"], shown["tax_rate"], shown["active"]) == (1100, "8.25", True)
    (heat,) = shown["extras"]
    assert (heat["min_num_options"], heat["max_num_options"]) == (1, 1)
    assert [(each["merchant_supplied_id"], each["price"], each.get("default")) for each in heat["options"]] == [
        ("m", 0, True),
        ("h", 25, None),
    ]


def test_limits_of_a_choice() -> None:
    """No upper limit means all of them; more than there are is a number in all."""
    two = (Modifier("a", "A", usd(0)), Modifier("b", "B", usd(0)))

    def limits(least: int, most: int) -> dict[str, int]:
        made = store_menu("s", menu(Item("i", "I", usd(1), group_ids=("g",)), group("g", *two, least=least, most=most)))
        extra = made["menu"]["categories"][0]["items"][0]["extras"][0]
        return {name: value for name, value in extra.items() if name.startswith(("min", "max"))}

    assert limits(0, 0) == {"min_num_options": 0, "max_num_options": 2}
    assert limits(1, 5) == {"min_num_options": 1, "max_num_options": 2}
    assert limits(4, 4) == {
        "min_num_options": 1,
        "max_num_options": 2,
        "max_option_choice_quantity": 4,
        "min_aggregate_options_quantity": 4,
        "max_aggregate_options_quantity": 4,
    }


def test_choices_go_three_levels_deep() -> None:
    """A fourth is refused by name, and so is one that opens itself."""
    groups = [group(f"g{n}", Modifier(f"m{n}", f"M{n}", usd(0), group_ids=(f"g{n + 1}",))) for n in range(1, 5)]
    item = Item("i", "Burger", usd(1), group_ids=("g1",))
    assert store_menu("s", menu(item, *groups[:3]))
    with pytest.raises(Misconfigured, match="G4"):
        store_menu("s", menu(item, *groups))
    with pytest.raises(Misconfigured, match="level 4"):
        store_menu("s", menu(item, group("g1", Modifier("m", "M", usd(0), group_ids=("g1",)))))


@pytest.mark.parametrize("price", [Money(-1, "USD"), Money(1, "CAD")])
def test_prices_that_cannot_be_shown_are_named(price: Money) -> None:
    """Below zero, or in another currency."""
    with pytest.raises(Misconfigured, match="i costs"):
        store_menu("s", menu(Item("i", "I", price)))


def test_an_empty_menu_is_not_pushed() -> None:
    """It would empty the store."""
    with pytest.raises(Misconfigured, match="empty store"):
        store_menu("s", Menu("USD", (Category("c", "Main", ("gone",)),), ()))


def test_hours_never_overlap() -> None:
    """What touches is joined, what overlaps is shortened, the week is a circle, and no hours are all hours."""

    def spans(*hours: tuple[str, str, str]) -> list[str]:
        found = open_hours([Hours(day, opens, closes) for day, opens, closes in hours])  # type: ignore[arg-type]
        return [f"{each['day_index']} {each['start_time']}-{each['end_time']}" for each in found]

    assert spans(("monday", "10:00", "14:00"), ("monday", "14:00", "22:00")) == ["MON 10:00-22:00"]
    assert spans(("friday", "18:00", "02:00"), ("saturday", "01:00", "03:00")) == ["FRI 18:00-03:00"]
    assert spans(("sunday", "20:00", "04:00"), ("monday", "02:00", "10:00")) == ["MON 02:00-10:00", "SUN 20:00-02:00"]
    assert spans(("monday", "08:00", "24:00")) == ["MON 08:00-00:00"]
    assert spans(("monday", "08:00", "04:00"), ("tuesday", "03:00", "10:00")) == ["MON 08:00-04:00", "TUE 04:00-10:00"]
    assert spans()[::6] == ["MON 00:00-23:59", "SUN 00:00-23:59"]
