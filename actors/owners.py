"""The owners seam over Ray: an owner's actor has its host's name. A wake-up is coalesced and never waited for."""

import asyncio
import contextlib
import time
from collections.abc import Collection
from typing import Any

import ray

from hub.extras.answers import EXTRA_SECONDS, no_owner, too_slow

NAMESPACE = "hub"
COALESCE_SECONDS = 0.01
STATE_SECONDS = 3.0
FORGET_SECONDS = 5.0


class RayOwners:
    """Owners as actors named after their connection. Use from one event loop."""

    def __init__(self) -> None:
        self._handles: dict[str, tuple[Any, float]] = {}
        self._pending: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def wake(self, connections: Collection[str]) -> None:
        """Hint that these connections have messages."""
        self._pending.update(connections)
        if self._pending and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        while self._pending:
            pending, self._pending = self._pending, set()
            for connection in pending:
                # An actor that is not there is found by the sweep; so is a call that got lost.
                with contextlib.suppress(Exception):
                    (await self._handle(connection)).wake.remote(connection)
            await asyncio.sleep(COALESCE_SECONDS)

    async def _handle(self, connection: str) -> Any:
        known = self._handles.get(connection)
        if known is not None and time.monotonic() - known[1] < FORGET_SECONDS:
            return known[0]
        handle = await asyncio.to_thread(ray.get_actor, connection, NAMESPACE)
        self._handles[connection] = (handle, time.monotonic())
        return handle

    async def state(self, connection: str) -> dict[str, Any] | None:
        """The owner's live state; None when it does not answer in time."""
        try:
            handle = await self._handle(connection)
            answer = await asyncio.wait_for(_result(handle.state.remote(connection)), STATE_SECONDS)
        except Exception:
            self._handles.pop(connection, None)
            return None
        return dict(answer) if answer is not None else None

    async def extra(self, connection: str, name: str, params: bytes) -> bytes:
        """Have the connection's owner read an extra, waiting a moment longer than the owner itself does."""
        try:
            handle = await self._handle(connection)
            answer: bytes = await asyncio.wait_for(_result(handle.extra.remote(connection, name, params)), EXTRA_SECONDS + 2)
        except TimeoutError:
            self._handles.pop(connection, None)
            return too_slow().encode()
        except Exception:
            self._handles.pop(connection, None)
            return no_owner().encode()
        return answer


async def _result(reference: Any) -> Any:
    return await reference
