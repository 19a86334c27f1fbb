"""Uber's promotions of one app: made for a store, listed by state, ended. Amounts are in minor units."""

import time
from collections.abc import Callable

from adapters._sandbox.calls import Answer, Call, Json, timestamp

from ._sandbox_checks import fields, moment, refuse

_STATES = frozenset({"active", "pending", "completed", "revoked", "expired", "deleted"})
_GROUPS = frozenset({"ALL_CUSTOMERS", "FIRST_TIME_CUSTOMER"})


class Promotions:
    """Those that the app made; others are not shown to it."""

    def __init__(self, store: Callable[[Call], Json], new_id: Callable[[], str]) -> None:
        self.held: dict[str, Json] = {}
        self._store, self._new_id = store, new_id

    def create(self, call: Call) -> Answer:
        """Make one; raises Refused."""
        store, body = self._store(call), call.json()
        fields(
            body, start_time=str, end_time=str, external_promotion_id=str, user_group=str, allow_unlimited_apply=bool, currency_code=str,
            budget=dict, promo_type=str, promotion_discount=dict,
        )  # fmt: skip
        if moment(body.get("start_time"), "start_time") >= moment(body.get("end_time"), "end_time"):
            raise refuse("invalid_request", "end_time is after start_time")
        if len(body.get("external_promotion_id") or "") > 100:
            raise refuse("invalid_request", "external_promotion_id has up to 100 characters")
        if body.get("user_group") not in _GROUPS:
            raise refuse("invalid_request", f"user_group is one of {', '.join(sorted(_GROUPS))}")
        if body.get("currency_code") != store["currency"]:
            raise refuse("invalid_request", f"the store sells in {store['currency']}")
        if body.get("promo_type") != "FLATOFF":
            raise refuse("invalid_request", "promo_type is FLATOFF here")
        flat = (body.get("promotion_discount") or {}).get("flat_off_discount") or {}
        off = (flat.get("discount_value") or {}).get("amount")
        least = ((flat.get("min_basket_constraint") or {}).get("min_spend") or {}).get("amount")
        if not isinstance(off, int) or not isinstance(least, int) or not 0 < off <= least:
            raise refuse("invalid_request", "flat_off_discount needs discount_value.amount and a min_spend.amount that is no less")
        made = {**body, "promotion_id": self._new_id(), "store_id": store["id"], "created_at": timestamp(time.time()), "revoked": False}
        self.held[made["promotion_id"]] = made
        return Answer(200, {"promotion_id": made["promotion_id"]})

    def get(self, call: Call) -> Answer:
        """One of them."""
        return Answer(200, self.shown(self._found(call)))

    def listed(self, call: Call) -> Answer:
        """A store's, of one state where it is named."""
        store, state = self._store(call)["id"], call.query.get("state", "")
        if state and state not in _STATES:
            raise refuse("invalid_request", f"state is one of {', '.join(sorted(_STATES))}")
        rows = [self.shown(each) for each in self.held.values() if each["store_id"] == store]
        return Answer(200, {"promotions": [row for row in rows if not state or row["state"] == state]})

    def revoke(self, call: Call) -> Answer:
        """End one; a second time changes nothing."""
        self._found(call)["revoked"] = True
        return Answer(200, {})

    def _found(self, call: Call) -> Json:
        found = self.held.get(call.params["id"])
        if found is None:
            raise refuse("not_found", f"no promotion {call.params['id']}", 404)
        return found

    @staticmethod
    def shown(held: Json) -> Json:
        """One as the API shows it."""
        now = time.time()
        state = "active"
        if held["revoked"]:
            state = "revoked"
        elif moment(held["start_time"], "start_time") > now:
            state = "pending"
        elif moment(held["end_time"], "end_time") <= now:
            state = "completed"
        return {name: value for name, value in held.items() if name != "revoked"} | {"state": state}
