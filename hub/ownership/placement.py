"""Which host a connection gets: its own, or one of those that several share."""

from collections.abc import Iterable, Mapping

SHARED = "hosts-"
"""The names of shared hosts begin so; a host of a connection's own has the connection's name."""


def place(connections: Iterable[str], loads: Mapping[str, int], per_host: int) -> dict[str, str]:
    """A host for each of these connections, given how many each host has already.

    With one connection a host it is the connection's own. Else the fullest shared host that still has room is filled first, so that
    as few processes as possible run.
    """
    if per_host <= 1:
        return {connection: connection for connection in connections}
    counts = {host: count for host, count in loads.items() if host.startswith(SHARED)}
    room = sorted((host for host in counts if counts[host] < per_host), key=lambda host: counts[host])
    chosen: dict[str, str] = {}
    number = 0
    for connection in connections:
        while room and counts[room[-1]] >= per_host:
            room.pop()
        if not room:
            while f"{SHARED}{(number := number + 1):04}" in counts:
                pass
            host = f"{SHARED}{number:04}"
            counts[host] = 0
            room.append(host)
        counts[room[-1]] += 1
        chosen[connection] = room[-1]
    return chosen
