"""All embedded servers at once: stop them, or remove what they kept."""

import shutil
from pathlib import Path

from cluster.embedded.account import elsewhere, made_data
from cluster.embedded.postgres import stop_postgres
from cluster.embedded.valkey import KEPT, stop_valkey
from cluster.run_file import RunFile


def stop(home: Path) -> None:
    """Stop the embedded servers of a home; what does not run is passed over."""
    stop_valkey(home)
    stop_valkey(home, KEPT)
    stop_postgres(home)


def remove_data(home: Path) -> None:
    """Stop the servers and delete their data and passwords for good: for tests and throwaway demos."""
    stop(home)
    run = RunFile(home)
    for folder in (run.home / "data", elsewhere(run.home)):
        shutil.rmtree(folder, ignore_errors=True)
    (run.home / "passwords.json").unlink(missing_ok=True)


def forget_head(home: Path) -> None:
    """Delete what a Ray head that was taken down on purpose kept for its restart."""
    stop_valkey(home, KEPT)
    data = made_data(home)
    if data is not None:
        shutil.rmtree(data / KEPT, ignore_errors=True)
