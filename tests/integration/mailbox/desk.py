"""A tenant with two connections and a link, owners run by scripted handlers: the mailbox without vendors."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg

from hub.contract import Lane
from hub.database.pool import Database
from hub.ids import new_id
from hub.mailbox.changes import Changes, OrderInsert
from hub.mailbox.messages import NewMessage, enqueue
from hub.mailbox.store import PostgresMailbox
from hub.model import OrderState
from hub.ownership.owner import Desk, Owner

Handler = Callable[[Desk], Awaitable[Changes]]


class Bench:
    """Rows that mailbox tests need."""

    def __init__(self, database: Database, url: str) -> None:
        self.database, self.url = database, url
        self.tenant, self.pos, self.platform = new_id("ten"), new_id("con"), new_id("con")
        self.link, self.location = new_id("lnk"), new_id("loc")

    async def open(self) -> "Bench":
        """Make the tenant and what belongs to it."""
        await self.database.fetchval("select hub.tenant_create($1, 'Test tenant', false)", self.tenant)
        async with self.database.tenant(self.tenant) as t:
            for connection, provider in ((self.pos, "square"), (self.platform, "ubereats")):
                await t.execute(
                    "insert into hub.connections (tenant_id, id, provider, environment, name) values ($1, $2, $3, 'simulator', $3)",
                    self.tenant, connection, provider,
                )  # fmt: skip
                await t.execute("insert into hub.leases (tenant_id, connection, host) values ($1, $2, $2)", self.tenant, connection)
            await t.execute(
                "insert into hub.locations (tenant_id, id, name, timezone, currency) values ($1, $2, 'L', 'UTC', 'USD')",
                self.tenant, self.location,
            )  # fmt: skip
            await t.execute(
                "insert into hub.links (tenant_id, id, location, pos_connection, pos_location_ref, delivery_connection,"
                " delivery_store_ref) values ($1, $2, $3, $4, 'p', $5, 's')",
                self.tenant, self.link, self.location, self.pos, self.platform,
            )  # fmt: skip
        return self

    async def put(self, *messages: NewMessage) -> None:
        """Put messages into mailboxes."""
        async with self.database.tenant(self.tenant) as t:
            await enqueue(t, self.tenant, list(messages))

    def message(self, key: str, subject: str = "", *, lane: Lane = Lane.ORDER, connection: str = "") -> NewMessage:
        """A message to the POS connection."""
        return NewMessage(connection=connection or self.pos, kind="noted", subject=subject or f"thing/{key}", dedupe_key=key, lane=lane)

    def order(self, platform_order_id: str) -> OrderInsert:
        """A new order of the link."""
        from hub.clock import utc_now

        return OrderInsert(
            id=new_id("ord"), link=self.link, location=self.location, platform="ubereats", platform_order_id=platform_order_id,
            pos="square", pos_connection=self.pos, state=OrderState.RECEIVED, decision="submit", body=b"x",
            consumer=new_id("cns"), consumer_key=b"k", display_id="1", totals={}, not_carried=[], attention=None,
            menu_version=None, correlation="", placed_at=utc_now(), deadline_at=None,
        )  # fmt: skip

    def owner(self, handle: Handler, *, connection: str = "", room: int = 16, store: Any = None) -> Owner:
        """An owner whose messages are handled by a function."""
        connection = connection or self.pos
        return Owner(
            tenant=self.tenant,
            connection=connection,
            host=connection,
            store=store or PostgresMailbox(self.url),
            handle=handle,
            wake_others=lambda connections: None,
            room=room,
        )

    async def rows(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """Rows as the tenant."""
        async with self.database.tenant(self.tenant) as t:
            return list(await t.fetch(query, *args))

    async def idle(self, seconds: float = 10) -> None:
        """Wait until no message is due."""
        async with asyncio.timeout(seconds):
            while await self.rows("select 1 from hub.due limit 1"):
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running(*owners: Owner) -> AsyncIterator[None]:
    """Run owners for the length of a block, then stop them cleanly."""
    tasks = [asyncio.create_task(owner.run()) for owner in owners]
    try:
        yield
    finally:
        for owner in owners:
            owner.stop()
        await asyncio.wait(tasks, timeout=10)
        for task in tasks:
            task.cancel()
