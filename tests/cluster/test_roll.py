"""The api replica is replaced while webhooks and reads come in: none is lost, none refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.postgres, pytest.mark.full]

DRIVER = Path(__file__).with_name("roll_under_load.py")


@pytest.mark.timeout(300)
def test_a_roll_under_load_loses_and_refuses_nothing() -> None:
    """Old and new replicas share no process; every call was answered well, slow bodies too, and what was acknowledged is stored."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/tmp"}
    done = subprocess.run([sys.executable, str(DRIVER)], env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["wrong"] == []
    assert found["rolled"]["before"]
    assert found["rolled"]["after"]
    assert not set(found["rolled"]["before"]) & set(found["rolled"]["after"])
    assert all(found["outcomes"][f"{way} ok"] > 20 for way in ("webhook", "read"))
    assert found["outcomes"]["slow ok"] > 3
    assert found["stored"] == found["acknowledged"] > 500
