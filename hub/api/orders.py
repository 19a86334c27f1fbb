"""/orders: find them, look at one, and ask for what it needs."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from hub.api import order_actions
from hub.api.correlation import correlation
from hub.api.guard import staff
from hub.api.order_view import OrderView, order_view
from hub.api.order_words import Amend, Delay, Reason, Said, checked
from hub.api.pages import Cursor, Limit, Page, decode, page
from hub.api.problems import bad_query
from hub.api.writes import ApiRequest, Written, context_of, write
from hub.audit import record
from hub.database.pool import Transaction
from hub.database.queries import load_queries
from hub.model import FINAL, OrderState
from hub.tenancy import Unknown

SQL: Any = load_queries(Path(__file__).with_name("orders.sql"))


class OrderAnswer(msgspec.Struct, frozen=True):
    """The order as it is now; what was asked for follows."""

    order: OrderView


class TimelineEntry(msgspec.Struct, frozen=True):
    """A step of an order's history."""

    step: str
    at: datetime
    detail: str
    correlation_id: str
    type: str
    data: dict[str, Any]


def _aware(when: datetime | None) -> datetime | None:
    return when.replace(tzinfo=UTC) if when is not None and when.tzinfo is None else when


def _entry(row: Any) -> TimelineEntry:
    data = {key: value for key, value in row["data"].items() if key not in ("step", "detail")}
    detail = str(row["data"].get("detail", "")) or ", ".join(
        f"{key} {value}" for key, value in data.items() if key not in ("platform_order_id", "platform", "state", "by")
    )
    step = str(row["data"].get("step") or row["type"])
    return TimelineEntry(step, row["at"], detail, row["correlation"], row["type"], data)


