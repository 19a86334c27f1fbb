"""Orders as Toast's Orders API shows them, and as its webhooks do: without guests' data and external ids."""

from dataclasses import dataclass

from adapters._sandbox.calls import Json

from ._sandbox_checks import major, stamp
from ._sandbox_menu import TAXES, guid_of, location_id
from ._sandbox_places import Place
from ._sandbox_totals import Check, Order, Payment, Selection


@dataclass(frozen=True)
class View:
    """What a reader may see: guests' contact data, addresses, external ids."""

    guest: bool = True
    address: bool = True
    external: bool = True


WEBHOOK = View(guest=False, address=False, external=False)
_ADDRESS = ("address1", "address2", "city", "administrativeArea", "state", "zipCode", "country", "latitude", "longitude", "notes")
_NO_DEVICE = {"id": None}


def _reference(kind: str, guid: str | None, external: str | None = None) -> Json:
    return {"guid": guid, "entityType": kind, "externalId": external}


def _of(config: Json | None) -> Json | None:
    return None if config is None else _reference(config["entityType"], config["guid"])


def _at(moment_: float) -> str | None:
    return stamp(moment_) if moment_ else None


def shown(order: Order, view: View) -> Json:
    """The whole order."""
    place, body = order.place, order.body
    opened = order.promised or order.created
    closed = max((each.closed for each in order.checks), default=0) if all(each.closed for each in order.checks) else 0
    return {
        **_reference("Order", order.guid, order.external if view.external else None),
        "revenueCenter": body.get("revenueCenter"),
        "server": None,
        "table": body.get("table"),
        "serviceArea": None,
        "restaurantService": None,
        "lastModifiedDevice": _NO_DEVICE,
        "createdDevice": _NO_DEVICE,
        "source": "API",
        "duration": None,
        "businessDate": place.business_date(opened),
        "openedDate": stamp(opened),
        "createdDate": stamp(order.created),
        "modifiedDate": stamp(order.modified),
        "promisedDate": _at(order.promised),
        "estimatedFulfillmentDate": stamp(order.promised or order.created + 900) if order.dining["behavior"] != "DINE_IN" else None,
        "paidDate": _at(max((each.paid for check in order.checks for each in check.payments), default=0)),
        "closedDate": _at(closed),
        "deleted": False,
        "deletedDate": None,
        "voided": bool(order.voided),
        "voidDate": _at(order.voided),
        "voidBusinessDate": place.business_date(order.voided) if order.voided else None,
        "requiredPrepTime": body.get("requiredPrepTime"),
        "approvalStatus": order.approval,
        "numberOfGuests": int(body.get("numberOfGuests", 1)),
        "diningOption": _of(order.dining),
        "deliveryInfo": _delivery(order, view),
        "curbsidePickupInfo": _curbside(order) if view.guest else None,
        "checks": [_check(order, check, view) for check in order.checks],
        "pricingFeatures": ["TAXESV2"],
        "createdInTestMode": False,
        "excessFood": False,
        "displayNumber": order.checks[0].display,
    }


def _delivery(order: Order, view: View) -> Json | None:
    given = order.body.get("deliveryInfo")
    if given is None:
        return None
    address = {name: given.get(name) for name in _ADDRESS} if view.address else {}
    moved = {"deliveredDate": None, "dispatchedDate": None, "deliveryEmployee": None, "deliveryState": None, **order.delivery}
    return {**address, **moved, **({"notes": order.delivery["notes"]} if view.address and "notes" in order.delivery else {})}


def _curbside(order: Order) -> Json | None:
    given = order.body.get("curbsidePickupInfo")
    if given is None:
        return None
    guid = guid_of(order.guid, "curbside") if order.guid else None
    return {"guid": guid, "entityType": "CurbsidePickupInfo", "transportColor": None, "notes": None, **given}


def _customer(check: Check, view: View) -> Json | None:
    if check.customer is None or view == WEBHOOK:
        return None
    digits = "".join(sign for sign in check.customer["phone"] if sign.isdigit())
    contact = {"phone": digits, "email": check.customer["email"]} if view.guest else {"phone": None, "email": None}
    guid = guid_of("customer", check.customer["email"].lower()) if check.guid else None
    names = {name: check.customer[name] for name in ("firstName", "lastName")}
    return {"guid": guid, "entityType": "Customer", **names, **contact, "phoneCountryCode": check.customer.get("phoneCountryCode")}


