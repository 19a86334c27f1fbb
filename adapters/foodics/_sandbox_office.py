"""The seller's back office: ways of paying, charges, staff, tables, customers, and the inventory."""

import time
from collections.abc import Callable
from typing import Any

from adapters._sandbox.calls import Json

from ._sandbox_access import Business
from ._sandbox_catalog import dated, fixed_id
from ._sandbox_checks import Form, settle, stamp

EXTERNAL_PAYMENT_TYPES = frozenset({7, 8})
"""The kinds of payment methods that an app may pay with: what it collected outside of Foodics."""
_METHODS = (
    ("cash", "Cash", "نقدي", 1, True),
    ("card", "Card", "بطاقة", 2, True),
    ("external", "Delivery Platform", "منصة توصيل", 8, True),
    ("wallet", "Other", "أخرى", 7, True),
    ("retired", "Old Platform", "منصة سابقة", 8, False),
)
_CHARGES = (("delivery", "Delivery Charge", "رسوم التوصيل", [3]), ("bag", "Bag Charge", "رسوم الأكياس", [2, 3]))
_STAFF = (("cashier", "Amal Haddad", "آمل حداد", 1), ("driver", "Omar Nasser", "عمر ناصر", 2))
_STOCKED = (
    ("IN-01", "Chicken Breast", "صدور دجاج", "KG", "Gram", 1000, 24.5),
    ("IN-02", "Flour", "طحين", "KG", "Gram", 1000, 3.25),
    ("IN-03", "Tahini Paste", "طحينة خام", "Bottle", "ML", 750, 18),
)


def _row(kind: str, key: str, name: str, localized: str | None, **more: Any) -> Json:
    return {"id": fixed_id(kind, key), "name": name, "name_localized": localized, **more, **dated()}


