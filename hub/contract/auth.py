"""How a vendor knows us. A strategy builds token requests and adds the token; the hub stores and refreshes it, once for all."""

import base64
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, runtime_checkable
from urllib.parse import urlencode

import jwt
import msgspec

from hub.contract.errors import Drifted, Misconfigured
from hub.contract.http import Request, Response, decode

Owner = Literal["connection", "app"]
Encoding = Literal["form", "json"]
Credentials = Mapping[str, str]


class Token(msgspec.Struct, frozen=True, omit_defaults=True):
    """An access token; `expires_at` None means that the vendor did not say."""

    access: str
    expires_at: datetime | None = None
    refresh: str = ""

    def __repr__(self) -> str:
        return f"Token(expires_at={self.expires_at})"


class Auth(Protocol):
    """A strategy. `owner` says whose the token is: one tenant's connection or the partner app of all."""

    owner: Owner

    def first_token(self, credentials: Credentials) -> Token | None:
        """The token that the credentials themselves hold or make, or None when one must be asked for."""
        ...

    def token_request(self, credentials: Credentials, token: Token | None) -> Request | None:
        """The call that gives a new token, or None when a new one cannot be had (a 401 is then a revocation)."""
        ...

    def read_token(self, response: Response, now: datetime, previous: Token | None) -> Token:
        """Read the answer to `token_request`; raises Drifted."""
        ...

    def authorize(self, request: Request, token: Token) -> Mapping[str, str]:
        """Headers that carry the token."""
        ...


@runtime_checkable
class OAuthCode(Protocol):
    """A strategy whose first token comes from the tenant's consent in a browser (OAuth 2.0 authorization code)."""

    def consent_url(self, base: str, credentials: Credentials, redirect_uri: str, state: str) -> str:
        """Where the tenant's browser is sent; `base` is the environment's address for consent."""
        ...

    def code_request(self, credentials: Credentials, code: str, redirect_uri: str) -> Request:
        """The call that turns the code into tokens."""
        ...


def basic(user: str, password: str) -> str:
    """The value of a Basic Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def matches(given: str | bytes, wanted: Sequence[str | bytes]) -> bool:
    """Tell in constant time whether a text is one of those wanted; empty ones match nothing."""

    def raw(text: str | bytes) -> bytes:
        return text if isinstance(text, bytes) else text.encode("utf-8", "replace")

    found = False
    for each in wanted:
        found |= bool(each) and hmac.compare_digest(raw(given), raw(each))
    return found


def _encoded(path: str, fields: Mapping[str, str], encoding: Encoding, base: str, headers: Mapping[str, str]) -> Request:
    if encoding == "form":
        kind, body = "application/x-www-form-urlencoded", urlencode(fields).encode()
    else:
        kind, body = "application/json", msgspec.json.encode(dict(fields))
    return Request("POST", path, "token", body=body, headers={"Content-Type": kind, **headers}, base=base)


def _at(answer: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        answer = answer.get(key) if isinstance(answer, dict) else None
    return answer


def _ends(answer: Any, keys: Sequence[str], now: datetime) -> datetime | None:
    """`expires_in` seconds (number or text) at the keys' place, else `expires_at`; None when the vendor says neither."""
    seconds = _at(answer, keys)
    if seconds not in (None, ""):
        try:
            return now + timedelta(seconds=float(seconds))
        except (TypeError, ValueError) as error:
            raise Drifted("the token's lifetime is no number") from error
    text = _at(answer, ("expires_at",))
    if not text:
        return None
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError as error:
        raise Drifted("the token's expires_at is no time") from error


class _Bearer:
    """Reads a token out of a JSON answer and sends it as a bearer."""

    access_at: Sequence[str] = ("access_token",)
    expires_at: Sequence[str] = ("expires_in",)

    def read_token(self, response: Response, now: datetime, previous: Token | None) -> Token:
        """The access token, when it ends, and a new refresh token where the vendor rotates it."""
        answer = decode(response.body, dict)
        access = _at(answer, self.access_at)
        if not isinstance(access, str) or not access:
            raise Drifted(f"the token answer has no {'.'.join(self.access_at)}")
        kept = previous.refresh if previous else ""
        return Token(access, _ends(answer, self.expires_at, now), str(answer.get("refresh_token") or kept))

    def authorize(self, request: Request, token: Token) -> Mapping[str, str]:
        """A bearer token in the Authorization header."""
        return {"Authorization": f"Bearer {token.access}"}


class ClientCredentials(_Bearer):
    """OAuth 2.0 client credentials; the credentials hold `client_id` and `client_secret`, sent in the form or as Basic."""

    def __init__(self, path: str, scope: str = "", *, owner: Owner, base: str = "auth", client: Literal["form", "basic"] = "form") -> None:
        self.path, self.scope, self.owner, self.base, self.client = path, scope, owner, base, client

    def first_token(self, credentials: Credentials) -> Token | None:
        """None: a token is always asked for."""
        return None

    def token_request(self, credentials: Credentials, token: Token | None) -> Request | None:
        """A POST of the form."""
        who = {name: credentials[name] for name in ("client_id", "client_secret")}
        form = {**(who if self.client == "form" else {}), "grant_type": "client_credentials"}
        if self.scope:
            form["scope"] = self.scope
        headers = {"Authorization": basic(*who.values())} if self.client == "basic" else {}
        return _encoded(self.path, form, "form", self.base, headers)


