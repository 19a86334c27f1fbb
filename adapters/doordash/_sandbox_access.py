"""Who calls DoorDash: JWTs that the caller signs itself and the headers beside them; and how a call is refused."""

import base64
import hashlib
import hmac
import json
import math
import re
import time
from typing import Any

from adapters._sandbox.calls import Answer, BadBody, Call, Json, Refused, seconds
from adapters._sandbox.vendor import Ids

PROVIDER = "merchant_sandbox"
_AGENT = re.compile(PROVIDER.title().replace("_", "") + r"/\d+(\.\d+)*")
_HEADER = {"alg": "HS256", "typ": "JWT", "dd-ver": "DD-JWT-V1"}
_LONGEST = 1800
_REMEMBERED = 256
_WORDS = {str: "a text", int: "an integer", bool: "a boolean", dict: "an object", list: "a list"}
ERROR_CODES = frozenset(
    {
        *("INVALID_ORDER", "ITEM_OUT_OF_STOCK", "STORE_HOURS_ISSUE", "INTERNAL_ERROR", "OTHER", "CONNECTIVITY_ISSUE", "TIME_OUT"),
        *("STORE_CLOSED", "STORE_CLOSED_EARLY", "POS_OFFLINE", "CAPACITY_THROTTLING", "STALE_PICKUP_TIME", "ORDER_ONLINE_DISABLED"),
        *("INVALID_ADDRESS", "STORE_RENOVATION", "STORE_TEMP_CLOSED", "WEATHER_ISSUES"),
        *("REQUESTED_SLOT_UNAVAILABLE", "NO_SLOTS_AVAILABLE"),
    }
)


def refuse(status: int, code: str, message: str, *, repeats: bool = False) -> Refused:
    """A refusal with a JSON error body."""
    return Refused(Answer(status, {"code": code, "message": message}), f"{code}: {message}", repeats=repeats)


def bad_field(name: str, problem: str) -> Refused:
    """A 400 that names one field."""
    body = {"code": "validation_error", "message": f"{name} {problem}", "field_errors": [{"field": name, "error": problem}]}
    return Refused(Answer(400, body), f"{name} {problem}")


def plain(status: int, text: str, kind: str = "text/plain") -> Answer:
    """An answer that is not JSON."""
    return Answer(status, text.encode(), {"Content-Type": f"{kind}; charset=utf-8"})


def refuse_menu(status: int, text: str, *, repeats: bool = False) -> Refused:
    """A refusal of a menu: plain text, at times with a 200."""
    return Refused(plain(status, text), text, repeats=repeats)


def take(body: Json, name: str, kind: type, *, required: bool = False) -> Any:
    """A checked field of a body, None when it is absent or null; raises Refused."""
    value = body.get(name)
    if value is None:
        if required:
            raise bad_field(name, "is required")
        return None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise bad_field(name, f"has to be {_WORDS[kind]}")
    if required and value == "":
        raise bad_field(name, "must not be empty")
    return value


def moment(value: str, name: str) -> float:
    """A time with a zone as seconds since 1970; raises Refused."""
    try:
        return seconds(value)
    except ValueError as error:
        raise bad_field(name, "has to be an ISO 8601 time with a zone") from error


