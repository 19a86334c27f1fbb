"""`hub demo`: the whole product on one machine, with simulated vendors and two invented restaurants."""

import json
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from cluster.output import reserve_stdout
from cluster.restaurants import DemoLink, Door, Restaurants, open_restaurants
from cluster.sandbox_process import call, start_sandbox, stop_sandbox
from cluster.start import Running, Say, down, up
from hub.settings import Settings

ACCEPT_SECONDS = 60.0


def run_demo(settings: Settings, *, once: bool, as_json: bool, port: int, say: Say, wait: Callable[[], None]) -> int:
    """Run the demo; returns the exit code."""
    began = time.monotonic()
    reserve_stdout()
    settings = settings.replace(port=port)
    sandbox = start_sandbox(settings.home)
    settings = settings.replace(sandbox_url=sandbox)
    try:
        running = up(settings, say)
        try:
            say("opening two restaurants")
            restaurants = open_restaurants(running.settings, sandbox)
            if once:
                orders = _one_each(running.settings, sandbox, restaurants, say)
                _print(running, sandbox, restaurants, orders, began, as_json)
                return 0 if orders and all(order["state"] == "accepted" for order in orders) else 1
            _print(running, sandbox, restaurants, [], began, as_json)
            stop = threading.Event()
            thread = threading.Thread(target=_keep_ordering, args=(sandbox, restaurants.links, stop), daemon=True)
            thread.start()
            wait()
            stop.set()
            return 0
        finally:
            say("draining")
            down(running)
    finally:
        stop_sandbox(settings.home)


def _order(sandbox: str, link: DemoLink) -> str:
    placed = call(sandbox, "POST", f"/_control/{link.platform}/orders", {"store": link.delivery_store_ref})
    return str(placed["orders"][0])


def _one_each(settings: Settings, sandbox: str, restaurants: Restaurants, say: Say) -> list[dict[str, Any]]:
    say(f"ordering once on each of {len(restaurants.links)} links")
    placed = [(link, _order(sandbox, link)) for link in restaurants.links]
    root = f"http://{settings.host}:{settings.port}"
    return [_follow(Door(root, restaurants.tokens[link.tenant]), link, order) for link, order in placed]


def _follow(door: Door, link: DemoLink, platform_order_id: str) -> dict[str, Any]:
    limit = time.monotonic() + ACCEPT_SECONDS
    found: dict[str, Any] | None = None
    while time.monotonic() < limit:
        items = door("GET", f"/orders?text={platform_order_id}")["items"]
        found = items[0] if items else None
        if found is not None and found["state"] != "received":
            break
        time.sleep(0.1)
    if found is None:
        return {
            "link": link.id, "pos": link.pos, "platform": link.platform, "order_id": None, "state": "missing",
            "platform_order_id": platform_order_id, "pos_order_id": None, "timeline": [],
        }  # fmt: skip
    timeline = door("GET", f"/orders/{found['id']}/timeline")["items"]
    return {
        "link": link.id,
        "pos": link.pos,
        "platform": link.platform,
        "order_id": found["id"],
        "state": found["state"],
        "platform_order_id": platform_order_id,
        "pos_order_id": found["pos_order_id"],
        "timeline": [{key: step.get(key) for key in ("step", "at", "detail")} for step in timeline],
    }


def _keep_ordering(sandbox: str, links: tuple[DemoLink, ...], stop: threading.Event) -> None:
    while not stop.wait(random.uniform(2.0, 5.0)):  # noqa: S311 - no secret
        link = random.choice(links)  # noqa: S311 - no secret
        try:
            _order(sandbox, link)
        except OSError:
            continue


def _print(
    running: Running,
    sandbox: str,
    restaurants: Restaurants,
    orders: list[dict[str, Any]],
    began: float,
    as_json: bool,
) -> None:
    root = running.settings.registered_url
    urls = {
        "api": f"{root}/api/v1",
        "sandbox": sandbox,
        "docs": f"{root}/api/v1/docs",
        "stream": f"{root.replace('http', 'ws', 1)}/api/v1/stream",
        "dashboard": running.dashboard_url,
    }
    seconds = round(time.monotonic() - began, 1)
    good = all(order["state"] == "accepted" for order in orders)
    if as_json:
        found = {
            "ok": good,
            "urls": urls,
            "logins": msgspec.to_builtins(restaurants.logins),
            "links": msgspec.to_builtins(restaurants.links),
            "orders": orders,
            "seconds": seconds,
        }
        print(json.dumps(found), file=reserve_stdout(), flush=True)
        return
    console = Console(file=reserve_stdout())
    where = Table("what", "where", title=f"Integration Hub demo, ready after {seconds} s")
    for name, url in urls.items():
        where.add_row(name, url)
    for login in restaurants.logins:
        where.add_row(f"login ({login.role})", f"{login.email}  {login.password}")
    console.print(where)
    for order in orders:
        steps = Table("step", "at", "detail", title=f"{order['platform']} → {order['pos']}: {order['state']}")
        for step in order["timeline"]:
            steps.add_row(step["step"], step["at"], json.dumps(step["detail"]) if step["detail"] else "")
        console.print(steps)
