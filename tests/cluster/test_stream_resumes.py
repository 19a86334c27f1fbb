"""500 sockets through HAProxy and Serve: whatever cuts them, each client comes back with its cursor and has heard each event once."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.full, pytest.mark.timeout(300)]


def bench(kill: str) -> dict[str, Any]:
    """Run the benchmark in a process of its own: a process joins one Ray cluster in its life."""
    command = [sys.executable, "-c", "from cluster.cli import main; main()", "bench", "stream", "--json"]
    command += ["--sockets=500", "--events=3", "--rate=5", f"--kill={kill}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "RAY_"))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.stdout.strip().endswith("}"), done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("kill", ["replica", "haproxy", "reload", "drain"])
def test_all_resume_without_gap_or_repeat(kill: str) -> None:
    """After a replica's or HAProxy's death, a reload that cuts, and a drain: all are back, none on Serve's own proxy."""
    found = bench(kill)
    assert found["open"] == found["metrics"]["hub_live_sockets"] == 500
    told = found["kill"]
    assert told["cut"] == told["open"] == 500
    assert told["heard_by_all"]
    assert told["events_meanwhile"] > 10
    assert (told["missed"], told["repeated"], told["behind"], told["left_on_fallback"]) == (0, 0, 0, 0)
    if kill == "drain":
        assert told["closed_with"] == {"1012": 500}
