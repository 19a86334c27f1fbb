"""Beside orders: a location's payments, giving money back, and what is counted there."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from adapters.square import models
from adapters.square.stores import STOCK_TYPES, Seller, call
from hub.contract import Done, Drifted, Extra, PlaceParams, Rejected, Repeat, Step
from hub.model import Money
from hub.model.extras import InventoryItem, PaymentRecord

WINDOW = timedelta(days=1)
"""How far back payments are listed where nobody says since when."""
REASON = 192


class PaymentsParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A location and a window: the last day where no time is given."""

    ref: str
    since: datetime | None = None
    until: datetime | None = None


class RefundParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A payment, and how much of it goes back: all that is left of it, tip included, where no amount is given."""

    payment_id: str
    amount: Money | None = None
    reason: str = ""


class RefundRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """Money that went back; `state` is Square's word (PENDING, COMPLETED, REJECTED, FAILED)."""

    id: str
    state: str = ""


class SquareExtras:
    """The calls of one connection."""

    def __init__(self, seller: Seller) -> None:
        self._seller = seller

    def all(self) -> Mapping[str, Extra]:
        """The calls by name."""
        return {
            "payments": Extra(title="Payments of a location", params=PaymentsParams, result=list[PaymentRecord], read=self._payments),
            "refund": Extra(title="Refund a payment", params=RefundParams, result=RefundRecord, step=self._refund, done=_refunded),
            "inventory": Extra(title="What is counted at a location", params=PlaceParams, result=list[InventoryItem], read=self._inventory),
        }

    async def _payments(self, params: PaymentsParams) -> list[PaymentRecord]:
        until = _aware(params.until) if params.until else datetime.now(UTC)
        since = _aware(params.since) if params.since else until - WINDOW
        if since >= until:
            raise Rejected("the window ends before it begins")
        return [_record(each) for each in await self._seller.payments(params.ref, since, until)]

    async def _refund(self, params: RefundParams) -> Step:
        if not params.payment_id.replace("-", "").replace("_", "").isalnum():
            raise Rejected("payment_id is the id of a payment")
        payment = await self._seller.payment(params.payment_id)
        currency = payment.total_money.currency
        left = payment.total_money.amount - payment.refunded_money.amount
        amount = Money(left, currency) if params.amount is None else params.amount
        if amount.currency != currency or not 0 < amount.amount <= left:
            raise Rejected(f"{Money(left, currency).decimal()} {currency} of the payment can be refunded")
        # A repeat sends the stored bytes, key and all.
        key = str(uuid.uuid4())
        body = models.CreateRefund(
            idempotency_key=key,
            payment_id=payment.id,
            amount_money=models.Money(amount.amount, currency),
            reason=params.reason[:REASON] or "Refund",
        )
        return Step("refund", call("POST", "/v2/refunds", "refund", body), Repeat.KEY, key)

    async def _inventory(self, params: PlaceParams) -> list[InventoryItem]:
        counts = await self._seller.counts(params.ref)
        items: list[InventoryItem] = []
        for thing in await self._seller.catalog(STOCK_TYPES):
            for each in thing.item_data.variations if thing.item_data else []:
                data = each.item_variation_data
                if thing.item_data and data is not None and each.id in counts:
                    several = len(thing.item_data.variations) > 1 and data.name
                    name = f"{thing.item_data.name} ({data.name})" if several else thing.item_data.name
                    items.append(InventoryItem(each.id, name, f"{counts[each.id]:f}", sku=data.sku or "", location_ref=params.ref))
        return items


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _record(payment: models.Payment) -> PaymentRecord:
    back, tip = payment.refunded_money, payment.tip_money
    return PaymentRecord(
        id=payment.id,
        amount=_money(payment.amount_money),
        kind=(payment.external_details.source if payment.external_details else None) or payment.source_type or "",
        state=payment.status,
        at=_moment(payment.created_at),
        tip=_money(tip) if tip.amount else None,
        refunded=_money(back) if back.amount else None,
        pos_order_id=payment.order_id or "",
        reference=payment.reference_id or "",
    )


def _money(money: models.Money) -> Money:
    if not money.currency:
        raise Drifted("an amount has no currency")
    return Money(money.amount, money.currency)


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise Drifted(f"created_at is no time: {text[:40]!r}") from error


def _refunded(done: Done) -> RefundRecord:
    return RefundRecord(done.vendor_ref, str(done.data.get("state") or ""))
