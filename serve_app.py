"""Serve's applications: `api` (webhooks, HTTP API, health, metrics) and `live` (the WebSocket stream), and how they are deployed."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import ray
import ray.util.metrics
import redis.asyncio
import uvicorn
from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig
from starlette.middleware import Middleware

from actors.connectivity import Connectivity
from actors.owners import NAMESPACE, RayOwners
from actors.process import code_version, configure
from actors.supervisor import SUPERVISOR, ensure_supervision
from hub.api.app import build_api
from hub.api.commands import order_commands
from hub.api.consent import consent_context
from hub.api.context import ApiContext
from hub.consent import PREFIX as CONSENTS
from hub.consent import Callback
from hub.contract import InstalledProviders
from hub.database.migrate import pending
from hub.database.pool import Database
from hub.events.door import RefuseUpgrades, StreamDoor, closed_door
from hub.events.feed import Feeds
from hub.events.stream import Live, LiveContext
from hub.front import Door, FrontDoor, Lane, OrderReader, OrderReads, TogetherProtocol, open_front
from hub.ingress import Flusher, Ingress, IngressContext, keep_day_key
from hub.ingress.handler import PREFIX
from hub.ingress.replies import App, Receive, Scope, Send
from hub.observe.metrics import REGISTRY
from hub.observe.operations import (
    Operations,
    OperationsContext,
    migrations_check,
    owners_check,
    postgres_check,
    redis_check,
    supervision_check,
)
from hub.settings import Settings
from hub.vault import BodyVault

Close = Callable[[], Awaitable[None]]

API, LIVE = "api", "live"
STREAM = "/api/v1/stream"
WAITING_REQUESTS = 2000
WEBHOOKS_INSIDE, READS_INSIDE = 3000, 1000
"""How many calls at once are answered before Serve's request path; what comes beyond is told to come again."""
ENDING_SECONDS = 20.0
"""How long an api replica that ends may take: Serve keeps it reachable for a few seconds, then its last answers go out."""
EXPORT_SECONDS = 5.0
HEALTH_SECONDS = 1.0
"""How often Serve looks at its replicas: that is when it learns of a death (its default is 10)."""


