"""Our own Ray on this machine, alone, as a head or as a further node: ports and paths of its own, token authentication on.

Ray's processes share the session that `ray start` opened. It is recorded with the pids of GCS and raylet, so that a later start
adopts them, or ends what a crash has left over.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec
import psutil

from cluster.ray_environment import folders, haproxy_folder, ray_environment, ray_folder
from cluster.run_file import Child, RunFile, is_alive, port_is_free
from hub.settings import Settings

__all__ = ["RayFailed", "RayHandle", "connect", "disconnect", "ray_environment", "remove_ray_data", "start_ray", "stop_ray"]

START_SECONDS = 90
NAMESPACE = "hub"
OBJECT_STORE_BYTES = 128 << 20
_GCS, _RAYLET = "ray", "raylet"
_KEPT_SESSIONS = 3
_PORTS = {
    "port": "ray",
    "node-manager-port": "ray-node-manager",
    "object-manager-port": "ray-object-manager",
    "dashboard-port": "ray-dashboard",
    "dashboard-agent-grpc-port": "ray-agent-grpc",
    "dashboard-agent-listen-port": "ray-agent-http",
    "runtime-env-agent-port": "ray-runtime-env",
    "metrics-export-port": "ray-metrics",
    "ray-client-server-port": "ray-client",
}


_HEAD_ONLY = frozenset({"port", "dashboard-port", "ray-client-server-port"})


class RayHandle(msgspec.Struct, frozen=True):
    """Where our Ray listens, and the pids of its GCS (a head's) and raylet."""

    address: str
    dashboard_url: str
    pids: tuple[int, ...] = ()


class RayFailed(RuntimeError):
    """Ray does not start; the message holds the end of its log."""


def start_ray(settings: Settings) -> RayHandle:
    """Start our Ray or adopt the one that runs (4 s when nothing else does). Raises RayFailed.

    With a head's address in the settings it joins that one as a further node.
    Its processes get this process's environment, with the HUB_* variables of these settings and no others: secrets travel there,
    never through Ray. Call `os.environ.update(ray_environment(settings))` before Ray is imported in this process.
    """
    run = RunFile(settings.home)
    with run.locked(patience=2 * START_SECONDS):
        first, raylet = run.child(_GCS), run.child(_RAYLET)
        if first is not None and raylet is not None:
            return _handle(settings, first, raylet)
        _end_all(run, patience=3)
        for left in (2, 1, 0):
            ports = run.ports(*_PORTS.values())
            try:
                return _launch(settings, run, ports)
            except RayFailed:
                _end_all(run, patience=3)
                if not left or all(port_is_free(port) for port in ports.values()):
                    raise
    raise AssertionError("unreachable")


def _command(settings: Settings, ports: dict[str, int], folder: Path) -> list[str]:
    joining = bool(settings.head_address)
    options = {option: ports[name] for option, name in _PORTS.items() if not joining or option not in _HEAD_ONLY}
    command = [
        sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start",
        *(f"--{option}={port}" for option, port in options.items()),
        "--min-worker-port=0", "--max-worker-port=0",  # whatever the system gives: Ray's default range meets other hubs' ports
        "--include-log-monitor=false", "--disable-usage-stats", "--num-cpus=64",
        f"--object-store-memory={OBJECT_STORE_BYTES}", f"--temp-dir={folder}",
    ]  # fmt: skip
    if settings.node_address:
        command.append(f"--node-ip-address={settings.node_address}")
    if joining:
        return [*command, f"--address={settings.head_address}"]
    password = urlsplit(settings.ray_redis_url).password
    if password:
        command.append(f"--redis-password={unquote(password)}")
    return [*command, "--head", "--dashboard-host=127.0.0.1", "--include-dashboard=true", "--no-monitor"]


def _store(settings: Settings) -> dict[str, str]:
    """Where GCS keeps what it must know after a restart."""
    if not settings.ray_redis_url:
        return {}
    parts = urlsplit(settings.ray_redis_url)
    secure = "rediss://" if parts.scheme == "rediss" else ""
    named = {"RAY_REDIS_USERNAME": unquote(parts.username)} if parts.username else {}
    return {"RAY_REDIS_ADDRESS": f"{secure}{parts.hostname}:{parts.port or 6379}", **named}


def _launch(settings: Settings, run: RunFile, ports: dict[str, int]) -> RayHandle:
    folder = ray_folder(run.home)
    _prune(folder)
    logs = run.home / "logs"
    logs.mkdir(mode=0o700, exist_ok=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HUB_") and name != "RAY_ADDRESS"}
    # Workers need neither the door to GCS's memory nor the token as a variable: Ray gives them the token's file.
    shared = settings.replace(ray_address="", ray_redis_url="", ray_token="")
    environment = {**inherited, **shared.to_environ(), **ray_environment(settings), **_store(settings)}
    command = _command(settings, ports, folder)
    with (logs / "ray.log").open("wb") as log:
        starter = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment)
    # Recorded before anything else exists, so that a start that dies here leaves nothing that cannot be found.
    with contextlib.suppress(ProcessLookupError):
        run.record(_GCS, starter.pid, session=starter.pid)
    try:
        code = starter.wait(timeout=START_SECONDS)
    except subprocess.TimeoutExpired:
        code = None
    family = _members(run, starter.pid)
    # Ray starts a server for its remote client and has no option against it: 90 MB and one more door that nobody here uses.
    _signal([process for process in family if "ray.util.client.server" in (process.info["cmdline"] or ())], signal.SIGKILL)
    named = {process.name(): process.pid for process in family}
    first = "raylet" if settings.head_address else "gcs_server"
    if code != 0 or not {first, "raylet"} <= named.keys():
        raise RayFailed(f"Ray did not start:\n{(logs / 'ray.log').read_text(errors='replace')[-1500:]}")
    skipped = {"ray-client-server-port", *(_HEAD_ONLY if settings.head_address else ())}
    listening = {option: ports[name] for option, name in _PORTS.items() if option not in skipped}
    recorded = run.record(_GCS, named[first], listening, starter.pid)
    raylet = run.record(_RAYLET, named["raylet"], session=starter.pid)
    return _handle(settings, recorded, raylet)


def _handle(settings: Settings, first: Child, raylet: Child) -> RayHandle:
    if settings.head_address:
        return RayHandle(settings.head_address, "", (raylet.pid,))
    dashboard = f"http://127.0.0.1:{first.ports['dashboard-port']}"
    return RayHandle(f"{settings.node_address or '127.0.0.1'}:{first.ports['port']}", dashboard, (first.pid, raylet.pid))


def _prune(folder: Path) -> None:
    """Drop the logs of older sessions; nothing of ours runs when this is called."""
    for old in sorted(folder.glob("session_2*"))[:-_KEPT_SESSIONS]:
        shutil.rmtree(old, ignore_errors=True)


def connect(address: str) -> None:
    """Join a Ray cluster as a driver in the hub's namespace; harmless when joined."""
    import ray

    if not ray.is_initialized():
        ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, configure_logging=False)


