"""Calls to vendors: one session per process, tokens refreshed once for all, every failure named by what happens next."""

from hub.calls.client import VendorClient
from hub.calls.limits import URGENT, Limiter
from hub.calls.memory import Memory
from hub.calls.session import TooOld, open_session
from hub.calls.shared import RedisLimits, SharedLimits
from hub.calls.tokens import AppTokens, ConnectionTokens, StaticCredentials, TokenSource

__all__ = [
    "URGENT", "AppTokens", "ConnectionTokens", "Limiter", "Memory", "RedisLimits", "SharedLimits", "StaticCredentials",
    "TokenSource", "TooOld", "VendorClient", "open_session",
]  # fmt: skip
