"""What the control API says when a consumer orders, checked the same way for every platform."""

from collections.abc import Mapping
from dataclasses import dataclass

from adapters._sandbox.calls import ControlError, Json, seconds
from adapters._sandbox.vendor import number, word

MOST_AT_ONCE = 5_000


@dataclass(frozen=True)
class Wanted:
    """How many orders, of which of the vendor's kinds ("" for any), and for when (seconds since 1970, 0 for now)."""

    count: int
    kind: str
    scheduled: float


def wanted_orders(body: Json, kinds: Mapping[str, str]) -> Wanted:
    """Read `count`, `type` (a key of `kinds`) and `scheduled_for`; raises ControlError that says what is right."""
    count = number(body, "count", 1)
    if not 1 <= count <= MOST_AT_ONCE or count != int(count):
        raise ControlError(400, f"count is an integer from 1 to {MOST_AT_ONCE}")
    kind = word(body, "type").lower() if body.get("type") is not None else ""
    if kind and kind not in kinds:
        raise ControlError(400, f"type is one of {', '.join(sorted(kinds))}")
    scheduled = 0.0
    if body.get("scheduled_for") is not None:
        try:
            scheduled = seconds(word(body, "scheduled_for"))
        except ValueError as error:
            raise ControlError(400, f"scheduled_for: {error}") from error
    return Wanted(int(count), kinds.get(kind, ""), scheduled)
