"""/connections/{id}/extras: what a provider offers beside the capabilities. Reads answer at once, runs are done once by the mailbox."""

import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import parse_qs

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath, JSONBody

from hub.api.correlation import correlation
from hub.api.guard import needs, staff
from hub.api.pages import Page
from hub.api.problems import Problem, not_found, pointer
from hub.api.writes import ApiRequest, Written, context_of, write
from hub.audit import record
from hub.calls import ConnectionTokens
from hub.contract import Extra, Http, Lane, Misconfigured, Request
from hub.contract import Response as VendorResponse
from hub.database.pool import Transaction
from hub.extras import answers
from hub.extras.calls import Run, extras_of
from hub.ids import message_id, new_id
from hub.mailbox.messages import NewMessage, enqueue
from hub.ownership.workplace import ConnectionRow, connected
from hub.tenancy import Unknown
from hub.tenancy.sql import CONNECTIONS

_MANY = (msgspec.inspect.ListType, msgspec.inspect.VarTupleType, msgspec.inspect.TupleType, msgspec.inspect.SetType,
         msgspec.inspect.FrozenSetType)  # fmt: skip
_AGAIN = {"RetryLater", "RateLimited", "OutcomeUnknown", answers.NO_OWNER, answers.TOO_SLOW}
"""Answers that another try may change; the other errors are 502."""


class ExtraView(msgspec.Struct, frozen=True):
    """A call that the provider offers, with JSON Schemas of what it takes and gives."""

    name: str
    title: str
    kind: Literal["read", "run"]
    params: dict[str, Any]
    result: dict[str, Any]


class RunView(msgspec.Struct, frozen=True):
    """A run that is stored: an event `connection.changed` with this correlation id tells what came of it."""

    message: str
    correlation_id: str


class _Deaf(Http):
    """No way to the vendor: extras are only looked at here, the connection's owner makes the calls."""

    async def read(self, request: Request) -> VendorResponse:
        raise Misconfigured("only a connection's owner calls its vendor")

    async def remember(self, key: str, seconds: float, ask: Any) -> Any:
        raise Misconfigured("only a connection's owner calls its vendor")


async def _known(request: ApiRequest, connection: str) -> tuple[ConnectionRow, str, Mapping[str, Extra]]:
    context, tenant = context_of(request), request.user.tenant
    async with context.database.tenant(tenant) as transaction:
        found = await CONNECTIONS.connection(transaction, id=connection)
    if found is None:
        raise Unknown(f"connection {connection}")
    row = msgspec.convert(dict(found), ConnectionRow)
    provider = context.providers.get(row.provider)
    if provider is None:
        raise Problem(409, f"the provider {row.provider!r} is not installed")
    stored = await ConnectionTokens(context.database, context.master, tenant, connection, row.provider_app).read()
    seen = connected(provider.facts, row, stored.credentials, context.settings.registered_url)
    return row, found["status_reason"], extras_of(provider.adapter(provider.facts, seen, _Deaf()))


async def _one(request: ApiRequest, connection: str, name: str) -> tuple[ConnectionRow, Extra]:
    row, reason, extras = await _known(request, connection)
    if name not in extras:
        offered = f"it offers {', '.join(sorted(extras))}" if extras else "it offers none"
        raise not_found(f"extra {name!r} of {row.provider}: {offered}")
    if row.status == "suspended":
        raise Problem(409, f"the connection is suspended: {reason or 'connect it again'}")
    return row, extras[name]


def _many(kind: msgspec.inspect.Type) -> bool:
    if isinstance(kind, msgspec.inspect.UnionType):
        return any(_many(each) for each in kind.types)
    return isinstance(kind, _MANY)


def _from_query(extra: Extra, query: bytes) -> dict[str, Any]:
    """Query parameters by name; one that may come several times is a list."""
    shape = msgspec.inspect.type_info(extra.params)
    fields = shape.fields if isinstance(shape, msgspec.inspect.StructType) else ()
    lists = {field.encode_name for field in fields if _many(field.type)}
    given = parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=500)
    return {name: values if name in lists or len(values) > 1 else values[0] for name, values in given.items()}


