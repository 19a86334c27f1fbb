"""Every request that the Square adapter makes is what Square's official specification says, limits of texts included."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.square import PROVIDER
from adapters.square.adapter import Square
from adapters.square.extras import RefundParams
from adapters.square.stores import Seller
from hub.contract import CancelTask, Connected, Done, OAuthCode, Request, Response, Step, SubmitTask
from hub.model import Address, Charge, Customer, Discount, Fulfilment, Line, Modifier, Money, Order, Payment, Tax, Tip
from tests.contract.openapi import Spec, SpecError, vendor_spec

NOW = datetime(2026, 1, 10, 18, tzinfo=UTC)
LONG = "é" * 900


@pytest.fixture
def spec() -> Spec:
    """Square's document; a visible skip where it is not at hand."""
    return Spec.load(vendor_spec("square", "openapi-trimmed.json"))


def check(spec: Spec, request: Request) -> None:
    """Check one request."""
    spec.check_request(request.method, request.path, json.loads(request.body) if request.body else None)


class Answers:
    """Answers reads by their path and checks each of them."""

    def __init__(self, spec: Spec, bodies: Mapping[str, Any]) -> None:
        self.spec, self.bodies, self.seen = spec, bodies, 0

    async def read(self, request: Request) -> Response:
        """Check and answer."""
        check(self.spec, request)
        self.seen += 1
        return Response(200, {}, msgspec.json.encode(self.bodies[request.path]))


def usd(amount: int) -> Money:
    """Cents."""
    return Money(amount, "USD")


def sold(text: str, kind: Any = "delivery_by_merchant", **more: Any) -> Order:
    """An order with everything an order can have; `text` fills every text."""
    sauce = Modifier("sauce", text, 2, usd(10), removed=False)
    meal = Modifier("meal", text, 1, usd(200), plu="P", modifiers=(sauce,))
    given: dict[str, Any] = {
        "platform": "ubereats",
        "platform_order_id": text or "x",
        "store_ref": "s",
        "currency": "USD",
        "lines": (Line("burger", text, 2, usd(1000), usd(2450), modifiers=(meal,), note=text), Line("soup", text, 1, usd(-5), usd(1))),
        "total": usd(3000),
        "placed_at": NOW,
        "fulfilment": Fulfilment(kind, ready_at=NOW, scheduled_for=NOW, note=text, courier="Uber", include_cutlery=True),
        "display_id": text,
        "customer": Customer(text, text[:30], text[:9], address=Address(text, text, text, text, "US", notes=text)),
        "charges": (Charge("bag", text, usd(50), "merchant"),),
        "tips": (Tip(usd(100), "merchant"),),
        "discounts": (Discount(text, usd(20), "merchant"),),
        "taxes": (Tax("Sales tax", usd(80), "merchant"),),
        "note": text,
    }
    return Order(**{**given, **more})


def square(http: Any = None, **configured: Any) -> Square:
    """An adapter of a connection with these settings."""
    return Square(PROVIDER.facts, Connected("con", "simulator", configured), http)


async def steps_of(order: Order, products: Mapping[str, str], kind: str, total: int) -> list[Request]:
    """All writes of a submit."""
    task = SubmitTask("ord_01jd0000000000000000000000", order, "LOC", products)
    done: dict[str, Done] = {}
    made = []
    adapter = square(fulfillment=kind)
    while isinstance(step := await adapter.submit(task, done), Step):
        made.append(step.request)
        done[step.name] = Done("SQ1", {"total": total, "currency": "USD", "version": 1})
    return made


@pytest.mark.parametrize("kind", ["PICKUP", "DELIVERY"])
@pytest.mark.parametrize("text", ["", "Fries", LONG])
@pytest.mark.parametrize("products", [{}, {"burger": "V", "meal": "M", "soup": "V2"}])
async def test_a_submit_is_to_the_letter(spec: Spec, kind: str, text: str, products: dict[str, str]) -> None:
    """Order and payment, for both ways of injection, with empty and with far too long texts."""
    requests = await steps_of(sold(text), products, kind, 2500)
    assert [request.path for request in requests] == ["/v2/orders", "/v2/payments"]
    for request in requests:
        check(spec, request)


@pytest.mark.parametrize("kind", ["PICKUP", "DELIVERY"])
@pytest.mark.parametrize("ready_at", [None, NOW])
async def test_as_soon_as_possible_is_to_the_letter(spec: Spec, kind: str, ready_at: datetime | None) -> None:
    """Without a time of day, with and without one to be ready at; and a guest with an e-mail address."""
    order = sold("x", fulfilment=Fulfilment("pickup", ready_at=ready_at), customer=Customer("Guest", email="guest@example.com"))
    for request in await steps_of(order, {}, kind, 2500):
        check(spec, request)


