"""A process that hosts connections by whatever clock it is given; started by the test beside it, reads what it needs as a JSON line."""

import asyncio
import json
import sys
from collections.abc import Collection

from hub.contract import InstalledProviders
from hub.database.pool import Database
from hub.ownership.host import Host
from hub.ownership.schedule import Keep, Schedule
from hub.ownership.workplace import Policies
from hub.vault import MasterKeys


async def main() -> None:
    """Host the connections, and do the Scheduler's rounds, until the process is ended."""
    given = json.loads(sys.stdin.readline())
    hosts: dict[str, Host] = {}

    def wake(connections: Collection[str]) -> None:
        for connection in connections:
            hosts[connection].wake(connection)

    for connection in given["connections"]:
        hosts[connection] = Host(
            name=connection,
            database_url=given["url"],
            master=MasterKeys({"k": b"k" * 32}),
            providers=InstalledProviders(),
            policies=Policies(sandbox_url=given["sandbox_url"], reconcile_seconds=3600.0),
            wake_others=wake,
            on_commit=lambda tenant: None,
        )
    running = [asyncio.create_task(host.run()) for host in hosts.values()]
    database = await Database(given["url"], application="scheduler", least=0, most=1).open()
    schedule = Schedule(database, holder="test", keep=Keep())
    while not any(task.done() for task in running):
        wake(hosts)  # the ingress is another process, whose hints do not come here
        if await schedule.hold(15.0):
            await schedule.clock()
            await schedule.deadlines()
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(main())
