"""A small HTTP/1.1 client for the webhooks of simulated vendors: kept connections, one request at a time on each."""

import asyncio
import ssl
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import httptools


class NoAnswer(OSError):
    """The connection was refused or ended before an answer was whole."""


@dataclass(slots=True)
class Answered:
    """What the receiver answered."""

    status: int
    body: bytes


class _Line(asyncio.Protocol):
    """One connection to a receiver."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[Answered] | None = None
        self._body: list[bytes] = []

    @property
    def is_open(self) -> bool:
        """Tell whether another request may be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._fail(NoAnswer(str(error or "the receiver hung up")))

    def _fail(self, error: Exception) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.close()
            self._fail(NoAnswer(f"not HTTP: {error}"))

    def on_message_begin(self) -> None:
        self._body = []

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        status = int(self._parser.get_status_code())
        if status == 100:
            return
        if not self._parser.should_keep_alive():
            self.close()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(Answered(status, b"".join(self._body)))

    async def ask(self, request: bytes) -> Answered:
        """Send a request and wait for its answer."""
        assert self._transport is not None
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiter

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None


class Client:
    """Sends requests; a connection that nobody uses is kept."""

    def __init__(self) -> None:
        self._free: dict[tuple[str, int, bool], list[_Line]] = {}
        self._secure: ssl.SSLContext | None = None

    async def send(self, method: str, url: str, headers: dict[str, str], body: bytes, *, seconds: float) -> Answered:
        """Send once; raises NoAnswer, TimeoutError, or another OSError or ValueError for an address that leads nowhere."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not an http address: {url}")
        secure = parts.scheme == "https"
        place = (parts.hostname, parts.port or (443 if secure else 80), secure)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc.rpartition('@')[2]}", "User-Agent: simulated-vendor"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines.append(f"Content-Length: {len(body)}")
        request = "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + body
        async with asyncio.timeout(seconds):
            return await self._through(place, request)

    async def _through(self, place: tuple[str, int, bool], request: bytes) -> Answered:
        line = await self._line(place)
        try:
            answer = await line.ask(request)
        except BaseException:
            line.close()
            raise
        if line.is_open:
            self._free.setdefault(place, []).append(line)
        return answer

    async def _line(self, place: tuple[str, int, bool]) -> _Line:
        free = self._free.get(place, [])
        while free:
            line = free.pop()
            if line.is_open:
                return line
        host, port, secure = place
        if secure and self._secure is None:
            self._secure = ssl.create_default_context()
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(_Line, host, port, ssl=self._secure if secure else None)
        return made

    def close(self) -> None:
        """End every kept connection."""
        for lines in self._free.values():
            for line in lines:
                line.close()
        self._free.clear()
