"""Limits that many owners share, an app's or a chain's: one bucket in Redis. Losing Redis costs nothing but exactness.

Its client is imported when the first bucket is asked: an owner's process that starts after a crash has no 150 ms to give away.
"""

from collections.abc import Awaitable
from typing import Any, Protocol, cast

import structlog

log = structlog.get_logger("hub.calls")

_TAKE = """
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1000000
local most, per, floor = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local row = redis.call('HMGET', KEYS[1], 'held', 'at')
local held, at = tonumber(row[1]) or most / 2, tonumber(row[2]) or now
held = math.min(most, held + (now - at) * most / per)
local wait = 0
if held - floor < 1 then wait = (1 + floor - held) * per / most else held = held - 1 end
redis.call('HSET', KEYS[1], 'held', held, 'at', now)
redis.call('PEXPIRE', KEYS[1], math.ceil(per * 2000))
return tostring(wait)
"""


class SharedLimits(Protocol):
    """Buckets that processes share."""

    async def take(self, key: str, most: float, per: float, floor: float) -> float | None:
        """Take one call; the seconds to wait when none is left above `floor`, None when nobody can be asked."""
        ...


class RedisLimits:
    """Buckets in Redis, refilled by its own clock."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Any = None
        self._script: Any = None

    async def take(self, key: str, most: float, per: float, floor: float) -> float | None:
        """Take one call; None while Redis is away."""
        import redis.asyncio
        from redis.exceptions import RedisError

        if self._script is None:
            self._client = redis.asyncio.Redis.from_url(self._url, socket_timeout=0.5, socket_connect_timeout=0.5)
            self._script = self._client.register_script(_TAKE)
        try:
            answer = await cast("Awaitable[bytes]", self._script(keys=[f"limit:{key}"], args=[most, per, floor]))
            return float(answer)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("shared limits are away", error=type(error).__name__)
            return None

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
