"""A small disk of the campaign's own, which can be filled: PostgreSQL's data lies on a tmpfs (needs root)."""

import contextlib
import os
import pwd
import subprocess
from pathlib import Path

from cluster.embedded.account import USER

SIZE_MIB = 1536


class NoDisk(RuntimeError):
    """A small disk cannot be made here; the message says why."""


class Disk:
    """A mounted tmpfs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ballast = folder / "ballast"

    @classmethod
    def make(cls, home: Path) -> "Disk":
        """Mount one where the embedded servers keep their data; raises NoDisk."""
        if os.geteuid() != 0:
            raise NoDisk("mounting a small disk needs root")
        user = pwd.getpwnam(USER)
        folder = home / "data"
        folder.mkdir(mode=0o700)
        options = f"size={SIZE_MIB}m,uid={user.pw_uid},gid={user.pw_gid},mode=0700"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "hub-faults", str(folder)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            folder.rmdir()
            raise NoDisk(f"no tmpfs can be mounted here: {done.stderr.strip()}")
        return cls(folder)

    @classmethod
    def at(cls, home: Path) -> "Disk | None":
        """The small disk of a home, when it has one."""
        return cls(home / "data") if (home / "data").is_mount() else None

    def fill(self) -> None:
        """Take all that is free, to the last page."""
        descriptor = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for size in (1 << 24, 1 << 20, 1 << 12):
                block = bytes(size)
                with contextlib.suppress(OSError):
                    while True:
                        os.write(descriptor, block)
        finally:
            os.close(descriptor)

    def free(self) -> None:
        """Give it back."""
        self._ballast.unlink(missing_ok=True)

    def remove(self) -> None:
        """Unmount; whatever still holds it keeps it until it ends."""
        subprocess.run(["umount", "-l", str(self._folder)], capture_output=True, check=False)
