"""How Toast checks a request: types, required fields, GUIDs, times and decimal money, refused with Toast's error body."""

import json
import math
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from adapters._sandbox.calls import Answer, BadBody, Call, Json, Refused

Check = Callable[[Any, str], None]

_CODES = {400: 10020, 401: 10010, 403: 10013, 404: 10040, 413: 10043, 415: 10045, 429: 10029, 500: 10000}
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:?\d\d)")
_NO_DECIMALS = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"]
)
_THREE_DECIMALS = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])


def problem(status: int, message: str, field: str = "") -> Answer:
    """Toast's error body."""
    body = {
        "status": status,
        "code": _CODES.get(status, 10000 + status),
        "message": message,
        "messageKey": None,
        "fieldName": field or None,
        "link": None,
        "requestId": str(uuid.uuid4()),
        "developerMessage": None,
        "errors": [],
        "canRetry": None,
    }
    return Answer(status, body)


def refuse(message: str, field: str = "", status: int = 400, *, repeats: bool = False) -> Refused:
    """A refusal with Toast's error body."""
    return Refused(problem(status, message, field), message + (f" ({field})" if field else ""), repeats=repeats)


def decimals(currency: str) -> int:
    """How many decimals amounts of an ISO 4217 currency have."""
    return 0 if currency in _NO_DECIMALS else 3 if currency in _THREE_DECIMALS else 4 if currency in {"CLF", "UYW"} else 2


def major(amount: int, places: int) -> float:
    """An amount in the smallest unit as Toast writes money: decimal units."""
    return float(Decimal(amount).scaleb(-places))


def minor(value: float, places: int, at: str) -> int:
    """Decimal money in the smallest unit; raises Refused for more decimals than the currency has, or below zero."""
    scaled = Decimal(repr(value)).scaleb(places)
    if scaled != scaled.to_integral_value():
        raise refuse(f"Amount {value!r} has more than {places} decimals", at)
    if scaled < 0:
        raise refuse("Amounts must not be negative", at)
    return int(scaled)


def stamp(seconds: float) -> str:
    """A time as Toast writes it: `2022-03-05T16:00:00.000+0000`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000")


def moment(value: Any, at: str) -> float:
    """Seconds since 1970 of a time with milliseconds and zone; raises Refused."""
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise refuse(f"Not an ISO 8601 date and time with milliseconds and zone: {value!r}", at)
    try:
        return datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
    except ValueError as error:
        raise refuse(f"Not a date and time: {value!r}", at) from error


def is_guid(value: str) -> bool:
    """Tell whether a text has the form of a GUID."""
    return bool(_GUID.fullmatch(value))


def body(call: Call, kind: type[Any]) -> Any:
    """The JSON body, a dict or a list; raises Refused 415 for another content type, BadBody for what is not JSON."""
    if not call.headers.get("content-type", "").lower().startswith("application/json"):
        raise refuse("Content-Type must be application/json", "Content-Type", 415)
    try:
        parsed = json.loads(call.body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadBody(f"the body is not JSON: {error}") from error
    if not isinstance(parsed, kind):
        raise BadBody(f"the body is not a JSON {'object' if kind is dict else 'array'}")
    return parsed


def text(longest: int = 255, shortest: int = 0, pattern: str = "") -> Check:
    """A text within these lengths."""

    def check(value: Any, at: str) -> None:
        if not isinstance(value, str):
            raise refuse("Expected a string", at)
        if not shortest <= len(value.strip()) or len(value) > longest:
            raise refuse(f"Must have {shortest} to {longest} characters", at)
        if pattern and not re.fullmatch(pattern, value):
            raise refuse(f"Not valid: {value!r}", at)

    return check


def one_of(*names: str) -> Check:
    """One of an enum's names."""

    def check(value: Any, at: str) -> None:
        if value not in names:
            raise refuse(f"{value!r} is not one of {', '.join(names)}", at)

    return check


def flag(value: Any, at: str) -> None:
    """A boolean."""
    if not isinstance(value, bool):
        raise refuse("Expected a boolean", at)


def number(value: Any, at: str) -> None:
    """A finite JSON number; numbers in quotes are refused."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise refuse("Expected a number", at)


def counting(value: Any, at: str) -> None:
    """A counting number, written as 2 or 2.0."""
    number(value, at)
    if value != int(value) or not 1 <= value <= 9999:
        raise refuse("Expected a counting number", at)


def guid(value: Any, at: str) -> None:
    """A GUID."""
    if not isinstance(value, str) or not is_guid(value):
        raise refuse(f"Malformed GUID: {value!r}", at)


def time(value: Any, at: str) -> None:
    """A time with milliseconds and zone."""
    moment(value, at)


def anything(value: Any, at: str) -> None:
    """A field Toast fills itself and ignores when sent."""


def many(check: Check, least: int = 0, most: int = 500) -> Check:
    """A list."""

    def check_all(value: Any, at: str) -> None:
        if not isinstance(value, list):
            raise refuse("Expected an array", at)
        if not least <= len(value) <= most:
            raise refuse(f"Must have {least} to {most} elements", at)
        for index, each in enumerate(value):
            check(each, f"{at}[{index}]")

    return check_all


def shape(fields: Mapping[str, Check], *ignored: str) -> Check:
    """An object of these fields; a name with `!` is required, null counts as absent, others are unknown."""
    checks = {**dict.fromkeys(ignored, anything), **{name.rstrip("!"): check for name, check in fields.items()}}
    required = [name[:-1] for name in fields if name.endswith("!")]

    def check_fields(value: Any, at: str) -> None:
        if not isinstance(value, dict):
            raise refuse("Expected an object", at)
        inside = f"{at}." if at else ""
        for name in required:
            if value.get(name) is None:
                raise refuse(f"{name} is required", inside + name)
        for name, each in value.items():
            if name not in checks:
                raise refuse(f"Unrecognized field {name}", inside + name)
            if each is not None:
                checks[name](each, inside + name)

    return check_fields


def without_nulls(value: Any) -> Any:
    """The value without object fields that are null."""
    if isinstance(value, dict):
        return {name: without_nulls(each) for name, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def checked(check: Check, value: Any) -> Any:
    """The value without its nulls, if it passes; raises Refused."""
    check(value, "")
    return without_nulls(value)


def page(rows: list[Json], token: str, size: int) -> tuple[list[Json], str]:
    """A page of rows and the token of the next one, empty at the end; raises Refused for a token that is not ours."""
    if token and not re.fullmatch(r"p\d{1,9}", token):
        raise refuse("The page token is not valid", "pageToken")
    begin = int(token[1:]) if token else 0
    return rows[begin : begin + size], f"p{begin + size}" if begin + size < len(rows) else ""
