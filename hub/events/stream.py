"""`/api/v1/stream`: a tenant's events over a WebSocket, resumed by cursor; commands back."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import msgspec
import structlog

from hub.database.pool import Database
from hub.events.feed import Feeds, Frame, Subscription
from hub.events.reader import BadCursor, decode_cursor
from hub.identity.authenticate import authenticate
from hub.identity.principal import Denied, Principal
from hub.ingress.replies import Receive, Scope, Send, problem
from hub.observe import metrics
from hub.vault import MasterKeys

log = structlog.get_logger("hub.live")

LARGEST_FRAME = 16 * 1024
"""Bytes a client may say at once."""
BURST, PER_SECOND = 100, 20
"""Frames a client may say at once, and in the long run."""
FIRST_WORD_SECONDS = 0.1
"""How long events wait for the client's `subscribe`, so that a resume starts with its filter."""
CHECK_SECONDS = 60.0
"""How often a socket's session or API key is looked at again."""

TOPICS = {
    "orders": "order.",
    "stock": "stock.",
    "stores": "store.",
    "menus": "menu.",
    "connections": "connection.",
    "alerts": "alert.",
}
COMMANDS = frozenset(
    {
        "order.accept", "order.reject", "order.preparing", "order.ready", "order.picked_up", "order.delay", "order.amend", "order.cancel",
    }
)  # fmt: skip

Command = Callable[[Principal, str, str, dict[str, Any]], Awaitable[dict[str, Any]]]
"""Carries out a client's command (principal, name, order, arguments) and returns what to show."""


class CommandRefused(Exception):
    """A command cannot be carried out; the message says why."""


class Said(msgspec.Struct):
    """What a client may say."""

    type: str
    id: str | int | None = None
    topics: list[str] | None = None
    locations: list[str] | None = None
    name: str = ""
    order: str = ""
    arguments: dict[str, Any] = {}


@dataclass(frozen=True)
class LiveContext:
    """What the stream works with. Without `command`, commands are answered as not available."""

    database: Database
    master: MasterKeys
    feeds: Feeds
    command: Command | None = None
    check_seconds: float = CHECK_SECONDS


class _Ended(Exception):
    """The server ends the socket with a close code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class _Filter:
    """What a socket wants: everything, until it subscribes."""

    def __init__(self) -> None:
        self.prefixes: tuple[str, ...] = ()
        self.locations: frozenset[str] = frozenset()

    def __call__(self, frame: Frame) -> bool:
        if self.prefixes and not frame.type.startswith(self.prefixes):
            return False
        return not self.locations or frame.location is None or frame.location in self.locations


class Live:
    """Bare ASGI: one WebSocket a call."""

    def __init__(self, context: LiveContext) -> None:
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a socket; anything else is told to open one. 4401: who are you; 4400: no cursor of ours; 1009, 1008: too much."""
        if scope["type"] != "websocket":
            if scope["type"] == "http":
                await problem(send, 426, "Upgrade required", "this address speaks WebSocket", headers={"upgrade": "websocket"})
            return
        await receive()
        token, protocol = _token(scope)
        await send({"type": "websocket.accept", "subprotocol": protocol})
        given = parse_qs(scope["query_string"].decode("latin-1")).get("cursor", [""])[0]
        metrics.SOCKETS.inc()
        try:
            principal = await authenticate(self._context, f"Bearer {token}" if token else None)
            if given:
                decode_cursor(given)
            wanted = _Filter()
            async with self._context.feeds.subscribe(principal.tenant, given, wanted) as subscription:
                await _Socket(self._context, principal, token, wanted, subscription, receive, send).run()
        except Denied:
            await _close(send, 4401, "authenticate")
        except BadCursor as error:
            await _close(send, 4400, str(error))
        except _Ended as ended:
            await _close(send, ended.code, str(ended))
        except Exception as error:
            log.warning("live.socket_failed", error=f"{type(error).__name__}: {error}")
            await _close(send, 1011, "something went wrong here: come back with your last cursor")
        finally:
            metrics.SOCKETS.dec()


