"""A vendor's call, from raw bytes to the vendor's own answer: find whose it is, verify, read, store, answer."""

import asyncio
import time
from collections.abc import Sequence
from urllib.parse import parse_qsl

import structlog
from prometheus_client import Counter

from hub.contract import Answer, Fact, IngressRequest, Malformed, Provider
from hub.contract import Ingress as VendorIngress
from hub.contract.provider import WebhookFacts
from hub.ids import is_id
from hub.ingress.context import IngressContext
from hub.ingress.flusher import MAY_PASS, Row, Unstorable
from hub.ingress.hosted import hosted_menu
from hub.ingress.quarantine import keep_unreadable, keep_unrouted
from hub.ingress.replies import BodyTooLarge, CallerLeft, Receive, Scope, Send, headers_of, problem, read_body, reply
from hub.ingress.routes import AppKey, Routes, StoreRoute
from hub.observe import keep_correlation, metrics

log = structlog.get_logger("hub.ingress")

PREFIX = "/webhooks/"
ANSWER_WITHIN = 0.9
"""The share of the vendor's patience after which it gets 503, so that it hears that instead of nothing."""
BODY_SECONDS = 30.0
RETRY_AFTER_SECONDS = 5
FRESH_SECONDS = 0.25
"""A signature that no known key made is tried once more with keys that are at most this old."""
_LONGEST_KEY = 1000


class _Refusal(Exception):
    """The call is not taken: a problem document says why."""

    def __init__(self, status: int, title: str, detail: str, outcome: str) -> None:
        super().__init__(detail)
        self.status, self.title, self.outcome = status, title, outcome


class _Call:
    """One call of a vendor that has an ingress, as it came."""

    __slots__ = ("correlation", "ingress", "provider", "request", "target", "webhook")

    def __init__(
        self, provider: Provider, ingress: VendorIngress, webhook: WebhookFacts, request: IngressRequest, target: str, correlation: str
    ) -> None:
        self.provider, self.ingress, self.webhook = provider, ingress, webhook
        self.request, self.target, self.correlation = request, target, correlation

    def signed(self, secrets: Sequence[str]) -> bool:
        """Tell whether one of the secrets signed it; what an adapter stumbles over is not signed."""
        if not secrets:
            return False
        try:
            return self.ingress.signed(self.request, secrets)
        except Exception as error:
            log.warning("ingress.signature_unreadable", provider=self.provider.slug, error=type(error).__name__)
            return False

    def wanted(self) -> str | None:
        """The store whose menu the call asks for; None for every other call."""
        host = self.provider.menu_host
        return host.wanted(self.request) if host is not None else None

    def facts(self) -> Sequence[Fact]:
        """Read the facts; raises Malformed, also for texts that PostgreSQL cannot hold and for a fault of the adapter."""
        try:
            facts = self.ingress.facts(self.request)
            for fact in facts:
                _check(fact)
        except Malformed:
            raise
        except Exception as error:
            log.exception("ingress.adapter_failed", provider=self.provider.slug, correlation_id=self.correlation)
            raise Malformed(f"the adapter failed on it: {type(error).__name__}") from error
        return facts


