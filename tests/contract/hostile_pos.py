"""A POS that is as bad as a POS can be, for tests only: no idempotency key, late, broken, and perhaps no way to look an order up.

`HOSTILE` is its provider, `HostilePosServer` its vendor's side in this process; the provider's simulator environment is the server's
`url` as `HUB_SANDBOX_URL`.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Self, get_args

import msgspec
from aiohttp import web

from hub.contract import (
    Cancelled,
    CancelTask,
    Connected,
    Done,
    Drifted,
    Facts,
    Http,
    PosOrder,
    Provider,
    RefreshToken,
    Repeat,
    Request,
    Response,
    Step,
    SubmitTask,
    Submitted,
    decode,
)
from hub.model import Category, Item, Menu, Money, OrderState, Store

TOKEN = "hostile-access-token"
LOCATION = "hostile-location"
Behaviour = Literal["ok", "late", "garbage", "drop_before", "drop_after", "500_before", "500_after", "twice"]
BEHAVIOURS: frozenset[str] = frozenset(get_args(Behaviour))


class _Order(msgspec.Struct):
    id: str
    reference: str
    total: int
    currency: str
    location: str = LOCATION
    cancelled: bool = False
    created: float = 0.0


class _NewOrder(msgspec.Struct):
    reference: str
    total: int
    currency: str
    location: str


class _Orders(msgspec.Struct):
    orders: list[_Order]


class HostilePos:
    """The adapter: one step, safe to repeat only by a look-up, or never."""

    def __init__(self, facts: Facts, connection: Connected, http: Http) -> None:
        self._http = http
        self._lookup = bool(connection.settings.get("lookup", True))
        self._timeout = int(connection.settings.get("timeout_ms", 500)) / 1000

    def failure(self, operation: str, response: Response) -> Exception | None:
        """The shared table is right."""
        return None

    def read_step(self, step: str, response: Response) -> Done:
        """The order's id and total."""
        order: _Order = decode(response.body, _Order)
        if not order.id:
            raise Drifted("the order has no id")
        return Done(order.id, {"total": order.total, "currency": order.currency})

    async def test(self) -> str:
        """Read the menu."""
        return f"{len((await self.read_menu(LOCATION)).items)} items"

    async def list_stores(self) -> Sequence[Store]:
        """The one location."""
        return [Store(LOCATION, "Hostile", "USD", "UTC", "US", True)]

    async def read_menu(self, location_ref: str) -> Menu:
        """The menu: this vendor speaks the hub's own model."""
        menu: Menu = decode((await self._read("/menu", "read_menu")).body, Menu)
        return menu

    async def submit(self, task: SubmitTask, done: Mapping[str, Done]) -> Step | Submitted:
        """One write, then the POS's total."""
        if "order" in done:
            data = done["order"].data
            return Submitted(done["order"].vendor_ref, Money(int(data["total"]), str(data["currency"])))
        owed = task.order.merchant_total()
        body = _NewOrder(task.reference, owed.amount, owed.currency, task.location_ref)
        request = Request("POST", "/orders", "create_order", body=msgspec.json.encode(body), timeout=self._timeout)
        return Step("order", request, Repeat.LOOKUP if self._lookup else Repeat.NEVER)

    async def find(self, task: SubmitTask, step: str, since: datetime) -> Done | None:
        """By reference, if the POS lets itself be searched."""
        response = await self._read("/orders", "find_orders", {"reference": task.reference})
        found: _Orders = decode(response.body, _Orders)
        if not found.orders:
            return None
        order = found.orders[0]
        return Done(order.id, {"total": order.total, "currency": order.currency})

    async def order(self, pos_order_id: str, notice: bytes = b"") -> PosOrder:
        """One order."""
        order: _Order = decode((await self._read(f"/orders/{pos_order_id}", "get_order")).body, _Order)
        return _pos_order(order)

    async def open_orders(self, location_ref: str, since: datetime) -> Sequence[PosOrder]:
        """All of them."""
        found: _Orders = decode((await self._read("/orders", "find_orders")).body, _Orders)
        return [_pos_order(order) for order in found.orders]

    async def cancel(self, task: CancelTask, done: Mapping[str, Done]) -> Step | Cancelled:
        """One write that may be repeated."""
        if "cancel" in done:
            return Cancelled()
        path = f"/orders/{task.pos_order_id}/cancel"
        return Step("cancel", Request("POST", path, "cancel_order", timeout=self._timeout), Repeat.NATURAL)

    async def _read(self, path: str, operation: str, query: dict[str, str] | None = None) -> Response:
        return await self._http.read(Request("GET", path, operation, query=query or {}, timeout=self._timeout))


def _pos_order(order: _Order) -> PosOrder:
    state = OrderState.CANCELLED if order.cancelled else OrderState.ACCEPTED
    return PosOrder(order.id, order.reference, state, state.value, Money(order.total, order.currency))


