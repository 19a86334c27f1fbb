"""The one door through which the owners of a process claim messages: behind a suspect it is shut, so that the suspect runs alone.

Alone has an end: a suspect that waits for its vendor would keep hundreds of neighbours waiting. It has the process to itself for its
first moments, in which a message that breaks a process breaks it; then the door opens, and should the process die after all, the
death is still the suspect's.
"""

import asyncio
from collections.abc import Callable

ALONE_SECONDS = 2.0
"""How long a suspect has its process to itself, at most; and how long it waits for what runs when it comes."""


class ClaimDoor:
    """Open, or shut for one owner. `running` tells how many messages all owners of the process hold."""

    def __init__(self, running: Callable[[], int] = lambda: 0, *, seconds: float = ALONE_SECONDS) -> None:
        self._running, self._seconds = running, seconds
        self._turn = asyncio.Lock()
        self._holder: object | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._refused: set[Callable[[], None]] = set()

    def lets(self, owner: object, again: Callable[[], None]) -> bool:
        """Tell whether this owner may claim; `again` is called once when a shut door opens."""
        if self._holder is None or self._holder is owner:
            return True
        self._refused.add(again)
        return False

    def shut_for(self, owner: object) -> bool:
        """Tell whether the door is shut for this owner's suspect."""
        return self._holder is owner

    async def shut(self, owner: object, again: Callable[[], None]) -> None:
        """Wait for the turn, shut the door, and wait a moment for what runs. Whoever shuts it opens it; `again` is called then."""
        await self._turn.acquire()
        self._holder = owner
        self._refused.add(again)
        loop = asyncio.get_running_loop()
        limit = loop.time() + self._seconds
        try:
            while self._running() and loop.time() < limit:  # noqa: ASYNC110 - rare and short
                await asyncio.sleep(0.01)
        except BaseException:
            self.open(owner)
            raise
        self._timer = loop.call_later(self._seconds, self.open, owner)

    def open(self, owner: object) -> None:
        """Open the door that was shut for this owner; harmless when it was not."""
        if self._holder is not owner:
            return
        self._holder = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._turn.release()
        refused, self._refused = self._refused, set()
        for again in refused:
            again()
