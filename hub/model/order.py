"""The canonical order: what a delivery platform sold, in the hub's terms. Personal data sits in `Customer` and notes only."""

from datetime import datetime
from typing import Literal

import msgspec

from hub.model.money import Money, total, zero


class Address(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a courier brings an order."""

    line1: str = ""
    line2: str = ""
    city: str = ""
    postal_code: str = ""
    country: str = ""
    latitude: str = ""
    longitude: str = ""
    notes: str = ""


class Customer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The consumer, as far as the platform tells."""

    name: str = ""
    phone: str = ""
    phone_code: str = ""
    email: str = ""
    address: Address | None = None
    vendor_id: str = ""


class Modifier(msgspec.Struct, frozen=True, omit_defaults=True):
    """A chosen option of a line; `quantity` is per one of its parent, `unit_price` for one of itself."""

    id: str
    name: str
    quantity: int
    unit_price: Money
    plu: str = ""
    group_id: str = ""
    group_name: str = ""
    modifiers: tuple["Modifier", ...] = ()
    removed: bool = False

    def price(self) -> Money:
        """For one of its parent: itself times quantity, with what is nested in it."""
        each = total([self.unit_price, *(m.price() for m in self.modifiers)], self.unit_price.currency)
        return each * self.quantity


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the order; `unit_price` is without modifiers, `total` is what the channel charges for all of it, before discounts."""

    id: str
    name: str
    quantity: int
    unit_price: Money
    total: Money
    plu: str = ""
    modifiers: tuple[Modifier, ...] = ()
    note: str = ""

    def expected_total(self) -> Money:
        """Unit price and modifiers times quantity: differs from `total` only where a vendor rounds or reprices."""
        each = total([self.unit_price, *(m.price() for m in self.modifiers)], self.unit_price.currency)
        return each * self.quantity


class Charge(msgspec.Struct, frozen=True, omit_defaults=True):
    """A fee beside the lines. `to` says who is owed it: only the merchant's go to the POS."""

    kind: Literal["delivery", "bag", "service", "small_order", "other"]
    name: str
    amount: Money
    to: Literal["merchant", "platform"]


class Tip(msgspec.Struct, frozen=True):
    """A tip and who gets it: a courier's tip is recorded, never charged at the POS."""

    amount: Money
    to: Literal["merchant", "courier"]


class Discount(msgspec.Struct, frozen=True, omit_defaults=True):
    """A positive amount off, and who pays for it: the platform's share is still owed to the merchant."""

    name: str
    amount: Money
    funded_by: Literal["merchant", "platform"]
    line: str = ""
    vendor_id: str = ""


class Tax(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tax; `inclusive` when line prices already hold it, `remitted_by` says who pays it to the state."""

    name: str
    amount: Money
    remitted_by: Literal["merchant", "platform"]
    inclusive: bool = False
    rate: str = ""


class Payment(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the consumer paid; `prepaid` means the platform has the money."""

    kind: Literal["prepaid", "cash"]
    amount: Money
    vendor_id: str = ""


class Fulfilment(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the food leaves: by whose courier or over the counter, and when."""

    kind: Literal["delivery_by_platform", "delivery_by_merchant", "pickup", "dine_in"]
    ready_at: datetime | None = None
    scheduled_for: datetime | None = None
    note: str = ""
    courier: str = ""
    include_cutlery: bool | None = None


class NotCarried(msgspec.Struct, frozen=True):
    """Something one side cannot hold: shown to the operator instead of dropped in silence."""

    field: str
    reason: str


class Order(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An order as the channel sold it. `display_id` is what a courier says aloud."""

    platform: str
    platform_order_id: str
    store_ref: str
    currency: str
    lines: tuple[Line, ...]
    total: Money
    placed_at: datetime
    fulfilment: Fulfilment
    display_id: str = ""
    customer: Customer = Customer()
    charges: tuple[Charge, ...] = ()
    tips: tuple[Tip, ...] = ()
    discounts: tuple[Discount, ...] = ()
    taxes: tuple[Tax, ...] = ()
    payments: tuple[Payment, ...] = ()
    note: str = ""
    deadline_at: datetime | None = None
    vendor_refs: dict[str, str] = {}
    """What the platform wants back with later calls: callback addresses, line ids, tokens of its own."""
    not_carried: tuple[NotCarried, ...] = ()

    def merchant_total(self) -> Money:
        """What the merchant is owed, and so what the POS must show.

        Lines, plus charges and taxes that are the merchant's (added taxes only), less the discounts the merchant funds.
        Platform fees, courier tips and taxes the platform remits are not in it.
        """
        owed = total([line.total for line in self.lines], self.currency)
        owed += total([c.amount for c in self.charges if c.to == "merchant"], self.currency)
        owed += total([t.amount for t in self.taxes if t.remitted_by == "merchant" and not t.inclusive], self.currency)
        return owed - total([d.amount for d in self.discounts if d.funded_by == "merchant"], self.currency)

    def merchant_tip(self) -> Money:
        """Tips meant for the restaurant's staff."""
        return total([t.amount for t in self.tips if t.to == "merchant"], self.currency)

    def zero(self) -> Money:
        """Nothing, in the order's currency."""
        return zero(self.currency)
