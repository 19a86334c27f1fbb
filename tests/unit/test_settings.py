"""Settings: where they come from, which faults are named, and that secrets stay unseen."""

import base64
import stat
from pathlib import Path

import pytest

from hub.settings import Settings, SettingsError, known_variables

KEY = base64.b64encode(bytes(range(32))).decode()
URL = "postgresql://hub_api:hunter2@db.internal:5432/hub"


def test_defaults_serve_on_loopback_with_embedded_servers() -> None:
    """Without any variable the hub listens on loopback and runs its own servers, with no sandbox and no default key."""
    settings = Settings.load({}, None)
    assert (settings.host, settings.port, settings.sandbox_url, settings.master_keys) == ("127.0.0.1", 8000, "", "")
    assert settings.embedded_postgres
    assert settings.embedded_valkey
    assert settings.home.is_absolute()
    assert settings.registered_url == "http://127.0.0.1:8000"


def test_environment_wins_over_file(tmp_path: Path) -> None:
    """A variable overrides the file's key, and a key without a variable holds."""
    file = tmp_path / "own.toml"
    file.write_text('port = 8100\nlog_level = "debug"\n')
    settings = Settings.load({"HUB_PORT": "8200"}, file)
    assert (settings.port, settings.log_level) == (8200, "debug")


def test_unknown_names_are_refused_with_the_known_ones(tmp_path: Path) -> None:
    """A misspelt variable or key is an error that lists what is known, both in one message."""
    file = tmp_path / "own.toml"
    file.write_text("prot = 8100\n")
    with pytest.raises(SettingsError) as caught:
        Settings.load({"HUB_PROT": "1"}, file)
    assert "unknown variable HUB_PROT" in str(caught.value)
    assert "unknown key 'prot'" in str(caught.value)
    assert "HUB_PORT" in str(caught.value)


def test_folder_of_vendor_specifications_is_not_a_setting() -> None:
    """The test suite's HUB_VENDOR_SPECS is let through, and other programs' variables too."""
    Settings.load({"HUB_VENDOR_SPECS": "/specs", "HUBBLE": "1"}, None)


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("HUB_PORT", "abc", "HUB_PORT"),
        ("HUB_PORT", "0", "HUB_PORT"),
        ("HUB_PORT", "65536", "HUB_PORT"),
        ("HUB_PORT", "-1", "HUB_PORT"),
        ("HUB_MAX_BODY_BYTES", "10", "HUB_MAX_BODY_BYTES"),
        ("HUB_RECONCILE_SECONDS", "0", "HUB_RECONCILE_SECONDS"),
        ("HUB_LOG_LEVEL", "loud", "HUB_LOG_LEVEL"),
        ("HUB_DATABASE_URL", "db.internal:5432", "postgresql://"),
        ("HUB_DATABASE_URL", "postgresql://[", "postgresql://"),
        ("HUB_REDIS_URL", "http://x/", "redis://"),
        ("HUB_ACTOR_DATABASE_URL", URL, "without HUB_DATABASE_URL"),
        ("HUB_MASTER_KEYS", "k1:short", "32 bytes"),
        ("HUB_MASTER_KEYS", f"k1:{KEY},k1:{KEY}", "twice"),
        ("HUB_MASTER_KEYS", KEY, "key 1"),
        ("HUB_HOST", "a\0b", "NUL"),
    ],
)
def test_bad_values_name_their_variable(name: str, value: str, part: str) -> None:
    """A value out of range or of the wrong form is refused with a message that says where and what is wanted."""
    with pytest.raises(SettingsError) as caught:
        Settings.load({name: value}, None)
    assert part in str(caught.value)


def test_empty_variable_counts_as_unset() -> None:
    """`HUB_DATABASE_URL=` in a shell or a compose file means the default."""
    assert Settings.load({"HUB_DATABASE_URL": "", "HUB_PORT": ""}, None) == Settings.load({}, None)


@pytest.mark.parametrize(("content", "part"), [("port = ", "not TOML"), ("port = 'x'", "port in"), ("port = true", "port in")])
def test_bad_file_is_a_clear_error(tmp_path: Path, content: str, part: str) -> None:
    """A damaged file or a value of the wrong type is refused by name."""
    file = tmp_path / "own.toml"
    file.write_text(content)
    with pytest.raises(SettingsError, match=part):
        Settings.load({}, file)


def test_missing_file_that_was_named_is_an_error(tmp_path: Path) -> None:
    """Only the default hub.toml may be absent."""
    with pytest.raises(SettingsError, match="cannot be read"):
        Settings.load({}, tmp_path / "absent.toml")


def test_repr_hides_secrets() -> None:
    """Neither passwords nor keys nor tokens can reach a log through repr."""
    environ = {
        "HUB_DATABASE_URL": URL,
        "HUB_REDIS_URL": "redis://:hunter2@cache:6379/0",
        "HUB_MASTER_KEYS": f"k1:{KEY}",
        "HUB_METRICS_TOKEN": "hunter2",
    }
    text = repr(Settings.load(environ, None))
    assert "hunter2" not in text
    assert KEY not in text
    assert "db.internal" in text


def test_bad_secret_is_not_repeated_in_the_error() -> None:
    """An error about a secret variable does not show its value."""
    with pytest.raises(SettingsError) as caught:
        Settings.load({"HUB_MASTER_KEYS": "hunter2", "HUB_DATABASE_URL": "hunter2"}, None)
    assert "hunter2" not in str(caught.value)


def test_children_load_the_same_settings() -> None:
    """What to_environ gives makes equal settings in a child, whatever was set and wherever the child runs."""
    environ = {"HUB_DATABASE_URL": URL, "HUB_PORT": "8300", "RAY_ADDRESS": "10.0.0.1:6379", "HUB_HOME": "a b/.hub"}
    settings = Settings.load(environ, None)
    assert Settings.load(settings.to_environ(), None) == settings
    assert settings.actor_database_url == URL
    assert set(settings.to_environ()) <= set(known_variables())


def test_key_file_is_made_once_and_private(tmp_path: Path) -> None:
    """The first start makes a random key that only its owner reads; later ones open what it sealed."""
    settings = Settings.load({"HUB_HOME": str(tmp_path / "home")}, None)
    with pytest.raises(SettingsError, match="no master keys"):
        settings.open_master_keys()
    sealed = settings.open_master_keys(create=True).seal(b"x", "t")
    assert stat.S_IMODE(settings.key_file.stat().st_mode) == 0o600
    assert settings.open_master_keys(create=True).open(sealed, "t") == b"x"
    assert [path.name for path in settings.home.iterdir()] == ["master.keys"]


def test_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Keys that were open to others are not used silently."""
    settings = Settings.load({"HUB_HOME": str(tmp_path)}, None)
    settings.open_master_keys(create=True)
    settings.key_file.chmod(0o640)
    with pytest.raises(SettingsError, match="readable by others"):
        settings.open_master_keys()


def test_master_keys_rotate_by_being_listed(tmp_path: Path) -> None:
    """The first key seals; a key that moved to the second place still opens."""
    other = base64.b64encode(bytes(32)).decode()
    old = Settings.load({"HUB_MASTER_KEYS": f"k1:{KEY}"}, None).open_master_keys()
    new = Settings.load({"HUB_MASTER_KEYS": f"k2:{other}, k1:{KEY}"}, None).open_master_keys()
    assert new.current == "k2"
    assert new.open(old.seal(b"x", "t"), "t") == b"x"
