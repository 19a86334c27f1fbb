"""The bars of `hub bench all`: met, missed, and those of which nothing can be said."""

import json

import pytest

from cluster.bench import everything
from cluster.bench.everything import BARS, Bar, bench_all, runs


def test_a_bar_is_met_missed_or_not_told() -> None:
    """A void run, a missing run and a missing figure say neither yes nor no."""
    bar = Bar("ingest", ("ratio",), ">=", 1.0, "")
    assert bar.verdict({"ingest": {"ratio": 1.0, "void": ""}})["met"] is True
    assert bar.verdict({"ingest": {"ratio": 0.9}})["met"] is False
    assert bar.verdict({"ingest": {"ratio": 1.5, "void": "the generator was the limit"}})["met"] is None
    assert bar.verdict({"ingest": {}})["met"] is None
    assert bar.verdict({})["met"] is None


def test_every_bar_names_a_run() -> None:
    """No bar is held against a run that there is not."""
    assert {bar.run for bar in BARS} <= runs("", "", 60).keys()


def test_a_run_that_prints_nonsense_is_void_and_makes_the_whole_not_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other runs go on."""
    outputs = iter([b"no figures", *(json.dumps({"ratio": 2.0}).encode() for _ in range(20))])
    monkeypatch.setattr(everything.subprocess, "run", lambda *_, **__: type("Done", (), {"stdout": next(outputs)}))
    found = bench_all(lambda _: None)
    met = {bar["bar"]: bar["met"] for bar in found["bars"]}
    assert met["ingest ratio >= 1 of the other server's rate"] is None
    assert met["read ratio >= 0.6 of the other server's rate"] is True
    assert not found["good"]
