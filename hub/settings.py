"""What an operator can set: `HUB_*` environment variables over an optional `hub.toml`, checked once, before anything starts."""

import base64
import binascii
import os
import secrets
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from hub.vault.seal import MasterKeys

PREFIX = "HUB_"
FILE = Path("hub.toml")
_PLAIN = {"ray_address": "RAY_ADDRESS"}
_IGNORED = frozenset({"HUB_VENDOR_SPECS", "HUB_TEST_ADMIN_DATABASE_URL"})
_SECRET = frozenset(
    {"database_url", "actor_database_url", "admin_database_url", "redis_url", "ray_redis_url", "ray_token", "master_keys", "metrics_token"}
)
_ADDRESSES = {
    "database_url": ("postgresql", "postgres"),
    "actor_database_url": ("postgresql", "postgres"),
    "admin_database_url": ("postgresql", "postgres"),
    "redis_url": ("redis", "rediss"),
    "ray_redis_url": ("redis", "rediss"),
    "public_url": ("http", "https"),
    "sandbox_url": ("http", "https"),
}

Count = Annotated[int, Meta(ge=1, le=1000)]
Seconds = Annotated[float, Meta(ge=0.1, le=86_400)]


class SettingsError(ValueError):
    """Settings that cannot be used; the message has one line per fault, naming the variable and what it takes."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an operator can set. Field `port` is the variable `HUB_PORT` and the key `port` of hub.toml."""

    home: Path = Path(".hub")
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65_535)] = 8000
    database_url: str = ""
    actor_database_url: str = ""
    admin_database_url: str = ""
    redis_url: str = ""
    ray_address: str = ""
    node_address: str = ""
    head_address: str = ""
    ray_token: str = ""
    ray_redis_url: str = ""
    public_url: str = ""
    sandbox_url: str = ""
    master_keys: str = ""
    metrics_token: str = ""
    connections_per_actor: Count = 1
    passive_after_seconds: Seconds = 60
    api_replicas: Count = 1
    live_replicas: Count = 1
    reconcile_seconds: Seconds = 60
    deadline_margin_seconds: Seconds = 60
    body_retention_days: Annotated[int, Meta(ge=1, le=3650)] = 7
    fact_retention_days: Annotated[int, Meta(ge=4, le=3650)] = 30
    event_retention_days: Annotated[int, Meta(ge=1, le=3650)] = 90
    max_body_bytes: Annotated[int, Meta(ge=1024, le=64 << 20)] = 1 << 20
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, file: Path | None = FILE) -> Self:
        """Read the environment (the process's own when none is given) over the file; raises SettingsError.

        The default file may be absent; `None` reads no file. An empty variable counts as unset.
        """
        environ = os.environ if environ is None else environ
        faults: list[str] = []
        values = {**_from_file(file, faults), **_from_environ(environ, faults)}
        checked = {}
        for name, (source, raw) in values.items():
            value = _convert(name, source, raw, faults)
            if value is not None:
                checked[name] = value
        if not faults:
            faults += _contradictions(checked)
        if faults:
            raise SettingsError("\n".join(faults))
        checked["home"] = Path(checked.get("home", ".hub")).expanduser().absolute()
        main = checked.get("database_url", "")
        for name in ("actor_database_url", "admin_database_url"):
            checked.setdefault(name, main)
        return cls(**checked)

    def to_environ(self) -> dict[str, str]:
        """The variables from which a child process loads these very settings.

        They hold secrets: hand them to processes, never to Ray's runtime_env or to actors as arguments.
        """
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return {variable(name): str(value) for name, value in values.items() if value != ""}

    def replace(self, **changes: Any) -> Self:
        """Make a copy with other values, such as the addresses of embedded servers once they run."""
        return msgspec.structs.replace(self, **changes)

    @property
    def embedded_postgres(self) -> bool:
        """True when no database is configured, so that the hub runs its own."""
        return not self.database_url

    @property
    def embedded_valkey(self) -> bool:
        """True when no Redis is configured, so that the hub runs its own."""
        return not self.redis_url

    @property
    def registered_url(self) -> str:
        """Where vendors and people reach the hub, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def key_file(self) -> Path:
        """Where the master keys lie when HUB_MASTER_KEYS is not set."""
        return self.home / "master.keys"

    def open_master_keys(self, *, create: bool = False) -> MasterKeys:
        """The keys of HUB_MASTER_KEYS, else of the key file, which the first start makes (`create`).

        Raises SettingsError when there are none, when they are malformed, or when others can read the file.
        """
        if self.master_keys:
            return MasterKeys(parse_master_keys(self.master_keys, "HUB_MASTER_KEYS"))
        path = self.key_file
        if create and not path.exists():
            _make_key_file(path)
        try:
            text, mode = path.read_text("utf-8"), stat.S_IMODE(path.stat().st_mode)
        except FileNotFoundError:
            raise SettingsError(f"no master keys: set HUB_MASTER_KEYS, or let `hub up` make {path}") from None
        if mode & 0o077:
            raise SettingsError(
                f"{path} is readable by others (mode {mode:o}): run chmod 600 on it, and rotate the keys if others were here"
            )
        return MasterKeys(parse_master_keys(text.strip(), str(path)))

    def __repr__(self) -> str:
        shown = (f"{name}={_shown(name, getattr(self, name))}" for name in self.__struct_fields__)
        return f"Settings({', '.join(shown)})"


def variable(name: str) -> str:
    """The environment variable of a field."""
    return _PLAIN.get(name, PREFIX + name.upper())


def known_variables() -> list[str]:
    """Every variable that is read, in the order of the fields."""
    return [variable(name) for name in Settings.__struct_fields__]


def parse_master_keys(text: str, source: str) -> dict[str, bytes]:
    """Read ``id:base64,id:base64``; the first key seals, all open. Raises SettingsError without showing any key."""
    keys: dict[str, bytes] = {}
    for number, part in enumerate(text.split(","), 1):
        name, colon, encoded = part.strip().partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not colon or not name or len(key) != 32:
            raise SettingsError(f"{source}: key {number} must be `id:` and 32 bytes in base64 (openssl rand -base64 32)")
        if name in keys:
            raise SettingsError(f"{source}: the key id {name!r} is there twice")
        keys[name] = key
    return keys


def _make_key_file(path: Path) -> None:
    """Make the file so that of two starts at once both end up with the same keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}\n")
            stream.flush()
            os.fsync(stream.fileno())
        path.hardlink_to(part)
    except FileExistsError:
        pass
    finally:
        part.unlink(missing_ok=True)


