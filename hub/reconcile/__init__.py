"""Compare open orders on both sides with what the hub has: a lost webhook is found, under the key the webhook would have had."""

from hub.reconcile.orders import reconcile

__all__ = ["reconcile"]
