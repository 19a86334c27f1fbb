"""Which function handles which kind of message."""

from collections.abc import Awaitable, Callable

from hub.contract import AuthRevoked, MenuSource
from hub.extras.calls import run as run_extra
from hub.mailbox.changes import Changes, Dead, NewEvent
from hub.menus.sync import await_job, menu_job, menu_wanted, push_menu, sync_menu
from hub.orders import couriers, decisions, following, intake, submission
from hub.ownership.owner import Desk
from hub.ownership.workplace import Workplace
from hub.reconcile import reconcile
from hub.stores import control, stock


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
    "sync.stores": control.sync_stores,
    "sync.stock": stock.sync_stock,
    "stock.changed": stock.sync_stock,
    "stock.set": stock.set_stock,
    "stock.push": stock.push_stock,
    "store.set": control.set_store,
    "store.changed": control.store_changed,
    "menu.wanted": menu_wanted,
    "menu.job": menu_job,
    "menu.await": await_job,
    "courier.moved": couriers.courier_moved,
    "store.provisioned": _store_event,
    "store.deprovisioned": _store_event,
    "connection.revoked": _revoked,
    "extra.run": run_extra,
    "noted": _noted,
}


async def handle(place: Workplace, desk: Desk) -> Changes:
    """Handle a message by its kind; an unknown kind is dead, so that a newer release can replay it."""
    handler = HANDLERS.get(desk.claim.kind)
    if handler is None:
        return Changes(end=Dead("error", f"this release does not know messages of kind {desk.claim.kind!r}"))
    return await handler(place, desk)
