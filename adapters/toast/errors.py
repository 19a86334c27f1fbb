"""Toast's errors, endpoint by endpoint: this is the table."""

import time

import msgspec

from adapters.toast import models
from hub.contract import (
    AlreadyDone,
    AuthRevoked,
    Misconfigured,
    NotFound,
    RateLimited,
    Rejected,
    Response,
)

_WRITTEN = frozenset({"create_order", "price_order"})
_CONFIGURED = frozenset({"get_restaurant", "list_config", "menu_metadata", "get_menus"})


def failure(operation: str, response: Response) -> Exception | None:
    """Name the error; None leaves it to the shared table."""
    status = response.status
    if status < 400:
        return _unknown_items(response) if operation == "update_stock" else None
    problem = _problem(response)
    code, detail = str(problem.code or ""), " ".join(filter(None, (problem.message, problem.developer_message, problem.field_name)))[:300]
    message = f"{operation}: {detail or status}"
    if operation == "token" and status in (400, 401, 403):
        return AuthRevoked(message, code=code, detail=detail, status=status)
    if status == 429:
        return _limited(operation, response, message, code)
    if status == 403:
        return Misconfigured(f"{message}: the app lacks a scope, or the restaurant", code=code, detail=detail, status=status)
    if (status == 400 and "Toast-Restaurant-External-ID" in detail) or (status in (400, 404) and operation in _CONFIGURED):
        return Misconfigured(message, code=code, detail=detail, status=status)
    if status == 400 and operation == "create_order" and "externalid" in detail.lower():
        # Toast refuses an external id that it has; which status and words it has for that is not published.
        return AlreadyDone(message, code=code, detail=detail, status=status)
    if status == 400 and operation == "void_order" and "already" in detail.lower():
        return AlreadyDone(message, code=code, detail=detail, status=status)
    if status == 404 and operation not in _WRITTEN:
        return NotFound(message, code=code, detail=detail, status=status)
    if 400 <= status < 500 and status not in (401, 408, 425):
        return Rejected(message, code=code, detail=detail, status=status)
    return None


def _limited(operation: str, response: Response, message: str, code: str) -> RateLimited:
    """Seconds are in Retry-After; the reset is a moment. A restaurant has limits of its own, endpoints have theirs."""
    after: float | None = None
    for name, base in (("retry-after", 0.0), ("x-toast-ratelimit-reset", time.time())):
        try:
            after = max(0.0, float(response.headers[name]) - base)
        except (KeyError, ValueError):
            continue
        break
    if operation in ("token", "list_restaurants"):
        return RateLimited(message, after=after, scope="app", code=code)
    endpoint = "ENDPOINT" in response.headers.get("x-toast-ratelimit-by", "")
    return RateLimited(message, after=after, scope="endpoint" if endpoint else "store", code=code)


def _unknown_items(response: Response) -> Exception | None:
    """A 200 says of each item whether there is one; when there is none, nothing was set."""
    try:
        rows = msgspec.json.decode(response.body, type=list[models.StockRow])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if rows and all(row.item_guid_validity == "INVALID" for row in rows):
        return Rejected("update_stock: this restaurant has none of these items", code="INVALID", status=200)
    return None


def _problem(response: Response) -> models.Problem:
    try:
        return msgspec.json.decode(response.body, type=models.Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return models.Problem()
