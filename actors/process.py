"""What every hub process in the cluster does first: logging, and the hint to screens after a commit."""

import asyncio
import contextlib
import importlib.metadata
from collections.abc import Callable
from typing import Any

from hub.settings import Settings

HINTS_APART_SECONDS = 0.05


def code_version() -> str:
    """The release that actors of this process belong to."""
    return importlib.metadata.version("integration-hub")


def configure(settings: Settings) -> None:
    """Set up JSON logs on standard error."""
    from hub.observe import configure_logging

    configure_logging(settings.log_level)


def after_commit(redis_url: str) -> Callable[[str], None]:
    """A function that hints "this tenant has news"; losing the hint costs a second. Its client is made, and imported, at the first hint."""
    pending: set[str] = set()
    tasks: set[asyncio.Task[None]] = set()
    made: list[Any] = []

    def connect() -> None:
        import redis.asyncio

        made.append(redis.asyncio.Redis.from_url(redis_url, socket_timeout=1, socket_connect_timeout=1))

    async def send() -> None:
        if not made:
            await asyncio.to_thread(connect)
        while pending:
            tenant = pending.pop()
            with contextlib.suppress(Exception):
                await made[0].publish(f"news:{tenant}", b"1")
            if not pending:
                # Whoever commits a hundred times a second tells of it twenty times.
                await asyncio.sleep(HINTS_APART_SECONDS)

    def hint(tenant: str) -> None:
        if not redis_url:
            return
        pending.add(tenant)
        if not tasks:
            task = asyncio.get_running_loop().create_task(send())
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    return hint
