"""What a POS adapter must hold: menus read whole, orders in once and for what the merchant is owed, states followed, cancels."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from hub.clock import monotonic
from hub.contract import (
    Cancelled,
    CannotCancel,
    Done,
    NotFound,
    OutcomeUnknown,
    PosRejected,
    Queued,
    Repeat,
    RetryLater,
    Step,
    SubmitTask,
    Submitted,
    Unreadable,
)
from hub.contract.tasks import CancelTask
from hub.model import Menu, OrderState, StockLevel
from tests.contract.suite.bench import Bench
from tests.contract.suite.goods import CUSTOMER, NOTE, awkward, lines_of, named, order_of

__all__ = ["CancelChecks", "MenuChecks", "SearchChecks", "StockChecks", "StockWriteChecks", "SubmitChecks", "order_and_move"]


async def _menu(bench: Bench) -> Menu:
    menu: Menu = await bench.adapter().read_menu(bench.ref)
    return menu


async def _submit(bench: Bench, task: SubmitTask) -> Submitted | Queued | PosRejected:
    client = bench.client()
    adapter = bench.adapter(client)

    async def plan(done: Any) -> Any:
        return await adapter.submit(task, done)

    result: Submitted | Queued | PosRejected = await bench.run(plan, client, adapter)
    return result


async def _first_step(bench: Bench, task: SubmitTask) -> Step:
    step = await bench.adapter().submit(task, {})
    assert isinstance(step, Step), step
    return step


async def _settled(bench: Bench, task: SubmitTask) -> dict[str, Any]:
    """The POS's row of an order once the POS has taken it, however long it takes its time."""
    for _ in range(200):
        rows = bench.rows_of(task.reference)
        if rows and rows[0]["state"] not in ("RECEIVED", "NEEDS_APPROVAL", "Pending", "PENDING", 1):
            return rows[0]
        await _pause()
    raise AssertionError(f"the POS did not take it: {bench.rows_of(task.reference)} {list(bench.sandbox.rejected)[-3:]}")


async def _pause() -> None:
    await asyncio.sleep(0.02)


def _names(item: dict[str, Any]) -> set[str]:
    return {str(item.get("name")), f"{item.get('name')} ({item.get('variation')})"}


def _owed(row: dict[str, Any]) -> int:
    """What the POS asks for, without tip."""
    return int(row.get("due", row["total"]))


class MenuChecks:
    """A menu is read whole, in the right money."""

    async def test_a_menu_is_whole_and_joined(self, bench: Bench) -> None:
        """Ids are unique, every group, tax and item that is named is there, prices are in the store's currency."""
        menu = await _menu(bench)
        assert menu.currency == bench.currency
        assert len(menu.items) >= 4
        ids = [item.id for item in menu.items]
        assert len(ids) == len(set(ids))
        groups = {group.id: group for group in menu.groups}
        taxes = {tax.id for tax in menu.taxes}
        for item in menu.items:
            assert set(item.group_ids) <= groups.keys()
            assert set(item.tax_ids) <= taxes
            assert item.price.currency == bench.currency
        for group in groups.values():
            assert group.modifiers
            assert group.maximum == 0 or group.maximum >= group.minimum
            for option in group.modifiers:
                assert set(option.group_ids) <= groups.keys()
        assert {i for category in menu.categories for i in category.item_ids} <= set(ids)

    async def test_prices_and_names_are_the_vendors(self, bench: Bench) -> None:
        """No cent and no letter is lost, in Arabic or French as little as in English."""
        menu = await _menu(bench)
        shown: dict[str, set[int]] = {}
        for store in bench.sandbox.state()["menus"]:
            for item in store["items"]:
                for each in item.get("variations") or [item]:
                    names = {item["name"], f"{item['name']} ({each['name']})"}
                    for name in names:
                        shown.setdefault(name, set()).add(each["price"])
        told = {item.name: item.price.amount for item in menu.items}
        same = [name for name, price in told.items() if price in shown.get(name, set())]
        assert len(same) >= 4, (told, shown)
        assert any(not name.isascii() for name in same)

    async def test_some_choice_must_be_made(self, bench: Bench) -> None:
        """Required and optional choices are told apart."""
        menu = await _menu(bench)
        assert any(group.minimum > 0 for group in menu.groups)
        assert any(group.minimum == 0 for group in menu.groups)


