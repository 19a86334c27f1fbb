"""Foodics' ways of checking and refusing: money in major units, times as UTC text, and errors listed by field."""

import math
import time
from collections.abc import Container
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from adapters._sandbox.calls import Answer, BadBody, Call, Json, Refused

_DECIMALS = {
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV"), 0),
    **dict.fromkeys(("XAF", "XOF", "XPF"), 0),
}
_MOST = Decimal(10) ** 9
MOMENT = "%Y-%m-%d %H:%M:%S"
DAY = "%Y-%m-%d"
_WRITTEN = {MOMENT: "Y-m-d H:i:s", DAY: "Y-m-d"}


def decimals(currency: str) -> int:
    """How many decimals amounts of a currency have."""
    return _DECIMALS.get(currency, 2)


def major(amount: int, currency: str) -> int | float:
    """An amount in the smallest unit as the JSON number that Foodics writes: 50, 24.15."""
    return plain(Decimal(amount).scaleb(-decimals(currency)))


def plain(value: Decimal) -> int | float:
    """A number as JSON writes it: whole ones without a point."""
    return int(value) if value == value.to_integral_value() else float(value)


def stamp(seconds: float | None = None) -> str:
    """A moment (now, by default) as UTC text without a zone."""
    return datetime.fromtimestamp(time.time() if seconds is None else seconds, UTC).strftime(MOMENT)


def fits(text: str, form: str) -> bool:
    """Tell whether a text is a moment or a day in exactly this form."""
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC).strftime(form) == text
    except ValueError:
        return False


def refused(status: int, message: str, reason: str = "", **headers: str) -> Refused:
    """A refusal that has only a message."""
    return Refused(Answer(status, {"message": message}, headers), reason or f"{status}: {message}")


def settle(errors: dict[str, list[str]]) -> None:
    """Raises Refused (422) where anything was found wrong."""
    if errors:
        first = next(iter(errors.values()))[0]
        raise Refused(Answer(422, {"message": "The given data was invalid.", "errors": errors}), first)


def posted(call: Call) -> "Form":
    """The body of a call; one that is not sent as JSON counts as an empty one, and raises BadBody where it cannot be read."""
    if not call.headers.get("content-type", "").startswith("application/json"):
        return Form({})
    body = call.json()
    if not _finite(body):
        raise BadBody("NaN and Infinity are no JSON")
    return Form(body)


def _finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, list):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


class Form:
    """One object of a request body: reads fields, and gathers what is wrong with them under their full names."""

    def __init__(self, node: Json, errors: dict[str, list[str]] | None = None, prefix: str = "") -> None:
        self.node = node
        self.errors: dict[str, list[str]] = {} if errors is None else errors
        self._prefix = prefix

    def has(self, name: str) -> bool:
        """Tell whether a field is there and not null."""
        return self.node.get(name) is not None

    def wrong(self, name: str, text: str) -> None:
        """Note what is wrong with a field; `{}` in the text stands for its name."""
        full = self._prefix + name
        self.errors.setdefault(full, []).append(text.format(full.replace("_", " ")))

    def _value(self, name: str, *, required: bool) -> Any:
        value = self.node.get(name)
        if required and (value is None or value in ("", [])):
            self.wrong(name, "The {} field is required.")
            return None
        return value

    def text(self, name: str, *, required: bool = False, most: int = 1000) -> str | None:
        """A text of at most so many signs."""
        value = self._value(name, required=required)
        if value is None:
            return None
        if not isinstance(value, str):
            self.wrong(name, "The {} must be a string.")
            return None
        if len(value) > most:
            self.wrong(name, f"The {{}} may not be greater than {most} characters.")
        return value

    def moment(self, name: str, form: str = MOMENT, *, required: bool = False) -> str | None:
        """A moment or a day, as text in Foodics' form."""
        value = self.text(name, required=required)
        if value is not None and not fits(value, form):
            self.wrong(name, f"The {{}} does not match the format {_WRITTEN[form]}.")
        return value

    def number(self, name: str, *, required: bool = False) -> Decimal:
        """A JSON number; 0 when it is not there."""
        value = self._value(name, required=required)
        if value is None:
            return Decimal(0)
        if isinstance(value, bool) or not isinstance(value, int | float) or abs(Decimal(repr(value))) > _MOST:
            self.wrong(name, "The {} must be a number.")
            return Decimal(0)
        return Decimal(repr(value))

    def amount(self, name: str, currency: str, *, required: bool = False, signed: bool = False) -> int:
        """An amount in major units, in the smallest unit; a fraction of that unit is refused."""
        places = decimals(currency)
        scaled = self.number(name, required=required).scaleb(places)
        if scaled < 0 and not signed:
            self.wrong(name, "The {} must be at least 0.")
        if scaled != scaled.to_integral_value():
            self.wrong(name, f"The {{}} may not have more than {places} decimal places.")
        return int(scaled)

    def whole(self, name: str, allowed: Container[int], *, required: bool = False, default: int = 0) -> int:
        """A whole number that is one of those allowed."""
        value = self._value(name, required=required)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(name, "The {} must be an integer.")
            return default
        if value not in allowed:
            self.wrong(name, "The selected {} is invalid.")
            return default
        return value

    def flag(self, name: str) -> bool | None:
        """A boolean."""
        value = self.node.get(name)
        if value is not None and not isinstance(value, bool):
            self.wrong(name, "The {} field must be true or false.")
            return None
        return value

    def known(self, name: str, ids: Container[str], *, required: bool = False) -> str | None:
        """The id of something that exists."""
        value = self.text(name, required=required)
        if value is not None and value not in ids:
            self.wrong(name, "The selected {} is invalid.")
            return None
        return value

    def rows(self, name: str, *, required: bool = False, most: int = 200) -> list["Form"]:
        """A list of objects, each with its place in its fields' names."""
        value = self._value(name, required=required)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            self.wrong(name, "The {} must be an array.")
            return []
        if len(value) > most:
            self.wrong(name, f"The {{}} may not have more than {most} items.")
        return [Form(each, self.errors, f"{self._prefix}{name}.{index}.") for index, each in enumerate(value)]
