"""Foodics: an order waits at the cashier until somebody accepts it; nothing is idempotent, so a lost answer is looked up."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec

from adapters.foodics import models
from adapters.foodics.bill import Terms, minor_units
from adapters.foodics.extras import FoodicsExtras
from adapters.foodics.mapping import (
    ACTIVE,
    CLOSED,
    DECLINED,
    JOINED,
    VOID,
    WAITING,
    dialled,
    draft,
    is_of,
    place_of,
    reference_of,
    state_of,
    version_of,
)
from adapters.foodics.menu import Wanted, menu_from, sold_out
from adapters.foodics.stores import Books, path_of, write
from hub.contract import (
    AlreadyDone,
    AuthRevoked,
    Cancelled,
    CancelTask,
    CannotCancel,
    Connected,
    Done,
    Extra,
    Facts,
    Http,
    Misconfigured,
    Offline,
    PosOrder,
    PosRejected,
    Queued,
    RateLimited,
    Rejected,
    Repeat,
    Response,
    Step,
    SubmitTask,
    Submitted,
    decode,
)
from hub.model import Menu, Money, StockLevel, Store

EARLIER = timedelta(minutes=5)
"""Clocks differ: a search begins this much before the first send."""
PAUSE = 30.0
"""Seconds of rest after a 429 that names none: ten more of them block the address for a minute."""
_EXTERNAL, _OTHER = 8, 7
_GONE = frozenset({DECLINED, VOID})


class Foodics:
    """One business's connection."""

    def __init__(self, facts: Facts, connection: Connected, http: Http) -> None:
        self._facts, self._connection, self._http = facts, connection, http
        self._books = Books(http)
        self._extras = FoodicsExtras(self._books)

    def failure(self, operation: str, response: Response) -> Exception | None:
        """Name refusals by field; the rest is the shared table's."""
        status = response.status
        if status < 400:
            return None
        words = _problem(response).words()[:300]
        message = f"{operation}: {words or status}"
        if operation == "token" and status in (400, 401, 403, 422):
            return AuthRevoked(message, detail=words, status=status)
        if status == 403:
            return Misconfigured(f"{message}: ask Foodics for the scope", detail=words, status=status)
        if status == 429 and "retry-after" not in response.headers:
            return RateLimited(message, after=PAUSE, detail=words)
        if status == 422 and operation == "decline_order":
            # It was decided meanwhile, either way: the plan reads how.
            return AlreadyDone(message, detail=words, status=status)
        if status == 422 and operation == "create_customer" and "phone" in (_problem(response).errors or {}):
            return AlreadyDone(message, detail=words, status=status)
        if status in (400, 409, 422):
            return Rejected(message, detail=words, status=status)
        return None

    def read_step(self, step: str, response: Response) -> Done:
        """An order leaves its id, status and total; people leave their ids, which are no orders' ids."""
        if step in ("order", "cancel"):
            made: models.One[models.Order] = decode(response.body, models.One[models.Order])
            return _order_done(made.data)
        row: models.One[models.Named] = decode(response.body, models.One[models.Named])
        return Done(row.data.id) if step.partition("/")[0] == "stock" else Done(data={"id": row.data.id})

    async def test(self) -> str:
        """Ask whose token it is; raises Misconfigured where that is another business than the connection's."""
        business = await self._books.who()
        wanted, found = self._connection.details.get("business_reference", ""), str(business.reference or "")
        if wanted and found and wanted != found:
            raise Misconfigured(f"the token is for the business {found}, the connection names {wanted}")
        return f"{business.name or 'business'} ({found})"

    async def list_stores(self) -> Sequence[Store]:
        """The business's branches."""
        settings = await self._books.settings()
        zone = settings.business_timezone or ""
        rows = await self._books.branches()
        return [Store(each.id, each.label(), settings.business_currency, zone, open=each.receives_online_orders) for each in rows]

    async def read_menu(self, location_ref: str) -> Menu:
        """What a branch sells, at its prices."""
        settings = await self._books.settings()
        wanted = Wanted(
            location_ref,
            settings.business_currency,
            settings.tax_inclusive_pricing is not False,
            self._setting("menu_group"),
            self._setting("price_tag"),
        )
        return menu_from(await self._books.products(), await self._books.display(), wanted)

    async def read_stock(self, location_ref: str) -> Sequence[StockLevel]:
        """What is sold out at a branch."""
        return sold_out(await self._books.products(stock_only=True), location_ref)

    async def stock_step(self, location_ref: str, levels: Sequence[StockLevel]) -> Step:
        """Set one product or option in or out of stock at a branch; raises Rejected for more than one."""
        if len(levels) != 1:
            raise Rejected("Foodics changes one product a call")
        level = levels[0]
        collection = "products" if level.kind == "item" else "modifier_options"
        body = {"branches": [{"id": location_ref, "is_in_stock": level.available}]}
        return Step("stock", write("PUT", path_of(collection, level.id), f"update_{collection}", body, level.id), Repeat.NATURAL)

    def extras(self) -> Mapping[str, Extra]:
        """The inventory, and the ids that settings ask for."""
        return self._extras.all()

    def _setting(self, name: str) -> str:
        return str(self._connection.settings.get(name, "")).strip()

    async def submit(self, task: SubmitTask, done: Mapping[str, Done]) -> Step | Submitted | Queued | Offline | PosRejected:
        """The guest's records first where the tenant wants them, then the order, which waits for the cashier."""
        settings = await self._books.settings()
        if settings.business_currency != task.order.currency:
            return PosRejected(f"the business sells in {settings.business_currency}, the order is in {task.order.currency}")
        if "order" in done:
            return await self._taken(task, done)
        branch = await self._books.branch(task.location_ref)
        hidden = [name for name in ("latitude", "longitude", "opening_from", "opening_to") if getattr(branch, name) is None]
        if hidden:
            return PosRejected(f"orders of {branch.label()} never reach the cashier: set its {', '.join(hidden)} in Foodics")
        if branch.receives_online_orders is False:
            return Offline(f"{branch.label()} takes no online orders")
        people = await self._people(task, done)
        if isinstance(people, Step):
            return people
        made = draft(task, await self._terms(task, *people))
        if isinstance(made, PosRejected):
            return made
        return Step("order", write("POST", "/orders", "create_order", made.body, task.location_ref), Repeat.LOOKUP)

    async def _taken(self, task: SubmitTask, done: Mapping[str, Done]) -> Submitted | Queued | PosRejected:
        order = done["order"]
        status = order.data.get("status")
        if status in _GONE:
            return PosRejected("the cashier declined it", "declined")
        made = draft(task, await self._terms(task, *_known(done)))
        if isinstance(made, PosRejected):
            return made
        if status not in (ACTIVE, CLOSED, JOINED):
            minutes = int(self._connection.settings.get("cashier_minutes", 10))
            return Queued(order.vendor_ref, datetime.now(UTC) + timedelta(minutes=minutes), made.not_carried, made.adjustment)
        shown = minor_units(Decimal(str(order.data["total"])), task.order.currency) + made.charges
        return Submitted(order.vendor_ref, Money(shown, task.order.currency), made.not_carried, made.adjustment)

    async def _terms(self, task: SubmitTask, customer: str, address: str) -> Terms:
        settings, branch = await self._books.settings(), await self._books.branch(task.location_ref)
        return Terms(
            currency=settings.business_currency,
            timezone=settings.business_timezone or "UTC",
            end_of_day=branch.inventory_end_of_day_time or "",
            tax_inclusive=settings.tax_inclusive_pricing is not False,
            rates=dict(await self._books.rates()),
            open_item=self._setting("open_item"),
            delivery_charge=self._setting("delivery_charge"),
            charge=self._setting("charge"),
            discount=self._setting("discount"),
            payment_method=await self._payment_method(),
            customer=customer,
            address=address,
        )

    async def _payment_method(self) -> str:
        named = self._setting("payment_method")
        if named:
            return "" if named == "none" else named
        methods = await self._books.methods()
        return next((each.id for kind in (_EXTERNAL, _OTHER) for each in methods if each.type == kind), "")

    async def _people(self, task: SubmitTask, done: Mapping[str, Done]) -> Step | tuple[str, str]:
        """The ids of the guest and of where the order goes, "" where they are told in the notes alone."""
        guest = task.order.customer
        phone = dialled(guest.phone)
        if self._setting("guests") != "records" or phone is None or not guest.name:
            return "", ""
        customer, address = _known(done)
        customer = customer or await self._books.customer(*phone)
        if not customer:
            if "customer" in done:
                return "", ""
            body = models.NewCustomer(name=guest.name[:255], dial_code=phone[0], phone=phone[1], email=guest.email)
            return Step("customer", write("POST", "/customers", "create_customer", body), Repeat.LOOKUP)
        where = place_of(guest.address) if guest.address is not None else ""
        if not where or not task.order.fulfilment.kind.startswith("delivery"):
            return customer, ""
        address = address or await self._books.address(customer, where)
        if address or "address" in done or guest.address is None:
            return customer, address
        place = models.NewAddress(
            customer_id=customer,
            name=task.order.platform,
            description=where,
            latitude=guest.address.latitude,
            longitude=guest.address.longitude,
        )
        return Step("address", write("POST", "/addresses", "create_address", place), Repeat.LOOKUP)

    async def find(self, task: SubmitTask, step: str, since: datetime) -> Done | None:
        """Look for our reference among the branch's recent orders, one that stands before one that was declined; people by number."""
        if step in ("customer", "address"):
            phone, guest = dialled(task.order.customer.phone), task.order.customer
            found = await self._books.customer(*phone) if phone else ""
            if found and step == "address":
                found = await self._books.address(found, place_of(guest.address)) if guest.address else ""
            return Done(data={"id": found}) if found else None
        mine = [each for each in await self._books.orders(task.location_ref, since - EARLIER) if is_of(each, task)]
        stands = next((each for each in mine if each.status not in _GONE), mine[-1] if mine else None)
        return _order_done(stands) if stands is not None else None

    async def order(self, pos_order_id: str, notice: bytes = b"") -> PosOrder:
        """One order, always read anew: a notice is unsigned. Raises NotFound for one that vanished."""
        settings = await self._books.settings()
        return _pos_order(await self._books.one("orders", pos_order_id, models.Order, "charges"), settings.business_currency)

    async def open_orders(self, location_ref: str, since: datetime) -> Sequence[PosOrder]:
        """The branch's orders that changed since then."""
        settings = await self._books.settings()
        return [_pos_order(each, settings.business_currency) for each in await self._books.orders(location_ref, since)]

    async def cancel(self, task: CancelTask, done: Mapping[str, Done]) -> Step | Cancelled | CannotCancel:
        """Decline it while it waits; afterwards only the cashier can void it."""
        order = await self._books.one("orders", task.pos_order_id, models.Order)
        if order.status in _GONE:
            return Cancelled()
        if order.status in WAITING and "cancel" not in done:
            body = {"status": DECLINED}
            return Step("cancel", write("PUT", path_of("orders", order.id), "decline_order", body, order.id), Repeat.NATURAL)
        if order.status in WAITING:
            return CannotCancel("Foodics took the cancellation and the order still waits: decline it at the cashier")
        return CannotCancel("the cashier accepted it: void it there")


def _known(done: Mapping[str, Done]) -> tuple[str, str]:
    """The ids of the people that earlier steps made."""
    ids = [str(done[step].data.get("id") or "") if step in done else "" for step in ("customer", "address")]
    return ids[0], ids[1]


def _order_done(order: models.Order) -> Done:
    return Done(order.id, {"status": order.status, "total": str(order.total_price or 0)})


def _pos_order(order: models.Order, currency: str) -> PosOrder:
    state, reason = state_of(order)
    total = None
    if order.total_price is not None:
        charges = sum((each.amount or Decimal(0) for each in order.charges or []), Decimal(0))
        total = Money(minor_units(order.total_price + charges, currency), currency)
    version = version_of(order.updated_at, order.status, order.delivery_status)
    return PosOrder(order.id, reference_of(order.meta), state, version, total, reason)


def _problem(response: Response) -> models.Problem:
    try:
        return msgspec.json.decode(response.body, type=models.Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return models.Problem()
