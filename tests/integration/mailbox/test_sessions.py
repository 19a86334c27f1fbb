"""The database sessions that owners of a process share: few, fair, given back whole, and closed when nobody needs them."""

import asyncio
from urllib.parse import urlsplit

import asyncpg
import pytest

from hub.mailbox.sessions import Sessions

pytestmark = pytest.mark.postgres


async def test_no_more_than_most_are_open_and_who_waits_is_served_in_order(database_url: str) -> None:
    """Twenty users of two sessions, each holding one for a moment."""
    sessions = Sessions(database_url, most=2)
    served: list[int] = []
    pids: set[int] = set()

    async def use(number: int) -> None:
        async with sessions.use() as connection:
            served.append(number)
            pids.add(await connection.fetchval("select pg_backend_pid()"))
            await asyncio.sleep(0.005)

    await asyncio.gather(*(use(number) for number in range(20)))
    await sessions.close()
    assert served[2:] == list(range(2, 20))  # the first two open theirs side by side
    assert len(pids) == 2


async def test_a_broken_session_is_given_to_nobody_again(database_url: str) -> None:
    """One that was cut, and one whose user was cancelled in mid-query."""
    sessions = Sessions(database_url, most=1)
    async with sessions.use() as connection:
        first = await connection.fetchval("select pg_backend_pid()")
        connection.terminate()
    async with sessions.use() as connection:
        second = await connection.fetchval("select pg_backend_pid()")

    async def long() -> None:
        async with sessions.use() as held:
            await held.fetchval("select pg_sleep(1)")

    task = asyncio.create_task(long())
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait({task})
    async with asyncio.timeout(5), sessions.use() as connection:
        third = await connection.fetchval("select pg_backend_pid()")
    await sessions.close()
    assert len({first, second, third}) == 3


async def test_a_cancelled_wait_loses_no_session(database_url: str) -> None:
    """Who gives up waiting leaves the session to the next, also when it had just been handed to it."""
    sessions = Sessions(database_url, most=1)
    done: list[str] = []

    async def use(name: str) -> None:
        async with sessions.use():
            done.append(name)

    async with sessions.use():
        tasks = [asyncio.create_task(use(name)) for name in ("a", "b", "c")]
        await asyncio.sleep(0.01)
    tasks[0].cancel()  # the session was handed to it a moment ago
    async with asyncio.timeout(5):
        await asyncio.wait(tasks)
        await use("d")
    await sessions.close()
    assert done == ["b", "c", "d"]


async def test_at_the_roles_limit_a_process_makes_do_with_what_it_has(database_url: str, owner_url: str) -> None:
    """With one connection left to the role, four sessions become one, and everybody is served."""
    role = urlsplit(database_url).username
    owner = await asyncpg.connect(owner_url)
    try:
        async with asyncio.timeout(10):  # what the tests before this one left
            while await owner.fetchval("select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = $1", role):
                await asyncio.sleep(0.05)
        await owner.execute(f'alter role "{role}" connection limit 1')
        sessions = Sessions(database_url, most=4)
        served: list[int] = []

        async def use(number: int) -> None:
            async with sessions.use() as connection:
                served.append(await connection.fetchval("select $1::int", number))

        async with asyncio.timeout(10):
            await use(-1)
            await asyncio.gather(*(use(number) for number in range(12)))
        await sessions.close()
    finally:
        await owner.execute(f'alter role "{role}" connection limit -1')
        await owner.close()
    assert sorted(served) == list(range(-1, 12))


async def test_idle_sessions_are_closed(database_url: str) -> None:
    """After its time a session that nobody used is gone; the next use opens one."""
    sessions = Sessions(database_url, most=3, idle_seconds=0.2)
    await asyncio.gather(*(_ask(sessions) for _ in range(3)))
    async with asyncio.timeout(5):
        while sessions.opened:
            await asyncio.sleep(0.02)
    await _ask(sessions)
    assert sessions.opened == 1
    await sessions.close()


async def _ask(sessions: Sessions) -> None:
    async with sessions.use() as connection:
        await connection.fetchval("select pg_sleep(0.02)")
