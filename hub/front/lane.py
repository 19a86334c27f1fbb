"""One kind of call with a bound on how many are inside: what comes beyond it is told to come again, and a drain waits for the rest."""

import asyncio

import structlog

from hub.ingress.replies import App, Receive, Scope, Send, problem
from hub.observe import keep_correlation, metrics

RETRY_AFTER_SECONDS = 2

log = structlog.get_logger(__name__)


class Lane:
    """Passes calls on to an app, at most `most` at once."""

    def __init__(self, name: str, app: App, most: int) -> None:
        self._app, self._most = app, most
        self._inside = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self._shed = metrics.SHED.labels(name)
        metrics.INSIDE.labels(name).set_function(lambda: self._inside)

    @property
    def inside(self) -> int:
        """How many calls are being answered."""
        return self._inside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call, or tell it to come again."""
        if self._inside >= self._most:
            self._shed.inc()
            await _come_again(scope, send, self._inside)
            return
        self._inside += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    async def drained(self, seconds: float) -> bool:
        """Wait until nobody is inside; false when somebody still is after so many seconds."""
        limit = asyncio.get_running_loop().time() + seconds
        while self._inside:
            self._empty.clear()
            left = limit - asyncio.get_running_loop().time()
            if left <= 0:
                log.warning("front.not_drained", inside=self._inside)
                return False
            try:
                await asyncio.wait_for(self._empty.wait(), left)
            except TimeoutError:
                continue
        return True


async def _come_again(scope: Scope, send: Send, inside: int) -> None:
    given = next((value for name, value in scope["headers"] if name == b"x-correlation-id"), b"")
    named = {"x-correlation-id": keep_correlation(given.decode("latin-1")), "retry-after": str(RETRY_AFTER_SECONDS)}
    await problem(send, 503, "Service Unavailable", f"{inside} calls are being answered already: try again", headers=named)
