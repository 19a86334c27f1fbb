"""One id from a vendor's webhook to the vendor call it leads to: in every answer, message, event and log line."""

import re
from contextvars import ContextVar

from hub.ids import new_id

Correlation: ContextVar[str] = ContextVar("correlation", default="")
"""The correlation id of what this task is doing, "" outside of any."""

_TAME = re.compile(r"[A-Za-z0-9._:+/=-]{1,100}")


def new_correlation() -> str:
    """Make a correlation id and set it for this task."""
    made = new_id("cor")
    Correlation.set(made)
    return made


def keep_correlation(given: str) -> str:
    """Keep a caller's own id when it is tame (up to 100 letters, digits and ``._:+/=-``), else make one; set it for this task."""
    if not _TAME.fullmatch(given):
        return new_correlation()
    Correlation.set(given)
    return given
