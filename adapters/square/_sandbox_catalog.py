"""The simulated seller's catalog: what is on the menu, and what the seller's own staff may change about it."""

import base64
import hashlib
import time
from collections.abc import Iterator
from typing import Any

from adapters._sandbox.calls import ControlError, Json, timestamp
from adapters._sandbox.vendor import number, word

FIRST_LOCATION, SECOND_LOCATION = "LSBX7MAIN0001", "LSBX7PORT0002"

_TAXES = (("tax", "Sales Tax", "8.875", "ADDITIVE"), ("levy", "Bottle Levy", "1.5", "ADDITIVE"))
_CATEGORIES = (("mains", "Mains"), ("sides", "Sides & Salads"), ("drinks", "Drinks"), ("sweets", "حلويات Desserts"))
_LISTS: tuple[tuple[str, str, int, int, bool, tuple[tuple[str, str, int], ...]], ...] = (
    ("extras", "Extras", 0, 4, True, (("bacon", "Smoked Bacon", 150), ("cheddar", "Aged Cheddar", 99), ("patty", "Extra Patty", 333))),
    ("sauces", "Sauces", 1, 2, False, (("toum", "ثومية Toum", 0), ("tahini", "Tahini", 50), ("harissa", "Harissa piquée", 35))),
    ("milk", "Choice of Milk", 1, 1, False, (("whole", "Whole", 0), ("oat", "Oat", 65), ("almond", "Almond", 75))),
    ("bun", "Bun", 1, 1, False, (("brioche", "Brioche", 0), ("glutenfree", "Gluten-free", 135))),
)
_ITEMS: tuple[tuple[str, str, str, str, tuple[str, ...], tuple[tuple[str, str, str, int | None], ...]], ...] = (
    (
        "burger",
        "Classic Burger",
        "Dry-aged beef, pickles, house sauce",
        "mains",
        ("bun", "extras"),
        (("single", "Single", "BRG-1", 1099), ("double", "Double", "BRG-2", 1449)),
    ),
    (
        "shawarma",
        "شاورما دجاج Chicken Shawarma",
        "دجاج متبل مع ثومية ومخلل",
        "mains",
        ("sauces", "extras"),
        (("sandwich", "Sandwich", "SHW-1", 899), ("plate", "Plate", "SHW-2", 1387)),
    ),
    ("falafel", "Falafel Wrap", "Six pieces, tahini, pickled turnip", "mains", ("sauces",), (("regular", "Regular", "FLF-1", 849),)),
    ("kids", "Kids’ Meal", "Small burger, fries & juice", "mains", ("bun",), (("regular", "Regular", "KID-1", 777),)),
    (
        "fries",
        "Jalapeño Fries",
        "Crisp, with crème fraîche",
        "sides",
        ("sauces",),
        (("small", "Small", "FRY-1", 433), ("large", "Large", "FRY-2", 657)),
    ),
    ("caesar", "Caesar Salad", "Cos lettuce, anchovy, Grana Padano", "sides", (), (("regular", "Regular", "CSR-1", 1033),)),
    (
        "cafe",
        "Café au lait",
        "Dark roast, steamed milk",
        "drinks",
        ("milk",),
        (("small", "Small", "CAF-1", 375), ("large", "Large", "CAF-2", 467)),
    ),
    ("water", "مياه معدنية Mineral Water", "500 ml", "drinks", (), (("bottle", "Bottle", "WTR-1", 199),)),
    ("lemonade", "Lemonade “Maison”", "Mint & ginger", "drinks", (), (("regular", "Regular", "LMN-1", 425),)),
    ("brulee", "Crème brûlée", "Vanilla from Réunion", "sweets", (), (("regular", "Regular", "CRB-1", 725),)),
    ("kunafa", "كنافة Kunafa", "جبنة عكاوي وقطر", "sweets", (), (("portion", "Portion", "KNF-1", 695), ("tray", "Tray", "KNF-2", 3899))),
    ("catering", "Catering Tray", "Priced by the kitchen", "mains", (), (("open", "By weight", "CTR-1", None),)),
    ("retired", "Summer Gazpacho", "Not served any more", "sides", (), (("regular", "Regular", "GZP-1", 650),)),
)
_TRACKED = {"CRB-1", "KNF-1", "KNF-2", "WTR-1"}
_SINCE = 1_756_000_000.0


def catalog_id(*names: str) -> str:
    """The fixed id of a catalog object, 24 capital letters and digits as Square's are."""
    return base64.b32encode(hashlib.blake2b("/".join(names).encode(), digest_size=15).digest()).decode()


