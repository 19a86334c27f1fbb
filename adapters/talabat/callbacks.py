"""What the platform is told about an order, at the addresses that came with it: a missing address means that it is not wanted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from adapters.talabat.mapping import TEST, moment
from hub.contract import AmendTask, DecisionTask, Facts, Repeat, Request, Step

LEAST_AHEAD = timedelta(minutes=3)
"""An acceptance time is at least two minutes ahead when the call arrives."""
USUAL = timedelta(minutes=20)
"""When food is ready of which nobody said when."""
_JSON = {"Content-Type": "application/json"}


def _now() -> datetime:
    return datetime.now(UTC)


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _step(name: str, task: DecisionTask, ref: str, body: dict[str, Any] | None) -> Step | None:
    url = task.vendor_refs.get(ref)
    if not url:
        return None
    raw = b"" if body is None else msgspec.json.encode(body)
    request = Request("POST", url, name, body=raw, headers={} if body is None else _JSON, about=task.platform_order_id)
    return Step(name, request, Repeat.NATURAL)


def accept(task: DecisionTask) -> Step | None:
    """Accept, for when the rider or the consumer comes, or the food is to arrive; later where the kitchen says so."""
    now = _now()
    due = moment(task.vendor_refs.get("due"), "due") or now + USUAL
    at = max(due, task.ready_at or due, now + LEAST_AHEAD)
    body = {"status": "order_accepted", "acceptanceTime": _written(at), "remoteOrderId": task.platform_order_id}
    return _step("accept", task, "accept", body)


def refuse(name: str, task: DecisionTask, facts: Facts) -> Step | None:
    """Reject (before the accept) or cancel (after it): each has its own words."""
    reasons = facts.cancel_reasons if name == "cancel" else facts.reject_reasons
    reason = reasons.get(task.reason) or reasons["other"]
    if name == "reject" and task.vendor_refs.get(TEST):
        reason = facts.reject_reasons["test_order"]
    body = {"status": "order_rejected", "reason": reason, "message": task.detail or task.reason}
    return _step(name, task, "reject", body)


def picked_up(task: DecisionTask) -> Step | None:
    """The consumer or the restaurant's courier has it; the platform's riders tell by themselves."""
    if task.fulfilment == "delivery_by_platform":
        return None
    return _step("picked_up", task, "picked_up", {"status": "order_picked_up"})


def ready(task: DecisionTask) -> Step | None:
    """Ready for the platform's rider; nobody else is told."""
    return _step("ready", task, "prepared", None)


def delay(task: DecisionTask) -> Step | None:
    """Have the rider come at `ready_at`, as far as the order's window allows."""
    if task.ready_at is None:
        return None
    at = task.ready_at
    if latest := moment(task.vendor_refs.get("latest"), "maxPickUpTimestamp"):
        at = min(at, latest)
    if earliest := moment(task.vendor_refs.get("earliest"), "minPickUpTimestamp"):
        at = max(at, earliest)
    return _step("delay", task, "adjust", {"expectedPickupAt": _written(at)})


def amend(task: AmendTask) -> Step | None:
    """Take lines out or reduce them; the platform tells later whether it did."""
    products: list[dict[str, Any]] = []
    for line in task.order.lines:
        quantity = task.quantities.get(line.id)
        if quantity is None or quantity == line.quantity:
            continue
        named: dict[str, Any] = {"id": line.id, "remoteCode": line.plu or line.id}
        if quantity > 0:
            named |= {"quantity": str(quantity), "modification": {"type": "CHANGE", "properties": ["quantity"]}}
        else:
            named["modification"] = {"type": "REMOVAL"}
        products.append(named)
    return _step("amend", task.decision, "modify", {"modifications": {"products": products}}) if products else None
