"""CPU time of a hub's processes by what they are: the profile of a run under load, and who was its limit."""

import contextlib
import os
from pathlib import Path

import psutil

from cluster.run_file import RunFile

_NAMES = (
    ("adapters._sandbox", "simulators"),
    ("ray::ConnectionActor", "owners"),
    ("ray::Supervisor", "owners"),
    ("ray::ServeReplica:api", "api"),
    ("ray::ServeReplica:live", "live"),
    ("haproxy", "haproxy"),
    ("postgres", "postgresql"),
    ("valkey", "valkey"),
    ("redis", "valkey"),
)
"""What stands in a command line, and the group it belongs to; what nothing fits is Ray's."""
GENERATOR = "generator"


def cpu_by_group(home: Path) -> dict[str, float]:
    """CPU seconds that each group of processes has used so far, ended children included: take the difference of two calls.

    Groups: owners, api, live, postgresql, simulators, haproxy, valkey, generator (this process), ray (all other processes of the
    hub of this home).
    """
    used: dict[str, float] = {GENERATOR: 0.0}
    own = os.getpid()
    for process in hub_processes(home):
        with contextlib.suppress(OSError, psutil.Error):
            times = process.cpu_times()
            if process.pid == own:
                used[GENERATOR] += times.user + times.system
            else:
                group = group_of(process)
                used[group] = used.get(group, 0.0) + sum(times[:4])
    return used


def hub_processes(home: Path) -> list[psutil.Process]:
    """What the hub of this home has started and all that came of it, and this process.

    They are known by their session; PostgreSQL's leave it and are known by birth.
    """
    sessions, found = set(), {os.getpid(): psutil.Process()}
    for child in RunFile(home).read().children.values():
        with contextlib.suppress(OSError, psutil.Error):
            sessions.add(os.getsid(child.pid))
            found |= {each.pid: each for each in psutil.Process(child.pid).children(recursive=True)}
    for process in psutil.process_iter():
        with contextlib.suppress(OSError):
            if os.getsid(process.pid) in sessions:
                found[process.pid] = process
    return list(found.values())


def busy_seconds() -> float:
    """CPU seconds that this machine has been busy for anybody."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0))


def group_of(process: psutil.Process) -> str:
    """The group of a process of the hub's."""
    command = " ".join(process.cmdline()) or process.name()
    return next((group for sign, group in _NAMES if sign in command), "ray")


def cpu_between(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """CPU seconds by group between two looks, the largest first; groups that used next to nothing are left out."""
    used = {group: round(seconds - before.get(group, 0.0), 3) for group, seconds in after.items()}
    return dict(sorted(((group, seconds) for group, seconds in used.items() if seconds >= 0.01), key=lambda each: -each[1]))
