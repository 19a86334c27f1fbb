"""A store at DoorDash: online when nothing deactivates it."""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from adapters.doordash.mapping import moment
from adapters.doordash.models import StoreDetails
from hub.contract import Rejected
from hub.model import StoreChange, StoreStatus

_REASONS: Mapping[str, str] = {"pos_offline": "store_pos_connectivity_issues"}
_USUAL = "operational_issues"


def status_from(details: StoreDetails) -> StoreStatus:
    """Open, or paused until the last deactivation ends, or closed where one has no end."""
    rows = details.current_deactivations
    if rows is None:
        if details.is_active is None:
            return StoreStatus("unknown", reason="DoorDash does not say")
        return StoreStatus("open" if details.is_active else "closed")
    if not rows:
        return StoreStatus("open")
    reason = "; ".join(dict.fromkeys(": ".join(part for part in (row.reason, row.notes) if part) for row in rows))
    ends = [moment(row.end_time, "current_deactivations[].end_time") for row in rows]
    known = [end for end in ends if end is not None]
    if len(known) < len(ends):
        return StoreStatus("closed", reason=reason)
    return StoreStatus("paused", max(known), reason)


def change_body(change: StoreChange) -> dict[str, Any]:
    """The body that opens or pauses; a pause without an end lasts two weeks at DoorDash. Raises Rejected for other changes."""
    if change.kind == "open":
        return {"is_active": True}
    if change.kind != "pause":
        raise Rejected(f"DoorDash takes open and pause, not {change.kind}: hours come with the menu")
    body: dict[str, Any] = {"is_active": False, "reason": _REASONS.get(change.reason, _USUAL)}
    if change.reason:
        body["notes"] = change.reason
    if change.until is not None:
        body["end_time"] = change.until.astimezone(UTC).isoformat(timespec="seconds")
    return body
