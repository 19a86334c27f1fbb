"""Vendor calls as values: an adapter builds requests and reads responses, the hub sends them."""

from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import msgspec

from hub.contract.errors import Drifted

T = TypeVar("T")


class Request(msgspec.Struct, frozen=True, omit_defaults=True):
    """A call to a vendor. `base` names a base URL of the environment; authorization is added when it is sent, never kept.

    `operation` is the endpoint's stable name, for limits, error rows and fault switches; `about` names the order, store or item
    that limits of these scopes count by. A `path` that is a whole URL (a callback that the vendor handed us) is called only
    on hosts that provider.toml lists for the environment. `anonymous` sends no authorization (a presigned address).
    """

    method: str
    path: str
    operation: str
    body: bytes = b""
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    base: str = "api"
    timeout: float = 10.0
    about: str = ""
    anonymous: bool = False


class Response(msgspec.Struct, frozen=True):
    """What the vendor answered; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self, kind: Any) -> Any:
        """Decode the body; raises Drifted when it does not fit."""
        return decode(self.body, kind)


def decode(body: bytes, kind: Any) -> Any:
    """Decode JSON into a record; raises Drifted, naming the first thing that does not fit."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Drifted(f"the body does not fit: {error}") from error


class Repeat(StrEnum):
    """What makes a write safe to repeat when its outcome is unknown."""

    KEY = "key"
    """The vendor remembers our idempotency key: send the same bytes again."""
    NATURAL = "natural"
    """It sets a state, and doing so twice changes nothing."""
    LOOKUP = "lookup"
    """Only a search by our reference tells; the vendor shows it after its visibility lag."""
    NEVER = "never"
    """Nothing tells: at most once, then a person."""


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One vendor write. Its request is stored before it is sent and repeated byte for byte."""

    name: str
    request: Request
    repeat: Repeat
    idempotency_key: str = ""


class Done(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a finished step left: the vendor's reference and the few values later steps need (no personal data)."""

    vendor_ref: str = ""
    data: dict[str, Any] = {}

    @property
    def job(self) -> str:
        """The vendor's job that ends this later (`data["job"]`), "" when it is done."""
        return str(self.data.get("job") or "")


class Http(Protocol):
    """What an adapter may do by itself: read. Writes are returned as steps."""

    async def read(self, request: Request) -> Response:
        """Send a request that changes nothing and return its 2xx answer; raises a VendorError otherwise."""
        ...

    async def remember(self, key: str, seconds: float, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` answered at most so many seconds ago, else its answer now: for a vendor's settings that seldom change."""
        ...
