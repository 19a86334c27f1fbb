"""Sandboxes misbehave as told, the same way each time, keep it on record, and behave again when told."""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import aiohttp
import pytest

from adapters._sandbox.faults import Faults
from adapters._sandbox.server import discover
from tests.contract.sandbox_client import MAIN, UBER_STORE, Client, sandboxes

LOCATIONS = "/square/v2/locations"


def order(number: int) -> dict[str, Any]:
    """A small order with a reference of its own."""
    line = {"name": "Soup", "quantity": "1", "base_price_money": {"amount": 1050, "currency": "USD"}}
    return {"idempotency_key": f"key-{number}", "order": {"location_id": MAIN, "reference_id": f"ref-{number}", "line_items": [line]}}


async def statuses(client: Client, count: int) -> list[int]:
    """The statuses of creating so many orders."""
    return [(await client.call("POST", "/square/v2/orders", order(n)))[0] for n in range(count)]


async def test_the_same_seed_fails_the_same_calls() -> None:
    """Two runs with one seed fail alike, another seed does not, and the failures are 500s before any effect."""
    runs = []
    for seed in (7, 7, 8):
        async with sandboxes() as client:
            await client.as_square()
            await client.control("POST", "/square/faults", {"error_rate": 0.3, "seed": seed})
            runs.append(await statuses(client, 60))
            state = await client.state("square")
            assert len(state["orders"]) == runs[-1].count(200)
            assert [row["injected"] for row in state["rejected"]] == [True] * runs[-1].count(500)
    assert runs[0] == runs[1] != runs[2]
    assert 8 <= runs[0].count(500) <= 28


async def test_a_timeout_after_effect_hangs_up_and_the_order_is_there() -> None:
    """The call takes effect, hangs for hold_ms and gets no answer; the same key then answers with that order."""
    async with sandboxes() as client:
        await client.as_square()
        await client.control("POST", "/square/faults", {"timeout_after_effect": 1, "hold_ms": 100})
        began = time.monotonic()
        with pytest.raises(aiohttp.ClientError):
            await client.call("POST", "/square/v2/orders", order(1))
        assert time.monotonic() - began >= 0.1
        await client.control("DELETE", "/square/faults")
        status, body = await client.call("POST", "/square/v2/orders", order(1))
        state = await client.state("square")
        assert status == 200
        assert [each["id"] for each in state["orders"]] == [body["order"]["id"]]
        assert [(row["reason"], row["injected"]) for row in state["rejected"]] == [("timeout after effect", True)]


async def test_a_conflict_that_follows_a_withheld_answer_counts_as_injected() -> None:
    """Accepting under another reference after a swallowed accept is the switch's doing, not the caller's."""
    async with sandboxes() as client:
        await client.as_uber()
        placed = (await client.control("POST", "/ubereats/orders", {"store": UBER_STORE}))["orders"][0]
        await client.control("POST", "/ubereats/faults", {"malformed": 1})
        path = f"/ubereats/v1/delivery/order/{placed}/accept"
        with pytest.raises(json.JSONDecodeError):
            json.loads(await raw(client, path))
        await client.control("DELETE", "/ubereats/faults")
        assert (await client.call("POST", path, {"external_reference_id": "other"}))[0] == 409
        assert all(row["injected"] for row in (await client.state("ubereats"))["rejected"])


async def raw(client: Client, path: str) -> str:
    """An answer's text, whatever it is."""
    headers = {"Authorization": f"Bearer {client.token}"}
    async with client.http.post(client.root + path, json={"external_reference_id": "one"}, headers=headers) as answer:
        assert answer.status == 200
        return (await answer.read()).decode("utf-8", "replace")


async def test_the_rate_limit_answers_429_with_retry_after() -> None:
    """Calls over so many a second are refused with the seconds to wait, and pass after that."""
    async with sandboxes() as client:
        await client.as_square()
        await client.control("POST", "/square/faults", {"rate_limit": 2})
        headers = {"Authorization": f"Bearer {client.token}"}
        waits = []
        for _ in range(4):
            async with client.http.get(client.root + LOCATIONS, headers=headers) as answer:
                waits.append((answer.status, answer.headers.get("Retry-After")))
        assert waits == [(200, None), (200, None), (429, "1"), (429, "1")]
        await asyncio.sleep(1)
        assert (await client.call("GET", LOCATIONS))[0] == 200


async def test_tokens_can_be_expired_by_chance_and_access_revoked() -> None:
    """An expired token and revoked access are 401s with the vendor's own codes, until cleared."""
    async with sandboxes() as client:
        await client.as_square()
        for switch, expected in (("expire_tokens", "ACCESS_TOKEN_EXPIRED"), ("revoke", "ACCESS_TOKEN_REVOKED")):
            await client.control("POST", "/square/faults", {switch: 1})
            status, body = await client.call("GET", LOCATIONS)
            assert (status, body["errors"][0]["code"]) == (401, expected)
            await client.control("DELETE", "/square/faults")
        assert (await client.call("GET", LOCATIONS))[0] == 200


