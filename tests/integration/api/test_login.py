"""Signing in, staying in, signing out; API keys; roles."""

import pyotp
import pytest

from hub.identity import authenticate, tokens
from hub.identity.authenticate import _known
from hub.tenancy import create_user
from tests.integration.api.api_world import PASSWORD, World, login

pytestmark = pytest.mark.postgres


async def test_a_wrong_password_and_an_unknown_person_get_the_same_answer(world: World) -> None:
    """A login's refusal does not tell whether the e-mail is known."""
    answers = []
    for body in (
        {"email": world.a.email, "password": "wrong password"},
        {"email": "nobody@example.test", "password": "wrong password"},
        {"email": world.a.email, "password": PASSWORD, "tenant": world.b.tenant},
    ):
        answer = await world.client.post("/api/v1/auth/login", json=body)
        assert answer.status_code == 401
        answers.append(answer.json())
    assert answers[0] == answers[1] == answers[2]


async def test_many_failed_logins_are_slowed_down(world: World) -> None:
    """After eight failures even the right password waits, and the answer says how long."""
    for _ in range(8):
        await world.client.post("/api/v1/auth/login", json={"email": world.b.email, "password": "wrong password"})
    answer = await world.client.post("/api/v1/auth/login", json={"email": world.b.email, "password": PASSWORD})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 300


async def test_a_refresh_token_works_once_and_its_reuse_ends_the_session(world: World) -> None:
    """A refresh rotates; the old token coming again revokes the family, the new one included."""
    first = world.a.refresh
    second = (await world.client.post("/api/v1/auth/refresh", json={"refresh_token": first})).json()["refresh_token"]
    assert second != first
    assert (await world.client.post("/api/v1/auth/refresh", json={"refresh_token": first})).status_code == 401
    assert (await world.client.post("/api/v1/auth/refresh", json={"refresh_token": second})).status_code == 401


async def test_logout_kills_the_refresh_token(world: World) -> None:
    """After a logout nothing new is issued for the session."""
    assert (await world.call(world.a, "POST", "/auth/logout")).status_code == 204
    assert (await world.client.post("/api/v1/auth/refresh", json={"refresh_token": world.a.refresh})).status_code == 401


async def test_sessions_are_listed_and_ended(world: World) -> None:
    """A person sees the own sessions and ends one of them."""
    here = world.a.session
    await login(world.client, world.a)
    listed = (await world.call(world.a, "GET", "/auth/sessions")).json()["items"]
    assert {s["id"]: s["current"] for s in listed} == {here: False, world.a.session: True}
    assert (await world.call(world.a, "DELETE", f"/auth/sessions/{here}")).status_code == 204
    assert len((await world.call(world.a, "GET", "/auth/sessions")).json()["items"]) == 1


async def test_the_second_factor_is_wanted_once_it_is_verified(world: World) -> None:
    """An enrolment alone changes nothing; after its first code a login wants codes, until it is removed."""
    made = (await world.call(world.a, "POST", "/auth/totp")).json()
    await login(world.client, world.a)
    wrong = await world.call(world.a, "POST", "/auth/totp/verify", {"enrolment": made["enrolment"], "code": "000000"})
    assert wrong.status_code == 401
    others = await world.call(world.b, "POST", "/auth/totp/verify", {"enrolment": made["enrolment"], "code": "000000"})
    assert others.status_code == 401
    app = pyotp.TOTP(made["secret"])
    body = {"enrolment": made["enrolment"], "code": app.now()}
    assert (await world.call(world.a, "POST", "/auth/totp/verify", body)).status_code == 204
    stored = await world.context.database.fetchval("select totp_sealed from hub.user_find($1)", world.a.user)
    assert made["secret"].encode() not in stored

    person = {"email": world.a.email, "password": PASSWORD}
    bare = await world.client.post("/api/v1/auth/login", json=person)
    assert (bare.status_code, bare.json()["type"]) == (401, "urn:hub:problem:totp-required")
    import time

    later = app.at(int(time.time()) + 30)
    assert (await world.client.post("/api/v1/auth/login", json={**person, "totp": later})).status_code == 200
    assert (await world.client.post("/api/v1/auth/login", json={**person, "totp": later})).status_code == 401
    before = app.at(int(time.time()) - 30)
    assert (await world.call(world.a, "POST", "/auth/totp/remove", {"code": before})).status_code == 204
    assert (await world.client.post("/api/v1/auth/login", json=person)).status_code == 200


async def test_a_person_of_two_tenants_chooses(world: World) -> None:
    """A login takes the named tenant, and the first one without a name."""
    await create_user(world.context.database, world.b.email, tenant=world.a.tenant, role="viewer")
    person = {"email": world.b.email, "password": PASSWORD}
    answer = (await world.client.post("/api/v1/auth/login", json={**person, "tenant": world.a.tenant})).json()
    assert (answer["tenant"], answer["role"]) == (world.a.tenant, "viewer")
    assert (await world.client.post("/api/v1/auth/login", json=person)).json()["tenant"] == min(world.a.tenant, world.b.tenant)


async def test_an_access_token_is_checked_without_a_query(world: World) -> None:
    """Reading an access token needs no database: a closed one does not matter."""

    class Closed:
        master = world.context.master

        @property
        def database(self):
            raise AssertionError("asked")

    assert (await authenticate(Closed(), f"Bearer {world.a.token}")).tenant == world.a.tenant


async def test_an_api_key_works_until_it_is_revoked(world: World) -> None:
    """A key is shown once, stored as its digest, works with its own role, and is refused once revoked."""
    made = (await world.call(world.a, "POST", "/api-keys", {"name": "till", "role": "viewer"})).json()
    assert made["key"].startswith("hub_")
    assert "key" not in str((await world.call(world.a, "GET", "/api-keys")).json()["items"][0]["key"])
    stored = await world.context.database.fetchrow("select * from hub.find_api_key($1)", tokens.digest(made["key"]))
    assert stored is not None
    key = {"Authorization": f"Bearer {made['key']}"}
    assert (await world.client.get("/api/v1/orders", headers=key)).status_code == 200
    assert (await world.client.post(f"/api/v1/orders/{world.a.order}/accept", headers=key)).status_code == 403
    assert (await world.client.get("/api/v1/auth/me", headers=key)).status_code == 403
    assert (await world.call(world.a, "DELETE", f"/api-keys/{made['id']}")).status_code == 204
    _known.clear()
    assert (await world.client.get("/api/v1/orders", headers=key)).status_code == 401


async def test_roles_bound_what_a_person_may(world: World) -> None:
    """A viewer reads, staff decide on orders, managers connect, owners make keys."""
    outcome = {}
    for role in ("viewer", "staff", "manager"):
        email = f"{role}-{world.a.tenant[4:]}@example.test"
        await create_user(world.context.database, email, tenant=world.a.tenant, role=role, password=PASSWORD)
        token = (await world.client.post("/api/v1/auth/login", json={"email": email, "password": PASSWORD})).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}

        async def status(method: str, path: str, body: object = None, headers: dict[str, str] = headers) -> int:
            return (await world.client.request(method, f"/api/v1{path}", json=body, headers=headers)).status_code

        outcome[role] = [
            await status("GET", "/orders"),
            await status("POST", f"/connections/{world.a.pos}/pause"),
            await status("POST", "/locations", {"name": role, "timezone": "UTC", "currency": "USD"}),
            await status("POST", "/api-keys", {"name": role}),
        ]
    assert outcome == {"viewer": [200, 403, 403, 403], "staff": [200, 200, 403, 403], "manager": [200, 200, 201, 403]}
