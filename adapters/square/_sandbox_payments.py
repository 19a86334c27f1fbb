"""Square's payments and refunds: money taken elsewhere (EXTERNAL) or in cash, recorded against an order."""

import time
from collections.abc import Callable, Mapping

from adapters._sandbox.calls import Json, seconds, timestamp

from ._sandbox_checks import refuse
from ._sandbox_orders import Kept, Orders, Tell

_PAGE = 100


class Payments:
    """All payments and refunds of the seller."""

    def __init__(self, orders: Orders, currency_of: Callable[[str], str], tell: Tell, new_id: Callable[[], str]) -> None:
        self.refunds: dict[str, Json] = {}
        self._orders = orders
        self._currency_of = currency_of
        self._tell = tell
        self._new_id = new_id

    def get(self, identifier: str) -> Json:
        """A payment; raises Refused with 404."""
        payment = self._orders.payments.get(identifier)
        if payment is None:
            raise refuse("NOT_FOUND", f"Could not find payment with id: {identifier}", "payment_id", 404)
        return payment

    def find(self, query: Mapping[str, str], main: str, begin: int) -> tuple[list[Json], int | None]:
        """Answer ListPayments: a page, the newest first, and where the next begins; of the main location unless another is named."""
        if unknown := sorted(query.keys() - {"begin_time", "end_time", "sort_order", "cursor", "location_id", "limit"}):
            raise refuse("BAD_REQUEST", f"Unknown query parameter {unknown[0]}", unknown[0])
        location = query.get("location_id") or main
        self._orders.location(location, "location_id")
        times = []
        for name, default in (("begin_time", 0.0), ("end_time", float("inf"))):
            try:
                times.append(seconds(query[name]) if name in query else default)
            except ValueError as error:
                raise refuse("INVALID_TIME", f"Not an RFC 3339 time: {query[name]!r}", name) from error
        limit = query.get("limit", "100")
        if not limit.isdigit():
            raise refuse("EXPECTED_INTEGER", "Expected an integer value.", "limit")
        size = int(limit) if 1 <= int(limit) <= _PAGE else _PAGE
        held = [each for each in self._orders.payments.values() if each["location_id"] == location]
        held = [each for each in held if times[0] <= seconds(each["created_at"]) < times[1]]
        held.sort(key=lambda each: str(each["created_at"]), reverse=query.get("sort_order", "DESC") == "DESC")
        return held[begin : begin + size], begin + size if begin + size < len(held) else None

    def create(self, body: Json) -> Json:
        """Take a payment; with an order and without `autocomplete: false` it has to be the whole of what is due."""
        kept = self._orders.get(body["order_id"]) if body.get("order_id") else None
        location = body.get("location_id") or (kept.order["location_id"] if kept else None)
        if location is None:
            raise refuse("MISSING_REQUIRED_PARAMETER", "A payment without an order needs a location_id", "location_id")
        self._orders.location(location, "location_id")
        amount, tip = body["amount_money"], (body.get("tip_money") or {}).get("amount", 0)
        self._check_currency(body, self._currency_of(location))
        if amount["amount"] + tip <= 0:
            raise refuse("VALUE_TOO_LOW", "The amount of a payment must be above 0", "amount_money.amount")
        autocomplete = body.get("autocomplete") is not False
        if kept is not None:
            self._check_order(kept, location, amount["amount"], autocomplete=autocomplete)
        now = timestamp(time.time())
        payment: Json = {
            "id": self._new_id(),
            "created_at": now,
            "updated_at": now,
            "amount_money": amount,
            "total_money": {"amount": amount["amount"] + tip, "currency": amount["currency"]},
            "approved_money": {"amount": amount["amount"] + tip, "currency": amount["currency"]},
            "status": "COMPLETED" if autocomplete else "APPROVED",
            "location_id": location,
            "version_token": self._new_id(),
            **self._source(body, amount["amount"] + tip),
        }
        for name in ("tip_money", "order_id", "customer_id", "reference_id", "note", "buyer_email_address"):
            if body.get(name) is not None:
                payment[name] = body[name]
        self._orders.payments[payment["id"]] = payment
        self._tell("payment.created", payment["id"], {"payment": payment})
        if kept is not None:
            self._orders.attach(kept, payment)
        return payment

    @staticmethod
    def _check_currency(body: Json, currency: str) -> None:
        for name in ("amount_money", "tip_money", "app_fee_money"):
            if body.get(name) and body[name]["currency"] != currency:
                raise refuse("INVALID_VALUE", f"The location's currency is {currency}", f"{name}.currency")

    def _check_order(self, kept: Kept, location: str, amount: int, *, autocomplete: bool) -> None:
        order = kept.order
        if order["location_id"] != location:
            raise refuse("LOCATION_MISMATCH", "The order belongs to another location", "location_id")
        if order["state"] != "OPEN":
            raise refuse("BAD_REQUEST", f"Order {order['id']} is {order['state']} and cannot be paid", "order_id")
        if self._orders.is_paid(kept):
            raise refuse("BAD_REQUEST", f"Order {order['id']} is already paid", "order_id")
        if autocomplete and amount != kept.total:
            detail = f"The payment total {amount} does not match the order total {kept.total}"
            raise refuse("PAYMENT_AMOUNT_MISMATCH", detail, "amount_money.amount")
        if amount > kept.total:
            raise refuse("AMOUNT_TOO_HIGH", f"The order total is {kept.total}", "amount_money.amount")

    @staticmethod
    def _source(body: Json, total: int) -> Json:
        if body["source_id"] == "EXTERNAL":
            if not body.get("external_details"):
                raise refuse("MISSING_REQUIRED_PARAMETER", "An EXTERNAL payment needs external_details", "external_details")
            return {"source_type": "EXTERNAL", "external_details": body["external_details"]}
        if body["source_id"] == "CASH":
            details = body.get("cash_details")
            if not details:
                raise refuse("MISSING_REQUIRED_PARAMETER", "A CASH payment needs cash_details", "cash_details")
            supplied = details["buyer_supplied_money"]
            if supplied["amount"] < total:
                raise refuse("INVALID_VALUE", "buyer_supplied_money is less than the payment", "cash_details.buyer_supplied_money")
            back = {"amount": supplied["amount"] - total, "currency": supplied["currency"]}
            return {"source_type": "CASH", "cash_details": {"buyer_supplied_money": supplied, "change_back_money": back}}
        raise refuse("INVALID_VALUE", "This seller takes EXTERNAL and CASH payments only", "source_id")

    def _change(self, payment: Json, status: str) -> None:
        payment.update(status=status, updated_at=timestamp(time.time()), version_token=self._new_id())
        self._tell("payment.updated", payment["id"], {"payment": payment})

    def _approved(self, identifier: str) -> Json:
        payment = self.get(identifier)
        if payment["status"] != "APPROVED":
            raise refuse("BAD_REQUEST", f"Payment {identifier} is {payment['status']}, not APPROVED", "payment_id")
        return payment

    def cancel(self, identifier: str) -> Json:
        """Cancel a payment that is only approved."""
        payment = self._approved(identifier)
        self._change(payment, "CANCELED")
        return payment

    def complete(self, identifier: str) -> Json:
        """Complete an approved payment; one on an order is completed by paying the order."""
        payment = self._approved(identifier)
        if payment.get("order_id"):
            raise refuse("BAD_REQUEST", "Pay the order to complete its payments", "payment_id")
        self._change(payment, "COMPLETED")
        return payment

    def pay(self, identifier: str, body: Json) -> Kept:
        """Complete approved payments that together are what is due; none for an order of nothing."""
        kept = self._orders.get(identifier)
        if body.get("order_version") not in (None, kept.order["version"]):
            raise refuse("CONFLICT", f"The order is at version {kept.order['version']}", "order_version", 409)
        if kept.order["state"] != "OPEN" or (kept.total and self._orders.is_paid(kept)):
            raise refuse("BAD_REQUEST", f"Order {identifier} cannot be paid any more", "order_id")
        payments = [self._approved(each) for each in body.get("payment_ids") or []]
        if any(each.get("order_id") != identifier for each in payments):
            raise refuse("INVALID_VALUE", "A payment belongs to another order", "payment_ids")
        if (paid := sum(each["amount_money"]["amount"] for each in payments)) != kept.total:
            raise refuse("PAYMENT_AMOUNT_MISMATCH", f"The payments are {paid}, the order is {kept.total}", "payment_ids")
        for payment in payments:
            self._change(payment, "COMPLETED")
        self._orders.settle_payments(kept, payments)
        return kept

    def refund(self, body: Json) -> Json:
        """Give money of a completed payment back."""
        payment = self.get(body["payment_id"])
        amount = body["amount_money"]
        self._check_currency(body, payment["amount_money"]["currency"])
        if payment["status"] != "COMPLETED":
            raise refuse(
                "REFUND_ERROR_PAYMENT_NEEDS_COMPLETION", "Only a completed payment can be refunded", "payment_id", 400, "REFUND_ERROR"
            )
        refunded = payment.get("refunded_money", {}).get("amount", 0)
        if not 0 < amount["amount"] <= payment["total_money"]["amount"] - refunded:
            detail = f"{payment['total_money']['amount'] - refunded} can be refunded"
            raise refuse("REFUND_AMOUNT_INVALID", detail, "amount_money.amount", 400, "REFUND_ERROR")
        now = timestamp(time.time())
        refund: Json = {
            "id": f"{payment['id']}_{self._new_id()}",
            "status": "COMPLETED",
            "location_id": payment["location_id"],
            "destination_type": payment["source_type"],
            "amount_money": amount,
            "payment_id": payment["id"],
            "created_at": now,
            "updated_at": now,
        }
        for name, value in (("order_id", payment.get("order_id")), ("reason", body.get("reason"))):
            if value is not None:
                refund[name] = value
        self.refunds[refund["id"]] = refund
        payment["refunded_money"] = {"amount": refunded + amount["amount"], "currency": amount["currency"]}
        payment.setdefault("refund_ids", []).append(refund["id"])
        self._change(payment, "COMPLETED")
        if payment.get("order_id"):
            self._orders.refund(self._orders.get(payment["order_id"]), payment, refund)
        self._tell("refund.updated", refund["id"], {"refund": refund})
        return refund

    def shown(self, kept: Kept) -> list[Json]:
        """An order's payments as the control API shows them; a fully refunded one has the status REFUNDED."""
        shown = []
        for identifier in kept.payments:
            payment = self._orders.payments[identifier]
            back = payment.get("refunded_money", {}).get("amount", 0)
            shown.append(
                {
                    "id": identifier,
                    "amount": payment["amount_money"]["amount"],
                    "tip": payment.get("tip_money", {}).get("amount", 0),
                    "status": "REFUNDED" if back and back >= payment["amount_money"]["amount"] else payment["status"],
                    "refunded": back,
                    "source": payment.get("external_details", {}).get("source", payment["source_type"]),
                }
            )
        return shown
