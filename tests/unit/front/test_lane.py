"""What is answered in front, how many at once, and how a drain waits for them."""

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from hub.front import Door, FrontDoor, Lane, open_front
from hub.ids import new_id
from hub.ingress.replies import reply
from hub.observe.metrics import REGISTRY

ORDER = f"/api/v1/orders/{new_id('ord')}"


def scope_of(method: str, path: str, query: bytes = b"", kind: str = "http") -> dict[str, Any]:
    """A call as the HTTP server hands it over."""
    return {"type": kind, "method": method, "path": path, "query_string": query, "headers": [(b"x-correlation-id", b"mine")]}


class Held:
    """An app whose answers wait until they are let go."""

    def __init__(self, name: str = "") -> None:
        self.name, self.go, self.began, self.answered = name, asyncio.Event(), 0, 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.began += 1
        await self.go.wait()
        await reply(send, 200, self.name.encode())
        self.answered += 1


async def no_body() -> dict[str, Any]:
    """Nothing to receive."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def ask(app: Any, scope: dict[str, Any]) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of an answer."""
    got: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        got.append(message)

    await app(scope, no_body, send)
    return got[0]["status"], dict(got[0]["headers"]), got[1]["body"]


@pytest.fixture
def closed() -> Iterator[None]:
    """No front is open before and after."""
    open_front(None)
    yield
    open_front(None)


def answering(name: str) -> Held:
    """An app that answers at once, with its name."""
    app = Held(name)
    app.go.set()
    return app


@pytest.mark.parametrize(
    ("scope", "who"),
    [
        (scope_of("POST", "/webhooks/ubereats"), b"webhooks"),
        (scope_of("GET", "/webhooks/nobody/x"), b"webhooks"),
        (scope_of("GET", ORDER), b"orders"),
        (scope_of("POST", "/webhooks"), b"serve"),
        (scope_of("POST", "/webhooksx/ubereats"), b"serve"),
        (scope_of("POST", "//webhooks/ubereats"), b"serve"),
        (scope_of("POST", "/api/webhooks/ubereats"), b"serve"),
        (scope_of("GET", "/webhooks/x", kind="websocket"), b"serve"),
        (scope_of("HEAD", ORDER), b"serve"),
        (scope_of("POST", ORDER), b"serve"),
        (scope_of("GET", ORDER, b"x=1"), b"serve"),
        (scope_of("GET", f"{ORDER}/"), b"serve"),
        (scope_of("GET", f"{ORDER}/timeline"), b"serve"),
        (scope_of("GET", ORDER.upper()), b"serve"),
        (scope_of("GET", "/api/v1/orders/con_" + ORDER[-26:]), b"serve"),
        (scope_of("GET", "/api/v1/orders"), b"serve"),
        (scope_of("GET", "/-/healthz"), b"serve"),
        (scope_of("GET", "/api/v1/stream", kind="websocket"), b"serve"),
    ],
)
async def test_only_webhooks_and_reads_of_one_order_are_answered_in_front(closed: None, scope: dict[str, Any], who: bytes) -> None:
    """Every other path, method and protocol goes on to Serve, its health check among them."""
    app = FrontDoor(answering("serve"))
    assert (await ask(app, scope))[2] == b"serve"
    open_front(Door(Lane("webhooks", answering("webhooks"), 9), Lane("orders", answering("orders"), 9)))
    assert (await ask(app, scope))[2] == who
    open_front(None)
    assert (await ask(app, scope))[2] == b"serve"


async def test_who_comes_beyond_the_bound_is_told_to_come_again(closed: None) -> None:
    """The third of two gets 503 with Retry-After as a problem document, is counted, and leaves the two alone."""
    app = Held()
    lane = Lane("bound", app, 2)
    running = [asyncio.ensure_future(ask(lane, scope_of("POST", "/webhooks/x"))) for _ in range(2)]
    await asyncio.sleep(0)
    status, headers, body = await ask(lane, scope_of("POST", "/webhooks/x"))
    assert (status, headers[b"retry-after"], headers[b"x-correlation-id"]) == (503, b"2", b"mine")
    assert headers[b"content-type"] == b"application/problem+json"
    assert msgspec.json.decode(body)["status"] == 503
    assert app.began == 2
    assert REGISTRY.get_sample_value("hub_front_inside", {"lane": "bound"}) == 2
    assert REGISTRY.get_sample_value("hub_front_shed_total", {"lane": "bound"}) == 1
    app.go.set()
    assert [(await task)[0] for task in running] == [200, 200]
    assert (await ask(lane, scope_of("POST", "/webhooks/x")))[0] == 200


async def test_a_drain_waits_for_everybody_inside(closed: None) -> None:
    """It ends when the last call is answered, also one that came while it waited, and not before."""
    app = Held()
    lane, other = Lane("drain", app, 9), Lane("drain-other", answering(""), 9)
    door = Door(lane, other)
    first = asyncio.ensure_future(ask(lane, scope_of("POST", "/webhooks/x")))
    await asyncio.sleep(0)
    drain = asyncio.ensure_future(door.drained(30))
    await asyncio.sleep(0)
    late = asyncio.ensure_future(ask(lane, scope_of("POST", "/webhooks/x")))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not drain.done()
    app.go.set()
    assert await drain is True
    assert app.answered == 2
    assert [(await first)[0], (await late)[0]] == [200, 200]


async def test_a_drain_gives_up_after_its_time_and_says_so(closed: None) -> None:
    """What hangs does not hold the replica for ever."""
    app = Held()
    lane = Lane("stuck", app, 9)
    stuck = asyncio.ensure_future(ask(lane, scope_of("POST", "/webhooks/x")))
    await asyncio.sleep(0)
    assert await lane.drained(0.01) is False
    stuck.cancel()
    await asyncio.gather(stuck, return_exceptions=True)
    assert lane.inside == 0
    assert await lane.drained(0) is True


async def test_a_failing_app_leaves_its_place(closed: None) -> None:
    """An error is the server's to answer; the place is free again."""

    async def fails(*_: Any) -> None:
        raise RuntimeError("broken")

    lane = Lane("fails", fails, 1)
    with pytest.raises(RuntimeError):
        await ask(lane, scope_of("POST", "/webhooks/x"))
    assert lane.inside == 0
