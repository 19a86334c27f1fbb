"""A consumer's order on DoorDash: what it costs, the JSON that the provider is sent, its states, and changes to its lines.

Amounts are integers in the smallest unit. `subtotal` is before discounts; the order says no total: it is subtotal, tax, fees and
tips, less what the merchant funds. A discount that DoorDash funds costs the merchant nothing and is named by its source alone.
"""

import random
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from adapters._sandbox.baskets import CUSTOMERS, Line
from adapters._sandbox.calls import Json, timestamp

from ._sandbox_access import PROVIDER, bad_field, refuse, take

NEW, CONFIRMED, READY, PICKED_UP, DELIVERED = "NEW", "CONFIRMED", "READY", "PICKED_UP", "DELIVERED"
FAILED, CANCELLED = "FAILED", "CANCELLED"
ENDED = frozenset({DELIVERED, FAILED, CANCELLED})
DASHER, PICKUP, SELF = "dx_delivery", "pickup", "mx_fleet_delivery"
_MOST = 999


def _tax(line: Line, times: int) -> Decimal:
    times *= line.quantity
    return line.price * times * line.tax / 100 + sum((_tax(option, times) for option in line.options), Decimal(0))


def _rounded(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))


@dataclass
class Bill:
    """What an order costs; `funder` and `discount` tell of a promotion, `on_line` that it is one line's."""

    subtotal: int = 0
    tax: int = 0
    fee: int = 0
    fee_tax: int = 0
    tip: int = 0
    discount: int = 0
    funder: str = ""
    on_line: bool = False

    @property
    def off(self) -> int:
        """What the merchant takes off."""
        return self.discount if self.funder == "merchant" else 0

    @property
    def total(self) -> int:
        """What the order is worth to the merchant."""
        return self.subtotal - self.off + self.tax + self.fee + self.fee_tax + self.tip

    def count(self, lines: list[Line]) -> None:
        """Add the lines up; a merchant's discount lowers what is taxed."""
        self.subtotal = sum(line.total() for line in lines)
        self.discount = min(self.discount, lines[0].total() if self.on_line else self.subtotal)
        exact = sum((_tax(line, 1) for line in lines), Decimal(0))
        self.tax = _rounded(exact * (self.subtotal - self.off) / self.subtotal) if self.subtotal else 0


