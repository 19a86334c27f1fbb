"""Square's plans, reads and error names over a faked HTTP seam."""

import json
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

import msgspec
import pytest

from adapters.square import PROVIDER
from adapters.square.adapter import Square
from adapters.square.stores import VERSION
from hub.contract import (
    AuthExpired,
    AuthRevoked,
    Cancelled,
    CancelTask,
    CannotCancel,
    Connected,
    Done,
    Drifted,
    Misconfigured,
    NotFound,
    RateLimited,
    Rejected,
    Repeat,
    Request,
    RetryLater,
    Step,
    SubmitTask,
    Submitted,
)
from hub.model import OrderState, Payment, Tip
from tests.unit.adapters.sales import FakeHttp, answered, sold, usd

SINCE = datetime(2026, 1, 10, 18, 0, tzinfo=UTC)
ORDER = Done("SQ1", {"total": 2500, "currency": "USD", "version": 3})
TASK = SubmitTask("ord_01jd0000000000000000000000", sold(), "LOC", {"SKU-100": "VAR"})


def square(*answers: Any, **settings: Any) -> tuple[Square, FakeHttp]:
    """An adapter and its HTTP."""
    http = FakeHttp(*answers)
    return Square(PROVIDER.facts, Connected("con", "simulator", settings), http), http


async def step_of(task: SubmitTask, done: dict[str, Done], **settings: Any) -> tuple[Step, dict[str, Any]]:
    """The next step of a submit and its body."""
    step = await square(**settings)[0].submit(task, done)
    assert isinstance(step, Step)
    return step, dict(json.loads(step.request.body))


def told(**more: Any) -> dict[str, Any]:
    """An order as Square tells it."""
    given = {"id": "SQ1", "location_id": "LOC", "reference_id": "ord_1", "version": 4, "total_money": {"amount": 2500, "currency": "USD"}}
    return {**given, **more}


async def test_submit_is_an_order_and_a_payment() -> None:
    """Two steps with a key each, the payment over Square's own total; then the total is told."""
    order, body = await step_of(TASK, {})
    assert (order.name, order.repeat, order.idempotency_key) == ("order", Repeat.KEY, TASK.key("order"))
    assert (order.request.method, order.request.path, body["idempotency_key"]) == ("POST", "/v2/orders", order.idempotency_key)
    payment, body = await step_of(TASK, {"order": ORDER})
    assert (payment.name, payment.repeat, payment.idempotency_key) == ("payment", Repeat.KEY, TASK.key("payment"))
    assert payment.idempotency_key != order.idempotency_key
    assert len(payment.idempotency_key) <= 45
    assert body["amount_money"] == {"amount": 2500, "currency": "USD"}
    assert (body["source_id"], body["order_id"], body["location_id"]) == ("EXTERNAL", "SQ1", "LOC")
    assert body["external_details"] == {"type": "EXTERNAL", "source": "ubereats", "source_id": "0b7a2a54"}
    assert "tip_money" not in body
    result = await square()[0].submit(TASK, {"order": ORDER, "payment": Done("P1")})
    assert result == Submitted("SQ1", usd(2500))


async def test_the_same_task_makes_the_same_bytes() -> None:
    """A plan asked again after a crash builds the same requests."""
    assert (await step_of(TASK, {}))[0] == (await step_of(TASK, {}))[0]
    assert (await step_of(TASK, {"order": ORDER}))[0] == (await step_of(TASK, {"order": ORDER}))[0]


async def test_a_new_generation_has_new_keys() -> None:
    """A resubmit after a decision of a person is another order to Square."""
    again = SubmitTask(TASK.reference, TASK.order, "LOC", {}, generation=2)
    assert (await step_of(again, {}))[0].idempotency_key != (await step_of(TASK, {}))[0].idempotency_key


