"""DoorDash's order into the hub's terms: money, options, taxes, promotions, and shapes that only documents show."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.doordash import PROVIDER
from adapters.doordash.adapter import DoorDash
from adapters.doordash.extras import job_of
from adapters.doordash.mapping import PICKUP_TIME, order_from, order_in
from adapters.doordash.models import ReportLink
from hub.contract import AmendTask, Connected, DecisionTask, Drifted, Http, Misconfigured, Rejected, Repeat
from hub.model import Charge, Discount, Modifier, Money, Order, StockLevel, Tax, Tip

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def usd(amount: int) -> Money:
    """Cents."""
    return Money(amount, "USD")


def item(price: int = 1000, **more: Any) -> dict[str, Any]:
    """A line."""
    return {"merchant_supplied_id": "burger", "name": "Burger", "price": price, "quantity": 1, "line_item_id": "li-1", **more}


def told(*items: dict[str, Any], **more: Any) -> bytes:
    """An order's call."""
    order = {
        "id": "o-1",
        "store": {"merchant_supplied_id": "s-1", "provider_type": "papa_pizza"},
        "categories": [{"name": "Main", "items": list(items or [item()])}],
        "estimated_pickup_time": "2026-03-01T12:20:00Z",
        "fulfillment_type": "dx_delivery",
        **more,
    }
    return json.dumps({"event": {"type": "OrderCreate", "status": "NEW"}, "order": order}).encode()


def mapped(*items: dict[str, Any], linked: str = "USD", **more: Any) -> Order:
    """The order in the hub's terms."""
    order = order_in(told(*items, **more))
    assert order is not None
    return order_from(order, linked, NOW)


def test_options_count_once_for_each_of_their_parent() -> None:
    """Nested options stand under `extras` or `extra`; what comes free is not charged, and the line's total says so."""
    cheese = {"merchant_supplied_id": "cheese", "name": "Cheese", "price": 50, "quantity": 2}
    sauce = {"merchant_supplied_id": "toum", "name": "ثومية", "price": 30, "quantity": 3, "chargeable_quantity": 1}
    wrap = {"merchant_supplied_id": "wrap", "name": "Wrap", "price": 100, "quantity": 2, "extra": [{"name": "Add", "options": [cheese]}]}
    extras = [{"merchant_supplied_id": "g", "name": "Choose", "options": [wrap, sauce]}]
    order = mapped(item(quantity=3, extras=extras, special_instructions="no salt", consumer_name="Kim"))
    (line,) = order.lines
    assert line.total == usd(3 * (1000 + 2 * (100 + 2 * 50) + 30))
    assert (line.id, line.plu, line.unit_price, line.note) == ("li-1", "burger", usd(1000), "no salt\nFor Kim")
    assert line.modifiers[0].modifiers == (Modifier("cheese", "Cheese", 2, usd(50), "cheese", "Add", "Add"),)
    assert (line.modifiers[1].name, line.modifiers[1].quantity, line.modifiers[0].group_id) == ("ثومية", 3, "g")


def test_a_removed_option_is_shown_and_an_unreadable_one_is_named() -> None:
    """Neither costs the order."""
    extras = [{"name": "Build", "options": [], "removed_options": [{"merchant_supplied_id": "onion", "name": "Onion"}]}]
    order = mapped(item(extras=extras, removed_options="all of it"))
    assert [(m.id, m.removed) for m in order.lines[0].modifiers] == [("onion", True)]
    assert [each.field for each in order.not_carried] == ["item 'burger'.removed_options"]


@pytest.mark.parametrize(
    ("more", "taxes", "owed"),
    [
        ({"tax": 80}, [Tax("Tax", usd(80), "merchant")], 1080),
        ({"tax": 80, "is_tax_remitted_by_doordash": True}, [Tax("Tax remitted by DoorDash", usd(80), "platform")], 1000),
        (
            {"tax": 80, "is_tax_remitted_by_doordash": True, "tax_amount_remitted_by_doordash": 50},
            [Tax("Tax remitted by DoorDash", usd(50), "platform"), Tax("Tax", usd(30), "merchant")],
            1030,
        ),
        (
            {"tax": 0, "is_tax_remitted_by_doordash": True, "tax_amount_remitted_by_doordash": 50},
            [Tax("Tax remitted by DoorDash", usd(50), "platform")],
            1000,
        ),
        ({"tax": 80, "is_tax_remitted_by_doordash": False, "tax_amount_remitted_by_doordash": 50}, [Tax("Tax", usd(80), "merchant")], 1080),
    ],
)
def test_a_tax_that_doordash_remits_is_not_the_merchants(more: dict[str, Any], taxes: list[Tax], owed: int) -> None:
    """Recorded and never charged at the POS."""
    order = mapped(**more)
    assert list(order.taxes) == taxes
    assert order.merchant_total() == usd(owed)
    assert order.total == usd(1000 + sum(tax.amount.amount for tax in taxes))


