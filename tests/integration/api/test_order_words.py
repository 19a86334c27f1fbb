"""Words about an order beside accept and reject: preparing, picked up, later, less of it; over HTTP and over the stream."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from hub.api.commands import order_commands
from hub.contract import Lane, MemoryProviders, Provider
from hub.events.stream import COMMANDS, CommandRefused
from hub.identity.principal import Principal
from hub.orders.decisions import Reason
from tests.integration.api.api_world import World, add_order
from tests.integration.api.test_orders import queued

pytestmark = pytest.mark.postgres

BODIES: dict[str, Any] = {"delay": {"minutes": 10}, "amend": {"quantities": {"l1": 1}}}


def limited(world: World, *capabilities: str) -> MemoryProviders:
    """The world's providers, of which the platform has these capabilities only."""
    courier = world.context.providers.all()["courier"]
    facts = msgspec.structs.replace(courier.facts, capabilities=capabilities)
    others = [provider for slug, provider in world.context.providers.all().items() if slug != "courier"]
    return MemoryProviders(*others, Provider(facts, courier.adapter, courier.auth))


async def told(world: World) -> list[tuple[dict, Reason | None]]:
    """What waits for the platform, with its opened words."""
    found = []
    for message in await queued(world, world.a.delivery):
        body = await world.context.bodies.open(world.a.tenant, message["body"], "messages", world.a.delivery, message["dedupe_key"])
        found.append((message, msgspec.json.decode(body, type=Reason) if body else None))
    return found


@pytest.mark.parametrize(("word", "state"), [("preparing", "accepted"), ("picked_up", "ready")])
async def test_the_kitchens_words_go_to_the_platform(world: World, word: str, state: str) -> None:
    """One message in the status lane, however often it is said, an audit row and a line of history."""
    order = await add_order(world.context, world.a, state=state)
    for _ in range(2):
        assert (await world.call(world.a, "POST", f"/orders/{order}/{word}")).status_code == 202
    [(message, said)] = await told(world)
    assert (message["kind"], message["lane"], said) == (f"platform.{word}", Lane.STATUS, None)
    assert world.a.delivery in world.owners.woken
    timeline = (await world.call(world.a, "GET", f"/orders/{order}/timeline")).json()["items"]
    assert timeline[-1]["step"] == f"{word}_requested"
    audit = (await world.call(world.a, "GET", f"/audit-log?subject={order}")).json()["items"]
    assert {row["action"] for row in audit} == {f"order.{word}"}


async def test_a_delay_tells_a_time_each_time(world: World) -> None:
    """A time as given, or minutes from now; the handler reads it as its own body, and a second delay is a second message."""
    order = await add_order(world.context, world.a, state="preparing")
    when = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
    assert (await world.call(world.a, "POST", f"/orders/{order}/delay", {"ready_at": when.isoformat()})).status_code == 202
    assert (await world.call(world.a, "POST", f"/orders/{order}/delay", {"minutes": 10})).status_code == 202
    (first, exact), (_, soon) = await told(world)
    assert (first["kind"], exact) == ("platform.delay", Reason(ready_at=when))
    assert soon is not None
    assert soon.ready_at is not None
    assert timedelta(minutes=9) < soon.ready_at - datetime.now(UTC) <= timedelta(minutes=10)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"minutes": 5, "ready_at": "2199-01-01T00:00:00Z"},
        {"minutes": 0},
        {"minutes": 2000},
        {"ready_at": "2020-01-01T00:00:00Z"},
        {"ready_at": "2199-01-01T00:00:00Z"},
        {"ready_at": "2199-01-01T00:00:00"},
        {"until": 5},
    ],
)
async def test_a_delay_that_is_no_delay_is_422(world: World, body: dict) -> None:
    """Neither or both, in the past, more than a day ahead, without a zone."""
    order = await add_order(world.context, world.a, state="accepted")
    answer = await world.call(world.a, "POST", f"/orders/{order}/delay", body)
    assert (answer.status_code, await queued(world, world.a.delivery)) == (422, [])


