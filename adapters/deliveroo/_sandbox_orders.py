"""A consumer's order on Deliveroo: what it costs, the JSON an integration is sent, and the states it goes through.

`subtotal` is the lines with their modifiers, `total_price` the same less the offer; bag fee, surcharge, deposit and delivery
fee stand beside both, as in the published example. What the partner is owed, `partner_order_total`, is less only by the part
of the offer that the partner funds. An item's own `total_price` holds no modifiers unless the sandbox is set to the other
reading. Prices contain tax; the payload carries no tax, no tips and no notes on items.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

from adapters._sandbox.baskets import CUSTOMERS, ORDER_NOTES, Line
from adapters._sandbox.calls import Json, timestamp

RIDER, PICKUP, OWN, TABLE = "deliveroo", "customer", "restaurant", "table_service"
PLACED, ACCEPTED, CONFIRMED = "placed", "accepted", "confirmed"
REJECTED, CANCELED, DELIVERED = "rejected", "canceled", "delivered"
ENDED = frozenset({REJECTED, CANCELED, DELIVERED})
_MARKETS = {"GBP": "gb", "EUR": "ie", "AED": "ae", "KWD": "kw", "QAR": "qa", "SGD": "sg", "HKD": "hk"}


def market_of(currency: str) -> str:
    """The market that order ids begin with."""
    return _MARKETS.get(currency, currency[:2].lower())


def second(at: float) -> str:
    """A time as Deliveroo writes it: UTC, whole seconds."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Bill:
    """What an order costs, in the smallest unit."""

    lines: int
    tax: int
    percent: int = 0
    partner_offer: int = 0
    platform_offer: int = 0
    bag_fee: int = 0
    surcharge: int = 0
    deposit: int = 0
    delivery_fee: int = 0
    cash: bool = False

    @property
    def offer(self) -> int:
        """All that is taken off."""
        return self.partner_offer + self.platform_offer

    @property
    def total(self) -> int:
        """What the consumer pays, fees aside."""
        return self.lines - self.offer


def _tax_inside(line: Line, times: int) -> Decimal:
    times *= line.quantity
    own = line.price * times * line.tax / (100 + line.tax)
    return own + sum((_tax_inside(each, times) for each in line.options), Decimal(0))


