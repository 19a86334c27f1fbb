"""Uber's tokens: client credentials, scopes, the hourly limit on asking, and a hundred live tokens at most."""

import time
from collections import deque
from urllib.parse import parse_qsl

from adapters._sandbox.calls import Answer, Call, Json, Refused
from adapters._sandbox.vendor import Ids

SCOPES = frozenset(
    {
        *("eats.store", "eats.store.status.write", "eats.order", "eats.store.orders.read", "eats.report"),
        *("eats.store.promotion.read", "eats.store.promotion.write", "eats.store.orders.restaurantdelivery.status"),
    }
)
_MOST_LIVE = 100
_HOUR = 3600


def unauthorized(message: str) -> Answer:
    """A 401 with Uber's error body."""
    return Answer(401, {"code": "unauthorized", "message": message, "metadata": {}})


def _oauth(status: int, error: str, about: str) -> Refused:
    return Refused(Answer(status, {"error": error, "error_description": about}), f"{error}: {about}")


def form(call: Call) -> dict[str, str]:
    """The fields of a form body, urlencoded or multipart; raises Refused for any other content type."""
    kind = call.headers.get("content-type", "")
    text = call.body.decode("utf-8", "replace")
    if kind.startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(text, keep_blank_values=True))
    if kind.startswith("multipart/form-data") and "boundary=" in kind:
        fields = {}
        for part in text.split("--" + kind.partition("boundary=")[2].strip('"')):
            head, found, value = part.partition("\r\n\r\n")
            if found and 'name="' in head:
                fields[head.partition('name="')[2].partition('"')[0]] = value.removesuffix("\r\n")
        return fields
    raise _oauth(400, "invalid_request", "the body is a form, urlencoded or multipart")


class Tokens:
    """The tokens of one app."""

    def __init__(self, ids: Ids) -> None:
        self.client_id = ids.text(32)
        self.client_secret = ids.text(32) + ids.text(8).lower()
        self._ids = ids
        self._live: dict[str, tuple[float, frozenset[str]]] = {}
        self._asked: deque[float] = deque()

    def grant(self, call: Call, lifetime: float, per_hour: float) -> Json:
        """Answer the token endpoint; raises Refused with an OAuth error."""
        fields = form(call)
        if fields.get("client_id") != self.client_id or fields.get("client_secret") != self.client_secret:
            raise _oauth(401, "invalid_client", "client id or secret is wrong")
        if fields.get("grant_type") != "client_credentials":
            raise _oauth(400, "invalid_request", "grant_type is client_credentials")
        scopes = frozenset(fields.get("scope", "").split())
        if not scopes or scopes - SCOPES:
            raise _oauth(400, "invalid_scope", f"scopes are {' '.join(sorted(SCOPES))}")
        now = time.time()
        while self._asked and self._asked[0] <= now - _HOUR:
            self._asked.popleft()
        if len(self._asked) >= per_hour:
            wait = {"Retry-After": str(int(self._asked[0] + _HOUR - now) + 1 if self._asked else _HOUR)}
            limited = Answer(429, {"error": "rate_limited", "error_description": "too many token requests"}, wait)
            raise Refused(limited, "rate_limited: too many token requests in an hour")
        self._asked.append(now)
        token = f"KA.{self._ids.text(32)}"
        self._live[token] = (now + lifetime, scopes)
        for old in list(self._live)[:-_MOST_LIVE]:
            del self._live[old]
        return {
            "access_token": token,
            "expires_in": int(lifetime),
            "token_type": "Bearer",
            "scope": " ".join(sorted(scopes)),
            "refresh_token": "",
            "last_authenticated": 0,
        }

    def check(self, token: str, scope: str) -> None:
        """Raises Refused unless the token lives and has the scope."""
        found = self._live.get(token)
        if found is None or found[0] <= time.time():
            raise Refused(unauthorized("Invalid OAuth 2.0 credentials provided."), "unknown or expired access token")
        if scope and scope not in found[1]:
            raise Refused(unauthorized(f"This call needs the scope {scope}."), f"token without scope {scope}")

    def expire_all(self) -> None:
        """Let every token issued so far have expired."""
        self._live.clear()

    def forgive(self) -> None:
        """Forget how often a token was asked for."""
        self._asked.clear()
