"""Where a campaign takes place: `hub up` as users run it, in a process of its own, beside the simulated vendors."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import msgspec

from cluster.bench.faults.disk import Disk
from cluster.embedded import remove_data, start_postgres
from cluster.pairs import Pair
from cluster.ray_cluster import remove_ray_data
from cluster.restaurants import Door, Restaurants, login, open_restaurants
from cluster.run_file import RunFile, end, is_alive, spawned, write_private
from cluster.sandbox_process import start_sandbox, stop_sandbox
from cluster.start import Say
from hub.settings import Settings

READY_SECONDS = 180.0
TOKEN_SECONDS = 600.0
_KEPT = "ground.json"


class _Kept(msgspec.Struct, frozen=True):
    settings: Settings
    sandbox: str
    restaurants: Restaurants


class Ground:
    """A hub under test, its vendors and its restaurants. Usable from several threads."""

    def __init__(self, kept: _Kept, disk: Disk | None) -> None:
        self.settings, self.sandbox, self.restaurants, self.disk = kept.settings, kept.sandbox, kept.restaurants, disk
        self.root = f"http://{self.settings.host}:{self.settings.port}"
        self.run = RunFile(self.settings.home)
        self._doors: dict[str, tuple[Door, float]] = {}
        self._lock = threading.Lock()

    @property
    def folder(self) -> Path:
        """The folder that holds everything of this campaign's hub."""
        return self.settings.home.parent

    def door(self, tenant: str) -> Door:
        """The HTTP API as a tenant; logs in when the token grows old, so it raises what a call raises."""
        with self._lock:
            known = self._doors.get(tenant)
        if known is not None and time.monotonic() - known[1] < TOKEN_SECONDS:
            return known[0]
        who = next(found for found in self.restaurants.logins if found.tenant == tenant and found.role == "owner")
        door = Door(self.root, login(self.root, who))
        with self._lock:
            self._doors[tenant] = (door, time.monotonic())
        return door

    def close(self) -> None:
        """End what was started and remove what it kept."""
        close_ground(self.folder)


def open_ground(settings: Settings, say: Say, pair: Pair | None, *, small_disk: bool, reconcile: float = 20.0) -> Ground:
    """Start vendors, hub and restaurants in a folder of their own, reconciled every so many seconds.

    With a small disk PostgreSQL's data lies on one (needs root); raises NoDisk.
    """
    folder = Path(tempfile.mkdtemp(prefix="hub-faults-"))
    if os.geteuid() == 0:
        folder.chmod(0o711)  # the servers' own user reaches its folder inside
    home = folder / "home"
    try:
        run = RunFile(home)
        with run.locked():
            port = run.ports("api")["api"]
        disk = Disk.make(home) if small_disk else None
        sandbox = start_sandbox(home)
        settings = settings.replace(home=home, port=port, sandbox_url=sandbox, reconcile_seconds=reconcile)
        say("starting the hub")
        start_hub(settings)
        known = settings
        if not settings.database_url:
            urls = start_postgres(home)
            known = settings.replace(database_url=urls.api_url, actor_database_url=urls.actor_url, admin_database_url=urls.admin_url)
        say("opening two restaurants")
        kept = _Kept(known, sandbox, open_restaurants(known, sandbox, [[pair]] * 2 if pair else None))
        found = {"settings": known.to_environ(), "sandbox": sandbox, "restaurants": kept.restaurants}
        write_private(folder / _KEPT, msgspec.json.encode(found))
        return Ground(kept, disk)
    except BaseException:
        close_ground(folder)
        raise


def find_ground(folder: Path, say: Say) -> Ground:
    """The ground of an earlier process; the hub is started again when it ended meanwhile. Raises LookupError."""
    try:
        raw = msgspec.json.decode((folder / _KEPT).read_bytes())
    except (OSError, msgspec.MsgspecError):
        raise LookupError(f"nothing is left of the hub in {folder}") from None
    settings = Settings.load(raw["settings"], None)
    kept = _Kept(settings, raw["sandbox"], msgspec.convert(raw["restaurants"], Restaurants))
    run = RunFile(settings.home)
    if run.child("sandbox") is None:
        raise LookupError("the simulated vendors ended, and what they held with them: start the campaign anew")
    if run.child("hub") is None:
        say("starting the hub again")
        embedded = run.child("postgres") is not None or Disk.at(settings.home) is not None or (settings.home / "passwords.json").exists()
        mine = {"database_url": "", "actor_database_url": "", "admin_database_url": ""} if embedded else {}
        start_hub(settings.replace(**mine))
    return Ground(kept, Disk.at(settings.home))


def start_hub(settings: Settings, prefix: tuple[str, ...] = (), environment: dict[str, str] | None = None) -> None:
    """Run `hub up` and wait until it answers; raises RuntimeError with the end of its log."""
    run = RunFile(settings.home)
    logs = run.home / "logs"
    logs.mkdir(mode=0o700, exist_ok=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HUB_") and name != "RAY_ADDRESS"}
    command = [*prefix, sys.executable, "-c", "from cluster.cli import main; main()", "up"]
    with (logs / "up.log").open("ab") as log, run.locked():
        process = subprocess.Popen(
            command,
            cwd=run.home,
            env={**inherited, **settings.to_environ(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        run.record("hub", spawned(process))
    limit = time.monotonic() + READY_SECONDS
    while time.monotonic() < limit and process.poll() is None:
        if is_ready(settings):
            return
        time.sleep(0.2)
    raise RuntimeError(f"the hub did not start:\n{(logs / 'up.log').read_text(errors='replace')[-1500:]}")


def is_ready(settings: Settings) -> bool:
    """Tell whether the hub answers that it is ready."""
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{settings.host}:{settings.port}/health/ready", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def close_ground(folder: Path) -> None:
    """End everything that runs in a campaign's folder, and remove it."""
    home = folder / "home"
    run = RunFile(home)
    child = run.child("hub") if home.exists() else None
    if child is not None:
        end(child, signals=(signal.SIGTERM, signal.SIGKILL), patience=60)
    if home.exists():
        stop_sandbox(home)
        remove_ray_data(home)
        if is_alive(run.child("postgres")) or (home / "passwords.json").exists():
            remove_data(home)
        if (disk := Disk.at(home)) is not None:
            disk.remove()
    shutil.rmtree(folder, ignore_errors=True)
