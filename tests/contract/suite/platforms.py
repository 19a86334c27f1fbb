"""What a platform's adapter must hold: calls verified and named, orders whole, answers given once, menus and stores set as asked."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from hub.contract import (
    AlreadyDone,
    DecisionTask,
    Fetched,
    IngressRequest,
    Malformed,
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
from hub.model import Modifier, OrderState, StockLevel, StoreChange
from tests.contract.suite.bench import Bench
from tests.contract.suite.goods import channel_menu
from tests.contract.suite.pos import order_and_move

DONE = frozenset({OrderState.CANCELLED, OrderState.FAILED, OrderState.REJECTED})


async def _ordered(bench: Bench, **wanted: Any) -> tuple[str, Fetched, IngressRequest]:
    """A consumer orders: the platform's id, the order as the adapter takes it in, and the call that told of it."""
    start = len(bench.got)
    placed = bench.sandbox.place_orders({"store": bench.ref, **wanted})[0]
    fact, request = await bench.until_fact("order.placed", start)
    assert fact.subject == f"order/{placed}"
    fetched = await bench.adapter().fetch_order(placed, request.body, bench.places)
    return placed, fetched, request


def _task(bench: Bench, placed: str, fetched: Fetched, **more: Any) -> DecisionTask:
    order = fetched.order
    given = {"ready_at": datetime.now(UTC) + timedelta(minutes=20), "fulfilment": order.fulfilment.kind, "vendor_refs": order.vendor_refs}
    return DecisionTask(new_id("ord"), placed, bench.ref, pos_order_id="POS-1", **{**given, **more})


async def _tell(bench: Bench, word: str, task: DecisionTask, *, times: int = 1) -> Step | None:
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


async def some_call(bench: Bench) -> IngressRequest:
    """A call of the vendor: a consumer orders, or staff at the POS sell and move an order."""
    start = len(bench.got)
    if bench.facts.kind == "delivery":
        bench.sandbox.place_orders({"store": bench.ref})
    else:
        await order_and_move(bench)
    for _ in range(300):
        if len(bench.got) > start:
            return bench.got[start]
        await asyncio.sleep(0.02)
    raise AssertionError("the vendor did not call")


class IngressChecks:
    """The vendor's calls are verified over what was sent, and named by what happened."""

    async def test_a_right_signature_is_known_and_a_wrong_one_is_not(self, bench: Bench) -> None:
        """The right secret only; also among others, and not when it is empty or a character short."""
        request = await some_call(bench)
        ingress = bench.provider.ingress
        assert ingress is not None
        (secret,) = bench.secrets
        assert ingress.signed(request, [secret])
        assert ingress.signed(request, ["another-secret", secret])
        for wrong in ([], [""], ["another-secret"], [secret[:-1]], [secret + "x"]):
            assert not ingress.signed(request, wrong)

    async def test_a_call_without_proof_is_refused(self, bench: Bench) -> None:
        """No header, an empty one, rubbish in it: refused, never an error; and a refusal is no 2xx."""
        request = await some_call(bench)
        ingress, webhook = bench.provider.ingress, bench.facts.webhook
        assert ingress is not None
        assert webhook is not None
        name = webhook.header.lower()
        for value in (None, "", "rubbish", "Bearer ", "Basic !!!", "\u00e9" * 50, "0" * 64):
            headers = {k: v for k, v in request.headers.items() if k != name} | ({} if value is None else {name: value})
            bare = msgspec.structs.replace(request, headers=headers, suffix="" if webhook.secret_in_address else request.suffix)
            assert not ingress.signed(bare, bench.secrets), value
        for reason in ("bad_signature", "malformed", "not_stored"):
            assert not 200 <= ingress.refused(reason).status < 300

    async def test_changed_bytes_are_noticed_where_bytes_are_signed(self, bench: Bench) -> None:
        """One byte more in the body breaks a signature that covers it."""
        request = await some_call(bench)
        ingress, webhook = bench.provider.ingress, bench.facts.webhook
        assert ingress is not None
        assert webhook is not None
        if "body" not in webhook.scheme or webhook.secret_in_address:
            return
        assert not ingress.signed(msgspec.structs.replace(request, body=request.body + b" "), bench.secrets)

    async def test_a_repeat_is_the_same_fact(self, bench: Bench) -> None:
        """The same call read twice has the same keys; two calls about different things have different ones."""
        first = await some_call(bench)
        again = [fact.dedupe_key for fact in bench.facts_of(first)]
        assert again == [fact.dedupe_key for fact in bench.facts_of(first)]
        second = await some_call(bench)
        others = {fact.dedupe_key for request in bench.got for fact in bench.facts_of(request) if request.body != first.body}
        assert second is not first
        assert not set(again) & others or bench.facts.kind == "pos"

    async def test_rubbish_is_malformed_and_news_is_noted(self, bench: Bench) -> None:
        """What is no JSON is Malformed; a field that nobody knows is nobody's fault."""
        request = await some_call(bench)
        ingress = bench.provider.ingress
        assert ingress is not None
        for body in (b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"null", b"{" * 5000):
            try:
                ingress.facts(msgspec.structs.replace(request, body=body))
            except Malformed:
                continue
        if request.body:
            told = json.loads(request.body)
            told["a_field_of_next_year"] = {"deep": [1, None, "text"]}
            more = msgspec.structs.replace(request, body=json.dumps(told).encode())
            assert [fact.kind for fact in bench.facts_of(more)] == [fact.kind for fact in bench.facts_of(request)]


