"""A store's status and preparation time, what may be changed of them, and single items on and off sale."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from adapters.ubereats.mapping import moment
from adapters.ubereats.menu import FAR
from hub.contract import Rejected
from hub.model import StockLevel, StoreChange, StoreStatus

LONGEST_PREP = 10_800
CHANGES = frozenset({"open", "pause", "prep_time"})


class StatusAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A store's status; the reason is seen under two names."""

    status: str
    is_offline_until: str | None = None
    offline_reason: str | None = None
    offlineReason: str | None = None  # noqa: N815 - both spellings are seen


class PrepTimes(msgspec.Struct, frozen=True):
    """Seconds."""

    default_value: int | None = None


class StoreAnswer(msgspec.Struct, frozen=True):
    """The part of a store that its preparation time is in."""

    prep_times: PrepTimes | None = None


def status_from(told: StatusAnswer, prep_seconds: int = 0) -> StoreStatus:
    """Open, paused by somebody or until a time, or closed for another reason that Uber names."""
    if told.status == "ONLINE":
        return StoreStatus("open", prep_seconds=prep_seconds)
    reason = told.offline_reason or told.offlineReason or ""
    if told.status not in ("OFFLINE", "PAUSED"):
        return StoreStatus("unknown", reason=told.status, prep_seconds=prep_seconds)
    until = moment(told.is_offline_until, "is_offline_until")
    paused = until is not None or told.status == "PAUSED" or reason.startswith("PAUSED")
    return StoreStatus("paused" if paused else "closed", until, reason, prep_seconds)


def change_call(change: StoreChange) -> tuple[str, dict[str, Any]]:
    """The last part of the path and the body; raises Rejected for what Uber does not take."""
    if change.kind == "prep_time":
        if not 0 < change.prep_seconds <= LONGEST_PREP:
            raise Rejected(f"Uber Eats takes a preparation time of up to {LONGEST_PREP // 60} minutes")
        return "update-store-prep-time", {"default_prep_time": change.prep_seconds}
    if change.kind not in ("open", "pause"):
        raise Rejected(f"Uber Eats takes open, pause and prep_time, not {change.kind}: hours come with the menu")
    body: dict[str, Any] = {"status": "ONLINE" if change.kind == "open" else "OFFLINE"}
    if change.kind == "pause":
        if change.until is not None:
            body["is_offline_until"] = rfc3339(change.until)
        if change.reason:
            body["reason"] = change.reason
    return "update-store-status", body


def rfc3339(at: datetime) -> str:
    """A time as Uber writes it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def suspension(level: StockLevel) -> Mapping[str, Any]:
    """The sparse update of an item: off sale until a time, or until somebody says otherwise."""
    if level.available:
        return {"suspension_info": {"suspension": {"suspend_until": 0, "reason": ""}}}
    until = FAR if level.until is None else int(level.until.timestamp())
    return {"suspension_info": {"suspension": {"suspend_until": until, "reason": "sold out"}}}
