"""A vendor's rate limits, kept by whoever calls: a bucket for each limit and whatever its scope counts by."""

from collections import OrderedDict
from collections.abc import Sequence
from contextvars import ContextVar

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


class _Bucket:
    __slots__ = ("at", "held")

    def __init__(self, held: float, at: float) -> None:
        self.held, self.at = held, at


class Limiter:
    """All limits of one connection. `share` divides limits of wider scopes among those who use them."""

    def __init__(self, limits: Sequence[Limit], share: int = 1) -> None:
        self._limits = [limit for limit in limits if limit.requests > 0 and limit.per > 0]
        self._share = max(1, share)
        self._buckets: OrderedDict[tuple[int, str], _Bucket] = OrderedDict()

    def wait(self, request: Request, *, urgent: bool | None = None) -> float:
        """Take one call from every limit that holds for it; when one has none left, take none and return the seconds to wait."""
        allowed = URGENT.get() if urgent is None else urgent
        now = monotonic()
        met: list[_Bucket] = []
        longest = 0.0
        for number, limit in enumerate(self._limits):
            if limit.operations and request.operation not in limit.operations:
                continue
            if limit.scope in _BY_SUBJECT and not request.about:
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
        shared = limit.scope in ("app", "chain")
        return max(1.0, limit.requests / self._share) if shared else float(limit.requests)

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

    def left(self) -> dict[str, float]:
        """What each used limit still allows, for the connection's live state: by scope and what it counts by."""
        return {
            f"{self._limits[number].scope}{'/' + subject if subject else ''}": round(bucket.held, 1)
            for (number, subject), bucket in list(self._buckets.items())[-20:]
        }
