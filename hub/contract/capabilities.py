"""What an adapter can do, as small protocols. An adapter implements those it has; an absent one is an absent feature.

Writes are plans: a plan method is asked for the next `Step` with what earlier steps left, until it answers with a result. So a
plan is resumed after a crash by asking again with the attempts that were stored.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from hub.contract.extras import Extra
from hub.contract.http import Done, Response, Step
from hub.contract.tasks import (
    NO_PLACES,
    AmendTask,
    Cancelled,
    CancelTask,
    CannotCancel,
    DecisionTask,
    Fetched,
    JobResult,
    Offline,
    Places,
    PlatformOrder,
    PosOrder,
    PosRejected,
    Queued,
    SubmitTask,
    Submitted,
)
from hub.model import CourierSighting, Menu, NotCarried, OrderState, StockLevel, Store, StoreChange, StoreStatus


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

    async def order(self, pos_order_id: str, notice: bytes = b"") -> PosOrder:
        """One order; raises NotFound. `notice` is the webhook's body, empty when the hub asks by itself.

        Where the vendor has no read, the notice is all there is: raises Unreadable without one.
        """
        ...


@runtime_checkable
class OrderSearch(Protocol):
    """A POS whose orders can be listed."""

    async def find(self, task: SubmitTask, step: str, since: datetime) -> Done | None:
        """Look a step's effect up by our reference; None when the POS does not have it."""
        ...

    async def open_orders(self, location_ref: str, since: datetime) -> Sequence[PosOrder]:
        """Orders of a location since then, ours and others, open ones at least."""
        ...


@runtime_checkable
class OrderCancel(Protocol):
    """A POS that takes an order back."""

    async def cancel(self, task: CancelTask, done: Mapping[str, Done]) -> Step | Cancelled | CannotCancel:
        """The next write of a cancellation, or its result."""
        ...


@runtime_checkable
class OrderIntake(Protocol):
    """A platform that sells. A decision step of None means: there is nothing to tell the platform about this order."""

    async def fetch_order(self, platform_order_id: str, notice: bytes, places: Places = NO_PLACES) -> Fetched:
        """Read an order, or take it from `notice`, the webhook's body (empty when the hub asks by itself).

        `places` are the linked stores: where the vendor tells no currency, it is the place's. Raises NotFound, and Unreadable where
        the vendor has no read and there is no notice that holds the order.
        """
        ...

    def accept_step(self, task: DecisionTask) -> Step | None:
        """Confirm the order to the platform."""
        ...

    def reject_step(self, task: DecisionTask) -> Step | None:
        """Refuse it."""
        ...


@runtime_checkable
class OrderList(Protocol):
    """A platform whose open orders can be listed: what a webhook missed is found."""

    async def open_orders(self, store_ref: str) -> Sequence[PlatformOrder]:
        """Orders of a store that are not finished, every page."""
        ...


@runtime_checkable
class NoticeStates(Protocol):
    """A platform whose calls tell an order's new state without holding the order."""

    def notice_state(self, notice: bytes) -> OrderState | None:
        """The state that an order.changed call tells; None when it tells none."""
        ...


@runtime_checkable
class TellsPreparing(Protocol):
    """A platform that wants to know when cooking starts."""

    def preparing_step(self, task: DecisionTask) -> Step | None:
        """Say that the kitchen has begun."""
        ...


@runtime_checkable
class TellsReady(Protocol):
    """A platform that wants to know when the food is ready."""

    def ready_step(self, task: DecisionTask) -> Step | None:
        """Say that the food is ready."""
        ...


@runtime_checkable
class TellsPickedUp(Protocol):
    """A platform that wants to know when the food left, where the restaurant brings it or hands it over."""

    def picked_up_step(self, task: DecisionTask) -> Step | None:
        """Say that the food left."""
        ...


@runtime_checkable
class TakesCancel(Protocol):
    """A platform that lets the restaurant take back an order that it accepted."""

    def cancel_step(self, task: DecisionTask) -> Step | None:
        """Take it back."""
        ...


@runtime_checkable
class TakesDelay(Protocol):
    """A platform that takes a later time for an accepted order."""

    def delay_step(self, task: DecisionTask) -> Step | None:
        """Move the time to `ready_at`."""
        ...


