"""Bring Toast's total to what the merchant is owed: Toast is asked what it will charge, and the rest is settled with open amounts.

A service charge whose amount is open raises the total, a discount whose amount is open lowers it, and with it the tax: so a discount is
found by asking again. A check takes one discount: the merchant's own and the adjustment are one.
"""

from collections.abc import Awaitable, Callable
from decimal import ROUND_CEILING, Decimal

import msgspec

from adapters.toast import models
from adapters.toast.mapping import Draft
from adapters.toast.models import Ref
from hub.model import Money

QUOTES = 5
"""How often Toast is asked at most; one or two do unless it taxes what an adjustment changes."""
ADJUSTMENT = ":adjustment"
"""The end of the external id of a service charge that adjusts the total."""


class Sums(msgspec.Struct, frozen=True):
    """What is added and taken off beside the merchant's own charges and discounts, in minor units."""

    up: int = 0
    down: int = 0


class Quote(msgspec.Struct, frozen=True):
    """What Toast will charge. `room` is what a discount can be taken off; `rate` the tax that goes down with it."""

    total: int
    room: int
    rate: Decimal


class Settled(msgspec.Struct, frozen=True):
    """The adjustments, and Toast's total with them, None when it gave none."""

    sums: Sums
    room: int | None = None
    total: int | None = None


def quote_of(order: models.Order, currency: str) -> Quote:
    """Read a priced order."""
    lines = [line for check in order.checks or [] for line in check.selections or []]
    total = sum(models.minor(check.total_amount, currency) for check in order.checks or [])
    room = sum(models.minor(line.pre_discount_price, currency) for line in lines)
    net, tax = sum((line.price or Decimal(0) for line in lines), Decimal(0)), sum((line.tax or Decimal(0) for line in lines), Decimal(0))
    return Quote(total, room, tax / net if net > 0 else Decimal(0))


def moved(draft: Draft, sums: Sums, quote: Quote) -> Sums:
    """The adjustments to try next; the same ones when nothing can bring the total nearer."""
    gap = draft.owed - quote.total
    if gap > 0:
        if draft.raising is not None:
            return Sums(sums.up + gap, sums.down)
        return Sums(sums.up, max(0, sums.down - int(gap / (1 + quote.rate))))
    back = min(sums.up, -gap)
    rest = -gap - back if draft.lowering is not None else 0
    return Sums(sums.up - back, sums.down + int((rest / (1 + quote.rate)).to_integral_value(ROUND_CEILING)))


async def settle(draft: Draft, ask: Callable[[models.OrderSent], Awaitable[Quote]]) -> Settled:
    """Ask until Toast's total is what is owed, or as near as it comes."""
    sums, room = Sums(), None
    for turn in range(1, QUOTES + 1):
        quote = await ask(body(draft, Settled(sums, room)))
        if room is None and draft.discount > quote.room:
            room = quote.room  # Toast takes a discount off the lines only: what is more lowers the charges, asked anew
            continue
        following = moved(draft, sums, quote)
        if following == sums or turn == QUOTES:
            break
        sums, room = following, quote.room
    return Settled(sums, room, quote.total)


def body(draft: Draft, settled: Settled) -> models.OrderSent:
    """The order with its charges and its discount; what the discount cannot be taken off lowers the charges, the last one first."""
    name, off = draft.order.external_id, draft.discount + settled.sums.down
    excess = 0 if settled.room is None else max(0, off - settled.room)
    amounts: list[tuple[models.Configured, int, str]] = []
    for number, (config, amount) in reversed(list(enumerate(draft.charges, 1))):
        taken = min(excess, amount)
        excess -= taken
        if amount > taken:
            amounts.insert(0, (config, amount - taken, f"{name}:charge{number}"))
    if settled.sums.up and draft.raising is not None:
        amounts.append((draft.raising, settled.sums.up, name + ADJUSTMENT))
    off = off if settled.room is None else min(off, settled.room)
    discounts: tuple[models.DiscountApplied, ...] = ()
    if off and draft.lowering is not None:
        taken_off = Money(off, draft.currency).decimal()
        discounts = (
            models.DiscountApplied(
                discount=Ref(draft.lowering.guid, "Discount"), discount_amount=taken_off, external_id=f"{name}:discount"
            ),
        )
    charges = tuple(
        models.ChargeApplied(
            service_charge=Ref(config.guid, "ServiceCharge"), charge_amount=Money(amount, draft.currency).decimal(), external_id=external
        )
        for config, amount, external in amounts
    )
    (check,) = draft.order.checks
    check = msgspec.structs.replace(check, applied_service_charges=charges, applied_discounts=discounts)
    return msgspec.structs.replace(draft.order, checks=(check,))


def paid(draft: Draft, settled: Settled) -> models.OrderSent:
    """The whole order: what the platform holds pays it, never more than Toast asks."""
    made = body(draft, settled)
    amount = max(0, draft.owed if settled.total is None else min(draft.owed, settled.total))
    if draft.payment_type is None or not (amount or draft.tip):
        return made
    payment = models.PaymentMade(
        type="OTHER",
        other_payment=Ref(draft.payment_type.guid, "AlternatePaymentType"),
        amount=Money(amount, draft.currency).decimal(),
        tip_amount=Money(draft.tip, draft.currency).decimal(),
        external_id=f"{made.external_id}:payment",
    )
    (check,) = made.checks
    return msgspec.structs.replace(made, checks=(msgspec.structs.replace(check, payments=(payment,)),))