class PasswordLogin(_Bearer):
    """A login of the vendor's own: `fields` names the body's keys by credential, `constants` goes along; no refresh, log in again."""

    def __init__(
        self,
        path: str,
        fields: Mapping[str, str],
        *,
        owner: Owner,
        encoding: Encoding = "json",
        constants: Mapping[str, str] | None = None,
        access_at: Sequence[str] = ("access_token",),
        expires_at: Sequence[str] = ("expires_in",),
        base: str = "auth",
    ) -> None:
        self.path, self.fields, self.owner, self.encoding = path, dict(fields), owner, encoding
        self.constants, self.base = dict(constants or {}), base
        self.access_at, self.expires_at = access_at, expires_at

    def first_token(self, credentials: Credentials) -> Token | None:
        """None: a token is always asked for."""
        return None

    def token_request(self, credentials: Credentials, token: Token | None) -> Request | None:
        """The login."""
        body = {key: credentials[name] for key, name in self.fields.items()} | self.constants
        return _encoded(self.path, body, self.encoding, self.base, {})


class RefreshToken(_Bearer):
    """A token that the tenant granted: refreshed where a `refresh_token` came with it, else static.

    The credentials hold `access_token` (or the stored token does) and, for refresh, `refresh_token`, `client_id` and `client_secret`,
    which are sent in the body or as Basic. A refresh token that the vendor rotates is stored with the access token, as one.
    """

    owner: Owner = "connection"

    def __init__(
        self,
        path: str,
        *,
        base: str = "auth",
        encoding: Encoding = "json",
        client: Literal["body", "basic"] = "body",
        extra_headers: Mapping[str, str] | None = None,
    ) -> None:
        self.path, self.base, self.encoding, self.client = path, base, encoding, client
        self.extra_headers = dict(extra_headers or {})

    def first_token(self, credentials: Credentials) -> Token | None:
        """The granted token, of unknown age."""
        access = credentials.get("access_token", "")
        return Token(access, None, credentials.get("refresh_token", "")) if access else None

    def token_request(self, credentials: Credentials, token: Token | None) -> Request | None:
        """A POST with grant_type refresh_token; None for a static token."""
        refresh = (token.refresh if token else "") or credentials.get("refresh_token", "")
        if not refresh or not credentials.get("client_id"):
            return None
        return self._grant(credentials, {"grant_type": "refresh_token", "refresh_token": refresh})

    def _grant(self, credentials: Credentials, grant: Mapping[str, str]) -> Request:
        identifier, secret = credentials.get("client_id", ""), credentials.get("client_secret", "")
        if self.client == "basic":
            headers = {**self.extra_headers, "Authorization": basic(identifier, secret)}
            return _encoded(self.path, grant, self.encoding, self.base, headers)
        who = {"client_id": identifier} | ({"client_secret": secret} if secret else {})
        return _encoded(self.path, {**who, **grant}, self.encoding, self.base, self.extra_headers)


class AuthorizationCode(RefreshToken):
    """A refresh token that the tenant gives by consenting in the browser; the partner app holds `client_id` and `client_secret`."""

    def __init__(
        self,
        path: str,
        consent_path: str,
        scopes: Sequence[str],
        *,
        base: str = "auth",
        encoding: Encoding = "json",
        client: Literal["body", "basic"] = "body",
        extra_headers: Mapping[str, str] | None = None,
        consent_fields: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(path, base=base, encoding=encoding, client=client, extra_headers=extra_headers)
        self.consent_path, self.scopes, self.consent_fields = consent_path, tuple(scopes), dict(consent_fields or {})

    def consent_url(self, base: str, credentials: Credentials, redirect_uri: str, state: str) -> str:
        """Where the tenant's browser is sent."""
        fields = {
            "response_type": "code",
            "client_id": credentials["client_id"],
            "redirect_uri": redirect_uri,
            "scope": " ".join(self.scopes),
            "state": state,
            **self.consent_fields,
        }
        return f"{base.rstrip('/')}{self.consent_path}?{urlencode(fields)}"

    def code_request(self, credentials: Credentials, code: str, redirect_uri: str) -> Request:
        """The call that turns the code into tokens."""
        return self._grant(credentials, {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri})


class StaticKey:
    """A key that never changes, in a header of its own; the credentials hold it under `name`."""

    def __init__(self, name: str, header: str, *, owner: Owner, prefix: str = "") -> None:
        self.name, self.header, self.owner, self.prefix = name, header, owner, prefix

    def first_token(self, credentials: Credentials) -> Token | None:
        """The key."""
        key = credentials.get(self.name, "")
        return Token(key) if key else None

    def token_request(self, credentials: Credentials, token: Token | None) -> Request | None:
        """None: there is no other key."""
        return None

    def read_token(self, response: Response, now: datetime, previous: Token | None) -> Token:
        """Never asked for."""
        raise Misconfigured("a static key is not refreshed")

    def authorize(self, request: Request, token: Token) -> Mapping[str, str]:
        """The key in its header."""
        return {self.header: f"{self.prefix}{token.access}"}


class SignedJwt(StaticKey):
    """A token that we sign ourselves, anew for each few minutes. `claims` makes the claims, `secret` the key's bytes."""

    def __init__(
        self,
        claims: Callable[[Credentials, int], Mapping[str, Any]],
        secret: Callable[[Credentials], bytes],
        *,
        owner: Owner,
        algorithm: str = "HS256",
        headers: Callable[[Credentials], Mapping[str, Any]] | None = None,
        lifetime: int = 300,
    ) -> None:
        super().__init__("", "Authorization", owner=owner, prefix="Bearer ")
        self.claims, self.secret, self.algorithm, self.headers, self.lifetime = claims, secret, algorithm, headers, lifetime

    def first_token(self, credentials: Credentials) -> Token | None:
        """A token that was signed now."""
        now = int(time.time())
        head = dict(self.headers(credentials)) if self.headers else None
        return Token(jwt.encode(dict(self.claims(credentials, now)), self.secret(credentials), self.algorithm, head))