def _fitting(extra: Extra, given: Any, *, strict: bool) -> bytes:
    """The params as JSON that the adapter's type takes; raises a 422 Problem that points at what does not fit."""
    try:
        return msgspec.json.encode(msgspec.convert(given, extra.params, strict=strict))
    except msgspec.ValidationError as error:
        where = re.search(r" - at `\$([^`]*)`", str(error))
        detail = re.sub(r" - at `[^`]*`", "", str(error))
        place = pointer(where[1] if where else "", detail)
        raise Problem(422, "the params do not fit this extra", errors=[{"pointer": place, "detail": detail}]) from error


class Extras(Controller):
    """Calls beside the capabilities."""

    path = "/connections"
    tags = ["connections"]  # noqa: RUF012 - Litestar's way

    @get("/{connection_id:str}/extras")
    async def list_extras(self, request: ApiRequest, connection_id: FromPath[str]) -> Page[ExtraView]:
        """List what the connection's provider offers beside the capabilities; all fit one page."""
        _, _, extras = await _known(request, connection_id)
        return Page(
            [
                ExtraView(name, extra.title, extra.kind, msgspec.json.schema(extra.params), msgspec.json.schema(extra.result))
                for name, extra in sorted(extras.items())
            ]
        )

    @get("/{connection_id:str}/extras/{extra:str}", guards=[staff])
    async def ask(self, request: ApiRequest, connection_id: FromPath[str], extra: FromPath[str]) -> Response[Any]:
        """Read from the vendor; params come in the query, lists as repeated ones."""
        _, found = await _one(request, connection_id, extra)
        if found.kind == "run":
            raise Problem(405, f"{extra} changes something: it takes POST", headers={"Allow": "POST"})
        params = _fitting(found, _from_query(found, request.scope["query_string"]), strict=False)
        return await self._read(request, connection_id, extra, params)

    @post("/{connection_id:str}/extras/{extra:str}", guards=[staff], status_code=202)
    async def do(
        self, request: ApiRequest, connection_id: FromPath[str], extra: FromPath[str], data: JSONBody[dict[str, Any] | None] = None
    ) -> Response[Any]:
        """Read (200, the result) with params in the body; or have a run done once (202, its message), which needs a manager."""
        row, found = await _one(request, connection_id, extra)
        if found.kind == "run":
            needs(request, "manager")
        params = _fitting(found, data or {}, strict=True)
        if found.kind == "read":
            return await self._read(request, connection_id, extra, params)
        names = [field.encode_name for field in msgspec.structs.fields(found.params) if field.encode_name in (data or {})]
        return await self._run(request, row.id, extra, params, names)

    @staticmethod
    async def _read(request: ApiRequest, connection: str, name: str, params: bytes) -> Response[Any]:
        answer = answers.read_answer(await context_of(request).owners.extra(connection, name, params))
        if answer.ok:
            return Response(bytes(answer.result), status_code=200, media_type="application/json")
        told: dict[str, Any] = {"error": answer.error, **({"code": answer.code} if answer.code else {})}
        if answer.error not in _AGAIN:
            raise Problem(502, answer.detail, **told)
        raise Problem(503, answer.detail, headers={"Retry-After": str(max(1, round(answer.after or 5)))}, **told)

    @staticmethod
    async def _run(request: ApiRequest, connection: str, name: str, params: bytes, names: list[str]) -> Response[RunView]:
        context, who = context_of(request), request.user
        day_key = await context.bodies.key(who.tenant)
        # Each run has a subject of its own: one that is dead parks no other, and its attempts are read with it alone.
        identity = f"extra/{name}/{new_id('evt')}"
        body = day_key.seal(msgspec.json.encode(Run(name, msgspec.Raw(params))), who.tenant, "messages", connection, identity)
        message = NewMessage(
            connection=connection,
            kind="extra.run",
            subject=identity,
            dedupe_key=identity,
            lane=Lane.MENU,
            body=body,
            correlation=correlation(),
        )

        async def effect(transaction: Transaction) -> Written:
            woken = await enqueue(transaction, who.tenant, [message])
            number = await CONNECTIONS.message_of(transaction, connection=connection, dedupe_key=identity)
            await record(transaction, who.tenant, who.user, f"connection.extra.{name}", connection, fields=names, correlation=correlation())
            return Written(RunView(message_id(number), correlation()), {connection, *woken})

        return await write(request, effect, status=202)
