"""`hub bench orders`: orders from a platform's webhook to the POS and back, each counted on both sides, with latencies and CPU."""

import http.client
import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from cluster.bench.account import check
from cluster.bench.environment import Bench, bench_hub
from cluster.bench.machine import machine, percentile, usage
from cluster.bench.profile import GENERATOR, busy_seconds, cpu_between, cpu_by_group
from cluster.restaurants import DemoLink, Door
from cluster.sandbox_process import call
from cluster.start import Say
from hub.settings import Settings

POS, PLATFORM = "square", "ubereats"
TICK_SECONDS = 0.01
WARM = 50
"""Orders of each link that are placed and forgotten first."""
BUSY = 0.93
"""A single-threaded process that used this share of a core was the limit."""
BEHIND = 0.98
"""An open loop that placed less than this share of what it should have was the limit."""
SETTLE_SECONDS = 90.0


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """How orders are placed: at a `rate` a second, or so many at once `in_flight`; for `seconds`, or `count` of them."""

    rate: float = 0.0
    in_flight: int = 0
    seconds: float = 0.0
    count: int = 0

    def wanted(self, passed: float, placed: int, accepted: int) -> int:
        """How many to place now."""
        room = self.count - placed if self.count else placed + 1_000_000
        if self.rate:
            return min(room, int(passed * self.rate) + 1 - placed)
        return min(room, self.in_flight - (placed - accepted))

    def is_over(self, passed: float, placed: int) -> bool:
        """Tell whether nothing more is to be placed."""
        return (self.seconds > 0 and passed >= self.seconds) or (self.count > 0 and placed >= self.count)


