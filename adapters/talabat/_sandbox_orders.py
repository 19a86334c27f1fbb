"""A consumer's order on Talabat: what it costs, the JSON a plugin is sent, and the states it goes through.

Prices contain VAT. `grandTotal` is lines plus fees less discounts; a tip is the platform rider's own and in no total. Discounts
of one line are part of the order's discount of the same name. No document shows how the parts add up: this is how they do here.
"""

import random
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from adapters._sandbox.baskets import CUSTOMERS, Line
from adapters._sandbox.calls import Json, timestamp

from ._sandbox_catalog import places, written

OWN, VENDOR, PICKUP = "own_delivery", "vendor_delivery", "pickup"
WAITING, TRANSPORT, RECEIVED = "WAITING_FOR_ACKNOWLEDGEMENT", "ASSIGNED_TO_TRANSPORT", "RECEIVED"
ACCEPTED, PICKED_UP, CANCELLED = "ACCEPTED", "PICKED_UP", "CANCELLED"
UNACKNOWLEDGED = frozenset({WAITING, TRANSPORT})
_SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£"}
_VAT = {"AED": 5, "OMR": 5, "BHD": 10, "SAR": 15, "EGP": 14, "JOD": 16, "KWD": 0, "QAR": 0, "IQD": 0}


def vat_of(currency: str) -> Decimal:
    """The VAT inside prices, in percent, of the country whose currency it is; 5 where it is not known."""
    return Decimal(_VAT.get(currency, 5))


