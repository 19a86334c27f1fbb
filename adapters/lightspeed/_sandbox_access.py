"""Who may call K-Series: authorization codes, access tokens and single-use refresh tokens; and where its webhooks go."""

import time
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from adapters._sandbox.calls import Answer, Call, Json, Refused
from adapters._sandbox.tokens import basic, form
from adapters._sandbox.vendor import Ids

from ._sandbox_checks import checked, flag, many, one_of, problem, refuse, shape, stamp, text

SCOPES = frozenset({"orders-api", "financial-api", "items", "staff-api", "propertymanagement", "id-cards", "reservations-api"})
EVENTS = {"order": "DELIVERED", "payment": "DELIVERED", "item": "SALES_RESTRICTION_UPDATED", "order_api": "ONLINE_ORDER_READINESS"}
"""What an endpoint may subscribe to, by resource."""
_KEPT = 20_000
_CODE_LIFETIME = 600
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ENDPOINT = shape(
    {
        "endpointId!": text(128, 1),
        "url!": text(2048, 1, "https?://.+"),
        "withBasicAuth": flag,
        "username": text(255),
        "password": text(255),
        "provideAccount": flag,
        "expandTransactions": flag,
        "expandPayments": flag,
        "subscribeTo": many(shape({"resource!": one_of(*EVENTS), "name!": one_of(*EVENTS.values())})),
    }
)


def _oauth(error: str, about: str, status: int = 400) -> Refused:
    headers = {"WWW-Authenticate": 'Basic realm="oauth"'} if status == 401 else {}
    return Refused(Answer(status, {"error": error, "error_description": about}, headers), f"{error}: {about}")


@dataclass
class _Grant:
    """One consent of the merchant: the tokens that came of it end together."""

    scopes: frozenset[str]
    refresh: str = ""
    refresh_until: float = 0
    revoked: bool = False
    access: str = ""
    ends: dict[str, float] = field(default_factory=dict)


class Grants:
    """The tokens of one client. A refresh token is good once: used again, it ends every token of its grant."""

    def __init__(self, ids: Ids) -> None:
        self.client_id = f"lsk-{ids.text(20).lower()}"
        self.client_secret = ids.text(32)
        self._ids = ids
        self._codes: dict[str, tuple[str, frozenset[str], float]] = {}
        self._by_access: dict[str, _Grant] = {}
        self._by_refresh: dict[str, _Grant] = {}
        self._offered: _Grant | None = None
        self._offered_refresh = ""

    def offered(self, lifetime: float, refresh_lifetime: float) -> tuple[str, str]:
        """An access and a refresh token for whoever asks the control API: the same until that refresh token is used."""
        grant = self._offered
        if grant is None or grant.revoked or grant.refresh != self._offered_refresh or grant.refresh_until <= time.time():
            grant = self._offered = _Grant(frozenset({"orders-api", "financial-api"}))
            self._issue(grant, lifetime, refresh_lifetime)
            self._offered_refresh = grant.refresh
        return grant.access, grant.refresh

    def _issue(self, grant: _Grant, lifetime: float, refresh_lifetime: float) -> None:
        grant.access, grant.refresh = f"at-{self._ids.text(32)}", f"rt-{self._ids.text(32)}"
        now = time.time()
        grant.ends[grant.access] = now + lifetime
        grant.refresh_until = now + refresh_lifetime
        self._by_access[grant.access] = self._by_refresh[grant.refresh] = grant
        for held in (self._by_access, self._by_refresh):
            while len(held) > _KEPT:
                held.pop(next(iter(held)))

    def expire_all(self) -> None:
        """Let every access token issued so far have expired."""
        for grant in self._by_access.values():
            grant.ends = dict.fromkeys(grant.ends, 0.0)

    def check(self, call: Call, scope: str) -> None:
        """Raises Refused unless the bearer token lives (401) and has the scope (403)."""
        token = call.bearer()
        grant = self._by_access.get(token)
        if grant is None or grant.revoked or grant.ends[token] <= time.time():
            why = "unknown" if grant is None else "revoked" if grant.revoked else "expired"
            refused = unauthorized(f"Full authentication is required: the access token is {why}", call.path)
            raise Refused(refused, f"{why} access token")
        if scope and scope not in grant.scopes:
            raise refuse(call, f"Access Denied: the token lacks the scope {scope}", 403)

    def authorize(self, call: Call) -> Answer:
        """The merchant agrees at once: back to the application with a code. Plain http is for loopback addresses only."""
        query = call.query
        back = urlsplit(query.get("redirect_uri", ""))
        if query.get("client_id") != self.client_id:
            raise _oauth("invalid_client", "unknown client_id", 401)
        if back.scheme != "https" and not (back.scheme == "http" and back.hostname in _LOOPBACK):
            raise _oauth("invalid_request", "redirect_uri is an https address")
        if query.get("response_type") != "code":
            raise _oauth("unsupported_response_type", "response_type is code")
        scopes = frozenset(query.get("scope", "").split())
        if not scopes or scopes - SCOPES:
            raise _oauth("invalid_scope", f"scopes are {' '.join(sorted(SCOPES))}")
        code = self._ids.text(24)
        self._codes[code] = (back.geturl(), scopes, time.time() + _CODE_LIFETIME)
        while len(self._codes) > _KEPT:
            self._codes.pop(next(iter(self._codes)))
        answer = {"code": code, **({"state": query["state"]} if "state" in query else {})}
        return Answer(302, None, {"Location": f"{back.geturl()}{'&' if back.query else '?'}{urlencode(answer)}"})

    def grant(self, call: Call, lifetime: float, refresh_lifetime: float) -> Answer:
        """Answer the token endpoint; the fields come as a form or in the query, the client by Basic."""
        if basic(call) != (self.client_id, self.client_secret):
            raise _oauth("invalid_client", "client id or secret is wrong", 401)
        fields = form(call) or dict(call.query)
        kind = fields.get("grant_type")
        if kind == "authorization_code":
            grant = self._redeem(fields)
        elif kind == "refresh_token":
            grant = self._renew(fields.get("refresh_token", ""))
        else:
            raise _oauth("unsupported_grant_type", "grant_type is authorization_code or refresh_token")
        self._issue(grant, lifetime, refresh_lifetime)
        body = {"access_token": grant.access, "token_type": "bearer", "refresh_token": grant.refresh}
        return Answer(200, {**body, "expires_in": int(lifetime), "scope": " ".join(sorted(grant.scopes))})

    def _redeem(self, fields: dict[str, str]) -> _Grant:
        back, scopes, until = self._codes.pop(fields.get("code", ""), ("", frozenset[str](), 0.0))
        if until <= time.time():
            raise _oauth("invalid_grant", "the authorization code is unknown, used or expired")
        if fields.get("redirect_uri") != back:
            raise _oauth("invalid_grant", "redirect_uri is not the one of the authorization request")
        return _Grant(scopes)

    def _renew(self, token: str) -> _Grant:
        grant = self._by_refresh.get(token)
        if grant is None or grant.revoked:
            raise _oauth("invalid_grant", "the refresh token is unknown or revoked")
        if grant.refresh != token:
            grant.revoked = True
            raise _oauth("invalid_grant", "the refresh token was used before: its grant is revoked")
        if grant.refresh_until <= time.time():
            raise _oauth("invalid_grant", "the refresh token has expired")
        return grant


