"""What a plugin calls back about an order: accepted, rejected, picked up, prepared, later or earlier, other products."""

import time
from typing import Any, NoReturn

from adapters._sandbox.calls import Answer, Call, Json, Refused, seconds, timestamp

from ._sandbox_catalog import CatalogError
from ._sandbox_changes import ChangeFailed, changed
from ._sandbox_consumers import Consumers
from ._sandbox_orders import ACCEPTED, CANCELLED, OWN, PICKED_UP, UNACKNOWLEDGED, Placed, vat_of

_ALWAYS = frozenset(
    {
        *("BAD_WEATHER", "CARD_READER_NOT_AVAILABLE", "CONTENT_WRONG_MISLEADING", "FOOD_QUALITY_SPILLAGE", "LATE_DELIVERY"),
        *("UNABLE_TO_FIND", "UNABLE_TO_PAY", "UNPROFESSIONAL_BEHAVIOUR", "WRONG_ORDER_ITEMS_DELIVERED"),
    }
)
REASONS = _ALWAYS | {
    *("ADDRESS_INCOMPLETE_MISSTATED", "BLACKLISTED", "CLOSED", "FRAUD_PRANK", "ITEM_UNAVAILABLE", "MENU_ACCOUNT_SETTINGS"),
    *("MOV_NOT_REACHED", "NO_COURIER", "NO_PICKER", "NO_RESPONSE", "OUTSIDE_DELIVERY_AREA", "TECHNICAL_PROBLEM", "TEST_ORDER"),
    *("TOO_BUSY", "WILL_NOT_WORK_WITH_PLATFORM"),
}
_DONE = {"message": "Order status successfully changed."}
_AHEAD = 120
_ON_THE_WAY = 5
"""Seconds that a call may have taken: an acceptance time is measured from when it was sent."""


def refuse(code: str, message: str, status: int = 400, **more: Any) -> Refused:
    """A refusal with the middleware's usual error body."""
    return Refused(Answer(status, {"code": code, "message": message, **more}), f"{code}: {message}")


def moment(value: Any, name: str) -> float:
    """An RFC 3339 time as seconds since 1970; raises Refused."""
    try:
        return seconds(value)
    except (TypeError, ValueError) as error:
        raise refuse("INVALID_REQUEST", f"{name} is not an RFC 3339 time") from error


