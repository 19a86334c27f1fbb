"""Which hosts move to which node: off nodes that drain, then towards an even spread, a few at a time."""

from collections.abc import Collection, Mapping
from typing import NamedTuple


class Move(NamedTuple):
    """A host and the node that it is to live on."""

    host: str
    node: str


def emptiest(where: Mapping[str, str], usable: Collection[str]) -> str | None:
    """Choose the usable node with the fewest hosts, the first by name of several; None when no node is usable."""
    counts = _counts(where, usable)
    return min(sorted(counts), key=counts.__getitem__, default=None)


def plan(
    where: Mapping[str, str], usable: Collection[str], draining: Collection[str], at_once: int, resting: Collection[str] = ()
) -> list[Move]:
    """Choose at most `at_once` moves, from where each host lives now.

    Hosts that rest have moved a moment ago: they leave a node that drains, but stay on any other.

    A host on a node that is neither usable nor draining is left alone: Ray starts it elsewhere by itself. Counts that differ
    by one stay as they are, so that a balanced cluster moves nothing.
    """
    counts = _counts(where, usable)
    moves: list[Move] = []
    if not counts:
        return moves
    homes = dict(where)
    for host in sorted(host for host, node in where.items() if node in draining):
        moves.append(_move(host, homes, counts))
        if len(moves) >= at_once:
            return moves
    while len(moves) < at_once:
        fullest = max(sorted(counts), key=counts.__getitem__)
        if counts[fullest] - min(counts.values()) < 2:
            break
        movable = sorted(host for host, node in homes.items() if node == fullest and host not in resting)
        if not movable:
            break
        counts[fullest] -= 1
        moves.append(_move(movable[0], homes, counts))
    return moves


def _counts(where: Mapping[str, str], usable: Collection[str]) -> dict[str, int]:
    counts = dict.fromkeys(usable, 0)
    for node in where.values():
        if node in counts:
            counts[node] += 1
    return counts


def _move(host: str, homes: dict[str, str], counts: dict[str, int]) -> Move:
    node = min(sorted(counts), key=counts.__getitem__)
    homes[host] = node
    counts[node] += 1
    return Move(host, node)
