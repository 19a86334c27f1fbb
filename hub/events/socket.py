"""One WebSocket, as the protocol that uvicorn's server hands an upgraded connection to.

It never reaches the ASGI app or Serve's request path: shedding, metrics and drain are its own and its door's. Everything is a
callback; a task lives only while a socket is let in, catches up from the table, or waits for its command.
"""

import asyncio
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs

import msgspec
import structlog
from websockets.frames import Opcode

from hub.events.batch import EVERYTHING, Batch, Place
from hub.events.feed import TenantFeed
from hub.events.frames import PING, SWITCHING, Inbound, Refused, close_frame, closing, pong_frame, shake_hands, text_frame
from hub.events.reader import BadCursor, ForgottenCursor, decode_cursor, encode_cursor
from hub.events.stream import BURST, FIRST_WORD_SECONDS, PER_SECOND, RETRY_SECONDS, Live, Said, filter_of
from hub.identity import tokens
from hub.identity.authenticate import authenticate
from hub.identity.principal import Denied, Principal
from hub.observe import metrics

if TYPE_CHECKING:
    from hub.events.door import StreamDoor

log = structlog.get_logger("hub.live")

BUFFERED = 64 * 1024
"""Bytes that may wait for a slow reader, in this process and again in the kernel; what comes then the feed keeps, once for all."""
PENDING = 64 * 1024
"""Bytes a client may say while its command is carried out."""
GOODBYE_SECONDS = 3.0
"""How long a close waits for the other side's."""
_UNAVAILABLE = (
    f"HTTP/1.1 503 Service Unavailable\r\nretry-after: {RETRY_SECONDS}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
).encode()


