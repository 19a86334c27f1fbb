"""The campaign's checker finds what it is there to find."""

import copy
from pathlib import Path
from typing import Any

import msgspec

from cluster.bench.account import check
from cluster.bench.faults.audit import Told, check_link
from cluster.bench.faults.journal import Journal, read_journal
from cluster.bench.faults.plan import KINDS, make_plan
from cluster.restaurants import DemoLink


def _states() -> tuple[list[str], dict[str, Any], dict[str, Any]]:
    placed = [f"platform-{number}" for number in range(3)]
    platform = {
        "orders": [
            {"id": key, "reference": f"ord-{number}", "history": [{"state": "OFFERED"}, {"state": "ACCEPTED"}]}
            for number, key in enumerate(placed)
        ],
        "rejected": [],
    }
    pos = {
        "orders": [
            {"reference": f"ord-{number}", "total": 100, "payments": [{"status": "COMPLETED", "amount": 100}]} for number in range(3)
        ],
        "rejected": [],
    }
    return placed, platform, pos


def test_a_clean_run_is_good() -> None:
    """Each order once in the POS, paid once, accepted: nothing to report."""
    assert check(*_states(), 0).good


def test_a_planted_loss_is_found() -> None:
    """An order that the POS does not have is lost."""
    placed, platform, pos = _states()
    pos["orders"].pop(1)
    report = check(placed, platform, pos, 0)
    assert report.lost == ["platform-1"]
    assert not report.good


def test_a_planted_double_is_found() -> None:
    """An order that the POS has twice is doubled."""
    placed, platform, pos = _states()
    pos["orders"].append(copy.deepcopy(pos["orders"][0]))
    report = check(placed, platform, pos, 0)
    assert report.doubled == ["platform-0"]
    assert not report.good


def test_other_faults_are_found() -> None:
    """Unpaid, paid twice, not accepted, a stranger in the POS, a refusal nobody injected, a dead letter."""
    placed, platform, pos = _states()
    pos["orders"][0]["payments"] = []
    pos["orders"][1]["payments"] *= 2
    platform["orders"][2]["history"].pop()
    pos["orders"].append({"reference": "ord-9", "total": 1, "payments": [{"status": "COMPLETED", "amount": 1}]})
    pos["rejected"].append({"method": "POST", "path": "/v2/orders", "reason": "missing field", "at": "", "injected": False})
    report = check(placed, platform, pos, 1)
    assert (report.unpaid, report.paid_twice, report.not_accepted) == (["platform-0"], ["platform-1"], ["platform-2"])
    assert report.strangers == ["ord-9"]
    assert len(report.refused) == 1
    assert not report.good


def test_an_order_a_person_was_told_of_is_no_loss_but_a_double_is() -> None:
    """Alerts in time excuse what is not there; nothing excuses what is there twice."""
    placed, platform, pos = _states()
    platform["orders"][1]["history"].pop()
    pos["orders"].pop(1)
    assert check(placed, platform, pos, 0).lost == ["platform-1"]
    report = check(placed, platform, pos, 0, alerted={"platform-1"})
    assert report.good
    assert report.alerted == ["platform-1"]
    pos["orders"].append(copy.deepcopy(pos["orders"][0]))
    assert not check(placed, platform, pos, 0, alerted=set(placed)).good


LINK = DemoLink("lnk_1", "ten_1", "square", "con_pos", "place", "doordash", "con_dd", "store")


def _told(**changes: Any) -> Told:
    orders = {f"platform-{n}": {"id": f"ord-{n}", "deadline_at": "2026-01-01T12:10:00Z"} for n in range(3)}
    return Told(**({"orders": orders, "alerts": [], "dead": {}} | changes))