async def test_tips_cash_and_nothing_to_pay() -> None:
    """The merchant's tip goes on the payment, cash is cash, and an order of zero is paid with no payment."""
    tipped = SubmitTask("ord_1", sold(tips=(Tip(usd(300), "merchant"), Tip(usd(999), "courier"))), "LOC", {})
    assert (await step_of(tipped, {"order": ORDER}))[1]["tip_money"] == {"amount": 300, "currency": "USD"}
    cash = SubmitTask("ord_1", sold(payments=(Payment("cash", usd(2500)),)), "LOC", {})
    body = (await step_of(cash, {"order": ORDER}))[1]
    assert (body["source_id"], body["cash_details"]["buyer_supplied_money"]["amount"]) == ("CASH", 2500)
    assert "external_details" not in body
    free = Done("SQ1", {"total": 0, "currency": "USD", "version": 3})
    step, body = await step_of(TASK, {"order": free})
    assert (step.request.path, body) == ("/v2/orders/SQ1/pay", {"idempotency_key": TASK.key("payment"), "payment_ids": []})


async def test_a_tip_on_nothing_is_told() -> None:
    """An order of zero has no payment that could carry a tip, so the operator is told."""
    free = sold(lines=(), tips=(Tip(usd(300), "merchant"),))
    done = {"order": Done("SQ1", {"total": 0, "currency": "USD", "version": 1}), "payment": Done("SQ1")}
    result = await square()[0].submit(SubmitTask("ord_1", free, "LOC", {}), done)
    assert isinstance(result, Submitted)
    assert "tip" in [each.field for each in result.not_carried]


async def test_delivery_is_a_setting() -> None:
    """PICKUP unless the connection says DELIVERY."""
    assert (await step_of(TASK, {}))[1]["order"]["fulfillments"][0]["type"] == "PICKUP"
    assert (await step_of(TASK, {}, fulfillment="DELIVERY"))[1]["order"]["fulfillments"][0]["type"] == "DELIVERY"


def test_steps_leave_what_later_ones_need() -> None:
    """The official example's id, total, currency and version; a payment's id; garbage is drift."""
    adapter = square()[0]
    raw = resources.files("adapters.square").joinpath("fixtures/order_created.json").read_bytes()
    order = json.loads(raw)["order"]
    done = adapter.read_step("order", answered(200, raw))
    assert done == Done(order["id"], {"total": 6176, "currency": "USD", "version": order["version"]})
    assert adapter.read_step("payment", answered(200, {"payment": {"id": "P1"}})) == Done("P1")
    assert adapter.read_step("refund1", answered(200, {"refund": {"id": "R1"}})) == Done("R1")
    with pytest.raises(Drifted):
        adapter.read_step("payment", answered(200, {}))
    for body in (b"<html>", b"{}", {"order": {"id": "x"}}, {"order": {"id": "x", "location_id": "l"}}):
        with pytest.raises(Drifted):
            adapter.read_step("order", answered(200, body))


def test_paying_nothing_leaves_the_order() -> None:
    """The answer is then the order, whatever words it holds."""
    free = told(ticket_name="payment", total_money={"amount": 0, "currency": "USD"})
    assert square()[0].read_step("payment", answered(200, {"order": free})) == Done("SQ1", {"total": 0, "currency": "USD", "version": 4})


def test_what_a_step_leaves_is_not_personal() -> None:
    """Only the order's id, total, currency and version are kept, never the guest's name."""
    guest = {"uid": "F", "type": "PICKUP", "pickup_details": {"recipient": {"display_name": "Larry L."}}}
    done = square()[0].read_step("order", answered(200, {"order": told(fulfillments=[guest], ticket_name="Larry L.")}))
    assert set(done.data) == {"total", "currency", "version"}
    assert "Larry" not in repr(done)


