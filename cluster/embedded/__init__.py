"""The hub's own PostgreSQL and Valkey: binaries from packages, everything else (users, passwords, ports, recovery) ours."""

from cluster.embedded.account import Place, find_place
from cluster.embedded.errors import EmbeddedError
from cluster.embedded.postgres import PostgresUrls, start_postgres, stop_postgres
from cluster.embedded.servers import remove_data, stop
from cluster.embedded.valkey import start_valkey, stop_valkey

__all__ = [
    "EmbeddedError",
    "Place",
    "PostgresUrls",
    "find_place",
    "remove_data",
    "start_postgres",
    "start_valkey",
    "stop",
    "stop_postgres",
    "stop_valkey",
]
