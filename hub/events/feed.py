"""One reader a tenant: it looks when it is hinted, and every second by itself, and hands each event to every socket, encoded once."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import msgspec
import structlog

from hub.database.pool import Database
from hub.events.news import hear_news
from hub.events.reader import decode_cursor, encode_cursor, latest_cursor, read_events

log = structlog.get_logger("hub.feed")

LOOK_SECONDS = 1.0
PAGE = 500
WAITING_LIMIT = 1000
"""Frames that may wait for a slow reader; then it is told that it is behind."""

Place = tuple[int, int]


class Frame(msgspec.Struct, frozen=True):
    """An event once encoded, with what subscriptions filter by and its place in the history."""

    text: str
    place: Place
    type: str
    location: str | None


Wants = Callable[[Frame], bool]


def frame_of(event: dict[str, Any]) -> Frame:
    """Encode an event."""
    cursor = event["cursor"]
    shown = {name: event[name] for name in ("id", "type", "at", "tenant", "subject", "location", "data", "correlation_id")}
    text = msgspec.json.encode({"type": "event", "cursor": cursor, "event": shown}).decode()
    return Frame(text, decode_cursor(cursor), event["type"], event["location"])


class Subscription:
    """What one socket is told: first what happened since its cursor, read page by page, then what the tenant's reader finds.

    Each event once: what both ways bring is dropped by its place. Memory is one page and `limit` frames.
    """

    def __init__(self, feed: "TenantFeed", after: Place, wants: Wants, limit: int) -> None:
        self._feed, self._after, self._wants, self._limit = feed, after, wants, limit
        self._waiting: deque[Frame] = deque()
        self._news = asyncio.Event()
        self._overflowed = False

    @property
    def cursor(self) -> str:
        """Where this socket is."""
        return encode_cursor(*self._after)

    def offer(self, frame: Frame) -> None:
        """Take a frame from the tenant's reader. A full queue is emptied, and nothing more is taken until that is dealt with."""
        if self._overflowed or not self._wants(frame):
            return
        if len(self._waiting) >= self._limit:
            self._waiting.clear()
            self._overflowed = True
        else:
            self._waiting.append(frame)
        self._news.set()

    async def frames(self) -> AsyncGenerator[Frame | None, None]:
        """Yield frames in order without end; None says that some were left out, to be read from the table."""
        async with aclosing(self._missed()) as missed:
            async for frame in missed:
                yield frame
        while True:
            while self._waiting:
                frame = self._waiting.popleft()
                if frame.place > self._after:
                    self._after = frame.place
                    yield frame
            if self._overflowed:
                yield None
                self._overflowed = False
            if not self._waiting:
                self._news.clear()
                await self._news.wait()

    async def _missed(self) -> AsyncGenerator[Frame, None]:
        """Read on from the cursor up to where the reader took over. A queue that overflows meanwhile: read on again."""
        while True:
            self._waiting.clear()
            self._overflowed = False
            self._feed.subscriptions.add(self)
            until = self._feed.place
            while self._after < until:
                page = await self._feed.page(self._after)
                for frame in page:
                    if frame.place > until:
                        break
                    self._after = frame.place
                    if self._wants(frame):
                        yield frame
                if len(page) < PAGE or page[-1].place >= until:
                    break
            if not self._overflowed:
                return


class TenantFeed:
    """A tenant's subscriptions and the place they have all been told up to."""

    def __init__(self, database: Database, tenant: str, look_seconds: float) -> None:
        self._database, self._tenant, self._look_seconds = database, tenant, look_seconds
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self.subscriptions: set[Subscription] = set()
        self.place: Place = (0, 0)
        self.users = 0

    def hint(self) -> None:
        """Look soon."""
        self._news.set()

    async def start(self) -> None:
        """Find the newest place and read on from there; harmless when it runs."""
        async with self._starting:
            if self._task is None:
                async with self._database.tenant(self._tenant) as transaction:
                    self.place = decode_cursor(await latest_cursor(transaction, self._tenant))
                self._task = asyncio.create_task(self._run(), name=f"feed {self._tenant}")

    def stop(self) -> None:
        """End the reader."""
        if self._task is not None:
            self._task.cancel()

    async def page(self, after: Place) -> list[Frame]:
        """Up to PAGE events behind a place."""
        async with self._database.tenant(self._tenant) as transaction:
            events, _ = await read_events(transaction, self._tenant, encode_cursor(*after), PAGE)
        return [frame_of(event) for event in events]

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
        page = await self.page(self.place)
        for frame in page:
            self.place = frame.place
            for subscription in self.subscriptions:
                subscription.offer(frame)
        return len(page)


class Feeds:
    """Feeds of all tenants that have sockets here, hinted through Redis; without Redis they look every `look_seconds`."""

    def __init__(self, database: Database, redis: Any = None, *, look_seconds: float = LOOK_SECONDS, limit: int = WAITING_LIMIT) -> None:
        self._database, self._redis, self._look_seconds, self._limit = database, redis, look_seconds, limit
        self._feeds: dict[str, TenantFeed] = {}
        self._listener: asyncio.Task[None] | None = None

    def start(self) -> "Feeds":
        """Listen for hints."""
        if self._redis is not None and self._listener is None:
            self._listener = asyncio.create_task(self._listen(), name="news")
        return self

    def close(self) -> None:
        """Stop listening and reading."""
        for task in (self._listener, *self._feeds.values()):
            if isinstance(task, TenantFeed):
                task.stop()
            elif task is not None:
                task.cancel()
        self._feeds.clear()

    @asynccontextmanager
    async def subscribe(self, tenant: str, cursor: str | None, wants: Wants) -> AsyncIterator[Subscription]:
        """Subscribe from a cursor, or from now on; raises BadCursor and asyncpg errors.

        A tenant's reader runs as long as it has subscriptions.
        """
        after = decode_cursor(cursor) if cursor else None
        feed = self._feeds.get(tenant)
        if feed is None:
            feed = self._feeds[tenant] = TenantFeed(self._database, tenant, self._look_seconds)
        feed.users += 1
        subscription: Subscription | None = None
        try:
            await feed.start()
            subscription = Subscription(feed, feed.place if after is None else after, wants, self._limit)
            yield subscription
        finally:
            if subscription is not None:
                feed.subscriptions.discard(subscription)
            feed.users -= 1
            if feed.users == 0 and self._feeds.get(tenant) is feed:
                del self._feeds[tenant]
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
