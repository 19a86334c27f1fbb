"""Count orders on both sides: each once in the POS, paid once, accepted on its platform; nothing refused that nobody injected.

An order that is not there, not paid or not accepted is no loss when a person was told before its deadline; one that is there twice, or
paid twice, is never excused.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

_OURS = re.compile(r"ord_[0-9a-z]{26}")
_GONE = re.compile("cancel|void|declin|abandon|vanish|fail|reject", re.IGNORECASE)
_YES = re.compile("accept|confirm", re.IGNORECASE)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the checker found; every list of faults holds ids, and all must be empty."""

    placed: int
    lost: list[str]
    doubled: list[str]
    unpaid: list[str]
    paid_twice: list[str]
    not_accepted: list[str]
    strangers: list[str]
    refused: list[dict[str, Any]]
    dead_letters: int
    dead: list[dict[str, Any]] = []
    """What died and why."""
    alerted: list[str] = []
    """Orders that did not end well, of which a person was told in time."""
    explained: int = 0
    """Dead letters that a fault of the campaign explains."""
    not_owed: list[str] = []
    """Orders that the hub never answered for, whose platform gave up on them and cannot be asked."""

    @property
    def good(self) -> bool:
        """Nothing lost, nothing twice, nothing refused that nobody injected."""
        found = (self.lost, self.doubled, self.unpaid, self.paid_twice, self.not_accepted, self.strangers, self.refused)
        return not any(found) and self.dead_letters == 0


def check(
    placed: Iterable[str],
    platform: dict[str, Any],
    pos: dict[str, Any],
    dead_letters: int,
    references: Mapping[str, str] | None = None,
    alerted: Collection[str] = (),
) -> Report:
    """Hold both vendors' states against what was placed.

    An order is known at the POS by the hub's reference: the one that its platform was told with the accept, else the one of
    `references` (by the platform's order id), for platforms that take none. `alerted` are the orders a person was told about in time.
    """
    placed = set(placed)
    at_platform = {order["id"]: order for order in platform["orders"] if order["id"] in placed}
    at_pos: dict[str, list[dict[str, Any]]] = {}
    for order in pos["orders"]:
        if not _GONE.search(str(order.get("state") or "")):
            at_pos.setdefault(reference_in(order["reference"]), []).append(order)
    lost: list[str] = []
    unpaid: list[str] = []
    not_accepted: list[str] = []
    excused: list[str] = []
    doubled, twice = [], []
    known = set()
    for key in sorted(placed):
        order = at_platform.get(key)
        if order is None or not any(_YES.search(step["state"]) for step in order["history"]):
            (excused if key in alerted else not_accepted).append(key)
        reference = (references or {}).get(key) or (reference_in(order["reference"]) if order is not None else "")
        known.add(reference)
        found = at_pos.get(reference, []) if reference else []
        if not found:
            (excused if key in alerted else lost).append(key)
            continue
        if len(found) > 1:
            doubled.append(key)
        cash = "cash" in str((order or {}).get("payments") or "").lower()
        for each in found:
            paid = [payment for payment in each["payments"] if payment.get("status", "COMPLETED") == "COMPLETED"]
            if not paid and each["total"] and not cash:
                (excused if key in alerted else unpaid).append(key)
            if len(paid) > 1:
                twice.append(key)
    refused = [
        {"vendor": name, **row}
        for name, state in (("platform", platform), ("pos", pos))
        for row in state["rejected"]
        if not row["injected"] and not _harmless(row)
    ]
    return Report(
        placed=len(placed),
        lost=lost,
        doubled=doubled,
        unpaid=unpaid,
        paid_twice=twice,
        not_accepted=not_accepted,
        strangers=sorted(reference for reference in at_pos if reference not in known),
        refused=refused[:20],
        dead_letters=dead_letters,
        alerted=sorted(set(excused)),
    )


def reference_in(text: Any) -> str:
    """The hub's reference in what a vendor keeps of it: some add to it."""
    found = _OURS.search(str(text or ""))
    return found[0] if found else str(text or "")


def _harmless(row: dict[str, Any]) -> bool:
    # Looking an order up that is not there is how the hub finds that out. An accept that is repeated because its first answer was
    # lost finds the order accepted: the vendor's 409 is the proof.
    if row["method"] == "GET" and row.get("status") == 404:
        return True
    if row.get("status") == 401:  # a token that ended: the next one is asked for; wrong credentials would accept nothing
        return True
    return row["path"].endswith("/accept") and "409" in str(row.get("status", row["reason"]))
