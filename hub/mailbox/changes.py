"""What handling a message changes: one value that commits as a whole, or not at all."""

import base64
from datetime import datetime
from typing import Any, Literal

import msgspec

from hub.mailbox.messages import NewMessage
from hub.model import OrderState


class Finished(msgspec.Struct, frozen=True):
    """The message is done and leaves the mailbox."""


class Later(msgspec.Struct, frozen=True):
    """Try again in `after` seconds. `fresh` starts the count of tries anew: a timer that rings again, not a failure."""

    after: float
    fresh: bool = False


class Dead(msgspec.Struct, frozen=True):
    """Give up: the message parks its subject until a person replays or skips it."""

    reason: Literal["rejected", "drifted", "misconfigured", "unknown_outcome", "error", "refused_by_database"]
    detail: str


End = Finished | Later | Dead


class OrderInsert(msgspec.Struct, frozen=True, kw_only=True):
    """A new order. `body` and `consumer_key` are sealed. Missed when the order or a tombstone of it is there."""

    id: str
    link: str
    location: str
    platform: str
    platform_order_id: str
    pos: str
    pos_connection: str
    state: OrderState
    decision: str
    body: bytes
    consumer: str
    consumer_key: bytes
    display_id: str
    totals: dict[str, Any]
    not_carried: list[dict[str, str]]
    attention: dict[str, Any] | None
    menu_version: int | None
    correlation: str
    placed_at: datetime
    deadline_at: datetime | None


class OrderUpdate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Compare-and-set on `version`. `attention` UNSET keeps what is there, None clears it."""

    id: str
    version: int
    state: OrderState | None = None
    decision: str | None = None
    generation: int | None = None
    pos_order_id: str | None = None
    not_carried: list[dict[str, str]] | None = None
    attention: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET


class OrderGuard(msgspec.Struct, frozen=True):
    """Changes nothing, but misses when the order moved on."""

    id: str
    version: int


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A line of history: ids and field names, no personal data."""

    type: str
    subject: str
    data: dict[str, Any]
    location: str = ""
    correlation: str = ""


class NewAlert(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person should see; one stays open per dedupe key and counts."""

    id: str
    dedupe_key: str
    kind: str
    severity: Literal["warning", "critical"]
    subject: str
    detail: str


class AttemptOpened(msgspec.Struct, frozen=True, kw_only=True):
    """A vendor write about to happen, with its frozen request (sealed)."""

    subject: str
    step: str
    generation: int
    order_id: str | None
    repeat: str
    idempotency_key: str
    request: bytes
    sealed_with: str
    timeout_seconds: float


class AttemptClosed(msgspec.Struct, frozen=True, kw_only=True):
    """What a vendor write came to. Applied even when the rest of its item is missed: it is true at the vendor."""

    subject: str
    step: str
    generation: int
    outcome: Literal["done", "refused", "not_sent"]
    vendor_ref: str = ""
    data: dict[str, Any] = {}
    detail: str = ""


class NewMenu(msgspec.Struct, frozen=True):
    """A menu version of a POS location."""

    location_ref: str
    digest: bytes
    body: Any


class StockSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What is on sale at a POS location, or was confirmed by a platform's store; replaces what was known of the item.

    `held` is a person's word where the POS cannot be told: the POS's next list does not undo it.
    """

    place_ref: str
    item: str
    kind: str
    available: bool
    quantity: int | None = None
    until: datetime | None = None
    held: bool = False


class StoreSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A store as its vendor lists it; `status` None leaves what was known of how it is shown."""

    ref: str
    name: str = ""
    currency: str = ""
    timezone: str = ""
    status: Any = None


class ConnectionStatus(msgspec.Struct, frozen=True):
    """The connection's new status and why."""

    status: Literal["active", "suspended"]
    reason: str


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """All that handling a message changes. `end` None means: not finished yet, only progress."""

    end: End | None = Finished()
    order: OrderInsert | OrderUpdate | OrderGuard | None = None
    tombstone: str | None = None
    events: tuple[NewEvent, ...] = ()
    messages: tuple[NewMessage, ...] = ()
    alerts: tuple[NewAlert, ...] = ()
    cleared: tuple[str, ...] = ()
    attempts_opened: tuple[AttemptOpened, ...] = ()
    attempts_closed: tuple[AttemptClosed, ...] = ()
    menus: tuple[NewMenu, ...] = ()
    stock: tuple[StockSeen, ...] = ()
    stores: tuple[StoreSeen, ...] = ()
    connection: ConnectionStatus | None = None


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _plain(record: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        fields[name] = _text(value) if isinstance(value, bytes) else value
    return fields


def _order_row(order: OrderInsert | OrderUpdate | OrderGuard) -> dict[str, Any]:
    if isinstance(order, OrderInsert):
        return {"op": "insert", **_plain(order)}
    if isinstance(order, OrderGuard):
        return {"op": "guard", "id": order.id, "version": order.version}
    fields = {name: value for name, value in _plain(order).items() if value is not None and value is not msgspec.UNSET}
    if order.attention is None:
        fields["attention"] = None
    return {"op": "update", **fields}


def _end_row(end: End) -> dict[str, Any]:
    if isinstance(end, Later):
        return {"kind": "again" if end.fresh else "retry", "after": end.after}
    if isinstance(end, Dead):
        return {"kind": "dead", "reason": end.reason, "detail": end.detail[:2000]}
    return {"kind": "done"}


def item_row(number: int, message: int | None, changes: Changes) -> dict[str, Any]:
    """The form that hub.owner_turn reads; absent keys are absent changes."""
    row: dict[str, Any] = {"n": number, "message": message}
    if changes.end is not None:
        row["end"] = _end_row(changes.end)
    if changes.order is not None:
        row["order"] = _order_row(changes.order)
    if changes.tombstone is not None:
        row["tombstone"] = changes.tombstone
    if changes.messages:
        row["messages"] = [message.row() for message in changes.messages]
    if changes.cleared:
        row["cleared"] = list(changes.cleared)
    if changes.connection is not None:
        row["connection"] = _plain(changes.connection)
    for name in ("events", "alerts", "attempts_opened", "attempts_closed", "menus"):
        records = getattr(changes, name)
        if records:
            row[name] = [_plain(record) for record in records]
    return row
