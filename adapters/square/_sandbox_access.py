"""Who may call Square: tokens with a lifetime, the OAuth token endpoint, and webhook subscriptions with their keys."""

import time
from typing import Any
from urllib.parse import urlencode

from adapters._sandbox.calls import Answer, Call, Json, Refused, timestamp
from adapters._sandbox.vendor import Ids

from ._sandbox_bodies import SUBSCRIBE
from ._sandbox_checks import checked, refuse

EVENT_TYPES = (
    "order.created",
    "order.updated",
    "order.fulfillment.updated",
    "payment.created",
    "payment.updated",
    "refund.updated",
    "inventory.count.updated",
    "catalog.version.updated",
    "location.updated",
    "oauth.authorization.revoked",
)
SCOPES = frozenset(
    {
        "MERCHANT_PROFILE_READ", "MERCHANT_PROFILE_WRITE", "ITEMS_READ", "ITEMS_WRITE", "ORDERS_READ", "ORDERS_WRITE", "PAYMENTS_READ",
        "PAYMENTS_WRITE", "INVENTORY_READ", "INVENTORY_WRITE",
    }
)  # fmt: skip
_LIVE_TOKENS = 8


def unauthorized(code: str, detail: str) -> Answer:
    """A 401 with Square's error body."""
    return Answer(401, {"errors": [{"category": "AUTHENTICATION_ERROR", "code": code, "detail": detail}]})


class Tokens:
    """Access tokens of one seller. A refresh gives a new token; older ones live on until they are eight behind or expire."""

    def __init__(self, ids: Ids, merchant: str) -> None:
        self.client_id = f"sq0idp-{ids.text(22)}"
        self.client_secret = f"sq0csp-{ids.text(32)}"
        self.refresh_token = f"EQAA{ids.text(32)}"
        self.codes: dict[str, str] = {}
        self._ids = ids
        self._merchant = merchant
        self._expiry: dict[str, float] = {}
        self.current = self.issue(30 * 86_400)

    def issue(self, lifetime: float) -> str:
        """A new access token, valid for so many seconds."""
        self.current = f"EAAA{self._ids.text(32)}"
        now = time.time()
        for old in list(self._expiry)[: -_LIVE_TOKENS + 1]:
            self._expiry[old] = min(self._expiry[old], now)
        self._expiry[self.current] = now + lifetime
        return self.current

    def expire_all(self) -> None:
        """Let every token issued so far have expired."""
        for token in self._expiry:
            self._expiry[token] = 0

    def check(self, token: str) -> None:
        """Raises Refused unless the token is one of ours and has not expired."""
        expiry = self._expiry.get(token)
        if expiry is None:
            raise Refused(unauthorized("UNAUTHORIZED", "This request could not be authorized."), "unknown access token")
        if expiry <= time.time():
            raise Refused(unauthorized("ACCESS_TOKEN_EXPIRED", "The access token has expired."), "expired access token")

    def authorize(self, call: Call) -> Answer:
        """The seller agrees at once: back to the application with a code."""
        if call.query.get("client_id") != self.client_id:
            raise refuse("UNAUTHORIZED", "Unknown client_id", "client_id", 401, "AUTHENTICATION_ERROR")
        back = call.query.get("redirect_uri", "")
        if not back.startswith(("http://", "https://")):
            raise refuse("INVALID_VALUE", "redirect_uri is missing", "redirect_uri")
        scopes = set(call.query.get("scope", "").split())
        if not scopes or scopes - SCOPES:
            raise refuse("INVALID_VALUE", f"scope names {', '.join(sorted(scopes - SCOPES)) or 'nothing'}", "scope")
        code = f"sq0cgp-{self._ids.text(22)}"
        self.codes[code] = back
        return Answer(
            302, None, {"Location": f"{back}?{urlencode({'code': code, 'response_type': 'code', 'state': call.query.get('state', '')})}"}
        )

    def grant(self, body: Json, lifetime: float) -> Json:
        """Answer ObtainToken: a refresh token or a code for an access token."""
        for name in ("client_id", "grant_type"):
            if not isinstance(body.get(name), str):
                raise refuse("MISSING_REQUIRED_PARAMETER", f"Missing {name}", name)
        secret = body.get("client_secret")
        if body["client_id"] != self.client_id or secret != self.client_secret:
            raise refuse("UNAUTHORIZED", "Not authorized: client id or secret", "client_secret", 401, "AUTHENTICATION_ERROR")
        if body["grant_type"] == "refresh_token":
            if body.get("refresh_token") != self.refresh_token:
                raise refuse("UNAUTHORIZED", "The refresh token is not valid", "refresh_token", 401, "AUTHENTICATION_ERROR")
        elif body["grant_type"] == "authorization_code":
            expected = self.codes.pop(str(body.get("code")), None)
            if expected is None or body.get("redirect_uri", expected) != expected:
                raise refuse("UNAUTHORIZED", "The authorization code is not valid", "code", 401, "AUTHENTICATION_ERROR")
        else:
            raise refuse("INVALID_VALUE", "grant_type is authorization_code or refresh_token", "grant_type")
        short = body.get("short_lived") is True
        lifetime = min(lifetime, 86_400) if short else lifetime
        return {
            "access_token": self.issue(lifetime),
            "token_type": "bearer",
            "expires_at": timestamp(time.time() + lifetime),
            "merchant_id": self._merchant,
            "refresh_token": self.refresh_token,
            "short_lived": short,
        }


