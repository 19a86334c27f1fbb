"""What befalls which component when: drawn from a seed alone, so that a run can be repeated and gone on with."""

import random
from collections.abc import Sequence
from typing import Literal

import msgspec

Kind = Literal["kill", "stop", "full", "ahead", "behind"]

KINDS: dict[str, tuple[Kind, ...]] = {
    "pos-owner": ("kill", "stop"),
    "delivery-owner": ("kill", "stop"),
    "api": ("kill", "stop"),
    "live": ("kill", "stop"),
    "haproxy": ("kill", "stop"),
    "raylet": ("kill", "stop"),
    "gcs": ("kill", "stop"),
    "supervisor": ("kill", "stop"),
    "scheduler": ("kill", "stop"),
    "valkey": ("kill", "stop"),
    "postgres": ("kill", "stop"),
    "backend": ("kill",),
    "disk": ("full",),
    "clock": ("ahead", "behind"),
}
"""Every component, and what a campaign does to it. `backend` is one process of PostgreSQL that serves an owner."""

BLINK, LONGEST = 0.4, 50.0
"""Seconds of the shortest stop and of the longest, which is beyond every lease (15 s) and every attempt's timeout."""


class Fault(msgspec.Struct, frozen=True):
    """One fault: `at` seconds after the first order, for `seconds` (0 for what happens once)."""

    number: int
    at: float
    component: str
    kind: Kind
    seconds: float = 0.0

    def __str__(self) -> str:
        length = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.number:3} {self.at:7.1f} s  {self.kind} {self.component}{length}"


def make_plan(seed: int, seconds: float, components: Sequence[str]) -> list[Fault]:
    """Faults for so many seconds: every component in every way, in an order and with lengths of the seed, again and again.

    Short runs have short stops, so that all components get their turn.
    """
    dice = random.Random(f"faults/{seed}")  # noqa: S311 - it is meant to be repeatable
    ways = [(component, kind) for component in KINDS if component in components for kind in KINDS[component]]
    longest = max(4 * BLINK, min(LONGEST, seconds / 12))
    gap = max(1.0, min(4.0, seconds / 60))
    plan: list[Fault] = []
    at = gap
    while ways:
        dice.shuffle(ways)
        for component, kind in ways:
            if at >= seconds:
                return plan
            # Even over the logarithm: as many blinks as long absences.
            length = 0.0 if kind == "kill" else round(BLINK * (longest / BLINK) ** dice.random(), 1)
            plan.append(Fault(len(plan) + 1, round(at, 1), component, kind, length))
            at += length + gap * dice.uniform(0.7, 1.8)
    return plan
