"""Many connections in one process: each is its own owner still, idle ones cost nothing, and none touches its neighbours."""

import asyncio
from datetime import timedelta

import pytest

from hub.clock import utc_now
from hub.contract import AuthRevoked
from hub.database.pool import Database
from hub.mailbox.changes import Changes, Later
from hub.ownership import alone
from hub.ownership.host import READS, SESSIONS
from hub.ownership.owner import Desk
from tests.integration.flow.packed import Pack, dies, hosting, until

pytestmark = pytest.mark.postgres


@pytest.fixture
def pack(database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Pack:
    """Nothing yet."""
    return Pack(database, database_url, monkeypatch)


async def test_a_host_takes_all_its_connections_and_only_those_with_work_become_active(pack: Pack) -> None:
    """Epochs of all rise at once; a message that waits makes its connection active, the others stay passive and say so."""
    connections = await pack.open(30)
    seen: list[str] = []

    async def handle(desk: Desk) -> Changes:
        seen.append(desk.claim.dedupe_key)
        return Changes()

    await pack.put(connections[7], "early")
    host = pack.host(handle)
    async with hosting(host):
        await until(lambda: seen == ["early"])
        assert host.figures()["connections"] == 30
        assert [c for c in connections if host._hosted[c].active] == [connections[7]]
        state = host.state(connections[0])
        assert state is not None
        assert (state["status"], state["epoch"], state["actor"]) == ("passive", 1, pack.name)
        row = (await pack.rows(connections[0], "select epoch, code_version from hub.leases"))[0]
        assert tuple(row) == (1, "1")


async def test_an_idle_connection_becomes_passive_and_a_hint_or_a_timer_wakes_it(pack: Pack) -> None:
    """It lets go of its adapter; nothing is lost, nothing handled twice, and a subject keeps its order through it all."""
    (one,) = await pack.open(1)
    seen: list[str] = []

    async def handle(desk: Desk) -> Changes:
        seen.append(desk.claim.dedupe_key)
        return Changes()

    host = pack.host(handle, passive_after=0.15)
    async with hosting(host):
        for number in range(4):
            await until(lambda: one in host._hosted and not host._hosted[one].active)
            assert host._hosted[one].place is None
            await pack.put(one, f"{number}a", f"{number}b", f"{number}c", subject="order/1")
            host.wake(one)
            await pack.empty(one)
        await until(lambda: not host._hosted[one].active)
        await pack.put(one, "timer", available_at=utc_now() + timedelta(seconds=0.8))
        host.wake(one)
        await asyncio.sleep(0.3)
        await until(lambda: not host._hosted[one].active)
        assert "timer" not in seen
        await pack.empty(one)
    assert seen == [f"{number}{letter}" for number in range(4) for letter in "abc"] + ["timer"]
    assert (await pack.rows(one, "select epoch from hub.leases"))[0]["epoch"] == 1


async def test_a_message_that_comes_while_its_owner_goes_to_rest_is_handled(pack: Pack) -> None:
    """Wherever in the way to passive a hint arrives, it counts: a hundred messages at every moment of it."""
    (one,) = await pack.open(1)
    seen: list[str] = []

    async def handle(desk: Desk) -> Changes:
        seen.append(desk.claim.dedupe_key)
        return Changes()

    host = pack.host(handle, passive_after=0.02)
    async with hosting(host):
        await until(lambda: one in host._hosted)
        for number in range(100):
            await pack.put(one, f"{number:03}")
            host.wake(one)
            await asyncio.sleep(0.0005 * number)
        await pack.empty(one, seconds=3)
    assert sorted(seen) == [f"{number:03}" for number in range(100)]


async def test_passive_connections_write_no_rows_and_hold_no_database_session(
    pack: Pack, owner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seconds of a hundred idle connections leave every row of the leases as it was; sessions that nobody uses are closed."""
    import asyncpg

    connections = await pack.open(100)

    async def handle(desk: Desk) -> Changes:
        return Changes()

    await pack.put(connections[0], "one")
    host = pack.host(handle, passive_after=0.1)
    host._sessions._idle = 0.3
    owner = await asyncpg.connect(owner_url)
    try:
        async with hosting(host):
            await pack.empty(connections[0])
            await until(lambda: host.figures()["active"] == 0 and len(host._hosted) == 100)
            query = "select sum(xmin::text::bigint), sum(xmax::text::bigint) from hub.leases where connection = any($1)"
            rows = await owner.fetchrow(query, connections)
            await asyncio.sleep(2)
            assert await owner.fetchrow(query, connections) == rows
            assert host._sessions.opened == 0
    finally:
        await owner.close()


async def test_a_busy_pack_stays_within_its_few_database_sessions(pack: Pack, owner_url: str) -> None:
    """Forty owners that work at once share the sessions of their process."""
    import asyncpg

    connections = await pack.open(40)
    most = 0

    async def handle(desk: Desk) -> Changes:
        await asyncio.sleep(0.01)
        return Changes()

    for connection in connections:
        await pack.put(connection, *(f"{number}" for number in range(10)))
    host = pack.host(handle)
    owner = await asyncpg.connect(owner_url)
    try:
        async with hosting(host):
            for _ in range(40):
                query = "select count(*) from pg_stat_activity where application_name = $1"
                most = max(most, await owner.fetchval(query, f"hub {pack.name}"))
                await asyncio.sleep(0.01)
            for connection in connections:
                await pack.empty(connection)
            assert host.figures()["active"] == 40
    finally:
        await owner.close()
    assert 1 < most <= SESSIONS + READS


async def test_what_goes_wrong_in_one_connection_stays_there(pack: Pack) -> None:
    """A failing adapter, a vendor that withdrew access and a replaced epoch touch no neighbour in the same process."""
    broken, revoked, replaced, good = await pack.open(4)
    seen: list[str] = []

    async def handle(desk: Desk) -> Changes:
        here = desk._owner.connection
        if here == broken:
            raise RuntimeError("a bug in the adapter")
        if here == revoked:
            raise AuthRevoked("withdrawn")
        seen.append(f"{desk.claim.dedupe_key} {'good' if here == good else 'replaced'}")
        return Changes()

    host = pack.host(handle)
    async with hosting(host):
        for connection in (broken, revoked, replaced, good):
            await pack.put(connection, "1")
        host.wake(broken, revoked, replaced, good)
        await pack.empty(good)
        await pack.empty(replaced)
        async with pack.database.tenant(pack.tenants[replaced]) as t:
            await t.execute("update hub.leases set epoch = epoch + 1, host = 'elsewhere'")
        await pack.put(replaced, "2")
        await pack.put(good, "2")
        host.wake(broken, revoked, replaced, good)
        await until(lambda: replaced not in host._hosted)
        await pack.empty(good)
        assert (await pack.rows(revoked, "select status from hub.connections"))[0]["status"] == "suspended"
        assert (await pack.rows(broken, "select tries from hub.due"))[0]["tries"] >= 1
        assert len(await pack.rows(replaced, "select 1 from hub.due")) == 1
    assert sorted(seen) == ["1 good", "1 replaced", "2 good"]


async def test_a_suspect_runs_alone_in_its_process_and_only_poison_dies(pack: Pack) -> None:
    """A message that kills its process three times while it is alone is dead; what ran beside it in other connections never is.

    Suspects of different connections wait for each other, so that no death is put down to two of them.
    """
    first, second, third = await pack.open(3)
    for connection in (first, second, third):
        await pack.put(connection, "innocent" if connection != second else "poison")
    beside: list[int] = []
    done: list[str] = []
    for _ in range(8):
        running: set[str] = set()
        deadly = asyncio.Event()

        async def handle(desk: Desk, running: set[str] = running, deadly: asyncio.Event = deadly) -> Changes:
            running.add(desk._owner.connection)
            if desk.claim.alone:
                beside.append(len(running))
            try:
                await asyncio.sleep(0.05)
                if desk.claim.dedupe_key == "poison":
                    deadly.set()
                    await asyncio.sleep(30)
                if not desk.claim.alone:
                    await asyncio.sleep(30)
                done.append(desk._owner.connection)
                return Changes()
            finally:
                running.discard(desk._owner.connection)

        host = pack.host(handle)
        task = asyncio.create_task(host.run())
        try:
            async with asyncio.timeout(1.5):
                await deadly.wait()
                await asyncio.sleep(0.1)
        except TimeoutError:
            pass
        await dies(host, task)
        for connection in (first, second, third):  # as if it had died less often: a crash loop waits before it goes on
            await pack.rows(connection, "update hub.leases set activated_at = activated_at - interval '1 minute'")
        if await pack.rows(second, "select 1 from hub.dead_letters"):
            break
    reasons = [row["reason"] for row in await pack.rows(second, "select reason from hub.dead_letters")]
    assert reasons == ["poison"]
    assert set(beside) == {1}
    for connection in (first, third):
        assert await pack.rows(connection, "select 1 from hub.dead_letters") == []


async def test_a_suspect_that_waits_for_its_vendor_does_not_hold_up_its_neighbours(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the process to itself for a moment, and then the others go on beside it."""
    slow, other = await pack.open(2)
    await pack.put(slow, "slow")
    seen: list[str] = []
    hang = asyncio.Event()

    async def handle(desk: Desk) -> Changes:
        seen.append(desk.claim.dedupe_key)
        if desk.claim.dedupe_key == "slow":
            await hang.wait()
        return Changes()

    host = pack.host(handle)
    task = asyncio.create_task(host.run())
    await until(lambda: seen == ["slow"])
    await dies(host, task)
    await pack.put(other, "other")
    again = pack.host(handle)
    again._door._seconds = 0.4
    async with hosting(again):
        await until(lambda: seen == ["slow", "slow"])
        await pack.put(slow, "its own next")
        again.wake(slow, other)
        await asyncio.sleep(0.15)
        assert len(seen) == 2
        await pack.empty(other, seconds=3)
        await until(lambda: len(seen) == 4, seconds=3)
        hang.set()
        await pack.empty(slow)
    assert seen[:2] == ["slow", "slow"]
    assert sorted(seen[2:]) == ["its own next", "other"]
    assert alone.ALONE_SECONDS < 5


async def test_a_drain_finishes_what_runs_and_lets_go_of_the_rest_without_suspicion(pack: Pack) -> None:
    """Short work is committed, long work is cut at the limit, what waited stays; the next host takes all of it up, alone for none."""
    quick, slow, waiting = await pack.open(3)
    seen: list[tuple[str, bool]] = []
    hang = asyncio.Event()

    async def handle(desk: Desk) -> Changes:
        seen.append((desk.claim.dedupe_key, desk.claim.alone))
        if desk.claim.dedupe_key == "slow":
            await hang.wait()
        if desk.claim.dedupe_key == "quick":
            await asyncio.sleep(0.3)
        return Changes()

    host = pack.host(handle)
    task = asyncio.create_task(host.run())
    await pack.put(quick, "quick")
    await pack.put(slow, "slow")
    await until(lambda: len(host._hosted) == 3)
    host.wake(quick, slow)
    await until(lambda: len(seen) == 2)
    drained = asyncio.create_task(host.drain(0.8))
    await asyncio.sleep(0.05)
    await pack.put(waiting, "waiting")
    host.wake(waiting)
    assert await drained == 1
    await asyncio.wait({task}, timeout=5)
    assert task.done()
    assert await pack.rows(quick, "select 1 from hub.due") == []
    assert {tuple(row) for row in await pack.rows(slow, "select claimed_epoch, suspect, tries from hub.due")} == {(None, False, 0)}
    hang.set()
    async with hosting(pack.host(handle)):
        for connection in (quick, slow, waiting):
            await pack.empty(connection)
    assert sorted(seen) == [("quick", False), ("slow", False), ("slow", False), ("waiting", False)]


async def test_a_connection_that_was_moved_is_fenced_at_once_and_goes_on_at_its_new_host(pack: Pack) -> None:
    """The move itself raises the epoch: the old host's owner, in the middle of a message, commits nothing any more."""
    (one,) = await pack.open(1)
    seen: list[str] = []
    hang = asyncio.Event()

    async def handle(desk: Desk) -> Changes:
        seen.append(desk._owner.host)
        if desk._owner.host == pack.name:
            await hang.wait()
            return Changes(end=Later(3600))
        return Changes()

    await pack.put(one, "1")
    old, new = pack.host(handle), pack.host(handle, name="hosts-elsewhere")
    async with hosting(old):
        await until(lambda: seen == [pack.name])
        epoch = await pack.database.fetchval("select hub.take_singleton('supervisor', 'test', 5)")
        assert await pack.database.fetchval("select hub.assign_hosts($1, $2, $3)", [one], ["hosts-elsewhere"], epoch) == 1
        hang.set()
        await until(lambda: one not in old._hosted)
        assert len(await pack.rows(one, "select 1 from hub.due where available_at < hub.clock()")) == 1
        async with hosting(new):
            await pack.empty(one)
    assert seen == [pack.name, "hosts-elsewhere"]
    await pack.database.fetchval("select hub.release_singleton('supervisor', 'test')")
