"""Calls to vendors: one session per process, tokens refreshed once for all, every failure named by what happens next."""

from hub.calls.client import VendorClient
from hub.calls.session import TooOld, open_session
from hub.calls.tokens import AppTokens, ConnectionTokens, StaticCredentials, TokenSource

__all__ = ["AppTokens", "ConnectionTokens", "StaticCredentials", "TokenSource", "TooOld", "VendorClient", "open_session"]
