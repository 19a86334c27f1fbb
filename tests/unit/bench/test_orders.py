"""The orders' bench: how many it places, and when it says that a run tells nothing."""

from cluster.bench.orders import Load, void


def test_a_closed_loop_keeps_so_many_orders_under_way() -> None:
    """And no more than were asked for in all."""
    load = Load(in_flight=64, seconds=60)
    assert load.wanted(1.0, 100, 60) == 24
    assert load.wanted(1.0, 100, 36) == 0
    assert Load(in_flight=64, count=110).wanted(1.0, 100, 100) == 10


def test_an_open_loop_places_what_is_due() -> None:
    """By the time that has passed, not by what was accepted."""
    load = Load(rate=10, seconds=60)
    assert load.wanted(0.0, 0, 0) == 1
    assert load.wanted(2.0, 18, 0) == 3
    assert load.wanted(2.0, 21, 0) == 0


def test_a_run_ends_by_time_or_by_number() -> None:
    """Whichever was asked for."""
    assert Load(seconds=60).is_over(60.0, 5)
    assert not Load(seconds=60).is_over(59.9, 5_000)
    assert Load(count=10).is_over(0.1, 10)


def test_a_run_whose_generator_or_vendors_had_no_time_left_is_void() -> None:
    """As is one that placed too little; the others stand."""
    load = Load(rate=100, seconds=10)
    assert void(load, {"generator": 1.0, "simulators": 5.0}, 10.0, 1000, 10.0) == []
    assert "the generator" in void(load, {"generator": 9.8}, 10.0, 1000, 10.0)[0]
    assert "the simulated vendors" in void(load, {"simulators": 9.5}, 10.0, 1000, 10.0)[0]
    assert "900 orders" in void(load, {}, 10.0, 900, 10.0)[0]
