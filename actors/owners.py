"""The owners seam over Ray: an actor has its host's name, and may host many. A wake-up is coalesced and never waited for."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ray
import structlog

from hub.database.pool import Database
from hub.extras.answers import EXTRA_SECONDS, no_owner, too_slow
from hub.settings import Settings

log = structlog.get_logger("hub.owners")

NAMESPACE = "hub"
COALESCE_SECONDS = 0.03
STATE_SECONDS = 3.0
FORGET_SECONDS = 5.0
ASK_SECONDS = 0.5
ASKING_AT_ONCE = 4

Find = Callable[[Collection[str]], Awaitable[Mapping[str, str]]]


class Leases:
    """Asks the leases for the hosts of connections, over one database connection that is opened when it is needed.

    `url`: owners ask with their own role, whose connections are counted; without one it is the API's.
    """

    def __init__(self, url: str = "") -> None:
        self._url = url
        self._database: Database | None = None
        self._opening = asyncio.Lock()

    async def __call__(self, connections: Collection[str]) -> Mapping[str, str]:
        """The host of each that has one; nothing where no database is configured."""
        async with self._opening:
            if self._database is None:
                url = self._url or Settings.load().database_url
                if not url:
                    return {}
                self._database = await Database(url, application="hub hints", least=0, most=1, idle_seconds=15.0).open()
        rows = await self._database.fetch("select * from hub.hosts_of($1)", list(connections))
        return {row["connection"]: row["host"] for row in rows}


class RayOwners:
    """Owners in actors named after their host, which is the connection itself where a process hosts one. Use from one event loop.

    `find` tells the hosts of connections; where it does not, a connection's own name is tried.
    """

    def __init__(self, find: Find | None = None) -> None:
        self._find: Find = find or Leases()
        self._hosts: dict[str, tuple[str, float]] = {}
        self._handles: dict[str, tuple[Any, float]] = {}
        self._asking: dict[str, asyncio.Future[Any]] = {}
        self._threads = ThreadPoolExecutor(ASKING_AT_ONCE, "look-up")
        self._pending: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def wake(self, connections: Collection[str]) -> None:
        """Hint that these connections have messages."""
        self._pending.update(connections)
        if self._pending and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        while self._pending:
            pending, self._pending = self._pending, set()
            hosts: dict[str, list[str]] = {}
            for connection, host in (await self._where(pending)).items():
                hosts.setdefault(host, []).append(connection)
            for host, connections in hosts.items():
                # An actor that is not there is found by the sweep; so is a call that got lost.
                with contextlib.suppress(Exception):
                    (await self._handle(host)).wake.remote(*connections)
            await asyncio.sleep(COALESCE_SECONDS)

    async def _where(self, connections: Collection[str]) -> dict[str, str]:
        """The host of each connection: as asked a moment ago, else asked now, for all in one query."""
        now = time.monotonic()
        unknown = [each for each in connections if now - self._hosts.get(each, ("", -FORGET_SECONDS))[1] >= FORGET_SECONDS]
        if unknown:
            try:
                for connection, host in (await self._find(unknown)).items():
                    self._hosts[connection] = (host, now)
            except Exception as error:
                log.warning("cannot ask where owners are", error=f"{type(error).__name__}: {error}")
        return {each: self._hosts[each][0] if each in self._hosts else each for each in connections}

    async def _handle(self, host: str) -> Any:
        known = self._handles.get(host)
        if known is not None and time.monotonic() - known[1] < FORGET_SECONDS:
            return known[0]
        # In threads of its own: while the head is away a look-up hangs for minutes, and must not take the threads that others need.
        asking = self._asking.get(host)
        if asking is None:
            asking = self._asking[host] = asyncio.get_running_loop().run_in_executor(self._threads, ray.get_actor, host, NAMESPACE)
            asking.add_done_callback(lambda _: self._asking.pop(host, None))
        await asyncio.wait([asking], timeout=ASK_SECONDS)
        if asking.done():
            handle = asking.result()
        elif known is not None:
            handle = known[0]  # still reaches the actor, on whatever node
        else:
            raise TimeoutError(f"no answer from Ray about {host}")
        self._handles[host] = (handle, time.monotonic())
        return handle

    async def _owner(self, connection: str) -> Any:
        return await self._handle((await self._where([connection]))[connection])

    def _forget(self, connection: str) -> None:
        host, _ = self._hosts.pop(connection, (connection, 0.0))
        self._handles.pop(host, None)

    def moved(self, host: str) -> None:
        """Say that a host lives in another process now."""
        self._handles.pop(host, None)

    async def state(self, connection: str) -> dict[str, Any] | None:
        """The owner's live state; None when it does not answer in time."""
        try:
            handle = await self._owner(connection)
            answer = await asyncio.wait_for(_result(handle.state.remote(connection)), STATE_SECONDS)
        except Exception:
            self._forget(connection)
            return None
        return dict(answer) if answer is not None else None

    async def extra(self, connection: str, name: str, params: bytes) -> bytes:
        """Have the connection's owner read an extra, waiting a moment longer than the owner itself does."""
        try:
            handle = await self._owner(connection)
            answer: bytes = await asyncio.wait_for(_result(handle.extra.remote(connection, name, params)), EXTRA_SECONDS + 2)
        except TimeoutError:
            self._forget(connection)
            return too_slow().encode()
        except Exception:
            self._forget(connection)
            return no_owner().encode()
        return answer


async def _result(reference: Any) -> Any:
    return await reference
