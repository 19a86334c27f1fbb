"""Orders and payments on their way to the POS: taken in at once, judged later, and told by webhook; then moved by its staff."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from adapters._sandbox.calls import Answer, Call, ControlError, Json, Refused, seconds, timestamp
from adapters._sandbox.vendor import Ids

from ._sandbox_access import Endpoints
from ._sandbox_bodies import LOCAL, PAYMENT, TO_GO
from ._sandbox_checks import check_decimals, checked, minor, problem, refuse
from ._sandbox_menu import PROFILES
from ._sandbox_shown import Order, shown
from ._sandbox_tickets import POS_ID, Account, Failed, Line, Pricing, Store, snapshot, total_of

PAYMENT_METHODS = {"OOPAYMENT": "Online Payment", "APM": "API Payment", "CARD": "Card", "CASH": "Cash"}
_OPEN = frozenset({"SUCCESS", "READY_FOR_PICKUP", "IN_DELIVERY"})


@dataclass
class Surroundings:
    """What the orders need of the sandbox: `later` runs something after seconds, `tell` sends a webhook to an endpoint."""

    stores: dict[str, Store]
    endpoints: Endpoints
    settings: dict[str, float]
    later: Callable[[float, Callable[[], None]], object]
    tell: Callable[[str, str, str, Json], None]
    sold: Callable[[Store, list[Line]], None]
    ids: Ids


class Orders:
    """Every order, payment and check of the restaurant."""

    def __init__(self, pricing: Pricing, around: Surroundings) -> None:
        self.orders: dict[str, Order] = {}
        self.payments: dict[str, Order] = {}
        self.accounts: dict[str, Account] = {}
        self._pricing = pricing
        self._around = around
        self._customers: dict[str, str] = {}

    # Taking in

    def submit(self, call: Call, kind: str) -> Answer:
        """Answer POST order/toGo and order/local: taken in, not yet on the POS."""
        name = f"{kind}Order"
        body = checked(call, name, TO_GO if kind == "toGo" else LOCAL)
        order = self._order(call, name, kind, body, str(body["thirdPartyReference"]))
        payment = body.get("payment")
        if payment and (payment.get("tipAmount") or 0) > payment["paymentAmount"]:
            raise refuse(call, "paymentAmount includes the tip: it must not be less than tipAmount")
        if (code := body.get("accountProfileCode")) is not None and all(each["code"] != code for each in PROFILES):
            raise refuse(call, f"no account profile {code}")
        if (known := self.orders.get(order.reference)) is not None:
            message = f"reference has already been used {order.reference}"
            answer = Answer(409, {"status": "fail", "msg": message})
            raise Refused(answer, message, repeats=known.same == order.same)
        self.orders[order.reference] = order
        return self._begin(order, body.get("maxTimeToAttemptOrderDeliverToPos"), body.get("scheduledTimeForOrderAsIso8601"))

    def pay(self, call: Call) -> Answer:
        """Answer POST pay: a payment of an open check."""
        body = checked(call, "standalonePayment", PAYMENT)
        task = self._order(call, "standalonePayment", "pay", body, str(body["thirdPartyPaymentReference"]))
        if (known := self.payments.get(task.reference)) is not None:
            message = f"reference has already been used {task.reference}"
            raise Refused(problem(400, message, call.path), message, repeats=known.same == task.same)
        self.payments[task.reference] = task
        return self._begin(task, body.get("taskTtlInMs"), None)

    def _order(self, call: Call, name: str, kind: str, body: Json, reference: str) -> Order:
        store = self._around.stores.get(str(body["businessLocationId"]))
        if store is None:
            raise refuse(call, f"Invalid input business location id {body['businessLocationId']}", 404)
        check_decimals(call, name, body, store.currency)
        if body["endpointId"] not in self._around.endpoints.held:
            raise refuse(call, f"endpoint ID not found for {body['endpointId']}")
        return Order(kind, reference, body["endpointId"], store, body, json.dumps(body, sort_keys=True))

    def _begin(self, order: Order, patience: int | None, scheduled: str | None) -> Answer:
        order.become("RECEIVED")
        wait = max(seconds(scheduled) - time.time(), 0) if scheduled else 0
        wait += self._around.settings["order_delay_s"]
        self._around.later(wait, lambda: self._attempt(order))
        if patience is not None:
            self._around.later(wait + patience / 1000 * self._around.settings["patience_scale"], lambda: self._give_up(order))
        return Answer(200, {"status": "ok"})

    # Reaching the POS

    def retry(self, store: Store) -> None:
        """Deliver what waits for a POS that was offline."""
        for order in [*self.orders.values(), *self.payments.values()]:
            if order.state == "RECEIVED" and order.due and order.store is store:
                self._attempt(order)

    def _attempt(self, order: Order) -> None:
        order.due = True
        if order.state != "RECEIVED" or order.store.posed == "offline":
            return
        try:
            if order.kind == "pay":
                self._settle(order)
            else:
                self._take(order)
        except Failed as failed:
            self._fail(order, failed)

    def _give_up(self, order: Order) -> None:
        if order.state == "RECEIVED":
            self._fail(order, Failed("Timeout: the POS could not be reached in time"), timeout=True)

    def _fail(self, order: Order, failed: Failed, *, timeout: bool = False) -> None:
        order.reason = failed.reason
        order.become("FAILURE")
        told: Json = {"status": "FAILURE", "reason": failed.reason, "thirdPartyReference": order.reference}
        if order.kind != "pay":
            self._around.tell(order.endpoint, "ORDER.FAILURE", order.reference, told)
            return
        errors: Json = {"timeout": {"errorKey": "TASK_TIMEOUT"}} if timeout else {"account": {"type": failed.type}}
        told |= {"businessLocationId": int(order.store.id), "type": "PAYMENT", "errors": errors}
        if identifier := order.body.get("iKaccountIdentifier"):
            told["ikentooAccountIdentifier"] = identifier
        self._around.tell(order.endpoint, "PAYMENT.FAILURE", order.reference, told)

    def _take(self, order: Order) -> None:
        body, store = order.body, order.store
        if store.posed != "open":
            raise Failed("the POS is not accepting online orders")
        if order.kind == "toGo" and not body.get("items"):
            raise Failed("the order has no items")
        self._know(body["customerInfo"])
        order.lines = self._pricing.lines(body.get("items") or [], store)
        account = self._account_for(order)
        total, payment = total_of(order.lines, store), body.get("payment")
        if payment:
            amount, tip = minor(payment["paymentAmount"], store.currency), minor(payment.get("tipAmount") or 0, store.currency)
            self._check_payment(payment, amount - tip, account.total + total - account.paid)
        self.accounts[account.identifier] = order.account = account
        account.lines += order.lines
        account.references.append(order.reference)
        if payment:
            self._pay(account, payment, amount - tip, tip, order.reference)
        order.become("SUCCESS")
        self._around.sold(store, order.lines)
        endpoint = self._around.endpoints.held.get(order.endpoint)
        if endpoint is not None and endpoint.wants("order"):
            self._tell(order, "SUCCESS")
        if payment:
            self._around.tell(order.endpoint, "PAYMENT.SUCCESS", order.reference, self._paid(order.reference, account))

    def _know(self, customer: Json) -> None:
        email, reference = customer.get("email"), customer.get("thirdPartyReference")
        if email and reference and self._customers.setdefault(email.lower(), reference) != reference:
            raise Failed("A consumer already exists for this email address with a different external reference.")

    def _account_for(self, order: Order) -> Account:
        body = order.body
        if wanted := body.get("accountIdentifier"):
            account = self.accounts.get(wanted)
            if account is None or account.store is not order.store:
                raise Failed(f"account not found: {wanted}")
            if account.state not in _OPEN:
                raise Failed(f"account is already closed: {wanted}")
            return account
        count = len(self.accounts) + 1
        name = " ".join(filter(None, (body["customerInfo"]["firstName"], body["customerInfo"].get("lastName"))))
        made = Account(f"A{POS_ID}.{count}", 61700454000000 + count, self._around.ids.uuid(), order.store, name)
        made.table, made.clients = body.get("tableNumber"), body.get("clientCount") or 1
        made.profile = body.get("accountProfileCode") or ("TAKEAWAY" if order.kind == "toGo" else "TABLE")
        return made

    def _check_payment(self, payment: Json, amount: int, due: int) -> None:
        method = payment.get("paymentMethod") or "OOPAYMENT"
        if method not in PAYMENT_METHODS:
            raise Failed(f"payment method not found: {method}", "PAYMENT_METHOD_NOT_FOUND")
        if amount > due:
            raise Failed("the payment amount is greater than the amount due", "OVERPAID")

    def _pay(self, account: Account, payment: Json, amount: int, tip: int, reference: str) -> None:
        method = payment.get("paymentMethod") or "OOPAYMENT"
        paid = {"method": method, "description": PAYMENT_METHODS[method], "amount": amount, "tip": tip}
        account.payments.append({**paid, "reference": reference, "at": time.time()})

    def _settle(self, task: Order) -> None:
        body, store = task.body, task.store
        account = self.accounts.get(body.get("iKaccountIdentifier") or "")
        if account is None or account.store is not store:
            raise Failed("account not found", "ACCOUNT_NOT_FOUND")
        if account.state not in _OPEN:
            raise Failed("account is already closed", "ACCOUNT_ALREADY_CLOSED")
        amount, tip = minor(body["paymentAmount"], store.currency), minor(body.get("tipAmount") or 0, store.currency)
        self._check_payment(body, amount, account.total - account.paid)
        self._pay(account, body, amount, tip, task.reference)
        task.account = account
        task.become("SUCCESS")
        self._around.tell(task.endpoint, "PAYMENT.SUCCESS", task.reference, self._paid(task.reference, account))

    @staticmethod
    def _paid(reference: str, account: Account) -> Json:
        told = {"thirdPartyReference": reference, "businessLocationId": int(account.store.id), "status": "SUCCESS"}
        return {**told, "ikentooAccountId": str(account.id), "ikentooAccountIdentifier": account.identifier, "type": "PAYMENT"}

    def _tell(self, order: Order, status: str) -> None:
        account, endpoint = order.account, self._around.endpoints.held.get(order.endpoint)
        if account is None or endpoint is None:
            return
        told: Json = {"thirdPartyReference": order.reference, "status": status}
        if endpoint.told.get("provideAccount"):
            lines, payments = bool(endpoint.told.get("expandTransactions")), bool(endpoint.told.get("expandPayments"))
            shown = snapshot(account, as_text=True, lines=lines, payments=payments)
            told |= {"businessLocationId": int(account.store.id), "account": shown, "ikentooAccountId": account.id}
        else:
            # Without the account, a success does not name the location.
            where = {} if status == "SUCCESS" else {"businessLocationId": int(account.store.id)}
            told |= {**where, "ikentooAccountId": str(account.id)}
        told |= {"ikentooAccountIdentifier": account.identifier, "type": "ORDER"}
        self._around.tell(order.endpoint, f"ORDER.{status}", order.reference, told)

    # What staff do

    def find(self, identifier: str) -> Order:
        """An order by our caller's reference or by its check; raises ControlError."""
        found = self.orders.get(identifier)
        if found is None and identifier in self.accounts:
            found = self.orders[self.accounts[identifier].references[0]]
        if found is None:
            raise ControlError(404, f"no order {identifier}")
        return found

    def move(self, order: Order, state: str) -> None:
        """Move an order's check as staff at the POS would; what is left to pay at the close is paid in cash. Raises ControlError."""
        if order.state == "RECEIVED":
            if state in {"CANCELLED", "ABANDONED"}:
                self._fail(order, Failed("rejected on the POS"))
            elif state == "SUCCESS":
                self._attempt(order)
            else:
                raise ControlError(409, f"order {order.reference} has not reached the POS yet")
            return
        account = order.account
        if account is None or account.state not in _OPEN or (state == "SUCCESS" and account.state != "SUCCESS"):
            raise ControlError(409, f"order {order.reference} is {order.state}")
        if state == "SUCCESS":
            return
        if state == "CHECK_WAS_UPDATED":
            order.history.append({"state": state, "at": timestamp(time.time())})
        else:
            account.state = state
        if state == "CLOSED" and (due := account.total - account.paid) > 0:
            self._pay(account, {"paymentMethod": "CASH"}, due, 0, "")
        if state in {"CLOSED", "CANCELLED", "ABANDONED"}:
            account.closed_at = time.time()
        if state == "CLOSED":
            account.receipt = f"R{POS_ID}.{account.identifier.rpartition('.')[2]}"
        for each in map(self.orders.__getitem__, account.references):
            if state != "CHECK_WAS_UPDATED":
                each.become(state)
            self._tell(each, state)

    # What is read

    def check(self, call: Call, store: Store) -> Json:
        """Answer GET order/accounts/{accountIdentifier}."""
        account = self.accounts.get(call.params["accountIdentifier"])
        if account is None or account.store is not store:
            raise refuse(call, f"account not found: {call.params['accountIdentifier']}", 404)
        return snapshot(account, as_text=False)

    def checks(self, store: Store, table: str | None = None) -> list[Json]:
        """Answer getCheck: the open checks of a store, or of one of its tables."""
        return [
            snapshot(each, as_text=False)
            for each in self.accounts.values()
            if each.store is store and each.state in _OPEN and (table is None or each.table == table)
        ]

    def shown(self) -> list[Json]:
        """All orders as the control API shows them: amounts in the smallest unit, payments without their tips."""
        return [shown(order) for order in self.orders.values()]
