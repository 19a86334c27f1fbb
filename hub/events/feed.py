"""One reader a tenant: it looks when it is hinted, and every second by itself, and hands each event to every subscriber once encoded."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import structlog

from hub.database.pool import Database
from hub.events.reader import decode_cursor, latest_cursor, read_events

log = structlog.get_logger("hub.feed")

LOOK_SECONDS = 1.0
PAGE = 500
WAITING_LIMIT = 1000
"""Frames that may wait for a slow reader; then it is told that it is behind."""


class Frame(msgspec.Struct, frozen=True):
    """An event once encoded, with what subscriptions filter by."""

    text: str
    cursor: str
    type: str
    location: str | None


def frame_of(event: dict[str, Any]) -> Frame:
    """Encode an event."""
    cursor = event["cursor"]
    shown = {name: event[name] for name in ("id", "type", "at", "tenant", "subject", "location", "data", "correlation_id")}
    text = msgspec.json.encode({"type": "event", "cursor": cursor, "event": shown}).decode()
    return Frame(text, cursor, event["type"], event["location"])


class Subscriber:
    """A socket's queue. Full, it is emptied and the socket told to read again."""

    def __init__(self, wants: Callable[[Frame], bool]) -> None:
        self.wants = wants
        self.queue: asyncio.Queue[Frame | None] = asyncio.Queue()
        self.behind = False

    def offer(self, frame: Frame) -> None:
        """Hand a frame over, or mark the reader as behind."""
        if self.behind or not self.wants(frame):
            return
        if self.queue.qsize() >= WAITING_LIMIT:
            self.behind = True
            while not self.queue.empty():
                self.queue.get_nowait()
            self.queue.put_nowait(None)
            return
        self.queue.put_nowait(frame)


class TenantFeed:
    """A tenant's subscribers and the place they have all been told up to."""

    def __init__(self, database: Database, tenant: str) -> None:
        self._database, self._tenant = database, tenant
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.subscribers: set[Subscriber] = set()
        self.cursor = ""
        self._lock = asyncio.Lock()

    def hint(self) -> None:
        """Look soon."""
        self._news.set()

    async def join(self, subscriber: Subscriber, cursor: str | None) -> list[Frame]:
        """Subscribe; returns what happened since the cursor, so that nothing is missed or told twice."""
        async with self._lock:
            if not self.cursor:
                async with self._database.tenant(self._tenant) as transaction:
                    self.cursor = await latest_cursor(transaction, self._tenant)
            missed: list[Frame] = []
            if cursor is not None:
                missed = await self._between(cursor)
            self.subscribers.add(subscriber)
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._run(), name=f"feed {self._tenant}")
            return missed

    async def _between(self, cursor: str) -> list[Frame]:
        # Up to what the others have been told; the reader tells this subscriber the rest.
        found: list[Frame] = []
        place: str | None = cursor
        while True:
            async with self._database.tenant(self._tenant) as transaction:
                events, place = await read_events(transaction, self._tenant, place, PAGE)
            for event in events:
                frame = frame_of(event)
                if _after(frame.cursor, self.cursor):
                    return found
                found.append(frame)
            if len(events) < PAGE:
                return found

    async def leave(self, subscriber: Subscriber) -> None:
        """Unsubscribe; the reader of a tenant without subscribers ends."""
        self.subscribers.discard(subscriber)
        if not self.subscribers and self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task, self.cursor = None, ""

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), LOOK_SECONDS)
            self._news.clear()
            try:
                await self._look()
            except Exception as error:
                log.warning("feed.unreadable", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(0.5)

    async def _look(self) -> None:
        while True:
            async with self._lock:
                async with self._database.tenant(self._tenant) as transaction:
                    events, cursor = await read_events(transaction, self._tenant, self.cursor, PAGE)
                for event in events:
                    frame = frame_of(event)
                    for subscriber in self.subscribers:
                        subscriber.offer(frame)
                self.cursor = cursor or self.cursor
            if len(events) < PAGE:
                return


def _after(left: str, right: str) -> bool:
    return decode_cursor(left) > decode_cursor(right)


class Feeds:
    """Feeds of all tenants that have sockets here, hinted through Redis."""

    def __init__(self, database: Database, redis: Any = None) -> None:
        self._database, self._redis = database, redis
        self._feeds: dict[str, TenantFeed] = {}
        self._listener: asyncio.Task[None] | None = None

    def start(self) -> "Feeds":
        """Listen for hints; without Redis the readers look every second."""
        if self._redis is not None and self._listener is None:
            self._listener = asyncio.create_task(self._listen(), name="news")
        return self

    def feed(self, tenant: str) -> TenantFeed:
        """The tenant's feed."""
        found = self._feeds.get(tenant)
        if found is None:
            found = self._feeds[tenant] = TenantFeed(self._database, tenant)
        return found

    async def _listen(self) -> None:
        while True:
            try:
                async for tenant in _hints(self._redis):
                    found = self._feeds.get(tenant)
                    if found is not None:
                        found.hint()
            except Exception as error:
                log.warning("feed.no_hints", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(1.0)


async def _hints(redis: Any) -> AsyncIterator[str]:
    async with redis.pubsub() as channel:
        await channel.psubscribe("news:*")
        async for message in channel.listen():
            if message["type"] == "pmessage":
                name = message["channel"]
                yield (name.decode() if isinstance(name, bytes) else name).partition(":")[2]
