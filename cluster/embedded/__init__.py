"""The hub's own PostgreSQL and Valkey: binaries from packages, everything else (users, passwords, ports, recovery) ours."""

from cluster.embedded.account import Place, find_place
from cluster.embedded.errors import EmbeddedError
from cluster.embedded.postgres import PostgresUrls, start_postgres, stop_postgres
from cluster.embedded.servers import forget_head, remove_data, stop
from cluster.embedded.valkey import KEPT, start_valkey, stop_valkey

__all__ = [
    "KEPT",
    "EmbeddedError",
    "Place",
    "PostgresUrls",
    "find_place",
    "forget_head",
    "remove_data",
    "start_postgres",
    "start_valkey",
    "stop",
    "stop_postgres",
    "stop_valkey",
]
