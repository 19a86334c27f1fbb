"""Talk to running sandboxes as a hub would, and catch their webhooks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp
from aiohttp import web

from adapters._sandbox.server import running
from adapters._sandbox.vendor import Sandbox

MAIN = "LSBX7MAIN0001"
UBER_STORE = "7e973b58-40b7-4bd8-b01c-c7d1cbd194f6"
SCOPES = "eats.store eats.store.status.write eats.order eats.store.orders.read"


class Hooks:
    """Receives webhooks; `answers` are the statuses it gives, in turn, then 200."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.url = ""

    async def receive(self, request: web.Request) -> web.Response:
        self.got.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return web.Response(status=self.answers.pop(0) if self.answers else 200)

    async def wait(self, count: int, seconds: float = 5) -> list[tuple[dict[str, str], bytes]]:
        """What came, once there are so many; fails after some seconds."""
        async with asyncio.timeout(seconds):
            while len(self.got) < count:
                await asyncio.sleep(0.01)
        return self.got


class Client:
    """Calls with a bearer token, and control calls."""

    def __init__(self, http: aiohttp.ClientSession, root: str, sandboxes: dict[str, Sandbox], hooks: Hooks) -> None:
        self.http = http
        self.root = root
        self.sandboxes = sandboxes
        self.hooks = hooks
        self.token = ""

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """A vendor call; status and parsed JSON (None for an empty body)."""
        auth = {"Authorization": f"Bearer {self.token}", **headers}
        async with self.http.request(method, self.root + path, json=body, headers=auth) as answer:
            raw = await answer.read()
            return answer.status, await answer.json(content_type=None) if raw else None

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """A control call that has to succeed."""
        async with self.http.request(method, f"{self.root}/_control{path}", json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json(content_type=None)

    async def state(self, slug: str) -> Any:
        """A vendor's state."""
        return await self.control("GET", f"/{slug}/state")

    async def as_square(self) -> Self:
        """Use Square's access token."""
        self.token = (await self.control("GET", ""))["square"]["credentials"]["access_token"]
        return self

    async def as_uber(self) -> Self:
        """Get a token from Uber."""
        app = (await self.control("GET", ""))["ubereats"]["app"]
        form = {**app, "grant_type": "client_credentials", "scope": SCOPES}
        async with self.http.post(f"{self.root}/ubereats/oauth/v2/token", data=form) as answer:
            assert answer.status == 200, await answer.text()
            self.token = (await answer.json())["access_token"]
        return self


@asynccontextmanager
async def sandboxes(*, webhook_retry_scale: float = 0.001, seed: str | None = None) -> AsyncIterator[Client]:
    """Fresh sandboxes on a free port, with a webhook receiver beside them."""
    hooks = Hooks()
    app = web.Application()
    app.router.add_post("/hooks", hooks.receive)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hooks.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks"
    try:
        async with (
            running(webhook_retry_scale=webhook_retry_scale, seed=seed) as (root, made),
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http,
        ):
            yield Client(http, root, made, hooks)
    finally:
        await runner.cleanup()
