"""`hub bench failover`: from kill -9 of an owner's process until the next message of its connection is handled."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

from cluster.bench.crowd import Crowd, crowd_hub, opened
from cluster.bench.machine import machine, percentile
from cluster.start import Running, Say
from hub.ownership.owners import Owners
from hub.settings import Settings

LIMIT_SECONDS = 60.0
APART_SECONDS = 4.0
"""Between kills; closer ones are a crash loop, which waits longer and longer on purpose."""


def bench_failover(settings: Settings, say: Say, *, rounds: int, connections: int, per_actor: int) -> dict[str, Any]:
    """Kill the host of a connection in each round; a message comes right after, as a webhook's would."""
    with crowd_hub(settings, say, connections_per_actor=per_actor) as running:
        found = asyncio.run(_rounds(running, say, rounds, connections))
    return {"machine": machine(), "settings": {"rounds": rounds, "connections": connections, "per_actor": per_actor}, **found}


async def _rounds(running: Running, say: Say, rounds: int, connections: int) -> dict[str, Any]:
    # Not at the top: Ray reads its environment when it is first imported, and the hub sets it.
    from actors.owners import RayOwners

    owners = RayOwners()
    phases: dict[str, list[float]] = {"process_began": [], "taken": [], "handled": []}
    async with opened(running) as crowd:
        members = await crowd.add(connections)
        await crowd.taken(members, LIMIT_SECONDS)
        for number in range(rounds):
            await asyncio.sleep(APART_SECONDS)
            say(f"kill {number + 1} of {rounds}")
            for phase, seconds in (await _kill(crowd, owners, members[number % len(members)], f"kill-{number}")).items():
                phases[phase].append(seconds)
    return {
        "kills": rounds,
        "handled_p50_s": round(percentile(phases["handled"], 0.5), 3),
        "handled_max_s": round(max(phases["handled"]), 3),
        "of_that_p50_s": {phase: round(percentile(values, 0.5), 3) for phase, values in phases.items() if phase != "handled"},
        "rounds_s": [round(value, 3) for value in phases["handled"]],
    }


async def _kill(crowd: Crowd, owners: Owners, connection: str, key: str) -> dict[str, float]:
    """Seconds from the kill until a new process began, had taken the connection, and had handled the message."""
    host, _ = await crowd.lease(connection)
    pid = next(each["pid"] for each in await crowd.figures() if each["host"] == host)
    at, began = time.time(), time.monotonic()
    os.kill(pid, signal.SIGKILL)
    await crowd.put([connection], key)
    owners.wake([connection])
    await crowd.done([connection], LIMIT_SECONDS)
    handled = time.monotonic() - began
    _, taken = await crowd.lease(connection)
    pid = next(each["pid"] for each in await crowd.figures() if each["host"] == host)
    return {"process_began": max(0.0, _began(pid) - at), "taken": taken.timestamp() - at, "handled": handled}


def _began(pid: int) -> float:
    """When a process began, on the wall clock: by its age, since the time of boot that psutil adds is rounded and may be stepped."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
