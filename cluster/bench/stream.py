"""`hub bench stream`: sockets held, what each costs, how soon an event is everywhere, and how clients come back after a death."""

import asyncio
import contextlib
import json
import math
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import psutil

from cluster.bench.environment import bare_hub
from cluster.bench.machine import machine, percentile
from cluster.bench.stream_client import JITTER_SECONDS, SUBJECT
from cluster.ray_environment import file_limit
from cluster.run_file import RunFile
from cluster.start import Running, Say
from hub.database.pool import Database
from hub.events.news import publish_news
from hub.identity import tokens
from hub.identity.principal import Principal
from hub.ids import new_id
from hub.settings import Settings
from hub.tenancy import create_tenant, create_user

Kill = Literal["", "replica", "haproxy", "reload", "drain"]
HARD_STOP_SECONDS = 10
"""How long an old HAProxy keeps its sockets after a reload, in the runs that wait for it."""
IDLE_SECONDS = 20.0
PATIENCE_SECONDS = 120.0
LARGE = 50_000
_INSERT = "insert into hub.events (tenant_id, type, subject, location, data, correlation, at) values ($1, $2, $3, '', $4, '', hub.clock())"


class Crowd:
    """The clients' process."""

    def __init__(self, settings: Settings, tokens_file: Path) -> None:
        command = [sys.executable, "-m", "cluster.bench.stream_client", settings.host, str(settings.port), str(tokens_file)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        """Tell it something and read the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def until(self, seconds: float, **wanted: int) -> dict[str, Any]:
        """Wait until counts are at least as wanted; returns the status either way."""
        end = time.monotonic() + seconds
        while True:
            found = self.ask("status")
            if all(found[name] >= value for name, value in wanted.items()) or time.monotonic() > end:
                return found
            time.sleep(0.2)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


class Happenings:
    """Events in a row, committed one by one as the hub's owners would, with the time of each commit."""

    def __init__(self, running: Running, tenant: str) -> None:
        self._running, self._tenant = running, tenant
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.last = 0
        self._going: Any = None
        self._database, self._redis = self._run(self._open())

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self) -> tuple[Database, Any]:
        import redis.asyncio

        settings = self._running.settings
        database = await Database(settings.database_url, application="hub bench", most=1).open()
        return database, redis.asyncio.Redis.from_url(settings.redis_url)

    async def _happen(self) -> float:
        self.last += 1
        data = {"order": new_id("ord"), "state": "accepted", "version": 4, "step": "accepted_by_pos", "note": "two portions, no onions"}
        async with self._database.tenant(self._tenant) as transaction:
            await transaction.execute(_INSERT, self._tenant, "order.updated", f"{SUBJECT}{self.last}", data)
        committed = time.monotonic()
        await publish_news(self._redis, [self._tenant])
        return committed

    def one(self) -> float:
        """Commit one; returns when it was committed."""
        return float(self._run(self._happen()))

    @contextlib.contextmanager
    def going_on(self, per_second: float) -> Iterator[None]:
        """Commit so many a second inside the block."""

        async def work() -> None:
            while True:
                await self._happen()
                await asyncio.sleep(1 / per_second)

        going = asyncio.run_coroutine_threadsafe(work(), self._loop)
        try:
            yield
        finally:
            going.cancel()
            time.sleep(0.2)

    def close(self) -> None:
        """Stop."""
        self._run(self._database.close())
        self._run(self._redis.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


async def _people(running: Running, count: int) -> tuple[str, list[str]]:
    """A tenant, and an access token of a session of its own for each socket."""
    master = running.settings.open_master_keys()
    database = await Database(running.settings.database_url, application="hub bench").open()
    try:
        tenant = await create_tenant(database, "Bench", demo=True)
        user = (
            await create_user(database, f"{tenant}@bench.invalid", tenant=tenant, role="manager", password=secrets.token_urlsafe(12))
        ).id
        sessions = [new_id("ses") for _ in range(count)]
        await database.execute("select hub.session_create(s, $2, $3, s::bytea, 86400) from unnest($1::text[]) s", sessions, user, tenant)
        return tenant, [tokens.issue(master, Principal(tenant, user, "manager", False, each), lifetime=86400) for each in sessions]
    finally:
        await database.close()


class Hub:
    """The processes that sockets go through."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._home = running.settings.home

    def kin(self) -> list[psutil.Process]:
        """Every process of the hub's Ray."""
        session = RunFile(self._home).read().children["ray"].session
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(OSError, psutil.Error):
                if os.getsid(process.pid) == session:
                    found.append(process)
        return found

    def replicas(self) -> list[psutil.Process]:
        """The live replicas."""
        return [process for process in self.kin() if "ServeReplica:live" in " ".join(process.cmdline())]

    def haproxies(self) -> list[psutil.Process]:
        """HAProxy's processes, old ones too."""
        return [process for process in self.kin() if process.name() == "haproxy"]

    def drain(self) -> None:
        """Take the live app away as a shutdown does, and bring it back."""
        from ray import serve

        from serve_app import LIVE, deploy

        serve.delete(LIVE)
        deploy(self._running.settings)

    def metrics(self) -> dict[str, float]:
        """What the live replicas tell Ray's metrics."""
        port = RunFile(self._home).read().children["ray"].ports["metrics-export-port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        found: dict[str, float] = {}
        for line in lines:
            name = line.partition("{")[0].removeprefix("ray_")
            if name.startswith("hub_live"):
                found[name] = found.get(name, 0.0) + float(line.rpartition(" ")[2])
        return found

    def fallback_sockets(self) -> int:
        """Connections that Serve's own proxy holds from HAProxy."""
        port = RunFile(self._home).read().ports["serve-fallback"]
        connections = psutil.net_connections("tcp")
        return sum(1 for each in connections if each.status == "ESTABLISHED" and each.laddr and each.laddr.port == port)


def _memory(processes: list[psutil.Process]) -> int:
    return sum(int(process.memory_full_info().pss) for process in processes)


def _cpu(processes: list[psutil.Process]) -> float:
    return float(sum(sum(process.cpu_times()[:2]) for process in processes))


def _kernel() -> int:
    """Bytes of the kernel's slabs and socket buffers."""
    slab = next(int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("Slab:"))
    sockets = Path("/proc/net/sockstat").read_text().split("TCP: ")[1].split()
    return slab * 1024 + int(sockets[sockets.index("mem") + 1]) * 4096


def bench_stream(settings: Settings, say: Say, *, sockets: int, events: int, kill: Kill, rate: float) -> dict[str, Any]:
    """Hold sockets and measure; returns figures, with `void` when the clients' process was the limit."""
    import cluster.ray_environment as environment

    if kill == "reload":
        environment.HARD_STOP_SECONDS = HARD_STOP_SECONDS
    with bare_hub(settings, say) as running, tempfile.TemporaryDirectory(prefix="hub-bench-") as folder, contextlib.ExitStack() as stack:
        tenant, given = asyncio.run(_people(running, sockets))
        file = Path(folder) / "tokens"
        file.touch(0o600)
        file.write_text("\n".join(given))
        crowd, hub = Crowd(running.settings, file), Hub(running)
        stack.callback(crowd.close)
        happenings = Happenings(running, tenant)
        stack.callback(happenings.close)
        result: dict[str, Any] = {"machine": machine(), "sockets": sockets, "files": file_limit()}
        result |= _hold(crowd, hub, sockets, say)
        if result["open"] < sockets:
            return {**result, "void": "not all sockets got in"}
        result |= _fan_out(crowd, hub, happenings, sockets, events, say)
        result |= _idle(hub, say)
        result["metrics"] = hub.metrics()
        if kill:
            result["kill"] = _kill(crowd, hub, happenings, sockets, kill, rate, say)
        result |= _extrapolate(result)
        return result


def _hold(crowd: Crowd, hub: Hub, sockets: int, say: Say) -> dict[str, Any]:
    crowd.ask("open", count=100, rate=500.0)  # the first ones pay for what is made once
    crowd.until(30, open=100)
    time.sleep(2.0)
    replicas, haproxies = hub.replicas(), hub.haproxies()
    before = _memory(replicas), _memory(haproxies), _kernel(), _cpu(replicas)
    began = time.monotonic()
    crowd.ask("open", count=sockets - 100, rate=800.0)
    found = crowd.until(PATIENCE_SECONDS, open=sockets)
    seconds = time.monotonic() - began
    say(f"{found['open']} sockets after {seconds:.0f} s")
    opening = _cpu(replicas) - before[3]
    time.sleep(3.0)
    more = max(1, found["open"] - 100)

    def each(value: float) -> float:
        return float(round(value / more / 1024, 1))

    return {
        "open": found["open"],
        "refused": found["refused"],
        "opening_seconds": round(seconds, 1),
        "opening_cpu_us": round(opening / more * 1e6),
        "replica_kb": each(_memory(replicas) - before[0]),
        "haproxy_kb": each(_memory(haproxies) - before[1]),
        "kernel_kb": each(_kernel() - before[2]),
    }


def _fan_out(crowd: Crowd, hub: Hub, happenings: Happenings, sockets: int, events: int, say: Say) -> dict[str, Any]:
    every, last, client, shares = [], [], [], []
    replicas = hub.replicas()
    before = _cpu(replicas)
    for _ in range(events):
        cpu = crowd.ask("status")["cpu"]
        committed = happenings.one()
        crowd.until(30, heard_by_all=happenings.last)
        found = crowd.ask("arrivals", number=happenings.last)
        arrived = [(at - committed) * 1000 for at in found["at"]]
        every += arrived
        last.append(max(arrived))
        client.append((found["cpu"] - cpu) * 1000)
        shares.append(client[-1] / max(arrived))
        time.sleep(0.3)
    cpu_ms = (_cpu(replicas) - before) / events * 1000
    say(f"an event is at all {sockets} after {statistics.median(last):.0f} ms")
    return {
        "fan_out_ms": {"p50": round(percentile(every, 0.5), 1), "p99": round(percentile(every, 0.99), 1)},
        "last_client_ms": {"p50": round(percentile(last, 0.5), 1), "p99": round(percentile(last, 0.99), 1)},
        "replica_cpu_ms_an_event": round(cpu_ms, 1),
        "client_cpu_ms_an_event": round(statistics.median(client), 1),
        "void": "the clients' process was busy for nearly all of the time" if statistics.median(shares) > 0.9 else False,
    }


def _idle(hub: Hub, say: Say) -> dict[str, Any]:
    say(f"idling for {IDLE_SECONDS:.0f} s")
    replicas, haproxies = hub.replicas(), hub.haproxies()
    before = _cpu(replicas), _cpu(haproxies)
    time.sleep(IDLE_SECONDS)
    replica, haproxy = ((_cpu(each) - was) / IDLE_SECONDS * 100 for each, was in zip((replicas, haproxies), before, strict=True))
    return {"idle_replica_cpu_percent": round(replica, 1), "idle_haproxy_cpu_percent": round(haproxy, 1)}


def _kill(crowd: Crowd, hub: Hub, happenings: Happenings, sockets: int, kill: Kill, rate: float, say: Say) -> dict[str, Any]:
    """Cut every client and wait until all are back and have heard everything."""
    before = crowd.ask("status")
    crowd.ask("mark")
    with happenings.going_on(rate):
        time.sleep(1.0)
        began = time.monotonic()
        if kill == "replica":
            hub.replicas()[0].send_signal(signal.SIGKILL)
        elif kill == "haproxy":
            for process in hub.haproxies():
                process.send_signal(signal.SIGKILL)
        elif kill == "reload":
            _reload()
        else:
            hub.drain()
        crowd.until(PATIENCE_SECONDS, cuts=before["cuts"] + 1)
        cut_after = time.monotonic() - began
        time.sleep(2.0)  # all within it, or those of the replica that died
        cut = crowd.ask("status")
        found = crowd.until(PATIENCE_SECONDS, open=sockets)
        time.sleep(3.0)
    found = crowd.until(30, open=sockets, heard_by_all=happenings.last)
    say(f"all back after {found['last_hello'] - began:.1f} s")
    since = began + (cut_after if kill == "reload" else 0.0)
    hellos = [at - since for at in crowd.ask("hellos")["at"]]
    return {
        "what": kill,
        "cut": cut["cuts"] - before["cuts"],
        "open": found["open"],
        "cut_after_seconds": round(cut_after, 1),
        "first_back_after_seconds": round(min(hellos, default=math.nan), 1),
        "resumed_after_seconds": round(max(hellos, default=math.nan), 1),
        "back_in_second": dict(sorted(Counter(int(at) for at in hellos).items())),
        "jitter_seconds": JITTER_SECONDS,
        "client_cpu_share": round((found["cpu"] - before["cpu"]) / (time.monotonic() - began + 1), 2),
        "events_meanwhile": happenings.last - before["heard_by_all"],
        "heard_by_all": found["heard_by_all"] == happenings.last,
        "missed": found["missed"] - before["missed"],
        "repeated": found["repeated"] - before["repeated"],
        "behind": found["behind"] - before["behind"],
        "refused": found["refused"],
        "closed_with": found["codes"],
        "left_on_fallback": hub.fallback_sockets(),
    }


def _reload() -> None:
    """Have HAProxy reload as any change of an app's replicas does: by one more app."""
    from ray import serve

    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    deployment = serve.deployment(name="bench", num_replicas=1, ray_actor_options={"num_cpus": 0})
    app = deployment(serve.ingress(lambda: nothing)(type("bench", (), {}))).bind()
    serve.run(app, name="bench", route_prefix="/bench-reload", blocking=False)


def _extrapolate(result: dict[str, Any]) -> dict[str, Any]:
    """What LARGE sockets would take, by what each cost here, and what stopped a larger run."""
    each = result["replica_kb"] + result["haproxy_kb"] + result["kernel_kb"]
    factor = LARGE / result["sockets"]
    return {
        "at_50000": {
            "memory_gib": round(each * LARGE / 2**20, 2),
            "replica_cpu_ms_an_event": round(result["replica_cpu_ms_an_event"] * factor),
            "idle_cpu_percent": round((result["idle_replica_cpu_percent"] + result["idle_haproxy_cpu_percent"]) * factor, 1),
            "files": {"haproxy": 2 * LARGE, "replicas": LARGE},
        },
        "limit": f"{result['files']} open files a process: HAProxy needs two a socket, so {result['files'] * 2 // 5 - 100} by its maxconn",
    }
