"""A consumer's order on Uber Eats: what it costs, how the order suite's JSON shows it, and the states it goes through.

Field names follow the order suite (`GET /v1/delivery/order/{id}`). Money is `amount_e5`: the value times 100 000. As in the
assembled sample, lines carry no tax of their own and the order's total carries all of it; the sum of promotions is negative.
Parts that no document shows (tips, fees, who funds a promotion, who remits tax) are there only when they are not empty.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from adapters._sandbox.calls import Json, timestamp

from ._sandbox_baskets import Line

_PLACES = {"JPY": 0, "KRW": 0, "CLP": 0, "KWD": 3, "BHD": 3, "JOD": 3, "OMR": 3, "TND": 3}
ENDED = frozenset({"SUCCEEDED", "FAILED"})


def places(currency: str) -> int:
    """Decimal places of a currency's smallest unit."""
    return _PLACES.get(currency, 2)


class Purse:
    """Write amounts in the smallest unit of one currency as Uber's money objects."""

    def __init__(self, currency: str) -> None:
        self.currency = currency
        self._scale = 10 ** (5 - places(currency))

    def amount(self, units: int) -> Json:
        """One amount."""
        return {"amount_e5": units * self._scale, "currency_code": self.currency}

    def summary(self, gross: int, tax: int = 0, *, inclusive: bool = False) -> Json:
        """Gross, tax and what is left without it."""
        return {
            "gross": self.amount(gross),
            "net": self.amount(gross - tax),
            "tax": self.amount(tax),
            "is_tax_inclusive": inclusive,
            "display_amount": f"{self.currency} {Decimal(gross).scaleb(-places(self.currency))}",
        }


@dataclass
class Money:
    """What an order costs, in the smallest unit: on top of the lines come fees, tip and added tax, less the promotion."""

    lines: int = 0
    tax_added: int = 0
    tax_inside: int = 0
    tip: int = 0
    fees: dict[str, int] = field(default_factory=dict)
    merchant_promotion: int = 0
    platform_promotion: int = 0
    cash: bool = False
    remitted_by: str = "MERCHANT"

    @property
    def promotion(self) -> int:
        """All that is taken off, as a positive amount."""
        return self.merchant_promotion + self.platform_promotion

    @property
    def total(self) -> int:
        """What the consumer pays."""
        return self.lines + self.tax_added + self.tip + sum(self.fees.values()) - self.promotion


def _part(amount: int, rate: float, *, inclusive: bool) -> int:
    share = Decimal(str(rate)) / (100 + Decimal(str(rate))) if inclusive else Decimal(str(rate)) / 100
    return int((amount * share).quantize(Decimal(1), ROUND_HALF_UP))


def _tax(line: Line, times: int) -> tuple[int, int]:
    """Tax that comes on top of, and tax that is inside, the price of a line and its options."""
    times *= line.quantity
    amount = _part(line.price * times, line.tax_rate, inclusive=line.inclusive)
    added, inside = (0, amount) if line.inclusive else (amount, 0)
    for option in line.options:
        more = _tax(option, times)
        added, inside = added + more[0], inside + more[1]
    return added, inside


