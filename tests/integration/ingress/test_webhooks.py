"""Vendors' calls: each outcome that interface.md names, against a real database."""

import asyncio
import hashlib
from typing import Any

import pytest

from hub.database.pool import Database
from hub.ids import new_id
from hub.ingress import Flusher
from hub.ownership.owners import MemoryOwners
from tests.integration.ingress.ingress_world import (
    PUBLIC,
    TENANT_SECRET,
    World,
    add_app,
    add_connection,
    add_side,
    client_of,
    events,
    make_context,
    sign,
)

pytestmark = pytest.mark.postgres


def _order() -> str:
    return new_id("ord")


async def test_a_signed_call_is_stored_before_it_is_answered(world: World) -> None:
    """A connection's signed call is in its mailbox, sealed, and its owner woken, when the vendor's own answer comes."""
    order = _order()
    body = events((order, "any"))
    answer = await world.post(f"/webhooks/till/{world.a.till}", body, TENANT_SECRET, **{"x-correlation-id": "from-the-vendor-1"})
    assert answer.status_code == 202
    assert answer.json() == {"ids": [f"order/{order}/placed"]}
    assert answer.headers["x-correlation-id"] == "from-the-vendor-1"
    (message,) = await world.messages(world.a)
    assert (message["connection"], message["kind"], message["subject"]) == (world.a.till, "order.placed", f"order/{order}")
    assert message["correlation"] == "from-the-vendor-1"
    assert order.encode() not in message["body"]
    parts = ("messages", world.a.till, message["dedupe_key"])
    assert await world.context.bodies.open(world.a.tenant, message["body"], *parts) == body
    assert world.owners.woken == [world.a.till]
    assert await world.messages(world.b) == []


async def test_the_registered_address_is_what_was_called_with_suffix(world: World) -> None:
    """A vendor that signs its registered address is verified against the public URL, percent-encoding and suffix kept."""
    path = f"/webhooks/till/{world.a.till}/v2/new%20orders"
    assert (await world.post(path, events((_order(), "s")), TENANT_SECRET)).status_code == 202


async def test_a_repeated_call_gets_the_same_answer_and_one_message(world: World) -> None:
    """A duplicate is answered as the first was, and wakes nobody."""
    body = events((_order(), "s"))
    first = await world.post(f"/webhooks/till/{world.a.till}", body, TENANT_SECRET)
    world.owners.woken.clear()
    second = await world.post(f"/webhooks/till/{world.a.till}", body, TENANT_SECRET)
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert len(await world.messages(world.a)) == 1
    assert world.owners.woken == []


@pytest.mark.parametrize("secret", ["the app's", "wrong", None])
async def test_a_bad_signature_is_401_and_stores_nothing(world: World, secret: str | None) -> None:
    """A tenant's connection takes no call signed with another key, an app's included, nor an unsigned one that makes sense."""
    given = world.secret if secret == "the app's" else secret
    answer = await world.post(f"/webhooks/till/{world.a.till}", events((_order(), "s")), given)
    assert answer.status_code == 401
    assert await world.messages(world.a) == []


async def test_a_header_the_adapter_stumbles_over_is_a_bad_signature(world: World) -> None:
    """An exception while verifying is 401, never a crash and never stored."""
    answer = await world.post(f"/webhooks/till/{world.a.till}", events((_order(), "s")), **{"x-signature": "explode"})
    assert answer.status_code == 401


async def test_a_call_without_a_secret_at_hand_is_401(world: World) -> None:
    """A connection whose credentials hold no webhook secret verifies nothing, an HMAC with an empty key included."""
    bare = await add_connection(world.database, world.a.tenant, "till", None)
    answer = await world.post(f"/webhooks/till/{bare}", events((_order(), "s")), "")
    assert answer.status_code == 401


async def test_unsigned_and_malformed_is_400(world: World) -> None:
    """A body that makes no sense and that nobody signed is 400 and not kept."""
    answer = await world.post(f"/webhooks/till/{world.a.till}", b"{nonsense")
    assert answer.status_code == 400
    assert await world.rows(world.a, "dead_letters") == []


async def test_unknown_connections_providers_and_apps_are_404(world: World) -> None:
    """What the hub does not know is 404: a connection, one of another provider, an app, a provider."""
    body = events((_order(), "s"))
    for path in (f"/webhooks/till/{new_id('con')}", f"/webhooks/till/{world.a.courier}", "/webhooks/till/con_x", "/webhooks/nobody"):
        assert (await world.post(path, body, TENANT_SECRET)).status_code == 404, path
    assert (await world.post(f"/webhooks/courier/{new_id('app')}", body, world.secret)).status_code == 404


