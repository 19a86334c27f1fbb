"""Errors named by what the runtime does next.

VendorError
├── RetryLater        nothing happened at the vendor; try again after `after` seconds
│   └── RateLimited   the same, and the bucket of `scope` is empty
├── AuthExpired       refresh the token once, then repeat
├── AuthRevoked       suspend the connection and ask the tenant to connect again
├── Rejected          the vendor refused for good; never repeated
│   └── NotFound      it does not know the thing
├── AlreadyDone       the vendor had done it before: success
├── Misconfigured     a setting on one side is wrong; a person must mend it
├── Unreadable        this vendor offers no way to ask; only its calls tell
├── Drifted           the payload does not fit what we know: quarantine and alert
└── OutcomeUnknown    it may have happened: ask before repeating
"""

from typing import Literal


class VendorError(Exception):
    """A vendor call that did not give its answer. `code` and `detail` are the vendor's own words, redacted."""

    def __init__(self, message: str, *, code: str = "", detail: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.detail = detail
        self.status = status


class RetryLater(VendorError):
    """Nothing happened at the vendor: try again, no sooner than `after` seconds when it is given."""

    def __init__(self, message: str, *, after: float | None = None, code: str = "", detail: str = "", status: int = 0):
        super().__init__(message, code=code, detail=detail, status=status)
        self.after = after


class RateLimited(RetryLater):
    """The vendor's limit is reached for `scope`."""

    def __init__(
        self,
        message: str,
        *,
        after: float | None = None,
        scope: Literal["app", "connection", "chain", "store", "order", "item", "endpoint"] = "connection",
        code: str = "",
        detail: str = "",
    ):
        super().__init__(message, after=after, code=code, detail=detail, status=429)
        self.scope = scope


class AuthExpired(VendorError):
    """The token is no longer valid: refresh it once and repeat."""


class AuthRevoked(VendorError):
    """The vendor withdrew access: only the tenant can give it again."""


class Rejected(VendorError):
    """The vendor refused for good."""


class NotFound(Rejected):
    """The vendor does not know what was asked for."""


class AlreadyDone(VendorError):
    """The effect was there before this call: treat it as success."""


class Misconfigured(VendorError):
    """A setting on one of the sides is wrong; the message says which."""


class Unreadable(VendorError):
    """The vendor cannot be asked for this: nothing but its own calls tell."""


class Drifted(VendorError):
    """The vendor's payload does not fit its description."""


class OutcomeUnknown(VendorError):
    """The call may have had its effect: find out before repeating it."""
