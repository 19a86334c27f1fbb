"""A vendor that answers nonsense: every read and every call of ours or theirs ends in a word of the contract, never in a crash."""

import asyncio
import copy
import json
import random
from typing import Any

import msgspec
import pytest

from adapters._sandbox.calls import Answer, Call, Route
from hub.contract import Malformed, VendorError
from tests.contract.suite.bench import Bench
from tests.contract.suite.goods import channel_menu, order_of
from tests.contract.suite.ingress import some_call

ROUNDS = 60
NONSENSE: tuple[Any, ...] = (
    None, "", "text", 0, -1, 1e308, 2**70, True, [], {}, [None], {"": None}, "\u0000", "٠١٢", "2026-13-45T99:99:99Z", "9" * 400, [[[]]],
)  # fmt: skip


def spoil(value: Any, dice: random.Random) -> Any:
    """The value with one thing in it replaced, dropped or doubled."""
    spoiled = copy.deepcopy(value)
    here: Any = spoiled
    while True:
        keys: list[Any] = list(here) if isinstance(here, dict) else list(range(len(here))) if isinstance(here, list) else []
        if not keys:
            return dice.choice(NONSENSE)
        key = dice.choice(keys)
        if isinstance(here[key], dict | list) and here[key] and dice.random() < 0.75:
            here = here[key]
            continue
        act = dice.choice(("replace", "replace", "drop", "double"))
        if act == "drop":
            del here[key]
        elif act == "double" and isinstance(here, list):
            here.append(copy.deepcopy(here[key]))
        else:
            here[key] = dice.choice(NONSENSE)
        return spoiled


class HostileChecks:
    """Whatever the vendor sends, the adapter names it."""

    async def test_nonsense_in_answers_is_named(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each read, its answers spoiled in one place: a result or an error of the contract."""
        handle = bench.sandbox.handle
        dice = random.Random(bench.facts.slug)
        spoiling = False

        def spoiled(call: Call, route: Route, subject: str = "") -> Answer:
            answer = handle(call, route, subject)
            if not spoiling or route.open or not isinstance(answer.body, dict | list):
                return answer
            body = json.loads(msgspec.json.encode(answer.body))
            return Answer(answer.status, spoil(body, dice), answer.headers)

        monkeypatch.setattr(bench.sandbox, "handle", spoiled)
        client = bench.client()
        await bench.adapter(client).test()
        for read in await _reads(bench):
            spoiling = True
            for _ in range(ROUNDS):
                client.forget()
                try:
                    await read(bench.adapter(client))
                except VendorError:
                    continue
            spoiling = False

    async def test_nonsense_in_calls_is_named(self, bench: Bench) -> None:
        """Each call of the vendor, spoiled in one place: facts, or Malformed; an order out of it, or an error of the contract."""
        if bench.provider.ingress is None:
            return
        dice = random.Random(bench.facts.slug)
        calls = await _calls(bench)
        adapter = bench.adapter()
        for request in calls:
            told = json.loads(request.body)
            for _ in range(ROUNDS):
                body = json.dumps(spoil(told, dice)).encode("utf-8", "surrogatepass")
                try:
                    facts = bench.provider.ingress.facts(msgspec.structs.replace(request, body=body))
                except Malformed:
                    continue
                for fact in facts:
                    try:
                        await _heard(bench, adapter, fact, body)
                    except (VendorError, Malformed):
                        continue


async def _calls(bench: Bench) -> list[Any]:
    for _ in range(2):
        await some_call(bench)
    if bench.facts.kind == "delivery":
        for placed in bench.sandbox.place_orders({"store": bench.ref, "count": 2}):
            bench.sandbox.cancel_order(placed, {})
        client = bench.client()
        adapter = bench.adapter(client)
        await bench.perform(client, adapter, adapter.push_menu_step(bench.ref, channel_menu(bench.currency)))
    await asyncio.sleep(0.6)
    return [request for request in bench.got if request.body]


async def _heard(bench: Bench, adapter: Any, fact: Any, body: bytes) -> None:
    key = fact.subject.partition("/")[2]
    match fact.kind:
        case "order.placed":
            await adapter.fetch_order(key, body, bench.places)
        case "order.changed" if hasattr(adapter, "notice_state"):
            adapter.notice_state(body)
        case "pos_order.changed":
            await adapter.order(key, body)
        case "menu.job":
            adapter.job_results(body)
        case "courier.moved":
            adapter.couriers(body)


async def _reads(bench: Bench) -> list[Any]:
    """The adapter's reads of things that are there."""
    adapter = bench.adapter()
    found: list[Any] = [lambda each: bench.read(each)]
    if bench.facts.kind == "pos":
        task = order_of(await adapter.read_menu(bench.ref), bench.ref)
        found += [lambda each: each.read_menu(bench.ref), lambda each: each.submit(task, {})]
        if "stock" in bench.facts.capabilities:
            found.append(lambda each: each.read_stock(bench.ref))
        if "order_search" in bench.facts.capabilities:
            found.append(lambda each: each.open_orders(bench.ref, task.order.placed_at))
        return found
    placed = bench.sandbox.place_orders({"store": bench.ref})[0]
    found.append(lambda each: each.fetch_order(placed, b"", bench.places))
    found.append(lambda each: each.read_back(bench.ref))
    if "order_list" in bench.facts.capabilities:
        found.append(lambda each: each.open_orders(bench.ref))
    return found
