"""/health/live, /health/ready and /metrics, as a bare ASGI app: they answer when little else does."""

import asyncio
import hmac
import ipaddress
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from hub.ingress.replies import Receive, Scope, Send, headers_of, problem, reply
from hub.observe.metrics import render

Check = Callable[[], Awaitable[str]]
"""Says in a few words how a dependency is; raises when it is not well."""

_PATIENCE = 3.0
_FIGURES_KEPT = 1.0


class Figures(Protocol):
    """The part of hub.database.Database that the figures need."""

    async def fetchrow(self, query: str, *args: Any) -> Any:
        """First row as a mapping, or None."""
        ...


class OperationsContext(msgspec.Struct, frozen=True, kw_only=True):
    """What Operations looks at.

    A failed check of `vital` makes the hub not ready (503); a failed one of `helpful` is shown as degraded (200): losing Redis or,
    for a while, the Supervisor must not take the ingress away. With `trust_loopback` a caller on a loopback address reads /metrics
    without the token: set it only where no proxy on the same machine brings in strangers.
    """

    database: Figures
    vital: Mapping[str, Check]
    helpful: Mapping[str, Check] = {}
    metrics_token: str = ""
    trust_loopback: bool = False


class Operations:
    """The ASGI app."""

    def __init__(self, context: OperationsContext) -> None:
        self._context = context
        self._figures: tuple[float, Mapping[str, Any] | None] = (-_FIGURES_KEPT, None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; GET and HEAD only."""
        path = scope["path"].rstrip("/")
        if scope["method"] not in ("GET", "HEAD"):
            await problem(send, 405, "Method not allowed", "read with GET", headers={"allow": "GET, HEAD"})
        elif path == "/health/live":
            await reply(send, 200, b'{"status":"live"}')
        elif path == "/health/ready":
            await self._ready(send)
        elif path == "/metrics":
            await self._metrics(scope, send)
        else:
            await problem(send, 404, "Not found", "there is /health/live, /health/ready and /metrics")

    async def _ready(self, send: Send) -> None:
        names = [*self._context.vital, *self._context.helpful]
        checks = [*self._context.vital.values(), *self._context.helpful.values()]
        found = dict(zip(names, await asyncio.gather(*map(_look, checks)), strict=True))
        well = all(found[name]["state"] == "ok" for name in self._context.vital)
        fully = all(item["state"] == "ok" for item in found.values())
        status = "ready" if fully else "degraded" if well else "not ready"
        await reply(send, 200 if well else 503, msgspec.json.encode({"status": status, "dependencies": found}))

    async def _metrics(self, scope: Scope, send: Send) -> None:
        if not self._may_read(scope):
            detail = "read this from the hub's own machine, or send the metrics token as Authorization: Bearer"
            await problem(send, 403, "Forbidden", detail)
            return
        await reply(send, 200, render(await self._figures_now()), "text/plain; version=0.0.4; charset=utf-8")

    def _may_read(self, scope: Scope) -> bool:
        headers = headers_of(scope)
        token = self._context.metrics_token
        given = headers.get("authorization", "")
        if token and hmac.compare_digest(given.encode("latin-1", "replace"), f"Bearer {token}".encode()):
            return True
        if not self._context.trust_loopback or "x-forwarded-for" in headers or "forwarded" in headers:
            return False
        try:
            return ipaddress.ip_address((scope.get("client") or ("",))[0]).is_loopback
        except ValueError:
            return False

    async def _figures_now(self) -> Mapping[str, Any] | None:
        read_at, figures = self._figures
        if time.monotonic() - read_at < _FIGURES_KEPT:
            return figures
        try:
            async with asyncio.timeout(_PATIENCE):
                figures = await self._context.database.fetchrow("select * from hub.operator_figures()")
        except Exception:
            figures = None
        self._figures = (time.monotonic(), figures)
        return figures


async def _look(check: Check) -> dict[str, str]:
    try:
        async with asyncio.timeout(_PATIENCE):
            return {"state": "ok", "detail": await check()}
    except TimeoutError:
        return {"state": "down", "detail": f"no answer within {_PATIENCE:g} s"}
    except Exception as error:
        return {"state": "down", "detail": type(error).__name__ if not isinstance(error, NotWell) else str(error)}


class NotWell(Exception):
    """A dependency answers but is not as it must be; the message may be shown to anybody."""


def postgres_check(database: Figures) -> Check:
    """Check that PostgreSQL answers and commits durably."""

    async def check() -> str:
        names = ("fsync", "full_page_writes", "synchronous_commit")
        row = await database.fetchrow("select " + ", ".join(f"current_setting('{name}') as {name}" for name in names))
        off = [name for name in names if row is not None and row[name] == "off"]
        if off:
            raise NotWell(f"{', '.join(off)} is off: a stored order would not survive a crash; turn it on")
        return "answers"

    return check


def migrations_check(pending: Callable[[], Awaitable[Sequence[str]]], *, kept: float = 30.0) -> Check:
    """Check that no migration is missing; a good answer is kept for `kept` seconds."""
    good_until = 0.0

    async def check() -> str:
        nonlocal good_until
        if time.monotonic() >= good_until:
            missing = await pending()
            if missing:
                raise NotWell(f"run `hub migrate`: {', '.join(missing)} missing")
            good_until = time.monotonic() + kept
        return "up to date"

    return check


def redis_check(ping: Callable[[], Awaitable[object]]) -> Check:
    """Check that Redis answers. Without it nothing is lost; live events come up to a second later."""

    async def check() -> str:
        await ping()
        return "answers"

    return check


def supervision_check(find: Callable[[], object]) -> Check:
    """Check that the Supervisor is there; `find` may block, and raises or returns None when it isn't."""

    async def check() -> str:
        if await asyncio.to_thread(find) is None:
            raise NotWell("the Supervisor is not there: connections stay where they are until it is back")
        return "there"

    return check


def owners_check(database: Figures, *, patience: float = 60.0) -> Check:
    """Check that no active connection has work that nobody took for `patience` seconds; paused and suspended ones may wait."""

    async def check() -> str:
        query = (
            "select count(*) as connections, coalesce(sum(d.ready), 0) as ready"
            " from hub.due_connections($1) d join hub.connections_to_place() c using (connection) where c.status = 'active'"
        )
        row = await database.fetchrow(query, patience)
        if row is not None and row["connections"]:
            raise NotWell(f"{row['ready']} messages of {row['connections']} connections wait for more than {patience:g} s")
        return "keeping up"

    return check
