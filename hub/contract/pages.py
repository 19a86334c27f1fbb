"""Walk a vendor's pages: every one once, never in a circle."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from hub.contract.errors import Drifted

P = TypeVar("P")
MOST_PAGES = 10_000


async def pages(ask: Callable[[str], Awaitable[tuple[P, str]]], first: str = "") -> AsyncIterator[P]:
    """Yield page after page. `ask` takes a cursor ("" for the first page) and gives the page and the next cursor, "" at the end.

    Raises Drifted when the cursors go in a circle.
    """
    cursor, seen = first, {first}
    for _ in range(MOST_PAGES):
        page, cursor = await ask(cursor)
        yield page
        if not cursor:
            return
        if cursor in seen:
            raise Drifted(f"the pages go in a circle: {cursor[:80]!r} came before")
        seen.add(cursor)
    raise Drifted(f"more than {MOST_PAGES} pages")
