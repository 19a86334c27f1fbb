"""Passwords with argon2id, hashed in a thread: tens of milliseconds of CPU must not stand on the event loop."""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

MINIMUM = 10
"""Characters a password has at least."""

_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)  # OWASP's second argon2id profile
_threads = ThreadPoolExecutor(2, "argon2")
_nobody = ""


def new_password() -> str:
    """Make a random password that can be read out: 24 characters."""
    return secrets.token_urlsafe(18)


async def hash_password(password: str) -> str:
    """Hash a password; raises ValueError when it is shorter than MINIMUM or longer than 200 characters."""
    if not MINIMUM <= len(password) <= 200:
        raise ValueError(f"a password has between {MINIMUM} and 200 characters")
    return await asyncio.get_running_loop().run_in_executor(_threads, _hasher.hash, password)


def _verify(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (Argon2Error, InvalidHashError):
        return False


async def password_matches(stored: str | None, password: str) -> bool:
    """Tell whether a password is right; with nothing stored it takes as long, and is not."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _matches, stored, password[:200])


def _matches(stored: str | None, password: str) -> bool:
    global _nobody
    if stored is None:
        _nobody = _nobody or _hasher.hash(secrets.token_urlsafe(16))
        _verify(_nobody, password)
        return False
    return _verify(stored, password)
