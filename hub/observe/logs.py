"""Logs as JSON lines on stderr. Secrets, tokens and personal data are taken out here, whoever logs them."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import msgspec
import structlog

from hub.observe.correlation import Correlation

HIDDEN = "[redacted]"

_KEYS = re.compile(
    r"secret|token|passw|authori[sz]ation|credential|signature|cookie|api_?key|private_?key|master_?key|totp|\bbody\b"
    r"|phone|e_?mail|address|customer|consumer_name|first_?name|last_?name|full_?name|latitude|longitude",
    re.IGNORECASE,
)
_VALUES = (
    re.compile(r"(?i)\b(bearer|basic)[ .]+[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"),
    re.compile(r"\b(hub|whsec)_[A-Za-z0-9+/=_-]{16,}"),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
    re.compile(r"\b[\w.+-]+@[\w-]+\.[\w.-]+\b"),
)
_KEPT = frozenset({"event", "level", "logger", "timestamp", "correlation_id"})


def redact(value: Any) -> Any:
    """Copy a value with what is under secret or personal keys, and what looks like a token or an address, replaced."""
    if isinstance(value, str):
        for pattern in _VALUES:
            value = pattern.sub(HIDDEN, value)
        return value
    if isinstance(value, Mapping):
        return {key: HIDDEN if _KEYS.search(str(key)) and item not in (None, "") else redact(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item) for item in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    return value


def _redacted(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if key not in _KEPT and _KEYS.search(key) and value not in (None, ""):
            event[key] = HIDDEN
        else:
            event[key] = redact(value)
    return event


def _correlated(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    correlation = Correlation.get()
    if correlation and "correlation_id" not in event:
        event["correlation_id"] = correlation
    return event


def _json(value: Any, **_: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


def configure_logging(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every log line of this process, structlog's and the standard library's, as JSON to a stream (stderr by default).

    Raises ValueError for an unknown level.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"unknown log level {level!r}: use DEBUG, INFO, WARNING or ERROR")
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _correlated,
    ]
    last: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        _redacted,
        structlog.processors.JSONRenderer(serializer=_json),
    ]
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