class IntakeChecks:
    """Orders come in whole; the platform hears yes or no, once, by a call of its own."""

    async def test_an_order_is_taken_in_whole(self, bench: Bench) -> None:
        """Lines, choices, quantities, notes, the consumer and the money are what the platform sold."""
        for number in range(6):
            placed, fetched, _ = await _ordered(bench)
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
        await _published(bench, menu)
        _, fetched, _ = await _ordered(bench, plain=True)
        for line in fetched.order.lines:
            assert {line.id, line.plu} & {key for item in menu.items for key in (item.id, item.plu)}, line
            for modifier in line.modifiers:
                known = {key for group in menu.groups for option in group.modifiers for key in (option.id, option.plu)}
                assert {modifier.id, modifier.plu} & known, modifier

    async def test_an_answer_to_a_call_is_no_accept(self, bench: Bench) -> None:
        """The call was answered as stored; the platform still waits for its yes."""
        placed, _, _ = await _ordered(bench)
        await asyncio.sleep(0.3)
        assert not _accepted(bench.order_row(placed)), bench.order_row(placed)["history"]

    async def test_yes_is_heard_once(self, bench: Bench) -> None:
        """Accepted by a later call under our reference; saying it twice is no failure and no second accept."""
        placed, fetched, _ = await _ordered(bench)
        step = await _tell(bench, "accept", _task(bench, placed, fetched), times=2)
        assert step is not None
        assert step.repeat in (Repeat.NATURAL, Repeat.KEY)
        row = bench.order_row(placed)
        assert _accepted(row)
        assert sum("accept" in state or "confirm" in state for state in _said(row)) == 1

    async def test_an_address_in_an_order_is_not_trusted(self, bench: Bench) -> None:
        """Where orders say where to answer, an answer leaves for the vendor's hosts only."""
        placed, fetched, _ = await _ordered(bench)
        refs = dict(fetched.order.vendor_refs)
        foreign = {key: f"http://127.0.0.1:9/{key}" if value.startswith("http") else value for key, value in refs.items()}
        if foreign == refs:
            return
        client = bench.client()
        adapter = bench.adapter(client)
        with pytest.raises(Misconfigured):
            await bench.perform(client, adapter, adapter.accept_step(_task(bench, placed, fetched, vendor_refs=foreign)))
        assert bench.called == {bench.root}
        assert not _accepted(bench.order_row(placed))

    async def test_no_is_heard_with_every_reason(self, bench: Bench) -> None:
        """Each reason of the form is one that the platform takes before the accept."""
        for reason in bench.facts.reject_reasons:
            placed, fetched, _ = await _ordered(bench)
            assert await _tell(bench, "reject", _task(bench, placed, fetched, reason=reason, detail="Sold out for today")) is not None
            assert not _accepted(bench.order_row(placed))
            assert _said(bench.order_row(placed))[-1].startswith(("reject", "fail", "cancel", "den", "deni")), bench.order_row(placed)

    async def test_a_lost_answer_to_yes_is_safe(self, bench: Bench) -> None:
        """The accept took effect and its answer was lost: it is unknown, and saying it again ends well."""
        placed, fetched, _ = await _ordered(bench)
        await asyncio.sleep(0.2)
        client = bench.client()
        adapter = bench.adapter(client)
        task = _task(bench, placed, fetched)
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
        await _tell(bench, "accept", task)
        assert sum("accept" in state or "confirm" in state for state in _said(bench.order_row(placed))) == 1

    @pytest.mark.parametrize("word", ["preparing", "ready", "picked_up", "cancel", "delay"])
    async def test_later_words_are_taken(self, bench: Bench, word: str) -> None:
        """What the platform wants to know after the accept it takes, and takes twice without harm."""
        if word not in bench.facts.capabilities:
            return
        told = 0
        for _ in range(12):
            placed, fetched, _ = await _ordered(bench)
            task = _task(bench, placed, fetched, reason="other", ready_at=datetime.now(UTC) + timedelta(minutes=25))
            await _tell(bench, "accept", task)
            step = await _tell(bench, word, task)
            told += step is not None
            if step is not None and step.repeat is Repeat.NATURAL and word != "delay":
                try:
                    await _tell(bench, word, task)
                except (AlreadyDone, Rejected) as error:
                    if word == "cancel" and _said(bench.order_row(placed))[-1].startswith(("cancel", "fail")):
                        continue  # the hub looks what the platform has, and finds it cancelled
                    raise AssertionError(f"{word} said twice fails: {error} {error.detail}") from error
            if told >= 2:
                return
        assert told, f"no order took {word}"

    async def test_a_consumers_cancel_is_told(self, bench: Bench) -> None:
        """The platform's cancel arrives as a cancel, or as a change whose state is one."""
        placed, _, _ = await _ordered(bench)
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
        placed, fetched, _ = await _ordered(bench)
        await _tell(bench, "accept", _task(bench, placed, fetched))
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


