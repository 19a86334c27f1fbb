"""The mailbox in PostgreSQL, and the seam it stands behind: one call is one turn is one transaction."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

import asyncpg
import msgspec

from hub.mailbox.changes import Changes, item_row
from hub.mailbox.claims import Attempt, Claim, OrderRow
from hub.mailbox.sessions import Sessions


class Replaced(Exception):
    """Another owner has a higher epoch: stop, write nothing."""


class Unreachable(Exception):
    """The database went away in mid-turn: whether the turn committed is unknown, so start over from what is stored."""


class Item(msgspec.Struct, frozen=True):
    """A handler's changes; `message` is the message they belong to."""

    message: int
    changes: Changes


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn came to: items (by index) that missed their compare-and-set, new claims, connections to wake."""

    missed: frozenset[int]
    claims: tuple[Claim, ...]
    woken: tuple[str, ...]
    now: datetime
    next_due_at: datetime | None
    status: str
    suspects: bool = False


class Activation(msgspec.Struct, frozen=True):
    """A new owner's epoch, how often owners came and went in quick succession, and messages it found to be poison.

    `suspects`: some of its messages are known to have to run alone.
    """

    epoch: int
    quick_restarts: int
    dead: tuple[int, ...]
    suspects: bool = False


class MailboxStore(Protocol):
    """Where mailboxes live."""

    async def activate(self, tenant: str, connection: str, host: str, code_version: str, *, survivor: bool = False) -> Activation | None:
        """Become the owner; None when the lease names another host. A survivor lost the database, not its life."""
        ...

    async def turn(self, tenant: str, connection: str, epoch: int, items: Sequence[Item], room: int, held: Sequence[int]) -> Turn:
        """Apply items and claim up to `room` messages, as one; raises Replaced, Unreachable, or the database's refusal."""
        ...

    async def release(self, tenant: str, connection: str, epoch: int) -> None:
        """Let go of claims without suspicion."""
        ...

    async def clock_went_back(self, tenant: str, connection: str, epoch: int, seconds: float) -> None:
        """Bring back by so much what was put off; raises Replaced, Unreachable."""
        ...


class RefusedByDatabase(Exception):
    """A value in these items cannot be stored."""


_TURN = "select * from hub.owner_turn($1, $2, $3, $4, $5, $6)"
_KEEP_STOCK = """
insert into hub.stock as t (tenant_id, connection, place_ref, item, kind, available, quantity, until, held, told_at)
select distinct on (s.place_ref, s.item) $1, $2, s.place_ref, s.item, s.kind, s.available, s.quantity, s.until, s.held, hub.clock()
from jsonb_to_recordset($3::jsonb) as s(
  place_ref text, item text, kind text, available boolean, quantity integer, until timestamptz, held boolean)
order by s.place_ref, s.item
on conflict (tenant_id, connection, place_ref, item) do update
  set kind = excluded.kind, available = excluded.available, quantity = excluded.quantity, until = excluded.until,
      held = excluded.held, told_at = excluded.told_at
"""
_KEEP_STORES = """
insert into hub.vendor_stores as t (tenant_id, connection, ref, name, currency, timezone, status, seen_at)
select distinct on (s.ref) $1, $2, s.ref, s.name, s.currency, s.timezone, nullif(s.status, 'null'::jsonb), hub.clock()
from jsonb_to_recordset($3::jsonb) as s(ref text, name text, currency text, timezone text, status jsonb)
order by s.ref
on conflict (tenant_id, connection, ref) do update
  set name = coalesce(nullif(excluded.name, ''), t.name), currency = coalesce(nullif(excluded.currency, ''), t.currency),
      timezone = coalesce(nullif(excluded.timezone, ''), t.timezone), status = coalesce(excluded.status, t.status),
      seen_at = excluded.seen_at
"""
_LOST = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    TimeoutError,
    asyncpg.InternalClientError,
)
_LOST_STATES = (asyncpg.AdminShutdownError, asyncpg.CrashShutdownError, asyncpg.QueryCanceledError)
_AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError, asyncpg.SerializationError)


