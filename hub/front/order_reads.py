"""`GET /api/v1/orders/{id}` without a framework: the yes is said here, everything else by the API itself, in the same words."""

import time

import msgspec
import structlog

from hub.api.order_view import order_view
from hub.front.reader import OrderReader
from hub.identity import authenticate
from hub.identity.principal import Denied, Keeper
from hub.ingress.flusher import MAY_PASS
from hub.ingress.replies import App, Receive, Scope, Send
from hub.observe import keep_correlation, metrics

log = structlog.get_logger(__name__)


class OrderReads:
    """ASGI app for one order's address. `api` answers refusals, what is not there, and outages."""

    def __init__(self, context: Keeper, reader: OrderReader, api: App) -> None:
        self._context, self._reader, self._api = context, reader, api
        self._encoder = msgspec.json.Encoder()
        self._answered, self._passed = metrics.READS.labels("answered"), metrics.READS.labels("passed_on")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one read."""
        began = time.monotonic()
        authorization = correlation = ""
        for name, value in scope["headers"]:
            if name == b"authorization" and not authorization:
                authorization = value.decode("latin-1")
            elif name == b"x-correlation-id" and not correlation:
                correlation = value.decode("latin-1")
        body = await self._found(authorization, scope["path"].rpartition("/")[2])
        if body is None:
            self._passed.inc()
            await self._api(scope, receive, send)
            return
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"x-correlation-id", keep_correlation(correlation).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        self._answered.inc()
        metrics.READ_SECONDS.observe(time.monotonic() - began)

    async def _found(self, authorization: str, order_id: str) -> bytes | None:
        try:
            principal = await authenticate(self._context, authorization)
            row = await self._reader.read(principal.tenant, order_id)
            return self._encoder.encode(order_view(self._context.master, row)) if row is not None else None
        except (Denied, *MAY_PASS):
            return None
        except Exception:
            log.exception("front.read_failed")
            return None