async def _published(bench: Bench, menu: Any) -> dict[str, int]:
    """Names and prices at the platform once it shows the menu."""
    shown: dict[str, int] = {}
    for _ in range(200):
        held = next(each for each in bench.sandbox.state()["menus"] if each["store"] == bench.ref)
        shown = {item["name"]: item["price"] for item in held["items"]}
        if all(item.name in shown for item in menu.items):
            return shown
        await asyncio.sleep(0.02)
    raise AssertionError(f"the platform shows {shown}; refused: {list(bench.sandbox.rejected)[-3:]}")


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
        shown = await _published(bench, menu)
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
            await _published(bench, menu)
        held = next(each for each in bench.sandbox.state()["menus"] if each["store"] == bench.ref)
        names = [item["name"] for item in held["items"]]
        assert names.count("Burger") == 1


class HostedMenuChecks:
    """A platform that fetches menus gets them from us."""

    async def test_a_fetched_menu_is_shown_whole(self, bench: Bench) -> None:
        """The platform asks, the answer carries every item at its price."""
        menu = bench.hosted = channel_menu(bench.currency)
        bench.sandbox.set_store(bench.ref, {"request_menu": True})
        shown = await _published(bench, menu)
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
        await _published(bench, menu)
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
        placed, fetched, _ = await _ordered(bench)
        if fetched.order.fulfilment.kind == "delivery_by_platform":
            await _tell(bench, "accept", _task(bench, placed, fetched))
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


__all__ = [
    "AvailabilityChecks",
    "CourierChecks",
    "HostedMenuChecks",
    "IngressChecks",
    "IntakeChecks",
    "MenuPushChecks",
    "StoreControlChecks",
    "some_call",
]
