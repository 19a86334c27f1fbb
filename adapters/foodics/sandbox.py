"""Foodics, simulated: a merchant with two branches, its menu, orders, customers, inventory, tokens and unsigned webhooks."""

import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import msgspec

from adapters._sandbox.calls import Answer, Call, ControlError, Json, Route
from adapters._sandbox.vendor import Failure
from adapters._sandbox.webhooks import Attempt, Event

from ._sandbox_access import Business, Grants
from ._sandbox_catalog import MENU_RELATIONS, Catalog, Entry, fixed_id
from ._sandbox_checks import posted, refused, settle
from ._sandbox_drafts import REFERENCE, Reader
from ._sandbox_lists import Resource, listing, one
from ._sandbox_office import Office, settings
from ._sandbox_orders import ORDER_RELATIONS, Kept, Orders
from ._sandbox_resources import GENERAL, READ_ORDERS, ListedSandbox
from ._sandbox_staff import FIRST_BRANCH, HOME, SECOND_BRANCH, Branch

EVENTS = (
    *("order.created", "order.updated", "order.delivery.created", "order.delivery.updated"),
    *("application.order.updated", "customer.created", "menu.updated"),
)


class FoodicsSandbox(ListedSandbox):
    """Foodics' API v5 at `/v5`, tokens at `/oauth/token`. The token of the start business reaches every branch, others only their own."""

    slug = "foodics"
    kind: ClassVar[Literal["pos", "delivery"]] = "pos"
    webhook_timeout = 5
    webhook_schedule = (10, 60)
    default_settings: ClassVar[dict[str, float]] = {
        "token_lifetime_s": 30 * 86_400,
        "requests_per_minute": 0,
        "accept_after_s": 0.2,
        "vanish_rate": 0,
        "hide_product_options": 0,
        "plural_events": 0,
    }

    def __init__(self, seed: str | None = None) -> None:
        super().__init__(seed)
        self._grants = Grants(self.ids)
        self._app = self.ids.uuid()
        self._addresses: dict[str, Json] = {}
        self._businesses: dict[int, Business] = {}
        self.restart()

    def restart(self) -> None:
        home = Business(fixed_id("business", "main"), HOME, "Harbour Hospitality", "SAR", "Asia/Riyadh")
        self._businesses[HOME] = home
        self._branches: dict[str, Branch] = {}
        self._catalog = Catalog(self._menu_changed, self.ids.uuid)
        self._office = Office(lambda: list(self._branches), self.ids.uuid, self._customer_made)
        self._orders = Orders(self.ids.uuid, self._order_changed)
        self._add_branch(FIRST_BRANCH, "Harbour Street Kitchen", "مطبخ شارع الميناء", home)
        self._add_branch(SECOND_BRANCH, "Old Mill Café", "مقهى الطاحونة القديمة", home)

    # Tokens, errors, webhooks

    def failure(self, kind: Failure, detail: str) -> Answer:
        status, message = {
            "error": (500, "Server Error"),
            "rate_limited": (429, "Too Many Attempts."),
            "token_expired": (401, "Unauthenticated."),
            "token_revoked": (401, "Unauthenticated."),
            "not_found": (404, "Not found."),
            "bad_body": (400, "The request body could not be read."),
        }[kind]
        return Answer(status, {"message": message})

    def authenticate(self, call: Call, route: Route) -> None:
        if self._grants.owner(call) not in self._businesses:
            raise refused(401, "Unauthenticated.", "the business is gone")
        self._grants.demand(call, *route.scope.split())

    def expire_all_tokens(self) -> None:
        self._grants.expire_all()

    def app_credentials(self) -> dict[str, str]:
        return {"client_id": self._grants.client_id, "client_secret": self._grants.client_secret}

    def connection_credentials(self) -> dict[str, str]:
        return {**self._grants.offered(HOME, self.settings["token_lifetime_s"]), "business_reference": str(HOME)}

    def webhook_headers(self, attempt: Attempt) -> dict[str, str]:
        if not attempt.event.secret:
            return {}
        return {"X-Foodics-Signature": hmac.digest(attempt.event.secret.encode(), attempt.event.body, hashlib.sha256).hex()}

    def webhooks(self) -> list[Json]:
        return [{"id": each["id"], "url": url} for url, each in self._addresses.items()]

    def add_webhook(self, url: str, secret: str | None, events: list[str] | None = None) -> Json:
        """Register an address. Nothing is signed unless a secret is given; then `X-Foodics-Signature` has the body's HMAC-SHA256."""
        wanted = list(EVENTS) if events is None else events
        if unknown := sorted(set(wanted) - set(EVENTS)):
            raise ControlError(400, f"no event {unknown[0]}; there are: {', '.join(EVENTS)}")
        known = self._addresses.get(url)
        self._addresses[url] = {"id": known["id"] if known else self.ids.text(16), "secret": secret or "", "events": frozenset(wanted)}
        return {"id": self._addresses[url]["id"], "secret": secret or ""}

    def _tell(self, event: str, subject: str, business: Business, told: Json) -> None:
        name = event.replace("order.", "orders.", 1) if self.settings["plural_events"] and event.startswith("order.") else event
        about = {"name": business.name, "reference": business.reference}
        body = msgspec.json.encode({"timestamp": int(time.time()), "event": name, "business": about, **told})
        for url, address in self._addresses.items():
            if event in address["events"]:
                self.emit(Event(url, address["secret"], body, event, subject))

    def _order_changed(self, event: str, kept: Kept) -> None:
        self._tell(event, kept.reference or kept.row["id"], kept.business, {"order": kept.row})

    def _customer_made(self, customer: Json) -> None:
        self._tell("customer.created", customer["phone"], self._businesses[HOME], {"customer": customer})

    def _menu_changed(self, kind: str, entity: str) -> None:
        for business in self._businesses.values():
            if any(each.business is business for each in self._branches.values()):
                self._tell("menu.updated", entity, business, {"entity": {"type": kind, "id": entity}})

    # Operations

    def routes(self) -> list[Route]:
        def by_id(call: Call) -> str:
            kept = self._orders.kept.get(call.params["id"])
            return (kept.reference if kept else None) or call.params["id"]

        def same(call: Call) -> str:
            return call.query.get("page", "")

        def order(call: Call) -> str:
            return call.peek("meta", REFERENCE)

        tables: list[tuple[str, str, str, str, Callable[[Call], Any], Callable[[Call], str]]] = [
            ("GET", "whoami", "whoami", "", self._whoami, same),
            ("GET", "settings", "settings.get", GENERAL, lambda call: {"data": settings(self._mine(call)[0])}, same),
            ("GET", "menu_display", "menu_display.get", GENERAL, lambda _: {"data": self._catalog.display()}, same),
            ("POST", "products", "products.create", "menu.write", self._save_product, lambda call: call.peek("sku")),
            ("PUT", "products/{id}", "products.update", "menu.write", self._save_product, by_id),
            ("PUT", "modifier_options/{id}", "modifier_options.update", "menu.write", self._save_option, by_id),
            ("POST", "orders", "orders.create", "orders.write orders.limited.create", self._create_order, order),
            ("GET", "orders/{id}", "orders.get", READ_ORDERS[1], self._get_order, by_id),
            ("PUT", "orders/{id}", "orders.update", "", self._update_order, by_id),
            ("POST", "customers", "customers.create", "customers.write", self._save_customer, lambda call: call.peek("phone")),
            ("POST", "addresses", "addresses.create", "customers.write", self._save_address, lambda call: call.peek("customer_id")),
            ("POST", "devices/push_notifications", "devices.notify", "", self._notify, lambda call: call.peek("order_id")),
        ]
        for each in self._collections():
            tables.append(("GET", each.name, f"{each.name}.list", each.scope, self._lister(each), same))
            if each.name != "orders":
                tables.append(("GET", each.name + "/{id}", f"{each.name}.get", each.scope, self._getter(each), by_id))
        made = [
            Route(method, f"/v5/{path}", name, self._answering(act), about, scope=scope) for method, path, name, scope, act, about in tables
        ]
        made.append(Route("GET", "/authorize", "oauth.authorize", lambda call: self._grants.authorize(call), same, open=True))
        made.append(Route("POST", "/oauth/token", "oauth.token", self._token, lambda call: call.peek("grant_type"), open=True))
        return made

    def _answering(self, act: Callable[[Call], Json]) -> Callable[[Call], Answer]:
        def answer(call: Call) -> Answer:
            headers = self._grants.count(call, self.settings["requests_per_minute"])
            return Answer(200, act(call), headers)

        return answer

    @staticmethod
    def _lister(resource: Resource) -> Callable[[Call], Json]:
        return lambda call: listing(call, resource)

    @staticmethod
    def _getter(resource: Resource) -> Callable[[Call], Json]:
        def get(call: Call) -> Json:
            row = next((each for each in resource.rows(call) if each["id"] == call.params["id"]), None)
            if row is None:
                raise refused(404, "Not found.", f"no {call.params['id']} in {resource.name}")
            shown = one(call, row, resource.relations)
            if resource.name == "modifiers" and "options" not in shown["data"]:
                shown["data"]["options"] = [{name: value for name, value in each.items() if name != "branches"} for each in row["options"]]
            return shown

        return get

    def _token(self, call: Call) -> Answer:
        return self._grants.grant(call, HOME, self.settings["token_lifetime_s"])

    def _whoami(self, call: Call) -> Json:
        business = self._mine(call)[0]
        user = {"id": fixed_id("user", "owner"), "name": "Hub", "email": "hub@example.com"}
        return {"data": {"user": user, "business": {"id": business.id, "reference": business.reference, "name": business.name}}}

    def _save_product(self, call: Call) -> Json:
        (business, branches), product = self._mine(call), self._entry(call, self._catalog.products) if call.params else None
        saved = self._catalog.save(posted(call), product, business, branches)
        return one(call, self._catalog.product_row(saved, business, self._places(call)), MENU_RELATIONS)

    def _save_option(self, call: Call) -> Json:
        (business, branches), option = self._mine(call), self._entry(call, self._catalog.options)
        self._catalog.save_option(posted(call), option, business, branches)
        return one(call, self._catalog.option_row(option, business.currency, self._places(call)), {"branches": {}})

    @staticmethod
    def _entry(call: Call, entries: dict[str, Entry]) -> Entry:
        found = entries.get(call.params["id"])
        if found is None or found.deleted_at:
            raise refused(404, "Not found.", f"no product or option {call.params['id']}")
        return found

    def _save_customer(self, call: Call) -> Json:
        return one(call, self._office.save_customer(posted(call)), {})

    def _save_address(self, call: Call) -> Json:
        return one(call, self._office.save_address(posted(call)), {"customer": {}, "delivery_zone": {}})

    def _create_order(self, call: Call) -> Json:
        (caller, branches), form = self._mine(call), posted(call)
        if form.has("payments") and form.node["payments"] != []:
            self._grants.demand(call, "orders.write", "orders.limited.pay")
        named = branches.get(str(form.node.get("branch_id")))
        business = named.business if named else caller
        draft = Reader(self._catalog, self._office, business, {i: each.row for i, each in branches.items()}).read(form)
        branch = branches[draft.branch["id"]]
        reference = str(draft.fields["meta"].get(REFERENCE, ""))
        lot = self.faults.roll("vanish_rate", "orders.create", reference, self.faults.ordinal("orders.vanish", reference))
        vanishes = lot < self.settings["vanish_rate"]
        kept = self._orders.create(draft, business, self._app, reached=branch.reaches(), vanishes=vanishes)
        if kept.reached and not vanishes and (delay := self.settings["accept_after_s"]):
            self.later(delay, lambda: self._orders.accept(kept.row["id"]))
        return one(call, kept.row, ORDER_RELATIONS)

    def _get_order(self, call: Call) -> Json:
        return one(call, self._reached(call, call.params["id"]).row, ORDER_RELATIONS)

    def _update_order(self, call: Call) -> Json:
        form = posted(call)
        if form.has("status"):
            self._grants.demand(call, "orders.limited.decline")
        if any(each != "status" for each in form.node) or not form.node:
            self._grants.demand(call, "orders.limited.deliver")
        kept = self._reached(call, call.params["id"])
        return one(call, self._orders.update(kept, form, self._office.users).row, ORDER_RELATIONS)

    def _reached(self, call: Call, identifier: str) -> Kept:
        kept = self._orders.get(identifier)
        if kept.row["branch"]["id"] not in self._mine(call)[1]:
            raise refused(404, "Not found.", "an order of another business")
        return kept

    def _notify(self, call: Call) -> Json:
        form = posted(call)
        event, order = form.text("event", required=True), form.text("order_id", required=True)
        if event not in (None, "order_customer_arrived"):
            form.wrong("event", "The selected {} is invalid.")
        settle(form.errors)
        self._reached(call, order or "").note("customer_arrived")
        return {"message": "The notification was sent."}


SANDBOX = FoodicsSandbox
