"""`hub bench actors`: what connections cost that have nothing to do, packed and one a process, and how fast they come and go."""

import asyncio
import time
from typing import Any

import psutil

from cluster.bench.cpu import CpuReader, hub_cpu
from cluster.bench.crowd import Crowd, crowd_hub, opened
from cluster.bench.machine import machine, percentile, usage
from cluster.start import Running, Say
from hub.settings import Settings

PLACE_SECONDS = 120.0
SETTLE_SECONDS = 3.0
ONE_BY_ONE = 20
"""So many passive connections are woken one after the other, each alone."""


def bench_actors(
    settings: Settings, say: Say, *, connections: int, per_actor: int, singles: int, seconds: float, passive_after: float
) -> dict[str, Any]:
    """Make `connections` at `per_actor` a process, then `singles` at one; measure each crowd idle, woken, and at rest again.

    `seconds` is how long each is watched while it is idle.
    """
    changes = {"connections_per_actor": per_actor, "passive_after_seconds": passive_after}
    with crowd_hub(settings, say, **changes) as running:
        found = asyncio.run(_measure(running, say, connections, singles, seconds))
    shown = {"connections": connections, "per_actor": per_actor, "singles": singles, **changes, "idle_seconds": seconds}
    return {"machine": machine(), "settings": shown, **found}


async def _measure(running: Running, say: Say, connections: int, singles: int, seconds: float) -> dict[str, Any]:
    home = running.settings.home
    cpu = hub_cpu(home)
    async with opened(running) as crowd:
        say("measuring the empty hub")
        empty = {**usage(home), "idle_cores": await _idle(cpu, seconds)}
        say(f"{connections} connections, {running.settings.connections_per_actor} a process")
        packed, members = await _crowd(running, crowd, cpu, None, connections, seconds, empty)
        say("waking passive connections")
        packed |= await _moves(crowd, members, running.settings.passive_after_seconds)
        packed["after_rest_memory_mib"] = usage(home)["memory_mib"]
        result = {"empty_hub": empty, "packed": packed}
        if singles:
            say(f"{singles} connections, one a process")
            before = {**usage(home), "idle_cores": await _idle(cpu, seconds)}
            alone, members = await _crowd(running, crowd, cpu, "", singles, seconds, before)
            result["one_a_process"] = alone | await _moves(crowd, members, running.settings.passive_after_seconds)
        return result


async def _idle(cpu: CpuReader, seconds: float) -> dict[str, float]:
    """Cores used by each group of the hub's processes, and in sum, while nothing happens."""
    before, began = cpu.read(), time.monotonic()
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    spent = {group: round(used / took, 4) for group, used in cpu.read().since(before).groups.items()}
    return {**spent, "sum": round(sum(spent.values()), 4)}


async def _crowd(
    running: Running, crowd: Crowd, cpu: CpuReader, host: str | None, count: int, seconds: float, before: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Make a crowd, and measure what it adds to the hub as it was before."""
    began = time.monotonic()
    members = await crowd.add(count, host)
    made = time.monotonic() - began
    taken = await crowd.taken(members, PLACE_SECONDS)
    await asyncio.sleep(SETTLE_SECONDS)
    hosts = [each for each in await crowd.figures() if (each["host"] in members) == (host == "")]
    idle = await _idle(cpu, seconds)
    memory = usage(running.settings.home)
    sizes = [_size(each["pid"]) for each in hosts]
    found = {
        "processes": len(hosts),
        "made_in_the_database_s": round(made, 3),
        "until_each_has_an_owner_s": round(taken, 3),
        "hub_memory_mib": memory["memory_mib"],
        "added_memory_mib": memory["memory_mib"] - before["memory_mib"],
        "memory_a_process_mib": round(sum(sizes) / len(sizes) / 2**20, 1),
        "memory_a_connection_kib": round(sum(sizes) / count / 2**10, 1),
        "idle_cores": idle,
        "added_idle_cores": round(idle["sum"] - before["idle_cores"]["sum"], 4),
        "idle_cpu_a_connection_us_a_s": round(1e6 * (idle["owners"] - before["idle_cores"]["owners"]) / count, 1),
    }
    return found, members


def _size(pid: int) -> int:
    memory = psutil.Process(pid).memory_full_info()
    return int(getattr(memory, "pss", memory.rss))


async def _moves(crowd: Crowd, members: list[str], passive_after: float) -> dict[str, Any]:
    """Wake passive connections one by one, then all at once, and wait until all are passive again."""
    # Not at the top: Ray reads its environment when it is first imported, and the hub sets it.
    from actors.owners import RayOwners

    owners = RayOwners()
    few = members[:: max(1, len(members) // ONE_BY_ONE)][:ONE_BY_ONE]
    waits = []
    for number, connection in enumerate(few):
        began = time.monotonic()
        await crowd.put([connection], f"one-{number}")
        owners.wake([connection])
        await crowd.done([connection], 30)
        waits.append(time.monotonic() - began)
    began = time.monotonic()
    await crowd.put(members, "all")
    owners.wake(members)
    await crowd.done(members, PLACE_SECONDS)
    woken = time.monotonic() - began
    sizes = [_size(each["pid"]) for each in await crowd.figures()]
    began = time.monotonic()
    async with asyncio.timeout(passive_after + PLACE_SECONDS):
        while sum(each["active"] for each in await crowd.figures()):  # noqa: ASYNC110 - other processes tell by polling only
            await asyncio.sleep(0.2)
    return {
        "passive_to_handled_p50_s": round(percentile(waits, 0.5), 4),
        "passive_to_handled_max_s": round(max(waits), 4),
        "all_woken_and_handled_s": round(woken, 3),
        "all_active_owners_memory_mib": round(sum(sizes) / 2**20),
        "all_passive_again_s": round(time.monotonic() - began, 1),
    }
