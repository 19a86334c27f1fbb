"""Rate limits: a bucket for each order, store or connection; the last fifth is for orders and cancels; windows refill."""

from typing import Any

import pytest

from hub.calls import URGENT, Limiter
from hub.calls import limits as module
from hub.contract import Request
from hub.contract.provider import Limit


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The limiter's clock."""
    made = Clock()
    monkeypatch.setattr(module, "monotonic", made)
    return made


def call(operation: str = "read", about: str = "") -> Request:
    """A call about something."""
    return Request("GET", "/x", operation, about=about)


def used(limiter: Limiter, request: Request, *, urgent: bool = False) -> int:
    """How many calls pass before one has to wait."""
    count = 0
    while limiter.wait(request, urgent=urgent) == 0:
        count += 1
        assert count < 1000
    return count


def test_a_fifth_is_kept_for_orders_and_cancels(clock: Clock) -> None:
    """Ordinary calls stop at a fifth of what the limit holds, orders and cancels use it up."""
    limiter = Limiter([Limit(10, 1, "connection")])
    assert used(limiter, call()) == 8
    assert used(limiter, call(), urgent=True) == 2


def test_a_bucket_fills_with_time(clock: Clock) -> None:
    """The wait that is told is enough, and no more than that."""
    limiter = Limiter([Limit(2, 1, "connection")])
    assert used(limiter, call()) == 2
    wait = limiter.wait(call())
    assert wait == pytest.approx(0.5)
    clock.now += wait - 0.01
    assert limiter.wait(call()) > 0
    clock.now += 0.02
    assert limiter.wait(call()) == 0


def test_orders_count_each_for_itself(clock: Clock) -> None:
    """Five calls for one order leave five for the next; calls about nothing are not counted."""
    limiter = Limiter([Limit(5, 60, "order", operations=("decide",))])
    assert used(limiter, call("decide", "order-1"), urgent=True) == 5
    assert used(limiter, call("decide", "order-2"), urgent=True) == 5
    assert limiter.wait(call("decide")) == 0
    assert limiter.wait(call("read", "order-1")) == 0


def test_endpoints_count_each_for_itself(clock: Clock) -> None:
    """A limit by endpoint holds for every operation alone."""
    limiter = Limiter([Limit(3, 1, "endpoint")])
    assert used(limiter, call("menus")) == 3
    assert used(limiter, call("orders")) == 3


def test_a_call_that_one_limit_refuses_costs_none_of_the_others(clock: Clock) -> None:
    """What was not sent is not counted."""
    limiter = Limiter([Limit(100, 1, "connection"), Limit(1, 1, "store")])
    assert used(limiter, call(about="s")) == 1
    for _ in range(50):
        assert limiter.wait(call(about="s")) > 0
    assert used(limiter, call()) == 79


def test_long_windows_start_half_full(clock: Clock) -> None:
    """Nobody knows what was used before this owner came."""
    assert used(Limiter([Limit(60, 60, "connection")]), call(), urgent=True) == 30


class Shared:
    """Answers as it is told."""

    def __init__(self, *answers: float | None) -> None:
        self.answers, self.asked = list(answers), []  # type: ignore[var-annotated]

    async def take(self, key: str, most: float, per: float, floor: float) -> float | None:
        self.asked.append((key, most, floor))
        return self.answers.pop(0) if self.answers else 0.0


async def test_an_apps_limit_is_asked_of_all(clock: Clock) -> None:
    """Wide limits are shared under the app; the wait of the shared bucket stands, and the reserve is asked for by what is urgent."""
    shared = Shared(0.0, 3.0, 0.0)
    limiter = Limiter([Limit(10, 1, "app"), Limit(10, 1, "connection")], shared=shared, owner="app_1")
    assert await limiter.take(call()) == 0
    assert await limiter.take(call()) == 3.0
    token = URGENT.set(True)
    try:
        assert await limiter.take(call()) == 0
    finally:
        URGENT.reset(token)
    assert [each[1:] for each in shared.asked] == [(10.0, 2.0), (10.0, 2.0), (10.0, 0.0)]
    assert all(key.startswith("app_1:") for key, *_ in shared.asked)


async def test_without_the_others_each_takes_its_share(clock: Clock) -> None:
    """While the shared bucket is away, a limit is divided among those who share it."""
    away: Any = Shared(*[None] * 50)
    limiter = Limiter([Limit(8, 1, "app")], shared=away, owner="app_1", share=4)
    passed = 0
    while await limiter.take(call()) == 0:
        passed += 1
    assert passed == 2
