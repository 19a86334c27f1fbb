"""Rounds of load by wrk, in alternation on the hub and another server: rate, latency, failures, CPU by process group, the limit."""

import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import psutil

from cluster.bench.cpu import CpuReader

IDLE_SHARE = 0.15
"""With more of the machine idle than this, and no process of the server at its limit, the generator asked too little."""
BUSY_CORE = 0.9
"""A process or a generator's thread that used this share of a core was at its limit."""


class NoGenerator(RuntimeError):
    """The load generator is not installed: apt-get install wrk."""


class Target(msgspec.Struct, frozen=True):
    """What wrk asks: a root URL, its Lua script and that script's environment, by the number of the round."""

    url: str
    script: str
    environment: Callable[[int], Mapping[str, str]]
    cpu: CpuReader


class Round(msgspec.Struct, frozen=True):
    """A round's figures; `cpu_us` are microseconds of CPU for each request by process group, `void` says why it does not count."""

    rate: float
    p50_ms: float
    p99_ms: float
    failed: int
    cpu_us: dict[str, float]
    idle: float
    void: str = ""


def need_wrk() -> None:
    """Raise NoGenerator when there is no wrk."""
    if shutil.which("wrk") is None:
        raise NoGenerator("wrk is not installed: apt-get install wrk")


def _milliseconds(out: str, share: str) -> float:
    found = re.search(rf"{share}%\s+([\d.]+)(us|ms|s)\b", out)
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]] if found else float("nan")


def read_output(out: str) -> tuple[float, float, float, int, int]:
    """Requests a second, median and 99th percentile in milliseconds, failures, and requests, of what wrk printed; raises ValueError."""
    rate, count = re.search(r"Requests/sec:\s+([\d.]+)", out), re.search(r"(\d+) requests in", out)
    if rate is None or count is None:
        raise ValueError(f"this is not what wrk prints: {out[:500]}")
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    failed = int(wrong[1]) if wrong else 0
    failed += sum(int(number) for number in sockets.groups()) if sockets else 0
    return float(rate[1]), _milliseconds(out, "50"), _milliseconds(out, "99"), failed, int(count[1])


def verdict(generator: float, threads: int, idle: float, busiest: float) -> str:
    """Why a round says nothing of the server; "" when it does. All are shares of cores; `busiest` is the server's busiest process."""
    if generator >= BUSY_CORE * threads:
        return f"the generator used {generator:.2f} of its {threads} cores: it was the limit, not the server"
    if idle > IDLE_SHARE and busiest < BUSY_CORE:
        return f"{idle:.0%} of the machine was idle and the server's busiest process used {busiest:.2f} of a core: too little was asked"
    return ""


def run_round(target: Target, number: int, *, seconds: float, sockets: int, threads: int = 1) -> Round:
    """Load a target for some seconds."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(target.script)
        script.flush()
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", **target.environment(number)}
        command = ["wrk", f"-t{threads}", f"-c{sockets}", f"-d{seconds:g}s", "--timeout", "10s", "--latency", "-s", script.name, target.url]
        before, machine, began = target.cpu.read(), psutil.cpu_times(), time.monotonic()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout is not None
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        lasted = time.monotonic() - began
        after, now = target.cpu.read(), psutil.cpu_times()
    if process.returncode != 0:
        raise RuntimeError(f"wrk ended with {process.returncode}: {out[-500:]}")
    rate, p50, p99, failed, requests = read_output(out)
    used = after.since(before)
    generator = usage.ru_utime + usage.ru_stime
    cores = psutil.cpu_count() or 1
    idle = (now.idle - machine.idle) / (lasted * cores)
    why = verdict(generator / lasted, threads, idle, used.busiest / lasted)
    groups = {name: spent * 1e6 / max(1, requests) for name, spent in (used.groups | {"wrk": generator}).items()}
    return Round(rate, p50, p99, failed, {name: round(spent, 1) for name, spent in groups.items() if spent >= 0.5}, round(idle, 3), why)


def alternate(
    hub: Target, versus: Target | None, say: Callable[[str], None], *, seconds: float, rounds: int, sockets: int, threads: int = 1
) -> dict[str, Any]:
    """Run rounds on the hub, each followed by one on the other server; returns both summaries and the ratio of their median rates."""
    ours: list[Round] = []
    theirs: list[Round] = []
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        ours.append(run_round(hub, number, seconds=seconds, sockets=sockets, threads=threads))
        if versus is not None:
            theirs.append(run_round(versus, number, seconds=seconds, sockets=sockets, threads=threads))
    result: dict[str, Any] = {"hub": summary(ours)}
    if theirs:
        result["versus"] = summary(theirs)
        result["ratio"] = round(result["hub"]["rate"] / result["versus"]["rate"], 3)
    result["void"] = next((r["void"] for r in (result["hub"], result.get("versus", {})) if r.get("void")), "")
    result["good"] = not result["void"] and not any(r.failed for r in (*ours, *theirs))
    return result


def summary(rounds: list[Round]) -> dict[str, Any]:
    """Medians over rounds; failures are summed, and a majority of void rounds makes all of it void."""
    void = [r.void for r in rounds if r.void]
    groups = sorted({name for r in rounds for name in r.cpu_us})
    return {
        "rate": round(statistics.median(r.rate for r in rounds), 1),
        "rates": [round(r.rate, 1) for r in rounds],
        "p50_ms": round(statistics.median(r.p50_ms for r in rounds), 2),
        "p99_ms": round(statistics.median(r.p99_ms for r in rounds), 2),
        "failed": sum(r.failed for r in rounds),
        "cpu_us_a_request": {name: round(statistics.median(r.cpu_us.get(name, 0.0) for r in rounds), 1) for name in groups},
        "idle": round(statistics.median(r.idle for r in rounds), 3),
        "void": void[0] if len(void) * 2 > len(rounds) else "",
    }


def lines_of(path: Path) -> list[str]:
    """The lines of a file of requests."""
    return path.read_text().splitlines()