def _from_file(file: Path | None, faults: list[str]) -> dict[str, tuple[str, Any]]:
    if file is None or (file == FILE and not file.exists()):
        return {}
    try:
        found = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        faults.append(f"{file} cannot be read: {error.strerror}")
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        faults.append(f"{file} is not TOML: {error}")
        return {}
    known = Settings.__struct_fields__
    unknown = sorted(set(found) - set(known))
    faults += [f"{file}: unknown key {name!r}; known are {', '.join(known)}" for name in unknown]
    return {name: (f"{name} in {file}", value) for name, value in found.items() if name in known}


def _from_environ(environ: Mapping[str, str], faults: list[str]) -> dict[str, tuple[str, Any]]:
    known = {variable(name): name for name in Settings.__struct_fields__}
    unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in known and name not in _IGNORED)
    faults += [f"unknown variable {name}; known are {', '.join(known)}" for name in unknown]
    return {name: (source, environ[source]) for source, name in known.items() if environ.get(source, "") != ""}


def _convert(name: str, source: str, raw: Any, faults: list[str]) -> Any:
    kind = _KINDS[name]
    try:
        value = msgspec.convert(raw, str if kind is Path else kind, strict=not isinstance(raw, str))
    except msgspec.ValidationError as error:
        given = "its value" if name in _SECRET else repr(raw)
        faults.append(f"{source}: {given} is refused: {str(error)[:1].lower()}{str(error)[1:]}")
        return None
    if isinstance(value, str) and "\0" in value:
        faults.append(f"{source}: contains a NUL character")
        return None
    schemes = _ADDRESSES.get(name)
    if schemes and value:
        try:
            parts = urlsplit(value)
            fits = parts.scheme in schemes and bool(parts.hostname)
        except ValueError:
            fits = False
        if not fits:
            faults.append(f"{source}: must be an address such as {schemes[0]}://host/…")
            return None
    return value


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    faults = []
    if not values.get("database_url"):
        faults += [
            f"{variable(name)} is set without HUB_DATABASE_URL: set both, or none to use the embedded PostgreSQL"
            for name in ("actor_database_url", "admin_database_url")
            if values.get(name)
        ]
    if values.get("master_keys"):
        try:
            parse_master_keys(values["master_keys"], "HUB_MASTER_KEYS")
        except SettingsError as error:
            faults.append(str(error))
    return faults


def _shown(name: str, value: Any) -> str:
    if not value or name not in _SECRET:
        return repr(str(value)) if isinstance(value, Path) else repr(value)
    if name in _ADDRESSES:
        parts = urlsplit(value)
        return f"'{parts.scheme}://…@{parts.hostname}:{parts.port or ''}{parts.path}'"
    return "'…'"


_KINDS = {field.name: field.type for field in msgspec.structs.fields(Settings)}
