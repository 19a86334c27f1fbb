"""Both embedded servers at once: stop them, or remove what they kept."""

import shutil
from pathlib import Path

from cluster.embedded.account import elsewhere
from cluster.embedded.postgres import stop_postgres
from cluster.embedded.valkey import stop_valkey
from cluster.run_file import RunFile


def stop(home: Path) -> None:
    """Stop both embedded servers of a home; what does not run is passed over."""
    stop_valkey(home)
    stop_postgres(home)


def remove_data(home: Path) -> None:
    """Stop both servers and delete their data and passwords for good: for tests and throwaway demos."""
    stop(home)
    run = RunFile(home)
    for folder in (run.home / "data", elsewhere(run.home)):
        shutil.rmtree(folder, ignore_errors=True)
    (run.home / "passwords.json").unlink(missing_ok=True)
