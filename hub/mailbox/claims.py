"""A claimed message with what its handler needs to decide: the order row, the attempts so far, a tombstone."""

import base64
from datetime import datetime
from typing import Any

import msgspec

from hub.contract import Done, Request
from hub.model import OrderState


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the table has it; `body` stays sealed until `hub.orders.records` opens it."""

    id: str
    link: str
    location: str
    platform: str
    platform_order_id: str
    delivery_connection: str
    pos: str
    pos_connection: str
    pos_order_id: str | None
    state: OrderState
    version: int
    generation: int
    decision: str
    consumer: str
    totals: dict[str, Any]
    not_carried: list[dict[str, str]]
    attention: dict[str, Any] | None
    correlation: str
    placed_at: datetime
    deadline_at: datetime | None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A vendor write as it was recorded. `outcome` None: nobody knows yet."""

    connection: str
    subject: str
    step: str
    generation: int
    repeat: str
    idempotency_key: str
    request: str
    sealed_with: str
    timeout_seconds: float
    started_at: datetime
    first_started_at: datetime
    sends: int
    outcome: str | None
    vendor_ref: str
    data: dict[str, Any]

    def sealed_request(self) -> bytes:
        """The frozen request, sealed."""
        return base64.b64decode(self.request)

    def done(self) -> Done:
        """What it left, for later steps."""
        return Done(self.vendor_ref, self.data)


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A message that this owner holds until it ends."""

    message: int
    kind: str
    subject: str
    lane: int
    body: bytes
    dedupe_key: str
    correlation: str
    at: datetime
    deadline_at: datetime | None
    tries: int
    alone: bool = False
    order: OrderRow | None = None
    order_body: bytes = b""
    consumer_key: bytes | None = None
    attempts: tuple[Attempt, ...] = ()
    tombstone: bool = False

    @property
    def key(self) -> str:
        """The subject without its kind: a vendor's order id, ours, a store's reference."""
        return self.subject.partition("/")[2]


def freeze(request: Request) -> bytes:
    """A request as stored bytes: sent again, it is the same to the byte."""
    return msgspec.msgpack.encode(request)


def thaw(stored: bytes) -> Request:
    """Read what `freeze` wrote."""
    return msgspec.msgpack.decode(stored, type=Request)
