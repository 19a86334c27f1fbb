"""A small Foodics business, an order for it, and an HTTP seam that answers by operation and remembers nothing."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from adapters.foodics import PROVIDER, models
from adapters.foodics.adapter import Foodics
from adapters.foodics.bill import Terms
from hub.contract import Connected, Request, Response, SubmitTask
from hub.model import Fulfilment, Line, Modifier, Money, Order

T = TypeVar("T")
PLACED = datetime(2026, 1, 10, 18, 0, tzinfo=UTC)
VAT = models.Tax(id="vat", name="VAT", rate=Decimal(15))
PRODUCTS = {"burger": "P-1", "cheese": "O-1", "bacon": "O-2"}
TERMS = Terms(
    currency="SAR",
    timezone="Asia/Riyadh",
    rates={"P-1": (VAT,)},
    open_item="P-OPEN",
    delivery_charge="C-D",
    charge="C-X",
    discount="D-1",
    payment_method="M-8",
)
BRANCH = {
    "id": "B-1",
    "name": "One",
    "latitude": "24",
    "longitude": "46",
    "opening_from": "08:00",
    "opening_to": "02:00",
    "inventory_end_of_day_time": "05:00",
    "receives_online_orders": True,
}
SETTINGS = {"business_currency": "SAR", "business_timezone": "Asia/Riyadh", "tax_inclusive_pricing": True}
METHODS = [{"id": "M-1", "name": "Cash", "type": 1}, {"id": "M-7", "name": "Other", "type": 7}, {"id": "M-8", "name": "App", "type": 8}]


class ByOperation:
    """Answers by operation, each in Foodics' envelope; keeps the requests."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {
            "get_settings": SETTINGS,
            "list_branches": [BRANCH],
            "list_products": [{"id": "P-1", "name": "Burger", "tax_group": {"taxes": [{"id": "vat", "rate": 15}]}}],
            "list_payment_methods": METHODS,
            **answers,
        }
        self.requests: list[Request] = []

    async def read(self, request: Request) -> Response:
        """The operation's answer; an exception is raised."""
        self.requests.append(request)
        answer = self.answers[request.operation]
        if isinstance(answer, Exception):
            raise answer
        return Response(200, {}, msgspec.json.encode({"data": answer}))

    async def remember(self, key: str, seconds: float, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask anew."""
        return await ask()


def foodics(http: ByOperation, **settings: Any) -> Foodics:
    """An adapter with the settings' defaults and these."""
    defaults = {name: each.default for name, each in PROVIDER.facts.settings.items()}
    details = {"business_reference": "690517"}
    return Foodics(PROVIDER.facts, Connected("con_x", "simulator", {**defaults, **settings}, "https://hub", details), http)


def sar(amount: int) -> Money:
    """Halalas."""
    return Money(amount, "SAR")


def sold(**more: Any) -> Order:
    """Two burgers with cheese twice, for 56.00."""
    cheese = Modifier("cheese", "جبنة", 2, sar(150))
    given: dict[str, Any] = {
        "platform": "talabat",
        "platform_order_id": "987",
        "store_ref": "s-1",
        "currency": "SAR",
        "lines": (Line("burger", "Burger", 2, sar(2500), sar(5600), modifiers=(cheese,), note="بدون بصل"),),
        "total": sar(5600),
        "placed_at": PLACED,
        "fulfilment": Fulfilment("delivery_by_platform"),
        "display_id": "T-42",
    }
    return Order(**{**given, **more})


def task(order: Order | None = None, **more: Any) -> SubmitTask:
    """An order for branch B-1."""
    return SubmitTask(**{"reference": "ord_1", "order": order or sold(), "location_ref": "B-1", "products": PRODUCTS, **more})
