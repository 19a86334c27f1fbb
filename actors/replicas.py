"""As many replicas of each Serve deployment as there are nodes to hold them: a number a node, applied when nodes come and go."""

from collections.abc import Mapping

import ray
import structlog

log = structlog.get_logger("hub.actor")

CONTROLLER = ("SERVE_CONTROLLER_ACTOR", "serve")


def apply_replicas(per_node: Mapping[str, int], nodes: int) -> None:
    """Have Serve run `per_node` replicas of each deployment (its app has the same name) on each of `nodes` nodes.

    Only counts change: what runs goes on. Serve takes this from outside since the apps are deployed with an external scaler.
    """
    from ray.serve._private.common import DeploymentID

    controller = ray.get_actor(*CONTROLLER)
    for name, count in per_node.items():
        ray.get(controller.update_deployment_replicas.remote(DeploymentID(name, name), count * nodes), timeout=10)
