"""Order transitions as changes: the compare-and-set, the event that tells of it, and the alerts it settles."""

from typing import Any

import msgspec

from hub.mailbox.changes import Changes, NewEvent, OrderUpdate
from hub.mailbox.claims import OrderRow
from hub.model import FINAL, OrderState, may_follow


def late_key(order_id: str) -> str:
    """Dedupe key of the alert that an order nears its deadline undecided."""
    return f"late/{order_id}"


def order_event(row: OrderRow, step: str, type_: str = "order.updated", **data: Any) -> NewEvent:
    """A line of an order's history; `data` holds ids and field names only."""
    fields = {
        "step": step,
        "platform_order_id": row.platform_order_id,
        **{k: v for k, v in data.items() if v not in (None, "")},
    }
    return NewEvent(type=type_, subject=row.id, location=row.location, data=fields, correlation=row.correlation)


def move(row: OrderRow, state: OrderState, step: str, **fields: Any) -> Changes | None:
    """The changes that bring an order to a state, or None when it may not go there from where it is.

    Keyword arguments named like columns of OrderUpdate are set with it; the others go into the event.
    """
    if not may_follow(row.state, state):
        return None
    columns = {name: fields.pop(name) for name in list(fields) if name in OrderUpdate.__struct_fields__}
    kind = "order.cancelled" if state is OrderState.CANCELLED else "order.updated"
    cleared = (late_key(row.id),) if state is not OrderState.RECEIVED else ()
    return Changes(
        order=OrderUpdate(id=row.id, version=row.version, state=state, **columns),
        events=(order_event(row, step, kind, state=state.value, **fields),),
        cleared=cleared,
    )


def is_over(row: OrderRow) -> bool:
    """Tell whether an order has come to an end."""
    return row.state in FINAL


def with_more(changes: Changes, **more: Any) -> Changes:
    """Changes with further tuples appended or single values set."""
    fields = {name: getattr(changes, name) for name in changes.__struct_fields__}
    for name, value in more.items():
        fields[name] = (*fields[name], *value) if isinstance(fields[name], tuple) else value
    return Changes(**fields)


def attention(reason: str, detail: str, **ids: Any) -> dict[str, Any]:
    """What a person should look at, for the order's `attention`."""
    return {"reason": reason, "detail": detail, **ids}


__all__ = ["UNSET", "attention", "is_over", "late_key", "move", "order_event", "with_more"]
UNSET = msgspec.UNSET
