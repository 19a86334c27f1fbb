"""One reader a tenant: it looks when it is hinted, and every second by itself, and tells every socket, each event encoded once.

What it told lately it keeps for a while, so that sockets that come back together need no query each.
"""

import asyncio
import contextlib
import time
from collections import deque
from typing import Any, Protocol

import msgspec
import structlog

from hub.database.pool import Database
from hub.events.batch import Batch, Place, batches_of
from hub.events.news import hear_news
from hub.events.reader import decode_cursor, encode_cursor, latest_cursor, read_events
from hub.observe import metrics

log = structlog.get_logger("hub.feed")

LOOK_SECONDS = 1.0
PAGE = 500
WAITING_LIMIT = 1000
"""Events that are kept for slow readers; who has fallen further behind is told so."""
KEPT_SECONDS = 60.0
KEPT_BYTES = 1 << 20
"""Of one tenant."""
KEPT_IN_ALL = 64 << 20
PAGE_SECONDS = 10.0
_PAGES = 4
"""Pages of the past that are kept while sockets catch up, and how long after the last of them asked."""


class Listener(Protocol):
    """Who is told."""

    def offer(self, batch: Batch) -> bool:
        """Take what has just happened, and tell whether it was passed on."""
        ...


class Page(msgspec.Struct, frozen=True):
    """Events behind a place, and how far the history is known with them."""

    batches: list[Batch]
    until: Place


class Memory:
    """Bytes that all feeds of a process keep."""

    def __init__(self) -> None:
        self.size = 0


class TenantFeed:
    """A tenant's listeners, the place they have been told up to, and what they were told lately."""

    def __init__(self, database: Database, tenant: str, look_seconds: float, limit: int, memory: Memory) -> None:
        self.tenant = tenant
        self._database, self._look_seconds = database, look_seconds
        self._limit, self._memory = limit, memory
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._kept: deque[tuple[float, Batch]] = deque()
        self._count = self._size = 0
        self._pages: dict[Place, asyncio.Task[Page]] = {}
        self._paged_at = 0.0
        self.listeners: set[Listener] = set()
        self.place: Place = (0, 0)
        self.start_place: Place = (0, 0)
        self.users = 0

    def hint(self) -> None:
        """Look soon."""
        self._news.set()

    async def start(self) -> None:
        """Find the newest place and read on from there; harmless when it runs."""
        if self._task is not None:
            return
        async with self._starting:
            if self._task is None:
                async with self._database.tenant(self.tenant) as transaction:
                    self.place = self.start_place = decode_cursor(await latest_cursor(transaction, self.tenant))
                self._task = asyncio.create_task(self._run(), name=f"feed {self.tenant}")

    def stop(self) -> None:
        """End the reader and forget."""
        if self._task is not None:
            self._task.cancel()
        for reading in self._pages.values():
            reading.cancel()
        while self._kept:
            self._forget()

    def covers(self, after: Place) -> bool:
        """Tell whether everything behind a place is kept here."""
        return after >= self.start_place

    def kept(self, after: Place) -> list[Batch]:
        """What is kept behind a place."""
        return [batch for _, batch in self._kept if batch.last > after]

    async def page(self, after: Place) -> Page:
        """Up to PAGE events behind a place that is not covered. Who asks for the same gets the same: they come in crowds."""
        self._paged_at = time.monotonic()
        found = self._pages.get(after)
        if found is None:
            if len(self._pages) >= _PAGES:
                self._pages.pop(next(iter(self._pages)))
            found = self._pages[after] = asyncio.create_task(self._read(after))
        try:
            return await asyncio.shield(found)
        except BaseException:
            if self._pages.get(after) is found and found.done():
                del self._pages[after]
            raise

    async def _read(self, after: Place) -> Page:
        known = self.place
        async with self._database.tenant(self.tenant) as transaction:
            events, _ = await read_events(transaction, self.tenant, encode_cursor(*after), PAGE)
        batches = batches_of(events)
        last = batches[-1].last if batches else after
        return Page(batches, last if len(events) == PAGE else max(last, known))

    async def _run(self) -> None:
        while True:
            self._news.clear()
            try:
                while await self._look() == PAGE:
                    pass
            except Exception as error:
                log.warning("feed.unreadable", error=f"{type(error).__name__}: {error}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), self._look_seconds)

    async def _look(self) -> int:
        async with self._database.tenant(self.tenant) as transaction:
            events, _ = await read_events(transaction, self.tenant, encode_cursor(*self.place), PAGE)
        for batch in batches_of(events):
            self._keep(batch)
            metrics.WRITES.inc(sum([listener.offer(batch) for listener in tuple(self.listeners)]))
            batch.told()
        self._tidy()
        return len(events)

    def _keep(self, batch: Batch) -> None:
        self.place = batch.last
        self._kept.append((time.monotonic(), batch))
        self._count += len(batch.frames)
        self._size += batch.size
        self._memory.size += batch.size

    def _tidy(self) -> None:
        now = time.monotonic()
        old = now - KEPT_SECONDS
        while self._kept and (
            self._kept[0][0] < old or self._count > self._limit or self._size > KEPT_BYTES or self._memory.size > KEPT_IN_ALL
        ):
            self._forget()
        if self._paged_at < now - PAGE_SECONDS:
            self._pages.clear()

    def _forget(self) -> None:
        _, batch = self._kept.popleft()
        self.start_place = batch.last
        self._count -= len(batch.frames)
        self._size -= batch.size
        self._memory.size -= batch.size


class Feeds:
    """Feeds of all tenants that have sockets here, hinted through Redis; without Redis they look every `look_seconds`."""

    def __init__(self, database: Database, redis: Any = None, *, look_seconds: float = LOOK_SECONDS, limit: int = WAITING_LIMIT) -> None:
        self._database, self._redis, self._look_seconds, self._limit = database, redis, look_seconds, limit
        self._memory = Memory()
        self._feeds: dict[str, TenantFeed] = {}
        self._listener: asyncio.Task[None] | None = None

    def start(self) -> "Feeds":
        """Listen for hints."""
        if self._redis is not None and self._listener is None:
            self._listener = asyncio.create_task(self._listen(), name="news")
        return self

    def close(self) -> None:
        """Stop listening and reading."""
        if self._listener is not None:
            self._listener.cancel()
        for feed in self._feeds.values():
            feed.stop()
        self._feeds.clear()

    async def enter(self, tenant: str) -> TenantFeed:
        """A tenant's running feed, which runs until all who entered have left; raises asyncpg errors."""
        feed = self._feeds.get(tenant)
        if feed is None:
            feed = self._feeds[tenant] = TenantFeed(self._database, tenant, self._look_seconds, self._limit, self._memory)
        feed.users += 1
        try:
            await feed.start()
        except BaseException:
            self.leave(feed)
            raise
        return feed

    def leave(self, feed: TenantFeed) -> None:
        """Undo `enter`."""
        feed.users -= 1
        if feed.users == 0:
            if self._feeds.get(feed.tenant) is feed:
                del self._feeds[feed.tenant]
            feed.stop()

    async def _listen(self) -> None:
        while True:
            try:
                async for tenant in hear_news(self._redis):
                    found = self._feeds.get(tenant)
                    if found is not None:
                        found.hint()
            except Exception as error:
                log.warning("feed.no_hints", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(1.0)
