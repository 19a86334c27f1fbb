"""Serve every vendor's sandbox on one port: `/<slug>/...` as the vendor, `/_control...` to steer it."""

import argparse
import asyncio
import contextlib
import gc
import importlib
import json
import math
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from types import ModuleType

from adapters._sandbox.calls import Answer, Call, Route
from adapters._sandbox.control import CONTROL, Control
from adapters._sandbox.http import Asked, Handler, Server
from adapters._sandbox.vendor import Sandbox
from adapters._sandbox.webhooks import Sender

_ADAPTERS = Path(__file__).parent.parent
_GARBAGE = b'{"orders": [{"id": "\xff\xfe'


def _load(folder: Path) -> ModuleType:
    """Load a vendor's sandbox.py as part of a package of its own: importing `adapters.<slug>` would load the adapter too."""
    name = f"simulated_{folder.name}"
    if name not in sys.modules:
        package = ModuleType(name, "One vendor's simulated side.")
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    return importlib.import_module(f"{name}.sandbox")


def discover(seed: str | None = None) -> dict[str, Sandbox]:
    """Make the sandbox of every adapter folder that has one; `seed` makes the ids they issue repeatable."""
    found = {}
    for path in sorted(_ADAPTERS.glob("*/sandbox.py")):
        sandbox: Sandbox = _load(path.parent).SANDBOX(seed)
        found[sandbox.slug] = sandbox
    return found


async def answer_call(sandbox: Sandbox, call: Call) -> tuple[Answer, bool]:
    """Answer a vendor call under the fault switches; the second value says to hang up instead of answering.

    Calls that need no token (asking for one) fail by `error_rate` alone: what befalls tokens is decided where they are used.
    """
    found = sandbox.router.find(call.method, call.path)
    if found is None:
        sandbox.calls["unknown"] += 1
        sandbox.reject(call, "no such operation", 404, injected=False)
        return sandbox.failure("not_found", f"no {call.method} {call.path}"), False
    route, call.params = found
    sandbox.calls[route.operation] += 1
    faults, subject = sandbox.faults, route.subject(call)
    about = (route.operation, subject, faults.ordinal(route.operation, subject))
    if faults.switches.latency_ms and not route.open:
        await asyncio.sleep(faults.switches.latency_ms / 1000)
    if (injected := _injected(sandbox, route, about)) is not None:
        sandbox.reject(call, injected[0], injected[1].status, injected=True)
        return injected[1], False
    answer = sandbox.handle(call, route, subject)
    if answer.status >= 400 or route.open:
        return answer, False
    if faults.hits("timeout_after_effect", *about):
        sandbox.withhold(call, route, subject, "timeout after effect")
        await asyncio.sleep(faults.switches.hold_ms / 1000)
        return answer, True
    if faults.hits("malformed", *about):
        sandbox.withhold(call, route, subject, "malformed answer")
        return Answer(200, _GARBAGE), False
    return answer, False


def _injected(sandbox: Sandbox, route: Route, about: tuple[str, str, int]) -> tuple[str, Answer] | None:
    """The failure the switches want instead of an effect: its reason and answer."""
    if not route.open:
        if wait := sandbox.faults.over_rate():
            limited = sandbox.failure("rate_limited", "too many requests")
            return "rate limit", Answer(limited.status, limited.body, {**limited.headers, "Retry-After": str(math.ceil(wait))})
        if sandbox.faults.hits("revoke", *about):
            return "revoked", sandbox.failure("token_revoked", "the access was revoked")
        if sandbox.faults.hits("expire_tokens", *about):
            return "token expired", sandbox.failure("token_expired", "the access token has expired")
    if sandbox.faults.hits("error_rate", *about):
        return "server error", sandbox.failure("error", "an internal error occurred")
    return None


def handler(sandboxes: dict[str, Sandbox]) -> Handler:
    """What answers a request: the control API, or the vendor that the path's first segment names."""
    control = Control(sandboxes)

    async def answer(asked: Asked) -> Answer | None:
        slug, _, path = asked.path[1:].partition("/")
        if slug == CONTROL:
            return control.answer(asked, path)
        sandbox = sandboxes.get(slug)
        if sandbox is None:
            return Answer(404, {"status": 404, "title": "Not Found", "detail": f"no sandbox at {asked.path}"})
        call = Call(asked.method, f"/{path}", asked.query, asked.headers, asked.body)
        found, hang_up = await answer_call(sandbox, call)
        return None if hang_up else found

    return answer


@contextlib.asynccontextmanager
async def running(
    host: str = "127.0.0.1", port: int = 0, *, webhook_retry_scale: float = 0.05, seed: str | None = None
) -> AsyncIterator[tuple[str, dict[str, Sandbox]]]:
    """Serve fresh sandboxes for as long as the block lasts; yields the root URL and the sandboxes by slug."""
    sandboxes = discover(seed)
    senders = [Sender(sandbox, sandbox.faults, webhook_retry_scale) for sandbox in sandboxes.values()]
    for sandbox, sender in zip(sandboxes.values(), senders, strict=True):
        sandbox.attach(sender)
    server = Server(handler(sandboxes))
    try:
        yield f"http://{host}:{await server.start(host, port)}", sandboxes
    finally:
        for sender in senders:
            await sender.close()
        await server.close()


async def serve(
    host: str,
    port: int,
    *,
    ready: Callable[[int], None] | None = None,
    webhook_retry_scale: float = 0.05,
    seed: str | None = None,
) -> None:
    """Serve the sandboxes until cancelled; `ready` is called with the port once it listens (port 0 takes a free one)."""
    async with running(host, port, webhook_retry_scale=webhook_retry_scale, seed=seed) as (root, _):
        if ready is not None:
            ready(int(root.rpartition(":")[2]))
        await asyncio.Event().wait()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _serve_until_signal(options: argparse.Namespace) -> None:
    def ready(port: int) -> None:
        sys.stdout.write(json.dumps({"ready": True, "port": port}) + "\n")
        sys.stdout.flush()

    task = asyncio.ensure_future(
        serve(options.host, options.port, ready=ready, webhook_retry_scale=options.webhook_retry_scale, seed=options.seed)
    )
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def main(argv: Sequence[str]) -> int:
    """Run the sandboxes from the command line until SIGTERM or SIGINT; prints one JSON line with the port when ready."""
    parser = argparse.ArgumentParser(prog="python -m adapters._sandbox", description="The vendors' simulated side.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9100, help="0 takes a free one")
    parser.add_argument("--webhook-retry-scale", type=float, default=0.05, help="seconds of a vendor's retry schedule times this")
    parser.add_argument("--seed", help="issue the same ids in every run")
    options = parser.parse_args(argv)
    # What vendors keep (orders, payments) is never garbage: looking through all of it again and again took a quarter of the time.
    gc.set_threshold(50_000, 50, 1000)
    try:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            runner.run(_serve_until_signal(options))
    except OSError as error:
        sys.stderr.write(f"cannot listen on {options.host}:{options.port}: {error}\n")
        return 1
    return 0
