"""The simulated vendors' own server and client, on sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from adapters._sandbox.calls import Answer
from adapters._sandbox.http import BODY_LIMIT, Asked, Server
from adapters._sandbox.http_client import Client, NoAnswer


@contextlib.asynccontextmanager
async def _server() -> AsyncIterator[tuple[str, list[Asked]]]:
    asked: list[Asked] = []

    async def answer(request: Asked) -> Answer | None:
        asked.append(request)
        if request.path == "/gone":
            return None
        if request.path == "/slow":
            await asyncio.sleep(0.05)
        return Answer(204) if request.path == "/empty" else Answer(200, {"path": request.path}, {"X-Said": "yes"})

    server = Server(answer)
    port = await server.start("127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{port}", asked
    finally:
        await server.close()


async def _say(place: str, text: bytes, answers: int) -> bytes:
    host, _, port = place.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(text)
    got = b""
    async with asyncio.timeout(5):
        while got.count(b"HTTP/1.1 ") < answers or not got.endswith(b"}"):
            more = await reader.read(65536)
            if not more:
                break
            got += more
    writer.close()
    return got


async def test_requests_of_one_connection_are_answered_in_their_order() -> None:
    """Though the first takes longer, and all came in one piece."""
    async with _server() as (place, asked):
        text = b"".join(b"GET /%b?a=1&b= HTTP/1.1\r\nHost: h\r\n\r\n" % path for path in (b"slow", b"caf%C3%A9", b"last"))
        got = await _say(place, text, 3)
    assert [request.path for request in asked] == ["/slow", "/café", "/last"]
    assert asked[0].query == {"a": "1", "b": ""}
    assert got.index(b"/slow") < got.index("/café".encode()) < got.index(b"/last")


async def test_a_chunked_body_is_whole_and_a_huge_one_is_refused() -> None:
    """413 before anything is made of it."""
    async with _server() as (place, asked):
        await _say(place, b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 1)
        got = await _say(place, b"POST /x HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (BODY_LIMIT + 1) + b"x" * (BODY_LIMIT + 1), 1)
    assert [request.body for request in asked] == [b"abcde"]
    assert got.startswith(b"HTTP/1.1 413 ")


async def test_what_is_not_http_is_refused() -> None:
    """And nobody is asked."""
    async with _server() as (place, asked):
        assert (await _say(place, b"nonsense\r\n\r\n", 1)).startswith(b"HTTP/1.1 400 ")
    assert asked == []


async def test_the_client_sends_once_over_a_kept_connection() -> None:
    """One that ends without an answer is a failure: whether to send again is the vendor's schedule to say."""
    async with _server() as (place, asked):
        client = Client()
        first = await client.send("POST", f"http://{place}/one", {"X-A": "b"}, b"{}", seconds=5)
        empty = await client.send("POST", f"http://{place}/empty", {}, b"", seconds=5)
        with pytest.raises(NoAnswer):
            await client.send("POST", f"http://{place}/gone", {}, b"", seconds=5)
        client.close()
    assert (first.status, first.body, empty.status) == (200, b'{"path":"/one"}', 204)
    assert asked[0].headers["x-a"] == "b"
    assert [request.path for request in asked] == ["/one", "/empty", "/gone"]
    with pytest.raises(ConnectionRefusedError):
        await client.send("POST", f"http://{place}/one", {}, b"{}", seconds=5)
    with pytest.raises(ValueError, match="not an http address"):
        await client.send("POST", "file:///etc", {}, b"", seconds=5)
