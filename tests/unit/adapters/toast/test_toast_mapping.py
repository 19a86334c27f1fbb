"""Orders into Toast's, what they are settled with, and states back."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.toast import models
from adapters.toast.mapping import draft
from adapters.toast.models import ENCODER, Configured
from adapters.toast.pricing import QUOTES, Quote, Settled, Sums, body, paid, quote_of, settle
from adapters.toast.states import external_id, order_and_place, pos_id, reference_in, state_of
from hub.contract import Misconfigured, PosRejected, decode
from hub.model import Address, Charge, Customer, Discount, Fulfilment, Line, Modifier, OrderState, Payment, Tax, Tip
from tests.unit.adapters.toast.toast_bench import PLACED, REFERENCE, TERMS, Priced, drafted, sold, task, usd


def sent(order: Any, **more: Any) -> Any:
    """The order as JSON, without its adjustments."""
    return json.loads(ENCODER.encode(body(drafted(order, **more), Settled(Sums()))))


def test_lines_options_notes_and_guest_are_carried() -> None:
    """Items by menu group, options by modifier group and nested, removals, notes and unknown options as special requests."""
    options = (
        Modifier("oat", "Oat", 2, usd(50), modifiers=(Modifier("ice", "Ice", 1, usd(0)),)),
        Modifier("onion", "Onion", 1, usd(0), removed=True),
        Modifier("gold", "Gold", 2, usd(100)),
    )
    made = sent(sold(Line("salad", "Salad", 3, usd(1000), usd(3000), modifiers=options, note="بدون بصل")))
    (check,) = made["checks"]
    (line,) = check["selections"]
    assert (line["item"]["guid"], line["itemGroup"]["guid"], line["quantity"]) == ("i-salad", "mg", 3)
    oat, onion, gold, note = line["modifiers"]
    assert (oat["item"]["guid"], oat["optionGroup"]["guid"], oat["quantity"]) == ("i-oat", "g", 2)
    assert oat["modifiers"][0]["optionGroup"]["guid"] == "n"
    assert [each["displayName"] for each in (onion, gold, note)] == ["NO Onion", "2x Gold", "بدون بصل"]
    assert {each["selectionType"] for each in (onion, gold, note)} == {"SPECIAL_REQUEST"}
    assert check["tabName"] == "ubereats B2AB1"
    assert check["customer"] == {
        "entityType": "Customer",
        "firstName": "Jane",
        "lastName": "Doe",
        "phone": "617-555-0199",
        "phoneCountryCode": "1",
        "email": f"{REFERENCE}@example.com",
    }
    assert (made["externalId"], made["diningOption"]["guid"], made["requiredPrepTime"]) == (f"HUB:{REFERENCE}", "do-TAKE_OUT", "PT20M")
    names = [made["externalId"], check["externalId"], line["externalId"]]
    assert len(set(names)) == 3


def test_what_toast_cannot_hold_is_told() -> None:
    """Long texts are cut, missing numbers filled in, and the platform's own amounts stay out."""
    order = sold(
        Line("salad", "Salad", 1, usd(1000), usd(1000), note="n" * 300),
        customer=Customer("", "call me", "123", "zoë@example.com", Address("1 Park")),
        charges=(Charge("service", "S", usd(1), "platform"),),
        tips=(Tip(usd(1), "courier"),),
        discounts=(Discount("D", usd(1), "platform"),),
        taxes=(Tax("T", usd(1), "platform"),),
        note="Allergic",
    )
    made = drafted(order)
    assert {each.field for each in made.not_carried} == {
        "line salad note", "customer.phone", "customer.email", "customer.address", "charges owed to the platform", "courier's tip",
        "discounts funded by the platform", "taxes remitted by the platform",
    }  # fmt: skip
    (check,) = made.order.checks
    assert (check.customer.first_name, check.customer.last_name, check.customer.phone) == ("ubereats", "B2AB1", "6175550100")
    assert [each.display_name for each in check.selections[1:]] == ["Allergic", "phone call me · phone code 123"]
    assert len(check.selections[0].modifiers[0].display_name or "") == 255
    assert check.tax_exempt
    mixed = (Tax("T", usd(1), "platform"), Tax("U", usd(1), "merchant"))
    assert not drafted(sold(taxes=mixed)).order.checks[0].tax_exempt
    assert not drafted(sold()).order.checks[0].tax_exempt


