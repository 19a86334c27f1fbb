"""The seam to running owners. The hub works without an answer from it: a wake-up is a hint, the table is the truth."""

from collections.abc import Collection
from typing import Any, Protocol


class Owners(Protocol):
    """Owners of connections, wherever they run."""

    def wake(self, connections: Collection[str]) -> None:
        """Hint that these connections have messages; never fails, never waits."""
        ...

    async def state(self, connection: str) -> dict[str, Any] | None:
        """Live state `{actor, pid, node, epoch, mailbox, limits, auth}`, or None when no owner answers in time."""
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
