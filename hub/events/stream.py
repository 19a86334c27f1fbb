"""`/api/v1/stream`: a tenant's events over a WebSocket, resumed by cursor; commands back.

Sockets are protocols of uvicorn's server (`hub.events.socket`), called back by its event loop: none has a task while it is idle.
What they have in common is here: who may come in, what is known of those who are in, and the clocks.
"""

import asyncio
import resource
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from hub.database.pool import Database
from hub.events.batch import Filter
from hub.events.feed import Feeds
from hub.identity.principal import Principal
from hub.observe import metrics
from hub.vault import MasterKeys

if TYPE_CHECKING:
    from hub.events.socket import Socket

log = structlog.get_logger("hub.live")

BURST, PER_SECOND = 100, 20
"""Frames a client may say at once, and in the long run."""
FIRST_WORD_SECONDS = 0.1
"""How long events wait for the client's `subscribe`, so that a resume starts with its filter."""
CHECK_SECONDS = 60.0
"""How often a socket's session or API key is looked at again."""
PING_SECONDS = 20.0
"""How often a client must show that it is there."""
RETRY_SECONDS = 2
"""When a client that was turned away may come again."""
SLICES = 20
"""Clocks go round in so many steps, each with its share of the sockets: no step is long."""
_SPARE_FILES = 300

TOPICS = {
    "orders": "order.",
    "stock": "stock.",
    "stores": "store.",
    "menus": "menu.",
    "connections": "connection.",
    "alerts": "alert.",
}
COMMANDS = frozenset(
    {
        "order.accept", "order.reject", "order.preparing", "order.ready", "order.picked_up", "order.delay", "order.amend", "order.cancel",
    }
)  # fmt: skip
_ENDED_SESSIONS = "select s from unnest($1::text[]) s where not hub.session_alive(s)"
_REVOKED_KEYS = "select h from unnest($1::bytea[]) h where not exists (select 1 from hub.find_api_key(h))"

Command = Callable[[Principal, str, str, dict[str, Any]], Awaitable[dict[str, Any]]]
"""Carries out a client's command (principal, name, order, arguments) and returns what to show."""


class CommandRefused(Exception):
    """A command cannot be carried out; the message says why."""


class Said(msgspec.Struct):
    """What a client may say."""

    type: str
    id: str | int | None = None
    topics: list[str] | None = None
    locations: list[str] | None = None
    name: str = ""
    order: str = ""
    arguments: dict[str, Any] = {}


def most_sockets() -> int:
    """As many as this process may open files, less what the rest of it needs."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1_000_000 if files == resource.RLIM_INFINITY else max(files - _SPARE_FILES, files // 2)


@dataclass(frozen=True)
class LiveContext:
    """What the stream works with. Without `command`, commands are answered as not available."""

    database: Database
    master: MasterKeys
    feeds: Feeds
    command: Command | None = None
    check_seconds: float = CHECK_SECONDS
    ping_seconds: float = PING_SECONDS


class Live:
    """The sockets of a process."""

    def __init__(self, context: LiveContext) -> None:
        self.context = context
        self.slices: list[set[Socket]] = [set() for _ in range(SLICES)]
        self._clocks: list[asyncio.Task[None]] = []

    def start(self) -> "Live":
        """Start the clocks."""
        context = self.context
        self._clocks = [
            asyncio.create_task(self._ping(context.ping_seconds / SLICES), name="live pings"),
            asyncio.create_task(self._check(context.check_seconds / SLICES), name="live checks"),
        ]
        return self

    def close(self) -> None:
        """Stop the clocks."""
        for clock in self._clocks:
            clock.cancel()

    def add(self, socket: "Socket") -> None:
        """Know a socket, in the smallest slice."""
        min(self.slices, key=len).add(socket)
        metrics.SOCKETS.inc()

    def discard(self, socket: "Socket") -> None:
        """Forget a socket."""
        for known in self.slices:
            if socket in known:
                known.remove(socket)
                metrics.SOCKETS.dec()
                return

    async def _ping(self, step: float) -> None:
        while True:
            for known in self.slices:
                await asyncio.sleep(step)
                for socket in tuple(known):
                    socket.ping()

    async def _check(self, step: float) -> None:
        while True:
            for known in self.slices:
                await asyncio.sleep(step)
                if known:
                    try:
                        await self._look(tuple(known))
                    except Exception as error:
                        log.warning("live.unchecked", error=f"{type(error).__name__}: {error}")

    async def _look(self, sockets: tuple["Socket", ...]) -> None:
        """End sockets whose session is over or whose API key is revoked; a database that doesn't answer ends nothing."""
        sessions = {socket.principal.session for socket in sockets if socket.principal is not None} - {""}
        keys = {socket.proof for socket in sockets if isinstance(socket.proof, bytes)}
        database = self.context.database
        ended = {row["s"] for row in await database.fetch(_ENDED_SESSIONS, list(sessions))} if sessions else set()
        revoked = {row["h"] for row in await database.fetch(_REVOKED_KEYS, list(keys))} if keys else set()
        for socket in sockets:
            socket.check(ended, revoked)

    async def command(self, principal: Principal, said: Said) -> dict[str, Any]:
        """Carry out a command; what went wrong is in the answer."""
        if said.name not in COMMANDS:
            return {"ok": False, "detail": f"unknown command {said.name!r}; known are {', '.join(sorted(COMMANDS))}"}
        if self.context.command is None:
            return {"ok": False, "detail": "not available: commands go to the HTTP API here"}
        try:
            return {"ok": True, "result": await self.context.command(principal, said.name, said.order, said.arguments)}
        except CommandRefused as error:
            return {"ok": False, "detail": str(error)}
        except Exception as error:
            log.exception("live.command_failed", name=said.name, error=type(error).__name__)
            return {"ok": False, "detail": "the command failed here: look at the order, then try again"}


def filter_of(said: Said) -> Filter:
    """What a `subscribe` asks for; raises ValueError with what is known."""
    unknown = sorted(set(said.topics or ()) - set(TOPICS))
    if unknown:
        raise ValueError(f"unknown topics {', '.join(unknown)}; known are {', '.join(TOPICS)}")
    return Filter(tuple(TOPICS[topic] for topic in said.topics or ()), frozenset(said.locations or ()))