async def test_find_searches_a_window_by_our_reference() -> None:
    """Every page, from five minutes before the first send; the order, without its tip, and its payment are found."""
    mine = told(reference_id=TASK.reference, tenders=[{"id": "P1"}]) | {
        "total_money": {"amount": 2800, "currency": "USD"},
        "total_tip_money": {"amount": 300, "currency": "USD"},
    }
    pages = [{"orders": [told(reference_id="other")], "cursor": "next"}, {"orders": [mine]}]
    adapter, http = square(*pages, *pages)
    assert await adapter.find(TASK, "order", SINCE) == Done("SQ1", {"total": 2500, "currency": "USD", "version": 4})
    first, second = (json.loads(request.body) for request in http.requests)
    assert first["location_ids"] == ["LOC"]
    assert first["query"]["filter"]["date_time_filter"]["created_at"]["start_at"] == "2026-01-10T17:55:00Z"
    assert "cursor" not in first
    assert second["cursor"] == "next"
    assert await adapter.find(TASK, "payment", SINCE) == Done("P1")


async def test_find_finds_nothing() -> None:
    """No order of ours, no such order paid: None."""
    adapter, _ = square({}, {"orders": [told(reference_id=TASK.reference)]})
    assert await adapter.find(TASK, "order", SINCE) is None
    assert await adapter.find(TASK, "payment", SINCE) is None


async def test_find_prefers_the_order_that_stands() -> None:
    """After a resubmit the cancelled order has the same reference; pages behind the first match aren't read."""
    gone, stands = told(id="OLD", state="CANCELED", reference_id=TASK.reference), told(reference_id=TASK.reference)
    adapter, http = square({"orders": [gone, stands], "cursor": "more"}, {"orders": [gone]})
    found = await adapter.find(TASK, "order", SINCE)
    assert found is not None
    assert (found.vendor_ref, len(http.requests)) == ("SQ1", 1)
    only_gone = await adapter.find(TASK, "order", SINCE)
    assert only_gone is not None
    assert only_gone.vendor_ref == "OLD"


async def test_a_payment_is_found_on_an_order_older_than_itself() -> None:
    """The search begins at the order's placing, however late its payment was first tried."""
    adapter, http = square({"orders": [told(reference_id=TASK.reference, tenders=[{"id": "P1"}])]})
    assert await adapter.find(TASK, "payment", SINCE + timedelta(hours=3)) == Done("P1")
    body = json.loads(http.requests[0].body)
    assert body["query"]["filter"]["date_time_filter"]["created_at"]["start_at"] == "2026-01-10T17:55:00Z"


async def test_paging_ends() -> None:
    """A page that names itself as the next one is drift, not a loop without end."""
    adapter, _ = square({"orders": [], "cursor": "same"}, {"orders": [], "cursor": "same"})
    with pytest.raises(Drifted):
        await adapter.open_orders("LOC", SINCE)


async def test_reads_of_orders() -> None:
    """State, version, total and our reference; a counter's own order has no reference."""
    adapter, http = square(
        {"order": told(fulfillments=[{"state": "PREPARED"}])}, {"orders": [told(reference_id=None, total_money={"amount": 1})]}
    )
    seen = await adapter.order("SQ1")
    assert (seen.state, seen.version, seen.total, seen.reference) == (OrderState.READY, "4", usd(2500), "ord_1")
    assert http.requests[0].path == "/v2/orders/SQ1"
    (other,) = await adapter.open_orders("LOC", SINCE)
    assert (other.reference, other.total) == ("", None)


async def test_an_unpaid_order_is_cancelled_in_one_step() -> None:
    """Fulfilment and order together, by the order's current version."""
    task = CancelTask("ord_1", "SQ1", "LOC", "cancelled by the channel")
    adapter, _ = square({"order": told(fulfillments=[{"uid": "F", "state": "PROPOSED"}])})
    step = await adapter.cancel(task, {})
    assert isinstance(step, Step)
    assert (step.name, step.repeat, step.request.method, step.request.path) == ("cancel", Repeat.NATURAL, "PUT", "/v2/orders/SQ1")
    change = json.loads(step.request.body)["order"]
    assert change == {"version": 4, "location_id": "LOC", "fulfillments": [{"uid": "F", "state": "CANCELED"}], "state": "CANCELED"}