async def test_an_amendment_takes_out_of_lines(world: World) -> None:
    """Line ids and new quantities, with words that stay sealed; history names the lines."""
    order = await add_order(world.context, world.a, state="accepted")
    body = {"quantities": {"l1": 1}, "reason": "item_unavailable", "detail": "tell Noura"}
    assert (await world.call(world.a, "POST", f"/orders/{order}/amend", body)).status_code == 202
    [(message, said)] = await told(world)
    assert (message["kind"], said) == ("platform.amend", Reason("item_unavailable", "tell Noura", None, {"l1": 1}))
    timeline = await world.call(world.a, "GET", f"/orders/{order}/timeline")
    assert timeline.json()["items"][-1]["data"]["lines"] == ["l1"]
    assert "Noura" not in timeline.text


@pytest.mark.parametrize(
    ("quantities", "pointer"),
    [
        ({}, "/quantities"),
        ({"l9": 0}, "/quantities/l9"),
        ({"l1": 2}, "/quantities/l1"),
        ({"l1": -1}, "/quantities/l1"),
        ({"l1": 0}, "/quantities"),
    ],
)
async def test_an_amendment_that_does_not_fit_the_order_is_422(world: World, quantities: dict, pointer: str) -> None:
    """No line, no less, or nothing left."""
    order = await add_order(world.context, world.a, state="accepted")
    answer = await world.call(world.a, "POST", f"/orders/{order}/amend", {"quantities": quantities})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert await queued(world, world.a.delivery) == []


@pytest.mark.parametrize("word", ["preparing", "picked_up", "delay", "amend"])
async def test_a_platform_without_the_word_is_409(world: World, word: str) -> None:
    """The problem names the platform and what it lacks, and nothing is queued."""
    others = {"preparing", "picked_up", "delay", "order_amend"} - {"order_amend" if word == "amend" else word}
    object.__setattr__(world.context, "providers", limited(world, *sorted(others)))
    order = await add_order(world.context, world.a, state="accepted")
    answer = await world.call(world.a, "POST", f"/orders/{order}/{word}", BODIES.get(word))
    assert answer.status_code == 409
    assert answer.json()["detail"].startswith("Courier ")
    assert await queued(world, world.a.delivery) == []


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("preparing", "received"), ("preparing", "ready"), ("picked_up", "received"), ("picked_up", "delivered"),
        ("delay", "received"), ("delay", "ready"), ("amend", "received"), ("amend", "picked_up"),
    ],
)  # fmt: skip
async def test_a_word_that_does_not_fit_the_state_is_409(world: World, word: str, state: str) -> None:
    """The problem names the state."""
    order = await add_order(world.context, world.a, state=state)
    answer = await world.call(world.a, "POST", f"/orders/{order}/{word}", BODIES.get(word))
    assert (answer.status_code, answer.json()["state"]) == (409, state)


async def test_the_stream_knows_the_same_words(world: World) -> None:
    """A command does what its route does, and is refused for the same reasons."""
    context, who = world.context, Principal(world.a.tenant, world.a.user, "staff")
    command = order_commands(context.database, context.master, context.bodies, context.owners, context.providers)
    order = await add_order(context, world.a, state="accepted")
    await command(who, "order.preparing", order, {})
    await command(who, "order.delay", order, {"minutes": 10})
    await command(who, "order.amend", order, {"quantities": {"l1": 1}})
    assert [message["kind"] for message, _ in await told(world)] == ["platform.preparing", "platform.delay", "platform.amend"]
    for name, arguments, why in (
        ("order.delay", {}, "ready_at or minutes"),
        ("order.delay", {"minutes": "ten"}, "minutes"),
        ("order.amend", {"quantities": {"l9": 0}}, "no such line"),
    ):
        with pytest.raises(CommandRefused, match=why):
            await command(who, name, order, arguments)
    poor = order_commands(context.database, context.master, context.bodies, context.owners, limited(world))
    with pytest.raises(CommandRefused, match="does not want to know when the food left"):
        await poor(who, "order.picked_up", order, {})
    assert {"order.preparing", "order.picked_up", "order.delay", "order.amend"} <= COMMANDS
