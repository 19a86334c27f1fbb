"""An order as people see it: the row, and its body opened with the consumer's key. An erased consumer leaves nulls."""

from datetime import datetime
from typing import Any

import msgspec

from hub.model.order import Charge, Customer, Discount, Fulfilment, Line, Order, Payment, Tax, Tip
from hub.orders.records import consumer_key, open_order
from hub.vault import MasterKeys, Unsealable


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An order. Amounts are minor units; what was personal is null once its consumer is erased."""

    id: str
    tenant: str
    link: str
    location: str
    state: str
    version: int
    generation: int
    decision: str
    display_id: str
    platform: str
    platform_order_id: str
    delivery_connection: str
    pos: str
    pos_order_id: str | None
    pos_connection: str
    placed_at: datetime
    deadline_at: datetime | None
    created_at: datetime
    updated_at: datetime
    attention: dict[str, Any] | None
    totals: dict[str, Any]
    not_carried: list[dict[str, Any]]
    correlation_id: str
    erased: bool = False
    lines: tuple[Line, ...] | None = None
    customer: Customer | None = None
    note: str | None = None
    fulfilment: Fulfilment | None = None
    charges: tuple[Charge, ...] | None = None
    tips: tuple[Tip, ...] | None = None
    discounts: tuple[Discount, ...] | None = None
    taxes: tuple[Tax, ...] | None = None
    payments: tuple[Payment, ...] | None = None


_COLUMNS = (
    "id", "link", "location", "state", "version", "generation", "decision", "display_id", "platform", "platform_order_id",
    "delivery_connection", "pos", "pos_order_id", "pos_connection", "placed_at", "deadline_at", "created_at", "updated_at",
    "attention", "totals", "not_carried",
)  # fmt: skip
_BODY = ("lines", "customer", "note", "fulfilment", "charges", "tips", "discounts", "taxes", "payments")


def opened(master: MasterKeys, row: Any) -> Order | None:
    """The order of a row joined with its consumer's key; None when the consumer was erased."""
    try:
        key = consumer_key(master, row["tenant_id"], row["consumer"], row["sealed_key"])
        return open_order(key, row["tenant_id"], row["id"], row["body"])
    except Unsealable:
        return None


def order_view(master: MasterKeys, row: Any) -> OrderView:
    """Show a row of orders joined with its consumer's key."""
    body = opened(master, row)
    fields: dict[str, Any] = {name: row[name] for name in _COLUMNS}
    if body is not None:
        fields |= {name: getattr(body, name) for name in _BODY}
    return OrderView(**fields, tenant=row["tenant_id"], correlation_id=row["correlation"], erased=body is None)
