"""`hub bench ingest`: signed webhooks stored and acknowledged a second, in alternation with another server."""

import hashlib
import hmac
import json
import re
import shutil
import statistics
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from cluster.bench.environment import Bench, bench_hub
from cluster.bench.machine import machine
from cluster.restaurants import Door
from cluster.sandbox_process import call
from cluster.start import Say
from hub.settings import Settings

PATH = "/webhooks/ubereats"
SCRIPT = """
local lines, n = {}, 0
for l in io.lines(os.getenv("HUB_BENCH_LOAD")) do lines[#lines + 1] = l end
request = function()
  n = n % #lines + 1
  local signature, body = lines[n]:match("^(%x+)\\t(.*)$")
  return wrk.format("POST", os.getenv("HUB_BENCH_PATH"),
    {["Content-Type"] = "application/json", ["X-Uber-Signature"] = signature}, body)
end
"""


class NoGenerator(RuntimeError):
    """The load generator is not installed: apt-get install wrk."""


def write_load(path: Path, count: int, secret: str, store: str) -> None:
    """Write signed, distinct order notices, one a line: signature, tab, body."""
    with path.open("w") as file:
        for _ in range(count):
            order = str(uuid.uuid4())
            body = json.dumps(
                {
                    "event_type": "orders.notification",
                    "event_id": str(uuid.uuid4()),
                    "event_time": int(time.time()),
                    "meta": {"resource_id": order, "status": "pos", "user_id": store},
                    "resource_href": f"https://api.uber.com/v1/delivery/order/{order}",
                },
                separators=(",", ":"),
            )
            signature = hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()
            file.write(f"{signature}\t{body}\n")


def run_wrk(url: str, load: Path, script: Path, seconds: int, sockets: int) -> dict[str, float]:
    """One round of load; returns requests a second, failures and the 99th percentile in milliseconds."""
    environment = {"HUB_BENCH_LOAD": str(load), "HUB_BENCH_PATH": PATH, "PATH": "/usr/bin:/bin"}
    command = ["wrk", "-t1", f"-c{sockets}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))  # type: ignore[union-attr]  # wrk prints it always
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    slow = re.search(r"99%\s+([\d.]+)(us|ms|s)", out)
    factor = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    p99 = float(slow[1]) * factor[slow[2]] if slow else float("nan")
    return {"rate": rate, "failed": float(failed[1]) if failed else 0.0, "p99_ms": p99}


def bench_ingest(
    settings: Settings, say: Say, *, seconds: int, rounds: int, sockets: int, versus: str, versus_secret: str
) -> dict[str, Any]:
    """Measure the hub, and the other server after each round of it; returns figures and their ratio."""
    if shutil.which("wrk") is None:
        raise NoGenerator("wrk is not installed: apt-get install wrk")
    with bench_hub(settings, say) as bench, tempfile.TemporaryDirectory() as folder:
        store, secret = _quiet_store(bench)
        script = Path(folder) / "load.lua"
        script.write_text(SCRIPT)
        ours: list[dict[str, float]] = []
        theirs: list[dict[str, float]] = []
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            load = Path(folder) / f"load{number}.tsv"
            write_load(load, seconds * 8000, secret, store)
            ours.append(run_wrk(bench.root, load, script, seconds, sockets))
            if versus:
                other = Path(folder) / f"other{number}.tsv"
                write_load(other, seconds * 8000, versus_secret, store)
                theirs.append(run_wrk(versus, other, script, seconds, sockets))
        result: dict[str, Any] = {"machine": machine(), "seconds": seconds, "sockets": sockets, "hub": _summary(ours)}
        if theirs:
            result["versus"] = _summary(theirs)
            result["ratio"] = round(result["hub"]["rate"] / result["versus"]["rate"], 3)
        return result


def _summary(rounds: list[dict[str, float]]) -> dict[str, Any]:
    return {
        "rate": round(statistics.median(r["rate"] for r in rounds), 1),
        "rates": [round(r["rate"], 1) for r in rounds],
        "p99_ms": round(statistics.median(r["p99_ms"] for r in rounds), 2),
        "failed": int(sum(r["failed"] for r in rounds)),
    }


def _quiet_store(bench: Bench) -> tuple[str, str]:
    # Its owner is paused: intake alone is measured, as in the server it is compared with.
    link = next(link for link in bench.restaurants.links if link.platform == "ubereats")
    door = Door(bench.root, bench.restaurants.tokens[link.tenant])
    door("POST", f"/connections/{link.delivery_connection}/pause")
    credentials = call(bench.sandbox, "GET", "/_control")["ubereats"]["credentials"]
    return link.delivery_store_ref, credentials["client_secret"]
