"""A small K-Series menu, an order over it, and an HTTP seam that answers by operation and remembers nothing."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from adapters.lightspeed import PROVIDER, models
from adapters.lightspeed.adapter import Lightspeed
from adapters.lightspeed.mapping import Draft, Terms, draft
from adapters.lightspeed.menu import FREE_PRICE, LOWERING, Shelf
from hub.contract import Connected, Request, Response, SubmitTask
from hub.model import Customer, Fulfilment, Line, Modifier, Money, Order

T = TypeVar("T")
LOCATION = "45454565682155"
NOW = datetime(2026, 4, 4, 9, 0, tzinfo=UTC)
BUSINESSES = {
    "_embedded": {
        "businessList": [
            {
                "businessName": "B",
                "businessId": 1,
                "currencyCode": "CAD",
                "businessLocations": [{"blName": "Old Port", "blID": int(LOCATION), "country": "CA", "timezone": "America/Montreal"}],
            }
        ]
    }
}
READY = {"status": "READY"}
TERMS = Terms(endpoint="HUB", delivery_profile="DELIVERY", takeaway_profile="TAKEAWAY", open_item="FEE", discount_item="OFF")


class ByOperation:
    """Answers by operation; keeps the requests."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.requests: list[Request] = []

    async def read(self, request: Request) -> Response:
        """The operation's answer; a list of bodies is given in turn, an exception is raised."""
        self.requests.append(request)
        answer = self.answers[request.operation]
        if isinstance(answer, tuple):
            answer, self.answers[request.operation] = answer[0], answer[1:]
        if isinstance(answer, Exception):
            raise answer
        return Response(200, {}, msgspec.json.encode(answer))

    async def remember(self, key: str, seconds: float, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask anew."""
        return await ask()


def entry(sku: str, price: Any, *, included: bool = True, tax: int = 15, strategy: str = "PRICE_CANNOT_BE_CUSTOMIZED", **more: Any) -> Any:
    """An item as the menu has it."""
    about = {"productName": sku.title(), "taxIncludedInPrice": included, "defaultTaxPercentage": tax, "pricingStrategy": strategy}
    return {"@type": "menuItem", "sku": sku, "productPrice": price, "customItemNameEnabled": strategy != "x", **about, **more}


def menu(*, included: bool = True, unit: str = "1") -> dict[str, Any]:
    """A burger with milk options and cooking instructions, a combo, a free-priced fee and a lowering discount."""

    def price(amount: str) -> float:
        return float(Decimal(amount) * Decimal(unit))

    milk = {"description": "Milk", "sku": "30", "minimumSelection": 0, "maximumSelection": 2, "multiSelectionPermitted": True}
    oat = entry("OAT", price("0.50"), included=included)
    cooking = {
        "multiSelectionPermitted": False,
        "productionInstructionGroupName": "Cooking",
        "productionIntructionGroupId": 487,
        "productionInstructionList": [{"instruction": "Rare", "ikentooModifierId": 490}],
    }
    burger = entry("BURGER", price("10.00"), included=included, productionInstructionList=[cooking])
    deal = entry("DEAL", price("14.00"), included=included)
    choices = {"description": "Drink", "sku": "C1", "mustSelectAnItem": True, "items": [{**oat, "extraPrice": price("1.00")}]}
    rows = [
        {**burger, "menuModifierGroups": [{**milk, "productModifiers": [oat]}]},
        {**deal, "@type": "menuDeal", "menuDealGroups": [choices]},
        {"@type": "group", "id": "g2", "name": "Fees", "menuEntry": [
            entry("FEE", 0, included=included, strategy=FREE_PRICE),
            entry("OFF", 0, included=included, strategy=LOWERING),
        ]},
    ]  # fmt: skip
    return {"menuName": "Main", "ikentooMenuId": 1, "menuEntryGroups": [{"@type": "group", "id": 1, "name": "Mains", "menuEntry": rows}]}


def shelf(currency: str = "CAD", **how: Any) -> Shelf:
    """The menu as a shelf."""
    return Shelf(msgspec.convert(msgspec.json.decode(msgspec.json.encode(menu(**how))), models.MenuDocument, strict=False), currency)


def cad(amount: int) -> Money:
    """Cents."""
    return Money(amount, "CAD")


def sold(*lines: Line, **more: Any) -> Order:
    """Two burgers with oat milk, done rare, for 21.00; or these lines."""
    currency = more.get("currency", "CAD")
    options = (Modifier("oat", "Oat", 1, Money(50, currency)), Modifier("rare", "Rare", 1, Money(0, currency)))
    burger = Line("burger", "Burger", 2, Money(1000, currency), Money(2100, currency), modifiers=options)
    given: dict[str, Any] = {
        "platform": "ubereats",
        "platform_order_id": "p1",
        "store_ref": "s1",
        "currency": currency,
        "lines": lines or (burger,),
        "total": Money(2100, currency),
        "placed_at": NOW,
        "fulfilment": Fulfilment("delivery_by_platform", ready_at=NOW + timedelta(minutes=20)),
        "display_id": "B2AB1",
        "customer": Customer("Jane Doe", "+1 415-555-2671"),
    }
    return Order(**{**given, **more})


PRODUCTS = {"burger": "BURGER", "oat": "OAT", "rare": "instruction:490", "deal": "DEAL"}


def task(order: Order | None = None, **more: Any) -> SubmitTask:
    """An order for the location."""
    return SubmitTask("ord_01jd0000000000000000000000", order or sold(), LOCATION, PRODUCTS, **more)


def drafted(order: Order | None = None, terms: Terms = TERMS, **how: Any) -> tuple[Draft, dict[str, Any]]:
    """The draft and its body as it is sent, amounts as decimals."""
    made = draft(task(order), shelf(**how), terms, NOW)
    assert isinstance(made, Draft), made
    return made, msgspec.json.Decoder(float_hook=Decimal).decode(models.ENCODER.encode(made.body))


def lightspeed(answers: dict[str, Any] | None = None, **settings: Any) -> tuple[Lightspeed, ByOperation]:
    """An adapter and its HTTP."""
    told = {
        "list_businesses": BUSINESSES,
        "list_menus": [{"menuName": "Main", "ikentooMenuId": 1}],
        "load_menu": menu(),
        "readiness": READY,
    }
    http = ByOperation(told | (answers or {}))
    details = {"endpoint_id": "HUB"}
    given = {"open_item": "FEE", "discount_item": "OFF"} | settings
    connected = Connected("con_x", "simulator", given, "https://hub.example/webhooks/lightspeed/con_x", details)
    return Lightspeed(PROVIDER.facts, connected, http), http
