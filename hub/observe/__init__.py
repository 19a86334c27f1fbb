"""What an operator sees from outside: logs with one correlation id, metrics, and whether the hub is well."""

from hub.observe.correlation import Correlation, keep_correlation, new_correlation
from hub.observe.logs import configure_logging, redact
from hub.observe.metrics import REGISTRY

__all__ = ["REGISTRY", "Correlation", "configure_logging", "keep_correlation", "new_correlation", "redact"]