def test_discounts_are_whose_they_are() -> None:
    """The merchant's lower what it is owed, of the order or of a line; DoorDash's amount is mostly not told."""
    applied = {"discount_amount": 150, "promo_id": 7, "promo_code": "HI", "external_campaign_id": "c"}
    own = mapped(item(applied_item_discount={"discount_amount": 20, "promo_id": "p"}), applied_discounts=[applied])
    assert own.discounts == (Discount("p", usd(20), "merchant", "li-1", "p"), Discount("HI", usd(150), "merchant", vendor_id="7"))
    assert (own.merchant_total(), own.total) == (usd(830), usd(830))
    theirs = mapped(subtotal_discount_funding_source="doordash", applied_discounts=[applied])
    assert (theirs.discounts[0].funded_by, theirs.merchant_total(), theirs.total) == ("platform", usd(1000), usd(850))
    silent = mapped(subtotal_discount_funding_source="doordash", applied_discounts=[])
    assert (silent.discounts, [each.field for each in silent.not_carried]) == ((), ["discounts"])
    odd = mapped(applied_discounts={"a": 1})
    assert [each.field for each in odd.not_carried] == ["applied_discounts"]


def test_doordashs_subtotal_is_law() -> None:
    """Where lines make less or more, the difference is a line of its own, and named."""
    above, below = mapped(subtotal=1200), mapped(subtotal=900)
    assert above.charges == (Charge("other", "Difference to DoorDash's subtotal", usd(200), "merchant"),)
    assert (above.merchant_total(), below.merchant_total()) == (usd(1200), usd(900))
    assert [each.field for each in (*above.not_carried, *below.not_carried)] == ["lines", "lines"]


def test_an_own_delivery_has_an_address_a_fee_and_a_tip() -> None:
    """They are the merchant's; a number finer than a cent is rounded and named."""
    address = {"street": "1 Rue X", "subpremise": "2", "city": "Montréal", "state": "QC", "zip_code": "H1H", "country_code": "CA"}
    order = mapped(
        linked="",
        fulfillment_type="mx_fleet_delivery",
        delivery_address={**address, "lat": 45.5017, "lng": -73.5673, "address_instructions": "ring"},
        delivery_fee=499,
        taxes_on_fees=40,
        tip_amount=250.5,
        merchant_tip_amount=100,
        extra_cart_order_fee=10,
    )
    assert (order.currency, order.fulfilment.kind) == ("CAD", "delivery_by_merchant")
    assert order.tips == (Tip(Money(100, "CAD"), "merchant"), Tip(Money(250, "CAD"), "merchant"))
    assert order.merchant_total() == Money(1539, "CAD")
    place = order.customer.address
    assert place is not None
    assert (place.line1, place.city, place.latitude, place.notes) == ("1 Rue X", "Montréal, QC", "45.5017", "ring")
    assert sorted(each.field for each in order.not_carried) == ["currency", "extra_cart_order_fee", "tip_amount"]


def test_what_the_documents_sample_shows_is_read() -> None:
    """Kinds contradict each other, the consumer's id is a number, experience and cutlery are told, currency is the link's or its own."""
    consumer = {"id": 9007199254740993, "first_name": "Kelley", "last_name": "W.", "phone": "855-973-1040"}
    order = mapped(consumer=consumer, is_pickup=True, experience="STOREFRONT", is_plastic_ware_option_selected=True, currency_code="AUD")
    assert (order.customer.name, order.customer.vendor_id, order.customer.phone) == ("Kelley W.", "9007199254740993", "855-973-1040")
    assert (order.fulfilment.kind, order.fulfilment.note, order.fulfilment.include_cutlery) == (
        "delivery_by_platform",
        "by Storefront",
        True,
    )
    assert (order.currency, order.placed_at, order.payments[0].amount) == ("AUD", NOW, order.total)
    unknown = mapped(fulfillment_type="drone", is_pickup=True)
    assert (unknown.fulfilment.kind, unknown.not_carried[0].field) == ("pickup", "fulfillment_type")


@pytest.mark.parametrize(
    "more",
    [{"categories": []}, {"id": ""}, {"store": {}}, {"estimated_pickup_time": "soon"}, {"categories": [{"items": [item(quantity=0)]}]}],
)
def test_what_an_order_cannot_do_without_is_named(more: dict[str, Any]) -> None:
    """Nothing is made up."""
    with pytest.raises(Drifted):
        mapped(**more)


# What DoorDash is told