class Ingress:
    """Bare ASGI for `/webhooks/{slug}[/{connection}|/{app}][/suffix]`."""

    def __init__(self, context: IngressContext) -> None:
        self._context = context
        self._routes = Routes(context.database, context.master, kept=context.routes_kept)
        self._counters: dict[tuple[str, str], Counter] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        began = time.monotonic()
        slug, target, suffix = _parts(scope["path"])
        headers = headers_of(scope)
        correlation = keep_correlation(headers.get("x-correlation-id", ""))
        named = {"x-correlation-id": correlation}
        provider = self._context.providers.get(slug)
        if provider is None or provider.ingress is None or provider.facts.webhook is None:
            await problem(send, 404, "Not found", f"no provider {slug[:100]!r} calls here", headers=named)
            return
        call: _Call | None = None
        try:
            async with asyncio.timeout(BODY_SECONDS) as patience:
                body = await read_body(scope, receive, self._context.body_limit)
                query = dict(parse_qsl(scope["query_string"].decode("latin-1"))) if scope["query_string"] else {}
                request = IngressRequest(scope["method"], suffix, query, headers, body, self._context.public_url + _path(scope))
                call = _Call(provider, provider.ingress, provider.facts.webhook, request, target, correlation)
                patience.reschedule(asyncio.get_running_loop().time() + call.webhook.ack_within * ANSWER_WITHIN)
                outcome, answer = await self._take(call)
            if outcome == "not_stored":
                named["retry-after"] = str(RETRY_AFTER_SECONDS)
            await reply(send, answer.status, answer.body, answer.content_type, named)
        except BodyTooLarge:
            outcome = "too_large"
            await problem(send, 413, "Body too large", f"send at most {self._context.body_limit} bytes", headers=named)
        except TimeoutError:
            if call is None:
                outcome = "too_slow"
                await problem(send, 408, "Body too slow", f"send the body within {BODY_SECONDS:g} s", headers=named)
            else:
                outcome, answer = _not_stored(call, "TimeoutError: the database did not take it in time")
                named["retry-after"] = str(RETRY_AFTER_SECONDS)
                await reply(send, answer.status, answer.body, answer.content_type, named)
        except CallerLeft:
            outcome = "left"
        except _Refusal as refusal:
            outcome = refusal.outcome
            await problem(send, refusal.status, refusal.title, str(refusal), headers=named)
        self._count(slug, outcome)
        metrics.SECONDS.observe(time.monotonic() - began)

    def _count(self, slug: str, outcome: str) -> None:
        counter = self._counters.get((slug, outcome))
        if counter is None:
            counter = self._counters[slug, outcome] = metrics.REQUESTS.labels(slug, outcome)
        counter.inc()

    async def _take(self, call: _Call) -> tuple[str, Answer]:
        """Outcome and answer; raises _Refusal. Whatever goes wrong on our side is `not_stored`, never a 2xx."""
        try:
            return await self._patiently(call)
        except _Refusal:
            raise
        except Exception as error:
            return _not_stored(call, f"{type(error).__name__}: {error}")

    async def _patiently(self, call: _Call) -> tuple[str, Answer]:
        """Try again while the database is away: whatever a try stored is known to the next one."""
        delay = 0.05
        while True:
            try:
                if call.target.startswith("con_"):
                    return await self._by_connection(call)
                return await self._by_app(call)
            except MAY_PASS as error:
                log.warning("ingress.tried", provider=call.provider.slug, error=type(error).__name__, correlation_id=call.correlation)
            await asyncio.sleep(delay)
            delay = min(delay * 2, 1.0)

    async def _by_connection(self, call: _Call) -> tuple[str, Answer]:
        route = await self._routes.connection(call.provider, call.target) if is_id("con", call.target) else None
        if route is None:
            raise _Refusal(404, "Not found", "no such connection", "unknown")
        if not call.signed(route.secrets):
            route = await self._routes.connection(call.provider, call.target, newest=FRESH_SECONDS)
            if route is None or not call.signed(route.secrets):
                return self._unsigned(call)
        home = StoreRoute(route.tenant, route.connection)
        if (store_ref := call.wanted()) is not None:
            return await self._serve(call, home, store_ref)
        try:
            facts = call.facts()
        except Malformed as error:
            return await self._unreadable(call, home, str(error))
        return await self._store(call, [(fact, home) for fact in facts], facts)

    async def _by_app(self, call: _Call) -> tuple[str, Answer]:
        signers = await self._signers(call)
        if not signers:
            return self._unsigned(call)
        if (store_ref := call.wanted()) is not None:
            home = await self._home(signers, Fact("menu.wanted", "", "", store_ref))
            return await self._serve(call, home, store_ref)
        try:
            facts = call.facts()
        except Malformed as error:
            why = f"cannot be read: {error}"
            await keep_unrouted(self._context, call.provider.slug, signers[0].app, call.request.body, "", why, call.correlation)
            return "unreadable", call.ingress.stored(())
        homes: list[tuple[Fact, StoreRoute]] = []
        strangers: list[str] = []
        for fact in facts:
            home = await self._home(signers, fact)
            if home is None:
                strangers.append(fact.store_ref)
            else:
                homes.append((fact, home))
        if not strangers:
            return await self._store(call, homes, facts)
        # The vendor hears a refusal, and may not come again: what does belong to somebody is kept first.
        if homes:
            await self._store(call, homes, facts)
        for store_ref in dict.fromkeys(strangers):
            why = "no proven claim on this store" if store_ref else "it names no store"
            await keep_unrouted(self._context, call.provider.slug, signers[0].app, call.request.body, store_ref, why, call.correlation)
        return "unrouted", call.ingress.refused("unknown_store")

    async def _serve(self, call: _Call, home: StoreRoute | None, store_ref: str) -> tuple[str, Answer]:
        """Answer a platform that fetches a store's menu."""
        host = call.provider.menu_host
        if home is None or host is None:
            return "unrouted", call.ingress.refused("unknown_store")
        answer = await hosted_menu(self._context.database, host, home, store_ref, call.request)
        return ("served", answer) if answer is not None else ("no_menu", call.ingress.refused("not_stored"))

    async def _signers(self, call: _Call) -> list[AppKey]:
        """The provider's apps whose keys signed the call: more than one where two apps share a secret."""
        for newest in (None, FRESH_SECONDS):
            apps = await self._routes.apps(call.provider, newest=newest)
            if call.target:
                apps = tuple(app for app in apps if app.app == call.target)
            signers = [app for app in apps if call.signed(app.secrets)]
            if signers:
                return signers
        if call.target and not apps:
            raise _Refusal(404, "Not found", "no such app", "unknown")
        return []

    async def _home(self, signers: Sequence[AppKey], fact: Fact) -> StoreRoute | None:
        if not fact.store_ref:
            kind, _, order = fact.subject.partition("/")
            found = [await self._routes.order(app.app, order) for app in signers] if kind == "order" and order else []
            return next(filter(None, found), None)
        for app in signers:
            home = await self._routes.store(app.app, fact.store_ref)
            if home is None and fact.kind == "store.provisioned":
                await self._routes.provision(app.app, fact.store_ref)
                home = await self._routes.store(app.app, fact.store_ref)
            if home is not None:
                return home
        return None

    def _unsigned(self, call: _Call) -> tuple[str, Answer]:
        """Nobody we know signed it. Without any signature, a body that makes no sense is called malformed instead."""
        if call.webhook.header.lower() not in call.request.headers:
            try:
                call.facts()
            except Malformed as error:
                raise _Refusal(400, "Malformed", f"unsigned, and it cannot be read: {error}", "malformed") from error
        return "bad_signature", call.ingress.refused("bad_signature")

    async def _store(self, call: _Call, homes: Sequence[tuple[Fact, StoreRoute]], facts: Sequence[Fact]) -> tuple[str, Answer]:
        rows = []
        for fact, home in homes:
            key = await self._context.bodies.key(home.tenant)
            sealed = key.seal(call.request.body, home.tenant, "messages", home.connection, fact.dedupe_key)
            rows.append(
                Row(home.connection, fact.dedupe_key, home.tenant, fact.kind, fact.subject, int(fact.lane), sealed, call.correlation)
            )
        try:
            new = await self._context.flusher.store(rows) if rows else 0
        except Unstorable as error:
            return await self._unreadable(call, homes[0][1], f"cannot be stored: {error}")
        return ("stored" if new else "repeated"), call.ingress.stored(facts)

    async def _unreadable(self, call: _Call, home: StoreRoute, why: str) -> tuple[str, Answer]:
        await keep_unreadable(self._context, call.provider.slug, home, call.request.body, why, call.correlation)
        return "unreadable", call.ingress.stored(())


