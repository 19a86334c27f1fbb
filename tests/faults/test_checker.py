"""The campaign's checker finds what it is there to find."""

import copy
from typing import Any

from cluster.bench.account import check


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
