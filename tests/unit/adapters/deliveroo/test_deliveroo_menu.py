"""What a menu tells consumers beside names and prices."""

from adapters.deliveroo.menu import upload_body
from hub.model import Category, Item, Menu, Money


def test_alcohol_and_allergens_are_told() -> None:
    """Of the dish that has them, and of no other."""
    wine = Item("wine", "Red wine", Money(600, "GBP"), allergens=("sulphites",), contains_alcohol=True)
    tea = Item("tea", "Tea", Money(250, "GBP"))
    menu = Menu("GBP", (Category("drinks", "Drinks", ("wine", "tea")),), (wine, tea))
    told = {item["id"]: item for item in upload_body("site-1", menu)["menu"]["items"]}
    assert (told["wine"]["contains_alcohol"], told["wine"]["allergies"]) == (True, ["sulphites"])
    assert told["tea"]["contains_alcohol"] is False
    assert "allergies" not in told["tea"]
