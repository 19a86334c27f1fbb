"""`hub bench ingest`: signed webhooks stored and acknowledged a second, in alternation with another server."""

import hashlib
import hmac
import json
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster.bench.cpu import hub_cpu, server_cpu
from cluster.bench.environment import Bench, bench_hub
from cluster.bench.load import Target, alternate, need_wrk
from cluster.bench.machine import machine
from cluster.restaurants import Door
from cluster.sandbox_process import call
from cluster.start import Say
from hub.settings import Settings

PATH = "/webhooks/ubereats"
MOST_A_SECOND = 12_000
"""Notices made for each second of a round: more than any server here takes, so that none comes twice."""
SCRIPT = """
local next_line = io.lines(os.getenv("HUB_BENCH_LOAD"))
local path, headers = os.getenv("HUB_BENCH_PATH"), {["Content-Type"] = "application/json"}
request = function()
  local line = next_line()
  if line == nil then wrk.thread:stop() return wrk.format("GET", "/") end
  local tab = line:find("\\t", 1, true)
  headers["X-Uber-Signature"] = line:sub(1, tab - 1)
  return wrk.format("POST", path, headers, line:sub(tab + 1))
end
"""


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


def bench_ingest(
    settings: Settings, say: Say, *, seconds: int, rounds: int, sockets: int, versus: str, versus_secret: str
) -> dict[str, Any]:
    """Measure the hub, and the other server after each round of it; returns figures and their ratio."""
    need_wrk()
    with bench_hub(settings, say) as bench, tempfile.TemporaryDirectory() as folder:
        store, secret = _quiet_store(bench)

        def load(name: str, key: str) -> Any:
            def written(number: int) -> Mapping[str, str]:
                path = Path(folder) / f"{name}{number}.tsv"
                write_load(path, seconds * MOST_A_SECOND, key, store)
                return {"HUB_BENCH_LOAD": str(path), "HUB_BENCH_PATH": PATH}

            return written

        hub = Target(bench.root, SCRIPT, load("hub", secret), hub_cpu(bench.running.settings.home))
        other = Target(versus, SCRIPT, load("other", versus_secret), server_cpu(versus)) if versus else None
        found = alternate(hub, other, say, seconds=seconds, rounds=rounds, sockets=sockets)
        replicas = {"api_replicas": bench.running.settings.api_replicas}
        return {"machine": machine(), "settings": replicas, "seconds": seconds, "sockets": sockets, **found}


def _quiet_store(bench: Bench) -> tuple[str, str]:
    # Its owner is paused: intake alone is measured, as in the server it is compared with.
    link = next(link for link in bench.restaurants.links if link.platform == "ubereats")
    door = Door(bench.root, bench.restaurants.tokens[link.tenant])
    door("POST", f"/connections/{link.delivery_connection}/pause")
    credentials = call(bench.sandbox, "GET", "/_control")["ubereats"]["credentials"]
    return link.delivery_store_ref, credentials["client_secret"]
