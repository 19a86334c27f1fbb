"""Starts the embedded servers again when they die. What was committed is there; what was not was never acknowledged."""

import threading
from pathlib import Path

import structlog

from cluster.embedded import start_postgres, start_valkey
from cluster.run_file import RunFile

log = structlog.get_logger("hub.keeper")

LOOK_SECONDS = 0.5
TAKEN_DOWN = "taken-down"
"""A file in the home: `hub down` was here, and whoever runs this hub ends too."""


class Keeper(threading.Thread):
    """Looks after the servers that this hub runs for itself, until it is stopped."""

    def __init__(self, home: Path, *, postgres: bool, valkey: bool) -> None:
        super().__init__(name="keeper", daemon=True)
        self._run_file = RunFile(home)
        self._starts = ({"postgres": start_postgres} if postgres else {}) | ({"valkey": start_valkey} if valkey else {})
        self._ended = threading.Event()

    @property
    def taken_down(self) -> bool:
        """Somebody else took this hub down: nothing is started again."""
        return (self._run_file.home / TAKEN_DOWN).exists()

    def stop(self) -> None:
        """Look no more; returns when a start that is under way has ended."""
        self._ended.set()
        if self.is_alive():
            self.join(timeout=130)

    def run(self) -> None:
        """Look twice a second."""
        while not self._ended.wait(LOOK_SECONDS) and not self.taken_down:
            for name, start in self._starts.items():
                if self._run_file.child(name) is None and not self._ended.is_set() and not self.taken_down:
                    log.warning("a server died; starting it again", server=name)
                    try:
                        start(self._run_file.home)
                    except Exception:
                        log.exception("it does not start; trying again", server=name)
