"""Every pair under each fault in turn, and with its owners gone in mid-work: nothing lost, nothing twice, or a person knows."""

import asyncio
from typing import Any

import pytest

from cluster.bench.account import check
from hub.contract import InstalledProviders
from hub.database.pool import Database
from hub.ownership.host import Host
from tests.integration.pairs.street import Street
from tests.integration.pairs.test_pairs import PLATFORMS, POS, street

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(180)]
ORDERS = 6
FAULTS: dict[str, dict[str, Any]] = {
    "latency": {"latency_ms": 80},
    "errors": {"error_rate": 0.1},
    "limits": {"rate_limit": 15},
    "lost answers": {"timeout_after_effect": 0.1, "hold_ms": 50},
    "duplicates": {"duplicate_webhooks": 0.3},
    "disorder": {"reorder_webhooks": 0.3},
    "garbled": {"malformed": 0.05},
    "lost calls": {"drop_webhooks": 0.3},
    "tokens": {"expire_tokens": 0.1},
    "everything": {
        "error_rate": 0.1,
        "timeout_after_effect": 0.05,
        "hold_ms": 50,
        "duplicate_webhooks": 0.3,
        "reorder_webhooks": 0.3,
        "expire_tokens": 0.05,
    },
    "owners killed": {"latency_ms": 30},
}
MATRIX = [(fault, pos, platform) for fault in FAULTS for pos in POS for platform in PLATFORMS]


def covering(fault: str, pos: str, platform: str) -> bool:
    """A subset of two pairs for each fault: over two faults that follow each other every POS and every platform is met."""
    at = list(FAULTS).index(fault)
    return (POS.index(pos) + PLATFORMS.index(platform) + at) % len(PLATFORMS) == 0 and POS.index(pos) // 2 == at % 2


def _cases() -> list[Any]:
    return [pytest.param(*case, marks=() if covering(*case) else pytest.mark.full, id=" ".join(case)) for case in MATRIX]


def _lost_for_good(slug: str) -> str:
    """What a vendor's page says of a call that got lost; nothing where the hub finds out by itself."""
    provider = InstalledProviders().get(slug)
    assert provider is not None
    return provider.facts.proof.lost_call


async def _kill(here: Street) -> None:
    """End both owners without a word, as kill -9 does: what they held stays claimed; new hosts take over."""
    for task in here.tasks:
        task.cancel()
    await asyncio.gather(*here.tasks, return_exceptions=True)
    here.tasks.clear()
    here.owners.hosts.clear()
    here.start(host=Host)


async def _accounted(here: Street, placed: list[str]) -> Any:
    rows = await here.rows("select id, platform_order_id from hub.orders")
    references = {row["platform_order_id"]: row["id"] for row in rows}
    dead = [dict(row) for row in await here.rows("select kind, subject, reason, detail from hub.dead_letters where resolved_at is null")]
    report = check(placed, here.delivery.state(), here.counter.state(), len(dead), references)
    return report if not dead else type(report)(**{**{f: getattr(report, f) for f in report.__struct_fields__}, "dead": dead})


@pytest.mark.parametrize(("fault", "pos", "platform"), _cases())
async def test_a_fault_loses_and_doubles_nothing(database: Database, database_url: str, fault: str, pos: str, platform: str) -> None:
    """Each order once in the POS and accepted; one that no vendor lets the hub find out about is at most once, with an alert."""
    if fault == "lost calls" and (never := _lost_for_good(pos) or _lost_for_good(platform)):
        pytest.skip(f"as its page says: {never}")
    async with street(database, database_url, pos, platform, policies={"reconcile_seconds": 2.0}) as here:
        for vendor in (here.counter, here.delivery):
            vendor.faults.set({**FAULTS[fault], "seed": 7})
        placed = []
        for number in range(ORDERS):
            placed.append(here.buy())
            if fault == "owners killed" and number % 2:
                await asyncio.sleep(0.15)
                await _kill(here)
        report = await _accounted(here, placed)
        for _ in range(450):
            if report.good:
                break
            await asyncio.sleep(0.2)
            report = await _accounted(here, placed)
        await asyncio.sleep(0.5)
        report = await _accounted(here, placed)
        assert not report.doubled
        assert not report.paid_twice
        alerted = {row["subject"] for row in await here.rows("select subject from hub.alerts where cleared_at is null")}
        known = {row["platform_order_id"]: row["id"] for row in await here.rows("select id, platform_order_id from hub.orders")}
        unknown = [key for key in (*report.lost, *report.not_accepted) if known.get(key) not in alerted]
        waiting = await here.rows("select m.kind, d.subject, d.tries from hub.due d join hub.messages m using (id)")
        assert not unknown, (report, [dict(row) for row in waiting])
        assert not report.dead_letters, report.dead
        exact = here.facts(pos).idempotency in ("key", "lookup")
        assert report.good or not exact, report