class Lazily:
    """An ASGI app that is built inside the replica's event loop, by its first request, once, and closed when the replica ends."""

    def __init__(self, build: Callable[[], Awaitable[tuple[App, Close]]]) -> None:
        self._build = build
        self._built: tuple[App, Close] | None = None
        self._lock = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a call on; lifespan events are answered here."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        built = self._built
        if built is None:
            async with self._lock:
                if self._built is None:
                    self._built = await self._build()
                built = self._built
        await built[0](scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            ends = message["type"] == "lifespan.shutdown"
            if ends and self._built is not None:
                await self._built[1]()
            await send({"type": f"{message['type']}.complete"})
            if ends:
                return


def build_api_app() -> App:
    """The `api` app: webhooks before everything else, since they are many and short."""
    return Lazily(_build_api)


def _supervisor() -> Any:
    # Whoever looks and misses it makes it anew: its lease in the database says who works.
    try:
        return ray.get_actor(SUPERVISOR, NAMESPACE)
    except ValueError:
        ensure_supervision(code_version())
        return None


async def _build_api() -> tuple[App, Close]:
    settings = Settings.load()
    configure(settings)
    database = await Database(settings.database_url, application="hub api", least=0, most=8).open()
    master = settings.open_master_keys()
    providers = InstalledProviders()
    connectivity = Connectivity(settings, database, master, providers)
    owners = RayOwners()
    flusher = Flusher(settings.database_url, owners).start()
    ingress = Ingress(
        IngressContext(
            providers=providers,
            database=database,
            master=master,
            bodies=BodyVault(master, keep_day_key(database)),
            flusher=flusher,
            public_url=settings.registered_url,
            body_limit=settings.max_body_bytes,
        )
    )
    hints = redis.asyncio.Redis.from_url(settings.redis_url, socket_timeout=2) if settings.redis_url else None
    helpful = {
        "owners": owners_check(database),
        "supervisor": supervision_check(_supervisor),
    }
    if hints is not None:
        helpful["redis"] = redis_check(hints.ping)
    operations = Operations(
        OperationsContext(
            database=database,
            vital={
                "postgres": postgres_check(database),
                "schema": migrations_check(lambda: pending(settings.database_url)),
            },
            helpful=helpful,
            metrics_token=settings.metrics_token,
            trust_loopback=settings.host in ("127.0.0.1", "::1"),
        )
    )
    context = ApiContext(
        database=database,
        master=master,
        owners=owners,
        providers=providers,
        settings=settings,
        tester=connectivity.test,
        lister=connectivity.stores,
        redis=hints,
    )
    api: Any = build_api(context)
    consents = Callback(consent_context(context))

    reader = OrderReader(settings.database_url)
    door = Door(Lane("webhooks", ingress, WEBHOOKS_INSIDE), Lane("orders", OrderReads(context, reader, api), READS_INSIDE))

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path.startswith(PREFIX) and scope["type"] == "http":
            await ingress(scope, receive, send)
        elif path.startswith("/health/") or path == "/metrics":
            await operations(scope, receive, send)
        elif path.startswith(CONSENTS) and scope["type"] == "http":
            await consents(scope, receive, send)
        else:
            await api(scope, receive, send)

    async def close() -> None:
        open_front(None)
        await door.drained()
        await flusher.close()
        await reader.close()
        await database.close()
        if hints is not None:
            await hints.aclose()

    open_front(door)
    _collect_rarely()
    return dispatch, close


def _collect_rarely() -> None:
    """What is here stays, and calls leave few cycles behind: collections at Python's own pace took 5 % of this process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def build_live_app() -> App:
    """The `live` app. Serve (2.60) takes no WebSocket options, and makes its server after the app: so the app brings its door."""
    door = StreamDoor(_build_live)
    _hang(door)
    return door


def _hang(door: StreamDoor) -> None:
    options = {"http": TogetherProtocol, "ws": door.protocol, "server_header": False}
    uvicorn.Config = partial(uvicorn.Config, **options)  # type: ignore[misc, assignment, arg-type]


async def _build_live() -> tuple[Live, Close]:
    settings = Settings.load()
    configure(settings)
    database = await Database(settings.database_url, application="hub live", least=0, most=4).open()
    hints = redis.asyncio.Redis.from_url(settings.redis_url) if settings.redis_url else None
    feeds = Feeds(database, hints).start()
    master = settings.open_master_keys()
    bodies = BodyVault(master, keep_day_key(database))
    command = order_commands(database, master, bodies, RayOwners(), InstalledProviders())
    live = Live(LiveContext(database, master, feeds, command)).start()
    exporting = asyncio.create_task(_export("hub_live"), name="live metrics")

    async def close() -> None:
        exporting.cancel()
        live.close()
        feeds.close()
        await database.close()
        if hints is not None:
            await hints.aclose()

    return live, close


async def _export(prefix: str) -> None:
    """Give counters of this process to Ray's metrics: nobody can ask a replica behind HAProxy for its own."""
    gauges: dict[str, Any] = {}
    while True:
        for family in REGISTRY.collect():
            if family.name.startswith(prefix):
                for sample in family.samples:
                    if not sample.name.endswith("_created"):
                        if sample.name not in gauges:
                            gauges[sample.name] = ray.util.metrics.Gauge(sample.name, family.documentation)
                        gauges[sample.name].set(sample.value)
        await asyncio.sleep(EXPORT_SECONDS)


def front_middlewares() -> list[Middleware]:
    """What stands before Serve's request path, in each of its processes that speaks HTTP; called before the process has its server.

    Each sees every call, also in processes that serve something else (the other app, the fallback proxy), and passes on what is not its.
    Where no door was hung a closed one is: a crowd that comes back while a replica starts must not take the cores it starts on.
    """
    if not isinstance(uvicorn.Config, partial):
        _hang(closed_door())
    return [Middleware(FrontDoor), Middleware(RefuseUpgrades)]


def deploy(settings: Settings) -> None:
    """Start Serve on the settings' address and run both apps with so many replicas on each node; harmless when they run.

    HAProxy listens on every node that has a replica. The Supervisor changes the counts when nodes come and go.
    """
    nodes = max(1, sum(bool(node["Alive"]) for node in ray.nodes()))
    quiet = LoggingConfig(enable_access_log=False, log_level="WARNING")
    serve.start(http_options=HTTPOptions(host=settings.host, port=settings.port), logging_config=quiet)

    def made(name: str, build: Callable[[], App], replicas: int, ongoing: int, ending: float = 10) -> Any:
        deployment = serve.deployment(
            name=name,
            num_replicas=replicas * nodes,
            max_replicas_per_node=replicas,
            max_ongoing_requests=ongoing,
            max_queued_requests=WAITING_REQUESTS,
            ray_actor_options={"num_cpus": 0},
            graceful_shutdown_timeout_s=ending,
            graceful_shutdown_wait_loop_s=0.5,
            health_check_period_s=HEALTH_SECONDS,
            logging_config=quiet,
        )
        return deployment(serve.ingress(build)(type(name, (), {})))

    for name, route, app in (
        (API, "/", made(API, build_api_app, settings.api_replicas, 1000, ENDING_SECONDS)),
        (LIVE, STREAM, made(LIVE, build_live_app, settings.live_replicas, 1000)),
    ):
        serve.run(app.bind(), name=name, route_prefix=route, blocking=False, external_scaler_enabled=True)
