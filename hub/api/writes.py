"""Writes: one tenant transaction for the effect, its audit row and its Idempotency-Key; wake-ups after the commit."""

import base64
from collections.abc import Awaitable, Callable, Collection
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response

from hub.api.context import ApiContext
from hub.api.problems import Problem
from hub.database.pool import Transaction
from hub.database.queries import load_queries
from hub.identity import Principal
from hub.mailbox.messages import NewMessage
from hub.vault import DataKey

_SQL: Any = load_queries(Path(__file__).with_name("writes.sql"))

ApiRequest = Request[Principal, None, Any]


class Written(msgspec.Struct, frozen=True):
    """What a write answers, and the connections to wake once it is committed."""

    body: Any
    wake: Collection[str] = ()


Effect = Callable[[Transaction], Awaitable[Written]]


def context_of(request: Request[Any, Any, Any]) -> ApiContext:
    """The parts of the hub that this application was built with."""
    context: ApiContext = request.app.state.hub
    return context


def _response(content: bytes, status: int, *, replayed: bool = False) -> Response[Any]:
    headers = {"Idempotency-Replayed": "true"} if replayed else None
    return Response(b"" if status == 204 else content, status_code=status, media_type="application/json", headers=headers)


def sealed(key: DataKey, tenant: str, message: NewMessage, words: Any) -> NewMessage:
    """The message with its body, sealed for the handler under the tenant's key of the day."""
    body = key.seal(msgspec.json.encode(words), tenant, "messages", message.connection, message.dedupe_key)
    return msgspec.structs.replace(message, body=body)


async def write(request: ApiRequest, effect: Effect, *, status: int = 200) -> Response[Any]:
    """Run an effect in the caller's tenant and answer with its body.

    With an Idempotency-Key the answer is stored, sealed, in the effect's transaction: the same request again gets it, another
    request under the same key gets 422, and one that comes while the first is running waits for it. Failed writes store nothing.
    """
    context, principal = context_of(request), request.user
    key = request.headers.get("idempotency-key")
    if key is None:
        async with context.database.tenant(principal.tenant) as transaction:
            written = await effect(transaction)
        context.owners.wake(written.wake)
        return _response(msgspec.json.encode(written.body), status)
    if not (0 < len(key) <= 200 and key.isascii() and key.isprintable()):
        raise Problem(400, "an Idempotency-Key has between 1 and 200 printable ASCII characters")
    parts = (request.method.encode(), request.url.path.encode(), principal.user.encode(), await request.body())
    wanted = sha256(b"\x00".join(parts)).digest()
    where = (principal.tenant, "idempotency_keys", key)
    day_key = await context.bodies.key(principal.tenant)
    earlier = None
    async with context.database.tenant(principal.tenant) as transaction:
        if not await _SQL.take_key(transaction, tenant=principal.tenant, key=key, hash=wanted):
            earlier = await _SQL.read_key(transaction, key=key)
        else:
            written = await effect(transaction)
            body = msgspec.json.encode(written.body)
            sealed = base64.b64encode(day_key.seal(body, *where)).decode()
            await _SQL.keep_answer(transaction, key=key, status=status, answer={"sealed": sealed})
    if earlier is None:
        context.owners.wake(written.wake)
        return _response(body, status)
    if earlier["body_hash"] != wanted:
        raise Problem(422, "this Idempotency-Key was used for another request", kind="urn:hub:problem:idempotency-key-reused")
    kept = base64.b64decode(earlier["answer"]["sealed"])
    answer = await context.bodies.open(principal.tenant, kept, *where[1:])
    return _response(answer, earlier["status"], replayed=True)
