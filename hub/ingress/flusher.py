"""Group commit: one multi-row insert stores the facts of many requests. Its task belongs to no request, so none can cancel it."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

import asyncpg
import structlog

from hub.database.pool import connect
from hub.observe import metrics
from hub.ownership.owners import Owners

_INSERT = (
    "select n from hub.append_messages($1::text[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::text[], $7::bytea[], $8::text[])"
)
_BY_KEY = itemgetter(0, 1)
_GIVE_UP_AFTER = 60.0
_CLOSE_WITHIN = 5.0

log = structlog.get_logger(__name__)

# The row itself is wrong. Everything else (connection lost, disk full, shutdown, deadlock, schema not there) may pass.
_ROW_ERRORS = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    ValueError,
    TypeError,
    OverflowError,
)

# InternalClientError: a connection that the server ended while it was idle, until asyncpg has noticed (0.32).
MAY_PASS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)


class NotStored(Exception):
    """The fact is not in the database: too much is waiting, or the database did not take it in time. Worth trying again."""


class Unstorable(Exception):
    """PostgreSQL refuses this row whatever happens; repeating it would not help."""


class Row(NamedTuple):
    """A fact on its way into a mailbox; `body` is sealed."""

    connection: str
    dedupe_key: str
    tenant: str
    kind: str
    subject: str
    lane: int
    body: bytes
    correlation: str


class _Entry:
    __slots__ = ("future", "rows", "since")

    def __init__(self, rows: Sequence[Row], future: "asyncio.Future[int]") -> None:
        self.rows, self.future, self.since = rows, future, time.monotonic()

    def stored(self, new: int) -> None:
        if not self.future.done():
            self.future.set_result(new)

    def failed(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Flusher:
    """Stores rows in batches, one batch in flight, over a connection of its own. `waiting_limit` bounds rows in memory."""

    def __init__(self, url: str, owners: Owners, *, batch: int = 512, waiting_limit: int = 20_000) -> None:
        self._url, self._owners, self._batch, self._limit = url, owners, batch, waiting_limit
        self._entries: deque[_Entry] = deque()
        self._waiting = 0
        self._wanted = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._connection: asyncpg.Connection | None = None
        self._insert: Any = None
        self._known = metrics.FACTS.labels("yes")
        self._new = metrics.FACTS.labels("no")

    def start(self) -> "Flusher":
        """Start the task in the running loop; it connects when there is something to store."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="ingress-flusher")
        return self

    async def close(self) -> None:
        """Store what waits (5 s at most), then let go of the connection."""
        self._closing = True
        self._wanted.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_CLOSE_WITHIN)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        for entry in self._entries:
            entry.failed(NotStored("the hub is shutting down"))
        self._entries.clear()
        await self._disconnect()

    async def store(self, rows: Sequence[Row]) -> int:
        """Wait until the rows of one request are committed; returns how many were new. All of them are stored or none.

        Cancelling the caller doesn't take the rows back. Raises NotStored and Unstorable.
        """
        if self._closing or self._task is None:
            raise NotStored("the hub is shutting down")
        if self._waiting + len(rows) > self._limit:
            raise NotStored(f"{self._waiting} facts wait already")
        entry = _Entry(rows, asyncio.get_running_loop().create_future())
        self._entries.append(entry)
        self._waiting += len(rows)
        self._wanted.set()
        return await entry.future

    async def _run(self) -> None:
        while True:
            if not self._entries:
                if self._closing:
                    return
                self._wanted.clear()
                await self._wanted.wait()
                continue
            batch = self._next()
            try:
                await self._flush(batch)
            except Exception as error:
                log.exception("ingress.flusher_failed")
                for entry in batch:
                    entry.failed(NotStored(f"{type(error).__name__} while storing"))
            finally:
                self._waiting -= sum(len(entry.rows) for entry in batch)
                metrics.BACKLOG.set(self._waiting)

    def _next(self) -> list[_Entry]:
        batch: list[_Entry] = []
        size = 0
        while self._entries and (not batch or size + len(self._entries[0].rows) <= self._batch):
            entry = self._entries.popleft()
            size += len(entry.rows)
            batch.append(entry)
        return batch

    async def _flush(self, batch: list[_Entry]) -> None:
        """Store a batch, again and again while the database is away; entries older than a minute are let go."""
        delay, doubtful = 0.05, False
        while batch:
            try:
                await self._write(batch, doubtful=doubtful)
                return
            except MAY_PASS as error:
                doubtful = True
                metrics.RETRIES.inc()
                log.warning("ingress.store_failed", error=type(error).__name__, detail=str(error), requests=len(batch))
                await self._disconnect()
            if self._closing:
                break
            stale = time.monotonic() - _GIVE_UP_AFTER
            for entry in batch:
                if entry.since < stale:
                    entry.failed(NotStored("the database did not answer"))
            batch = [entry for entry in batch if entry.since >= stale and not (entry.future.done() and not entry.future.cancelled())]
            await asyncio.sleep(delay)
            delay = min(delay * 2, 1.0)
        for entry in batch:
            entry.failed(NotStored("the hub is shutting down"))

    async def _write(self, batch: list[_Entry], *, doubtful: bool) -> None:
        """Store in one transaction; when a row is refused, halve until only its request fails."""
        rows = sorted(chain.from_iterable(entry.rows for entry in batch), key=_BY_KEY)
        if self._connection is None or self._connection.is_closed():
            await self._connect()
        try:
            fresh = await self._append(rows)
        except _ROW_ERRORS as error:
            if len(batch) == 1:
                log.warning("ingress.row_refused", error=type(error).__name__, detail=str(error))
                batch[0].failed(Unstorable(type(error).__name__))
                return
            middle = len(batch) // 2
            await self._write(batch[:middle], doubtful=doubtful)
            await self._write(batch[middle:], doubtful=doubtful)
            return
        metrics.BATCH.observe(len(rows))
        self._new.inc(len(fresh))
        self._known.inc(len(rows) - len(fresh))
        # After a lost answer the first try may have been committed: then nothing is new now, and yet nobody was woken.
        woken = {row.connection for row in rows} if doubtful else {row.connection for row in fresh}
        if woken:
            self._owners.wake(woken)
        new = {id(row) for row in fresh}
        for entry in batch:
            entry.stored(sum(id(row) in new for row in entry.rows))

    async def _connect(self) -> None:
        self._connection = await connect(self._url, application="hub-ingress")
        self._insert = await self._connection.prepare(_INSERT)

    async def _append(self, rows: list[Row]) -> list[Row]:
        connections, keys, tenants, kinds, subjects, lanes, bodies, correlations = zip(*rows, strict=True)
        found = await self._insert.fetch(tenants, connections, kinds, subjects, lanes, keys, bodies, correlations)
        return [rows[record[0] - 1] for record in found]

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=1)
            except MAY_PASS:
                connection.terminate()
