"""Each component killed -9 or stopped while orders come in: every order is in the POS once, paid once, and accepted."""

import copy
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cluster.bench.account import Report
from cluster.bench.faults.audit import check_link, gather
from cluster.bench.faults.campaign import Campaign, link_name
from cluster.bench.faults.ground import Ground, open_ground
from cluster.bench.faults.journal import Journal
from cluster.bench.faults.plan import KINDS, Fault
from cluster.ray_cluster import connect, disconnect
from cluster.ray_environment import ray_environment, ray_folder
from cluster.sandbox_process import call
from hub.contract import InstalledProviders
from hub.settings import Settings

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]

SETTLE_SECONDS = 120.0
KILLED = [component for component, kinds in KINDS.items() if "kill" in kinds]
STOPPED = {"postgres": 3.0, "pos-owner": 14.0}
"""Stopped while orders come in: the database for a moment, an owner beyond the Supervisor's lease."""


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    """One hub for all of these tests: they also show that it survives one fault after another."""
    found = open_ground(Settings.load(environ={}), lambda text: None, ("square", "ubereats"), small_disk=False)
    yield found
    found.close()


def _campaign(ground: Ground, tmp_path: Path, fault: Fault) -> Report:
    """Orders placed before, during and after the fault, without vendor faults; the report once they are settled."""
    link = ground.restaurants.links[0]
    journal = Journal(tmp_path / "journal.jsonl")
    campaign = Campaign(ground, journal, lambda text: None, (link,), [fault], seed=1)
    campaign.run(orders=40, rate=15.0)
    assert [row.get("skipped") for row in campaign.course.done] == [None], campaign.course.done
    assert campaign.course.done[0]["pids"]
    (report,) = campaign.settle(SETTLE_SECONDS, calm_seconds=1.0).values()
    return report


@pytest.mark.parametrize("component", KILLED)
def test_a_killed_component_loses_and_doubles_nothing(ground: Ground, tmp_path: Path, component: str) -> None:
    """Orders placed before, during and after the kill all end accepted, once, with no dead letter."""
    report = _campaign(ground, tmp_path, Fault(1, 0.8, component, "kill"))
    assert report.good, json.dumps({"component": component, **msgspec.to_builtins(report)}, indent=2)
    assert report.alerted == []


@pytest.mark.parametrize("component", STOPPED)
def test_a_component_that_stood_still_loses_and_doubles_nothing(ground: Ground, tmp_path: Path, component: str) -> None:
    """The same for one that is stopped for a while and then goes on where it was."""
    report = _campaign(ground, tmp_path, Fault(1, 0.8, component, "stop", STOPPED[component]))
    assert report.good, json.dumps({"component": component, **msgspec.to_builtins(report)}, indent=2)


def test_a_loss_and_a_double_planted_in_a_real_state_are_found(ground: Ground, tmp_path: Path) -> None:
    """The state of a run that is good, with one order taken out of the POS and another put in twice."""
    link = ground.restaurants.links[0]
    campaign = Campaign(ground, Journal(tmp_path / "journal.jsonl"), lambda text: None, (link,), [], seed=1)
    campaign.run(orders=10, rate=20.0)
    (report,) = campaign.settle(SETTLE_SECONDS, calm_seconds=1.0).values()
    assert report.good
    placed = campaign.course.placed[link_name(link)]
    states, told = gather(ground, (link,))
    mine = told[link.tenant]
    at_pos = {order["reference"]: order for order in states[link.pos]["orders"]}
    states[link.pos]["orders"].remove(at_pos[mine.orders[placed[3]]["id"]])
    states[link.pos]["orders"].append(copy.deepcopy(at_pos[mine.orders[placed[5]]["id"]]))
    report = check_link(link, placed, states, mine, [])
    assert (report.lost, report.doubled, report.good) == ([placed[3]], [placed[5]], False)
    told_of = {
        "kind": "order.late",
        "subject": mine.orders[placed[3]]["id"],
        "detail": "",
        "raised_at": mine.orders[placed[3]]["placed_at"],
    }
    mine.alerts.append(told_of)
    report = check_link(link, placed, states, mine, [])
    assert (report.lost, report.alerted, report.doubled) == ([], [placed[3]], [placed[5]])


def test_no_secret_is_in_rays_state_or_logs(ground: Ground) -> None:
    """Vendors' secrets, the hub's keys and the databases' passwords: in processes' environments and nowhere that Ray shows."""
    settings = ground.settings
    head = ground.run.child("ray")
    assert head is not None
    # Ray reads its environment when it is imported, so not before it is set.
    assert "ray" not in sys.modules, "a test before this one imported Ray: it does not know this hub's environment"
    os.environ.update(ray_environment(settings))
    connect(f"127.0.0.1:{head.ports['port']}")
    from ray.util.state import list_actors, list_tasks, list_workers

    keys = settings.key_file.read_text().strip()
    known = call(ground.sandbox, "GET", "/_control")
    providers = InstalledProviders()
    fields = {slug: provider.facts.credentials for slug, provider in providers.all().items()}
    secrets = {
        value
        for slug, vendor in known.items()
        for name, value in vendor["credentials"].items()
        if name in fields[slug] and fields[slug][name].secret
    }
    secrets |= {keys.partition(":")[2], settings.database_url.split(":")[2].partition("@")[0]}
    secrets |= {login.password for login in ground.restaurants.logins}
    shown = "".join(
        json.dumps([row.__dict__ for row in rows], default=str)
        for rows in (list_actors(detail=True, limit=1000), list_tasks(detail=True, limit=1000), list_workers(detail=True, limit=1000))
    )
    disconnect()
    for path in (ray_folder(settings.home) / "session_latest" / "logs").rglob("*"):
        if path.is_file():
            shown += path.read_text(errors="replace")
    assert len(secrets) > 6
    assert "con_" in shown
    assert [secret[:4] for secret in secrets if secret and secret in shown] == []
