"""Read events by cursor. The order is (transaction, id), and only what no running transaction can come before is shown.

So a resume never skips an event that was written early and committed late.
"""

import base64
import struct
from collections.abc import Sequence
from typing import Any, Protocol

_CURSOR = struct.Struct(">QQ")
_HIGHEST = (1 << 63) - 1


class Reads(Protocol):
    """A connection inside a tenant's transaction."""

    async def fetch(self, query: str, *args: Any) -> list[Any]:
        """Rows."""
        ...

    async def fetchrow(self, query: str, *args: Any) -> Any:
        """A row."""
        ...


class BadCursor(ValueError):
    """The cursor is none of ours: leave it out to start at the beginning."""


class ForgottenCursor(Exception):
    """Events behind this cursor were deleted by age: leave it out to start at the oldest that is kept."""


def encode_cursor(transaction: int, number: int) -> str:
    """An opaque text for a place in the history."""
    return base64.urlsafe_b64encode(_CURSOR.pack(transaction, number)).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[int, int]:
    """Read what `encode_cursor` wrote; raises BadCursor."""
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        transaction, number = _CURSOR.unpack(packed)
    except (ValueError, struct.error) as error:
        raise BadCursor("the cursor is not one of ours: leave it out to start at the beginning") from error
    if transaction > _HIGHEST or number > _HIGHEST:
        raise BadCursor("the cursor is not one of ours: leave it out to start at the beginning")
    return transaction, number


def event_id(number: int) -> str:
    """An event's own id, sortable by when it was written."""
    return f"evt_{number:026d}"


# The floor is read with the page, in one snapshot: no event is deleted between the two.
_EVENTS = """
with page as materialized (
  select e.xid, e.id, e.type, e.at, e.subject, e.location, e.data, e.correlation
  from hub.events e
  where e.tenant_id = $1 and (e.xid, e.id) > ($2::text::xid8, $3::bigint)
    and e.xid < pg_snapshot_xmin(pg_current_snapshot())
    and (cardinality($5::text[]) = 0 or e.type = any ($5))
  order by e.xid, e.id
  limit $4
)
select f.gone, p.xid::text::bigint as transaction, p.id, p.type, p.at, p.subject, p.location, p.data, p.correlation
from (select exists (select 1 from hub.event_floors f
                     where f.tenant_id = $1 and (f.xid, f.id) > ($2::text::xid8, $3::bigint)) as gone) f
left join page p on true
order by p.xid, p.id
"""


async def read_events(
    transaction: Reads, tenant: str, cursor: str | None, limit: int, types: Sequence[str] = ()
) -> tuple[list[dict[str, Any]], str | None]:
    """Events after the cursor and the cursor behind the last of them (the given one when there are none).

    Raises BadCursor, and ForgottenCursor when events behind the cursor are no longer kept. Without a cursor it starts at the oldest.
    """
    after = decode_cursor(cursor) if cursor else (0, 0)
    rows = await transaction.fetch(_EVENTS, tenant, str(after[0]), after[1], limit, list(types))
    if cursor and rows[0]["gone"]:
        raise ForgottenCursor("events behind this cursor are no longer kept: leave it out to start at the oldest that is")
    rows = [row for row in rows if row["id"] is not None]
    found = [event_of(row, tenant) for row in rows]
    return found, encode_cursor(rows[-1]["transaction"], rows[-1]["id"]) if rows else cursor


def event_of(row: Any, tenant: str) -> dict[str, Any]:
    """An event as clients see it."""
    return {
        "id": event_id(row["id"]),
        "type": row["type"],
        "at": row["at"],
        "tenant": tenant,
        "subject": row["subject"],
        "location": row["location"] or None,
        "data": row["data"],
        "correlation_id": row["correlation"] or None,
        "cursor": encode_cursor(row["transaction"], row["id"]),
    }


_LATEST = """
select xid::text::bigint as transaction, id from (
  (select e.xid, e.id from hub.events e
   where e.tenant_id = $1 and e.xid < pg_snapshot_xmin(pg_current_snapshot()) order by e.xid desc, e.id desc limit 1)
  union all select f.xid, f.id from hub.event_floors f where f.tenant_id = $1
) places
order by xid desc, id desc limit 1
"""


async def latest_cursor(transaction: Reads, tenant: str) -> str:
    """A cursor behind all that is shown now, or was once; nothing that commits later is skipped by it."""
    row = await transaction.fetchrow(_LATEST, tenant)
    return encode_cursor(row["transaction"], row["id"]) if row is not None else encode_cursor(0, 0)
