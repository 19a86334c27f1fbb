"""Vendor effects: recorded before they happen, repeated byte for byte, looked up when nobody knows what became of them."""

from hub.attempts.effects import Effects, Find, Unresolvable

__all__ = ["Effects", "Find", "Unresolvable"]