class SubmitChecks:
    """An order gets in once, whole, for what the merchant is owed."""

    async def test_an_order_is_in_the_pos_once_and_whole(self, bench: Bench) -> None:
        """Lines, quantities, choices, notes and the customer are there, under our reference, at the merchant's total."""
        menu = await _menu(bench)
        task = order_of(menu, bench.ref)
        result = await _submit(bench, task)
        assert isinstance(result, Submitted | Queued), result
        row = await _settled(bench, task)
        assert len(bench.rows_of(task.reference)) == 1
        assert _owed(row) == task.order.merchant_total().amount
        shown = str(row)
        for line in task.order.lines:
            found = [item for item in row["items"] if line.name in _names(item)]
            assert found, line.name
            assert sum(item["quantity"] for item in found) >= line.quantity
            for modifier in line.modifiers:
                assert modifier.name in shown, modifier.name
        lost = result.not_carried
        assert NOTE in shown or named(lost, "note")
        assert CUSTOMER.name in shown or CUSTOMER.name.split()[0] in shown or named(lost, "customer", "name")

    async def test_money_beside_the_lines_is_the_merchants_or_stays_out(self, bench: Bench) -> None:
        """Merchant's charges, taxes and discounts are in the POS's total; the platform's are not; what differs is named."""
        menu = await _menu(bench)
        task = order_of(menu, bench.ref, lines=lines_of(menu, 2), **awkward(menu))
        result = await _submit(bench, task)
        assert isinstance(result, Submitted | Queued), result
        row = await _settled(bench, task)
        owed = task.order.merchant_total().amount
        assert _owed(row) == owed or named(result.not_carried, "total", "tax", "charge", "discount"), (row, owed, result.not_carried)
        if isinstance(result, Submitted):
            assert result.total.amount == _owed(row)

    async def test_an_awkward_line_total_is_named(self, bench: Bench) -> None:
        """A channel whose line is a cent off what price times quantity gives is right; the difference has a name."""
        menu = await _menu(bench)
        lines = lines_of(menu, 2)
        first = msgspec.structs.replace(lines[0], total=msgspec.structs.replace(lines[0].total, amount=lines[0].total.amount - 1))
        task = order_of(menu, bench.ref, lines=(first, *lines[1:]))
        result = await _submit(bench, task)
        assert isinstance(result, Submitted | Queued), result
        row = await _settled(bench, task)
        assert _owed(row) == task.order.merchant_total().amount or named(result.not_carried, "total"), (row, result.not_carried)

    async def test_the_same_bytes_again_are_the_same_order(self, bench: Bench) -> None:
        """A step that the vendor remembers may be sent twice; where only a search tells, it is not declared repeatable."""
        menu = await _menu(bench)
        task = order_of(menu, bench.ref)
        step = await _first_step(bench, task)
        client = bench.client()
        adapter = bench.adapter(client)
        await bench.perform(client, adapter, step)
        if step.repeat in (Repeat.KEY, Repeat.NATURAL):
            await bench.perform(client, adapter, step)
            assert len(bench.rows_of(task.reference)) == 1
            # Built anew it bears the same key, and the key is what the vendor gets to see.
            again = await _first_step(bench, task)
            assert again.idempotency_key == step.idempotency_key
            sent = step.request.body.decode() + str(step.request.headers)
            assert step.repeat is Repeat.NATURAL or (step.idempotency_key and step.idempotency_key in sent)
        else:
            assert bench.facts.idempotency != "key"

    async def test_an_unknown_outcome_is_found_or_safe_to_repeat(self, bench: Bench) -> None:
        """The answer never came: the order is found by our reference, or sent again without doubling."""
        menu = await _menu(bench)
        task = order_of(menu, bench.ref)
        step = await _first_step(bench, task)
        client = bench.client()
        adapter = bench.adapter(client)
        await bench.fault(timeout_after_effect=1, hold_ms=20)
        started = datetime.now(UTC)
        with pytest.raises(OutcomeUnknown):
            await client.send(step.request, not_after=_soon())
        await bench.fault()
        if step.repeat in (Repeat.KEY, Repeat.NATURAL):
            done = await bench.perform(client, adapter, step)
        else:
            done = await adapter.find(task, step.name, started)
        assert done is not None
        assert len(bench.rows_of(task.reference)) == 1

    async def test_a_fault_before_the_effect_leaves_nothing(self, bench: Bench) -> None:
        """5xx on a write is unknown, never success, and nothing is in the POS."""
        menu = await _menu(bench)
        task = order_of(menu, bench.ref)
        step = await _first_step(bench, task)
        await bench.fault(error_rate=1)
        with pytest.raises((OutcomeUnknown, RetryLater)):
            await bench.client().send(step.request, not_after=_soon())
        assert not bench.rows_of(task.reference)

    async def test_what_the_menu_does_not_know_is_not_lost(self, bench: Bench) -> None:
        """An unmapped line goes in as an open item with its name and price, or is refused with what to set."""
        menu = await _menu(bench)
        lines = lines_of(menu, 2)
        stranger = msgspec.structs.replace(lines[0], id="not-on-the-menu", plu="", name="Secret dish", modifiers=())
        stranger = msgspec.structs.replace(stranger, total=stranger.expected_total())
        task = order_of(menu, bench.ref, lines=(stranger, lines[1]))
        task = msgspec.structs.replace(task, products={k: v for k, v in task.products.items() if k != "not-on-the-menu"})
        result = await _submit(bench, task)
        if isinstance(result, PosRejected):
            assert "open_item" in result.reason or "unmapped" in result.reason, result.reason
            assert not bench.rows_of(task.reference)
            return
        row = await _settled(bench, task)
        assert "Secret dish" in str(row)
        assert _owed(row) == task.order.merchant_total().amount

    async def test_an_order_nobody_knows_is_not_found(self, bench: Bench) -> None:
        """Asked for an order that never was, it says so."""
        adapter = bench.adapter()
        with pytest.raises((NotFound, Unreadable)):
            await adapter.order("0b7a2a54-0000-4000-8000-000000000000")

    @pytest.mark.parametrize(("word", "wanted"), [("ready", OrderState.READY), ("completed", OrderState.COMPLETED)])
    async def test_what_staff_do_is_followed(self, bench: Bench, word: str, wanted: OrderState) -> None:
        """The kitchen moves the order; the vendor's call, or the order when read, tells the hub's state."""
        if wanted.value not in bench.facts.order_states:
            return
        await _followed(bench, word, {wanted, OrderState.PICKED_UP} if word == "completed" else {wanted})

    async def test_a_cancel_by_staff_is_followed(self, bench: Bench) -> None:
        """The POS's own cancel reaches the hub."""
        if OrderState.CANCELLED.value not in bench.facts.order_states:
            return
        await _followed(bench, "cancelled", {OrderState.CANCELLED, OrderState.REJECTED, OrderState.FAILED})


