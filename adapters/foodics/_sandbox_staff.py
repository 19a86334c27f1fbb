"""What the merchant's own staff does in the branches and the back office, and how the control API shows the merchant."""

import uuid
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from adapters._sandbox.calls import ControlError, Json
from adapters._sandbox.vendor import Sandbox, word

from ._sandbox_access import Business, Grants
from ._sandbox_catalog import Catalog, dated
from ._sandbox_checks import decimals
from ._sandbox_orders import STATUSES, Orders

FIRST_BRANCH, SECOND_BRANCH = "9cc1b4c5-406d-4519-9424-a21a77da9aef", "9cc1b4f1-7a0e-4d55-8f0b-5f3f1c2d7e90"
HOME = 690517
"""The reference of the business that is there from the start."""


@dataclass
class Branch:
    """A branch: its row, the business it belongs to, and whether one of its devices takes online orders."""

    row: Json
    business: Business
    online: bool = True

    def reaches(self) -> bool:
        """Tell whether an order gets to the cashier; where not, Foodics takes it all the same."""
        placed = all(self.row[each] is not None for each in ("latitude", "longitude", "opening_from", "opening_to"))
        return placed and self.online and bool(self.row["receives_online_orders"])


class StaffedSandbox(Sandbox):
    """The part of Foodics' sandbox that the control API steers."""

    _grants: Grants
    _businesses: dict[int, Business]
    _branches: dict[str, Branch]
    _catalog: Catalog
    _orders: Orders

    def _add_branch(self, identifier: str, name: str, localized: str | None, business: Business) -> None:
        row = {
            "id": identifier,
            "name": name,
            "name_localized": localized,
            "reference": f"B{len(self._branches) + 1:02}",
            "type": 1,
            "latitude": "24.7136",
            "longitude": "46.6753",
            "phone": None,
            "opening_from": "06:00",
            "opening_to": "02:00",
            "inventory_end_of_day_time": "05:00",
            "receipt_header": None,
            "receipt_footer": None,
            "settings": None,
            **dated(),
            "receives_online_orders": True,
            "accepts_reservations": False,
            "reservation_duration": 30,
            "reservation_times": None,
            "address": None,
        }
        self._branches[identifier] = Branch(row, business)

    def move_order(self, order: str, body: Json) -> Json:
        """Move an order as staff would: hub words or Foodics' own; `vanished` lets it be gone without a trace."""
        if (kept := self._orders.kept.get(order)) is None:
            raise ControlError(404, f"no order {order}")
        self._orders.move(kept, word(body, "state").lower())
        state = "vanished" if kept.vanished else STATUSES[kept.row["status"]]
        return {"id": order, "state": state, "delivery_status": kept.row["delivery_status"]}

    def edit_menu(self, body: Json) -> Json:
        edits = body.get("edits")
        if not isinstance(edits, list) or not all(isinstance(each, dict) for each in edits):
            raise ControlError(400, "edits is a list of {op: price | rename | remove, id, ...}")
        for each in edits:
            if "store" in each:
                self._branch(word(each, "store"))
            self._catalog.edit(each)
        return {"items": self._catalog.shown(next(iter(self._branches)))}

    def set_stock(self, body: Json) -> Json:
        available, store = body.get("available"), word(body, "store", FIRST_BRANCH)
        if not isinstance(available, bool):
            raise ControlError(400, "available is a boolean")
        self._branch(store)
        return {"item": self._catalog.stock(word(body, "item"), store, available=available), "store": store, "available": available}

    def _branch(self, store: str) -> Branch:
        if (found := self._branches.get(store)) is None:
            raise ControlError(404, f"no branch {store}; with create: true it is made")
        return found

    def _business_for(self, currency: str, timezone: str) -> Business:
        """The business with this currency and time zone, which all its branches share; a new one where there is none."""
        for each in self._businesses.values():
            if (each.currency, each.timezone) == (currency, timezone):
                return each
        reference = HOME + len(self._businesses)
        made = Business(self.ids.uuid(), reference, f"Harbour Hospitality {currency}", currency, timezone)
        self._businesses[reference] = made
        return made

    def set_store(self, store: str, body: Json) -> Json:
        """Open, close or pause a branch, or take its device offline; with `create` make one, in a business of its currency.

        `located: false` takes its place off the map; `tax_inclusive` says for its whole business whether prices have tax in them.
        """
        if store not in self._branches and body.get("create") is True:
            self._make(store, body)
        branch = self._branch(store)
        status = word(body, "status", "").lower() if "status" in body else ""
        if status not in {"", "open", "active", "online", "closed", "inactive", "paused", "busy", "offline"}:
            raise ControlError(400, "status is open, closed, paused or offline")
        if status:
            branch.online = status != "offline"
            branch.row["receives_online_orders"] = status in {"open", "active", "online", "offline"}
        if "located" in body:
            branch.row.update(
                dict(zip(("latitude", "longitude"), ("24.7136", "46.6753") if body["located"] else (None, None), strict=True))
            )
        if "tax_inclusive" in body:
            branch.business.tax_inclusive = body["tax_inclusive"] is not False
        branch.row["name"] = word(body, "name", branch.row["name"])
        reference = branch.business.reference
        tokens = self._grants.offered(reference, self.settings["token_lifetime_s"])
        return {**self._shown(branch), "credentials": {**tokens, "business_reference": str(reference)}}

    def _make(self, store: str, body: Json) -> None:
        currency, timezone = word(body, "currency", "SAR"), word(body, "timezone", "Asia/Riyadh")
        if not (len(currency) == 3 and currency.isascii() and currency.isupper()):
            raise ControlError(400, "currency is an ISO 4217 code")
        try:
            uuid.UUID(store)
            ZoneInfo(timezone)
        except (ValueError, OSError, KeyError) as error:
            raise ControlError(400, "the reference of a branch is a UUID, timezone a name such as Asia/Riyadh") from error
        self._add_branch(store, word(body, "name", store), None, self._business_for(currency, timezone))

    @staticmethod
    def _shown(branch: Branch) -> Json:
        status = "open" if branch.row["receives_online_orders"] else "closed"
        business = branch.business
        about = {"ref": branch.row["id"], "name": branch.row["name"], "status": status if branch.online else "offline"}
        more = {"currency": business.currency, "decimals": decimals(business.currency), "timezone": business.timezone}
        return {**about, **more, "tax_inclusive": business.tax_inclusive, "business_reference": business.reference}

    def stores(self) -> list[Json]:
        return [self._shown(branch) for branch in self._branches.values()]

    def snapshot(self) -> Json:
        return {
            "orders": self._orders.shown(),
            "menus": [{"store": each, "pushed": False, "pushes": 0, "items": self._catalog.shown(each)} for each in self._branches],
            "stock": self._catalog.stocked(),
        }
