"""Signing in, staying in, signing out. Refresh tokens rotate; one that comes twice ends its whole family."""

from dataclasses import dataclass

from hub.identity import tokens, totp
from hub.identity.passwords import password_matches
from hub.identity.principal import Denied, Keeper, Principal
from hub.identity.sql import SQL
from hub.identity.throttle import LoginThrottle
from hub.ids import is_id, new_id

LIFETIME = 30 * 86_400
"""Seconds a session lasts at most."""


class TotpRequired(Denied):
    """The password is right and a second factor is wanted: send `totp`."""


class Throttled(Exception):
    """Too many failed tries: wait `after` seconds."""

    def __init__(self, after: int) -> None:
        super().__init__(f"too many failed tries: wait {after} seconds")
        self.after = after


@dataclass(frozen=True, slots=True)
class Issued:
    """What a caller gets for a login or a refresh; `expires_in` seconds are the access token's."""

    access_token: str
    refresh_token: str
    expires_in: int
    principal: Principal


_WRONG = "e-mail, password or code is not right"


async def login(
    context: Keeper,
    throttle: LoginThrottle,
    *,
    email: str,
    password: str,
    code: str | None,
    tenant: str | None,
    address: str,
) -> Issued:
    """Sign in to a tenant (the first of the user's when none is named); raises Denied, TotpRequired, Throttled."""
    wait = throttle.wait(email, address)
    if wait:
        raise Throttled(wait)
    throttle.count(email, address)
    rows = await SQL.find_login(context.database, email=email)
    row = rows[0] if rows else None
    if not await password_matches(row["password_hash"] if row else None, password) or row is None:
        raise Denied(_WRONG)
    if row["totp_sealed"] is not None:
        if not code:
            raise TotpRequired("a code of the second factor is wanted: send `totp`")
        if not totp.code_is_right(context.master, row["user_id"], row["totp_sealed"], code):
            raise Denied(_WRONG)
    member = next((r for r in rows if r["tenant_id"] and (tenant is None or r["tenant_id"] == tenant)), None)
    if member is None:
        raise Denied(_WRONG)
    throttle.succeeded(email, address)
    session, secret = new_id("ses"), tokens.new_secret()
    await SQL.session_create(
        context.database,
        id=session,
        user=member["user_id"],
        tenant=member["tenant_id"],
        hash=tokens.digest(secret),
        seconds=float(LIFETIME),
    )
    principal = Principal(member["tenant_id"], member["user_id"], member["role"], member["operator"], session)
    return _issued(context, principal, secret)


async def refresh(context: Keeper, refresh_token: str) -> Issued:
    """Exchange a refresh token for new tokens; raises Denied. One used before revokes its session."""
    session, _, secret = refresh_token.partition(".")
    if not is_id("ses", session) or not secret:
        raise Denied("the refresh token is not valid")
    fresh = tokens.new_secret()
    row = await SQL.session_rotate(context.database, id=session, hash=tokens.digest(secret), new_hash=tokens.digest(fresh))
    if row is None or row["outcome"] != "rotated":
        raise Denied("the refresh token is not valid")
    return _issued(context, Principal(row["tenant_id"], row["user_id"], row["role"], row["operator"], session), fresh)


async def logout(context: Keeper, session: str) -> None:
    """End a session: its refresh token is dead at once, its access token within its fifteen minutes."""
    await SQL.session_revoke(context.database, id=session)


def _issued(context: Keeper, principal: Principal, secret: str) -> Issued:
    access = tokens.issue(context.master, principal)
    return Issued(access, f"{principal.session}.{secret}", tokens.LIFETIME, principal)
