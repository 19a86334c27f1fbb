"""Locations, and links: which POS location serves which delivery store, and by what rules."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from zoneinfo import ZoneInfo

from hub.audit import record
from hub.contract.provider import Providers
from hub.database.pool import Transaction
from hub.ids import new_id
from hub.mailbox.messages import enqueue
from hub.reconcile.orders import ring_reconcile
from hub.tenancy.connections import sync_message
from hub.tenancy.errors import Conflict, Invalid, Unknown
from hub.tenancy.sql import CONNECTIONS, PLACES, event

REFERENCE = 200
"""Characters a vendor's reference has at most."""


@dataclass(frozen=True, slots=True)
class Linked:
    """A new link and the mailboxes to wake after the commit."""

    id: str
    woken: list[str]


def _zone_errors(timezone: str) -> list[tuple[str, str]]:
    try:
        ZoneInfo(timezone)
    except (OSError, ValueError, LookupError):
        return [("/timezone", "no IANA time zone has this name")]
    return []


def _name_errors(name: str) -> list[tuple[str, str]]:
    return [] if 0 < len(name.strip()) <= 200 and "\x00" not in name else [("/name", "a name has between 1 and 200 characters")]


async def create_location(
    transaction: Transaction,
    *,
    tenant: str,
    name: str,
    timezone: str,
    currency: str,
    actor: str = "hub",
    correlation: str = "",
) -> str:
    """Make a location and return its id. `timezone` is an IANA name, `currency` ISO 4217; raises Invalid."""
    errors = [*_name_errors(name), *_zone_errors(timezone)]
    if not re.fullmatch(r"[A-Z]{3}", currency):
        errors.append(("/currency", "three capital letters, as in ISO 4217"))
    if errors:
        raise Invalid(*errors)
    location = new_id("loc")
    await PLACES.insert_location(transaction, tenant=tenant, id=location, name=name.strip(), timezone=timezone, currency=currency)
    await record(transaction, tenant, actor, "location.create", location, correlation=correlation)
    return location


async def change_location(
    transaction: Transaction,
    *,
    tenant: str,
    location: str,
    name: str | None,
    timezone: str | None,
    actor: str,
    correlation: str = "",
) -> None:
    """Rename a location or move its time zone; its currency stays. Raises Invalid, Unknown."""
    row = await PLACES.location(transaction, id=location)
    if row is None:
        raise Unknown(f"location {location}")
    errors = [*(_name_errors(name) if name is not None else []), *(_zone_errors(timezone) if timezone is not None else [])]
    if errors:
        raise Invalid(*errors)
    new_name, new_zone = (name or row["name"]).strip(), timezone or row["timezone"]
    await PLACES.update_location(transaction, id=location, name=new_name, timezone=new_zone)
    changed = [field for field, value in (("name", name), ("timezone", timezone)) if value is not None]
    await record(transaction, tenant, actor, "location.change", location, fields=changed, correlation=correlation)


async def _side(transaction: Transaction, providers: Providers, connection: str, kind: Literal["pos", "delivery"]) -> list[tuple[str, str]]:
    row = await CONNECTIONS.connection(transaction, id=connection)
    if row is None:
        raise Unknown(f"connection {connection}", f"/{kind}/connection")
    found = providers.get(row["provider"])
    if found is None or found.facts.kind != kind:
        wanted = "a POS" if kind == "pos" else "a delivery platform"
        return [(f"/{kind}/connection", f"{row['provider']} is not {wanted}")]
    return []


async def _currency(transaction: Transaction, connection: str, reference: str) -> str | None:
    known: str | None = await PLACES.menu_currency(transaction, connection=connection, location_ref=reference)
    return known or await PLACES.store_currency(transaction, connection=connection, ref=reference)


