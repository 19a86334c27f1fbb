"""Orders: found, shown, decided on."""

import asyncpg
import msgspec
import pytest

from hub.contract import Lane
from tests.integration.api.api_world import World, add_dead, add_order

pytestmark = pytest.mark.postgres


async def queued(world: World, connection: str) -> list[dict]:
    """Messages of orders in a mailbox, in order."""
    async with world.context.database.tenant(world.a.tenant) as tx:
        rows = await tx.fetch(
            "select m.kind, m.subject, m.dedupe_key, m.body, m.correlation, d.lane from hub.due d join hub.messages m on m.id = d.id"
            " where d.connection = $1 and m.kind not like 'sync.%' order by d.id",
            connection,
        )
    return [dict(row) for row in rows]


async def ids(world: World, query: str) -> list[str]:
    """Ids of the orders that a query finds."""
    answer = await world.call(world.a, "GET", f"/orders?{query}")
    assert answer.status_code == 200, answer.text
    return [order["id"] for order in answer.json()["items"]]


async def test_an_order_is_shown_with_its_lines_and_customer(world: World) -> None:
    """The answer has what interface.md names, opened with the consumer's key."""
    order = (await world.call(world.a, "GET", f"/orders/{world.a.order}")).json()
    wanted = "id tenant link location state version platform platform_order_id pos pos_order_id placed_at deadline_at attention"
    assert set(wanted.split()) | {"totals", "lines", "not_carried"} <= order.keys()
    assert order["lines"][0]["total"] == {"amount": 3000, "currency": "SAR"}
    assert order["customer"]["name"] == "Noura"
    assert (order["tenant"], order["state"], order["erased"]) == (world.a.tenant, "received", False)
    assert order["placed_at"].endswith("Z")


async def test_an_erased_consumer_leaves_nulls(world: World) -> None:
    """Without the consumer's key the order is there, its totals too, and nothing personal."""
    async with world.context.database.tenant(world.a.tenant) as tx:
        await tx.execute("update hub.consumers set sealed_key = null, erased_at = hub.clock()")
    answer = await world.call(world.a, "GET", f"/orders/{world.a.order}")
    order = answer.json()
    assert "Noura" not in answer.text
    assert (order["erased"], order["customer"], order["lines"], order["note"]) == (True, None, None, None)
    assert order["totals"]["total"] == {"amount": 3000, "currency": "SAR"}
    assert (await world.call(world.a, "GET", "/orders")).json()["items"][0]["customer"] is None


async def test_orders_are_filtered(world: World) -> None:
    """State, provider, location, time and part of a number each narrow the list."""
    ready = await add_order(world.context, world.a, state="ready")
    assert await ids(world, "state=ready") == [ready]
    assert len(await ids(world, "provider=courier")) == len(await ids(world, "provider=till")) == 2
    assert await ids(world, "provider=nobody") == []
    assert len(await ids(world, f"location={world.a.location}")) == 2
    assert await ids(world, f"location={world.b.location}") == []
    assert await ids(world, "to=2020-01-01T00:00:00Z") == []
    assert len(await ids(world, "from=2020-01-01T00:00:00Z")) == 2
    assert len(await ids(world, "text=a-17")) == 2
    assert await ids(world, f"text={ready[-9:]}") == [ready]
    assert await ids(world, "text=%25") == []
    assert await ids(world, "text=Noura") == []


async def test_pages_keep_to_their_bounds(world: World) -> None:
    """With `to` and a state, each page begins behind the last one and none goes over the bound."""
    over = [await add_order(world.context, world.a, state=state) for state in ("completed", "completed", "cancelled")]
    seen, cursor = [], ""
    while cursor is not None:
        page = (await world.call(world.a, "GET", f"/orders?limit=1&to=2100-01-01T00:00:00Z&state=completed{cursor}")).json()
        seen += [order["id"] for order in page["items"]]
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
    assert seen == over[1::-1]
    assert await ids(world, "state=cancelled") == [over[2]]
    first = (await world.call(world.a, "GET", "/orders?limit=2")).json()
    bound = first["items"][0]["placed_at"].replace("+00:00", "Z")
    assert await ids(world, f"to={bound}&cursor={first['next_cursor']}") == (await ids(world, ""))[2:]
    assert await ids(world, f"to=2020-01-01T00:00:00Z&cursor={first['next_cursor']}") == []


