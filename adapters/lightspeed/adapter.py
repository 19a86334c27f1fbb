"""Lightspeed Restaurant K-Series: an order is taken in at once, and whether the POS has it comes by webhook."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from adapters.lightspeed import models
from adapters.lightspeed.extras import LightspeedExtras, located, registered
from adapters.lightspeed.mapping import SPARE, Terms, draft, patience, reference_of, state_of
from adapters.lightspeed.menu import minor
from adapters.lightspeed.stores import JSON, Locations, obstacle
from adapters.lightspeed.webhooks import about_order, read_notice
from hub.contract import (
    AlreadyDone,
    AuthRevoked,
    Connected,
    Done,
    Drifted,
    Extra,
    Facts,
    Http,
    Malformed,
    Misconfigured,
    Offline,
    PosOrder,
    PosRejected,
    Queued,
    Rejected,
    Repeat,
    Request,
    Response,
    Step,
    SubmitTask,
    Submitted,
    Unreadable,
    VendorError,
)
from hub.model import Menu, Money, StockLevel, Store

READY_FOR = 10.0
"""Seconds that an answer about a location's readiness holds for the orders that come meanwhile."""
_TESTED = 5
_SHARED = frozenset({401, 404, 408, 410, 425, 429})


class Lightspeed:
    """One restaurant's connection."""

    def __init__(self, facts: Facts, connection: Connected, http: Http) -> None:
        self._facts, self._connection, self._http = facts, connection, http
        self._locations = Locations(connection, http)
        self._extras = LightspeedExtras(connection, http, self._locations)

    def failure(self, operation: str, response: Response) -> Exception | None:
        """A used reference is an order that was taken in; an unknown endpoint, location or scope is a setting; the rest is the table's."""
        status = response.status
        if status < 400 and operation != "create_order":
            return None
        problem = _problem(response)
        words = problem.words()[:300]
        kind, hint = _named(operation, status, words, problem.status)
        return kind(f"{operation}: {words or status}{hint}", code=problem.error or "", detail=words, status=status) if kind else None

    def read_step(self, step: str, response: Response) -> Done:
        """An order leaves nothing but that it was taken in; an endpoint its id and address."""
        if step == "webhook":
            return registered(response.body, self._connection)
        if step == "location":
            return located(response.body)
        said = _said(response).status
        if said != "ok":
            raise Drifted(f"the answer to an order says {said!r}")
        return Done()

    async def test(self) -> str:
        """List the locations, and ask the first few whether they take orders."""
        stores = await self.list_stores()
        words = []
        for store in stores[:_TESTED]:
            why = obstacle(await self._locations.readiness(store.ref))
            words.append(f"{store.name}: {why or 'ready'}")
        return "; ".join([f"{len(stores)} locations", *words])

    async def list_stores(self) -> Sequence[Store]:
        """The account's business locations."""
        return await self._locations.all()

    async def read_menu(self, location_ref: str) -> Menu:
        """The menu of one location, at the delivery profile's prices."""
        return await self._locations.menu(location_ref)

    async def read_stock(self, location_ref: str) -> Sequence[StockLevel]:
        """What is limited, with its count; 0 is sold out."""
        return await self._locations.restrictions(location_ref)

    def extras(self) -> Mapping[str, Extra]:
        """Counts, readiness, reports and the registration of the webhook endpoint."""
        return self._extras.all()

    async def submit(self, task: SubmitTask, done: Mapping[str, Done]) -> Step | Submitted | Queued | Offline | PosRejected:
        """One step; K-Series then has the order and tries to bring it to the POS for as long as it was told."""
        now, reference = datetime.now(UTC), reference_of(task)
        ref = task.location_ref
        shelf = await self._locations.shelf(ref)
        if "order" in done:
            sent = draft(task, shelf, self._terms(), now)
            lost, adjustment = ((), "") if isinstance(sent, PosRejected) else (sent.not_carried, sent.adjustment)
            return Queued(reference, now + patience(task.order, now) + SPARE, lost, adjustment)
        why = obstacle(await self._http.remember(f"readiness/{ref}", READY_FOR, lambda: self._locations.readiness(ref)))
        if why:
            return Offline(why)
        made = draft(task, shelf, self._terms(), now)
        if isinstance(made, PosRejected):
            return made
        kind = "local" if task.order.fulfilment.kind == "dine_in" else "toGo"
        body = models.ENCODER.encode(made.body)
        request = Request("POST", f"/o/op/1/order/{kind}", "create_order", body=body, headers=JSON, about=ref)
        return Step("order", request, Repeat.KEY, reference)

    def _terms(self) -> Terms:
        settings, endpoint = self._connection.settings, self._connection.details.get("endpoint_id", "")
        if not endpoint:
            raise Misconfigured("the connection names no webhook endpoint: without one no order is taken")
        return Terms(
            endpoint=endpoint,
            delivery_profile=str(settings.get("delivery_profile", "")),
            takeaway_profile=str(settings.get("takeaway_profile", "")),
            payment_method=str(settings.get("payment_method", "")) or "OOPAYMENT",
            open_item=str(settings.get("open_item", "")),
            discount_item=str(settings.get("discount_item", "")),
        )

    async def order(self, pos_order_id: str, notice: bytes = b"") -> PosOrder:
        """What a webhook says of an order; raises Unreadable without one, for no read finds an order by its reference."""
        if not notice:
            raise Unreadable("K-Series shows no order by its reference: only its webhooks tell")
        try:
            told = read_notice(notice)
        except Malformed as error:
            raise Drifted(str(error)) from error
        if not about_order(told):
            raise Unreadable(f"a notice about {told.type or 'something else'} tells nothing of an order")
        if told.third_party_reference != pos_order_id:
            raise Drifted(f"the notice is about another order than {pos_order_id}")
        version = hashlib.sha256(notice).hexdigest()[:16]
        state, reason = state_of(told.status), (told.reason or "")[:300]
        return PosOrder(pos_order_id, pos_order_id.partition("-")[0], state, version, await self._shown(told), reason)

    async def _shown(self, told: models.Notice) -> Money | None:
        """The check's total, where the notice holds the check and the location's currency is known."""
        if told.account is None or told.account.current_amount is None or not told.business_location_id:
            return None
        try:
            currency = (await self._locations.remembered(str(told.business_location_id))).currency
        except VendorError:
            return None  # what became of the order matters more than its total
        return Money(minor(told.account.current_amount, currency), currency)


def _named(operation: str, status: int, words: str, said: int | str | None) -> tuple[type[VendorError] | None, str]:
    """What the runtime does next, and a hint; None leaves it to the shared table."""
    if operation == "create_order":
        if (status == 409 or status < 300) and "already been used" in words:
            return AlreadyDone, ""
        if status < 300:
            return (Rejected, "") if said == "fail" else (None, "")
        if status == 400 and "endpoint id not found" in words.lower():
            return Misconfigured, ": register the endpoint with the extra `webhook`"
        if status == 404:
            return Misconfigured, ""
    if operation == "token" and status in (400, 401):
        return AuthRevoked, ""
    if status == 403:
        return Misconfigured, ": the token lacks a scope"
    return (Rejected, "") if 400 <= status < 500 and status not in _SHARED else (None, "")


def _said(response: Response) -> models.Taken:
    try:
        return msgspec.json.decode(response.body, type=models.Taken)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return models.Taken()


def _problem(response: Response) -> models.Problem:
    try:
        return msgspec.json.decode(response.body, type=models.Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return models.Problem()
