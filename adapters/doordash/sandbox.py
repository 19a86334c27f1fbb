"""DoorDash, simulated: the Marketplace API (menus, orders, item and store status), its webhooks and pulls, and reports."""

import time
from collections import deque
from collections.abc import Callable
from typing import ClassVar, Literal
from urllib.parse import unquote

import msgspec

from adapters._sandbox.calls import Answer, Call, Json, Refused, Route, timestamp
from adapters._sandbox.vendor import Failure
from adapters._sandbox.webhooks import Event

from ._sandbox_access import PROVIDER, Keys, bad_field, moment, plain, refuse, refuse_menu, rows, take
from ._sandbox_menu import MenuError, StoreMenu, check_menu, without_tax
from ._sandbox_orders import CANCELLED, CONFIRMED, PICKED_UP, READY, Placed, adjust
from ._sandbox_platform import Platform
from ._sandbox_reports import check_report, file_of

_API = "/marketplace/api/v1"
_REPORTS = "/dataexchange/v1/reports"
_MOST_ITEMS = 40
_MINUTE = 60
_TWO_WEEKS = 14 * 86_400
_CANCEL_PAUSES = {"ITEM_OUT_OF_STOCK": 0, "STORE_CLOSED": 12 * 3600, "KITCHEN_BUSY": 15 * 60, "OTHER": 0}
_PAUSE_REASONS = frozenset(
    {
        *("out_of_business", "delete_store", "payment_issue", "operational_issues"),
        *("store_self_disabled_in_their_POS_portal", "store_pos_connectivity_issues"),
    }
)
_REPORTS_KEPT = 1000


