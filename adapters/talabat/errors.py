"""Each endpoint has its own error body and its own meanings: this is the table."""

from typing import Any

import msgspec

from adapters.talabat import models
from hub.contract import AlreadyDone, AuthRevoked, Misconfigured, NotFound, Rejected, Response, RetryLater, Unreadable

_DECISIONS = {
    "accept": frozenset({"ACCEPTED", "PICKED_UP"}),
    "reject": frozenset({"CANCELLED"}),
    "cancel": frozenset({"CANCELLED"}),
    "picked_up": frozenset({"PICKED_UP"}),
}
"""Decisions, and the states that say that they were taken before."""
_ABOUT_ORDERS = frozenset({*_DECISIONS, "ready", "delay", "amend"})
_UNACKNOWLEDGED = frozenset({"WAITING_FOR_ACKNOWLEDGEMENT", "ASSIGNED_TO_TRANSPORT"})
SOON = 1.0
"""Our answer to the dispatch is on its way: the vendor asks for repeats every 10 s, the first one need not wait that long."""
LATER = 10.0


def failure(operation: str, response: Response) -> Exception | None:
    """Name the error; None leaves it to the shared table."""
    status = response.status
    if status < 400:
        return _partial(operation, response) if status == 200 and operation == "availability" else None
    body = _problem(response)
    code = body.error_code or (body.code if isinstance(body.code, str) else "")
    detail = " ".join(filter(None, (code, body.current_state, body.status, body.message, outcomes(body.details)))).strip()[:300]
    if operation == "token" and status in (400, 401, 403):
        return AuthRevoked(f"Talabat refuses the app's user name or password: {detail}", code=code, detail=detail, status=status)
    if status == 409 and operation in _ABOUT_ORDERS:
        return _conflict(operation, body.current_state or "", code, detail)
    if status == 403:
        message = f"the user of this app may not {operation} for this chain: check the chain code ({detail})"
        return Misconfigured(message, code=code, detail=detail, status=status)
    if status == 400 and code == "ORDER_NOT_FOUND":
        return NotFound(f"{operation}: Talabat does not know the order", code=code, detail=detail, status=status)
    if status == 400 and operation == "fetch_order" and code == "INVALID_ORDER_STATUS":
        return Unreadable("Talabat reports accepted and cancelled orders only", code=code, detail=detail, status=status)
    if status == 404 and operation in ("push_menu", "bulk_menu"):
        return Misconfigured(f"Talabat does not know the chain or a store: {detail}", code=code, detail=detail, status=status)
    if status in (400, 422):
        return Rejected(f"{operation}: {detail or status}", code=code, detail=detail, status=status)
    return None


def _conflict(operation: str, state: str, code: str, detail: str) -> Exception:
    told: dict[str, Any] = {"code": code, "detail": detail, "status": 409}
    if operation in _DECISIONS:
        if state in _UNACKNOWLEDGED:
            return RetryLater(f"{operation}: Talabat has not taken our answer to the dispatch yet", after=SOON, **told)
        if state in _DECISIONS[operation]:
            return AlreadyDone(f"{operation}: it was {state} before", **told)
        if not state and operation != "accept":
            # Only a refused accept is sure to name the state; a call that came too early and one that came too late look the same.
            return RetryLater(f"{operation}: the order is in another state", after=LATER, **told)
    elif operation == "ready":
        return AlreadyDone("ready: nobody waits for it any more", **told)
    elif operation == "amend" and state in ("", "ACCEPTED"):
        return RetryLater("amend: another change is under way", after=LATER / 2, **told)
    return Rejected(f"{operation}: the order is {state or 'in another state'}", **told)


def _partial(operation: str, response: Response) -> Exception | None:
    """A 200 says that some products or platforms failed, and does not say which products."""
    try:
        answer = msgspec.json.decode(response.body, type=models.ItemsAnswer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if answer.status == "Success":
        return None
    detail = f"{answer.status} {outcomes(answer.details)}".strip()[:300]
    return Rejected(f"{operation}: Talabat took not all of it: {detail}", code=answer.status or "", detail=detail, status=200)


def outcomes(details: list[models.ItemsDetail] | None) -> str:
    """How it went on each platform, in a few words."""
    return ", ".join(f"{each.global_entity_id or ''}/{each.platform_vendor_id or ''}: {each.status}" for each in details or [])


def _problem(response: Response) -> models.Problem:
    try:
        return msgspec.json.decode(response.body, type=models.Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return models.Problem()
