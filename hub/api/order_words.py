"""What a person says about an order beside the action itself: why, until when, how much of it. Checked, then sealed for the handler."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from hub.api.problems import pointer
from hub.clock import utc_now
from hub.model.order import Order
from hub.tenancy.errors import Invalid
from hub.tenancy.fields import pointer as at

LATEST = timedelta(hours=24)
"""A delay leads at most this far ahead."""


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why: a key of the provider's `reject_reasons` or `cancel_reasons`, and words for the platform."""

    reason: str = "other"
    detail: str = ""


class Delay(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When the food is ready instead: a time, or minutes from now; one of the two."""

    ready_at: Annotated[datetime, Meta(tz=True)] | None = None
    minutes: Annotated[int, Meta(ge=1, le=1440)] | None = None


class Amend(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """New quantities by the ids of the order's lines, 0 takes a line out; and why."""

    quantities: dict[str, int]
    reason: str = "other"
    detail: str = ""


Said = Reason | Delay | Amend | None
_SHAPES: dict[str, type[Reason | Delay | Amend]] = {"reject": Reason, "cancel": Reason, "delay": Delay, "amend": Amend}


def read(action: str, arguments: Mapping[str, Any]) -> Said:
    """The words of an action out of a command's arguments; None for an action that takes none. Raises Invalid."""
    shape = _SHAPES.get(action)
    if shape is None:
        return None
    try:
        return checked(msgspec.convert(dict(arguments), shape))
    except msgspec.ValidationError as error:
        raise Invalid((pointer("", str(error)), str(error))) from error


def checked(said: Reason | Delay | Amend) -> Reason | Delay | Amend:
    """The same, with a delay's minutes turned into its time; raises Invalid."""
    if isinstance(said, Delay):
        return _until(said)
    if len(said.reason) > 100 or len(said.detail) > 500:
        raise Invalid(("/detail", "a reason has at most 100 and its detail at most 500 characters"))
    return said


def _until(said: Delay) -> Delay:
    if (said.ready_at is None) == (said.minutes is None):
        raise Invalid(("/ready_at", "a delay has either ready_at or minutes"))
    now = utc_now()
    ready_at = said.ready_at or now + timedelta(minutes=said.minutes or 0)
    if not now < ready_at <= now + LATEST:
        raise Invalid(("/ready_at", "a time between now and a day from now"))
    return Delay(ready_at=ready_at.replace(microsecond=0))


def check_quantities(said: Amend, order: Order) -> None:
    """Raise Invalid unless an amendment takes something of the order's lines out, and leaves something."""
    ordered = {line.id: line.quantity for line in order.lines}
    errors = []
    if not said.quantities:
        errors.append(("/quantities", "names at least one line"))
    for line, quantity in said.quantities.items():
        if line not in ordered:
            errors.append((at("quantities", line), "the order has no such line"))
        elif not 0 <= quantity < ordered[line]:
            errors.append((at("quantities", line), f"from 0 to {ordered[line] - 1}: an amendment only takes out"))
    if not errors and not any(said.quantities.get(line, quantity) for line, quantity in ordered.items()):
        errors.append(("/quantities", "that takes everything out: cancel the order instead"))
    if errors:
        raise Invalid(*errors)
