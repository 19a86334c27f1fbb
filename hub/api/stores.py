"""/stores: how the platforms show the linked stores, and pausing, opening and slowing them."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta

from hub.api.context import ApiContext
from hub.api.correlation import correlation
from hub.api.guard import staff
from hub.api.pages import Cursor, Limit, Page, after, by_id, page
from hub.api.problems import Problem
from hub.api.writes import ApiRequest, Written, context_of, sealed, write
from hub.audit import record
from hub.clock import utc_now
from hub.contract import Lane
from hub.database.pool import Transaction
from hub.database.queries import load_queries
from hub.ids import new_id
from hub.mailbox.messages import NewMessage, enqueue
from hub.model import Hours, StoreChange, StoreStatus
from hub.tenancy import Unknown
from hub.tenancy.errors import Invalid
from hub.tenancy.sql import event

SQL: Any = load_queries(Path(__file__).with_name("stores.sql"))
LONGEST = timedelta(days=30)
LONGEST_MINUTES = 43_200


class StoreView(msgspec.Struct, frozen=True):
    """A linked store as its platform showed it at `seen_at`; `id` is the link's. `takes` are the changes that the platform takes."""

    id: str
    location: str
    name: str
    platform: str
    connection: str
    store_ref: str
    status: str
    until: datetime | None
    reason: str
    prep_seconds: int
    hours: tuple[Hours, ...]
    seen_at: datetime | None
    takes: list[str]


class Pause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For so many minutes, or until a time; with neither, until somebody resumes. `reason` goes to the platform."""

    minutes: Annotated[int, Meta(ge=1, le=LONGEST_MINUTES)] | None = None
    until: Annotated[datetime, Meta(tz=True)] | None = None
    reason: Annotated[str, Meta(max_length=200)] = ""


class Busy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether the kitchen is busy, how many seconds food takes, or both; with neither, it is busy."""

    busy: bool | None = None
    prep_seconds: Annotated[int, Meta(ge=60, le=86_400)] | None = None


class StoreAnswer(msgspec.Struct, frozen=True):
    """The store as it was last seen, and the changes its platform is asked for."""

    store: StoreView
    queued: list[str]


def _takes(context: ApiContext, platform: str) -> list[str]:
    found = context.providers.get(platform)
    if found is None or "store_control" not in found.facts.capabilities:
        return []
    return sorted(getattr(found.adapter, "store_changes", ()))


def _view(context: ApiContext, row: Any) -> StoreView:
    status = msgspec.convert(row["status"], StoreStatus) if row["status"] is not None else StoreStatus("unknown")
    return StoreView(
        id=row["id"],
        location=row["location"],
        name=row["name"] or row["location_name"],
        platform=row["platform"],
        connection=row["delivery_connection"],
        store_ref=row["delivery_store_ref"],
        status=status.status,
        until=status.until,
        reason=status.reason,
        prep_seconds=status.prep_seconds,
        hours=status.hours,
        seen_at=row["seen_at"],
        takes=_takes(context, row["platform"]),
    )


def _paused(said: Pause) -> StoreChange:
    """The change that a pause is; raises Invalid."""
    now = utc_now()
    if said.minutes is not None and said.until is not None:
        raise Invalid(("/until", "a pause has minutes or until, not both"))
    until = said.until if said.minutes is None else now + timedelta(minutes=said.minutes)
    if until is not None and not now < until <= now + LONGEST:
        raise Invalid(("/until", f"a time within the next {LONGEST.days} days"))
    return StoreChange("pause", until=until.replace(microsecond=0) if until else None, reason=said.reason)


def _slowed(said: Busy) -> list[StoreChange]:
    """The changes that a word about the kitchen is."""
    busy = True if said.busy is None and said.prep_seconds is None else said.busy
    changes = [StoreChange("busy", busy=busy)] if busy is not None else []
    return [*changes, *([StoreChange("prep_time", prep_seconds=said.prep_seconds)] if said.prep_seconds is not None else [])]


