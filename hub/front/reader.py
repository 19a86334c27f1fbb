"""Batched reads: one database call carries the reads of many requests, each under its own tenant's row security."""

import asyncio
from typing import Any, TypeAlias

import asyncpg

from hub.database.pool import connect
from hub.ingress.flusher import MAY_PASS
from hub.observe import metrics

_READ = "select * from hub.read_orders($1::text[], $2::integer[], $3::text[])"
_Key: TypeAlias = tuple[str, str]
_Waiting: TypeAlias = "list[tuple[_Key, asyncio.Future[asyncpg.Record | None]]]"


class OrderReader:
    """Reads orders over a connection of its own, one batch in flight; whoever comes meanwhile shares the next one."""

    def __init__(self, url: str, *, batch: int = 256) -> None:
        self._url, self._batch = url, batch
        self._waiting: _Waiting = []
        self._task: asyncio.Task[None] | None = None
        self._connection: asyncpg.Connection | None = None
        self._statement: Any = None
        self._closed = False

    async def read(self, tenant: str, order_id: str) -> asyncpg.Record | None:
        """A tenant's order with its consumer's key as `sealed_key`, or None. Raises asyncpg errors, OSError and TimeoutError."""
        if self._closed:
            raise ConnectionError("the reader is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[asyncpg.Record | None] = loop.create_future()
        self._waiting.append(((tenant, order_id), future))
        if self._task is None:
            self._task = loop.create_task(self._run(), name="order-reader")
        return await future

    async def close(self) -> None:
        """Answer who waits, then let go of the connection."""
        self._closed = True
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        await self._disconnect()

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._batch], self._waiting[self._batch :]
                await self._answer(batch)
        finally:
            self._task = None

    async def _answer(self, batch: _Waiting) -> None:
        try:
            rows = await self._fetch({key for key, _ in batch})
        except Exception as error:
            if isinstance(error, MAY_PASS):
                await self._disconnect()
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # seen, also where its caller left
            return
        metrics.READ_BATCH.observe(len(batch))
        found = {(row["tenant_id"], row["id"]): row for row in rows}
        for key, future in batch:
            if not future.done():
                future.set_result(found.get(key))

    async def _fetch(self, wanted: set[_Key]) -> list[asyncpg.Record]:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._url, application="hub-reads")
            self._statement = await self._connection.prepare(_READ)
        by_tenant: dict[str, list[str]] = {}
        for tenant, order_id in wanted:
            by_tenant.setdefault(tenant, []).append(order_id)
        ids: list[str] = []
        ends = []
        for each in by_tenant.values():
            ids += each
            ends.append(len(ids))
        found: list[asyncpg.Record] = await self._statement.fetch(list(by_tenant), ends, ids)
        return found

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=1)
            except MAY_PASS:
                connection.terminate()
