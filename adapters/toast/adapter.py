"""Toast: an order is priced first, so that what it shows is what is owed, then made, and approved by the restaurant."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from adapters.toast import errors, models
from adapters.toast.extras import ToastExtras
from adapters.toast.mapping import Draft, draft
from adapters.toast.menu import parts, products_by_item
from adapters.toast.pricing import ADJUSTMENT, Quote, Settled, Sums, paid, quote_of, settle
from adapters.toast.states import external_id, order_and_place, pos_id, reference_in, state_of, total_of
from adapters.toast.stores import Restaurants, call
from adapters.toast.webhooks import guest_status, read_notice
from hub.contract import (
    Cancelled,
    CancelTask,
    CannotCancel,
    Connected,
    Done,
    Drifted,
    Extra,
    Facts,
    Http,
    Malformed,
    Misconfigured,
    NotFound,
    Offline,
    PosOrder,
    PosRejected,
    Queued,
    Rejected,
    Repeat,
    Response,
    RetryLater,
    Step,
    SubmitTask,
    Submitted,
    decode,
    pages,
)
from hub.model import Menu, Money, NotCarried, OrderState, StockLevel, Store

ORDERS = "/orders/v2/orders"
EARLIER = timedelta(minutes=5)
"""Clocks differ: a search window begins this much before the first send, and ends this much after now."""
PATIENCE = timedelta(minutes=15)
"""How long approval is waited for where the channel has no deadline; Toast does not say how long it waits itself."""
_PAGE = 100


class Toast:
    """One tenant's connection; the app's login covers the restaurants of all."""

    def __init__(self, facts: Facts, connection: Connected, http: Http) -> None:
        self._facts, self._connection, self._http = facts, connection, http
        self._restaurants = Restaurants(connection, http)
        self._extras = ToastExtras(http, self._restaurants)

    def failure(self, operation: str, response: Response) -> Exception | None:
        """Name Toast's errors; the rest is the shared table's."""
        return errors.failure(operation, response)

    def read_step(self, step: str, response: Response) -> Done:
        """An order leaves its GUID, what it shows and how it stands; a stock change the items that Toast does not know."""
        if step.partition("/")[0] == "stock":
            rows: list[models.StockRow] = decode(response.body, list[models.StockRow])
            return Done(data={"failed": [row.guid for row in rows if row.item_guid_validity == "INVALID" and row.guid]})
        answer: models.OrderAnswer = decode(response.body, models.OrderAnswer)
        return _left(answer.order)

    async def test(self) -> str:
        """Count the restaurants that let the app in."""
        return f"{await self._restaurants.count()} restaurants"

    async def list_stores(self) -> Sequence[Store]:
        """The restaurants that let the app in."""
        return await self._restaurants.all()

    async def read_menu(self, location_ref: str) -> Menu:
        """The menu of one restaurant; ids are `<group>:<item>`."""
        return await self._restaurants.menu(location_ref)

    async def read_stock(self, location_ref: str) -> Sequence[StockLevel]:
        """What is out of stock or counted, under every id that the menu has for it."""
        response = await self._http.read(call("GET", "/stock/v1/inventory", "list_stock", location_ref))
        rows: list[models.StockRow] = decode(response.body, list[models.StockRow])
        ids = products_by_item(await self._restaurants.menu(location_ref))
        return [
            StockLevel(
                identifier,
                row.status != "OUT_OF_STOCK",
                int(row.quantity) if row.status == "QUANTITY" and row.quantity is not None else None,
                kind="modifier" if option else "item",
            )
            for row in rows
            for identifier, option in ids.get(row.guid or "", [])
        ]

    async def stock_step(self, location_ref: str, levels: Sequence[StockLevel]) -> Step:
        """Set levels; Toast keeps one for an item whatever group it stands in, and knows no end of an outage."""
        rows: dict[str, dict[str, Any]] = {}
        for level in sorted(levels, key=lambda each: not each.available):
            item = parts(level.id)[1]
            if not level.available or level.quantity == 0:
                rows[item] = {"guid": item, "status": "OUT_OF_STOCK"}
            elif level.quantity is not None:
                rows[item] = {"guid": item, "status": "QUANTITY", "quantity": level.quantity}
            else:
                rows[item] = {"guid": item, "status": "IN_STOCK"}
        request = call("PUT", "/stock/v1/inventory/update", "update_stock", location_ref, list(rows.values()))
        return Step("stock", request, Repeat.NATURAL)

    def extras(self) -> Mapping[str, Extra]:
        """The kitchen, and online ordering."""
        return self._extras.all()

    async def submit(self, task: SubmitTask, done: Mapping[str, Done]) -> Step | Submitted | Queued | Offline | PosRejected:
        """One order, paid by what the platform holds; Toast's prices decide which adjustment goes with it."""
        ref = task.location_ref
        if "order" in done:
            return await self._result(task, done["order"])
        why = await self._restaurants.obstacle(ref)
        if why:
            return Offline(why)
        made = draft(task, await self._restaurants.terms(ref), datetime.now(UTC))
        if isinstance(made, PosRejected):
            return await self._advised(made, ref) if made.code == "unmapped" else made
        try:
            settled = await settle(made, lambda body: self._price(body, ref, made.currency))
        except Rejected:
            # The order itself is refused for the same reason. If it was sent before, what it was sent as goes again.
            settled = Settled(Sums())
        request = call("POST", ORDERS, "create_order", ref, paid(made, settled), timeout=20.0)
        return Step("order", request, Repeat.LOOKUP, made.order.external_id)

    async def _price(self, body: models.OrderSent, ref: str, currency: str) -> Quote:
        response = await self._http.read(call("POST", "/orders/v2/prices", "price_order", ref, body))
        answer: models.OrderAnswer = decode(response.body, models.OrderAnswer)
        return quote_of(answer.order, currency)

    async def _advised(self, refused: PosRejected, ref: str) -> PosRejected:
        items = await self._restaurants.open_items(ref)
        named = ", ".join(f"{name} ({identifier})" for identifier, name in items.items()) or "Toast has none yet"
        return PosRejected(
            f"{refused.reason}; map them, or name an item of open price in the setting open_item: {named}"[:900], refused.code
        )

    async def _result(self, task: SubmitTask, order: Done) -> Submitted | Queued | PosRejected:
        """What became of the order that was made."""
        if not order.vendor_ref:
            found = await self.find(task, "order", task.order.placed_at)
            if found is None:
                raise RetryLater("Toast has an order of this external id and does not show it yet", after=2.0)
            order = found
        identifier, currency = pos_id(order.vendor_ref, task.location_ref), await self._restaurants.currency(task.location_ref)
        total = Money(models.minor(Decimal(str(order.data.get("total") or 0)), currency), currency)
        state = OrderState(str(order.data.get("state") or OrderState.RECEIVED))
        if state in (OrderState.FAILED, OrderState.CANCELLED):
            return PosRejected("the restaurant did not approve the order", state.value)
        lost: tuple[NotCarried, ...] = ()
        words = ""
        try:
            made = draft(task, await self._restaurants.terms(task.location_ref), datetime.now(UTC))
        except Misconfigured:
            made = None  # it was configured when the order was made, and that is what counts
        if isinstance(made, Draft):
            words, lost = _adjusted(order, made.discount, currency)
            lost = (*made.not_carried, *lost)
        owed = task.order.merchant_total()
        if total != owed:
            what = "an open service charge and an open discount that this order can take" if not words else "adjustments that come nearer"
            lost = (*lost, NotCarried("total", f"Toast shows {total.decimal()} instead of {owed.decimal()}: it lacks {what}"))
        if state is OrderState.RECEIVED:
            return Queued(identifier, task.order.deadline_at or datetime.now(UTC) + PATIENCE, lost, words)
        return Submitted(identifier, total, lost, words)

    async def order(self, pos_order_id: str, notice: bytes = b"") -> PosOrder:
        """One order, as far as itself or the call about it tells."""
        guid, ref = order_and_place(pos_order_id)
        if not ref:
            raise NotFound(f"{pos_order_id} names no restaurant")
        guest = ""
        if notice:
            try:
                guest = guest_status(read_notice(notice), guid)
            except Malformed as error:
                raise Drifted(str(error)) from error
        return await self._pos_order(await self._read(guid, ref), ref, guest)

    async def find(self, task: SubmitTask, step: str, since: datetime) -> Done | None:
        """The order under our external id; where Toast does not read one by that, it is looked for among those changed since then."""
        name = external_id(task.reference, task.generation)
        try:
            return _left(await self._read(name, task.location_ref))
        except NotFound:
            pass
        except Rejected:
            async for page in self._changed(task.location_ref, since):
                for order in page:
                    if order.external_id == name:
                        return _left(order)
        return None

    async def open_orders(self, location_ref: str, since: datetime) -> Sequence[PosOrder]:
        """Orders of a restaurant that changed since then."""
        found: dict[str, PosOrder] = {}
        async for page in self._changed(location_ref, since):
            for order in page:
                seen = await self._pos_order(order, location_ref)
                found[seen.pos_order_id] = seen
        return list(found.values())

    async def cancel(self, task: CancelTask, done: Mapping[str, Done]) -> Step | Cancelled | CannotCancel:
        """Void everything; Toast does that where nothing was paid but by other payment options."""
        guid, ref = order_and_place(task.pos_order_id)
        ref = task.location_ref or ref
        order = await self._read(guid, ref)
        if order.voided or "void" in done:
            return Cancelled()
        kinds = {payment.type for check in order.checks or [] for payment in check.payments or []}
        if kinds - {"OTHER"}:
            return CannotCancel(f"it was paid by {', '.join(sorted(filter(None, kinds)))}: void it at the till")
        body = {"selections": {"voidAll": True}, "payments": {"voidAll": True}}
        path = f"{ORDERS}/{quote(order.guid or guid, safe='')}/void"
        return Step("void", call("POST", path, "void_order", ref, body), Repeat.NATURAL)

    async def _read(self, name: str, ref: str) -> models.Order:
        response = await self._http.read(call("GET", f"{ORDERS}/{quote(name, safe='')}", "get_order", ref))
        answer: models.OrderAnswer = decode(response.body, models.OrderAnswer)
        if not answer.order.guid:
            raise Drifted("an order without a guid")
        return answer.order

    def _changed(self, ref: str, since: datetime) -> AsyncIterator[list[models.Order]]:
        """Pages of the orders that changed since then; the window's end stands still while they are read."""
        window = {"startDate": _stamp(since - EARLIER), "endDate": _stamp(datetime.now(UTC) + EARLIER), "pageSize": str(_PAGE)}

        async def ask(cursor: str) -> tuple[list[models.Order], str]:
            number = int(cursor or 1)
            request = call("GET", "/orders/v2/ordersBulk", "list_orders", ref, query={**window, "page": str(number)}, timeout=30.0)
            response = await self._http.read(request)
            rows: list[models.Order] = decode(response.body, list[models.Order])
            return rows, str(number + 1) if len(rows) >= _PAGE else ""

        return pages(ask)

    async def _pos_order(self, order: models.Order, ref: str, guest: str = "") -> PosOrder:
        currency = await self._restaurants.currency(ref)
        state = state_of(order, guest)
        reason = "the restaurant did not approve the order" if state is OrderState.FAILED else ""
        identifier = pos_id(order.guid or "", ref)
        version = order.modified_date or ""
        return PosOrder(identifier, reference_in(order.external_id), state, version, total_of(order, currency), reason)


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000")