class Socket(asyncio.Protocol):
    """A client."""

    __slots__ = (
        "_after", "_allowance", "_busy", "_connections", "_counted_at", "_deaf", "_door", "_ended", "_feed", "_inbound", "_joined",
        "_live", "_paused", "_pending", "_strikes", "_task", "_transport", "_wanted", "_writable", "principal", "proof",
    )  # fmt: skip

    def __init__(self, door: "StreamDoor", connections: set[Any]) -> None:
        self._door, self._connections = door, connections
        self._live: Live = cast("Live", None)
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._inbound: Inbound | None = None
        self._feed: TenantFeed | None = None
        self._task: asyncio.Task[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._pending: deque[bytes] | None = None
        self._wanted = EVERYTHING
        self._after: Place = (0, 0)
        self._allowance, self._counted_at = float(BURST), 0.0
        self._strikes = 0
        self._busy = self._paused = self._joined = self._ended = self._deaf = False
        self.principal: Principal | None = None
        self.proof: bytes | str | None = None
        """What is looked at again: an API key's hash, or a token that names no session."""

    # What the server calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over from the HTTP protocol, and let go of its parser: the two hold each other."""
        self._transport = cast("asyncio.Transport", transport)
        before = self._transport.get_protocol()
        if getattr(before, "parser", None) is not None:
            before.parser = None  # type: ignore[attr-defined]
        self._transport.set_write_buffer_limits(BUFFERED, BUFFERED // 4)
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFERED)
        self._connections.add(self)
        self._door.sockets += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave everything."""
        self._connections.discard(self)
        self._door.sockets -= 1
        self._leave()
        if self._task is not None and not self._busy:
            self._task.cancel()
        self._pending = self._inbound = None

    def data_received(self, data: bytes) -> None:
        """Hear: the upgrade first, then frames."""
        if self._deaf:
            return
        if self._inbound is None:
            self._open(data)
            return
        try:
            for kind, payload in self._inbound.feed(data):
                self._hear(kind, payload)
                if self._deaf:
                    return
        except Refused as refused:
            self.end(refused.code, str(refused), deaf=True)

    def pause_writing(self) -> None:
        """Stop telling and hearing who does not read."""
        self._paused = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Tell what was kept meanwhile; what was not kept is left out, and said to be."""
        self._paused = False
        self._strikes = 0
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        if self._joined and self._feed is not None:
            if self._feed.covers(self._after):
                self._join()
            else:
                self._skip(self._feed)
        if not self._busy and not self._paused:
            self._transport.resume_reading()

    def shutdown(self) -> None:
        """End with 1012 (service restart): the server goes away, and the client resumes elsewhere."""
        self._door.closing = True
        self.end(1012, "come back with your last cursor")

    # Coming in.

    def _open(self, raw: bytes) -> None:
        if self._door.full:
            metrics.TURNED_AWAY.inc()
            self._turn_away(_UNAVAILABLE)
            return
        path, headers = _request(raw)
        token, subprotocol = _token(headers)
        status, answer = shake_hands(raw, subprotocol)
        if status != SWITCHING:
            self._turn_away(answer)
            return
        self._inbound = Inbound()
        cursor = parse_qs(path.partition("?")[2]).get("cursor", [""])[0]
        self._busy = True
        self._task = asyncio.get_running_loop().create_task(self._enter(answer, token, cursor))

    def _turn_away(self, answer: bytes) -> None:
        self._deaf = self._ended = True
        self._transport.write(answer)
        self._transport.close()

    async def _enter(self, answer: bytes, token: str, cursor: str) -> None:
        self._transport.write(answer)  # here, so that it mostly leaves together with the hello
        try:
            live = self._live = await self._door.live()
            principal = await authenticate(live.context, f"Bearer {token}" if token else None)
            after = decode_cursor(cursor) if cursor else None
            feed = await live.context.feeds.enter(principal.tenant)
        except Denied:
            self.end(4401, "authenticate")
            return
        except BadCursor as error:
            self.end(4400, str(error))
            return
        except Exception as error:
            self._fail(error)
            return
        finally:
            self._task, self._busy = None, False
        self._feed, self.principal = feed, principal
        if not principal.session:
            self.proof = tokens.digest(token) if token.startswith("hub_") else token
        self._after = feed.place if after is None else after
        if self._gone():
            self._leave()
            return
        live.add(self)
        self.say({"type": "hello", "cursor": encode_cursor(*self._after)})
        asyncio.get_running_loop().call_later(FIRST_WORD_SECONDS, self._begin)
        self._go_on()

    def _fail(self, error: Exception) -> None:
        log.warning("live.socket_failed", error=f"{type(error).__name__}: {error}")
        self.end(1011, "something went wrong here: come back with your last cursor")

    # Being told.

    def _begin(self) -> None:
        """Start telling events: at the client's first word, or when there has been none for a while."""
        if self._joined or self._task is not None or self._gone() or self._feed is None:
            return
        if self._feed.covers(self._after):
            self._join()
        else:
            self._task = asyncio.get_running_loop().create_task(self._catch_up(self._feed))

    async def _catch_up(self, feed: TenantFeed) -> None:
        """Read on from the cursor, page by page at the client's pace, up to what the feed has kept."""
        try:
            while not feed.covers(self._after):
                try:
                    page = await feed.page(self._after)
                except ForgottenCursor:
                    self._skip(feed)
                    break
                for batch in page.batches:
                    self._tell(batch)
                    if self._paused:
                        self._writable = asyncio.get_running_loop().create_future()
                        await self._writable
                self._after = max(self._after, page.until)
            self._join()
        except Exception as error:
            self._fail(error)
        finally:
            self._task = None

    def _skip(self, feed: TenantFeed) -> None:
        """Go on from now, and say that something was left out."""
        metrics.BEHIND.inc()
        self._after = max(self._after, feed.place)
        self.say({"type": "behind"})

    def _join(self) -> None:
        """Tell what the feed has kept, and be told what it finds. Nothing can happen in between."""
        if self._gone() or self._feed is None:
            return
        self._joined = True
        self._feed.listeners.add(self)
        for batch in self._feed.kept(self._after):
            if self._paused:
                return
            self._tell(batch)

    def offer(self, batch: Batch) -> bool:
        """Take what has just happened, unless something before it still waits."""
        return not self._paused and self._tell(batch)

    def _tell(self, batch: Batch) -> bool:
        wire = batch.wire(self._wanted, self._after)
        self._after = max(self._after, batch.last)
        if wire and not self._gone():
            self._transport.write(wire)
            return True
        return False

    def say(self, value: dict[str, Any]) -> None:
        """Say something of one's own."""
        if not self._gone():
            self._transport.write(text_frame(msgspec.json.encode(value)))

    def ping(self) -> None:
        """Ask whether the client is there; end it when it has not answered the last time, or has read nothing since."""
        if self._gone():
            return
        if self._strikes >= (2 if self._paused else 1):
            self.end(1011, "no answer to a ping")
            return
        self._strikes += 1
        if not self._paused:
            self._transport.write(PING)

    def check(self, ended: set[str], revoked: set[bytes]) -> None:
        """End when the session is over, the API key revoked or the token past its time."""
        over = self.principal is not None and (self.principal.session in ended or self.proof in revoked)
        if not over and isinstance(self.proof, str):
            try:
                tokens.read(self._live.context.master, self.proof)
            except Denied:
                over = True
        if over:
            self.end(4401, "authenticate")

    # Hearing.

    def _hear(self, kind: Opcode, payload: bytes) -> None:
        if kind is Opcode.CLOSE:
            self._bid_farewell(payload)
            return
        if self._ended:
            return
        self._count()
        if kind is Opcode.PONG:
            self._strikes = 0
        elif kind is Opcode.PING:
            self._transport.write(pong_frame(payload))
        elif kind is not Opcode.CONT:
            pending = self._pending if self._pending is not None else deque()
            pending.append(payload)
            if sum(map(len, pending)) > PENDING:
                raise Refused(1008, "wait for the results of your commands")
            self._pending = pending
            self._go_on()

    def _count(self) -> None:
        now = time.monotonic()
        self._allowance = min(BURST, self._allowance + (now - self._counted_at) * PER_SECOND) - 1
        self._counted_at = now
        if self._allowance < 0:
            raise Refused(1008, f"say at most {PER_SECOND} frames a second")

    def _go_on(self) -> None:
        """Answer what waits, up to a command: that one is carried out first."""
        while self._pending and not self._busy and not self._ended:
            said = self._pending.popleft()
            try:
                understood = msgspec.json.decode(said, type=Said)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                self.say({"type": "error", "detail": f"not understood: {error}"})
            else:
                self._answer(understood)
            self._begin()
        if not self._pending:
            self._pending = None

    def _answer(self, said: Said) -> None:
        if said.type == "ping":
            self.say({"type": "pong"})
        elif said.type == "subscribe":
            try:
                self._wanted = filter_of(said)
            except ValueError as error:
                self.say({"type": "error", "detail": str(error)})
        elif said.type == "command":
            self._busy = True
            self._transport.pause_reading()
            # A client that hangs up doesn't take a command back that is under way.
            self._door.keep(asyncio.get_running_loop().create_task(self._command(said)))
        else:
            self.say({"type": "error", "detail": f"unknown type {said.type!r}: subscribe, command or ping"})

    async def _command(self, said: Said) -> None:
        assert self.principal is not None
        result = await self._live.command(self.principal, said)
        self._busy = False
        self.say({"type": "result", "id": said.id, **result})
        self._go_on()
        if not self._busy and not self._paused:
            self._transport.resume_reading()

    # Going.

    def _gone(self) -> bool:
        return self._ended or self._transport.is_closing()

    def end(self, code: int, reason: str, *, deaf: bool = False) -> None:
        """Close with a code, and wait a little for the client's close; `deaf` hears nothing more of it."""
        self._deaf = self._deaf or deaf
        if self._gone():
            return
        self._transport.write(close_frame(code, reason))
        self._ended = True
        self._leave()
        self._transport.resume_reading()
        asyncio.get_running_loop().call_later(GOODBYE_SECONDS, self._transport.abort)

    def _bid_farewell(self, payload: bytes) -> None:
        code = closing(payload)
        if not self._ended:
            self._transport.write(close_frame(code))
            self._ended = True
        self._deaf = True
        self._leave()
        self._transport.close()

    def _leave(self) -> None:
        if self._feed is not None:
            feed, self._feed = self._feed, None
            feed.listeners.discard(self)
            self._live.discard(self)
            self._live.context.feeds.leave(feed)


def _request(raw: bytes) -> tuple[str, list[tuple[str, str]]]:
    """Path and headers of a request that the server has parsed before."""
    lines = raw.decode("latin-1").split("\r\n")
    path = lines[0].split(" ")[1] if lines[0].count(" ") >= 2 else ""
    headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:] if line)]
    return path, headers


def _token(headers: list[tuple[str, str]]) -> tuple[str, str | None]:
    """The token and the subprotocol to agree on: browsers end a socket whose offers were all passed over."""
    offered = [each.strip() for name, value in headers if name == "sec-websocket-protocol" for each in value.split(",")]
    for name, value in headers:
        if name == "authorization":
            scheme, _, token = value.partition(" ")
            if scheme.lower() == "bearer":
                return token.strip(), next((protocol for protocol in offered if not protocol.startswith("bearer.")), None)
    for protocol in offered:
        if protocol.startswith("bearer."):
            return protocol.removeprefix("bearer."), next((other for other in offered if not other.startswith("bearer.")), protocol)
    return "", None
