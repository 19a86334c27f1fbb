"""The OpenAPI description, and a page that shows it without asking another host for anything."""

import html
from importlib.resources import files
from string import Template
from typing import Any

import msgspec
from litestar import Request, Router
from litestar.enums import MediaType
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Server
from litestar.types import ControllerRouterHandler

ROOT = "/api/v1"


class _DocsRouter(Router):
    """Serves the description, but not Litestar's HTML for unknown paths beside it: those are problems like any other."""

    def register(self, value: ControllerRouterHandler) -> Any:
        """Register a handler."""
        if "/{path:str}" in getattr(value, "paths", ()):
            return []
        return super().register(value)


_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "An error as in RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer into the body"},
                    "parameter": {"type": "string", "description": "Name of a query parameter"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
_ERROR = {
    "description": "A problem",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 200},
    "description": "The same request under the same key is done once.",
}


def described(generated: dict[str, Any]) -> dict[str, Any]:
    """The description with what the generator does not know: problems, idempotency keys, operations without a token."""
    api: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(generated))
    api["components"].setdefault("schemas", {})["Problem"] = _PROBLEM
    for path, operations in api["paths"].items():
        for verb, operation in operations.items():
            operation["responses"].pop("400", None)
            operation["responses"]["4XX"] = operation["responses"]["5XX"] = _ERROR
            if path.endswith(("/auth/login", "/auth/refresh")):
                operation["security"] = []
            if verb != "get" and "/auth/" not in path and not path.endswith("/test"):
                operation.setdefault("parameters", []).append(_KEY)
    return api


class DescriptionFile(JsonRenderPlugin):
    """openapi.json."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The description."""
        return msgspec.json.encode(described(openapi_schema))


class DocsPage(OpenAPIRenderPlugin):
    """One self-contained page: style, script and the description itself are inline."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The page."""
        # Inside a script element only `</` and `<!--` could end it early.
        inline = msgspec.json.encode(described(openapi_schema)).decode().replace("<", "\\u003c")
        page = Template(files("hub.api").joinpath("docs.html").read_text("utf-8"))
        title = html.escape(str(openapi_schema["info"]["title"]))
        return page.substitute(title=title, openapi=inline).encode()


def openapi(version: str) -> OpenAPIConfig:
    """How the API describes itself."""
    bearer = SecurityScheme(
        type="http", scheme="bearer", description="An access token of auth/login, or an API key that starts with `hub_`."
    )
    return OpenAPIConfig(
        title="Integration Hub",
        version=version,
        description="Orders, menus and stores between restaurant POS systems and delivery platforms.",
        components=Components(security_schemes={"bearer": bearer}),
        security=[{"bearer": []}],
        servers=[Server(url="/")],
        use_handler_docstrings=True,
        openapi_router=_DocsRouter(ROOT, route_handlers=[], include_in_schema=False, opt={"public": True}),
        render_plugins=[
            DescriptionFile(path="/openapi.json", media_type=MediaType.JSON),
            DocsPage(path=["/docs", "/"]),
        ],
    )
