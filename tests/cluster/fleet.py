"""A hub over several machines of a test's own network, with two restaurants, a front door, and a stream of orders that is counted."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil

from cluster.bench.account import Report, check
from cluster.embedded import PostgresUrls, remove_data, start_postgres, start_valkey
from cluster.restaurants import Door, Restaurants, open_restaurants
from cluster.sandbox_process import call
from hub.settings import Settings
from tests.cluster.fleet_network import Machine, Network

HUB = (sys.executable, "-c", "from cluster.cli import main; main()")
PORT = 8000
ROOT = Path(__file__).parents[2]
FOLDERS = "hub-fleet-"
STALLED_SECONDS = 3.0
"""An order that took longer than this was affected by what happened."""


class FrontDoor(threading.Thread):
    """One public address before all nodes, as a load balancer is: each connection goes to a node that answers."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True, name="front door")
        self._listener = socket.create_server((address, 0), backlog=128)
        self.url = f"http://{address}:{self._listener.getsockname()[1]}"
        self.nodes: list[str] = []
        self._bad: dict[str, float] = {}
        self._turn = 0

    def run(self) -> None:
        """Accept until closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def close(self) -> None:
        """Accept no more."""
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        with client:
            node = self._connected()
            if node is None:
                return
            with node:
                back = threading.Thread(target=_copy, args=(node, client), daemon=True)
                back.start()
                _copy(client, node)
                back.join(timeout=30)

    def _connected(self) -> socket.socket | None:
        self._turn += 1
        now = time.monotonic()
        order = self.nodes[self._turn % len(self.nodes) :] + self.nodes[: self._turn % len(self.nodes)]
        for address in sorted(order, key=lambda each: self._bad.get(each, 0.0) > now):
            try:
                return socket.create_connection((address, PORT), timeout=0.5)
            except OSError:
                self._bad[address] = now + 2.0
        return None


def _copy(source: socket.socket, target: socket.socket) -> None:
    source.settimeout(30)
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class Stream(threading.Thread):
    """Places an order every so often on each link in turn, and notes when its platform heard the accept."""

    def __init__(self, sandbox: str, restaurants: Restaurants, every: float) -> None:
        super().__init__(daemon=True, name="orders")
        self._sandbox, self._links, self._every = sandbox, restaurants.links, every
        self.placed: dict[str, tuple[int, float]] = {}
        """When an order was placed, and on which link."""
        self.accepted: dict[str, float] = {}
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watched = threading.Event()

    def run(self) -> None:
        """Place orders until told to stop."""
        self._watcher.start()
        turn = 0
        while not self._ended.wait(self._every):
            link = turn % len(self._links)
            turn += 1
            with contextlib.suppress(OSError):
                answer = call(self._sandbox, "POST", "/_control/ubereats/orders", {"store": self._links[link].delivery_store_ref})
                self.placed.update({order: (link, time.monotonic()) for order in answer["orders"]})

    def _watch(self) -> None:
        while not self._watched.wait(0.25):
            with contextlib.suppress(OSError):
                now = time.monotonic()
                for order in call(self._sandbox, "GET", "/_control/ubereats/state")["orders"]:
                    if any("accept" in str(step["state"]).lower() for step in order["history"]):
                        self.accepted.setdefault(order["id"], now)

    def finish(self, seconds: float = 90) -> None:
        """Stop placing and wait until everything was accepted."""
        self._ended.set()
        self.join(timeout=10)
        limit = time.monotonic() + seconds
        while time.monotonic() < limit and set(self.placed) - set(self.accepted):
            time.sleep(0.25)
        self._watched.set()

    def figures(self, since: float, until: float) -> dict[str, float]:
        """What a move between two times cost.

        The longest time in which a link had an open order and accepted none, and how many orders took longer than usual.
        """
        longest = 0.0
        for number in range(len(self._links)):
            times = sorted(at for order, at in self.accepted.items() if self.placed.get(order, (-1, 0))[0] == number)
            for order, (link, placed) in self.placed.items():
                if link != number or not since - 5 <= placed <= until:
                    continue
                after = next((at for at in times if at >= placed), self.accepted.get(order, time.monotonic()))
                longest = max(longest, after - placed)
        slow = [
            order
            for order, (_, placed) in self.placed.items()
            if since - 5 <= placed <= until and self.accepted.get(order, time.monotonic()) - placed > STALLED_SECONDS
        ]
        during = [order for order, (_, placed) in self.placed.items() if since - 5 <= placed <= until]
        return {"seconds_without_progress": round(longest, 1), "orders_affected": len(slow), "orders_during": len(during)}


class Node(msgspec.Struct):
    """A machine with a hub home, and the command that runs on it."""

    machine: Machine
    home: Path
    environment: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def address(self) -> str:
        """Its address in the test's network."""
        return self.machine.address

    def hub(self, *arguments: str, seconds: float = 60) -> str:
        """Run a `hub` command there; its standard output. A failure is an AssertionError."""
        done = self.machine.run(*HUB, *arguments, environment=self.environment, seconds=seconds)
        assert done.returncode == 0, f"hub {' '.join(arguments)}: {done.stdout[-1500:]}{done.stderr[-1500:]}"
        return done.stdout


