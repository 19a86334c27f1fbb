"""Every error as RFC 9457 problem details, whatever raised it."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import asyncpg
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from hub.identity.principal import Denied
from hub.identity.sessions import Throttled, TotpRequired
from hub.ids import message_number
from hub.tenancy.errors import Conflict, Invalid, Unknown

MEDIA_TYPE = "application/problem+json"

log = structlog.get_logger("hub.api")

Errors = Sequence[dict[str, str]]


class Problem(Exception):
    """An answer that is an error: HTTP status, a sentence for people, and the fields that are wrong."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str = "about:blank",
        errors: Errors = (),
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.kind, self.errors, self.headers, self.more = status, detail, kind, errors, headers, more


def not_found(what: str) -> Problem:
    """A 404 that does not tell whether somebody else has the thing."""
    return Problem(404, f"there is no {what}")


def known_message(identifier: str) -> int:
    """The number of a message id; raises a 404 Problem."""
    number = message_number(identifier)
    if number is None:
        raise not_found(f"message {identifier}")
    return number


def bad_query(parameter: str, detail: str) -> Problem:
    """A 422 about a query parameter."""
    return Problem(422, f"{parameter}: {detail}", errors=[{"parameter": parameter, "detail": detail}])


def _answer(problem: Problem) -> Response[dict[str, Any]]:
    body: dict[str, Any] = {
        "type": problem.kind,
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        **problem.more,
    }
    if problem.errors:
        body["errors"] = list(problem.errors)
    return Response(body, status_code=problem.status, media_type=MEDIA_TYPE, headers=problem.headers)


def _from_problem(_: Request[Any, Any, Any], error: Problem) -> Response[dict[str, Any]]:
    return _answer(error)


def pointer(key: str, message: str) -> str:
    """The JSON pointer of what a validation's path (`$.a[0].b` without its `$`) and message are about."""
    parts = [part for part in re.split(r"[.\[\]]+", key) if part not in ("", "data")]
    named = re.search(r"(?:required|unknown) field `([^`]+)`", message)
    if named:
        parts.append(named[1])
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def _from_validation(_: Request[Any, Any, Any], error: ValidationException) -> Response[dict[str, Any]]:
    errors: list[dict[str, str]] = []
    for entry in error.extra if isinstance(error.extra, list) else []:
        message, key = str(entry.get("message", "")), str(entry.get("key", ""))
        if entry.get("source") in ("query", "header", "cookie"):
            errors.append({"parameter": key, "detail": message})
        else:
            errors.append({"pointer": pointer(key, message), "detail": message})
    return _answer(Problem(422, "the request does not fit the description of this operation", errors=errors))


def _from_http(_: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    details = {404: "there is nothing at this address", 405: "this address does not take this method"}
    headers = {str(k): str(v) for k, v in (error.headers or {}).items()} or None
    detail = details.get(error.status_code, error.detail)
    return _answer(Problem(error.status_code, detail, headers=headers))


def _from_denied(_: Request[Any, Any, Any], error: Denied) -> Response[dict[str, Any]]:
    kind = "urn:hub:problem:totp-required" if isinstance(error, TotpRequired) else "about:blank"
    return _answer(Problem(401, str(error), kind=kind, headers={"WWW-Authenticate": 'Bearer realm="hub"'}))


def _from_throttled(_: Request[Any, Any, Any], error: Throttled) -> Response[dict[str, Any]]:
    return _answer(Problem(429, str(error), headers={"Retry-After": str(error.after)}))


def _from_invalid(_: Request[Any, Any, Any], error: Invalid) -> Response[dict[str, Any]]:
    errors = [{"pointer": pointer, "detail": detail} for pointer, detail in error.errors]
    return _answer(Problem(422, "some values cannot be taken", errors=errors))


def _from_unknown(_: Request[Any, Any, Any], error: Unknown) -> Response[dict[str, Any]]:
    errors = [{"pointer": error.pointer, "detail": str(error)}] if error.pointer else []
    return _answer(Problem(404, str(error), errors=errors))


def _from_conflict(_: Request[Any, Any, Any], error: Conflict) -> Response[dict[str, Any]]:
    return _answer(Problem(409, str(error)))


def _from_unique(_: Request[Any, Any, Any], error: asyncpg.UniqueViolationError) -> Response[dict[str, Any]]:
    return _answer(Problem(409, "something with these values is there already"))


def _from_data(_: Request[Any, Any, Any], error: asyncpg.DataError) -> Response[dict[str, Any]]:
    return _answer(Problem(422, "a value holds characters or numbers that cannot be stored"))


def _from_outage(_: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    log.warning("the database does not answer", error=f"{type(error).__name__}: {error}")
    return _answer(Problem(503, "the database does not answer: try again", headers={"Retry-After": "2"}))


def _from_defect(_: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    log.error("a request failed", exc_info=error)
    return _answer(Problem(500, "the hub failed to answer: its log says why, under this answer's correlation id"))


HANDLERS: dict[Any, Any] = {
    Problem: _from_problem,
    ValidationException: _from_validation,
    HTTPException: _from_http,
    Denied: _from_denied,
    Throttled: _from_throttled,
    Invalid: _from_invalid,
    Unknown: _from_unknown,
    Conflict: _from_conflict,
    asyncpg.UniqueViolationError: _from_unique,
    asyncpg.DataError: _from_data,
    asyncpg.PostgresConnectionError: _from_outage,
    asyncpg.InterfaceError: _from_outage,
    asyncpg.CannotConnectNowError: _from_outage,
    asyncpg.AdminShutdownError: _from_outage,
    asyncpg.CrashShutdownError: _from_outage,
    asyncpg.QueryCanceledError: _from_outage,
    asyncpg.LockNotAvailableError: _from_outage,
    asyncpg.TooManyConnectionsError: _from_outage,
    OSError: _from_outage,
    TimeoutError: _from_outage,
    Exception: _from_defect,
}
"""Exception handlers of the application."""