def _check(context: ApiContext, store: StoreView, changes: list[StoreChange]) -> None:
    """Raise a 409 Problem where the platform does not take a change."""
    found = context.providers.get(store.platform)
    name = found.facts.name if found is not None else store.platform
    for change in changes:
        if not store.takes:
            raise Problem(409, f"{name} lets no store be opened or paused by its API", takes=[])
        if change.kind not in store.takes:
            raise Problem(409, f"{name} takes {', '.join(store.takes)}, not {change.kind}", takes=store.takes)


class Stores(Controller):
    """Stores on platforms."""

    path = "/stores"
    tags = ["stores"]  # noqa: RUF012 - Litestar's way

    @get()
    async def list_stores(
        self,
        request: ApiRequest,
        location: FromQuery[str | None] = None,
        platform: FromQuery[str | None] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[StoreView]:
        """List the linked stores as they were last seen."""
        context = context_of(request)
        async with context.database.tenant(request.user.tenant) as transaction:
            rows = await SQL.stores(transaction, location=location, platform=platform, after=after(cursor), limit=limit + 1)
        return page(rows, limit, lambda row: _view(context, row), by_id)

    @get("/{link_id:str}")
    async def one(self, request: ApiRequest, link_id: FromPath[str]) -> StoreView:
        """Show a linked store as it was last seen."""
        context = context_of(request)
        async with context.database.tenant(request.user.tenant) as transaction:
            row = await SQL.store(transaction, id=link_id)
        if row is None:
            raise Unknown(f"store {link_id}")
        return _view(context, row)

    @post("/{link_id:str}/pause", status_code=202, guards=[staff])
    async def pause(self, request: ApiRequest, link_id: FromPath[str], data: JSONBody[Pause | None] = None) -> Response[StoreAnswer]:
        """Stop a store from taking orders, for a time or until it is resumed; 409 where the platform lets nobody."""
        return await self._change(request, link_id, "pause", [_paused(data or Pause())])

    @post("/{link_id:str}/resume", status_code=202, guards=[staff])
    async def resume(self, request: ApiRequest, link_id: FromPath[str]) -> Response[StoreAnswer]:
        """Let a store take orders again."""
        return await self._change(request, link_id, "resume", [StoreChange("open")])

    @post("/{link_id:str}/busy", status_code=202, guards=[staff])
    async def busy(self, request: ApiRequest, link_id: FromPath[str], data: JSONBody[Busy | None] = None) -> Response[StoreAnswer]:
        """Tell a platform that the kitchen is busy (or no longer), and how long food takes; 409 where it does not want to know."""
        return await self._change(request, link_id, "busy", _slowed(data or Busy()))

    @staticmethod
    async def _change(request: ApiRequest, link_id: str, action: str, changes: list[StoreChange]) -> Response[StoreAnswer]:
        context, who = context_of(request), request.user
        day_key = await context.bodies.key(who.tenant)

        async def effect(transaction: Transaction) -> Written:
            row = await SQL.store(transaction, id=link_id)
            if row is None:
                raise Unknown(f"store {link_id}")
            store = _view(context, row)
            _check(context, store, changes)
            messages = []
            for change in changes:
                message = NewMessage(
                    connection=store.connection,
                    kind="store.set",
                    subject=f"store/{store.store_ref}",
                    dedupe_key=f"store/{store.store_ref}/set/{new_id('evt')}",
                    lane=Lane.STATUS,
                    correlation=correlation(),
                )
                messages.append(sealed(day_key, who.tenant, message, change))
            kinds = [change.kind for change in changes]
            data = {"step": f"{action}_requested", "by": who.user, "store_ref": store.store_ref, "changes": kinds}
            await event(transaction, who.tenant, "store.changed", link_id, data, location=store.location, correlation=correlation())
            await record(transaction, who.tenant, who.user, f"store.{action}", link_id, fields=tuple(kinds), correlation=correlation())
            woken = await enqueue(transaction, who.tenant, messages)
            return Written(StoreAnswer(store, list(kinds)), {*woken, store.connection})

        return await write(request, effect, status=202)
