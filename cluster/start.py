"""Bring a hub up and down: databases, schema, Ray, Serve, owners. The same path with servers of ours or of yours."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import structlog

from actors.process import code_version
from cluster.embedded import KEPT, forget_head, start_postgres, start_valkey, stop
from cluster.keeper import TAKEN_DOWN, Keeper
from cluster.ray_cluster import connect, disconnect, ray_environment, start_ray, stop_ray
from cluster.run_file import RunFile
from hub.database.durability import check_durability
from hub.database.migrate import migrate
from hub.settings import Settings

log = structlog.get_logger("hub.start")

READY_SECONDS = 60.0
LOOPBACK = "127.0.0.1"
DRAIN_SECONDS = 10.0
DRAINED_AT_ONCE = 100
REVIVE_SECONDS = 90.0
Say = Callable[[str], None]


class Running(msgspec.Struct, frozen=True):
    """A hub that is up. `keeper` starts embedded servers again that died."""

    settings: Settings
    dashboard_url: str
    keeper: Keeper | None = None


class NotHere(RuntimeError):
    """The command is not for this machine; the message says which is."""


class NotReady(RuntimeError):
    """The hub did not answer in time; the message says what its health check says."""


def with_servers(settings: Settings, say: Say) -> Settings:
    """Settings with the URLs of the embedded servers where none are configured; starts those."""
    changes: dict[str, str] = {}
    listen = settings.node_address or LOOPBACK
    if not settings.database_url:
        say("starting PostgreSQL")
        urls = start_postgres(settings.home, listen)
        changes |= {
            "database_url": urls.api_url,
            "actor_database_url": urls.actor_url,
            "admin_database_url": urls.admin_url,
        }
    if not settings.redis_url:
        say("starting Valkey")
        changes["redis_url"] = start_valkey(settings.home, listen)
    if settings.node_address and not settings.ray_redis_url:
        changes["ray_redis_url"] = start_valkey(settings.home, name=KEPT)
    return settings.replace(home=settings.home.absolute(), **changes)


def _starts(configured: Settings, complete: Settings) -> dict[str, Callable[[], object]]:
    """What this hub runs for itself, and how each starts again. Ray of several nodes has a memory: its apps come back with it."""
    home, listen = configured.home, configured.node_address or LOOPBACK
    starts: dict[str, Callable[[], object]] = {}
    if not configured.database_url:
        starts["postgres"] = partial(start_postgres, home, listen)
    if not configured.redis_url:
        starts["valkey"] = partial(start_valkey, home, listen)
    if configured.node_address and not configured.ray_redis_url:
        starts[KEPT] = partial(start_valkey, home, name=KEPT)
    if not configured.ray_address:
        starts["ray"] = starts["raylet"] = partial(start_ray if configured.node_address else revive_ray, complete)
    return starts


def revive_ray(settings: Settings) -> None:
    """Start our Ray anew with everything on it, after its GCS or raylet died: this one has no memory that outlives it.

    Nothing is lost, since all that matters is in the database. The apps are deployed by a process of their own, because a driver ends
    with its raylet. Returns when they are, or when Ray died again.
    """
    start_ray(settings)
    run = RunFile(settings.home)

    def stands() -> bool:
        return all(run.child(name) is not None for name in ("ray", "raylet")) and not (settings.home / TAKEN_DOWN).exists()

    while stands():
        if _deployed_again(settings, stands):
            log.warning("Ray runs again")
            return
        time.sleep(1.0)


def _deployed_again(settings: Settings, stands: Callable[[], bool]) -> bool:
    """Run `deploy_again` in a process of its own, as long as Ray stands; tell whether it succeeded."""
    command = [sys.executable, "-c", "from cluster.start import deploy_again; deploy_again()"]
    environment = {**os.environ, **settings.to_environ(), **ray_environment(settings)}
    with (settings.home / "logs" / "revival.log").open("ab") as output:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    limit = time.monotonic() + REVIVE_SECONDS
    try:
        while process.poll() is None and stands() and time.monotonic() < limit:
            time.sleep(0.2)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait() == 0


def deploy_again() -> None:
    """Put owners and apps onto this hub's Ray, in a process of their own."""
    settings = Settings.load()
    child = RunFile(settings.home).child("ray")
    if child is None:
        raise SystemExit("Ray is not there")  # connected to none, Ray would start one of its own
    connect(f"127.0.0.1:{child.ports['port']}")
    _deploy(settings)


def up(settings: Settings, say: Say) -> Running:
    """Bring everything up and wait until it answers; what failed is raised after what was started is ended."""
    if settings.head_address:
        raise NotHere("HUB_HEAD_ADDRESS makes this machine a further node: use `hub node join`")
    configured = settings
    try:
        return _up(settings, say)
    except BaseException:
        with contextlib.suppress(Exception):
            down(Running(configured, ""))
        raise


