"""A restaurant as Toast describes it, an order over its menu, and an HTTP seam that prices orders as told."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, TypeVar

import msgspec

from adapters.toast import PROVIDER
from adapters.toast.adapter import Toast
from adapters.toast.mapping import Draft, draft
from adapters.toast.models import Configured, General, Location, Restaurant
from adapters.toast.terms import Terms
from hub.contract import Connected, Request, Response, SubmitTask
from hub.model import Customer, Fulfilment, Line, Money, Order, Payment

T = TypeVar("T")
PLACE = "d3a1f6c2-6b0e-4f0a-9a51-3f1c5b7e2a01"
PLACED = datetime(2026, 1, 10, 18, 0, tzinfo=UTC)
REFERENCE = "ord_01jd0000000000000000000000"
DINING = tuple(
    Configured(guid=f"do-{name}" + "-curbside" * curbside, name=name, behavior=name, curbside=curbside)
    for name, curbside in (("TAKE_OUT", True), ("TAKE_OUT", False), ("DELIVERY", False), ("DINE_IN", False))
)
TERMS = Terms(
    place=Restaurant(
        guid=PLACE,
        general=General(name="Harbour", currency_code="USD"),
        location=Location(state_code="MA", phone="6175550100", phone_country_code="1"),
    ),
    dining_options=DINING,
    payment_types=(Configured(guid="pt-1", name="Uber Eats"), Configured(guid="pt-2", name="Cash outside")),
    charges=(
        Configured(guid="sc-tip", name="Tip", amount_type="OPEN", gratuity=True),
        Configured(guid="sc-taxed", name="Bag", amount_type="OPEN", taxable=True),
        Configured(guid="sc-fee", name="Delivery Fee", amount_type="OPEN", taxable=False),
    ),
    discounts=(
        Configured(guid="di-10", name="Ten", type="PERCENT"),
        Configured(guid="di-open", name="Promo", type="OPEN_FIXED", active=True, selection_type="CHECK"),
    ),
)


def usd(amount: int) -> Money:
    """Cents."""
    return Money(amount, "USD")


def sold(*lines: Line, **more: Any) -> Order:
    """One salad for 10.00 unless told otherwise."""
    given: dict[str, Any] = {
        "platform": "ubereats",
        "platform_order_id": "p-1",
        "store_ref": "s-1",
        "currency": "USD",
        "lines": lines or (Line("salad", "Salad", 1, usd(1000), usd(1000)),),
        "total": usd(1000),
        "placed_at": PLACED,
        "fulfilment": Fulfilment("delivery_by_platform", ready_at=PLACED + timedelta(minutes=23)),
        "display_id": "B2AB1",
        "customer": Customer("Jane Doe", "+1 617-555-0199"),
        "payments": (Payment("prepaid", usd(1000)),),
    }
    return Order(**{**given, **more})


def task(order: Order, **more: Any) -> SubmitTask:
    """An order of mapped things: salads, and options of group g."""
    products = {"salad": "mg:i-salad", "oat": "g:i-oat", "ice": "n:i-ice"}
    return SubmitTask(REFERENCE, order, PLACE, products, **more)


def drafted(order: Order, terms: Terms = TERMS, **more: Any) -> Draft:
    """The draft of an order that can be sent."""
    made = draft(task(order, **more), terms, PLACED)
    assert isinstance(made, Draft), made
    return made


class Priced:
    """Toast's arithmetic for `gross` cents of food: charges, then the discount, then tax, each rounded half up."""

    def __init__(self, gross: int, rate: str = "0.08875") -> None:
        self.gross, self.rate = gross, Decimal(rate)
        self.asked = 0

    def shown(self, body: Any, **more: Any) -> Any:
        """The order with its sums, as JSON."""
        self.asked += 1
        (check,) = body["checks"]
        fees = sum(Decimal(str(each["chargeAmount"])) for each in check.get("appliedServiceCharges", []))
        off = min(sum(Decimal(str(each["discountAmount"])) for each in check.get("appliedDiscounts", [])), Decimal(self.gross) / 100)
        net = Decimal(self.gross) / 100 - off
        tax = Decimal(0) if check.get("taxExempt") else (net * self.rate).quantize(Decimal("0.01"), ROUND_HALF_UP)
        line = {"preDiscountPrice": float(Decimal(self.gross) / 100), "price": float(net), "tax": float(tax)}
        priced = {**check, "selections": [line], "totalAmount": float(net + tax + fees)}
        return {**body, **more, "checks": [priced]}


class FakeHttp:
    """Answers by operation: a body, a Response, an exception, or a function of the request. It remembers nothing."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.requests: list[Request] = []

    async def read(self, request: Request) -> Response:
        """The operation's answer; what is not named is not found."""
        self.requests.append(request)
        answer = self.answers[request.operation]
        answer = answer(request) if callable(answer) else answer
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Response) else Response(200, {}, msgspec.json.encode(answer))

    async def remember(self, key: str, seconds: float, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask anew."""
        return await ask()


def toast(**answers: Any) -> tuple[Toast, FakeHttp]:
    """An adapter of the restaurant, and what it reads."""
    config = {"diningOptions": TERMS.dining_options, "alternatePaymentTypes": TERMS.payment_types}
    config |= {"serviceCharges": TERMS.charges, "discounts": TERMS.discounts, "taxRates": ()}
    known = {
        "get_restaurant": TERMS.place,
        "list_config": lambda request: config[request.path.rpartition("/")[2]],
        "get_availability": {"status": "ONLINE"},
    }
    http = FakeHttp(**{**known, **answers})
    return Toast(PROVIDER.facts, Connected("con_x", "simulator"), http), http