async def _followed(bench: Bench, word: str, wanted: set[OrderState]) -> None:
    menu = await _menu(bench)
    task = order_of(menu, bench.ref)
    result = await _submit(bench, task)
    assert isinstance(result, Submitted | Queued)
    row = await _settled(bench, task)
    start = len(bench.got)
    bench.sandbox.move_order(row["id"], {"state": word})
    adapter = bench.adapter()
    states: list[OrderState] = []
    for _ in range(150):
        for request in bench.got[start:]:
            for fact in bench.facts_of(request):
                if fact.kind == "pos_order.changed" and fact.subject.endswith(f"/{result.pos_order_id}"):
                    seen = await adapter.order(result.pos_order_id, request.body)
                    assert seen.pos_order_id == result.pos_order_id
                    assert task.reference in seen.reference
                    states.append(seen.state)
        if states and states[-1] in wanted:
            return
        await _pause()
    raise AssertionError(f"staff said {word}; the hub saw {states}, calls {len(bench.got) - start}")


async def order_and_move(bench: Bench) -> None:
    """An order that staff have made ready: the vendor calls about it."""
    task = order_of(await _menu(bench), bench.ref)
    assert isinstance(await _submit(bench, task), Submitted | Queued)
    row = await _settled(bench, task)
    bench.sandbox.move_order(row["id"], {"state": "ready"})


