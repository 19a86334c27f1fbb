"""What a figure was measured on."""

import importlib.metadata
import os
import platform
from typing import Any

import psutil


def machine() -> dict[str, Any]:
    """Cores, memory, versions."""
    packages = {name: importlib.metadata.version(name) for name in ("ray", "asyncpg", "aiohttp", "msgspec")}
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
        **packages,
    }


def percentile(values: list[float], share: float) -> float:
    """The value that this share of the values does not exceed; nan for none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def usage() -> dict[str, Any]:
    """Processes and memory of this hub's children and their descendants: proportional set size where the kernel tells."""
    family = psutil.Process().children(recursive=True)
    rows = []
    for process in family:
        try:
            memory = process.memory_full_info()
            rows.append((process.name(), " ".join(process.cmdline())[:60], getattr(memory, "pss", memory.rss)))
        except psutil.Error:
            continue
    return {"processes": len(rows), "memory_mib": round(sum(row[2] for row in rows) / 2**20)}
