"""ConnectionActor: a thin Ray shell round `hub.ownership.Host`, named after its connection so that the dashboard shows it."""

import asyncio
import gc
import os
from typing import Any

import ray
import structlog

from actors.owners import Leases, RayOwners
from actors.process import after_commit, configure
from hub.calls import RedisLimits
from hub.contract import InstalledProviders
from hub.ownership.host import DRAIN_SECONDS, Host
from hub.ownership.workplace import Policies
from hub.settings import Settings

log = structlog.get_logger("hub.actor")


class ConnectionActor:
    """Hosts one connection, or hundreds. Everything it needs comes from its environment, nothing secret from Ray."""

    def __init__(self, name: str, code_version: str) -> None:
        settings = Settings.load()
        configure(settings)
        database_url = settings.actor_database_url or settings.database_url
        owners = RayOwners(Leases(database_url))
        self._code_version = code_version
        self._host = Host(
            name=name,
            database_url=database_url,
            master=settings.open_master_keys(),
            providers=InstalledProviders(),
            policies=Policies(
                reconcile_seconds=settings.reconcile_seconds,
                deadline_margin_seconds=settings.deadline_margin_seconds,
                sandbox_url=settings.sandbox_url,
                public_url=settings.registered_url,
            ),
            wake_others=owners.wake,
            on_commit=after_commit(settings.redis_url),
            code_version=code_version,
            shared=RedisLimits(settings.redis_url) if settings.redis_url else None,
            passive_after=settings.passive_after_seconds,
        )
        # What is loaded by now stays: looking through it again and again was a twentieth of an owner's work.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 50)
        self._task = asyncio.get_running_loop().create_task(self._run(), name=name)

    async def _run(self) -> None:
        try:
            await self._host.run()
        except Exception:
            # Ray starts a new process in this one's place, which reads everything from the database.
            log.exception("the host failed")
            os._exit(1)
        if self._host.outlived:
            os._exit(1)

    async def wake(self, *connections: str) -> None:
        """Have the connections' owners look at their mailboxes."""
        self._host.wake(*connections)

    async def look(self) -> None:
        """Have the host see what it was given."""
        self._host.look()

    async def state(self, connection: str) -> dict[str, Any] | None:
        """Live state of the connection's owner, with the node it runs on."""
        state = self._host.state(connection)
        if state is not None:
            state["node"] = ray.get_runtime_context().get_node_id()
        return state

    async def extra(self, connection: str, name: str, params: bytes) -> bytes:
        """Have the connection's owner read an extra; reads take no secrets."""
        return await self._host.extra(connection, name, params)

    async def figures(self) -> dict[str, Any]:
        """How many connections are here, how many of them are active, how many messages are claimed; with pid and release."""
        return {"pid": os.getpid(), "code_version": self._code_version, **self._host.figures()}

    async def drain(self, within: float = DRAIN_SECONDS) -> int:
        """Take nothing new, finish what runs within so many seconds, let go of the rest without suspicion.

        Returns how many messages were let go of unfinished. The process does nothing more after that: end it.
        """
        return await self._host.drain(within)
