"""What DoorDash is told about an order: confirmed or failed, ready, cancelled, its lines changed. Pure functions."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from adapters.doordash.mapping import PICKUP_TIME, written
from hub.contract import AmendTask, DecisionTask, Facts, Repeat

LONGEST = 500
# The words DoorDash's guide asks for: vague ones count against the provider.
_REASONS: Mapping[str, str] = {
    "item_unavailable": "Item Unavailable",
    "closed": "Store Unavailable - Closed or Remodel",
    "busy": "Store Unavailable - Kitchen at capacity",
    "pos_offline": "Store Unavailable - Connectivity Issue",
    "price_mismatch": "Pricing Mismatch",
    "address": "Invalid Address - outside of the delivery area",
    "test_order": "Test order",
    "other": "Refused by the restaurant",
}


def order_path(platform_order_id: str, *parts: str) -> str:
    """An order's path."""
    return "/marketplace/api/v1/orders/" + "/".join((quote(platform_order_id, safe=""), *parts))


def accepted(task: DecisionTask) -> dict[str, Any]:
    """The order is taken; a time when it is ready only where it is the kitchen's own and not DoorDash's estimate sent back."""
    body: dict[str, Any] = {"merchant_supplied_id": task.reference, "order_status": "success"}
    if task.ready_at is not None and written(task.ready_at) != task.vendor_refs.get(PICKUP_TIME):
        body["prep_time"] = written(task.ready_at)
    return body


def refused(task: DecisionTask, facts: Facts) -> dict[str, Any]:
    """The order fails, in words and with a code."""
    reason = task.reason if task.reason in facts.reject_reasons else "other"
    words = _REASONS.get(reason, _REASONS["other"])
    words = f"{words} - {task.detail}" if task.detail else words
    error = {"code": facts.reject_reasons[reason], "merchant_supplied_id": "", "message": words[:LONGEST]}
    return {"merchant_supplied_id": task.reference, "order_status": "fail", "failure_reason": words[:LONGEST], "errors": [error]}


def cancelled(task: DecisionTask, facts: Facts) -> dict[str, Any]:
    """An accepted order is taken back."""
    reason = facts.cancel_reasons.get(task.reason) or facts.cancel_reasons["other"]
    details = (task.detail or task.reason)[:LONGEST]
    return {"cancel_reason": reason, **({"cancel_details": details} if details else {})}


def adjusted(task: AmendTask) -> tuple[str, Repeat, dict[str, Any]] | None:
    """Operation, what makes it safe to repeat, and body; None when no line changes.

    A line that is taken out cannot be named again, so the removal of one line is told apart from calls that do more.
    """
    items: list[dict[str, Any]] = []
    for line in task.order.lines:
        wanted = task.quantities.get(line.id)
        if wanted is None or wanted == line.quantity or line.id == line.plu:
            continue  # an id of DoorDash's own is what it takes; a line that came without is known by its item's
        if wanted <= 0:
            items.append({"line_item_id": line.id, "adjustment_type": "ITEM_REMOVE"})
        else:
            items.append({"line_item_id": line.id, "adjustment_type": "ITEM_UPDATE", "quantity": wanted})
    if not items:
        return None
    removed = [each for each in items if each["adjustment_type"] == "ITEM_REMOVE"]
    if removed and len(items) > 1:
        return "adjust_lines", Repeat.NEVER, {"items": items}
    return ("remove_line" if removed else "adjust_lines"), Repeat.NATURAL, {"items": items}
