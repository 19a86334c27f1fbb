"""Every collection that Foodics lists: its scope, its relations, and what it can be filtered and sorted by."""

from collections.abc import Callable
from typing import Any

from adapters._sandbox.calls import Call, Json

from ._sandbox_access import Business
from ._sandbox_catalog import MENU_RELATIONS
from ._sandbox_lists import Resource
from ._sandbox_office import Office
from ._sandbox_orders import ORDER_RELATIONS
from ._sandbox_staff import HOME, Branch, StaffedSandbox

GENERAL = "general.read"
_STOCK = "inventory.settings.read"
READ_ORDERS = ("orders.list orders.limited.read", "orders.get orders.limited.read")
_ORDER_FILTERS = (
    *("id", "branch_id", "status", "type", "source", "customer_id", "reference", "business_date"),
    *("updated_after", "created_after", "business_date_after", "reference_after"),
)
_PRODUCT_FILTERS = ("id", "sku", "name", "category_id", "is_active", "updated_after", "created_after")


class ListedSandbox(StaffedSandbox):
    """The part of Foodics' sandbox that reads collections."""

    _office: Office

    def _mine(self, call: Call) -> tuple[Business, dict[str, Branch]]:
        """The caller's business, and the branches its token reaches."""
        business = self._businesses[self._grants.owner(call)]
        return business, {i: each for i, each in self._branches.items() if business.reference == HOME or each.business is business}

    def _places(self, call: Call) -> list[Json]:
        return [each.row for each in self._mine(call)[1].values()]

    def _products(self, call: Call) -> list[Json]:
        business = self._mine(call)[0]
        rows = [self._catalog.product_row(each, business, self._places(call)) for each in self._catalog.products.values()]
        if self.settings["hide_product_options"]:
            for modifier in (each for row in rows for each in row["modifiers"]):
                modifier.pop("options")
        return rows

    def _options(self, call: Call) -> list[Json]:
        currency, places = self._mine(call)[0].currency, self._places(call)
        return [self._catalog.option_row(each, currency, places) for each in self._catalog.options.values()]

    def _orders_of(self, call: Call) -> list[Json]:
        branches = self._mine(call)[1]
        return [each.row for each in self._orders.kept.values() if not each.vanished and each.row["branch"]["id"] in branches]

    def _collections(self) -> list[Resource]:
        def held(rows: Callable[[], Any]) -> Callable[[Call], list[Json]]:
            return lambda _: list(rows().values()) if isinstance(rows(), dict) else list(rows())

        def placed(rows: Callable[[list[Json]], list[Json]]) -> Callable[[Call], list[Json]]:
            return lambda call: rows(self._places(call))

        def modifiers(call: Call) -> list[Json]:
            return self._catalog.modifiers(self._mine(call)[0].currency, self._places(call))

        def groups() -> list[Json]:
            return [self._catalog.tax_group(key) for key in ("vat", "zero")]

        at_branch = ("id", "branch_id", "updated_after")
        return [
            Resource("branches", GENERAL, self._places, filters=("id", "reference", "receives_online_orders", "updated_after")),
            Resource("categories", GENERAL, held(lambda: self._catalog.categories), filters=("id", "reference", "updated_after")),
            Resource("products", GENERAL, self._products, MENU_RELATIONS, _PRODUCT_FILTERS, ("created_at", "updated_at", "name", "sku")),
            Resource("modifiers", GENERAL, modifiers, MENU_RELATIONS["modifiers"]),
            Resource("modifier_options", GENERAL, self._options, {"branches": {}}),
            Resource("combos", GENERAL, held(list)),
            Resource("groups", GENERAL, held(lambda: [self._catalog.group])),
            Resource("price_tags", GENERAL, held(list)),
            Resource("tax_groups", GENERAL, held(groups), {"taxes": {}}),
            Resource("taxes", GENERAL, held(lambda: self._catalog.taxes)),
            Resource("discounts", GENERAL, held(lambda: self._office.discounts)),
            Resource("charges", GENERAL, held(lambda: self._office.charges)),
            Resource("delivery_zones", GENERAL, held(lambda: self._office.zones)),
            Resource("payment_methods", GENERAL, held(lambda: self._office.methods), filters=("id", "type", "is_active", "updated_after")),
            Resource("tables", GENERAL, placed(lambda rows: self._office.tables(rows)), {"branch": {}}, at_branch),
            Resource("devices", "operations.read", placed(lambda rows: self._office.devices(rows)), {"branch": {}}, at_branch),
            Resource("users", "operations.read", held(lambda: self._office.users)),
            Resource(
                *("customers", "customers.list customers.get", held(lambda: self._office.customers), {}),
                filters=("id", "name", "phone", "dial_code", "email", "updated_after"),
            ),
            Resource(
                *("addresses", "customers.list customers.get", held(lambda: self._office.addresses)),
                *({"customer": {}, "delivery_zone": {}}, ("id", "customer_id", "updated_after")),
            ),
            Resource(
                *("inventory_items", f"{_STOCK} menu.ingredients.read", held(lambda: self._office.items)),
                *({"category": {}}, ("id", "sku", "category_id", "updated_after")),
            ),
            Resource("inventory_item_categories", _STOCK, held(lambda: self._office.item_categories)),
            Resource("warehouses", _STOCK, placed(lambda rows: self._office.warehouses(rows))),
            Resource("suppliers", _STOCK, held(lambda: self._office.suppliers)),
            Resource(
                *("inventory_transactions", "inventory.transactions.read", placed(lambda rows: self._office.transactions(rows))),
                *(
                    {"branch": {}, "supplier": {}, "items": {"category": {}}},
                    ("id", "branch_id", "type", "business_date_after", "updated_after"),
                ),
            ),
            Resource(
                *("orders", READ_ORDERS[0], self._orders_of, ORDER_RELATIONS, _ORDER_FILTERS),
                *(("reference", "created_at", "updated_at", "business_date"), True),
            ),
        ]