def _soon() -> float:
    return monotonic() + 10


class SearchChecks:
    """Orders can be found again."""

    async def test_an_order_is_found_by_our_reference(self, bench: Bench) -> None:
        """The search finds ours, and not an order that was never sent."""
        menu = await _menu(bench)
        task, other = order_of(menu, bench.ref), order_of(menu, bench.ref)
        result = await _submit(bench, task)
        assert isinstance(result, Submitted | Queued)
        adapter = bench.adapter()
        since = datetime.now(UTC) - timedelta(minutes=2)
        found = await adapter.find(task, "order", since)
        assert isinstance(found, Done)
        assert result.pos_order_id.startswith(found.vendor_ref)
        assert found.vendor_ref
        assert await adapter.find(other, "order", since) is None

    async def test_open_orders_are_listed_with_our_reference(self, bench: Bench) -> None:
        """Several orders, each with its reference and state."""
        menu = await _menu(bench)
        tasks = [order_of(menu, bench.ref) for _ in range(3)]
        for task in tasks:
            assert isinstance(await _submit(bench, task), Submitted | Queued)
        listed = await bench.adapter().open_orders(bench.ref, datetime.now(UTC) - timedelta(minutes=2))
        assert {task.reference for task in tasks} <= {order.reference for order in listed}


class CancelChecks:
    """An order can be taken back."""

    async def test_a_cancel_takes_the_order_back_once(self, bench: Bench) -> None:
        """Cancelled at the POS; cancelling again changes nothing; or it says why it cannot."""
        menu = await _menu(bench)
        task = order_of(menu, bench.ref)
        result = await _submit(bench, task)
        assert isinstance(result, Submitted | Queued)
        client = bench.client()
        adapter = bench.adapter(client)
        cancel = CancelTask(task.reference, result.pos_order_id, bench.ref, "the guest cancelled")

        async def plan(done: Any) -> Any:
            return await adapter.cancel(cancel, done)

        first = await bench.run(plan, client, adapter)
        assert isinstance(first, Cancelled | CannotCancel)
        if isinstance(first, CannotCancel):
            assert first.reason
            return
        assert (await adapter.order(result.pos_order_id)).state in (OrderState.CANCELLED, OrderState.REJECTED)
        assert isinstance(await bench.run(plan, client, adapter), Cancelled)


class StockChecks:
    """What is sold out is told."""

    async def test_what_staff_sold_out_is_read(self, bench: Bench) -> None:
        """Off sale at the POS is off sale in the hub, under the id that the menu gives it; back on sale is back."""
        menu = await _menu(bench)
        item = menu.items[0]
        key = item.plu or item.id
        bench.sandbox.set_stock({"item": key, "available": False, "store": bench.ref})
        levels = {level.id: level for level in await bench.adapter().read_stock(bench.ref)}
        assert levels[item.id].available is False
        bench.sandbox.set_stock({"item": key, "available": True, "store": bench.ref})
        levels = {level.id: level for level in await bench.adapter().read_stock(bench.ref)}
        assert item.id not in levels or levels[item.id].available


class StockWriteChecks:
    """A product can be taken off sale at the POS."""

    async def test_a_product_is_taken_off_sale_and_put_back(self, bench: Bench) -> None:
        """What was written is what is read."""
        menu = await _menu(bench)
        item = menu.items[0]
        client = bench.client()
        adapter = bench.adapter(client)
        for available in (False, True):
            await bench.perform(client, adapter, await adapter.stock_step(bench.ref, [StockLevel(item.id, available)]))
            levels = {level.id: level.available for level in await bench.adapter().read_stock(bench.ref)}
            assert levels.get(item.id, True) is available