class Office:
    """What a business has besides its menu and orders; the same in each business."""

    def __init__(self, branches: Callable[[], list[str]], new_id: Callable[[], str], told: Callable[[Json], None]) -> None:
        self._branches, self._new_id, self._told = branches, new_id, told
        self.methods: dict[str, Json] = {}
        for index, (key, name, local, kind, active) in enumerate(_METHODS):
            more = {"type": kind, "code": key, "auto_open_drawer": kind == 1, "is_active": active, "index": index}
            self._keep(self.methods, _row("payment_method", key, name, local, **more))
        self.charges: dict[str, Json] = {}
        for key, name, local, types in _CHARGES:
            more = {"type": 1, "is_auto_applied": False, "is_open_charge": True, "value": None, "order_types": types}
            self._keep(self.charges, _row("charge", key, name, local, **more))
        self.discounts: dict[str, Json] = {}
        limits = dict.fromkeys(("minimum_product_price", "minimum_order_price", "maximum_amount"))
        kinds = {
            "qualification": 1,
            "amount": 10,
            "is_percentage": True,
            "is_taxable": True,
            "order_types": [1, 2, 3, 4],
            "reference": None,
        }
        self._keep(self.discounts, _row("discount", "platform", "Platform Offer", "عرض المنصة", **kinds, **limits))
        self.users: dict[str, Json] = {}
        for key, name, local, kind in _STAFF:
            self._keep(self.users, _row("user", key, name, local, type=kind, number=key, email=None, phone=None, is_owner=False))
        self.zones: dict[str, Json] = {}
        self._keep(self.zones, _row("zone", "all", "City Centre", "وسط المدينة", reference="Z1", coordinates=[]))
        self.customers: dict[str, Json] = {}
        self.addresses: dict[str, Json] = {}
        self.items: dict[str, Json] = {}
        category = _row("inventory_category", "food", "Food", "مواد غذائية", reference="FOOD")
        for sku, name, local, unit, inner, factor, cost in _STOCKED:
            levels = {"minimum_level": 5, "maximum_level": 100, "par_level": 50}
            units = {"storage_unit": unit, "ingredient_unit": inner, "storage_to_ingredient_factor": factor, "costing_method": 1}
            more = {"category": category, "sku": sku, "barcode": None, "cost": cost, "is_product": False, **levels, **units}
            self._keep(self.items, _row("inventory_item", sku, name, local, **more))
        self.item_categories = [category]
        self.suppliers = [_row("supplier", "main", "Market Supplies", "توريدات السوق", code="SUP-1", phone=None, email=None)]

    @staticmethod
    def _keep(into: dict[str, Json], row: Json) -> None:
        into[row["id"]] = row

    def tables(self, branches: list[Json]) -> list[Json]:
        """Two tables at each branch."""
        return [
            _row("table", f"{branch['id']}/{name}", f"T{name}", None, seats=4, status=1, branch=branch)
            for branch in branches
            for name in (1, 2)
        ]

    @staticmethod
    def devices(branches: list[Json]) -> list[Json]:
        """The cashier's device of each branch."""
        return [
            _row(
                "device", branch["id"], "Cashier 1", None, type=1, reference="C01", in_use=True, receives_online_orders=True, branch=branch
            )
            for branch in branches
        ]

    @staticmethod
    def warehouses(branches: list[Json]) -> list[Json]:
        """Where stock lies: at each branch."""
        return [
            _row("warehouse", branch["id"], branch["name"], branch["name_localized"], reference=branch["reference"]) for branch in branches
        ]

    def transactions(self, branches: list[Json]) -> list[Json]:
        """One delivery of every item to each branch."""
        rows = []
        for number, branch in enumerate(branches, 1):
            items = [
                {**item, "pivot": {"quantity": 10 * place, "cost": item["cost"], "unit": item["storage_unit"]}}
                for place, item in enumerate(self.items.values(), 1)
            ]
            row = {"id": fixed_id("transaction", branch["id"]), "type": 1, "reference": f"PUR-{number:05}", "notes": None}
            rows.append({**row, "business_date": "2025-08-24", "branch": branch, "supplier": self.suppliers[0], "items": items, **dated()})
        return rows

    def save_customer(self, form: Form) -> Json:
        """Make a customer; raises Refused (422), as when the phone number is known."""
        name = form.text("name", required=True, most=255)
        dial_code, phone = form.whole("dial_code", range(1, 1000), required=True), form.text("phone", required=True, most=20)
        email, notes = form.text("email", most=255), form.text("notes")
        if phone is not None and not phone.isdecimal():
            form.wrong("phone", "The {} format is invalid.")
        if any((each["dial_code"], each["phone"]) == (dial_code, phone) for each in self.customers.values()):
            form.wrong("phone", "The {} has already been taken.")
        settle(form.errors)
        now = stamp(time.time())
        made: Json = {
            "id": self._new_id(),
            "name": name,
            "dial_code": dial_code,
            "phone": phone,
            "email": email,
            "gender": None,
            "birth_date": None,
            "is_blacklisted": False,
            "is_house_account_enabled": False,
            "house_account_limit": None,
            "is_loyalty_enabled": False,
            "order_count": 0,
            "last_order_at": None,
            "notes": notes,
            "created_at": now,
            "updated_at": now,
            "deleted_at": None,
        }
        self._keep(self.customers, made)
        self._told(made)
        return made

    def save_address(self, form: Form) -> Json:
        """Make an address of a customer; raises Refused (422)."""
        customer = form.known("customer_id", self.customers, required=True)
        zone = form.known("delivery_zone_id", self.zones)
        name, description = form.text("name", required=True, most=255), form.text("description", required=True)
        place = {each: form.text(each, most=20) for each in ("latitude", "longitude")}
        settle(form.errors)
        now = stamp(time.time())
        made: Json = {"id": self._new_id(), "name": name, "description": description, **place}
        made |= {"created_at": now, "updated_at": now, "deleted_at": None}
        made |= {"customer": self.customers[customer or ""], "delivery_zone": self.zones.get(zone or "")}
        self._keep(self.addresses, made)
        return made


def settings(business: Business) -> Json:
    """A business's settings."""
    return {
        "business_name": business.name,
        "business_currency": business.currency,
        "business_timezone": business.timezone,
        "tax_inclusive_pricing": business.tax_inclusive,
        "localization_enabled": True,
        "rounding_method": None,
    }
