"""Shapes of what vendors tell beside menus, orders, stock and stores. Amounts are in minor units with their currency."""

from datetime import date, datetime
from typing import Literal

import msgspec

from hub.model.money import Money


class PaymentRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A payment that a POS holds."""

    id: str
    amount: Money
    kind: str
    state: str
    at: datetime | None = None
    tip: Money | None = None
    refunded: Money | None = None
    pos_order_id: str = ""
    reference: str = ""


class KitchenStation(msgspec.Struct, frozen=True, omit_defaults=True):
    """A preparation station: a screen or a printer in the kitchen."""

    id: str
    name: str
    screen: bool = False
    feeds: tuple[str, ...] = ()


class KitchenItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing on a kitchen ticket, and when it was fired, begun and done."""

    pos_order_id: str
    line_id: str
    name: str
    station: str = ""
    fired_at: datetime | None = None
    started_at: datetime | None = None
    done_at: datetime | None = None


class InventoryItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something counted: a product, or an ingredient in its storage unit (a decimal string)."""

    id: str
    name: str
    quantity: str = ""
    unit: str = ""
    sku: str = ""
    minimum: str = ""
    cost: Money | None = None
    location_ref: str = ""


class SalesFigure(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row of a sales report: what it is grouped by, and what was sold."""

    key: str
    label: str
    total: Money
    count: int | None = None
    day: date | None = None


class Promotion(msgspec.Struct, frozen=True, omit_defaults=True):
    """An offer on a platform. `kind` is the vendor's own word; `value` its amount or percentage as a decimal string."""

    id: str
    kind: str
    state: str
    name: str = ""
    value: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    item_ids: tuple[str, ...] = ()


class BulkResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of a call for many stores or items, one by one."""

    ref: str
    outcome: Literal["done", "failed", "running", "unsupported"]
    detail: str = ""


class ReportJob(msgspec.Struct, frozen=True, omit_defaults=True):
    """A report that a vendor makes: ready when it has a link (short-lived, never stored)."""

    id: str
    state: Literal["running", "ready", "failed"]
    link: str = ""
    detail: str = ""
