"""Logs without secrets and with one correlation id; health and metrics as an operator calls them."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import structlog

from hub.observe import Correlation, configure_logging, keep_correlation, new_correlation, redact
from hub.observe.operations import (
    NotWell,
    Operations,
    OperationsContext,
    migrations_check,
    owners_check,
    postgres_check,
    redis_check,
    supervision_check,
)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Where logs go during a test."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging("INFO", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_every_line_is_json_with_the_correlation_id(lines: io.StringIO) -> None:
    """Structlog's lines and the standard library's alike are one JSON object with level, time and the task's correlation id."""
    made = new_correlation()
    structlog.get_logger("hub.test").warning("stored", orders=3)
    logging.getLogger("other.library").error("it broke: %s", "badly")
    first, second = (json.loads(line) for line in lines.getvalue().splitlines())
    assert (first["event"], first["orders"], first["level"], first["logger"]) == ("stored", 3, "warning", "hub.test")
    assert (second["event"], second["level"], second["logger"]) == ("it broke: badly", "error", "other.library")
    assert first["correlation_id"] == second["correlation_id"] == made
    assert first["timestamp"].endswith("Z")


def test_secrets_and_personal_data_are_taken_out(lines: io.StringIO) -> None:
    """Neither keys that name secrets or people nor texts that look like tokens or addresses reach a log line."""
    secrets = ["hush-1", "hush-2", "+966500000000", "noura@example.test", "hub_0123456789abcdef0123", "s3cretpass"]
    structlog.get_logger("hub.test").error(
        "call failed for noura@example.test",
        access_token="hush-1",
        headers={"Authorization": "hush-2", "accept": "*/*"},
        order={"customer": {"phone": "+966500000000"}, "lines": [{"name": "Tea"}]},
        detail="sent Bearer hub_0123456789abcdef0123 to postgresql://hub:s3cretpass@host/db",
        raw=b"hush-1 in a body",
    )
    try:
        raise RuntimeError("token is Bearer hub_0123456789abcdef0123")
    except RuntimeError:
        structlog.get_logger("hub.test").exception("failed")
    text = lines.getvalue()
    assert [secret for secret in secrets if secret in text] == []
    line = json.loads(text.splitlines()[0])
    assert line["headers"]["accept"] == "*/*"
    assert line["order"]["lines"] == [{"name": "Tea"}]
    assert line["raw"] == "[16 bytes]"


def test_redaction_leaves_the_rest_alone() -> None:
    """Values that are no secrets keep their form, empty secrets show that they are empty."""
    value = {"count": 2, "items": ["a", None, 1.5], "token": "", "state": "ready"}
    assert redact(value) == value


def test_an_unknown_level_is_refused() -> None:
    """A level that doesn't exist is named in the error."""
    with pytest.raises(ValueError, match="loud"):
        configure_logging("loud")


@pytest.mark.parametrize(("given", "kept"), [("from-a-client.1", True), ("", False), ("a b", False), ("x\ny", False), ("x" * 101, False)])
def test_a_callers_own_correlation_id_is_kept_when_tame(given: str, kept: bool) -> None:
    """A caller's id goes on unless it could break a log or a header; then a new one is made."""
    found = keep_correlation(given)
    assert (found == given) is kept
    assert kept or found.startswith("cor_")
    assert Correlation.get() == found


class Database:
    """Rows by a part of their query; a missing one is a database that is away."""

    def __init__(self, **rows: dict[str, Any]) -> None:
        self.rows = rows

    async def fetchrow(self, query: str, *args: Any) -> Any:
        """The row whose name is in the query."""
        for name, row in self.rows.items():
            if name in query:
                return row
        raise ConnectionRefusedError("secret-host")


NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIGURES = {"ready": 3, "oldest_due": NOW - timedelta(seconds=90), "dead": 2, "open_orders": 5, "past_deadline": 1, "now": NOW}


async def _well() -> str:
    return "answers"


async def _ill() -> str:
    raise NotWell("it limps")


def _client(context: OperationsContext, peer: str = "127.0.0.1") -> httpx.AsyncClient:
    app: Any = Operations(context)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app, client=(peer, 1)), base_url="http://hub.test")


async def test_live_answers_without_any_dependency() -> None:
    """Liveness asks nobody."""
    async with _client(OperationsContext(database=Database(), vital={"postgres": _ill})) as client:
        assert (await client.get("/health/live")).json() == {"status": "live"}
        assert (await client.post("/health/live")).status_code == 405
        assert (await client.get("/health/else")).status_code == 404


