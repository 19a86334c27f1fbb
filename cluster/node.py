"""A machine as a node of the cluster: invited with a file, joined for as long as a command runs, emptied, taken away."""

import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from actors.nodes import Gcs, Node, Unreachable
from cluster.keeper import TAKEN_DOWN
from cluster.ray_cluster import RayFailed, ray_environment, start_ray, stop_ray
from cluster.run_file import RunFile, write_private
from cluster.start import NotHere, Say, head_of
from hub.settings import PREFIX, Settings, variable

log = structlog.get_logger("hub.node")

DRAIN_SECONDS = 120.0
LOOK_SECONDS = 1.0
_OWN = frozenset({"home", "node_address", "admin_database_url", "ray_address", "ray_redis_url"})
"""Settings of one machine, and doors that only the head goes through; every other one is shared by all nodes."""


class Invitation(msgspec.Struct, frozen=True):
    """What a new node is told: the head's address and token, and the settings that all nodes share."""

    settings: Settings

    def text(self) -> str:
        """Lines `NAME=value`, as systemd's EnvironmentFile and env files of containers take them."""
        names = [name for name in Settings.__struct_fields__ if name not in _OWN]
        found = {variable(name): str(getattr(self.settings, name)) for name in names}
        return "".join(f"{name}={value}\n" for name, value in found.items() if value)


def invite(settings: Settings, servers: Settings, file: Path) -> None:
    """Write a 0600 file with everything that a new node needs, secrets included. Raises NotHere off the head."""
    if not settings.node_address or settings.head_address:
        raise NotHere("invite from the head: the machine that runs `hub up` with HUB_NODE_ADDRESS")
    head = head_of(settings)
    if not head:
        raise NotHere("the head does not run: start it with `hub up`")
    keys = servers.master_keys or servers.key_file.read_text("utf-8").strip()
    token = (settings.home / "ray.token").read_text("utf-8").strip()
    told = servers.replace(head_address=head, ray_token=token, master_keys=keys)
    write_private(file, Invitation(told).text().encode())


def read_invitation(file: Path) -> dict[str, str]:
    """The variables of an invitation. Raises NotHere when it is none."""
    found = {}
    for line in file.read_text("utf-8").splitlines():
        name, equals, value = line.partition("=")
        if not equals or not name.startswith(PREFIX):
            raise NotHere(f"{file} is no invitation: `hub node invite` on the head writes one")
        found[name] = value
    return found


def check_node(settings: Settings) -> None:
    """See that a node has what it needs. Raises NotHere naming what is missing."""
    wanted = ("head_address", "ray_token", "node_address", "database_url", "redis_url", "master_keys")
    missing = [variable(name) for name in wanted if not getattr(settings, name)]
    if missing:
        raise NotHere(f"set {', '.join(missing)}: all but HUB_NODE_ADDRESS come with the file of `hub node invite`")


def join(settings: Settings, say: Say, wait: Callable[[Callable[[], bool]], None]) -> bool:
    """Be a node of the head's cluster until told to stop (then drain first) or drained; True when it was emptied before it ended.

    A node that the cluster gave up, such as one that was cut off for a while, joins again as a new one.
    """
    check_node(settings)
    (settings.home / TAKEN_DOWN).unlink(missing_ok=True)
    os.environ.update(ray_environment(settings))
    say(f"joining {settings.head_address} as {settings.node_address}")
    start_ray(settings)
    gcs = Gcs(settings.head_address)
    watch = _Watch(settings, gcs)
    say(f"a node of {settings.head_address}")
    try:
        wait(watch.over)
        if not watch.drained:
            say("draining")
            watch.drained = drain(gcs, settings.node_address, DRAIN_SECONDS, say)
    finally:
        stop_ray(settings.home)
    return watch.drained


class _Watch:
    """Starts the node's Ray again when it ends, unless it ended because it was drained."""

    def __init__(self, settings: Settings, gcs: Gcs) -> None:
        self._settings, self._gcs = settings, gcs
        self._run = RunFile(settings.home)
        self._next = 0.0
        self._draining = False
        self.drained = False

    def over(self) -> bool:
        """True when the node was drained, or taken down by another command."""
        if time.monotonic() < self._next:
            return self.drained
        self._next = time.monotonic() + LOOK_SECONDS
        if (self._settings.home / TAKEN_DOWN).exists():
            self.drained = True
            return True
        if self._run.child("raylet") is not None:
            mine = find(self._gcs, self._settings.node_address)
            self._draining = self._draining if mine is None else mine.draining
            return False
        if self._draining:
            self.drained = True
            return True
        self._again()
        return False

    def _again(self) -> None:
        log.warning("this node's Ray has ended; joining again")
        try:
            start_ray(self._settings)
        except RayFailed as error:
            log.warning("cannot join", error=str(error)[-300:])
            self._next = time.monotonic() + 5 + secrets.randbelow(5)


def find(gcs: Gcs, address: str) -> Node | None:
    """The living node at an address; None when there is none, or the head does not say."""
    try:
        return next((node for node in gcs.nodes() if node.address == address), None)
    except Unreachable:
        return None


def drain(gcs: Gcs, address: str, seconds: float, say: Say) -> bool:
    """Empty a node and wait until it has gone; True when it went within `seconds`. Raises NotHere, Unreachable."""
    nodes = gcs.nodes()
    found = next((node for node in nodes if address in (node.address, node.id)), None)
    if found is None:
        raise NotHere(f"no node {address}: see `hub node list`")
    if found.head:
        raise NotHere("the head is not drained: docs/cluster.md says how it is replaced")
    if not any(not node.draining and node.id != found.id for node in nodes):
        raise NotHere("no other node could take over")
    gcs.drain(found.id, seconds)
    say(f"draining {found.address}")
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if all(node.id != found.id for node in gcs.nodes()):
            return True
        time.sleep(0.25)
    return False
