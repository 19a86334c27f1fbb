"""Open orders of a platform's stores, and of a POS's locations, held against the orders table."""

from collections.abc import Sequence
from datetime import timedelta

from hub.clock import utc_now
from hub.contract import Lane, OrderList, OrderSearch, PlatformOrder, PosOrder
from hub.database.pool import Transaction
from hub.ids import is_id, new_id
from hub.mailbox.changes import Changes, Later, NewEvent
from hub.mailbox.claims import Claim
from hub.mailbox.messages import NewMessage, enqueue
from hub.model import OrderState
from hub.orders.intake import OVER
from hub.ownership.owner import Desk
from hub.ownership.workplace import Workplace

PERIODIC = "sync/orders/periodic"
"""Dedupe key of the one message that rings again and again."""
SETTLED_SECONDS = 30.0
"""Younger differences are events still on their way."""
POS_WINDOW = timedelta(hours=12)
OF_PLATFORM = (
    "select platform_order_id, state, version, updated_at from hub.orders where delivery_connection = $1 and platform_order_id = any($2)"
    " union all select platform_order_id, state, version, updated_at from hub.orders"
    " where delivery_connection = $1 and ended is null and platform_order_id <> all($2)"
)
"""Orders that a platform listed, and those that are open here; each part has its index."""
OF_POS = (
    "select pos_order_id, state, decision, version, updated_at, placed_at from hub.orders"
    " where pos_connection = $1 and pos_order_id is not null and pos_order_id = any($2)"
    " union all select pos_order_id, state, decision, version, updated_at, placed_at from hub.orders"
    " where pos_connection = $1 and pos_order_id is not null and ended is null and pos_order_id <> all($2)"
)
"""Orders that a POS listed, and those that are open here and known there."""
UNLINKED_SECONDS = 6 * 3600.0
"""A connection without links has no orders to compare: its periodic reconcile rests, until a link rings it."""


def first_reconcile(connection: str) -> NewMessage:
    """The message that starts a connection's periodic reconcile; there is one for ever."""
    return NewMessage(
        connection=connection,
        kind="sync.orders",
        subject="sync/orders",
        dedupe_key=PERIODIC,
        lane=Lane.BULK,
    )


_RING = """
update hub.due set available_at = hub.clock()
where connection = any ($1) and subject = 'sync/orders' and claimed_epoch is null and available_at > hub.clock()
returning connection
"""


async def ring_reconcile(transaction: Transaction, tenant: str, connections: Sequence[str]) -> list[str]:
    """Have these connections reconcile now and then periodically: they were linked. Returns the connections to wake."""
    woken = await enqueue(transaction, tenant, [first_reconcile(connection) for connection in connections])
    rung = await transaction.fetch(_RING, list(connections))
    return sorted({*woken, *(row["connection"] for row in rung)})


async def reconcile(place: Workplace, desk: Desk) -> Changes:
    """Find what no webhook told."""
    claim = desk.claim
    periodic = claim.dedupe_key == PERIODIC
    end = Later(place.policies.reconcile_seconds, fresh=True) if periodic else Changes().end
    if not await place.links():
        return Changes(end=Later(UNLINKED_SECONDS, fresh=True) if periodic else end)
    if place.facts.kind == "pos" and isinstance(place.adapter, OrderSearch):
        messages = await _pos(place, place.adapter, claim)
    elif place.facts.kind == "delivery" and isinstance(place.adapter, OrderList):
        messages = await _platform(place, place.adapter, claim)
    else:
        return Changes()  # nothing to ask: only the vendor's own calls tell
    events: tuple[NewEvent, ...] = ()
    if messages:
        event = NewEvent(
            type="connection.changed",
            subject=place.connection,
            data={"step": "reconciled", "found": len(messages), "orders": [m.subject for m in messages[:50]]},
            correlation=claim.correlation,
        )
        events = (event,)
    return Changes(end=end, messages=tuple(messages), events=events)


def _found(place: Workplace, kind: str, key: str, what: str, lane: Lane) -> NewMessage:
    return NewMessage(
        connection=place.connection,
        kind=kind,
        subject=f"order/{key}",
        dedupe_key=f"order/{key}/{what}",
        lane=lane,
        correlation=new_id("cor"),
        reopen=True,
    )


async def _platform(place: Workplace, adapter: OrderList, claim: Claim) -> list[NewMessage]:
    listed: dict[str, PlatformOrder] = {}
    for link in await place.links():
        if link.active and link.delivery_connection == place.connection:
            for order in await adapter.open_orders(link.delivery_store_ref):
                listed[order.platform_order_id] = order
    async with place.database.tenant(place.tenant) as transaction:
        rows = await transaction.fetch(
            OF_PLATFORM,
            place.connection,
            list(listed),
        )
        facts = await transaction.fetch(
            "select f.dedupe_key from hub.facts f where f.connection = $1 and f.dedupe_key = any($2)"
            " and not exists (select 1 from hub.dead_letters d where d.id = f.message and d.resolved_at is null)",
            place.connection,
            [f"order/{key}/placed" for key in listed],
        )
    known = {row["platform_order_id"]: row for row in rows}
    told = {row["dedupe_key"] for row in facts}
    messages = []
    for key, order in listed.items():
        if key not in known and order.state not in OVER and f"order/{key}/placed" not in told:
            messages.append(_found(place, "order.placed", key, "placed", Lane.ORDER))
    settled = utc_now() - timedelta(seconds=SETTLED_SECONDS)
    for key, row in known.items():
        open_there = key in listed and listed[key].state not in OVER
        over_here = OrderState(row["state"]) in OVER
        if not open_there and not over_here and row["updated_at"] < settled:
            messages.append(_found(place, "order.changed", key, f"reconciled/{row['version']}", Lane.STATUS))
    return messages


async def _pos(place: Workplace, adapter: OrderSearch, claim: Claim) -> list[NewMessage]:
    """What staff did that no call told, and orders that are gone from the POS although it had taken them."""
    seen: dict[str, PosOrder] = {}
    for location_ref in sorted({link.pos_location_ref for link in await place.links() if link.pos_connection == place.connection}):
        for order in await adapter.open_orders(location_ref, utc_now() - POS_WINDOW):
            if is_id("ord", order.reference):
                seen[order.pos_order_id] = order
    async with place.database.tenant(place.tenant) as transaction:
        rows = await transaction.fetch(
            OF_POS,
            place.connection,
            list(seen),
        )
    now = utc_now()
    messages = []
    for row in rows:
        state = OrderState(row["state"])
        if state in OVER or row["updated_at"] > now - timedelta(seconds=SETTLED_SECONDS):
            continue
        there = seen.get(row["pos_order_id"])
        if there is None:
            # The list may show open orders only: the order itself is asked for, and alerts when it is gone.
            if row["placed_at"] > now - POS_WINDOW:
                messages.append(_found(place, "pos_order.changed", row["pos_order_id"], f"missed/{row['version']}", Lane.STATUS))
            continue
        queued = row["decision"] == "queued" and there.state is not OrderState.RECEIVED
        same = there.state is state or there.state in (OrderState.RECEIVED, OrderState.ACCEPTED)
        if queued or not same:
            messages.append(_found(place, "pos_order.changed", there.pos_order_id, f"changed/{there.version}", Lane.STATUS))
    return messages
