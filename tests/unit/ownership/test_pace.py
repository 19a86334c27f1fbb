"""A busy owner's turns keep apart; an owner with little to do never waits."""

import asyncio

import pytest

from hub.ownership import pace
from hub.ownership.pace import FEW, GATHER_SECONDS, MANY, Pace


async def _slept(monkeypatch: pytest.MonkeyPatch, *under_way: int) -> list[float]:
    """What a Pace sleeps before each of several turns at one moment."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(pace, "monotonic", lambda: 100.0)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    found = Pace()
    for count in under_way:
        await found.gather(count)
    return slept


async def test_an_owner_with_few_handlers_under_way_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """However quickly one turn follows another."""
    assert await _slept(monkeypatch, 0, FEW, FEW, 0) == []


async def test_the_first_turn_of_a_busy_owner_is_at_once_and_the_next_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What finishes meanwhile shares the next one."""
    assert await _slept(monkeypatch, MANY, MANY) == pytest.approx([GATHER_SECONDS])


async def test_the_busier_an_owner_the_longer_it_gathers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to a limit: an order's way has seven turns."""
    slept = await _slept(monkeypatch, MANY, FEW + 1, (FEW + MANY) // 2, MANY, 10 * MANY)
    assert slept == sorted(slept)
    assert slept[0] < GATHER_SECONDS / 10
    assert slept[-2:] == pytest.approx([GATHER_SECONDS] * 2)