class Fleet:
    """A head and further nodes; PostgreSQL, Valkey and the simulated vendors stand on the bridge's address."""

    def __init__(self) -> None:
        self.network = Network()
        _sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{FOLDERS}{os.getpid()}-"))
        self.folder.chmod(0o711)
        self.nodes: list[Node] = []
        self._sandbox: subprocess.Popen[bytes] | None = None
        self.sandbox = ""
        self.urls: PostgresUrls | None = None
        self.front = FrontDoor(self.network.address)
        self.restaurants: Restaurants | None = None
        self.stream: Stream | None = None

    def open(self, nodes: int, pairs: int = 1) -> None:
        """Start the servers, a head and `nodes - 1` others, and open both restaurants with so many links each."""
        servers = self.folder / "servers"
        self.urls = start_postgres(servers, self.network.address)
        self._redis = start_valkey(servers, self.network.address)
        self._start_sandbox()
        self.front.start()
        self.head()
        for _ in range(nodes - 1):
            self.join()
        settings = Settings.load(self.nodes[0].environment, None).replace(host=self.nodes[0].address)
        settings = settings.replace(database_url=self.urls.api_url)
        self.restaurants = open_restaurants(settings, self.sandbox, [[("square", "ubereats")] * pairs] * 2)

    def _start_sandbox(self) -> None:
        vendors = self.network.machine()
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        arguments = ("-m", "adapters._sandbox", "--host", vendors.address, "--port", str(PORT))
        self._sandbox = vendors.start(sys.executable, *arguments, environment=environment, log=self.folder / "sandbox.log")
        self.sandbox = f"http://{vendors.address}:{PORT}"
        wait_for(lambda: bool(call(self.sandbox, "GET", "/_control")), 20, "the simulated vendors answer")

    def _node(self, **more: str) -> Node:
        machine = self.network.machine()
        home = self.folder / f"n{len(self.nodes) + 1}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "RAY_"))}
        environment = {
            **kept,
            "HUB_HOME": str(home),
            "HUB_NODE_ADDRESS": machine.address,
            "HUB_HOST": "0.0.0.0",
            "HUB_PORT": str(PORT),
            "PYTHONPATH": str(ROOT),
            **more,
        }
        node = Node(machine, home, environment)
        self.nodes.append(node)
        return node

    def head(self) -> Node:
        """Start the head."""
        assert self.urls is not None
        node = self._node(
            HUB_DATABASE_URL=self.urls.api_url,
            HUB_ACTOR_DATABASE_URL=self.urls.actor_url,
            HUB_ADMIN_DATABASE_URL=self.urls.admin_url,
            HUB_REDIS_URL=self._redis,
            HUB_PUBLIC_URL=self.front.url,
            HUB_SANDBOX_URL=self.sandbox,
            HUB_RECONCILE_SECONDS="3600",
        )
        self._run(node, "up")
        wait_for(lambda: ready(node), 90, "the head is ready", self.explain)
        self.front.nodes.append(node.address)
        return node

    def join(self) -> Node:
        """Add a node, and wait until it serves requests itself."""
        node = self._node()
        invitation = self.folder / f"{node.home.name}.env"
        self.nodes[0].hub("node", "invite", str(invitation))
        self._run(node, "node", "join", "--from", str(invitation))
        told = dict(line.split("=", 1) for line in invitation.read_text().splitlines())
        node.environment = {**told, **node.environment}
        wait_for(lambda: ready(node), 90, f"{node.address} is ready", self.explain)
        self.front.nodes.append(node.address)
        return node

    def _run(self, node: Node, *arguments: str) -> None:
        node.process = node.machine.start(*HUB, *arguments, environment=node.environment, log=self.folder / f"{node.home.name}.log")

    def begin(self, every: float = 0.4) -> Stream:
        """Let orders flow."""
        assert self.restaurants is not None
        self.stream = Stream(self.sandbox, self.restaurants, every)
        self.stream.start()
        return self.stream

    def report(self) -> Report:
        """Hold both sides against what was placed."""
        assert self.stream is not None
        assert self.restaurants is not None
        references: dict[str, str] = {}
        dead = 0
        for token in self.restaurants.tokens.values():
            door = Door(self.front.url, token)
            cursor = ""
            while True:
                page = door("GET", f"/orders?limit=200{f'&cursor={cursor}' if cursor else ''}")
                references |= {order["platform_order_id"]: order["id"] for order in page["items"]}
                cursor = page["next_cursor"] or ""
                if not cursor:
                    break
        for link in self.restaurants.links:
            door = Door(self.front.url, self.restaurants.tokens[link.tenant])
            for connection in (link.pos_connection, link.delivery_connection):
                dead += len(door("GET", f"/connections/{connection}/messages?state=dead&limit=50")["items"])
        states = [call(self.sandbox, "GET", f"/_control/{slug}/state") for slug in ("ubereats", "square")]
        return check(self.stream.placed, states[0], states[1], dead, references)

    def webhooks(self) -> dict[str, Any]:
        """What the delivery platform says about its webhooks."""
        found: dict[str, Any] = call(self.sandbox, "GET", "/_control/ubereats/state")["webhooks"]
        return found

    def homes(self) -> dict[str, str]:
        """The node of every connection whose owner answers."""
        assert self.restaurants is not None
        found = {}
        for link in self.restaurants.links:
            headers = {"Authorization": f"Bearer {self.restaurants.tokens[link.tenant]}"}
            for connection in (link.pos_connection, link.delivery_connection):
                asked = urllib.request.Request(f"{self.front.url}/api/v1/connections/{connection}/state", headers=headers)
                # A request that was on its way to a machine that is cut off hangs: nobody says that it is gone.
                with (
                    contextlib.suppress(OSError, ValueError),
                    urllib.request.urlopen(asked, timeout=4) as answer,
                ):
                    if node := json.load(answer).get("node"):
                        found[connection] = str(node)
        return found

    def nodes_now(self, by: Node | None = None) -> list[dict[str, Any]]:
        """What `hub node list` says on a node."""
        found: list[dict[str, Any]] = json.loads((by or self.nodes[0]).hub("node", "list", "--json"))
        return found

    def id_of(self, node: Node) -> str:
        """Ray's id of a node; empty when it is not in the cluster."""
        return next((each["id"] for each in self.nodes_now() if each["address"] == node.address), "")

    def explain(self) -> str:
        """The ends of all logs."""
        logs = sorted((*self.folder.glob("*.log"), *self.folder.glob("n*/logs/*.log")))
        return "\n".join(f"--- {log}\n{log.read_text(errors='replace')[-1500:]}" for log in logs)

    def close(self) -> None:
        """End and remove everything."""
        if self.stream is not None:
            self.stream.finish(0)
        self.front.close()
        for node in self.nodes:
            if node.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(node.process.pid, signal.SIGKILL)
        self.network.close()
        if self._sandbox is not None:
            self._sandbox.wait(10)
        for node in self.nodes:
            if node.process is not None:
                node.process.wait(10)
            remove_data(node.home)
        remove_data(self.folder / "servers")
        if not os.environ.get("HUB_KEEP_LOGS"):
            shutil.rmtree(self.folder, ignore_errors=True)


def _sweep() -> None:
    """Remove what runs that are gone have left: their servers run on this machine itself."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDERS}*-*"):
        if not psutil.pid_exists(int(folder.name.split("-")[2])):
            for home in folder.iterdir():
                if home.is_dir():
                    remove_data(home)
            shutil.rmtree(folder, ignore_errors=True)


def ready(node: Node) -> bool:
    """True when a node's own HAProxy serves."""
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{node.address}:{PORT}/health/ready", timeout=3) as answer:
        return bool(answer.status == 200)
    return False


def wait_for(true: Callable[[], bool], seconds: float, what: str, explain: Callable[[], str] = str) -> float:
    """Wait until something is true; the seconds it took. An AssertionError says what did not come true."""
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        with contextlib.suppress(OSError, AssertionError):
            if true():
                return time.monotonic() - began
        time.sleep(0.2)
    raise AssertionError(f"after {seconds:.0f} s not yet: {what}\n{explain()}")