def rows(call: Call) -> list[Json]:
    """The body as a JSON array of objects; raises BadBody."""
    try:
        parsed = json.loads(call.body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadBody(f"the body is not JSON: {error}") from error
    if not isinstance(parsed, list) or not all(isinstance(each, dict) for each in parsed):
        raise BadBody("the body is not a JSON array of objects")
    return parsed


def check_confirmation(body: Json) -> None:
    """Check the confirmation of an order, whichever way it comes; raises Refused."""
    take(body, "merchant_supplied_id", str, required=True)
    status = take(body, "order_status", str, required=True)
    if status not in {"success", "fail"}:
        raise bad_field("order_status", "is success or fail")
    reason = take(body, "failure_reason", str)
    if status == "fail" and not reason:
        raise bad_field("failure_reason", "is required when order_status is fail")
    for error in take(body, "errors", list) or []:
        if not isinstance(error, dict):
            raise bad_field("errors", "is a list of {code, merchant_supplied_id, message}")
        if take(error, "code", str, required=True) not in ERROR_CODES:
            raise bad_field("errors.code", f"is one of {', '.join(sorted(ERROR_CODES))}")
        for name in ("merchant_supplied_id", "message"):
            if not isinstance(error.get(name), str):
                raise bad_field(f"errors.{name}", "is a required text")
    if (prep := take(body, "prep_time", str)) is not None:
        moment(prep, "prep_time")
    if len(take(body, "pickup_instructions", str) or "") > 128:
        raise bad_field("pickup_instructions", "has at most 128 signs")


def _decoded(part: str) -> bytes:
    return base64.b64decode(part.encode("ascii") + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)


def _epoch(value: Any) -> float:
    """Seconds since 1970, written as a number or in digits; raises ValueError."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 15:
        return int(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    raise ValueError("no epoch seconds")


class Keys:
    """One access key: its ids and signing secret, and what makes a token good."""

    def __init__(self, developer_id: str, key_id: str, signing_secret: str) -> None:
        self.developer_id, self.key_id, self.signing_secret = developer_id, key_id, signing_secret
        self._expired_before = 0
        self._seen: dict[str, float] = {}
        self._once: set[str] = set()

    @classmethod
    def made(cls, ids: Ids) -> "Keys":
        """A new key; its secret is base64url of random bytes."""
        return cls(ids.uuid(), ids.uuid(), base64.urlsafe_b64encode(ids.text(32).encode()).decode().rstrip("="))

    def why_not(self, token: str, now: float) -> str:
        """Why a token is not good at this time; an empty text when it is."""
        try:
            head, claims, signature = token.split(".")
            given = _decoded(signature)
            header, payload = json.loads(_decoded(head)), json.loads(_decoded(claims))
        except (ValueError, RecursionError):
            return "not a JWT"
        if header != _HEADER:
            return f"the JWT header is not exactly {json.dumps(_HEADER)}"
        if not hmac.compare_digest(hmac.digest(_decoded(self.signing_secret), f"{head}.{claims}".encode(), hashlib.sha256), given):
            return "the JWT's signature is wrong"
        expected = {"aud": "doordash", "iss": self.developer_id, "kid": self.key_id}
        for name, value in expected.items():
            if not isinstance(payload, dict) or payload.get(name) != value:
                return f"the JWT's {name} is wrong"
        try:
            issued, expires = _epoch(payload.get("iat")), _epoch(payload.get("exp"))
        except ValueError:
            return "the JWT's iat and exp are epoch seconds"
        if issued > now:
            return "the JWT's iat is in the future"
        if not 0 < expires - issued <= _LONGEST:
            return f"the JWT has to expire within {_LONGEST} seconds of its iat"
        return "the JWT has expired" if expires <= now or self._ended(token, issued) else ""

    def _ended(self, token: str, issued: float) -> bool:
        """Tell whether a token was made to expire. One made in that very second is so once: made anew it has the same bytes."""
        if token in self._once:
            self._once.discard(token)
            return True
        self._seen[token] = issued
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return issued < self._expired_before

    def expire_all(self) -> None:
        """Let every token made so far have expired."""
        self._expired_before = int(time.time())
        self._once = {token for token, issued in self._seen.items() if issued >= self._expired_before}

    def check(self, call: Call) -> None:
        """Check a call's token, and on the marketplace its version and agent; raises Refused."""
        if reason := self.why_not(call.bearer(), time.time()):
            raise refuse(401, "unauthenticated", reason)
        if call.path.startswith("/marketplace/"):
            if call.headers.get("auth-version") != "v2":
                raise refuse(401, "unauthenticated", "auth-version has to be v2")
            if not _AGENT.fullmatch(call.headers.get("user-agent", "")):
                raise refuse(400, "bad_request", f"User-Agent has to be {PROVIDER.title().replace('_', '')}/1.0")
