"""A driver for the roll test: a hub under load has its api replica rolled, or its app taken away; prints one line of JSON.

Every call has a connection of its own and is never repeated: what is refused or cut is counted.
"""

import asyncio
import collections
import hashlib
import hmac
import json
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import psutil

from cluster.bench.cpu import hub_cpu
from cluster.bench.environment import Bench, bench_hub
from cluster.restaurants import Door
from cluster.sandbox_process import call
from hub.settings import Settings

AT_ONCE = 8
PAUSE = 0.02
SLOW_SECONDS = 8.0
"""Longer than an ending replica stays reachable: such calls are inside when its server stops to listen."""


class Load:
    """Webhooks, slow webhooks and order reads, until it is told to end."""

    def __init__(self, bench: Bench, store: str, secret: str, order: str, token: str) -> None:
        self._root, self._store, self._secret, self._order, self._token = bench.root, store, secret, order, token
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []
        self.acknowledged: list[str] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Let what is on its way come back."""
        self._ending.set()
        self._thread.join()

    async def _run(self) -> None:
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        async with aiohttp.ClientSession(self._root, connector=connector, timeout=aiohttp.ClientTimeout(60)) as session:
            ways = (self._webhook, self._webhook, self._read, self._slow)
            await asyncio.gather(*(self._again(session, ways[number % len(ways)]) for number in range(AT_ONCE)))

    async def _again(self, session: aiohttp.ClientSession, way: Any) -> None:
        while not self._ending.is_set():
            name, began = way.__name__.strip("_"), time.monotonic()
            try:
                status = await way(session)
                outcome = "ok" if status == 200 else str(status)
            except Exception as error:
                outcome = f"{type(error).__name__}: {error}"
            self.outcomes[f"{name} {'ok' if outcome == 'ok' else 'wrong'}"] += 1
            if outcome != "ok":
                self.wrong.append(f"{name} after {time.monotonic() - began:.2f} s: {outcome}")
            await asyncio.sleep(PAUSE)

    def _notice(self) -> tuple[str, bytes, dict[str, str]]:
        order = str(uuid.uuid4())
        href = f"https://api.uber.com/v1/delivery/order/{order}"
        notice = {"event_type": "orders.notification", "event_id": order, "meta": {"user_id": self._store}, "resource_href": href}
        body = json.dumps(notice).encode()
        signature = hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
        return order, body, {"X-Uber-Signature": signature, "Content-Type": "application/json"}

    async def _webhook(self, session: aiohttp.ClientSession) -> int:
        order, body, headers = self._notice()
        return await self._told(session, order, body, headers)

    async def _slow(self, session: aiohttp.ClientSession) -> int:
        order, body, headers = self._notice()

        async def parts() -> Any:
            yield body[:20]
            await asyncio.sleep(SLOW_SECONDS)
            yield body[20:]

        return await self._told(session, order, parts(), headers)

    async def _told(self, session: aiohttp.ClientSession, order: str, body: Any, headers: dict[str, str]) -> int:
        async with session.post("/webhooks/ubereats", data=body, headers=headers) as answer:
            await answer.read()
            if answer.status == 200:
                self.acknowledged.append(order)
            return answer.status

    async def _read(self, session: aiohttp.ClientSession) -> int:
        async with session.get(f"/api/v1/orders/{self._order}", headers={"Authorization": f"Bearer {self._token}"}) as answer:
            body = await answer.json()
            return answer.status if body.get("id") == self._order else 599


def replicas(home: Path) -> set[int]:
    """Pids of the hub's api replicas."""
    return {pid for pid, (group, _) in hub_cpu(home).read().by_process.items() if group == "api"}


def roll(settings: Settings) -> dict[str, Any]:
    """Deploy once more, which replaces every replica, and wait until the old ones are gone."""
    from serve_app import deploy

    before = replicas(settings.home)
    began = time.monotonic()
    deploy(settings)
    while any(psutil.pid_exists(pid) for pid in before) and time.monotonic() - began < 90:
        time.sleep(0.5)
    return {"before": sorted(before), "after": sorted(replicas(settings.home)), "seconds": round(time.monotonic() - began, 1)}


async def facts(url: str, orders: list[str]) -> int:
    """How many of these orders' notices are stored."""
    connection = await asyncpg.connect(url)
    try:
        keys = [f"order/{order}/placed" for order in orders]
        return int(await connection.fetchval("select count(*) from hub.facts where dedupe_key = any($1)", keys))
    finally:
        await connection.close()


def main() -> dict[str, Any]:
    """Load, roll, more load, count."""
    with bench_hub(Settings.load(), lambda text: print(text, file=sys.stderr)) as bench:
        settings = bench.running.settings
        link = bench.restaurants.links[0]
        door = Door(bench.root, bench.restaurants.tokens[link.tenant])
        call(bench.sandbox, "POST", f"/_control/{link.platform}/orders", {"store": link.delivery_store_ref, "count": 1})
        limit = time.monotonic() + 30
        while not (orders := door("GET", "/orders")["items"]) and time.monotonic() < limit:
            time.sleep(0.1)
        secret = call(bench.sandbox, "GET", "/_control")["ubereats"]["credentials"]["client_secret"]
        door("POST", f"/connections/{link.delivery_connection}/pause")
        load = Load(bench, link.delivery_store_ref, secret, orders[0]["id"], door.token)
        load.start()
        try:
            time.sleep(3)
            rolled = roll(settings)
            time.sleep(3)
        finally:
            load.end()
        stored = asyncio.run(facts(settings.admin_database_url, load.acknowledged))
        told = {"acknowledged": len(load.acknowledged), "stored": stored}
        return {"rolled": rolled, "outcomes": dict(load.outcomes), "wrong": load.wrong[:20], **told}


if __name__ == "__main__":
    print(json.dumps(main()))
