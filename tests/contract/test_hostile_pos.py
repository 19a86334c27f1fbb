"""The hostile POS misbehaves as it says, and the adapter tells the hub honestly what can be repeated."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from hub.calls import VendorClient
from hub.calls.session import open_session
from hub.calls.tokens import Stored
from hub.clock import monotonic
from hub.contract import (
    CancelTask,
    Connected,
    NotFound,
    OutcomeUnknown,
    Rejected,
    Repeat,
    Request,
    RetryLater,
    Step,
    SubmitTask,
    Submitted,
)
from hub.contract.capabilities import OrderTarget
from hub.model import Fulfilment, Line, Money, Order, OrderState
from tests.contract.hostile_pos import BEHAVIOURS, HOSTILE, LOCATION, TOKEN, HostilePos, HostilePosServer

NOW = datetime(2026, 1, 10, 18, tzinfo=UTC)


class _Tokens:
    async def read(self) -> Stored:
        return Stored({"access_token": TOKEN}, None, 1, False)

    async def lease(self, version: int) -> bool:
        return True

    async def unlease(self, version: int) -> None:
        return None

    async def store(self, version: int, token: Any) -> bool:
        return True


class Till:
    """A server, and the adapter over the hub's own client."""

    def __init__(self, server: HostilePosServer, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.client = VendorClient(
            slug="hostile", session=session, bases={"api": f"{server.url}/hostile"}, auth=HOSTILE.auth(HOSTILE.facts), tokens=_Tokens()
        )

    def adapter(self, **settings: Any) -> HostilePos:
        """The adapter of a connection with these settings."""
        return HostilePos(HOSTILE.facts, Connected("con", "simulator", {"timeout_ms": 300, **settings}), self.client)

    async def send(self, step: Step) -> Any:
        """Carry a step out, once."""
        return await self.client.send(step.request, not_after=monotonic() + 5)


@pytest_asyncio.fixture
async def till() -> AsyncIterator[Till]:
    """A running POS."""
    async with HostilePosServer(late_seconds=0.6) as server, open_session() as session:
        yield Till(server, session)


def task(reference: str = "ord_1") -> SubmitTask:
    """An order of one burger."""
    line = Line("burger", "Burger", 1, Money(1000, "USD"), Money(1000, "USD"))
    order = Order(
        platform="ubereats",
        platform_order_id="u-1",
        store_ref="s",
        currency="USD",
        lines=(line,),
        total=Money(1000, "USD"),
        placed_at=NOW,
        fulfilment=Fulfilment("pickup"),
    )
    return SubmitTask(reference, order, LOCATION, {})


async def step_of(adapter: HostilePos, reference: str = "ord_1") -> Step:
    """The first step of a submit."""
    step = await adapter.submit(task(reference), {})
    assert isinstance(step, Step)
    return step


async def test_a_good_call_leaves_one_order(till: Till) -> None:
    """Submitted with the POS's own total, and found again by reference once it is visible."""
    adapter = till.adapter()
    assert isinstance(adapter, OrderTarget)
    done = adapter.read_step("order", await till.send(await step_of(adapter)))
    assert await adapter.submit(task(), {"order": done}) == Submitted("pos-1", Money(1000, "USD"))
    assert await adapter.find(task(), "order", NOW) is None
    await asyncio.sleep(till.server.visibility_lag + 0.05)
    assert await adapter.find(task(), "order", NOW) == done
    assert [each["reference"] for each in till.server.orders] == ["ord_1"]


@pytest.mark.parametrize(("behaviour", "there"), [("late", 1), ("drop_before", 0), ("drop_after", 1), ("500_before", 0), ("500_after", 1)])
async def test_an_outcome_is_unknown(till: Till, behaviour: str, there: int) -> None:
    """Each of these looks the same from outside, whether the order is there or not."""
    till.server.behave(next=[behaviour])
    with pytest.raises(OutcomeUnknown):
        await till.send(await step_of(till.adapter()))
    assert len(till.server.orders) == there


async def test_garbage_is_an_effect_with_an_unreadable_answer(till: Till) -> None:
    """The order is there although the answer cannot be read."""
    till.server.behave(next=["garbage"])
    response = await till.send(await step_of(till.adapter()))
    with pytest.raises(Exception, match="does not fit"):
        till.adapter().read_step("order", response)
    assert len(till.server.orders) == 1


async def test_an_answer_given_twice_is_not_taken_for_the_next_one(till: Till) -> None:
    """The call after a doubled answer gets its own answer."""
    till.server.behave(next=["twice"])
    adapter = till.adapter()
    first = adapter.read_step("order", await till.send(await step_of(adapter, "ord_1")))
    await asyncio.sleep(0.05)
    second = adapter.read_step("order", await till.send(await step_of(adapter, "ord_2")))
    assert (first.vendor_ref, second.vendor_ref) == ("pos-1", "pos-2")


async def test_without_a_key_the_same_call_makes_a_second_order(till: Till) -> None:
    """Nothing is noticed by this POS: repeating blindly is a double."""
    step = await step_of(till.adapter())
    await till.send(step)
    await till.send(step)
    assert len(till.server.orders) == 2


async def test_look_up_is_a_setting_and_a_switch(till: Till) -> None:
    """With the setting off nothing may be repeated; with the POS's search off a look-up fails instead of finding nothing."""
    assert (await step_of(till.adapter())).repeat is Repeat.LOOKUP
    assert (await step_of(till.adapter(lookup=False))).repeat is Repeat.NEVER
    till.server.lookup_enabled = False
    with pytest.raises(RetryLater):
        await till.adapter().find(task(), "order", NOW)


async def test_behaviours_are_used_up_in_turn(till: Till) -> None:
    """One a created order, in the order they were said; then all is well."""
    till.server.behave(next=["500_before"])
    till.server.behave(next=["ok", "drop_after"])
    step, went = await step_of(till.adapter()), []
    for _ in range(4):
        try:
            status = (await till.send(step)).status
        except OutcomeUnknown:
            status = 0
        went.append((status, len(till.server.orders)))
    assert went == [(0, 0), (200, 1), (0, 2), (200, 3)]


async def test_a_cancelled_order_is_shown_as_cancelled(till: Till) -> None:
    """Cancelling sets a state, so that a repeat changes nothing; an unknown order is named as such."""
    adapter = till.adapter()
    await till.send(await step_of(adapter))
    for _ in range(2):
        step = await adapter.cancel(CancelTask("ord_1", "pos-1", LOCATION, "other"), {})
        assert isinstance(step, Step)
        assert step.repeat is Repeat.NATURAL
        await till.send(step)
    assert (await adapter.order("pos-1")).state is OrderState.CANCELLED
    with pytest.raises(NotFound):
        await adapter.order("pos-9")


async def test_what_is_no_order_leaves_none(till: Till) -> None:
    """A body that names no reference is refused, and uses no behaviour up."""
    till.server.behave(next=["drop_after"])
    broken = Step("order", Request("POST", "/orders", "create_order", body=b"{}"), Repeat.NEVER)
    with pytest.raises(Rejected):
        await till.send(broken)
    assert till.server.orders == []
    with pytest.raises(OutcomeUnknown):
        await till.send(await step_of(till.adapter()))


def test_an_unknown_behaviour_is_refused() -> None:
    """A typing error in a test does not pass for good behaviour."""
    with pytest.raises(ValueError, match="unknown behaviour 'explode'"):
        HostilePosServer().behave(next=["ok", "explode"])
    assert "twice" in BEHAVIOURS