async def test_asking_for_a_token_fails_by_error_rate_alone() -> None:
    """Revoked, expired, malformed and hanging answers befall calls with a token, so that a new one can always be asked for."""
    async with sandboxes() as client:
        rates = dict.fromkeys(("revoke", "expire_tokens", "malformed", "timeout_after_effect"), 1)
        await client.control("POST", "/ubereats/faults", {**rates, "rate_limit": 0.001, "latency_ms": 60_000})
        for _ in range(3):
            await client.as_uber()
        await client.control("POST", "/ubereats/faults", {"error_rate": 1})
        with pytest.raises(AssertionError, match="internal_server_error"):
            await client.as_uber()


async def test_expiring_all_tokens_happens_once() -> None:
    """`expire_tokens: true` makes the tokens of now expired ones; a new one works."""
    async with sandboxes() as client:
        await client.as_square()
        await client.control("POST", "/square/faults", {"expire_tokens": True})
        status, body = await client.call("GET", LOCATIONS)
        assert (status, body["errors"][0]["code"]) == (401, "ACCESS_TOKEN_EXPIRED")
        held = (await client.control("GET", ""))["square"]["credentials"]
        form = {name: held[name] for name in ("client_id", "client_secret", "refresh_token")}
        status, body = await client.call("POST", "/square/oauth2/token", {**form, "grant_type": "refresh_token"})
        assert status == 200
        client.token = body["access_token"]
        assert (await client.call("GET", LOCATIONS))[0] == 200


async def test_latency_delays_every_call() -> None:
    """A call takes at least latency_ms."""
    async with sandboxes() as client:
        await client.as_square()
        await client.control("POST", "/square/faults", {"latency_ms": 120})
        began = time.monotonic()
        assert (await client.call("GET", LOCATIONS))[0] == 200
        assert time.monotonic() - began >= 0.12


async def test_webhooks_are_doubled_reordered_and_lost_as_told() -> None:
    """A doubled webhook has the same event id, a dropped one never comes, and reordering changes who is first."""
    async with sandboxes() as client:
        await client.control("POST", "/ubereats/webhooks", {"url": client.hooks.url})
        await client.control("POST", "/ubereats/faults", {"duplicate_webhooks": 1})
        await client.control("POST", "/ubereats/orders", {"store": UBER_STORE})
        bodies = [body for _, body in await client.hooks.wait(2)]
        assert bodies[0] == bodies[1]
        client.hooks.got.clear()
        await client.control("POST", "/ubereats/faults", {"duplicate_webhooks": 0, "drop_webhooks": 1})
        await client.control("POST", "/ubereats/orders", {"store": UBER_STORE, "count": 3})
        await asyncio.sleep(0.2)
        assert client.hooks.got == []
        await client.control("POST", "/ubereats/faults", {"drop_webhooks": 0, "reorder_webhooks": 0.5})
        orders = (await client.control("POST", "/ubereats/orders", {"store": UBER_STORE, "count": 30}))["orders"]
        got = [json.loads(body)["meta"]["resource_id"] for _, body in await client.hooks.wait(30)]
        assert got != orders
        assert sorted(got) == sorted(orders)
        assert (await client.state("ubereats"))["webhooks"]["dropped"] == 3


async def test_a_failed_webhook_is_sent_again_on_the_vendor_s_schedule() -> None:
    """Uber repeats after 500 and 503 but not after 404, and gives up after seven sends; Square numbers its retries."""
    async with sandboxes() as client:
        await client.control("POST", "/ubereats/webhooks", {"url": client.hooks.url})
        client.hooks.answers = [500, 503]
        await client.control("POST", "/ubereats/orders", {"store": UBER_STORE})
        assert len(await client.hooks.wait(3)) == 3
        client.hooks.answers = [404]
        await client.control("POST", "/ubereats/orders", {"store": UBER_STORE})
        await client.hooks.wait(4)
        client.hooks.answers = [500] * 20
        await client.control("POST", "/ubereats/orders", {"store": UBER_STORE})
        await client.hooks.wait(11)
        await asyncio.sleep(0.3)
        assert len(client.hooks.got) == 11
        client.hooks.got.clear()
        client.hooks.answers = [400]
        await client.as_square()
        await client.control("POST", "/square/webhooks", {"url": client.hooks.url})
        await statuses(client, 1)
        headers = (await client.hooks.wait(2))[1][0]
        assert (headers["square-retry-number"], headers["square-retry-reason"]) == ("1", "http_error")


async def test_a_dead_receiver_holds_nothing_up() -> None:
    """Orders are placed and calls answered while webhooks go to an address where nobody listens."""
    async with sandboxes() as client:
        await client.control("POST", "/ubereats/webhooks", {"url": "http://127.0.0.1:9/none"})
        assert len((await client.control("POST", "/ubereats/orders", {"store": UBER_STORE, "count": 200}))["orders"]) == 200
        await client.as_uber()


