"""Which hosts move where when nodes come, drain and go."""

from hypothesis import given
from hypothesis import strategies as st

from hub.ownership.balance import Move, emptiest, plan

NODES = st.lists(st.sampled_from("abcdef"), unique=True, min_size=1)


def counts(where: dict[str, str], nodes: list[str]) -> list[int]:
    """How many hosts each node has."""
    return [list(where.values()).count(node) for node in nodes]


def test_a_new_node_gets_its_share_and_no_more() -> None:
    """Four hosts on two nodes become two, one and one; then nothing moves."""
    where = {"h1": "a", "h2": "a", "h3": "b", "h4": "b"}
    moves = plan(where, ["a", "b", "c"], [], 4)
    assert moves == [Move("h1", "c")]
    assert plan({**where, **dict(moves)}, ["a", "b", "c"], [], 4) == []


def test_a_draining_node_is_emptied_first() -> None:
    """What lives on it goes to the emptiest of the others."""
    where = {"h1": "a", "h2": "a", "h3": "b", "h4": "c"}
    assert plan(where, ["a", "b"], ["c"], 1) == [Move("h4", "b")]


def test_a_host_that_has_just_moved_rests() -> None:
    """Another one of its node moves, or none; only a drain moves it again."""
    where = {"h1": "a", "h2": "a", "h3": "a"}
    assert plan(where, ["a", "b"], [], 4, resting=["h1"]) == [Move("h2", "b")]
    assert plan(where, ["a", "b"], [], 4, resting=["h1", "h2", "h3"]) == []
    assert plan({"h1": "c"}, ["a"], ["c"], 4, resting=["h1"]) == [Move("h1", "a")]


def test_without_another_node_nothing_moves() -> None:
    """The last node keeps what it has, even when it is to drain."""
    assert plan({"h1": "a"}, [], ["a"], 4) == []


def test_a_dead_nodes_hosts_are_left_to_ray() -> None:
    """A host on a node that is neither usable nor draining is being started elsewhere."""
    assert plan({"h1": "gone", "h2": "a"}, ["a", "b"], [], 4) == []


def test_the_emptiest_node_gets_a_new_host() -> None:
    """The fewest hosts, then the first by name."""
    assert emptiest({"h1": "a"}, ["a", "b", "c"]) == "b"
    assert emptiest({}, []) is None


@given(st.dictionaries(st.text("hx", min_size=1), st.sampled_from("abcdef"), max_size=30), NODES, st.integers(1, 5))
def test_plans_end_in_balance(where: dict[str, str], nodes: list[str], at_once: int) -> None:
    """From any beginning, rounds of a few moves empty every draining node, end even, and never move more than allowed."""
    draining = [node for node in "abcdef" if node not in nodes]
    for _ in range(100):
        moves = plan(where, nodes, draining, at_once)
        assert len(moves) <= at_once
        assert len({move.host for move in moves}) == len(moves)
        if not moves:
            break
        where = {**where, **dict(moves)}
    assert set(where.values()) <= set(nodes)
    assert max(counts(where, nodes)) - min(counts(where, nodes)) < 2
