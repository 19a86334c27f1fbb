"""A few database connections for the mailboxes of a process: each is held for the length of a turn, then it is the next owner's."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

import asyncpg

from hub.clock import monotonic
from hub.database.pool import connect

IDLE_SECONDS = 15.0
"""A connection that nobody used for so long is closed: the server's are few, and most owners are idle."""
CROWDED_SECONDS = 5.0
"""How long a process without any connection waits for one while its role has used up its limit."""


class Sessions:
    """Up to `most` connections, opened when they are needed. Who waits is served in order. Use from one event loop."""

    def __init__(self, url: str, *, application: str = "hub-owner", most: int = 1, idle_seconds: float = IDLE_SECONDS) -> None:
        self._url, self._application, self._most, self._idle = url, application, most, idle_seconds
        self._free: list[tuple[asyncpg.Connection, float]] = []
        self._waiting: deque[asyncio.Future[asyncpg.Connection | None]] = deque()
        self._closing: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.opened = 0

    @contextlib.asynccontextmanager
    async def use(self) -> AsyncIterator[asyncpg.Connection]:
        """Hold a connection; one that is broken or was left in mid-query is not given to anybody again. Raises what connecting raises."""
        connection = await self._take()
        try:
            yield connection
        except asyncio.CancelledError:
            connection.terminate()
            raise
        finally:
            self._give(connection)

    async def _take(self) -> asyncpg.Connection:
        while True:
            while self._free:
                connection, _ = self._free.pop()
                if not connection.is_closed():
                    return connection
                self.opened -= 1
            if self.opened < self._most:
                if (made := await self._open()) is not None:
                    return made
                if self._free:  # given back while this one tried to connect, when nobody waited yet
                    continue
            waiter: asyncio.Future[asyncpg.Connection | None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                handed = await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._pass_on(waiter.result())
                raise
            if handed is not None and not handed.is_closed():
                return handed
            if handed is not None:
                self.opened -= 1

    async def _open(self) -> asyncpg.Connection | None:
        """Connect; None when the role's limit is reached and others here can be waited for."""
        self.opened += 1
        limit = monotonic() + CROWDED_SECONDS
        while True:
            try:
                return await connect(self._url, application=self._application)
            except asyncpg.TooManyConnectionsError:
                if self.opened > 1:
                    self.opened -= 1
                    return None
                if monotonic() > limit:
                    self._failed()
                    raise
                await asyncio.sleep(0.1)
            except BaseException:
                self._failed()
                raise

    def _failed(self) -> None:
        self.opened -= 1
        self._pass_on(None)

    def _pass_on(self, connection: asyncpg.Connection | None) -> None:
        """Give it to who waits longest; None lets that one try to open its own."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is not None:
            self._free.append((connection, monotonic()))
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(self._idle, self._sweep)

    def _give(self, connection: asyncpg.Connection) -> None:
        if connection.is_closed():
            self.opened -= 1
            self._pass_on(None)
        else:
            self._pass_on(connection)

    def _sweep(self) -> None:
        """Close what was idle for long; look again when the next may be."""
        self._timer = None
        now = monotonic()
        old = [connection for connection, since in self._free if now - since >= self._idle]
        self._free = [entry for entry in self._free if now - entry[1] < self._idle]
        for connection in old:
            self.opened -= 1
            task = asyncio.get_running_loop().create_task(_close(connection))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        if self._free:
            self._timer = asyncio.get_running_loop().call_later(self._idle - (now - self._free[0][1]), self._sweep)

    async def close(self) -> None:
        """Close what is free; what is held closes when it comes back broken, or with the process."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        free, self._free = self._free, []
        for connection, _ in free:
            self.opened -= 1
            await _close(connection)
        if self._closing:
            await asyncio.wait(self._closing, timeout=2)


async def _close(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=2)
    except Exception:
        connection.terminate()
