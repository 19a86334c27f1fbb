"""Connections, their mailboxes, and the messages that died in them."""

import msgspec
import pytest

from hub.ids import message_id
from hub.vault import Unsealable
from tests.integration.api.api_world import World, add_dead

pytestmark = pytest.mark.postgres

TILL = {"provider": "till", "name": "Second", "credentials": {"access_token": "tok_secret"}}


async def mailbox(world: World, connection: str) -> list[tuple[str, str]]:
    """Kind and dedupe key of what waits in a mailbox, in order."""
    async with world.context.database.tenant(world.a.tenant) as tx:
        rows = await tx.fetch(
            "select m.kind, m.dedupe_key from hub.due d join hub.messages m on m.id = d.id where d.connection = $1 order by d.id",
            connection,
        )
    return [tuple(row) for row in rows]


async def test_a_new_connection_is_sealed_leased_and_read(world: World) -> None:
    """Making a connection stores sealed credentials, a lease and the first reads, wakes its owner, and shows no secret."""
    answer = await world.call(world.a, "POST", "/connections", {**TILL, "settings": {"size": "large"}})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert "tok_secret" not in answer.text
    assert made["settings"] == {"fast": False, "size": "large"}
    assert (made["environment"], made["status"]) == ("simulator", "active")
    assert made["webhook_url"] == f"https://hub.example/webhooks/till/{made['id']}"
    assert [kind for kind, _ in await mailbox(world, made["id"])] == ["sync.stores", "sync.menu", "sync.stock", "sync.orders"]
    assert made["id"] in world.owners.woken
    async with world.context.database.tenant(world.a.tenant) as tx:
        sealed = await tx.fetchval("select sealed from hub.credentials where connection = $1", made["id"])
        assert await tx.fetchval("select epoch from hub.leases where connection = $1", made["id"]) == 0
    opened = world.context.master.open(sealed, world.a.tenant, "credentials", made["id"])
    assert msgspec.json.decode(opened) == {"access_token": "tok_secret"}
    with pytest.raises(Unsealable):
        world.context.master.open(sealed, world.b.tenant, "credentials", made["id"])
    audit = (await world.call(world.a, "GET", f"/audit-log?subject={made['id']}")).json()["items"]
    assert [(row["action"], row["actor"]) for row in audit] == [("connection.create", world.a.user)]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"credentials": {}}, "/credentials/access_token"),
        ({"credentials": {"access_token": "tok_a", "colour": "red"}}, "/credentials/colour"),
        ({"credentials": {"access_token": "TOKEN"}}, "/credentials/access_token"),
        ({"settings": {"speed": 1}}, "/settings/speed"),
        ({"settings": {"fast": "yes"}}, "/settings/fast"),
        ({"settings": {"size": "huge"}}, "/settings/size"),
        ({"environment": "moon"}, "/environment"),
        ({"provider": "nobody"}, "/provider"),
        ({"name": " "}, "/name"),
        ({"provider_app": "app_x"}, "/provider_app"),
    ],
)
async def test_a_form_that_does_not_fit_the_provider_is_422(world: World, change: dict, pointer: str) -> None:
    """Unknown, missing and malformed credentials and settings are pointed at, and their values are not repeated."""
    answer = await world.call(world.a, "POST", "/connections", {**TILL, **change})
    assert answer.status_code == 422, answer.text
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert "TOKEN" not in answer.text


async def test_a_partner_credential_is_not_taken_from_a_tenant(world: World) -> None:
    """What belongs to the operator's provider app is refused on a connection."""
    body = {"provider": "courier", "name": "x", "credentials": {"client_secret": "mine"}}
    errors = (await world.call(world.a, "POST", "/connections", body)).json()["errors"]
    assert errors == [{"pointer": "/credentials/client_secret", "detail": "it belongs to the operator's provider app"}]


async def test_the_only_app_of_the_environment_is_the_default(world: World) -> None:
    """A connection of an app's provider takes the one app there is, and asks when there are several."""
    # The world has one for the simulator in this test, and this module's earlier tests left others behind.
    body = {"provider": "courier", "name": "x", "credentials": {}}
    apps = (await world.call(world.operator, "GET", "/provider-apps?provider=courier&limit=200")).json()["items"]
    several = sum(app["environment"] == "simulator" for app in apps) > 1
    answer = await world.call(world.a, "POST", "/connections", body)
    assert answer.status_code == (422 if several else 201)
    named = await world.call(world.a, "POST", "/connections", {**body, "name": "y", "provider_app": world.app})
    assert (named.status_code, named.json()["provider_app"]) == (201, world.app)
    assert named.json()["webhook_url"] == "https://hub.example/webhooks/courier"
    wrong = await world.call(world.a, "POST", "/connections", {**body, "name": "z", "provider_app": "app_" + "0" * 26})
    assert wrong.status_code == 404


