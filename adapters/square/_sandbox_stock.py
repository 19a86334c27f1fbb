"""Square's inventory: counts of tracked variations by location; a count of 0 is what takes an item off sale."""

import time
from collections.abc import Callable
from decimal import Decimal

from adapters._sandbox.calls import Json, timestamp

from ._sandbox_catalog import Catalog
from ._sandbox_checks import refuse
from ._sandbox_orders import Tell


class Stock:
    """Counts by variation and location, all in the state IN_STOCK."""

    def __init__(self, catalog: Catalog, locations: dict[str, Json], tell: Tell, new_id: Callable[[], str]) -> None:
        self.counts: dict[tuple[str, str], Json] = {}
        self._catalog = catalog
        self._locations = locations
        self._tell = tell
        self._new_id = new_id

    def set(self, variation: str, location: str, quantity: Decimal) -> Json:
        """Set a count and, with it, whether the item is sold out there."""
        count: Json = {
            "catalog_object_id": variation,
            "catalog_object_type": "ITEM_VARIATION",
            "state": "IN_STOCK",
            "location_id": location,
            "quantity": f"{quantity.normalize():f}",
            "calculated_at": timestamp(time.time()),
        }
        self.counts[variation, location] = count
        override = self._catalog.override(self._catalog.objects[variation], location)
        override["sold_out"] = quantity <= 0
        self._tell("inventory.count.updated", variation, {"inventory_counts": [count]})
        return count

    def change(self, body: Json) -> Json:
        """Answer BatchChangeInventory; raises Refused before anything is changed."""
        wanted: list[tuple[Json, str, str, Decimal]] = []
        for index, change in enumerate(body["changes"]):
            kind = "physical_count" if change["type"] == "PHYSICAL_COUNT" else "adjustment"
            at = f"changes[{index}].{kind}"
            if not (detail := change.get(kind)):
                raise refuse("MISSING_REQUIRED_PARAMETER", f"A {change['type']} needs {kind}", at)
            variation, location = detail["catalog_object_id"], detail["location_id"]
            found = self._catalog.get(variation, "ITEM_VARIATION")
            if found is None:
                raise refuse("NOT_FOUND", f"No variation {variation}", f"{at}.catalog_object_id", 404)
            if location not in self._locations:
                raise refuse("INVALID_LOCATION", f"No location {location}", f"{at}.location_id")
            if not self._tracked(found, location):
                raise refuse("INVALID_VALUE", f"Variation {variation} does not track inventory", f"{at}.catalog_object_id")
            quantity = Decimal(detail["quantity"])
            if kind == "adjustment":
                held = Decimal(self.counts.get((variation, location), {}).get("quantity", "0"))
                quantity = held + quantity if detail["to_state"] == "IN_STOCK" else held - quantity
            elif detail["state"] != "IN_STOCK":
                raise refuse("INVALID_VALUE", "A physical count is of IN_STOCK here", f"{at}.state")
            wanted.append((change, variation, location, quantity))
        counts, changes = [], []
        for change, variation, location, quantity in wanted:
            known = self.counts.get((variation, location))
            if body.get("ignore_unchanged_counts", True) and known and Decimal(known["quantity"]) == quantity:
                counts.append(known)
                continue
            counts.append(self.set(variation, location, quantity))
            kind = "physical_count" if change["type"] == "PHYSICAL_COUNT" else "adjustment"
            kept = {**change[kind], "id": self._new_id(), "catalog_object_type": "ITEM_VARIATION", "created_at": timestamp(time.time())}
            changes.append({"type": change["type"], kind: kept})
        return {"counts": counts, "changes": changes}

    @staticmethod
    def _tracked(variation: Json, location: str) -> bool:
        data = variation["item_variation_data"]
        for override in data.get("location_overrides", []):
            if override["location_id"] == location and "track_inventory" in override:
                return bool(override["track_inventory"])
        return bool(data["track_inventory"])

    def find(self, body: Json, begin: int, limit: int) -> tuple[list[Json], int | None]:
        """A page of counts, and where the next begins."""
        variations, locations, after = body.get("catalog_object_ids"), body.get("location_ids"), body.get("updated_after")
        found = [
            count
            for (variation, location), count in self.counts.items()
            if (not variations or variation in variations)
            and (not locations or location in locations)
            and (not after or count["calculated_at"] > after)
        ]
        return found[begin : begin + limit], begin + limit if begin + limit < len(found) else None

    def shown(self) -> list[Json]:
        """All counts as the control API shows them."""
        return [
            {
                "item": count["catalog_object_id"],
                "store": count["location_id"],
                "quantity": count["quantity"],
                "available": Decimal(count["quantity"]) > 0,
            }
            for count in self.counts.values()
        ]
