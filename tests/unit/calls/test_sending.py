"""What a request that cannot be sent is, and what one is whose outcome nobody knows."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import ClassVar

import pytest

from hub.calls import StaticCredentials, TooOld, VendorClient
from hub.calls.session import open_session
from hub.clock import monotonic
from hub.contract import OutcomeUnknown, Rejected, Request, StaticKey


async def _send(headers: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, fails: Exception | None = None) -> None:
    async with open_session() as session:
        if fails is not None:

            def fail(*_: object, **__: object) -> None:
                raise fails

            monkeypatch.setattr(session, "_request", fail)
        client = VendorClient(
            slug="x",
            session=session,
            bases={"api": "http://127.0.0.1:9"},
            auth=StaticKey("key", "X-Key", owner="connection"),
            tokens=StaticCredentials({"key": "k"}),
        )
        await client.send(Request("POST", "/orders", "create", headers=dict(headers)), not_after=monotonic() + 5)


async def test_a_header_that_would_smuggle_another_is_refused_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Definite: nothing reached the vendor."""
    for value in ("a\r\nX-Evil: 1", "a\x00b", "a\nb"):
        with pytest.raises(Rejected):
            await _send({"X-Store": value}, monkeypatch)


async def test_an_odd_failure_of_a_write_is_an_unknown_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ValueError may come from the answer as well: whether the write happened is then unknown, never a refusal."""
    with pytest.raises(OutcomeUnknown):
        await _send({}, monkeypatch, ValueError("an answer that cannot be read"))


class _Answer:
    status = 200
    headers: ClassVar[dict[str, str]] = {}

    async def read(self) -> bytes:
        return b"{}"


class _Session:
    """Counts the calls that are under way at once."""

    def __init__(self) -> None:
        self.now = self.most = 0

    @contextlib.asynccontextmanager
    async def request(self, *_: object, **__: object) -> AsyncIterator[_Answer]:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        yield _Answer()
        self.now -= 1


async def test_no_more_calls_are_under_way_than_the_provider_may_have_at_once() -> None:
    """Handlers beyond that wait, and all are served."""
    session = _Session()
    client = VendorClient(
        slug="x",
        session=session,  # type: ignore[arg-type]  # what of it is used
        bases={"api": "http://127.0.0.1:9"},
        auth=StaticKey("key", "X-Key", owner="connection"),
        tokens=StaticCredentials({"key": "k"}),
        gate=asyncio.Semaphore(3),
    )
    answers = await asyncio.gather(*(client.read(Request("GET", "/", "list")) for _ in range(20)))
    assert len(answers) == 20
    assert session.most == 3


async def test_a_write_whose_time_is_over_is_not_written_to_a_socket_that_is_at_hand() -> None:
    """The clock is looked at after a socket was found, new or kept: the vendor hears of none of it."""
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                heard.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with open_session() as session:
        client = VendorClient(
            slug="x",
            session=session,
            bases={"api": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"},
            auth=StaticKey("key", "X-Key", owner="connection"),
            tokens=StaticCredentials({"key": "k"}),
        )
        request = Request("POST", "/orders", "create")
        with pytest.raises(TooOld):
            await client.send(request, not_after=monotonic() - 1)
        await client.send(request, not_after=monotonic() + 30)
        with pytest.raises(TooOld):
            await client.send(request, not_after=monotonic() - 1)
        await client.read(Request("GET", "/orders", "list"))
    server.close()
    assert [each.split()[0] for each in heard] == [b"POST", b"GET"]
