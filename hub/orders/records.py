"""Orders at rest: the body sealed under its consumer's key, which the hub's master key wraps."""

from typing import Any

import msgspec

from hub.mailbox.claims import Claim
from hub.model import Money, Order
from hub.vault import DataKey, MasterKeys, Unsealable, new_data_key


def consumer_key(master: MasterKeys, tenant: str, consumer: str, wrapped: bytes | None) -> DataKey:
    """Unwrap a consumer's key; raises Unsealable when it was erased."""
    if wrapped is None:
        raise Unsealable(f"consumer {consumer} was erased")
    return master.unwrap(wrapped, tenant, "consumers", consumer)


def new_consumer_key(master: MasterKeys, tenant: str, consumer: str) -> tuple[DataKey, bytes]:
    """Make a consumer's key; returns it and its wrapped form."""
    key = new_data_key()
    return key, master.wrap(key, tenant, "consumers", consumer)


def seal_order(key: DataKey, tenant: str, order_id: str, order: Order) -> bytes:
    """Seal an order's body."""
    return key.seal(msgspec.json.encode(order), tenant, "orders", order_id)


def open_order(key: DataKey, tenant: str, order_id: str, sealed: bytes) -> Order:
    """Open an order's body; raises Unsealable."""
    return msgspec.json.decode(key.open(sealed, tenant, "orders", order_id), type=Order)


def order_of(master: MasterKeys, tenant: str, claim: Claim) -> tuple[Order, DataKey]:
    """The order of a claim and its consumer's key."""
    row = claim.order
    if row is None:
        raise LookupError(f"{claim.subject} has no order")
    key = consumer_key(master, tenant, row.consumer, claim.consumer_key)
    return open_order(key, tenant, row.id, claim.order_body), key


def totals_of(order: Order) -> dict[str, Any]:
    """Totals for lists and filters: no personal data, so kept in the clear."""

    def plain(money: Money) -> dict[str, Any]:
        return {"amount": money.amount, "currency": money.currency}

    return {
        "total": plain(order.total),
        "merchant_total": plain(order.merchant_total()),
        "merchant_tip": plain(order.merchant_tip()),
        "lines": len(order.lines),
    }
