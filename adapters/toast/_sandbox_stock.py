"""Toast's stock: by restaurant and item reference, in stock, a quantity that orders use up, or out of stock."""

from collections import Counter
from collections.abc import Callable

from adapters._sandbox.calls import Json

from ._sandbox_checks import anything, checked, guid, many, number, one_of, refuse, shape, text
from ._sandbox_menu import Dish, Menu
from ._sandbox_places import Place

_LOW = 5
_STATUSES = ("IN_STOCK", "OUT_OF_STOCK", "QUANTITY")
_UPDATE = many(
    shape(
        {"guid": guid, "multiLocationId": text(40, 1), "status!": one_of(*_STATUSES), "quantity": number},
        *("itemGuidValidity", "versionId"),
    ),
    1,
    1000,
)
_SEARCH = shape({"guids": many(guid, most=1000), "multiLocationIds": many(text(40, 1), most=1000), "versionIds": anything})
Tell = Callable[[Place, str, Json, str], None]


class Stock:
    """Stock levels; what is not noted is in stock."""

    def __init__(self, menu: Menu, tell: Tell) -> None:
        self._menu = menu
        self._tell = tell
        self.levels: dict[tuple[str, str], float] = {}

    def status(self, place: Place, item: str) -> str:
        """The stock status of an item or option."""
        left = self.levels.get((place.ref, item))
        return "IN_STOCK" if left is None else "QUANTITY" if left > 0 else "OUT_OF_STOCK"

    def short(self, place: Place, needed: Counter[str]) -> str:
        """The first item there is less of than needed, or an empty text."""
        return next((each for each, count in needed.items() if self.levels.get((place.ref, each), count) < count), "")

    def take(self, place: Place, needed: Counter[str]) -> None:
        """Use up what an order needs."""
        for each, count in needed.items():
            if (left := self.levels.get((place.ref, each))) is not None:
                self.set(place, each, left - count)

    def set(self, place: Place, item: str, quantity: float | None) -> None:
        """Set a level: None for in stock, 0 for out of stock; webhooks tell of what changed."""
        key = (place.ref, item)
        before = self.levels.get(key)
        if before == quantity:
            return
        if quantity is None:
            self.levels.pop(key, None)
        else:
            self.levels[key] = max(0.0, quantity)
        kind = "in_stock" if quantity is None or quantity > _LOW else "low_quantity" if quantity > 0 else "out_of_stock"
        dish = self._menu.find(item)
        level = {"quantity": self.levels[key]} if quantity else {}
        multi = dish.multi if dish else None
        details = {"itemGuid": item, "restaurantGuid": place.ref, "status": self.status(place, item), **level}
        self._tell(place, kind, {**details, "multiLocationId": multi, "versionId": item}, item)

    def _row(self, place: Place, dish: Dish) -> Json:
        status = self.status(place, dish.guid)
        quantity = self.levels[place.ref, dish.guid] if status == "QUANTITY" else None
        row = {"guid": dish.guid, "multiLocationId": dish.multi, "versionId": dish.guid}
        return {**row, "status": status, "quantity": quantity, "itemGuidValidity": "VALID"}

    def _by(self, name: str, identifier: str) -> Dish | None:
        wanted = "guid" if name == "guid" else "multi"
        return next((each for each in self._menu.everything() if getattr(each, wanted) == identifier), None)

    def listed(self, place: Place, status: str) -> list[Json]:
        """Items that are out of stock or limited; raises Refused for another status."""
        if status and status not in _STATUSES[1:]:
            raise refuse("status is OUT_OF_STOCK or QUANTITY", "status")
        dishes = {each.guid: each for each in self._menu.everything()}
        rows = [self._row(place, dishes[item]) for (ref, item) in self.levels if ref == place.ref and item in dishes]
        return [row for row in rows if not status or row["status"] == status]

    def search(self, place: Place, body: Json) -> list[Json]:
        """The stock of the named items; unknown ones are INVALID."""
        body = checked(_SEARCH, body)
        if not body.get("guids") and not body.get("multiLocationIds"):
            raise refuse("guids or multiLocationIds is required")
        rows = []
        for name, field in (("guid", "guids"), ("multiLocationId", "multiLocationIds")):
            for each in body.get(field, []):
                dish = self._by(name, each)
                rows.append(self._row(place, dish) if dish else {name: each, "itemGuidValidity": "INVALID"})
        return rows

    def update(self, place: Place, body: list[Json]) -> list[Json]:
        """Set levels; nothing is set when one row is malformed, unknown items are INVALID."""
        rows = checked(_UPDATE, body)
        for n, row in enumerate(rows):
            if ("guid" in row) == ("multiLocationId" in row):
                raise refuse("Either guid or multiLocationId is required", f"[{n}]")
            if row["status"] == "QUANTITY" and not row.get("quantity", 0) > 0:
                raise refuse("A quantity above 0 is required for the status QUANTITY", f"[{n}].quantity")
            if row["status"] != "QUANTITY" and "quantity" in row:
                raise refuse(f"No quantity is allowed for the status {row['status']}", f"[{n}].quantity")
        answer = []
        for row in rows:
            name = "guid" if "guid" in row else "multiLocationId"
            dish = self._by(name, row[name])
            if dish is None:
                answer.append({name: row[name], "itemGuidValidity": "INVALID"})
                continue
            level = {"IN_STOCK": None, "OUT_OF_STOCK": 0.0}.get(row["status"], row.get("quantity"))
            self.set(place, dish.guid, level)
            answer.append(self._row(place, dish))
        return answer
