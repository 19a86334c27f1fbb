"""Which function handles which kind of message."""

from collections.abc import Awaitable, Callable

from hub.contract import AuthRevoked, MenuSource, Stores
from hub.mailbox.changes import Changes, Dead, NewEvent
from hub.menus.sync import push_menu, sync_menu
from hub.orders import decisions, following, intake, submission
from hub.ownership.owner import Desk
from hub.ownership.workplace import Workplace
from hub.reconcile import reconcile


async def _noted(place: Workplace, desk: Desk) -> Changes:
    return Changes()


async def _menu_changed(place: Workplace, desk: Desk) -> Changes:
    return await sync_menu(place, desk) if isinstance(place.adapter, MenuSource) else Changes()


async def _revoked(place: Workplace, desk: Desk) -> Changes:
    raise AuthRevoked("the vendor says that access was withdrawn")


async def _store_event(place: Workplace, desk: Desk) -> Changes:
    event = NewEvent(
        type="connection.changed",
        subject=place.connection,
        data={"step": desk.claim.kind, "store_ref": desk.claim.key},
        correlation=desk.claim.correlation,
    )
    return Changes(events=(event,))


async def _list_stores(place: Workplace, desk: Desk) -> Changes:
    if not isinstance(place.adapter, Stores):
        return Changes()
    stores = await place.adapter.list_stores()
    event = NewEvent(
        type="connection.changed",
        subject=place.connection,
        data={"step": "stores_listed", "stores": [store.ref for store in stores][:200]},
        correlation=desk.claim.correlation,
    )
    return Changes(events=(event,))


HANDLERS: dict[str, Callable[[Workplace, Desk], Awaitable[Changes]]] = {
    "order.placed": intake.placed,
    "order.cancelled": intake.cancelled,
    "order.changed": intake.changed,
    "order.deadline": decisions.deadline,
    "platform.accept": decisions.accept,
    "platform.reject": decisions.reject,
    "platform.preparing": decisions.preparing,
    "platform.ready": decisions.ready,
    "platform.picked_up": decisions.picked_up,
    "platform.delay": decisions.delay,
    "platform.amend": decisions.amend,
    "platform.cancel": decisions.cancel,
    "pos.submit": submission.submit,
    "pos.cancel": submission.cancel,
    "pos.look": following.look,
    "pos_order.changed": following.pos_order_changed,
    "menu.changed": _menu_changed,
    "menu.push": push_menu,
    "sync.menu": sync_menu,
    "sync.orders": reconcile,
    "sync.stores": _list_stores,
    "store.provisioned": _store_event,
    "store.deprovisioned": _store_event,
    "connection.revoked": _revoked,
    "noted": _noted,
}


async def handle(place: Workplace, desk: Desk) -> Changes:
    """Handle a message by its kind; an unknown kind is dead, so that a newer release can replay it."""
    handler = HANDLERS.get(desk.claim.kind)
    if handler is None:
        return Changes(end=Dead("error", f"this release does not know messages of kind {desk.claim.kind!r}"))
    return await handler(place, desk)
