"""A POS without idempotency keys: once where it can be asked, at most once and a person told where it cannot."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest

from hub.database.pool import Database
from tests.contract.hostile_pos import HOSTILE, LOCATION, TOKEN, HostilePosServer
from tests.integration.flow.town import Town, town

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(90)]

BAD = ["late", "garbage", "drop_before", "drop_after", "500_before", "500_after"]


@pytest.fixture
async def here(database: Database, database_url: str) -> AsyncIterator[Town]:
    """A town that knows the hostile POS."""
    async with town(database, database_url, HOSTILE) as found:
        yield found


async def _open(here: Town, pos: HostilePosServer, **settings: Any) -> None:
    credentials = {"access_token": TOKEN}
    await here.open(pos="hostile", pos_credentials=credentials, pos_location=LOCATION, pos_settings=settings)
    here.sandbox_urls[here.pos] = pos.url


@pytest.mark.parametrize("behaviour", BAD)
async def test_with_a_look_up_an_order_is_there_exactly_once(here: Town, behaviour: str) -> None:
    """Whatever the POS does to the first two calls, the hub looks before it sends again."""
    async with HostilePosServer(behaviour, behaviour) as pos:
        await _open(here, pos, lookup=True, timeout_ms=300)
        here.start()
        row = await here.state(here.order(), "accepted", seconds=40)
        assert [order["reference"] for order in pos.orders] == [row["id"]]
        assert await here.rows("select 1 from hub.dead_letters") == []


@pytest.mark.parametrize("behaviour", BAD)
async def test_without_a_look_up_an_order_is_there_at_most_once_and_a_person_is_told(here: Town, behaviour: str) -> None:
    """Nobody can say what became of the write: it is not repeated, and an alert asks a person to look."""
    async with HostilePosServer(behaviour) as pos:
        await _open(here, pos, lookup=False, timeout_ms=300)
        here.start()
        placed = here.order()
        await here.until("select 1 from hub.alerts where kind = 'order.outcome_unknown'", seconds=30)
        await asyncio.sleep(0.5)
        row = await here.state(placed, "received")
        assert len(pos.orders) <= 1
        assert row["attention"]["reason"] == "outcome_unknown"


async def test_a_look_up_that_is_off_for_a_while_delays_and_doubles_nothing(here: Town) -> None:
    """The search answers errors: the hub waits for it rather than send again."""
    async with HostilePosServer("drop_after", lookup_enabled=False) as pos:
        await _open(here, pos, lookup=True, timeout_ms=300)
        here.start()
        placed = here.order()
        await here.until("select 1 from hub.attempts where step = 'order' and outcome is null")
        await asyncio.sleep(2.0)
        assert len(pos.orders) == 1
        pos.lookup_enabled = True
        await here.state(placed, "accepted", seconds=40)
        assert len(pos.orders) == 1


async def test_an_owner_that_was_stopped_after_its_attempt_does_not_send_after_its_successor(here: Town) -> None:
    """Stopped between commit and socket, replaced, continued: the successor is not blocked, and the order is there once."""
    async with HostilePosServer() as pos:
        await _open(here, pos, lookup=True, timeout_ms=1000)
        here.start(here.platform)
        command = [sys.executable, "-m", "tests.integration.flow.stopped_owner"]
        owner = await asyncio.to_thread(subprocess.Popen, command, stdin=subprocess.PIPE, text=True)
        assert owner.stdin is not None
        try:
            given = {"connection": here.pos, "url": here.url, "sandbox_url": pos.url}
            owner.stdin.write(json.dumps(given) + "\n")
            owner.stdin.flush()
            placed = here.order()
            async with asyncio.timeout(20):
                while psutil.Process(owner.pid).status() != psutil.STATUS_STOPPED:
                    # No cluster carries hints here: the process sees its mailbox by itself, every few seconds.
                    await asyncio.sleep(0.05)
            assert pos.orders == []
            here.start(here.pos)
            row = await here.state(placed, "accepted", seconds=30)
            assert [order["reference"] for order in pos.orders] == [row["id"]]
            owner.send_signal(signal.SIGCONT)
            await asyncio.sleep(3.0)
            assert [order["reference"] for order in pos.orders] == [row["id"]]
            assert len(await here.rows("select 1 from hub.events where subject = $1 and data ->> 'step' = 'in_pos'", row["id"])) == 1
        finally:
            owner.kill()
            owner.wait(10)
