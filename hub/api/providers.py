"""/providers: the vendors this hub knows, as their provider.toml says, and how good their adapters are."""

from typing import Any

import msgspec
from litestar import Controller, get
from litestar.params import FromPath

from hub.api.pages import Page
from hub.api.problems import not_found
from hub.api.writes import ApiRequest, context_of
from hub.contract.provider import Facts
from hub.quality import held_against, promise, standing


class ProviderView(msgspec.Struct, frozen=True):
    """A provider in brief."""

    slug: str
    name: str
    kind: str
    summary: str
    docs: str
    regions: tuple[str, ...]
    environments: list[str]
    capabilities: tuple[str, ...]
    extras: tuple[str, ...]
    order_states: tuple[str, ...]
    idempotency: str
    level: str


def _brief(facts: Facts) -> ProviderView:
    return ProviderView(
        facts.slug,
        facts.name,
        facts.kind,
        facts.summary,
        facts.docs,
        facts.regions,
        sorted(facts.environments),
        facts.capabilities,
        facts.extras,
        facts.order_states,
        facts.idempotency,
        standing(facts).level,
    )


class Providers(Controller):
    """Installed providers."""

    path = "/providers"
    tags = ["providers"]  # noqa: RUF012 - Litestar's way

    @get()
    async def list_providers(self, request: ApiRequest) -> Page[ProviderView]:
        """List the installed providers; all fit one page."""
        return Page([_brief(provider.facts) for provider in context_of(request).providers.all().values()])

    @get("/{slug:str}")
    async def one(self, request: ApiRequest, slug: FromPath[str]) -> dict[str, Any]:
        """Show all facts of a provider: credential form, settings, limits, webhook scheme, evidence, quality level and what it lacks."""
        provider = context_of(request).providers.get(slug)
        if provider is None:
            raise not_found(f"provider {slug}")
        facts: dict[str, Any] = msgspec.to_builtins(provider.facts)
        judged = {"quality": standing(provider.facts), "orders": promise(provider.facts), "held_against": held_against(provider.facts)}
        facts.update(msgspec.to_builtins(judged))
        return facts
