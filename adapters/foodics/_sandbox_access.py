"""Who may call Foodics: businesses, the OAuth app with its scopes, bearer tokens, and a limit of requests a minute."""

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from adapters._sandbox.calls import Answer, Call, Json
from adapters._sandbox.tokens import TokenDesk
from adapters._sandbox.vendor import Ids

from ._sandbox_checks import posted, refused, settle

SCOPES = frozenset(
    (
        *("general.read", "menu.write", "menu.ingredients.read", "operations.read", "coupons.read", "coupons.write", "admin.write"),
        *("orders.list", "orders.get", "orders.write", "orders.limited.read", "orders.limited.create", "orders.limited.pay"),
        *("orders.limited.deliver", "orders.limited.decline", "customers.list", "customers.get", "customers.write"),
        *("inventory.transactions.read", "inventory.transactions.write", "inventory.settings.read", "tokens.limited.revoke"),
    )
)
_CODE_LIFETIME = 600
_FOREVER = 10 * 365 * 86_400
_MINUTE = 60


@dataclass
class Business:
    """A merchant: one currency, one time zone, and prices with or without tax in them, for all its branches."""

    id: str
    reference: int
    name: str
    currency: str
    timezone: str
    tax_inclusive: bool = True


class Grants:
    """The app and its tokens: each is good for one business and for the scopes that were agreed to.

    A lifetime of 0 s means tokens that do not expire and come without a refresh token.
    """

    def __init__(self, ids: Ids) -> None:
        self.client_id = ids.uuid()
        self.client_secret = ids.text(32)
        self._ids = ids
        self._desk = TokenDesk(ids)
        self._owners: dict[str, int] = {}
        self._current: dict[int, tuple[str, str]] = {}
        self._refresh: dict[str, tuple[int, frozenset[str]]] = {}
        self._codes: dict[str, tuple[str, float, frozenset[str]]] = {}
        self._minutes: dict[str, tuple[float, int]] = {}

    def _issue(self, business: int, scopes: frozenset[str], lifetime: float) -> Json:
        access = self._desk.issue(lifetime or _FOREVER, scopes)
        self._owners[access] = business
        if not lifetime:
            self._current[business] = (access, "")
            return {"token_type": "Bearer", "access_token": access}
        refresh = self._ids.text(32)
        self._refresh[refresh] = (business, scopes)
        self._current[business] = (access, refresh)
        return {"token_type": "Bearer", "expires_in": int(lifetime), "access_token": access, "refresh_token": refresh}

    def offered(self, business: int, lifetime: float) -> dict[str, str]:
        """Tokens of a business with every scope that work now, as a merchant's connection holds them."""
        held = self._current.get(business)
        if held is None or self._desk.why_not(held[0], "general.read"):
            self._issue(business, SCOPES, lifetime)
        access, refresh = self._current[business]
        return {"access_token": access, "refresh_token": refresh}

    def owner(self, call: Call) -> int:
        """The reference of the business that a call is for; raises Refused without a good token. `Bearer` is case-sensitive."""
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer":
            raise refused(401, "Unauthenticated.", "no bearer token")
        if why := self._desk.why_not(token):
            raise refused(401, "Unauthenticated.", why)
        return self._owners[token]

    def may(self, call: Call, *scopes: str) -> bool:
        """Tell whether a call's token has one of these scopes."""
        return any(not self._desk.why_not(call.bearer(), scope) for scope in scopes)

    def demand(self, call: Call, *scopes: str) -> None:
        """Raises Refused (403) unless a call's token has one of these scopes."""
        if scopes and not self.may(call, *scopes):
            raise refused(403, "Invalid scope(s) provided.", f"token without scope {' or '.join(scopes)}")

    def count(self, call: Call, limit: float) -> dict[str, str]:
        """Count a call against so many a minute (0: no limit): the headers that say so; raises Refused (429) above it."""
        if not limit:
            return {}
        now, token = time.monotonic(), call.bearer()
        since, used = self._minutes.get(token, (now, 0))
        since, used = (now, 0) if now - since >= _MINUTE else (since, used)
        self._minutes[token] = (since, used + 1)
        headers = {"X-RateLimit-Limit": str(int(limit)), "X-RateLimit-Remaining": str(max(0, int(limit) - used - 1))}
        if used >= limit:
            wait = {"Retry-After": str(int(since + _MINUTE - now) + 1)}
            raise refused(429, "Too Many Attempts.", "requests a minute", **headers, **wait)
        return headers

    def expire_all(self) -> None:
        """Let every access token issued so far have expired."""
        self._desk.expire_all()

    def authorize(self, call: Call) -> Answer:
        """The owner agrees at once: back to the app with a code that lives ten minutes."""
        if call.query.get("client_id") != self.client_id:
            raise refused(401, "Client authentication failed", "unknown client_id")
        back = call.query.get("redirect_uri", "")
        if not back.startswith(("http://", "https://")):
            raise refused(400, "redirect_uri is missing or no address")
        scopes = frozenset(call.query.get("scope", "").split())
        if unknown := scopes - SCOPES:
            raise refused(400, f"The requested scope is invalid, unknown, or malformed: {sorted(unknown)[0]}")
        code = self._ids.text(32)
        self._codes[code] = (back, time.time() + _CODE_LIFETIME, scopes)
        return Answer(302, None, {"Location": f"{back}?{urlencode({'code': code, 'state': call.query.get('state', '')})}"})

    def grant(self, call: Call, main: int, lifetime: float) -> Answer:
        """Answer a token request: a code or a refresh token for an access token, as JSON."""
        form = posted(call)
        kind = form.text("grant_type", required=True)
        names = {"authorization_code": ("code", "redirect_uri"), "refresh_token": ("refresh_token",)}.get(kind or "", ())
        given: dict[str, Any] = {name: form.text(name, required=True) for name in ("client_id", "client_secret", *names)}
        settle(form.errors)
        if not names:
            raise refused(400, "The authorization grant type is not supported by the authorization server.")
        if (given["client_id"], given["client_secret"]) != (self.client_id, self.client_secret):
            raise refused(401, "Client authentication failed", "wrong client_id or client_secret")
        if kind == "refresh_token":
            if (found := self._refresh.get(given["refresh_token"])) is None:
                raise refused(401, "The refresh token is invalid.")
            return Answer(200, self._issue(*found, lifetime))
        back, until, scopes = self._codes.pop(given["code"], ("", 0.0, frozenset[str]()))
        if until < time.time() or given["redirect_uri"] != back:
            raise refused(400, "The provided authorization grant is invalid, expired, or was issued to another redirect address.")
        return Answer(200, self._issue(main, scopes, lifetime))
