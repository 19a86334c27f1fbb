"""Provider apps: partner-level credentials, one for many tenants, held by the operator."""

from collections.abc import Mapping

import msgspec

from hub.contract.provider import Providers
from hub.ids import new_id
from hub.tenancy.errors import Invalid
from hub.tenancy.fields import credential_errors
from hub.tenancy.sql import TENANCY, Queries
from hub.vault import MasterKeys


async def create_provider_app(
    database: Queries,
    master: MasterKeys,
    providers: Providers,
    *,
    provider: str,
    environment: str,
    name: str,
    credentials: Mapping[str, str],
) -> str:
    """Make a provider app and return its id; raises Invalid. The credentials are sealed and never shown again."""
    found = providers.get(provider)
    if found is None:
        raise Invalid(("/provider", f"no provider {provider!r} is installed"))
    errors = credential_errors(found.facts, "app", credentials)
    if environment not in found.facts.environments:
        errors.append(("/environment", f"one of {', '.join(sorted(found.facts.environments))}"))
    if not any(field.of == "app" for field in found.facts.credentials.values()):
        errors.append(("/provider", f"{provider} has no partner-level credentials"))
    if not name.strip() or len(name) > 200:
        errors.append(("/name", "a name has between 1 and 200 characters"))
    if errors:
        raise Invalid(*errors)
    app = new_id("app")
    sealed = master.seal(msgspec.json.encode(dict(credentials)), "", "provider_apps", app)
    await TENANCY.provider_app_create(
        database, id=app, provider=provider, environment=environment, name=name.strip(), credential=new_id("key"), sealed=sealed
    )
    return app
