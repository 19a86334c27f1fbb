"""/store-claims: who owns a platform's store."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from hub.api.correlation import correlation
from hub.api.guard import manager, operator
from hub.api.pages import Cursor, Limit, Page, after, by_id, page
from hub.api.problems import Problem, not_found
from hub.api.writes import ApiRequest, Written, context_of, write
from hub.audit import record
from hub.database.pool import Transaction
from hub.tenancy import approve_claim, claim_store
from hub.tenancy.claims import alert_second_claim
from hub.tenancy.sql import PLACES, TENANCY


class _Taken(Exception):
    """Another proven claim holds the store."""


class NewClaim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A platform's store that is this tenant's."""

    connection: str
    store_ref: str


class ClaimView(msgspec.Struct, frozen=True):
    """A claim on a store; it routes once `proven_at` is set. `tenant` is for operators."""

    id: str
    provider: str
    provider_app: str
    connection: str
    store_ref: str
    proof: str
    proven_at: datetime | None
    tenant: str | None = None
    created_at: datetime | None = None


class StoreClaims(Controller):
    """Who owns a platform's store."""

    path = "/store-claims"
    tags = ["places"]  # noqa: RUF012

    @get()
    async def list_claims(
        self,
        request: ApiRequest,
        whose: Annotated[Literal["tenant", "all"], QueryParameter(name="scope")] = "tenant",
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[ClaimView]:
        """List your claims; operators list everybody's with `scope=all`."""
        context = context_of(request)
        if whose == "all":
            if not request.user.operator:
                raise Problem(403, "scope=all is for the operators of the hub")
            rows = await PLACES.all_claims(context.database, after=after(cursor), limit=limit + 1)
        else:
            async with context.database.tenant(request.user.tenant) as transaction:
                rows = await PLACES.claims(transaction, after=after(cursor), limit=limit + 1)
        return page(rows, limit, lambda row: msgspec.convert(dict(row), ClaimView), by_id)

    @post(status_code=201, guards=[manager])
    async def claim(self, request: ApiRequest, data: JSONBody[NewClaim]) -> Response[ClaimView]:
        """Claim a store. The platform's provisioning event or the operator proves it."""
        who = request.user

        async def effect(transaction: Transaction) -> Written:
            claim = await claim_store(
                transaction,
                tenant=who.tenant,
                connection=data.connection,
                store_ref=data.store_ref,
                actor=who.user,
                correlation=correlation(),
            )
            return Written(msgspec.convert(dict(await PLACES.claim(transaction, id=claim)), ClaimView))

        return await write(request, effect, status=201)

    @delete("/{claim_id:str}", status_code=204, guards=[manager])
    async def withdraw(self, request: ApiRequest, claim_id: FromPath[str]) -> Response[None]:
        """Withdraw a claim: what its store sends is no longer routed."""
        who = request.user

        async def effect(transaction: Transaction) -> Written:
            if not await PLACES.delete_claim(transaction, id=claim_id):
                raise not_found(f"store claim {claim_id}")
            await record(transaction, who.tenant, who.user, "claim.withdraw", claim_id, correlation=correlation())
            return Written(None)

        return await write(request, effect, status=204)

    @post("/{claim_id:str}/approve", status_code=200, guards=[operator])
    async def approve(self, request: ApiRequest, claim_id: FromPath[str]) -> Response[ClaimView]:
        """Prove a claim by hand; operators only. 409 when another proven claim holds the store."""
        who = request.user

        async def effect(transaction: Transaction) -> Written:
            if not await approve_claim(transaction, claim_id, actor=who.user, correlation=correlation()):
                raise _Taken
            await TENANCY.become(transaction, tenant=who.tenant)
            row = await PLACES.any_claim(transaction, id=claim_id)
            return Written(msgspec.convert(dict(row), ClaimView))

        try:
            return await write(request, effect)
        except _Taken:
            # The refusal rolled the write back; the operator's alert of a second claim stays.
            await alert_second_claim(context_of(request).database, claim_id)
            raise Problem(409, "another proven claim holds this store: it stands") from None
