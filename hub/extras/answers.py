"""What an owner says to a read: JSON both ways, so that it crosses processes. Errors are the contract's, by name, with redacted words."""

from typing import Any

import msgspec

from hub.contract import RetryLater, VendorError
from hub.observe.logs import redact

EXTRA_SECONDS = 15.0
"""How long a read may take, waiting for limits included."""
NO_OWNER, TOO_SLOW, UNKNOWN, BAD_PARAMS = "NoOwner", "TooSlow", "UnknownExtra", "BadParams"


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result as it is, or the class of the error and what it says; `after` seconds is when to ask again."""

    ok: bool
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: str = ""
    detail: str = ""
    code: str = ""
    after: float | None = None

    def encode(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(self)


def read_answer(text: bytes) -> Answer:
    """Read what `encode` wrote."""
    return msgspec.json.decode(text, type=Answer)


def given(result: Any) -> Answer:
    """A result."""
    return Answer(ok=True, result=msgspec.Raw(msgspec.json.encode(result)))


def refused(error: str, detail: str) -> Answer:
    """An error of the hub's own."""
    return Answer(ok=False, error=error, detail=detail)


def failed(error: Exception) -> Answer:
    """A vendor's error by its class, with its words redacted; of any other error only the class is told."""
    if not isinstance(error, VendorError):
        return Answer(ok=False, error=type(error).__name__, detail="the hub failed on it: its log says why")
    words = f"{error}: {error.detail}" if error.detail else str(error)
    after = error.after if isinstance(error, RetryLater) else None
    return Answer(ok=False, error=type(error).__name__, detail=redact(words)[:500], code=redact(error.code)[:100], after=after)


def no_owner() -> Answer:
    """Nobody answers for the connection now."""
    return refused(NO_OWNER, "no owner of this connection answers now: try again")


def too_slow() -> Answer:
    """The time is up."""
    return refused(TOO_SLOW, f"the vendor gave no answer within {EXTRA_SECONDS:.0f} s: try again")
