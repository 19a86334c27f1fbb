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
def bare_hub(settings: Settings, say: Say) -> Iterator[Running]:
    """Bring a hub up for the length of a block, without vendors or restaurants, in a home that goes with it."""
    with tempfile.TemporaryDirectory(prefix="hub-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        run = RunFile(home)
        with run.locked():
            port = run.ports("api")["api"]
        settings = settings.replace(home=home, port=port)
        try:
            running = up(settings, say)
            try:
                yield running
            finally:
                down(running)
        finally:
            if not settings.ray_address:
                remove_ray_data(home)
            if not settings.database_url:
                remove_data(home)


@contextlib.contextmanager
def bench_hub(settings: Settings, say: Say, pair: Pair | None = ("square", "ubereats")) -> Iterator[Bench]:
    """Bring a hub up for the length of a block, in a home that goes with it; both restaurants link this pair.

    Without a pair they link every POS with every platform, dealt out between them.
    """
    with tempfile.TemporaryDirectory(prefix="hub-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        run = RunFile(home)
        with run.locked():
            port = run.ports("api")["api"]
        settings = settings.replace(home=home, port=port, reconcile_seconds=3600)
        sandbox = start_sandbox(home)
        try:
            running = up(settings.replace(sandbox_url=sandbox), say)
            try:
                yield Bench(running, sandbox, open_restaurants(running.settings, sandbox, [[pair]] * 2 if pair else None))
            finally:
                down(running)
        finally:
            stop_sandbox(home)
            if not settings.ray_address:
                remove_ray_data(home)
            if not settings.database_url:
                remove_data(home)