def test_only_a_full_disk_explains_a_dead_letter_and_only_at_its_time() -> None:
    """What died while the disk was full, and was alerted, is explained; what died before is not, nor what a kill is said to explain."""
    placed, platform, pos = _states()
    platform["webhooks"] = {}
    dead = {"con_pos": [{"subject": "order/ord-1", "at": "2026-01-01T11:59:00Z"}]}
    alert = {
        "kind": "message.dead",
        "subject": "ord-1",
        "detail": "order.submit order/ord-1 is parked",
        "raised_at": "2026-01-01T12:00:30Z",
    }
    noon = 1767268800.0
    full = {"kind": "full", "began": noon, "ended": noon + 20}

    def look(told: Told, fault: dict[str, Any]) -> tuple[bool, int]:
        report = check_link(LINK, placed, {"square": pos, "doordash": platform}, told, [fault])
        return report.good, report.explained

    assert look(_told(dead=dead, alerts=[alert]), full) == (True, 1)
    assert look(_told(dead=dead, alerts=[alert]), {**full, "kind": "kill"}) == (False, 0)
    assert look(_told(dead=dead, alerts=[alert]), {**full, "began": noon + 300, "ended": noon + 320}) == (False, 0)
    assert look(_told(dead=dead), full) == (False, 0), "nobody was told"


def test_an_order_nobody_answered_for_is_owed_only_where_it_can_be_found() -> None:
    """DoorDash repeats nothing and has no list; Uber Eats has one, so that reconcile owes the order."""
    placed, platform, pos = _states()
    platform["orders"][1]["history"].pop()
    pos["orders"].pop(1)
    platform["webhooks"] = {"given_up_on": [{"kind": "orders", "subject": "", "body": '{"id": "platform-1"}'}]}
    told = _told()
    del told.orders["platform-1"]
    report = check_link(LINK, placed, {"square": pos, "doordash": platform}, told, [])
    assert (report.good, report.not_owed) == (True, ["platform-1"])
    uber = msgspec.structs.replace(LINK, platform="ubereats")
    assert check_link(uber, placed, {"square": pos, "ubereats": platform}, told, []).lost == ["platform-1"]


def test_an_alert_after_the_deadline_excuses_nothing() -> None:
    """A person who hears too late cannot help."""
    placed, platform, pos = _states()
    pos["orders"].pop(1)
    platform["webhooks"] = {}
    alert = {"kind": "order.late", "subject": "ord-1", "detail": "", "raised_at": "2026-01-01T12:09:59Z"}
    states = {"square": pos, "doordash": platform}
    assert check_link(LINK, placed, states, _told(alerts=[alert]), []).good
    assert not check_link(LINK, placed, states, _told(alerts=[{**alert, "raised_at": "2026-01-01T12:10:01Z"}]), []).good


def test_a_plan_is_its_seeds_and_covers_every_component() -> None:
    """The same seed plans the same; another one does not; the first round harms everything in every way."""
    assert make_plan(7, 600, list(KINDS)) == make_plan(7, 600, list(KINDS))
    assert make_plan(7, 600, list(KINDS)) != make_plan(8, 600, list(KINDS))
    ways = {(component, kind) for component, kinds in KINDS.items() for kind in kinds}
    plan = make_plan(7, 600, list(KINDS))
    assert {(fault.component, fault.kind) for fault in plan[: len(ways)]} == ways
    stops = [fault.seconds for fault in make_plan(7, 1800, list(KINDS)) if fault.kind == "stop"]
    assert min(stops) < 1.0
    assert max(stops) > 20.0
    assert {fault.component for fault in make_plan(7, 600, ["gcs", "valkey"])} == {"gcs", "valkey"}


def test_a_journal_outlives_a_line_that_was_cut_short(tmp_path: Path) -> None:
    """Its writer was killed in the middle of a line; the next one's lines are read all the same."""
    path = tmp_path / "journal.jsonl"
    Journal(path).write("campaign", seed=1)
    with path.open("a") as file:
        file.write('{"what": "placed", "orders": ["a')
    Journal(path).write("resumed")
    assert [line["what"] for line in read_journal(path)] == ["campaign", "resumed"]
