"""Square beside orders, on its simulated side: what is sold out and why, payments in a window, refunds, counts."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from adapters.square import PROVIDER
from adapters.square.extras import PaymentsParams, RefundParams
from adapters.square.stores import Seller
from hub.contract import Drifted, PlaceParams, Rejected, Submitted
from hub.model import Money, StockLevel
from tests.contract.suite.bench import Bench, bench_of
from tests.contract.suite.goods import order_of
from tests.unit.adapters.sales import FakeHttp


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    """A fresh seller."""
    async with bench_of(PROVIDER) as made:
        yield made


async def paid(bench: Bench) -> tuple[Any, str]:
    """A paid order, and its payment's id."""
    client = bench.client()
    adapter = bench.adapter(client)
    task = order_of(await adapter.read_menu(bench.ref), bench.ref)
    assert isinstance(await bench.run(lambda done: adapter.submit(task, done), client, adapter), Submitted)
    return task, bench.rows_of(task.reference)[0]["payments"][0]["id"]


async def levels_of(quantity: str = "3", **variation: Any) -> list[StockLevel]:
    """What is read at L of one variation V with these fields, and of one count of it."""
    count = {"catalog_object_id": "V", "location_id": "L", "state": "IN_STOCK", "quantity": quantity}
    thing = {"type": "ITEM_VARIATION", "id": "V", "item_variation_data": variation}
    item = {"type": "ITEM", "id": "I", "item_data": {"variations": [thing]}}
    return await Seller(FakeHttp({"objects": [item]}, {"counts": [count]})).levels("L")  # type: ignore[arg-type]  # reads only


def at(location: str, **more: Any) -> dict[str, Any]:
    """What differs at a location."""
    return {"location_overrides": [{"location_id": location, **more}]}


async def test_a_mark_counts_more_than_the_count() -> None:
    """A sold-out mark is off sale whatever is left; one that has ended, or of another location, is none."""
    past, later = (datetime.now(UTC) + timedelta(hours=h) for h in (-1, 1))
    assert await levels_of(track_inventory=True, **at("L", sold_out=True)) == [StockLevel("V", available=False, quantity=0)]
    ending = await levels_of(**at("L", sold_out=True, sold_out_valid_until=later.isoformat()))
    assert ending == [StockLevel("V", available=False, quantity=0, until=later)]
    ended = await levels_of(track_inventory=True, **at("L", sold_out=True, sold_out_valid_until=past.isoformat()))
    assert ended == [StockLevel("V", available=True, quantity=3)]
    assert await levels_of(track_inventory=True, **at("M", sold_out=True)) == [StockLevel("V", available=True, quantity=3)]


@pytest.mark.parametrize(("quantity", "level"), [("0", StockLevel("V", False, 0)), ("-2", StockLevel("V", False, 0))])
async def test_a_count_of_nothing_is_off_sale_where_it_is_tracked(quantity: str, level: StockLevel) -> None:
    """An old count of what is tracked no more says nothing, and a location may differ from the rest."""
    assert await levels_of(quantity, track_inventory=True) == [level]
    assert await levels_of(quantity, track_inventory=False) == []
    assert await levels_of(quantity, track_inventory=None, **at("L", track_inventory=True)) == [level]
    assert await levels_of(quantity, track_inventory=True, **at("L", track_inventory=False)) == []


async def test_half_a_piece_can_be_sold_and_no_number_is_drift() -> None:
    """Counts are decimals."""
    assert await levels_of("0.5", track_inventory=True) == [StockLevel("V", True, 0)]
    with pytest.raises(Drifted):
        await levels_of("many", track_inventory=True)


async def test_payments_are_listed_by_window_and_location(bench: Bench) -> None:
    """Every page, with amount, who took it, and what it paid; another window or location has none of them."""
    task, payment = await paid(bench)
    extra = bench.adapter().extras()["payments"]
    (found,) = await extra.read(PaymentsParams(bench.ref))
    owed = task.order.merchant_total()
    assert (found.id, found.amount, found.kind, found.state) == (payment, owed, task.order.platform, "COMPLETED")
    assert (found.reference, found.refunded) == (task.reference, None)
    assert await extra.read(PaymentsParams(str(bench.sandbox.stores()[1]["ref"]))) == []
    assert await extra.read(PaymentsParams(bench.ref, until=datetime.now(UTC) - timedelta(hours=1))) == []
    with pytest.raises(Rejected):
        await extra.read(PaymentsParams(bench.ref, since=datetime.now(UTC) + timedelta(hours=1)))


async def test_a_payment_is_refunded_in_part_and_then_whole(bench: Bench) -> None:
    """The same bytes give the money back once; more than is left, or other money, is refused before Square is asked."""
    task, payment = await paid(bench)
    owed = task.order.merchant_total()
    client = bench.client()
    adapter = bench.adapter(client)
    refund = adapter.extras()["refund"]
    step = await refund.step(RefundParams(payment, Money(100, owed.currency), "late"))
    first = refund.done(await bench.perform(client, adapter, step))
    assert refund.done(await bench.perform(client, adapter, step)) == first
    assert first.state == "COMPLETED"
    (record,) = await adapter.extras()["payments"].read(PaymentsParams(bench.ref))
    assert record.refunded == Money(100, owed.currency)
    for wrong in (Money(owed.amount, owed.currency), Money(1, "EUR"), Money(0, owed.currency)):
        with pytest.raises(Rejected, match="can be refunded"):
            await refund.step(RefundParams(payment, wrong))
    await bench.perform(client, adapter, await refund.step(RefundParams(payment)))
    assert bench.rows_of(task.reference)[0]["payments"][0]["refunded"] == owed.amount
    with pytest.raises(Rejected):
        await refund.step(RefundParams("../locations"))


async def test_what_is_counted_is_listed_by_name(bench: Bench) -> None:
    """Quantity and SKU of what was counted at the location."""
    bench.sandbox.set_stock({"item": "CRB-1", "available": True, "store": bench.ref})
    (found,) = await bench.adapter().extras()["inventory"].read(PlaceParams(bench.ref))
    assert (found.name, found.sku, found.quantity, found.location_ref) == ("Crème brûlée", "CRB-1", "100", bench.ref)
