"""Extras against a simulated vendor: read in the owner of the connection, run once through its mailbox."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from hub.database.pool import Database
from hub.ids import new_id
from hub.tenancy import create_connection, create_provider_app
from tests.integration.flow.front import Front, front
from tests.integration.flow.town import Town, town

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(90)]

SLUG = "lightspeed"
PASSWORD = "hush-hush-9931"


@pytest.fixture
async def here(database: Database, database_url: str) -> AsyncIterator[Front]:
    """A town's front door."""
    async with town(database, database_url) as found:
        await found.open()
        async with front(found) as door:
            yield door


async def connect(found: Town) -> str:
    """Connect K-Series, which has extras of both kinds."""
    vendor = found.vendors[SLUG]
    app = await create_provider_app(
        found.database, found.master, found.providers, provider=SLUG, environment="simulator", name=new_id("app"),
        credentials=vendor.app_credentials(),
    )  # fmt: skip
    facts = found.providers.get(SLUG).facts  # type: ignore[union-attr]
    known = {**vendor.connection_credentials(), "endpoint_id": "HUB-1", "webhook_password": "other"}
    async with found.database.tenant(found.tenant) as tx:
        made = await create_connection(
            tx, found.master, found.providers, tenant=found.tenant, provider=SLUG, name="K", environment="simulator", simulator=True,
            credentials={name: value for name, value in known.items() if name in facts.credentials}, provider_app=app,
        )  # fmt: skip
        await tx.execute("update hub.leases set host = connection where connection = $1", made.id)
    return made.id


async def ended(here: Front, correlation: str) -> dict[str, Any]:
    """What the event of a run says."""
    row = await here.town.until(
        "select data, subject from hub.events where correlation = $1 and data ->> 'step' like 'extra_%'", correlation
    )
    return dict(row["data"])


async def test_a_read_goes_through_the_owner_to_the_vendor(here: Front) -> None:
    """The owner's client makes the call; what the vendor does not know is told by class; without the owner it is 503."""
    connection = await connect(here.town)
    path = f"/connections/{connection}/extras"
    listed = {item["name"]: item["kind"] for item in (await here.call("GET", path)).json()["items"]}
    assert (listed["payment_methods"], listed["webhook"]) == ("read", "run")
    place = here.town.vendors[SLUG].stores()[0]["ref"]
    assert (await here.call("GET", f"{path}/payment_methods?ref={place}")).status_code == 503
    [host] = here.town.start(connection)
    await here.town.until("select 1 from hub.leases where connection = $1 and epoch > 0", connection)
    got = await here.call("GET", f"{path}/payment_methods?ref={place}")
    assert (got.status_code, got.json()[0].keys()) == (200, {"code", "name"}), got.text
    sold = await here.call("GET", f"{path}/sales?ref={place}&first=2026-01-02&group=staff")
    assert sold.status_code == 200, sold.text
    strange = await here.call("GET", f"{path}/payment_methods?ref=404404")
    assert (strange.status_code, strange.json()["error"]) == (502, "NotFound"), strange.text
    here.town.vendors[SLUG].faults.set({"error_rate": 1.0})
    down = await here.call("GET", f"{path}/payment_methods?ref={place}")
    assert (down.status_code, down.json()["error"], "retry-after" in down.headers) == (503, "RetryLater", True)
    assert host.state(connection)["calls"] > 0  # type: ignore[index]


async def test_a_read_that_takes_too_long_is_given_up(here: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time the answer is 503, whatever the vendor still does."""
    monkeypatch.setattr("hub.extras.calls.EXTRA_SECONDS", 0.2)
    connection = await connect(here.town)
    here.town.start(connection)
    await here.town.until("select 1 from hub.leases where connection = $1 and epoch > 0", connection)
    here.town.vendors[SLUG].faults.set({"latency_ms": 1500})
    place = here.town.vendors[SLUG].stores()[0]["ref"]
    got = await asyncio.wait_for(here.call("GET", f"/connections/{connection}/extras/payment_methods?ref={place}"), 1.2)
    assert (got.status_code, got.json()["error"]) == (503, "TooSlow")


async def test_a_run_is_done_once_and_its_secret_lies_nowhere_open(here: Front, owner_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """The vendor gets the password; an event tells the result; no table holds the password, sealed bodies apart."""
    connection = await connect(here.town)
    here.town.start(connection)
    asked = await here.call("POST", f"/connections/{connection}/extras/webhook", {"password": PASSWORD})
    assert asked.status_code == 202, asked.text
    told = await ended(here, asked.json()["correlation_id"])
    assert (told["step"], told["name"], told["message"]) == ("extra_done", "webhook", asked.json()["message"])
    assert told["result"] == {"id": "HUB-1", "url": f"{here.town.public_url}/webhooks/{SLUG}/{connection}"}
    calls = here.town.vendors[SLUG].calls
    assert calls["webhooks.create"] + calls["webhooks.update"] == 1
    assert PASSWORD not in caplog.text
    attempts = await here.town.rows("select step, outcome, sends from hub.attempts where subject like 'extra/%'")
    assert [tuple(row) for row in attempts] == [("webhook", "done", 1)]
    owner = await asyncpg.connect(owner_url)
    try:
        for (table,) in await owner.fetch("select tablename from pg_tables where schemaname = 'hub'"):
            query = f"select count(*) from hub.{table} t where t::text like $1 or t::text like $2"
            assert await owner.fetchval(query, f"%{PASSWORD}%", f"%{PASSWORD.encode().hex()}%") == 0, table
    finally:
        await owner.close()


async def test_a_run_that_the_vendor_refuses_is_over_and_told(here: Front) -> None:
    """No dead message and no alert: the event names the class and the vendor's words."""
    connection = await connect(here.town)
    here.town.start(connection)
    asked = await here.call("POST", f"/connections/{connection}/extras/webhook_location", {"ref": "404404"})
    told = await ended(here, asked.json()["correlation_id"])
    assert (told["step"], told["error"], "result" in told) == ("extra_failed", "NotFound", False)
    assert await here.town.rows("select 1 from hub.dead_letters where connection = $1", connection) == []
    assert await here.town.rows("select 1 from hub.due where connection = $1 and subject like 'extra/%'", connection) == []
