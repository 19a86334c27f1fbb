"""An order as it was sent and what became of it, and how the control API shows it."""

import time
from dataclasses import dataclass, field

from adapters._sandbox.calls import Json, timestamp

from ._sandbox_checks import stamp
from ._sandbox_menu import PROFILES
from ._sandbox_tickets import STAFF_ID, Account, Line, Store, total_of


@dataclass
class Order:
    """An order or a payment (`kind` pay) as it was sent, and what became of it."""

    kind: str
    reference: str
    endpoint: str
    store: Store
    body: Json
    same: str
    due: bool = False
    state: str = "RECEIVED"
    reason: str = ""
    account: Account | None = None
    lines: list[Line] = field(default_factory=list)
    history: list[Json] = field(default_factory=list)

    def become(self, state: str) -> None:
        """Take on a state."""
        self.state = state
        self.history.append({"state": state, "at": timestamp(time.time())})


def shown(order: Order) -> Json:
    account, body = order.account, order.body
    paid = account.payments if account else []
    customer = body["customerInfo"]
    return {
        "id": account.identifier if account else order.reference,
        "store": order.store.id,
        "reference": order.reference,
        "state": order.state,
        "reason": order.reason,
        "kind": order.kind,
        "profile": account.profile if account else body.get("accountProfileCode"),
        "total": total_of(order.lines, order.store),
        "currency": order.store.currency,
        "tax": sum(_taxes(line) for line in order.lines),
        "tip": sum(each["tip"] for each in paid),
        "note": body.get("orderNote"),
        "customer": " ".join(filter(None, (customer["firstName"], customer.get("lastName")))),
        "phone": customer.get("contactNumberAsE164"),
        "address": body.get("deliveryAddress"),
        "collection_code": body.get("collectionCode"),
        "collection_at": body.get("orderCollectionTimeAsIso8601"),
        "table": body.get("tableNumber"),
        "payments": [{"amount": each["amount"], "type": each["method"], "reference": each["reference"]} for each in paid],
        "items": [_shown_line(line) for line in order.lines],
        "history": order.history,
    }


def _taxes(line: Line) -> int:
    return line.tax + sum(_taxes(option) for option in line.options)


def _shown_line(line: Line) -> Json:
    return {
        "id": line.item.sku,
        "name": line.name,
        "quantity": line.quantity,
        "note": line.name if line.name != line.item.name else "",
        "total": line.gross() - line.discount,
        "discount": line.discount,
        "modifiers": [
            *({"id": str(key), "name": name, "quantity": 1, "price": 0} for key, name in line.instructions.items()),
            *_shown_options(line),
        ],
    }


def _shown_options(line: Line) -> list[Json]:
    rows: list[Json] = []
    for each in line.options:
        rows.append({"id": each.item.sku, "name": each.name, "quantity": each.quantity, "price": each.unit})
        rows += [{"id": str(key), "name": name, "quantity": 1, "price": 0} for key, name in each.instructions.items()]
        rows += _shown_options(each)
    return rows


def readiness(store: Store) -> Json:
    """Whether a store takes online orders, as the API and its webhook say it."""
    ready = store.posed == "open"
    return {
        "status": "READY" if ready else "NOT_READY",
        "lastUpdatedAt": stamp(store.changed_at, "+00:00"),
        "onlineOrderingApiConfiguration": {"enabled": True, "orderProfileId": PROFILES[2]["id"], "staffId": STAFF_ID},
        "posStatus": {
            "salesPeriod": "CLOSED" if store.posed == "closed" else "OPENED",
            "acceptingOnlineOrders": store.posed not in {"closed", "paused"},
            "availableDevices": store.posed != "offline",
        },
    }