class _Consumers:
    """Places orders at the simulated platform over one kept connection, and sees how many it knows to be accepted."""

    def __init__(self, sandbox: str, links: tuple[DemoLink, ...]) -> None:
        self._links = links
        self._next = 0
        self._socket = http.client.HTTPConnection(urlsplit(sandbox).netloc, timeout=60)
        self.placed: dict[str, list[str]] = {link.delivery_store_ref: [] for link in links}

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        self._socket.request(method, path, json.dumps(body) if body is not None else None)
        return json.loads(self._socket.getresponse().read())

    def accepted(self) -> int:
        """Accepts that the platform has had, repeated ones left out."""
        calls = self._call("GET", f"/_control/{PLATFORM}/calls")
        return int(calls.get("order.accept", 0)) - int(calls.get("order.accept.repeated", 0))

    def place(self, count: int) -> None:
        """Place so many orders, dealt out over the links."""
        shares = [count // len(self._links)] * len(self._links)
        for _ in range(count % len(self._links)):
            shares[self._next % len(shares)] += 1
            self._next += 1
        for link, share in zip(self._links, shares, strict=True):
            if share:
                body = {"store": link.delivery_store_ref, "count": share}
                self.placed[link.delivery_store_ref] += self._call("POST", f"/_control/{PLATFORM}/orders", body)["orders"]

    def wait(self, count: int, seconds: float) -> None:
        """Wait until so many accepts were seen, or for so long."""
        limit = time.monotonic() + seconds
        while self.accepted() < count and time.monotonic() < limit:
            time.sleep(0.05)


def bench_orders(settings: Settings, say: Say, *, load: Load, links: int) -> dict[str, Any]:
    """Place orders at simulated platforms, wait for each accept, hold both sides against what was placed; returns figures.

    Each link has a tenant and two connections of its own. Rates count accepts within the time of placing.
    """
    with bench_hub(settings, say, (POS, PLATFORM), links, apart=True) as bench:
        return run_orders(bench, say, load)


def run_orders(bench: Bench, say: Say, load: Load, pause: Callable[[float], None] = time.sleep) -> dict[str, Any]:
    """One run on a hub that is up."""
    links = bench.restaurants.links
    home = bench.running.settings.home
    idle = usage(home)
    warm = _Consumers(bench.sandbox, links)
    warm.place(WARM * len(links))
    warm.wait(WARM * len(links), 60)
    pause(1.0)
    consumers = _Consumers(bench.sandbox, links)
    before = consumers.accepted()
    say(f"placing orders: {msgspec.to_builtins(load)}")
    cpu, busy, start, began = cpu_by_group(home), busy_seconds(), time.monotonic(), time.time()
    placed = 0
    while not load.is_over(passed := time.monotonic() - start, placed):
        count = load.wanted(passed, placed, consumers.accepted() - before if load.in_flight else 0)
        if count > 0:
            consumers.place(count)
            placed += count
        pause(TICK_SECONDS)
    placing = time.monotonic() - start
    consumers.wait(before + placed, SETTLE_SECONDS)
    until = time.monotonic() - start
    used = cpu_between(cpu, cpu_by_group(home))
    others = max(0.0, busy_seconds() - busy - sum(used.values()))
    say("counting")
    figures = _figures(bench, consumers, began, placing if load.seconds else until)
    return {
        "machine": machine(),
        "load": msgspec.to_builtins(load),
        "links": len(links),
        "idle": idle,
        "placed": placed,
        "seconds_of_placing": round(placing, 2),
        "seconds_until_the_last_accept": round(until, 2),
        **figures,
        "cpu_ms_an_order": {group: round(seconds * 1000 / max(1, placed), 3) for group, seconds in used.items()},
        "cpu_ms_an_order_in_all": round(sum(used.values()) * 1000 / max(1, placed), 3),
        "cores_used": round(sum(used.values()) / until, 2),
        "cores_used_by_others": round(others / until, 2),
        "void": void(load, used, until, placed, placing),
    }


def void(load: Load, used: dict[str, float], seconds: float, placed: int, placing: float) -> list[str]:
    """Why a run says nothing about the hub: what beside it was the limit. Empty for a good run."""
    reasons = []
    for group, name in ((GENERATOR, "the generator"), ("simulators", "the simulated vendors")):
        if used.get(group, 0.0) > BUSY * seconds:
            reasons.append(f"{name} used {used[group] / seconds:.2f} of a core")
    wanted = min(load.rate * placing, load.count or float("inf"))
    if load.rate and placed < BEHIND * wanted - 1:
        reasons.append(f"{placed} orders were placed where {wanted:.0f} were due")
    return reasons


def _at(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _figures(bench: Bench, consumers: _Consumers, began: float, seconds: float) -> dict[str, Any]:
    platform = call(bench.sandbox, "GET", f"/_control/{PLATFORM}/state", seconds=300)
    pos = call(bench.sandbox, "GET", f"/_control/{POS}/state", seconds=300)
    placed = {order for orders in consumers.placed.values() for order in orders}
    of_run = {order["reference"] for order in platform["orders"] if order["id"] in placed}
    # What was placed to warm up is no stranger.
    others = {order["reference"] for order in platform["orders"]} - of_run
    pos["orders"] = [order for order in pos["orders"] if order["reference"] not in others]
    report = check(placed, platform, pos, _dead(bench))
    waits, ends = [], []
    for order in platform["orders"]:
        accepted = next((step["at"] for step in order["history"] if step["state"] == "ACCEPTED"), None)
        if order["id"] in placed and accepted is not None:
            waits.append(_at(accepted) - _at(order["history"][0]["at"]))
            ends.append(_at(accepted))
    within = sum(1 for end in ends if end <= began + seconds)
    wrong = {name: found for name, found in msgspec.to_builtins(report).items() if isinstance(found, list) and found}
    return {
        "accepted": len(waits),
        "good": report.good,
        **{name: len(found) for name, found in msgspec.to_builtins(report).items() if isinstance(found, list)},
        "dead_letters": report.dead_letters,
        "found_wrong": {name: found[:5] for name, found in wrong.items()},
        "orders_a_second": round(within / seconds, 1) if seconds > 0 else None,
        **{f"accept_p{share}_ms": round(percentile(waits, share / 100) * 1000, 1) for share in (50, 95, 99)},
        "accept_max_ms": round(max(waits, default=0.0) * 1000, 1),
        "vendor_calls_an_order": {
            name: round(count / max(1, len(platform["orders"])), 2)
            for state in (platform, pos)
            for name, count in sorted(state["calls"].items())
            if count >= len(platform["orders"]) / 20
        },
        "webhooks_an_order": {
            name: round(state["webhooks"].get("sends", 0) / max(1, len(platform["orders"])), 2)
            for name, state in ((PLATFORM, platform), (POS, pos))
        },
    }


def _dead(bench: Bench) -> int:
    found = 0
    for link in bench.restaurants.links:
        door = Door(bench.root, bench.restaurants.tokens[link.tenant])
        for connection in (link.pos_connection, link.delivery_connection):
            found += len(door("GET", f"/connections/{connection}/messages?state=dead&limit=50")["items"])
    return found
