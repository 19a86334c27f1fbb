"""Who is calling: passwords, second factors, sessions, access tokens and API keys."""

from hub.identity.authenticate import authenticate
from hub.identity.principal import Denied, Principal, at_least

__all__ = ["Denied", "Principal", "at_least", "authenticate"]
