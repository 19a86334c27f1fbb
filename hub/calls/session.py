"""The HTTP session, with a last look at the clock after a socket is at hand and before a byte is written to it."""

from types import SimpleNamespace
from typing import Any

import aiohttp

from hub.clock import monotonic


class TooOld(Exception):
    """The attempt outlived its timeout before its request was written: somebody else may have taken over."""


async def _check_age(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
    not_after = (context.trace_request_ctx or {}).get("not_after")
    if not_after is not None and monotonic() > not_after:
        raise TooOld("the attempt is older than its timeout")


def open_session() -> aiohttp.ClientSession:
    """Open a session: TLS verified, no redirects followed, no cookies kept. Close it when the process ends."""
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(_check_age)
    trace.on_connection_reuseconn.append(_check_age)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, limit_per_host=128, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[trace],
        headers={"User-Agent": "integration-hub"},
        auto_decompress=True,
    )
