"""What a figure was measured on."""

import contextlib
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import psutil

from cluster.run_file import RunFile


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


def usage(home: Path) -> dict[str, Any]:
    """Processes and memory of the hub of this home: proportional set size where the kernel tells it.

    Each child that the hub records leads a session, which its descendants share.
    """
    sessions = set()
    for child in RunFile(home).read().children.values():
        with contextlib.suppress(OSError):
            sessions.add(os.getsid(child.pid))
    sizes = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(process.pid) in sessions or process.pid == os.getpid():
                memory = process.memory_full_info()
                sizes.append(getattr(memory, "pss", memory.rss))
    return {"processes": len(sizes), "memory_mib": round(sum(sizes) / 2**20)}
