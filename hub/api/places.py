"""/locations, /links and /mappings."""

import asyncio
from datetime import datetime
from typing import Any, Literal

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody

from hub.api.context import ApiContext
from hub.api.correlation import correlation
from hub.api.guard import manager
from hub.api.pages import Cursor, Limit, Page, after, by_id, page
from hub.api.problems import not_found
from hub.api.writes import ApiRequest, Written, context_of, write
from hub.contract import VendorError
from hub.database.pool import Transaction
from hub.tenancy import Unknown, create_link, create_location
from hub.tenancy.errors import Invalid
from hub.tenancy.places import REFERENCE, change_location, tell_link
from hub.tenancy.sql import PLACES

LISTED_WITHIN = 6.0
"""Seconds that a vendor is given to list its stores while a link is made."""


class NewLocation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A restaurant of the tenant; `timezone` is an IANA name, `currency` ISO 4217."""

    name: str
    timezone: str
    currency: str


class LocationChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change."""

    name: str | None = None
    timezone: str | None = None


class LocationView(msgspec.Struct, frozen=True):
    """A restaurant of the tenant."""

    id: str
    name: str
    timezone: str
    currency: str
    created_at: datetime


class PosSide(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A location as the POS knows it."""

    connection: str
    location_ref: str


class DeliverySide(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A store as the platform knows it."""

    connection: str
    store_ref: str


class NewLink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which POS location serves which store, and what happens to orders there."""

    location: str
    pos: PosSide
    delivery: DeliverySide
    price_rule: dict[str, str | int | bool] = {}
    accept: Literal["auto", "manual"] = "auto"
    unmapped: Literal["accept", "hold", "reject"] = "accept"
    at_deadline: Literal["reject", "accept"] = "reject"


class LinkChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Policies to change."""

    price_rule: dict[str, str | int | bool] | None = None
    accept: Literal["auto", "manual"] | None = None
    unmapped: Literal["accept", "hold", "reject"] | None = None
    at_deadline: Literal["reject", "accept"] | None = None


class LinkView(msgspec.Struct, frozen=True):
    """A link."""

    id: str
    location: str
    pos: PosSide
    delivery: DeliverySide
    price_rule: dict[str, Any]
    accept: str
    unmapped: str
    at_deadline: str
    active: bool
    created_at: datetime


class MappingView(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A channel's product key and the POS product it means on one link."""

    link: str
    channel_key: str
    pos_product: str


def _link(row: Any) -> LinkView:
    return LinkView(
        row["id"],
        row["location"],
        PosSide(row["pos_connection"], row["pos_location_ref"]),
        DeliverySide(row["delivery_connection"], row["delivery_store_ref"]),
        row["price_rule"],
        row["accept"],
        row["unmapped"],
        row["at_deadline"],
        row["active"],
        row["created_at"],
    )


async def _read(query: Any, transaction: Transaction, what: str, identifier: str) -> Any:
    row = await query(transaction, id=identifier)
    if row is None:
        raise Unknown(f"{what} {identifier}")
    return row


async def _currencies(context: ApiContext, tenant: str, sides: set[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """What the vendors say their stores sell in. A vendor that does not answer in time is looked at when its owner lists its stores."""
    found: dict[tuple[str, str], str] = {}
    if context.lister is None:
        return found
    for connection, reference in sorted(sides):
        try:
            async with asyncio.timeout(LISTED_WITHIN):
                stores = await context.lister(tenant, connection)
        except (VendorError, LookupError, OSError, TimeoutError):
            continue
        found |= {(connection, store.ref): store.currency for store in stores if store.ref == reference and store.currency}
    return found


class Locations(Controller):
    """The tenant's restaurants."""

    path = "/locations"
    tags = ["places"]  # noqa: RUF012 - Litestar's way

    @get()
    async def list_locations(self, request: ApiRequest, limit: Limit = 50, cursor: Cursor = None) -> Page[LocationView]:
        """List locations."""
        async with context_of(request).database.tenant(request.user.tenant) as transaction:
            rows = await PLACES.locations(transaction, after=after(cursor), limit=limit + 1)
        return page(rows, limit, lambda row: msgspec.convert(dict(row), LocationView), by_id)

    @post(status_code=201, guards=[manager])
    async def make(self, request: ApiRequest, data: JSONBody[NewLocation]) -> Response[LocationView]:
        """Make a location."""
        who = request.user

        async def effect(transaction: Transaction) -> Written:
            location = await create_location(
                transaction,
                tenant=who.tenant,
                name=data.name,
                timezone=data.timezone,
                currency=data.currency,
                actor=who.user,
                correlation=correlation(),
            )
            row = await _read(PLACES.location, transaction, "location", location)
            return Written(msgspec.convert(dict(row), LocationView))

        return await write(request, effect, status=201)

    @get("/{location_id:str}")
    async def one(self, request: ApiRequest, location_id: FromPath[str]) -> LocationView:
        """Show a location."""
        async with context_of(request).database.tenant(request.user.tenant) as transaction:
            row = await _read(PLACES.location, transaction, "location", location_id)
        return msgspec.convert(dict(row), LocationView)

    @patch("/{location_id:str}", guards=[manager])
    async def change(self, request: ApiRequest, location_id: FromPath[str], data: JSONBody[LocationChange]) -> Response[LocationView]:
        """Rename a location or move its time zone."""
        who = request.user

        async def effect(transaction: Transaction) -> Written:
            await change_location(
                transaction,
                tenant=who.tenant,
                location=location_id,
                name=data.name,
                timezone=data.timezone,
                actor=who.user,
                correlation=correlation(),
            )
            row = await _read(PLACES.location, transaction, "location", location_id)
            return Written(msgspec.convert(dict(row), LocationView))

        return await write(request, effect)


class Links(Controller):
    """Which POS location serves which store."""

    path = "/links"
    tags = ["places"]  # noqa: RUF012

    @get()
    async def list_links(
        self, request: ApiRequest, location: FromQuery[str | None] = None, limit: Limit = 50, cursor: Cursor = None
    ) -> Page[LinkView]:
        """List links."""
        async with context_of(request).database.tenant(request.user.tenant) as transaction:
            rows = await PLACES.links(transaction, after=after(cursor), location=location, limit=limit + 1)
        return page(rows, limit, _link, by_id)

    @post(status_code=201, guards=[manager])
    async def make(self, request: ApiRequest, data: JSONBody[NewLink]) -> Response[LinkView]:
        """Link a POS location with a delivery store. Ids that are not yours are 404, currencies that differ 422."""
        context, who = context_of(request), request.user
        sides = {(data.pos.connection, data.pos.location_ref), (data.delivery.connection, data.delivery.store_ref)}
        listed = await _currencies(context, who.tenant, sides)

        async def effect(transaction: Transaction) -> Written:
            made = await create_link(
                transaction,
                context.providers,
                tenant=who.tenant,
                location=data.location,
                pos_connection=data.pos.connection,
                pos_location_ref=data.pos.location_ref,
                delivery_connection=data.delivery.connection,
                delivery_store_ref=data.delivery.store_ref,
                price_rule=data.price_rule,
                accept=data.accept,
                unmapped=data.unmapped,
                at_deadline=data.at_deadline,
                listed=listed,
                actor=who.user,
                correlation=correlation(),
            )
            return Written(_link(await _read(PLACES.link, transaction, "link", made.id)), made.woken)

        return await write(request, effect, status=201)

    @get("/{link_id:str}")
    async def one(self, request: ApiRequest, link_id: FromPath[str]) -> LinkView:
        """Show a link."""
        async with context_of(request).database.tenant(request.user.tenant) as transaction:
            return _link(await _read(PLACES.link, transaction, "link", link_id))

    @patch("/{link_id:str}", guards=[manager])
    async def change(self, request: ApiRequest, link_id: FromPath[str], data: JSONBody[LinkChange]) -> Response[LinkView]:
        """Change a link's policies for the orders to come."""
        who = request.user
        given = {k: v for k, v in msgspec.structs.asdict(data).items() if v is not None}

        async def effect(transaction: Transaction) -> Written:
            row = await _read(PLACES.link, transaction, "link", link_id)
            policies = {k: row[k] for k in ("price_rule", "accept", "unmapped", "at_deadline")} | given
            await PLACES.update_link(transaction, id=link_id, **policies)
            fields = tuple(given)
            await tell_link(transaction, who.tenant, link_id, row["location"], "link.change", who.user, correlation(), fields)
            return Written(_link(await _read(PLACES.link, transaction, "link", link_id)))

        return await write(request, effect)

    @delete("/{link_id:str}", status_code=204, guards=[manager])
    async def end(self, request: ApiRequest, link_id: FromPath[str]) -> Response[None]:
        """End a link: its open orders go on, new ones of its store have nowhere to go."""
        who = request.user

        async def effect(transaction: Transaction) -> Written:
            row = await _read(PLACES.link, transaction, "link", link_id)
            await PLACES.end_link(transaction, id=link_id)
            await tell_link(transaction, who.tenant, link_id, row["location"], "link.end", who.user, correlation())
            return Written(None)

        return await write(request, effect, status=204)


class Mappings(Controller):
    """Product keys of a channel that mean another POS product than their own name."""

    path = "/mappings"
    tags = ["places"]  # noqa: RUF012

    @get()
    async def list_mappings(self, request: ApiRequest, link: FromQuery[str], limit: Limit = 50, cursor: Cursor = None) -> Page[MappingView]:
        """List a link's mappings."""
        async with context_of(request).database.tenant(request.user.tenant) as transaction:
            await _read(PLACES.link, transaction, "link", link)
            rows = await PLACES.mappings(transaction, link=link, after=after(cursor), limit=limit + 1)
        return page(rows, limit, lambda row: MappingView(**dict(row)), lambda row: (row["channel_key"],))

    @post(status_code=200, guards=[manager])
    async def set_mapping(self, request: ApiRequest, data: JSONBody[MappingView]) -> Response[MappingView]:
        """Set what a channel's product key means, for the orders to come."""
        who = request.user
        for field in ("channel_key", "pos_product"):
            value = getattr(data, field)
            if not 0 < len(value) <= REFERENCE or "\x00" in value:
                raise Invalid((f"/{field}", f"a key has between 1 and {REFERENCE} characters"))

        async def effect(transaction: Transaction) -> Written:
            row = await PLACES.link(transaction, id=data.link)
            if row is None:
                raise Unknown(f"link {data.link}", "/link")
            await PLACES.set_mapping(transaction, tenant=who.tenant, **msgspec.structs.asdict(data))
            await tell_link(transaction, who.tenant, data.link, row["location"], "mapping.set", who.user, correlation())
            return Written(data)

        return await write(request, effect)

    @delete(status_code=204, guards=[manager])
    async def delete_mapping(self, request: ApiRequest, link: FromQuery[str], channel_key: FromQuery[str]) -> Response[None]:
        """Take a mapping away."""
        who = request.user

        async def effect(transaction: Transaction) -> Written:
            row = await _read(PLACES.link, transaction, "link", link)
            if not await PLACES.delete_mapping(transaction, link=link, channel_key=channel_key):
                raise not_found(f"mapping of {channel_key}")
            await tell_link(transaction, who.tenant, link, row["location"], "mapping.delete", who.user, correlation())
            return Written(None)

        return await write(request, effect, status=204)
