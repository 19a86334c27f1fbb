"""Foodics' menu: categories, products, modifiers with options, taxes and groups, with prices and stock by branch."""

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from adapters._sandbox.calls import ControlError, Json
from adapters._sandbox.vendor import number, word

from ._sandbox_access import Business
from ._sandbox_checks import Form, major, settle, stamp

_BORN = "2025-08-24 10:00:00"
_SPACE = uuid.UUID("6d9f2f0e-5c6c-4f3c-9a64-0d5a3b1d7c11")
_PLAIN = {"barcode": 100, "description": 2000, "description_localized": 2000, "image": 1000}
_WAYS = ("pricing_method", "selling_method", "costing_method")
MENU_RELATIONS: Json = {
    "category": {},
    "tax_group": {"taxes": {}},
    "tags": {},
    "groups": {},
    "branches": {},
    "modifiers": {"options": {"branches": {}}},
    "price_tags": {},
    "ingredients": {},
    "discounts": {},
    "timed_events": {},
}


def fixed_id(kind: str, name: str) -> str:
    """The id of something that is there from the start, the same in every run."""
    return str(uuid.uuid5(_SPACE, f"{kind}/{name}"))


def dated(updated: str = _BORN, deleted: str | None = None) -> Json:
    """The three times that every row has."""
    return {"created_at": _BORN, "updated_at": updated, "deleted_at": deleted}


@dataclass
class Entry:
    """A product or a modifier option. `price` in the smallest unit; `at` holds what differs by branch."""

    id: str
    sku: str
    name: str
    localized: str | None
    price: int
    category: str = ""
    tax: str = "vat"
    uses: tuple["Use", ...] = ()
    is_active: bool = True
    updated_at: str = _BORN
    deleted_at: str | None = None
    at: dict[str, Json] = field(default_factory=dict)
    more: Json = field(default_factory=dict)

    def sold(self, branch: str | None = None) -> bool:
        """Tell whether it can be ordered, at one branch or in general."""
        here = self.at.get(branch or "", {})
        return not self.deleted_at and self.is_active and bool(here.get("is_active", True)) and bool(here.get("is_in_stock", True))


@dataclass(frozen=True)
class Use:
    """How a product uses a modifier: from `least` to `most` options, each once or several times."""

    modifier: str
    least: int
    most: int
    unique: bool
    excluded: tuple[str, ...] = ()


_CATEGORIES = {"grill": ("Grill", "المشاوي"), "sides": ("Sides", "المقبلات"), "drinks": ("Drinks", "المشروبات")}
_RATES = {"vat": ("VAT", "ضريبة القيمة المضافة", 15), "zero": ("Zero rated", "ضريبة صفرية", 0)}
_MODIFIERS: dict[str, tuple[str, str, tuple[tuple[str, str, str, int], ...]]] = {
    "size": ("Size", "الحجم", (("SZ-R", "Regular", "عادي", 0), ("SZ-L", "Large", "كبير", 650))),
    "doneness": ("Doneness", "درجة الاستواء", (("DN-M", "Medium", "متوسط", 0), ("DN-W", "Well done", "كامل الاستواء", 0))),
    "extras": (
        "Extras",
        "إضافات",
        (("EX-T", "Tahini", "طحينة", 157), ("EX-C", "Cheese", "جبنة", 225), ("EX-J", "Jalapeño", "هالبينو", 99)),
    ),
    "milk": ("Milk", "الحليب", (("ML-O", "Oat milk", "حليب الشوفان", 175), ("ML-S", "Soy milk", "حليب الصويا", 150))),
}
_SIZE, _DONENESS = Use("size", 1, 1, unique=True), Use("doneness", 1, 1, unique=True)
_EXTRAS, _MILK = Use("extras", 0, 4, unique=False), Use("milk", 0, 1, unique=True)
_PRODUCTS: tuple[tuple[str, str, str | None, int, str, str, tuple[Use, ...]], ...] = (
    ("GR-01", "Chicken Shawarma Plate", "صحن شاورما دجاج", 2899, "grill", "vat", (_SIZE, _EXTRAS)),
    ("GR-02", "Beef Burger", "برجر لحم", 3250, "grill", "vat", (_DONENESS, Use("extras", 0, 4, unique=False, excluded=("EX-T",)))),
    ("GR-03", "كباب حلبي", None, 4175, "grill", "vat", (_EXTRAS,)),
    ("SD-01", "French Fries", "بطاطس مقلية", 995, "sides", "vat", ()),
    ("SD-02", "Crème Brûlée", "كريم بروليه", 1733, "sides", "vat", ()),
    ("DR-01", "Karak Tea", "شاي كرك", 600, "drinks", "vat", (_MILK,)),
    ("DR-02", "Mineral Water", "مياه معدنية", 250, "drinks", "zero", ()),
    ("GR-90", "Ramadan Platter", "طبق رمضان", 9900, "grill", "vat", ()),
)
_GONE = "GR-90"


