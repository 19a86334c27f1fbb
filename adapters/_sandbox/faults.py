"""Misbehaviour on demand: whether a call is hit depends on the seed and the call alone, so runs can be repeated."""

import hashlib
import time
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from adapters._sandbox.calls import ControlError

_RATES = (
    "error_rate",
    "timeout_after_effect",
    "duplicate_webhooks",
    "reorder_webhooks",
    "drop_webhooks",
    "malformed",
    "expire_tokens",
    "revoke",
)


@dataclass(frozen=True)
class Switches:
    """The fault switches: rates from 0 to 1, milliseconds, and requests a second (0 = no limit)."""

    seed: int = 0
    latency_ms: float = 0
    hold_ms: float = 15_000
    rate_limit: float = 0
    error_rate: float = 0
    timeout_after_effect: float = 0
    duplicate_webhooks: float = 0
    reorder_webhooks: float = 0
    drop_webhooks: float = 0
    malformed: float = 0
    expire_tokens: float = 0
    revoke: float = 0

    def changed(self, body: dict[str, Any]) -> "Switches":
        """The switches with those of a control call set; raises ControlError that names the bad one."""
        known = {each.name for each in fields(self)}
        values: dict[str, Any] = asdict(self)
        for name, value in body.items():
            if name not in known:
                raise ControlError(400, f"unknown fault switch {name!r}; known: {', '.join(sorted(known))}")
            if name == "seed":
                if not isinstance(value, int) or isinstance(value, bool):
                    raise ControlError(400, "seed is an integer")
                values[name] = value
                continue
            if isinstance(value, bool):
                value = float(value)
            if not isinstance(value, int | float) or value < 0:
                raise ControlError(400, f"{name} is a number from 0 up")
            if name in _RATES and value > 1:
                raise ControlError(400, f"{name} is a probability from 0 to 1")
            values[name] = value
        return Switches(**values)


@dataclass
class Faults:
    """The switches in force, and how often each operation met each subject."""

    switches: Switches = field(default_factory=Switches)
    _ordinals: dict[tuple[str, str], int] = field(default_factory=dict)
    _allowance: float = 0
    _refilled: float = 0

    def set(self, body: dict[str, Any]) -> None:
        """Set the named switches; naming a seed starts the counting anew."""
        self.switches = self.switches.changed(body)
        if "seed" in body:
            self._ordinals.clear()

    def clear(self) -> None:
        """Behave again, and forget the counts."""
        self.switches = Switches()
        self._ordinals.clear()

    def ordinal(self, operation: str, subject: str) -> int:
        """Count one more call of an operation about a subject; the first is 1."""
        key = (operation, subject)
        self._ordinals[key] = count = self._ordinals.get(key, 0) + 1
        return count

    def roll(self, switch: str, operation: str, subject: str, ordinal: int) -> float:
        """A number from 0 to below 1 that depends on its arguments and the seed alone."""
        text = f"{self.switches.seed}\n{switch}\n{operation}\n{subject}\n{ordinal}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest()) / 2**56

    def hits(self, switch: str, operation: str, subject: str, ordinal: int) -> bool:
        """Tell whether a switch hits this call."""
        rate: float = getattr(self.switches, switch)
        return rate > 0 and self.roll(switch, operation, subject, ordinal) < rate

    def over_rate(self) -> float:
        """Take one call from the rate limit; the seconds to wait when there is none left, else 0."""
        rate = self.switches.rate_limit
        if not rate:
            return 0
        now = time.monotonic()
        full = max(1.0, rate)
        self._allowance = full if not self._refilled else min(full, self._allowance + (now - self._refilled) * rate)
        self._refilled = now
        if self._allowance >= 1:
            self._allowance -= 1
            return 0
        return (1 - self._allowance) / rate
