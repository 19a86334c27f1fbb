"""Who the embedded servers run as, and where their data lies.

PostgreSQL refuses to run as root, so root's servers run as `nobody`. That user may be unable to reach a home under a private
parent; permissions outside our folder are never changed, so the data then lies in ``/var/lib/hub-<hash>``.
"""

import importlib.util
import os
import pwd
import shutil
import subprocess
from pathlib import Path

import msgspec
import psutil

from cluster.embedded.errors import EmbeddedError
from cluster.run_file import RunFile, fingerprint

USER = "nobody"
ELSEWHERE = Path("/var/lib")
_SAFE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Place(msgspec.Struct, frozen=True):
    """The folder of the servers' data and the user they run as (None: the caller's own user)."""

    folder: Path
    uid: int | None = None
    gid: int | None = None

    def make(self, name: str) -> Path:
        """Make a folder that only the servers' user can enter."""
        path = self.folder / name
        self._shell('mkdir -p "$1"', path)
        return path

    def write(self, path: Path, content: str) -> None:
        """Write a file as the servers' user, readable by it alone: root must not follow links that this user could have planted."""
        self._shell('cat > "$1"', path, content.encode())

    def _shell(self, script: str, path: Path, content: bytes = b"") -> None:
        done = self.run("/bin/sh", "-c", f"umask 077; {script}", "sh", str(path), content=content)
        if done.returncode != 0:
            raise EmbeddedError(f"{path} cannot be written: {done.stdout.decode(errors='replace').strip()}")

    def run(self, *command: str, timeout: float = 60, content: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        """Run a short command as the servers' user, with `content` on its standard input."""
        return subprocess.run(
            command, user=self.uid, group=self.gid, extra_groups=self.groups, cwd="/", env=self.environment(),
            input=content, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, check=False,
        )  # fmt: skip

    def start(self, *command: str, log: Path, stdin: bytes | None = None) -> "subprocess.Popen[bytes]":
        """Start a server as its user in a session of its own, writing to a log that the caller owns."""
        with log.open("ab") as output:
            log.chmod(0o600)
            child = subprocess.Popen(
                command, user=self.uid, group=self.gid, extra_groups=self.groups, cwd="/", env=self.environment(), umask=0o077,
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        if child.stdin is not None and stdin is not None:
            with child.stdin as pipe:
                pipe.write(stdin)
        return child

    @property
    def groups(self) -> list[int] | None:
        """Drop root's groups with root; a user keeps its own."""
        return None if self.uid is None else []

    @staticmethod
    def environment() -> dict[str, str]:
        """The servers' whole environment: nothing of the caller's, hence no secret and no PG* variable."""
        return {"PATH": _SAFE_PATH, "LC_ALL": "C", "TZ": "UTC"}


def _reaches(place: Place, path: Path) -> bool:
    return place.run("/bin/sh", "-c", 'cd "$1"', "sh", str(path)).returncode == 0


def find_place(home: Path) -> Place:
    """Choose and make the data folder of a home; the same answer every time. Raises EmbeddedError."""
    home = home.resolve()
    RunFile(home).prepare()
    inside = home / "data"
    if os.geteuid() != 0:
        inside.mkdir(mode=0o700, exist_ok=True)
        if inside.stat().st_uid != os.geteuid():
            raise EmbeddedError(f"{inside} belongs to another user: run as that user, or set HUB_HOME to a folder of your own")
        return Place(inside)
    try:
        user = pwd.getpwnam(USER)
    except KeyError:
        raise EmbeddedError(
            f"PostgreSQL cannot run as root and there is no user {USER!r}: run as a user, or set HUB_DATABASE_URL"
        ) from None
    outside = elsewhere(home) / "data"
    reachable = _reaches(Place(inside, user.pw_uid, user.pw_gid), home)
    if inside.exists() and not reachable:
        raise EmbeddedError(f"user {USER!r} can no longer reach {inside}: make its parents passable (chmod o+x) or move the home")
    folder = inside if reachable and not outside.exists() else outside
    if not folder.exists():
        folder.parent.mkdir(mode=0o711, exist_ok=True)
        folder.mkdir(mode=0o700)
        os.chown(folder, user.pw_uid, user.pw_gid)
    owner = folder.stat().st_uid
    if owner != user.pw_uid:
        raise EmbeddedError(f"{folder} belongs to uid {owner}, not to {USER!r}: start as the user that made it")
    return Place(folder, user.pw_uid, user.pw_gid)


def elsewhere(home: Path) -> Path:
    """Where a home's data lies when the servers' user cannot reach the home."""
    return ELSEWHERE / f"hub-{fingerprint(home)}"


def made_data(home: Path) -> Path | None:
    """The data folder of a home if it was made; whatever run.json says or has lost."""
    return next((folder for folder in (home / "data", elsewhere(home) / "data") if folder.is_dir()), None)


def reachable_copy(place: Place, tree: Path, probe: str, name: str) -> Path:
    """The tree itself when the servers' user can run `probe` in it, else a copy beside the data folder.

    A virtual environment below a private parent is out of that user's reach. Raises EmbeddedError when it runs nowhere.
    """
    try:
        if place.run(str(tree / probe), "--version").returncode == 0:
            return tree
    except PermissionError:
        pass
    copy = place.folder.parent / name
    if not (copy / probe).exists():
        part = copy.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(tree, part, symlinks=True)
        for path in (part, *part.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)
        part.rename(copy)
    if place.run(str(copy / probe), "--version").returncode != 0:
        raise EmbeddedError(f"{copy / probe} does not run on this machine: set HUB_DATABASE_URL and HUB_REDIS_URL to servers of your own")
    return copy


def processes_in(folder: Path, name: str) -> list[psutil.Process]:
    """Living processes of this name that have our folder as working directory and its owner as user, recorded or not."""
    found = []
    for process in psutil.process_iter(["name"]):
        try:
            if process.info["name"] == name and works_in(process, folder):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def works_in(process: psutil.Process, folder: Path) -> bool:
    """Tell whether a living process has our folder as working directory and its owner as user. Raises psutil.Error, OSError."""
    return process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(folder) and process.uids().real == folder.stat().st_uid


def package_folder(name: str) -> Path:
    """The folder of an installed package, found without importing it (its own start-up code stays unused). Raises EmbeddedError."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise EmbeddedError(f"the package {name} is not installed: set HUB_DATABASE_URL and HUB_REDIS_URL to servers of your own")
    return Path(spec.origin).parent
