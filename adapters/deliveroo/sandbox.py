"""Deliveroo, simulated: the Order, Menu and Site APIs of the partner platform suite, its short tokens and signed webhooks."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import ClassVar, Literal
from zoneinfo import ZoneInfo

from adapters._sandbox.calls import Answer, Call, ControlError, Json, Refused, Route
from adapters._sandbox.tokens import TokenDesk, basic, form
from adapters._sandbox.vendor import Failure
from adapters._sandbox.webhooks import Attempt

from ._sandbox_checks import json_body, moment, one_of, refuse
from ._sandbox_menu import MenuError, check_periods
from ._sandbox_orders import ACCEPTED, CONFIRMED, DELIVERED, ENDED, PLACED, REJECTED, RIDER, Placed, market_of
from ._sandbox_sites import DAYS, SITE_STATUSES, Numbered
from ._sandbox_uploads import Uploads

_EVENTS = ("order.new", "order.status_update", "rider.status_update", "menu.upload_result")
_WEBHOOK_TYPES = ("POS", "ORDER_EVENTS", "POS_AND_ORDER_EVENTS")
_REJECT_REASONS = ("closing_early", "busy", "ingredient_unavailable", "other")
_SYNC_REASONS = (
    *("price_mismatched", "pos_item_id_mismatched", "pos_item_id_not_found", "items_out_of_stock", "location_offline"),
    *("location_not_supported", "unsupported_order_type", "no_webhook_url", "webhook_failed", "timed_out", "other"),
    "no_sync_confirmation",
)
_STAGES = ("in_kitchen", "ready_for_collection_soon", "ready_for_collection", "collected")
_DELAYS = (0, 2, 4, 6, 8, 10)
_PATCHES_A_MINUTE = 5
_MINUTE = 60
_PAGE = 50


def signature(secret: str, guid: str, body: bytes) -> str:
    """Sign a webhook: HMAC-SHA256 over its sequence GUID, one space and its bytes, in hex."""
    return hmac.digest(secret.encode(), guid.encode() + b" " + body, hashlib.sha256).hex()


def _oauth(status: int, error: str, about: str) -> Refused:
    return Refused(Answer(status, {"error": error, "error_description": about}), f"{error}: {about}")


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class DeliverooSandbox(Uploads):
    """Deliveroo's side for one developer app and one brand."""

    slug = "deliveroo"
    kind: ClassVar[Literal["pos", "delivery"]] = "delivery"
    # Exponential, given up six minutes after the first send; the steps are not published.
    webhook_schedule = (2, 4, 8, 16, 32, 64, 128, 106)
    default_settings: ClassVar[dict[str, float]] = {
        "accept_deadline_gulf_s": 420,
        "accept_deadline_s": 600,
        "auto_close": 1,
        "item_total_with_modifiers": 0,
        "menu_delay_s": 0.2,
        "menu_upload_gap_s": 60,
        "patch_window_s": _MINUTE,
        "sync_status_deadline_s": 180,
        "sync_status_gap_s": 10,
        "tablet_accept_s": 0.2,
        "token_lifetime_s": 300,
        "unavailable_post_gap_s": 0.1,
        "unavailable_put_gap_s": 60,
        "upload_url_s": 5,
    }

    def __init__(self, seed: str | None = None) -> None:
        super().__init__(seed)
        self._desk = TokenDesk(self.ids)
        self._client_id = self.ids.text(26).lower()
        self._client_secret = self.ids.text(32) + self.ids.text(16).lower()
        self._webhook_secret = self.ids.text(32)
        self.restart()

    # Tokens, errors, webhooks

    def failure(self, kind: Failure, detail: str) -> Answer:
        status, code = {
            "error": (500, "internal_server_error"),
            "rate_limited": (429, "too_many_requests"),
            "token_expired": (401, "unauthorized"),
            "token_revoked": (401, "unauthorized"),
            "not_found": (404, "not_found"),
            "bad_body": (400, "bad_request"),
        }[kind]
        return Answer(status, {"error": {"code": code, "message": detail}})

    def authenticate(self, call: Call, route: Route) -> None:
        if why := self._desk.why_not(call.bearer()):
            raise refuse(why, 401)

    def expire_all_tokens(self) -> None:
        self._desk.expire_all()

    def app_credentials(self) -> dict[str, str]:
        return {"client_id": self._client_id, "client_secret": self._client_secret, "webhook_secret": self._webhook_secret}

    def connection_credentials(self) -> dict[str, str]:
        return {"brand_id": self.brand}

    def webhook_headers(self, attempt: Attempt) -> dict[str, str]:
        event = attempt.event
        guid = event.guid if isinstance(event, Numbered) else ""
        headers = {"X-Deliveroo-Sequence-Guid": guid, "X-Deliveroo-Hmac-Sha256": signature(event.secret, guid, event.body)}
        if event.kind.startswith("order."):
            headers |= {"X-Deliveroo-Payload-Type": f"event/{event.kind}", "X-Deliveroo-Webhook-Version": "1"}
        return headers

    def webhooks(self) -> list[Json]:
        by_url: dict[str, list[str]] = {}
        for event, (_, url) in self.hooks.items():
            by_url.setdefault(url, []).append(event)
        return [{"id": ",".join(events), "url": url, "events": events} for url, events in by_url.items()]

    def add_webhook(self, url: str, secret: str | None, events: list[str] | None = None) -> Json:
        """Set the address of all events, or of the named ones; signed with the webhook secret unless another is given."""
        wanted = list(_EVENTS) if events is None else events
        if unknown := [each for each in wanted if each not in _EVENTS]:
            raise ControlError(400, f"unknown event {unknown[0]!r}; known: {', '.join(_EVENTS)}")
        self.hooks |= dict.fromkeys(wanted, (secret or self._webhook_secret, url))
        return {"id": ",".join(wanted), "secret": secret or self._webhook_secret}

    # Operations

    def routes(self) -> list[Route]:
        def order(call: Call) -> str:
            placed = self._orders.get(call.params["id"])
            return placed.alias if placed else call.params["id"]

        def about(name: str) -> Callable[[Call], str]:
            return lambda call: call.params.get(name, "")

        one, brand = "/order/v1/orders/{id}", "/brands/{brand}"
        menu, third = f"/menu/v1{brand}/menus/{{menu}}", f"/menu/v3{brand}"
        site = f"/site/v1{brand}/sites/{{site}}"
        off = {"v1": menu + "/item_unavailabilities/{site}", "v2": f"/menu/v2{brand}/sites/{{site}}/menu/item_unavailabilities"}
        config = f"/order/v1/integrator{brand}/sites-config"
        tables: list[tuple[str, str, str, Callable[[Call], Answer], Callable[[Call], str]]] = [
            ("PATCH", one, "order.status", self._patch_order, order),
            ("POST", one + "/sync_status", "order.sync_status", self._sync_status, order),
            ("POST", one + "/prep_stage", "order.prep_stage", self._prep_stage, order),
            ("GET", "/order/v2/brand/{brand}/restaurant/{site}/orders", "orders.list", self._list_orders, about("site")),
            ("GET", config, "sites.config", self._get_config, about("brand")),
            ("PUT", config, "sites.set_config", self._put_config, about("brand")),
            ("PUT", menu, "menu.put", self._put_menu, about("menu")),
            ("GET", menu, "menu.get", self._get_menu, about("menu")),
            ("PUT", third + "/menus/{menu}", "menu.ask_upload", self._ask_upload, about("menu")),
            ("GET", third + "/menus/{menu}", "menu.version", self._get_version, about("menu")),
            ("POST", third + "/jobs", "menu.job", self._start_job, lambda call: call.peek("params", "menu_id")),
            ("GET", third + "/jobs/{job}", "menu.job_status", self._get_job, about("brand")),
            ("GET", "/site/v1/brands", "brands.list", self._list_brands, about("brand")),
            ("GET", "/site/v1/restaurant_locations/{site}", "site.brand", self._brand_of, about("site")),
            ("GET", site + "/status", "site.status", lambda call: Answer(200, {"status": self._site(call)["status"]}), about("site")),
            ("PUT", site + "/status", "site.set_status", self._set_status, about("site")),
            ("GET", site + "/opening_hours", "site.hours", self._get_hours, about("site")),
            ("POST", site + "/opening_hours", "site.set_hours", self._set_hours, about("site")),
            ("GET", site + "/workload/mode", "site.workload", lambda call: Answer(200, {"mode": self._site(call)["mode"]}), about("site")),
            ("PUT", site + "/workload/mode", "site.set_workload", self._set_workload, about("site")),
            ("GET", site + "/workload/times", "site.times", lambda call: Answer(200, self._site(call)["times"]), about("site")),
            ("PUT", site + "/workload/times", "site.set_times", self._set_times, about("site")),
        ]
        for path in off.values():
            tables.append(("GET", path, "stock.get", self._get_off, about("site")))
            tables.append(("POST", path, "stock.change", self._change_off, about("site")))
            tables.append(("PUT", path, "stock.replace", self._replace_off, about("site")))
        made = [Route(*row) for row in tables]
        made.append(Route("POST", "/oauth2/token", "oauth.token", self._token, about("brand"), open=True))
        made.append(Route("PUT", "/menu-files/{key}", "menu.put_file", self._put_file, about("menu"), open=True))
        made.append(Route("GET", "/menu-files/{key}", "menu.get_file", self._get_file, about("menu"), open=True))
        return made

    def _token(self, call: Call) -> Answer:
        fields = form(call)
        if fields is None:
            raise _oauth(400, "invalid_request", "the body is an urlencoded form")
        if fields.get("grant_type") != "client_credentials":
            raise _oauth(400, "unsupported_grant_type", "grant_type is client_credentials")
        given = basic(call) if "authorization" in call.headers else (fields.get("client_id", ""), fields.get("client_secret", ""))
        if given != (self._client_id, self._client_secret):
            raise _oauth(401, "invalid_client", "client id or secret is wrong")
        lifetime, now = self.settings["token_lifetime_s"], int(time.time())
        claims = {"sub": self._client_id, "iat": now, "exp": now + int(lifetime), "jti": self.ids.uuid(), "token_use": "access"}
        parts = [_base64url(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, claims)]
        token = ".".join((*parts, _base64url(self.ids.text(32).encode())))
        self._desk.take(token, lifetime)
        return Answer(200, {"access_token": token, "expires_in": int(lifetime), "token_type": "Bearer"})

    # Orders

    def _order(self, call: Call) -> Placed:
        placed = self._orders.get(call.params["id"])
        if placed is None:
            raise refuse(f"no order {call.params['id']}", 404)
        return placed

    def _patch_order(self, call: Call) -> Answer:
        placed = self._order(call)
        self.limits.take("status calls of an order", placed.alias, _PATCHES_A_MINUTE, self.settings["patch_window_s"])
        body = json_body(call, status=str, reject_reason=str, notes=str)
        status = one_of(body, "status", (ACCEPTED, REJECTED, CONFIRMED))
        reason = one_of(body, "reject_reason", _REJECT_REASONS, needed=status == REJECTED)
        if not placed.store["tabletless"]:
            raise refuse("the site has a tablet: its staff accept, reject and confirm")
        if status == CONFIRMED and not placed.scheduled:
            raise refuse("only a scheduled order is confirmed")
        if placed.state != (ACCEPTED if status == CONFIRMED else PLACED):
            raise refuse(f"order {placed.id} is {placed.state} and cannot be {status}", 409, repeats=(status, reason) in placed.done)
        placed.done.add((status, reason))
        self._move(placed, status, reason)
        return Answer(204)

    def _sync_status(self, call: Call) -> Answer:
        placed = self._order(call)
        repeats = bool(placed.sync) and placed.sync == call.json()
        self.limits.take("sync statuses of an order", placed.alias, 1, self.settings["sync_status_gap_s"], repeats=repeats)
        body = json_body(call, status=str, reason=str, notes=str, occurred_at=str)
        status = one_of(body, "status", ("succeeded", "failed"))
        one_of(body, "reason", _SYNC_REASONS, needed=status == "failed")
        moment(body.get("occurred_at"), "occurred_at")
        if placed.sync:
            raise refuse(f"order {placed.id} has a sync status", 409, repeats=repeats)
        if time.time() > placed.created + self.settings["sync_status_deadline_s"]:
            raise refuse(f"order {placed.id} waited too long for its sync status", 409)
        placed.sync = dict(body)
        placed.remember(f"sync_{status}", time.time())
        if status == "failed":
            self._alert(placed)
        return Answer(200)

    def _prep_stage(self, call: Call) -> Answer:
        placed, now = self._order(call), time.time()
        body = json_body(call, stage=str, occurred_at=str, delay=int)
        stage = one_of(body, "stage", _STAGES)
        if not now - 3600 <= moment(body.get("occurred_at"), "occurred_at") <= now + 300:
            raise refuse("occurred_at is at most an hour ago and five minutes ahead")
        if body.get("delay") is not None and (stage != _STAGES[0] or body["delay"] not in _DELAYS):
            raise refuse(f"delay is one of {', '.join(map(str, _DELAYS))} minutes, and only with in_kitchen")
        before = _STAGES.index(placed.stage) if placed.stage else -1
        if _STAGES.index(stage) == before:
            return Answer(200)
        if placed.state not in {ACCEPTED, CONFIRMED} or _STAGES.index(stage) < before:
            raise refuse(f"order {placed.id} is {placed.state} and at {placed.stage or 'no stage'}: it cannot be {stage}", 409)
        placed.stage = stage
        placed.remember(stage, now)
        if stage == "collected" and placed.kind != RIDER:
            self._move(placed, DELIVERED)
        return Answer(200)

    def _list_orders(self, call: Call) -> Answer:
        here, query = self._by_store.get(self._site(call)["ref"], []), call.query
        start = moment(query["start_date"], "start_date") if query.get("start_date") else 0
        end = moment(query["end_date"], "end_date") if query.get("end_date") else float("inf")
        live, cursor = query.get("live_orders") or "false", query.get("cursor") or "0"
        if live not in {"true", "false"}:
            raise refuse("live_orders is true or false")
        if not cursor.isdecimal() or int(cursor) > len(here):
            raise refuse("cursor is not one of ours")
        position, page = int(cursor), list[Json]()
        while position < len(here) and len(page) < _PAGE:
            placed = here[position]
            position += 1
            if start <= placed.created < end and not (live == "true" and placed.state in ENDED):
                page.append(self._shown(placed))
        return Answer(200, {"orders": page, "next": str(position) if position < len(here) else None})

    # Sites

    def _get_config(self, call: Call) -> Answer:
        self._check_brand(call)
        names = (("location_id", "ref"), ("orders_api_webhook_type", "webhook_type"), ("name", "name"))
        return Answer(200, {"sites": [{shown: each[held] for shown, held in names} for each in self._stores.values()]})

    def _put_config(self, call: Call) -> Answer:
        self._check_brand(call)
        wanted = json_body(call, sites=list).get("sites")
        if not wanted or not all(isinstance(each, dict) for each in wanted):
            raise refuse("sites is a list of {location_id, orders_api_webhook_type, name} and not empty")
        for each in wanted:
            one_of(each, "orders_api_webhook_type", _WEBHOOK_TYPES)
            if each.get("location_id") not in self._stores:
                raise refuse(f"no site {each.get('location_id')}", 404)
        for each in wanted:
            self._stores[each["location_id"]]["webhook_type"] = each["orders_api_webhook_type"]
        return self._get_config(call)

    def _list_brands(self, _: Call) -> Answer:
        market = market_of(next(iter(self._stores.values()))["currency"])
        return Answer(200, {"brands": [{"id": self.brand, "name": "Harbour & Mill", "market": market}]})

    def _brand_of(self, call: Call) -> Answer:
        return Answer(200, {"id": self._site(call)["ref"], "brand_id": [self.brand]})

    def _set_status(self, call: Call) -> Answer:
        site = self._site(call)
        status = one_of(json_body(call, status=str), "status", SITE_STATUSES)
        if status == "OPEN" and (why := site["blocked"] or ("" if self._in_hours(site) else "OPENING_HOURS")):
            raise refuse(f"Unable to open restaurant, reason: {why}")
        site["status"] = status
        return Answer(200, {"status": status})

    @staticmethod
    def _in_hours(site: Json) -> bool:
        now = datetime.now(ZoneInfo(site["timezone"]))
        clock = now.strftime("%H:%M")
        today = site["hours"].get(DAYS[now.weekday()], [])
        return any(each["local_start_time"] <= clock <= each["local_end_time"] for each in today)

    def _get_hours(self, call: Call) -> Answer:
        return Answer(200, {"opening_hours": self._site(call)["hours"]})

    def _set_hours(self, call: Call) -> Answer:
        """Replace the whole week; a day that is not named is closed."""
        site, wanted = self._site(call), json_body(call, opening_hours=dict).get("opening_hours")
        if not wanted or not set(wanted) <= set(DAYS):
            raise refuse("opening_hours is {day: [{local_start_time, local_end_time}]} and not empty")
        for day, periods in wanted.items():
            if not isinstance(periods, list) or not all(isinstance(each, dict) for each in periods):
                raise refuse(f"opening_hours.{day} is a list of {{local_start_time, local_end_time}}")
            named = [{"start": each.get("local_start_time"), "end": each.get("local_end_time")} for each in periods]
            try:
                check_periods(named, f"opening_hours.{day}")
            except MenuError as error:
                raise refuse(str(error)) from error
        site["hours"] = {day: wanted.get(day, []) for day in DAYS}
        return self._get_hours(call)

    def _set_times(self, call: Call) -> Answer:
        """Set the minutes of preparation; a busy kitchen needs some steps of five more than a quiet one."""
        site, body = self._site(call), json_body(call, busy=int, quiet=int)
        quiet, busy = (body.get(name) or 0 for name in ("quiet", "busy"))
        if quiet < 1 or busy <= quiet or (busy - quiet) % 5:
            raise refuse("busy is more than quiet, by a multiple of 5 minutes")
        site["times"] = {"busy": busy, "quiet": quiet}
        return Answer(200, site["times"])

    def _set_workload(self, call: Call) -> Answer:
        site = self._site(call)
        site["mode"] = one_of(json_body(call, mode=str), "mode", ("QUIET", "MODERATE", "BUSY"))
        return Answer(200, {"mode": site["mode"]})


SANDBOX = DeliverooSandbox
