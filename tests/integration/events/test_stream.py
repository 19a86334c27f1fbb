"""`/api/v1/stream` over real sockets: resume, filters, slow readers, and what ends a socket."""

import asyncio
import time
from typing import Any

import aiohttp
import asyncpg
import pytest

from hub.database.pool import Database
from hub.events import stream
from hub.events.feed import Feeds
from hub.events.frames import LARGEST_FRAME
from hub.events.stream import CommandRefused, Live, LiveContext
from hub.identity.principal import Principal
from hub.ids import new_id
from tests.integration.events.live_world import MASTER, World, add_tenant, served, served_door
from tests.integration.events.raw_socket import raw_socket, until

pytestmark = pytest.mark.postgres


async def test_an_event_reaches_its_tenant_alone(world: World) -> None:
    """A socket hears its tenant's event in the published shape, and nothing of another tenant."""
    async with world.socket(world.a) as one, world.socket(world.b) as other:
        await one.hello()
        await other.hello()
        await world.happen(world.a, "ord_1", location="loc_1")
        frame = await one.frame()
        assert frame["type"] == "event"
        assert frame["cursor"]
        event = frame["event"]
        assert event["id"].startswith("evt_")
        assert {name: event[name] for name in ("type", "tenant", "subject", "location", "data", "correlation_id")} == {
            "type": "order.created", "tenant": world.a, "subject": "ord_1", "location": "loc_1", "data": {"n": 1},
            "correlation_id": "cor_x",
        }  # fmt: skip
        assert await other.silent()


async def test_a_new_socket_hears_what_comes_not_what_was(world: World) -> None:
    """Without a cursor the stream starts now."""
    await world.happen(world.a, "before")
    async with world.socket(world.a) as client:
        await client.hello()
        await world.happen(world.a, "after")
        assert await client.subjects(1) == ["after"]


async def test_a_cut_misses_none_and_repeats_none(world: World, database_url: str) -> None:
    """A client that is cut again and again, while transactions commit out of order, sees each event once, in order of commit."""
    seen: list[str] = []
    async with world.socket(world.a) as client:
        cursor = (await client.hello())["cursor"]

    async def traffic() -> None:
        for number in range(40):
            async with world.unfinished(database_url, world.a, f"early{number}"):
                await world.happen(world.a, f"late{number}")
                await asyncio.sleep(0.02)

    work = asyncio.create_task(traffic())
    async with asyncio.timeout(30):
        while len(seen) < 80:
            async with world.socket(world.a, cursor=cursor) as client:
                assert (await client.hello())["cursor"] == cursor
                for _ in range(min(7, 80 - len(seen))):
                    seen += await client.subjects(1)
                cursor = client.cursor
    await work
    assert len(seen) == len(set(seen)) == 80
    assert seen == [f"{when}{number}" for number in range(40) for when in ("early", "late")]


