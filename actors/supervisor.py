"""Supervisor and Scheduler as actors: one of each in the cluster, held by leases in the database."""

import asyncio
import contextlib
import os
import time
from collections.abc import Collection
from typing import Any

import ray
import structlog
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.connection import ConnectionActor
from actors.nodes import Node, here, homes, living_nodes, usable
from actors.owners import NAMESPACE, Leases, RayOwners
from actors.process import configure
from actors.replicas import apply_replicas
from hub.clock import monotonic
from hub.database.pool import Database
from hub.ids import new_id
from hub.ownership.balance import emptiest, plan
from hub.ownership.host import DRAIN_SECONDS
from hub.ownership.schedule import Schedule, keep_of
from hub.ownership.supervision import Supervisor
from hub.settings import Settings

log = structlog.get_logger("hub.actor")

SUPERVISOR = "supervisor"
SCHEDULER = "scheduler"
GONE_SECONDS = 10.0
MOVES_AT_ONCE = 4
START_SECONDS = 30.0
REST_SECONDS = 15.0
"""A host that moved stays this long, even where Ray started it on another node than it was asked for."""
SETTLE_SECONDS = 3.0
"""Ray itself needs a moment until it starts actors on a node that has just joined."""


class RayHosts:
    """Hosts as detached, named ConnectionActors that Ray starts again for ever, each on the emptiest node at first."""

    def __init__(self, code_version: str, owners: RayOwners) -> None:
        self._code_version, self._owners = code_version, owners
        self._known: set[str] = set()
        self._moving: set[str] = set()
        self.usable: list[str] = []
        """Nodes that hosts may be started on; Ray chooses where there is one, or none is known."""
        self.homes: dict[str, str] = {}
        """The node of each host."""

    async def ensure(self, host: str) -> bool:
        """Create the actor unless its name is taken."""
        if host in self._known or host in self._moving:
            return False
        started = await asyncio.to_thread(self._create, host, emptiest(self.homes, self.usable))
        self._known.add(host)
        return started

    def _create(self, host: str, node: str | None) -> bool:
        try:
            ray.get_actor(host, NAMESPACE)
        except ValueError:
            pass
        else:
            return False
        options: dict[str, Any] = {
            "name": host,
            "namespace": NAMESPACE,
            "lifetime": "detached",
            "get_if_exists": True,
            "num_cpus": 0,
            "max_restarts": -1,
            "max_concurrency": 64,
        }
        if node is not None and len(self.usable) > 1:
            # Soft, so that Ray starts it elsewhere when the node dies.
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node, soft=True)
            self.homes[host] = node
        ray.remote(ConnectionActor).options(**options).remote(host, self._code_version)
        return True

    async def move(self, host: str, node: str) -> None:
        """Stop a host cleanly, start it on another node, and wait until it is there."""
        self._moving.add(host)  # a round of the Supervisor that misses it meanwhile does not start it elsewhere
        try:
            await self.roll(host)
            self.homes[host] = node
            for _ in range(100):
                if await asyncio.to_thread(self._create, host, node):
                    break
                await asyncio.sleep(0.05)  # the name is free when the old process has gone
            self._known.add(host)
        finally:
            self._moving.discard(host)
        handle = await asyncio.to_thread(ray.get_actor, host, NAMESPACE)
        await asyncio.wait_for(_wait(handle.__ray_ready__.remote()), START_SECONDS)
        self._owners.moved(host)
        log.info("host moved", host=host, node=node)

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


class Moves:
    """Keeps hosts and replicas where nodes are: off those that drain, evenly over the rest, a few hosts at a time."""

    def __init__(self, hosts: RayHosts, settings: Settings) -> None:
        self._hosts, self._gcs = hosts, here()
        self._per_node = {"api": settings.api_replicas, "live": settings.live_replicas}
        self._nodes: list[Node] = []
        self._seen: dict[str, float] = {}
        self._moved: dict[str, float] = {}
        self._applied = 0
        self._moving: asyncio.Task[None] | None = None

    async def look(self) -> None:
        """See which nodes there are. Raises Unreachable when GCS does not answer."""
        self._nodes = await living_nodes(self._gcs)
        first, now = not self._seen, monotonic()
        self._seen = {node.id: self._seen.get(node.id, now - SETTLE_SECONDS * first) for node in self._nodes}
        self._hosts.usable = [node for node in usable(self._nodes) if now - self._seen[node] >= SETTLE_SECONDS]

    def follow(self) -> None:
        """Begin what follows from the nodes, unless it is under way."""
        if (len(self._nodes) > 1 or self._applied > 1) and (self._moving is None or self._moving.done()):
            self._moving = asyncio.get_running_loop().create_task(self._apply())

    async def _apply(self) -> None:
        try:
            count = len(usable(self._nodes))
            if count and count != self._applied:
                await asyncio.to_thread(apply_replicas, self._per_node, count)
                log.info("replicas follow the nodes", nodes=count)
                self._applied = count
            self._hosts.homes = await asyncio.to_thread(homes)
            draining = [node.id for node in self._nodes if node.draining]
            now = monotonic()
            resting = {host for host, at in self._moved.items() if now - at < REST_SECONDS}
            moves = plan(self._hosts.homes, self._hosts.usable, draining, MOVES_AT_ONCE, resting)
            self._moved |= {move.host: now for move in moves}
            await asyncio.gather(*(self._hosts.move(*move) for move in moves))
        except Exception as error:
            log.warning("hosts and replicas could not follow the nodes", error=f"{type(error).__name__}: {error}")


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
        url = self._settings.actor_database_url or self._settings.database_url
        database = await Database(url, application="hub supervisor", least=0, most=2).open()
        hosts = RayHosts(self._code_version, RayOwners(Leases(url)))
        supervisor = Supervisor(
            database=database,
            hosts=hosts,
            holder=f"{SUPERVISOR}-{new_id('cor')}",
            code_version=self._code_version,
            per_host=self._settings.connections_per_actor,
        )
        moves = Moves(hosts, self._settings)
        while not self._stopping:
            try:
                # Cut off from the head it can place nobody: it lets its lease run out, for one that can.
                await moves.look()
                if await supervisor.round():
                    moves.follow()
                    self._rounds += 1
                    if self._rounds % 15 == 0:
                        hosts.forget()
            except Exception as error:
                log.warning("the supervisor's round failed", error=str(error))
            await asyncio.sleep(1.0)
        with contextlib.suppress(Exception):
            await supervisor.release()

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
        _gone(name)
