"""One id for everything that a request sets in motion: the client's own where it is harmless, else ours."""

from typing import Any

from hub.observe.correlation import Correlation, keep_correlation


def correlation() -> str:
    """The correlation id of the request being answered."""
    return Correlation.get()


class Correlated:
    """ASGI middleware: sets the id for the request's task, and puts it on every answer."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name.lower() == b"x-correlation-id"), b"")
        header = (b"x-correlation-id", keep_correlation(given.decode("latin-1")).encode())

        async def with_id(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), header]}
            await send(message)

        await self._app(scope, receive, with_id)
