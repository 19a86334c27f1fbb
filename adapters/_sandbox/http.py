"""A small HTTP/1.1 server for the simulated vendors: they share the machine with the hub that they help to measure."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast
from urllib.parse import parse_qsl, unquote

import httptools

from adapters._sandbox.calls import Answer

BODY_LIMIT = 32 * 1024 * 1024
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_BARE = frozenset({204, 304})


@dataclass(slots=True)
class Asked:
    """One request: path percent-decoded, header names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def origin(self) -> str:
        """Where the caller reached this server."""
        return f"{self.headers.get('x-forwarded-proto', 'http')}://{self.headers.get('host', '')}"


Handler = Callable[[Asked], Awaitable[Answer | None]]
"""Answers a request; None hangs up without an answer."""


class _Connection(asyncio.Protocol):
    """One client's connection; its requests are answered one after the other."""

    def __init__(self, handler: Handler, open_ones: "set[_Connection]") -> None:
        self._handler, self._open = handler, open_ones
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Asked, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._size = 0
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._open.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        # What was asked takes effect though nobody hears the answer: the task goes on.
        self._transport = None
        self._open.discard(self)

    def abort(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400)
        except httptools.HttpParserError:
            self._refuse(400)

    def _refuse(self, status: int) -> None:
        if self._transport is not None:
            self._write(Answer(status), "GET", keep=False)

    # What the parser tells

    def on_message_begin(self) -> None:
        self._target, self._headers, self._body, self._size = b"", {}, [], 0

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("utf-8", "surrogateescape")

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size <= BODY_LIMIT:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._size > BODY_LIMIT:
            self._refuse(413)
            return
        path, _, query = self._target.decode("latin-1").partition("?")
        asked = Asked(
            self._parser.get_method().decode(),
            unquote(path) if "%" in path else path,
            dict(parse_qsl(query, keep_blank_values=True)) if query else {},
            self._headers,
            b"".join(self._body),
        )
        self._waiting.append((asked, self._parser.should_keep_alive()))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._answer())

    async def _answer(self) -> None:
        try:
            while self._waiting:
                asked, keep = self._waiting.popleft()
                answer = await self._handler(asked)
                if self._transport is None:
                    continue
                if answer is None:
                    self._transport.abort()
                else:
                    self._write(answer, asked.method, keep=keep)
        finally:
            self._task = None

    def _write(self, answer: Answer, method: str, *, keep: bool) -> None:
        assert self._transport is not None
        payload, kind = answer.payload()
        head = [f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Unknown')}"]
        if "Content-Type" not in answer.headers:
            head.append(f"Content-Type: {kind}")
        head += [f"{name}: {value}" for name, value in answer.headers.items()]
        if answer.status not in _BARE:
            head.append(f"Content-Length: {len(payload)}")
        if not keep:
            head.append("Connection: close")
        text = "\r\n".join(head).encode("utf-8", "surrogateescape") + b"\r\n\r\n"
        self._transport.write(text if method == "HEAD" or answer.status in _BARE else text + payload)
        if not keep:
            self._transport.close()


class Server:
    """Listens until it is closed."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port (0 takes a free one). Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self._handler, self._connections), host, port, backlog=1024)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and hang up on everybody."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.abort()
        if self._server is not None:
            await self._server.wait_closed()