def test_food_leaves_as_it_should() -> None:
    """A whole address makes a delivery, half of one a take-out; a time still to come is promised, one that is over is not."""
    address = Address("1 Park", "", "Boston", "02215", "US", "42.34", "x", "Ring")
    whole = sold(fulfilment=Fulfilment("delivery_by_merchant"), customer=Customer("J", "5555550100", address=address))
    info = drafted(whole).order.delivery_info
    assert info is not None
    assert (info.state, info.zip_code, info.latitude, info.longitude, info.notes) == ("MA", "02215", Decimal("42.34"), None, "Ring")
    half = drafted(sold(fulfilment=Fulfilment("delivery_by_merchant"), customer=Customer("J", "5555550100", address=Address("1 Park"))))
    assert (half.order.dining_option.guid, half.order.delivery_info) == ("do-TAKE_OUT", None)
    assert "fulfilment" in {each.field for each in half.not_carried}
    assert drafted(sold(fulfilment=Fulfilment("dine_in"))).order.dining_option.guid == "do-DINE_IN"
    later = sold(fulfilment=Fulfilment("pickup", scheduled_for=PLACED + timedelta(hours=3)))
    assert drafted(later).order.promised_date == "2026-01-10T21:00:00.000+0000"
    assert drafted(sold(fulfilment=Fulfilment("pickup", scheduled_for=PLACED - timedelta(hours=3)))).order.promised_date is None
    assert drafted(sold(), generation=2).order.external_id == f"HUB:{REFERENCE}-2"


def test_settings_choose_what_the_restaurant_has() -> None:
    """Names are found whatever their case; what is missing or unclear is a setting's fault and named."""
    chosen = msgspec.structs.replace(TERMS, cash_type="cash OUTSIDE", charge="Bag", takeout="delivery")
    cash = sold(payments=(Payment("cash", usd(1000)),))
    made = drafted(cash, chosen)
    assert (made.payment_type and made.payment_type.guid, made.raising and made.raising.guid) == ("pt-2", "sc-taxed")
    assert made.order.dining_option.guid == "do-DELIVERY"
    assert drafted(cash).payment_type is None
    first = drafted(sold())
    assert (first.raising and first.raising.guid, first.lowering and first.lowering.guid) == ("sc-fee", "di-open")
    assert (drafted(sold()).payment_type or TERMS.charges[0]).guid == "pt-1"
    for wrong, words in (({"payment_type": "X"}, "no payment type 'X'"), ({"dining_options": ()}, "no dining option for TAKE_OUT")):
        with pytest.raises(Misconfigured, match=words):
            drafted(sold(), msgspec.structs.replace(TERMS, **wrong))
    with pytest.raises(Misconfigured, match="Uber Eats, Cash outside"):
        drafted(sold(platform="deliveroo"))
    unknown = draft(task(sold(Line("cake", "Cake", 1, usd(1), usd(1)))), TERMS, PLACED)
    assert isinstance(unknown, PosRejected)
    assert "Cake" in unknown.reason


def test_an_unmapped_line_is_an_open_item_of_its_price() -> None:
    """With its options in the price and in words."""
    cake = Line("cake", "Cake", 2, usd(2000), usd(4200), modifiers=(Modifier("n", "Name", 1, usd(100)),), note="Thin")
    terms = msgspec.structs.replace(TERMS, open_item="mg:i-open")
    (line,) = json.loads(ENCODER.encode(drafted(sold(cake), terms).order))["checks"][0]["selections"]
    assert (line["item"]["guid"], line["openPriceAmount"], line["quantity"]) == ("i-open", 21.0, 2)
    assert [each["displayName"] for each in line["modifiers"]] == ["Cake, Name", "Thin"]


async def settled(made: Any, toast: Priced) -> Settled:
    """Settle against Toast's arithmetic."""

    async def ask(order: models.OrderSent) -> Quote:
        return quote_of(decode(json.dumps(toast.shown(json.loads(ENCODER.encode(order)))).encode(), models.Order), "USD")

    return await settle(made, ask)


@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 900), st.integers(0, 6000), st.sampled_from(["0", "0.08875", "0.2"]))
async def test_toast_s_total_becomes_what_is_owed(gross: int, line: int, fee: int, off: int, rate: str) -> None:
    """Whatever Toast's own price and tax: to the cent, with few questions, where charges and a discount can be open."""
    order = sold(
        Line("salad", "Salad", 1, usd(line), usd(line)),
        charges=(Charge("delivery", "Delivery Fee", usd(fee), "merchant"),),
        discounts=(Discount("Promo", usd(min(off, line + fee)), "merchant"),),
        taxes=(Tax("Tax", usd(7), "merchant"),),
    )
    toast, made = Priced(gross, rate), drafted(order)
    found = await settled(made, toast)
    assert found.total == order.merchant_total().amount
    assert toast.asked <= QUOTES