def _left(order: models.Order) -> Done:
    """What later steps need, amounts as Toast writes them."""
    if not order.guid:
        raise Drifted("the answer holds no order")
    checks = order.checks or []
    amounts = {
        "total": [check.total_amount for check in checks],
        "up": [
            c.charge_amount for check in checks for c in check.applied_service_charges or [] if (c.external_id or "").endswith(ADJUSTMENT)
        ],
        "down": [discount.discount_amount for check in checks for discount in check.applied_discounts or []],
    }
    if any(amount is None for amount in amounts["total"]):
        raise Drifted("a check has no totalAmount")
    sums = {name: str(sum((each for each in found if each is not None), Decimal(0))) for name, found in amounts.items()}
    return Done(order.guid, {**sums, "state": state_of(order).value})


def _adjusted(order: Done, discount: int, currency: str) -> tuple[str, tuple[NotCarried, ...]]:
    """The adjustment in words, "" when there is none; and a discount that was more than the food."""
    up, down = (models.minor(Decimal(str(order.data.get(name) or 0)), currency) for name in ("up", "down"))
    left = Money(up - max(0, down - discount), currency)
    words = f"Channel adjustment: {left.decimal()} {currency}" if left else ""
    return words, (NotCarried("discounts", "higher than all lines together: the rest lowers the charges"),) if down < discount else ()
