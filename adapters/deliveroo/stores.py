"""A site's status, hours and workload, and what may be changed of them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

import msgspec

from adapters.deliveroo import models
from adapters.deliveroo.menu import DAYS, schedule
from hub.contract import Drifted, Rejected
from hub.model import Hours, StockLevel, StoreChange, StoreStatus

_Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_Status = Literal["open", "paused", "closed", "unknown"]
# CLOSED stays until somebody opens the site; it takes orders by itself again from READY_TO_OPEN (inferred).
_STATUSES: dict[str, _Status] = {"OPEN": "open", "CLOSED": "paused", "READY_TO_OPEN": "closed"}
_STEP = 5
_A_DAY = timedelta(hours=24)

MARKETS: Mapping[str, tuple[str, str]] = {
    "GB": ("GBP", "Europe/London"),
    "UK": ("GBP", "Europe/London"),
    "IE": ("EUR", "Europe/Dublin"),
    "FR": ("EUR", "Europe/Paris"),
    "IT": ("EUR", "Europe/Rome"),
    "BE": ("EUR", "Europe/Brussels"),
    "AE": ("AED", "Asia/Dubai"),
    "KW": ("KWD", "Asia/Kuwait"),
    "QA": ("QAR", "Asia/Qatar"),
    "SG": ("SGD", "Asia/Singapore"),
    "HK": ("HKD", "Asia/Hong_Kong"),
}
"""Currency and zone of a market: each has one of them."""


class SiteReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """A site as Deliveroo shows it; `quiet_minutes` and `busy_minutes` are its preparation times by workload."""

    ref: str
    status: StoreStatus
    workload: str = ""
    quiet_minutes: int = 0
    busy_minutes: int = 0
    brands: tuple[str, ...] = ()


def status_from(status: models.SiteStatus, hours: tuple[Hours, ...] = (), prep_seconds: int = 0) -> StoreStatus:
    """How the site stands."""
    found = _STATUSES.get(status.status, "unknown")
    return StoreStatus(found, reason="" if found == "open" else status.status, prep_seconds=prep_seconds, hours=hours)


def hours_from(told: models.OpeningHours) -> tuple[Hours, ...]:
    """Hours by day, or a list of days, as descriptions differ; raises Drifted for another shape."""
    rows = told.opening_hours or {}
    try:
        if isinstance(rows, list):
            rows = {_day(each["day_of_week"]): each.get("time_periods") for each in rows}
        return tuple(Hours(day, *_period(each)) for day in get_args(_Day) for each in rows.get(day) or rows.get(day.upper()) or ())
    except (AttributeError, KeyError, TypeError, IndexError, ValueError) as error:
        raise Drifted(f"opening_hours does not fit: {error!r}") from error


def _day(told: Any) -> str:
    return DAYS[told] if isinstance(told, int) else str(told).lower()


def _period(told: Mapping[str, str]) -> tuple[str, str]:
    names = ("local_start_time", "local_end_time") if "local_start_time" in told else ("start", "end")
    start, end = (str(told[name])[:5] for name in names)
    return start, end


def hours_body(change: StoreChange) -> dict[str, Any]:
    """The whole week: every call replaces all of it. A day without hours is closed."""
    if not change.hours:
        raise Rejected("Deliveroo takes the whole week's opening hours: to close the site, pause it")
    days = schedule(change.hours)
    periods = {day: [{"local_start_time": each["start"], "local_end_time": each["end"]} for each in days.get(day, ())] for day in DAYS}
    return {"opening_hours": periods}


def times_body(now: models.Times, change: StoreChange) -> dict[str, int]:
    """Preparation times: the quiet one as wanted in whole minutes, the busy one as far above it as before, in steps of five."""
    quiet = -(-change.prep_seconds // 60)
    if quiet <= 0:
        raise Rejected("a preparation time is at least a minute")
    apart = max(_STEP, -(-(now.busy - now.quiet) // _STEP) * _STEP)
    return {"quiet": quiet, "busy": quiet + apart}


def off_status(level: StockLevel, now: datetime) -> str:
    """`unavailable` ends when the site opens next morning, `hidden` stays until it is changed."""
    if level.available:
        return "available"
    return "unavailable" if level.until is not None and level.until <= now + _A_DAY else "hidden"
