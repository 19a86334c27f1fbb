"""Every POS with every platform: an order arrives whole, is accepted once, and its states travel both ways."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hub.contract import InstalledProviders
from hub.database.pool import Database
from tests.integration.flow.town import town
from tests.integration.pairs.street import Street

KINDS = {slug: provider.facts.kind for slug, provider in InstalledProviders().all().items()}
POS = [slug for slug, kind in KINDS.items() if kind == "pos"]
PLATFORMS = [slug for slug, kind in KINDS.items() if kind == "delivery"]


@asynccontextmanager
async def street(database: Database, url: str, pos: str, platform: str, **wanted: Any) -> AsyncIterator[Street]:
    """A linked pair with its menu published."""
    async with town(database, url, kind=Street) as found:
        assert isinstance(found, Street)
        found.policies |= wanted.pop("policies", {})
        await found.pair(pos, platform, **wanted)
        found.start()
        await found.publish()
        yield found


pytestmark = [pytest.mark.postgres, pytest.mark.timeout(120)]
EVERY = [(pos, platform) for pos in POS for platform in PLATFORMS]
Counted = Counter[str]


def _units(items: list[dict[str, Any]], known: set[str]) -> tuple[Counted, Counted]:
    """How many of each dish, and of each option over all dishes; what a POS adds under other names (fees, adjustments) is left out."""
    dishes: Counted = Counter()
    options: Counted = Counter()
    for item in items:
        names = {str(item["name"]), f"{item['name']} ({item.get('variation')})"} & known
        if not names:
            continue
        dishes[names.pop()] += item["quantity"]
        for option in _flat(item.get("modifiers") or []):
            options[option["name"]] += option["quantity"] * item["quantity"]
    return dishes, options


def _flat(modifiers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for m in modifiers for each in (m, *_flat(m.get("modifiers") or []))]


def _lost(row: Any, *words: str) -> bool:
    return any(word in str(each["field"]).lower() or word in str(each["reason"]).lower() for each in row["not_carried"] for word in words)


def differences(platform: dict[str, Any], counter: dict[str, Any], row: Any) -> list[str]:
    """What is not the same on both sides and not listed as not carried."""
    known = {str(item["name"]) for item in platform["items"]}
    shown, wrong = json.dumps(counter, ensure_ascii=False), []
    sold, options = _units(platform["items"], known)
    made, chosen = _units(counter["items"], known)
    if sold != made and not _lost(row, "item", "line"):
        wrong.append(f"items: sold {dict(sold)}, made {dict(made)}")
    for name, count in options.items():
        if chosen[name] != count and not (name in shown and chosen[name] == 0) and not _lost(row, "modifier", "option", name.lower()):
            wrong.append(f"option {name}: sold {count}, made {chosen[name]}")
    notes = [item.get("note") for item in platform["items"]] + [platform.get("note")]
    for note in filter(None, notes):
        if json.dumps(note, ensure_ascii=False)[1:-1] not in shown and not _lost(row, "note"):
            wrong.append(f"note {note!r}")
    customer = str(platform.get("customer") or "")
    if customer and customer.split()[0] not in shown and not _lost(row, "customer", "name"):
        wrong.append(f"customer {customer!r}")
    owed = row["totals"]["merchant_total"]["amount"]
    due = counter.get("due", counter["total"])
    if due != owed and not _lost(row, "total"):
        wrong.append(f"total: owed {owed}, due {due}")
    if platform["currency"] != counter["currency"]:
        wrong.append("currency")
    return wrong


@pytest.mark.parametrize(("pos", "platform"), EVERY)
async def test_an_order_is_the_same_on_both_sides(database: Database, database_url: str, pos: str, platform: str) -> None:
    """Placed on the platform, once in the POS with all that was sold, for what the merchant is owed; accepted by a later call."""
    async with street(database, database_url, pos, platform) as here:
        for each in [here.buy() for _ in range(6)]:
            row = await here.state(each, "accepted")
            (counter,) = here.at_counter(row["id"])
            assert differences(here.at_platform(each), counter, row) == []
        assert not await here.rows("select * from hub.dead_letters")
        alerts = await here.rows("select kind, detail from hub.alerts where cleared_at is null")
        assert not alerts, [dict(alert) for alert in alerts]
        assert not [each for each in here.counter.state()["rejected"] if not each["injected"]]