async def test_a_connection_made_just_now_is_found(world: World) -> None:
    """A miss is not remembered: the connection that was unknown a moment ago takes calls at once."""
    connection = new_id("con")
    body = events((_order(), "s"))
    assert (await world.post(f"/webhooks/till/{connection}", body, TENANT_SECRET)).status_code == 404
    made = await add_connection(world.database, world.a.tenant, "till", TENANT_SECRET)
    assert (await world.post(f"/webhooks/till/{made}", body, TENANT_SECRET)).status_code == 202


async def test_a_body_over_the_limit_is_413(world: World) -> None:
    """Too many bytes are refused whether they are announced or just come."""
    path = f"/webhooks/till/{world.a.till}"
    assert (await world.post(path, b"x" * 5000, TENANT_SECRET)).status_code == 413

    async def parts() -> Any:
        for _ in range(10):
            yield b"x" * 1000

    assert (await world.client.post(path, content=parts())).status_code == 413
    assert await world.messages(world.a) == []


@pytest.mark.parametrize(
    "body",
    [b'{"broken', b"\x00\xff\x00", b'{"events": "explode"}', b'{"events": [{"order": "a\\u0000b", "store": "s"}]}',
     b'{"events": [{"order": "a\\ud800b", "store": "s"}]}', b'{"events": [{"order": "' + b"x" * 2000 + b'", "store": "s"}]}'],
    ids=["cut", "nul-bytes", "adapter-fault", "nul-in-key", "half-surrogate", "key-too-long"],
)  # fmt: skip
async def test_a_signed_body_that_cannot_be_read_is_stored_dead_and_alerted(world: World, body: bytes) -> None:
    """What a vendor signed is kept whatever it is: dead under its digest, with an alert, and answered as stored."""
    for _ in range(2):
        answer = await world.post(f"/webhooks/till/{world.a.till}", body, TENANT_SECRET)
        assert answer.status_code == 202
    (message,) = await world.messages(world.a)
    digest = hashlib.sha256(body).hexdigest()
    assert message["dedupe_key"] == f"body/{digest}"
    parts = ("messages", world.a.till, f"body/{digest}")
    assert await world.context.bodies.open(world.a.tenant, message["body"], *parts) == body
    (dead,) = await world.rows(world.a, "dead_letters")
    assert dead["reason"] == "drifted"
    assert [alert["kind"] for alert in await world.rows(world.a, "alerts")] == ["message.dead"]
    assert await world.rows(world.a, "due") == []


async def test_an_app_level_call_goes_to_the_proven_claim(world: World) -> None:
    """A store's event reaches the tenant whose claim is proven, whatever others claim."""
    store = new_id("loc")
    await world.claim(world.a, store, proof="operator")
    await world.claim(world.b, store)
    for path in ("/webhooks/courier", f"/webhooks/courier/{world.app}", "/webhooks/courier/orders/v1"):
        assert (await world.post(path, events((_order(), store)), world.secret)).status_code == 202, path
    assert {message["connection"] for message in await world.messages(world.a)} == {world.a.courier}
    assert await world.messages(world.b) == []


async def test_an_unproven_claim_routes_nothing(world: World) -> None:
    """A store that a tenant merely claims is refused in the vendor's way, kept for the operator, sealed, and alerted once."""
    store, order = new_id("loc"), _order()
    await world.claim(world.b, store)
    for _ in range(2):
        answer = await world.post("/webhooks/courier", events((order, store)), world.secret)
        assert (answer.status_code, answer.json()) == (422, {"refused": "unknown_store"})
    assert await world.messages(world.b) == []
    kept = [row for row in await world.unrouted() if row["store_ref"] == store]
    assert [(row["provider_app"], row["count"]) for row in kept] == [(world.app, 2)]
    alerts = [row for row in await world.database.fetch("select * from hub.operator_alerts_open()") if store in row["detail"]]
    assert [(row["kind"], row["count"]) for row in alerts] == [("ingress.unrouted", 2)]


async def test_a_claim_proven_just_now_routes_at_once(world: World) -> None:
    """A refused store is not remembered as unknown."""
    store = new_id("loc")
    assert (await world.post("/webhooks/courier", events((_order(), store)), world.secret)).status_code == 422
    await world.claim(world.a, store, proof="operator")
    assert (await world.post("/webhooks/courier", events((_order(), store)), world.secret)).status_code == 202


