"""Promotions: those that this app made are listed, read, made and ended. Amounts are minor units here, not times 100,000."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Protocol
from urllib.parse import quote

import msgspec

from adapters.ubereats.mapping import moment
from adapters.ubereats.stores import rfc3339
from hub.contract import Done, Extra, Rejected, Repeat, Request, Response, Step, decode
from hub.model import Money
from hub.model.extras import Promotion

LONGEST_ID = 100
_KIND = "FLATOFF"


class PromotionsParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A store, and the state of the promotions that are wanted."""

    ref: str
    state: Literal["active", "pending", "completed", "revoked", "expired", "deleted"] = "active"


class PromotionRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One promotion."""

    id: str


class NewPromotion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """So much off an order from a minimum up, within a window. `name` comes back on the orders (up to 100 characters)."""

    ref: str
    name: str
    off: Money
    minimum: Money
    starts_at: datetime
    ends_at: datetime
    first_order_only: bool = False
    once_per_customer: bool = True


class _Amount(msgspec.Struct, frozen=True):
    """Minor units."""

    amount: int


class _FlatOff(msgspec.Struct, frozen=True):
    """An amount off."""

    discount_value: _Amount | None = None


class _Discount(msgspec.Struct, frozen=True):
    """What a promotion takes off, by its kind."""

    flat_off_discount: _FlatOff | None = None


class _Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A promotion as Uber shows it: the fields that it was made with, and its state (inferred)."""

    promotion_id: str | None = None
    id: str | None = None
    external_promotion_id: str | None = None
    promo_type: str | None = None
    state: str | None = None
    currency_code: str | None = None
    start_time: str | None = None
    end_time: str | None = None
    promotion_discount: _Discount | None = None


class _List(msgspec.Struct, frozen=True):
    """Promotions of a store, under either name (inferred)."""

    promotions: list[_Shown] | None = None
    data: list[_Shown] | None = None


class _Made(msgspec.Struct, frozen=True):
    """The answer to the making of one."""

    promotion_id: str


class Calls(Protocol):
    """What of the adapter the extras use."""

    async def ask(self, path: str, operation: str, query: Mapping[str, str] | None = None) -> Response:
        """Send a read."""
        ...

    def write(self, path: str, operation: str, body: Any) -> Request:
        """A POST of JSON."""
        ...


def promotion_extras(calls: Calls) -> Mapping[str, Extra]:
    """The calls by name."""

    async def several(params: PromotionsParams) -> list[Promotion]:
        path = f"/v1/delivery/stores/{quote(params.ref, safe='')}/promotions"
        answer: _List = decode((await calls.ask(path, "list_promotions", {"state": params.state})).body, _List)
        return [_promotion(each) for each in answer.promotions or answer.data or []]

    async def one(params: PromotionRef) -> Promotion:
        found: _Shown = decode((await calls.ask(_path(params.id), "get_promotion")).body, _Shown)
        return _promotion(found)

    async def create(params: NewPromotion) -> Step:
        path = f"/v1/delivery/stores/{quote(params.ref, safe='')}/promotion"
        # Uber lists promotions but tells nowhere that one with the same external id is not made twice.
        return Step("promotion_create", calls.write(path, "create_promotion", promotion_body(params)), Repeat.NEVER)

    async def revoke(params: PromotionRef) -> Step:
        return Step("promotion_revoke", calls.write(f"{_path(params.id)}/revoke", "revoke_promotion", {}), Repeat.NATURAL)

    return {
        "promotions": Extra(title="Promotions of a store", params=PromotionsParams, result=list[Promotion], read=several),
        "promotion": Extra(title="One promotion", params=PromotionRef, result=Promotion, read=one),
        "promotion_create": Extra(
            title="Make a promotion: an amount off from a minimum", params=NewPromotion, result=Promotion, step=create, done=_made
        ),
        "promotion_revoke": Extra(title="End a promotion", params=PromotionRef, result=bool, step=revoke, done=lambda done: True),
    }


def read_made(response: Response) -> Done:
    """The id of a promotion that was made; raises Drifted."""
    made: _Made = decode(response.body, _Made)
    return Done(made.promotion_id)


def promotion_body(params: NewPromotion) -> dict[str, Any]:
    """The body that makes one; raises Rejected for what makes no sense."""
    if params.off.currency != params.minimum.currency:
        raise Rejected("off and minimum are of one currency")
    if not 0 < params.off.amount <= params.minimum.amount:
        raise Rejected("off is more than nothing and no more than the minimum")
    if not params.starts_at < params.ends_at:
        raise Rejected("it ends after it begins")
    if not 0 < len(params.name) <= LONGEST_ID:
        raise Rejected(f"name has 1 to {LONGEST_ID} characters")
    return {
        "start_time": rfc3339(params.starts_at),
        "end_time": rfc3339(params.ends_at),
        "external_promotion_id": params.name,
        "user_group": "FIRST_TIME_CUSTOMER" if params.first_order_only else "ALL_CUSTOMERS",
        "allow_unlimited_apply": not params.once_per_customer,
        "currency_code": params.off.currency,
        "budget": {"unlimited_budget": True},
        "promo_type": _KIND,
        "promotion_discount": {
            "flat_off_discount": {
                "min_basket_constraint": {"min_spend": {"amount": params.minimum.amount}},
                "discount_value": {"amount": params.off.amount},
            }
        },
    }


def _promotion(told: _Shown) -> Promotion:
    """A promotion as Uber shows it; its value is known for an amount off alone."""
    value = ""
    flat = told.promotion_discount.flat_off_discount if told.promotion_discount else None
    if flat is not None and flat.discount_value is not None and told.currency_code:
        value = f"{Money(flat.discount_value.amount, told.currency_code).decimal()} {told.currency_code}"
    return Promotion(
        id=told.promotion_id or told.id or "",
        kind=told.promo_type or "",
        state=(told.state or "").lower(),
        name=told.external_promotion_id or "",
        value=value,
        starts_at=moment(told.start_time, "start_time"),
        ends_at=moment(told.end_time, "end_time"),
    )


def _path(identifier: str) -> str:
    return f"/v1/delivery/promotions/{quote(identifier, safe='')}"


def _made(done: Done) -> Promotion:
    return Promotion(done.vendor_ref, _KIND, "pending")
