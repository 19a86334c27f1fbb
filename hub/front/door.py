"""Which calls are answered in front: everything else, and everything while no front is open in this process, is passed on."""

import asyncio

from hub.front.lane import Lane
from hub.ids import is_id
from hub.ingress.replies import App, Receive, Scope, Send

WEBHOOKS = "/webhooks/"
ORDER = "/api/v1/orders/"
DRAIN_SECONDS = 10.0


class Door:
    """The lanes of this process."""

    def __init__(self, webhooks: Lane, orders: Lane) -> None:
        self._webhooks, self._orders = webhooks, orders

    def lane(self, scope: Scope) -> Lane | None:
        """The lane of a call; None for calls that are not answered in front.

        A vendor's call is one below /webhooks/; a read is a GET of exactly one order's address, without a query.
        """
        path: str = scope["path"]
        if path.startswith(WEBHOOKS):
            return self._webhooks
        if path.startswith(ORDER) and scope["method"] == "GET" and not scope["query_string"] and is_id("ord", path[len(ORDER) :]):
            return self._orders
        return None

    async def drained(self, seconds: float = DRAIN_SECONDS) -> bool:
        """Wait until every call inside is answered; false when one is not after so many seconds."""
        return all(await asyncio.gather(self._webhooks.drained(seconds), self._orders.drained(seconds)))


_open: Door | None = None


def open_front(door: Door | None) -> None:
    """Answer in front from now on, in this process; None passes everything on again."""
    global _open
    _open = door


class FrontDoor:
    """ASGI middleware: hands calls to the open front's lanes, and all others to the app."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Choose who answers."""
        if _open is not None and scope["type"] == "http":
            lane = _open.lane(scope)
            if lane is not None:
                await lane(scope, receive, send)
                return
        await self._app(scope, receive, send)