def charge(lines: list[Line], kind: str, dice: random.Random, *, plain: bool) -> Bill:
    """Add up an order; unless `plain`, some get a promotion, a tip, and the merchant's own deliveries a fee."""
    bill = Bill()
    if not plain:
        bill.funder = dice.choices(("", "merchant", "doordash"), (60, 28, 12))[0]
        bill.on_line = bill.funder == "merchant" and dice.random() < 0.4
        share = Decimal(dice.choice(("0.1", "0.15", "0.333")))
        worth = lines[0].total() if bill.on_line else sum(line.total() for line in lines)
        bill.discount = min(int(worth * share) + dice.choice((0, 1, 7)), worth // 2) if bill.funder else 0
        if not bill.discount:
            bill.funder, bill.on_line = "", False
        if dice.random() < 0.4:
            bill.tip = dice.choice((100, 237, 350, 501))
        if kind == SELF:
            bill.fee = dice.choice((199, 349, 499))
            bill.fee_tax = _rounded(bill.fee * Decimal("0.08"))
    bill.count(lines)
    return bill


@dataclass
class Placed:
    """An order, as DoorDash holds it; times are seconds since 1970."""

    id: str
    number: int
    store: Json
    kind: str
    lines: list[Line]
    bill: Bill
    created: float
    deadline: float
    pickup_at: float
    categories: dict[str, tuple[str, str]]
    extras: dict[str, str]
    new_id: InitVar[Callable[[], str]]
    dice: InitVar[random.Random]
    note: str = ""
    asap: bool = True
    nested_name: str = "extras"
    state: str = NEW
    reason: str = ""
    pos_id: str = ""
    confirmation: Json = field(default_factory=dict)
    dasher: str = ""
    released: bool = False
    tags: dict[int, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    history: list[Json] = field(default_factory=list)
    call_off: Callable[[], None] = lambda: None

    def __post_init__(self, new_id: Callable[[], str], dice: random.Random) -> None:
        first, last = dice.choice(CUSTOMERS)
        self.customer = {
            "id": 10_000_000_000 + self.number,
            "first_name": first,
            "last_name": f"{last[0]}.",
            "email": "masked@example.com",
            "phone": f"+1 555 01{self.number % 100:02d}",
        }
        self.code = new_id()[:6].upper()
        self.about = {
            "experience": dice.choices(("DOORDASH", "CAVIAR", "STOREFRONT"), (80, 10, 10))[0],
            "commission_type": dice.choice(("regular", "dashpass")),
            "is_plastic_ware_option_selected": dice.random() < 0.3,
        }
        for line in self.lines:
            self._tag(line, new_id)
        self.guests = {self.tags[id(line)] for line in self.lines if dice.random() < 0.1}

    def _tag(self, line: Line, new_id: Callable[[], str]) -> None:
        self.tags[id(line)] = new_id()
        for option in line.options:
            self._tag(option, new_id)

    @property
    def alias(self) -> str:
        """What the fault switches call this order: the same in every run."""
        return f"{self.store['ref']}#{self.number}"

    def log(self, state: str, at: float) -> None:
        """Note a state."""
        self.history.append({"state": state, "at": timestamp(at)})

    def move(self, state: str, at: float) -> None:
        """Go to a state; the deadline to confirm is over."""
        self.state = state
        self.log(state, at)
        self.call_off()

    def where(self) -> Json:
        """The store, as events name it."""
        return {"provider_type": PROVIDER, "merchant_supplied_id": self.store["ref"]}

    def names(self) -> Json:
        """The order's ids, as events name them."""
        return {"external_order_id": self.id, "client_order_id": self.pos_id}

    def payload(self) -> Json:
        """The order as the provider is sent it."""
        bill, remits = self.bill, self.store["remits_tax"]
        order: Json = {
            "id": self.id,
            "consumer": self.customer,
            "store": {**self.where(), "timezone": self.store["timezone"]},
            "subtotal": bill.subtotal,
            "tax": bill.tax,
            "estimated_pickup_time": timestamp(self.pickup_at),
            "is_pickup": self.kind == PICKUP,
            "fulfillment_type": self.kind,
            "delivery_short_code": self.code,
            "merchant_tip_amount": 0 if self.kind == SELF else bill.tip,
            "tip_amount": bill.tip if self.kind == SELF else 0,
            "is_tax_remitted_by_doordash": remits,
            "tax_amount_remitted_by_doordash": bill.tax if remits else 0,
            "order_special_instructions": self.note,
            **self.about,
            "categories": self._shelves(),
        }
        if self.store["currency"] != "USD":
            order["currency_code"] = self.store["currency"]
        if self.kind == SELF:
            order.update(delivery_address=self._address(), delivery_fee=bill.fee, taxes_on_fees=bill.fee_tax)
        if bill.funder:
            order.update(subtotal_discount_funding_source=bill.funder, subtotal_for_tax=bill.subtotal - bill.off)
            order.update(subtotal_tax_amount=bill.tax, applied_discounts=[self._promotion()] if bill.off and not bill.on_line else [])
        return order

    def _promotion(self) -> Json:
        promo = {"promo_id": f"promo-{self.number % 7}", "external_campaign_id": f"campaign-{self.number % 3}"}
        return {"discount_amount": self.bill.discount, **promo, **({"promo_code": "WELCOME"} if self.number % 2 else {})}

    def _address(self) -> Json:
        street = {"street": f"{1 + self.number % 200} Harbour Street", "subpremise": "2nd floor, “Rear”", "city": "Springfield"}
        place = {"state": "MA", "zip_code": "01103", "country_code": "US", "lat": 42.1015, "lng": -72.5898}
        return {**street, **place, "address_instructions": "Blue door – sonnez deux fois"}

    def _shelves(self) -> list[Json]:
        shelves: dict[tuple[str, str], list[Json]] = {}
        for place, line in enumerate(self.lines):
            item = {**self._piece(line, "line_item_id"), "special_instructions": line.note}
            if item["line_item_id"] in self.guests:
                item["consumer_name"] = self.customer["first_name"]
            if place == 0 and self.bill.on_line and self.bill.off:
                counts = ("free_item", "discount_item", "free_option", "discount_option")
                quantity = {f"{name}_promo_quantity": int(name == "discount_item") for name in counts}
                item["applied_item_discount"] = {**self._promotion(), "promo_quantity": quantity}
            shelves.setdefault(self.categories.get(line.id, ("Unlisted", "")), []).append(item)
        return [{"name": name, "merchant_supplied_id": own, "items": items} for (name, own), items in shelves.items()]

    def _piece(self, line: Line, tag: str) -> Json:
        piece: Json = {
            "merchant_supplied_id": line.plu or line.id,
            "name": line.name,
            "price": line.price,
            "quantity": line.quantity,
            tag: self.tags[id(line)],
        }
        extras: dict[str, Json] = {}
        for option in line.options:
            assert option.group is not None
            shown = {"merchant_supplied_id": self.extras.get(option.group.id, option.group.id), "name": option.group.name, "options": []}
            extras.setdefault(option.group.id, shown)["options"].append(self._piece(option, "line_option_id"))
        piece["extras" if tag == "line_item_id" else self.nested_name] = list(extras.values())
        return piece

    def summary(self) -> Json:
        """The order as the control API shows it; amounts in the smallest unit."""
        bill = self.bill
        return {
            "id": self.id,
            "store": self.store["ref"],
            "kind": self.kind,
            "reference": self.pos_id or None,
            "pos_reference": self.pos_id or None,
            "state": self.state,
            "failure": self.reason or None,
            "prep_time": self.confirmation.get("prep_time"),
            "deadline_at": timestamp(self.deadline),
            "total": bill.total,
            "currency": self.store["currency"],
            "subtotal": bill.subtotal,
            "tax": bill.tax + bill.fee_tax,
            "tip": bill.tip,
            "fees": bill.fee,
            "discounts": [{"amount": bill.discount, "funded_by": bill.funder}] if bill.funder else [],
            "note": self.note or None,
            "customer": f"{self.customer['first_name']} {self.customer['last_name']}",
            "payments": [{"amount": bill.total, "type": "PREPAID"}],
            "courier": self.dasher or None,
            "items": [_summary(line) for line in self.lines],
            "history": self.history,
        }


def _summary(line: Line) -> Json:
    return {
        "id": line.plu or line.id,
        "name": line.name,
        "quantity": line.quantity,
        "note": line.note or None,
        "total": line.total(),
        "modifiers": [
            {"id": each.plu or each.id, "name": each.name, "quantity": each.quantity, "price": each.price} for each in _flat(line.options)
        ],
    }


def _flat(options: list[Line]) -> list[Line]:
    return [each for option in options for each in (option, *_flat(option.options))]


def _quantity(change: Json) -> int:
    value: int = take(change, "quantity", int, required=True)
    if not 1 <= value <= _MOST:
        raise bad_field("quantity", f"is from 1 to {_MOST}")
    return value


def _find(placed: Placed, options: list[Line], tag: str, about: str) -> Line:
    for line in options:
        if placed.tags[id(line)] == tag:
            return line
    raise refuse(404, "not_found", f"no {about} {tag} in order {placed.id}", repeats=tag in placed.removed)


def adjust(placed: Placed, body: Json, new_id: Callable[[], str]) -> None:
    """Change an order's lines, all of the changes or none; raises Refused. Each id is the platform's own."""
    changes = take(body, "items", list, required=True)
    if not changes or not all(isinstance(each, dict) for each in changes):
        raise bad_field("items", "is a list with at least one adjustment")
    acts = [_change(placed, each, new_id) for each in changes]
    gone = {take(each, "line_item_id", str) for each in changes if each["adjustment_type"] == "ITEM_REMOVE"}
    if all(placed.tags[id(line)] in gone for line in placed.lines):
        raise refuse(400, "bad_request", "an order keeps at least one item: cancel it instead")
    for act in acts:
        act()
    placed.bill.count(placed.lines)


def _change(placed: Placed, change: Json, new_id: Callable[[], str]) -> Callable[[], None]:
    """Check one change; what it returns does it."""
    line = _find(placed, placed.lines, take(change, "line_item_id", str, required=True), "line item")
    kind = take(change, "adjustment_type", str, required=True)
    if kind == "ITEM_REMOVE":
        return lambda: _remove(placed, placed.lines, line)
    if kind == "ITEM_UPDATE":
        acts = [_option_change(placed, line, each) for each in take(change, "options", list) or []]
        quantity = _quantity(change) if change.get("quantity") is not None or not acts else line.quantity

        def update() -> None:
            line.quantity = quantity
            for act in acts:
                act()

        return update
    if kind == "ITEM_SUBSTITUTE":
        other = take(change, "substituted_item", dict, required=True)
        identifier, price = take(other, "merchant_supplied_id", str, required=True), take(other, "price", int)
        name = take(other, "name", str) or identifier
        quantity = line.quantity if other.get("quantity") is None else _quantity(other)
        cost = line.price if price is None else price
        if cost < 0:
            raise bad_field("substituted_item.price", "is an integer from 0 up")
        return lambda: _substitute(placed, line, Line(identifier, name, cost, quantity, identifier, tax=line.tax), new_id())
    raise bad_field("adjustment_type", "is ITEM_UPDATE, ITEM_REMOVE or ITEM_SUBSTITUTE")


def _option_change(placed: Placed, line: Line, change: Any) -> Callable[[], None]:
    if not isinstance(change, dict):
        raise bad_field("options", "is a list of {line_option_id, adjustment_type, quantity?}")
    option = _find(placed, _flat(line.options), take(change, "line_option_id", str, required=True), "option")
    kind = take(change, "adjustment_type", str, required=True)
    if kind == "ITEM_REMOVE":
        holder = next(each.options for each in (line, *_flat(line.options)) if any(inner is option for inner in each.options))
        return lambda: _remove(placed, holder, option)
    if kind != "ITEM_UPDATE":
        raise bad_field("options.adjustment_type", "is ITEM_UPDATE or ITEM_REMOVE")
    quantity = _quantity(change)
    return lambda: setattr(option, "quantity", quantity)


def _remove(placed: Placed, holder: list[Line], line: Line) -> None:
    if holder is placed.lines and holder and holder[0] is line and placed.bill.on_line:
        placed.bill.discount, placed.bill.funder, placed.bill.on_line = 0, "", False
    holder[:] = [each for each in holder if each is not line]
    placed.removed.add(placed.tags[id(line)])


def _substitute(placed: Placed, line: Line, other: Line, tag: str) -> None:
    other.note = line.note
    placed.tags[id(other)] = tag
    placed.removed.add(placed.tags[id(line)])
    placed.lines[:] = [other if each is line else each for each in placed.lines]