async def test_two_connections_do_not_share_a_name(world: World) -> None:
    """The same provider and name again is a conflict."""
    assert (await world.call(world.a, "POST", "/connections", {**TILL, "name": "Till"})).status_code == 409


async def test_new_credentials_replace_the_old_and_lift_a_suspension(world: World) -> None:
    """A PATCH with credentials seals the new set, forgets the token and makes a suspended connection active."""
    async with world.context.database.tenant(world.a.tenant) as tx:
        await tx.execute("update hub.connections set status = 'suspended', status_reason = 'revoked' where id = $1", world.a.pos)
        await tx.execute("update hub.credentials set token = 'x' where connection = $1", world.a.pos)
    path = f"/connections/{world.a.pos}"
    assert (await world.call(world.a, "POST", f"{path}/sync", {"resource": "menu"})).status_code == 409
    answer = await world.call(world.a, "PATCH", path, {"credentials": {"access_token": "tok_new"}, "settings": {"fast": True}})
    assert (answer.json()["status"], answer.json()["settings"]["fast"]) == ("active", True)
    async with world.context.database.tenant(world.a.tenant) as tx:
        row = await tx.fetchrow("select sealed, token, version from hub.credentials where connection = $1", world.a.pos)
    assert (row["token"], row["version"]) == (None, 2)
    assert b"tok_new" in world.context.master.open(row["sealed"], world.a.tenant, "credentials", world.a.pos)


async def test_pause_and_resume_change_the_status_and_tell_it(world: World) -> None:
    """Each leaves an event, an audit row and a wake-up; doing it twice leaves one."""
    path = f"/connections/{world.a.pos}"
    for action, status in (("pause", "paused"), ("pause", "paused"), ("resume", "active")):
        answer = await world.call(world.a, "POST", f"{path}/{action}")
        assert (answer.status_code, answer.json()["status"]) == (200, status)
    async with world.context.database.tenant(world.a.tenant) as tx:
        events = await tx.fetch(
            "select data ->> 'change' as change from hub.events where subject = $1 and type = 'connection.changed' order by id",
            world.a.pos,
        )
    assert [e["change"] for e in events] == ["connection.create", "connection.pause", "connection.resume"]
    assert world.owners.woken.count(world.a.pos) >= 3


async def test_a_linked_connection_is_not_removed(world: World) -> None:
    """A connection goes only after its links; then its credentials and claims are gone too."""
    path = f"/connections/{world.a.delivery}"
    assert (await world.call(world.a, "DELETE", path)).status_code == 409
    assert (await world.call(world.a, "DELETE", f"/links/{world.a.link}")).status_code == 204
    assert (await world.call(world.a, "DELETE", path)).status_code == 204
    assert (await world.call(world.a, "GET", path)).status_code == 404
    async with world.context.database.tenant(world.a.tenant) as tx:
        assert await tx.fetchval("select sealed from hub.credentials where connection = $1", world.a.delivery) == b""
        assert await tx.fetchval("select count(*) from hub.store_claims where connection = $1", world.a.delivery) == 0


async def test_state_joins_the_owner_and_the_mailbox(world: World) -> None:
    """Without an owner the counts are there and the rest is null; with one its figures are shown."""
    path = f"/connections/{world.a.delivery}/state"
    alone = (await world.call(world.a, "GET", path)).json()
    assert (alone["pid"], alone["mailbox"]["dead"], alone["mailbox"]["ready"]) == (None, 1, 2)
    assert alone["mailbox"]["oldest_due"].endswith("Z")

    class Owner:
        def state(self):
            return {"actor": "con", "pid": 7, "node": "n1", "epoch": 3, "limits": {"x": 1}, "auth": {"mode": "static"}}

    world.owners.owners[world.a.delivery] = Owner()
    live = (await world.call(world.a, "GET", path)).json()
    assert (live["actor"], live["pid"], live["node"], live["epoch"]) == ("con", 7, "n1", 3)
    assert (live["limits"], live["auth"]["mode"]) == ({"x": 1}, "static")


