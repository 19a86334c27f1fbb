"""Stock: the POS says what is sold out, every linked channel is told, and what each channel confirmed is kept with its time."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from hub.clock import utc_now
from hub.contract import ItemAvailability, Lane, Misconfigured, Rejected, Stock, StockWrite
from hub.ids import new_id
from hub.mailbox.changes import Changes, NewAlert, NewEvent, StockSeen
from hub.mailbox.messages import NewMessage
from hub.model import Item, Menu, StockLevel
from hub.model.menu import Availability, Modifier
from hub.ownership.owner import Desk
from hub.ownership.workplace import Link, Workplace

T = TypeVar("T", Item, Modifier)
_KNOWN = "select item, kind, available, quantity, until, held, told_at from hub.stock where connection = $1 and place_ref = $2"
_PUBLISHED = "select max(at) from hub.events where type = 'menu.published' and subject = $1"


class Levels(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of `stock.set`: what somebody wants at one POS location.

    With `ending` it is the end of an earlier word: only what is still off sale until that time is put back.
    """

    location_ref: str
    levels: tuple[StockLevel, ...]
    ending: datetime | None = None


class Known(msgspec.Struct, frozen=True):
    """A level as it is kept, since when, and whether it is a person's word that the POS was not told."""

    level: StockLevel
    told_at: datetime
    held: bool = False

    @property
    def stands(self) -> bool:
        """Whether a person's word holds against what the POS lists."""
        return self.held and not self.level.available and (self.level.until is None or self.level.until > utc_now())


async def known_levels(place: Workplace, connection: str, place_ref: str) -> dict[str, Known]:
    """What is kept of a POS location, or of what a store confirmed, by item."""
    async with place.database.tenant(place.tenant) as transaction:
        rows = await transaction.fetch(_KNOWN, connection, place_ref)
    return {
        row["item"]: Known(
            StockLevel(row["item"], row["available"], row["quantity"], row["until"], row["kind"]), row["told_at"], row["held"]
        )
        for row in rows
    }


def stocked(menu: Menu, known: Mapping[str, Known]) -> Menu:
    """The menu with the availability that is kept, which may be newer than the menu."""

    def fresh(thing: T) -> T:
        found = known.get(thing.id)
        if found is None:
            return thing
        until = found.level.until.isoformat() if found.level.until and not found.level.available else ""
        return msgspec.structs.replace(thing, availability=Availability(found.level.available, until))

    groups = tuple(msgspec.structs.replace(group, modifiers=tuple(map(fresh, group.modifiers))) for group in menu.groups)
    return msgspec.structs.replace(menu, items=tuple(map(fresh, menu.items)), groups=groups)


def seen(place_ref: str, levels: Iterable[StockLevel], *, held: bool = False) -> tuple[StockSeen, ...]:
    """Levels as rows to keep; with `held`, what is off sale is a person's word."""
    return tuple(
        StockSeen(
            place_ref=place_ref,
            item=x.id,
            kind=x.kind,
            available=x.available,
            quantity=x.quantity,
            until=x.until,
            held=held and not x.available,
        )
        for x in levels
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
        known = await known_levels(place, place.connection, location_ref)
        levels = _news(told, known)
        if levels:
            here = [link for link in links if link.pos_connection == place.connection and link.pos_location_ref == location_ref]
            changes = _told(changes, desk, location_ref, levels, here)
            ends = sorted({level.until for level in levels if level.until is not None and not level.available})
            again = tuple(_later(place.connection, "sync.stock", location_ref, end, desk) for end in ends)
            changes = msgspec.structs.replace(changes, messages=(*changes.messages, *again))
    return changes


def _news(told: Mapping[str, StockLevel], known: Mapping[str, Known]) -> list[StockLevel]:
    """What differs from what is kept; what the POS no longer lists is back on sale, unless a person took it off in the hub."""
    back = {
        key: msgspec.structs.replace(old.level, available=True, quantity=None, until=None) for key, old in known.items() if key not in told
    }
    levels = []
    for level in (*told.values(), *back.values()):
        old = known.get(level.id)
        if old is not None and level.until is None and not level.available and not old.level.available:
            # Few POS tell when it ends: the end that somebody set is kept.
            level = msgspec.structs.replace(level, until=old.level.until)
        if old is None or (old.level != level and not (old.stands and level.available)):
            levels.append(level)
    return levels


def _later(connection: str, kind: str, location_ref: str, end: datetime, desk: Desk, body: bytes = b"") -> NewMessage:
    # A subject of its own: it must not stand before what comes meanwhile.
    return NewMessage(
        connection=connection,
        kind=kind,
        subject=f"stockend/{location_ref}/{desk.claim.message}",
        dedupe_key=_end_key(location_ref, end, desk),
        lane=Lane.STOCK,
        body=body,
        correlation=desk.claim.correlation,
        available_at=end,
    )


def _end_key(location_ref: str, end: datetime, desk: Desk) -> str:
    return f"stock/{location_ref}/ends/{end.isoformat()}/{desk.claim.message}"


def _told(
    changes: Changes, desk: Desk, location_ref: str, levels: Sequence[StockLevel], links: Sequence[Link], *, held: bool = False
) -> Changes:
    if not levels:
        return changes
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
        stock=(*changes.stock, *seen(location_ref, levels, held=held)),
        events=(*changes.events, *events),
        messages=(*changes.messages, *messages),
    )


