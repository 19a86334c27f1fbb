"""Settings: HUB_* environment variables over an optional hub.toml. Unknown names are errors, so that a typo is not silence."""

import base64
import os
import re
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec


class SettingsError(ValueError):
    """A setting is wrong; the message names it and says what to do."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of the hub's settings. Durations are seconds, sizes bytes."""

    home: str = ".hub"
    """Folder of the embedded servers, keys and logs."""
    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str = ""
    """The address vendors call; empty: http://host:port."""
    database_url: str = ""
    """The service role's; empty: the embedded PostgreSQL."""
    actor_database_url: str = ""
    """The actors' role, with its own connection limit; empty: database_url."""
    admin_database_url: str = ""
    """The schema owner's, for `hub migrate`; empty: database_url."""
    redis_url: str = ""
    ray_address: str = ""
    sandbox_url: str = ""
    """Where simulators listen; unset in production."""
    master_keys: str = ""
    """`id:base64,id:base64`, the first one seals; empty: a key file under home."""
    connections_per_actor: int = 1
    api_replicas: int = 1
    live_replicas: int = 1
    reconcile_seconds: float = 60.0
    deadline_margin_seconds: float = 60.0
    body_retention_days: int = 7
    max_body_bytes: int = 1024 * 1024
    log_level: str = "info"
    metrics_token: str = ""

    def __repr__(self) -> str:
        shown = {name: getattr(self, name) for name in self.__struct_fields__}
        for name in ("master_keys", "metrics_token"):
            shown[name] = "***" if shown[name] else ""
        for name in ("database_url", "actor_database_url", "admin_database_url", "redis_url"):
            shown[name] = re.sub(r"//([^:/@]*):[^@]*@", r"//\1:***@", shown[name])
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @property
    def home_path(self) -> Path:
        """The home folder, absolute."""
        return Path(self.home).absolute()

    @property
    def registered_url(self) -> str:
        """The address that vendors have for us, without a slash at its end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, file: Path | None = None) -> "Settings":
        """Read the settings; raises SettingsError."""
        environ = os.environ if environ is None else environ
        file = file or Path("hub.toml")
        values: dict[str, Any] = {}
        if file.is_file():
            try:
                values = tomllib.loads(file.read_text("utf-8"))
            except tomllib.TOMLDecodeError as error:
                raise SettingsError(f"{file}: {error}") from error
        for name, value in environ.items():
            if name.startswith("HUB_") and name not in FOREIGN:
                values[name[4:].lower()] = value
        if environ.get("RAY_ADDRESS"):
            values.setdefault("ray_address", environ["RAY_ADDRESS"])
        unknown = sorted(set(values) - set(cls.__struct_fields__))
        if unknown:
            known = ", ".join(sorted(f"HUB_{name.upper()}" for name in cls.__struct_fields__))
            raise SettingsError(f"unknown setting {', '.join(unknown)}; known are {known}")
        try:
            return msgspec.convert(values, cls, strict=False)
        except msgspec.ValidationError as error:
            raise SettingsError(f"a setting has the wrong form: {error}") from error

    def to_environ(self) -> dict[str, str]:
        """The environment that gives a child process these settings. Secrets go there and nowhere else."""
        shown = {f"HUB_{name.upper()}": str(getattr(self, name)) for name in self.__struct_fields__ if name != "ray_address"}
        return {name: value for name, value in shown.items() if value}

    def keys(self) -> dict[str, bytes]:
        """The master keys by id, first the one that seals; the first start makes a key file that only its owner can read."""
        text = self.master_keys or _key_file(self.home_path)
        keys: dict[str, bytes] = {}
        for part in filter(None, (p.strip() for p in text.split(","))):
            name, _, value = part.partition(":")
            try:
                keys[name] = base64.b64decode(value, validate=True)
            except ValueError as error:
                raise SettingsError(f"master key {name!r} is not base64") from error
            if len(keys[name]) != 32 or not name:
                raise SettingsError(f"master key {name!r} must be id:base64 of 32 bytes")
        if not keys:
            raise SettingsError("HUB_MASTER_KEYS is empty: give id:base64 of 32 random bytes")
        return keys


FOREIGN = frozenset({"HUB_VENDOR_SPECS", "HUB_TEST_ADMIN_DATABASE_URL"})


def secret_file(path: Path, text: str) -> str:
    """Write a file that only its owner reads, unless it is there; return what it holds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text("utf-8")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return text


def _key_file(home: Path) -> str:
    path = home / "master.key"
    text = secret_file(path, f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}\n")
    if path.stat().st_mode & 0o077:
        raise SettingsError(f"{path} can be read by others: chmod 600 {path}")
    return text
