"""A vendor's rate limits, kept by whoever calls: a bucket for each limit and whatever its scope counts by."""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from contextvars import ContextVar

from hub.calls.shared import SharedLimits
from hub.clock import monotonic
from hub.contract import Request
from hub.contract.provider import Limit

URGENT: ContextVar[bool] = ContextVar("urgent", default=False)
"""Set while an order or a cancel is handled: such calls may use the last fifth of each limit."""
RESERVED = 0.2
LONG_SECONDS = 10.0
"""Windows this long start half full: nobody knows what was used before this owner came."""
_MOST_BUCKETS = 10_000
_BY_SUBJECT = frozenset({"store", "order", "item"})
_WIDE = frozenset({"app", "chain"})


def _holds(limit: Limit, request: Request) -> bool:
    if limit.operations and request.operation not in limit.operations:
        return False
    return limit.scope not in _BY_SUBJECT or bool(request.about)


class _Bucket:
    __slots__ = ("at", "held")

    def __init__(self, held: float, at: float) -> None:
        self.held, self.at = held, at


class Limiter:
    """All limits of one connection. Those of an app or a chain are shared under `owner` where `shared` can be asked.

    `share` divides them among so many sharers while it cannot.
    """

    def __init__(self, limits: Sequence[Limit], *, shared: SharedLimits | None = None, owner: str = "", share: int = 1) -> None:
        self._limits = [limit for limit in limits if limit.requests > 0 and limit.per > 0]
        self._shared, self._owner, self._share = shared, owner, max(1, share)
        self._buckets: OrderedDict[tuple[int, str], _Bucket] = OrderedDict()

    async def take(self, request: Request) -> float:
        """Take one call from every limit that holds for it; the seconds to wait when one has none left."""
        asked: set[int] = set()
        if self._shared is not None:
            for number, limit in enumerate(self._limits):
                if limit.scope not in _WIDE or not _holds(limit, request):
                    continue
                floor = 0.0 if URGENT.get() or limit.requests < 1 / RESERVED else limit.requests * RESERVED
                key = f"{self._owner}:{number}:{limit.requests}:{limit.per:g}"
                wait = await self._shared.take(key, float(limit.requests), limit.per, floor)
                if wait is None:
                    break
                if wait > 0:
                    return wait
                asked.add(number)
        return self.wait(request, but=asked)

    def wait(self, request: Request, *, urgent: bool | None = None, but: Collection[int] = ()) -> float:
        """Take one call from each limit kept here (`but` those); when one has none left, take none and return the seconds to wait."""
        allowed = URGENT.get() if urgent is None else urgent
        now = monotonic()
        met: list[_Bucket] = []
        longest = 0.0
        for number, limit in enumerate(self._limits):
            if number in but or not _holds(limit, request):
                continue
            most = self._most(limit)
            bucket = self._bucket(number, limit, request, most, now)
            floor = 0.0 if allowed or most < 1 / RESERVED else most * RESERVED
            if bucket.held - floor < 1:
                longest = max(longest, (1 + floor - bucket.held) * limit.per / most)
            met.append(bucket)
        if longest <= 0:
            for bucket in met:
                bucket.held -= 1
        return longest

    def _most(self, limit: Limit) -> float:
        return max(1.0, limit.requests / self._share) if limit.scope in _WIDE else float(limit.requests)

    def _bucket(self, number: int, limit: Limit, request: Request, most: float, now: float) -> _Bucket:
        subject = request.about if limit.scope in _BY_SUBJECT else request.operation if limit.scope == "endpoint" else ""
        key = (number, subject)
        bucket = self._buckets.get(key)
        if bucket is None:
            # What counts by one order or store was hardly used before: an order has a few calls in all.
            careful = limit.per >= LONG_SECONDS and limit.scope not in _BY_SUBJECT and most >= 1 / RESERVED
            bucket = self._buckets[key] = _Bucket(most / 2 if careful else most, now)
            while len(self._buckets) > _MOST_BUCKETS:
                self._buckets.popitem(last=False)
        bucket.held = min(most, bucket.held + (now - bucket.at) * most / limit.per)
        bucket.at = now
        self._buckets.move_to_end(key)
        return bucket

    def is_full(self) -> bool:
        """Tell whether every bucket has filled up again, so that a fresh limiter would allow no more than this one."""
        now = monotonic()
        for (number, _), bucket in self._buckets.items():
            limit = self._limits[number]
            most = self._most(limit)
            if bucket.held + (now - bucket.at) * most / limit.per < most:
                return False
        return True

    def left(self) -> dict[str, float]:
        """What each used limit still allows, for the connection's live state: by scope and what it counts by."""
        return {
            f"{self._limits[number].scope}{'/' + subject if subject else ''}": round(bucket.held, 1)
            for (number, subject), bucket in list(self._buckets.items())[-20:]
        }