class Subscriptions:
    """Where webhooks go, each address with a signature key of its own."""

    def __init__(self, ids: Ids) -> None:
        self.held: dict[str, Json] = {}
        self._ids = ids

    def create(self, body: Json, key: str | None = None) -> Json:
        """Answer CreateWebhookSubscription; `key` sets the signature key."""
        wanted = checked(SUBSCRIBE, body)["subscription"]
        if unknown := set(wanted["event_types"]) - set(EVENT_TYPES):
            raise refuse("INVALID_ENUM_VALUE", f"Unknown event type {sorted(unknown)[0]}", "subscription.event_types")
        now = timestamp(time.time())
        made: Json = {
            "id": f"wbhk_{self._ids.text(32).lower()}",
            "name": wanted["name"],
            "enabled": wanted.get("enabled", True),
            "event_types": list(wanted["event_types"]),
            "notification_url": wanted["notification_url"],
            "api_version": wanted.get("api_version", "2025-08-20"),
            "signature_key": key or self._ids.text(22),
            "created_at": now,
            "updated_at": now,
        }
        self.held[made["id"]] = made
        return made

    def get(self, identifier: str) -> Json:
        """A subscription; raises Refused with 404."""
        if (found := self.held.get(identifier)) is None:
            raise refuse("NOT_FOUND", f"No subscription {identifier}", "subscription_id", 404)
        return found

    @staticmethod
    def public(subscription: Json) -> Json:
        """A subscription as a list shows it: without its key."""
        return {name: value for name, value in subscription.items() if name != "signature_key"}

    def change(self, identifier: str, body: Json) -> Json:
        """Answer UpdateWebhookSubscription."""
        found = self.get(identifier)
        wanted: Any = body.get("subscription")
        if not isinstance(wanted, dict):
            raise refuse("MISSING_REQUIRED_PARAMETER", "Missing subscription", "subscription")
        for name in ("name", "enabled", "event_types", "notification_url", "api_version"):
            if wanted.get(name) is not None:
                found[name] = wanted[name]
        found["updated_at"] = timestamp(time.time())
        return found

    def renew_key(self, identifier: str) -> str:
        """Give a subscription a new signature key."""
        found = self.get(identifier)
        found.update(signature_key=self._ids.text(22), updated_at=timestamp(time.time()))
        return str(found["signature_key"])

    def delete(self, identifier: str) -> None:
        """Answer DeleteWebhookSubscription."""
        self.get(identifier)
        del self.held[identifier]

    def wanting(self, event_type: str) -> list[Json]:
        """The subscriptions that get an event of this type."""
        return [each for each in self.held.values() if each["enabled"] and event_type in each["event_types"]]
