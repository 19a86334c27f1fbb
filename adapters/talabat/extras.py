"""Bulk operations: one catalog for many stores, one availability for many products, many stores' status, and the import log."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol

import msgspec

from adapters.talabat import models
from hub.contract import Done, Drifted, Extra, Response, Step, VendorError, decode
from hub.model import Menu, StoreStatus
from hub.model.extras import BulkResult

AT_ONCE = 8
_Outcome = Literal["done", "failed", "running", "unsupported"]
_OUTCOMES: Mapping[str, _Outcome] = {
    "in_progress": "running",
    "submitted": "running",
    "done": "done",
    "done_with_errors": "failed",
    "failed": "failed",
    "Success": "done",
    "Failed": "failed",
    "Partial Success": "failed",
    "Not Supported": "unsupported",
}


class BulkMenu(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One menu, and the stores of this chain that are to show it."""

    refs: tuple[str, ...]
    menu: Menu


class BulkAvailability(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Products (or options) of one store to be put on sale or taken off: until a time, the next business day, or further notice."""

    ref: str
    ids: tuple[str, ...]
    available: bool
    kind: Literal["item", "modifier"] = "item"
    until: datetime | None = None
    next_business_day: bool = False


class Refs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Many stores."""

    refs: tuple[str, ...]


class LogParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A store, how many rows (at most 100) and how many days back (at most 30)."""

    ref: str
    limit: int = 20
    days: int = 30


class StatusOfStore(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a store stands, or why that could not be read."""

    ref: str
    status: StoreStatus | None = None
    problem: str = ""


class ImportRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row of the import log."""

    job: str
    outcome: _Outcome | Literal["unknown"]
    at: str = ""
    detail: str = ""


class Calls(Protocol):
    """What the extras need of their adapter."""

    def menu_step(self, name: str, store_refs: tuple[str, ...], menu: Menu) -> Step:
        """One import."""
        ...

    def items_step(self, name: str, store_ref: str, body: Mapping[str, Any]) -> Step:
        """One availability update."""
        ...

    async def store_status(self, store_ref: str) -> StoreStatus:
        """How a store stands."""
        ...

    async def ask(self, path: str, operation: str, query: dict[str, str], about: str) -> Response:
        """A read below the chain."""
        ...


def items_body(entity: str, kind: str, ids: tuple[str, ...], *, available: bool, until: datetime | None, next_day: bool) -> dict[str, Any]:
    """The body of an availability update."""
    body: dict[str, Any] = {"globalEntityId": entity, "type": "TOPPING" if kind == "modifier" else "ITEM", "items": list(ids)}
    body["isAvailable"] = available
    if not available and until is not None:
        body |= {"willBeAvailable": "AT_TIMESTAMP", "atTimeStamp": until.astimezone(UTC).isoformat().replace("+00:00", "Z")}
    elif not available and next_day:
        body["willBeAvailable"] = "NEXT_BUSINESS_DAY"
    return body


def read_items(response: Response) -> Done:
    """204 is success everywhere; a 200 tells how it went on each platform."""
    if response.status == 204 or not response.body.strip():
        return Done()
    answer: models.ItemsAnswer = decode(response.body, models.ItemsAnswer)
    rows = [[f"{each.global_entity_id or ''}/{each.platform_vendor_id or ''}", each.status or ""] for each in answer.details or []]
    return Done(data={"status": answer.status or "", "platforms": rows})


def _items_result(done: Done) -> list[BulkResult]:
    rows = done.data.get("platforms") or [["every platform", done.data.get("status") or "Success"]]
    return [BulkResult(ref, _OUTCOMES.get(status, "failed"), "" if status == "Success" else status) for ref, status in rows]


def _menu_result(done: Done) -> list[BulkResult]:
    return [BulkResult(done.job, "running", "how it went for each store is told later")]


def log_rows(body: bytes, store_ref: str) -> list[ImportRow]:
    """The rows of a store, with or without the wrapper that live answers lack; raises Drifted."""
    told = decode(body, dict[str, Any])
    inner = told.get("menuImportLogs", told)
    try:
        rows = msgspec.convert(inner, dict[str, list[models.ImportLog] | None]).get(store_ref)
    except msgspec.ValidationError as error:
        raise Drifted(f"the import log does not fit: {error}") from error
    return [
        ImportRow(str(row.menu_import_id or ""), _OUTCOMES.get(row.status or "", "unknown"), row.created_at or "", row.message or "")
        for row in rows or []
    ]


def bulk_extras(calls: Calls, path: Callable[..., str], entity: str) -> Mapping[str, Extra]:
    """The extras; `path` builds a path below the chain."""

    async def menu(params: BulkMenu) -> Step:
        return calls.menu_step("bulk_menu", params.refs, params.menu)

    async def availability(params: BulkAvailability) -> Step:
        on, until, next_day = params.available, params.until, params.next_business_day
        body = items_body(entity, params.kind, params.ids, available=on, until=until, next_day=next_day)
        return calls.items_step("bulk_availability", params.ref, body)

    async def statuses(params: Refs) -> list[StatusOfStore]:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(ref: str) -> StatusOfStore:
            async with gate:
                try:
                    return StatusOfStore(ref, await calls.store_status(ref))
                except VendorError as error:
                    return StatusOfStore(ref, problem=str(error)[:300])

        return list(await asyncio.gather(*map(one, params.refs)))

    async def logs(params: LogParams) -> list[ImportRow]:
        since = datetime.now(UTC) - timedelta(days=min(max(params.days, 1), 30)) + timedelta(minutes=1)
        query = {"from": since.isoformat(timespec="seconds").replace("+00:00", "Z"), "sort": "desc"}
        query["limit"] = str(min(max(params.limit, 1), 100))
        response = await calls.ask(path("vendors", params.ref, "menu-import-logs"), "menu_logs", query, params.ref)
        return log_rows(response.body, params.ref)

    read: Callable[..., Awaitable[Any]] = statuses
    return {
        "bulk_menu": Extra(title="Push one menu to many stores", params=BulkMenu, result=list[BulkResult], step=menu, done=_menu_result),
        "bulk_availability": Extra(
            title="Put many products of a store on or off sale",
            params=BulkAvailability,
            result=list[BulkResult],
            step=availability,
            done=_items_result,
        ),
        "bulk_store_status": Extra(title="Status of many stores", params=Refs, result=list[StatusOfStore], read=read),
        "menu_import_logs": Extra(title="Menu imports of a store", params=LogParams, result=list[ImportRow], read=logs),
    }
