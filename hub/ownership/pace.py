"""When a busy owner begins its next turn: what finishes meanwhile shares the turn's fixed cost, and an idle owner never waits."""

import asyncio

from hub.clock import monotonic

GATHER_SECONDS = 0.01
"""Turns of a busy owner begin at least so far apart."""
FEW = 4
"""With no more handlers than these under way, nobody waits for them."""


class Pace:
    """Keeps turns apart while many handlers are under way."""

    def __init__(self) -> None:
        self._last = 0.0

    async def gather(self, under_way: int) -> None:
        """Wait until the last turn began long enough ago, where more than a few handlers may finish meanwhile."""
        pause = self._last + GATHER_SECONDS - monotonic()
        if under_way > FEW and pause > 0:
            await asyncio.sleep(pause)
        self._last = monotonic()
