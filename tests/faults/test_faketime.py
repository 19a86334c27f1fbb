"""The machine's clock is set an hour ahead and back under PostgreSQL and the owners (libfaketime): no order is lost or doubled.

Ray is left out: its processes hold leases and heartbeats of their own by the same clock, and libfaketime slows every call of theirs.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from cluster.embedded import remove_data, start_postgres
from cluster.embedded.account import Place
from cluster.embedded.postgres import PostgresUrls
from hub.database.migrate import migrate
from hub.database.pool import Database
from tests.integration.flow.town import Town, town

LIBRARY = next((str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), "")
HOSTS = Path(__file__).with_name("faketime_hosts.py")
HOUR = 3600

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.timeout(150),
    pytest.mark.skipif(not LIBRARY, reason="libfaketime is not installed: apt-get install libfaketime"),
]


class Watch:
    """The clock that faked processes read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.set(0)

    def set(self, seconds: int) -> None:
        """Be so many seconds ahead of the time."""
        part = self._path.with_suffix(".part")
        part.write_text(f"{seconds:+}s\n")
        part.chmod(0o644)
        part.replace(self._path)

    def environment(self) -> dict[str, str]:
        """What has a process read this clock at every look; durations stay what they are."""
        return {
            "LD_PRELOAD": LIBRARY,
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    """A clock in a folder that the servers' user can enter."""
    folder = Path("/var/tmp") / f"hub-clock-{os.getpid()}"
    folder.mkdir(mode=0o755, exist_ok=True)
    folder.chmod(0o755)
    yield Watch(folder / "time")
    for each in folder.iterdir():
        each.unlink()
    folder.rmdir()


@pytest.fixture
def server(watch: Watch, tmp_path: Path) -> Iterator[PostgresUrls]:
    """A PostgreSQL of its own that goes by the watch."""
    home = tmp_path / "home"
    plain = Place.environment
    with patch.object(Place, "environment", staticmethod(lambda: {**plain(), **watch.environment()})):
        urls = start_postgres(home)
    try:
        asyncio.run(migrate(urls.admin_url))
        yield urls
    finally:
        remove_data(home)


@contextlib.asynccontextmanager
async def _hosting(here: Town, environment: dict[str, str]) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HOSTS), stdin=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(Path.cwd()), **environment}
    )
    given = {"url": here.url, "connections": [here.pos, here.platform], "sandbox_url": here.root}
    assert process.stdin is not None
    process.stdin.write(json.dumps(given).encode() + b"\n")
    await process.stdin.drain()
    try:
        yield
        assert process.returncode is None, "the process that hosts ended"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _settled(here: Town, placed: list[str]) -> dict[str, str]:
    """Where each order ended, once all have; none in the POS twice, the accepted ones paid there, the others gone or told of."""
    ended = {}
    for each in placed:
        row = await here.state(each, "accepted", "rejected", seconds=60)
        standing = [order for order in here.at_square(row["id"]) if order["state"] not in ("CANCELED", "CANCELLED")]
        if row["state"] == "accepted":
            (found,) = standing
            assert [payment["status"] for payment in found["payments"]] == ["COMPLETED"]
            assert here.at_uber(each) == "ACCEPTED"
        else:
            assert await here.rows("select 1 from hub.alerts where subject = $1", row["id"])
        ended[each] = row["state"]
    return ended


@pytest.mark.parametrize("whose", ["database", "machine"])
@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_orders_flow_on_while_the_clock_is_set(watch: Watch, server: PostgresUrls, whose: str, jump: int) -> None:
    """The database's clock, or the whole machine's, goes and comes back: orders before, between and after end once, paid and accepted.

    Only a machine that believes it is an hour later has to think that deadlines are over: it may refuse, and somebody is told.
    """
    database = await Database(server.api_url, application="test").open()
    try:
        async with town(database, server.api_url) as here:
            await here.open()
            here.uber.set_settings({"token_lifetime_s": 1800})
            async with _hosting(here, watch.environment() if whose == "machine" else {}):
                await here.publish()
                for vendor in (here.uber, here.square):
                    vendor.faults.set({"error_rate": 0.2, "duplicate_webhooks": 0.5, "seed": 5})
                before = [here.order() for _ in range(5)]
                await asyncio.sleep(0.5)
                watch.set(jump)
                seen = await database.fetchval("select extract(epoch from clock_timestamp())::float")
                assert abs(seen - time.time() - jump) < 30, "the database does not go by the watch"
                during = [here.order() for _ in range(5)]
                await asyncio.sleep(4.0)
                watch.set(0)
                after = [here.order() for _ in range(5)]
                ended = await _settled(here, [*before, *during, *after])
        assert {ended[each] for each in after} == {"accepted"}
        if whose == "database" or jump < 0:
            assert set(ended.values()) == {"accepted"}
    finally:
        await database.close()
