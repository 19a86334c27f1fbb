"""Commands of people, as they come over the stream."""

from collections.abc import AsyncIterator

import pytest

from hub.api.commands import order_commands
from hub.database.pool import Database
from hub.events.stream import CommandRefused
from hub.identity.principal import Principal
from hub.ingress import keep_day_key
from hub.tenancy import create_tenant
from hub.vault import BodyVault
from tests.integration.flow.town import Town, town

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(60)]


@pytest.fixture
async def here(database: Database, database_url: str) -> AsyncIterator[Town]:
    """A town whose link waits for a person."""
    async with town(database, database_url) as found:
        yield await found.open(accept="manual")


async def test_a_person_accepts_and_readies_an_order_and_others_may_not(here: Town) -> None:
    """Accept sends it to the POS and then tells the platform; a viewer and another tenant are refused."""
    here.start()
    await here.publish()
    bodies = BodyVault(here.master, keep_day_key(here.database))
    command = order_commands(here.database, here.master, bodies, here.owners, here.providers)
    staff = Principal(here.tenant, "usr_x", "staff")
    stranger = await create_tenant(here.database, "Somebody else")
    placed = here.order()
    row = await here.state(placed, "received")
    assert (row["decision"], here.square.state()["orders"]) == ("wait", [])
    with pytest.raises(CommandRefused, match="needs staff"):
        await command(Principal(here.tenant, "usr_x", "viewer"), "order.accept", row["id"], {})
    with pytest.raises(CommandRefused, match="no order"):
        await command(Principal(stranger, "usr_x", "staff"), "order.accept", row["id"], {})
    with pytest.raises(CommandRefused, match="takes no ready"):
        await command(staff, "order.ready", row["id"], {})
    await command(staff, "order.accept", row["id"], {})
    await here.state(placed, "accepted")
    assert len(here.at_square(row["id"])) == 1
    await command(staff, "order.ready", row["id"], {})
    await here.state(placed, "ready")
    await command(staff, "order.cancel", row["id"], {"reason": "too_busy", "detail": "the oven broke"})
    await here.state(placed, "cancelled")
    actions = [r["action"] for r in await here.rows("select action from hub.audit_log where subject = $1 order by at", row["id"])]
    assert actions == ["order.accept", "order.ready", "order.cancel"]