class Orders(Controller):
    """Orders."""

    path = "/orders"
    tags = ["orders"]  # noqa: RUF012 - Litestar's way

    @get()
    async def list_orders(
        self,
        request: ApiRequest,
        wanted: Annotated[OrderState | None, QueryParameter(name="state", description="Where it is.")] = None,
        provider: FromQuery[str | None] = None,
        location: FromQuery[str | None] = None,
        since: Annotated[datetime | None, QueryParameter(name="from", description="Placed at or after; RFC 3339.")] = None,
        until: Annotated[datetime | None, QueryParameter(name="to", description="Placed before; RFC 3339.")] = None,
        text: Annotated[str | None, QueryParameter(description="Part of one of the order's ids or numbers.", max_length=100)] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[OrderView]:
        """List orders, newest first."""
        context, key = context_of(request), decode(cursor, 2)
        try:
            at = datetime.fromisoformat(key[0]) if key else None
        except ValueError as error:
            raise bad_query("cursor", "this is no cursor of this list") from error
        pattern = None
        if text:
            escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            pattern = f"%{escaped}%"
        async with context.database.tenant(request.user.tenant) as transaction:
            query = SQL.orders if wanted is None else SQL.past_orders if wanted in FINAL else SQL.open_orders
            rows = await query(
                transaction,
                state=wanted.value if wanted else None,
                provider=provider,
                location=location,
                since=_aware(since),
                until=_aware(until),
                text=pattern,
                at=_aware(at),
                after=key[1] if key else None,
                limit=limit + 1,
            )
        return page(rows, limit, lambda row: order_view(context.master, row), lambda row: (row["placed_at"].isoformat(), row["id"]))

    @get("/{order_id:str}")
    async def one(self, request: ApiRequest, order_id: FromPath[str]) -> OrderView:
        """Show an order."""
        context = context_of(request)
        async with context.database.tenant(request.user.tenant) as transaction:
            row = await SQL.order(transaction, id=order_id)
        if row is None:
            raise Unknown(f"order {order_id}")
        return order_view(context.master, row)

    @get("/{order_id:str}/timeline")
    async def timeline(
        self, request: ApiRequest, order_id: FromPath[str], limit: Limit = 200, cursor: Cursor = None
    ) -> Page[TimelineEntry]:
        """Show what happened to an order, in order."""
        key = decode(cursor)
        if key is not None and not (key[0].isdigit() and len(key[0]) < 19):
            raise bad_query("cursor", "this is no cursor of this list")
        async with context_of(request).database.tenant(request.user.tenant) as transaction:
            if not await SQL.exists(transaction, id=order_id):
                raise Unknown(f"order {order_id}")
            rows = await SQL.timeline(transaction, subject=order_id, after=int(key[0]) if key else None, limit=limit + 1)
        return page(rows, limit, _entry, lambda row: (str(row["id"]),))

    @post("/{order_id:str}/accept", status_code=202, guards=[staff])
    async def accept(self, request: ApiRequest, order_id: FromPath[str]) -> Response[OrderAnswer]:
        """Take a received order: it goes to the POS, then the platform is told."""
        return await self._act(request, order_id, "accept")

    @post("/{order_id:str}/reject", status_code=202, guards=[staff])
    async def reject(self, request: ApiRequest, order_id: FromPath[str], data: JSONBody[Reason | None] = None) -> Response[OrderAnswer]:
        """Refuse a received order."""
        return await self._act(request, order_id, "reject", data or Reason())

    @post("/{order_id:str}/preparing", status_code=202, guards=[staff])
    async def preparing(self, request: ApiRequest, order_id: FromPath[str]) -> Response[OrderAnswer]:
        """Tell the platform that the kitchen has begun; 409 where it does not want to know."""
        return await self._act(request, order_id, "preparing")

    @post("/{order_id:str}/ready", status_code=202, guards=[staff])
    async def ready(self, request: ApiRequest, order_id: FromPath[str]) -> Response[OrderAnswer]:
        """Tell the platform that the food is ready."""
        return await self._act(request, order_id, "ready")

    @post("/{order_id:str}/picked_up", status_code=202, guards=[staff])
    async def picked_up(self, request: ApiRequest, order_id: FromPath[str]) -> Response[OrderAnswer]:
        """Tell the platform that the food left; 409 where it does not want to know."""
        return await self._act(request, order_id, "picked_up")

    @post("/{order_id:str}/delay", status_code=202, guards=[staff])
    async def delay(self, request: ApiRequest, order_id: FromPath[str], data: JSONBody[Delay]) -> Response[OrderAnswer]:
        """Tell the platform a later time for an accepted order: `ready_at`, or `minutes` from now."""
        return await self._act(request, order_id, "delay", data)

    @post("/{order_id:str}/amend", status_code=202, guards=[staff])
    async def amend(self, request: ApiRequest, order_id: FromPath[str], data: JSONBody[Amend]) -> Response[OrderAnswer]:
        """Take lines out of an accepted order, or reduce them, at the platform; at the POS its staff does it."""
        return await self._act(request, order_id, "amend", data)

    @post("/{order_id:str}/cancel", status_code=202, guards=[staff])
    async def cancel(self, request: ApiRequest, order_id: FromPath[str], data: JSONBody[Reason | None] = None) -> Response[OrderAnswer]:
        """Take back an order that was accepted, at the platform and at the POS."""
        return await self._act(request, order_id, "cancel", data or Reason())

    @post("/{order_id:str}/resubmit", status_code=202, guards=[staff])
    async def resubmit(self, request: ApiRequest, order_id: FromPath[str]) -> Response[OrderAnswer]:
        """Send an order to the POS anew, under a new key: look there first, the hub can no longer tell the two apart."""
        return await self._act(request, order_id, "resubmit")

    @staticmethod
    async def _act(request: ApiRequest, order_id: str, action: str, given: Said = None) -> Response[OrderAnswer]:
        context, who = context_of(request), request.user
        said = checked(given) if given is not None else None
        day_key = await context.bodies.key(who.tenant)

        async def effect(transaction: Transaction) -> Written:
            row = await SQL.lock_order(transaction, id=order_id)
            if row is None:
                raise Unknown(f"order {order_id}")
            doing = order_actions.Doing(transaction, SQL, context.providers, context.master, day_key, who.user)
            wake = await order_actions.perform(doing, row, action, said)
            await record(transaction, who.tenant, who.user, f"order.{action}", order_id, correlation=correlation())
            fresh = await SQL.order(transaction, id=order_id)
            return Written(OrderAnswer(order_view(context.master, fresh)), wake)

        return await write(request, effect, status=202)
