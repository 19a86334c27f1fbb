"""A stream on a real port, tenants with events, and a client that keeps its cursor."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg
import uvicorn

from hub.database.pool import Database
from hub.events.door import StreamDoor
from hub.events.feed import Feeds
from hub.events.stream import Live
from hub.identity import tokens
from hub.identity.principal import Principal
from hub.ids import new_id
from hub.vault import MasterKeys

MASTER = MasterKeys({"k1": bytes(range(32))})
_INSERT = (
    "insert into hub.events (tenant_id, type, subject, location, data, correlation, at) values ($1, $2, $3, $4, $5, 'cor_x', hub.clock())"
)


@dataclass
class World:
    """Two tenants, a stream and its address."""

    database: Database
    feeds: Feeds
    url: str
    a: str
    b: str

    def token(self, tenant: str, session: str = "") -> str:
        """An access token of a tenant's manager."""
        return tokens.issue(MASTER, Principal(tenant, "usr_x", "manager", False, session))

    async def happen(self, tenant: str, subject: str, kind: str = "order.created", location: str = "", data: Any = None) -> None:
        """Commit one event."""
        async with self.database.tenant(tenant) as tx:
            await tx.execute(_INSERT, tenant, kind, subject, location, data or {"n": 1})

    @asynccontextmanager
    async def unfinished(self, url: str, tenant: str, subject: str) -> AsyncIterator[None]:
        """An event whose transaction stays open inside the block and commits at its end."""
        connection = await asyncpg.connect(url)
        try:
            async with connection.transaction():
                await connection.execute("select set_config('hub.tenant', $1, true)", tenant)
                await connection.execute(_INSERT, tenant, "order.created", subject, "", json.dumps({}))
                yield
        finally:
            await connection.close()

    @asynccontextmanager
    async def socket(self, tenant: str, *, cursor: str = "", token: str | None = None, **options: Any) -> AsyncIterator["Client"]:
        """Open a socket as a tenant."""
        headers = {"Authorization": f"Bearer {self.token(tenant) if token is None else token}"}
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(self.url + (f"?cursor={cursor}" if cursor else ""), headers=headers, **options) as socket,
        ):
            yield Client(socket)


class Client:
    """A socket that remembers its last cursor."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.cursor = ""

    async def frame(self, seconds: float = 5) -> dict[str, Any]:
        """The next frame; raises TimeoutError."""
        message = await self.socket.receive(timeout=seconds)
        assert message.type is aiohttp.WSMsgType.TEXT, (message, self.socket.close_code)
        frame: dict[str, Any] = json.loads(message.data)
        self.cursor = frame.get("cursor", self.cursor)
        return frame

    async def hello(self) -> dict[str, Any]:
        """The first frame."""
        frame = await self.frame()
        assert frame["type"] == "hello"
        return frame

    async def subjects(self, count: int) -> list[str]:
        """Subjects of the next events."""
        found = []
        while len(found) < count:
            frame = await self.frame()
            assert frame["type"] == "event", frame
            found.append(frame["event"]["subject"])
        return found

    async def silent(self, seconds: float = 0.5) -> bool:
        """Tell whether nothing comes for a while; ends the client's use."""
        try:
            await self.socket.receive(timeout=seconds)
        except TimeoutError:
            return True
        return False

    async def barrier(self) -> None:
        """Wait until all that was said has been heard."""
        await self.say(type="ping")
        while (await self.frame())["type"] != "pong":
            pass

    async def say(self, **frame: Any) -> None:
        """Say something."""
        await self.socket.send_str(json.dumps(frame))

    async def closed(self) -> int | None:
        """Wait for the close and return its code."""
        async with asyncio.timeout(5):
            while not self.socket.closed:
                await self.socket.receive()
        return self.socket.close_code


@asynccontextmanager
async def served(live: Live, *, most: int | None = None) -> AsyncIterator[str]:
    """Serve a stream on a free port, behind the door that a replica has."""
    async with served_door(live, most=most) as (url, _):
        yield url


@asynccontextmanager
async def served_door(live: Live, *, most: int | None = None) -> AsyncIterator[tuple[str, uvicorn.Server]]:
    """Serve a stream; yields its URL and the server."""

    async def build() -> tuple[Live, Any]:
        return live.start(), close

    async def close() -> None:
        live.close()

    door = StreamDoor(build, most)
    config = uvicorn.Config(door, host="127.0.0.1", port=0, log_config=None, lifespan="off", ws=door.protocol)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(10):
            while not server.started:
                await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/api/v1/stream", server
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, 10)
        await door.close()


async def add_tenant(database: Database) -> str:
    """Make a tenant."""
    tenant = new_id("ten")
    await database.execute("select hub.tenant_create($1, 'Test', false)", tenant)
    return tenant
