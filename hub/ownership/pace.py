"""When a busy owner begins its next turn: what finishes meanwhile shares the turn's fixed cost, and an idle owner never waits."""

import asyncio

from hub.clock import monotonic

GATHER_SECONDS = 0.02
"""Turns of the busiest owner begin at least so far apart."""
FEW = 4
"""With no more handlers than these under way, nobody waits for them."""
MANY = 24
"""With so many under way, turns are as far apart as they get; with fewer, by so much less."""


def apart(under_way: int) -> float:
    """Seconds from one turn's beginning to the next one's, by how many handlers may finish meanwhile."""
    return GATHER_SECONDS * min(max(under_way - FEW, 0) / (MANY - FEW), 1.0)


class Pace:
    """Keeps turns apart while many handlers are under way."""

    def __init__(self) -> None:
        self._last = 0.0

    async def gather(self, under_way: int) -> None:
        """Wait until the last turn began long enough ago."""
        pause = self._last + apart(under_way) - monotonic()
        if pause > 0:
            await asyncio.sleep(pause)
        self._last = monotonic()
