"""Who changed what: a row in the transaction of the change, with field names and never their values."""

from hub.audit.trail import record

__all__ = ["record"]
