"""The second factor: a TOTP secret that is stored sealed, and only after a first code proved that the app has it."""

import hmac
from collections import OrderedDict

import pyotp

from hub.clock import utc_now
from hub.identity.principal import Denied, Keeper
from hub.identity.sql import SQL
from hub.vault import MasterKeys, Unsealable

_STEP = 30
_used: OrderedDict[tuple[str, int], None] = OrderedDict()


def enrolment(master: MasterKeys, user: str, email: str) -> tuple[str, str, str]:
    """Make a secret: returns it, its otpauth URI, and the enrolment to send back with a first code. Nothing is stored."""
    secret = pyotp.random_base32()
    sealed = master.seal(secret.encode(), "", "totp_enrolment", user)
    return secret, pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="Integration Hub"), sealed.hex()


async def confirm(context: Keeper, user: str, enrolment_text: str, code: str) -> None:
    """Store the secret when the code fits it; raises Denied."""
    try:
        secret = context.master.open(bytes.fromhex(enrolment_text), "", "totp_enrolment", user)
    except (Unsealable, ValueError) as error:
        raise Denied("the enrolment is not one of this user's") from error
    if not _fits(user, secret.decode(), code):
        raise Denied("the code is not right")
    await SQL.user_totp_store(context.database, user=user, sealed=context.master.seal(secret, "", "users", user))


async def remove(context: Keeper, user: str, code: str) -> None:
    """Take the second factor away, which needs one more code; raises Denied."""
    row = await SQL.user_find(context.database, user=user)
    if row is None or row["totp_sealed"] is None or not code_is_right(context.master, user, row["totp_sealed"], code):
        raise Denied("the code is not right")
    await SQL.user_totp_store(context.database, user=user, sealed=None)


def code_is_right(master: MasterKeys, user: str, sealed: bytes, code: str) -> bool:
    """Tell whether a code fits a stored secret, now or one step to either side, and was not used before."""
    return _fits(user, master.open(sealed, "", "users", user).decode(), code)


def _fits(user: str, secret: str, code: str) -> bool:
    totp = pyotp.TOTP(secret)
    step = int(utc_now().timestamp()) // _STEP
    for candidate in (step, step - 1, step + 1):
        if hmac.compare_digest(totp.at(candidate * _STEP).encode(), code.encode()):
            if (user, candidate) in _used:
                return False
            _used[user, candidate] = None
            while len(_used) > 50_000:
                _used.popitem(last=False)
            return True
    return False
