"""An answer leaves as one piece: uvicorn (0.54) writes head and body apart, uvloop sends each at once, and HAProxy reads twice."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Together:
    """A transport that joins what is written within one step of the event loop."""

    __slots__ = ("_loop", "_parts", "bare", "is_closing")

    def __init__(self, bare: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.bare, self._loop = bare, loop
        self.is_closing = bare.is_closing
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bare, name)

    def write(self, data: bytes) -> None:
        """Write with what else is written in this step."""
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(data)

    def flush(self) -> None:
        """Write now what waits."""
        if self._parts:
            parts, self._parts = self._parts, []
            self.bare.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def close(self) -> None:
        """Write what waits, then close."""
        self.flush()
        self.bare.close()


class TogetherProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol over such a transport; a WebSocket gets the bare one."""

    def connection_made(self, transport: Any) -> None:
        """Wrap the transport."""
        super().connection_made(Together(transport, self.loop))  # type: ignore[arg-type]  # it has a transport's methods

    def handle_websocket_upgrade(self) -> None:
        """Hand the bare transport on."""
        if isinstance(self.transport, Together):
            self.transport.flush()
            self.transport = self.transport.bare
        super().handle_websocket_upgrade()
