"""The embedded servers' passwords: random, one file, readable by its owner only."""

import secrets
from pathlib import Path

import msgspec

from cluster.embedded.errors import EmbeddedError
from cluster.run_file import write_private


class Passwords(msgspec.Struct, frozen=True):
    """One password per role."""

    admin: str
    api: str
    actor: str
    valkey: str

    def __repr__(self) -> str:
        return "Passwords(…)"


def passwords(home: Path) -> Passwords:
    """Read the passwords of a home, made on first use; raises EmbeddedError when the file is damaged. Call it under the home's lock."""
    path = home / "passwords.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Passwords)
    except FileNotFoundError:
        made = Passwords(*(secrets.token_hex(24) for _ in range(4)))
        write_private(path, msgspec.json.encode(made) + b"\n")
        return made
    except msgspec.MsgspecError as error:
        raise EmbeddedError(f"{path} is damaged ({error}): restore it, or remove the home to start with an empty database") from None