def _check(order: Order, check: Check, view: View) -> Json:
    place, places = order.place, order.place.places
    charges = [
        {
            **_reference("AppliedServiceCharge", each.guid, each.external if view.external else None),
            "serviceCharge": _of(each.config),
            "chargeAmount": major(each.amount, places),
            "chargeType": each.config["amountType"],
            "name": each.config["name"],
            "delivery": each.config["criteria"]["delivery"],
            "takeout": each.config["criteria"]["takeout"],
            "dineIn": each.config["criteria"]["dineIn"],
            "gratuity": each.config["gratuity"],
            "taxable": each.config["taxable"],
            "appliedTaxes": [_tax(place, guid, amount, each.guid) for guid, amount in each.taxes],
            "serviceChargeCalculation": each.config["serviceChargeCalculation"],
            "serviceChargeCategory": "SERVICE_CHARGE",
            "refundDetails": None,
            "paymentGuid": None,
        }
        for each in check.charges
    ]
    discounts = [
        {
            **_reference("AppliedCustomDiscount", each.guid, each.external if view.external else None),
            "name": each.config["name"],
            "discountAmount": major(each.amount, places),
            "nonTaxDiscountAmount": major(each.amount, places),
            "discount": {"guid": each.config["guid"], "entityType": "Discount"},
            "triggers": [],
            "approver": None,
            "processingState": None,
            "appliedDiscountReason": None,
            "loyaltyDetails": None,
            "comboItems": [],
            "appliedPromoCode": each.promo,
            "discountType": each.config["type"],
            "discountPercent": each.config["percentage"],
        }
        for each in check.discounts
    ]
    return {
        **_reference("Check", check.guid, check.external if view.external else None),
        "displayNumber": check.display,
        "tabName": check.tab,
        "openedDate": stamp(order.created),
        "createdDate": stamp(order.created),
        "modifiedDate": stamp(order.modified),
        "closedDate": _at(check.closed),
        "paidDate": _at(max((each.paid for each in check.payments), default=0)),
        "deleted": False,
        "deletedDate": None,
        "voided": bool(order.voided),
        "voidDate": _at(order.voided),
        "voidBusinessDate": place.business_date(order.voided) if order.voided else None,
        "selections": [_selection(order, each, view) for each in check.selections],
        "customer": _customer(check, view),
        "appliedLoyaltyInfo": None,
        "taxExempt": check.exempt,
        "appliedServiceCharges": charges,
        "appliedDiscounts": discounts,
        "amount": major(check.amount, places),
        "taxAmount": major(check.tax, places),
        "totalAmount": major(check.total, places),
        "payments": [_payment(order, check, each, view) for each in check.payments],
        "paymentStatus": "CLOSED" if check.closed else "OPEN",
        "duration": None,
        "openedBy": None,
        "createdDevice": _NO_DEVICE,
        "lastModifiedDevice": _NO_DEVICE,
    }


def _tax(place: Place, guid: str, amount: int, owner: str | None) -> Json:
    rate = place.config["taxRates"][guid]
    return {
        "guid": guid_of(owner, guid) if owner else None,
        "entityType": "AppliedTaxRate",
        "taxRate": {"guid": guid, "entityType": "TaxRate"},
        "name": rate["name"],
        "displayName": rate["name"],
        "rate": rate["rate"],
        "taxAmount": major(amount, place.places),
        "type": "PERCENT",
        "facilitatorCollectAndRemitTax": None,
    }


def _selection(order: Order, line: Selection, view: View, *, inner: bool = False) -> Json:
    place, places, dish = order.place, order.place.places, line.dish
    entity = None
    if dish is not None:
        entity = {**_reference("MenuItem", dish.guid), "multiLocationId": dish.multi}
    inclusion = "INHERITED" if inner else "INCLUDED" if dish is not None and dish.included else "NOT_INCLUDED"
    return {
        **_reference("MenuItemSelection", line.guid, line.external if view.external else None),
        "item": entity,
        "itemGroup": {**_reference("MenuGroup", line.section), "multiLocationId": None} if line.section else None,
        "optionGroup": {**_reference("MenuOptionGroup", line.group.guid), "multiLocationId": location_id("group", line.group.key)}
        if line.group
        else None,
        "preModifier": None,
        "quantity": float(line.quantity),
        "seatNumber": -1,
        "unitOfMeasure": "NONE",
        "selectionType": "NONE" if dish is not None else "SPECIAL_REQUEST",
        "salesCategory": {"guid": guid_of("sales", "food"), "entityType": "SalesCategory"} if dish is not None else None,
        "appliedDiscounts": [],
        "deferred": False,
        "preDiscountPrice": major(line.before, places),
        "price": major(line.price, places),
        "tax": major(line.tax, places),
        "voided": bool(order.voided),
        "voidDate": _at(order.voided),
        "voidBusinessDate": place.business_date(order.voided) if order.voided else None,
        "voidReason": None,
        "refundDetails": None,
        "displayName": line.name,
        "plu": dish.plu if dish is not None else None,
        "createdDate": stamp(line.created),
        "modifiedDate": stamp(max(line.created, line.fired, line.done)),
        "modifiers": [_selection(order, each, view, inner=True) for each in line.modifiers],
        "fulfillmentStatus": line.status,
        "taxInclusion": inclusion,
        "appliedTaxes": [_tax(place, guid_of(place.ref, "taxRates", key), amount, line.guid) for key, amount in line.taxes if key in TAXES],
        "diningOption": _of(order.dining),
        "receiptLinePrice": major(line.unit, places),
        "optionGroupPricingMode": None,
    }


def _payment(order: Order, check: Check, payment: Payment, view: View) -> Json:
    place = order.place
    void = None
    if payment.voided:
        who = {"voidUser": None, "voidApprover": None, "voidReason": None}
        void = {**who, "voidDate": stamp(payment.voided), "voidBusinessDate": place.business_date(payment.voided)}
    return {
        **_reference("OrderPayment", payment.guid, payment.external if view.external else None),
        "type": "OTHER" if payment.kind else "CASH",
        "otherPayment": _of(payment.kind),
        "amount": major(payment.amount, place.places),
        "tipAmount": major(payment.tip, place.places),
        "amountTendered": None,
        "paidDate": stamp(payment.paid),
        "paidBusinessDate": place.business_date(payment.paid),
        "refundStatus": "NONE",
        "refund": None,
        "paymentStatus": "VOIDED" if payment.voided else "CAPTURED",
        "voidInfo": void,
        "orderGuid": order.guid,
        "checkGuid": check.guid,
        "server": None,
        "cashDrawer": None,
        "houseAccount": None,
        "cardEntryMode": None,
        "cardType": None,
        "last4Digits": None,
        "originalProcessingFee": None,
        "mcaRepaymentAmount": None,
        "createdDevice": _NO_DEVICE,
        "lastModifiedDevice": _NO_DEVICE,
    }
