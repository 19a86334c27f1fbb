"""The one table from status codes and transport errors to what happens next; an adapter's `failure` comes before it."""

from datetime import datetime
from email.utils import parsedate_to_datetime

from hub.clock import utc_now
from hub.contract import (
    AuthExpired,
    Misconfigured,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Response,
    RetryLater,
)


def retry_after(response: Response) -> float | None:
    """Seconds in Retry-After: a number, or a date; None when there is none that can be read."""
    text = response.headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        at: datetime = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (at - utc_now()).total_seconds())


def excerpt(response: Response) -> str:
    """The start of a body for an error's detail."""
    return response.body[:300].decode("utf-8", "replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")


def failure(operation: str, response: Response, *, write: bool) -> Exception | None:
    """The shared table; None for 2xx. A 5xx after a write leaves its outcome unknown."""
    status, detail = response.status, excerpt(response)
    message = f"{operation} answered {status}"
    if 200 <= status < 300:
        return None
    if status == 401:
        return AuthExpired(message, detail=detail, status=status)
    if status == 403:
        return Misconfigured(message, detail=detail, status=status)
    if status in (404, 410):
        return NotFound(message, detail=detail, status=status)
    if status == 429:
        return RateLimited(message, after=retry_after(response), detail=detail)
    if status in (408, 425):
        return RetryLater(message, after=retry_after(response), detail=detail, status=status)
    if status >= 500:
        if write:
            return OutcomeUnknown(message, detail=detail, status=status)
        return RetryLater(message, after=retry_after(response), detail=detail, status=status)
    return Rejected(message, detail=detail, status=status)
