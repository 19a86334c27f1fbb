"""DoorDash's menu jobs, the menus it pulls from the provider, and where its webhooks go."""

import json
import time
from collections.abc import Callable
from urllib.parse import quote, urlencode

import msgspec

from adapters._sandbox.calls import Call, ControlError, Json, timestamp
from adapters._sandbox.vendor import Sandbox
from adapters._sandbox.webhooks import Attempt, Event

from ._sandbox_access import PROVIDER
from ._sandbox_menu import MenuError, Shelf, StoreMenu, check_menu, hours_problem

EVENTS = (
    *("orders", "order_canceled", "order_release", "order_adjustment"),
    *("dasher_status", "menu_status", "menu_request", "store_deactivated"),
)
_PUSHES_KEPT = 200


class Jobs(Sandbox):
    """The part of DoorDash's sandbox that takes menus in and sends webhooks out."""

    webhook_secret: str
    _hooks: dict[str, Json]
    _stores: dict[str, Json]
    _menus: dict[str, list[StoreMenu]]
    _pushes: dict[str, list[Json]]
    _off: dict[str, dict[str, dict[str, float]]]
    _pending: dict[str, list[Json]]
    _next_pull: dict[str, Callable[[], None]]

    # Webhooks

    def add_webhook(self, url: str, secret: str | None, events: list[str] | None = None) -> Json:
        """Set the address of all event types or the named ones, as in the portal; `secret` is sent in Authorization as it is."""
        if unknown := sorted(set(events or ()) - set(EVENTS)):
            raise ControlError(400, f"unknown event type {unknown[0]!r}; known: {', '.join(EVENTS)}")
        made = {"id": self.ids.uuid(), "url": url, "secret": secret or self.webhook_secret}
        self._hooks.update(dict.fromkeys(events or EVENTS, made))
        return {"id": made["id"], "secret": made["secret"]}

    def webhooks(self) -> list[Json]:
        found: dict[str, Json] = {}
        for kind, hook in self._hooks.items():
            found.setdefault(hook["id"], {"id": hook["id"], "url": hook["url"], "events": []})["events"].append(kind)
        return list(found.values())

    def webhook_headers(self, attempt: Attempt) -> dict[str, str]:
        if not attempt.event.secret:
            return {}
        return {"Authorization": ("Bearer " if self.settings["webhook_bearer"] else "") + attempt.event.secret}

    def tell(self, kind: str, about: str, body: Json) -> None:
        """Send a webhook to where its type goes."""
        if (hook := self._hooks.get(kind)) is not None:
            self.emit(Event(hook["url"], hook["secret"], msgspec.json.encode(body), kind, about))

    def complain(self, event: Event, status: int, reason: str) -> None:
        """Note what the provider should not have answered."""
        self.reject(Call(event.method, event.url), f"answer to {event.kind}: {reason}", status, injected=False)

    # Menus

    def shelf(self, store: str) -> Shelf:
        """What a store sells."""
        off = self._off[store]
        return Shelf(off["item"], off["item_option"]).put(self._menus[store])

    def menu_of(self, identifier: str) -> tuple[str, StoreMenu] | None:
        """A menu and its store, by any id it ever had."""
        for store, menus in self._menus.items():
            for menu in menus:
                if identifier in menu.ids:
                    return store, menu
        return None

    def begin_job(self, store: str, entries: list[tuple[Json, StoreMenu | None]], via: str) -> None:
        """Take checked menus in after a while, each new or in place of another, and tell of each."""
        self._pending[store] = [body for body, _ in entries]
        for body, menu in entries:
            body["reference"] = body.get("reference") or self.ids.uuid()
            if menu is not None:
                menu.status = "PENDING"
        self._plan_pull(store)
        self.later(self.settings["menu_job_s"], lambda: self._finish_job(store, entries, via))

    def _finish_job(self, store: str, entries: list[tuple[Json, StoreMenu | None]], via: str) -> None:
        self._pending.pop(store, None)
        for body, menu in entries:
            kind = "MenuCreate" if menu is None else "MenuUpdate"
            problem = "The menu could not be processed" if self.settings["fail_menu_jobs"] else ""
            if problem:
                if menu is not None:
                    menu.status, menu.updated = "FAILED", time.time()
                about = {}
            else:
                problem = hours_problem(body)
                menu = self._install(store, body, menu, keep_hours=bool(problem))
                about = {"menu": {"id": menu.ids[-1]}}
            success = "Success" if via == "pull" else "SUCCESS"
            event: Json = {"type": kind, "status": "FAILURE" if problem else success, "reference": body["reference"]}
            if problem:
                event["details"] = problem
            count = sum(len(each.get("items") or []) for each in body["menu"].get("categories") or [])
            row = {"at": timestamp(time.time()), "via": via, "reference": body["reference"], "status": event["status"], "items": count}
            self._pushes[store] = [*self._pushes[store][1 - _PUSHES_KEPT :], row]
            self.tell("menu_status", store, {"event": event, "store": {"merchant_supplied_id": store}, **about})

    def _install(self, store: str, body: Json, menu: StoreMenu | None, *, keep_hours: bool) -> StoreMenu:
        now, own = time.time(), body["menu"].get("merchant_supplied_id")
        menus = [each for each in self._menus[store] if not each.built_in]
        if menu is None:
            menu = next((each for each in menus if own and each.body["menu"].get("merchant_supplied_id") == own), None)
            if menu is not None:
                menu.ids.append(self.ids.uuid())
        if menu is None:
            menu = StoreMenu([self.ids.uuid()], {"open_hours": [], "special_hours": []}, now)
            menus.append(menu)
        hours = {name: menu.body[name] for name in ("open_hours", "special_hours")} if keep_hours else {}
        menu.body = {**body, **hours}
        menu.updated, menu.status, menu.built_in = now, "FAILED" if keep_hours else "SUCCESS", False
        menu.succeeded = menu.succeeded if keep_hours else now
        self._menus[store] = menus if menu in menus else [*menus, menu]
        return menu

    # Menus that are pulled

    def _plan_pull(self, store: str) -> None:
        """Pull the menu when none came for so long."""
        if store in self._next_pull:
            self._next_pull[store]()
        if self.settings["auto_pull_s"]:
            self._next_pull[store] = self.later(self.settings["auto_pull_s"], lambda: self.request_menu(store))

    def request_menu(self, store: str) -> None:
        """Ask the provider for a store's menus: those it has sent before by their ids, else all."""
        self._plan_pull(store)
        if (hook := self._hooks.get("menu_request")) is None:
            return
        ids = [menu.ids[-1] for menu in self._menus[store] if not menu.built_in]
        query = "?" + urlencode({"ids": ",".join(ids)}) if ids else ""
        url = f"{hook['url'].rstrip('/')}/{quote(store, safe='')}{query}"
        self.emit(Event(url, hook["secret"], b"", "menu_request", store, "GET"))

    def menu_answered(self, event: Event, status: int, body: bytes) -> None:
        """Take in the menus that the provider answered a pull with."""
        store = event.subject
        if store not in self._stores:
            return
        if status != 200:
            self.complain(event, status, f"status {status}")
            return
        try:
            entries = self._pulled(store, body)
        except MenuError as error:
            self.complain(event, status, f"Invalid menu payload: [{error}]")
            return
        if store in self._pending:
            self.complain(event, status, "Already have a job IN_PROGRESS")
        elif entries:
            self.begin_job(store, entries, "pull")

    def _pulled(self, store: str, raw: bytes) -> list[tuple[Json, StoreMenu | None]]:
        try:
            body = json.loads(raw.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise MenuError(f"not JSON: {error}") from error
        menus = body.get("menus") if isinstance(body, dict) else None
        if not isinstance(menus, list) or not all(isinstance(each, dict) for each in menus):
            raise MenuError("menus: has to be a list of objects")
        if body.get("store") != {"merchant_supplied_id": store, "provider_type": PROVIDER}:
            raise MenuError(f"store: has to be {store} of {PROVIDER}")
        entries: list[tuple[Json, StoreMenu | None]] = []
        for entry in menus:
            made = {**{name: value for name, value in entry.items() if name != "id"}, "store": body["store"]}
            check_menu(made)
            if not entry.get("reference"):
                raise MenuError("reference: is required")
            known = self.menu_of(str(entry["id"])) if entry.get("id") else None
            if entry.get("id") and (known is None or known[0] != store):
                raise MenuError("Mismatch menu id and store id")
            entries.append((made, known[1] if known else None))
        return entries
