"""The HTTP session, with a last look at the clock after a socket is at hand and before a byte is written to it."""

from contextvars import ContextVar
from typing import Any

import aiohttp

from hub.clock import monotonic


class TooOld(Exception):
    """The attempt outlived its timeout before its request was written: somebody else may have taken over."""


NOT_AFTER: ContextVar[float | None] = ContextVar("not_after", default=None)
"""The moment (monotonic) after which the call of this task must not be written any more; None for calls that may."""


class _Connector(aiohttp.TCPConnector):
    # A trace would tell of the same moment, at a third of a call's own cost.
    async def connect(self, *args: Any, **named: Any) -> aiohttp.connector.Connection:
        connection = await super().connect(*args, **named)
        not_after = NOT_AFTER.get()
        if not_after is not None and monotonic() > not_after:
            connection.release()
            raise TooOld("the attempt is older than its timeout")
        return connection


def open_session() -> aiohttp.ClientSession:
    """Open a session: TLS verified, no redirects followed, no cookies kept. Close it when the process ends."""
    return aiohttp.ClientSession(
        connector=_Connector(limit=0, limit_per_host=128, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "integration-hub"},
        auto_decompress=True,
    )
