"""A driver for the Ray tests: connects, does one thing, prints one line of JSON."""

import asyncio
import json
import os
import signal
import sys
import time
import urllib.request
from functools import partial
from typing import Any

import aiohttp
import ray
import uvicorn
from ray import serve
from ray.serve.config import HTTPOptions
from ray.util.state import list_actors, list_jobs, list_workers

from hub.events.frames import Inbound, shake_hands, text_frame

PORT = int(os.environ["HUB_PORT"])


class Speaking(asyncio.Protocol):
    """A WebSocket as the hub's own are served: by a protocol of the HTTP server, before any app. It answers once."""

    def __init__(self, name: str) -> None:
        self._name, self._inbound = name, Inbound()
        self._transport: Any = None
        self._path = ""

    def connection_made(self, transport: Any) -> None:
        """Take over from HTTP."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """The upgrade, then a frame."""
        if not self._path:
            self._path = data.split(b" ", 2)[1].decode()
            self._transport.write(shake_hands(data, None)[1])
            return
        for _, said in self._inbound.feed(data):
            self._transport.write(text_frame(f"{self._name} {self._path} {said.decode()}".encode()))


def application(name: str) -> Any:
    """An app that answers with its name and the path, over HTTP and WebSocket."""

    def build() -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
                await send({"type": "http.response.body", "body": f"{name} {scope['path']}".encode()})

        uvicorn.Config = partial(uvicorn.Config, ws=lambda *_, **__: Speaking(name))  # type: ignore[misc, assignment, arg-type]
        return app

    @serve.deployment(name=name, ray_actor_options={"num_cpus": 0}, max_ongoing_requests=100)
    @serve.ingress(build)
    class App:
        pass

    return App.bind()


async def speak() -> str:
    """One message over a WebSocket."""
    async with aiohttp.ClientSession() as session, session.ws_connect(f"http://127.0.0.1:{PORT}/api/v1/stream") as socket:
        await socket.send_str("hi")
        return str((await socket.receive(timeout=10)).data)


def read(path: str) -> str:
    """A body, tried for 20 s."""
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def serve_both() -> dict[str, Any]:
    """Both apps unless they run (a redeployment drains for 30 s), then a request to each."""
    serve.start(http_options=HTTPOptions(host="127.0.0.1", port=PORT))
    running = serve.status().applications
    for name, prefix in (("live", "/api/v1/stream"), ("api", "/")):
        if name not in running:
            serve.run(application(name), name=name, route_prefix=prefix)
    return {"http": [read("/webhooks/x"), read("/api/v1/stream")], "websocket": asyncio.run(speak())}


@ray.remote(num_cpus=0, max_restarts=-1)
class Named:
    """An actor as the hub's are."""

    async def look(self) -> tuple[int, str]:
        """Its pid and what it sees of a secret."""
        return os.getpid(), os.environ.get("HUB_METRICS_TOKEN", "")


def environment() -> dict[str, Any]:
    """What a worker sees, and whether Ray's state shows it."""
    actor = Named.remote()
    _, token = ray.get(actor.look.remote())
    listed = repr([list_actors(detail=True), list_jobs(detail=True), list_workers(detail=True)])
    return {"token": token, "in_state": token in listed}


def restart() -> dict[str, Any]:
    """Seconds from kill -9 to the next answer."""
    Named.options(name="returns", lifetime="detached").remote()
    actor = ray.get_actor("returns", namespace="hub")
    pid, _ = ray.get(actor.look.remote())
    os.kill(pid, signal.SIGKILL)
    started = time.monotonic()
    while True:
        try:
            if ray.get(actor.look.remote(), timeout=10)[0] != pid:
                break
        except ray.exceptions.RayActorError:
            time.sleep(0.05)
    ray.kill(actor)
    return {"seconds": time.monotonic() - started}


if __name__ == "__main__":
    ray.init(address=sys.argv[1], namespace="hub", log_to_driver=False)
    print(json.dumps({"serve": serve_both, "environment": environment, "restart": restart}[sys.argv[2]]()))
