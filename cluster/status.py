"""`hub status`: what runs where."""

import os
from typing import Any

import msgspec

from cluster.run_file import RunFile, is_alive
from hub.settings import Settings


def read_status(settings: Settings) -> dict[str, Any]:
    """Processes that this hub started, with their ports, and the nodes of its cluster.

    Shape: `{home, data, processes: [{name, pid, ports, state}], nodes: [{id, address, head, draining}]}`; no nodes on loopback.
    """
    state = RunFile(settings.home).read()
    rows = [
        {
            "name": name,
            "pid": child.pid,
            "ports": " ".join(f"{key}={port}" for key, port in child.ports.items()),
            "state": "running" if is_alive(child) else "ended",
        }
        for name, child in sorted(state.children.items())
    ]
    return {"home": str(settings.home), "data": state.data, "processes": rows, "nodes": _nodes(settings)}


def _nodes(settings: Settings) -> list[dict[str, Any]]:
    from actors.nodes import Gcs, Unreachable
    from cluster.ray_environment import ray_environment
    from cluster.start import head_of

    head = head_of(settings)
    if not settings.node_address or not head:
        return []
    os.environ.update(ray_environment(settings))
    try:
        return [dict(msgspec.to_builtins(node)) for node in Gcs(head).nodes()]
    except Unreachable:
        return []
