"""Talabat's orders for tests, changed in places, and an HTTP seam that answers by operation."""

import copy
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from adapters.talabat import PROVIDER, models
from adapters.talabat.adapter import Talabat
from adapters.talabat.mapping import order_from
from hub.contract import Connected, Request, Response
from hub.model import Order

TOKEN = "6a1c0000-0000-4000-8000-00000000aa01"
API = "https://integration-middleware.stg.restaurant-partners.com/v2"
DISPATCH: dict[str, Any] = {
    "token": TOKEN,
    "code": "tb-6a1c",
    "shortCode": "57",
    "comments": {"customerComment": "رن الجرس", "vendorComment": ""},
    "createdAt": "2026-10-02T11:55:00.000Z",
    "expiryDate": "2026-10-02T12:05:00.000Z",
    "customer": {"id": "c-1", "firstName": "Test", "lastName": "Customer", "mobilePhone": "+971500000000"},
    "delivery": {"address": None, "expectedDeliveryTime": "2026-10-02T12:40:00.000Z", "riderPickupTime": "2026-10-02T12:15:00.000Z"},
    "discounts": [
        {
            "name": "20% off",
            "amount": "8.00",
            "sponsorships": [{"sponsor": "PLATFORM", "amount": "4.00"}, {"sponsor": "Vendor", "amount": "4.00"}],
        }
    ],
    "expeditionType": "delivery",
    "localInfo": {"countryCode": "AE", "currencySymbol": "AED", "platform": "Talabat", "platformKey": "TB_AE"},
    "payment": {"status": "paid", "type": "online"},
    "test": False,
    "preOrder": False,
    "platformRestaurant": {"id": "600123"},
    "price": {
        "deliveryFees": [{"name": "DeliveryFee", "value": 7}],
        "deliveryFee": "7.00",
        "grandTotal": "44.00",
        "vatTotal": "2.10",
        "payRestaurant": "0",
        "collectFromCustomer": "0",
        "riderTip": "1.20",
        "discountAmountTotal": "8.00",
    },
    "products": [
        {
            "id": "plat-1",
            "remoteCode": "P-BURGER",
            "name": "Cheeseburger",
            "quantity": "2",
            "unitPrice": "15.00",
            "paidPrice": "45.00",
            "comment": "No onions",
            "variation": {"name": "Cheeseburger"},
            "discounts": [],
            "selectedToppings": [
                {
                    "id": "plat-L",
                    "remoteCode": "OPT-LARGE",
                    "name": "Large",
                    "price": "5.00",
                    "quantity": 1,
                    "type": "VARIANT",
                    "children": [{"id": "plat-X", "remoteCode": "OPT-X", "name": "Cheese", "price": "2.50", "quantity": "1"}],
                }
            ],
        }
    ],
    "corporateTaxId": "",
    "preparationTimeAdjustments": {"minPickupTimestamp": "2026-10-02T12:05:00.000Z", "maxPickUpTimestamp": "2026-10-02T12:45:00.000Z"},
    "callbackUrls": {
        "orderAcceptedUrl": f"{API}/order/status/{TOKEN}",
        "orderRejectedUrl": f"{API}/order/status/{TOKEN}",
        "orderPickedUpUrl": None,
        "orderPreparedUrl": f"{API}/orders/{TOKEN}/preparation-completed",
        "orderProductModificationUrl": f"{API}/order/{TOKEN}/modifications/product",
        "orderPreparationTimeAdjustmentUrl": f"{API}/orders/{TOKEN}/adjust-preparation-time",
    },
}
"""As documented: a rider of Talabat's, half of the discount the restaurant's."""


def dispatch(*, price: dict[str, Any] | None = None, product: dict[str, Any] | None = None, **order: Any) -> dict[str, Any]:
    """The dispatch with these fields of the order, its price and its product."""
    made = copy.deepcopy(DISPATCH)
    made["price"].update(price or {})
    made["products"][0].update(product or {})
    made.update(order)
    return made


def raw(body: Any) -> bytes:
    """JSON."""
    return msgspec.json.encode(body)


def mapped(body: dict[str, Any], currency: str = "AED") -> Order:
    """Through the wire format into the hub's order."""
    order = models.order_in(raw(body))
    assert order is not None
    return order_from(order, "store-1", currency)


class Seam:
    """Answers each read by its operation or its path: a body, a response, or an exception; keeps the requests."""

    def __init__(self, **answers: Any) -> None:
        self.answers, self.requests = answers, list[Request]()

    async def read(self, request: Request) -> Response:
        """The answer."""
        self.requests.append(request)
        answer = self.answers[request.operation]
        answer = answer(request) if callable(answer) else answer
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Response) else Response(200, {}, raw(answer))

    async def remember(self, key: str, seconds: float, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Nothing is remembered."""
        return await ask()


def talabat(settings: dict[str, str] | None = None, **answers: Any) -> tuple[Talabat, Seam]:
    """An adapter of the chain `chain/1` and its HTTP."""
    seam = Seam(**answers)
    connected = Connected("con_1", "simulator", settings or {}, "https://hub.example.com/webhooks/talabat", {"chain_code": "chain/1"})
    return Talabat(PROVIDER.facts, connected, seam), seam
