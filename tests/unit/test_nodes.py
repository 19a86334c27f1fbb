"""What a new node is told, and what it is refused for."""

import os
import stat
from pathlib import Path

import pytest

from cluster.node import check_node, invite, read_invitation
from cluster.ray_cluster import ray_environment
from cluster.run_file import RunFile, started_at
from cluster.start import NotHere, up
from hub.settings import Settings

SERVERS = {
    "HUB_DATABASE_URL": "postgresql://api:secret@10.0.0.9/hub",
    "HUB_ADMIN_DATABASE_URL": "postgresql://admin:topsecret@10.0.0.9/hub",
    "HUB_REDIS_URL": "redis://:word@10.0.0.9:6379/0",
    "HUB_RAY_REDIS_URL": "redis://:other@10.0.0.8:6379/0",
}
SHARED = {"HUB_API_REPLICAS": "2", "HUB_PASSIVE_AFTER_SECONDS": "7", "HUB_FACT_RETENTION_DAYS": "41", "HUB_EVENT_RETENTION_DAYS": "12"}


def head(home: Path) -> Settings:
    """Settings of a head that runs, as far as its home says."""
    settings = Settings.load({**SERVERS, "HUB_HOME": str(home), "HUB_NODE_ADDRESS": "10.0.0.1", **SHARED}, None)
    settings.open_master_keys(create=True)
    ray_environment(settings)
    run = RunFile(home)
    run.record("ray", os.getpid(), {"port": 7777})
    assert started_at(os.getpid())
    return settings


def test_an_invitation_makes_a_node(tmp_path: Path) -> None:
    """The file is private; with an address of its own a node has all it needs, and what is the head's alone is not in it."""
    settings = head(tmp_path / ".hub")
    file = tmp_path / "node.env"
    invite(settings, settings, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    told = read_invitation(file)
    node = Settings.load({**told, "HUB_HOME": str(tmp_path / "node"), "HUB_NODE_ADDRESS": "10.0.0.2"}, None)
    check_node(node)
    assert node.head_address == "10.0.0.1:7777"
    assert (node.api_replicas, node.passive_after_seconds, node.fact_retention_days, node.event_retention_days) == (2, 7, 41, 12)
    assert node.ray_token == (settings.home / "ray.token").read_text()
    assert node.open_master_keys().current == settings.open_master_keys().current
    text = file.read_text()
    assert "topsecret" not in text
    assert "other" not in text
    assert Path(ray_environment(node)["RAY_AUTH_TOKEN_PATH"]).read_text() == node.ray_token


def test_a_node_says_what_it_lacks(tmp_path: Path) -> None:
    """A node without its invitation names the variables."""
    settings = Settings.load({"HUB_HOME": str(tmp_path / ".hub"), "HUB_NODE_ADDRESS": "10.0.0.2"}, None)
    with pytest.raises(NotHere, match="HUB_HEAD_ADDRESS, HUB_RAY_TOKEN, HUB_DATABASE_URL"):
        check_node(settings)


def test_a_node_is_no_head(tmp_path: Path) -> None:
    """`hub up` on a further node is refused before anything starts, and so is an invitation from it."""
    environ = {**SERVERS, "HUB_HOME": str(tmp_path / ".hub"), "HUB_NODE_ADDRESS": "10.0.0.2", "HUB_HEAD_ADDRESS": "10.0.0.1:7777"}
    settings = Settings.load(environ, None)
    with pytest.raises(NotHere, match="hub node join"):
        up(settings, lambda _: None)
    with pytest.raises(NotHere, match="from the head"):
        invite(settings, settings, tmp_path / "node.env")
    assert not (tmp_path / ".hub").exists()


def test_a_file_that_is_no_invitation_is_refused(tmp_path: Path) -> None:
    """Anything else in it could set anything."""
    file = tmp_path / "node.env"
    file.write_text("HUB_PORT=8000\nLD_PRELOAD=/x.so\n")
    with pytest.raises(NotHere, match="no invitation"):
        read_invitation(file)


def test_loopback_is_left_only_when_asked(tmp_path: Path) -> None:
    """Ray's own addresses are the machine's only with HUB_NODE_ADDRESS; an operator's figures of node health stay."""
    alone = Settings.load({"HUB_HOME": str(tmp_path / ".hub")}, None)
    assert ray_environment(alone)["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert "RAY_health_check_period_ms" not in ray_environment(alone)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_health_check_period_ms", "5000")
        found = ray_environment(alone.replace(node_address="10.0.0.1"))
    assert found["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "1"
    assert found["RAY_health_check_period_ms"] == "5000"