async def test_a_paid_order_is_refunded_first() -> None:
    """What is left of the payment goes back under a key of its own, then the fulfilment is cancelled."""
    task = CancelTask("ord_1", "SQ1", "LOC", "x" * 300)
    paid = {"order": told(tenders=[{"id": "T", "payment_id": "P1"}], fulfillments=[{"uid": "F", "state": "RESERVED"}])}
    money = {"total_money": {"amount": 2800, "currency": "USD"}}
    adapter, _ = square(paid, {"payment": {"id": "P1", **money}})
    refund = await adapter.cancel(task, {})
    assert isinstance(refund, Step)
    body = json.loads(refund.request.body)
    assert (refund.repeat, refund.idempotency_key, refund.request.path) == (Repeat.KEY, task.key("refund1"), "/v2/refunds")
    assert (body["payment_id"], body["amount_money"]["amount"], len(body["reason"])) == ("P1", 2800, 192)
    given_back = {"payment": {"id": "P1", **money, "refunded_money": {"amount": 2800, "currency": "USD"}}}
    adapter, _ = square(paid, given_back)
    step = await adapter.cancel(task, {"refund1": Done("R1")})
    assert isinstance(step, Step)
    assert json.loads(step.request.body)["order"]["fulfillments"] == [{"uid": "F", "state": "CANCELED"}]
    assert "state" not in json.loads(step.request.body)["order"]


@pytest.mark.parametrize(
    ("order", "done", "result"),
    [
        (told(state="CANCELED"), {}, Cancelled()),
        (told(fulfillments=[{"uid": "F", "state": "PROPOSED"}]), {"cancel": Done("SQ1")}, Cancelled()),
        (told(state="COMPLETED", tenders=[{"id": "P1"}]), {}, CannotCancel("the order is completed")),
        (told(fulfillments=[{"uid": "F", "state": "PROPOSED"}], tenders=[{"id": "P1"}]), {"cancel": Done("SQ1")}, Cancelled()),
    ],
)
async def test_ends_of_a_cancellation(order: dict[str, Any], done: dict[str, Done], result: object) -> None:
    """Cancelled before, cancelled now, or too late."""
    assert await square({"order": order})[0].cancel(CancelTask("ord_1", "SQ1", "LOC", "r"), done) == result


async def test_an_unpaid_order_ends_although_its_fulfilment_did() -> None:
    """Somebody at the counter cancelled the fulfilment only: the order itself is still cancelled."""
    adapter, _ = square({"order": told(fulfillments=[{"uid": "F", "state": "CANCELED"}])})
    step = await adapter.cancel(CancelTask("ord_1", "SQ1", "LOC", "r"), {})
    assert isinstance(step, Step)
    assert json.loads(step.request.body)["order"] == {"version": 4, "location_id": "LOC", "state": "CANCELED"}


async def test_every_payment_that_stands_is_refunded() -> None:
    """Each under its own key; what was given back before or never taken is left alone."""
    tenders = [{"id": "P1"}, {"id": "P2"}, {"id": "P3"}]
    money = {"total_money": {"amount": 900, "currency": "USD"}}
    payments = {
        "/v2/payments/P1": {"payment": {"id": "P1", **money, "refunded_money": {"amount": 900, "currency": "USD"}}},
        "/v2/payments/P2": {"payment": {"id": "P2", **money, "refunded_money": {"amount": 400, "currency": "USD"}}},
        "/v2/payments/P3": {"payment": {"id": "P3", "status": "FAILED", **money}},
    }
    order = {"order": told(tenders=tenders, fulfillments=[{"uid": "F", "state": "PROPOSED"}])}
    http = FakeHttp(by=lambda request: payments.get(request.path, order))
    adapter = Square(PROVIDER.facts, Connected("con", "simulator"), http)
    task, done, made = CancelTask("ord_1", "SQ1", "LOC", "r"), dict[str, Done](), list[Step]()
    while isinstance(step := await adapter.cancel(task, done), Step):
        made.append(step)
        done[step.name] = Done("x")
    assert [each.name for each in made] == ["refund2", "cancel"]
    refund = json.loads(made[0].request.body)
    assert (refund["payment_id"], refund["amount_money"]["amount"]) == ("P2", 500)


