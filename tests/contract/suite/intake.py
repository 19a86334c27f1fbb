"""What a platform's adapter must hold of orders: taken in whole, answered once by a call of their own, followed to their end."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.contract import (
    AlreadyDone,
    DecisionTask,
    Fetched,
    IngressRequest,
    Misconfigured,
    NotFound,
    OutcomeUnknown,
    Rejected,
    Repeat,
    RetryLater,
    Step,
    Unreadable,
)
from hub.ids import new_id
from hub.model import Modifier, OrderState
from tests.contract.suite.bench import Bench
from tests.contract.suite.goods import channel_menu

DONE = frozenset({OrderState.CANCELLED, OrderState.FAILED, OrderState.REJECTED})


async def ordered(bench: Bench, **wanted: Any) -> tuple[str, Fetched, IngressRequest]:
    """A consumer orders: the platform's id, the order as the adapter takes it in, and the call that told of it."""
    start = len(bench.got)
    placed = bench.sandbox.place_orders({"store": bench.ref, **wanted})[0]
    fact, request = await bench.until_fact("order.placed", start)
    assert fact.subject == f"order/{placed}"
    fetched = await bench.adapter().fetch_order(placed, request.body, bench.places)
    return placed, fetched, request


def task_of(bench: Bench, placed: str, fetched: Fetched, **more: Any) -> DecisionTask:
    """A decision about an order, as the hub would ask for it."""
    order = fetched.order
    given = {"ready_at": datetime.now(UTC) + timedelta(minutes=20), "fulfilment": order.fulfilment.kind, "vendor_refs": order.vendor_refs}
    return DecisionTask(new_id("ord"), placed, bench.ref, pos_order_id="POS-1", **{**given, **more})


async def tell(bench: Bench, word: str, task: DecisionTask, *, times: int = 1) -> Step | None:
    """Tell the platform a word so many times; the step, or None when there is none for this order."""
    client = bench.client()
    adapter = bench.adapter(client)
    step: Step | None = None
    for _ in range(times):
        step = getattr(adapter, f"{word}_step")(task)
        if step is None:
            return None
        for _ in range(40):
            try:
                await bench.perform(client, adapter, step)
                break
            except RetryLater as error:  # the platform has not heard our answer yet
                await asyncio.sleep(min(error.after or 0.05, 0.2))
        else:
            raise AssertionError(f"{word} was put off for ever")
    return step


def _flat(modifiers: Sequence[Modifier]) -> list[tuple[str, int]]:
    """Choices with those below them, as the simulators' rows show them."""
    return [pair for m in modifiers for pair in ((m.name, m.quantity), *_flat(m.modifiers))]


def _said(row: dict[str, Any]) -> list[str]:
    return [str(step["state"]).lower() for step in row["history"]]


def _accepted(row: dict[str, Any]) -> bool:
    return any(word in state for state in _said(row) for word in ("accept", "confirm"))


