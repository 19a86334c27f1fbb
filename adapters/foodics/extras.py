"""Beside orders: inventory items and what moved them, and the ids that the settings ask for."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import msgspec

from adapters.foodics import models
from adapters.foodics.stores import Books
from hub.contract import Extra, NoParams


class StockParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A branch (all where empty), and the business date after which to begin."""

    ref: str = ""
    after: date | None = None


class InventoryRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Something counted in its storage unit. Levels, quantity and cost are decimal texts ("" where not told).

    The cost is of one storage unit, in major units: it may be finer than the currency's minor unit.
    """

    id: str
    name: str
    name_localized: str = ""
    sku: str = ""
    category: str = ""
    quantity: str = ""
    unit: str = ""
    minimum: str = ""
    maximum: str = ""
    par: str = ""
    cost: str = ""
    currency: str = ""


class InventoryMove(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One item of an inventory transaction; `kind` is the vendor's number for why."""

    transaction: str
    item_id: str
    item: str
    kind: str = ""
    reference: str = ""
    day: str = ""
    location_ref: str = ""
    supplier: str = ""
    quantity: str = ""
    unit: str = ""
    cost: str = ""


class Choosable(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that a setting may name; `kind` is the vendor's number for it."""

    id: str
    name: str
    kind: str = ""


class _Item(models.Named, frozen=True, kw_only=True):
    """An inventory item; some accounts tell how much of it is there."""

    sku: str | None = None
    quantity: Decimal | None = None
    storage_unit: str | None = None
    minimum_level: Decimal | None = None
    maximum_level: Decimal | None = None
    par_level: Decimal | None = None
    cost: Decimal | None = None
    category: models.Named | None = None


class _MovePivot(msgspec.Struct, frozen=True, kw_only=True):
    """How much of an item a transaction moved."""

    quantity: Decimal | None = None
    cost: Decimal | None = None
    unit: str | None = None


class _Moved(models.Named, frozen=True, kw_only=True):
    """An item in a transaction."""

    storage_unit: str | None = None
    pivot: _MovePivot = _MovePivot()


class _Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """An inventory transaction."""

    id: str
    type: int | str | None = None
    reference: str | int | None = None
    business_date: str | None = None
    branch: models.Named | None = None
    supplier: models.Named | None = None
    items: list[_Moved] | None = None
    deleted_at: str | None = None


class FoodicsExtras:
    """The calls of one connection."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def all(self) -> Mapping[str, Extra]:
        """The calls by name."""
        return {
            "inventory_items": Extra(title="Inventory items", params=NoParams, result=list[InventoryRecord], read=self._items),
            "inventory_transactions": Extra(
                title="What moved the inventory", params=StockParams, result=list[InventoryMove], read=self._moves
            ),
            "payment_methods": Extra(title="Payment methods", params=NoParams, result=list[Choosable], read=self._methods),
            "charges": Extra(title="Charges", params=NoParams, result=list[Choosable], read=self._charges),
        }

    async def _items(self, params: NoParams) -> list[InventoryRecord]:
        currency = (await self._books.settings()).business_currency
        rows = await self._books.listed("inventory_items", _Item, {"include": "category"})
        return [
            InventoryRecord(
                id=each.id,
                name=each.label(),
                name_localized=each.name_localized or "",
                sku=each.sku or "",
                category=each.category.label() if each.category else "",
                quantity=_text(each.quantity),
                unit=each.storage_unit or "",
                minimum=_text(each.minimum_level),
                maximum=_text(each.maximum_level),
                par=_text(each.par_level),
                cost=_text(each.cost),
                currency=currency,
            )
            for each in rows
            if not each.deleted_at
        ]

    async def _moves(self, params: StockParams) -> list[InventoryMove]:
        query = {"include": "branch,supplier,items"}
        query |= {"filter[branch_id]": params.ref} if params.ref else {}
        query |= {"filter[business_date_after]": params.after.isoformat()} if params.after else {}
        rows = await self._books.listed("inventory_transactions", _Transaction, query, params.ref)
        return [_move(row, item) for row in rows if not row.deleted_at for item in row.items or []]

    async def _methods(self, params: NoParams) -> list[Choosable]:
        return [Choosable(each.id, each.label(), _text(each.type)) for each in await self._books.methods()]

    async def _charges(self, params: NoParams) -> list[Choosable]:
        rows = await self._books.listed("charges", models.ChargeKind)
        return [Choosable(each.id, each.label()) for each in rows if not each.deleted_at]


def _text(value: Decimal | float | str | None) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    return "" if value is None else str(value)


def _move(row: _Transaction, item: _Moved) -> InventoryMove:
    return InventoryMove(
        transaction=row.id,
        item_id=item.id,
        item=item.label(),
        kind=_text(row.type),
        reference=_text(row.reference),
        day=row.business_date or "",
        location_ref=row.branch.id if row.branch else "",
        supplier=row.supplier.label() if row.supplier else "",
        quantity=_text(item.pivot.quantity),
        unit=item.pivot.unit or item.storage_unit or "",
        cost=_text(item.pivot.cost),
    )
