"""Stock: the POS says what is sold out, every linked channel is told, and what each channel confirmed is kept with its time."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from hub.contract import ItemAvailability, Lane, Misconfigured, Rejected, Stock, StockWrite
from hub.ids import new_id
from hub.mailbox.changes import Changes, NewAlert, NewEvent, StockSeen
from hub.mailbox.messages import NewMessage
from hub.model import StockLevel
from hub.ownership.owner import Desk
from hub.ownership.workplace import Link, Workplace

_KNOWN = "select item, kind, available, quantity, until from hub.stock where connection = $1 and place_ref = $2"


class Levels(msgspec.Struct, frozen=True):
    """The body of `stock.set`: what somebody wants at one POS location."""

    location_ref: str
    levels: tuple[StockLevel, ...]


async def _known(place: Workplace, connection: str, place_ref: str) -> dict[str, StockLevel]:
    async with place.database.tenant(place.tenant) as transaction:
        rows = await transaction.fetch(_KNOWN, connection, place_ref)
    return {row["item"]: StockLevel(row["item"], row["available"], row["quantity"], row["until"], row["kind"]) for row in rows}


def seen(place_ref: str, levels: Iterable[StockLevel]) -> tuple[StockSeen, ...]:
    """Levels as rows to keep."""
    return tuple(
        StockSeen(place_ref=place_ref, item=x.id, kind=x.kind, available=x.available, quantity=x.quantity, until=x.until) for x in levels
    )


def push_message(link: Link, why: Any, correlation: str) -> NewMessage:
    """The message that has a channel told what its POS has."""
    return NewMessage(
        connection=link.delivery_connection,
        kind="stock.push",
        subject=f"stock/{link.delivery_store_ref}",
        dedupe_key=f"stock/{link.delivery_store_ref}/push/{why}",
        lane=Lane.STOCK,
        correlation=correlation,
    )


async def sync_stock(place: Workplace, desk: Desk) -> Changes:
    """On a POS connection read what is limited at each linked location; on a delivery connection push to each store."""
    links = [link for link in await place.links() if link.active]
    if place.facts.kind == "delivery":
        mine = [link for link in links if link.delivery_connection == place.connection]
        return Changes(messages=tuple(push_message(link, desk.claim.message, desk.claim.correlation) for link in mine))
    if not isinstance(place.adapter, Stock):
        return Changes()
    changes = Changes()
    for location_ref in sorted({link.pos_location_ref for link in links if link.pos_connection == place.connection}):
        told = {level.id: level for level in await place.adapter.read_stock(location_ref)}
        known = await _known(place, place.connection, location_ref)
        back = [msgspec.structs.replace(old, available=True, quantity=None, until=None) for key, old in known.items() if key not in told]
        levels = [level for level in (*told.values(), *back) if known.get(level.id) != level]
        if levels:
            here = [link for link in links if link.pos_connection == place.connection and link.pos_location_ref == location_ref]
            changes = _told(changes, desk, location_ref, levels, here)
    return changes


def _told(changes: Changes, desk: Desk, location_ref: str, levels: Sequence[StockLevel], links: Sequence[Link]) -> Changes:
    correlation = desk.claim.correlation
    events = tuple(
        NewEvent(
            type="stock.changed",
            subject=location_ref,
            location=location,
            data={"location_ref": location_ref, "items": {level.id: level.available for level in levels[:200]}},
            correlation=correlation,
        )
        for location in sorted({link.location for link in links})
    )
    messages = tuple(push_message(link, desk.claim.message, correlation) for link in links)
    return msgspec.structs.replace(
        changes,
        stock=(*changes.stock, *seen(location_ref, levels)),
        events=(*changes.events, *events),
        messages=(*changes.messages, *messages),
    )


async def set_stock(place: Workplace, desk: Desk) -> Changes:
    """Somebody takes products off sale or puts them back: at the POS where it can be told, then on every channel."""
    claim = desk.claim
    text = await place.bodies.open(place.tenant, claim.body, "messages", place.connection, claim.dedupe_key)
    wanted = msgspec.json.decode(text, type=Levels)
    if isinstance(place.adapter, StockWrite):
        effects = place.effects(desk, await place.bodies.key(place.tenant), subject=claim.subject)
        for number, batch in enumerate(_batches(wanted.levels, place.facts.availability_batch)):
            step = await place.adapter.stock_step(wanted.location_ref, batch)
            await effects.perform(msgspec.structs.replace(step, name=f"{step.name}/{claim.message}/{number}"))
    here = [
        x for x in await place.links() if x.active and x.pos_connection == place.connection and x.pos_location_ref == wanted.location_ref
    ]
    return _told(Changes(), desk, wanted.location_ref, wanted.levels, here)


async def push_stock(place: Workplace, desk: Desk) -> Changes:
    """Bring one store to what its POS location has; what the platform refused alerts, the rest is confirmed."""
    claim = desk.claim
    link = await place.link_of_store(claim.key)
    if link is None or not isinstance(place.adapter, ItemAvailability):
        return Changes()
    wanted = await _known(place, link.pos_connection, link.pos_location_ref)
    confirmed = await _known(place, place.connection, link.delivery_store_ref)
    _, menu = await place.menu(link.pos_connection, link.pos_location_ref)
    sold = menu.sellable() if menu is not None else {}
    differ = [level for key, level in wanted.items() if key in sold and _differs(level, confirmed.get(key))]
    done: list[StockLevel] = []
    refused: list[str] = []
    effects = place.effects(desk, await place.bodies.key(place.tenant), subject=claim.subject)
    for number, batch in enumerate(_batches(differ, place.facts.availability_batch)):
        try:
            step = await place.adapter.availability_step(link.delivery_store_ref, batch)
            step = msgspec.structs.replace(step, name=f"{step.name}/{claim.message}/{number}")
            answer = await effects.perform(step)
            failed = set(answer.data.get("failed") or ())
        except (Rejected, Misconfigured) as error:
            failed, answer = {level.id for level in batch}, None
            refused.append(f"{error}"[:200])
        done += [level for level in batch if level.id not in failed]
        refused += sorted(failed)
    if not differ:
        return Changes()
    event = NewEvent(
        type="stock.changed",
        subject=link.id,
        location=link.location,
        data={"store_ref": link.delivery_store_ref, "confirmed": len(done), "refused": refused[:50]},
        correlation=claim.correlation,
    )
    key = f"stock/{link.id}"
    alerts = (_alert(key, link, refused),) if refused else ()
    cleared = () if refused else (key,)
    return Changes(stock=seen(link.delivery_store_ref, done), events=(event,), alerts=alerts, cleared=cleared)


def _differs(level: StockLevel, confirmed: StockLevel | None) -> bool:
    if confirmed is None:
        return not level.available
    return level.available != confirmed.available or (not level.available and level.until != confirmed.until)


def _batches(levels: Sequence[StockLevel], size: int) -> list[list[StockLevel]]:
    """Batches of one kind and one availability each: vendors' calls take no mixture."""
    sorts: dict[tuple[Any, ...], list[StockLevel]] = {}
    for level in levels:
        sorts.setdefault((level.kind, level.available, level.until), []).append(level)
    return [group[at : at + size] for group in sorts.values() for at in range(0, len(group), max(1, size))]


def _alert(key: str, link: Link, refused: Sequence[str]) -> NewAlert:
    return NewAlert(
        id=new_id("alr"),
        dedupe_key=key,
        kind="stock.refused",
        severity="warning",
        subject=link.id,
        detail=f"store {link.delivery_store_ref} did not take the availability of: {', '.join(refused)}"[:500],
    )
