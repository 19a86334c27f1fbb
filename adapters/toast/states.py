"""How Toast names an order and where it has it, in the hub's words. Pure functions."""

from adapters.toast import models
from adapters.toast.models import NAMING
from hub.model import Money, OrderState

_RANK = {
    state: rank
    for rank, state in enumerate(
        (
            OrderState.RECEIVED,
            OrderState.ACCEPTED,
            OrderState.PREPARING,
            OrderState.READY,
            OrderState.PICKED_UP,
            OrderState.DELIVERED,
            OrderState.COMPLETED,
            OrderState.FAILED,
            OrderState.CANCELLED,
        )
    )
}
_GUEST = {
    "IN_PREPARATION": OrderState.PREPARING,
    "READY_FOR_PICKUP": OrderState.READY,
    "CLOSED": OrderState.COMPLETED,
    "VOIDED": OrderState.CANCELLED,
}
_DELIVERY = {
    "IN_PROGRESS": OrderState.PICKED_UP,
    "PICKED_UP": OrderState.PICKED_UP,
    "DELIVERED": OrderState.DELIVERED,
}
_APPROVAL = {
    "APPROVED": OrderState.ACCEPTED,
    # Toast holds it until its time: for the channel it is taken. Nobody approving it then is told as NOT_APPROVED.
    "FUTURE": OrderState.ACCEPTED,
    "NOT_APPROVED": OrderState.FAILED,
}


def pos_id(guid: str, restaurant: str) -> str:
    """The hub's id of an order: Toast shows an order only to who names its restaurant."""
    return f"{guid}@{restaurant}"


def order_and_place(pos_order_id: str) -> tuple[str, str]:
    """GUID and restaurant of an order's id; the restaurant is "" where only the GUID is known."""
    guid, _, restaurant = pos_order_id.partition("@")
    return guid, restaurant


def external_id(reference: str, generation: int) -> str:
    """The order's external id; each generation is an order of its own."""
    return f"{NAMING}{reference}" if generation == 1 else f"{NAMING}{reference}-{generation}"


def reference_in(external: str | None) -> str:
    """Our reference in an external id, "" when it is not from us."""
    return external.removeprefix(NAMING).partition("-")[0] if external and external.startswith(NAMING) else ""


def state_of(order: models.Order, guest: str = "") -> OrderState:
    """The furthest that the order, or the guest's status that came with a call, tells. An unknown approval is no approval yet."""
    if order.voided or order.deleted:
        return OrderState.CANCELLED
    found = {_APPROVAL.get(order.approval_status or "APPROVED", OrderState.RECEIVED), _GUEST.get(guest, OrderState.RECEIVED)}
    if order.delivery_info is not None:
        found.add(_DELIVERY.get(order.delivery_info.delivery_state or "", OrderState.RECEIVED))
    checks = [check for check in order.checks or [] if not check.voided and not check.deleted]
    cooked = {
        line.fulfillment_status
        for check in checks
        for line in check.selections or []
        if line.selection_type != "SPECIAL_REQUEST" and not line.voided
    }
    if cooked == {"READY"}:
        found.add(OrderState.READY)
    elif cooked & {"SENT", "READY"}:
        found.add(OrderState.PREPARING)
    # What was paid elsewhere closes a check at once; what the till took closes it when the guest has left.
    kinds = {payment.type for check in checks for payment in check.payments or []}
    if kinds and "OTHER" not in kinds and all(check.payment_status == "CLOSED" for check in checks):
        found.add(OrderState.COMPLETED)
    return max(found, key=_RANK.__getitem__)


def total_of(order: models.Order, currency: str) -> Money:
    """What Toast shows: all checks, with taxes, without tips."""
    return Money(sum(models.minor(c.total_amount, currency) for c in order.checks or [] if not c.deleted), currency)
