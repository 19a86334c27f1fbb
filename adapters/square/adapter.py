"""Square: an order, then the external payment that makes it visible; found again by reference, cancelled by refund."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from adapters.square import models
from adapters.square.extras import SquareExtras
from adapters.square.mapping import REFERENCE, draft, state_of
from adapters.square.menu import menu_from
from adapters.square.stores import MENU_TYPES, Seller, call, time_text
from hub.contract import (
    AuthExpired,
    AuthRevoked,
    Cancelled,
    CancelTask,
    CannotCancel,
    Done,
    Drifted,
    Extra,
    Facts,
    Http,
    Misconfigured,
    NotFound,
    PosOrder,
    RateLimited,
    Rejected,
    Repeat,
    Response,
    RetryLater,
    Step,
    SubmitTask,
    Submitted,
    decode,
)
from hub.contract.tasks import Connected
from hub.model import Menu, Money, StockLevel, Store

EARLIER = timedelta(minutes=5)
"""Clocks differ: a search window begins this much before the first send."""


class Square:
    """One seller's connection."""

    def __init__(self, facts: Facts, connection: Connected, http: Http) -> None:
        self._facts, self._connection, self._http = facts, connection, http
        self._seller = Seller(http)
        self._kind = str(connection.settings.get("fulfillment", "PICKUP"))

    def failure(self, operation: str, response: Response) -> Exception | None:
        """Name Square's error codes; the rest is the shared table's."""
        status = response.status
        if status < 400:
            return None
        problem = _problem(response)
        code, detail = problem.code, f"{problem.detail} {problem.field}".strip()[:300]
        message = f"{operation}: {code or status}"
        if code == "ACCESS_TOKEN_REVOKED":
            return AuthRevoked(message, code=code, detail=detail, status=status)
        if operation == "token" and status in (400, 401, 403):
            return AuthRevoked(message, code=code, detail=detail, status=status)
        if status == 401:
            return AuthExpired(message, code=code, detail=detail, status=status)
        if status == 403:
            return Misconfigured(message, code=code, detail=detail, status=status)
        if status == 429:
            after = _seconds(response)
            if after is None and "retry-after" in response.headers:
                return None  # a date: the shared table reads it
            return RateLimited(message, after=after, scope="app", code=code, detail=detail)
        if status == 404 or code == "NOT_FOUND":
            return NotFound(message, code=code, detail=detail, status=status)
        if status == 409 or code in ("VERSION_MISMATCH", "CONFLICT"):
            return RetryLater(message, after=0.2, code=code, detail=detail, status=status)
        if 400 <= status < 500 and status not in (408, 425):
            return Rejected(f"{message} {detail}".strip(), code=code, detail=detail, status=status)
        return None

    def read_step(self, step: str, response: Response) -> Done:
        """Keep what later steps need: the order's id, total and version, the payment's id."""
        if step == "payment":
            paid: models.PaidAnswer = decode(response.body, models.PaidAnswer)
            if paid.payment is not None:
                return Done(paid.payment.id)
            if paid.order is not None:
                return _order_done(paid.order)
            raise Drifted("the answer to a payment holds neither a payment nor an order")
        if step.startswith("refund"):
            refund: models.Refund = decode(response.body, models.RefundAnswer).refund
            return Done(refund.id, {"state": refund.status} if refund.status else {})
        return _order_done(decode(response.body, models.OrderAnswer).order)

    async def test(self) -> str:
        """List the seller's locations."""
        stores = await self.list_stores()
        return f"{len(stores)} locations"

    async def list_stores(self) -> Sequence[Store]:
        """The seller's locations."""
        found = await self._seller.locations()
        return [Store(s.id, s.name, s.currency, s.timezone, s.country, s.status == "ACTIVE") for s in found]

    async def read_menu(self, location_ref: str) -> Menu:
        """The catalog as seen at one location."""
        store = next((s for s in await self.list_stores() if s.ref == location_ref), None)
        if store is None:
            raise Misconfigured(f"the seller has no location {location_ref}")
        return menu_from(await self._seller.catalog(MENU_TYPES), location_ref, store.currency)

    async def read_stock(self, location_ref: str) -> Sequence[StockLevel]:
        """Variations that are counted or marked as sold out at a location, and options that are marked so."""
        return await self._seller.levels(location_ref)

    def extras(self) -> Mapping[str, Extra]:
        """Payments, refunds and inventory."""
        return SquareExtras(self._seller).all()

    async def submit(self, task: SubmitTask, done: Mapping[str, Done]) -> Step | Submitted:
        """The order first, then its payment: only a paid order shows at the POS."""
        if "order" not in done:
            made, _, _ = draft(task, self._kind)
            key = task.key("order")
            body = models.CreateOrder(idempotency_key=key, order=made)
            return Step("order", call("POST", "/v2/orders", "create_order", body), Repeat.KEY, key)
        order = done["order"]
        whole = Money(int(order.data["total"]), str(order.data["currency"]))
        if "payment" not in done:
            return _payment(task, order.vendor_ref, whole)
        _, lost, adjustment = draft(task, self._kind)
        return Submitted(order.vendor_ref, whole, lost, adjustment)

    async def find(self, task: SubmitTask, step: str, since: datetime) -> Done | None:
        """Search the location's orders since then for our reference, the newest first; one that stands before a cancelled one."""
        # The order of a payment may be much older than the payment's first try.
        earliest = min(since, task.order.placed_at) if step == "payment" else since
        orders = await self._search(task.location_ref, earliest - EARLIER, until=task.reference)
        mine = [order for order in orders if order.reference_id == task.reference]
        found = next((order for order in mine if order.state != "CANCELED"), mine[0] if mine else None)
        if found is None:
            return None
        if step != "payment":
            return _order_done(found)
        paid = next((t.payment_id or t.id for t in found.tenders), None)
        return Done(paid) if paid else None

    async def order(self, pos_order_id: str, notice: bytes = b"") -> PosOrder:
        """One order, always read."""
        return _pos_order(await self._read(pos_order_id))

    async def open_orders(self, location_ref: str, since: datetime) -> Sequence[PosOrder]:
        """The location's orders since then."""
        return [_pos_order(order) for order in await self._search(location_ref, since)]

    async def _read(self, pos_order_id: str) -> models.Order:
        response = await self._http.read(call("GET", f"/v2/orders/{pos_order_id}", "get_order"))
        answer: models.OrderAnswer = decode(response.body, models.OrderAnswer)
        return answer.order

    async def _search(self, location_ref: str, since: datetime, until: str = "") -> list[models.Order]:
        """Every page; with `until`, the pages up to the one that holds this reference."""
        found: list[models.Order] = []
        cursor = ""
        start = time_text(since)
        query = {
            "filter": {"date_time_filter": {"created_at": {"start_at": start}}},
            "sort": {"sort_field": "CREATED_AT", "sort_order": "DESC"},
        }
        while True:
            body = {"location_ids": [location_ref], "query": query, "limit": 500} | ({"cursor": cursor} if cursor else {})
            response = await self._http.read(call("POST", "/v2/orders/search", "search_orders", body))
            page: models.OrderList = decode(response.body, models.OrderList)
            found += page.orders
            cursor = _next(cursor, page.cursor)
            if not cursor or (until and any(order.reference_id == until for order in page.orders)):
                return found

    async def cancel(self, task: CancelTask, done: Mapping[str, Done]) -> Step | Cancelled | CannotCancel:
        """Give the money back first, then take the fulfilment away. What the guest has got already is a person's to settle."""
        order = await self._read(task.pos_order_id)
        if order.state == "CANCELED" or "cancel" in done:
            return Cancelled()
        if order.state == "COMPLETED" and not done:
            return CannotCancel("the order is completed")
        for number, tender in enumerate(order.tenders, 1):
            if f"refund{number}" not in done:
                payment = await self._seller.payment(tender.payment_id or tender.id)
                left = payment.total_money.amount - payment.refunded_money.amount
                if left > 0 and payment.status not in ("CANCELED", "FAILED"):
                    return _refund(task, f"refund{number}", payment, left)
        return Cancelled() if order.state == "COMPLETED" else _cancellation(order)


