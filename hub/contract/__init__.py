"""What an adapter implements and what it may use. Adapters import this package and `hub.model`, nothing else of the hub."""

from hub.contract.auth import Auth, ClientCredentials, Credentials, RefreshToken, Token
from hub.contract.capabilities import (
    Adapter,
    Cancelled,
    CancelTask,
    CannotCancel,
    Connected,
    DecisionTask,
    Fetched,
    MenuSink,
    MenuSource,
    Offline,
    OrderIntake,
    OrderTarget,
    PlatformOrder,
    PosOrder,
    PosRejected,
    Queued,
    Stores,
    SubmitTask,
    Submitted,
)
from hub.contract.errors import (
    AlreadyDone,
    AuthExpired,
    AuthRevoked,
    Drifted,
    Misconfigured,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    RetryLater,
    VendorError,
)
from hub.contract.http import Done, Http, Repeat, Request, Response, Step, decode
from hub.contract.ingress import Answer, Fact, FactKind, Ingress, IngressRequest, Lane, Malformed
from hub.contract.provider import Facts, InstalledProviders, MemoryProviders, Provider, Providers, load_facts

__all__ = [
    "Adapter", "AlreadyDone", "Answer", "Auth", "AuthExpired", "AuthRevoked", "CancelTask", "Cancelled", "CannotCancel",
    "ClientCredentials", "Connected", "Credentials", "DecisionTask", "Done", "Drifted", "Fact", "FactKind", "Facts", "Fetched",
    "Http", "Ingress", "IngressRequest", "InstalledProviders", "Lane", "Malformed", "MemoryProviders", "MenuSink", "MenuSource",
    "Misconfigured", "NotFound", "Offline", "OrderIntake", "OrderTarget", "OutcomeUnknown", "PlatformOrder", "PosOrder",
    "PosRejected", "Provider", "Providers", "Queued", "RateLimited", "RefreshToken", "Rejected", "Repeat", "Request", "Response",
    "RetryLater", "Step", "Stores", "SubmitTask", "Submitted", "Token", "VendorError", "decode", "load_facts",
]  # fmt: skip