async def test_a_provisioning_event_proves_the_only_claim(world: World) -> None:
    """The vendor's own word proves a claim and is routed by it; a second claimant is never proven by it."""
    alone, twice = new_id("loc"), new_id("loc")
    await world.claim(world.a, alone)
    await world.claim(world.a, twice)
    await world.claim(world.b, twice)
    proven = await world.post("/webhooks/courier", events((alone, alone), kind="store.provisioned"), world.secret)
    doubtful = await world.post("/webhooks/courier", events((twice, twice), kind="store.provisioned"), world.secret)
    assert (proven.status_code, doubtful.status_code) == (202, 422)
    assert [message["kind"] for message in await world.messages(world.a)] == ["store.provisioned"]


async def test_tenants_keys_verify_no_app_level_call(world: World) -> None:
    """A call to the common address signed with a tenant's own secret is 401."""
    store = new_id("loc")
    await world.claim(world.a, store, proof="operator")
    assert (await world.post("/webhooks/courier", events((_order(), store)), TENANT_SECRET)).status_code == 401


async def test_apps_that_share_a_secret_both_route(world: World) -> None:
    """Where two apps have one secret, the store's claim decides which of them a call belongs to."""
    store, other = new_id("loc"), new_id("loc")
    await world.claim(world.a, store, proof="operator")
    world.app = await add_app(world.database, world.secret)
    await world.claim(world.b, other, proof="operator")
    for known in (store, other):
        assert (await world.post("/webhooks/courier", events((_order(), known)), world.secret)).status_code == 202
    assert (len(await world.messages(world.a)), len(await world.messages(world.b))) == (1, 1)


async def test_an_app_made_just_now_is_known_within_a_moment(world: World) -> None:
    """Keys are remembered, yet a signature by a key that is newer than a quarter second ago is tried with fresh ones."""
    await world.post("/webhooks/courier", b"{}", world.secret)
    secret = new_id("key")
    world.app, store = await add_app(world.database, secret), new_id("loc")
    await world.claim(world.a, store, proof="operator")
    await asyncio.sleep(0.3)
    assert (await world.post("/webhooks/courier", events((_order(), store)), secret)).status_code == 202


async def test_a_signed_unreadable_app_level_call_is_kept_for_the_operator(world: World) -> None:
    """Without a readable body no tenant is known: the operator gets it, the vendor the answer of a stored call."""
    body = b"{broken " + new_id("evt").encode()
    assert (await world.post("/webhooks/courier", body, world.secret)).status_code == 202
    (kept,) = [row for row in await world.unrouted() if row["provider_app"] == world.app]
    assert "cannot be read" in kept["reason"]


async def test_of_a_mixed_call_what_belongs_to_somebody_is_kept(world: World) -> None:
    """A call with a known and an unknown store is refused, and yet the known store's fact is stored."""
    store, order = new_id("loc"), _order()
    await world.claim(world.a, store, proof="operator")
    answer = await world.post("/webhooks/courier", events((order, store), (_order(), new_id("loc"))), world.secret)
    assert answer.status_code == 422
    assert [message["subject"] for message in await world.messages(world.a)] == [f"order/{order}"]


async def test_a_look_up_that_fails_once_is_repeated(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the vendor still waits, a database that is away for a moment costs a moment and no call."""
    original, failures = world.database.fetchrow, [ConnectionResetError("gone"), OSError("still gone")]

    async def fetchrow(query: str, *args: Any) -> Any:
        if failures:
            raise failures.pop()
        return await original(query, *args)

    monkeypatch.setattr(world.database, "fetchrow", fetchrow)
    assert (await world.post(f"/webhooks/till/{world.a.till}", events((_order(), "s")), TENANT_SECRET)).status_code == 202
    assert not failures


async def test_without_the_database_the_vendor_gets_503_in_time(database: Database) -> None:
    """A call that cannot be committed within the vendor's patience is 503 with Retry-After, never a 2xx."""
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    flusher = Flusher(nowhere, MemoryOwners()).start()
    context = make_context(database, flusher, ack_within=0.6)
    side = await add_side(database)
    try:
        async with client_of(context) as client:
            path, body = f"/webhooks/till/{side.till}", events((_order(), "s"))
            began = asyncio.get_running_loop().time()
            answer = await client.post(path, content=body, headers={"x-signature": sign(body, TENANT_SECRET, PUBLIC + path)})
            assert asyncio.get_running_loop().time() - began < 0.6
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json() == {"refused": "not_stored"}
    finally:
        await flusher.close()