def _payment(task: SubmitTask, pos_order_id: str, whole: Money) -> Step:
    key, sold = task.key("payment"), task.order
    if not whole.amount:
        nothing = models.PayOrder(idempotency_key=key)
        return Step("payment", call("POST", f"/v2/orders/{pos_order_id}/pay", "pay_order", nothing), Repeat.KEY, key)
    tip = sold.merchant_tip()
    cash = any(payment.kind == "cash" for payment in sold.payments)
    body = models.CreatePayment(
        idempotency_key=key,
        source_id="CASH" if cash else "EXTERNAL",
        amount_money=models.Money(whole.amount, whole.currency),
        order_id=pos_order_id,
        location_id=task.location_ref,
        reference_id=task.reference[:REFERENCE],
        tip_money=models.Money(tip.amount, tip.currency) if tip else None,
        cash_details=models.CashDetails(models.Money(whole.amount + tip.amount, whole.currency)) if cash else None,
        external_details=None if cash else models.ExternalDetails(source=sold.platform[:255], source_id=sold.platform_order_id[:255]),
    )
    return Step("payment", call("POST", "/v2/payments", "create_payment", body), Repeat.KEY, key)


def _refund(task: CancelTask, name: str, payment: models.Payment, left: int) -> Step:
    key = task.key(name)
    amount = models.Money(left, payment.total_money.currency)
    body = models.CreateRefund(idempotency_key=key, payment_id=payment.id, amount_money=amount, reason=task.reason[:192])
    return Step(name, call("POST", "/v2/refunds", "refund", body), Repeat.KEY, key)


