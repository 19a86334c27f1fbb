"""Time for Python code: wall time for what is stored and shown, monotonic for durations. Due times use the database's `hub.clock()`."""

import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Now, aware, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds of a clock that no one sets."""
    return time.monotonic()
