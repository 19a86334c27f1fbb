"""Tokens, throttling, roles and codes, without a database."""

import pyotp
import pytest

from hub.clock import utc_now
from hub.identity import Denied, Principal, at_least, authenticate, tokens, totp
from hub.identity.passwords import hash_password, password_matches
from hub.identity.throttle import LoginThrottle
from hub.vault import MasterKeys

WHO = Principal("ten_a", "usr_a", "staff", operator=True, session="ses_a")


@pytest.fixture
def master() -> MasterKeys:
    """One master key."""
    return MasterKeys({"k1": bytes(32)})


def test_an_access_token_carries_the_principal(master: MasterKeys) -> None:
    """What is read from a token is what was put into it."""
    assert tokens.read(master, tokens.issue(master, WHO)) == WHO


def test_an_expired_token_is_denied(master: MasterKeys) -> None:
    """A token works no longer than its lifetime."""
    with pytest.raises(Denied):
        tokens.read(master, tokens.issue(master, WHO, lifetime=-1))


@pytest.mark.parametrize("change", [lambda t: t[:-3] + "abc", lambda t: "x" + t, lambda _: "", lambda _: "a.b.c"])
def test_a_changed_token_is_denied(master: MasterKeys, change) -> None:
    """A token that is not exactly ours is denied, and never a crash."""
    with pytest.raises(Denied):
        tokens.read(master, change(tokens.issue(master, WHO)))


def test_a_token_of_another_hub_is_denied(master: MasterKeys) -> None:
    """Another master key under the same name signs nothing for this hub."""
    with pytest.raises(Denied):
        tokens.read(master, tokens.issue(MasterKeys({"k1": bytes([1]) * 32}), WHO))


def test_an_unsigned_token_is_denied(master: MasterKeys) -> None:
    """A token with algorithm none is denied, whatever it claims."""
    import jwt

    claims = {"iss": "hub", "sub": "u", "tenant": "t", "role": "owner", "sid": "s", "exp": utc_now().timestamp() + 60}
    with pytest.raises(Denied):
        tokens.read(master, jwt.encode(claims, None, algorithm="none", headers={"kid": "k1"}))


def test_tokens_outlive_a_rotation_of_the_master_key(master: MasterKeys) -> None:
    """A token signed before a new key came first is still read."""
    old = tokens.issue(master, WHO)
    rotated = MasterKeys({"k2": bytes([2]) * 32, "k1": bytes(32)})
    assert tokens.read(rotated, old) == WHO


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc", "hub_x"])
async def test_no_bearer_token_is_denied_without_a_query(master: MasterKeys, header: str | None) -> None:
    """A missing or foreign Authorization header is denied before any database is asked."""

    class Keeper:
        database = None

    Keeper.master = master  # type: ignore[attr-defined]
    with pytest.raises(Denied):
        await authenticate(Keeper(), header)  # type: ignore[arg-type]


def test_roles_include_those_below() -> None:
    """Viewer < staff < manager < owner, and an unknown role is none of them."""
    assert at_least("owner", "manager")
    assert at_least("staff", "staff")
    assert not at_least("viewer", "staff")
    assert not at_least("chief", "viewer")


def test_the_throttle_counts_tries_by_mail_and_address() -> None:
    """After the last allowed try the caller waits; another address, or enough time, does not."""
    now = [0.0]
    throttle = LoginThrottle(most=2, seconds=60, clock=lambda: now[0])
    for _ in range(2):
        assert throttle.wait("a@x", "1") == 0
        throttle.count("a@x", "1")
    assert throttle.wait("A@X", "1") == 60
    assert throttle.wait("a@x", "2") == 0
    now[0] = 61
    assert throttle.wait("a@x", "1") == 0


def test_the_throttle_holds_a_bounded_number_of_names() -> None:
    """A flood of invented names does not fill the memory."""
    throttle = LoginThrottle(most=1, keys=3)
    for number in range(10):
        throttle.count(f"{number}@x", "1")
    assert throttle.wait("0@x", "1") == 0
    assert throttle.wait("9@x", "1") > 0


async def test_passwords_are_matched_and_not_stored() -> None:
    """A hash matches its password only, is no plain text, and nothing stored matches nothing."""
    stored = await hash_password("a long enough one")
    assert "a long enough one" not in stored
    assert await password_matches(stored, "a long enough one")
    assert not await password_matches(stored, "a long enough two")
    assert not await password_matches(None, "a long enough one")
    assert not await password_matches("no hash at all", "a long enough one")


async def test_short_passwords_are_refused() -> None:
    """Nine characters are too few."""
    with pytest.raises(ValueError, match="between 10 and"):
        await hash_password("123456789")


def test_a_code_works_once(master: MasterKeys) -> None:
    """The same code a second time is refused: somebody may have watched."""
    secret = pyotp.random_base32()
    sealed = master.seal(secret.encode(), "", "users", "usr_once")
    code = pyotp.TOTP(secret).now()
    assert totp.code_is_right(master, "usr_once", sealed, code)
    assert not totp.code_is_right(master, "usr_once", sealed, code)


@pytest.mark.parametrize("code", ["", "000", "abcdef", "١٢٣٤٥٦"])
def test_wrong_codes_are_refused(master: MasterKeys, code: str) -> None:
    """Whatever is no code of the secret is refused without a crash."""
    sealed = master.seal(pyotp.random_base32().encode(), "", "users", "usr_wrong")
    assert not totp.code_is_right(master, "usr_wrong", sealed, code)
