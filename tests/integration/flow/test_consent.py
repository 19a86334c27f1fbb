"""A tenant connects its Square account in the browser: once, bound to who began it, and without a token lying open."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from hub.calls import ConnectionTokens
from hub.contract import AuthRevoked
from hub.database.pool import Database
from hub.ids import new_id
from hub.tenancy import create_connection
from hub.tenancy.connections import sync_message
from tests.integration.flow.front import Front, front
from tests.integration.flow.town import SQUARE, Town, town

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(90)]


@pytest.fixture
async def here(database: Database, database_url: str) -> AsyncIterator[Front]:
    """A town whose Square connection has neither token nor consent, and its front door."""
    async with town(database, database_url) as found:
        await found.open(pos_credentials={})
        async with front(found) as door:
            yield door


async def status(here: Front) -> tuple[str, str]:
    """The POS connection's status and the reason for it."""
    shown = (await here.call("GET", f"/connections/{here.town.pos}")).json()
    return shown["status"], shown["status_reason"]


async def token(here: Front) -> Any:
    """The POS connection's stored token."""
    rows = await here.town.rows("select provider_app from hub.connections where id = $1", here.town.pos)
    held = ConnectionTokens(here.town.database, here.town.master, here.town.tenant, here.town.pos, rows[0]["provider_app"])
    return (await held.read()).token


def exchanged(town: Town) -> int:
    """How often Square's token endpoint was called."""
    return int(town.square.calls["oauth.token"])


async def test_a_consent_connects_square_from_the_first_click_to_a_refresh(here: Front) -> None:
    """Suspended until the consent; then it reads, and refreshes with the app's secret and the consent's refresh token."""
    connection = here.town.pos
    before = await status(here)
    assert (before[0], f"POST /api/v1/connections/{connection}/authorize" in before[1]) == ("suspended", True)
    here.town.start(connection)
    got = await here.come_back(await here.consent(connection))
    assert (got.status_code, "Square is connected" in got.text) == (200, True)
    assert await status(here) == ("active", "")
    await here.town.until("select 1 from hub.vendor_stores where connection = $1", connection)
    held = await token(here)
    assert (held.access[:4], held.refresh[:4], held.expires_at is not None) == ("EAAA", "EQAA", True)
    here.town.square.expire_all_tokens()
    asked = exchanged(here.town)
    assert (await here.call("POST", f"/connections/{connection}/test")).json()["ok"]
    assert (exchanged(here.town), (await token(here)).access != held.access) == (asked + 1, True)
    actions = await here.town.rows("select action, actor from hub.audit_log where subject = $1 order by at", connection)
    assert [tuple(row) for row in actions][1:] == [("connection.authorize", here.user), ("connection.authorized", here.user)]