def unauthorized(message: str, path: str = "") -> Answer:
    """A 401."""
    answer = problem(401, message, path)
    return Answer(401, answer.body, {"WWW-Authenticate": 'Bearer error="invalid_token"'})


@dataclass
class Endpoint:
    """Where an integration wants its webhooks: `told` is the body that registered it."""

    told: Json
    locations: dict[str, Json] = field(default_factory=dict)
    everywhere: bool = False

    def wants(self, resource: str) -> bool:
        """Tell whether it subscribed to a resource's event."""
        return {"resource": resource, "name": EVENTS[resource]} in (self.told.get("subscribeTo") or [])

    def credentials(self) -> str:
        """User and password for Basic, or an empty text."""
        return f"{self.told.get('username', '')}:{self.told.get('password', '')}" if self.told.get("withBasicAuth") else ""

    def shown(self) -> Json:
        """The endpoint as the API shows it: without the password."""
        return {name: value for name, value in self.told.items() if name != "password"}


class Endpoints:
    """The webhook endpoints, by their case-sensitive id."""

    def __init__(self) -> None:
        self.held: dict[str, Endpoint] = {}

    def save(self, call: Call, *, new: bool) -> Json:
        """Answer PUT (a new one) and POST (an existing one, whose omitted flags go back to false)."""
        body = {name: value for name, value in checked(call, "webhookEndpointDto", _ENDPOINT).items() if value is not None}
        identifier = body["endpointId"]
        if new and identifier in self.held:
            raise refuse(call, f"endpoint ID already exists: {identifier}")
        if not new and identifier not in self.held:
            raise refuse(call, f"endpoint ID not found for {identifier}")
        if body.get("withBasicAuth") and not (body.get("username") and body.get("password")):
            raise refuse(call, "withBasicAuth needs username and password")
        for each in body.get("subscribeTo", []):
            if EVENTS[each["resource"]] != each["name"]:
                raise refuse(call, f"{each['resource']} has no event {each['name']}")
        flags = ("withBasicAuth", "provideAccount", "expandTransactions", "expandPayments")
        told = {"subscribeTo": [], **dict.fromkeys(flags, False), **body}
        if new:
            self.held[identifier] = Endpoint(told)
        else:
            self.held[identifier].told = told
        return self.held[identifier].shown()

    def get(self, call: Call) -> Endpoint:
        """The endpoint that the path names; raises Refused."""
        if (found := self.held.get(call.params["endpointId"])) is None:
            raise refuse(call, f"endpoint ID not found for {call.params['endpointId']}", 404)
        return found

    def delete(self, call: Call) -> Answer:
        """Answer DELETE."""
        self.get(call)
        del self.held[call.params["endpointId"]]
        return Answer(200)

    def add_location(self, call: Call, location: str) -> Json:
        """Let events of a location, which exists, come to an endpoint."""
        now, held = stamp(), self.get(call).locations
        row = {
            "businessLocationId": int(location),
            "createdAt": held.get(location, {}).get("createdAt", now),
            "updatedAt": now,
            "warnings": [],
        }
        held[location] = row
        return row

    def remove_location(self, call: Call, location: str) -> Json:
        """Let events of a location no longer come to an endpoint."""
        if (row := self.get(call).locations.pop(location, None)) is None:
            raise refuse(call, f"business location {location} is not on this endpoint", 404)
        return row

    def about(self, resource: str, location: str) -> list[str]:
        """The ids of the endpoints that get a location's events of a resource."""
        return [name for name, each in self.held.items() if each.wants(resource) and (each.everywhere or location in each.locations)]
