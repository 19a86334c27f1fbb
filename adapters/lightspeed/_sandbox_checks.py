"""How K-Series reads a request: what cannot be parsed is one error, what breaks a rule is listed field by field."""

import math
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from adapters._sandbox.calls import Answer, BadBody, Call, Json, Refused, seconds

_PLACES = {
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF"), 0),
}
_MONEY_FIELDS = frozenset({"customItemPrice", "discountAmountOverride", "paymentAmount", "tipAmount"})


def stamp(moment: float | None = None, zone: str = "+0000") -> str:
    """Seconds since 1970 (now, if none) as K-Series writes times: milliseconds and an offset."""
    return datetime.fromtimestamp(time.time() if moment is None else moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + zone


def places(currency: str) -> int:
    """How many decimals amounts of a currency have."""
    return _PLACES.get(currency, 2)


def minor(value: float, currency: str) -> int:
    """A decimal number of major units in the smallest unit; the decimals have been checked before."""
    return int(Decimal(repr(value)).scaleb(places(currency)))


def decimal(amount: int, currency: str) -> float:
    """An amount in the smallest unit as the number that goes into JSON."""
    return float(Decimal(amount).scaleb(-places(currency)))


def written(amount: int, currency: str) -> str:
    """An amount in the smallest unit as a decimal text with all its places."""
    return f"{Decimal(amount).scaleb(-places(currency)):.{places(currency)}f}"


def problem(status: int, message: str, path: str = "", errors: list[Json] | None = None) -> Answer:
    """An error body as Spring writes it."""
    body: Json = {"timestamp": stamp(), "status": status, "error": HTTPStatus(status).phrase, "message": message}
    return Answer(status, {**body, **({"errors": errors} if errors else {}), **({"path": path} if path else {})})


def refuse(call: Call, message: str, status: int = 400) -> Refused:
    """A refusal of a call with one message."""
    return Refused(problem(status, message, call.path), f"{status}: {message}")


class Findings:
    """The rules an object breaks, each as Spring lists it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.listed: list[Json] = []

    def add(self, field: str, code: str, message: str, kind: str = "java.lang.String") -> None:
        """Note that a field breaks the rule with this code."""
        codes = [f"{code}.{self.name}.{field}", f"{code}.{field.rpartition('.')[2]}", f"{code}.{kind}", code]
        argument = {"codes": [f"{self.name}.{field}", field], "arguments": None, "defaultMessage": field, "code": field}
        rule = {"defaultMessage": message, "objectName": self.name, "field": field, "bindingFailure": False, "code": code}
        self.listed.append({"codes": codes, "arguments": [argument], **rule})


Check = Callable[[Any, str, Findings], None]


def _unreadable(value: Any, at: str, kind: str) -> BadBody:
    return BadBody(f"JSON parse error: cannot read {type(value).__name__} at {at or 'the root'} as {kind}")


def text(longest: int = 0, shortest: int = 0, pattern: str = "") -> Check:
    """A text; 0 is no limit."""

    def check(value: Any, at: str, findings: Findings) -> None:
        if not isinstance(value, str):
            raise _unreadable(value, at, "a text")
        if len(value) < shortest or (longest and len(value) > longest):
            findings.add(at, "Size", f"size must be between {shortest} and {longest or 2147483647}")
        elif pattern and not re.fullmatch(pattern, value):
            findings.add(at, "Pattern", f'must match "{pattern}"')

    return check


def whole(bits: int = 32, least: int | None = None) -> Check:
    """A whole number of so many bits."""

    def check(value: Any, at: str, findings: Findings) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 1 << (bits - 1):
            raise _unreadable(value, at, f"int{bits}")
        if least is not None and value < least:
            findings.add(at, "Min", f"must be greater than or equal to {least}", "java.lang.Long")

    return check


def number(value: Any, at: str, findings: Findings) -> None:
    """A number from 0 up, as amounts and percentages are."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise _unreadable(value, at, "a number")
    if not 0 <= value < 10**9:
        findings.add(at, "DecimalMin", "must be greater than or equal to 0", "java.math.BigDecimal")


def flag(value: Any, at: str, _: Findings) -> None:
    """A boolean."""
    if not isinstance(value, bool):
        raise _unreadable(value, at, "a boolean")


def future(value: Any, at: str, findings: Findings) -> None:
    """A time with its zone that is still to come."""
    try:
        moment = seconds(value)
    except (TypeError, ValueError) as error:
        raise _unreadable(value, at, "a time with its offset") from error
    if moment <= time.time():
        findings.add(at, "Future", "must be a future date", "java.time.OffsetDateTime")


def one_of(*names: str) -> Check:
    """One of an enum's names."""

    def check(value: Any, at: str, _: Findings) -> None:
        if value not in names:
            raise BadBody(f"JSON parse error: {value!r} at {at} is not one of [{', '.join(names)}]")

    return check


def many(check: Check, least: int = 0, most: int = 1000) -> Check:
    """A list."""

    def check_all(value: Any, at: str, findings: Findings) -> None:
        if not isinstance(value, list):
            raise _unreadable(value, at, "a list")
        if not least <= len(value) <= most:
            findings.add(at, "Size", f"size must be between {least} and {most}", "java.util.List")
        for index, each in enumerate(value):
            check(each, f"{at}[{index}]", findings)

    return check_all


def shape(fields: Mapping[str, Check]) -> Check:
    """An object; a name with `!` is required, null counts as absent, unknown names cannot be read."""
    checks = {name.rstrip("!"): check for name, check in fields.items()}
    required = [name[:-1] for name in fields if name.endswith("!")]

    def check_fields(value: Any, at: str, findings: Findings) -> None:
        if not isinstance(value, dict):
            raise _unreadable(value, at, "an object")
        inside = f"{at}." if at else ""
        for name in required:
            if value.get(name) is None:
                findings.add(inside + name, "NotNull", "must not be null")
        for name, each in value.items():
            if name not in checks:
                raise BadBody(f"JSON parse error: unrecognized field {inside + name}")
            if each is not None:
                checks[name](each, inside + name, findings)

    return check_fields


def _refuse_all(call: Call, findings: Findings) -> None:
    if findings.listed:
        count = len(findings.listed)
        message = f"Validation failed for object='{findings.name}'. Error count: {count}"
        fields = ", ".join(f"{each['field']} {each['defaultMessage']}" for each in findings.listed)
        raise Refused(problem(400, message, call.path, findings.listed), f"{message}: {fields}")


def checked(call: Call, name: str, check: Check) -> Json:
    """The body, if it passes; raises Refused with a 400."""
    findings = Findings(name)
    try:
        body = call.json()
        check(body, "", findings)
    except BadBody as bad:
        raise refuse(call, str(bad)) from bad
    _refuse_all(call, findings)
    return body


def check_decimals(call: Call, name: str, body: Json, currency: str) -> None:
    """Refuse amounts with more decimals than the currency has."""
    findings = Findings(name)

    def walk(value: Any, at: str) -> None:
        if isinstance(value, dict):
            for key, each in value.items():
                inside = f"{at}.{key}" if at else key
                if key in _MONEY_FIELDS and each is not None:
                    amount = Decimal(repr(each))
                    if amount != round(amount, places(currency)):
                        bounds = f"numeric value out of bounds (<9 digits>.<{places(currency)} digits> expected)"
                        findings.add(inside, "Digits", bounds, "java.math.BigDecimal")
                else:
                    walk(each, inside)
        elif isinstance(value, list):
            for index, each in enumerate(value):
                walk(each, f"{at}[{index}]")

    walk(body, "")
    _refuse_all(call, findings)
