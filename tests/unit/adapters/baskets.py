"""Uber Eats orders on the wire: the sample, changed in places, and random baskets that add up."""

import copy
import json
from importlib import resources
from typing import Any

import msgspec
from hypothesis import strategies as st

from adapters.ubereats.mapping import order_from
from adapters.ubereats.models import OrderAnswer
from hub.contract import decode
from hub.model import Order

SAMPLE: dict[str, Any] = json.loads(resources.files("adapters.ubereats").joinpath("fixtures/order.json").read_text())


def e5(minor: int) -> dict[str, Any]:
    """A price from cents, in Uber's unit."""
    return {"gross": {"amount_e5": minor * 1000, "currency_code": "USD"}}


def sample(**more: Any) -> dict[str, Any]:
    """The sample; `payment_detail` is merged into the payment's own."""
    made = copy.deepcopy(SAMPLE)
    made["order"]["payment"]["payment_detail"].update(more.pop("payment_detail", {}))
    made["order"]["payment"].update(more.pop("payment", {}))
    made["order"].update(more)
    return made


def read(answer: dict[str, Any]) -> Order:
    """Through the wire format into the hub's order."""
    return order_from(decode(msgspec.json.encode(answer), OrderAnswer).order)


@st.composite
def baskets(draw: st.DrawFn) -> tuple[dict[str, Any], int]:
    """An answer with random lines, options and options of options; and what the food costs in all, in cents."""
    rows: list[dict[str, Any]] = []

    def thing(depth: int, times: int) -> dict[str, Any]:
        identifier, count = f"ci-{len(rows)}", draw(st.integers(1, 3))
        price, pieces = draw(st.integers(0, 3000)), count * times
        row = {"cart_item_id": identifier, "total": e5(price * pieces)}
        if draw(st.booleans()):
            row["quantity"] = {"amount": pieces}
        if draw(st.booleans()):
            row["unit"] = e5(price)
        rows.append(row)
        groups = None
        if depth and draw(st.booleans()):
            groups = [{"id": f"g{depth}", "selected_items": [thing(depth - 1, pieces) for _ in range(draw(st.integers(0, 2)))] or None}]
        item = {"id": f"i{identifier}", "cart_item_id": identifier, "title": "Thing", "quantity": {"amount": count}}
        return {**item, "selected_modifier_groups": groups}

    items = [thing(2, 1) for _ in range(draw(st.integers(1, 4)))]
    food = sum(row["total"]["gross"]["amount_e5"] for row in rows) // 1000
    detail = {"order_total": e5(food), "item_charges": {"price_breakdown": draw(st.permutations(rows))}}
    return sample(carts=[{"items": items}], payment={"payment_detail": detail}), food
