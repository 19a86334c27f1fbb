"""Login attempts within a window, counted in this process by e-mail and address."""

from collections import OrderedDict, deque
from collections.abc import Callable
from math import ceil

from hub.clock import monotonic


class LoginThrottle:
    """Refuses further tries after `most` in `seconds`. Holds at most `keys` names, the stalest leave first."""

    def __init__(self, *, most: int = 8, seconds: float = 300, keys: int = 20_000, clock: Callable[[], float] = monotonic) -> None:
        self._most, self._seconds, self._keys, self._clock = most, seconds, keys, clock
        self._tries: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def wait(self, email: str, address: str) -> int:
        """Seconds until this caller may try again; 0 when it may now."""
        times = self._tries.get((email.lower(), address))
        if not times:
            return 0
        now = self._clock()
        while times and times[0] <= now - self._seconds:
            times.popleft()
        return ceil(times[0] + self._seconds - now) if len(times) >= self._most else 0

    def count(self, email: str, address: str) -> None:
        """Count a try, before it is decided, so that many at once are counted too."""
        key = (email.lower(), address)
        self._tries.setdefault(key, deque(maxlen=self._most)).append(self._clock())
        self._tries.move_to_end(key)
        while len(self._tries) > self._keys:
            self._tries.popitem(last=False)

    def succeeded(self, email: str, address: str) -> None:
        """Forget this caller's tries."""
        self._tries.pop((email.lower(), address), None)
