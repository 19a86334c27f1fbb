"""The embedded servers: who they run as, what they allow, and that they come back after anything."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis

from cluster.embedded import EmbeddedError, PostgresUrls, remove_data, start_postgres, start_valkey, stop
from cluster.embedded.account import find_place
from cluster.run_file import Child, RunFile, started_at

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home in a path with a space, below a parent that only its owner can enter."""
    path = tmp_path_factory.mktemp("a home") / ".hub"
    yield path
    remove_data(path)


@pytest.fixture
def urls(home: Path) -> PostgresUrls:
    """The running PostgreSQL's addresses; a test may kill it."""
    return start_postgres(home)


def ask(url: str, query: str) -> object:
    """One value of a query."""

    async def run() -> object:
        connection = await asyncpg.connect(url, timeout=10)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(run())


def recorded(home: Path, name: str) -> Child:
    """The recorded child."""
    return RunFile(home).read().children[name]


def kill(pid: int) -> None:
    """Kill one process with -9 and wait until it is gone."""
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while started_at(pid) and time.monotonic() < deadline:
        time.sleep(0.01)


def test_services_cannot_bypass_row_security(urls: PostgresUrls) -> None:
    """The api's and the actors' roles are members of hub_service and neither superusers nor free of row security."""
    for url, limit in ((urls.api_url, -1), (urls.actor_url, 100)):
        assert (
            ask(url, "select rolsuper or rolbypassrls or rolcreaterole or rolcreatedb from pg_roles where rolname = current_user") is False
        )
        assert ask(url, "select pg_has_role(current_user, 'hub_service', 'member')") is True
        assert ask(url, "select rolconnlimit from pg_roles where rolname = current_user") == limit
    assert ask(urls.admin_url, "select rolsuper and current_user = 'hub_admin' from pg_roles where rolname = current_user") is True


@pytest.mark.parametrize(
    ("name", "value"), [("lock_timeout", "2s"), ("statement_timeout", "15s"), ("idle_in_transaction_session_timeout", "5s")]
)
def test_services_have_timeouts(urls: PostgresUrls, name: str, value: str) -> None:
    """A stopped owner cannot hold a lock for long: its role's timeouts end it."""
    assert ask(urls.actor_url, f"show {name}") == value
    assert ask(urls.api_url, f"show {name}") == value


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
def test_commits_are_durable(urls: PostgresUrls, name: str) -> None:
    """What keeps a committed row through a power cut is on."""
    assert ask(urls.api_url, f"show {name}") == "on"


def test_wrong_or_no_password_is_refused(urls: PostgresUrls) -> None:
    """Nobody on the machine connects without the password, the superuser included."""
    where = urls.admin_url.partition("@")[2]
    for user in ("hub_admin", "hub_admin:wrong", "postgres"):
        with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)):
            ask(f"postgresql://{user}@{where}", "select 1")


def test_servers_listen_on_loopback_only(home: Path, urls: PostgresUrls) -> None:
    """Neither server can be reached from another machine."""
    start_valkey(home)
    for name in ("postgres", "valkey"):
        process = psutil.Process(recorded(home, name).pid)
        listening = {c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}
        assert listening == {"127.0.0.1"}