async def test_a_resume_over_many_pages_joins_the_living_stream(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client far back catches up page by page and goes over to live events without a gap or a repeat."""
    monkeypatch.setattr("hub.events.feed.PAGE", 10)
    async with world.socket(world.a) as first:
        start = (await first.hello())["cursor"]
    for number in range(35):
        await world.happen(world.a, f"s{number}")
    async with world.socket(world.a) as other, world.socket(world.a, cursor=start) as client:
        await other.hello()
        await client.hello()
        work = asyncio.gather(*(world.happen(world.a, "live") for _ in range(5)))
        assert await client.subjects(40) == [*(f"s{number}" for number in range(35)), *["live"] * 5]
        await work
        assert await client.silent(0.4)


async def test_a_cursor_ahead_of_this_replica_repeats_nothing(world: World) -> None:
    """A client that was told more by another replica isn't told it again by one that is behind."""
    slow = Feeds(world.database, look_seconds=0.5)
    async with served(Live(LiveContext(world.database, MASTER, slow))) as url, world.socket(world.a) as fast:
        await fast.hello()
        elsewhere = World(world.database, slow, url, world.a, world.b)
        async with elsewhere.socket(world.a) as holder:
            await holder.hello()
            await asyncio.sleep(0.1)
            await world.happen(world.a, "told elsewhere")
            await fast.subjects(1)
            async with elsewhere.socket(world.a, cursor=fast.cursor) as client:
                await client.hello()
                assert await holder.subjects(1) == ["told elsewhere"]
                await world.happen(world.a, "next")
                assert await client.subjects(1) == ["next"]
    slow.close()


async def test_topics_and_locations_filter(world: World) -> None:
    """After `subscribe`, only those topics come, and of located events only those places."""
    async with world.socket(world.a) as client:
        await client.hello()
        await client.say(type="subscribe", topics=["orders", "alerts"], locations=["loc_1"])
        await client.barrier()
        for kind, where in (("stock.changed", "loc_1"), ("order.created", "loc_2"), ("alert.raised", ""), ("order.updated", "loc_1")):
            await world.happen(world.a, kind, kind, where)
        assert await client.subjects(2) == ["alert.raised", "order.updated"]


async def test_a_resume_starts_with_the_filter_said_at_once(world: World) -> None:
    """A `subscribe` sent right after opening holds for what was missed, too."""
    async with world.socket(world.a) as client:
        cursor = (await client.hello())["cursor"]
    await world.happen(world.a, "no", "stock.changed")
    await world.happen(world.a, "yes", "order.created")
    async with world.socket(world.a, cursor=cursor) as client:
        await client.say(type="subscribe", topics=["orders"])
        await client.hello()
        assert await client.subjects(1) == ["yes"]


def paused(server: Any) -> list[bool]:
    """Which sockets wait for their reader."""
    return [each._paused for each in server.server_state.connections]


async def test_a_client_that_catches_up_slowly_is_not_behind(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missed is read from the table at the client's own pace, however much happens meanwhile."""
    monkeypatch.setattr("hub.events.feed.PAGE", 5)
    feeds = Feeds(world.database, look_seconds=0.05, limit=5).start()
    async with served_door(Live(LiveContext(world.database, MASTER, feeds))) as (url, server):
        there = World(world.database, feeds, url, world.a, world.b)
        async with there.socket(world.a) as holder:
            start = (await holder.hello())["cursor"]
        for number in range(40):
            await world.happen(world.a, f"s{number}", data={"bulk": "x" * 60_000})
        async with raw_socket(url, window=4096) as slow:
            assert await slow.upgrade(f"/api/v1/stream?cursor={start}", there.token(world.a)) == 101
            await until(lambda: any(paused(server)))
            for number in range(40, 60):
                await world.happen(world.a, f"s{number}")
            await asyncio.sleep(0.2)
            frames = await slow.frames(61)
        assert [frame["type"] for frame in frames] == ["hello", *["event"] * 60]
        assert [frame["event"]["subject"] for frame in frames[1:]] == [f"s{number}" for number in range(60)]
    feeds.close()


async def test_a_slow_reader_is_told_that_it_is_behind(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that doesn't read gets `behind` instead of the hub's memory, then what happens after; others lose nothing."""
    monkeypatch.setattr("hub.events.feed.PAGE", 5)
    feeds = Feeds(world.database, look_seconds=0.05, limit=20).start()
    async with served_door(Live(LiveContext(world.database, MASTER, feeds))) as (url, server):
        there = World(world.database, feeds, url, world.a, world.b)
        async with there.socket(world.a, max_msg_size=0) as quick, raw_socket(url, window=4096) as slow:
            assert await slow.upgrade("/api/v1/stream", there.token(world.a)) == 101
            await quick.hello()
            await asyncio.sleep(0.3)
            reading = asyncio.create_task(quick.subjects(60))
            for number in range(60):
                await world.happen(world.a, f"s{number}", data={"bulk": "x" * 60_000})
            assert await reading == [f"s{number}" for number in range(60)]
            await until(lambda: any(paused(server)))
            assert max(each._transport.get_write_buffer_size() for each in server.server_state.connections) < 200_000
            frames = await slow.frames(2)
            while frames[-1]["type"] == "event":
                frames += await slow.frames(1)
            assert frames[-1] == {"type": "behind"}
            told = [frame["event"]["subject"] for frame in frames[1:-1]]
            assert told == [f"s{number}" for number in range(len(told))]
            assert len(told) < 40
            await world.happen(world.a, "after")
            assert (await slow.frames(1))[0]["event"]["subject"] == "after"
    feeds.close()


@pytest.mark.parametrize("token", ["", "nonsense", "hub_" + "x" * 40], ids=["none", "nonsense", "unknown-key"])
async def test_who_does_not_say_who_they_are_is_closed_with_4401(world: World, token: str) -> None:
    """A socket without a valid token is accepted only to be closed with 4401, so that browsers see the code."""
    async with world.socket(world.a, token=token) as client:
        assert await client.closed() == 4401


async def test_browsers_bring_the_token_as_a_subprotocol(world: World) -> None:
    """`bearer.<token>` among the subprotocols authenticates, and the server agrees on a protocol."""
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(world.url, protocols=(f"bearer.{world.token(world.a)}",)) as socket:
            assert (await socket.receive_json())["type"] == "hello"
            assert socket.protocol
        async with session.ws_connect(world.url, protocols=("hub", f"bearer.{world.token(world.a)}")) as socket:
            assert (await socket.receive_json())["type"] == "hello"
            assert socket.protocol == "hub"


@pytest.mark.parametrize("cursor", ["nonsense", "____________________________", "AAAA"])
async def test_a_cursor_that_is_none_of_ours_is_closed_with_4400(world: World, cursor: str) -> None:
    """A cursor that cannot be read ends the socket with a reason instead of starting anywhere."""
    async with world.socket(world.a, cursor=cursor) as client:
        assert await client.closed() == 4400


async def test_what_is_not_understood_is_answered_and_harms_nothing(world: World) -> None:
    """Nonsense, unknown types and unknown topics get an error that names what is known; the socket goes on."""
    async with world.socket(world.a) as client:
        await client.hello()
        for said in ("{nonsense", "[]", '{"type":"dance"}', '{"type":"subscribe","topics":["gossip"]}', '{"type":"subscribe","topics":1}'):
            await client.socket.send_str(said)
            assert (await client.frame())["type"] == "error", said
        await client.socket.send_bytes(b"\xff\xfe")
        assert (await client.frame())["type"] == "error"
        await client.barrier()


async def test_too_much_at_once_ends_the_socket(world: World) -> None:
    """A frame over the limit is 1009, a flood of small ones 1008."""
    async with world.socket(world.a) as client:
        await client.hello()
        await client.socket.send_str("x" * (LARGEST_FRAME + 1))
        assert await client.closed() == 1009
    async with world.socket(world.a) as client:
        await client.hello()
        for _ in range(stream.BURST + 60):
            if client.socket.closed:
                break
            await client.say(type="ping")
        assert await client.closed() == 1008


async def test_commands_are_carried_out_or_refused(world: World) -> None:
    """A command's result carries its id; refusals and faults are told without details of ours; unknown ones name the known."""
    heard: list[tuple[str, str, str, dict[str, Any]]] = []

    async def command(principal: Principal, name: str, order: str, arguments: dict[str, Any]) -> dict[str, Any]:
        heard.append((principal.tenant, name, order, arguments))
        if order == "ord_refused":
            raise CommandRefused("the order is completed")
        if order == "ord_fault":
            raise RuntimeError("secret detail")
        return {"state": "ready"}

    async with served(Live(LiveContext(world.database, MASTER, world.feeds, command))) as url:
        there = World(world.database, world.feeds, url, world.a, world.b)
        async with there.socket(world.a) as client:
            await client.hello()
            await client.say(type="command", id="7", name="order.ready", order="ord_1", arguments={"note": "hot"})
            assert await client.frame() == {"type": "result", "id": "7", "ok": True, "result": {"state": "ready"}}
            await client.say(type="command", id=8, name="order.ready", order="ord_refused")
            assert await client.frame() == {"type": "result", "id": 8, "ok": False, "detail": "the order is completed"}
            await client.say(type="command", id=9, name="order.ready", order="ord_fault")
            answer = await client.frame()
            assert (answer["id"], answer["ok"], "secret" in answer["detail"]) == (9, False, False)
            await client.say(type="command", id=10, name="order.burn", order="ord_1")
            assert "order.ready" in (await client.frame())["detail"]
    assert heard[0] == (world.a, "order.ready", "ord_1", {"note": "hot"})
    assert len(heard) == 3
    async with world.socket(world.a) as client:
        await client.hello()
        await client.say(type="command", id=1, name="order.ready", order="ord_1")
        assert (await client.frame())["ok"] is False


async def test_a_session_that_ends_ends_its_sockets(database: Database) -> None:
    """After logout a socket is closed with 4401 at the next check, while another session's goes on."""
    tenant, user = await add_tenant(database), new_id("usr")
    await database.fetchval("select hub.user_create($1, $2, 'x', false, $3, 'manager')", user, f"{user}@example.test", tenant)
    sessions = [new_id("ses"), new_id("ses")]
    for session in sessions:
        await database.execute("select hub.session_create($1, $2, $3, $4, 3600)", session, user, tenant, session.encode())
    feeds = Feeds(database, look_seconds=0.2).start()
    async with served(Live(LiveContext(database, MASTER, feeds, check_seconds=0.2))) as url:
        there = World(database, feeds, url, tenant, tenant)
        async with (
            there.socket(tenant, token=there.token(tenant, sessions[0])) as ended,
            there.socket(tenant, token=there.token(tenant, sessions[1])) as going_on,
        ):
            await ended.hello()
            await going_on.hello()
            await asyncio.sleep(0.5)
            await ended.barrier()
            await database.execute("select hub.session_revoke($1)", sessions[0])
            assert await ended.closed() == 4401
            await going_on.barrier()
    feeds.close()


async def test_plain_http_is_told_to_upgrade(world: World) -> None:
    """A GET without an upgrade is 426, as a problem document."""
    async with aiohttp.ClientSession() as session, session.get(world.url.replace("ws:", "http:")) as answer:
        assert answer.status == 426
        assert answer.content_type == "application/problem+json"


async def test_readers_end_with_their_last_socket(world: World) -> None:
    """A tenant without sockets costs no queries; the next socket starts anew and misses nothing."""
    async with world.socket(world.a) as client:
        cursor = (await client.hello())["cursor"]
        assert list(world.feeds._feeds) == [world.a]
    async with asyncio.timeout(5):
        while world.feeds._feeds:
            await asyncio.sleep(0.02)
    await world.happen(world.a, "meanwhile")
    async with world.socket(world.a, cursor=cursor) as client:
        await client.hello()
        assert await client.subjects(1) == ["meanwhile"]


async def test_sockets_that_come_and_go_at_once_leave_the_rest_alone(world: World) -> None:
    """Joining and leaving at the same moment never stops or restarts the stream of those who stay."""
    start = time.monotonic()

    async def visit() -> None:
        while time.monotonic() - start < 1.5:
            async with world.socket(world.a) as guest:
                await guest.hello()

    async def stay() -> list[str]:
        async with world.socket(world.a) as client:
            await client.hello()
            ready.set()
            return await client.subjects(30)

    ready = asyncio.Event()
    visits = [asyncio.create_task(visit()) for _ in range(3)]
    staying = asyncio.create_task(stay())
    await ready.wait()
    for number in range(30):
        await world.happen(world.a, f"s{number}")
        await asyncio.sleep(0.02)
    assert await staying == [f"s{number}" for number in range(30)]
    await asyncio.gather(*visits)


async def test_a_resume_from_before_what_is_kept_is_told_behind(world: World, owner_url: str) -> None:
    """A socket whose cursor is older than the oldest event gets `behind`, then what happens next; at the floor all that is kept."""
    cursors = []
    async with world.socket(world.a) as client:
        cursors.append((await client.hello())["cursor"])
        for number in range(3):
            await world.happen(world.a, f"s{number}")
            await client.subjects(1)
            cursors.append(client.cursor)
    owner = await asyncpg.connect(owner_url)
    try:
        await owner.execute("update hub.events set at = at - interval '100 days' where tenant_id = $1 and subject in ('s0', 's1')", world.a)
        assert await owner.fetchval("select gone from hub.retain_events(90, '', 100)") == 2
    finally:
        await owner.close()
    async with world.socket(world.a, cursor=cursors[2]) as client:
        await client.hello()
        await client.say(type="ping")
        assert {(await client.frame())["type"] for _ in range(2)} == {"event", "pong"}
    async with world.socket(world.a, cursor=cursors[0]) as client:
        await client.hello()
        assert (await client.frame())["type"] == "behind"
        await world.happen(world.a, "now")
        assert await client.subjects(1) == ["now"]