async def test_the_timeline_tells_steps_in_order(world: World) -> None:
    """Each event of the order is a step with its time, detail and correlation id."""
    await world.call(world.a, "POST", f"/orders/{world.a.order}/accept", X_Correlation_Id="cor-accept")
    items = (await world.call(world.a, "GET", f"/orders/{world.a.order}/timeline")).json()["items"]
    assert [(i["step"], i["correlation_id"]) for i in items] == [("received", "cor_test"), ("accept_requested", "cor-accept")]
    assert items[0]["detail"] == "by webhook"
    assert all(item["at"].endswith("Z") for item in items)


async def test_accept_sends_a_waiting_order_to_its_pos(world: World) -> None:
    """The POS gets one submit under the generation's key, the decision is set, the owner is woken; twice is once."""
    path = f"/orders/{world.a.order}/accept"
    answer = await world.call(world.a, "POST", path)
    assert answer.status_code == 202, answer.text
    order = answer.json()["order"]
    assert (order["decision"], order["version"], order["state"]) == ("accept", 2, "received")
    assert (await world.call(world.a, "POST", path)).status_code == 202
    [message] = await queued(world, world.a.pos)
    assert (message["kind"], message["subject"]) == ("pos.submit", f"order/{world.a.order}")
    assert message["dedupe_key"] == f"order/{world.a.order}/submit/1"
    assert message["correlation"] == "cor_test"
    assert world.a.pos in world.owners.woken
    audit = (await world.call(world.a, "GET", f"/audit-log?subject={world.a.order}")).json()["items"]
    assert audit[0]["action"] == "order.accept"


async def test_accept_of_an_unknown_outcome_tells_the_platform(world: World) -> None:
    """When a person says that the order is in the POS, the platform is told; the POS is not asked again."""
    order = await add_order(world.context, world.a, decision="unknown")
    assert (await world.call(world.a, "POST", f"/orders/{order}/accept")).status_code == 202
    assert await queued(world, world.a.pos) == []
    assert [m["kind"] for m in await queued(world, world.a.delivery)] == ["platform.accept"]


async def test_accept_comes_past_a_dead_submit(world: World) -> None:
    """A dead submit of the same order would park the new one: it is skipped with the reason, and a new one queued."""
    path = f"/orders/{world.a.order}/accept"
    await world.call(world.a, "POST", path)
    async with world.context.database.tenant(world.a.tenant) as tx:
        row = await tx.fetchrow("delete from hub.due where connection = $1 and subject like 'order/%' returning *", world.a.pos)
        await tx.execute(
            "insert into hub.dead_letters (tenant_id, id, connection, kind, subject, lane, message_at, reason, tries)"
            " values ($1, $2, $3, 'pos.submit', $4, 1, $5, 'rejected', 3)",
            world.a.tenant,
            row["id"],
            world.a.pos,
            row["subject"],
            row["at"],
        )
    assert (await world.call(world.a, "POST", path)).status_code == 202
    assert [m["kind"] for m in await queued(world, world.a.pos)] == ["pos.submit"]
    async with world.context.database.tenant(world.a.tenant) as tx:
        letter = await tx.fetchrow("select resolution, why from hub.dead_letters where id = $1", row["id"])
    assert tuple(letter) == ("skipped", "superseded by accept")


async def test_reject_goes_to_the_platform_at_once_with_its_reason_sealed(world: World) -> None:
    """The reject overtakes in the cancel lane, its reason opens with the day key, and no accept follows."""
    path = f"/orders/{world.a.order}"
    body = {"reason": "item_unavailable", "detail": "no bread for Noura"}
    answer = await world.call(world.a, "POST", f"{path}/reject", body)
    assert (answer.status_code, answer.json()["order"]["decision"]) == (202, "reject")
    assert (await world.call(world.a, "POST", f"{path}/reject")).status_code == 202
    [message] = await queued(world, world.a.delivery)
    assert (message["kind"], message["lane"]) == ("platform.reject", Lane.CANCEL)
    assert b"Noura" not in message["body"]
    opened = await world.context.bodies.open(world.a.tenant, message["body"], "messages", world.a.delivery, message["dedupe_key"])
    assert msgspec.json.decode(opened) == body
    refused = await world.call(world.a, "POST", f"{path}/accept")
    assert (refused.status_code, refused.json()["state"]) == (409, "received")
    timeline = (await world.call(world.a, "GET", f"{path}/timeline")).text
    assert "item_unavailable" in timeline
    assert "Noura" not in timeline


