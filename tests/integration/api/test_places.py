"""Locations, links, mappings, store claims, alerts, and what operators make."""

import pytest

from tests.integration.api.api_world import World

pytestmark = pytest.mark.postgres


def link(world: World, **change: object) -> dict:
    """A link that fits, but for the change."""
    return {
        "location": world.a.location,
        "pos": {"connection": world.a.pos, "location_ref": "L2"},
        "delivery": {"connection": world.a.delivery, "store_ref": "second"},
        **change,
    }


async def test_a_location_is_made_renamed_and_listed(world: World) -> None:
    """What was written is read back; the currency stays."""
    made = (await world.call(world.a, "POST", "/locations", {"name": "عليا", "timezone": "Asia/Riyadh", "currency": "SAR"})).json()
    path = f"/locations/{made['id']}"
    changed = await world.call(world.a, "PATCH", path, {"name": "Olaya"})
    assert (changed.json()["name"], changed.json()["timezone"]) == ("Olaya", "Asia/Riyadh")
    assert (await world.call(world.a, "GET", path)).json() == changed.json()
    assert (await world.call(world.a, "PATCH", path, {"currency": "USD"})).status_code == 422
    assert made["id"] in [x["id"] for x in (await world.call(world.a, "GET", "/locations")).json()["items"]]


async def test_a_link_joins_a_pos_and_a_platform(world: World) -> None:
    """A link is made with its policies, queues a read of the POS's menu, is changed and ended."""
    answer = await world.call(world.a, "POST", "/links", link(world, unmapped="hold", at_deadline="accept"))
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["accept"], made["unmapped"], made["at_deadline"]) == ("auto", "hold", "accept")
    assert made["pos"] == {"connection": world.a.pos, "location_ref": "L2"}
    async with world.context.database.tenant(world.a.tenant) as tx:
        query = "select count(*) from hub.facts where connection = $1 and dedupe_key = $2"
        assert await tx.fetchval(query, world.a.pos, f"sync/menu/{made['id']}") == 1
    changed = await world.call(world.a, "PATCH", f"/links/{made['id']}", {"accept": "manual"})
    assert (changed.json()["accept"], changed.json()["unmapped"]) == ("manual", "hold")
    assert (await world.call(world.a, "POST", "/links", link(world))).status_code == 409
    assert (await world.call(world.a, "DELETE", f"/links/{made['id']}")).status_code == 204
    assert (await world.call(world.a, "GET", f"/links/{made['id']}")).status_code == 404
    assert (await world.call(world.a, "POST", "/links", link(world))).status_code == 201


async def test_a_link_between_the_wrong_sides_is_422(world: World) -> None:
    """A POS is no platform and a platform no POS."""
    swapped = link(
        world,
        pos={"connection": world.a.delivery, "location_ref": "L"},
        delivery={"connection": world.a.pos, "store_ref": ""},
    )
    errors = (await world.call(world.a, "POST", "/links", swapped)).json()["errors"]
    assert [e["pointer"] for e in errors] == ["/pos/connection", "/delivery/connection", "/delivery/store_ref"]


async def test_a_pos_of_another_currency_is_not_linked(world: World) -> None:
    """The menu that was read says the POS's currency; the location's must be the same."""
    async with world.context.database.tenant(world.a.tenant) as tx:
        await tx.execute(
            "insert into hub.menu_versions (tenant_id, connection, location_ref, number, digest, body) values ($1, $2, 'L2', 1, 'x', $3)",
            world.a.tenant,
            world.a.pos,
            {"currency": "KWD"},
        )
    answer = await world.call(world.a, "POST", "/links", link(world))
    assert answer.status_code == 422
    assert "KWD" in answer.json()["errors"][0]["detail"]


async def test_mappings_are_set_changed_and_taken_away(world: World) -> None:
    """A channel's key has one meaning per link, whatever signs are in it."""
    key = "burger/½ & more"
    for product in ("P1", "P2"):
        body = {"link": world.a.link, "channel_key": key, "pos_product": product}
        assert (await world.call(world.a, "POST", "/mappings", body)).status_code == 200
    listed = (await world.call(world.a, "GET", f"/mappings?link={world.a.link}")).json()["items"]
    assert listed == [{"link": world.a.link, "channel_key": key, "pos_product": "P2"}]
    from urllib.parse import quote

    path = f"/mappings?link={world.a.link}&channel_key={quote(key, safe='')}"
    assert (await world.call(world.a, "DELETE", path)).status_code == 204
    assert (await world.call(world.a, "DELETE", path)).status_code == 404


async def test_a_claim_routes_after_the_operator_approved_it(world: World) -> None:
    """A claim proves nothing by itself; an approval routes the store and tells the tenant."""
    app = (await world.call(world.a, "GET", f"/connections/{world.a.delivery}")).json()["provider_app"]
    body = {"connection": world.a.delivery, "store_ref": f"s-{world.a.tenant}"}
    claim = (await world.call(world.a, "POST", "/store-claims", body)).json()
    assert (claim["proof"], claim["proven_at"]) == ("", None)
    assert (await world.call(world.a, "POST", "/store-claims", body)).status_code == 409
    route = "select tenant_id from hub.route_ingress($1, $2)"
    assert await world.context.database.fetchval(route, app, body["store_ref"]) is None
    approved = await world.call(world.operator, "POST", f"/store-claims/{claim['id']}/approve", Idempotency_Key="approve")
    assert (approved.status_code, approved.json()["proof"]) == (200, "operator")
    assert await world.context.database.fetchval(route, app, body["store_ref"]) == world.a.tenant
    again = await world.call(world.operator, "POST", f"/store-claims/{claim['id']}/approve", Idempotency_Key="approve")
    assert again.json() == approved.json()


