"""A store's availability: a row for each platform, each with what it allows to be set."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from adapters.talabat.mapping import moment
from adapters.talabat.models import Platform
from hub.contract import Rejected
from hub.model import StoreChange, StoreStatus

_REASONS: Mapping[str, str] = {
    "busy": "TOO_BUSY_KITCHEN",
    "no_couriers": "TOO_BUSY_NO_DRIVERS",
    "menu": "UPDATES_IN_MENU",
    "pos_offline": "TECHNICAL_PROBLEM",
    "closed": "CLOSED",
}


def own(platforms: Sequence[Platform]) -> Platform | None:
    """Talabat's row, or the first one."""
    return next((each for each in platforms if each.platform_type == "TALABAT"), platforms[0] if platforms else None)


def status_from(platforms: Sequence[Platform]) -> StoreStatus:
    """How the store stands on its platform; a closure that ends by itself is a pause."""
    row = own(platforms)
    if row is None:
        return StoreStatus("unknown", reason="the store is on no platform")
    until, reason = moment(row.closed_until, "closedUntil"), row.closed_reason or ""
    if row.availability_state == "OPEN":
        return StoreStatus("open")
    if row.availability_state in ("CLOSED_UNTIL", "CLOSED_TODAY"):
        return StoreStatus("paused", until, reason)
    if row.availability_state in ("CLOSED", "INACTIVE"):
        return StoreStatus("closed", until, reason or row.availability_state)
    return StoreStatus("unknown", until, reason or row.availability_state)


def change_body(platforms: Sequence[Platform], change: StoreChange) -> dict[str, Any]:
    """The body that opens or pauses; raises Rejected with what the platform allows now."""
    row = own(platforms)
    if row is None or not row.platform_key or row.platform_restaurant_id is None:
        raise Rejected("Talabat names no platform for this store, so it can be neither opened nor paused")
    states = row.availability_states or []
    if not row.changeable:
        raise Rejected(f"Talabat closed the store ({row.closed_reason or row.availability_state}) and does not let it be changed")
    body: dict[str, Any] = {"platformKey": row.platform_key, "platformRestaurantId": row.platform_restaurant_id}
    if change.kind == "open":
        state = "OPEN"
    elif change.kind == "pause":
        state, minutes = _pause(states, sorted(row.closing_minutes or []), change.until)
        if minutes:
            body["closingMinutes"] = minutes
        if reason := _reason(row.closing_reasons or [], change.reason):
            body["closedReason"] = reason
    else:
        raise Rejected(f"Talabat takes open and pause, not {change.kind}")
    if state not in states:
        raise Rejected(f"Talabat allows {', '.join(states) or 'no state'} for this store now, not {state}")
    return {"availabilityState": state, **body}


def _pause(states: list[str], minutes: list[int], until: datetime | None) -> tuple[str, int]:
    """State and minutes: the shortest closure that lasts until then; without an end, the one that lasts longest."""
    if until is None:
        state = next((each for each in ("CLOSED", "CLOSED_TODAY") if each in states), "CLOSED_UNTIL")
        return state, minutes[-1] if state == "CLOSED_UNTIL" and minutes else 0
    wanted = (until - datetime.now(UTC)).total_seconds() / 60
    found = next((each for each in minutes if each >= wanted), 0)
    if not found or "CLOSED_UNTIL" not in states:
        allowed = ", ".join(map(str, minutes)) if "CLOSED_UNTIL" in states else ""
        raise Rejected(f"Talabat pauses this store for {allowed or 'no set number of'} minutes, not for {wanted:.0f}")
    return "CLOSED_UNTIL", found


def _reason(known: list[str], reason: str) -> str:
    wanted = _REASONS.get(reason, reason.upper())
    return next((each for each in (wanted, "OTHER") if each in known), known[0] if known else "")
