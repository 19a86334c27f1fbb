"""Deliveroo's sites and what each of them sells, as the control API steers them; and the webhooks of the brand."""

from collections import deque
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import msgspec

from adapters._sandbox.calls import Call, ControlError, Json
from adapters._sandbox.vendor import Sandbox, number, word
from adapters._sandbox.webhooks import Event

from ._sandbox_checks import Limits, refuse
from ._sandbox_menu import Menu, MenuError, built_in

SITE_STATUSES = ("OPEN", "CLOSED", "READY_TO_OPEN")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
STRIKES = 3
_STATUS = {**dict.fromkeys(("ONLINE", "ACTIVE"), "OPEN"), **dict.fromkeys(("OFFLINE", "PAUSED", "INACTIVE"), "CLOSED")}
_START = (("harbour-street-01", "Harbour Street Kitchen"), ("old-mill-02", "Old Mill Café"))


@dataclass
class Live:
    """A menu that is live, with the sites it is for; one from the platform's own editor has no version."""

    menu: Menu
    name: str
    sites: list[str]
    version: str = ""

    @property
    def uploaded(self) -> bool:
        """Tell whether it came through the API."""
        return self.version != ""

    def shown(self) -> Json:
        """The menu as it was uploaded."""
        return {"name": self.name, "site_ids": self.sites, "menu": self.menu.body}


@dataclass
class Shelf:
    """What one site sells: the menu's id and which of its items are off sale, `unavailable` or `hidden`."""

    own_id: str
    menu_id: str
    off: dict[str, str] = field(default_factory=dict)
    pushes: list[Json] = field(default_factory=list)

    def take(self, menu_id: str, menu: Menu) -> None:
        """Sell another menu; what was off sale stays so while it is on the menu."""
        self.menu_id = menu_id
        self.off = {item: status for item, status in self.off.items() if item in menu.items}

    def switch(self, item: str, status: str) -> None:
        """Take an item off sale, or put it back (`available`)."""
        self.off.pop(item, None)
        if status != "available":
            self.off[item] = status


@dataclass(frozen=True)
class Numbered(Event):
    """A webhook with the sequence GUID that is part of what is signed; a repeat has the same."""

    guid: str = ""


