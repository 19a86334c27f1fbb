"""A provider: the facts of its provider.toml, checked, and the classes that behave. Unknown keys in the file are errors."""

import importlib.resources
import tomllib
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, Literal, Protocol

import msgspec

from hub.contract.auth import Auth
from hub.contract.capabilities import Adapter
from hub.contract.http import Http
from hub.contract.ingress import Ingress, MenuHost
from hub.contract.tasks import Connected

GROUP = "hub.providers"


class Environment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base URLs by name (`api`, `auth`); a value of `{sandbox}/slug` resolves against HUB_SANDBOX_URL."""

    api: str
    auth: str = ""
    consent: str = ""
    """Where tenants' browsers consent, where that is another host than `auth`."""
    callbacks: tuple[str, ...] = ()
    """Hosts that addresses in the vendor's calls may name (`*.example.com`, or `{sandbox}`); no other one ever gets a token."""

    settings: dict[str, str | int | bool] = {}
    """Connection settings that fit this environment, where its accounts are known: the simulator's."""

    limited: bool = True
    """Whether the vendor's limits hold here; a simulator may have none."""

    def base(self, name: str) -> str:
        """The base URL of a name; `auth` falls back to `api`, `consent` to `auth`."""
        if name == "consent":
            return self.consent or self.auth or self.api
        return (self.auth or self.api) if name == "auth" else self.api


class AuthFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the vendor knows us."""

    mode: Literal["oauth2_client_credentials", "oauth2_authorization_code", "static", "password", "signed_jwt", "hmac"]
    owner: Literal["connection", "app"]
    scopes: tuple[str, ...] = ()
    refresh: str = ""


class CredentialField(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One field of the credential form; `of` says whether the tenant or the operator's provider app holds it."""

    title: str
    secret: bool
    of: Literal["connection", "app"]
    required: bool = True
    pattern: str = ""
    example: str = ""
    where: str = ""


class SettingField(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A connection setting with its default."""

    title: str
    default: str | int | bool
    choices: tuple[str, ...] = ()


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most `requests` per `per` seconds, and `concurrent` at once (0 = not said)."""

    requests: int
    per: float
    scope: Literal["app", "connection", "chain", "store", "order", "item", "endpoint"]
    concurrent: int = 0
    operations: tuple[str, ...] = ()
    """Operations it holds for; none named: all of them."""
    evidence: str = "documented"


class WebhookFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the vendor calls us. `ack_within` and windows are seconds."""

    scheme: str
    header: str
    encoding: str
    secret: str
    ack_within: float
    retry_window: float
    level: Literal["app", "connection"]
    replay_window: float = 0
    events: tuple[str, ...] = ()
    """Event types to subscribe to, where the vendor lets them be chosen."""
    suffixes: dict[str, str] = {}
    """Event types that are registered one by one, and the suffix of the address of each; `{name}` stands for a credential."""
    secret_in_address: bool = False
    """Nothing is signed: the address that is registered ends in the secret."""


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an adapter was held against, and what it cannot do: its quality level is computed from it. Silence claims nothing."""

    official: str = ""
    """The vendor's own material that tests check against, where the specifications are at hand."""
    official_kind: Literal["", "specification", "samples"] = ""
    """A specification describes every field; samples show some bodies."""
    checked: tuple[Literal["requests", "answers", "calls"], ...] = ()
    """What is checked against it: our requests, the simulator's answers, the simulator's calls to us."""
    limits: str = ""
    """What is known of the vendor's limits where it publishes none."""
    lost_call: str = ""
    """What becomes of an order, or of news about it, whose webhook is lost, where no list of the vendor's finds it again."""
    menu_unread: str = ""
    """Why a pushed menu cannot be read back."""
    left_out: dict[str, str] | None = None
    """What the adapter was to have and has not, by name and in words; None: nobody has said what it was to have."""
    load_figure: str = ""
    """Where a measured load figure is written down."""
    blind_payloads: str = ""
    """Where it is written down that payloads nobody had seen before were read."""


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of provider.toml."""

    slug: str
    name: str
    kind: Literal["pos", "delivery"]
    regions: tuple[str, ...]
    docs: str
    summary: str
    environments: dict[str, Environment]
    auth: AuthFacts
    credentials: dict[str, CredentialField]
    capabilities: tuple[str, ...]
    order_states: tuple[str, ...]
    money_unit: str
    idempotency: Literal["key", "lookup", "none"]
    evidence: dict[str, str]
    settings: dict[str, SettingField] = {}
    limits: tuple[Limit, ...] = ()
    webhook: WebhookFacts | None = None
    accept_deadline: float = 0
    extras: tuple[str, ...] = ()
    availability_batch: int = 50
    """Products that one availability call may name."""
    availability_reset: str = ""
    """When the vendor itself puts a product back on sale."""
    visibility_lag: float = 0
    concurrency: int = 16
    reject_reasons: dict[str, str] = {}
    cancel_reasons: dict[str, str] = {}
    exemptions: dict[str, str] = {}
    """Checks of the contract suite that it is excused from, each with a reason."""
    proof: Proof = Proof()
    notes: tuple[str, ...] = ()


class AdapterFactory(Protocol):
    """An adapter class."""

    def __call__(self, facts: Facts, connection: Connected, http: Http) -> Adapter:
        """Make the adapter of one connection."""
        ...


class Provider(msgspec.Struct, frozen=True):
    """A vendor as the hub knows it."""

    facts: Facts
    adapter: AdapterFactory
    auth: Callable[[Facts], Auth]
    ingress: Ingress | None = None
    menu_host: MenuHost | None = None

    @property
    def slug(self) -> str:
        """The provider's short name in URLs and tables."""
        return self.facts.slug


def load_facts(package: str) -> Facts:
    """Read and check the provider.toml beside a package's modules; raises ValueError that names the key."""
    text = importlib.resources.files(package).joinpath("provider.toml").read_text("utf-8")
    try:
        return msgspec.convert(tomllib.loads(text), Facts)
    except msgspec.ValidationError as error:
        raise ValueError(f"{package}/provider.toml: {error}") from error


class Providers(Protocol):
    """The seam through which the hub meets vendors."""

    def get(self, slug: str) -> Provider | None:
        """The provider, or None."""
        ...

    def all(self) -> Mapping[str, Provider]:
        """Every provider by slug."""
        ...


class InstalledProviders:
    """Providers found through the entry-point group `hub.providers`, loaded when first asked for."""

    def __init__(self) -> None:
        self._points = {point.name: point for point in entry_points(group=GROUP)}
        self._loaded: dict[str, Provider] = {}

    def get(self, slug: str) -> Provider | None:
        """The provider of this slug, or None."""
        if slug not in self._loaded:
            point = self._points.get(slug)
            if point is None:
                return None
            loaded: Any = point.load()
            self._loaded[slug] = loaded
        return self._loaded[slug]

    def all(self) -> Mapping[str, Provider]:
        """Every installed provider by slug."""
        for slug in self._points:
            self.get(slug)
        return dict(sorted(self._loaded.items()))


class MemoryProviders:
    """Providers given by hand, for tests."""

    def __init__(self, *providers: Provider) -> None:
        self._providers = {provider.slug: provider for provider in providers}

    def get(self, slug: str) -> Provider | None:
        """The provider of this slug, or None."""
        return self._providers.get(slug)

    def all(self) -> Mapping[str, Provider]:
        """Every given provider by slug."""
        return dict(self._providers)