async def test_ready_and_cancel_go_to_the_platform(world: World) -> None:
    """An accepted order is told ready in the status lane, and cancelled in the cancel lane."""
    order = await add_order(world.context, world.a, state="accepted", decision="submit")
    assert (await world.call(world.a, "POST", f"/orders/{order}/ready")).status_code == 202
    assert (await world.call(world.a, "POST", f"/orders/{order}/cancel", {"reason": "other"})).status_code == 202
    messages = await queued(world, world.a.delivery)
    assert [(m["kind"], m["lane"]) for m in messages] == [("platform.ready", Lane.STATUS), ("platform.cancel", Lane.CANCEL)]
    shown = (await world.call(world.a, "GET", f"/orders/{order}")).json()
    assert {m["subject"] for m in messages} == {f"order/{shown['platform_order_id']}"}


async def test_resubmit_is_a_new_generation_with_a_new_key(world: World) -> None:
    """The generation rises, attention is cleared, the old dead submit is skipped, the new key is the generation's."""
    order = await add_order(world.context, world.a, decision="unknown")
    dead = await add_dead(world.context, world.a, connection=world.a.pos, kind="pos.submit", subject=f"order/{order}")
    async with world.context.database.tenant(world.a.tenant) as tx:
        await tx.execute('update hub.orders set attention = \'{"reason":"outcome_unknown"}\' where id = $1', order)
    shown = (await world.call(world.a, "POST", f"/orders/{order}/resubmit")).json()["order"]
    assert (shown["generation"], shown["attention"], shown["decision"]) == (2, None, "submit")
    [message] = await queued(world, world.a.pos)
    assert message["dedupe_key"] == f"order/{order}/submit/2"
    async with world.context.database.tenant(world.a.tenant) as tx:
        assert await tx.fetchval("select resolution from hub.dead_letters where id = $1", dead) == "skipped"


@pytest.mark.parametrize(
    ("state", "action"),
    [
        ("accepted", "accept"),
        ("accepted", "reject"),
        ("received", "ready"),
        ("received", "cancel"),
        ("delivered", "cancel"),
        ("cancelled", "ready"),
        ("rejected", "accept"),
        ("completed", "resubmit"),
        ("failed", "resubmit"),
    ],
)
async def test_an_action_that_does_not_fit_the_state_is_409(world: World, state: str, action: str) -> None:
    """The problem names the state, and nothing is queued."""
    order = await add_order(world.context, world.a, state=state)
    answer = await world.call(world.a, "POST", f"/orders/{order}/{action}")
    assert answer.status_code == 409
    assert answer.json()["state"] == state
    assert state in answer.json()["detail"]
    assert await queued(world, world.a.pos) == await queued(world, world.a.delivery) == []


async def test_an_order_in_the_pos_is_not_resubmitted(world: World) -> None:
    """A second one there is what the hub is for preventing."""
    async with world.context.database.tenant(world.a.tenant) as tx:
        await tx.execute("update hub.orders set pos_order_id = 'P1' where id = $1", world.a.order)
    answer = await world.call(world.a, "POST", f"/orders/{world.a.order}/resubmit")
    assert (answer.status_code, "P1" in answer.json()["detail"]) == (409, True)


async def test_no_personal_data_lies_open_in_the_tables(world: World, owner_url: str) -> None:
    """After all kinds of actions no row of orders, messages, events, audit or answers holds the customer's name."""
    await world.call(world.a, "POST", f"/orders/{world.a.order}/reject", {"detail": "Noura"}, Idempotency_Key="pii")
    owner = await asyncpg.connect(owner_url)
    try:
        for table in ("orders", "messages", "events", "audit_log", "idempotency_keys", "consumers", "alerts"):
            found = await owner.fetchval(f"select count(*) from hub.{table} t where t::text like '%Noura%'")
            bytes_too = await owner.fetchval(f"select count(*) from hub.{table} t where t::text like '%4e6f757261%'")
            assert (found, bytes_too) == (0, 0), table
    finally:
        await owner.close()
