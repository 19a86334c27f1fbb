"""How Uber checks a request: fields, times, reasons and page tokens, refused with Uber's error body."""

import base64
from typing import Any

from adapters._sandbox.calls import Answer, Json, Refused, seconds

_REASONS = frozenset(
    {
        *("ITEM_ISSUE", "KITCHEN_CLOSED", "CUSTOMER_CALLED_TO_CANCEL", "RESTAURANT_TOO_BUSY", "ORDER_VALIDATION", "STORE_CLOSED"),
        *(
            "TECHNICAL_FAILURE",
            "POS_NOT_READY",
            "POS_OFFLINE",
            "CAPACITY",
            "ADDRESS",
            "SPECIAL_INSTRUCTIONS",
            "PRICING",
            "UNKNOWN",
            "OTHER",
        ),
        *("ITEM_AVAILABILITY", "MISSING_ITEM", "MISSING_INFO", "OUT_OF_ITEMS", "CANNOT_COMPLETE_CUSTOMER_NOTE"),
    }
)


def refuse(code: str, message: str, status: int = 400) -> Refused:
    """A refusal with Uber's error body."""
    return Refused(Answer(status, {"code": code, "message": message, "metadata": {}}), f"{code}: {message}")


def fields(body: Json, **kinds: type | tuple[type, ...]) -> None:
    """Refuse unknown fields and wrong types; null counts as absent."""
    for name, value in body.items():
        if name not in kinds:
            raise refuse("invalid_request", f"unknown field {name}")
        if value is not None and (not isinstance(value, kinds[name]) or (isinstance(value, bool) and kinds[name] is not bool)):
            raise refuse("invalid_request", f"{name} has the wrong type")


def moment(value: Any, name: str) -> float:
    """An RFC 3339 time as seconds since 1970; raises Refused."""
    try:
        return seconds(value)
    except (TypeError, ValueError) as error:
        raise refuse("invalid_request", f"{name} is not an RFC 3339 time") from error


def names(text: str | None, known: frozenset[str], name: str) -> set[str]:
    """The names of a comma-separated query value; raises Refused for one that is not known."""
    wanted = {each for each in (text or "").split(",") if each}
    if wanted - known:
        raise refuse("invalid_request", f"{name} is of {', '.join(sorted(known))}")
    return wanted


def page_token(position: int) -> str:
    """The token of the page that ends before this position; empty at the end."""
    return base64.urlsafe_b64encode(f"before {position}".encode()).decode() if position else ""


def position_of(token: str, count: int) -> int:
    """Where a page begins: newest first, so it counts down; a token stays right when orders are added."""
    if not token:
        return count
    try:
        word, _, digits = base64.urlsafe_b64decode(token.encode()).decode().partition(" ")
        position = int(digits)
    except ValueError as error:
        raise refuse("invalid_request", "next_page_token is not one of ours") from error
    if word != "before" or not 0 <= position <= count:
        raise refuse("invalid_request", "next_page_token is not one of ours")
    return position


def reason_of(body: Json, name: str) -> Json:
    """The checked reason of a denial or cancellation; raises Refused."""
    reason = body.get(name)
    if not isinstance(reason, dict):
        raise refuse("invalid_request", f"{name} is a required object")
    fields(reason, info=str, type=str, item_ids=list, client_error_code=(str, int), item_metadata=dict)
    if reason.get("type") not in _REASONS:
        raise refuse("invalid_request", f"{name}.type is one of {', '.join(sorted(_REASONS))}")
    return reason
