"""Fixtures of the event stream's tests."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from hub.database.pool import Database
from hub.events.feed import Feeds
from hub.events.stream import Live, LiveContext
from tests.integration.events.live_world import MASTER, World, add_tenant, served


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that a replica has: its transports are not asyncio's."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    """A stream without Redis that looks five times a second."""
    feeds = Feeds(database, look_seconds=0.2).start()
    async with served(Live(LiveContext(database, MASTER, feeds))) as url:
        yield World(database, feeds, url, await add_tenant(database), await add_tenant(database))
    feeds.close()
