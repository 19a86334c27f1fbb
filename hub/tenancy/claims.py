"""Who owns a store. A store routes only after its claim is proven, so that no tenant can take another's."""

from hub.audit import record
from hub.database.pool import Transaction
from hub.ids import new_id
from hub.tenancy.errors import Conflict, Invalid, Unknown
from hub.tenancy.places import REFERENCE
from hub.tenancy.sql import CONNECTIONS, PLACES, TENANCY, Queries, event


async def claim_store(
    transaction: Transaction, *, tenant: str, connection: str, store_ref: str, actor: str = "hub", correlation: str = ""
) -> str:
    """Claim a platform's store for a connection and return the claim's id; raises Invalid, Unknown, Conflict.

    The answer is the same whether or not somebody else owns the store; then the operator is alerted and nothing is rerouted.
    """
    row = await CONNECTIONS.connection(transaction, id=connection)
    if row is None:
        raise Unknown(f"connection {connection}", "/connection")
    if row["provider_app"] is None:
        raise Invalid(("/connection", f"{row['provider']} calls each connection by its own address: there is nothing to claim"))
    if not 0 < len(store_ref) <= REFERENCE or "\x00" in store_ref:
        raise Invalid(("/store_ref", f"a reference has between 1 and {REFERENCE} characters"))
    if await PLACES.claim_of(transaction, connection=connection, store_ref=store_ref):
        raise Conflict("this connection has claimed this store already")
    claim = new_id("clm")
    await PLACES.insert_claim(
        transaction,
        tenant=tenant,
        id=claim,
        provider=row["provider"],
        provider_app=row["provider_app"],
        connection=connection,
        store_ref=store_ref,
    )
    if await PLACES.routed(transaction, provider_app=row["provider_app"], store_ref=store_ref):
        await _alert(transaction, row["provider_app"], store_ref)
    await event(transaction, tenant, "store.changed", store_ref, {"change": "claimed", "claim": claim}, correlation=correlation)
    await record(transaction, tenant, actor, "claim.create", claim, correlation=correlation)
    return claim


async def approve_claim(transaction: Transaction, claim: str, *, actor: str, correlation: str = "") -> bool:
    """Prove a claim as the operator; False (with an alert) when another proven claim holds the store. Raises Unknown.

    Run it as the last change of its transaction: the claim's tenant becomes the transaction's.
    """
    outcome = await PLACES.approve(transaction, claim=claim, alert=new_id("alr"))
    if outcome == "unknown":
        raise Unknown(f"store claim {claim}")
    if outcome != "proven":
        return False
    row = await PLACES.any_claim(transaction, id=claim)
    tenant = row["tenant"]
    await TENANCY.become(transaction, tenant=tenant)
    data = {"change": "proven", "claim": claim, "connection": row["connection"]}
    await event(transaction, tenant, "store.changed", row["store_ref"], data, correlation=correlation)
    await record(transaction, tenant, actor, "claim.approve", claim, correlation=correlation)
    return True


async def alert_second_claim(database: Queries, claim: str) -> None:
    """Alert the operator that a claim is for a store that another proven claim holds."""
    row = await PLACES.any_claim(database, id=claim)
    if row is not None:
        await _alert(database, row["provider_app"], row["store_ref"])


async def _alert(database: Queries, provider_app: str, store_ref: str) -> None:
    await TENANCY.operator_alert(
        database,
        id=new_id("alr"),
        dedupe_key=f"claim/{provider_app}/{store_ref}",
        kind="store.claimed_twice",
        detail=f"store {store_ref} is claimed by a second connection; the proven claim stands",
    )
