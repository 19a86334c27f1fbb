"""A connection's mailbox: what waits, what runs, what is dead, and the one decision that a dead message wants."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from hub.api.correlation import correlation
from hub.api.guard import staff
from hub.api.pages import Cursor, Limit, Page, decode, page
from hub.api.problems import Problem, bad_query, known_message, not_found
from hub.api.writes import ApiRequest, Written, context_of, write
from hub.audit import record
from hub.contract import Lane
from hub.database.pool import Transaction
from hub.database.queries import load_queries
from hub.ids import message_id
from hub.tenancy import Unknown
from hub.tenancy.errors import Invalid
from hub.tenancy.sql import CONNECTIONS, event

MESSAGES: Any = load_queries(Path(__file__).with_name("messages.sql"))


class MessageView(msgspec.Struct, frozen=True):
    """A message in a mailbox. `waiting`: for its time, or for those of its subject before it."""

    id: str
    connection: str
    state: str
    kind: str
    subject: str
    lane: str
    tries: int
    reason: str
    detail: str
    at: datetime
    available_at: datetime | None = None
    deadline_at: datetime | None = None
    correlation_id: str = ""


class Skip(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a message is not done."""

    reason: str


def _lane(number: int) -> str:
    try:
        return Lane(number).name.lower()
    except ValueError:
        return str(number)


def _view(row: Any) -> MessageView:
    return msgspec.convert({**dict(row), "id": message_id(row["id"]), "lane": _lane(row["lane"])}, MessageView)


class Mailboxes(Controller):
    """Messages of connections."""

    path = "/"
    tags = ["connections"]  # noqa: RUF012 - Litestar's way

    @get("/connections/{connection_id:str}/messages")
    async def list_messages(
        self,
        request: ApiRequest,
        connection_id: FromPath[str],
        wanted: Annotated[Literal["ready", "waiting", "running", "dead"] | None, QueryParameter(name="state")] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[MessageView]:
        """List what is in a connection's mailbox, oldest first; what is done has left it."""
        key = decode(cursor)
        if key is not None and not (key[0].isdigit() and len(key[0]) < 19):
            raise bad_query("cursor", "this is no cursor of this list")
        async with context_of(request).database.tenant(request.user.tenant) as transaction:
            if await CONNECTIONS.connection(transaction, id=connection_id) is None:
                raise Unknown(f"connection {connection_id}")
            rows = await MESSAGES.messages(
                transaction, connection=connection_id, state=wanted, after=int(key[0]) if key else None, limit=limit + 1
            )
        return page(rows, limit, _view, lambda row: (str(row["id"]),))

    @post("/messages/{message:str}/replay", status_code=202, guards=[staff])
    async def replay(self, request: ApiRequest, message: FromPath[str]) -> Response[MessageView]:
        """Put a dead message back to be handled anew, with its count of tries at zero."""
        return await self._resolve(request, message, None)

    @post("/messages/{message:str}/skip", status_code=200, guards=[staff])
    async def skip(self, request: ApiRequest, message: FromPath[str], data: JSONBody[Skip]) -> Response[MessageView]:
        """Leave a dead message undone for good, and let those behind it go on."""
        if not 0 < len(data.reason.strip()) <= 1000 or "\x00" in data.reason:
            raise Invalid(("/reason", "a reason has between 1 and 1,000 characters"))
        return await self._resolve(request, message, data.reason.strip())

    @staticmethod
    async def _resolve(request: ApiRequest, message: str, why: str | None) -> Response[MessageView]:
        who, number = request.user, known_message(message)
        action = "replay" if why is None else "skip"

        async def effect(transaction: Transaction) -> Written:
            row = await MESSAGES.lock_dead(transaction, id=number)
            if row is None or row["resolution"] is not None:
                if row is not None or await MESSAGES.is_due(transaction, id=number):
                    raise Problem(409, f"only a dead message takes a {action}, and this one is not dead")
                raise not_found(f"message {message}")
            if why is None:
                if not row["kept"]:
                    raise Problem(409, "the message's body is past its retention: skip it")
                await MESSAGES.revive(transaction, id=number)
            resolution = "replayed" if why is None else "skipped"
            await MESSAGES.resolve(transaction, id=number, resolution=resolution, by=who.user, why=why)
            subject, data = row["connection"], {"change": f"message.{action}", "message": message, "kind": row["kind"]}
            await event(transaction, who.tenant, "connection.changed", subject, data, correlation=correlation())
            await record(transaction, who.tenant, who.user, f"message.{action}", message, correlation=correlation())
            fields = {k: row[k] for k in ("connection", "kind", "subject", "tries", "reason", "detail")}
            state = "ready" if why is None else "skipped"
            body = MessageView(id=message, state=state, lane=_lane(row["lane"]), at=row["message_at"], **fields)
            return Written(body, {row["connection"]})

        return await write(request, effect, status=202 if why is None else 200)