class _Socket:
    """An accepted socket."""

    def __init__(
        self,
        context: LiveContext,
        principal: Principal,
        token: str,
        wanted: _Filter,
        subscription: Subscription,
        receive: Receive,
        send: Send,
    ) -> None:
        self._context, self._principal, self._token = context, principal, token
        self._wanted, self._subscription, self._receive, self._send = wanted, subscription, receive, send
        self._first_word = asyncio.Event()
        self._allowance, self._counted_at = float(BURST), time.monotonic()

    async def run(self) -> None:
        """Serve until one side ends it; raises _Ended, Denied and what sending raises."""
        tasks = [asyncio.create_task(work) for work in (self._write(), self._read(), self._check())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _say(self, value: dict[str, Any]) -> None:
        await self._send({"type": "websocket.send", "text": msgspec.json.encode(value).decode()})

    async def _write(self) -> None:
        await self._say({"type": "hello", "cursor": self._subscription.cursor})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._first_word.wait(), FIRST_WORD_SECONDS)
        async with contextlib.aclosing(self._subscription.frames()) as frames:
            async for frame in frames:
                if frame is None:
                    metrics.BEHIND.inc()
                    await self._say({"type": "behind"})
                else:
                    metrics.FRAMES.inc()
                    await self._send({"type": "websocket.send", "text": frame.text})

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return
            said: bytes = message.get("bytes") or (message.get("text") or "").encode()
            if len(said) > LARGEST_FRAME:
                raise _Ended(1009, f"say at most {LARGEST_FRAME} bytes at once")
            self._count()
            try:
                understood = msgspec.json.decode(said, type=Said)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                await self._say({"type": "error", "detail": f"not understood: {error}"})
            else:
                await self._answer(understood)
            self._first_word.set()

    def _count(self) -> None:
        now = time.monotonic()
        self._allowance = min(BURST, self._allowance + (now - self._counted_at) * PER_SECOND) - 1
        self._counted_at = now
        if self._allowance < 0:
            raise _Ended(1008, f"say at most {PER_SECOND} frames a second")

    async def _answer(self, said: Said) -> None:
        if said.type == "ping":
            await self._say({"type": "pong"})
        elif said.type == "subscribe":
            unknown = sorted(set(said.topics or ()) - set(TOPICS))
            if unknown:
                await self._say({"type": "error", "detail": f"unknown topics {', '.join(unknown)}; known are {', '.join(TOPICS)}"})
                return
            self._wanted.prefixes = tuple(TOPICS[topic] for topic in said.topics or ())
            self._wanted.locations = frozenset(said.locations or ())
        elif said.type == "command":
            await self._say({"type": "result", "id": said.id, **await self._command(said)})
        else:
            await self._say({"type": "error", "detail": f"unknown type {said.type!r}: subscribe, command or ping"})

    async def _command(self, said: Said) -> dict[str, Any]:
        if said.name not in COMMANDS:
            return {"ok": False, "detail": f"unknown command {said.name!r}; known are {', '.join(sorted(COMMANDS))}"}
        if self._context.command is None:
            return {"ok": False, "detail": "not available: commands go to the HTTP API here"}
        try:
            # A client that hangs up doesn't take a command back that is under way.
            work = asyncio.ensure_future(self._context.command(self._principal, said.name, said.order, said.arguments))
            return {"ok": True, "result": await asyncio.shield(work)}
        except CommandRefused as error:
            return {"ok": False, "detail": str(error)}
        except Exception as error:
            log.exception("live.command_failed", name=said.name, error=type(error).__name__)
            return {"ok": False, "detail": "the command failed here: look at the order, then try again"}

    async def _check(self) -> None:
        """End a socket whose session is over or whose API key is revoked; a database that doesn't answer ends nothing."""
        while True:
            await asyncio.sleep(self._context.check_seconds)
            try:
                if not self._principal.session:
                    await authenticate(self._context, f"Bearer {self._token}")
                elif not await self._context.database.fetchval("select hub.session_alive($1)", self._principal.session):
                    raise Denied("the session is over")
            except Denied:
                raise
            except Exception as error:
                log.warning("live.unchecked", error=f"{type(error).__name__}: {error}")


async def _close(send: Send, code: int, reason: str) -> None:
    with contextlib.suppress(Exception):
        await send({"type": "websocket.close", "code": code, "reason": reason.encode()[:120].decode("utf-8", "ignore")})


def _token(scope: Scope) -> tuple[str, str | None]:
    """The token and the subprotocol to agree on: browsers end a socket whose offers were all passed over."""
    offered: list[str] = list(scope.get("subprotocols") or ())
    for name, value in scope["headers"]:
        if name.lower() == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            if scheme.lower() == "bearer":
                return token.strip(), next((protocol for protocol in offered if not protocol.startswith("bearer.")), None)
    for protocol in offered:
        if protocol.startswith("bearer."):
            return protocol.removeprefix("bearer."), next((other for other in offered if not other.startswith("bearer.")), protocol)
    return "", None
