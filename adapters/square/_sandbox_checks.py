"""How Square checks a request body: types, lengths, enums and unknown fields, refused with Square's error codes."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from adapters._sandbox.calls import Answer, Json, Refused, seconds

Check = Callable[[Any, str], None]


def refuse(code: str, detail: str, field: str = "", status: int = 400, category: str = "INVALID_REQUEST_ERROR") -> Refused:
    """A refusal with Square's error body."""
    error = {"category": category, "code": code, "detail": detail, **({"field": field} if field else {})}
    return Refused(Answer(status, {"errors": [error]}), f"{code}: {detail}" + (f" ({field})" if field else ""))


def text(longest: int, shortest: int = 0, pattern: re.Pattern[str] | None = None) -> Check:
    """A text within these lengths."""

    def check(value: Any, at: str) -> None:
        if not isinstance(value, str):
            raise refuse("EXPECTED_STRING", "Expected a string value.", at)
        if len(value) > longest:
            raise refuse("VALUE_TOO_LONG", f"Field must not be greater than {longest} in length", at)
        if len(value) < shortest:
            raise refuse("VALUE_TOO_SHORT", f"Field must be at least {shortest} in length", at)
        if "\x00" in value:
            raise refuse("INVALID_VALUE", "Field must not contain NUL", at)
        if pattern is not None and not pattern.fullmatch(value):
            raise refuse("VALUE_REGEX_MISMATCH", f"Field does not match the format: {value!r}", at)

    return check


def one_of(*names: str) -> Check:
    """One of an enum's names."""

    def check(value: Any, at: str) -> None:
        if value not in names:
            raise refuse("INVALID_ENUM_VALUE", f"{value!r} is not a valid enum value; expected one of {', '.join(names)}", at)

    return check


def flag(value: Any, at: str) -> None:
    """A boolean."""
    if not isinstance(value, bool):
        raise refuse("EXPECTED_BOOLEAN", "Expected a boolean value.", at)


def whole(value: Any, at: str) -> None:
    """A 64-bit integer."""
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 1 << 63:
        raise refuse("EXPECTED_INTEGER", "Expected an integer value.", at)


def moment(value: Any, at: str) -> None:
    """An RFC 3339 time with its zone."""
    try:
        seconds(value)
    except (TypeError, ValueError) as error:
        raise refuse("INVALID_TIME", f"Not an RFC 3339 time: {value!r}", at) from error


def money(value: Any, at: str) -> None:
    """Money in the smallest unit of its currency, not negative."""
    signed_money(value, at)
    if value["amount"] < 0:
        raise refuse("VALUE_TOO_LOW", "The amount must not be negative.", f"{at}.amount")


def signed_money(value: Any, at: str) -> None:
    """Money in the smallest unit of its currency; a modifier may lower a price."""
    if not isinstance(value, dict):
        raise refuse("EXPECTED_OBJECT", "Expected an object value.", at)
    for name in ("amount", "currency"):
        if value.get(name) is None:
            raise refuse("MISSING_REQUIRED_PARAMETER", "Field must be set", f"{at}.{name}")
    if extra := set(value) - {"amount", "currency"}:
        raise refuse("UNKNOWN_BODY_PARAMETER", f"Unknown field {sorted(extra)[0]}", at)
    whole(value["amount"], f"{at}.amount")
    text(3, 3)(value["currency"], f"{at}.currency")


def metadata(value: Any, at: str) -> None:
    """Up to 10 texts by name."""
    if not isinstance(value, dict):
        raise refuse("EXPECTED_MAP", "Expected a map.", at)
    if len(value) > 10:
        raise refuse("TOO_MANY_MAP_ENTRIES", "Metadata holds at most 10 entries", at)
    for key, each in value.items():
        if not 1 <= len(key) <= 60:
            raise refuse("MAP_KEY_LENGTH_TOO_LONG", "Keys have 1 to 60 signs", at)
        text(255)(each, f"{at}.{key}")


def anything(value: Any, at: str) -> None:
    """A field Square fills itself and ignores when sent."""


def many(check: Check, most: int = 500) -> Check:
    """A list."""

    def check_all(value: Any, at: str) -> None:
        if not isinstance(value, list):
            raise refuse("EXPECTED_ARRAY", "Expected an array value.", at)
        if len(value) > most:
            raise refuse("ARRAY_LENGTH_TOO_LONG", f"At most {most} elements", at)
        for index, each in enumerate(value):
            check(each, f"{at}[{index}]")

    return check_all


def shape(fields: Mapping[str, Check]) -> Check:
    """An object of these fields; a name with `!` is required, null counts as absent, others are unknown."""
    checks = {name.rstrip("!"): check for name, check in fields.items()}
    required = [name[:-1] for name in fields if name.endswith("!")]

    def check_fields(value: Any, at: str) -> None:
        if not isinstance(value, dict):
            raise refuse("EXPECTED_OBJECT", "Expected an object value.", at)
        inside = f"{at}." if at else ""
        for name in required:
            if value.get(name) is None:
                raise refuse("MISSING_REQUIRED_PARAMETER", "Field must be set", inside + name)
        for name, each in value.items():
            if name not in checks:
                raise refuse("UNKNOWN_BODY_PARAMETER", f"Unknown field {name}", inside + name)
            if each is not None:
                checks[name](each, inside + name)

    return check_fields


def checked(check: Check, body: Json) -> Json:
    """The body, if it passes; raises Refused."""
    check(body, "")
    return body
