"""Foodics' own payloads, read by the adapter."""

import msgspec

from adapters.foodics import models
from adapters.foodics.mapping import state_of
from adapters.foodics.menu import Wanted, menu_from
from adapters.foodics.webhooks import FoodicsIngress
from hub.contract import IngressRequest
from hub.model import OrderState
from tests.contract.openapi import vendor_spec

BRANCH = "9cc1b4c5-406d-4519-9424-a21a77da9aef"


def test_real_products_make_a_menu() -> None:
    """A product that its branch does not sell is left out there; elsewhere it is sold, without the options that it excludes."""
    raw = (vendor_spec("foodics") / "list-products.json").read_bytes()
    page = msgspec.json.decode(raw, type=models.Page[models.Product])
    assert menu_from(page.data, (), Wanted(BRANCH, "SAR", tax_inclusive=True)).items == ()
    menu = menu_from(page.data, (), Wanted("elsewhere", "SAR", tax_inclusive=True, group="KeeTa"))
    (item,) = menu.items
    assert (item.name, item.plu, item.price.amount) == ("Beef Burger", "sk-0001", 5000)
    assert {each.minimum for each in menu.groups} <= {0, 1, 2}
    assert "Default Sauce" not in {each.name for each in menu.groups[0].modifiers}


def test_real_orders_are_read() -> None:
    """Listed orders have states and totals; the documented order is read as a list's row and as a webhook's."""
    folder = vendor_spec("foodics")
    page = msgspec.json.decode((folder / "list-orders.trimmed.json").read_bytes(), type=models.Page[models.Order])
    assert {state_of(each)[0] for each in page.data} <= set(OrderState)
    assert all(each.total_price is not None and each.updated_at for each in page.data)
    whole = msgspec.json.decode((folder / "get-order.json").read_bytes())["order"]
    order = msgspec.convert(whole, models.Order)
    body = msgspec.json.encode({"timestamp": 1, "event": "order.updated", "business": {"reference": 1}, "order": whole})
    (fact,) = FoodicsIngress().facts(IngressRequest("POST", "", {}, {}, body, "https://hub"))
    assert (fact.kind, fact.subject) == ("pos_order.changed", f"order/{order.id}")