@dataclass
class Bill:
    """What an order costs, in the smallest unit: `shares` are who funds the discount, `line_shares` the part on one line."""

    lines: int
    currency: str
    fees: dict[str, int] = field(default_factory=dict)
    shares: dict[str, int] = field(default_factory=dict)
    line_shares: dict[str, int] = field(default_factory=dict)
    discounted: str = ""
    tip: int = 0
    cash: bool = False

    @property
    def off(self) -> int:
        """All that is taken off."""
        return sum(self.shares.values())

    @property
    def total(self) -> int:
        """What the consumer pays, a tip aside."""
        return self.lines + sum(self.fees.values()) - self.off

    @property
    def tax(self) -> int:
        """VAT inside the total."""
        rate = vat_of(self.currency)
        return int((self.total * rate / (100 + rate)).quantize(Decimal(1), ROUND_HALF_UP))

    def change_lines(self, lines: int) -> None:
        """Lines of another price; the discount stays, but for what is more than them."""
        self.lines = lines
        self.line_shares = {}
        for sponsor, share in self.shares.items():
            self.shares[sponsor] = min(share, lines // len(self.shares))


def charge(lines: list[Line], currency: str, kind: str, dice: random.Random, *, plain: bool) -> Bill:
    """Add up an order; unless `plain`, some get a discount, fees, or a tip for the platform's rider, and some pay in cash."""
    bill = Bill(sum(line.total() for line in lines), currency)
    if plain:
        return bill
    off = min(int(bill.lines * Decimal(dice.choice(("0.1", "0.2", "0.333")))) + dice.choice((0, 1, 7)), bill.lines // 2)
    sponsors = dice.choices(
        ((), ("PLATFORM",), ("VENDOR",), ("PLATFORM", "VENDOR"), ("PLATFORM", "VENDOR", "THIRD_PARTY")), (55, 15, 12, 12, 6)
    )[0]
    for place, sponsor in enumerate(sponsors):
        bill.shares[sponsor] = off // len(sponsors) + (off % len(sponsors) if place == 0 else 0)
    if sponsors and dice.random() < 0.4:
        bill.discounted = lines[0].plu
        bill.line_shares = {sponsor: min(share, lines[0].total() // len(sponsors)) // 2 for sponsor, share in bill.shares.items()}
    if kind != PICKUP:
        bill.fees["DeliveryFee"] = dice.choice((0, 500, 700, 1050))
        bill.cash = dice.random() < 0.3
    if dice.random() < 0.2:
        bill.fees["packaging fee"] = 50
    if kind == OWN and dice.random() < 0.3:
        bill.tip = dice.choice((100, 237, 500))
    return bill


@dataclass
class Placed:
    """An order, as the middleware holds it; times are seconds since 1970."""

    token: str
    number: int
    store: Json
    kind: str
    lines: list[Line]
    bill: Bill
    created: float
    deadline: float
    ready: float
    root: str
    categories: dict[str, str]
    dice: InitVar[random.Random]
    note: str = ""
    scheduled: bool = False
    test: bool = False
    direct: bool = True
    state: str = WAITING
    reason: str = ""
    remote_id: str = ""
    acknowledged: bool = False
    accepted: bool = False
    prepared: bool = False
    rider: str = ""
    changing: bool = False
    history: list[Json] = field(default_factory=list)
    call_off: Callable[[], None] = lambda: None

    def __post_init__(self, dice: random.Random) -> None:
        self.window = (max(self.created, self.ready - 600), self.ready + 1800)
        self.customer = dice.choice(CUSTOMERS)
        self.handling = dice.choice(("REMOVE", "REDUCE_QUANTITY", "CALL_CUSTOMER_AND_REPLACE", "CANCEL_ORDER"))
        self.postcode = dice.choice((12345, "12345", ""))

    @property
    def alias(self) -> str:
        """What the fault switches call this order: the same in every run."""
        return f"{self.store['ref']}#{self.number}"

    def log(self, state: str, at: float) -> None:
        """Note a state."""
        self.history.append({"state": state, "at": timestamp(at)})

    def move(self, state: str, at: float) -> None:
        """Go to a state; once it is settled the deadline no longer counts."""
        self.state = state
        self.log(state, at)
        if state in {ACCEPTED, PICKED_UP, CANCELLED}:
            self.call_off()

    def money(self, amount: int) -> str:
        """An amount as decimal text."""
        return written(amount, self.bill.currency)

    def _discount(self, shares: dict[str, int]) -> list[Json]:
        if not sum(shares.values()):
            return []
        sponsorships = [{"sponsor": sponsor, "amount": self.money(share)} for sponsor, share in shares.items()]
        return [{"name": "Weekday offer", "amount": self.money(sum(shares.values())), "type": "PERCENTAGE", "sponsorships": sponsorships}]

    def _topping(self, line: Line) -> Json:
        single = line.group is not None and (line.group.least, line.group.most) == (1, 1)
        return {
            "id": line.plu,
            "remoteCode": line.id,
            "name": line.name,
            "price": self.money(line.price),
            "quantity": line.quantity,
            "type": "VARIANT" if single else "PRODUCT",
            "itemUnavailabilityHandling": "REMOVE",
            "discounts": [],
            "children": [self._topping(each) for each in line.options],
        }

    def _product(self, line: Line) -> Json:
        return {
            "id": line.plu,
            "remoteCode": line.id,
            "sku": line.id,
            "name": line.name,
            "categoryName": self.categories.get(line.id, ""),
            "quantity": str(line.quantity),
            "unitPrice": self.money(line.price),
            "paidPrice": self.money(line.total()),
            "comment": line.note,
            "variation": {"name": line.name},
            "itemUnavailabilityHandling": self.handling,
            "discounts": self._discount(self.bill.line_shares) if line.plu == self.bill.discounted else [],
            "selectedToppings": [self._topping(each) for each in line.options],
        }

    def _price(self) -> Json:
        bill, digits = self.bill, places(self.bill.currency)
        return {
            "grandTotal": self.money(bill.total),
            "totalNet": self.money(bill.total - bill.tax),
            "subTotal": self.money(bill.lines),
            "vatTotal": self.money(bill.tax),
            "deliveryFee": self.money(bill.fees.get("DeliveryFee", 0)),
            "deliveryFees": [{"name": name, "value": float(Decimal(fee).scaleb(-digits))} for name, fee in bill.fees.items()],
            "payRestaurant": self.money(bill.total if bill.cash and self.kind == OWN else 0),
            "collectFromCustomer": self.money(bill.total + bill.tip if bill.cash else 0),
            "riderTip": self.money(bill.tip),
            "discountAmountTotal": self.money(bill.off),
            "minimumDeliveryValue": "",
        }

    def _where(self) -> tuple[Json | None, Json | None]:
        """The delivery and the pickup part."""
        if self.kind == PICKUP:
            return None, {"pickupTime": timestamp(self.ready), "pickupCode": f"{self.number % 10_000:04d}"}
        address = {
            "street": "Harbour Street",
            "number": 1 + self.number % 200,
            "city": "Springfield",
            "postcode": self.postcode,
            "deliveryInstructions": "2nd floor, “Rear”",
            "latitude": 25.2048,
            "longitude": 55.2708,
        }
        own = self.kind == OWN
        return {
            "address": None if own else address,
            "expectedDeliveryTime": timestamp(self.ready + 1500),
            "expressDelivery": False,
            "riderPickupTime": timestamp(self.ready) if own else None,
        }, None

    def _callbacks(self) -> Json:
        own, status, orders = self.kind == OWN, f"{self.root}/v2/order/status/{self.token}", f"{self.root}/v2/orders/{self.token}"
        return {
            "orderAcceptedUrl": status if self.direct else None,
            "orderRejectedUrl": status if self.direct else None,
            "orderPickedUpUrl": None if own else status,
            "orderPreparedUrl": f"{orders}/preparation-completed" if own else None,
            "orderProductModificationUrl": f"{self.root}/v2/order/{self.token}/modifications/product",
            "orderPreparationTimeAdjustmentUrl": f"{orders}/adjust-preparation-time" if own else None,
        }

    def payload(self) -> Json:
        """The order as a plugin is sent it."""
        delivery, pickup = self._where()
        order: Json = {
            "token": self.token,
            "code": f"tb-{self.token[:8]}",
            "shortCode": str(self.number % 1000),
            "comments": {"customerComment": self.note, "vendorComment": ""},
            "createdAt": timestamp(self.created),
            "expiryDate": timestamp(self.deadline),
            "customer": {
                "id": f"cust-{self.number}",
                "firstName": self.customer[0],
                "lastName": self.customer[1],
                "mobilePhone": f"+1 555 01{self.number % 100:02d}",
                "email": "",
            },
            "delivery": delivery,
            "pickup": pickup,
            "discounts": self._discount(self.bill.shares),
            "expeditionType": "pickup" if self.kind == PICKUP else "delivery",
            "localInfo": {
                "countryCode": self.store["country"],
                "currencySymbol": _SYMBOLS.get(self.bill.currency, self.bill.currency),
                "platform": "Talabat",
                "platformKey": self.store["entity"],
            },
            "payment": {"status": "pending" if self.bill.cash else "paid", "type": "cash" if self.bill.cash else "online"},
            "test": self.test,
            "preOrder": self.scheduled,
            "platformRestaurant": {"id": self.store["platform_id"]},
            "price": self._price(),
            "products": [self._product(line) for line in self.lines],
            "corporateTaxId": "",
            "vouchers": [],
            "callbackUrls": self._callbacks(),
        }
        if self.kind == OWN:
            order["PreparationTimeAdjustments"] = {
                "minPickUpTimestamp": timestamp(self.window[0]),
                "maxPickUpTimestamp": timestamp(self.window[1]),
                "preparationTimeChangeIntervalsInMinutes": [-10, -5, 5, 10, 15],
            }
        return order

    def summary(self) -> Json:
        """The order as the control API shows it; amounts in the smallest unit."""
        bill = self.bill
        return {
            "id": self.token,
            "store": self.store["ref"],
            "reference": self.remote_id or None,
            "pos_reference": self.remote_id or None,
            "state": self.state,
            "reason": self.reason or None,
            "prepared": self.prepared,
            "kind": self.kind,
            "total": bill.total,
            "currency": bill.currency,
            "tax": bill.tax,
            "tip": bill.tip,
            "note": self.note or None,
            "customer": " ".join(self.customer),
            "payments": [{"amount": bill.total, "type": "CASH" if bill.cash else "ONLINE"}],
            "items": [_shown(line) for line in self.lines],
            "deadline_at": timestamp(self.deadline),
            "history": self.history,
        }


def _shown(line: Line) -> Json:
    return {
        "id": line.id,
        "name": line.name,
        "quantity": line.quantity,
        "note": line.note or None,
        "total": line.total(),
        "modifiers": [{"id": each.id, "name": each.name, "quantity": each.quantity, "price": each.price} for each in _flat(line.options)],
    }


def _flat(options: list[Line]) -> list[Line]:
    return [each for option in options for each in (option, *_flat(option.options))]


def number_lines(lines: list[Line], prefix: str) -> None:
    """Give every line and option the id that the platform calls it by (in `plu`)."""
    for place, line in enumerate(lines, 1):
        line.plu = f"{prefix}-{place}"
        number_lines(line.options, line.plu)
