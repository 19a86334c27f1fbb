"""A network of its own for a test: a bridge, and namespaces with an address on it each, as machines on a wire.

Names carry the pid of their run: two runs never meet, and a run sweeps away what one that died has left. Needs root and iproute2.
"""

import contextlib
import fcntl
import ipaddress
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

LOCK = Path("/run/lock/hub-namespaces.lock")
PREFIX = "hubn"
FOLDER = Path("/run/netns")


def unavailable() -> str:
    """Why there can be no namespaces here; empty when there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None or shutil.which("nsenter") is None:
        return "network namespaces need iproute2 and util-linux"
    probe = f"{PREFIX}-{os.getpid()}-probe"
    done = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"the kernel gives no network namespace: {done.stderr.strip()}"
    _ip("netns", "del", probe)
    return ""


def _ip(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False, timeout=20)
    if check and done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Machine:
    """A namespace with an address. Its links are cut and mended as wires are."""

    def __init__(self, network: "Network", name: str, address: str, port: str) -> None:
        self.network, self.name, self.address, self.port = network, name, address, port

    def command(self, *arguments: str) -> list[str]:
        """The command line that runs another one here."""
        return ["nsenter", f"--net={FOLDER / self.name}", *arguments]

    def start(self, *arguments: str, environment: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
        """Start a process here, in a session of its own, writing to a log."""
        with log.open("ab") as output:
            return subprocess.Popen(
                self.command(*arguments),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def run(self, *arguments: str, environment: Mapping[str, str], seconds: float = 60) -> "subprocess.CompletedProcess[str]":
        """Run a command here to its end."""
        line = self.command(*arguments)
        return subprocess.run(line, env=dict(environment), capture_output=True, text=True, timeout=seconds, check=False)

    def processes(self) -> list[psutil.Process]:
        """Everything that runs here."""
        found = []
        for pid in _ip("netns", "pids", self.name, check=False).split():
            with contextlib.suppress(psutil.Error):
                found.append(psutil.Process(int(pid)))
        return found

    def power_off(self) -> None:
        """Kill everything that runs here, as if the machine lost its power."""
        for _ in range(20):
            alive = self.processes()
            if not alive:
                return
            for process in alive:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(signal.SIGKILL)
            time.sleep(0.1)

    def unplug(self) -> None:
        """Cut this machine off from everybody."""
        _ip("link", "set", self.port, "down")

    def plug(self) -> None:
        """Connect it again."""
        _ip("link", "set", self.port, "up")

    def lose(self, other: "Machine") -> None:
        """Drop what goes from here to another machine, and only that."""
        _ip("-n", self.name, "route", "add", "blackhole", f"{other.address}/32")

    def find(self, other: "Machine") -> None:
        """Reach that machine again."""
        _ip("-n", self.name, "route", "del", "blackhole", f"{other.address}/32")


class Network:
    """A bridge with this machine's address on it, and machines."""

    def __init__(self) -> None:
        self.machines: list[Machine] = []
        with _one_at_a_time():
            sweep()
            self._number, self.network = _free_network()
            self.bridge = f"{PREFIX}{self._number}"
            self._hosts = self.network.hosts()
            self.address = str(next(self._hosts))
            _ip("link", "add", self.bridge, "type", "bridge")
            # Kept where a sweep finds it: who made this bridge.
            _ip("link", "set", self.bridge, "alias", f"{PREFIX}-{os.getpid()}")
            _ip("address", "add", f"{self.address}/{self.network.prefixlen}", "dev", self.bridge)
            _ip("link", "set", self.bridge, "up")

    def machine(self) -> Machine:
        """Add a machine."""
        number = len(self.machines) + 1
        name, address = f"{PREFIX}-{os.getpid()}-{self._number}-{number}", str(next(self._hosts))
        port = f"{PREFIX}{self._number}p{number}"
        _ip("netns", "add", name)
        _ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", port, "master", self.bridge)
        _ip("link", "set", port, "up")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "address", "add", f"{address}/{self.network.prefixlen}", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        _ip("-n", name, "route", "add", "default", "via", self.address)
        made = Machine(self, name, address, port)
        self.machines.append(made)
        return made

    def close(self) -> None:
        """End everything on the machines, and remove them and the bridge."""
        for machine in self.machines:
            _ip("link", "del", machine.port, check=False)
            _remove(machine.name)
        _ip("link", "del", self.bridge, check=False)


def _remove(name: str) -> None:
    Machine(None, name, "", "").power_off()  # type: ignore[arg-type]
    _ip("netns", "del", name, check=False)


def _links() -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(_ip("-j", "address", "show") or "[]")
    return found


def _free_network() -> tuple[int, ipaddress.IPv4Network]:
    taken = [
        ipaddress.ip_interface(f"{each['local']}/{each['prefixlen']}").network
        for link in _links()
        for each in link["addr_info"]  # type: ignore[attr-defined]
        if each["family"] == "inet"
    ]
    for number in range(1, 250):
        candidate = ipaddress.IPv4Network(f"10.231.{number}.0/24")
        if not any(candidate.overlaps(other) for other in taken if isinstance(other, ipaddress.IPv4Network)):
            return number, candidate
    raise RuntimeError("no free network below 10.231.0.0/16")


def sweep() -> None:
    """Remove namespaces and bridges of runs that are gone."""
    for line in _ip("netns", "list").splitlines():
        name = line.split()[0]
        parts = name.split("-")
        if parts[0] == PREFIX and len(parts) > 2 and not psutil.pid_exists(int(parts[1])):
            _remove(name)
    for link in _links():
        alias = str(link.get("ifalias") or "")
        if alias.startswith(f"{PREFIX}-") and not psutil.pid_exists(int(alias.split("-")[1])):
            _ip("link", "del", str(link["ifname"]), check=False)
