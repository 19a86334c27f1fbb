"""A vendor's call, from raw bytes to the vendor's own answer: find whose it is, verify, read, store, answer."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from urllib.parse import parse_qsl

import structlog

from hub.contract import Answer, Fact, IngressRequest, Malformed, Provider
from hub.ids import is_id, new_id
from hub.ingress.context import IngressContext
from hub.ingress.flusher import NotStored, Row, Unstorable
from hub.ingress.replies import BodyTooLarge, CallerLeft, Receive, Scope, Send, headers_of, problem, read_body, reply
from hub.ingress.routes import AppKey, Routes, StoreRoute
from hub.observe import keep_correlation, metrics

log = structlog.get_logger("hub.ingress")

PREFIX = "/webhooks/"


class _Refusal(Exception):
    """The call is not taken: a problem document says why."""

    def __init__(self, status: int, title: str, detail: str, outcome: str) -> None:
        super().__init__(detail)
        self.status, self.title, self.outcome = status, title, outcome


class Ingress:
    """Bare ASGI for `/webhooks/{slug}[/{connection}|/{app}][/suffix]`."""

    def __init__(self, context: IngressContext) -> None:
        self._context = context
        self._routes = Routes(context.database, context.master, kept=context.routes_kept)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        began = time.monotonic()
        slug, target, suffix = _parts(scope["path"])
        provider = self._context.providers.get(slug)
        if provider is None or provider.ingress is None or provider.facts.webhook is None:
            await problem(send, 404, "Not found", f"no provider {slug!r} calls here")
            return
        headers = headers_of(scope)
        correlation = keep_correlation(headers.get("x-correlation-id", ""))
        named = {"x-correlation-id": correlation}
        try:
            body = await read_body(scope, receive, self._context.body_limit)
            request = IngressRequest(
                scope["method"],
                suffix,
                dict(parse_qsl(scope["query_string"].decode("latin-1"))) if scope["query_string"] else {},
                headers,
                body,
                self._context.public_url + scope["path"],
            )
            outcome, answer = await self._take(provider, request, target, correlation)
            await reply(send, answer.status, answer.body, answer.content_type, named)
        except BodyTooLarge:
            outcome = "too_large"
            limit = self._context.body_limit
            await problem(send, 413, "Body too large", f"send at most {limit} bytes", headers=named)
        except CallerLeft:
            outcome = "left"
        except _Refusal as refusal:
            outcome = refusal.outcome
            await problem(send, refusal.status, refusal.title, str(refusal), headers=named)
        except NotStored as error:
            outcome = "not_stored"
            log.warning("ingress.not_stored", provider=slug, detail=str(error), correlation=correlation)
            answer = provider.ingress.refused("not_stored")
            await reply(send, answer.status, answer.body, answer.content_type, {**named, "retry-after": "5"})
        metrics.REQUESTS.labels(slug, outcome).inc()
        metrics.SECONDS.observe(time.monotonic() - began)

    async def _take(self, provider: Provider, request: IngressRequest, target: str, correlation: str) -> tuple[str, Answer]:
        webhook = provider.facts.webhook
        assert webhook is not None
        async with asyncio.timeout(webhook.ack_within) as limit:
            try:
                if target.startswith("con_"):
                    return await self._by_connection(provider, request, target, correlation)
                return await self._by_app(provider, request, target, correlation)
            except TimeoutError:
                if limit.expired():
                    raise NotStored(f"not committed within {webhook.ack_within:.0f} s") from None
                raise
            except (OSError, ConnectionError) as error:
                raise NotStored(f"{type(error).__name__}: {error}") from error
            except Exception as error:
                if type(error).__module__.startswith("asyncpg"):
                    raise NotStored(f"{type(error).__name__}: {error}") from error
                raise

    async def _by_connection(self, provider: Provider, request: IngressRequest, connection: str, correlation: str) -> tuple[str, Answer]:
        ingress = provider.ingress
        assert ingress is not None
        route = await self._routes.connection(provider, connection) if is_id("con", connection) else None
        if route is None:
            raise _Refusal(404, "Not found", "no such connection", "unknown")
        if not ingress.signed(request, route.secrets):
            route = await self._routes.connection(provider, connection, newest=0.0)
            if route is None or not ingress.signed(request, route.secrets):
                raise self._unsigned(provider, request)
        home = StoreRoute(route.tenant, route.connection)
        try:
            facts = ingress.facts(request)
        except Malformed as error:
            return await self._unreadable(provider, request, home, str(error), correlation)
        return await self._store(provider, request, [(fact, home) for fact in facts], correlation)

    async def _by_app(self, provider: Provider, request: IngressRequest, target: str, correlation: str) -> tuple[str, Answer]:
        ingress = provider.ingress
        assert ingress is not None
        app = self._signer(provider, request, await self._routes.apps(provider), target)
        if app is None:
            app = self._signer(provider, request, await self._routes.apps(provider, newest=0.0), target)
        if app is None:
            raise self._unsigned(provider, request)
        try:
            facts = ingress.facts(request)
        except Malformed as error:
            await self._unrouted(provider, app, request, "", f"cannot be read: {error}", correlation)
            return "unreadable", ingress.stored(())
        homes = []
        for fact in facts:
            home = await self._home(app, fact)
            if home is None:
                await self._unrouted(provider, app, request, fact.store_ref, "no proven claim on this store", correlation)
                return "unrouted", ingress.refused("unknown_store")
            homes.append((fact, home))
        return await self._store(provider, request, homes, correlation)

    async def _home(self, app: AppKey, fact: Fact) -> StoreRoute | None:
        home = await self._routes.store(app.app, fact.store_ref)
        if home is None and fact.kind == "store.provisioned":
            await self._routes.provision(app.app, fact.store_ref)
            home = await self._routes.store(app.app, fact.store_ref)
        return home

    def _signer(self, provider: Provider, request: IngressRequest, apps: Sequence[AppKey], target: str) -> AppKey | None:
        assert provider.ingress is not None
        for app in apps:
            if (not target or target == app.app) and provider.ingress.signed(request, app.secrets):
                return app
        return None

    def _unsigned(self, provider: Provider, request: IngressRequest) -> _Refusal:
        assert provider.ingress is not None
        webhook = provider.facts.webhook
        assert webhook is not None
        if webhook.header.lower() not in request.headers:
            try:
                provider.ingress.facts(request)
            except Malformed as error:
                return _Refusal(400, "Malformed", f"unsigned, and it cannot be read: {error}", "malformed")
        return _Refusal(401, "Bad signature", f"the {webhook.header} header does not sign this body", "bad_signature")

    async def _store(
        self, provider: Provider, request: IngressRequest, homes: Sequence[tuple[Fact, StoreRoute]], correlation: str
    ) -> tuple[str, Answer]:
        assert provider.ingress is not None
        rows = []
        for fact, home in homes:
            key = await self._context.bodies.key(home.tenant)
            sealed = key.seal(request.body, home.tenant, "messages", home.connection, fact.dedupe_key)
            rows.append(Row(home.connection, fact.dedupe_key, home.tenant, fact.kind, fact.subject, int(fact.lane), sealed, correlation))
        try:
            new = await self._context.flusher.store(rows) if rows else 0
        except Unstorable as error:
            return await self._unreadable(provider, request, homes[0][1], f"cannot be stored: {error}", correlation)
        return ("stored" if new else "repeated"), provider.ingress.stored([fact for fact, _ in homes])

    async def _unreadable(
        self, provider: Provider, request: IngressRequest, home: StoreRoute, why: str, correlation: str
    ) -> tuple[str, Answer]:
        """A signed body that nobody can read is kept under its digest, dead, with an alert, and answered as stored."""
        assert provider.ingress is not None
        digest = hashlib.sha256(request.body).hexdigest()
        key = await self._context.bodies.key(home.tenant)
        sealed = key.seal(request.body, home.tenant, "messages", home.connection, f"body/{digest}")
        await self._context.database.fetchval(
            "select hub.append_dead($1, $2, $3, $4, $5, $6, $7)",
            home.tenant,
            home.connection,
            digest,
            sealed,
            _plain(why),
            correlation,
            new_id("alr"),
        )
        log.warning("ingress.unreadable", provider=provider.slug, connection=home.connection, correlation=correlation)
        return "unreadable", provider.ingress.stored(())

    async def _unrouted(self, provider: Provider, app: AppKey, request: IngressRequest, store_ref: str, why: str, correlation: str) -> None:
        """A signed call of nobody's store is kept for the operator."""
        await self._context.database.execute(
            "select hub.store_unrouted($1, $2, $3, $4, $5, $6, $7, $8)",
            provider.slug,
            app.app,
            _plain(store_ref)[:200],
            _plain(why),
            hashlib.sha256(request.body).digest(),
            self._context.master.seal(request.body, "", "unrouted", app.app),
            correlation,
            new_id("alr"),
        )
        log.warning("ingress.unrouted", provider=provider.slug, store_ref=store_ref[:200], reason=why, correlation=correlation)


def _plain(text: str) -> str:
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:500]


def _parts(path: str) -> tuple[str, str, str]:
    """Slug, connection or app id ("" for an app-level call), and the vendor's suffix."""
    slug, _, rest = path[len(PREFIX) :].partition("/")
    head, _, tail = rest.partition("/")
    if head.startswith(("con_", "app_")):
        return slug, head, tail
    return slug, "", rest
