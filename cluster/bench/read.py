"""`hub bench read`: authenticated reads of single orders a second, in alternation with another server's (unauthenticated) read."""

import http.client
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cluster.bench.cpu import hub_cpu, server_cpu
from cluster.bench.environment import Bench, bench_hub
from cluster.bench.ingest import PATH, write_load
from cluster.bench.load import Target, alternate, lines_of, need_wrk
from cluster.bench.machine import machine
from cluster.restaurants import Door
from cluster.sandbox_process import call
from cluster.start import Say
from hub.settings import Settings

SCRIPT = """
local requests, n = {}, 0
init = function()
  for line in io.lines(os.getenv("HUB_BENCH_LOAD")) do
    local path, token = line:match("^(%S+)\\t(.*)$")
    local headers = {}
    if token ~= "" then headers["Authorization"] = "Bearer " .. token end
    requests[#requests + 1] = wrk.format("GET", path, headers)
  end
end
request = function()
  n = n % #requests + 1
  return requests[n]
end
"""


def bench_read(
    settings: Settings, say: Say, *, seconds: int, rounds: int, sockets: int, count: int, versus: str, versus_secret: str
) -> dict[str, Any]:
    """Place `count` orders over two tenants, then read them by id in turn; the other server gets as many and is read after each round."""
    need_wrk()
    with bench_hub(settings, say) as bench, tempfile.TemporaryDirectory() as folder:
        ours = Path(folder) / "hub.tsv"
        ours.write_text("".join(f"/api/v1/orders/{order}\t{token}\n" for order, token in _placed(bench, say, count)))
        hub = Target(bench.root, SCRIPT, lambda _: {"HUB_BENCH_LOAD": str(ours)}, hub_cpu(bench.running.settings.home))
        other = None
        if versus:
            theirs = Path(folder) / "other.tsv"
            theirs.write_text("".join(f"/orders/{event}\t\n" for event in _told(versus, versus_secret, Path(folder), count)))
            other = Target(versus, SCRIPT, lambda _: {"HUB_BENCH_LOAD": str(theirs)}, server_cpu(versus))
        found = alternate(hub, other, say, seconds=seconds, rounds=rounds, sockets=sockets)
        given = {"api_replicas": bench.running.settings.api_replicas, "orders": count}
        return {"machine": machine(), "settings": given, "seconds": seconds, "sockets": sockets, **found}


def _placed(bench: Bench, say: Say, count: int) -> Iterator[tuple[str, str]]:
    """Orders' ids with a token of their tenant, the tenants in turn, once the kitchen has all of them."""
    links = bench.restaurants.links
    say(f"placing {count} orders")
    left = count
    for number in range((count + 49) // 50):
        link = links[number % len(links)]
        call(bench.sandbox, "POST", f"/_control/{link.platform}/orders", {"store": link.delivery_store_ref, "count": min(50, left)})
        left -= 50
    limit = time.monotonic() + 60 + count / 20
    while True:
        found = [list(_orders(Door(bench.root, token))) for token in bench.restaurants.tokens.values()]
        states = [state for orders in found for _, state in orders]
        if len(states) >= count and "received" not in states:
            break
        if time.monotonic() > limit:
            raise TimeoutError(f"{len(states)} of {count} orders came, {states.count('received')} of them undecided")
        time.sleep(1)
    tokens = list(bench.restaurants.tokens.values())
    for row in zip(*found, strict=False):
        for (order, _), token in zip(row, tokens, strict=True):
            yield order, token


def _orders(door: Door) -> Iterator[tuple[str, str]]:
    cursor = ""
    while True:
        page = door("GET", f"/orders?limit=200{cursor}")
        yield from ((order["id"], order["state"]) for order in page["items"])
        if not page["next_cursor"]:
            return
        cursor = f"&cursor={page['next_cursor']}"


def _told(url: str, secret: str, folder: Path, count: int) -> Iterator[str]:
    """Tell the other server of as many orders; their ids there."""
    load = folder / "told.tsv"
    write_load(load, count, secret, "store")
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    for line in lines_of(load):
        signature, _, body = line.partition("\t")
        connection.request("POST", PATH, body, {"Content-Type": "application/json", "X-Uber-Signature": signature})
        answer = connection.getresponse()
        answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{url} did not take a webhook: {answer.status}")
        yield json.loads(body)["event_id"]
    connection.close()
