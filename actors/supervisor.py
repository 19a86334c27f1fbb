"""Supervisor and Scheduler as actors: one of each in the cluster, held by leases in the database."""

import asyncio
import contextlib
import os
import time
from collections.abc import Collection
from typing import Any

import ray
import structlog

from actors.connection import ConnectionActor
from actors.owners import NAMESPACE, RayOwners
from actors.process import configure
from hub.database.pool import Database
from hub.ids import new_id
from hub.ownership.host import DRAIN_SECONDS
from hub.ownership.schedule import Schedule, keep_of
from hub.ownership.supervision import Supervisor
from hub.settings import Settings

log = structlog.get_logger("hub.actor")

SUPERVISOR = "supervisor"
SCHEDULER = "scheduler"
GONE_SECONDS = 10.0


class RayHosts:
    """Hosts as detached, named ConnectionActors that Ray starts again for ever."""

    def __init__(self, code_version: str) -> None:
        self._code_version = code_version
        self._known: set[str] = set()
        self._owners = RayOwners()

    async def ensure(self, host: str) -> bool:
        """Create the actor unless its name is taken."""
        if host in self._known:
            return False
        started = await asyncio.to_thread(self._create, host)
        self._known.add(host)
        return started

    def _create(self, host: str) -> bool:
        try:
            ray.get_actor(host, NAMESPACE)
        except ValueError:
            pass
        else:
            return False
        options = {
            "name": host,
            "namespace": NAMESPACE,
            "lifetime": "detached",
            "get_if_exists": True,
            "num_cpus": 0,
            "max_restarts": -1,
            "max_concurrency": 64,
        }
        ray.remote(ConnectionActor).options(**options).remote(host, self._code_version)
        return True

    async def look(self, host: str) -> None:
        """Have the host see what it was given."""
        with contextlib.suppress(Exception):
            handle = await asyncio.to_thread(ray.get_actor, host, NAMESPACE)
            handle.look.remote()

    async def roll(self, host: str) -> None:
        """Drain the actor and end it."""
        with contextlib.suppress(Exception):
            handle = await asyncio.to_thread(ray.get_actor, host, NAMESPACE)
            with contextlib.suppress(Exception):
                await asyncio.wait_for(_wait(handle.drain.remote()), DRAIN_SECONDS + 10)
            await asyncio.to_thread(ray.kill, handle)
            await asyncio.to_thread(_gone, host)
        self._known.discard(host)

    def wake(self, connections: Collection[str]) -> None:
        """Hint owners."""
        self._owners.wake(connections)

    def forget(self) -> None:
        """Look for every actor anew in the next round."""
        self._known.clear()


def _gone(name: str) -> None:
    """Wait until the name of an actor that was killed is free; raises TimeoutError."""
    limit = time.monotonic() + GONE_SECONDS
    while time.monotonic() < limit:
        try:
            ray.get_actor(name, NAMESPACE)
        except ValueError:
            return
        time.sleep(0.02)
    raise TimeoutError(name)


async def _wait(reference: Any) -> Any:
    return await reference


class SupervisorActor:
    """Places owners and sweeps for lost hints."""

    def __init__(self, code_version: str) -> None:
        self._settings = Settings.load()
        configure(self._settings)
        self._code_version = code_version
        self._stopping = False
        self._rounds = 0
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        database = await self._database()
        hosts = RayHosts(self._code_version)
        supervisor = Supervisor(
            database=database,
            hosts=hosts,
            holder=f"{SUPERVISOR}-{new_id('cor')}",
            code_version=self._code_version,
            per_host=self._settings.connections_per_actor,
        )
        while not self._stopping:
            try:
                if await supervisor.round():
                    self._rounds += 1
                    if self._rounds % 15 == 0:
                        hosts.forget()
            except Exception as error:
                log.warning("the supervisor's round failed", error=str(error))
            await asyncio.sleep(1.0)
        with contextlib.suppress(Exception):
            await supervisor.release()

    async def _database(self) -> Database:
        url = self._settings.actor_database_url or self._settings.database_url
        database = Database(url, application="hub supervisor", least=0, most=2)
        return await database.open()

    async def state(self) -> dict[str, Any]:
        """For people."""
        return {"pid": os.getpid(), "rounds": self._rounds, "code_version": self._code_version}

    async def stop(self) -> None:
        """End after this round and release the lease."""
        self._stopping = True
        await asyncio.wait([self._task], timeout=5)


class SchedulerActor:
    """The deadline clock's safety net, retention, partitions."""

    def __init__(self, code_version: str = "") -> None:
        self._settings = Settings.load()
        configure(self._settings)
        self._code_version = code_version
        self._stopping = False
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        url = self._settings.actor_database_url or self._settings.database_url
        database = await Database(url, application="hub scheduler", least=0, most=1).open()
        schedule = Schedule(database, holder=f"{SCHEDULER}-{new_id('cor')}", keep=keep_of(self._settings))
        rounds = 0
        while not self._stopping:
            try:
                if await schedule.hold(15.0):
                    await schedule.clock()
                    await schedule.deadlines()
                    if rounds % 120 == 0:
                        await schedule.retention()
                    rounds += 1
            except Exception as error:
                log.warning("the scheduler's round failed", error=str(error))
            await asyncio.sleep(5.0)

    async def state(self) -> dict[str, Any]:
        """For people."""
        return {"pid": os.getpid(), "code_version": self._code_version}

    async def stop(self) -> None:
        """End after this round."""
        self._stopping = True
        self._task.cancel()


def ensure_supervision(code_version: str) -> None:
    """Create the Supervisor and the Scheduler unless they are there; those of other code are replaced, and roll the hosts then."""
    shared = {
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "get_if_exists": True,
        "num_cpus": 0,
        "max_restarts": -1,
        "max_concurrency": 16,
    }
    for name in (SUPERVISOR, SCHEDULER):
        with contextlib.suppress(Exception):
            _end_old(name, code_version)
    ray.remote(SupervisorActor).options(name=SUPERVISOR, **shared).remote(code_version)
    ray.remote(SchedulerActor).options(name=SCHEDULER, **shared).remote(code_version)


def _end_old(name: str, code_version: str) -> None:
    """End an actor that runs other code; one that does not answer is left alone, since Ray starts it again with what is installed."""
    try:
        handle = ray.get_actor(name, NAMESPACE)
    except ValueError:
        return
    state = ray.get(handle.state.remote(), timeout=5)
    if state.get("code_version") != code_version:
        log.info("replacing", actor=name, old=state.get("code_version"), new=code_version)
        with contextlib.suppress(Exception):
            ray.get(handle.stop.remote(), timeout=10)
        ray.kill(handle)
