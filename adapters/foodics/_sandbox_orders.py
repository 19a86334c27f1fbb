"""Foodics' orders: made, read, moved by staff or by a delivery app, and lost where they never reach the cashier."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from adapters._sandbox.calls import ControlError, Json, Refused, timestamp

from ._sandbox_access import Business
from ._sandbox_checks import Form, decimals, refused, settle, stamp
from ._sandbox_drafts import REFERENCE, Draft

STATUSES = {1: "pending", 2: "active", 3: "declined", 4: "closed", 5: "returned", 6: "joined", 7: "void", 8: "draft"}
DELIVERY_STATUSES = {1: "sent_to_kitchen", 2: "ready", 3: "assigned", 4: "en_route", 5: "delivered", 6: "delivery_closed"}
_PENDING, _ACTIVE, _DECLINED, _CLOSED, _RETURNED, _VOID = 1, 2, 3, 4, 5, 7
_STAFF: dict[str, tuple[int, int | None]] = {
    **dict.fromkeys(("accepted", "active"), (_ACTIVE, None)),
    **dict.fromkeys(("preparing", "sent_to_kitchen"), (_ACTIVE, 1)),
    "ready": (_ACTIVE, 2),
    "assigned": (_ACTIVE, 3),
    **dict.fromkeys(("picked_up", "en_route"), (_ACTIVE, 4)),
    "delivered": (_ACTIVE, 5),
    **dict.fromkeys(("completed", "closed"), (_CLOSED, None)),
    **dict.fromkeys(("rejected", "declined"), (_DECLINED, None)),
    "void": (_VOID, None),
}
_DELIVERED_BY = ("driver_assigned_at", "dispatched_at", "driver_collected_at", "delivered_at")
_BARE = (
    "branch",
    "promotion",
    "original_order",
    "table",
    "creator",
    "closer",
    "driver",
    "customer",
    "discount",
    "tags",
    "coupon",
    "gift_card",
)
ORDER_RELATIONS: Json = {
    **{name: {} for name in _BARE},
    "combos": {"products": {}},
    "customer_address": {"delivery_zone": {}},
    "charges": {"charge": {}, "taxes": {}},
    "payments": {"user": {}, "payment_method": {}},
    "products": {
        **{name: {} for name in ("promotion", "discount", "taxes", "timed_events", "void_reason")},
        "product": {"category": {}},
        "options": {"modifier_option": {"branches": {}}, "taxes": {}},
    },
}


@dataclass
class Kept:
    """An order: its row with every relation, and what the control API shows of it."""

    row: Json
    draft: Draft
    business: Business
    reached: bool
    vanished: bool = False
    told_at: float = 0
    history: list[Json] = field(default_factory=list)

    @property
    def reference(self) -> str | None:
        """What the caller calls it."""
        sent = self.row["meta"].get(REFERENCE)
        return None if sent is None else str(sent)

    def note(self, state: str) -> None:
        """Write down a step."""
        self.history.append({"state": state, "at": timestamp(time.time())})


class Orders:
    """All orders. `tell` is called with an event and an order, whenever the seller's other apps would hear of it."""

    def __init__(self, new_id: Callable[[], str], tell: Callable[[str, Kept], None]) -> None:
        self.kept: dict[str, Kept] = {}
        self._new_id, self._tell = new_id, tell
        self._numbers: dict[tuple[str, str], int] = {}
        self._references: dict[int, int] = {}

    def _count(self, draft: Draft, business: Business) -> Json:
        day = (draft.branch["id"], draft.fields["business_date"])
        self._numbers[day] = number = self._numbers.get(day, 0) + 1
        self._references[business.reference] = reference = self._references.get(business.reference, 0) + 1
        return {"number": number, "reference": reference, "check_number": 100_000 + reference}

    def create(self, draft: Draft, business: Business, app: str, *, reached: bool, vanishes: bool) -> Kept:
        """Take an order in: pending at the cashier, or lost on its way there."""
        now = time.time()
        lines = [{"id": self._new_id(), **each, "added_at": stamp(now), "closed_at": None} for each in draft.fields["products"]]
        for option in (each for line in lines for each in line["options"]):
            option["added_at"] = stamp(now)
        payments = [{"id": self._new_id(), **each, "added_at": stamp(now)} for each in draft.fields["payments"]]
        identifier = self._new_id()
        row: Json = {
            "branch": draft.branch,
            **dict.fromkeys(("promotion", "original_order", "creator", "closer", "driver", "coupon", "gift_card")),
            "tags": [],
            "combos": [],
            **draft.fields,
            "products": lines,
            "payments": payments,
            "id": identifier,
            "app_id": app,
            "promotion_id": None,
            "reference_x": None,
            "source": 2,
            "status": _PENDING,
            "delivery_status": None,
            "delay_in_seconds": None,
            "opened_at": stamp(now),
            "accepted_at": None,
            **dict.fromkeys(_DELIVERED_BY),
            "closed_at": None,
            "created_at": stamp(now),
            "updated_at": stamp(now),
            **self._count(draft, business),
        }
        kept = self.kept[identifier] = Kept(row, draft, business, reached, told_at=now)
        kept.note(STATUSES[_PENDING])
        if vanishes:
            self.vanish(kept)
        elif reached:
            self._tell("order.created", kept)
            if row["type"] == 3:
                self._tell("order.delivery.created", kept)
        return kept

    def get(self, identifier: str) -> Kept:
        """An order; raises Refused (404), as for one that has vanished."""
        kept = self.kept.get(identifier)
        if kept is None or kept.vanished:
            raise refused(404, "Not found.", f"no order {identifier}")
        return kept

    def vanish(self, kept: Kept) -> None:
        """Let an order be gone as if it had never been made: nobody reads it again and nobody hears of it."""
        kept.vanished = True
        kept.note("vanished")

    def _changed(self, kept: Kept, *, delivery: bool = False) -> None:
        """Give a changed order a time of its own (they have no parts of seconds), and tell of it."""
        kept.told_at = max(time.time(), kept.told_at + 1)
        kept.row["updated_at"] = stamp(kept.told_at)
        self._tell("application.order.updated", kept)
        self._tell("order.updated", kept)
        if delivery and kept.row["type"] == 3:
            self._tell("order.delivery.updated", kept)

    def _obstacle(self, kept: Kept, status: int, delivery: int | None) -> str:
        held, stage = kept.row["status"], kept.row["delivery_status"] or 0
        if held not in (_PENDING, _ACTIVE):
            return f"the order is {STATUSES[held]}"
        if (status == _DECLINED and held != _PENDING) or (status == _VOID and held != _ACTIVE):
            return f"an order that is {STATUSES[held]} cannot be {STATUSES[status]}"
        if status == held == _ACTIVE and (delivery or 0) <= stage:
            return f"the order is {DELIVERY_STATUSES.get(stage, 'active')} already"
        return ""

    def _step(self, kept: Kept, status: int, delivery: int | None) -> None:
        row, now = kept.row, stamp()
        if row["status"] == _PENDING and status in (_ACTIVE, _CLOSED):
            row.update(status=_ACTIVE, accepted_at=now)
            kept.note(STATUSES[_ACTIVE])
        if status != row["status"]:
            row.update(status=status, closed_at=now)
            kept.note(STATUSES[status])
            for line in row["products"]:
                line.update(status=3 if status == _CLOSED else 5, closed_at=now)
        if delivery is not None:
            row["delivery_status"] = delivery
            if delivery == 5:
                row["delivered_at"] = row["delivered_at"] or now
            kept.note(DELIVERY_STATUSES[delivery])
        self._changed(kept, delivery=delivery is not None)

    def accept(self, identifier: str) -> None:
        """Let the cashier accept an order that still waits."""
        kept = self.kept.get(identifier)
        if kept is not None and not kept.vanished and kept.row["status"] == _PENDING:
            self._step(kept, _ACTIVE, None)

    def move(self, kept: Kept, state: str) -> None:
        """Move an order as staff would; raises ControlError where its state does not allow it."""
        if kept.vanished:
            raise ControlError(409, "the order has vanished")
        if state == "vanished":
            self.vanish(kept)
            return
        if not kept.reached:
            raise ControlError(409, "the order never reached the cashier: its branch takes no online orders")
        if state in {"returned", "return"}:
            self._give_back(kept)
            return
        if state in {"cancelled", "canceled"}:
            state = "declined" if kept.row["status"] == _PENDING else "void"
        if state not in _STAFF:
            raise ControlError(400, f"state is one of {', '.join(sorted({*_STAFF, 'cancelled', 'returned', 'vanished'}))}")
        status, delivery = _STAFF[state]
        if why := self._obstacle(kept, status, delivery):
            raise ControlError(409, why)
        self._step(kept, status, delivery)

    def _give_back(self, kept: Kept) -> None:
        """Make the return of a closed order: an order of its own that names the first."""
        if kept.row["status"] != _CLOSED:
            raise ControlError(409, f"the order is {STATUSES[kept.row['status']]}: only a closed one is returned")
        now = time.time()
        relations = {name: value for name, value in kept.row.items() if name not in ORDER_RELATIONS}
        row = {**kept.row, "id": self._new_id(), "status": _RETURNED, "original_order": relations, "source": 1}
        row |= {"created_at": stamp(now), "updated_at": stamp(now), "meta": {}, **self._count(kept.draft, kept.business)}
        made = self.kept[row["id"]] = Kept(row, kept.draft, kept.business, reached=True, told_at=now)
        made.note(STATUSES[_RETURNED])
        self._tell("order.created", made)

    def update(self, kept: Kept, form: Form, drivers: dict[str, Json]) -> Kept:
        """Change an order over the API: decline it while it waits, or say how its delivery goes; raises Refused (422)."""
        status = form.whole("status", {_DECLINED})
        delivery = form.whole("delivery_status", DELIVERY_STATUSES) or None
        driver = form.known("driver_id", drivers)
        moments = {name: form.moment(name) for name in _DELIVERED_BY if form.has(name)}
        settle(form.errors)
        again = bool(status) and kept.row["status"] == _DECLINED
        if status and (why := self._obstacle(kept, _DECLINED, None)):
            form.wrong("status", f"The {{}} is invalid: {why}.")
        if (delivery or driver or moments) and (kept.row["type"] != 3 or kept.row["status"] not in (_PENDING, _ACTIVE)):
            form.wrong("delivery_status", "The {} belongs to a delivery order that is open.")
        if delivery and kept.row["status"] != _ACTIVE:
            form.wrong("delivery_status", "The {} needs an accepted order.")
        elif delivery and (why := self._obstacle(kept, _ACTIVE, delivery)):
            again = kept.row["delivery_status"] == delivery
            form.wrong("delivery_status", f"The {{}} is invalid: {why}.")
        if not (status or delivery or driver or moments):
            form.wrong("delivery_status", "The {} field is required.")
        try:
            settle(form.errors)
        except Refused as refusal:
            raise Refused(refusal.answer, refusal.reason, repeats=again) from None
        kept.row.update(moments)
        if driver:
            kept.row["driver"] = drivers[driver]
        if status or delivery:
            self._step(kept, status or _ACTIVE, delivery)
        else:
            self._changed(kept, delivery=True)
        return kept

    def shown(self) -> list[Json]:
        """Every order as the control API shows it, lost ones too; amounts in the smallest unit."""
        return [self._shown(kept) for kept in self.kept.values()]

    @staticmethod
    def _shown(kept: Kept) -> Json:
        row, draft = kept.row, kept.draft
        customer: Any = row["customer"] or {}
        return {
            "id": row["id"],
            "store": row["branch"]["id"],
            "reference": kept.reference,
            "state": "vanished" if kept.vanished else STATUSES[row["status"]],
            "status": row["status"],
            "delivery_status": row["delivery_status"],
            "reached_cashier": kept.reached and not kept.vanished,
            "type": row["type"],
            "total": draft.total,
            "charges": draft.charges,
            "due": draft.total + draft.charges,
            "currency": kept.business.currency,
            "tax": int(draft.tax.scaleb(decimals(kept.business.currency)).to_integral_value()),
            "tip": draft.tip,
            "note": " | ".join(filter(None, (row["kitchen_notes"], row["customer_notes"]))) or None,
            "kitchen_notes": row["kitchen_notes"],
            "customer_notes": row["customer_notes"],
            "customer": customer.get("name"),
            "due_at": row["due_at"],
            "payments": draft.payments,
            "items": draft.lines,
            "history": kept.history,
        }
