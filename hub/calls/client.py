"""A connection's way to its vendor: only to the hosts of its environment, with its token, within its limits."""

import asyncio
import functools
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp
import structlog
import yarl

from hub.calls.limits import Limiter
from hub.calls.memory import Memory
from hub.calls.outcomes import failure
from hub.calls.session import NOT_AFTER, TooOld
from hub.calls.tokens import Stored, TokenSource, is_stale
from hub.clock import monotonic, utc_now
from hub.contract import (
    Auth,
    AuthExpired,
    AuthRevoked,
    Misconfigured,
    OAuthCode,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Request,
    Response,
    RetryLater,
    Token,
    VendorError,
)
from hub.observe.correlation import Correlation

log = structlog.get_logger("hub.calls")

Failure = Callable[[str, Response], Exception | None]
T = TypeVar("T")
REFUSALS = 3
"""So many fresh tokens in a row, with no call that went well between, must be refused before access counts as withdrawn."""
PATIENCE_SECONDS = 5.0
"""How long a read waits for a limit; a write never does, its retry is the mailbox's."""
STORE_TRIES = 5
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_timeout = functools.lru_cache(64)(lambda seconds: aiohttp.ClientTimeout(total=seconds))
CONNECT_IT = "connect it: POST /api/v1/connections/{id}/authorize gives the address of its consent"
"""What to do about a connection without a token."""


def may_call(address: str, hosts: Sequence[str]) -> bool:
    """Tell whether an address is https (http on loopback only) on one of these hosts: `host`, `host:port` or `*.domain`."""
    parts = urlsplit(address)
    host, netloc = (parts.hostname or "").lower(), parts.netloc.lower()
    local = host in ("127.0.0.1", "localhost", "::1")
    if parts.username or parts.password or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        return False
    for allowed in hosts:
        known = allowed.lower()
        if known.startswith("*."):
            if host.endswith(known[1:]) and not parts.port:
                return True
        elif netloc == known:
            return True
    return False


