"""Uber's answers for tests: the sample order changed in places, amounts from minor units, and an HTTP seam that answers by script."""

import copy
import json
from importlib import resources
from typing import Any

import msgspec

from adapters.ubereats import PROVIDER
from adapters.ubereats.adapter import UberEats
from adapters.ubereats.mapping import order_from
from adapters.ubereats.models import OrderAnswer
from hub.contract import Connected, Request, Response, decode
from hub.model import Order

SAMPLE: dict[str, Any] = json.loads(resources.files("adapters.ubereats").joinpath("fixtures/order.json").read_text("utf-8"))


def amount(minor: int, currency: str = "USD") -> dict[str, Any]:
    """An amount of a currency with two decimals."""
    return {"amount_e5": minor * 1000, "currency_code": currency}


def price(net: int, tax: int = 0, currency: str = "USD", **more: Any) -> dict[str, Any]:
    """A price and its tax."""
    return {"gross": amount(net + tax, currency), "net": amount(net, currency), "tax": amount(tax, currency), **more}


def row(cart_item_id: str, total: dict[str, Any], unit: dict[str, Any] | None = None, pieces: int | None = None) -> dict[str, Any]:
    """A row of the price breakdown."""
    made: dict[str, Any] = {"cart_item_id": cart_item_id, "total": total}
    if unit is not None:
        made["unit"] = unit
    if pieces is not None:
        made["quantity"] = {"amount": pieces}
    return made


def answer(*, detail: dict[str, Any] | None = None, payment: dict[str, Any] | None = None, **order: Any) -> dict[str, Any]:
    """The sample, with these fields of the order, its payment and its payment detail."""
    made = copy.deepcopy(SAMPLE)
    made["order"]["payment"]["payment_detail"].update(detail or {})
    made["order"]["payment"].update(payment or {})
    made["order"].update(order)
    return made


def mapped(body: dict[str, Any]) -> Order:
    """Through the wire format into the hub's order."""
    return order_from(decode(msgspec.json.encode(body), OrderAnswer).order)


class Scripted:
    """An HTTP seam with answers by script; `requests` are those made."""

    def __init__(self, *bodies: Any) -> None:
        self._bodies = list(bodies)
        self.requests: list[Request] = []

    async def read(self, request: Request) -> Response:
        """The next body as a 200; an exception is raised."""
        self.requests.append(request)
        body = self._bodies.pop(0)
        if isinstance(body, Exception):
            raise body
        return Response(200, {}, body if isinstance(body, bytes) else msgspec.json.encode(body))


def uber(*bodies: Any) -> tuple[UberEats, Scripted]:
    """An adapter over such a seam."""
    http = Scripted(*bodies)
    return UberEats(PROVIDER.facts, Connected("con", "simulator"), http), http
