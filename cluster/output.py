"""Standard output for what a command itself says. Ray prints warnings of its own there; they go to standard error."""

import sys
from typing import TextIO

_reserved: TextIO | None = None


def reserve_stdout() -> TextIO:
    """Send everybody else's prints to standard error, and return the real standard output."""
    global _reserved
    if _reserved is None:
        _reserved, sys.stdout = sys.stdout, sys.stderr
    return _reserved
