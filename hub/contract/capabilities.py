"""What an adapter can do, as small protocols. An adapter implements those it has; an absent one is an absent feature.

Writes are plans: a plan method is asked for the next `Step` with what earlier steps left, until it answers with a result. So a
plan is resumed after a crash by asking again with the attempts that were stored.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

import msgspec

from hub.contract.http import Done, Response, Step
from hub.model import Menu, Money, NotCarried, Order, OrderState, Store


class Connected(msgspec.Struct, frozen=True):
    """The connection an adapter instance serves. `settings` are the tenant's choices, validated against provider.toml."""

    id: str
    environment: str
    settings: Mapping[str, str | int | bool] = {}


class SubmitTask(msgspec.Struct, frozen=True):
    """An order for a POS. `reference` is ours (30 characters) and goes where the POS lets it be searched.

    `products` maps a line's or modifier's vendor-neutral key (`plu` or `id`) to the POS's own product id; a key that is missing
    is unmapped and is sent as an open item with its name and price.
    """

    reference: str
    order: Order
    location_ref: str
    products: Mapping[str, str]
    generation: int = 1

    def key(self, step: str) -> str:
        """The idempotency key of a step: at most 45 characters, the same for every repeat."""
        return f"{self.reference}-{step[:9]}-{self.generation}"


class CancelTask(msgspec.Struct, frozen=True):
    """A POS order to take back."""

    reference: str
    pos_order_id: str
    location_ref: str
    reason: str
    generation: int = 1

    def key(self, step: str) -> str:
        """The idempotency key of a step: at most 45 characters, the same for every repeat."""
        return f"{self.reference}-{step[:9]}-{self.generation}"


class Submitted(msgspec.Struct, frozen=True, omit_defaults=True):
    """The POS has the order. `total` is what the POS shows; the hub compares it with what the merchant is owed."""

    pos_order_id: str
    total: Money
    not_carried: tuple[NotCarried, ...] = ()
    adjustment: str = ""


class Queued(msgspec.Struct, frozen=True):
    """The POS took the order and tells later; give up at `until`."""

    pos_order_id: str
    until: datetime


class Offline(msgspec.Struct, frozen=True):
    """The POS cannot be reached behind its vendor's API now."""

    reason: str


class PosRejected(msgspec.Struct, frozen=True):
    """The POS refuses the order for good."""

    reason: str
    code: str = ""


class Cancelled(msgspec.Struct, frozen=True):
    """The POS order is cancelled, refunded where it was paid."""


class CannotCancel(msgspec.Struct, frozen=True):
    """The POS will not take the order back; a person must."""

    reason: str


class PosOrder(msgspec.Struct, frozen=True, omit_defaults=True):
    """A POS order as the POS tells it. `reference` is ours, "" when the order is not from us."""

    pos_order_id: str
    reference: str
    state: OrderState
    version: str
    total: Money | None = None


class PlatformOrder(msgspec.Struct, frozen=True):
    """An order in a platform's list: its id, the hub's state for it, when it was placed."""

    platform_order_id: str
    state: OrderState
    placed_at: datetime | None


class Fetched(msgspec.Struct, frozen=True):
    """An order read from a platform, mapped, and where the platform has it now."""

    order: Order
    state: OrderState


class DecisionTask(msgspec.Struct, frozen=True, omit_defaults=True):
    """A word to the platform about an order. `reason` is one of provider.toml's reject_reasons keys."""

    reference: str
    platform_order_id: str
    store_ref: str
    ready_at: datetime | None = None
    reason: str = ""
    detail: str = ""


@runtime_checkable
class Adapter(Protocol):
    """What every adapter has."""

    def failure(self, operation: str, response: Response) -> Exception | None:
        """Name the error in a response where this vendor differs from the shared table; None leaves it to the table.

        Called for every response, also 2xx: some vendors put errors in a 200.
        """
        ...

    def read_step(self, step: str, response: Response) -> Done:
        """Read the 2xx answer to a step; raises Drifted."""
        ...

    async def test(self) -> str:
        """Make one harmless authenticated read; say in a few words what was found."""
        ...


@runtime_checkable
class Stores(Protocol):
    """Lists the vendor's stores that this connection may use."""

    async def list_stores(self) -> Sequence[Store]:
        """All of them, every page."""
        ...


@runtime_checkable
class MenuSource(Protocol):
    """A POS that tells its menu."""

    async def read_menu(self, location_ref: str) -> Menu:
        """The whole menu of one location."""
        ...


@runtime_checkable
class OrderTarget(Protocol):
    """A POS that takes orders."""

    async def submit(self, task: SubmitTask, done: Mapping[str, Done]) -> Step | Submitted | Queued | Offline | PosRejected:
        """The next write, or what came of it. Reads are allowed, writes only as steps."""
        ...

    async def find(self, task: SubmitTask, step: str, since: datetime) -> Done | None:
        """Look a step's effect up by our reference; None when the POS does not have it."""
        ...

    async def order(self, pos_order_id: str) -> PosOrder:
        """One order; raises NotFound."""
        ...

    async def open_orders(self, location_ref: str, since: datetime) -> Sequence[PosOrder]:
        """Orders of a location since then, ours and others, open ones at least."""
        ...

    async def cancel(self, task: CancelTask, done: Mapping[str, Done]) -> Step | Cancelled | CannotCancel:
        """The next write of a cancellation, or its result."""
        ...


@runtime_checkable
class OrderIntake(Protocol):
    """A platform that sells."""

    async def fetch_order(self, platform_order_id: str, notice: bytes) -> Fetched:
        """Read an order; `notice` is the webhook's body, empty when reconcile found the order."""
        ...

    async def open_orders(self, store_ref: str) -> Sequence[PlatformOrder]:
        """Orders of a store that are not finished, every page."""
        ...

    def accept_step(self, task: DecisionTask) -> Step:
        """Confirm the order to the platform."""
        ...

    def reject_step(self, task: DecisionTask) -> Step:
        """Refuse it."""
        ...

    def ready_step(self, task: DecisionTask) -> Step:
        """Say that the food is ready."""
        ...

    def cancel_step(self, task: DecisionTask) -> Step:
        """Take back an order that was accepted."""
        ...


@runtime_checkable
class MenuSink(Protocol):
    """A platform that shows a menu we push."""

    def push_menu_step(self, store_ref: str, menu: Menu) -> Step:
        """Replace the store's whole menu."""
        ...

    async def read_back(self, store_ref: str) -> frozenset[str]:
        """Ids of the items the platform shows now."""
        ...
