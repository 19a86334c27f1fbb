"""Answers leave as one piece, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hub.front.together import Together, TogetherProtocol
from hub.ingress.replies import reply

LARGE = b"x" * 2_000_000


class Transport:
    """Remembers what reached it."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.got.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> str:
        return name


async def test_what_is_written_in_one_step_is_one_piece() -> None:
    """Head and body are joined, in order; the next step is a piece of its own; everything else is the transport's."""
    bare: Any = Transport()
    together = Together(bare, asyncio.get_running_loop())
    together.write(b"head")
    together.write(b"body")
    assert bare.got == []
    await asyncio.sleep(0)
    together.write(b"next")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert bare.got == [b"headbody", b"next"]
    assert together.get_extra_info("peername") == "peername"


async def test_closing_writes_first() -> None:
    """Nothing that was written is lost by a close in the same step, and nothing is written after it."""
    bare: Any = Transport()
    together = Together(bare, asyncio.get_running_loop())
    together.write(b"last")
    together.close()
    assert (bare.got, together.is_closing()) == ([b"last"], True)
    await asyncio.sleep(0)
    assert bare.got == [b"last"]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Small, large, streamed and closing answers, and an echo over WebSocket."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        frame = await receive()
        await send({"type": "websocket.send", "text": frame["text"]})
        await receive()
    elif scope["path"] == "/large":
        await reply(send, 200, LARGE)
    elif scope["path"] == "/streamed":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in (b"one ", b"two ", b"three"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
            await asyncio.sleep(0.01)
        await send({"type": "http.response.body"})
    else:
        await reply(send, 200, b"small", headers={"connection": "close"} if scope["path"] == "/last" else None)


@asynccontextmanager
async def server() -> AsyncIterator[str]:
    """The app behind uvicorn with this protocol."""
    config = uvicorn.Config(app, http=TogetherProtocol, port=0, lifespan="off", access_log=False, log_level="critical")
    serving = uvicorn.Server(config)
    task = asyncio.ensure_future(serving.serve())
    while not serving.started:
        assert not task.done()
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{serving.servers[0].sockets[0].getsockname()[1]}"
    finally:
        serving.should_exit = True
        await task


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_answers_and_upgrades_arrive_whole() -> None:
    """One after the other on one connection: small, large, streamed; then one that closes it, and a WebSocket."""
    async with server() as root, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        for path, body in (("/small", b"small"), ("/large", LARGE), ("/streamed", b"one two three"), ("/last", b"small")) * 2:
            async with session.get(root + path) as answer:
                assert await answer.read() == body
        async with session.ws_connect(root + "/socket") as socket:
            await socket.send_str("hello")
            assert (await socket.receive(timeout=5)).data == "hello"


async def test_a_socket_gets_the_bare_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    """Joining is for answers: a stream's frames go out as they are written, and what waits goes out before them."""
    handed: list[Any] = []
    monkeypatch.setattr(HttpToolsProtocol, "handle_websocket_upgrade", lambda protocol: handed.append(protocol.transport))
    config = uvicorn.Config(app, http=TogetherProtocol, lifespan="off", log_level="critical")
    protocol = TogetherProtocol(config, uvicorn.Server(config).server_state, {}, asyncio.get_running_loop())
    bare: Any = Transport()
    monkeypatch.setattr(bare, "get_extra_info", lambda _: None, raising=False)
    protocol.connection_made(bare)
    assert isinstance(protocol.transport, Together)
    protocol.transport.write(b"before")
    protocol.handle_websocket_upgrade()
    assert handed == [bare]
    assert bare.got == [b"before"]
