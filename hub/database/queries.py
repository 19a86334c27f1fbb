"""Named queries from .sql files (aiosql): one await each, and lists where many rows come."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiosql
from aiosql.types import SQLOperationType


def _listed(query: Any) -> Callable[..., Awaitable[list[Any]]]:
    async def fetch(transaction: Any, /, **values: Any) -> list[Any]:
        return [row async for row in query(transaction, **values)]

    return fetch


def load_queries(path: Path) -> Any:
    """Load a file's queries; each is called with a transaction or Database and its parameters by name.

    The mark after a name says what comes back: none a list, ``^`` a row or None, ``$`` a value, ``!`` nothing of use.
    """
    loaded = aiosql.from_path(path, "asyncpg")
    queries = SimpleNamespace()
    for name in loaded.available_queries:
        query = getattr(loaded, name)
        many = getattr(query, "operation", None) is SQLOperationType.SELECT
        setattr(queries, name, _listed(query) if many else query)
    return queries
