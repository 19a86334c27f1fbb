"""Cursor pagination: `{items, next_cursor}`, with opaque cursors."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from litestar.params import QueryParameter

from hub.api.problems import bad_query

T = TypeVar("T")

Limit = Annotated[int, QueryParameter(ge=1, le=200, description="How many items at most.")]
Cursor = Annotated[str | None, QueryParameter(description="`next_cursor` of the page before.", max_length=500)]


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A page of a list; `next_cursor` is null on the last one."""

    items: list[T]
    next_cursor: str | None = None


def encode(*key: str) -> str:
    """Make a cursor of the last item's sort key."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).rstrip(b"=").decode()


def decode(cursor: str | None, parts: int = 1) -> list[str] | None:
    """Read a cursor; raises a 422 Problem when it is none of ours."""
    if not cursor:
        return None
    try:
        key = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=list[str])
    except (msgspec.DecodeError, binascii.Error, ValueError) as error:
        raise bad_query("cursor", "this is no cursor of this list") from error
    if len(key) != parts or any("\x00" in part for part in key):
        raise bad_query("cursor", "this is no cursor of this list")
    return key


def after(cursor: str | None) -> str | None:
    """The id that the page before ended with."""
    key = decode(cursor)
    return key[0] if key else None


def page(rows: Sequence[Any], limit: int, view: Callable[[Any], T], key: Callable[[Any], tuple[str, ...]]) -> Page[T]:
    """A page of up to `limit` of the rows, of which the query fetched one more to see whether there are others."""
    shown = rows[:limit]
    more = encode(*key(shown[-1])) if len(rows) > limit else None
    return Page([view(row) for row in shown], more)


def by_id(row: Any) -> tuple[str, ...]:
    """The sort key of lists that go by id."""
    return (row["id"],)
