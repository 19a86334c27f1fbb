"""Stores: listed with their currency, opened and paused on their platforms, their status kept as it was last seen."""

from typing import Any

import msgspec

from hub.contract import Rejected, StoreControl, Stores
from hub.ids import new_id
from hub.mailbox.changes import Changes, NewAlert, NewEvent, StoreSeen
from hub.model import StoreChange, StoreStatus
from hub.ownership.owner import Desk
from hub.ownership.workplace import Link, Workplace


async def sync_stores(place: Workplace, desk: Desk) -> Changes:
    """List the vendor's stores; where the platform shows a status, read that of each linked store."""
    listed = tuple(await place.adapter.list_stores()) if isinstance(place.adapter, Stores) else ()
    rows = {s.ref: StoreSeen(ref=s.ref, name=s.name, currency=s.currency, timezone=s.timezone) for s in listed}
    alerts = []
    for link in await place.links():
        ref = link.delivery_store_ref if link.delivery_connection == place.connection else link.pos_location_ref
        store = rows.get(ref)
        if link.active and store is not None and store.currency and store.currency != link.currency:
            alerts.append(_currency(link, ref, store.currency))
    if isinstance(place.adapter, StoreControl):
        for link in await place.links():
            if link.active and link.delivery_connection == place.connection:
                ref = link.delivery_store_ref
                status = await place.adapter.store_status(ref)
                rows[ref] = msgspec.structs.replace(rows.get(ref, StoreSeen(ref=ref)), status=msgspec.to_builtins(status))
    event = NewEvent(
        type="connection.changed",
        subject=place.connection,
        data={"step": "stores_listed", "stores": [store.ref for store in listed][:200]},
        correlation=desk.claim.correlation,
    )
    return Changes(events=(event,), stores=tuple(rows.values()), alerts=tuple(alerts))


def _currency(link: Link, ref: str, currency: str) -> NewAlert:
    return NewAlert(
        id=new_id("alr"),
        dedupe_key=f"currency/{link.id}/{ref}",
        kind="link.currency",
        severity="critical",
        subject=link.id,
        detail=f"{ref} sells in {currency}, its location in {link.currency}: orders of this link are held",
    )


async def store_changed(place: Workplace, desk: Desk) -> Changes:
    """The platform says that a store changed: read how it shows it."""
    if not isinstance(place.adapter, StoreControl):
        return Changes(events=(_event(place, desk, await place.link_of_store(desk.claim.key), {"step": desk.claim.kind}),))
    return await _read(place, desk, place.adapter, desk.claim.key, "seen")


async def set_store(place: Workplace, desk: Desk) -> Changes:
    """The restaurant opens, pauses or slows a store; then the platform is asked how it shows it."""
    claim, adapter = desk.claim, place.adapter
    if not isinstance(adapter, StoreControl):
        return Changes()
    text = await place.bodies.open(place.tenant, claim.body, "messages", place.connection, claim.dedupe_key)
    change = msgspec.json.decode(text, type=StoreChange)
    try:
        step = await adapter.store_step(claim.key, change)
        step = msgspec.structs.replace(step, name=f"{step.name}/{claim.message}")
        await place.effects(desk, await place.bodies.key(place.tenant), subject=claim.subject).perform(step)
    except Rejected as error:
        link = await place.link_of_store(claim.key)
        data = {"step": "refused", "change": change.kind, "detail": f"{error} {error.detail}".strip()[:300]}
        return Changes(events=(_event(place, desk, link, data),))
    return await _read(place, desk, adapter, claim.key, change.kind)


async def _read(place: Workplace, desk: Desk, adapter: StoreControl, store_ref: str, step: str) -> Changes:
    status: StoreStatus = await adapter.store_status(store_ref)
    shown: dict[str, Any] = msgspec.to_builtins(status)
    link = await place.link_of_store(store_ref)
    data = {"step": step, "status": status.status, **({"until": shown["until"]} if status.until else {})}
    return Changes(stores=(StoreSeen(ref=store_ref, status=shown),), events=(_event(place, desk, link, data),))


def _event(place: Workplace, desk: Desk, link: Link | None, data: dict[str, Any]) -> NewEvent:
    return NewEvent(
        type="store.changed",
        subject=link.id if link is not None else place.connection,
        location=link.location if link is not None else "",
        data={"store_ref": desk.claim.key, **data},
        correlation=desk.claim.correlation,
    )
