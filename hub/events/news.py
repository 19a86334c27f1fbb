"""The hint "this tenant has news", sent through Redis after a commit. The table is the truth: a lost hint costs a second."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any

CHANNEL = "news:"
_PATIENCE = 0.5


async def publish_news(redis: Any, tenants: Iterable[str]) -> None:
    """Tell live replicas that these tenants have new events. Never fails, and waits half a second at most; no Redis, no hint."""
    if redis is None:
        return
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_PATIENCE):
            for tenant in tenants:
                await redis.publish(CHANNEL + tenant, b"1")


async def hear_news(redis: Any) -> AsyncIterator[str]:
    """Yield tenants as hints about them come; raises what redis-py raises when the connection is lost."""
    async with redis.pubsub() as channel:
        await channel.psubscribe(CHANNEL + "*")
        async for message in channel.listen():
            if message["type"] == "pmessage":
                name = message["channel"]
                yield (name.decode() if isinstance(name, bytes) else name).removeprefix(CHANNEL)
