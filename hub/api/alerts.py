"""/alerts: what a person should look at."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath, QueryParameter

from hub.api.correlation import correlation
from hub.api.guard import staff
from hub.api.pages import Cursor, Limit, Page, after, by_id, page
from hub.api.writes import ApiRequest, Written, context_of, write
from hub.audit import record
from hub.database.pool import Transaction
from hub.database.queries import load_queries
from hub.tenancy import Unknown

SQL: Any = load_queries(Path(__file__).with_name("alerts.sql"))


class AlertView(msgspec.Struct, frozen=True):
    """Something a person should look at; `count` says how often it came."""

    id: str
    kind: str
    severity: str
    subject: str
    detail: str
    count: int
    raised_at: datetime
    seen_at: datetime
    acknowledged_at: datetime | None
    cleared_at: datetime | None


class Alerts(Controller):
    """What a person should look at."""

    path = "/alerts"
    tags = ["feed"]  # noqa: RUF012 - Litestar's way

    @get()
    async def list_alerts(
        self,
        request: ApiRequest,
        wanted: Annotated[Literal["open", "cleared", "all"], QueryParameter(name="state")] = "open",
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[AlertView]:
        """List alerts, newest first."""
        async with context_of(request).database.tenant(request.user.tenant) as transaction:
            if wanted == "open":
                rows = await SQL.open_alerts(transaction, after=after(cursor), limit=limit + 1)
            else:
                rows = await SQL.alerts(transaction, cleared=wanted == "cleared", after=after(cursor), limit=limit + 1)
        return page(rows, limit, lambda row: msgspec.convert(dict(row), AlertView), by_id)

    @post("/{alert_id:str}/acknowledge", status_code=200, guards=[staff])
    async def acknowledge(self, request: ApiRequest, alert_id: FromPath[str]) -> Response[AlertView]:
        """Say that somebody looks after it; it stays open until its cause is gone."""
        who = request.user

        async def effect(transaction: Transaction) -> Written:
            row = await SQL.acknowledge(transaction, id=alert_id)
            if row is None:
                raise Unknown(f"alert {alert_id}")
            await record(transaction, who.tenant, who.user, "alert.acknowledge", alert_id, correlation=correlation())
            return Written(msgspec.convert(dict(row), AlertView))

        return await write(request, effect)