async def create_link(
    transaction: Transaction,
    providers: Providers,
    *,
    tenant: str,
    location: str,
    pos_connection: str,
    pos_location_ref: str,
    delivery_connection: str,
    delivery_store_ref: str,
    price_rule: Mapping[str, Any] | None = None,
    accept: Literal["auto", "manual"] = "auto",
    unmapped: Literal["accept", "hold", "reject"] = "accept",
    at_deadline: Literal["reject", "accept"] = "reject",
    listed: Mapping[tuple[str, str], str] | None = None,
    actor: str = "hub",
    correlation: str = "",
) -> Linked:
    """Link a POS location with a delivery store and queue reads of its menu, stock and status; raises Invalid, Unknown, Conflict.

    Both sides must sell in the location's currency, as far as it is known: from the POS's menu, from what the vendors listed before,
    or from `listed`, currencies by connection and reference that were just asked for.
    """
    place = await PLACES.location(transaction, id=location)
    if place is None:
        raise Unknown(f"location {location}", "/location")
    errors = await _side(transaction, providers, pos_connection, "pos")
    errors += await _side(transaction, providers, delivery_connection, "delivery")
    for where, reference in (("/pos/location_ref", pos_location_ref), ("/delivery/store_ref", delivery_store_ref)):
        if not 0 < len(reference) <= REFERENCE or "\x00" in reference:
            errors.append((where, f"a reference has between 1 and {REFERENCE} characters"))
    if not errors:
        sides = (
            ("pos", "location_ref", pos_connection, pos_location_ref),
            ("delivery", "store_ref", delivery_connection, delivery_store_ref),
        )
        for side, name, connection, reference in sides:
            currency = (listed or {}).get((connection, reference)) or await _currency(transaction, connection, reference)
            if currency and currency != place["currency"]:
                who = "POS" if side == "pos" else "platform"
                errors.append((f"/{side}/{name}", f"the {who} sells in {currency}, the location in {place['currency']}"))
    if errors:
        raise Invalid(*errors)
    if await PLACES.store_linked(transaction, connection=delivery_connection, store_ref=delivery_store_ref):
        raise Conflict(f"store {delivery_store_ref} of this connection is linked already")
    link = new_id("lnk")
    await PLACES.insert_link(
        transaction,
        tenant=tenant,
        id=link,
        location=location,
        pos_connection=pos_connection,
        pos_location_ref=pos_location_ref,
        delivery_connection=delivery_connection,
        delivery_store_ref=delivery_store_ref,
        price_rule=dict(price_rule or {}),
        accept=accept,
        unmapped=unmapped,
        at_deadline=at_deadline,
    )
    await tell_link(transaction, tenant, link, location, "link.create", actor, correlation)
    reads = [sync_message(pos_connection, "menu", link)]
    # A connection's first reads come before it has links: what is sold out, and how the store stands, is read for the link.
    if await _can(transaction, providers, pos_connection, "stock"):
        reads.append(sync_message(pos_connection, "stock", link))
    if await _can(transaction, providers, delivery_connection, "store_control"):
        reads.append(sync_message(delivery_connection, "stores", link))
    woken = await enqueue(transaction, tenant, reads)
    rung = await ring_reconcile(transaction, tenant, (pos_connection, delivery_connection))
    return Linked(link, sorted({*woken, *rung}))


async def _can(transaction: Transaction, providers: Providers, connection: str, capability: str) -> bool:
    row = await CONNECTIONS.connection(transaction, id=connection)
    found = providers.get(row["provider"]) if row is not None else None
    return found is not None and capability in found.facts.capabilities


async def tell_link(
    transaction: Transaction,
    tenant: str,
    link: str,
    location: str,
    action: str,
    actor: str,
    correlation: str,
    fields: tuple[str, ...] = (),
) -> None:
    """Leave the event and the audit row of a change of a link."""
    await event(transaction, tenant, "link.changed", link, {"change": action}, location=location, correlation=correlation)
    await record(transaction, tenant, actor, action, link, fields=fields, correlation=correlation)
