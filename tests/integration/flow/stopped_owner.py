"""A process that hosts one connection of the hostile POS and stops itself right before its first write leaves.

Started by the test beside it; reads what it needs as one JSON line.
"""

import asyncio
import json
import os
import signal
import sys

from hub.calls import VendorClient
from hub.contract import Request, Response
from hub.ownership.host import Host
from hub.ownership.owner import Owner
from hub.ownership.workplace import Policies
from hub.vault import MasterKeys
from tests.contract.hostile_pos import HOSTILE
from tests.integration.flow.town import TownProviders

_send = VendorClient.send
stopped = False


async def stop_then_send(self: VendorClient, request: Request, *, not_after: float) -> Response:
    """Stop this process as `kill -STOP` would; go on when somebody continues it."""
    global stopped
    if not stopped:
        stopped = True
        os.kill(os.getpid(), signal.SIGSTOP)
    return await _send(self, request, not_after=not_after)


async def main() -> None:
    """Host the connection until the process is ended."""
    given = json.loads(sys.stdin.readline())
    host = Host(
        name=given["connection"],
        database_url=given["url"],
        master=MasterKeys({"k": b"k" * 32}),
        providers=TownProviders(HOSTILE),
        policies=Policies(sandbox_url=given["sandbox_url"], reconcile_seconds=3600.0),
        wake_others=lambda connections: None,
        on_commit=lambda tenant: None,
    )
    await host.run()


async def drop_nothing(self: Owner) -> None:
    """The worst case: the write leaves before this process hears, from the database, that it was replaced."""


if __name__ == "__main__":
    Owner._drop = drop_nothing  # type: ignore[method-assign]
    VendorClient.send = stop_then_send  # type: ignore[method-assign]
    asyncio.run(main())
