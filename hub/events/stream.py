"""`/api/v1/stream`: a tenant's events over a WebSocket, resumed by cursor; commands back."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import msgspec
import structlog

from hub.database.pool import Database
from hub.events.feed import Feeds, Frame, Subscriber
from hub.events.reader import BadCursor, decode_cursor, latest_cursor
from hub.identity.authenticate import authenticate
from hub.identity.principal import Denied, Principal
from hub.ingress.replies import Receive, Scope, Send, problem
from hub.observe import metrics
from hub.vault import MasterKeys

log = structlog.get_logger("hub.live")

LARGEST_FRAME = 16 * 1024
TOPICS = {
    "orders": ("order.",),
    "stock": ("stock.",),
    "stores": ("store.",),
    "menus": ("menu.",),
    "connections": ("connection.",),
    "alerts": ("alert.",),
}

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
    """What the stream works with."""

    database: Database
    master: MasterKeys
    feeds: Feeds
    command: Command | None = None


class _Filter:
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
        """Serve a socket; anything else is told to open one."""
        if scope["type"] != "websocket":
            if scope["type"] == "http":
                await problem(send, 426, "Upgrade required", "this address speaks WebSocket", headers={"upgrade": "websocket"})
            return
        await receive()
        token, protocol = _token(scope)
        try:
            principal = await authenticate(self._context, f"Bearer {token}" if token else None)
        except Denied:
            await send({"type": "websocket.accept", "subprotocol": protocol})
            await send({"type": "websocket.close", "code": 4401, "reason": "authenticate"})
            return
        given = parse_qs(scope["query_string"].decode("latin-1")).get("cursor", [""])[0]
        await send({"type": "websocket.accept", "subprotocol": protocol})
        try:
            if given:
                decode_cursor(given)
        except BadCursor as error:
            await send({"type": "websocket.close", "code": 4400, "reason": str(error)[:120]})
            return
        metrics.SOCKETS.inc()
        try:
            await self._serve(principal, given, receive, send)
        finally:
            metrics.SOCKETS.dec()

    async def _serve(self, principal: Principal, given: str, receive: Receive, send: Send) -> None:
        feed = self._context.feeds.feed(principal.tenant)
        wanted = _Filter()
        subscriber = Subscriber(wanted)
        if given:
            missed = await feed.join(subscriber, given)
            place = given
        else:
            async with self._context.database.tenant(principal.tenant) as transaction:
                place = await latest_cursor(transaction, principal.tenant)
            missed = await feed.join(subscriber, place)
        lock = asyncio.Lock()

        async def say(value: dict[str, Any]) -> None:
            async with lock:
                await send({"type": "websocket.send", "text": msgspec.json.encode(value).decode()})

        async def write() -> None:
            await say({"type": "hello", "cursor": place})
            for frame in missed:
                if wanted(frame):
                    async with lock:
                        await send({"type": "websocket.send", "text": frame.text})
            while True:
                frame_or_none = await subscriber.queue.get()
                if frame_or_none is None:
                    metrics.BEHIND.inc()
                    await say({"type": "behind"})
                    subscriber.behind = False
                    continue
                metrics.FRAMES.inc()
                async with lock:
                    await send({"type": "websocket.send", "text": frame_or_none.text})

        writer = asyncio.create_task(write())
        reader = asyncio.create_task(self._listen(principal, wanted, receive, send, say))
        try:
            await asyncio.wait({writer, reader}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writer, reader):
                task.cancel()
            await asyncio.gather(writer, reader, return_exceptions=True)
            await feed.leave(subscriber)

    async def _listen(
        self,
        principal: Principal,
        wanted: _Filter,
        receive: Receive,
        send: Send,
        say: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text") or (message.get("bytes") or b"").decode("utf-8", "replace")
            if len(text) > LARGEST_FRAME:
                with contextlib.suppress(Exception):
                    await send({"type": "websocket.close", "code": 1009, "reason": "frame too large"})
                return
            try:
                said = msgspec.json.decode(text, type=Said)
            except msgspec.DecodeError as error:
                await say({"type": "error", "detail": f"not understood: {error}"})
                continue
            await self._answer(principal, wanted, said, say)

    async def _answer(self, principal: Principal, wanted: _Filter, said: Said, say: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        if said.type == "ping":
            await say({"type": "pong"})
        elif said.type == "subscribe":
            unknown = sorted(set(said.topics or []) - set(TOPICS))
            if unknown:
                await say({"type": "error", "detail": f"unknown topics {', '.join(unknown)}; known are {', '.join(TOPICS)}"})
                return
            wanted.prefixes = tuple(prefix for topic in said.topics or [] for prefix in TOPICS[topic])
            wanted.locations = frozenset(said.locations or [])
            await say({"type": "subscribed", "topics": said.topics or sorted(TOPICS), "locations": said.locations or []})
        elif said.type == "command":
            await say({"type": "result", "id": said.id, **await self._command(principal, said)})
        else:
            await say({"type": "error", "detail": f"unknown type {said.type!r}: subscribe, command or ping"})

    async def _command(self, principal: Principal, said: Said) -> dict[str, Any]:
        if self._context.command is None:
            return {"ok": False, "detail": "commands are not available here: use the HTTP API"}
        try:
            return {"ok": True, **await self._context.command(principal, said.name, said.order, said.arguments)}
        except CommandRefused as error:
            return {"ok": False, "detail": str(error)}


def _token(scope: Scope) -> tuple[str, str | None]:
    for name, value in scope["headers"]:
        if name.lower() == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            if scheme.lower() == "bearer":
                return token.strip(), None
    for protocol in scope.get("subprotocols", []):
        if protocol.startswith("bearer."):
            return protocol.removeprefix("bearer."), protocol
    return "", None