class IntakeChecks:
    """Orders come in whole; the platform hears yes or no, once, by a call of its own."""

    async def test_an_order_is_taken_in_whole(self, bench: Bench) -> None:
        """Lines, choices, quantities, notes, the consumer and the money are what the platform sold."""
        for number in range(6):
            placed, fetched, _ = await ordered(bench)
            order, row = fetched.order, bench.order_row(placed)
            assert (order.platform, order.platform_order_id, order.store_ref) == (bench.facts.slug, placed, bench.ref)
            assert order.currency == bench.currency
            assert fetched.state is OrderState.RECEIVED
            assert sum(line.quantity for line in order.lines) == sum(item["quantity"] for item in row["items"]), number
            for line, item in zip(order.lines, row["items"], strict=True):
                assert (line.name, line.quantity) == (item["name"], item["quantity"])
                assert _flat(line.modifiers) == [(m["name"], m["quantity"]) for m in item["modifiers"]]
                if item.get("note"):
                    assert item["note"] in line.note
                assert line.total.amount == item["total"]
            if row.get("note"):
                assert row["note"] in order.note
            if row.get("customer"):
                assert str(row["customer"]).split()[0] in order.customer.name
            assert order.placed_at.tzinfo is not None

    async def test_named_lines_keep_their_ids(self, bench: Bench) -> None:
        """What resolves a product at the POS is what the menu gave the platform."""
        menu = channel_menu(bench.currency)
        client = bench.client()
        adapter = bench.adapter(client)
        if "menu_sink" not in bench.facts.capabilities:
            return
        bench.hosted = menu
        await bench.perform(client, adapter, adapter.push_menu_step(bench.ref, menu))
        await bench.until_shown(menu)
        _, fetched, _ = await ordered(bench, plain=True)
        for line in fetched.order.lines:
            assert {line.id, line.plu} & {key for item in menu.items for key in (item.id, item.plu)}, line
            for modifier in line.modifiers:
                known = {key for group in menu.groups for option in group.modifiers for key in (option.id, option.plu)}
                assert {modifier.id, modifier.plu} & known, modifier

    async def test_an_answer_to_a_call_is_no_accept(self, bench: Bench) -> None:
        """The call was answered as stored; the platform still waits for its yes."""
        placed, _, _ = await ordered(bench)
        await asyncio.sleep(0.3)
        assert not _accepted(bench.order_row(placed)), bench.order_row(placed)["history"]

    async def test_yes_is_heard_once(self, bench: Bench) -> None:
        """Accepted by a later call under our reference; saying it twice is no failure and no second accept."""
        placed, fetched, _ = await ordered(bench)
        step = await tell(bench, "accept", task_of(bench, placed, fetched), times=2)
        assert step is not None
        assert step.repeat in (Repeat.NATURAL, Repeat.KEY)
        row = bench.order_row(placed)
        assert _accepted(row)
        assert sum("accept" in state or "confirm" in state for state in _said(row)) == 1

    async def test_an_address_in_an_order_is_not_trusted(self, bench: Bench) -> None:
        """Where orders say where to answer, an answer leaves for the vendor's hosts only."""
        placed, fetched, _ = await ordered(bench)
        refs = dict(fetched.order.vendor_refs)
        foreign = {key: f"http://127.0.0.1:9/{key}" if value.startswith("http") else value for key, value in refs.items()}
        if foreign == refs:
            return
        client = bench.client()
        adapter = bench.adapter(client)
        with pytest.raises(Misconfigured):
            await bench.perform(client, adapter, adapter.accept_step(task_of(bench, placed, fetched, vendor_refs=foreign)))
        assert bench.called == {bench.root}
        assert not _accepted(bench.order_row(placed))

    async def test_no_is_heard_with_every_reason(self, bench: Bench) -> None:
        """Each reason of the form is one that the platform takes before the accept."""
        for reason in bench.facts.reject_reasons:
            placed, fetched, _ = await ordered(bench)
            assert await tell(bench, "reject", task_of(bench, placed, fetched, reason=reason, detail="Sold out for today")) is not None
            assert not _accepted(bench.order_row(placed))
            assert _said(bench.order_row(placed))[-1].startswith(("reject", "fail", "cancel", "den", "deni")), bench.order_row(placed)

    async def test_a_lost_answer_to_yes_is_safe(self, bench: Bench) -> None:
        """The accept took effect and its answer was lost: it is unknown, and saying it again ends well."""
        placed, fetched, _ = await ordered(bench)
        await asyncio.sleep(0.2)
        client = bench.client()
        adapter = bench.adapter(client)
        task = task_of(bench, placed, fetched)
        await adapter.test()
        await bench.fault(timeout_after_effect=1, hold_ms=20)
        for _ in range(40):
            try:
                await bench.perform(client, adapter, adapter.accept_step(task))
            except OutcomeUnknown:
                break
            except RetryLater:
                await asyncio.sleep(0.05)
        await bench.fault()
        await tell(bench, "accept", task)
        assert sum("accept" in state or "confirm" in state for state in _said(bench.order_row(placed))) == 1

    @pytest.mark.parametrize("word", ["preparing", "ready", "picked_up", "cancel", "delay"])
    async def test_later_words_are_taken(self, bench: Bench, word: str) -> None:
        """What the platform wants to know after the accept it takes, and takes twice without harm."""
        if word not in bench.facts.capabilities:
            return
        told = 0
        for _ in range(12):
            placed, fetched, _ = await ordered(bench)
            task = task_of(bench, placed, fetched, reason="other", ready_at=datetime.now(UTC) + timedelta(minutes=25))
            await tell(bench, "accept", task)
            step = await tell(bench, word, task)
            told += step is not None
            if step is not None and step.repeat is Repeat.NATURAL and word != "delay":
                try:
                    await tell(bench, word, task)
                except (AlreadyDone, Rejected) as error:
                    if word == "cancel" and _said(bench.order_row(placed))[-1].startswith(("cancel", "fail")):
                        continue  # the hub looks what the platform has, and finds it cancelled
                    raise AssertionError(f"{word} said twice fails: {error} {error.detail}") from error
            if told >= 2:
                return
        assert told, f"no order took {word}"

    async def test_a_consumers_cancel_is_told(self, bench: Bench) -> None:
        """The platform's cancel arrives as a cancel, or as a change whose state is one."""
        placed, _, _ = await ordered(bench)
        start = len(bench.got)
        bench.sandbox.cancel_order(placed, {})
        adapter = bench.adapter()
        for _ in range(200):
            for request in bench.got[start:]:
                for fact in bench.facts_of(request):
                    if fact.subject != f"order/{placed}":
                        continue
                    if fact.kind == "order.cancelled":
                        return
                    if fact.kind == "order.changed":
                        told = adapter.notice_state(request.body) if hasattr(adapter, "notice_state") else None
                        if told in DONE or (told is None and await _read_state(bench, placed) in DONE):
                            return
            await asyncio.sleep(0.02)
        raise AssertionError(f"nobody told of the cancel: {[bench.facts_of(request) for request in bench.got[start:]]}")

    async def test_an_order_nobody_placed_is_not_found(self, bench: Bench) -> None:
        """Asked for an order that never was, it says so, or that the vendor cannot be asked."""
        with pytest.raises((NotFound, Unreadable)):
            await bench.adapter().fetch_order("0b7a2a54-0000-4000-8000-000000000000", b"", bench.places)

    async def test_open_orders_are_listed(self, bench: Bench) -> None:
        """Where the vendor has a list, an accepted order is on it until it is over, and a cancelled one is not."""
        if "order_list" not in bench.facts.capabilities:
            return
        placed, fetched, _ = await ordered(bench)
        await tell(bench, "accept", task_of(bench, placed, fetched))
        adapter = bench.adapter()
        assert placed in {order.platform_order_id for order in await adapter.open_orders(bench.ref) if order.state not in DONE}
        bench.sandbox.cancel_order(placed, {})
        assert placed not in {order.platform_order_id for order in await adapter.open_orders(bench.ref) if order.state not in DONE}

    async def test_many_currencies_keep_their_units(self, bench: Bench) -> None:
        """A store that sells without decimals, or with three, is no hundred times off."""
        for currency in ("JPY", "KWD"):
            ref = f"{bench.ref[:-4]}{'9991' if currency == 'JPY' else '9992'}"
            bench.sandbox.set_store(ref, {"create": True, "name": currency, "currency": currency, "status": "open"})
            places = {**bench.places, ref: type(bench.places[bench.ref])(currency)}
            start = len(bench.got)
            placed = bench.sandbox.place_orders({"store": ref, "plain": True})[0]
            _, request = await bench.until_fact("order.placed", start)
            order = (await bench.adapter().fetch_order(placed, request.body, places)).order
            assert order.currency == currency
            assert [line.total.amount for line in order.lines] == [item["total"] for item in bench.order_row(placed)["items"]]


async def _read_state(bench: Bench, placed: str) -> OrderState | None:
    try:
        return (await bench.adapter().fetch_order(placed, b"", bench.places)).state  # type: ignore[no-any-return]
    except NotFound:
        return OrderState.CANCELLED
    except Unreadable:
        return None
