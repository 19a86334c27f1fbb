"""`hub bench all`: one benchmark after another, and which of the bars that the hub sets itself were met."""

import json
import operator
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from cluster.bench.machine import machine
from cluster.start import Say

RUN_SECONDS = 400
"""How long one run may take."""
Figures = Mapping[str, Any]
_HOLDS = {">=": operator.ge, "<=": operator.le, "<": operator.lt, "=": operator.eq}


class Bar(msgspec.Struct, frozen=True):
    """A figure of a run (keys on its path), what it is held against, and its unit. Bars are for a machine with two cores."""

    run: str
    path: tuple[str, ...]
    sign: str
    wanted: float
    unit: str

    def verdict(self, runs: Mapping[str, Figures]) -> dict[str, Any]:
        """What was found, and whether it is enough: `met` is None where the run is void or told nothing."""
        found: Any = runs.get(self.run)
        void = found.get("void") if isinstance(found, Mapping) else "not run"
        for key in self.path:
            found = found.get(key) if isinstance(found, Mapping) else None
        number = found if isinstance(found, int | float) and not isinstance(found, bool) else None
        met = bool(_HOLDS[self.sign](number, self.wanted)) if number is not None and not void else None
        return {
            "bar": f"{self.run} {'.'.join(self.path)} {self.sign} {self.wanted:g} {self.unit}".strip(),
            "found": number,
            "met": met,
            **({"void": void} if void else {}),
        }


BARS = (
    Bar("ingest", ("ratio",), ">=", 1.0, "of the other server's rate"),
    Bar("read", ("ratio",), ">=", 0.6, "of the other server's rate"),
    Bar("orders 1+1", ("orders_a_second",), ">=", 300, "a second"),
    Bar("orders 4+4", ("orders_a_second",), ">=", 150, "a second"),
    Bar("orders 1+1", ("lost",), "=", 0, "orders lost"),
    Bar("orders 4+4", ("lost",), "=", 0, "orders lost"),
    Bar("orders at 10 a second", ("accept_p99_ms",), "<", 150, "ms"),
    Bar("stream", ("open",), ">=", 7500, "sockets"),
    Bar("stream", ("replica_kb",), "<=", 35, "KB a socket"),
    Bar("stream", ("fan_out_ms", "p99"), "<", 500, "ms"),
    Bar("stream, replica killed", ("kill", "resumed_after_seconds"), "<", 15, "s"),
    Bar("stream, replica killed", ("kill", "missed"), "=", 0, "events missed"),
    Bar("stream, HAProxy killed", ("kill", "resumed_after_seconds"), "<", 40, "s"),
    Bar("stream, HAProxy killed", ("kill", "missed"), "=", 0, "events missed"),
    Bar("actors", ("packed", "hub_memory_mib"), "<=", 4096, "MiB for 5,000 connections"),
    Bar("actors", ("packed", "idle_cores", "sum"), "<", 0.3, "cores"),
    Bar("failover", ("handled_max_s",), "<", 3, "s"),
)


def runs(versus: str, versus_secret: str, seconds: float) -> dict[str, list[str]]:
    """The arguments of each `hub bench` run, by its name."""
    other = ["--vs", versus, "--vs-secret", versus_secret] if versus else []
    lasting = ["--seconds", f"{seconds:g}"]
    return {
        "ingest": ["ingest", *other],
        "read": ["read", *other],
        "orders 1+1": ["orders", "--links", "1", *lasting],
        "orders 4+4": ["orders", "--links", "4", *lasting],
        "orders at 10 a second": ["orders", "--rate", "10", *lasting],
        "stream": ["stream"],
        "stream, replica killed": ["stream", "--events", "5", "--kill", "replica"],
        "stream, HAProxy killed": ["stream", "--events", "5", "--kill", "haproxy"],
        "actors": ["actors"],
        "failover": ["failover"],
    }


def bench_all(say: Say, *, versus: str = "", versus_secret: str = "", seconds: float = 60) -> dict[str, Any]:
    """Run everything, each in a process and on a hub of its own; a run that fails is told and the others go on.

    Without another server at `versus` the ratios of ingest and read are missing.
    """
    found: dict[str, Figures] = {}
    for name, arguments in runs(versus, versus_secret, seconds).items():
        say(f"[bold]{name}[/bold]")
        command = [sys.executable, "-c", "from cluster.cli import main; main()", "bench", *arguments, "--json"]
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, timeout=RUN_SECONDS, check=False)
            found[name] = json.loads(done.stdout)
        except (subprocess.TimeoutExpired, ValueError) as error:
            found[name] = {"void": f"it gave no figures: {type(error).__name__}"}
        for bar in BARS:
            if bar.run == name:
                say(str(bar.verdict(found)))
    bars = [bar.verdict(found) for bar in BARS]
    return {"machine": machine(), "bars": bars, "good": all(bar["met"] for bar in bars), "runs": found}
