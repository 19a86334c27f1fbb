"""How Deliveroo checks a call: its content type, fields and times, and how often it came; refused with the vendor's error body."""

import time
from collections import deque
from typing import Any

from adapters._sandbox.calls import Answer, Call, Json, Refused, seconds

_CODES = {400: "bad_request", 401: "unauthorized", 404: "not_found", 409: "conflict", 429: "too_many_requests"}


def refuse(message: str, status: int = 400, *, repeats: bool = False) -> Refused:
    """A refusal with Deliveroo's error body."""
    code = _CODES[status]
    return Refused(Answer(status, {"error": {"code": code, "message": message}}), f"{code}: {message}", repeats=repeats)


def json_body(call: Call, **kinds: type | tuple[type, ...]) -> Json:
    """The JSON body of a call, whose known fields have these types; null counts as absent. Raises Refused or BadBody."""
    if not call.headers.get("content-type", "").startswith("application/json"):
        raise refuse("the content type is application/json")
    body = call.json()
    for name, value in body.items():
        if kinds and name not in kinds:
            raise refuse(f"unknown field {name}")
        if kinds and value is not None and (not isinstance(value, kinds[name]) or (isinstance(value, bool) and kinds[name] is not bool)):
            raise refuse(f"{name} has the wrong type")
    return body


def one_of(body: Json, name: str, known: tuple[str, ...], *, needed: bool = True) -> str:
    """A word out of a known set, or an empty text when it is absent and not needed; raises Refused."""
    value = body.get(name)
    if value is None and not needed:
        return ""
    if not isinstance(value, str) or value not in known:
        raise refuse(f"{name} is one of {', '.join(known)}")
    return value


def moment(value: Any, name: str) -> float:
    """An RFC 3339 time as seconds since 1970; raises Refused."""
    try:
        return seconds(value)
    except (TypeError, ValueError) as error:
        raise refuse(f"{name}: invalid date format") from error


def texts(value: Any, name: str) -> list[str]:
    """A list of texts; raises Refused."""
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise refuse(f"{name} is a list of texts")
    return value


class Limits:
    """How often each thing was asked for. A window is in seconds; one of 0 switches its limit off."""

    def __init__(self) -> None:
        self._counted: dict[tuple[str, str], deque[float]] = {}

    def over(self, name: str, about: str, most: int, window: float) -> bool:
        """Tell whether as many calls as are allowed were counted within the window."""
        since = time.monotonic() - window
        return window > 0 and sum(at > since for at in self._counted.get((name, about), ())) >= most

    def count(self, name: str, about: str) -> None:
        """Count a call."""
        self._counted.setdefault((name, about), deque(maxlen=16)).append(time.monotonic())

    def take(self, name: str, about: str, most: int, window: float, *, repeats: bool = False) -> None:
        """Count a call, or refuse it with a 429 that names no time to wait."""
        if self.over(name, about, most, window):
            raise refuse(f"{name}: at most {most} in {window:g} s", 429, repeats=repeats)
        self.count(name, about)

    def forget(self) -> None:
        """Start counting anew."""
        self._counted.clear()
