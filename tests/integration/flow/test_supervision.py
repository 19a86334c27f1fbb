"""The Supervisor over hosts of this process: it places, rolls and sweeps in sets, and nothing is lost while it rolls under load."""

import asyncio
from collections.abc import AsyncIterator, Collection

import pytest

from hub.database.pool import Database
from hub.mailbox.changes import Changes
from hub.ownership import supervision
from hub.ownership.host import Host
from hub.ownership.owner import Desk
from hub.ownership.supervision import Supervisor
from tests.integration.flow.packed import Handler, Pack, until

pytestmark = pytest.mark.postgres


class Processes:
    """Hosts by name, as tasks; new ones run the code version that is installed."""

    def __init__(self, pack: Pack, handler: Handler) -> None:
        self.pack, self.handler, self.installed = pack, handler, "1"
        self.hosts: dict[str, Host] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.rolled: list[str] = []
        self.at_once = 0
        self._now = 0
        self.woken: list[str] = []

    async def ensure(self, host: str) -> bool:
        if host in self.hosts:
            return False
        self.hosts[host] = self.pack.host(self.handler, name=host, code_version=self.installed)
        self.tasks[host] = asyncio.create_task(self.hosts[host].run())
        return True

    async def look(self, host: str) -> None:
        self.hosts[host].look()

    async def roll(self, host: str) -> None:
        self.rolled.append(host)
        self._now += 1
        self.at_once = max(self.at_once, self._now)
        await self.hosts[host].drain(5)
        await self.tasks[host]
        del self.hosts[host]
        self._now -= 1

    def wake(self, connections: Collection[str]) -> None:
        self.woken += connections
        for connection in connections:
            for host in self.hosts.values():
                if connection in host._hosted:
                    host.wake(connection)

    async def stop(self) -> None:
        for host in self.hosts.values():
            host.stop(1.0)
        await asyncio.wait(self.tasks.values(), timeout=10)


@pytest.fixture
async def pack(database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pack]:
    """Nothing yet; what a test leaves is removed from the Supervisor's eyes."""
    found = Pack(database, database_url, monkeypatch)
    yield found
    for connection in found.tenants:
        await found.rows(connection, "update hub.connections set status = 'removed' where id = $1", connection)


def supervisor_of(pack: Pack, processes: Processes, version: str, per_host: int) -> Supervisor:
    """A Supervisor of this release; it takes the lease from the one before it."""
    return Supervisor(database=pack.database, hosts=processes, holder=f"{pack.name} {version}", code_version=version, per_host=per_host)


async def unplaced(pack: Pack, count: int) -> list[str]:
    """Connections that nobody has given to a host."""
    made = await pack.open(count)
    for connection in made:
        await pack.rows(connection, "update hub.leases set host = null where connection = $1", connection)
    return made


async def test_new_connections_are_placed_in_one_round_and_a_quiet_round_asks_nothing_about_each(pack: Pack) -> None:
    """Seven connections at three a host are three hosts; later rounds wake nobody and call no host."""
    seen: list[str] = []

    async def handle(desk: Desk) -> Changes:
        seen.append(desk._owner.connection)
        return Changes()

    connections = await unplaced(pack, 7)
    processes = Processes(pack, handle)
    supervisor = supervisor_of(pack, processes, "1", 3)
    try:
        assert await supervisor.round()
        await until(lambda: sum(len(host._hosted) for host in processes.hosts.values()) == 7)
        assert sorted(len(host._hosted) for host in processes.hosts.values()) == [1, 3, 3]
        assert await supervisor.round()
        assert processes.woken == []
        await pack.put(connections[0], "lost hint")
        await pack.rows(connections[0], "update hub.due set available_at = available_at - interval '5 seconds'")
        assert await supervisor.round()
        await until(lambda: seen == [connections[0]])
        assert processes.woken == [connections[0]]
    finally:
        await processes.stop()
        await supervisor.release()


async def test_a_host_whose_last_connection_was_removed_is_ended(pack: Pack) -> None:
    """Its process would stay for ever; one with a connection left goes on."""
    connections = await unplaced(pack, 3)
    processes = Processes(pack, lambda desk: asyncio.sleep(0, Changes()))
    supervisor = supervisor_of(pack, processes, "1", 2)
    try:
        await supervisor.round()
        await until(lambda: sum(len(host._hosted) for host in processes.hosts.values()) == 3)
        for connection in (connections[0], connections[2]):
            await pack.rows(connection, "update hub.connections set status = 'removed' where id = $1", connection)
        await supervisor.round()
        await until(lambda: not supervisor._rolling)
        assert len(processes.rolled) == 1
        assert [len(host._hosted) for host in processes.hosts.values()] == [2]
        await supervisor.round()
        assert len(processes.rolled) == 1
    finally:
        await processes.stop()
        await supervisor.release()


async def test_work_behind_a_parked_head_is_not_knocked_for_in_every_round(pack: Pack) -> None:
    """An owner that was woken and took nothing is woken ever more rarely."""
    (one,) = await unplaced(pack, 1)
    processes = Processes(pack, lambda desk: asyncio.sleep(0, Changes()))
    supervisor = supervisor_of(pack, processes, "1", 3)
    await pack.put(one, "head", "behind", subject="order/1")
    await pack.rows(
        one,
        "insert into hub.dead_letters (tenant_id, id, connection, kind, subject, lane, message_at, reason, tries)"
        " select tenant_id, id, connection, 'noted', subject, lane, at, 'rejected', 1 from hub.due order by id limit 1",
    )
    await pack.rows(one, "update hub.due set available_at = available_at - interval '5 seconds'")
    try:
        for _ in range(6):
            await supervisor.round()
        assert processes.woken == [one]
    finally:
        await processes.stop()
        await supervisor.release()


async def test_new_code_rolls_hosts_a_few_at_a_time_while_messages_go_on_once_and_in_order(pack: Pack) -> None:
    """Six hosts under load are all rolled, at most two beside each other; every message is handled once, each subject in its order."""
    done: list[tuple[str, str]] = []

    async def handle(desk: Desk) -> Changes:
        assert not desk.claim.alone
        await asyncio.sleep(0.01)
        done.append((desk._owner.connection, desk.claim.dedupe_key))
        return Changes()

    connections = await unplaced(pack, 12)
    processes = Processes(pack, handle)
    old = supervisor_of(pack, processes, "1", 2)
    await old.round()
    await until(lambda: sum(len(host._hosted) for host in processes.hosts.values()) == 12)
    await old.release()
    processes.installed = "2"
    new = supervisor_of(pack, processes, "2", 2)
    try:
        for number in range(25):
            for connection in connections:
                await pack.put(connection, f"{number:03}", subject="order/1")
            processes.wake(connections)
            await new.round()
        for connection in connections:
            await pack.empty(connection, seconds=20)
        await until(lambda: not new._rolling)
        await new.round()
        versions = {(await pack.rows(c, "select code_version from hub.leases"))[0]["code_version"] for c in connections}
    finally:
        await processes.stop()
        await new.release()
    assert versions == {"2"}
    assert sorted(processes.rolled) == sorted(set(processes.rolled))
    assert len(processes.rolled) == 6
    assert processes.at_once <= supervision.ROLL_AT_ONCE
    for connection in connections:
        keys = [key for where, key in done if where == connection]
        assert keys == [f"{number:03}" for number in range(25)]