async def test_without_open_amounts_the_total_is_as_near_as_it_comes() -> None:
    """Nothing is invented: what is left over stays, and no more is paid than Toast asks or than is owed."""
    bare = msgspec.structs.replace(TERMS, charges=(), discounts=())
    for gross, due in ((900, 900), (1100, 1000)):
        made = drafted(sold(), bare)
        found = await settled(made, Priced(gross, "0"))
        assert (found.total, found.sums) == (gross, Sums())
        (check,) = paid(made, found).checks
        assert check.payments[0].amount == Decimal(due) / 100


def test_payments_carry_the_tip_and_amounts_are_numbers() -> None:
    """Neither text nor float; an order of nothing has no payment."""
    made = drafted(sold(tips=(Tip(usd(250), "merchant"),)))
    raw = ENCODER.encode(paid(made, Settled(Sums(), None, 1000)))
    assert b'"amount":10.00,"tipAmount":2.50' in raw
    assert b'"type":"OTHER"' in raw
    free = drafted(sold(Line("salad", "Salad", 1, usd(0), usd(0))))
    assert paid(free, Settled(Sums(), None, 0)).checks[0].payments == ()


@pytest.mark.parametrize(
    ("order", "guest", "state"),
    [
        ({"approvalStatus": "NEEDS_APPROVAL"}, "", "received"),
        ({"approvalStatus": "MAYBE_LATER"}, "RECEIVED", "received"),
        ({"approvalStatus": "APPROVED"}, "", "accepted"),
        ({"approvalStatus": "FUTURE"}, "", "accepted"),
        ({"approvalStatus": None}, "DANCING", "accepted"),
        ({"approvalStatus": "NOT_APPROVED"}, "", "failed"),
        ({"approvalStatus": "APPROVED"}, "IN_PREPARATION", "preparing"),
        ({"checks": [{"selections": [{"fulfillmentStatus": "SENT"}, {"fulfillmentStatus": "NEW"}]}]}, "", "preparing"),
        ({"checks": [{"selections": [{"fulfillmentStatus": "READY"}, {"fulfillmentStatus": "SENT"}]}]}, "", "preparing"),
        ({"checks": [{"selections": [{"fulfillmentStatus": "READY"}]}]}, "IN_PREPARATION", "ready"),
        ({"checks": [{"selections": [{"fulfillmentStatus": "READY"}, {"selectionType": "SPECIAL_REQUEST"}]}]}, "", "ready"),
        ({"deliveryInfo": {"deliveryState": "PICKED_UP"}}, "READY_FOR_PICKUP", "picked_up"),
        ({"deliveryInfo": {"deliveryState": "DELIVERED"}}, "", "delivered"),
        ({"checks": [{"paymentStatus": "CLOSED", "payments": [{"type": "OTHER"}]}]}, "", "accepted"),
        ({"checks": [{"paymentStatus": "CLOSED", "payments": [{"type": "CASH"}]}]}, "", "completed"),
        ({"checks": [{"paymentStatus": "CLOSED"}]}, "", "accepted"),
        ({}, "CLOSED", "completed"),
        ({"voided": True, "approvalStatus": "APPROVED"}, "CLOSED", "cancelled"),
        ({}, "VOIDED", "cancelled"),
    ],
)
def test_the_furthest_that_is_told_counts(order: Any, guest: str, state: str) -> None:
    """Approval, kitchen, driver, till and the guest's status; a check that the platform's payment closed says nothing."""
    assert state_of(decode(msgspec.json.encode(order), models.Order), guest) is OrderState(state)


def test_names_go_there_and_back() -> None:
    """Order ids hold the restaurant, external ids our reference and its generation; others' are not ours."""
    assert order_and_place(pos_id("o", "r")) == ("o", "r")
    assert order_and_place("o") == ("o", "")
    assert [reference_in(external_id(REFERENCE, generation)) for generation in (1, 2)] == [REFERENCE] * 2
    assert [reference_in(each) for each in ("UE:1", None, "")] == [""] * 3
    assert TERMS.raising("Bag") == Configured(guid="sc-taxed", name="Bag", amount_type="OPEN", taxable=True)
