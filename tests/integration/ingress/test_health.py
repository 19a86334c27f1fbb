"""Health and metrics against a real schema."""

from typing import Any

import httpx
import pytest

from hub.database.migrate import pending
from hub.ingress import Row
from hub.observe.operations import Operations, OperationsContext, migrations_check, owners_check, postgres_check
from tests.integration.ingress.ingress_world import World

pytestmark = pytest.mark.postgres


async def test_the_hub_is_ready_and_its_figures_are_read(world: World, database_url: str) -> None:
    """A service role sees dependencies and figures; work that nobody takes degrades, a paused connection's does not."""
    app: Any = Operations(
        OperationsContext(
            database=world.database,
            vital={"postgres": postgres_check(world.database), "schema": migrations_check(lambda: pending(database_url))},
            helpful={"owners": owners_check(world.database, patience=0.0)},
            trust_loopback=True,
        )
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://hub.test") as client:
        ready = await client.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "ready")
        await world.context.flusher.store([Row(world.a.till, "k", world.a.tenant, "noted", "s", 1, b"", "")])
        lagging = (await client.get("/health/ready")).json()
        assert lagging["status"] == "degraded"
        assert "1 messages of 1 connections" in lagging["dependencies"]["owners"]["detail"]
        assert "hub_mailbox_ready 1" in (await client.get("/metrics")).text
        async with world.database.tenant(world.a.tenant) as tx:
            await tx.execute("update hub.connections set status = 'paused' where id = $1", world.a.till)
        assert (await client.get("/health/ready")).json()["status"] == "ready"
