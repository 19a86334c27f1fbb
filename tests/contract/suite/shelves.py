"""What a platform's adapter must hold beside orders: menus shown whole, products off sale, stores paused, couriers followed."""

import asyncio

import pytest

from hub.contract import (
    Fetched,
    Rejected,
    RetryLater,
    Unreadable,
)
from hub.model import OrderState, StockLevel, StoreChange
from tests.contract.suite.bench import Bench
from tests.contract.suite.goods import channel_menu
from tests.contract.suite.intake import ordered, task_of, tell


class MenuPushChecks:
    """A pushed menu is shown whole, at its prices, and pushing it twice changes nothing."""

    async def test_a_menu_is_shown_whole(self, bench: Bench) -> None:
        """Every item under its name and price, the Arabic one too; a job ends as done."""
        client = bench.client()
        adapter = bench.adapter(client)
        menu = channel_menu(bench.currency)
        if "menu_fit" in bench.facts.capabilities:
            menu, lost = adapter.fit_menu(menu)
            assert not lost
        start = len(bench.got)
        done = await bench.perform(client, adapter, adapter.push_menu_step(bench.ref, menu))
        shown = await bench.until_shown(menu)
        for item in menu.items:
            assert shown[item.name] == item.price.amount, item.name
        if done.job:
            assert "menu_jobs" in bench.facts.capabilities
            _, request = await bench.until_fact("menu.job", start)
            results = [r for r in adapter.job_results(request.body) if r.store_ref == bench.ref]
            for _ in range(100):
                if results and results[-1].outcome != "running":
                    break
                await asyncio.sleep(0.05)
                calls = [r for r in bench.got[start:] if any(f.kind == "menu.job" for f in bench.facts_of(r))]
                results = [x for r in calls for x in adapter.job_results(r.body) if x.store_ref == bench.ref]
            assert results[-1].outcome == "done", results
        try:
            back = await adapter.read_back(bench.ref)
        except Unreadable:
            assert bench.facts.proof.menu_unread, "provider.toml does not say that the menu cannot be read back"
            return
        assert {item.id for item in menu.items} <= back
        assert not bench.facts.proof.menu_unread

    async def test_a_menu_pushed_twice_is_one_menu(self, bench: Bench) -> None:
        """The same push again leaves the same items, none twice."""
        client = bench.client()
        adapter = bench.adapter(client)
        menu = channel_menu(bench.currency)
        for _ in range(2):
            try:
                await bench.perform(client, adapter, adapter.push_menu_step(bench.ref, menu))
            except RetryLater:  # the vendor takes one in a while
                break
            await bench.until_shown(menu)
        held = next(each for each in bench.sandbox.state()["menus"] if each["store"] == bench.ref)
        names = [item["name"] for item in held["items"]]
        assert names.count("Burger") == 1


class HostedMenuChecks:
    """A platform that fetches menus gets them from us."""

    async def test_a_fetched_menu_is_shown_whole(self, bench: Bench) -> None:
        """The platform asks, the answer carries every item at its price."""
        menu = bench.hosted = channel_menu(bench.currency)
        bench.sandbox.set_store(bench.ref, {"request_menu": True})
        shown = await bench.until_shown(menu)
        for item in menu.items:
            assert shown[item.name] == item.price.amount


class AvailabilityChecks:
    """Single products go off sale and come back."""

    async def test_items_and_options_go_off_sale_and_come_back(self, bench: Bench) -> None:
        """What is set is what the platform shows, for a dish and for an option."""
        client = bench.client()
        adapter = bench.adapter(client)
        menu = channel_menu(bench.currency)
        await bench.perform(client, adapter, adapter.push_menu_step(bench.ref, menu))
        await bench.until_shown(menu)
        await asyncio.sleep(0.3)
        for level in (StockLevel("burger", False), StockLevel("cheese", False, kind="modifier"), StockLevel("burger", True)):
            await asyncio.sleep(0.15)  # vendors that take few of these calls
            step = await adapter.availability_step(bench.ref, [level])
            assert not (await bench.perform(client, adapter, step)).data.get("failed")
            assert _on_sale(bench, level.id) is level.available, level


def _on_sale(bench: Bench, item: str) -> bool:
    off = {str(each["item"]) for each in bench.sandbox.state()["stock"] if not each["available"] and each.get("store") in (None, bench.ref)}
    return not any(item == key or key.endswith((f"-{item}", f":{item}")) for key in off)


class StoreControlChecks:
    """Stores open and pause as they are told."""

    async def test_a_store_pauses_and_opens(self, bench: Bench) -> None:
        """The platform shows what was asked for, and the adapter reads it."""
        client = bench.client()
        adapter = bench.adapter(client)
        assert {"pause", "open"} <= set(adapter.store_changes)
        for kind, wanted in (("pause", {"paused", "closed"}), ("open", {"open"})):
            change = StoreChange(kind)  # type: ignore[arg-type]
            await bench.perform(client, adapter, await adapter.store_step(bench.ref, change))
            assert (await adapter.store_status(bench.ref)).status in wanted, kind

    async def test_what_is_not_possible_is_said(self, bench: Bench) -> None:
        """A kind of change that the platform does not take is refused with what it takes."""
        adapter = bench.adapter()
        for kind in sorted({"open", "pause", "busy", "prep_time", "hours"} - set(adapter.store_changes)):
            with pytest.raises(Rejected) as refused:
                await adapter.store_step(bench.ref, StoreChange(kind, prep_seconds=900))
            assert str(refused.value)


async def _ordered_and_accepted(bench: Bench) -> tuple[str, Fetched]:
    """An accepted order that the platform's own courier brings."""
    for _ in range(12):
        placed, fetched, _ = await ordered(bench)
        if fetched.order.fulfilment.kind == "delivery_by_platform":
            await tell(bench, "accept", task_of(bench, placed, fetched))
            return placed, fetched
    raise AssertionError("no order was for the platform's courier")


async def _kinds(bench: Bench, start: int) -> set[str]:
    """Kinds of facts that came within a moment."""
    await asyncio.sleep(0.5)
    return {fact.kind for request in bench.got[start:] for fact in bench.facts_of(request)}


class CourierChecks:
    """Couriers are followed without keeping who they are."""

    async def test_a_courier_is_followed(self, bench: Bench) -> None:
        """The courier takes the food and brings it; no name and no number is kept."""
        placed, _ = await _ordered_and_accepted(bench)
        start = len(bench.got)
        bench.sandbox.move_courier(placed, {"state": "picked_up", "lat": 51.5, "lng": -0.1})
        adapter = bench.adapter()
        if "notice_states" in bench.facts.capabilities and "courier.moved" not in await _kinds(bench, start):
            _, request = await bench.until_fact("order.changed", start)
            assert adapter.notice_state(request.body) is OrderState.PICKED_UP
            start = len(bench.got)
            bench.sandbox.move_courier((await _ordered_and_accepted(bench))[0], {"state": "arrived"})
        fact, request = await bench.until_fact("courier.moved", start)
        assert fact.subject.startswith("order/")
        seen = adapter.couriers(request.body)
        assert seen
        assert {sighting.platform_order_id for sighting in seen} <= {"", fact.subject.partition("/")[2]}
        kept = set(seen[0].__struct_fields__)
        assert kept == {"platform_order_id", "state", "at", "latitude", "longitude", "eta"}
