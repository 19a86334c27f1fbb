"""Vendors' calls to us: verified, stored, then answered. Nothing is answered with 2xx that is not committed."""

from hub.ingress.context import IngressContext, keep_day_key
from hub.ingress.flusher import Flusher, NotStored, Row, Unstorable
from hub.ingress.handler import Ingress
from hub.ingress.routes import Routes

__all__ = ["Flusher", "Ingress", "IngressContext", "NotStored", "Routes", "Row", "Unstorable", "keep_day_key"]
