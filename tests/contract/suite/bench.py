"""One adapter on its simulated vendor over real HTTP: the hub's own client, a receiver for the vendor's calls, and every address called."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from adapters._sandbox.server import running
from adapters._sandbox.vendor import Sandbox
from cluster.pairs import own_secret, register_app, register_connection
from hub.calls import Memory, StaticCredentials, VendorClient, open_session
from hub.clock import monotonic
from hub.contract import AlreadyDone, Connected, Done, Fact, IngressRequest, Place, Provider, Step
from hub.model import Menu

CONNECTION = "con_0000000000000000000000000"


class Bench:
    """What the checks of one adapter work with."""

    def __init__(self, provider: Provider, sandbox: Sandbox, root: str, session: aiohttp.ClientSession) -> None:
        self.provider, self.facts, self.sandbox, self.root, self.session = provider, provider.facts, sandbox, root, session
        self.called: set[str] = set()
        self.got: list[IngressRequest] = []
        self.secrets: tuple[str, ...] = ()
        self.credentials: dict[str, str] = {}
        self.address = ""
        self.hosted: Menu | None = None
        self.store = sandbox.stores()[0]

    @property
    def ref(self) -> str:
        """The store or location that the checks use."""
        return str(self.store["ref"])

    @property
    def currency(self) -> str:
        """What it sells in."""
        return str(self.store["currency"])

    @property
    def places(self) -> Mapping[str, Place]:
        """What the hub would know of it."""
        return {self.ref: Place(self.currency)}

    def client(self, credentials: Mapping[str, str] | None = None) -> VendorClient:
        """The hub's client with these credentials, else the right ones."""
        environment = self.facts.environments["simulator"]
        bases = {name: environment.base(name).replace("{sandbox}", self.root) for name in ("api", "auth", "consent")}
        hosts = [host.replace("{sandbox}", urlsplit(self.root).netloc) for host in environment.callbacks]
        tokens = StaticCredentials(credentials or self.credentials)
        auth = self.provider.auth(self.facts)
        return VendorClient(
            slug=self.facts.slug, session=self.session, bases=bases, auth=auth, tokens=tokens, callbacks=hosts, memory=Memory()
        )

    def adapter(self, client: VendorClient | None = None) -> Any:
        """A fresh adapter on a client."""
        client = client or self.client()
        details = {name: self.credentials[name] for name, f in self.facts.credentials.items() if not f.secret and name in self.credentials}
        settings = {name: field.default for name, field in self.facts.settings.items()}
        settings |= self.facts.environments["simulator"].settings
        made = self.provider.adapter(self.facts, Connected(CONNECTION, "simulator", settings, self.address, details), client)
        client.use_failures(made.failure)
        return made

    async def read(self, adapter: Any) -> Any:
        """A read of something that is there."""
        if "store_control" in self.facts.capabilities:
            return await adapter.store_status(self.ref)
        return await (adapter.list_stores() if "stores" in self.facts.capabilities else adapter.test())

    async def perform(self, client: VendorClient, adapter: Any, step: Step) -> Done:
        """Send a step as the hub does."""
        try:
            response = await client.send(step.request, not_after=monotonic() + 10)
        except AlreadyDone:
            return Done(data={"settled": True})
        found: Done = adapter.read_step(step.name, response)
        return found

    async def run(self, plan: Callable[[Mapping[str, Done]], Awaitable[Any]], client: VendorClient, adapter: Any) -> Any:
        """Carry a plan out to its result."""
        done: dict[str, Done] = {}
        for _ in range(10):
            step = await plan(done)
            if not isinstance(step, Step):
                return step
            done[step.name] = await self.perform(client, adapter, step)
        raise AssertionError("the plan has no end")

    # The vendor's calls

    async def receive(self, request: web.Request) -> web.Response:
        """Answer as the hub's ingress would, once a call is stored."""
        body = await request.read()
        path = request.rel_url.raw_path
        suffix = path.partition(f"/webhooks/{self.facts.slug}")[2].lstrip("/")
        suffix = suffix.removeprefix(CONNECTION).lstrip("/")
        headers = {name.lower(): value for name, value in request.headers.items()}
        url = f"http://{request.host}{path}"
        told = IngressRequest(request.method, suffix, dict(request.query), headers, body, url)
        self.got.append(told)
        ingress, host = self.provider.ingress, self.provider.menu_host
        assert ingress is not None
        if not ingress.signed(told, self.secrets):
            answer = ingress.refused("bad_signature")
        elif host is not None and (wanted := host.wanted(told)) is not None and self.hosted is not None:
            answer = host.document(wanted, self.hosted, told)
        else:
            answer = ingress.stored(ingress.facts(told))
        return web.Response(status=answer.status, body=answer.body, content_type=answer.content_type)

    def facts_of(self, request: IngressRequest) -> list[Fact]:
        """What a call says."""
        assert self.provider.ingress is not None
        return list(self.provider.ingress.facts(request))

    async def until_fact(self, kind: str, start: int = 0, seconds: float = 6) -> tuple[Fact, IngressRequest]:
        """The first call from `start` on that tells a fact of a kind."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    for request in self.got[start:]:
                        for fact in self.facts_of(request):
                            if fact.kind == kind:
                                return fact, request
                    await asyncio.sleep(0.02)
        kinds = [fact.kind for request in self.got[start:] for fact in self.facts_of(request)]
        raise AssertionError(f"no {kind} came; there were: {kinds}")

    async def until_shown(self, menu: Menu) -> dict[str, int]:
        """Names and prices at the platform once it shows a menu."""
        shown: dict[str, int] = {}
        for _ in range(200):
            held = next(each for each in self.sandbox.state()["menus"] if each["store"] == self.ref)
            shown = {item["name"]: item["price"] for item in held["items"]}
            if all(item.name in shown for item in menu.items):
                return shown
            await asyncio.sleep(0.02)
        raise AssertionError(f"the platform shows {shown}; refused: {list(self.sandbox.rejected)[-3:]}")

    # The vendor's state

    def order_row(self, identifier: str) -> dict[str, Any]:
        """An order as the vendor has it, by its own id."""
        return next(row for row in self.sandbox.state()["orders"] if row["id"] == identifier)

    def rows_of(self, reference: str) -> list[dict[str, Any]]:
        """A POS's orders of our reference."""
        return [row for row in self.sandbox.state()["orders"] if reference in str(row.get("reference") or "")]

    async def fault(self, **switches: Any) -> None:
        """Switch faults on; none switches all off."""
        if not switches:
            self.sandbox.faults.clear()
        elif switches.get("expire_tokens") is True:
            self.sandbox.expire_all_tokens()
        else:
            self.sandbox.faults.set(switches)


