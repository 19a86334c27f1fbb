"""Foodics' adapter with its real client, beside its running simulated side; and an order for it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp

from adapters.foodics import PROVIDER
from adapters.foodics.adapter import Foodics
from hub.calls import StaticCredentials, VendorClient, open_session
from hub.clock import monotonic
from hub.contract import AlreadyDone, Cancelled, CancelTask, CannotCancel, Connected, Done, NoParams, Queued, Step, SubmitTask
from hub.model import Address, Charge, Customer, Discount, Fulfilment, Line, Modifier, Money, Order, Payment, Tax, Tip
from tests.contract.sandbox_client import Client

SLUG = "foodics"
STORE = "9cc1b4c5-406d-4519-9424-a21a77da9aef"
KUWAIT = "0b6c7a52-3f0e-4a9e-9d0b-6f2f5b6d9a11"
SECRET = "a-long-secret-of-ours-0123456789"
REFERENCE = "ord_01jd0000000000000000000000"


@dataclass
class Bench:
    """An adapter with its real client, the vendor's control API, and its ids by SKU or name."""

    vendor: Client
    client: VendorClient
    adapter: Foodics
    at: dict[str, str] = field(default_factory=dict)

    async def carry_out(self, step: Step) -> Done:
        """Send a step and read its answer, as the hub does."""
        try:
            response = await self.client.send(step.request, not_after=monotonic() + 10)
        except AlreadyDone:
            return Done(data={"settled": True})
        return self.adapter.read_step(step.name, response)

    async def submit(self, task: SubmitTask, done: dict[str, Done] | None = None) -> Any:
        """The whole plan."""
        done = {} if done is None else done
        while isinstance(answer := await self.adapter.submit(task, done), Step):
            done[answer.name] = await self.carry_out(answer)
        return answer

    async def queued(self, task: SubmitTask) -> str:
        """The id of an order that waits for the cashier."""
        answer = await self.submit(task)
        assert isinstance(answer, Queued), answer
        return answer.pos_order_id

    async def cancel(self, order: str) -> Cancelled | CannotCancel:
        """The whole plan."""
        done: dict[str, Done] = {}
        task = CancelTask(REFERENCE, order, STORE, "cancelled by the channel")
        while isinstance(answer := await self.adapter.cancel(task, done), Step):
            done[answer.name] = await self.carry_out(answer)
        return answer

    async def move(self, order: str, state: str) -> None:
        """Let the staff move an order."""
        await self.vendor.control("POST", f"/{SLUG}/orders/{order}/pos-status", {"state": state})

    async def row(self, order: str) -> dict[str, Any]:
        """The order as the vendor has it."""
        orders = (await self.vendor.state(SLUG))["orders"]
        return next(each for each in orders if each["id"] == order)

    def task(self, order: Order, **more: Any) -> SubmitTask:
        """An order for the first branch, every line of which is mapped."""
        products = {"shawarma": self.at["GR-01"], "water": self.at["DR-02"], "large": self.at["SZ-L"], "tahini": self.at["EX-T"]}
        return SubmitTask(**{"reference": REFERENCE, "order": order, "location_ref": STORE, "products": products, **more})


@asynccontextmanager
async def bench(vendor: Client, credentials: Mapping[str, str], **settings: Any) -> AsyncIterator[Bench]:
    """An adapter with the settings' defaults and these."""
    async with open_session() as session:
        yield await _made(vendor, session, credentials, settings)


async def _made(vendor: Client, session: aiohttp.ClientSession, credentials: Mapping[str, str], settings: Mapping[str, Any]) -> Bench:
    client = VendorClient(
        slug=SLUG,
        session=session,
        bases={"api": f"{vendor.root}/{SLUG}/v5", "auth": f"{vendor.root}/{SLUG}"},
        auth=PROVIDER.auth(PROVIDER.facts),
        tokens=StaticCredentials(credentials),
    )
    details = {name: credentials[name] for name, f in PROVIDER.facts.credentials.items() if not f.secret and name in credentials}
    defaults = {name: f.default for name, f in PROVIDER.facts.settings.items()}
    adapter = Foodics(PROVIDER.facts, Connected("con_x", "simulator", {**defaults, **settings}, vendor.hooks.url, details), client)
    client.use_failures(adapter.failure)
    menu = await adapter.read_menu(STORE)
    at = {thing.plu: thing.id for thing in menu.sellable().values()}
    at |= {each.name: each.id for name in ("payment_methods", "charges") for each in await read(adapter, name, NoParams())}
    return Bench(vendor, client, adapter, at)


async def read(adapter: Foodics, name: str, params: Any) -> Any:
    """An extra."""
    call = adapter.extras()[name].read
    assert call is not None
    return await call(params)


async def keys(vendor: Client) -> dict[str, str]:
    """What the app and the start business hold."""
    told = (await vendor.control("GET", ""))[SLUG]
    return {**told["app"], **told["credentials"]}


def sar(amount: int) -> Money:
    """Halalas."""
    return Money(amount, "SAR")


def sold(**more: Any) -> Order:
    """Two large shawarmas with tahini twice, and water: 87.26, 12 for the way, less 10."""
    options = (Modifier("large", "Large", 1, sar(650)), Modifier("tahini", "Tahini", 2, sar(157)))
    lines = (
        Line("shawarma", "Shawarma", 2, sar(2899), sar(7726), modifiers=options, note="بدون بصل"),
        Line("water", "Water", 4, sar(250), sar(1000)),
    )
    given: dict[str, Any] = {
        "platform": "talabat",
        "platform_order_id": "987",
        "store_ref": "s-1",
        "currency": "SAR",
        "lines": lines,
        "total": sar(8926),
        "placed_at": datetime.now(UTC),
        "fulfilment": Fulfilment("delivery_by_platform", ready_at=datetime(2030, 1, 2, 15, 0, 5, tzinfo=UTC), include_cutlery=False),
        "display_id": "T-42",
        "customer": Customer("نورة العتيبي", "+966 54 483 4934", address=Address("شارع العليا 12", city="الرياض", latitude="24.7")),
        "charges": (Charge("delivery", "Delivery", sar(1200), "merchant"), Charge("service", "Fee", sar(300), "platform")),
        "discounts": (Discount("Promo", sar(1000), "merchant"),),
        "taxes": (Tax("VAT", sar(1164), "merchant", inclusive=True, rate="15"),),
        "tips": (Tip(sar(500), "merchant"),),
        "payments": (Payment("prepaid", sar(8926)),),
        "note": "الباب الخلفي",
    }
    return Order(**{**given, **more})
