"""Who may call Toast: logins of a machine client, its token and scopes, and how many calls a restaurant's API allows."""

import base64
import hashlib
import hmac
import json
import math
import time
from collections import deque

from adapters._sandbox.calls import Answer, Call, Json, Refused
from adapters._sandbox.tokens import TokenDesk
from adapters._sandbox.vendor import Ids

from ._sandbox_checks import body, problem

SCOPES = (
    *("config:read", "digital_schedule:read", "kitchen:read", "menus:read", "menus.channel:read", "restaurants:read"),
    *("orders:read", "orders.channel:read", "orders.orders:write", "orders.items:write", "orders.discounts:write"),
    *("orders.payments:write", "orders.delivery_info:write", "orders:void", "guest.pi:read", "delivery_info.address:read"),
    *("stock:read", "stock:write", "partners:read"),
)
_SWITCHED = {
    "menus:read": "scope_menus_v2",
    "menus.channel:read": "scope_menus_v3",
    "orders:void": "scope_void",
    "guest.pi:read": "scope_guest",
    "delivery_info.address:read": "scope_guest",
    "stock:write": "scope_stock_write",
}
SETTINGS = dict.fromkeys(_SWITCHED.values(), 1.0)
"""Scopes that can be withheld (0) from the next login."""


def _encoded(value: Json) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()


class Logins:
    """The one machine client of the partner and its tokens; there is no refresh, a client logs in again."""

    def __init__(self, ids: Ids) -> None:
        self.client_id, self.client_secret, self._key = ids.text(32), ids.text(32) + ids.text(32), ids.text(32)
        self.tokens = TokenDesk(ids)
        self._ids = ids
        self._at: deque[float] = deque(maxlen=10_000)

    def login(self, call: Call, settings: dict[str, float]) -> Answer:
        """Answer a login; raises Refused for wrong credentials or too many logins in an hour."""
        asked = body(call, dict)
        kind = asked.get("userAccessType")
        if kind != "TOAST_MACHINE_CLIENT":
            raise Refused(problem(400, "userAccessType must be TOAST_MACHINE_CLIENT", "userAccessType"), "wrong userAccessType")
        if (asked.get("clientId"), asked.get("clientSecret")) != (self.client_id, self.client_secret):
            raise Refused(problem(401, "Unauthorized: invalid client credentials"), "wrong client id or secret")
        now = time.time()
        while self._at and self._at[0] <= now - 3600:
            self._at.popleft()
        if len(self._at) >= settings["logins_per_hour"]:
            limited = problem(429, "Too many logins")
            wait = math.ceil(self._at[0] + 3600 - now) if self._at else 3600
            raise Refused(Answer(429, limited.body, {"Retry-After": str(wait)}), "too many logins in an hour")
        self._at.append(now)
        lifetime = settings["token_lifetime_s"]
        granted = [scope for scope in SCOPES if settings.get(_SWITCHED.get(scope, ""), 1)]
        token = self._token(now, lifetime, granted)
        self.tokens.take(token, lifetime, frozenset(granted))
        shown = {"tokenType": "Bearer", "scope": None, "expiresIn": int(lifetime), "accessToken": token}
        return Answer(200, {"token": {**shown, "idToken": None, "refreshToken": None}, "status": "SUCCESS"})

    def _token(self, now: float, lifetime: float, scopes: list[str]) -> str:
        head = {"alg": "HS256", "typ": "JWT"}
        claims = {
            "iss": "https://auth.example/",
            "sub": f"{self.client_id}@clients",
            "iat": int(now),
            "exp": int(now + lifetime),
            "jti": self._ids.uuid(),
            "scope": " ".join(scopes),
            "gty": "client-credentials",
        }
        signed = f"{_encoded(head)}.{_encoded(claims)}"
        digest = hmac.digest(self._key.encode(), signed.encode(), hashlib.sha256)
        return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


class Limits:
    """Calls a second, by restaurant and by endpoint; a limit of 0 is none."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, str], deque[float]] = {}

    def take(self, restaurant: str, by: str, most: float) -> None:
        """Count a call; raises Refused with 429 and Toast's rate limit headers when there were too many in this second."""
        if not most:
            return
        now = time.time()
        seen = self._at.setdefault((restaurant, by), deque(maxlen=1000))
        while seen and seen[0] <= now - 1:
            seen.popleft()
        if len(seen) >= most:
            answer = limited(by, seen[0] + 1)
            raise Refused(Answer(429, answer.body, {**answer.headers, "Retry-After": "1"}), f"more than {most:g} calls a second")
        seen.append(now)


def limited(by: str, reset: float) -> Answer:
    """The answer over a limit; `reset` is when (seconds since 1970) calls are allowed again."""
    headers = {
        "X-Toast-RateLimit-By": by,
        "X-Toast-RateLimit-Remaining": "0",
        "X-Toast-RateLimit-Reset": str(math.ceil(reset)),
    }
    return Answer(429, problem(429, "Rate limit exceeded").body, headers)
