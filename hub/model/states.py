"""The order's life as one table: which state may follow which. The hub never invents a state a vendor did not report."""

from enum import StrEnum


class OrderState(StrEnum):
    """Where an order is. `accepted` means: in the POS, paid there, and the platform's accept confirmed."""

    RECEIVED = "received"
    ACCEPTED = "accepted"
    PREPARING = "preparing"
    READY = "ready"
    PICKED_UP = "picked_up"
    DELIVERED = "delivered"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    FAILED = "failed"


_S = OrderState
_ENDS = frozenset({_S.CANCELLED, _S.FAILED})

# A vendor may leave out states (few report `preparing`), so each state may reach any later one of its path.
TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    _S.RECEIVED: _ENDS | {_S.ACCEPTED, _S.REJECTED},
    _S.ACCEPTED: _ENDS | {_S.PREPARING, _S.READY, _S.PICKED_UP, _S.DELIVERED, _S.COMPLETED},
    _S.PREPARING: _ENDS | {_S.READY, _S.PICKED_UP, _S.DELIVERED, _S.COMPLETED},
    _S.READY: _ENDS | {_S.PICKED_UP, _S.DELIVERED, _S.COMPLETED},
    _S.PICKED_UP: _ENDS | {_S.DELIVERED, _S.COMPLETED},
    _S.DELIVERED: _ENDS | {_S.COMPLETED},
    _S.COMPLETED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.REJECTED: frozenset(),
    _S.FAILED: frozenset(),
}

FINAL = frozenset(state for state, following in TRANSITIONS.items() if not following)


def may_follow(current: OrderState, following: OrderState) -> bool:
    """Tell whether an order may go from one state to another; staying where it is is no transition."""
    return following in TRANSITIONS[current]
