"""The stream's door: it gives uvicorn's server the protocol for upgraded connections, and knows when the house is full or closing.

Elsewhere upgrades are turned away (`closed_door`, and `RefuseUpgrades` behind it): a process without a stream would carry them to
one that has, at ten times the cost, for as long as they live.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from hub.events.socket import Socket
from hub.events.stream import RETRY_SECONDS, Live, most_sockets
from hub.ingress.replies import Receive, Scope, Send, problem

App = Callable[[Scope, Receive, Send], Awaitable[None]]
Build = Callable[[], Awaitable[tuple[Live, Callable[[], Awaitable[None]]]]]


class StreamDoor:
    """Where sockets come in: `uvicorn.Config(app, ws=door.protocol)`. What they work with is built by the first of them."""

    def __init__(self, build: Build, most: int | None = None) -> None:
        self._build = build
        self._built: tuple[Live, Callable[[], Awaitable[None]]] | None = None
        self._building: asyncio.Lock | None = None
        self._kept: set[asyncio.Task[None]] = set()
        self._most = most_sockets() if most is None else most
        self.sockets = 0
        self.closing = False

    @property
    def full(self) -> bool:
        """Tell whether nobody more may come in."""
        return self.closing or self.sockets > self._most

    def protocol(self, config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> Socket:
        """A protocol for one upgraded connection, called as uvicorn calls its WebSocket protocols."""
        return Socket(self, server_state.connections)

    async def live(self) -> Live:
        """What sockets work with; raises what building it raises, and is built anew the next time then."""
        if self._built is None:
            if self._building is None:
                self._building = asyncio.Lock()
            async with self._building:
                if self._built is None:
                    self._built = await self._build()
        return self._built[0]

    def keep(self, work: asyncio.Task[None]) -> None:
        """Hold a task that outlives its socket."""
        self._kept.add(work)
        work.add_done_callback(self._kept.discard)

    async def close(self) -> None:
        """Let commands under way end, and close what was built."""
        self.closing = True
        if self._kept:
            await asyncio.wait(self._kept, timeout=5)
        if self._built is not None:
            await self._built[1]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI beside the door: plain HTTP is told to upgrade."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await problem(send, 426, "Upgrade required", "this address speaks WebSocket", headers={"upgrade": "websocket"})
        else:
            await refuse(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            ends = message["type"] == "lifespan.shutdown"
            if ends:
                await self.close()
            await send({"type": f"{message['type']}.complete"})
            if ends:
                return


def closed_door() -> StreamDoor:
    """A door for processes without a stream: it answers an upgrade before any app sees it, with 503 and when to come again."""

    async def nothing() -> NoReturn:
        raise RuntimeError("there is no stream in this process")

    door = StreamDoor(nothing)
    door.closing = True
    return door


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer an upgrade with 503 and when to come again."""
    await receive()
    if "websocket.http.response" in scope.get("extensions", {}):
        headers = [(b"retry-after", str(RETRY_SECONDS).encode()), (b"content-length", b"0")]
        await send({"type": "websocket.http.response.start", "status": 503, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b""})
    else:
        await send({"type": "websocket.close", "code": 1013})


class RefuseUpgrades:
    """Middleware of every process that serves HTTP: a WebSocket that gets this far came to one without a door.

    That is Serve's own proxy, which HAProxy falls back to when a replica dies: sockets opened there would stay there.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass HTTP on."""
        if scope["type"] == "websocket":
            await refuse(scope, receive, send)
        else:
            await self._app(scope, receive, send)
