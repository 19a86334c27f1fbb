"""Fixtures of the event stream's tests."""

from collections.abc import AsyncIterator

import pytest

from hub.database.pool import Database
from hub.events.feed import Feeds
from hub.events.stream import Live, LiveContext
from tests.integration.events.live_world import MASTER, World, add_tenant, served


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    """A stream without Redis that looks five times a second."""
    feeds = Feeds(database, look_seconds=0.2).start()
    async with served(Live(LiveContext(database, MASTER, feeds))) as url:
        yield World(database, feeds, url, await add_tenant(database), await add_tenant(database))
    feeds.close()
