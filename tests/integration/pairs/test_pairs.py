"""Every POS with every platform: an order arrives whole, is accepted once, and its states travel both ways."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hub.contract import InstalledProviders
from hub.database.pool import Database
from tests.integration.flow.town import town
from tests.integration.pairs.street import Street

KINDS = {slug: provider.facts.kind for slug, provider in InstalledProviders().all().items()}
POS = [slug for slug, kind in KINDS.items() if kind == "pos"]
PLATFORMS = [slug for slug, kind in KINDS.items() if kind == "delivery"]


@asynccontextmanager
async def street(database: Database, url: str, pos: str, platform: str, **wanted: Any) -> AsyncIterator[Street]:
    """A linked pair with its menu published."""
    async with town(database, url, kind=Street) as found:
        assert isinstance(found, Street)
        await found.pair(pos, platform, **wanted)
        found.start()
        await found.publish()
        yield found


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("pos", POS)
async def test_an_order_arrives_and_is_accepted(database: Database, database_url: str, pos: str, platform: str) -> None:
    """Placed on the platform, in the POS once and paid what the merchant is owed, accepted by a later call."""
    async with street(database, database_url, pos, platform) as here:
        placed = [here.buy() for _ in range(3)]
        for each in placed:
            row = await here.state(each, "accepted")
            assert len(here.at_counter(row["id"])) == 1
        assert not await here.rows("select * from hub.dead_letters")
        alerts = await here.rows("select kind, detail from hub.alerts where cleared_at is null")
        assert not alerts, [dict(alert) for alert in alerts]
