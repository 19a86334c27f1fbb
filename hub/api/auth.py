"""/auth: sign in, stay in, sign out, and the second factor."""

from datetime import datetime
from typing import Any

import msgspec
from litestar import Controller, Request, delete, get, post
from litestar.params import FromPath, JSONBody

from hub.api.guard import person
from hub.api.pages import Cursor, Limit, Page, after, by_id, page
from hub.api.problems import not_found
from hub.api.writes import ApiRequest, context_of
from hub.identity import sessions, totp
from hub.identity.sql import SQL


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Credentials of a person; `tenant` chooses among several, else it is the first."""

    email: str
    password: str
    totp: str | None = None
    tenant: str | None = None


class Tokens(msgspec.Struct, frozen=True):
    """Send `access_token` as a bearer token for `expires_in` seconds, then exchange `refresh_token`, which works once."""

    access_token: str
    refresh_token: str
    expires_in: int
    tenant: str
    role: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name


class Refresh(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A refresh token."""

    refresh_token: str


class Enrolment(msgspec.Struct, frozen=True):
    """A TOTP secret to put into an app; it counts once `enrolment` came back with a code."""

    secret: str
    uri: str
    enrolment: str


class Verify(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The enrolment and a first code."""

    enrolment: str
    code: str


class Code(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A code of the second factor."""

    code: str


class Me(msgspec.Struct, frozen=True):
    """Who the token speaks for."""

    user: str
    email: str
    tenant: str
    role: str
    operator: bool
    totp: bool


class SessionView(msgspec.Struct, frozen=True):
    """A session that is open."""

    id: str
    created_at: datetime
    expires_at: datetime
    generation: int
    current: bool


def _tokens(issued: sessions.Issued) -> Tokens:
    who = issued.principal
    return Tokens(issued.access_token, issued.refresh_token, issued.expires_in, who.tenant, who.role)


class Auth(Controller):
    """Signing in and out."""

    path = "/auth"
    tags = ["auth"]  # noqa: RUF012 - Litestar's way

    @post("/login", status_code=200, opt={"public": True})
    async def login(self, request: Request[Any, Any, Any], data: JSONBody[Login]) -> Tokens:
        """Sign in. A wrong e-mail, password or code gives the same 401; too many tries give 429."""
        context = context_of(request)
        issued = await sessions.login(
            context,
            context.throttle,
            email=data.email[:256].replace("\x00", ""),
            password=data.password,
            code=data.totp,
            tenant=data.tenant,
            address=request.client.host if request.client else "",
        )
        return _tokens(issued)

    @post("/refresh", status_code=200, opt={"public": True})
    async def refresh(self, request: Request[Any, Any, Any], data: JSONBody[Refresh]) -> Tokens:
        """Exchange a refresh token. One that was used before ends its session: somebody else has it."""
        return _tokens(await sessions.refresh(context_of(request), data.refresh_token))

    @post("/logout", status_code=204, guards=[person])
    async def logout(self, request: ApiRequest) -> None:
        """End this session; its access token lapses within its fifteen minutes."""
        await sessions.logout(context_of(request), request.user.session)

    @get("/me", guards=[person])
    async def me(self, request: ApiRequest) -> Me:
        """Show who is signed in."""
        who = request.user
        row = await SQL.user_find(context_of(request).database, user=who.user)
        if row is None:
            raise not_found("such user")
        return Me(who.user, row["email"], who.tenant, who.role, who.operator, row["totp_sealed"] is not None)

    @get("/sessions", guards=[person])
    async def list_sessions(self, request: ApiRequest, limit: Limit = 50, cursor: Cursor = None) -> Page[SessionView]:
        """List your open sessions in this tenant."""
        who = request.user
        async with context_of(request).database.tenant(who.tenant) as transaction:
            rows = await SQL.sessions(transaction, user=who.user, after=after(cursor), limit=limit + 1)

        def view(row: Any) -> SessionView:
            return SessionView(row["id"], row["created_at"], row["expires_at"], row["generation"], row["id"] == who.session)

        return page(rows, limit, view, by_id)

    @delete("/sessions/{session_id:str}", status_code=204, guards=[person])
    async def end_session(self, request: ApiRequest, session_id: FromPath[str]) -> None:
        """End one of your sessions."""
        context = context_of(request)
        async with context.database.tenant(request.user.tenant) as transaction:
            found = await SQL.session_of(transaction, id=session_id, user=request.user.user)
        if not found:
            raise not_found(f"session {session_id}")
        await sessions.logout(context, session_id)

    @post("/totp", status_code=200, guards=[person])
    async def enrol_totp(self, request: ApiRequest) -> Enrolment:
        """Make a TOTP secret. Nothing is stored until it is verified."""
        context = context_of(request)
        row = await SQL.user_find(context.database, user=request.user.user)
        if row is None:
            raise not_found("such user")
        return Enrolment(*totp.enrolment(context.master, request.user.user, row["email"]))

    @post("/totp/verify", status_code=204, guards=[person])
    async def verify_totp(self, request: ApiRequest, data: JSONBody[Verify]) -> None:
        """Prove that the app has the secret; from now on a login wants a code."""
        await totp.confirm(context_of(request), request.user.user, data.enrolment, data.code)

    @post("/totp/remove", status_code=204, guards=[person])
    async def remove_totp(self, request: ApiRequest, data: JSONBody[Code]) -> None:
        """Take the second factor away, with one last code."""
        await totp.remove(context_of(request), request.user.user, data.code)
