"""`hub bench orders`: orders from a platform's webhook to the POS and back, all of them, with latencies."""

import time
from datetime import datetime
from typing import Any

from cluster.bench.environment import Bench, bench_hub
from cluster.bench.machine import machine, percentile, usage
from cluster.restaurants import DemoLink
from cluster.sandbox_process import call
from cluster.start import Say
from hub.settings import Settings


def bench_orders(settings: Settings, say: Say, *, count: int, rate: float, links: int) -> dict[str, Any]:
    """Place `count` orders (all at once when rate is 0), wait for each to be accepted, check both sides, return figures."""
    with bench_hub(settings, say) as bench:
        chosen = bench.restaurants.links[:links]
        before = usage(bench.running.settings.home)
        for link in chosen:
            call(bench.sandbox, "POST", f"/_control/{link.platform}/orders", {"store": link.delivery_store_ref, "count": 5})
        _wait(bench, 5 * len(chosen), 60)
        say(f"placing {count} orders")
        placed, began = _place(bench, chosen, count, rate)
        wanted = 5 * len(chosen) + len(placed)
        _wait(bench, wanted, 60 + count / 20)
        return {
            "machine": machine(),
            "orders": count,
            "rate": rate or None,
            "links": len(chosen),
            "idle": before,
            **_figures(bench, placed, began),
        }


def _place(bench: Bench, links: tuple[DemoLink, ...], count: int, rate: float) -> tuple[set[str], float]:
    placed: set[str] = set()
    began = time.time()
    at_once = 1 if rate else 50
    start = time.monotonic()
    while len(placed) < count:
        link = links[len(placed) // at_once % len(links)]
        body = {"store": link.delivery_store_ref, "count": min(at_once, count - len(placed))}
        placed.update(call(bench.sandbox, "POST", f"/_control/{link.platform}/orders", body)["orders"])
        if rate:
            time.sleep(max(0.0, start + len(placed) / rate - time.monotonic()))
    return placed, began


def _accepted(bench: Bench) -> list[dict[str, Any]]:
    orders = call(bench.sandbox, "GET", "/_control/ubereats/state")["orders"]
    return [order for order in orders if any(step["state"] == "ACCEPTED" for step in order["history"])]


def _wait(bench: Bench, count: int, seconds: float) -> None:
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if len(_accepted(bench)) >= count:
            return
        time.sleep(0.5)


def _at(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _figures(bench: Bench, placed: set[str], began: float) -> dict[str, Any]:
    waits, ends = [], []
    for order in _accepted(bench):
        if order["id"] in placed:
            first, accepted = order["history"][0]["at"], next(h["at"] for h in order["history"] if h["state"] == "ACCEPTED")
            waits.append(_at(accepted) - _at(first))
            ends.append(_at(accepted))
    at_pos: dict[str, int] = {}
    for order in call(bench.sandbox, "GET", "/_control/square/state")["orders"]:
        at_pos[order["reference"]] = at_pos.get(order["reference"], 0) + 1
    seconds = (max(ends) if ends else time.time()) - began
    return {
        "accepted": len(waits),
        "lost": len(placed) - len(waits),
        "doubled": sum(1 for count in at_pos.values() if count > 1),
        "orders_a_second": round(len(waits) / seconds, 1) if seconds > 0 else None,
        "accept_p50_s": round(percentile(waits, 0.5), 4),
        "accept_p99_s": round(percentile(waits, 0.99), 4),
    }
