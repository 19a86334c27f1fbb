"""Both vendors' states and the hub's own word, gathered for the checker, a link at a time."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from cluster.bench.account import Report, check, reference_in
from cluster.bench.faults.ground import Ground
from cluster.restaurants import DemoLink, Door
from cluster.sandbox_process import call
from hub.contract import InstalledProviders

if TYPE_CHECKING:
    from cluster.bench.faults.campaign import Course

EXPLAINED_SECONDS = 60.0
"""How long after a full disk was free again a death is still put down to it."""


NEVER = "1970-01-01T00:00:00Z"


class Told(msgspec.Struct, frozen=True):
    """What a tenant's hub says: its orders by the platform's ids, subjects of alerts with their times, dead letters by connection."""

    orders: dict[str, dict[str, Any]]
    alerts: list[dict[str, Any]]
    dead: dict[str, list[dict[str, Any]]]


def audit(ground: Ground, links: tuple[DemoLink, ...], course: "Course") -> dict[str, Report]:
    """Check every link; raises OSError or RuntimeError while the hub does not answer."""
    from cluster.bench.faults.campaign import link_name

    states, told = gather(ground, links)
    placed = course.placed
    return {link_name(link): check_link(link, placed[link_name(link)], states, told[link.tenant], course.done) for link in links}


def gather(ground: Ground, links: tuple[DemoLink, ...]) -> tuple[dict[str, Any], dict[str, Told]]:
    """The vendors' states by slug, and what the hub tells each tenant."""
    slugs = {slug for link in links for slug in (link.pos, link.platform)}
    states = {slug: call(ground.sandbox, "GET", f"/_control/{slug}/state") for slug in slugs}
    tenants = {link.tenant for link in links}
    return states, {tenant: _told(ground.door(tenant), [link for link in links if link.tenant == tenant]) for tenant in tenants}


def check_link(link: DemoLink, placed: list[str], states: dict[str, Any], told: Told, faults: list[dict[str, Any]]) -> Report:
    """Check one link: only orders whose POS order can be its own, only what is owed, only deaths that no fault explains."""
    mine = {key: str(order["id"]) for key, order in told.orders.items()}
    wanted = {mine[key] for key in placed if key in mine}
    others = {reference for key, reference in mine.items() if reference not in wanted}
    pos = dict(states[link.pos])
    pos["orders"] = [order for order in pos["orders"] if reference_in(order["reference"]) not in others]
    owed = [key for key in placed if key in mine or not _given_up(link, key, states[link.platform])]
    dead = [row for side in (link.pos_connection, link.delivery_connection) for row in told.dead.get(side, [])]
    full = [fault for fault in faults if fault["kind"] == "full" and "skipped" not in fault]
    explained = [row for row in dead if any(_within(_died(row, told), fault) for fault in full)]
    unexplained = [row for row in dead if row not in explained]
    report = check(owed, states[link.platform], pos, len(unexplained), mine, alerted=_alerted(owed, told))
    return msgspec.structs.replace(report, dead=unexplained, explained=len(explained), not_owed=[key for key in placed if key not in owed])


def _died(row: dict[str, Any], told: Told) -> str:
    """When a message died: its alert says so, with its subject in the detail; nobody was told of one without."""
    times = [alert["raised_at"] for alert in told.alerts if alert["kind"] == "message.dead" and row["subject"] in alert["detail"]]
    return min(times) if times else NEVER


def _within(at: str, fault: dict[str, Any]) -> bool:
    moment = datetime.fromisoformat(at).timestamp()
    return bool(fault["began"] - 1 <= moment <= fault["ended"] + EXPLAINED_SECONDS)


def _given_up(link: DemoLink, key: str, platform: dict[str, Any]) -> bool:
    """The platform never got a 2xx for this order, repeats no more, and has no list in which reconcile could find it."""
    provider = InstalledProviders().get(link.platform)
    if provider is not None and "order_list" in provider.facts.capabilities:
        return False
    return any(key in row["body"] for row in platform["webhooks"].get("given_up_on", ()))


def _alerted(keys: list[str], told: Told) -> set[str]:
    """Orders a person was told about before their deadline."""
    found = set()
    subjects: dict[str, list[str]] = {}
    for alert in told.alerts:
        subjects.setdefault(alert["subject"].removeprefix("order/"), []).append(alert["raised_at"])
    for key in keys:
        order = told.orders.get(key)
        times = subjects.get(key, []) + (subjects.get(order["id"], []) if order is not None else [])
        limit = (order or {}).get("deadline_at")
        if times and (limit is None or datetime.fromisoformat(min(times)) <= datetime.fromisoformat(limit)):
            found.add(key)
    return found


def _told(door: Door, links: list[DemoLink]) -> Told:
    connections = sorted({side for link in links for side in (link.pos_connection, link.delivery_connection)})
    return Told(
        orders={order["platform_order_id"]: order for order in _pages(door, "/orders?limit=200")},
        alerts=list(_pages(door, "/alerts?state=all&limit=200")),
        dead={each: list(_pages(door, f"/connections/{each}/messages?state=dead&limit=50")) for each in connections},
    )


def _pages(door: Door, path: str) -> Iterator[dict[str, Any]]:
    cursor = ""
    while True:
        page = door("GET", f"{path}{f'&cursor={cursor}' if cursor else ''}")
        yield from page["items"]
        cursor = page["next_cursor"] or ""
        if not cursor:
            return
