"""Messages as values, and how to put them into a mailbox inside somebody's transaction."""

import base64
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from hub.contract import Lane

Kind = Literal[
    # from vendors
    "order.placed",
    "order.cancelled",
    "order.changed",
    "pos_order.changed",
    "menu.changed",
    "menu.wanted",
    "menu.job",
    "stock.changed",
    "store.changed",
    "courier.moved",
    "store.provisioned",
    "store.deprovisioned",
    "connection.revoked",
    "noted",
    # to the POS connection; subject order/<hub order id>
    "pos.submit",
    "pos.cancel",
    "pos.look",
    # to the delivery connection; subject order/<platform order id>
    "platform.accept",
    "platform.reject",
    "platform.preparing",
    "platform.ready",
    "platform.picked_up",
    "platform.delay",
    "platform.amend",
    "platform.cancel",
    "order.deadline",
    # to any connection
    "sync.menu",
    "sync.orders",
    "sync.stores",
    "sync.stock",
    "menu.push",
    "menu.await",
    "stock.set",
    "stock.push",
    "store.set",
    "extra.run",
]


class NewMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message to be. `body` is sealed or empty. With `reopen`, a dead message of the same fact comes to life again."""

    connection: str
    kind: str
    subject: str
    dedupe_key: str
    lane: Lane = Lane.ORDER
    body: bytes = b""
    correlation: str = ""
    available_at: datetime | None = None
    deadline_at: datetime | None = None
    reopen: bool = False

    def row(self) -> dict[str, Any]:
        """The form that hub.message_insert reads."""
        return {
            "connection": self.connection,
            "kind": self.kind,
            "subject": self.subject,
            "lane": int(self.lane),
            "dedupe_key": self.dedupe_key,
            "body": base64.b64encode(self.body).decode(),
            "correlation": self.correlation,
            "available_at": self.available_at,
            "deadline_at": self.deadline_at,
            "reopen": self.reopen,
        }


class Executes(Protocol):
    """A connection of asyncpg, pooled or not."""

    async def fetchval(self, query: str, *args: Any) -> Any:
        """First value."""
        ...


async def enqueue(transaction: Executes, tenant: str, messages: list[NewMessage]) -> list[str]:
    """Put messages into mailboxes of the transaction's tenant; returns the connections to wake after the commit."""
    if not messages:
        return []
    query = "select hub.message_insert($1, $2, hub.clock())"
    return list(await transaction.fetchval(query, tenant, [message.row() for message in messages]))
