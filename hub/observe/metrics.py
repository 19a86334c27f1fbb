"""Counters of this process, and the operator's figures from the database beside them, in Prometheus' text form."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry(auto_describe=False)
"""The hub's own registry. Nothing in it is labelled by tenant or connection."""

REQUESTS = Counter("hub_ingress_requests", "Vendor calls by provider and what became of them", ["provider", "outcome"], registry=REGISTRY)
FACTS = Counter("hub_ingress_facts", "Facts that vendors told us, new or known before", ["known"], registry=REGISTRY)
SECONDS = Histogram(
    "hub_ingress_seconds",
    "Seconds from a vendor's call to its answer",
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)
BATCH = Histogram("hub_ingress_batch_facts", "Facts stored by one commit", buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500), registry=REGISTRY)
BACKLOG = Gauge("hub_ingress_waiting_facts", "Facts that wait for their commit", registry=REGISTRY)
RETRIES = Counter("hub_ingress_store_retries", "Commits that had to be repeated", registry=REGISTRY)
INSIDE = Gauge("hub_front_inside", "Calls being answered before Serve's request path", ["lane"], registry=REGISTRY)
SHED = Counter("hub_front_shed", "Calls that were told to come again because too many were inside", ["lane"], registry=REGISTRY)
READS = Counter("hub_order_reads", "Reads of one order, answered in front or passed on to the API", ["by"], registry=REGISTRY)
READ_SECONDS = Histogram(
    "hub_order_read_seconds",
    "Seconds from a read of one order to its answer",
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)
READ_BATCH = Histogram("hub_order_read_batch", "Orders read by one call", buckets=(1, 2, 5, 10, 25, 50, 100, 250), registry=REGISTRY)
SOCKETS = Gauge("hub_live_sockets", "WebSockets that are open here", registry=REGISTRY)
WRITES = Counter("hub_live_writes", "Writes of events to sockets; one may carry several events", registry=REGISTRY)
TURNED_AWAY = Counter("hub_live_turned_away", "WebSockets refused because the process is full or closing", registry=REGISTRY)
BEHIND = Counter("hub_live_behind", "Times that a slow reader was told to read again", registry=REGISTRY)


def render(figures: Mapping[str, Any] | None) -> bytes:
    """The text of /metrics; `figures` is a row of hub.operator_figures(), None when the database did not answer."""
    parts = [generate_latest(REGISTRY), _gauge("hub_database_up", "1 when PostgreSQL answered", 0 if figures is None else 1)]
    if figures is not None:
        oldest: datetime | None = figures["oldest_due"]
        waiting = (figures["now"] - oldest).total_seconds() if oldest is not None else 0.0
        parts += [
            _gauge("hub_mailbox_ready", "Messages that may run now", figures["ready"]),
            _gauge("hub_mailbox_oldest_due_seconds", "How long the oldest of them has waited", max(0.0, waiting)),
            _gauge("hub_mailbox_dead", "Dead letters that nobody resolved", figures["dead"]),
            _gauge("hub_orders_open", "Orders that are not finished", figures["open_orders"]),
            _gauge("hub_orders_past_deadline", "Undecided orders past their deadline", figures["past_deadline"]),
        ]
    return b"".join(parts)


def _gauge(name: str, text: str, value: float) -> bytes:
    return f"# HELP {name} {text}\n# TYPE {name} gauge\n{name} {value}\n".encode()