def _named(kind: str, key: str, name: str, localized: str | None, **more: Any) -> Json:
    return {"id": fixed_id(kind, key), "name": name, "name_localized": localized, **more, **dated()}


class Catalog:
    """The menu of a seller's businesses: the same numbers of the smallest unit in each one's currency."""

    def __init__(self, changed: Callable[[str, str], None], new_id: Callable[[], str]) -> None:
        self._changed, self._new_id = changed, new_id
        self.categories = {
            fixed_id("category", key): _named("category", key, name, local, reference=key, image=None)
            for key, (name, local) in _CATEGORIES.items()
        }
        self.taxes = {
            fixed_id("tax", key): _named("tax", key, name, local, rate=rate, applies_on_order_types=[1, 2, 3, 4])
            for key, (name, local, rate) in _RATES.items()
        }
        self.tax_groups = {
            fixed_id("tax_group", key): _named("tax_group", key, name, local, reference=key) for key, (name, local, _) in _RATES.items()
        }
        self.options: dict[str, Entry] = {}
        self.owners: dict[str, str] = {}
        for key, (_, _, rows) in _MODIFIERS.items():
            for sku, name, local, price in rows:
                option = Entry(fixed_id("option", sku), sku, name, local, price)
                self.options[option.id] = option
                self.owners[option.id] = key
        self.products: dict[str, Entry] = {}
        for sku, label, other, price, category, tax, uses in _PRODUCTS:
            gone = _BORN if sku == _GONE else None
            made = Entry(fixed_id("product", sku), sku, label, other, price, fixed_id("category", category), tax, uses, deleted_at=gone)
            self.products[made.id] = made
        self.group = _named("group", "online", "Online", "أونلاين", image=None, items_index=None)

    # Shown as rows, with every relation in them

    def tax_group(self, key: str) -> Json:
        """A tax group with its taxes."""
        return {**self.tax_groups[fixed_id("tax_group", key)], "taxes": [self.taxes[fixed_id("tax", key)]]}

    @staticmethod
    def _at(entry: Entry, branches: Iterable[Json], currency: str) -> list[Json]:
        rows = []
        for branch in branches:
            here = {"price": None, "is_active": True, "is_in_stock": True, **entry.at.get(branch["id"], {})}
            price = here["price"] if here["price"] is None else major(here["price"], currency)
            rows.append({**branch, "pivot": {**here, "price": price}})
        return rows

    def option_row(self, option: Entry, currency: str, branches: Iterable[Json]) -> Json:
        """A modifier option; branches are named where something differs there."""
        differing = [each for each in branches if each["id"] in option.at]
        return {
            "branches": self._at(option, differing, currency),
            "id": option.id,
            "name": option.name,
            "name_localized": option.localized,
            "sku": option.sku,
            "is_active": option.is_active,
            "costing_method": 2,
            "price": major(option.price, currency),
            "cost": None,
            "calories": None,
            **dated(option.updated_at, option.deleted_at),
            "index": [each for each, owner in self.owners.items() if owner == self.owners[option.id]].index(option.id),
        }

    def modifier_row(self, key: str, currency: str, branches: list[Json]) -> Json:
        """A modifier with its options; those that were removed are gone."""
        name, local, _ = _MODIFIERS[key]
        options = [each for each in self.options.values() if self.owners[each.id] == key and not each.deleted_at]
        row = _named("modifier", key, name, local, is_ready=True, reference=None)
        row["updated_at"] = max([row["updated_at"], *(each.updated_at for each in options)])
        return {"options": [self.option_row(each, currency, branches) for each in options], **row}

    def modifiers(self, currency: str, branches: list[Json]) -> list[Json]:
        """Every modifier."""
        return [self.modifier_row(key, currency, branches) for key in _MODIFIERS]

    def product_row(self, product: Entry, business: Business, branches: list[Json]) -> Json:
        """A product in a business's currency."""
        currency = business.currency
        modifiers = []
        for index, use in enumerate(product.uses):
            pivot = {
                "is_splittable_in_half": False,
                "unique_options": use.unique,
                "minimum_options": use.least,
                "maximum_options": use.most,
                "free_options": 0,
                "default_options_ids": [],
                "excluded_options_ids": [fixed_id("option", each) for each in use.excluded],
                "index": index,
            }
            modifiers.append({**self.modifier_row(use.modifier, currency, branches), "pivot": pivot})
        return {
            "category": self.categories.get(product.category),
            "tax_group": self.tax_group(product.tax) if product.tax else None,
            "tags": [],
            "groups": [{**self.group, "pivot": {"is_active": True}}],
            "branches": self._at(product, branches, currency),
            "modifiers": modifiers,
            "price_tags": [],
            "ingredients": [],
            "discounts": [],
            "timed_events": [],
            **self.bare_row(product, currency),
        }

    @staticmethod
    def bare_row(product: Entry, currency: str) -> Json:
        """A product without relations, as orders show it."""
        return {
            "id": product.id,
            "sku": product.sku,
            "barcode": None,
            "name": product.name,
            "name_localized": product.localized,
            "description": None,
            "description_localized": None,
            "image": None,
            "is_active": product.is_active,
            "is_stock_product": False,
            "is_non_revenue": False,
            "is_ready": True,
            "pricing_method": 1,
            "selling_method": 1,
            "costing_method": 2,
            "preparation_time": 15,
            "price": major(product.price, currency),
            "cost": None,
            "calories": None,
            "walking_minutes_to_burn_calories": None,
            "is_high_salt": False,
            **dated(product.updated_at, product.deleted_at),
            "meta": None,
            **product.more,
        }

    def display(self) -> Json:
        """The order in which categories and products are shown."""

        def children(category: str) -> list[Json]:
            inside = [each for each in self.products.values() if each.category == category and not each.deleted_at]
            return [{"child_id": each.id, "child_type": "product"} for each in inside]

        return {"categories": [{"category_id": each, "children": children(each)} for each in self.categories]}

    # Changed over the API and by staff

    def save(self, form: Form, product: Entry | None, business: Business, branches: Iterable[str]) -> Entry:
        """Make a product, or change one, its price and stock at branches too; raises Refused (422) and changes nothing then."""
        new = product is None
        name, sku = form.text("name", required=new, most=255), form.text("sku", most=100)
        local = form.text("name_localized", most=255)
        price = form.amount("price", business.currency)
        category = form.known("category_id", self.categories, required=new)
        tax = form.known("tax_group_id", self.tax_groups)
        active = form.flag("is_active")
        for each in _WAYS:
            form.whole(each, {1, 2}, required=new)
        more = {each: form.text(each, most=most) for each, most in _PLAIN.items() if each in form.node}
        if sku and any(each.sku == sku and each is not product for each in self.products.values()):
            form.wrong("sku", "The {} has already been taken.")
        at = self._places(form, business, set(branches))
        settle(form.errors)
        entry = product or Entry(self._new_id(), "", "", None, 0, tax="")
        for field_name, value in (("name", name), ("sku", sku), ("localized", local), ("category", category), ("is_active", active)):
            if value is not None:
                setattr(entry, field_name, value)
        entry.price = price if form.has("price") else entry.price
        entry.tax = next((key for key in _RATES if fixed_id("tax_group", key) == tax), entry.tax)
        entry.more.update(more)
        for branch, changes in at.items():
            entry.at.setdefault(branch, {}).update(changes)
        self.products[entry.id] = entry
        self._touch("product", entry)
        return entry

    def save_option(self, form: Form, option: Entry, business: Business, branches: Iterable[str]) -> None:
        """Change an option's name, price, and what differs at branches; raises Refused (422)."""
        name, active = form.text("name", most=255), form.flag("is_active")
        price = form.amount("price", business.currency)
        at = self._places(form, business, set(branches))
        settle(form.errors)
        option.name, option.is_active = name or option.name, option.is_active if active is None else active
        option.price = price if form.has("price") else option.price
        for branch, changes in at.items():
            option.at.setdefault(branch, {}).update(changes)
        self._touch("modifier", option)

    @staticmethod
    def _places(form: Form, business: Business, branches: set[str]) -> dict[str, Json]:
        at: dict[str, Json] = {}
        for row in form.rows("branches"):
            branch = row.known("id", branches, required=True)
            price = row.amount("price", business.currency)
            changes: Json = {each: row.flag(each) for each in ("is_active", "is_in_stock") if row.has(each)}
            if "price" in row.node:
                changes["price"] = price if row.has("price") else None
            if branch:
                at[branch] = changes
        return at

    def _touch(self, kind: str, entry: Entry) -> None:
        entry.updated_at = stamp(time.time())
        subject = entry.id if kind == "product" else fixed_id("modifier", self.owners[entry.id])
        self._changed(kind, subject)

    def find(self, item: str) -> tuple[str, Entry]:
        """A product or an option by its id or SKU; raises ControlError."""
        for kind, entries in (("product", self.products), ("modifier", self.options)):
            for entry in entries.values():
                if item in (entry.id, entry.sku) and not entry.deleted_at:
                    return kind, entry
        raise ControlError(404, f"no product and no option {item}")

    def edit(self, edit: Json) -> None:
        """Apply one edit of staff: {op: price | rename | remove, id, amount?, store?, name?, name_localized?}; raises ControlError."""
        operation = word(edit, "op")
        kind, entry = self.find(word(edit, "id"))
        if operation == "price":
            amount = int(number(edit, "amount"))
            if "store" in edit:
                entry.at.setdefault(word(edit, "store"), {})["price"] = amount
            else:
                entry.price = amount
        elif operation == "rename":
            entry.name = word(edit, "name")
            entry.localized = word(edit, "name_localized") if "name_localized" in edit else entry.localized
        elif operation == "remove":
            entry.deleted_at = stamp()
        else:
            raise ControlError(400, f"unknown edit {operation!r}; known: price, rename, remove")
        self._touch(kind, entry)

    def stock(self, item: str, store: str, *, available: bool) -> str:
        """Take something off sale at a branch, or put it back; its id."""
        kind, entry = self.find(item)
        entry.at.setdefault(store, {})["is_in_stock"] = available
        self._touch(kind, entry)
        return entry.id

    def shown(self, store: str) -> list[Json]:
        """What a branch sells, options included, as the control API shows it."""
        entries = [each for each in (*self.products.values(), *self.options.values()) if not each.deleted_at]
        rows = []
        for each in entries:
            here = each.at.get(store, {}).get("price")
            rows.append({"id": each.id, "name": each.name, "price": each.price if here is None else here, "available": each.sold(store)})
        return rows

    def stocked(self) -> list[Json]:
        """Where stock was ever changed, as the control API shows it."""
        entries = (*self.products.values(), *self.options.values())
        return [
            {"item": each.id, "store": store, "available": here["is_in_stock"]}
            for each in entries
            for store, here in each.at.items()
            if "is_in_stock" in here
        ]