class DoorDashSandbox(Platform):
    """DoorDash's side, strict about the caller's JWTs, bodies, ids, limits and the order of states."""

    slug = "doordash"
    kind: ClassVar[Literal["pos", "delivery"]] = "delivery"
    webhook_timeout = 60
    webhook_schedule = ()
    default_settings: ClassVar[dict[str, float]] = {
        "accept_deadline_s": 180,
        "accept_spread_s": 300,
        "adjustment_s": 0.2,
        "auto_pull_s": 86_400,
        "cancellation_allowed": 1,
        "fail_menu_jobs": 0,
        "item_calls_per_minute": 480,
        "menu_job_s": 0.2,
        "nested_as_extra": 0,
        "report_s": 0.2,
        "test_cancel_s": 900,
        "webhook_bearer": 0,
    }

    def __init__(self, seed: str | None = None) -> None:
        super().__init__(seed)
        self._keys = Keys.made(self.ids)
        self.webhook_secret = self.ids.text(32)
        self._hooks = {}
        self.restart()

    def restart(self) -> None:
        super().restart()
        self._reports: dict[str, Json] = {}
        self._item_calls: dict[str, deque[float]] = {"item": deque(), "item_option": deque()}

    # Access and errors

    def failure(self, kind: Failure, detail: str) -> Answer:
        status, code = {
            "error": (500, "internal_error"),
            "rate_limited": (429, "rate_limited"),
            "token_expired": (401, "unauthenticated"),
            "token_revoked": (401, "unauthenticated"),
            "not_found": (404, "not_found"),
            "bad_body": (400, "validation_error"),
        }[kind]
        message = "Developer account endpoint rate limit exceeded" if kind == "rate_limited" else detail
        return Answer(status, {"code": code, "message": message})

    def authenticate(self, call: Call, route: Route) -> None:
        self._keys.check(call)

    def expire_all_tokens(self) -> None:
        self._keys.expire_all()

    def app_credentials(self) -> dict[str, str]:
        keys = self._keys
        return {
            "developer_id": keys.developer_id,
            "key_id": keys.key_id,
            "signing_secret": keys.signing_secret,
            "provider_type": PROVIDER,
            "webhook_secret": self.webhook_secret,
        }

    def connection_credentials(self) -> dict[str, str]:
        return {}

    # Operations

    def routes(self) -> list[Route]:
        def alias(call: Call) -> str:
            placed = self._orders.get(call.params["id"])
            return placed.alias if placed else call.params["id"]

        def part(name: str) -> Callable[[Call], str]:
            return lambda call: unquote(call.params[name])

        def pushed(call: Call) -> str:
            return f"{call.peek('store', 'merchant_supplied_id')}|{call.peek('menu', 'name')}"

        def report(call: Call) -> str:
            return f"{call.peek('report_type')}|{call.peek('start_date')}|{call.peek('end_date')}"

        order, store, item = f"{_API}/orders/{{id}}", f"{_API}/stores/{{store}}", f"{_API}/stores/{{item}}"
        tables: list[tuple[str, str, str, Callable[[Call], Answer], Callable[[Call], str]]] = [
            ("POST", f"{_API}/menus", "menu.create", self._create_menu, pushed),
            ("PATCH", f"{_API}/menus/{{id}}", "menu.update", self._update_menu, pushed),
            ("GET", f"{store}/menu_details", "menu.details", self._menu_details, part("store")),
            ("GET", f"{store}/store_menu", "menu.get", self._store_menu, part("store")),
            ("PATCH", order, "order.confirm", self._confirm, alias),
            ("PATCH", f"{order}/events/{{event}}", "order.event", self._order_event, alias),
            ("PATCH", f"{order}/cancellation", "order.cancel", self._cancel, alias),
            ("PATCH", f"{order}/adjustment", "order.adjust", self._adjust, alias),
            ("PUT", f"{store}/items/status", "items.status", lambda call: self._set_items(call, "item"), part("store")),
            ("PUT", f"{store}/item_options/status", "options.status", lambda call: self._set_items(call, "item_option"), part("store")),
            ("GET", f"{item}/item/availability", "item.availability", lambda call: self._availability(call, "item"), part("item")),
            ("GET", f"{item}/item_option/availability", "option.availability", self._option_availability, part("item")),
            ("GET", f"{store}/store_details", "store.details", self._store_details, part("store")),
            ("PUT", f"{store}/status", "store.status", self._set_status, part("store")),
            ("POST", _REPORTS, "report.create", self._create_report, report),
            ("GET", f"{_REPORTS}/{{id}}/reportlink", "report.link", self._report_link, part("id")),
        ]
        made = [Route(method, path, name, act, about) for method, path, name, act, about in tables]
        made.append(Route("GET", "/dataexchange/v1/files/{id}", "report.file", self._report_file, part("id"), open=True))
        return made

    def _store(self, call: Call) -> Json:
        found = self._stores.get(unquote(call.params["store"]))
        if found is None:
            raise refuse(404, "not_found", f"no store {unquote(call.params['store'])}")
        return found

    def _order(self, call: Call) -> Placed:
        placed = self._orders.get(call.params["id"])
        if placed is None:
            raise refuse(404, "not_found", f"Order with provided ID does not exist: {call.params['id']}")
        return placed

    # Menus

    def _create_menu(self, call: Call) -> Answer:
        return self._take_menu(call, None)

    def _update_menu(self, call: Call) -> Answer:
        known = self.menu_of(call.params["id"])
        if known is None:
            raise refuse_menu(404, f"NOT_FOUND::NOT_FOUND: no menu {call.params['id']}")
        return self._take_menu(call, known)

    def _take_menu(self, call: Call, known: tuple[str, StoreMenu] | None) -> Answer:
        body = dict(call.json())
        try:
            check_menu(body)
        except MenuError as error:
            raise refuse_menu(400, f"Invalid menu payload: [{error}]") from error
        ref = body["store"]["merchant_supplied_id"]
        store = self._stores.get(ref)
        if store is None or body["store"]["provider_type"] != PROVIDER:
            raise refuse_menu(400, "INVALID_ARGUMENT::INVALID_ARGUMENT: Store does not exist for the menu")
        if known is not None and known[0] != ref:
            raise refuse_menu(403, "PERMISSION_DENIED::PERMISSION_DENIED: Mismatch menu id and store id")
        if store["onboarding"]:
            text = "INVALID_ARGUMENT::INVALID_ARGUMENT: Store under active onboarding and not ready to receive menu push"
            raise refuse_menu(400, text)
        if ref in self._pending:
            same = any(each["menu"] == body["menu"] and each["open_hours"] == body["open_hours"] for each in self._pending[ref])
            raise refuse_menu(200, "INVALID_ARGUMENT::INVALID_ARGUMENT: Already have a job IN_PROGRESS", repeats=same)
        self.begin_job(ref, [(body, known[1] if known else None)], "push")
        return Answer(200, {"reference": body["reference"], "status": "IN_PROGRESS"})

    def _menu_details(self, call: Call) -> Answer:
        ref = self._store(call)["ref"]
        menus = [menu.details(ref) for menu in self._menus[ref]]
        return Answer(200, {"provider_name": PROVIDER, "merchant_supplied_id": ref, "menus": menus})

    def _store_menu(self, call: Call) -> Answer:
        """The menu that changed last: the answer has room for one."""
        ref = self._store(call)["ref"]
        return Answer(200, without_tax(max(self._menus[ref], key=lambda menu: menu.updated).body))

    # Orders

    def _confirm(self, call: Call) -> Answer:
        self.settle(self._order(call), call.json())
        return Answer(202)

    def _order_event(self, call: Call) -> Answer:
        placed = self._order(call)
        if call.params["event"] != "order_ready_for_pickup":
            raise refuse(400, "bad_request", f"unsupported event type {call.params['event']}")
        pos_id = take(call.json(), "merchant_supplied_id", str)
        if placed.state == READY:
            self.calls["order.event.repeated"] += 1
            return Answer(202)
        if placed.state != CONFIRMED:
            raise refuse(400, "bad_request", f"Order is {placed.state}, not confirmed, or has expired")
        if pos_id is not None and pos_id != placed.pos_id:
            raise refuse(400, "bad_request", "merchant_supplied_id is not the one that the order was confirmed with")
        placed.move(READY, time.time())
        return Answer(202)

    def _cancel(self, call: Call) -> Answer:
        placed, body = self._order(call), call.json()
        reason = take(body, "cancel_reason", str, required=True)
        if reason not in _CANCEL_PAUSES:
            raise bad_field("cancel_reason", f"is one of {', '.join(_CANCEL_PAUSES)}")
        details = take(body, "cancel_details", str) or ""
        if not self.settings["cancellation_allowed"]:
            raise refuse(403, "forbidden", "Access is denied: this provider is not on the list of those who may cancel")
        wanted = f"merchant: {reason} {details}".strip()
        if placed.state not in {CONFIRMED, READY}:
            if placed.state == CANCELLED:
                raise refuse(400, "bad_request", "Order has already been cancelled", repeats=placed.reason == wanted)
            raise refuse(400, "bad_request", f"Order is not confirmed: it is {placed.state}")
        self.cancel(placed, wanted)
        if pause := _CANCEL_PAUSES[reason]:
            self.deactivate(placed.store, reason, details, time.time() + pause, tell=True)
        return Answer(202)

    def _adjust(self, call: Call) -> Answer:
        placed = self._order(call)
        if placed.state not in {CONFIRMED, READY, PICKED_UP}:
            raise refuse(400, "bad_request", f"Order is {placed.state}: not confirmed, or cancelled")
        adjust(placed, call.json(), self.ids.uuid)
        event = {"type": "OrderAdjustment", "status": "SUCCESS"}
        self.later(
            self.settings["adjustment_s"],
            lambda: self.tell("order_adjustment", placed.alias, {"event": event, "order": placed.payload()}),
        )
        return Answer(202)

    # Items

    def _set_items(self, call: Call, kind: str) -> Answer:
        ref, now, recent = self._store(call)["ref"], time.time(), self._item_calls[kind]
        while recent and recent[0] <= now - _MINUTE:
            recent.popleft()
        if len(recent) >= self.settings["item_calls_per_minute"]:
            raise Refused(self.failure("rate_limited", ""), "rate_limited: more calls a minute than this endpoint takes")
        recent.append(now)
        changes = rows(call)
        if not changes:
            raise bad_field("items", "has at least one entry")
        if len(changes) > _MOST_ITEMS:
            raise refuse(413, "too_large", f"at most {_MOST_ITEMS} entries a call")
        for change in changes:
            take(change, "merchant_supplied_id", str, required=True)
            take(change, "is_active", bool, required=True)
        shelf = self.shelf(ref)
        results = []
        for change in changes:
            identifier = change["merchant_supplied_id"]
            if found := shelf.knows(identifier, alone=kind == "item"):
                self.switch(ref, kind, identifier, change["is_active"])
            results.append({"merchant_supplied_id": identifier, "response": "Success" if found else "Not Found"})
        missing = [each["merchant_supplied_id"] for each in results if each["response"] == "Not Found"]
        if len(missing) == len(results):
            raise refuse(404, "not_found", f"none of these is on the store's menu: {missing[0]}")
        if missing:
            raise Refused(Answer(400, results), f"not on the store's menu: {missing[0]}")
        return Answer(200)

    def _option_availability(self, call: Call) -> Answer:
        return self._availability(call, "item_option")

    def _availability(self, call: Call, kind: str) -> Answer:
        """Whether an item is on sale at every store that has it: the call names none."""
        identifier = unquote(call.params["item"])
        stores = [ref for ref in self._stores if self.has(ref, kind, identifier)]
        if not stores:
            raise refuse(404, "not_found", f"no {kind} {identifier}")
        since = [self._off[ref][kind][identifier] for ref in stores if identifier in self._off[ref][kind]]
        body: Json = {"merchant_supplied_id": identifier, "is_active": not since}
        if since:
            body["start_time"] = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(min(since)))
        return Answer(200, body)

    # Stores

    def _store_details(self, call: Call) -> Answer:
        store = self._store(call)
        current = self.deactivations(store)
        body = {
            "provider_name": PROVIDER,
            "merchant_supplied_id": store["ref"],
            "is_active": not current,
            "is_order_protocol_pos": True,
            "auto_release_enabled": store["auto_release"],
            "auto_release_distance": 400,
            "auto_release_from_store_enabled": store["auto_release"],
            "special_instructions_max_length": 128,
            "current_deactivations": [
                {
                    "reason": each["reason"],
                    "notes": each["notes"],
                    "created_at": timestamp(each["from"]),
                    "end_time": None if each["until"] is None else timestamp(each["until"]),
                }
                for each in current
            ],
        }
        return Answer(200, body)

    def _set_status(self, call: Call) -> Answer:
        store, body = self._store(call), call.json()
        active = take(body, "is_active", bool, required=True)
        reason, notes = take(body, "reason", str), take(body, "notes", str) or ""
        if reason is not None and reason not in _PAUSE_REASONS:
            raise bad_field("reason", f"is one of {', '.join(sorted(_PAUSE_REASONS))}")
        if not active:
            self.deactivate(store, reason or "operational_issues", notes, self._pause_end(body), tell=False)
            return Answer(200)
        if not any(menu.active for menu in self._menus[store["ref"]]):
            raise refuse(400, "bad_request", "the store has no active POS menu")
        if not store["bank"]:
            raise refuse(400, "bad_request", "the store has no bank data")
        store["deactivations"] = []
        return Answer(200)

    @staticmethod
    def _pause_end(body: Json) -> float:
        """When a pause ends: as said, or in two weeks when nothing is said or both an end and a duration are."""
        now, end = time.time(), take(body, "end_time", str)
        until = None if end is None else moment(end, "end_time")
        hours, secs = take(body, "duration_in_hours", int), take(body, "duration_in_secs", int)
        if (hours is None) != (secs is None):
            raise bad_field("duration_in_secs", "goes together with duration_in_hours")
        if (hours is None) == (until is None):
            return now + _TWO_WEEKS
        if until is None:
            until = now + hours * 3600 + secs
        if until <= now:
            raise bad_field("end_time", "has to be in the future")
        return until

    # Reports

    def _create_report(self, call: Call) -> Answer:
        report, identifier = check_report(call.json(), self._stores.values()), self.ids.uuid()
        report.update(ready=time.time() + self.settings["report_s"], host=call.headers.get("host", ""))
        self._reports[identifier] = report
        if len(self._reports) > _REPORTS_KEPT:
            del self._reports[next(iter(self._reports))]
        if url := report["webhook_url"]:

            def tell() -> None:
                self.emit(Event(url, "", msgspec.json.encode(self._link(identifier, report)), "report", identifier))

            self.later(self.settings["report_s"], tell)
        return Answer(200, {"report_id": identifier})

    def _link(self, identifier: str, report: Json) -> Json:
        link = f"http://{report['host']}/{self.slug}/dataexchange/v1/files/{identifier}"
        return {"report_id": identifier, "report_link": link, "report_status": "SUCCEEDED"}

    def _report_of(self, call: Call) -> Json:
        found = self._reports.get(call.params["id"])
        if found is None:
            raise refuse(404, "not_found", f"no report {call.params['id']}")
        return found

    def _report_link(self, call: Call) -> Answer:
        report = self._report_of(call)
        if report["ready"] > time.time():
            return Answer(200, {"report_id": call.params["id"], "report_link": "", "report_status": "IN_PROGRESS"})
        return Answer(200, self._link(call.params["id"], report))

    def _report_file(self, call: Call) -> Answer:
        return plain(200, file_of(self._report_of(call), self._orders.values()), "text/csv")


SANDBOX = DoorDashSandbox
