"""Where each component of a running hub is, and how it is harmed and let go again."""

import contextlib
import os
import signal
import time
from collections.abc import Callable

import psutil

from cluster.bench.faults.ground import Ground
from cluster.bench.faults.plan import Fault
from cluster.ray_environment import haproxy_folder
from cluster.restaurants import DemoLink
from cluster.run_file import Child

FIND_SECONDS = 30.0


class Absent(LookupError):
    """A component did not turn up: an earlier fault is not over yet."""


def _family(ground: Ground) -> list[psutil.Process]:
    raylet = ground.run.child("raylet")
    if raylet is None:
        return []
    try:
        return psutil.Process(raylet.pid).children(recursive=True)
    except psutil.Error:
        return []


def _titled(title: str) -> Callable[[Ground, DemoLink], list[int]]:
    def find(ground: Ground, link: DemoLink) -> list[int]:
        found = []
        for process in _family(ground):
            with contextlib.suppress(psutil.Error):
                if title in " ".join(process.cmdline()):
                    found.append(process.pid)
        return found[:1]

    return find


def _haproxy(ground: Ground, link: DemoLink) -> list[int]:
    mark = str(haproxy_folder(ground.run.home))
    return [
        process.pid
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "haproxy" and any(mark in part for part in process.info["cmdline"] or ())
    ]


def _child(name: str) -> Callable[[Ground, DemoLink], list[int]]:
    def find(ground: Ground, link: DemoLink) -> list[int]:
        child = ground.run.child(name)
        return [child.pid] if child is not None else []

    return find


def _gcs(ground: Ground, link: DemoLink) -> list[int]:
    found = _child("ray")(ground, link)
    with contextlib.suppress(psutil.Error):
        return [pid for pid in found if psutil.Process(pid).name() == "gcs_server"]  # at first it is the command that starts Ray
    return []


def _postgres(ground: Ground, link: DemoLink) -> list[int]:
    postmaster = _child("postgres")(ground, link)
    children: list[int] = []
    for pid in postmaster:
        with contextlib.suppress(psutil.Error):
            children = [process.pid for process in psutil.Process(pid).children(recursive=True)]
    return [*postmaster, *children]


def _backend(ground: Ground, link: DemoLink) -> list[int]:
    for pid in _child("postgres")(ground, link):
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(pid).children():
                if "hub_actor" in " ".join(process.cmdline()):
                    return [process.pid]
    return []


def _owner(side: str) -> Callable[[Ground, DemoLink], list[int]]:
    def find(ground: Ground, link: DemoLink) -> list[int]:
        with contextlib.suppress(OSError, RuntimeError):
            pid = ground.door(link.tenant)("GET", f"/connections/{getattr(link, side)}/state")["pid"]
            return [pid] if pid else []
        return []

    return find


FINDERS: dict[str, Callable[[Ground, DemoLink], list[int]]] = {
    "pos-owner": _owner("pos_connection"),
    "delivery-owner": _owner("delivery_connection"),
    "api": _titled("ServeReplica:api"),
    "live": _titled("ServeReplica:live"),
    "haproxy": _haproxy,
    "raylet": _child("raylet"),
    "gcs": _gcs,
    "supervisor": _titled("SupervisorActor"),
    "scheduler": _titled("SchedulerActor"),
    "valkey": _child("valkey"),
    "postgres": _postgres,
    "backend": _backend,
}
"""Pids of a component, the first one its head; of the owners those of a link."""


def find(ground: Ground, component: str, link: DemoLink, seconds: float = FIND_SECONDS) -> list[Child]:
    """The component's processes, waiting for them when they are on their way; raises Absent."""
    limit = time.monotonic() + seconds
    while True:
        found = []
        for pid in FINDERS[component](ground, link):
            with contextlib.suppress(psutil.Error):
                found.append(Child(pid, psutil.Process(pid).create_time()))
        if found:
            return found
        if time.monotonic() > limit:
            raise Absent(component)
        time.sleep(0.2)


def kill(ground: Ground, fault: Fault, link: DemoLink) -> list[int]:
    """Kill -9 the component's head (of HAProxy every process: a reload leaves several); returns the pids."""
    victims = find(ground, fault.component, link)
    if fault.component != "haproxy":
        victims = victims[:1]
    for victim in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim.pid, signal.SIGKILL)
    return [victim.pid for victim in victims]


def stop(victims: list[Child]) -> None:
    """SIGSTOP, the head first."""
    for victim in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim.pid, signal.SIGSTOP)


def go_on(victims: list[Child]) -> None:
    """SIGCONT to those of them that are still there."""
    for victim in reversed(victims):
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if abs(psutil.Process(victim.pid).create_time() - victim.started) < 1:
                os.kill(victim.pid, signal.SIGCONT)