def disconnect() -> None:
    """Leave; detached actors and Serve go on."""
    import ray

    with contextlib.suppress(Exception):
        ray.shutdown()


def stop_ray(home: Path) -> None:
    """End our Ray with all its processes, and nobody else's. Nothing happens when it does not run."""
    run = RunFile(home)
    if run.home.exists():
        with run.locked(patience=2 * START_SECONDS):
            _end_all(run, patience=3)


def remove_ray_data(home: Path) -> None:
    """Stop our Ray and delete its logs, sockets and token for good: for tests and throwaway demos."""
    stop_ray(home)
    for folder in folders(home):
        shutil.rmtree(folder, ignore_errors=True)
    (home / "ray.token").unlink(missing_ok=True)


def _members(run: RunFile, session: int, since: float = 0.0) -> list[psutil.Process]:
    """The processes of a session that is ours: at least one names our folders, since a number may have gone to a stranger."""
    marks = (str(ray_folder(run.home)), str(haproxy_folder(run.home)))
    found: list[psutil.Process] = []
    proven = False
    for process in psutil.process_iter(["cmdline", "create_time", "uids"]):
        try:
            if os.getsid(process.pid) != session or process.info["uids"].real != os.getuid():
                continue
        except (ProcessLookupError, AttributeError):
            continue
        if process.info["create_time"] >= since - 1 and process.pid != os.getpid():
            found.append(process)
            proven = proven or any(mark in part for part in process.info["cmdline"] or () for mark in marks)
    return found if proven else []


def _end_all(run: RunFile, patience: float) -> None:
    recorded = [child for name, child in run.read().children.items() if name in (_GCS, _RAYLET)]
    for session in {child.session for child in recorded if child.session}:
        since = min(child.started for child in recorded if child.session == session)
        family = _members(run, session, since)
        _signal(family, signal.SIGTERM)
        psutil.wait_procs(family, timeout=patience)
        # Again, as a raylet may have started a worker meanwhile.
        for process in (rest := {*family, *_members(run, session, since)}):
            _signal([process], signal.SIGKILL)
        psutil.wait_procs(list(rest), timeout=5)
    for child in recorded:
        if is_alive(child):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
    run.forget(_GCS)
    run.forget(_RAYLET)


def _signal(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):  # psutil compares start times first, so a reused pid is spared
            process.send_signal(number)