async def set_stock(place: Workplace, desk: Desk) -> Changes:
    """Somebody takes products off sale or puts them back: at the POS where it can be told, then on every channel."""
    claim = desk.claim
    text = await place.bodies.open(place.tenant, claim.body, "messages", place.connection, claim.dedupe_key)
    wanted = msgspec.json.decode(text, type=Levels)
    levels: Sequence[StockLevel] = wanted.levels
    if wanted.ending is not None:
        known = await known_levels(place, place.connection, wanted.location_ref)
        levels = [x for x in levels if x.id in known and not known[x.id].level.available and known[x.id].level.until == wanted.ending]
    if not levels:
        return Changes()
    here = [
        x for x in await place.links() if x.active and x.pos_connection == place.connection and x.pos_location_ref == wanted.location_ref
    ]
    told, refused = await _at_pos(place, desk, wanted.location_ref, levels)
    changes = _told(Changes(), desk, wanted.location_ref, told, here)
    changes = _told(changes, desk, wanted.location_ref, [x for x in levels if x not in told], here, held=True)
    messages = [*dict.fromkeys(changes.messages), *await _ends(place, desk, wanted.location_ref, levels)]
    key = f"stock/{place.connection}/{wanted.location_ref}"
    where = f"{place.facts.name} at {wanted.location_ref}"
    alerts = (_alert(key, place.connection, where, refused),) if refused else ()
    return msgspec.structs.replace(changes, messages=tuple(messages), alerts=alerts, cleared=() if refused else (key,))


async def _at_pos(
    place: Workplace, desk: Desk, location_ref: str, levels: Sequence[StockLevel]
) -> tuple[Sequence[StockLevel], Sequence[str]]:
    """Set levels at the POS: those that it took, and what it refused. A POS that cannot be told takes none and refuses none."""
    if not isinstance(place.adapter, StockWrite):
        return (), ()
    took: list[StockLevel] = []
    refused: list[str] = []
    effects = place.effects(desk, await place.bodies.key(place.tenant), subject=desk.claim.subject)
    for number, batch in enumerate(_batches(levels, place.facts.availability_batch)):
        try:
            step = await place.adapter.stock_step(location_ref, batch)
            answer = await effects.perform(msgspec.structs.replace(step, name=f"{step.name}/{desk.claim.message}/{number}"))
        except (Rejected, Misconfigured) as error:
            refused += [f"{level.id} ({error})"[:200] for level in batch]
            continue
        failed = set(answer.data.get("failed") or ())
        took += [level for level in batch if level.id not in failed]
        refused += sorted(failed)
    return took, refused


async def _ends(place: Workplace, desk: Desk, location_ref: str, levels: Sequence[StockLevel]) -> list[NewMessage]:
    """Messages that put back on sale what was taken off until a time: few vendors end it by themselves."""
    ending: dict[datetime, list[StockLevel]] = {}
    for level in levels:
        if level.until is not None and not level.available:
            ending.setdefault(level.until, []).append(msgspec.structs.replace(level, available=True, until=None))
    messages = []
    key = await place.bodies.key(place.tenant)
    for end, those in sorted(ending.items(), key=lambda each: each[0]):
        body = msgspec.json.encode(Levels(location_ref, tuple(those), end))
        sealed = key.seal(body, place.tenant, "messages", place.connection, _end_key(location_ref, end, desk))
        messages.append(_later(place.connection, "stock.set", location_ref, end, desk, sealed))
    return messages


async def push_stock(place: Workplace, desk: Desk) -> Changes:
    """Bring one store to what its POS location has; what the platform refused alerts, the rest is confirmed."""
    claim = desk.claim
    link = await place.link_of_store(claim.key)
    if link is None or not isinstance(place.adapter, ItemAvailability):
        return Changes()
    wanted = await known_levels(place, link.pos_connection, link.pos_location_ref)
    confirmed = await known_levels(place, place.connection, link.delivery_store_ref)
    _, menu = await place.menu(link.pos_connection, link.pos_location_ref)
    sold = menu.sellable() if menu is not None else {}
    async with place.database.tenant(place.tenant) as transaction:
        published = await transaction.fetchval(_PUBLISHED, link.id)
    differ = [
        each.level
        for key, each in wanted.items()
        if key in sold and _differs(each.level, confirmed.get(key), published, on_menu=sold[key].availability.available)
    ]
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
    alerts = (_alert(key, link.id, f"store {link.delivery_store_ref}", refused),) if refused else ()
    cleared = () if refused else (key,)
    return Changes(stock=seen(link.delivery_store_ref, done), events=(event,), alerts=alerts, cleared=cleared)


def _differs(level: StockLevel, confirmed: Known | None, published: datetime | None, *, on_menu: bool) -> bool:
    """Whether the store must be told. What it confirmed before its menu was published is no longer sure: a menu replaces it."""
    before = confirmed.level if confirmed is not None else None
    if confirmed is None or before is None or (published is not None and confirmed.told_at <= published):
        return not level.available or not on_menu or (before is not None and not before.available)
    return level.available != before.available or (not level.available and level.until != before.until)


def _batches(levels: Sequence[StockLevel], size: int) -> list[list[StockLevel]]:
    """Batches of one kind and one availability each: vendors' calls take no mixture."""
    sorts: dict[tuple[Any, ...], list[StockLevel]] = {}
    for level in levels:
        sorts.setdefault((level.kind, level.available, level.until), []).append(level)
    return [group[at : at + size] for group in sorts.values() for at in range(0, len(group), max(1, size))]


def _alert(key: str, subject: str, where: str, refused: Sequence[str]) -> NewAlert:
    return NewAlert(
        id=new_id("alr"),
        dedupe_key=key,
        kind="stock.refused",
        severity="warning",
        subject=subject,
        detail=f"{where} did not take the availability of: {', '.join(refused)}"[:500],
    )
