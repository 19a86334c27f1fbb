"""`hub status`: what runs where."""

from typing import Any

from cluster.run_file import RunFile, is_alive
from hub.settings import Settings


def read_status(settings: Settings) -> dict[str, Any]:
    """Processes that this hub started, with their ports; shape `{home, processes: [{name, pid, ports, state}]}`."""
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
    return {"home": str(settings.home), "data": state.data, "processes": rows}