class PostgresMailbox:
    """A connection's mailbox. Its turns go over `sessions`, which the mailboxes of a process share, else over a session of its own.

    Not for concurrent use.
    """

    def __init__(self, url: str = "", *, application: str = "hub-owner", sessions: Sessions | None = None) -> None:
        self._sessions = sessions or Sessions(url, application=application)

    async def close(self) -> None:
        """Close the free sessions; the next call opens a new one."""
        await self._sessions.close()

    async def _call(self, query: str, *args: Any) -> list[asyncpg.Record]:
        async def fetch(connection: asyncpg.Connection) -> list[asyncpg.Record]:
            return list(await connection.fetch(query, *args))

        return await self._guarded(fetch)

    @staticmethod
    async def _turn_with_places(connection: asyncpg.Connection, items: Sequence[Item], *args: Any) -> list[asyncpg.Record]:
        async with connection.transaction():
            rows = list(await connection.fetch(_TURN, *args))
            missed = set(rows[0]["result"]["missed"])
            good = [item.changes for number, item in enumerate(items) if number not in missed]
            stock = [msgspec.to_builtins(seen) for changes in good for seen in changes.stock]
            stores = [msgspec.to_builtins(seen) for changes in good for seen in changes.stores]
            await connection.execute("select set_config('hub.tenant', $1, true)", args[0])
            if stock:
                await connection.execute(_KEEP_STOCK, args[0], args[1], stock)
            if stores:
                await connection.execute(_KEEP_STORES, args[0], args[1], stores)
            return rows

    async def _guarded(self, run: Callable[[asyncpg.Connection], Awaitable[list[asyncpg.Record]]]) -> list[asyncpg.Record]:
        try:
            async with self._sessions.use() as connection:
                return await self._on(connection, run)
        except (*_LOST, *_LOST_STATES, asyncpg.TooManyConnectionsError) as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error

    @staticmethod
    async def _on(
        connection: asyncpg.Connection, run: Callable[[asyncpg.Connection], Awaitable[list[asyncpg.Record]]]
    ) -> list[asyncpg.Record]:
        for attempt in range(3):
            try:
                return await run(connection)
            except _AGAIN as error:
                if attempt == 2:
                    raise Unreachable(str(error)) from error
            except (*_LOST, *_LOST_STATES):
                connection.terminate()
                raise
            except asyncpg.PostgresError as error:
                if error.sqlstate == "HB001":
                    raise Replaced(str(error)) from error
                raise RefusedByDatabase(f"{error.sqlstate}: {error}") from error
        raise AssertionError("unreachable")

    async def activate(self, tenant: str, connection: str, host: str, code_version: str, *, survivor: bool = False) -> Activation | None:
        """Become the owner of a connection that the Supervisor gave to this host."""
        query = "select * from hub.owner_activate($1, $2, $3, $4, $5)"
        rows = await self._call(query, tenant, connection, host, code_version, survivor)
        if not rows or rows[0]["epoch"] is None:
            return None
        return Activation(rows[0]["epoch"], rows[0]["quick_restarts"], tuple(rows[0]["dead"] or ()))

    async def turn(self, tenant: str, connection: str, epoch: int, items: Sequence[Item], room: int, held: Sequence[int]) -> Turn:
        """One call of hub.owner_turn; what was seen of stock and stores is kept in the same transaction, which is rare."""
        rows_in = [item_row(number, item.message, item.changes) for number, item in enumerate(items)]
        args = (tenant, connection, epoch, rows_in, room, list(held))
        if any(item.changes.stock or item.changes.stores for item in items):
            rows = await self._guarded(lambda open_: self._turn_with_places(open_, items, *args))
        else:
            rows = await self._call(_TURN, *args)
        result = rows[0]["result"]
        return Turn(
            missed=frozenset(result["missed"]),
            claims=tuple(_claim(row) for row in rows[1:]),
            woken=tuple(result["woken"] or ()),
            now=msgspec.convert(result["now"], datetime),
            next_due_at=msgspec.convert(result["next_due_at"], datetime | None),
            status=result["status"] or "removed",
            suspects=result["suspects"],
        )

    async def release(self, tenant: str, connection: str, epoch: int) -> None:
        """Give claims back in peace."""
        await self._call("select hub.owner_release($1, $2, $3)", tenant, connection, epoch)

    async def clock_went_back(self, tenant: str, connection: str, epoch: int, seconds: float) -> None:
        """What was put off, and attempts that seem to lie ahead, are brought back."""
        await self._call("select hub.owner_clock_back($1, $2, $3, $4)", tenant, connection, epoch, seconds)


def _claim(row: asyncpg.Record) -> Claim:
    order = row["order_row"]
    return Claim(
        message=row["message"],
        kind=row["kind"],
        subject=row["subject"],
        lane=row["lane"],
        body=row["body"],
        dedupe_key=row["dedupe_key"],
        correlation=row["correlation"],
        at=row["at"],
        deadline_at=row["deadline_at"],
        tries=row["tries"],
        alone=row["alone"],
        order=msgspec.convert(order, OrderRow) if order else None,
        order_body=row["order_body"] or b"",
        consumer_key=row["consumer_key"],
        attempts=msgspec.convert(row["attempts"] or [], tuple[Attempt, ...]),
        tombstone=row["tombstone"],
    )