@pytest.mark.parametrize("body", [{"error_rate": 2}, {"error_rate": "often"}, {"latency": 5}, {"seed": 1.5}, {"hold_ms": -1}])
async def test_a_wrong_switch_is_refused_by_name(body: dict[str, Any]) -> None:
    """An unknown switch or a rate beyond 1 is a 400 that names it."""
    async with sandboxes() as client, client.http.post(f"{client.root}/_control/square/faults", json=body) as answer:
        assert answer.status == 400
        assert next(iter(body)) in (await answer.json(content_type=None))["detail"]


async def test_a_reset_keeps_what_others_hold() -> None:
    """Orders, faults and records go; credentials, tokens and webhook addresses stay."""
    async with sandboxes() as client:
        await client.as_square()
        await client.control("POST", "/square/webhooks", {"url": client.hooks.url})
        await statuses(client, 2)
        await client.control("POST", "/square/faults", {"error_rate": 1})
        await client.control("POST", "/square/reset")
        state = await client.state("square")
        assert (state["orders"], state["rejected"], state["calls"]) == ([], [], {})
        assert [each["url"] for each in state["webhooks"]["to"]] == [client.hooks.url]
        assert (await client.call("GET", LOCATIONS))[0] == 200


async def test_a_seeded_sandbox_issues_the_same_ids_and_an_unseeded_one_never() -> None:
    """With a seed two runs give equal order ids; without, a restarted sandbox repeats none."""
    found = []
    for seed in ("a", "a", None, None):
        async with sandboxes(seed=seed) as client:
            found.append((await client.control("POST", "/ubereats/orders", {"store": UBER_STORE, "count": 2}))["orders"])
    assert found[0] == found[1]
    assert not set(found[2]) & set(found[3])


def test_rolls_are_even_and_independent() -> None:
    """Over many calls a rate of a quarter hits about a quarter, and two switches do not hit the same calls."""
    faults = Faults()
    faults.set({"error_rate": 0.25, "malformed": 0.25})
    hits = Counter[tuple[bool, bool]](
        (faults.hits("error_rate", "op", str(n), 1), faults.hits("malformed", "op", str(n), 1)) for n in range(4000)
    )
    assert 850 < sum(count for (error, _), count in hits.items() if error) < 1150
    assert 150 < hits[True, True] < 350


async def test_state_and_listing_stay_fast_with_thousands_of_orders() -> None:
    """Three thousand orders are placed, shown and listed in a few seconds."""
    async with sandboxes() as client:
        await client.as_uber()
        began = time.monotonic()
        await client.control("POST", "/ubereats/orders", {"store": UBER_STORE, "count": 3000})
        assert len((await client.state("ubereats"))["orders"]) == 3000
        token, count = "", 0
        while True:
            path = f"/ubereats/v1/delivery/store/{UBER_STORE}/orders?state=OFFERED&next_page_token={token}"
            body = (await client.call("GET", path))[1]
            count += len(body["data"])
            if not (token := body["pagination_data"]["next_page_token"]):
                break
        assert count == 3000
        assert time.monotonic() - began < 8


def test_every_sandbox_is_discovered() -> None:
    """A folder's sandbox.py is found by its slug."""
    assert {"square", "ubereats"} <= discover().keys()


def test_sandboxes_load_neither_adapters_nor_the_hub() -> None:
    """A simulator that shared code with its adapter would only prove that the two agree."""
    code = "import sys; from adapters._sandbox.server import discover; discover(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout.split()
    assert "simulated_square.sandbox" in loaded
    ours = {name for name in loaded if name.partition(".")[0] in {"hub", "adapters", "actors", "cluster"}}
    assert {name for name in ours if name != "adapters" and not name.startswith("adapters._sandbox")} == set()


async def test_the_overview_names_kind_address_credentials_and_stores() -> None:
    """What a demo or a checker needs to connect is in one answer, with a currency for each store."""
    async with sandboxes() as client:
        found = await client.control("GET", "")
        assert found["square"]["credentials"].keys() == {"access_token", "refresh_token", "client_id", "client_secret"}
        assert found["ubereats"]["credentials"].keys() == {"client_id", "client_secret", "more_scopes"}
        for slug, kind in (("square", "pos"), ("ubereats", "delivery")):
            assert (found[slug]["kind"], found[slug]["base_url"]) == (kind, f"{client.root}/{slug}")
            assert len(found[slug]["stores"]) == 2
            assert all(each.keys() == {"ref", "name", "currency"} for each in found[slug]["stores"])


async def test_the_command_prints_its_port_and_ends_on_sigterm() -> None:
    """`python -m adapters._sandbox --port 0` says when and where it listens and exits 0 when it is told to end."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "adapters._sandbox", "--port", "0", stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
    assert ready["ready"] is True
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{ready['port']}/_control") as answer:
        assert {each["kind"] for each in (await answer.json()).values()} >= {"pos", "delivery"}
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 10) == 0
