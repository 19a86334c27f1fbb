"""A hub of the benchmark's own: fresh home, free port, simulated vendors, two restaurants."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from cluster.embedded import remove_data
from cluster.pairs import Pair
from cluster.ray_cluster import remove_ray_data
from cluster.restaurants import Restaurants, open_restaurants
from cluster.run_file import RunFile
from cluster.sandbox_process import start_sandbox, stop_sandbox
from cluster.start import Running, Say, down, up
from hub.settings import Settings


class Bench(msgspec.Struct, frozen=True):
    """What a benchmark works with."""

    running: Running
    sandbox: str
    restaurants: Restaurants

    @property
    def root(self) -> str:
        """The hub's root URL."""
        return f"http://{self.running.settings.host}:{self.running.settings.port}"


@contextlib.contextmanager
def _own_home(settings: Settings) -> Iterator[Settings]:
    """Settings with a home and a port of the benchmark's own, which go with the block."""
    with tempfile.TemporaryDirectory(prefix="hub-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        run = RunFile(home)
        with run.locked():
            port = run.ports("api")["api"]
        try:
            yield settings.replace(home=home, port=port)
        finally:
            if not settings.ray_address:
                remove_ray_data(home)
            if not settings.database_url:
                remove_data(home)


@contextlib.contextmanager
def _running(settings: Settings, say: Say) -> Iterator[Running]:
    running = up(settings, say)
    try:
        yield running
    finally:
        down(running)


@contextlib.contextmanager
def bare_hub(settings: Settings, say: Say) -> Iterator[Running]:
    """Bring a hub up for the length of a block, without vendors or restaurants, in a home that goes with it."""
    with _own_home(settings) as own, _running(own, say) as running:
        yield running


@contextlib.contextmanager
def bench_hub(
    settings: Settings, say: Say, pair: Pair | None = ("square", "ubereats"), restaurants: int = 2, *, apart: bool = False
) -> Iterator[Bench]:
    """Bring a hub up for the length of a block, in a home that goes with it; each restaurant links this pair.

    Without a pair two restaurants link every POS with every platform, dealt out between them. `apart`, each restaurant's POS has
    an account of its own, so that none hears of the others' orders.
    """
    with _own_home(settings.replace(reconcile_seconds=3600)) as own:
        sandbox = start_sandbox(own.home)
        try:
            with _running(own.replace(sandbox_url=sandbox), say) as running:
                dealt = [[pair]] * restaurants if pair else None
                yield Bench(running, sandbox, open_restaurants(running.settings, sandbox, dealt, apart=apart))
        finally:
            stop_sandbox(own.home)