async def test_cash_and_nothing_to_pay_are_to_the_letter(spec: Spec) -> None:
    """A cash payment and the paying of an order of zero."""
    for request in await steps_of(sold("x", payments=(Payment("cash", usd(1)),)), {}, "PICKUP", 100):
        check(spec, request)
    requests = await steps_of(sold("x"), {}, "PICKUP", 0)
    assert [request.path for request in requests] == ["/v2/orders", "/v2/orders/SQ1/pay"]
    for request in requests:
        check(spec, request)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=700), kind=st.sampled_from(["delivery_by_platform", "pickup", "dine_in"]))
async def test_any_text_is_to_the_letter(spec: Spec, text: str, kind: str) -> None:
    """Whatever a consumer writes."""
    for request in await steps_of(sold(text, kind), {}, "PICKUP", 2500):
        check(spec, request)


async def test_reads_are_to_the_letter(spec: Spec) -> None:
    """Locations, catalog, search, one order, counts, payments."""
    order = {"id": "SQ1", "location_id": "LOC"}
    bodies = {"/v2/locations": {"locations": [{"id": "LOC", "currency": "USD"}]}, "/v2/catalog/list": {}}
    bodies |= {"/v2/inventory/counts/batch-retrieve": {}, "/v2/payments": {}}
    http = Answers(spec, {**bodies, "/v2/orders/search": {}, "/v2/orders/SQ1": {"order": order}})
    adapter = square(http)
    await adapter.test()
    await adapter.read_menu("LOC")
    await adapter.open_orders("LOC", NOW)
    await adapter.find(SubmitTask("ord_1", sold("x"), "LOC", {}), "order", NOW)
    await adapter.order("SQ1")
    await adapter.read_stock("LOC")
    await Seller(http).payments("LOC", NOW, NOW)
    assert http.seen == 9


async def test_a_refund_is_to_the_letter(spec: Spec) -> None:
    """Money that goes back by the extra, with the longest reason."""
    payment = {"payment": {"id": "P1", "total_money": {"amount": 5, "currency": "USD"}}}
    refund = square(Answers(spec, {"/v2/payments/P1": payment})).extras()["refund"]
    assert refund.step is not None
    check(spec, (await refund.step(RefundParams("P1", reason=LONG))).request)


@pytest.mark.parametrize("paid", [True, False])
async def test_a_cancellation_is_to_the_letter(spec: Spec, paid: bool) -> None:
    """The refund of a paid order, and the update that cancels."""
    order = {"id": "SQ1", "location_id": "LOC", "version": 2, "fulfillments": [{"uid": "F", "type": "PICKUP", "state": "PROPOSED"}]}
    if paid:
        order["tenders"] = [{"id": "P1"}]
    payment = {"payment": {"id": "P1", "total_money": {"amount": 5, "currency": "USD"}}}
    adapter = square(Answers(spec, {"/v2/orders/SQ1": {"order": order}, "/v2/payments/P1": payment}))
    done: dict[str, Done] = {}
    seen = []
    task = CancelTask("ord_1", "SQ1", "LOC", LONG)
    while isinstance(step := await adapter.cancel(task, done), Step):
        check(spec, step.request)
        seen.append(step.request.path)
        done[step.name] = Done("x")
    assert seen == (["/v2/refunds", "/v2/orders/SQ1"] if paid else ["/v2/orders/SQ1"])


async def test_the_refresh_of_a_token_is_to_the_letter(spec: Spec) -> None:
    """The OAuth call."""
    request = PROVIDER.auth(PROVIDER.facts).token_request(
        {"client_id": "client", "client_secret": "secret", "refresh_token": "refresh"}, None
    )
    assert request is not None
    check(spec, request)


async def test_the_exchange_of_a_code_is_to_the_letter(spec: Spec) -> None:
    """The OAuth call, and the consent's address with its scopes separated by spaces."""
    auth = PROVIDER.auth(PROVIDER.facts)
    assert isinstance(auth, OAuthCode)
    app, back = {"client_id": "client", "client_secret": "secret"}, "https://hub.example/oauth/square/callback"
    check(spec, auth.code_request(app, "code", back))
    url = urlsplit(auth.consent_url("https://connect.squareup.com", app, back, "state"))
    query = parse_qs(url.query)
    assert (url.netloc, url.path, query["session"], query["redirect_uri"]) == (
        "connect.squareup.com",
        "/oauth2/authorize",
        ["false"],
        [back],
    )
    assert query["scope"] == [" ".join(PROVIDER.facts.auth.scopes)]


def test_the_check_can_fail(spec: Spec) -> None:
    """A text that is too long and a field that Square does not have are both found."""
    with pytest.raises(SpecError, match="reference_id"):
        spec.check_request("POST", "/v2/orders", {"order": {"location_id": "L", "reference_id": "x" * 41}})
    with pytest.raises(SpecError, match="invented"):
        spec.check_request("POST", "/v2/orders", {"order": {"location_id": "L", "invented": 1}})
