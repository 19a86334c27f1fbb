"""What is on sale, where stores stand, where couriers are: what flows beside menus and orders."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from hub.model.menu import Hours


class StockLevel(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether a product (or an option) can be had. `quantity` None means that nobody counts; `until` None: until somebody says so."""

    id: str
    available: bool
    quantity: int | None = None
    until: datetime | None = None
    kind: Literal["item", "modifier"] = "item"


class StoreStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """A platform's store as the platform shows it. `prep_seconds` 0 means not told; `until` is when a pause ends by itself."""

    status: Literal["open", "paused", "closed", "unknown"]
    until: datetime | None = None
    reason: str = ""
    prep_seconds: int = 0
    hours: tuple[Hours, ...] = ()


StoreChangeKind = Literal["open", "pause", "busy", "prep_time", "hours"]


class StoreChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a restaurant wants of its store: one kind, and the value that goes with it."""

    kind: StoreChangeKind
    until: datetime | None = None
    busy: bool = True
    prep_seconds: int = 0
    hours: tuple[Hours, ...] = ()
    reason: str = ""


CourierState = Literal["assigned", "unassigned", "near", "arrived", "picked_up", "delivered", "failed"]


class CourierSighting(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the courier of an order is. Names and numbers of couriers are not kept."""

    platform_order_id: str
    state: CourierState
    at: datetime | None = None
    latitude: str = ""
    longitude: str = ""
    eta: datetime | None = None


def unavailable(levels: Sequence[StockLevel]) -> frozenset[str]:
    """Ids that cannot be had."""
    return frozenset(level.id for level in levels if not level.available)
