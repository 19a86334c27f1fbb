"""Who may: a bearer token on every route that is not marked public, and the least role a route names."""

from typing import TYPE_CHECKING, Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult

from hub.api.problems import Problem, not_found
from hub.identity import at_least, authenticate

if TYPE_CHECKING:
    from hub.api.context import ApiContext

Caller = ASGIConnection[Any, Any, Any, Any]


class Bearer(AbstractAuthenticationMiddleware):
    """Puts the Principal at `request.user`; raises Denied."""

    async def authenticate_request(self, connection: Caller) -> AuthenticationResult:
        """Read the Authorization header."""
        context: ApiContext = connection.app.state.hub
        principal = await authenticate(context, connection.headers.get("authorization"))
        return AuthenticationResult(user=principal, auth=None)


def needs(connection: Caller, role: str) -> None:
    """Let this role and those above it through; raises a 403 Problem."""
    if not at_least(connection.user.role, role):
        raise Problem(403, f"this needs the role {role} or higher; yours is {connection.user.role}")


def staff(connection: Caller, _: BaseRouteHandler) -> None:
    """Let staff and above through."""
    needs(connection, "staff")


def manager(connection: Caller, _: BaseRouteHandler) -> None:
    """Let managers and owners through."""
    needs(connection, "manager")


def owner(connection: Caller, _: BaseRouteHandler) -> None:
    """Let owners through."""
    needs(connection, "owner")


def operator(connection: Caller, _: BaseRouteHandler) -> None:
    """Let the hub's operators through; others do not even learn which ids exist."""
    if connection.user.operator:
        return
    if connection.path_params:
        raise not_found("such thing")
    raise Problem(403, "this is for the operators of the hub")


def person(connection: Caller, _: BaseRouteHandler) -> None:
    """Let people through, not API keys."""
    if not connection.user.session:
        raise Problem(403, "this is for people who signed in, not for API keys")
