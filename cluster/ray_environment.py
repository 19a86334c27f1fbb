"""What Ray and Serve read from the environment before they start: lighter workers, HAProxy ingress, and nothing shared between hubs."""

import os
import re
import resource
import secrets
import stat
from pathlib import Path

from cluster.run_file import RunFile, fingerprint, write_private
from hub.settings import Settings

_RAY_PATH = 40  # of the 107 characters of a Unix socket's path, Ray puts up to 65 behind its folder
_HAPROXY_PATH = 29  # HAProxy takes 97, and Serve puts a node id and a name, 68, behind the folder
_PLAIN = re.compile(r"[\w./-]+")  # HAProxy's configuration and Ray's command lines split other paths
_FILES_PER_CONNECTION = 2.5
_WANTED_FILES = 65_536
HARD_STOP_SECONDS = 600  # a freed replica port waits as long, so a longer one would use the range up in a crash loop


def _outside(home: Path) -> Path:
    return Path("/tmp") / f"hub-{fingerprint(home)}"  # noqa: S108 - its owner is checked


def folders(home: Path) -> list[Path]:
    """Every folder that Ray and HAProxy write to for this home, whether or not it is there."""
    return [*(home / name for name in ("ray", "haproxy", "sock")), _outside(home)]


def _folder(home: Path, name: str, longest: int) -> Path:
    """A private folder of this home: inside it, or below /tmp where its path does not do. Raises PermissionError."""
    folder = home / name
    if len(str(folder)) > longest or not _PLAIN.fullmatch(str(folder)):
        base = _outside(home)
        base.mkdir(mode=0o700, exist_ok=True)
        found = base.lstat()
        if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
            raise PermissionError(f"{base} belongs to another user: remove it, or set HUB_HOME to another path")
        folder = base / name
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def ray_folder(home: Path) -> Path:
    """Ray's folder for its sockets and logs."""
    return _folder(home, "ray", _RAY_PATH)


def haproxy_folder(home: Path) -> Path:
    """HAProxy's folder for its configuration and state."""
    return _folder(home, "haproxy", 4096)


def file_limit() -> int:
    """Raise this process's limit of open files as far as it may (to 65536 at most) and return it; children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, _WANTED_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return _WANTED_FILES if soft == resource.RLIM_INFINITY else soft


def ray_environment(settings: Settings) -> dict[str, str]:
    """The variables for our own Ray and its drivers; empty with RAY_ADDRESS, since a cluster of yours brings its own.

    The same every time for one home and one machine. Put them into os.environ before Ray is imported.
    """
    if settings.ray_address:
        return {}
    run = RunFile(settings.home)
    with run.locked():
        token = run.home / "ray.token"
        if settings.ray_token and (not token.exists() or token.read_text() != settings.ray_token):
            write_private(token, settings.ray_token.encode())
        elif not token.exists():
            write_private(token, secrets.token_hex(32).encode())
        state = haproxy_folder(run.home)
        sockets = _folder(run.home, "sock", _HAPROXY_PATH)
        ports = _ports(run, "haproxy-stats", "haproxy-metrics", "serve-fallback", "serve-fallback-grpc", "ray-dashboard-metrics")
        low, high = run.port_range("serve-replicas")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        # Off, everything stays on 127.0.0.1. On, Ray replaces that address by the machine's outer one, even when it is given.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1" if settings.node_address else "0",
        "DASHBOARD_METRIC_PORT": str(ports["ray-dashboard-metrics"]),
        "RAY_worker_niceness": "0",
        "RAY_worker_num_grpc_internal_threads": "1",
        "RAY_core_worker_num_server_call_thread": "1",
        "RAY_start_python_gc_manager_thread": "0",
        "RAY_event_stats": "0",
        "RAY_DEDUP_LOGS": "0",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_LOG_TO_STDERR": "0",
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.front_middlewares",
        # Less than the apps' graceful_shutdown_timeout_s, or nothing of that is left to close connections in: the default is 30.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "4",
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "2",  # a dead HAProxy is started again after three misses: the default is 10
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        # Else a datagram a request goes to a port where mostly nobody listens. HAProxy ends the line at #, before Serve's own level.
        "RAY_SERVE_HAPROXY_LOG_TARGET": "127.0.0.1:514 local0 warning #",
        "RAY_SERVE_HAPROXY_MAXCONN": str(max(256, int(file_limit() / _FILES_PER_CONNECTION) - 100)),
        "RAY_SERVE_HAPROXY_NBTHREAD": str(max(1, min(4, cores // 2))),
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": str(HARD_STOP_SECONDS),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(state / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(state),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(state / "server-state"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(sockets / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(sockets / "metrics.sock"),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(ports["haproxy-stats"]),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports["haproxy-metrics"]),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(ports["serve-fallback"]),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(ports["serve-fallback-grpc"]),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(low),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(high - 50),
        "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": str(high - 49),
        "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": str(high),
        **(_among_nodes() if settings.node_address else {}),
    }


def _among_nodes() -> dict[str, str]:
    """How soon a dead node counts as dead, and how long the others wait for a head that is away; yours win.

    Ray's own figures let a dead node's owners stand still for up to a minute.
    """
    figures = {
        # A killed raylet fails three checks in 3 s; one that is cut off, or whose machine is gone, in about 9 s.
        "RAY_health_check_initial_delay_ms": "3000",
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_timeout_ms": "2000",
        "RAY_health_check_failure_threshold": "3",
        # Until then nodes go on without their head. Ray's 60 s are too few for a head on another machine.
        "RAY_gcs_rpc_server_reconnect_timeout_s": "900",
        "RAY_external_storage_namespace": "hub",
        # Another node's replica that does not answer: tried elsewhere after a second, left out after two.
        "RAY_SERVE_HAPROXY_TIMEOUT_CONNECT_S": "1",
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "1s",
        # HAProxy hears of a leaving node within a second: what drains need not wait 30.
        "RAY_SERVE_PROXY_MIN_DRAINING_PERIOD_S": "10",
    }
    return {name: os.environ.get(name, value) for name, value in figures.items()}


def _ports(run: RunFile, *names: str) -> dict[str, int]:
    """The recorded ports while our Ray runs (it listens there itself), else free ones."""
    recorded = run.read().ports
    if run.child("raylet") is not None and all(name in recorded for name in names):
        return {name: recorded[name] for name in names}
    return run.ports(*names)