def _cancellation(order: models.Order) -> Step | Cancelled:
    open_ones = [f.uid for f in order.fulfillments if f.uid and f.state not in ("CANCELED", "FAILED", "COMPLETED")]
    # Square lets only an unpaid order itself be cancelled; a paid one ends with its fulfilments.
    if not open_ones and order.tenders:
        return Cancelled()
    change = models.OrderChange(
        version=order.version,
        location_id=order.location_id,
        fulfillments=tuple(models.FulfillmentChange(uid, "CANCELED") for uid in open_ones),
        state=None if order.tenders else "CANCELED",
    )
    request = call("PUT", f"/v2/orders/{order.id}", "update_order", models.UpdateOrder(change))
    return Step("cancel", request, Repeat.NATURAL)


def _next(cursor: str, following: str | None) -> str:
    if following and following == cursor:
        raise Drifted("a page names itself as the next one")
    return following or ""


def _untipped(order: models.Order) -> int:
    # Once it is paid, Square's total holds the payment's tip.
    return order.total_money.amount - order.total_tip_money.amount


def _order_done(order: models.Order) -> Done:
    if not order.total_money.currency:
        raise Drifted("order.total_money is missing")
    data = {"total": _untipped(order), "currency": order.total_money.currency, "version": order.version}
    return Done(order.id, data)


def _pos_order(order: models.Order) -> PosOrder:
    currency = order.total_money.currency
    money = Money(_untipped(order), currency) if currency else None
    return PosOrder(order.id, order.reference_id or "", state_of(order), str(order.version), money)


def _problem(response: Response) -> models.VendorProblem:
    try:
        found = msgspec.json.decode(response.body, type=models.Problems)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return models.VendorProblem()
    return found.errors[0] if found.errors else models.VendorProblem()


def _seconds(response: Response) -> float | None:
    text = response.headers.get("retry-after", "")
    return float(text) if text.replace(".", "", 1).isdecimal() else None
