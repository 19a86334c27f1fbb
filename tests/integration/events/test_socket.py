"""The socket itself: what RFC 6455 asks of a server, the hub's limits, shedding and drain, each over a real connection."""

import asyncio
import struct
from typing import Any

import pytest
import uvicorn

from hub.events import stream
from hub.events.door import RefuseUpgrades, closed_door
from hub.events.feed import Feeds, TenantFeed
from hub.events.frames import LARGEST_FRAME
from hub.events.stream import Live, LiveContext, most_sockets
from hub.identity.principal import Principal
from hub.observe import metrics
from tests.integration.events.live_world import MASTER, World, served, served_door
from tests.integration.events.raw_socket import BINARY, CLOSE, CONT, PING, PONG, TEXT, Raw, masked, raw_socket, until

pytestmark = pytest.mark.postgres
PATH = "/api/v1/stream"
FIN = 0x80
PING_SAID = b'{"type":"ping"}'


async def opened(raw: Raw, world: World) -> None:
    """Upgrade as a tenant and hear the hello."""
    assert await raw.upgrade(PATH, world.token(world.a)) == 101
    assert (await raw.frames(1))[0]["type"] == "hello"


async def test_deflate_is_offered_and_not_agreed_to(world: World) -> None:
    """A browser's offer of compression is passed over, and `keep-alive, Upgrade` is an upgrade; a frame that claims compression is 1002."""
    async with raw_socket(world.url) as raw:
        await opened(raw, world)
        assert b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in raw.head.lower()
        assert b"extensions" not in raw.head.lower()
        raw.say(FIN | 0x40 | TEXT, PING_SAID)
        assert await raw.closed() == 1002


BAD = {
    "unmasked": (struct.pack("!BB", FIN | TEXT, 2) + b"{}", 1002),
    "unknown-opcode": ((FIN | 0x3, b""), 1002),
    "reserved-control": ((FIN | 0xB, b""), 1002),
    "fragmented-ping": ((PING, b""), 1002),
    "long-ping": ((FIN | PING, b"x" * 126), 1002),
    "continues-nothing": ((FIN | CONT, b"x"), 1002),
    "no-utf8": ((FIN | TEXT, b"\xff\xfe"), 1007),
    "close-of-one-byte": ((FIN | CLOSE, b"x"), 1002),
    "close-1005": ((FIN | CLOSE, struct.pack("!H", 1005)), 1002),
    "close-reason-no-utf8": ((FIN | CLOSE, struct.pack("!H", 1000) + b"\xff"), 1007),
    "too-large": ((FIN | TEXT, b"x" * (LARGEST_FRAME + 1)), 1009),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_frames_end_the_socket_with_their_code(world: World, name: str) -> None:
    """What breaks the protocol is answered by its close code, and nothing behind it is heard."""
    bad, code = BAD[name]
    async with raw_socket(world.url) as raw:
        await opened(raw, world)
        if isinstance(bad, bytes):
            raw.writer.write(bad)
        else:
            raw.say(*bad)
        raw.say(FIN | TEXT, PING_SAID)
        assert await raw.closed() == code


async def test_a_huge_frame_is_refused_by_its_length_alone(world: World) -> None:
    """A frame that announces more than is allowed is refused before its bytes come, and so is a flow of small parts."""
    async with raw_socket(world.url) as raw:
        await opened(raw, world)
        raw.say(FIN | BINARY, b"", size=1 << 40)
        assert await raw.closed() == 1009
    async with raw_socket(world.url) as raw:
        await opened(raw, world)
        raw.say(TEXT, b"x" * 6000)
        raw.say(CONT, b"x" * 6000)
        raw.say(CONT, b"x" * 6000)
        assert await raw.closed() == 1009


async def test_fragments_are_put_together_around_control_frames(world: World) -> None:
    """A message in parts, with a ping between them and a character cut in two, is understood; a second start is 1002."""
    async with raw_socket(world.url) as raw:
        await opened(raw, world)
        said = '{"type":"dänce"}'.encode()
        raw.say(TEXT, said[:11])
        raw.say(FIN | PING, b"there?")
        raw.say(CONT, b"")
        raw.say(FIN | CONT, said[11:])
        assert await raw.hear() == (FIN | PONG, b"there?")
        assert "'dänce'" in (await raw.frames(1))[0]["detail"]
        raw.say(TEXT, b"{")
        raw.say(FIN | TEXT, b"}")
        assert await raw.closed() == 1002


async def test_bytes_may_come_one_by_one(world: World) -> None:
    """How the network cuts frames changes nothing."""
    async with raw_socket(world.url) as raw:
        await opened(raw, world)
        await world.happen(world.a, "meanwhile")
        for byte in masked(FIN | TEXT, PING_SAID) + masked(FIN | TEXT, PING_SAID):
            raw.writer.write(bytes([byte]))
            await raw.writer.drain()
            await asyncio.sleep(0.002)
        kinds = sorted(frame["type"] for frame in await raw.frames(3))
        assert kinds == ["event", "pong", "pong"]


async def test_a_close_is_answered_with_its_code(world: World) -> None:
    """A client's close comes back, then the connection ends; one without a code comes back without."""
    for payload in (struct.pack("!H", 1000) + b"bye", struct.pack("!H", 4321), b""):
        async with raw_socket(world.url) as raw:
            await opened(raw, world)
            raw.say(FIN | CLOSE, payload)
            assert await raw.hear() == (FIN | CLOSE, payload[:2])
            assert await raw.reader.read() == b""


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"sec_websocket_version": "12"}, 400), ({"sec_websocket_key": "short"}, 400), ({"sec_websocket_key": ""}, 400)],
    ids=["version", "key", "no-key"],
)
async def test_upgrades_that_are_none_are_refused(world: World, headers: dict[str, str], status: int) -> None:
    """A handshake without a proper key or version is refused with a status."""
    async with raw_socket(world.url) as raw:
        assert await raw.upgrade(PATH, world.token(world.a), **headers) == status