def _up(settings: Settings, say: Say) -> Running:
    (settings.home / TAKEN_DOWN).unlink(missing_ok=True)
    configured, settings = settings, with_servers(settings, say)
    settings.open_master_keys(create=True)
    say("migrating the schema")
    admin = settings.admin_database_url or settings.database_url
    asyncio.run(check_durability(settings.database_url))
    asyncio.run(migrate(admin))
    # The admin's password stays here: processes of the cluster do not need it.
    inherited = settings.replace(admin_database_url="")
    os.environ.update(ray_environment(settings))
    os.environ.update(inherited.to_environ())
    os.environ.pop("HUB_ADMIN_DATABASE_URL", None)
    dashboard = ""
    if settings.ray_address:
        connect(settings.ray_address)
    else:
        say("starting Ray")
        handle = start_ray(inherited)
        dashboard = handle.dashboard_url
        connect(handle.address)
    say("starting the API and the owners")
    _deploy(inherited)
    wait_until_ready(settings)
    keeper = Keeper(settings.home, _starts(configured, inherited))
    keeper.start()
    return Running(settings, dashboard, keeper)


def _deploy(settings: Settings) -> None:
    from actors.supervisor import ensure_supervision
    from serve_app import deploy

    ensure_supervision(code_version())
    deploy(settings)


def wait_until_ready(settings: Settings, seconds: float = READY_SECONDS) -> None:
    """Wait for /health/ready; raises NotReady."""
    url = f"http://{settings.host}:{settings.port}/health/ready"
    limit = time.monotonic() + seconds
    last = "no answer"
    while time.monotonic() < limit:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except urllib.error.HTTPError as error:
            last = error.read().decode(errors="replace")[:500]
        except OSError as error:
            last = str(error)
        time.sleep(0.1)
    raise NotReady(f"{url} is not ready after {seconds:.0f} s: {last}")


def drain() -> None:
    """Have owners finish what runs and let go; no order is lost by what comes after. The Supervisor first: it would start them again."""
    from actors.nodes import homes
    from actors.supervisor import SCHEDULER, SUPERVISOR

    _end([SUPERVISOR, SCHEDULER], lambda handle: handle.stop.remote(), 10)
    hosts = sorted(homes())
    for start in range(0, len(hosts), DRAINED_AT_ONCE):
        _end(hosts[start : start + DRAINED_AT_ONCE], lambda handle: handle.drain.remote(DRAIN_SECONDS), DRAIN_SECONDS + 10)


def _end(names: list[str], ask: Callable[[Any], Any], seconds: float) -> None:
    """Ask actors to end, wait for their answers together, and end their processes."""
    import ray

    handles, answers = [], []
    for name in names:
        with contextlib.suppress(Exception):
            handle = ray.get_actor(name, "hub")
            handles.append(handle)
            answers.append(ask(handle))
    if answers:
        ray.wait(answers, num_returns=len(answers), timeout=seconds)
    for handle in handles:
        with contextlib.suppress(Exception):
            ray.kill(handle)


def down(running: Running, *, keep_cluster: bool = False) -> None:
    """Drain owners, take the apps away, end what is ours. With RAY_ADDRESS the cluster stays."""
    settings = running.settings
    with contextlib.suppress(OSError):
        (settings.home / TAKEN_DOWN).touch()
    try:
        attach(settings)
        drain()
    except Exception as error:  # what runs is cut then, as by a crash: it goes on when the hub is up again
        log.warning("owners were not drained", error=f"{type(error).__name__}: {error}")
    if settings.ray_address or keep_cluster:
        from ray import serve

        with contextlib.suppress(Exception):
            for name in ("live", "api"):
                serve.delete(name)
        disconnect()
        return
    if running.keeper is not None:
        running.keeper.stop()
    disconnect()
    stop_ray(settings.home)
    if settings.node_address:
        forget_ray(settings)
    stop(settings.home)


def leave(settings: Settings) -> None:
    """Leave our own Ray as a driver: one ends with its raylet, and this process must live to start that again."""
    if not settings.ray_address:
        disconnect()


def forget_ray(settings: Settings) -> None:
    """Delete what the head kept for its restart: after an end on purpose the next start begins anew."""
    if not settings.ray_redis_url:
        forget_head(settings.home)
        return
    parts = urlsplit(settings.ray_redis_url)
    from ray._private.gcs_utils import cleanup_redis_storage

    with contextlib.suppress(Exception):
        cleanup_redis_storage(
            host=str(parts.hostname),
            port=parts.port or 6379,
            password=unquote(parts.password or ""),
            use_ssl=parts.scheme == "rediss",
            storage_namespace=ray_environment(settings)["RAY_external_storage_namespace"],
        )


def head_of(settings: Settings) -> str:
    """The address `host:port` of the Ray head that this home belongs to; empty when none runs."""
    child = RunFile(settings.home).child("ray")
    own = f"{settings.node_address or LOOPBACK}:{child.ports['port']}" if child is not None and "port" in child.ports else ""
    return settings.ray_address or settings.head_address or own


def attach(settings: Settings) -> None:
    """Join the cluster of a hub that runs, if one does."""
    os.environ.update(ray_environment(settings))
    address = head_of(settings)
    if address:
        with contextlib.suppress(Exception):
            connect(address)
