"""Our own Ray: loopback, authenticated, adopted, recovered, and never meeting another hub's; with Serve behind HAProxy on it.

Ray is a process-wide singleton, so a driver script runs in a process of its own.
"""

import json
import os
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cluster.ray_cluster import RayHandle, ray_environment, remove_ray_data, start_ray, stop_ray
from cluster.run_file import RunFile, port_is_free, started_at
from hub.settings import Settings

pytestmark = pytest.mark.ray

DRIVER = Path(__file__).with_name("serve_two_apps.py")


def settings_of(home: Path) -> Settings:
    """Settings with a home and a free port."""
    run = RunFile(home)
    with run.locked():
        port = run.ports("serve")["serve"]
    return Settings.load({"HUB_HOME": str(home), "HUB_PORT": str(port), "HUB_METRICS_TOKEN": "seen-by-workers"}, None)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home in a path with a space."""
    found = settings_of(tmp_path_factory.mktemp("a ray") / ".hub")
    yield found
    remove_ray_data(found.home)


@pytest.fixture
def ray(settings: Settings) -> RayHandle:
    """Our running Ray; a test may kill it."""
    return start_ray(settings)


def drive(settings: Settings, *arguments: str) -> dict[str, Any]:
    """Run the driver script against a hub's Ray and read what it prints."""
    done = subprocess.run(
        [sys.executable, str(DRIVER), *arguments],
        env={"PATH": os.environ["PATH"], "HOME": "/tmp", **settings.to_environ(), **ray_environment(settings)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def kin(home: Path) -> list[psutil.Process]:
    """Every living process of a home's Ray session."""
    session = RunFile(home).read().children["ray"].session
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.Error):
            continue
    return found


def test_http_and_websocket_arrive_through_haproxy(settings: Settings, ray: RayHandle) -> None:
    """Two ASGI apps with route prefixes answer HTTP and WebSocket on the hub's port, behind HAProxy."""
    answer = drive(settings, ray.address, "serve")
    assert answer["http"] == ["api /webhooks/x", "live /api/v1/stream"]
    assert answer["websocket"] == "live /api/v1/stream hi"
    listeners = {c.laddr.port: c.pid for c in psutil.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    assert psutil.Process(listeners[settings.port]).name() == "haproxy"


def test_worker_environment_has_the_settings(settings: Settings, ray: RayHandle) -> None:
    """Secrets reach actors by their process's environment; Ray's own listings of actors and jobs don't show them."""
    answer = drive(settings, ray.address, "environment")
    assert answer == {"token": "seen-by-workers", "in_state": False}


def test_killed_actor_returns(settings: Settings, ray: RayHandle) -> None:
    """A named detached actor that was killed -9 answers again in another process within 15 s."""
    assert drive(settings, ray.address, "restart")["seconds"] < 15


def test_every_port_is_on_loopback_but_haproxys_own(settings: Settings, ray: RayHandle) -> None:
    """No process of Ray's itself listens beyond loopback, and each recorded port of it is really used."""
    pids = {process.pid for process in kin(settings.home) if process.name() in ("gcs_server", "raylet") or "ashboard" in process.name()}
    listening = {c.laddr for c in psutil.net_connections("inet") if c.status == psutil.CONN_LISTEN and c.pid in pids}
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    ports = RunFile(settings.home).read().children["ray"].ports
    assert not any(port_is_free(port) for port in ports.values())
    assert not any("ray.util.client.server" in process.cmdline() for process in kin(settings.home))


def test_dashboard_wants_the_token(settings: Settings, ray: RayHandle) -> None:
    """Who has no token cannot submit a job: Ray's dashboard would run any code."""
    token = settings.home / "ray.token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{ray.dashboard_url}/api/jobs/", timeout=10)
    assert caught.value.code in (401, 403)
    request = urllib.request.Request(f"{ray.dashboard_url}/api/jobs/", headers={"Authorization": f"Bearer {token.read_text()}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def test_second_start_adopts(settings: Settings, ray: RayHandle) -> None:
    """A start beside a running Ray gives the same handle at once, and the environment stays the same."""
    before = ray_environment(settings)
    started = time.monotonic()
    assert start_ray(settings) == ray
    assert time.monotonic() - started < 1
    assert ray_environment(settings) == before


def test_two_hubs_do_not_meet(settings: Settings, ray: RayHandle, tmp_path: Path) -> None:
    """A second hub shares no port and no path with the first, and stopping it leaves the first alone."""
    other = settings_of(tmp_path / ".hub")
    try:
        handle = start_ray(other)
        mine, theirs = RunFile(settings.home).read().ports, RunFile(other.home).read().ports
        assert not set(mine.values()) & set(theirs.values())
        ours, foreign = ray_environment(settings), ray_environment(other)
        differ = {name for name in ours if ours[name] != foreign[name]}
        places = {name for name in ours if name.endswith(("_PORT", "_PATH", "_LOC", "_BASE", "_FILE"))}
        assert places - {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"} <= differ
        assert handle.address != ray.address
    finally:
        remove_ray_data(other.home)
    assert not any(started_at(pid) for pid in handle.pids)
    assert all(started_at(pid) for pid in ray.pids)
    assert start_ray(settings) == ray


def test_recovers_after_everything_but_haproxy_was_killed(settings: Settings, ray: RayHandle) -> None:
    """What a crash left over is ended by the next start, which then serves on the same port."""
    drive(settings, ray.address, "serve")
    leftover = [process for process in kin(settings.home) if process.name() == "haproxy"]
    assert leftover
    killed = [process for process in kin(settings.home) if process.name() != "haproxy"]
    for process in killed:
        process.send_signal(signal.SIGKILL)
    psutil.wait_procs(killed, timeout=10)  # until then a start may find them alive, and adopt them
    handle = start_ray(settings)
    assert not any(started_at(process.pid) for process in leftover)
    assert drive(settings, handle.address, "serve")["http"][0] == "api /webhooks/x"


def test_stop_leaves_nothing(settings: Settings, ray: RayHandle) -> None:
    """After a stop no process of the session lives and no port is taken; a second stop is fine."""
    family = kin(settings.home)
    stop_ray(settings.home)
    stop_ray(settings.home)
    assert not any(started_at(process.pid) for process in family)
    assert port_is_free(settings.port)
    assert RunFile(settings.home).read().children == {}


def test_clusters_of_yours_bring_their_own_environment(tmp_path: Path) -> None:
    """With RAY_ADDRESS neither our token nor our ports are imposed."""
    assert ray_environment(Settings.load({"HUB_HOME": str(tmp_path / ".hub"), "RAY_ADDRESS": "10.0.0.1:6379"}, None)) == {}
