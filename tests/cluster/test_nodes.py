"""Several machines, one hub: nodes come, are emptied, die, are cut off, and the head starts anew, while orders flow.

Each move prints what it cost: seconds in which an order's link made no progress, and orders that took longer than usual. Needs root.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.cluster.fleet import Fleet, Node, wait_for
from tests.cluster.fleet_network import unavailable

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280)]


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    """A network of machines; they end with the test."""
    if reason := unavailable():
        pytest.skip(reason)
    found = Fleet()
    try:
        yield found
    finally:
        found.close()


def moved(fleet: Fleet, what: str, move: Callable[[], object]) -> dict[str, object]:
    """Make a move in the stream of orders, and take down what it cost; it ends when orders have flowed again for a while."""
    assert fleet.stream is not None
    time.sleep(4)
    before, began = dict(fleet.webhooks()), time.monotonic()
    move()
    took = time.monotonic() - began
    time.sleep(6)
    cost = fleet.stream.figures(began, time.monotonic())
    after = fleet.webhooks()
    given_up = after.get("given_up", 0) - before.get("given_up", 0)
    repeats = after.get("sends", 0) - after.get("delivered", 0) - before.get("sends", 0) + before.get("delivered", 0)
    figures = {"move": what, "seconds": round(took, 1), **cost, "webhooks_repeated": repeats, "webhooks_given_up": given_up}
    print(json.dumps(figures))
    return figures


def settled(fleet: Fleet) -> None:
    """Every order is at the POS once, paid once and accepted; nobody's webhook was given up."""
    assert fleet.stream is not None
    fleet.stream.finish()
    report = fleet.report()
    assert report.good, f"{report}\n{fleet.explain()}"
    assert report.placed > 20
    assert not fleet.webhooks().get("given_up", 0)


def hosts_on(fleet: Fleet, node: Node, identity: str = "") -> int:
    """How many connections live on a node."""
    wanted = identity or fleet.id_of(node)
    return sum(home == wanted for home in fleet.homes().values())


def spread(fleet: Fleet, nodes: int) -> bool:
    """True when every connection answers, and they are spread over so many nodes as evenly as they can be."""
    homes = list(fleet.homes().values())
    counts = sorted(homes.count(home) for home in set(homes))
    return len(homes) == 4 and all(homes) and len(counts) == min(nodes, 4) and counts[-1] - counts[0] < 2


def emptied(fleet: Fleet, node: Node) -> None:
    """Drain a node by its command, and see its own command end by itself."""
    fleet.nodes[0].hub("node", "drain", node.address, seconds=150)
    assert node.process is not None
    assert node.process.wait(30) == 0
    assert [each["address"] for each in fleet.nodes_now()] == [each.address for each in fleet.nodes if each is not node]


def test_a_third_node_takes_its_share_and_is_emptied_again(fleet: Fleet) -> None:
    """Connections and replicas spread over a node that joins; draining moves them back; no order is lost or doubled."""
    fleet.open(2)
    wait_for(lambda: spread(fleet, 2), 30, "two nodes share the connections", fleet.explain)
    fleet.begin()

    def add() -> None:
        node = fleet.join()
        wait_for(lambda: hosts_on(fleet, node) > 0 and spread(fleet, 3), 45, "the third node has its share", fleet.explain)

    moved(fleet, "add node", add)
    third = fleet.nodes[2]
    moved(fleet, "drain", lambda: emptied(fleet, third))
    fleet.front.nodes.remove(third.address)
    wait_for(lambda: spread(fleet, 2), 30, "the two others share the connections", fleet.explain)
    settled(fleet)


@pytest.mark.full
def test_a_killed_node_is_replaced_by_the_others(fleet: Fleet) -> None:
    """Connections of a machine that lost its power live elsewhere within 20 s; no order is lost or doubled."""
    fleet.open(3)
    wait_for(lambda: spread(fleet, 3), 40, "three nodes share the connections", fleet.explain)
    fleet.begin()
    third = fleet.nodes[2]
    identity = fleet.id_of(third)
    assert hosts_on(fleet, third, identity)

    def kill() -> None:
        third.machine.power_off()
        elsewhere = lambda: len(fleet.homes()) == 4 and not hosts_on(fleet, third, identity)  # noqa: E731
        assert wait_for(elsewhere, 60, "its connections live elsewhere", fleet.explain) < 20

    moved(fleet, "kill", kill)
    fleet.front.nodes.remove(third.address)
    wait_for(lambda: spread(fleet, 2), 30, "the two others share the connections", fleet.explain)
    settled(fleet)


