"""What a vendor's settings were when somebody last asked: kept by the owner, so that reopening a connection asks nothing again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from hub.clock import monotonic

T = TypeVar("T")
_MOST = 1000


class Memory:
    """Answers by key with their age. Two who ask at once ask once."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Any]] = {}
        self._asking: dict[str, asyncio.Lock] = {}

    async def remember(self, key: str, seconds: float, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer, at most so many seconds old. What `ask` raises is raised, and nothing is kept."""
        async with self._asking.setdefault(key, asyncio.Lock()):
            known = self._known.get(key)
            if known is not None and monotonic() - known[0] < seconds:
                value: T = known[1]
                return value
            value = await ask()
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[key] = (monotonic(), value)
            return value

    def forget(self) -> None:
        """Ask anew from now on."""
        self._known.clear()