def charge(lines: list[Line], kind: str, dice: random.Random, *, plain: bool) -> Bill:
    """Add up an order; unless `plain`, some get an offer, fees, and some of the restaurant's own deliveries are paid in cash."""
    bill = Bill(sum(line.total() for line in lines), 0)
    if not plain:
        percent, share = dice.choice((10, 20, 25, 33)), dice.choices((0, 1, 2, 3), (55, 20, 15, 10))[0]
        off = min(bill.lines * percent // 100 + dice.choice((0, 1, 7)), bill.lines // 2)
        bill.percent = percent if share else 0
        bill.partner_offer = (0, off, 0, off // 3)[share]
        bill.platform_offer = (0, 0, off, off - off // 3)[share]
        bill.bag_fee = dice.choice((0, 0, 10))
        bill.surcharge = dice.choice((0, 0, 0, 199))
        bill.deposit = dice.choice((0, 0, 0, 25))
        if kind == OWN:
            bill.delivery_fee = dice.choice((0, 249, 399))
            bill.cash = dice.random() < 0.4
    inside = sum((_tax_inside(line, 1) for line in lines), Decimal(0))
    if bill.lines:
        bill.tax = int((inside * bill.total / bill.lines).quantize(Decimal(1), ROUND_HALF_UP))
    return bill


@dataclass
class Placed:
    """An order, as Deliveroo holds it; times are seconds since 1970. `kitchen` has the kitchen's names of the items."""

    id: str
    number: int
    store: Json
    brand: str
    kind: str
    lines: list[Line]
    kitchen: Mapping[str, str]
    bill: Bill
    created: float
    deadline: float
    ready: float
    dice: InitVar[random.Random]
    scheduled: bool = False
    state: str = PLACED
    reason: str = ""
    stage: str = ""
    sync: Json = field(default_factory=dict)
    alerted: bool = False
    done: set[tuple[str, str]] = field(default_factory=set)
    log: list[Json] = field(default_factory=list)
    history: list[Json] = field(default_factory=list)
    riders: list[Json] = field(default_factory=list)
    call_off: Callable[[], None] = lambda: None

    def __post_init__(self, dice: random.Random) -> None:
        self.customer = dice.choice(CUSTOMERS)
        self.note = dice.choice(ORDER_NOTES)
        self.cutlery = dice.choice(("", "NO CUTLERY"))
        self.code = f"{dice.randrange(10**6):06d}"
        self.log.append({"at": second(self.created - 1), "status": "pending"})
        self._enter(PLACED, self.created)

    def _enter(self, state: str, at: float) -> None:
        self.log.append({"at": second(at), "status": state})
        self.remember(state, at)

    def remember(self, state: str, at: float) -> None:
        """Note a step that is no status of its own."""
        self.history.append({"state": state, "at": timestamp(at)})

    def move(self, state: str, at: float, reason: str = "") -> None:
        """Go to a status; once it is decided the deadline no longer counts."""
        self.state, self.reason = state, reason
        self._enter(state, at)
        self.call_off()

    @property
    def alias(self) -> str:
        """What the fault switches call this order: the same in every run."""
        return f"{self.store['ref']}#{self.number}"

    def _money(self, amount: int) -> Json:
        return {"fractional": amount, "currency_code": self.store["currency"]}

    def _item(self, line: Line, *, with_modifiers: bool) -> Json:
        each = line.unit() if with_modifiers else line.price
        return {
            "pos_item_id": line.plu or None,
            "name": line.name,
            "operational_name": self.kitchen.get(line.id, line.name),
            "unit_price": self._money(line.price),
            "menu_unit_price": self._money(line.price),
            "total_price": self._money(each * line.quantity),
            "quantity": line.quantity,
            "discount_amount": self._money(0),
            "item_fees": [],
            "modifiers": [self._item(option, with_modifiers=with_modifiers) for option in line.options],
        }

    def _promotions(self) -> list[Json]:
        if not self.bill.offer:
            return []
        offer = {"id": f"offer-{self.number % 7}", "type": "PERCENTAGE_DISCOUNT", "value": self.bill.percent}
        return [{**offer, "amount": self._money(self.bill.offer), "pos_item_ids": []}]

    def _delivery(self) -> Json:
        address = {
            "street": "Harbour Street",
            "number": str(1 + self.number % 200),
            "postal_code": "AB1 2CD",
            "city": "Port Example",
            "address_line_1": f"{1 + self.number % 200} Harbour Street",
            "address_line_2": "2nd floor, “Rear”",
            "latitude": 51.5101,
            "longitude": -0.1341,
        }
        return {
            "delivery_fee": self._money(self.bill.delivery_fee),
            "address": address,
            "estimated_delivery_at": second(self.ready + 1200),
        }

    def payload(self, *, with_modifiers: bool) -> Json:
        """The order as an integration is sent it; `with_modifiers` is the other reading of an item's total_price."""
        bill, fees, start = self.bill, [], max(self.created, self.ready - 960)
        if bill.deposit:
            fees.append({"type": "DEPOSIT_FEE", "amount": self._money(bill.deposit)})
        order: Json = {
            "id": self.id,
            "order_number": str(28_400_000 + self.number),
            "location_id": self.store["ref"],
            "brand_id": self.brand,
            "display_id": f"{self.number % 10_000:04d}",
            "status": self.state,
            "status_log": list(self.log),
            "fulfillment_type": self.kind,
            "order_notes": self.note,
            "cutlery_notes": self.cutlery,
            "asap": not self.scheduled,
            "prepare_for": second(self.ready),
            "start_preparing_at": second(start),
            "confirm_at": second(start) if self.scheduled else None,
            "subtotal": self._money(bill.lines),
            "total_price": self._money(bill.total),
            "partner_order_total": self._money(bill.lines - bill.partner_offer),
            "partner_order_subtotal": self._money(bill.lines - bill.partner_offer),
            "offer_discount": self._money(bill.offer),
            "cash_due": self._money(bill.total if bill.cash else 0),
            "bag_fee": self._money(bill.bag_fee),
            "surcharge": self._money(bill.surcharge),
            "fee_breakdown": fees,
            "items": [self._item(line, with_modifiers=with_modifiers) for line in self.lines],
            "promotions": self._promotions(),
            "remake_details": None,
            "is_tabletless": self.store["tabletless"],
            "meal_cards": [],
            "table_number": str(1 + self.number % 40) if self.kind == TABLE else None,
            "customer": {
                "first_name": self.customer[0],
                "contact_number": f"+1 555 01{self.number % 100:02d}",
                "contact_access_code": self.code,
                "order_frequency_at_site": "NEW CUSTOMER",
                "loyalty": {"loyalty_id": ""},
            },
        }
        if self.kind == OWN:
            order["delivery"] = self._delivery()
        return order

    def summary(self) -> Json:
        """The order as the control API shows it; amounts in the smallest unit."""
        bill = self.bill
        return {
            "id": self.id,
            "store": self.store["ref"],
            "reference": None,
            "pos_reference": None,
            "state": self.state,
            "reason": self.reason or None,
            "stage": self.stage or None,
            "sync": self.sync or None,
            "staff_alerted": self.alerted,
            "kind": self.kind,
            "scheduled": self.scheduled,
            "total": bill.total,
            "currency": self.store["currency"],
            "tax": bill.tax,
            "tip": 0,
            "discount": bill.offer,
            "fees": {name: getattr(bill, name) for name in ("bag_fee", "surcharge", "deposit", "delivery_fee")},
            "note": self.note or None,
            "customer": self.customer[0],
            "payments": [{"amount": bill.total, "type": "CASH" if bill.cash else "PREPAID"}],
            "items": [_shown(line) for line in self.lines],
            "deadline_at": timestamp(self.deadline),
            "history": list(self.history),
        }


def _shown(line: Line) -> Json:
    return {
        "id": line.id,
        "name": line.name,
        "quantity": line.quantity,
        "note": None,
        "total": line.total(),
        "modifiers": [{"id": each.id, "name": each.name, "quantity": each.quantity, "price": each.price} for each in _flat(line.options)],
    }


def _flat(options: list[Line]) -> list[Line]:
    return [each for option in options for each in (option, *_flat(option.options))]
