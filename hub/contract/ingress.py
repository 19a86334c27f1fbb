"""What a vendor's call to us means: verified over raw bytes, told as facts, answered in the vendor's way.

No answer may mean "accepted": an order is accepted by a later call, after the POS has it.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Literal, Protocol

import msgspec

from hub.model import Menu

FactKind = Literal[
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
]


class Lane(IntEnum):
    """Which subject goes first; within a subject the order of arrival is kept. CANCEL runs at once, past its subject's head."""

    CANCEL = 0
    ORDER = 1
    STATUS = 2
    STOCK = 3
    MENU = 4
    BULK = 5


class IngressRequest(msgspec.Struct, frozen=True):
    """A vendor's call as it came: lower-case header names, raw body, the registered address it was sent to."""

    method: str
    suffix: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    url: str


class Fact(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that happened. The dedupe key names the fact, not its delivery: `order/<vendor id>/placed`.

    `subject` keeps order and names the thing: `order/<vendor order id>` (order.*, pos_order.changed, courier.moved), `menu/<store ref>`
    (menu.job, menu.wanted), `sync/menu` (menu.changed), `sync/stock` (stock.changed), `store/<ref>` (store.*). `store_ref` routes
    app-level calls to a connection.
    """

    kind: FactKind
    subject: str
    dedupe_key: str
    store_ref: str = ""
    lane: Lane = Lane.STATUS


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the vendor gets back."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"


class Malformed(ValueError):
    """The body is not what this vendor sends; the message says where it stops fitting."""


class MenuHost(Protocol):
    """A platform that fetches menus from us. Pure; the hub finds connection and menu."""

    def wanted(self, request: IngressRequest) -> str | None:
        """The store whose menu a (verified) call asks for; None when it asks for something else."""
        ...

    def document(self, store_ref: str, menu: Menu, request: IngressRequest) -> Answer:
        """The answer that carries the store's menu."""
        ...


class Ingress(Protocol):
    """The vendor's calls to us. Methods are pure and take no connection: the hub finds it by URL or by `store_ref`."""

    def signed(self, request: IngressRequest, secrets: Sequence[str]) -> bool:
        """Tell whether one of the secrets signed exactly these bytes (constant time)."""
        ...

    def facts(self, request: IngressRequest) -> Sequence[Fact]:
        """Read the facts; raises Malformed. Unknown event types become one fact of kind `noted`."""
        ...

    def stored(self, facts: Sequence[Fact]) -> Answer:
        """The answer to a stored call."""
        ...

    def refused(self, reason: Literal["unknown_store", "bad_signature", "malformed", "not_stored"]) -> Answer:
        """The answer to a call we did not take."""
        ...
