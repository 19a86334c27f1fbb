"""`hub bench faults`: orders under vendor faults while owners are killed, then every order counted on both sides."""

import contextlib
import os
import signal
import threading
import time
from typing import Any

import msgspec

from cluster.bench.account import Report, check
from cluster.bench.environment import Bench, bench_hub
from cluster.bench.machine import machine
from cluster.restaurants import DemoLink, Door
from cluster.sandbox_process import call
from cluster.start import Say
from hub.settings import Settings

KILL_EVERY_SECONDS = 5.0
SETTLE_SECONDS = 300.0
RATES = {"error_rate": 0.1, "timeout_after_effect": 0.05, "duplicate_webhooks": 0.3, "reorder_webhooks": 0.3}


class _Killer(threading.Thread):
    """Kills the process that hosts a connection, in turn, again and again."""

    def __init__(self, doors: list[tuple[Door, str]], every: float) -> None:
        super().__init__(daemon=True)
        self._doors, self._every = doors, every
        self.stop = threading.Event()
        self.killed = 0

    def run(self) -> None:
        turn = 0
        while not self.stop.wait(self._every):
            door, connection = self._doors[turn % len(self._doors)]
            turn += 1
            with contextlib.suppress(Exception):
                pid = door("GET", f"/connections/{connection}/state")["pid"]
                if pid:
                    os.kill(pid, signal.SIGKILL)
                    self.killed += 1


def campaign(bench: Bench, say: Say, *, orders: int, rate: float, seed: int, links: int = 1) -> dict[str, Any]:
    """Place orders under faults and kills, let everything settle, check; returns the report with its circumstances."""
    chosen = bench.restaurants.links[:links]
    slugs = sorted({link.pos for link in chosen} | {link.platform for link in chosen})
    for slug in slugs:
        call(bench.sandbox, "POST", f"/_control/{slug}/faults", {**RATES, "seed": seed, "hold_ms": 12_000})
    hosted = {(link.tenant, connection) for link in chosen for connection in (link.pos_connection, link.delivery_connection)}
    doors = [(Door(bench.root, bench.restaurants.tokens[tenant]), connection) for tenant, connection in sorted(hosted)]
    killer = _Killer(doors, KILL_EVERY_SECONDS)
    killer.start()
    began = time.monotonic()
    placed = _place(bench, chosen, orders, rate)
    say(f"placed {orders} orders in {time.monotonic() - began:.0f} s; settling")
    reports = _settle(bench, chosen, placed, killer)
    for slug in slugs:
        call(bench.sandbox, "DELETE", f"/_control/{slug}/faults")
    good = all(report.good for report in reports.values())
    return {
        "machine": machine(),
        "seed": seed,
        "rate": rate,
        "orders": orders,
        "kills": killer.killed,
        "seconds": round(time.monotonic() - began, 1),
        "good": good,
        "report": {name: msgspec.to_builtins(report) for name, report in reports.items() if links > 1 or not report.good or good},
    }


def _name(link: DemoLink) -> str:
    return f"{link.pos} {link.platform} {link.delivery_store_ref}"


def _place(bench: Bench, links: tuple[DemoLink, ...], count: int, rate: float) -> dict[str, list[str]]:
    placed: dict[str, list[str]] = {_name(link): [] for link in links}
    start = time.monotonic()
    for number in range(count):
        link = links[number % len(links)]
        answer = call(bench.sandbox, "POST", f"/_control/{link.platform}/orders", {"store": link.delivery_store_ref})
        placed[_name(link)] += answer["orders"]
        time.sleep(max(0.0, start + (number + 1) / rate - time.monotonic()))
    return placed


def _settle(bench: Bench, links: tuple[DemoLink, ...], placed: dict[str, list[str]], killer: _Killer) -> dict[str, Report]:
    limit = time.monotonic() + SETTLE_SECONDS
    reports = _reports(bench, links, placed)
    calm = False
    while time.monotonic() < limit and not (_good(reports) and calm):
        if _good(reports) or time.monotonic() > limit - SETTLE_SECONDS + 30:
            killer.stop.set()
        # Look once more after a quiet moment: a double shows itself later than a loss.
        calm = _good(reports)
        time.sleep(3.0)
        reports = _reports(bench, links, placed)
    killer.stop.set()
    return reports


def _good(reports: dict[str, Report]) -> bool:
    return all(report.good for report in reports.values())


def _reports(bench: Bench, links: tuple[DemoLink, ...], placed: dict[str, list[str]]) -> dict[str, Report]:
    states = {slug: call(bench.sandbox, "GET", f"/_control/{slug}/state") for link in links for slug in (link.pos, link.platform)}
    references: dict[str, dict[str, str]] = {}
    reports = {}
    for link in links:
        door = Door(bench.root, bench.restaurants.tokens[link.tenant])
        if link.tenant not in references:
            references[link.tenant] = _references(door)
        mine = references[link.tenant]
        wanted = {mine[key] for key in placed[_name(link)] if key in mine}
        others = {reference for key, reference in mine.items() if reference not in wanted}
        pos = dict(states[link.pos])
        pos["orders"] = [order for order in pos["orders"] if not any(other in str(order["reference"]) for other in others)]
        dead: list[dict[str, Any]] = []
        for connection in (link.pos_connection, link.delivery_connection):
            with contextlib.suppress(RuntimeError):
                dead += door("GET", f"/connections/{connection}/messages?state=dead&limit=50")["items"]
        report = check(placed[_name(link)], states[link.platform], pos, len(dead), mine)
        reports[_name(link)] = msgspec.structs.replace(report, dead=dead)
    return reports


def _references(door: Door) -> dict[str, str]:
    """The hub's order ids by the platform's, every page."""
    found: dict[str, str] = {}
    cursor = ""
    while True:
        page = door("GET", f"/orders?limit=200{f'&cursor={cursor}' if cursor else ''}")
        found |= {order["platform_order_id"]: order["id"] for order in page["items"]}
        cursor = page["next_cursor"] or ""
        if not cursor:
            return found


def bench_faults(settings: Settings, say: Say, *, orders: int, rate: float, seed: int, pairs: bool = False) -> dict[str, Any]:
    """Run one campaign on a hub of its own: one pair, or every POS with every platform."""
    with bench_hub(settings, say, None if pairs else ("square", "ubereats")) as bench:
        return campaign(bench, say, orders=orders, rate=rate, seed=seed, links=len(bench.restaurants.links) if pairs else 1)
