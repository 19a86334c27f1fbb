"""Starts again what this hub runs for itself when it dies. What was committed is there; what was not was never acknowledged."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from cluster.run_file import RunFile

log = structlog.get_logger("hub.keeper")

LOOK_SECONDS = 0.5
TAKEN_DOWN = "taken-down"
"""A file in the home: `hub down` was here, and whoever runs this hub ends too."""


class Keeper(threading.Thread):
    """Looks after the processes that this hub runs for itself, each by its name in run.json, until it is stopped.

    Starts run beside each other: a database that died is back before Ray is, which takes longer. Names with one start are one.
    """

    def __init__(self, home: Path, starts: Mapping[str, Callable[[], object]]) -> None:
        super().__init__(name="keeper", daemon=True)
        self._run_file = RunFile(home)
        self._starts = dict(starts)
        self._under_way: dict[Callable[[], object], threading.Thread] = {}
        self._ended = threading.Event()

    @property
    def taken_down(self) -> bool:
        """Somebody else took this hub down: nothing is started again."""
        return (self._run_file.home / TAKEN_DOWN).exists()

    @property
    def over(self) -> bool:
        """Nothing is to be started any more."""
        return self._ended.is_set() or self.taken_down

    def stop(self) -> None:
        """Look no more; returns when starts that are under way have ended."""
        self._ended.set()
        for thread in (self, *self._under_way.values()):
            if thread.is_alive():
                thread.join(timeout=130)

    def run(self) -> None:
        """Look twice a second."""
        while not self._ended.wait(LOOK_SECONDS) and not self.taken_down:
            for name, start in self._starts.items():
                running = self._under_way.get(start)
                if (running is None or not running.is_alive()) and self._run_file.child(name) is None and not self.over:
                    log.warning("a process died; starting it again", process=name)
                    self._under_way[start] = threading.Thread(target=self._start, args=(name, start), name=f"keeper {name}", daemon=True)
                    self._under_way[start].start()

    def _start(self, name: str, start: Callable[[], object]) -> None:
        try:
            start()
        except Exception:
            log.exception("it does not start; trying again", process=name)