def hostile_provider(*, visibility_lag: float = 0.3) -> Provider:
    """The provider; `visibility_lag` (seconds) is how long the hub waits before it believes a look-up."""
    facts = {
        "slug": "hostile",
        "name": "Hostile POS",
        "kind": "pos",
        "regions": ["US"],
        "docs": "https://example.com/hostile",
        "summary": "For tests: nothing can be relied upon.",
        "environments": {"simulator": {"api": "{sandbox}/hostile"}},
        "auth": {"mode": "static", "owner": "connection"},
        "credentials": {"access_token": {"title": "Access token", "secret": True, "of": "connection"}},
        "settings": {
            "lookup": {"title": "Whether orders can be looked up by reference", "default": True},
            "timeout_ms": {"title": "Milliseconds until a call is given up", "default": 500},
        },
        "capabilities": ["order_cancel", "order_search", "order_target", "menu_source", "stores"],
        "order_states": ["accepted", "cancelled"],
        "money_unit": "minor units",
        "idempotency": "lookup",
        "visibility_lag": visibility_lag,
        "evidence": {"everything": "inferred"},
    }
    return Provider(facts=msgspec.convert(facts, Facts), adapter=HostilePos, auth=lambda facts: RefreshToken("/token"))


HOSTILE = hostile_provider()


class HostilePosServer:
    """The vendor's side on a free port of this process: `async with HostilePosServer() as server`.

    `behave(next=[...])` queues how the next calls that create an order go, one each; after them all is well. `orders` tells what the
    POS has, shown or not. `lookup_enabled` switches its search; `visibility_lag` (seconds) is how long an order hides from it.
    """

    def __init__(
        self,
        *behaviours: Behaviour,
        lookup_enabled: bool = True,
        visibility_lag: float = 0.2,
        late_seconds: float = 1.0,
        menu: Menu | None = None,
    ) -> None:
        self._behaviours: deque[str] = deque()
        self.lookup_enabled, self.visibility_lag, self.late_seconds = lookup_enabled, visibility_lag, late_seconds
        burger = Item("burger", "Burger", Money(1000, "USD"))
        self.menu = menu or Menu("USD", (Category("all", "Menu", ("burger",)),), (burger,))
        self.url = ""
        self.calls: list[str] = []
        self._orders: list[_Order] = []
        self._runner: web.AppRunner | None = None
        self.behave(next=behaviours)

    @property
    def orders(self) -> list[dict[str, Any]]:
        """What the POS has: id, reference, total, currency, cancelled."""
        return [
            {"id": o.id, "reference": o.reference, "total": o.total, "currency": o.currency, "cancelled": o.cancelled} for o in self._orders
        ]

    def behave(self, *, next: Sequence[str]) -> None:  # noqa: A002 - it reads as it is meant: behave(next=["late"])
        """Say how the next calls that create an order go, after those said before; raises ValueError for an unknown word."""
        unknown = [each for each in next if each not in BEHAVIOURS]
        if unknown:
            raise ValueError(f"unknown behaviour {unknown[0]!r}: one of {', '.join(sorted(BEHAVIOURS))}")
        self._behaviours.extend(next)

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._guard])
        app.router.add_post("/hostile/orders", self._create)
        app.router.add_get("/hostile/orders", self._search)
        app.router.add_get("/hostile/orders/{id}", self._show)
        app.router.add_post("/hostile/orders/{id}/cancel", self._cancel)
        app.router.add_get("/hostile/menu", self._menu)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *failure: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.calls.append(f"{request.method} {request.path.removeprefix('/hostile')}")
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"error": "unauthorized"}, status=401)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _create(self, request: web.Request) -> web.StreamResponse:
        try:
            asked = msgspec.json.decode(await request.read(), type=_NewOrder)
        except msgspec.DecodeError as error:
            return web.json_response({"error": str(error)}, status=400)
        behaviour = self._behaviours.popleft() if self._behaviours else "ok"
        if behaviour == "drop_before":
            return _drop(request)
        if behaviour == "500_before":
            return web.json_response({"error": "internal"}, status=500)
        order = _Order(
            f"pos-{len(self._orders) + 1}", asked.reference, asked.total, asked.currency, asked.location, created=time.monotonic()
        )
        self._orders.append(order)
        return await self._answer(request, behaviour, msgspec.json.encode(order))

    async def _answer(self, request: web.Request, behaviour: str, body: bytes) -> web.StreamResponse:
        if behaviour == "drop_after":
            return _drop(request)
        if behaviour == "500_after":
            return web.json_response({"error": "internal"}, status=500)
        if behaviour == "late":
            await asyncio.sleep(self.late_seconds)
        if behaviour == "twice" and request.transport is not None:
            # A second, unasked answer on the same connection: whoever reuses it must not take it for its own.
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            request.transport.write(head.encode() + body)
        if behaviour == "garbage":
            return web.Response(body=b"<html>\x00 proxy says hello", content_type="text/html")
        return web.Response(body=body, content_type="application/json")

    def _visible(self, order: _Order) -> bool:
        return time.monotonic() - order.created >= self.visibility_lag

    async def _search(self, request: web.Request) -> web.StreamResponse:
        if not self.lookup_enabled:
            return web.json_response({"error": "search is switched off"}, status=503)
        reference = request.query.get("reference")
        found = [order for order in self._orders if self._visible(order) and reference in (None, order.reference)]
        return _json({"orders": found})

    async def _show(self, request: web.Request) -> web.StreamResponse:
        order = next((each for each in self._orders if each.id == request.match_info["id"]), None)
        return _json(order) if order is not None else web.json_response({"error": "not found"}, status=404)

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        order = next((each for each in self._orders if each.id == request.match_info["id"]), None)
        if order is None:
            return web.json_response({"error": "not found"}, status=404)
        order.cancelled = True
        return _json(order)

    async def _menu(self, request: web.Request) -> web.StreamResponse:
        return _json(self.menu)


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def _drop(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
