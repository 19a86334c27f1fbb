"""DoorDash's refusals: plain text on menus (at times with a 200), a list of entries on items, JSON elsewhere."""

import msgspec

from adapters.doordash import models
from hub.contract import AlreadyDone, Misconfigured, NotFound, RateLimited, Rejected, Response, RetryLater

JOB_SECONDS = 60.0
"""A menu is worked on for less than a minute as a rule, and its limit is a minute's."""
LEAST_PAUSE = 1.0
_CONFIRMATIONS = frozenset({"accept", "reject"})
_ITEMS = frozenset({"items_status", "options_status"})


def failure(operation: str, response: Response) -> Exception | None:
    """The table by endpoint; None leaves it to the shared one."""
    status, said = response.status, response.body[:600].decode("utf-8", "replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")
    words = said.lower()
    if status == 429:
        least = JOB_SECONDS if operation == "push_menu" else LEAST_PAUSE
        return RateLimited(f"{operation}: DoorDash's limit is reached", after=max(least, _pause(response)), scope="endpoint", detail=said)
    if operation == "push_menu":
        return _menu(status, words, said)
    if status == 403 and operation == "cancel":
        return Misconfigured("DoorDash lets only listed providers cancel: ask it to list this one", detail=said, status=status)
    if operation in _CONFIRMATIONS and status == 400:
        if "already been processed" in words:
            return AlreadyDone(f"{operation}: DoorDash has an answer to this order already", detail=said, status=status)
        if "expired" in words:
            return Rejected(f"{operation}: the order's time was over", code="expired", detail=said, status=status)
    if operation == "cancel" and status == 400 and "already been cancelled" in words and "not confirmed" not in words:
        return AlreadyDone("the order was cancelled before", detail=said, status=status)
    if operation == "remove_line" and status == 404 and "item" in words and "order with" not in words and "order, item" not in words:
        return AlreadyDone("the line is no longer in the order", detail=said, status=status)
    if operation in _ITEMS and status == 400:
        return _partial(operation, response)
    return None


def _pause(response: Response) -> float:
    try:
        return float(response.headers.get("retry-after", "0"))
    except ValueError:
        return 0.0


def _menu(status: int, words: str, said: str) -> Exception | None:
    """A menu's answers: also a 200 may be a refusal, and it is plain text then."""
    if "already have a job" in words:
        return RetryLater("DoorDash still works on the store's last menu", after=JOB_SECONDS, detail=said, status=status)
    if "under active onboarding" in words:
        return Misconfigured("the store is being onboarded at DoorDash, which takes no menu until that is over", detail=said, status=status)
    if "store does not exist" in words:
        return NotFound("DoorDash does not know the store under this provider type", detail=said, status=status)
    if status == 200 and not words.lstrip().startswith("{"):
        return Rejected("DoorDash refuses the menu", detail=said, status=status)
    return None


def _partial(operation: str, response: Response) -> Exception | None:
    """Some entries were set and some were not: what failed on DoorDash's side goes again, with the rest, which changes nothing."""
    try:
        rows = msgspec.json.decode(response.body, type=list[models.ItemResult])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    failed = [row for row in rows if row.response.lower() != "success"]
    if not failed:
        return None
    named = ", ".join(row.merchant_supplied_id for row in failed)
    if any(row.response.lower() == "server error" for row in failed):
        return RetryLater(f"{operation}: DoorDash failed on {len(failed)} of {len(rows)}", after=LEAST_PAUSE, detail=named, status=400)
    message = f"{len(rows) - len(failed)} of {len(rows)} were set; not on the store's menu at DoorDash: {named[:300]}"
    return Rejected(message, code="partial", detail=named[:1000], status=400)
