"""The simulated vendors in a process of their own, as a child of this hub."""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from cluster.run_file import RunFile, end, spawned


class SandboxFailed(RuntimeError):
    """The simulated vendors did not start; the message says where their log is."""


def start_sandbox(home: Path) -> str:
    """Start the simulated vendors on a free port; returns their root URL."""
    run = RunFile(home)
    with run.locked():
        left = run.child("sandbox")
        if left is not None:  # its vendors' memory belongs to a demo that is gone
            end(left, signals=(15, 9), patience=3)
        port = run.ports("sandbox")["sandbox"]
        log_path = home / "logs" / "sandbox.log"
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "adapters._sandbox", "--host", "127.0.0.1", "--port", str(port)],
                stdout=subprocess.DEVNULL,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        run.record("sandbox", spawned(process), {"port": port})
    root = f"http://127.0.0.1:{port}"
    limit = time.monotonic() + 20
    while time.monotonic() < limit and process.poll() is None:
        try:
            call(root, "GET", "/_control")
        except OSError:
            time.sleep(0.05)
        else:
            return root
    raise SandboxFailed(f"the simulated vendors did not start: see {log_path}")


def stop_sandbox(home: Path) -> None:
    """End the simulated vendors."""
    run = RunFile(home)
    with run.locked():
        child = run.child("sandbox")
        if child is not None:
            end(child, signals=(15, 9), patience=3)
        run.forget("sandbox")


def call(root: str, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, seconds: float = 30) -> Any:
    """Make a JSON call to a server of ours that may take so long; raises urllib's HTTPError or OSError."""
    request = urllib.request.Request(  # noqa: S310 - our own address
        root + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **(headers or {})},
    )
    with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310 - our own address
        text = answer.read()
    return json.loads(text) if text else None
