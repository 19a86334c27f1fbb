"""A campaign: orders come in under vendor faults while components are harmed one after another; then every order is accounted for."""

import contextlib
import threading
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from cluster.bench.account import Report
from cluster.bench.faults.audit import audit
from cluster.bench.faults.clock import HOUR, set_clock
from cluster.bench.faults.components import Absent, find, go_on, kill, stop
from cluster.bench.faults.ground import Ground
from cluster.bench.faults.journal import Journal
from cluster.bench.faults.plan import LONGEST, Fault
from cluster.restaurants import DemoLink
from cluster.run_file import Child
from cluster.sandbox_process import call
from cluster.start import Say

SETTLE_SECONDS = 420.0
CALM_SECONDS = 3.0
VENDOR_FAULTS = {
    "error_rate": 0.1,
    "timeout_after_effect": 0.05,
    "duplicate_webhooks": 0.3,
    "reorder_webhooks": 0.3,
    "malformed": 0.02,
    "expire_tokens": 0.01,
    "hold_ms": 12_000,
}
RETRY_SCALE = 0.5
"""Vendors repeat their webhooks twice as fast as in the world: settling takes minutes, not half an hour."""


class Course(msgspec.Struct):
    """How far a campaign is: orders placed by link, and the faults that are over."""

    placed: dict[str, list[str]]
    done: list[dict[str, Any]] = []

    @property
    def count(self) -> int:
        """How many orders are placed."""
        return sum(len(each) for each in self.placed.values())


def link_name(link: DemoLink) -> str:
    """A link's name in reports."""
    return f"{link.pos} {link.platform} {link.delivery_store_ref}"


class Campaign:
    """Runs a plan against a ground, writing a journal."""

    def __init__(self, ground: Ground, journal: Journal, say: Say, links: tuple[DemoLink, ...], plan: list[Fault], seed: int) -> None:
        self._ground, self._journal, self._say, self._links, self._plan, self._seed = ground, journal, say, links, plan, seed
        self._ended, self._aborted = threading.Event(), threading.Event()
        self.course = Course({link_name(link): [] for link in links})

    def go_on_from(self, lines: Sequence[dict[str, Any]]) -> None:
        """Take up what a journal says was done, and let go of whatever the interruption left stopped or full."""
        for line in lines:
            if line["what"] == "placed":
                self.course.placed[line["link"]] += line["orders"]
            elif line["what"] == "fault":
                self.course.done.append(line)
            elif line["what"] == "stopping":
                go_on([Child(pid, started) for pid, started in line["victims"]])
        if lines and self._ground.disk is not None:
            self._ground.disk.free()
        if lines and self._ground.settings.admin_database_url:
            set_clock(self._ground.settings.admin_database_url, 0)

    def vendor_faults(self, on: bool) -> None:
        """Have the vendors misbehave, or behave again."""
        for slug in sorted({slug for link in self._links for slug in (link.pos, link.platform)}):
            if on:
                call(self._ground.sandbox, "POST", f"/_control/{slug}/faults", {**VENDOR_FAULTS, "seed": self._seed})
                call(self._ground.sandbox, "POST", f"/_control/{slug}/settings", {"webhook_retry_scale": RETRY_SCALE})
            else:
                call(self._ground.sandbox, "DELETE", f"/_control/{slug}/faults")

    def run(self, orders: int, rate: float) -> None:
        """Place the orders that are missing, at this rate, while the plan's faults happen."""
        began = time.monotonic() - self.course.count / rate
        harm = threading.Thread(target=self._harm, args=(began,), name="harm", daemon=True)
        harm.start()
        try:
            for number in range(self.course.count, orders):
                link = self._links[number % len(self._links)]
                answer = call(self._ground.sandbox, "POST", f"/_control/{link.platform}/orders", {"store": link.delivery_store_ref})
                self.course.placed[link_name(link)] += answer["orders"]
                self._journal.write("placed", link=link_name(link), orders=answer["orders"], at=round(time.time(), 3))
                time.sleep(max(0.0, began + (number + 1) / rate - time.monotonic()))
        except BaseException:
            self._aborted.set()
            raise
        finally:
            self._ended.set()
            harm.join(timeout=2 * LONGEST)

    def _harm(self, began: float) -> None:
        over = {each["number"] for each in self.course.done}
        for fault in self._plan:
            if fault.number in over:
                continue
            if self._ended.wait(max(0.0, began + fault.at - time.monotonic())):
                return
            self._befall(fault)

    def _befall(self, fault: Fault) -> None:
        link = self._links[fault.number % len(self._links)]
        row: dict[str, Any] = {**msgspec.to_builtins(fault), "began": round(time.time(), 3), "pids": []}
        try:
            if fault.kind == "kill":
                row["pids"] = kill(self._ground, fault, link)
            elif fault.kind == "stop":
                victims = find(self._ground, fault.component, link)
                self._stop(fault, victims)
                row["pids"] = [victim.pid for victim in victims]
            elif fault.kind == "full":
                self._fill(fault)
            else:
                self._jump(fault)
        except Absent:
            row["skipped"] = "it was not there"
        except Exception as error:  # the campaign goes on, and its report says so
            row["skipped"] = f"{type(error).__name__}: {error}"
        row["ended"] = round(time.time(), 3)
        self._journal.write("fault", **row)
        self.course.done.append(row)
        self._say(f"{fault}{'  skipped: ' + row['skipped'] if 'skipped' in row else ''}")

    def _stop(self, fault: Fault, victims: list[Child]) -> None:
        self._journal.write("stopping", number=fault.number, victims=[(victim.pid, victim.started) for victim in victims])
        stop(victims)
        try:
            self._aborted.wait(fault.seconds)
        finally:
            go_on(victims)

    def _fill(self, fault: Fault) -> None:
        disk = self._ground.disk
        if disk is None:
            raise RuntimeError("there is no small disk here")
        disk.fill()
        try:
            limit = time.monotonic() + fault.seconds
            while time.monotonic() < limit and not self._aborted.wait(0.5):
                disk.fill()  # what PostgreSQL gave back meanwhile
        finally:
            disk.free()

    def _jump(self, fault: Fault) -> None:
        url = self._ground.settings.admin_database_url
        set_clock(url, HOUR if fault.kind == "ahead" else -HOUR)
        try:
            self._aborted.wait(fault.seconds)
        finally:
            set_clock(url, 0)

    def settle(self, seconds: float = SETTLE_SECONDS, calm_seconds: float = CALM_SECONDS) -> dict[str, Report]:
        """Wait until every order is accounted for, twice with a calm moment between; returns the last reports by link."""
        limit = time.monotonic() + seconds
        calm = False
        reports: dict[str, Report] = {}
        while time.monotonic() < limit:
            with contextlib.suppress(OSError, RuntimeError):
                reports = audit(self._ground, self._links, self.course)
                good = all(report.good for report in reports.values())
                # Look once more after a quiet moment: a double shows itself later than a loss.
                if good and calm:
                    break
                calm = good
            time.sleep(calm_seconds)
        return reports
