"""CPU seconds by process group: the hub's processes by what they are, or those of any server that listens on a local port."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import psutil

from cluster.bench.profile import group_of, hub_processes


class Usage(msgspec.Struct, frozen=True):
    """CPU seconds that processes had used: by group, and by process."""

    by_process: dict[int, tuple[str, float]]

    def since(self, before: "Usage") -> "Spent":
        """What was used since an earlier reading."""
        groups: dict[str, float] = {}
        busiest = 0.0
        for pid, (group, seconds) in self.by_process.items():
            spent = seconds - before.by_process.get(pid, (group, 0.0))[1]
            groups[group] = groups.get(group, 0.0) + spent
            busiest = max(busiest, spent)
        return Spent(groups, busiest)


class Spent(msgspec.Struct, frozen=True):
    """CPU seconds by group, and of the busiest process."""

    groups: dict[str, float]
    busiest: float


Processes = Callable[[], Iterator[tuple[psutil.Process, str]]]


class CpuReader:
    """Reads the CPU time of the processes that a function finds, each with its group."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    def read(self) -> Usage:
        """Read now; processes that end meanwhile are left out."""
        found: dict[int, tuple[str, float]] = {}
        for process, group in self._processes():
            with contextlib.suppress(OSError, psutil.Error):
                times = process.cpu_times()
                found[process.pid] = (group, times.user + times.system)
        return Usage(found)


def hub_cpu(home: Path) -> CpuReader:
    """The hub of a home, by the groups of `cpu_by_group`, without this process."""

    def processes() -> Iterator[tuple[psutil.Process, str]]:
        for process in hub_processes(home):
            if process.pid != os.getpid():
                with contextlib.suppress(OSError, psutil.Error):
                    yield process, group_of(process)

    return CpuReader(processes)


def server_cpu(url: str) -> CpuReader:
    """The server that listens on a local URL's port and its children, and the PostgreSQL that they speak to on this machine."""
    port = urlsplit(url).port or 80

    def processes() -> Iterator[tuple[psutil.Process, str]]:
        sockets = psutil.net_connections("tcp")
        listeners = {c.laddr.port: c.pid for c in sockets if c.status == psutil.CONN_LISTEN and c.laddr and c.pid}
        if port not in listeners:
            return
        server = psutil.Process(listeners[port])
        family = [server, *server.children(recursive=True)]
        for process in family:
            yield process, "server"
        pids = {process.pid for process in family}
        remote = {c.raddr.port for c in sockets if c.pid in pids and c.raddr and c.raddr.port in listeners}
        for there in {listeners[number] for number in remote} - pids:
            behind = psutil.Process(there)
            if behind.name().startswith("postgres"):
                for process in (behind, *behind.children(recursive=True)):
                    yield process, "postgresql"

    return CpuReader(processes)
