"""A WebSocket client of bare bytes: it can say what no library lets one say, and stop reading."""

import asyncio
import json
import os
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

TEXT, BINARY, CONT, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA


def masked(head: int, payload: bytes, *, size: int | None = None) -> bytes:
    """A client's frame; `size` lies about its length."""
    length = len(payload) if size is None else size
    if length < 126:
        start = struct.pack("!BB", head, 0x80 | length)
    elif length < 65536:
        start = struct.pack("!BBH", head, 0x80 | 126, length)
    else:
        start = struct.pack("!BBQ", head, 0x80 | 127, length)
    mask = os.urandom(4)
    return start + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


class Raw:
    """A connection; it reads only when asked."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.head = b""

    async def upgrade(self, path: str, token: str = "", **headers: str) -> int:
        """Ask for an upgrade and return the status."""
        given = {
            "host": "hub", "upgrade": "websocket", "connection": "keep-alive, Upgrade", "sec-websocket-version": "13",
            "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-extensions": "permessage-deflate; client_max_window_bits",
            **({"authorization": f"Bearer {token}"} if token else {}), **{name.replace("_", "-"): value for name, value in headers.items()},
        }  # fmt: skip
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
        self.writer.write(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        self.head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        return int(self.head.split(b" ")[1])

    def say(self, head: int, payload: bytes = b"", *, size: int | None = None) -> None:
        """Send a masked frame; `head` is its first byte."""
        self.writer.write(masked(head, payload, size=size))

    async def hear(self, seconds: float = 10) -> tuple[int, bytes]:
        """First byte and payload of the next frame; raises IncompleteReadError at the end."""
        async with asyncio.timeout(seconds):
            head, length = await self.reader.readexactly(2)
            if length == 126:
                (length,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return head, await self.reader.readexactly(length)

    async def frames(self, count: int) -> list[dict[str, Any]]:
        """The next JSON frames; pings are answered."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            head, payload = await self.hear()
            if head == 0x80 | PING:
                self.say(0x80 | PONG, payload)
                continue
            assert head == 0x80 | TEXT, (head, payload)
            found.append(json.loads(payload))
        return found

    async def closed(self) -> int:
        """The code of the close, past whatever comes before."""
        async with asyncio.timeout(10):
            while True:
                head, payload = await self.hear()
                if head == 0x80 | CLOSE:
                    return int.from_bytes(payload[:2], "big")


@asynccontextmanager
async def raw_socket(url: str, *, window: int = 0) -> AsyncIterator[Raw]:
    """Connect to where a stream is served; a small `window` makes a slow reader felt soon."""
    place = urlsplit(url)
    bare = socket.socket()
    if window:
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    bare.setblocking(False)
    await asyncio.get_running_loop().sock_connect(bare, (place.hostname, place.port))
    reader, writer = await asyncio.open_connection(sock=bare, limit=2 * window or 1 << 16)
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()


async def until(true: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until something is true; raises TimeoutError."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError
        await asyncio.sleep(0.02)
