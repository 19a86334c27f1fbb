"""`hub doctor` on settings for several machines."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.doctor import Finding, examine
from hub.settings import Settings


def found(home: Path, **variables: str) -> dict[str, Finding]:
    """Findings by their check."""
    settings = Settings.load({"HUB_HOME": str(home / ".hub"), **variables}, None)
    return {finding.check: finding for finding in examine(settings)}


@pytest.fixture
def listener() -> Iterator[int]:
    """A port on loopback where somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_one_machine_hears_nothing_of_nodes(tmp_path: Path) -> None:
    """The default has neither node nor head."""
    assert not {"node address", "head", "the head's memory"} & found(tmp_path).keys()


def test_a_strangers_address_is_told(tmp_path: Path) -> None:
    """A node's address must be the machine's own."""
    assert found(tmp_path, HUB_NODE_ADDRESS="127.0.0.1")["node address"].level == "ok"
    wrong = found(tmp_path, HUB_NODE_ADDRESS="192.0.2.7")["node address"]
    assert (wrong.level, "own address" in wrong.mend) == ("fail", True)


def test_a_head_that_does_not_answer_is_told(tmp_path: Path, listener: int) -> None:
    """With what to look at."""
    given = {"HUB_NODE_ADDRESS": "127.0.0.1", "HUB_RAY_TOKEN": "token"}
    assert found(tmp_path, HUB_HEAD_ADDRESS=f"127.0.0.1:{listener}", **given)["head"].level == "ok"
    silent = found(tmp_path, HUB_HEAD_ADDRESS="127.0.0.1:1", **given)["head"]
    assert (silent.level, "firewall" in silent.mend) == ("fail", True)


def test_the_heads_memory_is_a_server_of_its_own(tmp_path: Path) -> None:
    """Another database of the same server is the same server."""
    given = {"HUB_REDIS_URL": "redis://127.0.0.1:1/0"}
    same = found(tmp_path, HUB_RAY_REDIS_URL="redis://127.0.0.1:1/1", **given)["the head's memory"]
    assert same.level == "fail"
    assert "the head's memory" not in found(tmp_path, HUB_RAY_REDIS_URL="redis://127.0.0.1:2/0", **given)
