"""What an adapter is asked to do, and what may come of it: plain values between the hub and a vendor."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal

import msgspec

from hub.model import Money, NotCarried, Order, OrderState


class Connected(msgspec.Struct, frozen=True):
    """The connection an adapter instance serves. `settings` are the tenant's choices, validated against provider.toml.

    `webhook_url` is the address under which the vendor may call this connection; paths may be appended to it. `details` are those
    credentials that provider.toml marks as not secret: ids that belong into paths and bodies.
    """

    id: str
    environment: str
    settings: Mapping[str, str | int | bool] = {}
    webhook_url: str = ""
    details: Mapping[str, str] = {}


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the hub knows of a linked store: currency (ISO 4217) and zone (IANA)."""

    currency: str
    timezone: str = "UTC"


Places = Mapping[str, Place]
"""By store reference."""
NO_PLACES: Places = MappingProxyType({})


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


class Queued(msgspec.Struct, frozen=True, omit_defaults=True):
    """The POS took the order and tells later; give up at `until`."""

    pos_order_id: str
    until: datetime
    not_carried: tuple[NotCarried, ...] = ()
    adjustment: str = ""


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
    """A POS order as the POS tells it. `reference` is ours, "" when the order is not from us; `reason` says why it failed."""

    pos_order_id: str
    reference: str
    state: OrderState
    version: str
    total: Money | None = None
    reason: str = ""


class PlatformOrder(msgspec.Struct, frozen=True):
    """An order in a platform's list: its id, the hub's state for it, when it was placed."""

    platform_order_id: str
    state: OrderState
    placed_at: datetime | None


class Fetched(msgspec.Struct, frozen=True, omit_defaults=True):
    """An order read from a platform, mapped, and where the platform has it now. `refuse` names a reason to say no at once."""

    order: Order
    state: OrderState
    refuse: str = ""


class DecisionTask(msgspec.Struct, frozen=True, omit_defaults=True):
    """A word to the platform about an order. `reason` is one of provider.toml's reject_reasons keys.

    `vendor_refs` is what the adapter left in the order when it took it in (callback addresses, line ids); `fulfilment` its kind.
    """

    reference: str
    platform_order_id: str
    store_ref: str
    ready_at: datetime | None = None
    reason: str = ""
    detail: str = ""
    pos_order_id: str = ""
    fulfilment: str = ""
    vendor_refs: Mapping[str, str] = {}


class AmendTask(msgspec.Struct, frozen=True, omit_defaults=True):
    """Lines of an accepted order that cannot be served as ordered: new quantity by the line's id, 0 takes it out."""

    decision: DecisionTask
    order: Order
    quantities: Mapping[str, int]


class JobResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a vendor's job went for one store. `job` is what the push left in `Done.job`."""

    store_ref: str
    outcome: Literal["running", "done", "failed", "partial"]
    job: str = ""
    detail: str = ""