async def test_a_second_claim_alerts_and_never_reroutes(world: World) -> None:
    """Another tenant's claim looks like any other to it, is alerted to the operator, and cannot be approved."""
    app = (await world.call(world.a, "GET", f"/connections/{world.a.delivery}")).json()["provider_app"]
    store = f"s-{world.a.tenant}"
    first = (await world.call(world.a, "POST", "/store-claims", {"connection": world.a.delivery, "store_ref": store})).json()
    await world.call(world.operator, "POST", f"/store-claims/{first['id']}/approve")
    second = await world.call(world.b, "POST", "/store-claims", {"connection": world.b.delivery, "store_ref": store})
    assert (second.status_code, second.json()["proven_at"]) == (201, None)
    refused = await world.call(world.operator, "POST", f"/store-claims/{second.json()['id']}/approve")
    assert refused.status_code == 409
    alerts = await world.context.database.fetch("select kind, detail, count from hub.operator_alerts_open()")
    [alert] = [a for a in alerts if store in a["detail"]]
    assert (alert["kind"], alert["count"]) == ("store.claimed_twice", 2)
    assert await world.context.database.fetchval("select tenant_id from hub.route_ingress($1, $2)", app, store) == world.a.tenant


async def test_an_operator_approves_another_tenants_claim(world: World) -> None:
    """The approval leaves its event with the claim's tenant, and the answer is kept with the operator's."""
    answer = await world.call(world.operator, "POST", f"/store-claims/{world.b.claim}/approve", Idempotency_Key="b")
    assert (answer.status_code, answer.json()["tenant"]) == (200, world.b.tenant)
    async with world.context.database.tenant(world.b.tenant) as tx:
        query = "select count(*) from hub.events where type = 'store.changed' and data ->> 'change' = 'proven'"
        assert await tx.fetchval(query) == 1
    everybody = (await world.call(world.operator, "GET", "/store-claims?scope=all&limit=200")).json()["items"]
    assert {world.a.claim, world.b.claim} <= {claim["id"] for claim in everybody}


async def test_a_connection_without_an_app_has_nothing_to_claim(world: World) -> None:
    """A POS is called by its own address: a claim there is refused."""
    answer = await world.call(world.a, "POST", "/store-claims", {"connection": world.a.pos, "store_ref": "s"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/connection")


async def test_alerts_are_listed_and_acknowledged(world: World) -> None:
    """An acknowledged alert stays open and says since when somebody looks after it."""
    [alert] = (await world.call(world.a, "GET", "/alerts")).json()["items"]
    assert (alert["id"], alert["acknowledged_at"]) == (world.a.alert, None)
    answer = await world.call(world.a, "POST", f"/alerts/{world.a.alert}/acknowledge")
    assert answer.json()["acknowledged_at"].endswith("Z")
    assert (await world.call(world.a, "GET", "/alerts?state=cleared")).json()["items"] == []
    assert len((await world.call(world.a, "GET", "/alerts?state=all")).json()["items"]) == 1


async def test_an_operator_makes_tenants_people_and_apps(world: World) -> None:
    """A new tenant's owner can sign in with the generated password; an app's secret is never shown."""
    tenant = (await world.call(world.operator, "POST", "/tenants", {"name": "Third"})).json()
    email = f"new-{tenant['id'][4:]}@Example.Test"
    made = (await world.call(world.operator, "POST", "/users", {"email": email, "role": "owner", "tenant": tenant["id"]})).json()
    person = {"email": email, "password": made["password"]}
    assert (await world.client.post("/api/v1/auth/login", json=person)).json()["tenant"] == tenant["id"]
    body = {"provider": "courier", "environment": "production", "name": tenant["id"], "credentials": {"client_secret": "s3cret"}}
    app = await world.call(world.operator, "POST", "/provider-apps", body)
    assert app.status_code == 201
    assert "s3cret" not in app.text
    assert "s3cret" not in (await world.call(world.operator, "GET", "/provider-apps?limit=200")).text
    assert (await world.call(world.operator, "POST", "/provider-apps", body)).status_code == 409
    wrong = await world.call(world.operator, "POST", "/provider-apps", {**body, "name": "x", "credentials": {"secret": "x"}})
    assert {e["pointer"] for e in wrong.json()["errors"]} == {"/credentials/secret", "/credentials/client_secret"}


async def test_a_known_person_keeps_the_password(world: World) -> None:
    """Making somebody a member again changes no password, and a password in that call is refused."""
    body = {"email": world.b.email, "role": "viewer", "tenant": world.a.tenant}
    taken = await world.call(world.operator, "POST", "/users", {**body, "password": "a new password"})
    assert taken.status_code == 409
    joined = await world.call(world.operator, "POST", "/users", body)
    assert (joined.status_code, joined.json()["password"], joined.json()["id"]) == (201, None, world.b.user)
    members = (await world.call(world.a, "GET", "/users")).json()["items"]
    assert {m["email"]: m["role"] for m in members}[world.b.email] == "viewer"


async def test_providers_are_described(world: World) -> None:
    """A provider's page has its credential form; an unknown one is not found."""
    listed = (await world.call(world.a, "GET", "/providers")).json()["items"]
    assert [(p["slug"], p["kind"]) for p in listed] == [("till", "pos"), ("courier", "delivery")]
    till = (await world.call(world.a, "GET", "/providers/till")).json()
    assert till["credentials"]["access_token"]["secret"] is True
    assert (await world.call(world.a, "GET", "/providers/nobody")).status_code == 404