def test_servers_do_not_run_as_root(home: Path, urls: PostgresUrls) -> None:
    """Started as root they run as an unprivileged user that no folder outside ours was opened for."""
    start_valkey(home)
    for name in ("postgres", "valkey"):
        assert psutil.Process(recorded(home, name).pid).uids().effective != 0
    assert stat.S_IMODE(home.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(find_place(home).folder.stat().st_mode) == 0o700


def test_passwords_are_private(home: Path, urls: PostgresUrls) -> None:
    """Passwords lie in one file of mode 0600 and are seen neither in process lists nor in logs nor in run.json."""
    file = home / "passwords.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    start_valkey(home)
    secrets = [part.partition(":")[2].partition("@")[0] for part in (urls.admin_url[13:], urls.api_url[13:], urls.actor_url[13:])]
    seen = " ".join(str(p.cmdline()) for p in psutil.Process(recorded(home, "valkey").pid).parents()) + str(
        [psutil.Process(recorded(home, name).pid).cmdline() for name in ("postgres", "valkey")]
    )
    seen += "".join(path.read_text(errors="replace") for path in [home / "run.json", *(home / "logs").iterdir()])
    assert all(len(secret) == 48 and secret not in seen for secret in secrets)


def test_second_start_adopts_the_running_server(home: Path, urls: PostgresUrls) -> None:
    """A start beside a running server gives the same addresses and the same process, even when run.json was lost."""
    before = recorded(home, "postgres")
    assert start_postgres(home) == urls
    (home / "run.json").unlink()
    assert start_postgres(home) == urls
    assert recorded(home, "postgres") == before


def test_concurrent_starts_make_one_server(tmp_path: Path) -> None:
    """Starts at once, in one process and in another, wait for each other and end with one server."""
    home = tmp_path / ".hub"
    try:
        script = (
            f"from pathlib import Path; from cluster.embedded import start_postgres; print(start_postgres(Path({str(home)!r})).api_url)"
        )
        other = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        with ThreadPoolExecutor(2) as pool:
            ours = {future.result() for future in [pool.submit(start_postgres, home) for _ in range(2)]}
        assert {other.communicate(timeout=60)[0].strip()} == {url.api_url for url in ours}
    finally:
        remove_data(home)


def test_recovers_after_everything_was_killed(home: Path, urls: PostgresUrls) -> None:
    """After kill -9 of the postmaster, committed rows are there, on the same port, though a backend of it hangs on."""
    ask(urls.admin_url, "create table if not exists kept (n int)")
    ask(urls.admin_url, "insert into kept values (1)")
    postmaster = psutil.Process(recorded(home, "postgres").pid)
    backend = next(child for child in postmaster.children() if "checkpointer" in " ".join(child.cmdline()))
    backend.suspend()  # it holds the shared memory that blocks the next start
    kill(postmaster.pid)
    assert start_postgres(home) == urls
    assert ask(urls.admin_url, "select count(*) from kept") == 1
    assert not started_at(backend.pid)
    ask(urls.admin_url, "drop table kept")


def test_stale_pid_file_of_a_stranger_is_no_obstacle(home: Path, urls: PostgresUrls) -> None:
    """When the old postmaster's pid belongs to another process by now, that process is spared and the server starts."""
    kill(recorded(home, "postgres").pid)
    place = find_place(home)
    with subprocess.Popen(["/bin/sleep", "60"], user=place.uid, group=place.gid, extra_groups=place.groups, cwd="/") as stranger:
        pid_file = place.folder / "postgres/postmaster.pid"
        pid_file.write_text("\n".join([str(stranger.pid), *pid_file.read_text().splitlines()[1:]]) + "\n")
        assert start_postgres(home) == urls
        assert stranger.poll() is None
        stranger.kill()


def test_stop_spares_a_stranger_with_a_recorded_pid(tmp_path: Path) -> None:
    """A process that got the pid of one of ours is not ended, since its start time differs."""
    run = RunFile(tmp_path / ".hub")
    with subprocess.Popen(["/bin/sleep", "60"]) as stranger:
        with run.locked():
            run.record("valkey", stranger.pid, {"valkey": 1})
            state = run.read()
            state.children["valkey"] = Child(stranger.pid, started_at(stranger.pid) - 100, {"valkey": 1})
            run._write(state)
        stop(run.home)
        assert stranger.poll() is None
        stranger.kill()


def test_taken_port_is_replaced(home: Path, urls: PostgresUrls) -> None:
    """When somebody took the recorded port while the server was down, it starts on another."""
    stop(home)
    port = RunFile(home).read().ports["postgres"]
    with socket.create_server(("127.0.0.1", port)):
        other = start_postgres(home)
    assert f":{port}/" not in other.api_url
    assert ask(other.api_url, "select 1") == 1


def test_half_made_data_is_made_anew(tmp_path: Path) -> None:
    """An initdb that was killed half-way leaves nothing that blocks the next start."""
    home = tmp_path / ".hub"
    try:
        place = find_place(home)
        place.make("postgres.part")
        place.write(place.folder / "postgres.part/PG_VERSION", "18\n")
        assert ask(start_postgres(home).api_url, "select 1") == 1
    finally:
        remove_data(home)


def test_lost_password_file_is_a_clear_error(tmp_path: Path) -> None:
    """A database whose password file was replaced is refused with the file's name."""
    home = tmp_path / ".hub"
    try:
        start_postgres(home)
        (home / "passwords.json").unlink()
        with pytest.raises(EmbeddedError, match=r"passwords\.json"):
            start_postgres(home)
        (home / "passwords.json").write_text("{")
        with pytest.raises(EmbeddedError, match="damaged"):
            start_postgres(home)
    finally:
        remove_data(home)


def test_valkey_wants_its_password_and_returns_after_a_kill(home: Path) -> None:
    """Valkey refuses strangers, and after kill -9 a start gives the same address with an empty database."""
    url = start_valkey(home)
    client = redis.Redis.from_url(url)
    client.set("a", "b")
    with pytest.raises(redis.AuthenticationError):
        redis.Redis.from_url("redis://" + url.partition("@")[2]).ping()
    kill(recorded(home, "valkey").pid)
    assert start_valkey(home) == url
    assert client.get("a") is None
    client.close()


def test_valkey_that_was_forgotten_is_ended(home: Path, urls: PostgresUrls) -> None:
    """When run.json was lost, the next start ends the running Valkey, so that none is left behind."""
    start_valkey(home)
    forgotten = recorded(home, "valkey").pid
    (home / "run.json").unlink()
    start_valkey(home)
    assert not started_at(forgotten)
    assert started_at(recorded(home, "valkey").pid)


def test_stop_ends_both_and_may_be_repeated(home: Path, urls: PostgresUrls) -> None:
    """Stopping leaves no process, even when run.json was lost, and stopping what does not run is fine."""
    start_valkey(home)
    pids = [recorded(home, name).pid for name in ("postgres", "valkey")]
    (home / "run.json").unlink()
    stop(home)
    stop(home)
    assert not any(started_at(pid) for pid in pids)
    assert RunFile(home).read().children == {}
