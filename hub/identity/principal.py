"""The caller, once known, and what a role allows."""

from dataclasses import dataclass
from typing import Literal, Protocol

from hub.database.pool import Database
from hub.vault import MasterKeys

Role = Literal["viewer", "staff", "manager", "owner"]

_ORDER: dict[str, int] = {"viewer": 0, "staff": 1, "manager": 2, "owner": 3}


class Denied(Exception):
    """The caller is not who it says, or does not say: answer 401 and no more than that."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller within one tenant. `user` is a user's or an API key's id; `session` is empty for API keys."""

    tenant: str
    user: str
    role: str
    operator: bool = False
    session: str = ""


class Keeper(Protocol):
    """What identity needs of a running hub."""

    @property
    def database(self) -> Database:
        """The pool."""
        ...

    @property
    def master(self) -> MasterKeys:
        """The operator's keys."""
        ...


def at_least(role: str, needed: str) -> bool:
    """Tell whether a role includes another: viewer < staff < manager < owner; an unknown role includes none."""
    return _ORDER.get(role, -1) >= _ORDER[needed]