async def test_a_consent_leaves_no_secret_in_the_open(here: Front, owner_url: str) -> None:
    """Neither state, code nor token is in a table, on the page, or in an address that the page names."""
    await here.call("PATCH", f"/connections/{here.town.pos}", {"name": "<b>Harbour</b>"})
    back = await here.consent(here.town.pos)
    got = await here.come_back(back)
    state, code = (back.split(f"{name}=")[1].split("&")[0] for name in ("state", "code"))
    held = await token(here)
    page = got.text
    assert ("&lt;b&gt;Harbour" in page, "<b>" in page) == (True, False)
    assert "default-src 'none'" in got.headers["content-security-policy"]
    assert (got.headers["cache-control"], got.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert got.headers["x-correlation-id"].startswith("cor_")
    assert not [text for text in ("http:", "https:", "src=", "<script", state, code, held.access) if text in page]
    owner = await asyncpg.connect(owner_url)
    try:
        tables = await owner.fetch("select tablename from pg_tables where schemaname = 'hub'")
        for (table,) in tables:
            for secret in (state, code, held.access, held.refresh):
                query = f"select count(*) from hub.{table} t where t::text like $1 or t::text like $2"
                assert await owner.fetchval(query, f"%{secret}%", f"%{secret.encode().hex()}%") == 0, table
    finally:
        await owner.close()


async def test_a_state_works_once_even_when_it_comes_twice_at_the_same_time(here: Front) -> None:
    """One of two callbacks connects, the code is exchanged once, and a third changes nothing."""
    back = await here.consent(here.town.pos)
    both = await asyncio.gather(here.come_back(back), here.come_back(back))
    assert sorted(got.status_code for got in both) == [200, 400]
    held, asked = await token(here), exchanged(here.town)
    assert asked == 1
    again = await here.come_back(back)
    assert (again.status_code, "works once" in again.text) == (400, True)
    assert (exchanged(here.town), await token(here)) == (asked, held)


async def test_an_expired_or_foreign_state_changes_nothing(here: Front) -> None:
    """Past its ten minutes, made up, of another provider, or absent: a 400 page, no call to Square, no token."""
    back = await here.consent(here.town.pos)
    async with here.town.database.tenant(here.town.tenant) as tx:
        rows = await tx.fetch("select extract(epoch from expires_at - hub.clock()) as left from hub.oauth_states")
    assert [590 < row["left"] <= 600 for row in rows] == [True]
    other = back.replace("/oauth/square/", "/oauth/lightspeed/")
    forged = back.split("state=")[0] + "state=guessed"
    bare = back.split("?")[0]
    for address in (other, forged, bare, f"{bare}?state=", f"{bare}?code=x"):
        got = await here.come_back(address)
        assert (got.status_code, "Not connected" in got.text) == (400, True), address
    assert (exchanged(here.town), await token(here), (await status(here))[0]) == (0, None, "suspended")
    assert (await here.come_back(back)).status_code == 200, "the wrong ones did not use it up"


async def test_a_state_ends_after_ten_minutes(here: Front, owner_url: str) -> None:
    """By the database's clock; the next consent clears what ended."""
    back = await here.consent(here.town.pos)
    owner = await asyncpg.connect(owner_url)
    try:
        await owner.execute("update hub.oauth_states set expires_at = expires_at - interval '601 seconds'")
        assert (await here.come_back(back)).status_code == 400
        assert (exchanged(here.town), await token(here)) == (0, None)
        await here.consent(here.town.pos)
        assert await owner.fetchval("select count(*) from hub.oauth_states where tenant_id = $1", here.town.tenant) == 1
    finally:
        await owner.close()


async def test_a_no_at_the_vendor_connects_nothing(here: Front) -> None:
    """The vendor's error uses the state up, and the page says what to do."""
    back = await here.consent(here.town.pos)
    state = back.split("state=")[1].split("&")[0]
    got = await here.come_back(f"{back.split('?')[0]}?error=access_denied&error_description=%3Cscript%3E&code=x&state={state}")
    assert (got.status_code, "access was not given" in got.text, "<script>" in got.text) == (400, True, False)
    assert (await here.come_back(back)).status_code == 400
    assert (exchanged(here.town), await token(here), (await status(here))[0]) == (0, None, "suspended")


async def test_a_code_that_square_does_not_take_connects_nothing(here: Front) -> None:
    """502, and the connection stays as it was."""
    back = await here.consent(here.town.pos)
    state = back.split("state=")[1].split("&")[0]
    got = await here.come_back(f"{back.split('?')[0]}?code=sq0cgp-other&state={state}")
    assert (got.status_code, "AuthRevoked" in got.text) == (502, True)
    assert (await token(here), (await status(here))[0]) == (None, "suspended")


async def test_who_may_no_longer_connect_accounts_connects_none(here: Front, owner_url: str) -> None:
    """The state is bound to who began: as staff by now, the same person's consent counts no more."""
    back = await here.consent(here.town.pos)
    owner = await asyncpg.connect(owner_url)
    try:
        await owner.execute("update hub.memberships set role = 'staff' where user_id = $1", here.user)
    finally:
        await owner.close()
    got = await here.come_back(back)
    assert (got.status_code, "may no longer" in got.text) == (400, True)
    assert (exchanged(here.town), await token(here)) == (0, None)


async def test_a_consent_outlives_other_credentials_and_a_revocation_is_mended_by_another(here: Front) -> None:
    """A webhook key is added without losing the token; after a revocation a new consent lifts suspension and alert."""
    connection = here.town.pos
    await here.come_back(await here.consent(connection))
    held = await token(here)
    changed = await here.call("PATCH", f"/connections/{connection}", {"credentials": {"webhook_signature_key": "k"}})
    assert (changed.status_code, await token(here)) == (200, held)
    async with here.town.database.tenant(here.town.tenant) as tx:
        await tx.execute("update hub.connections set status = 'suspended', status_reason = 'withdrawn' where id = $1", connection)
        await tx.execute(
            "insert into hub.alerts (tenant_id, id, dedupe_key, kind, severity, subject, detail, raised_at, seen_at)"
            " values ($1, $2, $3, 'connection.suspended', 'critical', $4, 'x', hub.clock(), hub.clock())",
            here.town.tenant,
            new_id("alr"),
            f"revoked/{connection}",
            connection,
        )
    await here.call("PATCH", f"/connections/{connection}", {"credentials": {"webhook_signature_key": "k2"}})
    assert (await status(here))[0] == "suspended", "other credentials bring no access back"
    await here.come_back(await here.consent(connection))
    assert (await status(here), await here.town.alerts()) == (("active", ""), [])
    assert (await token(here)).access != held.access


async def test_a_paused_connection_stays_paused(here: Front) -> None:
    """A consent lifts a suspension, nothing else."""
    await here.call("POST", f"/connections/{here.town.pos}/pause")
    assert (await here.come_back(await here.consent(here.town.pos))).status_code == 200
    assert ((await status(here))[0], await token(here) is not None) == ("paused", True)


async def test_without_token_or_consent_a_use_says_what_to_do(here: Front) -> None:
    """Resumed by hand, the connection is refused by its own use: AuthRevoked, and how to connect it."""
    await here.call("POST", f"/connections/{here.town.pos}/resume")
    tried = (await here.call("POST", f"/connections/{here.town.pos}/test")).json()
    assert (tried["ok"], tried["error"], "/authorize" in tried["detail"]) == (False, AuthRevoked.__name__, True)
    here.town.start(here.town.pos)
    await here.town.until("select 1 from hub.connections where status = 'suspended' and status_reason like '%/authorize%'")


async def test_a_static_token_needs_neither_app_nor_consent(here: Front) -> None:
    """An access token of the seller's own application works alone."""
    known = here.town.square.connection_credentials()["access_token"]
    async with here.town.database.tenant(here.town.tenant) as tx:
        made = await create_connection(
            tx, here.town.master, here.town.providers, tenant=here.town.tenant, provider=SQUARE, name="Own application",
            credentials={"access_token": known}, environment="production",
        )  # fmt: skip
        row = await tx.fetchrow("select status, provider_app from hub.connections where id = $1", made.id)
        assert row is not None
        assert tuple(row) == ("active", None)
        await tx.execute("update hub.connections set environment = 'simulator' where id = $1", made.id)
    assert (await here.call("POST", f"/connections/{made.id}/test")).json()["ok"]


async def test_where_no_consent_can_be_asked_for_the_answer_says_why(here: Front) -> None:
    """A provider without consents, an environment without an app, and staff, who may not."""
    wrong = await here.call("POST", f"/connections/{here.town.platform}/authorize")
    assert (wrong.status_code, "not by a consent" in wrong.json()["detail"]) == (409, True)
    async with here.town.database.tenant(here.town.tenant) as tx:
        made = await create_connection(
            tx, here.town.master, here.town.providers, tenant=here.town.tenant, provider=SQUARE, name="No app", credentials={},
            environment="production",
        )  # fmt: skip
    lacking = await here.call("POST", f"/connections/{made.id}/authorize")
    assert (lacking.status_code, "client_id" in lacking.json()["detail"]) == (409, True)
    await here.sign_in("staff")
    assert (await here.call("POST", f"/connections/{here.town.pos}/authorize")).status_code == 403


async def test_an_app_made_later_is_taken_by_the_consent(here: Front, owner_url: str) -> None:
    """A connection from before its provider app existed uses the only one that fits from its consent on."""
    owner = await asyncpg.connect(owner_url)
    try:
        app = await owner.fetchval("update hub.connections set provider_app = null where id = $1 returning id", here.town.pos)
        app = await owner.fetchval("select max(id) from hub.provider_apps where provider = 'square'")
        await owner.execute("update hub.provider_apps set environment = 'sandbox' where provider = 'square' and id <> $1", app)
    finally:
        await owner.close()
    assert (await here.come_back(await here.consent(here.town.pos))).status_code == 200
    rows = await here.town.rows("select provider_app from hub.connections where id = $1", here.town.pos)
    assert rows[0]["provider_app"] == app
    here.town.square.expire_all_tokens()
    assert (await here.call("POST", f"/connections/{here.town.pos}/test")).json()["ok"]


async def test_a_suspended_connection_says_on_sync_what_to_do(here: Front) -> None:
    """Its mailbox keeps what waits, and a sync is refused with the way to connect it."""
    refused = await here.call("POST", f"/connections/{here.town.pos}/sync", {"resource": "menu"})
    assert (refused.status_code, "/authorize" in refused.json()["detail"]) == (409, True)
    await here.town.put(sync_message(here.town.pos, "stores", "cor-x"))
    assert await here.town.rows("select 1 from hub.due where connection = $1", here.town.pos)


async def test_other_methods_and_addresses_are_refused(here: Front) -> None:
    """GET only, and the callback only."""
    assert (await here.client.post("/oauth/square/callback?state=x&code=y")).status_code == 405
    for path in ("/oauth/square", "/oauth/square/other", "/oauth/nobody/callback", "/oauth/square/callback/more"):
        assert (await here.client.get(path)).status_code == 404, path
