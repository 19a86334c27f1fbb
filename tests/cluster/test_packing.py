"""Several connections an actor on a real Ray: placed, woken through their host, back after a kill, rolled to other code under load."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ray


def test_packed_actors_are_woken_survive_a_kill_and_are_rolled_under_load(tmp_path: Path) -> None:
    """Thirty connections at twelve an actor are three actors; through a kill and a roll every message is handled, none is dead."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("packed_hub.py")), str(tmp_path / ".hub")],
        env={"PATH": os.environ["PATH"], "HOME": "/tmp", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert [tuple(host) for host in found["hosts"]] == [("hosts-0001", 12), ("hosts-0002", 12), ("hosts-0003", 6)]
    assert found["state"]["actor"] in dict(found["hosts"])
    assert found["state"]["status"] == "active"
    assert found["rolled"] == ["another release"]
    assert found["put_while_rolling"] > 3
    assert found["dead"] == 0
    # Taken once at the start, once after the kill, once after the roll: nobody fought over a connection.
    assert found["epochs"] <= 3