async def test_a_connection_is_tried(world: World) -> None:
    """The tester is asked for the tenant's connection and its word is shown."""
    answer = await world.call(world.a, "POST", f"/connections/{world.a.pos}/test")
    assert answer.json() == {"ok": True, "detail": "2 locations", "error": None}
    assert world.tried == [(world.a.tenant, world.a.pos)]


async def test_a_sync_is_queued_once_per_correlation(world: World) -> None:
    """The same request under one correlation id is one message; an unknown resource is refused."""
    path = f"/connections/{world.a.pos}/sync"
    for _ in range(2):
        answer = await world.call(world.a, "POST", path, {"resource": "orders"}, X_Correlation_Id="cor-sync-1")
        assert answer.status_code == 202
    assert [key for _, key in await mailbox(world, world.a.pos)].count("sync/orders/cor-sync-1") == 1
    assert (await world.call(world.a, "POST", path, {"resource": "weather"})).status_code == 422


async def test_messages_show_their_state(world: World) -> None:
    """A mailbox lists what is ready, waiting behind another, running and dead, with ids that other routes take."""
    async with world.context.database.tenant(world.a.tenant) as tx:
        await tx.execute(
            "update hub.due set claimed_epoch = 1 where id = (select min(id) from hub.due where connection = $1)", world.a.delivery
        )
    listed = (await world.call(world.a, "GET", f"/connections/{world.a.delivery}/messages")).json()["items"]
    assert [(m["kind"], m["state"]) for m in listed] == [("sync.stores", "running"), ("sync.orders", "ready"), ("noted", "dead")]
    dead = listed[-1]
    assert (dead["id"], dead["reason"], dead["tries"]) == (message_id(world.a.dead), "drifted", 5)
    only = (await world.call(world.a, "GET", f"/connections/{world.a.delivery}/messages?state=dead")).json()["items"]
    assert only == [dead]


async def test_a_dead_message_comes_back_once(world: World) -> None:
    """A replay puts it into the mailbox anew and wakes the owner; a second one is a conflict, for it lives."""
    path = f"/messages/{message_id(world.a.dead)}/replay"
    world.owners.woken.clear()
    answer = await world.call(world.a, "POST", path)
    assert (answer.status_code, answer.json()["state"]) == (202, "ready")
    assert world.owners.woken == [world.a.delivery]
    async with world.context.database.tenant(world.a.tenant) as tx:
        row = await tx.fetchrow("select tries, deaths, claimed_epoch from hub.due where id = $1", world.a.dead)
        letter = await tx.fetchrow("select resolution, resolved_by from hub.dead_letters where id = $1", world.a.dead)
    assert tuple(row) == (0, 0, None)
    assert tuple(letter) == ("replayed", world.a.user)
    assert (await world.call(world.a, "POST", path)).status_code == 409


async def test_a_skipped_message_frees_its_subject(world: World) -> None:
    """A skip keeps who and why, and what waited behind the dead message is ready."""
    number = await add_dead(world.context, world.a, kind="sync.orders", subject="sync/orders")
    states = f"/connections/{world.a.delivery}/messages"
    before = {m["kind"]: m["state"] for m in (await world.call(world.a, "GET", f"{states}?state=waiting")).json()["items"]}
    assert before == {"sync.orders": "waiting"}
    path = f"/messages/{message_id(number)}/skip"
    assert (await world.call(world.a, "POST", path, {"reason": " "})).status_code == 422
    assert (await world.call(world.a, "POST", path, {"reason": "store is closed"})).status_code == 200
    assert (await world.call(world.a, "GET", f"{states}?state=waiting")).json()["items"] == []
    async with world.context.database.tenant(world.a.tenant) as tx:
        letter = await tx.fetchrow("select resolution, resolved_by, why from hub.dead_letters where id = $1", number)
    assert tuple(letter) == ("skipped", world.a.user, "store is closed")


async def test_a_message_that_never_was_is_404(world: World) -> None:
    """Malformed and unknown message ids are not found."""
    for identifier in ("msg_x", message_id(9_999_999), "ord_" + "0" * 26):
        assert (await world.call(world.a, "POST", f"/messages/{identifier}/replay")).status_code == 404
