"""Tenants and what is theirs: people, connections, locations, links and store claims. Shared by the API, `hub admin` and the demo."""

from hub.tenancy.claims import approve_claim, claim_store
from hub.tenancy.connections import create_connection
from hub.tenancy.errors import Conflict, Invalid, Unknown
from hub.tenancy.places import create_link, create_location
from hub.tenancy.provider_apps import create_provider_app
from hub.tenancy.tenants import create_tenant, create_user

__all__ = [
    "Conflict", "Invalid", "Unknown", "approve_claim", "claim_store", "create_connection", "create_link", "create_location",
    "create_provider_app", "create_tenant", "create_user",
]  # fmt: skip
