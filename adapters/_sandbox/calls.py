"""A vendor call as plain values, so that a sandbox's behaviour needs no web framework and no event loop."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

Json = dict[str, Any]


def timestamp(seconds: float) -> str:
    """Write seconds since 1970 as RFC 3339 UTC with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(text: str) -> float:
    """Read an RFC 3339 time as seconds since 1970; raises ValueError without a zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.timestamp()


@dataclass(frozen=True)
class Answer:
    """What a sandbox answers: a JSON body, None for an empty one, or bytes as they are."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def payload(self) -> tuple[bytes, str]:
        """The body's bytes and content type."""
        if self.body is None:
            return b"", "application/octet-stream"
        if isinstance(self.body, bytes):
            return self.body, "application/json"
        return msgspec.json.encode(self.body), "application/json"


class Refused(Exception):
    """A vendor's refusal of a call: the answer it gives, and a reason for the control API.

    `repeats` says that the very same call took effect before: the caller did nothing wrong, it only never heard so.
    """

    def __init__(self, answer: Answer, reason: str, *, repeats: bool = False) -> None:
        super().__init__(reason)
        self.answer = answer
        self.reason = reason
        self.repeats = repeats


class ControlError(Exception):
    """A control call that cannot be done: its HTTP status and what to change."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class BadBody(ValueError):
    """A request body that is not the JSON object it has to be."""


@dataclass
class Call:
    """One request of a hub to a vendor. Header names are lower case; `path` is without the vendor's prefix."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    params: Mapping[str, str] = field(default_factory=dict)
    _parsed: Json | None = None

    def json(self) -> Json:
        """The body as a JSON object; raises BadBody."""
        if self._parsed is None:
            try:
                parsed = json.loads(self.body.decode("utf-8"))
            except (ValueError, RecursionError) as error:
                raise BadBody(f"the body is not JSON: {error}") from error
            if not isinstance(parsed, dict):
                raise BadBody("the body is not a JSON object")
            self._parsed = parsed
        return self._parsed

    def peek(self, *keys: str) -> str:
        """A text inside the JSON body, by its keys; empty when it is not there. Never raises."""
        try:
            value: Any = self.json()
        except BadBody:
            return ""
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, str) else ""

    def bearer(self) -> str:
        """The bearer token of the call, or an empty text."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""


@dataclass(frozen=True)
class Route:
    """One operation of a vendor: `subject` names what the call is about; an `open` one needs no token."""

    method: str
    pattern: str
    operation: str
    handle: Callable[[Call], Answer]
    subject: Callable[[Call], str]
    open: bool = False
    scope: str = ""


class Router:
    """Find the route of a call; literal segments win over `{names}`."""

    def __init__(self, routes: list[Route]) -> None:
        ordered = sorted(routes, key=lambda route: route.pattern.count("{"))
        self._routes = [(route, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.pattern))) for route in ordered]

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route and its path parameters, or None."""
        for route, pattern in self._routes:
            if route.method == method and (match := pattern.fullmatch(path)):
                return route, match.groupdict()
        return None