@pytest.mark.parametrize(
    ("vital", "helpful", "status", "word"),
    [(_well, _well, 200, "ready"), (_well, _ill, 200, "degraded"), (_ill, _well, 503, "not ready")],
)
async def test_readiness_names_each_dependency(vital: Any, helpful: Any, status: int, word: str) -> None:
    """Only what is vital makes the hub not ready; whatever is ill is shown with its words."""
    async with _client(OperationsContext(database=Database(), vital={"postgres": vital}, helpful={"redis": helpful})) as client:
        answer = await client.get("/health/ready")
    assert answer.status_code == status
    assert answer.json()["status"] == word
    found = answer.json()["dependencies"]
    assert found["postgres"]["state"] == ("ok" if vital is _well else "down")
    assert found["redis"] == ({"state": "ok", "detail": "answers"} if helpful is _well else {"state": "down", "detail": "it limps"})


async def test_a_check_that_hangs_or_breaks_is_down_without_details(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dependency that doesn't answer is down in time, and what an exception says stays inside."""
    monkeypatch.setattr("hub.observe.operations._PATIENCE", 0.05)

    async def hangs() -> str:
        await asyncio.sleep(5)
        return ""

    async def breaks() -> str:
        raise RuntimeError("password of db.internal")

    async with _client(OperationsContext(database=Database(), vital={"a": hangs, "b": breaks})) as client:
        answer = await client.get("/health/ready")
    assert answer.status_code == 503
    assert "internal" not in answer.text
    assert {item["state"] for item in answer.json()["dependencies"].values()} == {"down"}


async def test_what_the_checks_look_for() -> None:
    """Durability switched off, a missing migration, an owner that lags and a Supervisor that is gone are each not well."""
    names = ("fsync", "full_page_writes", "synchronous_commit")
    assert await postgres_check(Database(fsync=dict.fromkeys(names, "on")))() == "answers"
    with pytest.raises(NotWell, match="synchronous_commit"):
        await postgres_check(Database(fsync={**dict.fromkeys(names, "on"), "synchronous_commit": "off"}))()
    assert await owners_check(Database(due_connections={"connections": 0, "ready": 0}))() == "keeping up"
    with pytest.raises(NotWell, match="7 messages of 2 connections"):
        await owners_check(Database(due_connections={"connections": 2, "ready": 7}))()
    assert await redis_check(_well)() == "answers"
    assert await supervision_check(object)() == "there"
    with pytest.raises(NotWell, match="Supervisor"):
        await supervision_check(lambda: None)()
    missing = [["0007_more"], []]

    async def pending() -> list[str]:
        return missing.pop(0)

    check = migrations_check(pending)
    with pytest.raises(NotWell, match="0007_more"):
        await check()
    assert await check() == await check() == "up to date"


@pytest.mark.parametrize(
    ("peer", "headers", "trusted", "status"),
    [
        ("127.0.0.1", {}, True, 200),
        ("::1", {}, True, 200),
        ("127.0.0.1", {}, False, 403),
        ("10.0.0.9", {}, True, 403),
        ("127.0.0.1", {"X-Forwarded-For": "10.0.0.9"}, True, 403),
        ("127.0.0.1", {"Forwarded": "for=10.0.0.9"}, True, 403),
        ("10.0.0.9", {"Authorization": "Bearer let-me-in"}, False, 200),
        ("10.0.0.9", {"Authorization": "Bearer let-me-on"}, False, 403),
    ],
)
async def test_who_may_read_metrics(peer: str, headers: dict[str, str], trusted: bool, status: int) -> None:
    """Metrics are for a caller on this machine that no proxy brought, where that is trusted, and for who has the token."""
    context = OperationsContext(database=Database(operator_figures=FIGURES), vital={}, metrics_token="let-me-in", trust_loopback=trusted)
    async with _client(context, peer) as client:
        assert (await client.get("/metrics", headers=headers)).status_code == status


async def test_no_token_set_lets_no_token_in() -> None:
    """Without a configured token an empty one opens nothing."""
    async with _client(OperationsContext(database=Database(operator_figures=FIGURES), vital={})) as client:
        assert (await client.get("/metrics", headers={"Authorization": "Bearer "})).status_code == 403


async def test_metrics_show_the_figures_and_go_on_without_them() -> None:
    """Figures of the database stand beside the process's counters; without the database the counters are still there."""
    context = OperationsContext(database=Database(operator_figures=FIGURES), vital={}, trust_loopback=True)
    async with _client(context) as client:
        text = (await client.get("/metrics")).text
    shown = ("hub_mailbox_ready 3", "hub_mailbox_oldest_due_seconds 90.0", "hub_mailbox_dead 2", "hub_orders_past_deadline 1")
    assert [line for line in shown if line not in text] == []
    async with _client(OperationsContext(database=Database(), vital={}, trust_loopback=True)) as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert "hub_database_up 0" in answer.text
    assert "hub_ingress_waiting_facts" in answer.text