class VendorClient:
    """Sends an adapter's requests. `bases` are the environment's base URLs; nothing else is ever called."""

    def __init__(
        self,
        *,
        slug: str,
        session: aiohttp.ClientSession,
        bases: Mapping[str, str],
        auth: Auth,
        tokens: TokenSource,
        callbacks: Sequence[str] = (),
        limiter: Limiter | None = None,
        memory: Memory | None = None,
        gate: asyncio.Semaphore | None = None,
    ) -> None:
        self._slug, self._session, self._auth, self._tokens = slug, session, auth, tokens
        self._bases = {name: url.rstrip("/") for name, url in bases.items()}
        self._callbacks = tuple(callbacks)
        self._limiter, self._memory = limiter or Limiter(()), memory or Memory()
        self._gate = gate or asyncio.Semaphore(16)
        self._failure: Failure = lambda operation, response: None
        self._stored: Stored | None = None
        self._refreshing = asyncio.Lock()
        self._blocked_until = 0.0
        self._refused = 0
        self.calls = 0

    def use_failures(self, named: Failure) -> None:
        """Ask the adapter first what a response means."""
        self._failure = named

    def limits(self) -> dict[str, float]:
        """Seconds until the vendor may be called again."""
        return {"blocked_for": max(0.0, round(self._blocked_until - monotonic(), 3)), **self._limiter.left()}

    def auth_state(self) -> dict[str, str | None]:
        """When the token ends, as far as it is known."""
        token = self._stored.token if self._stored else None
        return {"expires_at": token.expires_at.isoformat() if token and token.expires_at else None}

    async def read(self, request: Request) -> Response:
        """Send a request that changes nothing; raises a VendorError for anything but success."""
        return await self._authorized(request, write=False, not_after=None)

    async def send(self, request: Request, *, not_after: float) -> Response:
        """Send a write; raises TooOld when `not_after` (monotonic) passed before the first byte."""
        return await self._authorized(request, write=True, not_after=not_after)

    def forget(self) -> None:
        """Ask for everything that is remembered anew."""
        self._memory.forget()

    async def remember(self, key: str, seconds: float, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` answered at most so many seconds ago, else its answer now."""
        return await self._memory.remember(key, seconds, ask)

    async def _room(self, request: Request, *, write: bool) -> None:
        """Wait for a read's turn, as far as that takes moments; raises RateLimited when it takes longer."""
        wait = self._blocked_until - monotonic()
        if wait > 0:
            raise RateLimited(f"{self._slug} asked for a pause", after=wait)
        waited = 0.0
        while (wait := await self._limiter.take(request)) > 0:
            if write or waited + wait > PATIENCE_SECONDS:
                raise RateLimited(f"{request.operation}: the limit of {self._slug} is used up", after=wait)
            waited += wait
            await asyncio.sleep(wait)

    async def _authorized(self, request: Request, *, write: bool, not_after: float | None) -> Response:
        address = self._address(request)
        await self._room(request, write=write)
        if request.anonymous:
            response = await self._raw(request, request.headers, address, write=write, not_after=not_after)
            self._raise(request.operation, response, write=write)
            return response
        token = await self._token()
        try:
            return await self._call(request, token, write=write, not_after=not_after)
        except AuthExpired:
            token = await self._refresh(token)
        try:
            return await self._call(request, token, write=write, not_after=not_after)
        except AuthExpired as error:
            self._refused += 1
            asked_for = self._stored is not None and self._auth.token_request(self._stored.credentials, token) is not None
            if asked_for and self._refused < REFUSALS:
                # It may have ended between two calls, or the vendor's servers may not all know it yet.
                raise RetryLater(f"{self._slug} refuses a fresh token", after=1.0, detail=error.detail, status=error.status) from error
            raise AuthRevoked(f"{self._slug} refuses fresh tokens", detail=error.detail, status=error.status) from error

    async def _call(self, request: Request, token: Token, *, write: bool, not_after: float | None) -> Response:
        headers = {**request.headers, **self._auth.authorize(request, token)}
        response = await self._raw(request, headers, self._address(request), write=write, not_after=not_after)
        self._raise(request.operation, response, write=write)
        self._refused = 0
        return response

    def _address(self, request: Request) -> str:
        """The whole address; raises Misconfigured for a callback that leads to a host which is not the vendor's."""
        if "://" not in request.path:
            return (self._bases.get(request.base) or self._bases["api"]) + request.path
        if not may_call(request.path, self._callbacks):
            host = urlsplit(request.path).hostname or request.path[:100]
            raise Misconfigured(f"{request.operation}: {host} is no host of {self._slug}, so it is not called")
        return request.path

    def _raise(self, operation: str, response: Response, *, write: bool) -> None:
        error = self._failure(operation, response) or failure(operation, response, write=write)
        if error is None:
            return
        if isinstance(error, RateLimited) and error.scope in ("app", "chain", "connection"):
            self._blocked_until = max(self._blocked_until, monotonic() + (error.after or 0.5))
        if isinstance(error, RetryLater) and write and response.status >= 500:
            error = OutcomeUnknown(str(error), code=error.code, detail=error.detail, status=response.status)
        raise error

    async def _raw(self, request: Request, headers: Mapping[str, str], address: str, *, write: bool, not_after: float | None) -> Response:
        self.calls += 1
        correlation = Correlation.get()
        named = {**headers, "X-Correlation-Id": correlation} if correlation else headers
        if _CONTROL.search(" ".join((address, *named, *named.values()))):
            raise Rejected(f"{request.operation} cannot be sent: a control character in its address or a header")
        written_by = NOT_AFTER.set(not_after)
        try:
            async with (
                self._gate,
                self._session.request(
                    request.method,
                    yarl.URL(address, encoded=True),
                    params=request.query or None,
                    data=request.body or None,
                    headers=named,
                    timeout=_timeout(request.timeout),
                    allow_redirects=False,
                ) as answer,
            ):
                body = await answer.read()
                return Response(answer.status, {k.lower(): v for k, v in answer.headers.items()}, body)
        except TooOld:
            raise
        except aiohttp.ClientConnectorError as error:
            raise RetryLater(f"{self._slug} cannot be reached: {error}") from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            message = f"{request.operation}: {type(error).__name__} {error}".strip()
            raise (OutcomeUnknown(message) if write else RetryLater(message)) from error
        finally:
            NOT_AFTER.reset(written_by)

    async def _token(self) -> Token:
        if self._stored is None:
            self._stored = await self._tokens.read()
        token = self._stored.token or self._auth.first_token(self._stored.credentials)
        if token is None or (is_stale(token) and self._auth.token_request(self._stored.credentials, token)):
            return await self._refresh(token)
        return token

    async def _refresh(self, stale: Token | None) -> Token:
        async with self._refreshing:
            deadline = monotonic() + 30
            while monotonic() < deadline:
                stored = self._stored = await self._tokens.read()
                token = stored.token or self._auth.first_token(stored.credentials)
                if token is not None and (stale is None or token.access != stale.access) and not is_stale(token):
                    return token
                request = self._auth.token_request(stored.credentials, token)
                if request is None:
                    raise AuthRevoked(self._no_way(token))
                if await self._tokens.lease(stored.version):
                    return await self._ask(request, stored, token)
                await asyncio.sleep(0.1)
        raise RetryLater(f"another process is refreshing {self._slug}'s token")

    def _no_way(self, token: Token | None) -> str:
        if token is None and isinstance(self._auth, OAuthCode):
            return f"{self._slug} was not connected yet: {CONNECT_IT}"
        return f"{self._slug} refused the token, and there is no way to get another"

    async def exchange(self, code: str, redirect_uri: str) -> None:
        """Turn the code of a consent into tokens and store them, whatever token there was before.

        Raises AuthRevoked when the vendor does not take the code, another VendorError when it cannot be asked.
        """
        assert isinstance(self._auth, OAuthCode)
        stored = await self._tokens.read()
        request = self._auth.code_request(stored.credentials, code, redirect_uri)
        response = await self._raw(request, request.headers, self._address(request), write=False, not_after=None)
        try:
            self._raise("token", response, write=False)
        except (AuthExpired, Rejected) as error:
            raise AuthRevoked(f"{self._slug} does not take the code: {error}", detail=error.detail) from error
        fresh = self._auth.read_token(response, utc_now(), None)
        for _ in range(STORE_TRIES):
            # A refresh of the old token may end at this moment: the consent is newer.
            if await self._tokens.store(stored.version, fresh):
                self._stored = None
                return
            stored = await self._tokens.read()
        raise RetryLater(f"the token of {self._slug} changes too often")

    async def _ask(self, request: Request, stored: Stored, token: Token | None) -> Token:
        try:
            await self._room(request, write=False)
            response = await self._raw(request, request.headers, self._address(request), write=False, not_after=None)
            self._raise("token", response, write=False)
        except (AuthExpired, Rejected) as error:
            await self._tokens.unlease(stored.version)
            raise AuthRevoked(f"{self._slug} gives no new token: {error}", detail=error.detail) from error
        except VendorError:
            await self._tokens.unlease(stored.version)
            raise
        fresh = self._auth.read_token(response, utc_now(), token)
        await self._tokens.store(stored.version, fresh)
        self._stored = await self._tokens.read()
        log.info("token refreshed", provider=self._slug)
        return fresh