def _not_stored(call: _Call, why: str) -> tuple[str, Answer]:
    log.warning("ingress.not_stored", provider=call.provider.slug, detail=why, correlation_id=call.correlation)
    answer = call.ingress.refused("not_stored")
    return "not_stored", answer if answer.status >= 500 else Answer(503)


def _check(fact: Fact) -> None:
    """Refuse texts that PostgreSQL cannot hold or index; raises Malformed."""
    for name, text in (("dedupe_key", fact.dedupe_key), ("subject", fact.subject), ("store_ref", fact.store_ref)):
        if "\x00" in text:
            raise Malformed(f"NUL in the {name}")
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            raise Malformed(f"half a surrogate pair in the {name}") from None
        if size > _LONGEST_KEY:
            raise Malformed(f"{size} bytes in the {name}")


def _path(scope: Scope) -> str:
    """The path as it was sent, still percent-encoded: vendors sign that."""
    raw: bytes | None = scope.get("raw_path")
    return raw.partition(b"?")[0].decode("latin-1") if raw else str(scope["path"])


def _parts(path: str) -> tuple[str, str, str]:
    """Slug, connection or app id ("" for an app-level call), and the vendor's suffix."""
    slug, _, rest = path[len(PREFIX) :].partition("/")
    head, _, tail = rest.partition("/")
    if head.startswith(("con_", "app_")):
        return slug, head, tail
    return slug, "", rest
