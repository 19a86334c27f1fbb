"""Fixtures of the ingress's tests."""

from collections.abc import AsyncIterator

import pytest

from hub.database.pool import Database
from hub.ids import new_id
from hub.ingress import Flusher
from hub.ownership.owners import MemoryOwners
from tests.integration.ingress.ingress_world import World, add_app, add_side, client_of, make_context


@pytest.fixture
async def flusher(database: Database, database_url: str) -> AsyncIterator[tuple[Flusher, MemoryOwners]]:
    """A running flusher and whom it wakes."""
    owners = MemoryOwners()
    made = Flusher(database_url, owners).start()
    yield made, owners
    await made.close()


@pytest.fixture
async def world(database: Database, flusher: tuple[Flusher, MemoryOwners]) -> AsyncIterator[World]:
    """An ingress with two tenants and one provider app."""
    made, owners = flusher
    context = make_context(database, made)
    secret = new_id("key")
    app = await add_app(database, secret)
    async with client_of(context) as client:
        yield World(context, database, owners, client, app, secret, await add_side(database), await add_side(database))
