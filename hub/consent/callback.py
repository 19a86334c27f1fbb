"""`/oauth/{slug}/callback`: the page a browser sees when a vendor sends it back. Plain, small, and without a call to another host."""

from html import escape
from urllib.parse import parse_qs

import structlog

from hub.consent.flow import ConsentContext, Refused, finish
from hub.ingress.replies import Receive, Scope, Send, headers_of, reply
from hub.observe.correlation import keep_correlation

PREFIX = "/oauth/"
_LONGEST = 4096
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem}}</style></head>
<body><h1>{title}</h1><p>{text}</p></body></html>
"""

log = structlog.get_logger("hub.consent")


class Callback:
    """Bare ASGI. A state works once; what it does not fit changes nothing."""

    def __init__(self, context: ConsentContext) -> None:
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one browser."""
        correlation = keep_correlation(headers_of(scope).get("x-correlation-id", ""))
        try:
            status, title, text = await self._answer(scope, correlation)
        except Refused as refused:
            status, title, text = refused.status, "Not connected", str(refused)
        except Exception as error:
            log.exception("a consent could not be ended", error=type(error).__name__)
            status, title, text = 503, "Not connected", "The hub could not store the consent now. Start connecting again in the hub."
        page = _PAGE.format(title=escape(title), text=escape(text)).encode()
        headers = {**_HEADERS, "X-Correlation-Id": correlation, **({"Allow": "GET"} if status == 405 else {})}
        await reply(send, status, page, "text/html; charset=utf-8", headers)

    async def _answer(self, scope: Scope, correlation: str) -> tuple[int, str, str]:
        slug, _, rest = scope["path"].removeprefix(PREFIX).partition("/")
        provider = self._context.providers.get(slug)
        if provider is None or rest != "callback":
            return 404, "Nothing here", "There is nothing at this address."
        if scope["method"] != "GET":
            return 405, "Not connected", "This address takes GET only."
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        state, code = query.get("state", [""])[-1], query.get("code", [""])[-1]
        if not state or len(state) > _LONGEST or len(code) > _LONGEST:
            raise Refused("This address is not complete. Start connecting again in the hub.")
        if "error" in query:
            code = ""
        name = await finish(self._context, provider, state=state, code=code, correlation=correlation)
        return 200, f"{provider.facts.name} is connected", f"The connection {name} works from now on. You can close this page."
