"""DoorDash's tokens: signed by ourselves, good for minutes, with the key's id among the claims."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from hub.contract import Credentials, Misconfigured, SignedJwt

LIFETIME = 300
"""Seconds; DoorDash takes 1800 at most."""
_serial: Iterator[int] = count()


def claims(credentials: Credentials, now: int) -> Mapping[str, Any]:
    """Who we are. Lifetimes differ by a little, so that a token made anew in the same second is another one."""
    known = {"aud": "doordash", "iss": credentials.get("developer_id", ""), "kid": credentials.get("key_id", "")}
    return {**known, "iat": now, "exp": now + LIFETIME + next(_serial) % 60}


def secret(credentials: Credentials) -> bytes:
    """The signing secret's bytes; raises Misconfigured when it is no base64url."""
    text = credentials.get("signing_secret", "").strip().rstrip("=")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Misconfigured("DoorDash's signing secret is not base64url: copy it again from the developer portal") from error
    if not raw:
        raise Misconfigured("DoorDash's signing secret is empty")
    return raw


def header(credentials: Credentials) -> Mapping[str, str]:
    """DoorDash refuses any other header."""
    return {"dd-ver": "DD-JWT-V1"}


def access_token() -> SignedJwt:
    """The app's strategy."""
    return SignedJwt(claims, secret, owner="app", headers=header, lifetime=LIFETIME)