@pytest.mark.full
def test_a_node_that_was_unplugged_comes_back_as_a_new_one(fleet: Fleet) -> None:
    """A cut cable costs as much as a dead machine; plugged in again the machine joins by itself, and nothing is doubled."""
    fleet.open(3)
    wait_for(lambda: spread(fleet, 3), 40, "three nodes share the connections", fleet.explain)
    fleet.begin()
    third = fleet.nodes[2]
    identity = fleet.id_of(third)

    def unplug() -> None:
        third.machine.unplug()
        elsewhere = lambda: len(fleet.homes()) == 4 and not hosts_on(fleet, third, identity)  # noqa: E731
        assert wait_for(elsewhere, 60, "its connections live elsewhere", fleet.explain) < 30

    moved(fleet, "partition (unplugged)", unplug)

    def plug() -> None:
        third.machine.plug()
        wait_for(lambda: fleet.id_of(third) not in ("", identity), 60, "it has joined anew", fleet.explain)
        wait_for(lambda: hosts_on(fleet, third) > 0, 60, "it has its share again", fleet.explain)

    moved(fleet, "heal (plugged in again)", plug)
    settled(fleet)


@pytest.mark.full
def test_the_head_starts_anew_while_orders_flow(fleet: Fleet) -> None:
    """Ray's head dies with its whole machine's Ray; the others go on, the head comes back by itself and takes its share."""
    fleet.open(3)
    wait_for(lambda: spread(fleet, 3), 40, "three nodes share the connections", fleet.explain)
    fleet.begin()
    head = fleet.nodes[0]
    identity = fleet.id_of(head)

    def restart() -> None:
        for process in head.machine.processes():
            with contextlib.suppress(psutil.Error):
                if process.name() in ("gcs_server", "raylet"):
                    process.kill()
        wait_for(lambda: fleet.id_of(head) not in ("", identity), 90, "the head is back", fleet.explain)
        wait_for(lambda: len(fleet.homes()) == 4, 60, "every connection answers", fleet.explain)

    moved(fleet, "head restart", restart)
    wait_for(lambda: spread(fleet, 3), 90, "three nodes share the connections", fleet.explain)
    settled(fleet)


@pytest.mark.full
def test_a_node_that_loses_only_its_head_is_fenced(fleet: Fleet) -> None:
    """It still takes webhooks, reaches PostgreSQL and wakes its own owners: they are replaced, end, and take nothing back.

    Nothing is doubled, then or when the head is found again.
    """
    fleet.open(3)
    wait_for(lambda: spread(fleet, 3), 40, "three nodes share the connections", fleet.explain)
    fleet.begin()
    head, third = fleet.nodes[0], fleet.nodes[2]
    identity = fleet.id_of(third)
    owners = [process for process in third.machine.processes() if "ConnectionActor" in " ".join(process.cmdline())]
    assert owners

    def cut() -> None:
        third.machine.lose(head.machine)
        elsewhere = lambda: len(fleet.homes()) == 4 and not hosts_on(fleet, third, identity)  # noqa: E731
        assert wait_for(elsewhere, 60, "its connections live elsewhere", fleet.explain) < 30
        # What arrives at this node is stored by its replica, which wakes the owners that it knows.
        wait_for(lambda: not any(process.is_running() for process in owners), 70, "its owners have ended", fleet.explain)

    moved(fleet, "partition (head lost, PostgreSQL reached)", cut)

    def heal() -> None:
        third.machine.find(head.machine)
        wait_for(lambda: fleet.id_of(third) not in ("", identity), 60, "it has joined anew", fleet.explain)
        wait_for(lambda: hosts_on(fleet, third) > 0, 60, "it has its share again", fleet.explain)

    moved(fleet, "heal (head found again)", heal)
    settled(fleet)