class Sites(Sandbox):
    """The part of Deliveroo's sandbox that holds sites and menus."""

    brand = "harbour-and-mill"

    def __init__(self, seed: str | None = None) -> None:
        super().__init__(seed)
        self.limits = Limits()
        self.hooks: dict[str, tuple[str, str]] = {}
        """The secret and the address of each event."""

    def restart(self) -> None:
        self.limits.forget()
        self._stores: dict[str, Json] = {}
        self._live: dict[str, Live] = {}
        self._shelves: dict[str, Shelf] = {}
        for ref, name in _START:
            self._add_store(ref, name, "GBP", "Europe/London")

    def _add_store(self, ref: str, name: str, currency: str, timezone: str) -> None:
        if len(currency) != 3 or not currency.isalpha() or not currency.isupper():
            raise ControlError(400, "currency is an ISO 4217 code")
        try:
            ZoneInfo(timezone)
        except (ValueError, OSError, LookupError) as error:
            raise ControlError(400, f"no timezone {timezone!r}") from error
        all_day = [{"local_start_time": "00:00", "local_end_time": "23:59"}]
        self._stores[ref] = {
            "ref": ref,
            "name": name,
            "currency": currency,
            "timezone": timezone,
            "status": "OPEN",
            "blocked": "",
            "mode": "QUIET",
            "times": {"busy": 20, "quiet": 10},
            "hours": dict.fromkeys(DAYS, all_day),
            "tabletless": True,
            "webhook_type": "ORDER_EVENTS",
            "strikes": deque(maxlen=STRIKES),
        }
        own = f"menu-manager-{ref}"
        self._live[own] = Live(built_in(currency), name, [ref])
        self._shelves[ref] = Shelf(own, own)

    # What calls are about

    def _check_brand(self, call: Call) -> None:
        if call.params["brand"] != self.brand:
            raise refuse(f"no brand {call.params['brand']}", 404)

    def _site(self, call: Call) -> Json:
        """The site of a call, in the brand that its path names, if it names one; raises Refused."""
        if "brand" in call.params:
            self._check_brand(call)
        found = self._stores.get(call.params["site"])
        if found is None:
            raise refuse(f"no site {call.params['site']}", 404)
        return found

    # Webhooks

    def _tell(self, event: str, body: Json, about: str) -> None:
        if event in self.hooks:
            secret, url = self.hooks[event]
            raw = msgspec.json.encode({"event": event, "body": body})
            self.emit(Numbered(url, secret, raw, event, about, guid=self.ids.uuid()))

    # Menus and sites, by their staff

    def _store_named(self, store: str) -> Json:
        if store not in self._stores:
            raise ControlError(404, f"no store {store}; there are: {', '.join(self._stores)}")
        return self._stores[store]

    def edit_menu(self, body: Json) -> Json:
        """Apply edits of staff to the menu a store sells: {op: price | rename | remove, id, amount?, name?}."""
        store = self._store_named(word(body, "store", next(iter(self._stores))))
        edits = body.get("edits")
        if not isinstance(edits, list) or not all(isinstance(each, dict) for each in edits):
            raise ControlError(400, "edits is a list of {op: price | rename | remove, id, ...}")
        live = self._live[self._shelves[store["ref"]].menu_id]
        changed: Json = msgspec.json.decode(msgspec.json.encode(live.menu.body))
        for edit in edits:
            self._edit(changed, edit)
        try:
            live.menu = Menu(changed, {store["currency"]})
        except MenuError as error:
            raise ControlError(409, str(error)) from error
        for shelf in self._shelves.values():
            shelf.take(shelf.menu_id, self._live[shelf.menu_id].menu)
        return {"store": store["ref"], "items": live.menu.summary(self._shelves[store["ref"]].off)}

    @staticmethod
    def _edit(menu: Json, edit: Json) -> None:
        identifier, operation = word(edit, "id"), word(edit, "op")
        item = next((each for each in menu["items"] if each["id"] == identifier), None)
        if item is None:
            raise ControlError(404, f"no item {identifier}")
        if operation == "price":
            item["price_info"]["price"] = int(number(edit, "amount"))
        elif operation == "rename":
            item["name"] = dict.fromkeys(item["name"], word(edit, "name"))
        elif operation == "remove":
            menu["items"].remove(item)
            for holder in (*menu["categories"], *menu["modifiers"]):
                holder["item_ids"] = [each for each in holder["item_ids"] if each != identifier]
        else:
            raise ControlError(400, f"unknown edit {operation!r}; known: price, remove, rename")

    def set_stock(self, body: Json) -> Json:
        """Take an item off sale at `store` (or all of them), as `status` says (unavailable, hidden), or put it back."""
        item, available = word(body, "item"), body.get("available")
        if not isinstance(available, bool):
            raise ControlError(400, "available is a boolean")
        status = word(body, "status", "unavailable")
        if status not in {"unavailable", "hidden"}:
            raise ControlError(400, "status is unavailable or hidden")
        stores = [self._store_named(word(body, "store"))["ref"]] if "store" in body else list(self._stores)
        held = [self._shelves[ref] for ref in stores if item in self._live[self._shelves[ref].menu_id].menu.items]
        if not held:
            raise ControlError(404, f"no item {item}")
        for shelf in held:
            shelf.switch(item, "available" if available else status)
        return {"item": item, "available": available, "stores": len(held)}

    def set_store(self, store: str, body: Json) -> Json:
        """Change a site's `status`, `tabletless`, `blocked` (VACATION_MODE, CLOSED_PERIOD or empty), or `create` it.

        `new_day: true` opens it in the morning: what was unavailable is available again, what is hidden stays so.
        """
        status = word(body, "status", self._stores[store]["status"] if store in self._stores else "OPEN").upper()
        status = _STATUS.get(status, status)
        if status not in SITE_STATUSES:
            raise ControlError(400, f"status is one of {', '.join(SITE_STATUSES)}")
        if body.get("blocked", "") not in {"", "VACATION_MODE", "CLOSED_PERIOD"}:
            raise ControlError(400, "blocked is VACATION_MODE, CLOSED_PERIOD or empty")
        if store not in self._stores:
            if body.get("create") is not True:
                raise ControlError(404, f"no store {store}; with create: true it is made")
            self._add_store(store, word(body, "name", store), word(body, "currency", "GBP"), word(body, "timezone", "Europe/London"))
        held, shelf = self._stores[store], self._shelves[store]
        held.update(name=word(body, "name", held["name"]), status=status, blocked=body.get("blocked", held["blocked"]))
        if isinstance(body.get("tabletless"), bool):
            held["tabletless"] = body["tabletless"]
        if body.get("new_day") is True:
            shelf.off = {item: each for item, each in shelf.off.items() if each == "hidden"}
        return {"ref": store, "name": held["name"], "status": status, "currency": held["currency"]}

    def stores(self) -> list[Json]:
        return [{name: each[name] for name in ("ref", "name", "status", "currency")} for each in self._stores.values()]

    def _shelves_shown(self) -> Json:
        """Menus and stock as the control API shows them."""
        return {
            "menus": [
                {
                    "store": ref,
                    "menu_id": shelf.menu_id,
                    "pushed": self._live[shelf.menu_id].uploaded,
                    "pushes": list(shelf.pushes),
                    "items": self._live[shelf.menu_id].menu.summary(shelf.off),
                }
                for ref, shelf in self._shelves.items()
            ],
            "stock": [
                {"item": item, "store": ref, "available": False, "status": status}
                for ref, shelf in self._shelves.items()
                for item, status in shelf.off.items()
            ],
        }