def _object(kind: str, identifier: str, version: int, **data: Any) -> Json:
    return {
        "type": kind,
        "id": identifier,
        "updated_at": timestamp(version / 1000),
        "version": version,
        "is_deleted": False,
        "present_at_all_locations": True,
        f"{kind.lower()}_data": data,
    }


class Catalog:
    """Catalog objects by id, nested ones (variations, modifiers) included."""

    def __init__(self, currency: str = "USD") -> None:
        self.version = int(_SINCE * 1000)
        self.currency = currency
        self.objects: dict[str, Json] = {}
        for each in self._build():
            self._add(each)

    def _money(self, amount: int) -> Json:
        return {"amount": amount, "currency": self.currency}

    def _build(self) -> Iterator[Json]:
        version = self.version
        for key, name, percentage, inclusion in _TAXES:
            yield _object(
                "TAX",
                catalog_id("tax", key),
                version,
                name=name,
                calculation_phase="TAX_SUBTOTAL_PHASE",
                inclusion_type=inclusion,
                percentage=percentage,
                applies_to_custom_amounts=True,
                enabled=True,
            )
        for key, name in _CATEGORIES:
            yield _object("CATEGORY", catalog_id("category", key), version, name=name, category_type="REGULAR_CATEGORY", is_top_level=True)
        for position, (key, name, least, most, repeat, modifiers) in enumerate(_LISTS):
            parent = catalog_id("list", key)
            yield _object(
                "MODIFIER_LIST",
                parent,
                version,
                name=name,
                ordinal=position,
                selection_type="SINGLE" if most == 1 else "MULTIPLE",
                modifier_type="LIST",
                allow_quantities=repeat,
                min_selected_modifiers=least,
                max_selected_modifiers=most,
                modifiers=[
                    _object(
                        "MODIFIER",
                        catalog_id("modifier", key, each),
                        version,
                        name=label,
                        price_money=self._money(price),
                        on_by_default=least == most == 1 and ordinal == 0,
                        ordinal=ordinal,
                        modifier_list_id=parent,
                    )
                    for ordinal, (each, label, price) in enumerate(modifiers)
                ],
            )
        yield _object(
            "DISCOUNT",
            catalog_id("discount", "staff"),
            version,
            name="Staff Meal",
            discount_type="FIXED_PERCENTAGE",
            percentage="25.0",
        )
        yield _object("IMAGE", catalog_id("image", "burger"), version, name="burger", url="https://images.example/burger.jpg")
        for item in _ITEMS:
            yield self._item(*item)

    def _item(
        self,
        key: str,
        name: str,
        about: str,
        category: str,
        lists: tuple[str, ...],
        variations: tuple[tuple[str, str, str, int | None], ...],
    ) -> Json:
        identifier = catalog_id("item", key)
        place = {"id": catalog_id("category", category), "ordinal": 0}
        made = _object(
            "ITEM",
            identifier,
            self.version,
            name=name,
            description=about,
            description_plaintext=about,
            is_taxable=True,
            categories=[place],
            reporting_category=place,
            tax_ids=[catalog_id("tax", "tax"), *([catalog_id("tax", "levy")] if category == "drinks" else [])],
            modifier_list_info=[
                {
                    "modifier_list_id": catalog_id("list", each),
                    "min_selected_modifiers": -1,
                    "max_selected_modifiers": 2 if (key, each) == ("kids", "extras") else -1,
                    "enabled": True,
                    "ordinal": position,
                }
                for position, each in enumerate(lists)
            ],
            variations=[self._variation(identifier, key, position, *each) for position, each in enumerate(variations)],
            product_type="FOOD_AND_BEV",
            is_archived=key == "retired",
            is_alcoholic=False,
            **({"image_ids": [catalog_id("image", "burger")]} if key == "burger" else {}),
        )
        if key == "lemonade":
            made.update(present_at_all_locations=False, present_at_location_ids=[FIRST_LOCATION])
        return made

    def _variation(self, item: str, key: str, position: int, part: str, name: str, sku: str, price: int | None) -> Json:
        return _object(
            "ITEM_VARIATION",
            catalog_id("variation", key, part),
            self.version,
            item_id=item,
            name=name,
            sku=sku,
            ordinal=position,
            pricing_type="VARIABLE_PRICING" if price is None else "FIXED_PRICING",
            **({} if price is None else {"price_money": self._money(price)}),
            location_overrides=[{"location_id": SECOND_LOCATION, "price_money": self._money(1529), "pricing_type": "FIXED_PRICING"}]
            if sku == "BRG-2"
            else [],
            track_inventory=sku in _TRACKED,
            sellable=True,
            stockable=True,
        )

    def _add(self, made: Json) -> None:
        self.objects[made["id"]] = made
        for nested in made.get("item_data", {}).get("variations", []) + made.get("modifier_list_data", {}).get("modifiers", []):
            self.objects[nested["id"]] = nested

    def get(self, identifier: str, kind: str) -> Json | None:
        """The object of this id and type, or None."""
        found = self.objects.get(identifier)
        return found if found is not None and found["type"] == kind else None

    def item_of(self, variation: Json) -> Json:
        """The item a variation belongs to."""
        return self.objects[variation["item_variation_data"]["item_id"]]

    def listed(self, kinds: set[str]) -> list[Json]:
        """Objects of these types in a fixed order; all of the top level when none is named."""
        top = {"ITEM", "CATEGORY", "TAX", "DISCOUNT", "MODIFIER_LIST", "IMAGE"}
        return [each for each in self.objects.values() if each["type"] in (kinds or top)]

    def price(self, variation: Json, location: str) -> int | None:
        """What a variation costs at a location; None when the seller prices it at the counter."""
        data = variation["item_variation_data"]
        for override in data.get("location_overrides", []):
            if override["location_id"] == location and "price_money" in override:
                return int(override["price_money"]["amount"])
        return int(data["price_money"]["amount"]) if "price_money" in data else None

    def override(self, variation: Json, location: str) -> Json:
        """The variation's settings at one location, made when there are none yet."""
        overrides: list[Json] = variation["item_variation_data"].setdefault("location_overrides", [])
        for each in overrides:
            if each["location_id"] == location:
                return each
        overrides.append({"location_id": location})
        return overrides[-1]

    def touch(self, changed: Json) -> None:
        """Give a changed object, and what it is part of, the next version."""
        self.version = max(self.version + 1, int(time.time() * 1000))
        owner = changed.get("item_variation_data", {}).get("item_id") or changed.get("modifier_data", {}).get("modifier_list_id")
        for each in (changed, self.objects.get(owner, changed)):
            each.update(version=self.version, updated_at=timestamp(self.version / 1000))

    def edit(self, edit: Json) -> None:
        """Apply one edit of the seller's staff: {op: price | rename | remove | add, id, ...}; raises ControlError."""
        operation = word(edit, "op")
        if operation == "add":
            self._add_item(edit)
            return
        found = self.objects.get(word(edit, "id"))
        if found is None:
            raise ControlError(404, f"no catalog object {edit['id']}")
        data = next(value for name, value in found.items() if name.endswith("_data"))
        if operation == "price":
            if found["type"] not in {"ITEM_VARIATION", "MODIFIER"}:
                raise ControlError(400, "a price belongs to an ITEM_VARIATION or a MODIFIER")
            data["price_money"] = self._money(int(number(edit, "amount")))
        elif operation == "rename":
            data["name"] = word(edit, "name")
        elif operation == "remove":
            self._remove(found)
            return
        else:
            raise ControlError(400, f"unknown edit {operation!r}; known: add, price, rename, remove")
        self.touch(found)

    def _add_item(self, edit: Json) -> None:
        key, category = word(edit, "name"), word(edit, "category", "mains")
        if catalog_id("item", key) in self.objects:
            raise ControlError(409, f"there is an item {key!r} already")
        self.version = max(self.version + 1, int(time.time() * 1000))
        sku = word(edit, "sku", key[:20])
        self._add(self._item(key, key, key, category, (), (("regular", "Regular", sku, int(number(edit, "price"))),)))

    def _remove(self, found: Json) -> None:
        self.touch(found)
        del self.objects[found["id"]]
        for owner in list(self.objects.values()):
            for held in (owner.get("item_data", {}).get("variations"), owner.get("modifier_list_data", {}).get("modifiers")):
                if held is not None:
                    held[:] = [each for each in held if each["id"] != found["id"]]
        for nested in found.get("item_data", {}).get("variations", []) + found.get("modifier_list_data", {}).get("modifiers", []):
            self.objects.pop(nested["id"], None)

    def summary(self) -> Json:
        """What the control API shows of the catalog."""
        return {
            "version": self.version,
            "items": [
                {
                    "id": item["id"],
                    "name": item["item_data"]["name"],
                    "variations": [
                        {
                            "id": each["id"],
                            "name": each["item_variation_data"]["name"],
                            "sku": each["item_variation_data"].get("sku"),
                            "price": each["item_variation_data"].get("price_money", {}).get("amount"),
                            "currency": self.currency,
                        }
                        for each in item["item_data"]["variations"]
                    ],
                }
                for item in self.objects.values()
                if item["type"] == "ITEM"
            ],
        }
