"""Which host a connection gets."""

from hypothesis import given
from hypothesis import strategies as st

from hub.ownership.placement import place


def test_one_a_host_is_a_host_of_its_own() -> None:
    """The host has the connection's name."""
    assert place(["a", "b"], {"hosts-0001": 1}, 1) == {"a": "a", "b": "b"}


def test_the_fullest_host_with_room_is_filled_first_and_new_names_are_new() -> None:
    """No process is started while another has room; hosts of single connections take nobody in."""
    loads = {"hosts-0001": 1, "hosts-0002": 2, "hosts-0003": 3, "con_x": 1}
    assert place(["a", "b", "c", "d"], loads, 3) == {"a": "hosts-0002", "b": "hosts-0001", "c": "hosts-0001", "d": "hosts-0004"}


@given(
    count=st.integers(0, 60),
    loads=st.dictionaries(st.sampled_from(["hosts-0001", "hosts-0002", "hosts-0009", "con_x"]), st.integers(0, 30)),
    per_host=st.integers(2, 25),
)
def test_no_host_gets_more_than_it_may(count: int, loads: dict[str, int], per_host: int) -> None:
    """Whatever was there before: everybody is placed, no host beyond its limit is added to, none is opened without need."""
    chosen = place([f"con_{n}" for n in range(count)], loads, per_host)
    assert len(chosen) == count
    after = dict(loads)
    for host in chosen.values():
        after[host] = after.get(host, 0) + 1
    assert all(total <= per_host for host, total in after.items() if host in set(chosen.values()))
    fresh = [host for host in set(chosen.values()) if host not in loads]
    room = sum(max(0, per_host - n) for host, n in loads.items() if host.startswith("hosts-"))
    assert len(fresh) == max(0, -(-(count - room) // per_host))