def cost(lines: list[Line], kind: str, dice: random.Random, *, plain: bool, remitted_by: str) -> Money:
    """Add up an order; unless `plain`, some get a promotion, a tip (where the merchant gets it) and fees."""
    money = Money(lines=sum(line.unit() * line.quantity for line in lines), remitted_by=remitted_by)
    for line in lines:
        added, inside = _tax(line, 1)
        money.tax_added += added
        money.tax_inside += inside
    if plain:
        return money
    roll, share = dice.random(), dice.choice((0.1, 0.15, 0.2, 0.333))
    off = min(int(money.lines * share) + dice.choice((0, 1, 7)), money.lines // 2)
    if roll < 0.15:
        money.merchant_promotion = off
    elif roll < 0.3:
        money.platform_promotion = off
    elif roll < 0.36:
        money.merchant_promotion, money.platform_promotion = off // 3, off - off // 3
    if dice.random() < 0.2:
        money.fees["BAG_FEE"] = 10
    if kind == "DELIVERY_BY_MERCHANT":
        money.fees["DELIVERY_FEE"] = dice.choice((199, 349, 499))
        money.cash = dice.random() < 0.25
    if kind in {"DELIVERY_BY_MERCHANT", "PICKUP"} and dice.random() < 0.5:
        money.tip = dice.choice((100, 237, 350, 501))
    return money


@dataclass
class Placed:
    """An order, as Uber holds it."""

    id: str
    number: int
    store: Json
    kind: str
    lines: list[Line]
    money: Money
    purse: Purse
    created: float
    deadline: float
    parts: Json = field(default_factory=dict)
    scheduled_for: str = ""
    note: str = ""
    state: str = "OFFERED"
    status: str = "ACTIVE"
    preparation: str = "PREPARING"
    external_id: str = ""
    pickup_note: str = ""
    ready_at: str = ""
    failure: Json = field(default_factory=dict)
    courier: Json = field(default_factory=dict)
    completed: float = 0
    history: list[Json] = field(default_factory=list)
    call_off: Callable[[], None] = lambda: None

    @property
    def alias(self) -> str:
        """What the fault switches call this order: the same in every run."""
        return f"{self.store['id']}#{self.number}"

    def log(self, state: str, at: float) -> None:
        """Note a state."""
        self.history.append({"state": state, "at": timestamp(at)})

    def move(self, state: str, at: float) -> None:
        """Go to a state; an end stops the clock."""
        self.state = state
        self.log(state, at)
        if state in ENDED:
            self.status = "COMPLETED"
            self.completed = at
        if state != "OFFERED":
            self.call_off()

    def shown(self, expand: set[str]) -> Json:
        """The order suite's JSON; carts, deliveries and payment only when asked for."""
        order: Json = {
            "id": self.id,
            "display_id": self.id[-5:].upper(),
            "ordering_platform": "UBER_EATS",
            "state": self.state,
            "status": self.status,
            "preparation_status": self.preparation,
            "fulfillment_type": self.kind,
            "store": {"id": self.store["id"], "name": self.store["name"], "timezone": self.store["timezone"]},
            "created_time": timestamp(self.created),
            "preparation_time": {"ready_for_pickup_time": self.ready_at, "source": "PREDICTED_BY_UBER"},
            "customers": self.parts["customers"],
            "action_eligibility": {
                "adjust_ready_for_pickup_time": {"is_eligible": self.state == "ACCEPTED"},
                "cancel": {"is_eligible": self.state not in ENDED},
            },
        }
        if self.external_id:
            order["external_id"] = self.external_id
        if self.note:
            order["store_instructions"] = self.note
        if self.scheduled_for:
            order["scheduled_order_target_delivery_time_range"] = {"start_time": self.scheduled_for, "end_time": self.scheduled_for}
        if self.completed:
            order["completed_time"] = timestamp(self.completed)
        if self.failure:
            order["failure_info"] = self.failure
        if "carts" in expand:
            order["carts"] = self.parts["carts"]
        if "deliveries" in expand:
            order["deliveries"] = [{**delivery, **self.courier} for delivery in self.parts["deliveries"]]
        if "payment" in expand:
            order["payment"] = self.parts["payment"]
        return order

    def summary(self) -> Json:
        """The order as the control API shows it; amounts in the smallest unit."""
        money = self.money
        return {
            "id": self.id,
            "store": self.store["id"],
            "reference": self.external_id or None,
            "state": self.state,
            "preparation": self.preparation,
            "failure": self.failure.get("reason"),
            "type": self.kind,
            "total": money.total,
            "currency": self.purse.currency,
            "payments": [
                {
                    "id": f"pay-{self.id[:8]}",
                    "amount": money.total - money.tip,
                    "tip": money.tip,
                    "status": "DUE_IN_CASH" if money.cash else "PAID",
                }
            ],
            "note": self.note or None,
            "customer": (self.parts["customers"][0].get("name") or {}).get("display_name") if self.parts.get("customers") else None,
            "items": [_summary(line) for line in self.lines],
            "history": self.history,
        }


def _summary(line: Line) -> Json:
    return {
        "name": line.title,
        "quantity": line.quantity,
        "note": line.note or None,
        "total": line.unit() * line.quantity,
        "modifiers": [{"name": each.title, "quantity": each.quantity} for each in _flat(line.options)],
    }


def _flat(options: list[Line]) -> list[Line]:
    return [each for option in options for each in (option, *_flat(option.options))]


def describe(placed: Placed, dice: random.Random, new_id: Callable[[], str]) -> Json:
    """The parts of an order's JSON that never change: customers, carts, deliveries, payment."""
    breakdown: list[Json] = []
    items = [_cart_item(line, f"ci-{placed.number}-{n + 1}", 1, placed.purse, breakdown) for n, line in enumerate(placed.lines)]
    guest, number = dice.choice(("Guest", "Invité", "ضيف")), f"{placed.number % 10_000:04d}"
    delivered = placed.kind == "DELIVERY_BY_MERCHANT"
    address = {
        "street_address_line_one": f"{1 + placed.number % 200} Harbour Street",
        "street_address_line_two": "2nd floor, “Rear”",
        "city": "Springfield",
        "postal_code": "01103",
        "country": "US",
        "latitude": "42.1015",
        "longitude": "-72.5898",
    }
    return {
        "customers": [
            {
                "id": new_id(),
                "is_primary_customer": True,
                "name": {"display_name": f"{guest} {number}", "first_name": guest, "last_name": number},
                "contact": {"phone": {"country_iso2": "US", "number": "+1 555-555-0100", "pin_code": f"555 {number[:2]} {number[2:]}"}},
            }
        ],
        "carts": [
            {
                "id": f"cart-{placed.number}",
                "special_instructions": dice.choice(("", "Ring the bell", "Laisser à la porte, s’il vous plaît")),
                "include_single_use_items": dice.random() < 0.5,
                "items": items,
            }
        ],
        "deliveries": []
        if placed.kind == "PICKUP"
        else [{"id": new_id(), "status": "SCHEDULED", **({"location": address, "instructions": "Blue door"} if delivered else {})}],
        "payment": _payment(placed, breakdown),
    }


def _cart_item(line: Line, identifier: str, times: int, purse: Purse, breakdown: list[Json]) -> Json:
    times *= line.quantity
    breakdown.append(
        {
            "cart_item_id": identifier,
            "price_type": "ITEM" if line.group is None else "OPTION",
            "quantity": {"amount": times, "unit": "PIECE"},
            "unit": purse.summary(line.price),
            "total": purse.summary(line.price * times),
        }
    )
    groups: dict[str, Json] = {}
    for n, option in enumerate(line.options):
        assert option.group is not None
        group = groups.setdefault(
            option.group["id"],
            {
                "id": option.group["id"],
                "title": next(iter(option.group["title"]["translations"].values())),
                "external_data": option.group.get("external_data", ""),
                "selected_items": [],
            },
        )
        group["selected_items"].append(_cart_item(option, f"{identifier}-{n + 1}", times, purse, breakdown))
    return {
        "id": line.id,
        "cart_item_id": identifier,
        "title": line.title,
        **({} if line.external_data is None else {"external_data": line.external_data}),
        "quantity": {"amount": line.quantity, "unit": "PIECE"},
        **({"customer_request": {"special_instructions": line.note}} if line.note else {}),
        "selected_modifier_groups": list(groups.values()),
    }


def _payment(placed: Placed, breakdown: list[Json]) -> Json:
    money, purse = placed.money, placed.purse
    tax = money.tax_added + money.tax_inside
    detail: Json = {
        "order_total": purse.summary(money.total, tax, inclusive=bool(money.tax_inside)),
        "item_charges": {
            "total": purse.summary(money.lines),
            "subtotal_including_promos": purse.summary(money.lines - money.promotion),
            "price_breakdown": breakdown,
        },
        "promotions": {"total": purse.summary(-money.promotion)},
        "currency_code": purse.currency,
        "cash_amount_due": purse.summary(money.total if money.cash else 0),
    }
    if money.fees:
        each = [{"id": name, "amount": purse.summary(amount)} for name, amount in money.fees.items()]
        detail["fees"] = {"total": purse.summary(sum(money.fees.values())), "details": each}
    if money.tip:
        detail["tips"] = {"total": purse.summary(money.tip)}
    if money.promotion:
        funders = (("MERCHANT", money.merchant_promotion), ("UBER", money.platform_promotion))
        detail["promotions"]["details"] = [
            {
                "external_promotion_id": f"promo-{placed.number % 7}-{funder.lower()}",
                "type": "FLATOFF",
                "discount_value": purse.amount(amount)["amount_e5"],
                "funded_by": funder,
            }
            for funder, amount in funders
            if amount
        ]
        detail["promotions"]["order_total_excluding_promos"] = purse.summary(money.total + money.promotion, tax)
    remittance = {"tax_remittance": {money.remitted_by.lower(): {"gross": purse.amount(tax)}}} if tax else {}
    return {"payment_detail": detail, **remittance}
