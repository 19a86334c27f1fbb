"""What runs for one hub home: pid and start time of each child, and every port; so a start adopts or ends its own and nobody else's."""

import fcntl
import hashlib
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

_FIRST_PORT, _BLOCKS, _BLOCK = 10_000, 250, 40
_FIRST_RANGE, _RANGES, RANGE = 20_000, 63, 200  # below 32768, where outgoing connections start
_START_TOLERANCE = 1.0

_children: list[subprocess.Popen[bytes]] = []


class HomeBusy(RuntimeError):
    """Another start or stop holds this hub home: wait for it, or end that process."""


class Child(msgspec.Struct, frozen=True):
    """A process we started: its pid, its start time (seconds since the epoch), its ports by name, and the session of its kin."""

    pid: int
    started: float
    ports: dict[str, int] = {}
    session: int = 0


class RunState(msgspec.Struct):
    """The contents of run.json."""

    data: str = ""
    children: dict[str, Child] = {}
    ports: dict[str, int] = {}


def spawned(child: "subprocess.Popen[bytes]") -> int:
    """Keep a child that outlives the caller, so that it is reaped when it ends, and return its pid."""
    _children.append(child)
    return child.pid


def started_at(pid: int) -> float:
    """Start time of a process in seconds since the epoch, 0.0 when there is none (a zombie is none)."""
    for child in tuple(_children):
        if child.poll() is not None:
            _children.remove(child)
    try:
        process = psutil.Process(pid)
        return 0.0 if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return 0.0


def is_alive(child: Child | None) -> bool:
    """Tell whether this very process still runs; another one with its pid does not count."""
    return child is not None and child.pid > 0 and abs(started_at(child.pid) - child.started) < _START_TOLERANCE


def end(child: Child, *, signals: tuple[int, ...], patience: float) -> None:
    """Send each signal in turn to this very process and wait up to `patience` seconds after each; gone is fine."""
    for number in signals:
        if not is_alive(child):
            return
        try:
            os.kill(child.pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience
        while is_alive(child) and time.monotonic() < deadline:
            time.sleep(0.02)


def port_is_free(port: int) -> bool:
    """Tell whether nobody listens on this TCP port on any IPv4 address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - a probe, closed at once; a loopback listener would hide from 127.0.0.2
        except OSError:
            return False
    return True


def fingerprint(home: Path) -> str:
    """Name a home by 12 hexadecimal digits of its absolute path, for what must lie elsewhere."""
    return hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]


def write_private(path: Path, content: bytes) -> None:
    """Replace a file atomically, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


class _Lock:
    def __init__(self) -> None:
        self.thread = threading.RLock()
        self.depth = 0
        self.descriptor = -1


_locks: dict[Path, _Lock] = {}


class RunFile:
    """`run.json` of a hub home. Change it only inside `locked()`."""

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.path = self.home / "run.json"

    def prepare(self) -> None:
        """Make the home. As root it stays passable, so that the unprivileged user reaches its own folder inside."""
        if not self.home.exists():
            self.home.mkdir(parents=True, mode=0o755)
            self.home.chmod(0o711 if os.geteuid() == 0 else 0o700)

    @contextmanager
    def locked(self, patience: float = 180) -> Iterator[None]:
        """Hold the home for this process, waiting up to `patience` seconds; nests. Raises HomeBusy."""
        self.prepare()
        lock = _locks.setdefault(self.home, _Lock())
        if not lock.thread.acquire(timeout=patience):
            raise HomeBusy(f"another thread is starting or stopping {self.home}")
        try:
            if lock.depth == 0:
                lock.descriptor = self._take(patience)
            lock.depth += 1
            try:
                yield
            finally:
                lock.depth -= 1
                if lock.depth == 0:
                    os.close(lock.descriptor)
        finally:
            lock.thread.release()

    def _take(self, patience: float) -> int:
        descriptor = os.open(self.home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    raise HomeBusy(f"another start or stop of {self.home} is still running after {patience:.0f} s") from None
                time.sleep(0.05)
            else:
                return descriptor

    def read(self) -> RunState:
        """What was recorded; empty when nothing was, or when the file is damaged (children are then found by their folders)."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=RunState)
        except (FileNotFoundError, msgspec.MsgspecError):
            return RunState()

    def _write(self, state: RunState) -> None:
        write_private(self.path, json.dumps(msgspec.to_builtins(state), indent=1, sort_keys=True).encode() + b"\n")

    def record(self, name: str, pid: int, ports: Mapping[str, int] | None = None, session: int = 0) -> Child:
        """Record a running child with its ports; raises ProcessLookupError when it has ended already."""
        started = started_at(pid)
        if not started:
            raise ProcessLookupError(f"{name} (pid {pid}) ended right after its start")
        state = self.read()
        child = Child(pid, started, dict(ports or {}), session)
        state.children[name] = child
        self._write(state)
        return child

    def forget(self, name: str) -> None:
        """Drop a child that has ended; its ports stay reserved for the next start."""
        state = self.read()
        if state.children.pop(name, None) is not None:
            self._write(state)

    def child(self, name: str) -> Child | None:
        """The recorded child when it still runs."""
        child = self.read().children.get(name)
        return child if is_alive(child) else None

    def set_data(self, folder: Path) -> None:
        """Record where the servers' data lies."""
        state = self.read()
        if state.data != str(folder):
            state.data = str(folder)
            self._write(state)

    def ports(self, *names: str) -> dict[str, int]:
        """A port for each name, the last one where it is free, else a free one near this home's own block; recorded."""
        state = self.read()
        base = int(fingerprint(self.home), 16) % _BLOCKS * _BLOCK
        chosen: dict[str, int] = {}
        for name in names:
            port = state.ports.get(name, 0)
            if not port or not port_is_free(port):
                others = {taken for other, taken in state.ports.items() if other != name} | set(chosen.values())
                candidates = (_FIRST_PORT + (base + step) % (_BLOCKS * _BLOCK) for step in range(_BLOCKS * _BLOCK))
                port = next(p for p in candidates if p not in others and port_is_free(p))
            chosen[name] = state.ports[name] = port
        self._write(state)
        return chosen

    def port_range(self, name: str) -> tuple[int, int]:
        """First and last port of a range of 200 that is this home's: the last one, else the first with nobody in it; recorded.

        Ports of our own that are in use from an earlier life do not matter to a range that was recorded.
        """
        state = self.read()
        first = state.ports.get(name, 0)
        if not first:
            base = int(fingerprint(self.home), 16) % _RANGES
            candidates = [_FIRST_RANGE + (base + step) % _RANGES * RANGE for step in range(_RANGES)]
            empty = (start for start in candidates if all(port_is_free(port) for port in range(start, start + RANGE)))
            first = state.ports[name] = next(empty, candidates[0])
            self._write(state)
        return first, first + RANGE - 1
