"""Read a POS's menu into a new version when it changed; push the newest version to a platform's stores."""

import hashlib

import msgspec

from hub.contract import Lane, MenuSink, MenuSource, RetryLater
from hub.mailbox.changes import Changes, NewEvent, NewMenu
from hub.mailbox.messages import NewMessage
from hub.ownership.owner import Desk
from hub.ownership.workplace import Workplace


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
    messages = [
        NewMessage(
            connection=place.connection,
            kind="menu.push",
            subject=f"menu/{link.delivery_store_ref}",
            dedupe_key=f"menu/{link.delivery_store_ref}/push/{desk.claim.message}",
            lane=Lane.MENU,
            correlation=desk.claim.correlation,
        )
        for link in await place.links()
        if link.active and link.delivery_connection == place.connection
    ]
    return Changes(messages=tuple(messages))


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
    key = await place.bodies.key(place.tenant)
    step = adapter.push_menu_step(link.delivery_store_ref, menu)
    step = msgspec.structs.replace(step, name=f"{step.name}/{claim.message}")
    await place.effects(desk, key, subject=claim.subject).perform(step)
    event = NewEvent(
        type="menu.published",
        subject=link.id,
        location=link.location,
        data={"store_ref": link.delivery_store_ref, "version": number, "items": len(menu.items)},
        correlation=claim.correlation,
    )
    return Changes(events=(event,))
