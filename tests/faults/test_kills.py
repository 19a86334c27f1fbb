"""kill -9 of each component while orders come in: every acknowledged order is in the POS once, paid once, and accepted."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from cluster.bench.account import Report, check
from cluster.bench.environment import Bench, bench_hub
from cluster.ray_environment import ray_folder
from cluster.restaurants import Door
from cluster.run_file import RunFile
from cluster.sandbox_process import call
from hub.contract import InstalledProviders
from hub.settings import Settings

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]

SETTLE_SECONDS = 120.0


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """One hub for all of these tests: they also show that it survives one kill after another."""
    assert "ray" not in sys.modules, "a test before this one imported Ray: it would not know this hub's environment"
    with bench_hub(Settings.load(environ={}), lambda text: None) as found:
        yield found


def _titled(bench: Bench, title: str) -> int:
    raylet = RunFile(bench.running.settings.home).child("raylet")
    assert raylet is not None
    for process in psutil.Process(raylet.pid).children(recursive=True):
        if title in " ".join(process.cmdline()):
            return process.pid
    raise AssertionError(f"no process is called {title}")


def _server(name: str) -> Callable[[Bench], int]:
    def find(bench: Bench) -> int:
        child = RunFile(bench.running.settings.home).child(name)
        assert child is not None
        return child.pid

    return find


def _owner(side: str) -> Callable[[Bench], int]:
    def find(bench: Bench) -> int:
        link = bench.restaurants.links[0]
        door = Door(bench.root, bench.restaurants.tokens[link.tenant])
        pid = door("GET", f"/connections/{getattr(link, side)}/state")["pid"]
        assert isinstance(pid, int)
        return pid

    return find


VICTIMS: dict[str, Callable[[Bench], int]] = {
    "the POS connection's actor": _owner("pos_connection"),
    "the delivery connection's actor": _owner("delivery_connection"),
    "an api replica": lambda bench: _titled(bench, "ServeReplica:api"),
    "the Supervisor": lambda bench: _titled(bench, "SupervisorActor"),
    "the Scheduler": lambda bench: _titled(bench, "SchedulerActor"),
    "Valkey": _server("valkey"),
    "PostgreSQL": _server("postgres"),
}


def _settled(bench: Bench, placed: list[str]) -> Report:
    link = bench.restaurants.links[0]
    door = Door(bench.root, bench.restaurants.tokens[link.tenant])
    limit = time.monotonic() + SETTLE_SECONDS
    while True:
        platform = call(bench.sandbox, "GET", "/_control/ubereats/state")
        pos = call(bench.sandbox, "GET", "/_control/square/state")
        ours = {order["reference"] for order in platform["orders"] if order["id"] in set(placed)}
        pos["orders"] = [order for order in pos["orders"] if order["reference"] in ours]
        try:
            dead = sum(
                door("GET", f"/connections/{connection}/state")["mailbox"]["dead"]
                for connection in (link.pos_connection, link.delivery_connection)
            )
        except (OSError, RuntimeError):
            dead = -1
        report = check(placed, platform, pos, dead)
        if report.good or time.monotonic() > limit:
            return report
        time.sleep(0.5)


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_killed_component_loses_and_doubles_nothing(bench: Bench, victim: str) -> None:
    """Orders placed before, during and after the kill all end accepted, once, with no dead letter."""
    link = bench.restaurants.links[0]
    placed: list[str] = []
    killed = 0
    for number in range(40):
        if number == 12:
            killed = VICTIMS[victim](bench)
            os.kill(killed, signal.SIGKILL)
        placed += call(bench.sandbox, "POST", "/_control/ubereats/orders", {"store": link.delivery_store_ref})["orders"]
        time.sleep(0.05)
    report = _settled(bench, placed)
    assert killed
    assert report.good, json.dumps({"victim": victim, **{n: getattr(report, n) for n in report.__struct_fields__}}, indent=2)


def test_no_secret_is_in_rays_state_or_logs(bench: Bench) -> None:
    """Vendors' secrets, the hub's keys and the databases' passwords: in processes' environments and nowhere that Ray shows."""
    # Ray reads its environment when it is imported, so not before the hub has set it.
    from ray.util.state import list_actors, list_tasks, list_workers

    settings = bench.running.settings
    keys = settings.key_file.read_text().strip()
    known = call(bench.sandbox, "GET", "/_control")
    providers = InstalledProviders()
    fields = {slug: provider.facts.credentials for slug, provider in providers.all().items()}
    secrets = {
        value
        for slug, vendor in known.items()
        for name, value in vendor["credentials"].items()
        if name in fields[slug] and fields[slug][name].secret
    }
    secrets |= {keys.partition(":")[2], settings.database_url.split(":")[2].partition("@")[0]}
    secrets |= {login.password for login in bench.restaurants.logins}
    shown = "".join(
        json.dumps([row.__dict__ for row in rows], default=str)
        for rows in (list_actors(detail=True, limit=1000), list_tasks(detail=True, limit=1000), list_workers(detail=True, limit=1000))
    )
    for path in (ray_folder(settings.home) / "session_latest" / "logs").rglob("*"):
        if path.is_file():
            shown += path.read_text(errors="replace")
    assert len(secrets) > 6
    assert "con_" in shown
    assert [secret[:4] for secret in secrets if secret and secret in shown] == []
