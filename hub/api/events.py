"""/events: what happened, as a feed that is read on from a cursor and never skips a late commit."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, get
from litestar.params import FromQuery, QueryParameter

from hub.api.pages import Cursor, Limit
from hub.api.problems import Problem, bad_query
from hub.api.writes import ApiRequest, context_of
from hub.events.reader import BadCursor, ForgottenCursor, read_events


class EventView(msgspec.Struct, frozen=True):
    """A line of history: ids and field names, no personal data. `cursor` is the place behind it."""

    id: str
    type: str
    at: datetime
    tenant: str
    subject: str
    location: str | None
    data: dict[str, Any]
    correlation_id: str | None
    cursor: str


class Feed(msgspec.Struct, frozen=True):
    """Events in the order in which readers may see them. `next_cursor` is where to read on, also when nothing is there yet."""

    items: list[EventView]
    next_cursor: str | None


class Events(Controller):
    """The feed."""

    path = "/events"
    tags = ["feed"]  # noqa: RUF012 - Litestar's way

    @get()
    async def list_events(
        self,
        request: ApiRequest,
        wanted: Annotated[str | None, QueryParameter(name="type", description="Types, separated by commas.")] = None,
        location: FromQuery[str | None] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Feed:
        """Read events after a cursor. A page may hold fewer than `limit`: read on until it is empty, then later again.

        410: events behind the cursor are no longer kept; without a cursor the oldest that are come first.
        """
        tenant = request.user.tenant
        types = [name for name in (wanted or "").split(",") if name]
        try:
            async with context_of(request).database.tenant(tenant) as transaction:
                found, behind = await read_events(transaction, tenant, cursor or None, limit, types)
        except BadCursor as error:
            raise bad_query("cursor", str(error)) from error
        except ForgottenCursor as error:
            raise Problem(410, str(error), kind="urn:hub:problem:cursor-forgotten") from error
        shown = [event for event in found if location is None or event["location"] == location]
        return Feed([msgspec.convert(event, EventView) for event in shown], behind)
