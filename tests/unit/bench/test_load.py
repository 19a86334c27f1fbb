"""What wrk prints, and when a round says nothing of the server."""

import pytest

from cluster.bench.cpu import Usage
from cluster.bench.load import Round, read_output, summary, verdict

PRINTED = """Running 6s test @ http://127.0.0.1:1
  Latency Distribution
     50%  905.00us
     75%   14.21ms
     90%   16.40ms
     99%    1.02s
  29712 requests in 6.00s, 4.31MB read
{}Requests/sec:   4951.11
Transfer/sec:    735.55KB
"""


def test_figures_are_read_from_what_wrk_prints() -> None:
    """Rate, median and 99th percentile in milliseconds, failures of both kinds, requests."""
    assert read_output(PRINTED.format("")) == (4951.11, 0.905, 1020.0, 0, 29712)
    failures = "  Socket errors: connect 0, read 3, write 0, timeout 1\n  Non-2xx or 3xx responses: 7\n"
    assert read_output(PRINTED.format(failures))[3] == 11
    with pytest.raises(ValueError, match="not what wrk prints"):
        read_output("unable to connect")


def test_a_round_is_void_when_the_server_was_not_the_limit() -> None:
    """A generator at its limit, or a machine that is partly idle with no process of the server's at its own, says nothing."""
    assert "generator used 0.95" in verdict(0.95, 1, 0.0, 0.99)
    assert "too little was asked" in verdict(0.2, 1, 0.4, 0.5)
    assert verdict(0.2, 1, 0.4, 0.97) == ""
    assert verdict(0.2, 1, 0.05, 0.5) == ""
    assert verdict(0.95, 2, 0.05, 0.5) == ""


def test_cpu_is_told_by_group_and_the_busiest_process() -> None:
    """Processes that came meanwhile count whole."""
    before = Usage({1: ("api", 10.0), 2: ("postgres", 5.0)})
    spent = Usage({1: ("api", 10.5), 2: ("postgres", 5.25), 3: ("postgres", 0.5)}).since(before)
    assert (spent.groups, spent.busiest) == ({"api": 0.5, "postgres": 0.75}, 0.5)


def test_failures_are_summed_and_most_rounds_decide() -> None:
    """The middle rate counts; one void round of three does not make all of it void."""
    rounds = [Round(rate, 1.0, 2.0, 1, {"api": rate}, 0.1, void) for rate, void in ((100.0, ""), (300.0, "why"), (200.0, ""))]
    found = summary(rounds)
    assert (found["rate"], found["failed"], found["void"], found["cpu_us_a_request"]) == (200.0, 3, "", {"api": 200.0})
    assert summary([*rounds, rounds[1], rounds[1]])["void"] == "why"
