"""Read a POS's menu into a new version when it changed; push the newest version to a platform's stores."""

import hashlib
from datetime import timedelta
from typing import Any

import msgspec

from hub.clock import utc_now
from hub.contract import Lane, MenuFit, MenuJobs, MenuSink, MenuSource, RetryLater
from hub.ids import new_id
from hub.mailbox.changes import Changes, NewAlert, NewEvent, NewMenu
from hub.mailbox.messages import NewMessage
from hub.model import NotCarried
from hub.ownership.owner import Desk
from hub.ownership.workplace import Link, Workplace
from hub.stores.stock import known_levels, push_message, stocked

JOB_SECONDS = 600.0
"""How long a platform's word about a pushed menu is awaited before somebody is told."""


async def sync_menu(place: Workplace, desk: Desk) -> Changes:
    """On a POS connection read the menus of its linked locations; on a delivery connection push them."""
    if isinstance(place.adapter, MenuSource):
        return await _read(place, desk, place.adapter)
    if isinstance(place.adapter, MenuSink):
        return await _push_all(place, desk)
    return Changes()


async def _read(place: Workplace, desk: Desk, adapter: MenuSource) -> Changes:
    menus, events = [], []
    locations = {link.pos_location_ref for link in await place.links() if link.pos_connection == place.connection}
    for location_ref in sorted(locations):
        menu = await adapter.read_menu(location_ref)
        body = msgspec.json.encode(menu, order="deterministic")
        digest = hashlib.sha256(body).digest()
        async with place.database.tenant(place.tenant) as transaction:
            newest = await transaction.fetchval(
                "select digest from hub.menu_versions where connection = $1 and location_ref = $2 order by number desc limit 1",
                place.connection,
                location_ref,
            )
        if newest == digest:
            continue
        menus.append(NewMenu(location_ref, digest, msgspec.to_builtins(menu)))
        events.append(
            NewEvent(
                type="menu.read",
                subject=place.connection,
                data={"location_ref": location_ref, "items": len(menu.items), "digest": digest.hex()[:16]},
                correlation=desk.claim.correlation,
            )
        )
    return Changes(menus=tuple(menus), events=tuple(events))


async def _push_all(place: Workplace, desk: Desk) -> Changes:
    mine = [link for link in await place.links() if link.active and link.delivery_connection == place.connection]
    return Changes(messages=tuple(_push_message(link, desk) for link in mine))


def _push_message(link: Link, desk: Desk) -> NewMessage:
    return NewMessage(
        connection=link.delivery_connection,
        kind="menu.push",
        subject=f"menu/{link.delivery_store_ref}",
        dedupe_key=f"menu/{link.delivery_store_ref}/push/{desk.claim.message}",
        lane=Lane.MENU,
        correlation=desk.claim.correlation,
    )


async def push_menu(place: Workplace, desk: Desk) -> Changes:
    """Replace one store's menu with the newest version of its POS location."""
    claim = desk.claim
    adapter = place.adapter
    assert isinstance(adapter, MenuSink)
    link = await place.link_of_store(claim.key)
    if link is None:
        return Changes()
    number, menu = await place.menu(link.pos_connection, link.pos_location_ref)
    if menu is None:
        raise RetryLater("the POS's menu has not been read yet", after=1.0)
    menu = stocked(menu, await known_levels(place, link.pos_connection, link.pos_location_ref))
    key = await place.bodies.key(place.tenant)
    lost: tuple[NotCarried, ...] = ()
    if isinstance(adapter, MenuFit):
        menu, lost = adapter.fit_menu(menu)
    step = adapter.push_menu_step(link.delivery_store_ref, menu)
    step = msgspec.structs.replace(step, name=f"{step.name}/{claim.message}")
    done = await place.effects(desk, key, subject=claim.subject).perform(step)
    data: dict[str, Any] = {"store_ref": link.delivery_store_ref, "version": number, "items": len(menu.items)}
    if lost:
        data["not_carried"] = [{"field": each.field, "reason": each.reason} for each in lost[:50]]
    if not done.job:
        more = {"unchanged": True} if done.data.get("unchanged") else {}
        return _published(desk, link, {**data, **more})
    event = _event("menu.submitted", desk, link, {**data, "job": done.job})
    wait = NewMessage(
        connection=place.connection,
        kind="menu.await",
        subject=f"menujob/{link.delivery_store_ref}",
        dedupe_key=f"menujob/{link.delivery_store_ref}/{claim.message}",
        lane=Lane.MENU,
        correlation=claim.correlation,
        available_at=utc_now() + timedelta(seconds=JOB_SECONDS),
    )
    return Changes(events=(event,), messages=(wait,))


def _event(kind: str, desk: Desk, link: Link, data: dict[str, Any]) -> NewEvent:
    return NewEvent(type=kind, subject=link.id, location=link.location, data=data, correlation=desk.claim.correlation)


def _published(desk: Desk, link: Link, data: dict[str, Any]) -> Changes:
    # A fresh menu may have put back on sale what the POS has not: the store is brought to the POS's stock again.
    return Changes(
        events=(_event("menu.published", desk, link, data),),
        messages=(push_message(link, desk.claim.message, desk.claim.correlation),),
        cleared=(_failed_key(link),),
    )


def _failed_key(link: Link) -> str:
    return f"menu/{link.id}"


async def menu_job(place: Workplace, desk: Desk) -> Changes:
    """The platform tells how its work on a pushed menu went, store by store."""
    claim, adapter = desk.claim, place.adapter
    if not isinstance(adapter, MenuJobs):
        return Changes()
    notice = await place.bodies.open(place.tenant, claim.body, "messages", place.connection, claim.dedupe_key)
    changes = Changes()
    for result in adapter.job_results(notice):
        link = await place.link_of_store(result.store_ref) if result.store_ref == claim.key else None
        if link is None or result.outcome == "running":
            continue
        data = {"store_ref": result.store_ref, "job": result.job, "outcome": result.outcome}
        if result.outcome == "done":
            return _published(desk, link, data)
        detail = result.detail or "the platform gives no reason"
        changes = Changes(events=(_event("menu.failed", desk, link, {**data, "detail": detail[:300]}),), alerts=(_failed(link, detail),))
    return changes


async def await_job(place: Workplace, desk: Desk) -> Changes:
    """A pushed menu whose result should have come by now: alert when it has not."""
    claim = desk.claim
    link = await place.link_of_store(claim.key)
    if link is None:
        return Changes()
    async with place.database.tenant(place.tenant) as transaction:
        told = await transaction.fetchval(
            "select exists (select 1 from hub.events where type in ('menu.published', 'menu.failed') and subject = $1 and at >= $2)",
            link.id,
            claim.at,
        )
    return Changes() if told else Changes(alerts=(_failed(link, f"no word of the pushed menu within {JOB_SECONDS:.0f} s"),))


def _failed(link: Link, detail: str) -> NewAlert:
    return NewAlert(
        id=new_id("alr"),
        dedupe_key=_failed_key(link),
        kind="menu.failed",
        severity="warning",
        subject=link.id,
        detail=f"the menu of store {link.delivery_store_ref} was not published: {detail}"[:500],
    )


async def menu_wanted(place: Workplace, desk: Desk) -> Changes:
    """The platform asks for a store's menu: it is pushed."""
    store_ref = desk.claim.key
    link = await place.link_of_store(store_ref)
    if link is None or not isinstance(place.adapter, MenuSink):
        return Changes()
    return Changes(messages=(_push_message(link, desk),))
