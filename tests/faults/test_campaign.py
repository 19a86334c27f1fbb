"""The promise under fire: vendor faults, duplicated and reordered webhooks, and every component killed or stopped in turn."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cluster.bench.faults.journal import read_journal

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1200)]


def _command(*arguments: str) -> list[str]:
    # A process of its own: Ray remembers the token of the first cluster that a process joins.
    return [str(Path(sys.executable).parent / "hub"), "bench", "faults", "--json", *arguments]


def _report(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(_command(*arguments), capture_output=True, text=True, check=False, timeout=1100)
    assert done.stdout, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.full
def test_every_order_is_accounted_for_after_a_campaign_whose_own_process_was_killed(tmp_path: Path) -> None:
    """240 orders: each once in the POS, paid once, accepted, though the campaign dies in the middle and another process goes on."""
    path = tmp_path / "journal.jsonl"
    with (tmp_path / "log").open("wb") as log:
        first = subprocess.Popen(_command("--orders", "240", "--rate", "8", "--seed", "1", "--journal", str(path)), stdout=log, stderr=log)
        limit = time.monotonic() + 240
        while sum(row["what"] == "placed" for row in (read_journal(path) if path.exists() else [])) < 90:
            assert first.poll() is None, (tmp_path / "log").read_text()[-3000:]
            assert time.monotonic() < limit
            time.sleep(0.2)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    found = _report("--resume", str(path))
    assert found["good"], json.dumps(found, indent=2)
    lines = read_journal(path)
    assert sum(len(row["orders"]) for row in lines if row["what"] == "placed") == 240
    assert max(Counter(row["number"] for row in lines if row["what"] == "fault").values()) == 1, "a fault was done twice"
    assert found["faults"] >= 5, "next to nothing was harmed: the campaign proved nothing"
    assert not Path(lines[0]["folder"]).exists(), "something was left behind"


@pytest.mark.full
@pytest.mark.parametrize("seed", [11, 12, 13])
def test_every_order_of_a_long_campaign_is_accounted_for(seed: int) -> None:
    """Three seeds of 2,000 orders each, over all components."""
    found = _report("--orders", "2000", "--rate", "8", "--seed", str(seed))
    assert found["good"], json.dumps(found, indent=2)
    assert found["alerted"] == 0
