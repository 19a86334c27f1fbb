"""Access tokens of a simulated vendor: issued, checked, expired and revoked; and the forms that ask for them."""

import base64
import binascii
import time
from urllib.parse import parse_qsl

from adapters._sandbox.calls import Call
from adapters._sandbox.vendor import Ids


def form(call: Call) -> dict[str, str] | None:
    """The fields of an urlencoded form body, or None when the content type is another."""
    if not call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return None
    return dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))


def basic(call: Call) -> tuple[str, str]:
    """User and password of a Basic Authorization header; two empty texts when there is none that can be read."""
    scheme, _, value = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


class TokenDesk:
    """The access tokens that one vendor issued: each with its end and what it is good for."""

    def __init__(self, ids: Ids, prefix: str = "") -> None:
        self._ids, self._prefix = ids, prefix
        self._live: dict[str, tuple[float, frozenset[str]]] = {}
        self._ended: set[str] = set()

    def issue(self, lifetime: float, scopes: frozenset[str] = frozenset()) -> str:
        """A new token that lives so many seconds."""
        token = f"{self._prefix}{self._ids.text(32)}"
        self.take(token, lifetime, scopes)
        return token

    def take(self, token: str, lifetime: float, scopes: frozenset[str] = frozenset()) -> None:
        """Let a token that was made elsewhere (a JWT) be known."""
        self._live[token] = (time.time() + lifetime, scopes)

    def why_not(self, token: str, scope: str = "") -> str:
        """Why a token is not good for a scope: unknown, expired, or lacking it; an empty text when it is good."""
        found = self._live.get(token)
        if found is None:
            return "expired access token" if token in self._ended else "unknown access token"
        if found[0] <= time.time():
            return "expired access token"
        return "" if not scope or scope in found[1] else f"token without scope {scope}"

    def expire_all(self) -> None:
        """Let every token issued so far have expired."""
        self._ended |= self._live.keys()
        self._live.clear()
