"""`hub bench faults`: orders under vendor faults while every component is killed or stopped in turn; then every order is accounted for."""

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from cluster.bench.faults.campaign import Campaign
from cluster.bench.faults.disk import NoDisk
from cluster.bench.faults.ground import Ground, find_ground, open_ground
from cluster.bench.faults.journal import Journal, read_journal
from cluster.bench.faults.plan import KINDS, Fault, make_plan
from cluster.bench.machine import machine
from cluster.start import Say
from hub.settings import Settings

__all__ = ["Wanted", "bench_faults", "default_components", "make_plan", "resume_faults"]

LONG_SECONDS = 300.0
"""A campaign as long as this reconciles as often as a user's hub does; a shorter one would end before that."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign: so many orders at a rate a second, faults of a seed, over these components (empty: all that can be here)."""

    orders: int
    rate: float
    seed: int
    only: tuple[str, ...] = ()
    pairs: bool = False

    @property
    def seconds(self) -> float:
        """How long orders come in."""
        return self.orders / self.rate


def default_components(settings: Settings, say: Say) -> tuple[str, ...]:
    """Every component that this hub runs itself; says which cannot be harmed here, and why."""
    found = list(KINDS)
    if os.geteuid() != 0:
        say("skipped: disk (a small disk of its own needs root)")
        found.remove("disk")
    for name, of in (
        ("database_url", ("postgres", "backend", "disk", "clock")),
        ("redis_url", ("valkey",)),
        ("ray_address", ("raylet", "gcs")),
    ):
        if getattr(settings, name):
            found = [each for each in found if each not in of]
            say(f"skipped: {', '.join(of)} ({name} names a server that is not this campaign's)")
    return tuple(found)


def bench_faults(settings: Settings, say: Say, wanted: Wanted, journal: Path | None = None) -> dict[str, Any]:
    """Run a campaign on a hub of its own. With a journal of yours the hub outlives an interruption, for `resume_faults`."""
    components = wanted.only or default_components(settings, say)
    plan = make_plan(wanted.seed, wanted.seconds, components)
    for fault in plan:
        say(f"planned: {fault}")
    path = journal or Path(tempfile.gettempdir()) / f"hub-faults-{wanted.seed}-{os.getpid()}.jsonl"
    try:
        pair = None if wanted.pairs else ("square", "ubereats")
        often = 20.0 if wanted.seconds < LONG_SECONDS else settings.reconcile_seconds
        ground = open_ground(settings, say, pair, small_disk="disk" in components, reconcile=often)
    except NoDisk as error:
        say(f"skipped: disk ({error})")
        return bench_faults(settings, say, msgspec.structs.replace(wanted, only=tuple(c for c in components if c != "disk")), journal)
    log = Journal(path)
    log.write("campaign", folder=str(ground.folder), components=components, **msgspec.to_builtins(wanted))
    say(f"journal: {path}")
    kept = False
    try:
        return _run(ground, log, say, wanted, plan)
    except BaseException:
        kept = journal is not None
        if kept:
            say(f"the hub goes on running: hub bench faults --resume {path}")
        raise
    finally:
        if not kept:
            ground.close()
        log.close()


def resume_faults(say: Say, path: Path) -> dict[str, Any]:
    """Go on with a campaign whose process ended, or only check it when all its orders are placed; raises LookupError."""
    lines = read_journal(path)
    if not lines or lines[0]["what"] != "campaign":
        raise LookupError(f"{path} is no journal of a campaign")
    wanted = msgspec.convert(lines[0], Wanted)
    ground = find_ground(Path(lines[0]["folder"]), say)
    plan = make_plan(wanted.seed, wanted.seconds, lines[0]["components"])
    log = Journal(path)
    log.write("resumed", at=round(time.time(), 3))
    try:
        return _run(ground, log, say, wanted, plan, lines)
    finally:
        ground.close()
        log.close()


def _run(ground: Ground, log: Journal, say: Say, wanted: Wanted, plan: list[Fault], lines: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    links = ground.restaurants.links if wanted.pairs else ground.restaurants.links[:1]
    campaign = Campaign(ground, log, say, links, plan, wanted.seed)
    campaign.go_on_from(lines)
    began = time.monotonic()
    campaign.vendor_faults(on=True)
    campaign.run(wanted.orders, wanted.rate)
    say(f"{campaign.course.count} orders are placed after {time.monotonic() - began:.0f} s; settling")
    reports = campaign.settle()
    campaign.vendor_faults(on=False)
    done = campaign.course.done
    found = {
        "machine": machine(),
        **msgspec.to_builtins(wanted),
        "seconds": round(time.monotonic() - began, 1),
        "faults": sum("skipped" not in each for each in done),
        "kills": sum(each["kind"] == "kill" and "skipped" not in each for each in done),
        "by_component": _by_component(done),
        "skipped": [f"{each['kind']} {each['component']}: {each['skipped']}" for each in done if "skipped" in each],
        "good": bool(reports) and all(report.good for report in reports.values()),
        "alerted": sum(len(report.alerted) for report in reports.values()),
        "explained_dead_letters": sum(report.explained for report in reports.values()),
        "not_owed": sum(len(report.not_owed) for report in reports.values()),
        "report": {name: msgspec.to_builtins(report) for name, report in reports.items()},
    }
    log.write("report", **found)
    return found


def _by_component(done: list[dict[str, Any]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in done:
        if "skipped" not in each:
            name = f"{each['kind']} {each['component']}"
            counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))