def adapter(**details: str) -> DoorDash:
    """An adapter that sends nothing."""
    http: Http = None  # type: ignore[assignment]
    return DoorDash(PROVIDER.facts, Connected("con_x", "simulator", details=details or {"provider_type": "papa_pizza"}), http)


def test_requests_carry_the_headers_and_escape_ids() -> None:
    """The agent is the provider type in camel case; without one nothing is sent."""
    request = adapter().accept_step(DecisionTask("ord_1", "a/b c", "s")).request
    assert request.path == "/marketplace/api/v1/orders/a%2Fb%20c"
    assert (request.headers["User-Agent"], request.headers["auth-version"]) == ("PapaPizza/1.0", "v2")
    with pytest.raises(Misconfigured, match="provider type"):
        adapter(other="x").ready_step(DecisionTask("ord_1", "o", "s"))


def test_doordashs_estimate_is_not_sent_back() -> None:
    """Another time is."""
    order = mapped()
    task = DecisionTask("ord_1", "o-1", "s-1", ready_at=order.fulfilment.ready_at, vendor_refs=order.vendor_refs)
    assert order.vendor_refs == {PICKUP_TIME: "2026-03-01T12:20:00Z"}
    assert json.loads(adapter().accept_step(task).request.body) == {"merchant_supplied_id": "ord_1", "order_status": "success"}
    later = DecisionTask("ord_1", "o-1", "s-1", ready_at=NOW, vendor_refs=order.vendor_refs)
    assert json.loads(adapter().accept_step(later).request.body)["prep_time"] == "2026-03-01T12:00:00Z"


def test_refusals_say_what_and_with_which_code() -> None:
    """An unknown reason is another one."""
    body = json.loads(adapter().reject_step(DecisionTask("ord_1", "o", "s", reason="item_unavailable", detail="Soup - 12")).request.body)
    assert (body["order_status"], body["failure_reason"], body["errors"][0]["code"]) == (
        *("fail", "Item Unavailable - Soup - 12", "ITEM_OUT_OF_STOCK"),
    )
    odd = json.loads(adapter().reject_step(DecisionTask("ord_1", "o", "s", reason="mood")).request.body)
    assert (odd["failure_reason"], odd["errors"][0]["code"]) == ("Refused by the restaurant", "OTHER")
    cancel = json.loads(adapter().cancel_step(DecisionTask("ord_1", "o", "s", reason="pos_offline")).request.body)
    assert cancel == {"cancel_reason": "OTHER", "cancel_details": "pos_offline"}


def test_amendments_are_as_safe_to_repeat_as_they_are() -> None:
    """Updates set a quantity; a removal with more beside it cannot be told from one that failed."""
    order = mapped(item(quantity=2), item(line_item_id="li-2"), item(line_item_id=None, merchant_supplied_id="plain"))
    decision = DecisionTask("ord_1", "o-1", "s-1")
    found = {}
    for name, wanted in {"update": {"li-1": 1}, "remove": {"li-2": 0}, "both": {"li-1": 1, "li-2": 0}}.items():
        step = adapter().amend_step(AmendTask(decision, order, wanted))
        assert step is not None
        found[name] = (step.request.operation, step.repeat, len(json.loads(step.request.body)["items"]))
    assert found == {
        "update": ("adjust_lines", Repeat.NATURAL, 1),
        "remove": ("remove_line", Repeat.NATURAL, 1),
        "both": ("adjust_lines", Repeat.NEVER, 2),
    }
    assert adapter().amend_step(AmendTask(decision, order, {"plain": 0, "li-1": 2, "unknown": 0})) is None


async def test_an_availability_call_is_of_the_first_levels_kind() -> None:
    """Callers give one kind a call; store references are escaped."""
    levels = [StockLevel("m", False, kind="modifier"), StockLevel("i", False)]
    request = (await adapter().availability_step("a/b", levels)).request
    assert (request.path, request.operation) == ("/marketplace/api/v1/stores/a%2Fb/item_options/status", "options_status")
    assert json.loads(request.body) == [{"merchant_supplied_id": "m", "is_active": False}]
    with pytest.raises(Rejected):
        await adapter().availability_step("s", [])


@pytest.mark.parametrize(
    ("status", "link", "state"),
    [
        ("SUCCEEDED", "https://x", "ready"),
        ("PENDING", "", "running"),
        ("failed", "", "failed"),
        ("FAILED", "https://x", "failed"),
        ("", "", "running"),
    ],
)
def test_a_report_is_ready_when_it_has_a_link(status: str, link: str, state: str) -> None:
    """Whatever DoorDash calls the time before."""
    assert job_of("r", ReportLink(report_link=link, report_status=status)).state == state