async def test_a_cancellation_meets_another_version() -> None:
    """A refused version is tried again, and the plan then asks with the order's new one."""
    task = CancelTask("ord_1", "SQ1", "LOC", "r")
    open_one = [{"uid": "F", "state": "PROPOSED"}]
    adapter, _ = square({"order": told(fulfillments=open_one)}, {"order": told(version=5, fulfillments=open_one)})
    first = await adapter.cancel(task, {})
    refused = adapter.failure("update_order", answered(409, {"errors": [{"code": "CONFLICT"}]}))
    second = await adapter.cancel(task, {})
    assert isinstance(refused, RetryLater)
    assert isinstance(first, Step)
    assert isinstance(second, Step)
    assert [json.loads(step.request.body)["order"]["version"] for step in (first, second)] == [4, 5]


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, "ACCESS_TOKEN_EXPIRED", AuthExpired),
        (401, "UNAUTHORIZED", AuthExpired),
        (401, "ACCESS_TOKEN_REVOKED", AuthRevoked),
        (403, "INSUFFICIENT_SCOPES", Misconfigured),
        (404, "NOT_FOUND", NotFound),
        (409, "CONFLICT", RetryLater),
        (400, "VERSION_MISMATCH", RetryLater),
        (400, "IDEMPOTENCY_KEY_REUSED", Rejected),
        (400, "MISSING_REQUIRED_PARAMETER", Rejected),
        (429, "RATE_LIMITED", RateLimited),
    ],
)
def test_errors_are_named_by_what_happens_next(status: int, code: str, error: type[Exception]) -> None:
    """Square's codes, with its words kept."""
    body = {"errors": [{"category": "X", "code": code, "detail": "why", "field": "order.id"}]}
    found = square()[0].failure("create_order", answered(status, body))
    assert type(found) is error
    assert getattr(found, "code", "") == code
    assert getattr(found, "detail", "") == "why order.id"


@pytest.mark.parametrize("status", [200, 408, 425, 500, 502, 503])
def test_the_rest_is_the_shared_tables(status: int) -> None:
    """No opinion on success, on slowness and on server errors."""
    assert square()[0].failure("create_order", answered(status, b"")) is None


def test_a_pause_is_as_long_as_square_says() -> None:
    """Retry-After in seconds; without one the hub chooses."""
    adapter = square()[0]
    told_so, silent = adapter.failure("x", answered(429, {}, retry_after="7")), adapter.failure("x", answered(429, b"not json"))
    assert isinstance(told_so, RateLimited)
    assert isinstance(silent, RateLimited)
    assert (told_so.after, silent.after) == (7.0, None)
    dated = answered(429, {}, retry_after="Sat, 10 Jan 2026 18:00:00 GMT")
    assert adapter.failure("x", dated) is None, "a date is left to the shared table"


async def test_every_request_names_the_version() -> None:
    """Square-Version on reads, writes and the token's refresh."""
    adapter, http = square({"locations": []}, {"orders": []}, {"order": told()})
    await adapter.test()
    await adapter.open_orders("LOC", SINCE)
    await adapter.order("SQ1")
    refresh = PROVIDER.auth(PROVIDER.facts).token_request({"client_id": "c", "client_secret": "s", "refresh_token": "r"}, None)
    assert isinstance(refresh, Request)
    steps = [(await step_of(TASK, {}))[0], (await step_of(TASK, {"order": ORDER}))[0]]
    for request in (*http.requests, *(step.request for step in steps), refresh):
        assert request.headers["Square-Version"] == VERSION, request.path
    assert msgspec.json.decode(refresh.body) == {
        "client_id": "c",
        "client_secret": "s",
        "grant_type": "refresh_token",
        "refresh_token": "r",
    }
