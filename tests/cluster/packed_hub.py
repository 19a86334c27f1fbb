"""A hub with several connections an actor, rolled to other code under load; prints what it saw as one JSON object.

Run by the test beside it: a process joins one authenticated Ray cluster in its life.
"""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from cluster.bench.crowd import Crowd, crowd_hub, opened
from hub.settings import Settings

CONNECTIONS = 30


async def _versions(crowd: Crowd) -> set[str]:
    return {each["code_version"] for each in await crowd.figures()}


async def _look(running: Any) -> dict[str, Any]:
    from actors.owners import RayOwners
    from actors.supervisor import ensure_supervision

    owners = RayOwners()
    async with opened(running) as crowd:
        members = await crowd.add(CONNECTIONS)
        await crowd.taken(members, 60)
        hosts = await crowd.figures()
        await crowd.put(members, "first")
        owners.wake(members)
        first = await crowd.done(members, 20)
        state = await owners.state(members[0])
        os.kill(hosts[0]["pid"], signal.SIGKILL)
        await crowd.put(members, "killed")
        owners.wake(members)
        await crowd.done(members, 30)

        await asyncio.to_thread(ensure_supervision, "another release")
        put, limit = 0, time.monotonic() + 40
        while await _alive(crowd) != {"another release"} and time.monotonic() < limit:
            await crowd.put(members, f"roll-{put}")
            owners.wake(members)
            put += 1
            await asyncio.sleep(0.1)
        await crowd.done(members, 20)
        async with crowd._database.tenant(crowd.tenant) as t:
            dead = await t.fetchval("select count(*) from hub.dead_letters")
            epochs = await t.fetchval("select max(epoch) from hub.leases")
            rolled = await t.fetchval("select array_agg(distinct code_version) from hub.leases")
        return {
            "hosts": [(each["host"], each["connections"]) for each in hosts],
            "first": first,
            "state": state,
            "put_while_rolling": put,
            "dead": dead,
            "epochs": epochs,
            "rolled": rolled,
        }


async def _alive(crowd: Crowd) -> set[str]:
    try:
        return await _versions(crowd)
    except Exception:  # a host is between its end and its start
        return set()


if __name__ == "__main__":
    settings = Settings.load({"HUB_HOME": sys.argv[1]}, None)
    told = Path(sys.argv[1]).parent / "told.log"
    with told.open("w") as log, crowd_hub(settings, lambda text: print(text, file=log), connections_per_actor=12) as hub:
        found = asyncio.run(_look(hub))
    print(json.dumps(found, default=str))
