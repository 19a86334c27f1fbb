"""`hub bench faults`: orders under vendor faults while owners are killed, then every order counted on both sides."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterable
from typing import Any

import msgspec

from cluster.bench.environment import Bench, bench_hub
from cluster.bench.machine import machine
from cluster.restaurants import DemoLink, Door
from cluster.sandbox_process import call
from cluster.start import Say
from hub.settings import Settings

KILL_EVERY_SECONDS = 5.0
SETTLE_SECONDS = 300.0
RATES = {"error_rate": 0.1, "timeout_after_effect": 0.05, "duplicate_webhooks": 0.3, "reorder_webhooks": 0.3}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the checker found; every list holds ids, and all must be empty."""

    placed: int
    lost: list[str]
    doubled: list[str]
    unpaid: list[str]
    paid_twice: list[str]
    not_accepted: list[str]
    strangers: list[str]
    refused: list[dict[str, Any]]
    dead_letters: int
    dead: list[dict[str, Any]] = []
    """What died and why."""

    @property
    def good(self) -> bool:
        """Nothing lost, nothing twice, nothing refused that nobody injected."""
        found = (self.lost, self.doubled, self.unpaid, self.paid_twice, self.not_accepted, self.strangers, self.refused)
        return not any(found) and self.dead_letters == 0


def check(placed: Iterable[str], platform: dict[str, Any], pos: dict[str, Any], dead_letters: int) -> Report:
    """Hold both vendors' states against what was placed: each order once in the POS, paid once, accepted on its platform."""
    placed = set(placed)
    at_platform = {order["id"]: order for order in platform["orders"] if order["id"] in placed}
    at_pos: dict[str, list[dict[str, Any]]] = {}
    for order in pos["orders"]:
        at_pos.setdefault(order["reference"], []).append(order)
    lost, doubled, unpaid, twice, not_accepted = [], [], [], [], []
    references = set()
    for key in sorted(placed):
        order = at_platform.get(key)
        if order is None or not any(step["state"] == "ACCEPTED" for step in order["history"]):
            not_accepted.append(key)
        reference = order["reference"] if order is not None else ""
        references.add(reference)
        found = at_pos.get(reference, []) if reference else []
        if not found:
            lost.append(key)
            continue
        if len(found) > 1:
            doubled.append(key)
        for each in found:
            paid = [payment for payment in each["payments"] if payment["status"] == "COMPLETED"]
            if not paid and each["total"]:
                unpaid.append(key)
            if len(paid) > 1:
                twice.append(key)
    refused = [
        {"vendor": name, **row}
        for name, state in (("platform", platform), ("pos", pos))
        for row in state["rejected"]
        if not row["injected"] and not _harmless(row)
    ]
    return Report(
        placed=len(placed),
        lost=lost,
        doubled=doubled,
        unpaid=unpaid,
        paid_twice=twice,
        not_accepted=not_accepted,
        strangers=sorted(reference for reference in at_pos if reference not in references),
        refused=refused[:20],
        dead_letters=dead_letters,
    )


def _harmless(row: dict[str, Any]) -> bool:
    # An accept that is repeated because its first answer was lost finds the order accepted: the vendor's 409 is the proof.
    return row["path"].endswith("/accept") and "409" in str(row.get("status", row["reason"]))


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
    doors = [
        (Door(bench.root, bench.restaurants.tokens[link.tenant]), connection)
        for link in chosen
        for connection in (link.pos_connection, link.delivery_connection)
    ]
    killer = _Killer(doors, KILL_EVERY_SECONDS)
    killer.start()
    began = time.monotonic()
    placed = _place(bench, chosen, orders, rate)
    say(f"placed {len(placed)} orders in {time.monotonic() - began:.0f} s; settling")
    report = _settle(bench, chosen, placed, killer)
    for slug in slugs:
        call(bench.sandbox, "DELETE", f"/_control/{slug}/faults")
    return {
        "machine": machine(),
        "seed": seed,
        "rate": rate,
        "kills": killer.killed,
        "seconds": round(time.monotonic() - began, 1),
        "good": report.good,
        "report": msgspec.to_builtins(report),
    }


def _place(bench: Bench, links: tuple[DemoLink, ...], count: int, rate: float) -> list[str]:
    placed: list[str] = []
    start = time.monotonic()
    while len(placed) < count:
        link = links[len(placed) % len(links)]
        answer = call(bench.sandbox, "POST", f"/_control/{link.platform}/orders", {"store": link.delivery_store_ref})
        placed += answer["orders"]
        time.sleep(max(0.0, start + len(placed) / rate - time.monotonic()))
    return placed


def _settle(bench: Bench, links: tuple[DemoLink, ...], placed: list[str], killer: _Killer) -> Report:
    limit = time.monotonic() + SETTLE_SECONDS
    report = _report(bench, links, placed)
    calm = False
    while time.monotonic() < limit and not (report.good and calm):
        if report.good or time.monotonic() > limit - SETTLE_SECONDS + 30:
            killer.stop.set()
        # Look once more after a quiet moment: a double shows itself later than a loss.
        calm = report.good
        time.sleep(3.0)
        report = _report(bench, links, placed)
    killer.stop.set()
    return report


def _report(bench: Bench, links: tuple[DemoLink, ...], placed: list[str]) -> Report:
    platform = call(bench.sandbox, "GET", f"/_control/{links[0].platform}/state")
    pos = call(bench.sandbox, "GET", f"/_control/{links[0].pos}/state")
    dead: list[dict[str, Any]] = []
    for link in links:
        door = Door(bench.root, bench.restaurants.tokens[link.tenant])
        for connection in (link.pos_connection, link.delivery_connection):
            with contextlib.suppress(RuntimeError):
                dead += door("GET", f"/connections/{connection}/messages?state=dead&limit=50")["items"]
    return msgspec.structs.replace(check(placed, platform, pos, len(dead)), dead=dead)


def bench_faults(settings: Settings, say: Say, *, orders: int, rate: float, seed: int) -> dict[str, Any]:
    """Run one campaign on a hub of its own."""
    with bench_hub(settings, say) as bench:
        return campaign(bench, say, orders=orders, rate=rate, seed=seed)
