"""Our own single-node Ray: every port and path of its own, token authentication on, and only our own processes ended."""

import contextlib
import os
import resource
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import psutil

from cluster.run_file import Child, RunFile, fingerprint, is_alive, spawned, write_private
from hub.settings import Settings

START_SECONDS = 60


class RayHandle(msgspec.Struct, frozen=True):
    """Where our Ray listens."""

    address: str
    dashboard_url: str


class RayFailed(RuntimeError):
    """Ray does not start; the message holds the end of its log."""


def _replica_ports(home: Path) -> tuple[int, int]:
    # Serve takes the first free port of a range; two hubs get ranges that do not meet.
    number = int(fingerprint(home)[:4], 16) % 80
    low = 30_000 + number * 25
    return low, low + 24


def _short(home: Path) -> Path:
    # Unix sockets have 107 characters; Ray puts some of its own behind this folder.
    own = home / "ray"
    if len(str(own)) < 40:
        return own
    return Path("/tmp") / f"hub-ray-{os.getuid()}-{fingerprint(home)}"  # noqa: S108


def ray_environment(settings: Settings) -> dict[str, str]:
    """What Ray and Serve read before they start: lighter workers, HAProxy ingress with ports and paths per hub."""
    home = settings.home
    RunFile(home).prepare()
    folder = home / "haproxy"
    folder.mkdir(parents=True, exist_ok=True)
    sockets = _short(home) / "ha"
    sockets.mkdir(parents=True, exist_ok=True)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    low, high = _replica_ports(home)
    cores = os.cpu_count() or 1
    if not (home / "ray.token").exists():
        write_private(home / "ray.token", secrets.token_hex(32).encode())
    run = RunFile(home)
    with run.locked():
        ports = run.ports("haproxy-stats", "haproxy-metrics", "serve-fallback", "serve-fallback-grpc")
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(home / "ray.token"),
        "RAY_USAGE_STATS_ENABLED": "0",
        # Ray resolves 127.0.0.1 to the machine's outer address unless it is told that it is no cluster.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_worker_niceness": "0",
        "RAY_worker_num_grpc_internal_threads": "1",
        "RAY_core_worker_num_server_call_thread": "1",
        "RAY_start_python_gc_manager_thread": "0",
        "RAY_event_stats": "0",
        "OPENBLAS_NUM_THREADS": "1",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_MAXCONN": str(max(256, min(50_000, int(soft / 2.5) - 100))),
        "RAY_SERVE_HAPROXY_NBTHREAD": str(max(1, min(2, cores // 2))),
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "600",
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(sockets / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(sockets / "metrics.sock"),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(ports["haproxy-stats"]),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports["haproxy-metrics"]),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(ports["serve-fallback"]),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(ports["serve-fallback-grpc"]),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(low),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(high),
        "RAY_SERVE_LOG_TO_STDERR": "0",
        "RAY_DEDUP_LOGS": "0",
        "PYTHONUNBUFFERED": "1",
    }


_PORTS = (
    "port",
    "node-manager-port",
    "object-manager-port",
    "dashboard-port",
    "dashboard-agent-grpc-port",
    "dashboard-agent-listen-port",
    "runtime-env-agent-grpc-port",
    "metrics-export-port",
    "ray-client-server-port",
)


def start_ray(settings: Settings) -> RayHandle:
    """Start our Ray or adopt the one that runs; the environment must be in os.environ first. Raises RayFailed."""
    home = settings.home
    run = RunFile(home)
    with run.locked():
        child = run.child("ray")
        if child is not None:
            return _handle(child.ports)
        return _launch(settings, run, run.ports(*_PORTS))


def _launch(settings: Settings, run: RunFile, ports: dict[str, int]) -> RayHandle:
    home = settings.home
    temporary = _short(home)
    temporary.mkdir(parents=True, exist_ok=True)
    log_path = home / "logs" / "ray.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    options = [
        *(f"--{name}={port}" for name, port in ports.items()),
        "--min-worker-port=0",
        "--max-worker-port=0",
        "--node-ip-address=127.0.0.1",
        "--dashboard-host=127.0.0.1",
        "--include-dashboard=true",
        "--disable-usage-stats",
        "--num-cpus=64",
        "--object-store-memory=80000000",
        f"--temp-dir={temporary}",
    ]
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", *options],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **ray_environment(settings), **settings.to_environ()},
        )
    child = run.record("ray", spawned(process), ports)
    limit = time.monotonic() + START_SECONDS
    while time.monotonic() < limit:
        if not is_alive(child):
            break
        if "Ray runtime started" in log_path.read_text(errors="replace"):
            return _handle(ports)
        time.sleep(0.1)
    _end_tree(child, 2)
    run.forget("ray")
    raise RayFailed(f"Ray did not start:\n{log_path.read_text(errors='replace')[-1500:]}")


def _handle(ports: dict[str, int]) -> RayHandle:
    return RayHandle(f"127.0.0.1:{ports['port']}", f"http://127.0.0.1:{ports['dashboard-port']}")


def connect(address: str) -> None:
    """Join a Ray cluster as a driver in the hub's namespace; harmless when joined."""
    import ray

    if not ray.is_initialized():
        ray.init(address=address, namespace="hub", log_to_driver=False, configure_logging=False)


def disconnect() -> None:
    """Leave; detached actors and Serve go on."""
    import ray

    with contextlib.suppress(Exception):
        ray.shutdown()


def stop_ray(home: Path) -> None:
    """End our Ray with all its processes, and nobody else's."""
    run = RunFile(home)
    with run.locked():
        child = run.child("ray")
        if child is not None:
            _end_tree(child, 15)
        run.forget("ray")


def _end_tree(child: Child, seconds: float) -> None:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(child.pid)
        family = [*process.children(recursive=True), process]
        process.send_signal(signal.SIGTERM)
        psutil.wait_procs([process], timeout=seconds)
        for each in family:
            with contextlib.suppress(psutil.Error):
                each.kill()
        psutil.wait_procs(family, timeout=5)
