"""How a vendor knows us. A strategy builds token requests and adds the token; the hub stores and refreshes it, once for all."""

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, Protocol
from urllib.parse import urlencode

import msgspec

from hub.contract.errors import Drifted
from hub.contract.http import Request, Response, decode


class Token(msgspec.Struct, frozen=True, omit_defaults=True):
    """An access token; `expires_at` None means that the vendor did not say."""

    access: str
    expires_at: datetime | None = None
    refresh: str = ""

    def __repr__(self) -> str:
        return f"Token(expires_at={self.expires_at})"


Credentials = Mapping[str, str]


class Auth(Protocol):
    """A strategy. `owner` says whose the token is: one tenant's connection or the partner app of all."""

    owner: Literal["connection", "app"]

    def first_token(self, credentials: Credentials) -> Token | None:
        """The token that the credentials themselves hold, or None when one must be asked for."""
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


class _Bearer:
    def authorize(self, request: Request, token: Token) -> Mapping[str, str]:
        """A bearer token in the Authorization header."""
        return {"Authorization": f"Bearer {token.access}"}


class ClientCredentials(_Bearer):
    """OAuth 2.0 client credentials, form-encoded; the credentials hold `client_id` and `client_secret`."""

    def __init__(self, path: str, scope: str, *, owner: Literal["connection", "app"], base: str = "auth") -> None:
        self.path, self.scope, self.owner, self.base = path, scope, owner, base

    def first_token(self, credentials: Credentials) -> Token | None:
        """None: a token is always asked for."""
        return None

    def token_request(self, credentials: Credentials, token: Token | None) -> Request | None:
        """A POST of the form."""
        form = {
            "client_id": credentials["client_id"],
            "client_secret": credentials["client_secret"],
            "grant_type": "client_credentials",
            "scope": self.scope,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(form).encode()
        return Request("POST", self.path, "token", body=body, headers=headers, base=self.base)

    def read_token(self, response: Response, now: datetime, previous: Token | None) -> Token:
        """`access_token` and `expires_in` seconds (number or text)."""
        answer = decode(response.body, dict)
        access = answer.get("access_token")
        if not isinstance(access, str) or not access:
            raise Drifted("the token answer has no access_token")
        seconds = answer.get("expires_in")
        expires = now + timedelta(seconds=int(seconds)) if seconds not in (None, "") else None
        return Token(access, expires)


class RefreshToken(_Bearer):
    """A token the tenant granted, refreshed with JSON where a `refresh_token` came with it, else static.

    The credentials hold `access_token` and, for refresh, `refresh_token`, `client_id` and `client_secret`.
    """

    owner: Literal["connection", "app"] = "connection"

    def __init__(self, path: str, *, base: str = "auth", extra_headers: Mapping[str, str] | None = None) -> None:
        self.path, self.base, self.extra_headers = path, base, dict(extra_headers or {})

    def first_token(self, credentials: Credentials) -> Token | None:
        """The granted token, of unknown age."""
        access = credentials.get("access_token", "")
        return Token(access, None, credentials.get("refresh_token", "")) if access else None

    def token_request(self, credentials: Credentials, token: Token | None) -> Request | None:
        """A POST with grant_type refresh_token; None for a static token."""
        refresh = (token.refresh if token else "") or credentials.get("refresh_token", "")
        if not refresh or not credentials.get("client_id"):
            return None
        body = {"client_id": credentials["client_id"], "grant_type": "refresh_token", "refresh_token": refresh}
        if credentials.get("client_secret"):
            body["client_secret"] = credentials["client_secret"]
        headers = {"Content-Type": "application/json", **self.extra_headers}
        return Request("POST", self.path, "token", body=msgspec.json.encode(body), headers=headers, base=self.base)

    def read_token(self, response: Response, now: datetime, previous: Token | None) -> Token:
        """`access_token`, `expires_at` (ISO) or `expires_in`, and a new `refresh_token` where the vendor rotates it."""
        answer = decode(response.body, dict)
        access = answer.get("access_token")
        if not isinstance(access, str) or not access:
            raise Drifted("the token answer has no access_token")
        expires: datetime | None = None
        if answer.get("expires_at"):
            try:
                expires = datetime.fromisoformat(str(answer["expires_at"]).replace("Z", "+00:00"))
            except ValueError as error:
                raise Drifted("the token's expires_at is no time") from error
        elif answer.get("expires_in"):
            expires = now + timedelta(seconds=int(answer["expires_in"]))
        kept = previous.refresh if previous else ""
        return Token(access, expires, str(answer.get("refresh_token") or kept))


def basic(user: str, password: str) -> str:
    """The value of a Basic Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
