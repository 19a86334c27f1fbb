"""The seam to running owners. The hub works without an answer from it: a wake-up is a hint, the table is the truth."""

from collections.abc import Collection
from typing import Any, Protocol

from hub.extras.answers import no_owner


class Owners(Protocol):
    """Owners of connections, wherever they run."""

    def wake(self, connections: Collection[str]) -> None:
        """Hint that these connections have messages; never fails, never waits."""
        ...

    async def state(self, connection: str) -> dict[str, Any] | None:
        """Live state `{actor, pid, node, epoch, mailbox, limits, auth}`, or None when no owner answers in time."""
        ...

    async def extra(self, connection: str, name: str, params: bytes) -> bytes:
        """What a read of the connection's adapter gives: params and answer (`hub.extras.answers.Answer`) are JSON; never fails."""
        ...


class MemoryOwners:
    """Owners in this process, for tests and for a hub without a cluster."""

    def __init__(self) -> None:
        self.owners: dict[str, Any] = {}
        self.woken: list[str] = []

    def wake(self, connections: Collection[str]) -> None:
        """Wake those that run here; remember all."""
        for connection in connections:
            self.woken.append(connection)
            owner = self.owners.get(connection)
            if owner is not None:
                owner.wake()

    async def state(self, connection: str) -> dict[str, Any] | None:
        """The state of an owner that runs here."""
        owner = self.owners.get(connection)
        return owner.state() if owner is not None else None

    async def extra(self, connection: str, name: str, params: bytes) -> bytes:
        """Have an owner that runs here read."""
        owner = self.owners.get(connection)
        if owner is None:
            return no_owner().encode()
        answer: bytes = await owner.extra(name, params)
        return answer