@contextlib.asynccontextmanager
async def bench_of(provider: Provider) -> AsyncIterator[Bench]:
    """A fresh simulated vendor and everything round it."""
    async with running(webhook_retry_scale=0.002) as (root, vendors):
        session = open_session()
        bench = Bench(provider, vendors[provider.slug], root, session)

        async def note(_: Any, __: Any, params: aiohttp.TraceRequestStartParams) -> None:
            bench.called.add(f"{params.url.scheme}://{params.url.host}:{params.url.port}")

        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(note)
        trace.freeze()
        session.trace_configs.append(trace)
        app = web.Application(client_max_size=1 << 25)
        app.router.add_route("*", "/webhooks/{tail:.*}", bench.receive)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            await _introduce(bench, f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks/{provider.slug}")
            yield bench
        finally:
            await runner.cleanup()
            await session.close()


async def _introduce(bench: Bench, address: str) -> None:
    facts, webhook = bench.facts, bench.facts.webhook
    known = {**bench.sandbox.app_credentials(), **bench.sandbox.connection_credentials()}
    bench.credentials = {name: value for name, value in known.items() if name in facts.credentials and value}
    bench.credentials |= own_secret(facts)
    bench.address = address if webhook is None or webhook.level == "app" else f"{address}/{CONNECTION}"
    if webhook is not None:
        await asyncio.to_thread(register_app, bench.root, facts, bench.address, bench.credentials)
        bench.credentials |= await asyncio.to_thread(register_connection, bench.root, facts, bench.address, bench.credentials)
        secret = bench.credentials.get(webhook.secret, "")
        bench.secrets = (secret,) if secret else ()
