"""One connection in a host: passive, a few hundred bytes and perhaps a timer; or active, with its owner, its adapter and its memory."""

import asyncio
import os
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from hub.clock import monotonic
from hub.mailbox.store import Activation
from hub.ownership.owner import LONGEST_BACK_OFF_SECONDS, Owner
from hub.ownership.workplace import Kept, Workplace

log = structlog.get_logger("hub.host")

HANDLERS_A_CALL = 4
"""Most handlers wait for a turn, not for their vendor: so many are under way for each call that may be."""
REOPEN_SECONDS = 30.0
"""A connection's settings and credentials are read anew this often, and after they proved wrong."""


class Made(Protocol):
    """Makes the owner of a connection for one active time."""

    def __call__(self, hosted: "Hosted", activation: Activation) -> Owner:
        """Make the owner; it starts with this activation."""
        ...


class Hosted:
    """A connection that its host took with an epoch. `gone` is called when it is no longer this host's."""

    __slots__ = (
        "_activation", "_gone", "_make", "_stopping", "_taken", "_timer", "connection", "cut", "due", "epoch", "handled", "kept", "opened",
        "opening", "owner", "place", "replaced", "slug", "task", "tenant", "turns",
    )  # fmt: skip

    def __init__(
        self, tenant: str, connection: str, slug: str, activation: Activation, make: Made, gone: Callable[["Hosted"], None]
    ) -> None:
        self.tenant, self.connection, self.slug = tenant, connection, slug
        self._activation, self.epoch = activation, activation.epoch
        self._make, self._gone = make, gone
        self._taken = monotonic()
        self.owner: Owner | None = None
        self.task: asyncio.Task[None] | None = None
        self.place: Workplace | None = None
        self.kept: Kept | None = None
        self.opened = -1e9
        self.opening: asyncio.Lock | None = None
        self.due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = self.replaced = False
        self.turns = self.handled = self.cut = 0

    @property
    def active(self) -> bool:
        """True while an owner works."""
        return self.owner is not None

    @property
    def held(self) -> int:
        """How many messages its owner has claimed."""
        return self.owner.held if self.owner is not None else 0

    def wake(self) -> None:
        """Have the owner look at the mailbox; a passive connection becomes active."""
        if self.owner is None:
            self.activate()
        else:
            self.owner.wake()

    def activate(self) -> None:
        """Become active: no call of the database beyond the owner's first turn."""
        if self.owner is not None or self._stopping:
            return
        self._unset()
        if monotonic() - self._taken > LONGEST_BACK_OFF_SECONDS:
            self._activation = Activation(self.epoch, 0, (), self._activation.suspects)
        self.owner = owner = self._make(self, self._activation)
        self.task = asyncio.create_task(owner.run(), name=self.connection)
        self.task.add_done_callback(self._ended)

    def due_in(self, seconds: float | None) -> None:
        """Say when the next message of the passive connection is due, in seconds; it is active by then."""
        if self.owner is not None or self._stopping:
            return
        self._unset()
        if seconds is not None:
            self.due = monotonic() + max(0.0, seconds)
            self._timer = asyncio.get_running_loop().call_later(max(0.0, seconds), self.activate)

    def stop(self, within: float | None = None) -> None:
        """Finish what runs and let go."""
        self._stopping = True
        self._unset()
        if self.owner is not None:
            self.owner.stop(within)

    def _unset(self) -> None:
        self.due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ended(self, task: "asyncio.Task[None]") -> None:
        owner, self.owner, self.task = self.owner, None, None
        if owner is None:
            return
        self.turns += owner.turns
        self.handled += owner.handled
        self.cut += owner.cut
        self.epoch = owner.epoch or self.epoch
        self.replaced = owner.status == "replaced"
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("an owner ended", connection=self.connection, error=f"{type(error).__name__}: {error}", exc_info=error)
        elif owner.status == "passive":
            self._activation = Activation(self.epoch, 0, ())
            self._rest()
            if owner.woken:
                self.activate()
            else:
                self.due_in(owner.next_due - monotonic() if owner.next_due is not None else None)
            return
        self._gone(self)

    def _rest(self) -> None:
        """Let go of adapter, client and memory; of the limits once they allow no less than fresh ones would."""
        self.place, self.opened, self.opening = None, -1e9, None
        if self.kept is not None and self.kept.limiter.is_full():
            self.kept = None

    def state(self) -> dict[str, Any]:
        """Live figures for people."""
        owner, place = self.owner, self.place
        return {
            "pid": os.getpid(),
            "epoch": (owner.epoch if owner is not None else 0) or self.epoch,
            "status": owner.status if owner is not None else "passive",
            "running": self.held,
            "turns": self.turns + (owner.turns if owner is not None else 0),
            "handled": self.handled + (owner.handled if owner is not None else 0),
            "limits": place.client.limits() if place is not None else {},
            "auth": place.client.auth_state() if place is not None else {},
            "calls": place.client.calls if place is not None else 0,
        }
