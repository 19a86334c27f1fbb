"""Two processes of one host's name, as a cluster that was cut in two makes them: the later one works, the earlier one ends."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from hub.database.pool import Database
from tests.integration.flow.town import Town, town

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(90)]


@pytest.fixture
async def here(database: Database, database_url: str) -> AsyncIterator[Town]:
    """A town with its tenant."""
    async with town(database, database_url) as found:
        await found.open()
        yield found


async def test_the_earlier_of_two_processes_ends(here: Town) -> None:
    """It is replaced, sees that its name still has the connection, and does not take it back: the epoch rises once."""
    (earlier,) = here.start(here.pos)
    await here.until("select 1 from hub.leases where connection = $1 and epoch = 1", here.pos)
    (later,) = here.start(here.pos)
    await here.until("select 1 from hub.leases where connection = $1 and epoch = 2", here.pos)
    earlier.wake(here.pos)
    await asyncio.wait_for(here.tasks[0], 20)
    assert earlier.outlived
    later.wake(here.pos)
    await asyncio.sleep(0.5)
    assert not later.outlived
    state = later.state(here.pos)
    assert state is not None
    assert (state["epoch"], state["status"]) == (2, "active")
    assert [row["epoch"] for row in await here.rows("select epoch from hub.leases where connection = $1", here.pos)] == [2]
