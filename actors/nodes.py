"""The cluster's nodes as Ray's GCS knows them: who is there, who drains, and on which of them each host lives.

Asked of GCS itself and with a time limit: Ray's state API goes through the dashboard, which listens on the head's loopback only. Ray
is imported when it is used: commands set its environment first.
"""

import asyncio
import time
from collections.abc import Collection
from typing import Any

import msgspec

ASK_SECONDS = 3.0
HOST_CLASS = "ConnectionActor"


class Node(msgspec.Struct, frozen=True):
    """A living node: Ray's id of it, its address, and whether it is the head, or being emptied."""

    id: str
    address: str
    head: bool
    draining: bool


class Unreachable(RuntimeError):
    """GCS does not answer: the head is away, or this node is cut off from it."""


class Gcs:
    """A client of GCS at an address `host:port`; the token is taken from the environment."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._client: Any = None

    def nodes(self) -> list[Node]:
        """List living nodes by address. Raises Unreachable."""
        infos, draining = self._ask("get_all_node_info"), self._ask("get_draining_nodes")
        found = [
            Node(
                node_id.hex(),
                info.node_manager_address,
                "node:__internal_head__" in info.resources_total,
                node_id.hex() in draining,
            )
            for node_id, info in infos.items()
            if info.state == 0  # GcsNodeInfo.ALIVE
        ]
        return sorted(found, key=lambda node: (node.address, node.id))

    def drain(self, node: str, seconds: float) -> None:
        """Have nothing more started on a node, and what runs there moved; it ends when it is empty. Raises Unreachable."""
        from ray.core.generated import autoscaler_pb2

        deadline = int((time.time() + seconds) * 1000)
        reason = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
        accepted, why = self._ask("drain_node", node, reason, "hub node drain", deadline)
        if not accepted:
            raise Unreachable(f"Ray refuses to drain {node}: {why}")

    def _ask(self, method: str, *arguments: Any) -> Any:
        try:
            if self._client is None:
                from ray import _raylet

                make: Any = _raylet
                self._client = make.GcsClient(address=self.address)
            return getattr(self._client, method)(*arguments, timeout=ASK_SECONDS)
        except Exception as error:
            raise Unreachable(f"no answer from Ray's head at {self.address}: {error}") from error


async def living_nodes(gcs: Gcs) -> list[Node]:
    """List living nodes from inside an actor, waiting a few seconds at most. Raises Unreachable."""
    try:
        return await asyncio.wait_for(asyncio.to_thread(gcs.nodes), 3 * ASK_SECONDS)
    except TimeoutError as error:
        raise Unreachable("GCS does not answer in time") from error


def homes() -> dict[str, str]:
    """The node of each living host, by the host's name."""
    # Public listings go through the dashboard; this one asks GCS.
    from ray._private import state

    table = state.actors(actor_state_name="ALIVE")
    return {row["Name"]: row["Address"]["NodeID"] for row in table.values() if row["ActorClassName"] == HOST_CLASS}


def usable(nodes: Collection[Node]) -> list[str]:
    """Ids of nodes that may be given something."""
    return [node.id for node in nodes if not node.draining]


def here() -> Gcs:
    """A client of the GCS of the cluster that this process belongs to."""
    import ray

    return Gcs(ray.get_runtime_context().gcs_address)