async def test_who_floods_is_ended_however_it_floods(world: World) -> None:
    """Pings, pongs and empty parts count as frames, too."""
    for frames in ([(FIN | PING, b"")], [(FIN | PONG, b"")], [(TEXT, b""), *[(CONT, b"")] * 200]):
        async with raw_socket(world.url) as raw:
            await opened(raw, world)
            for head, payload in (frames * 200)[: stream.BURST + 60]:
                raw.say(head, payload)
            assert await raw.closed() == 1008


async def test_one_command_at_a_time_and_little_waits_for_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a command runs others wait in order; who says more than may wait is ended, the command is not."""
    monkeypatch.setattr("hub.events.socket.PENDING", 16_000)
    gate, done = asyncio.Event(), []

    async def command(principal: Principal, name: str, order: str, arguments: dict[str, Any]) -> dict[str, Any]:
        await gate.wait()
        done.append(order)
        return {}

    async with served(Live(LiveContext(world.database, MASTER, world.feeds, command))) as url:
        async with raw_socket(url) as raw, raw_socket(url) as greedy:
            for each in (raw, greedy):
                await opened(each, world)
            for number in range(3):
                raw.say(FIN | TEXT, b'{"type":"command","id":%d,"name":"order.ready","order":"ord_%d"}' % (number, number))
            raw.say(FIN | TEXT, PING_SAID)
            said = b'{"type":"command","id":9,"name":"order.ready","order":"ord_greedy","arguments":{"a":"%s"}}' % (b"x" * 15_000)
            greedy.writer.write(b"".join(masked(FIN | TEXT, said) for _ in range(8)))
            assert await greedy.closed() == 1008
            gate.set()
            frames = await raw.frames(4)
            assert [frame.get("id", frame["type"]) for frame in frames] == [0, 1, 2, "pong"]
        await until(lambda: len(done) == 4)
        assert sorted(done) == ["ord_0", "ord_1", "ord_2", "ord_greedy"]


async def test_what_is_said_while_a_command_runs_waits_with_the_client(world: World) -> None:
    """Nothing is read while a command runs, so that it costs the hub no memory; then it is answered."""
    gate = asyncio.Event()

    async def command(principal: Principal, name: str, order: str, arguments: dict[str, Any]) -> dict[str, Any]:
        await gate.wait()
        return {}

    live = Live(LiveContext(world.database, MASTER, world.feeds, command))
    async with served_door(live) as (url, server), raw_socket(url) as raw:
        await opened(raw, world)
        raw.say(FIN | TEXT, b'{"type":"command","name":"order.ready","order":"ord_x"}')
        await asyncio.sleep(0.1)
        for _ in range(3):
            raw.say(FIN | TEXT, b'{"type":"ping","name":"%s"}' % (b"x" * 15_000))
            await asyncio.sleep(0.05)
        (there,) = server.server_state.connections
        assert there._pending is None
        gate.set()
        assert [frame["type"] for frame in await raw.frames(4)] == ["result", "pong", "pong", "pong"]


async def test_who_does_not_answer_pings_is_ended(world: World) -> None:
    """A client that is not there any more, or reads nothing, is let go; one that answers stays."""
    feeds = Feeds(world.database, look_seconds=0.05).start()
    live = Live(LiveContext(world.database, MASTER, feeds, ping_seconds=0.3))
    async with (
        served_door(live) as (url, server),
        raw_socket(url) as silent,
        raw_socket(url) as there,
        raw_socket(url, window=4096) as deaf,
    ):
        for each in (silent, there):
            await opened(each, world)
        assert await deaf.upgrade(PATH, world.token(world.a)) == 101
        heard = 0
        for number in range(12):
            await world.happen(world.a, f"s{number}", data={"bulk": "x" * 60_000})
        while heard < 4:
            head, payload = await there.hear()
            if head == FIN | PING:
                heard += 1
                there.say(FIN | PONG, payload)
        assert await silent.closed() == 1011
        await until(lambda: len(server.server_state.connections) == 1)
    feeds.close()


async def test_a_full_house_turns_away_until_somebody_leaves(world: World) -> None:
    """One socket more than the process may hold is 503 with a time to come again; the limit follows the limit of open files."""
    live = Live(LiveContext(world.database, MASTER, world.feeds))
    before = metrics.TURNED_AWAY._value.get()
    async with served(live, most=1) as url:
        async with raw_socket(url) as first, raw_socket(url) as second:
            await opened(first, world)
            assert await second.upgrade(PATH, world.token(world.a)) == 503
            assert b"retry-after: " in second.head
        assert metrics.TURNED_AWAY._value.get() == before + 1
        await asyncio.sleep(0.1)
        async with raw_socket(url) as third:
            await opened(third, world)
    assert 0 < most_sockets() < 1_000_001


async def test_a_server_that_ends_sends_its_clients_elsewhere(world: World) -> None:
    """On shutdown each socket is closed with 1012, and a client that resumes elsewhere has no gap and no repeat."""
    for number in range(3):
        await world.happen(world.a, f"before{number}")
    live = Live(LiveContext(world.database, MASTER, world.feeds))
    async with served_door(live) as (url, server):
        async with World(world.database, world.feeds, url, world.a, world.b).socket(world.a) as client:
            await client.hello()
            await world.happen(world.a, "seen")
            assert await client.subjects(1) == ["seen"]
            server.should_exit = True
            assert await client.closed() == 1012
            await world.happen(world.a, "meanwhile")
        await until(lambda: not server.server_state.connections)
    async with world.socket(world.a, cursor=client.cursor) as client:
        await client.hello()
        await world.happen(world.a, "after")
        assert await client.subjects(2) == ["meanwhile", "after"]


async def test_a_crowd_that_comes_back_together_needs_few_queries(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets that resume from the same place share what one of them read, and each hears everything once."""
    reads = 0
    plain = TenantFeed._read

    async def counted(feed: TenantFeed, after: tuple[int, int]) -> Any:
        nonlocal reads
        reads += 1
        return await plain(feed, after)

    monkeypatch.setattr(TenantFeed, "_read", counted)
    async with world.socket(world.a) as client:
        cursor = (await client.hello())["cursor"]
    for number in range(20):
        await world.happen(world.a, f"s{number}")

    async def resume() -> list[str]:
        async with world.socket(world.a, cursor=cursor) as client:
            await client.hello()
            return await client.subjects(22)

    crowd = [asyncio.create_task(resume()) for _ in range(30)]
    await asyncio.sleep(0.7)
    await world.happen(world.a, "s20")
    await world.happen(world.a, "s21")
    for found in await asyncio.gather(*crowd):
        assert found == [f"s{number}" for number in range(22)]
    assert reads == 1


@pytest.mark.parametrize("closed", [True, False], ids=["closed-door", "middleware"])
async def test_upgrades_are_refused_where_no_stream_is(closed: bool) -> None:
    """In a process without the stream, Serve's fallback proxy above all, an upgrade is 503 with a time to come again; HTTP goes on."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})

    doors: dict[str, Any] = {"ws": closed_door().protocol} if closed else {}
    config = uvicorn.Config(app if closed else RefuseUpgrades(app), host="127.0.0.1", port=0, log_config=None, lifespan="off", **doors)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    url = f"ws://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    async with raw_socket(url) as raw:
        assert await raw.upgrade(PATH) == 503
        assert b"retry-after: " in raw.head.lower()
    async with raw_socket(url) as raw:
        raw.writer.write(b"GET / HTTP/1.1\r\nhost: hub\r\n\r\n")
        assert b" 200 " in await raw.reader.readuntil(b"\r\n")
    server.should_exit = True
    await task
