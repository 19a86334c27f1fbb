"""/connections/{id}/authorize: begin a tenant's consent at a provider that gives tokens that way."""

import msgspec
from litestar import Controller, Response, post
from litestar.params import FromPath

from hub.api.context import ApiContext
from hub.api.correlation import correlation
from hub.api.guard import manager
from hub.api.writes import ApiRequest, Written, context_of, write
from hub.consent import ConsentContext
from hub.consent.flow import begin, prepare
from hub.database.pool import Transaction


class ConsentView(msgspec.Struct, frozen=True):
    """Open `url` in a browser within ten minutes; it works once."""

    url: str


def consent_context(context: ApiContext) -> ConsentContext:
    """What a consent needs, out of what the API has."""
    settings = context.settings
    parts = (context.database, context.master, context.providers, context.owners)
    return ConsentContext(*parts, settings.registered_url, settings.sandbox_url)


class Consents(Controller):
    """Consents of tenants."""

    path = "/connections"
    tags = ["connections"]  # noqa: RUF012 - Litestar's way

    @post("/{connection_id:str}/authorize", status_code=200, guards=[manager])
    async def authorize(self, request: ApiRequest, connection_id: FromPath[str]) -> Response[ConsentView]:
        """Give the address of the vendor's consent page. Who consents there comes back to the hub, and the connection works."""
        who = request.user
        wanted = await prepare(consent_context(context_of(request)), tenant=who.tenant, connection=connection_id)

        async def effect(transaction: Transaction) -> Written:
            await begin(transaction, wanted, tenant=who.tenant, user=who.user, connection=connection_id, correlation=correlation())
            return Written(ConsentView(wanted.url))

        return await write(request, effect)
