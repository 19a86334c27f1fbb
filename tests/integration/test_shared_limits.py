"""One bucket for all owners of an app, in a real Valkey."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.embedded import remove_data, start_valkey, stop
from hub.calls import Limiter, RedisLimits
from hub.contract import Request
from hub.contract.provider import Limit


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[str]:
    """A server's URL."""
    try:
        yield start_valkey(tmp_path)
    finally:
        stop(tmp_path)
        remove_data(tmp_path)


async def test_owners_share_one_bucket(valkey: str) -> None:
    """Three owners together get what the app may have, whoever asks first; a server that goes away divides the limit."""
    servers = [RedisLimits(valkey) for _ in range(3)]
    limit = Limit(20, 3600, "app")
    limiters = [Limiter([limit], shared=server, owner="app_1", share=3) for server in servers]
    request = Request("GET", "/x", "read")
    waits = await asyncio.gather(*(limiters[number % 3].take(request) for number in range(30)))
    # Half of it, less the fifth that is kept for orders and cancels.
    assert sum(wait == 0 for wait in waits) == 6
    assert all(wait > 100 for wait in waits if wait)
    other = Limiter([limit], shared=servers[0], owner="app_2")
    assert await other.take(request) == 0
    for server in servers:
        await server.close()


async def test_a_server_that_is_away_is_no_failure() -> None:
    """The limit is then kept here, divided."""
    away = RedisLimits("redis://127.0.0.1:1")
    limiter = Limiter([Limit(4, 1, "app")], shared=away, owner="app_1", share=4)
    assert await limiter.take(Request("GET", "/x", "read")) == 0
    assert await limiter.take(Request("GET", "/x", "read")) > 0
    await away.close()
