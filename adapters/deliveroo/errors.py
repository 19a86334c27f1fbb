"""What Deliveroo's refusals mean: the APIs' `{error: {code, message}}`, OAuth's words, and conflicts over what was decided before."""

import re
from typing import Any, Literal

import msgspec

from adapters.deliveroo import models
from hub.contract import AlreadyDone, AuthRevoked, Misconfigured, RateLimited, Rejected, Response

_DECISIONS = frozenset({"accept", "reject", "confirm", "sync_status"})
_STAGES = frozenset({"preparing", "ready", "picked_up"})
_Scope = Literal["order", "store"]
_LIMITS: dict[str, tuple[float, _Scope]] = {
    **dict.fromkeys(("accept", "reject", "confirm"), (12.0, "order")),
    "sync_status": (10.0, "order"),
    "push_menu": (60.0, "store"),
    "availability": (0.2, "store"),
}
"""Seconds until one more call is allowed: a refusal names none."""
_CLOSED = re.compile(r"reason: ([A-Z_]+)")
_CLOSED_BY = {
    "OPENING_HOURS": "it is outside its opening hours",
    "VACATION_MODE": "it is on vacation: end that in Deliveroo's Partner Hub",
    "CLOSED_PERIOD": "it is closed for a period, set by its staff or after three missed orders: end that in Deliveroo's Partner Hub",
}


def failure(operation: str, response: Response) -> Exception | None:
    """Name the error; None leaves it to the shared table."""
    status = response.status
    if status < 400:
        return None
    code, message = _words(response)
    detail = f"{code} {message}".strip()[:300]
    if operation == "token" and status in (400, 401):
        return AuthRevoked(f"Deliveroo refuses the app's credentials: {code or status}", code=code, detail=detail, status=status)
    if status == 429 and operation in _LIMITS and not response.headers.get("retry-after"):
        after, scope = _LIMITS[operation]
        return RateLimited(f"{operation} was called too often", after=after, scope=scope, code=code, detail=detail)
    if status == 409:
        if operation in _DECISIONS:
            return AlreadyDone(f"{operation}: decided before, or too late", code=code, detail=detail, status=status)
        if operation in _STAGES:
            return AlreadyDone(f"{operation}: the order is past that", code=code, detail=detail, status=status)
        return Rejected(f"{operation}: the order is in another state", code=code, detail=detail, status=status)
    if status == 404 and operation == "push_menu":
        return Misconfigured(f"Deliveroo does not know the brand or the site: {message}", code=code, detail=detail, status=status)
    if status == 400 and operation == "set_store" and (found := _CLOSED.search(message)):
        why = found[1]
        return Rejected(f"Deliveroo does not open the site: {_CLOSED_BY.get(why, why)}", code=why, detail=detail, status=status)
    if status in (400, 422):
        return Rejected(f"{operation}: {detail or status}", code=code, detail=detail, status=status)
    return None


def _words(response: Response) -> tuple[str, str]:
    """Code and message, wherever they stand."""
    try:
        body = msgspec.json.decode(response.body, type=models.Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "", ""
    if isinstance(body.error, dict):
        return str(body.error.get("code") or ""), str(body.error.get("message") or body.message or "")
    return str(body.error or ""), body.message or ""


def upload_errors(errors: Any) -> str:
    """What was wrong with a menu, in a line: an object with images, or a list of problems."""
    rows: list[Any] = []
    if isinstance(errors, dict):
        images = errors.get("images")
        rows = [errors.get("processing"), *(images if isinstance(images, list) else [])]
    elif isinstance(errors, list):
        rows = errors
    elif errors:
        rows = [errors]
    return "; ".join(filter(None, map(_row, rows)))[:500]


def _row(row: Any) -> str:
    if isinstance(row, dict):
        return " ".join(str(row[name]) for name in ("field", "url", "code", "message") if row.get(name))
    return str(row or "")
