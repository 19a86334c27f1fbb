"""Put the API together: one ASGI app under /api/v1."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.middleware import DefineMiddleware
from litestar.types import ASGIApp

from hub.api.alerts import Alerts
from hub.api.auth import Auth
from hub.api.claims import StoreClaims
from hub.api.connections import Connections
from hub.api.consent import Consents
from hub.api.context import ApiContext
from hub.api.correlation import Correlated
from hub.api.docs import ROOT, openapi
from hub.api.events import Events
from hub.api.extras import Extras
from hub.api.guard import Bearer
from hub.api.messages import Mailboxes
from hub.api.operators import ApiKeys, Audit, ProviderApps, Tenants, Users
from hub.api.orders import Orders
from hub.api.places import Links, Locations, Mappings
from hub.api.problems import HANDLERS
from hub.api.providers import Providers
from hub.api.stock import Stock
from hub.api.stores import Stores

CONTROLLERS: list[Any] = [
    Auth, Tenants, Users, ApiKeys, Audit, ProviderApps, Providers, Connections, Mailboxes, Locations, Links, Mappings,
    StoreClaims, Consents, Extras, Orders, Stock, Stores, Events, Alerts,
]  # fmt: skip


def _version() -> str:
    try:
        return version("integration-hub")
    except PackageNotFoundError:
        return "0"


def build_litestar(context: ApiContext) -> Litestar:
    """The Litestar application itself, for those who walk its routes."""
    return Litestar(
        route_handlers=[Router(ROOT, route_handlers=CONTROLLERS)],
        middleware=[DefineMiddleware(Bearer, exclude_from_auth_key="public")],
        exception_handlers=HANDLERS,
        openapi_config=openapi(_version()),
        state=State({"hub": context}),
        request_max_body_size=context.settings.max_body_bytes,
        debug=False,
    )


def build_api(context: ApiContext) -> ASGIApp:
    """Build the ASGI app of /api/v1. The context's database must be open; nothing is started or closed here."""
    return Correlated(build_litestar(context))
