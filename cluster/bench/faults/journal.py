"""What a campaign did, a JSON line at a time: written before it is relied on, so that another process can go on or check."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any


class Journal:
    """A file of JSON lines, appended and flushed to the disk line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a", encoding="utf-8")
        path.chmod(0o600)
        if self._file.tell() and not path.read_bytes().endswith(b"\n"):
            self._file.write("\n")  # whoever wrote here was killed in the middle of a line

    def write(self, what: str, **fields: Any) -> None:
        """Append one line."""
        self._file.write(json.dumps({"what": what, **fields}) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_journal(path: Path) -> list[dict[str, Any]]:
    """All lines; one that was cut short is left out."""
    lines = []
    for text in path.read_text("utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            lines.append(json.loads(text))
    return lines
