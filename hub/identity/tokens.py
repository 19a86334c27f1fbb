"""Access tokens: short-lived JWTs that are checked without a database, signed with a key derived from the master key."""

import secrets
import time
from datetime import timedelta
from hashlib import sha256
from typing import Any
from weakref import WeakKeyDictionary

import jwt

from hub.clock import utc_now
from hub.identity.principal import Denied, Principal
from hub.vault import MasterKeys

LIFETIME = 15 * 60
"""Seconds an access token is good for."""

_ISSUER = "hub"
_MOST = 10_000
_derived: "WeakKeyDictionary[MasterKeys, dict[str, bytes]]" = WeakKeyDictionary()
_checked: "WeakKeyDictionary[MasterKeys, dict[bytes, tuple[float, Principal]]]" = WeakKeyDictionary()


def _keys(master: MasterKeys) -> dict[str, bytes]:
    keys = _derived.get(master)
    if keys is None:
        keys = master.derive("hub/access-token/v1")
        _derived[master] = keys
    return keys


def issue(master: MasterKeys, principal: Principal, *, lifetime: float = LIFETIME) -> str:
    """Sign an access token for a principal, good for `lifetime` seconds."""
    now = utc_now()
    claims = {
        "iss": _ISSUER,
        "sub": principal.user,
        "tenant": principal.tenant,
        "role": principal.role,
        "operator": principal.operator,
        "sid": principal.session,
        "iat": now,
        "exp": now + timedelta(seconds=lifetime),
    }
    return jwt.encode(claims, _keys(master)[master.current], algorithm="HS256", headers={"kid": master.current})


def read(master: MasterKeys, token: str) -> Principal:
    """The principal of an access token; raises Denied when it is expired, changed, or signed by no key of ours.

    A token that was checked is known by its digest until it expires: checking costs 75 us, knowing 2.
    """
    checked = _checked.get(master)
    if checked is None:
        checked = _checked[master] = {}
    name = digest(token)
    known = checked.get(name)
    if known is not None and time.time() < known[0]:
        return known[1]
    principal, expires = _check(master, token)
    if len(checked) >= _MOST:
        checked.clear()
    checked[name] = (expires, principal)
    return principal


def _check(master: MasterKeys, token: str) -> tuple[Principal, float]:
    """The principal of a token and the time it expires at."""
    try:
        key = _keys(master).get(str(jwt.get_unverified_header(token).get("kid", "")))
        if key is None:
            raise Denied("no key of this hub signed the token")
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=["HS256"], issuer=_ISSUER, options={"require": ["sub", "tenant", "role", "sid", "exp"]}
        )
    except jwt.PyJWTError as error:
        raise Denied("the token is not valid") from error
    operator = claims.get("operator") is True
    principal = Principal(str(claims["tenant"]), str(claims["sub"]), str(claims["role"]), operator, str(claims["sid"]))
    return principal, float(claims["exp"])


def new_secret() -> str:
    """A random part of a refresh token or an API key: 256 bits, URL-safe."""
    return secrets.token_urlsafe(32)


def digest(text: str) -> bytes:
    """What is stored of a random secret."""
    return sha256(text.encode("utf-8", "surrogateescape")).digest()
