"""/stock: what the POS says is on sale, what each channel confirmed of it, and taking things off sale."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromQuery, JSONBody, QueryParameter
from msgspec import Meta

from hub.api.correlation import correlation
from hub.api.guard import staff
from hub.api.pages import Cursor, Limit, Page, decode, page
from hub.api.problems import Problem
from hub.api.writes import ApiRequest, Written, context_of, sealed, write
from hub.audit import record
from hub.clock import utc_now
from hub.contract import Lane
from hub.database.pool import Transaction
from hub.database.queries import load_queries
from hub.ids import new_id
from hub.mailbox.messages import NewMessage, enqueue
from hub.model import StockLevel
from hub.stores.stock import Levels
from hub.tenancy import Unknown
from hub.tenancy.errors import Invalid
from hub.tenancy.sql import PLACES, event

SQL: Any = load_queries(Path(__file__).with_name("stock.sql"))
LATEST = timedelta(days=6)
"""The longest that something is off sale by itself: the word that ends it is kept for a week."""
MOST = 500
Kind = Literal["item", "modifier"]


class ChannelStock(msgspec.Struct, frozen=True):
    """What a linked store last confirmed of a product, and when; `confirmed` says that it is what the POS told."""

    link: str
    store_ref: str
    platform: str
    confirmed: bool
    available: bool | None
    at: datetime | None


class StockView(msgspec.Struct, frozen=True):
    """A product or option as the POS told it last. `held`: a person took it off sale in the hub, the POS could not be told."""

    location_ref: str
    connection: str
    item: str
    name: str | None
    kind: Kind
    available: bool
    quantity: int | None
    until: datetime | None
    held: bool
    told_at: datetime
    channels: list[ChannelStock]


class NewLevel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A product by its id on the POS's menu, and whether it is on sale; with `until`, it comes back by itself."""

    id: Annotated[str, Meta(min_length=1, max_length=200)]
    available: bool
    until: Annotated[datetime, Meta(tz=True)] | None = None
    kind: Kind | None = None


class NewStock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is on sale at a location of the tenant."""

    location: str
    items: Annotated[list[NewLevel], Meta(min_length=1, max_length=MOST)]


class QueuedStock(msgspec.Struct, frozen=True):
    """The products that one POS location, and every channel linked with it, is told of."""

    connection: str
    location_ref: str
    items: list[str]


class StockAnswer(msgspec.Struct, frozen=True):
    """What was put into mailboxes: /stock shows what comes of it."""

    queued: list[QueuedStock]


def _view(row: Any) -> StockView:
    fields = {name: row[name] for name in ("connection", "item", "name", "kind", "available", "quantity", "until", "held", "told_at")}
    return StockView(location_ref=row["place_ref"], channels=msgspec.convert(row["channels"] or [], list[ChannelStock]), **fields)


def _check(items: Sequence[NewLevel]) -> None:
    """Raise Invalid for what no level can be."""
    errors: list[tuple[str, str]] = []
    now, named = utc_now(), set()
    for number, each in enumerate(items):
        if each.id in named:
            errors.append((f"/items/{number}/id", "this product is named twice"))
        named.add(each.id)
        if each.until is not None and (each.available or not now < each.until <= now + LATEST):
            errors.append((f"/items/{number}/until", f"only what is off sale comes back, within {LATEST.days} days"))
    if errors:
        raise Invalid(*errors)


async def _wanted(transaction: Transaction, data: NewStock) -> dict[tuple[str, str], tuple[StockLevel, ...]]:
    """The levels for each linked POS location that has the product on its newest menu; raises Unknown, Problem, Invalid."""
    if await PLACES.location(transaction, id=data.location) is None:
        raise Unknown(f"location {data.location}", "/location")
    places = [(row["pos_connection"], row["pos_location_ref"]) for row in await SQL.places(transaction, location=data.location)]
    if not places:
        raise Problem(409, "no POS is linked with this location")
    ids = [each.id for each in data.items]
    found: dict[tuple[str, str], tuple[StockLevel, ...]] = {}
    known: set[str] = set()
    for connection, ref in places:
        rows = await SQL.on_menu(transaction, connection=connection, location_ref=ref, ids=ids)
        kinds: dict[str, set[Kind]] = {}
        for row in rows:
            kinds.setdefault(row["id"], set()).add(row["kind"])
        known |= kinds.keys()
        levels = tuple(
            StockLevel(each.id, each.available, until=each.until, kind=each.kind or min(kinds[each.id]))
            for each in data.items
            if each.id in kinds
        )
        if levels:
            found[connection, ref] = levels
    unknown = [(f"/items/{n}/id", "this is on no menu of the location") for n, each in enumerate(data.items) if each.id not in known]
    if unknown:
        raise Invalid(*unknown)
    return found


class Stock(Controller):
    """What is on sale."""

    path = "/stock"
    tags = ["stock"]  # noqa: RUF012 - Litestar's way

    @get()
    async def list_stock(
        self,
        request: ApiRequest,
        location: FromQuery[str | None] = None,
        connection: Annotated[str | None, QueryParameter(description="The POS's connection.")] = None,
        unavailable: Annotated[bool, QueryParameter(description="Only what is off sale.")] = False,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[StockView]:
        """List what the POS told of products that are or were limited, and beside it what each linked channel confirmed."""
        key = decode(cursor, 3)
        async with context_of(request).database.tenant(request.user.tenant) as transaction:
            rows = await SQL.stock(
                transaction,
                location=location,
                connection=connection,
                unavailable=unavailable,
                at_connection=key[0] if key else None,
                at_place=key[1] if key else None,
                at_item=key[2] if key else None,
                limit=limit + 1,
            )
        return page(rows, limit, _view, lambda row: (row["connection"], row["place_ref"], row["item"]))

    @post(status_code=202, guards=[staff])
    async def set_stock(self, request: ApiRequest, data: JSONBody[NewStock]) -> Response[StockAnswer]:
        """Take products off sale at a location, or put them back: at its POS where it can be told, and on every linked channel."""
        context, who = context_of(request), request.user
        _check(data.items)
        day_key = await context.bodies.key(who.tenant)

        async def effect(transaction: Transaction) -> Written:
            messages, queued = [], []
            for (connection, ref), levels in (await _wanted(transaction, data)).items():
                message = NewMessage(
                    connection=connection,
                    kind="stock.set",
                    subject=f"stock/{ref}",
                    dedupe_key=f"stock/{ref}/set/{new_id('evt')}",
                    lane=Lane.STOCK,
                    correlation=correlation(),
                )
                messages.append(sealed(day_key, who.tenant, message, Levels(ref, levels)))
                queued.append(QueuedStock(connection, ref, [level.id for level in levels]))
            items = {each.id: each.available for each in data.items}
            told = {"step": "requested", "by": who.user, "items": dict(list(items.items())[:200])}
            await event(transaction, who.tenant, "stock.changed", data.location, told, location=data.location, correlation=correlation())
            await record(transaction, who.tenant, who.user, "stock.set", data.location, fields=tuple(items), correlation=correlation())
            woken = await enqueue(transaction, who.tenant, messages)
            return Written(StockAnswer(queued), {*woken, *(message.connection for message in messages)})

        return await write(request, effect, status=202)