class Callbacks(Consumers):
    """The order operations of the middleware."""

    def _order(self, call: Call, code: str, status: int) -> Placed:
        placed = self._orders.get(call.params["token"])
        if placed is None:
            raise refuse(code, f"no order {call.params['token']}", status)
        return placed

    @staticmethod
    def _conflict(placed: Placed, wanted: str, *, repeats: bool = False) -> NoReturn:
        conflict = refuse("INVALID_REQUEST", f"order is {placed.state} and cannot be {wanted}", 409, currentState=placed.state)
        conflict.repeats = repeats
        raise conflict

    def _status(self, call: Call) -> Answer:
        placed, body = self._order(call, "ORDER_NOT_FOUND", 400), call.json()
        acts = {"order_accepted": self._accept, "order_rejected": self._deny, "order_picked_up": self._pick_up}
        status = body.get("status")
        if not isinstance(status, str) or status not in acts:
            raise refuse("INVALID_ORDER_STATUS", f"status is one of {', '.join(acts)}")
        if not placed.direct and status != "order_picked_up":
            self._conflict(placed, f"{status} by the plugin: it is accepted or rejected on the tablet")
        early = placed.state in UNACKNOWLEDGED
        act = acts[status](placed, body, early=early)
        if early:
            # The caller is told to come again: its answer to the dispatch has not arrived.
            self.calls["order.status.early"] += 1
            message = "the dispatch of the order is not acknowledged yet"
            return Answer(409, {"code": "INVALID_REQUEST", "message": message, "currentState": placed.state})
        return act

    def _accept(self, placed: Placed, body: Json, *, early: bool) -> Answer:
        if moment(body.get("acceptanceTime"), "acceptanceTime") < time.time() + _AHEAD - _ON_THE_WAY:
            raise refuse("INVALID_REQUEST", "acceptanceTime is at least 2 minutes ahead")
        remote = body.get("remoteOrderId")
        if remote is not None and (not isinstance(remote, str) or not remote):
            raise refuse("INVALID_REQUEST", "remoteOrderId is a text")
        products = None if body.get("modifications") is None else self._products(body)
        if early:
            return Answer(409)
        if placed.accepted or placed.state == CANCELLED:
            self._conflict(placed, "accepted", repeats=placed.accepted and remote in {None, placed.remote_id})
        placed.remote_id = remote or placed.remote_id
        placed.accepted = True
        placed.store["expired"] = 0
        placed.move(ACCEPTED, time.time())
        if products is not None:
            self._begin_change(placed, products)
        return Answer(200, _DONE)

    def _deny(self, placed: Placed, body: Json, *, early: bool) -> Answer:
        reason = body.get("reason")
        if not isinstance(reason, str) or reason not in REASONS:
            raise refuse("INVALID_REQUEST", f"reason is one of {', '.join(sorted(REASONS))}")
        if not isinstance(body.get("message", ""), str):
            raise refuse("INVALID_REQUEST", "message is a text")
        if early:
            return Answer(409)
        if placed.state in {CANCELLED, PICKED_UP}:
            self._conflict(placed, "rejected", repeats=placed.reason == f"PLUGIN:{reason}")
        if placed.accepted and reason not in _ALWAYS:
            raise refuse("INVALID_REQUEST", f"an accepted order is not rejected for {reason}: only for {', '.join(sorted(_ALWAYS))}")
        self._cancel(placed, f"PLUGIN:{reason}", tell=False)
        return Answer(200, _DONE)

    def _pick_up(self, placed: Placed, body: Json, *, early: bool) -> Answer:
        if placed.kind == OWN:
            raise refuse("INVALID_ORDER_STATUS", "order_picked_up is for vendor delivery and pickup orders")
        if early:
            return Answer(409)
        if placed.state != ACCEPTED:
            self._conflict(placed, "picked up", repeats=placed.state == PICKED_UP)
        placed.move(PICKED_UP, time.time())
        return Answer(200, _DONE)

    def _prepared(self, call: Call) -> Answer:
        placed = self._order(call, "NOT_FOUND", 404)
        if call.body and call.json():
            raise refuse("INVALID_REQUEST", "preparation-completed takes no body")
        if placed.kind != OWN or placed.state not in {ACCEPTED, PICKED_UP}:
            raise refuse("INVALID_ORDER_STATUS", f"order is {placed.kind} and {placed.state}: nobody waits for it to be prepared", 409)
        if not placed.prepared:
            placed.prepared = True
            placed.log("PREPARATION_COMPLETED", time.time())
        return Answer(200, {"code": "OK"})

    def _adjust(self, call: Call) -> Answer:
        placed, body = self._order(call, "NOT_FOUND", 404), call.json()
        at = moment(body.get("expectedPickupAt"), "expectedPickupAt")
        settled = placed.state in {CANCELLED, PICKED_UP} or (placed.accepted and placed.rider != "")
        if placed.kind != OWN or settled:
            raise refuse("conflict-error", "The current order state does not allow preparation time adjustment.", 409)
        if at < placed.window[0]:
            raise refuse("PREPARATION_TIME_BELOW_ALLOWED_MIN_TIME", f"not before {timestamp(placed.window[0])}")
        if at > placed.window[1]:
            raise refuse("PREPARATION_TIME_EXCEEDS_ALLOWED_MAX_TIME", f"not after {timestamp(placed.window[1])}")
        placed.ready = at
        return Answer(204)

    # Other products

    @staticmethod
    def _products(body: Json) -> list[Any]:
        wanted = body.get("modifications")
        products = wanted.get("products") if isinstance(wanted, dict) else None
        if not isinstance(products, list):
            raise refuse("INVALID_REQUEST", "modifications.products is a list")
        return products

    def _modify(self, call: Call) -> Answer:
        placed = self._order(call, "INVALID_ORDER", 404)
        products = self._products(call.json())
        if placed.state != ACCEPTED or placed.changing:
            self._conflict(placed, "modified: another modification is under way" if placed.changing else "modified")
        self._begin_change(placed, products)
        return Answer(202, {"message": "Order modification request has been accepted."})

    def _begin_change(self, placed: Placed, products: list[Any]) -> None:
        placed.changing = True
        self.later(self.settings["modification_delay_s"], lambda: self._end_change(placed, products))

    def _end_change(self, placed: Placed, products: list[Any]) -> None:
        placed.changing = False
        if placed.state != ACCEPTED:
            return self._tell(placed, "PRODUCT_ORDER_MODIFICATION_FAILED", "ERROR")
        try:
            card = self._menus[placed.store["ref"]].card(vat_of(placed.store["currency"]))
            placed.lines = changed(placed.lines, products, card, f"tb-{placed.number}-m{len(placed.history)}")
        except (ChangeFailed, CatalogError) as failed:
            return self._tell(placed, "PRODUCT_ORDER_MODIFICATION_FAILED", str(failed))
        placed.bill.change_lines(sum(line.total() for line in placed.lines))
        placed.log("MODIFIED", time.time())
        return self._tell(placed, "PRODUCT_ORDER_MODIFICATION_SUCCESSFUL", "The order was modified", updatedOrder=placed.payload())