@runtime_checkable
class OrderAmend(Protocol):
    """A platform that lets lines be taken out or reduced after the accept."""

    def amend_step(self, task: AmendTask) -> Step | None:
        """Change the lines."""
        ...


@runtime_checkable
class MenuSink(Protocol):
    """A platform that shows a menu we push."""

    def push_menu_step(self, store_ref: str, menu: Menu) -> Step:
        """Replace the store's whole menu. Where the vendor works on it afterwards, the step leaves `Done.job`."""
        ...

    async def read_back(self, store_ref: str) -> frozenset[str]:
        """Ids of the items the platform shows now, as the hub knows them."""
        ...


@runtime_checkable
class MenuFit(Protocol):
    """A platform that cannot hold every menu."""

    def fit_menu(self, menu: Menu) -> tuple[Menu, tuple[NotCarried, ...]]:
        """The menu that can be pushed, and what it had to leave out, by id."""
        ...


@runtime_checkable
class MenuJobs(Protocol):
    """A platform that works on a pushed menu and tells later."""

    def job_results(self, notice: bytes) -> Sequence[JobResult]:
        """What a menu.job call says, a result a store; raises Drifted."""
        ...


@runtime_checkable
class Stock(Protocol):
    """A POS that tells what is sold out."""

    async def read_stock(self, location_ref: str) -> Sequence[StockLevel]:
        """Products and options that are limited, at least; whatever is not named is on sale."""
        ...


@runtime_checkable
class StockWrite(Protocol):
    """A POS that lets a product be taken off sale."""

    async def stock_step(self, location_ref: str, levels: Sequence[StockLevel]) -> Step:
        """Set these levels."""
        ...


@runtime_checkable
class ItemAvailability(Protocol):
    """A platform that takes single products off sale."""

    async def availability_step(self, store_ref: str, levels: Sequence[StockLevel]) -> Step:
        """Set these levels, at most `availability_batch` of them. Where some fail, the step leaves their ids in `data["failed"]`."""
        ...


@runtime_checkable
class StoreControl(Protocol):
    """A platform whose stores can be opened and paused. `store_changes` names the kinds it takes."""

    store_changes: frozenset[str]

    async def store_status(self, store_ref: str) -> StoreStatus:
        """How the platform shows the store."""
        ...

    async def store_step(self, store_ref: str, change: StoreChange) -> Step:
        """Change it; raises Rejected with what is possible when this change is not."""
        ...


@runtime_checkable
class CourierTracking(Protocol):
    """A platform that tells where couriers are."""

    def couriers(self, notice: bytes) -> Sequence[CourierSighting]:
        """What a courier.moved call says (no order id where only the address named it); raises Drifted."""
        ...


@runtime_checkable
class Extras(Protocol):
    """Whatever else a vendor offers, by name."""

    def extras(self) -> Mapping[str, Extra]:
        """The calls, by the names that provider.toml lists under `extras`."""
        ...


COMMON: dict[str, type] = {"extras": Extras, "stores": Stores}
POS: dict[str, type] = {
    "menu_source": MenuSource,
    "order_cancel": OrderCancel,
    "order_search": OrderSearch,
    "order_target": OrderTarget,
    "stock": Stock,
    "stock_write": StockWrite,
}
DELIVERY: dict[str, type] = {
    "cancel": TakesCancel,
    "courier_tracking": CourierTracking,
    "delay": TakesDelay,
    "item_availability": ItemAvailability,
    "menu_fit": MenuFit,
    "menu_jobs": MenuJobs,
    "menu_sink": MenuSink,
    "notice_states": NoticeStates,
    "order_amend": OrderAmend,
    "order_intake": OrderIntake,
    "order_list": OrderList,
    "picked_up": TellsPickedUp,
    "preparing": TellsPreparing,
    "ready": TellsReady,
    "store_control": StoreControl,
}
CAPABILITIES: dict[str, type] = {**COMMON, **POS, **DELIVERY}
"""The names that provider.toml may list, beside `ingress` and `menu_host`, and what an adapter then implements."""


def capabilities_of(kind: Literal["pos", "delivery"]) -> dict[str, type]:
    """What an adapter of this kind may implement."""
    return COMMON | (POS if kind == "pos" else DELIVERY)
