"""Read an order that is to be priced or made: its shape, what it refers to, and the rules of its modifier groups."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from adapters._sandbox.calls import Json

from ._sandbox_checks import (
    anything,
    checked,
    counting,
    flag,
    guid,
    is_guid,
    many,
    minor,
    moment,
    number,
    one_of,
    refuse,
    shape,
    text,
    time,
)
from ._sandbox_menu import Choice, Dish, Menu, guid_of
from ._sandbox_places import Place
from ._sandbox_totals import Charge, Check, Discount, Order, Payment, Selection, add_up

_MOST_CHECKS = 10
_DEEPEST = 6
_KEY = text(255, 3, r"[^:\s]+:.+")
_REFERENCE = shape({"guid": guid, "entityType": text(), "multiLocationId": text(40, 1), "externalId": text()})
_EMAIL = text(53, 3, r"[A-Za-z0-9_]+@[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)+")


def _selection(value: Any, at: str) -> None:
    if at.count("modifiers") > _DEEPEST:
        raise refuse("Modifiers are nested too deeply", at)
    _SELECTION(value, at)


_SELECTION = shape(
    {
        "entityType": one_of("MenuItemSelection"),
        "externalId": _KEY,
        "item": _REFERENCE,
        "itemGroup": _REFERENCE,
        "optionGroup": _REFERENCE,
        "preModifier": _REFERENCE,
        "quantity!": counting,
        "selectionType": one_of("NONE", "OPEN_ITEM", "SPECIAL_REQUEST", "PORTION"),
        "displayName": text(255, 1),
        "modifiers": many(_selection, most=100),
        "openPriceAmount": number,
        "externalPriceAmount": number,
        "unitOfMeasure": one_of("NONE"),
        "deferred": flag,
        "taxInclusion": text(),
    },
    *("guid", "seatNumber", "salesCategory", "appliedDiscounts", "preDiscountPrice", "price", "tax", "voided", "voidDate", "plu"),
    *("voidBusinessDate", "voidReason", "refundDetails", "premodifierPlu", "createdDate", "modifiedDate", "fulfillmentStatus"),
    *("fulfillment", "appliedTaxes", "diningOption", "receiptLinePrice", "optionGroupPricingMode", "splitOrigin"),
)
_PAYMENT = shape(
    {
        "entityType": text(),
        "externalId": _KEY,
        "type!": one_of("OTHER", "CREDIT"),
        "amount!": number,
        "tipAmount!": number,
        "amountTendered": number,
        "otherPayment": _REFERENCE,
        "paidDate": time,
    },
    *("guid", "paidBusinessDate", "cardEntryMode", "cardType", "refundStatus", "refund", "paymentStatus", "voidInfo", "server"),
    *("orderGuid", "checkGuid", "createdDevice", "lastModifiedDevice", "houseAccount", "cashDrawer", "last4Digits"),
    *("originalProcessingFee", "mcaRepaymentAmount"),
)
_DISCOUNT = shape(
    {"entityType": text(), "externalId": _KEY, "discount!": _REFERENCE, "discountAmount": number, "appliedPromoCode": text(100)},
    *("guid", "name", "nonTaxDiscountAmount", "discountType", "discountPercent", "approver", "processingState", "triggers", "comboItems"),
)
_CHARGE = shape(
    {"entityType": text(), "externalId": _KEY, "serviceCharge!": _REFERENCE, "chargeAmount": number},
    *("guid", "chargeType", "name", "delivery", "takeout", "dineIn", "gratuity", "taxable", "appliedTaxes", "paymentGuid"),
    *("serviceChargeCalculation", "serviceChargeCategory", "refundDetails"),
)
_CUSTOMER = shape(
    {
        "entityType": text(),
        "firstName!": text(255, 1),
        "lastName!": text(255, 1),
        "phone!": text(30, 7, r"\+?[0-9()\-. ]+"),
        "phoneCountryCode": text(5),
        "email!": _EMAIL,
    },
    "guid",
)
_CHECK = shape(
    {
        "entityType": one_of("Check"),
        "externalId": _KEY,
        "selections!": many(_selection, 1),
        "customer": _CUSTOMER,
        "payments": many(_PAYMENT, most=20),
        "appliedDiscounts": many(_DISCOUNT, most=1),
        "appliedServiceCharges": many(_CHARGE, most=20),
        "tabName": text(255),
        "displayNumber": text(60),
        "taxExempt": flag,
        "openedDate": time,
        "paidDate": time,
        "openedBy": _REFERENCE,
        "appliedLoyaltyInfo": anything,
    },
    *("guid", "amount", "taxAmount", "totalAmount", "paymentStatus", "voided", "voidDate", "voidBusinessDate", "createdDate", "duration"),
    *("closedDate", "modifiedDate", "deletedDate", "deleted", "createdDevice", "lastModifiedDevice"),
)
_ADDRESS = shape(
    {
        "address1!": text(255, 1),
        "address2": text(),
        "city!": text(255, 1),
        "state!": text(2, 2, "[A-Z]{2}"),
        "zipCode!": text(20, 1),
        "administrativeArea": text(),
        "country": text(2, 2, "[A-Z]{2}"),
        "latitude": number,
        "longitude": number,
        "notes": text(1000),
    },
    *("deliveredDate", "dispatchedDate", "deliveryEmployee", "deliveryState"),
)
_ORDER = shape(
    {
        "entityType": one_of("Order"),
        "externalId": _KEY,
        "diningOption!": _REFERENCE,
        "checks!": many(_CHECK, 1, 1000),
        "deliveryInfo": _ADDRESS,
        "curbsidePickupInfo": shape(
            {"entityType": text(), "transportColor": text(20), "transportDescription!": text(100, 1), "notes": text(100)}, "guid"
        ),
        "promisedDate": time,
        "openedDate": time,
        "paidDate": time,
        "requiredPrepTime": text(20, 3, r"PT(\d+H)?(\d+M)?"),
        "numberOfGuests": counting,
        "table": _REFERENCE,
        "server": _REFERENCE,
        "revenueCenter": _REFERENCE,
        "appliedPackagingInfo": anything,
        "marketplaceFacilitatorTaxInfo": anything,
    },
    *("guid", "source", "duration", "voided", "voidDate", "voidBusinessDate", "closedDate", "deletedDate", "deleted", "businessDate"),
    *("serviceArea", "restaurantService", "estimatedFulfillmentDate", "pricingFeatures", "approvalStatus", "createdDevice"),
    *("createdDate", "modifiedDate", "lastModifiedDevice", "createdInTestMode", "excessFood", "displayNumber", "channelGuid"),
)
_SELECTIONS, _PAYMENTS, _DISCOUNTS = many(_selection, 1), many(_PAYMENT, 1, 20), many(_DISCOUNT, 1, 1)


def prep_minutes(value: str) -> int:
    """Minutes of an ISO 8601 duration; raises Refused unless it is a multiple of five above zero."""
    found = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?", value)
    minutes = int(found[1] or 0) * 60 + int(found[2] or 0) if found else 0
    if minutes <= 0 or minutes % 5:
        raise refuse("requiredPrepTime is a multiple of five minutes above zero", "requiredPrepTime")
    return minutes


class Drafts:
    """Turns request bodies into orders with all their sums; raises Refused. `short` names what is out of stock."""

    def __init__(self, menu: Menu, short: Callable[[Place, Counter[str]], str]) -> None:
        self._menu = menu
        self._short = short

    def order(self, body: Json, place: Place, now: float) -> Order:
        """The order of a body, priced but not kept."""
        body = checked(_ORDER, body)
        if len(body["checks"]) > _MOST_CHECKS:
            raise refuse(f"An order has at most {_MOST_CHECKS} checks", "checks", 413)
        if "marketplaceFacilitatorTaxInfo" in body:
            raise refuse("This API client is not a marketplace facilitator", "marketplaceFacilitatorTaxInfo")
        dining = self._config(place, "diningOptions", body["diningOption"], "diningOption")
        for name, kind in (("table", "tables"), ("revenueCenter", "revenueCenters")):
            if name in body:
                self._config(place, kind, body[name], name)
        if "server" in body:
            raise refuse("No such employee", "server", 404)
        if dining["behavior"] == "DELIVERY" and "deliveryInfo" not in body:
            raise refuse("deliveryInfo is required for a DELIVERY dining option", "deliveryInfo")
        if dining["curbside"] and "curbsidePickupInfo" not in body:
            raise refuse("curbsidePickupInfo is required for a curbside dining option", "curbsidePickupInfo")
        if "requiredPrepTime" in body:
            prep_minutes(body["requiredPrepTime"])
        promised = moment(body["promisedDate"], "promisedDate") if "promisedDate" in body else 0.0
        if promised and promised < now - 60:
            raise refuse("promisedDate is in the past", "promisedDate")
        needs_guest = dining["behavior"] in {"TAKE_OUT", "DELIVERY"}
        checks = [self._check(each, place, now, f"checks[{n}]", needs_guest) for n, each in enumerate(body["checks"])]
        made = Order(place, body, dining, checks, body.get("externalId"), promised, created=now, modified=now)
        if dining["behavior"] == "DELIVERY":
            made.delivery = {"deliveryState": "PENDING"}
        self.in_stock(place, [line for check in checks for line in check.selections])
        return made

    def _check(self, body: Json, place: Place, now: float, at: str, needs_guest: bool) -> Check:
        if needs_guest and "customer" not in body:
            raise refuse("customer is required for TAKE_OUT and DELIVERY dining options", f"{at}.customer")
        check = Check(
            [self._line(each, place, f"{at}.selections[{n}]") for n, each in enumerate(body["selections"])],
            customer=body.get("customer"),
            tab=body.get("tabName"),
            display=body.get("displayNumber"),
            external=body.get("externalId"),
            exempt=body.get("taxExempt", False),
        )
        for n, each in enumerate(body.get("appliedServiceCharges", [])):
            check.charges.append(self._charge(each, place, f"{at}.appliedServiceCharges[{n}]"))
        check.discounts = [self._discount(each, place, f"{at}.appliedDiscounts") for each in body.get("appliedDiscounts", [])]
        check.payments = [self._payment(each, place, now, f"{at}.payments[{n}]") for n, each in enumerate(body.get("payments", []))]
        add_up(check, place)
        return check

    def lines(self, body: Any, place: Place) -> list[Selection]:
        """Selections that are added to a check."""
        made = [self._line(each, place, f"[{n}]") for n, each in enumerate(checked(_SELECTIONS, body))]
        self.in_stock(place, made)
        return made

    def payments(self, body: Any, place: Place, now: float) -> list[Payment]:
        """Payments that are added to a check."""
        return [self._payment(each, place, now, f"[{n}]") for n, each in enumerate(checked(_PAYMENTS, body))]

    def discounts(self, body: Any, place: Place) -> list[Discount]:
        """Discounts that are added to a check."""
        return [self._discount(each, place, f"[{n}]") for n, each in enumerate(checked(_DISCOUNTS, body))]

    def in_stock(self, place: Place, lines: list[Selection]) -> None:
        """Raise Refused when something is out of stock."""
        if short := self._short(place, wanted(lines)):
            raise refuse(f"Item {short} is out of stock", "selections")

    @staticmethod
    def _config(place: Place, kind: str, reference: Json, at: str) -> Json:
        if "guid" not in reference:
            raise refuse("guid is required", f"{at}.guid")
        found = place.config[kind].get(reference["guid"])
        if found is None:
            raise refuse(f"No such entity at this restaurant: {reference['guid']}", at, 404)
        return found

    def _charge(self, body: Json, place: Place, at: str) -> Charge:
        config = self._config(place, "serviceCharges", body["serviceCharge"], f"{at}.serviceCharge")
        if config["amountType"] == "OPEN" and "chargeAmount" not in body:
            raise refuse("chargeAmount is required for an OPEN service charge", f"{at}.chargeAmount")
        amount = minor(body["chargeAmount"], place.places, f"{at}.chargeAmount") if "chargeAmount" in body else 0
        return Charge(config, amount, body.get("externalId"))

    def _discount(self, body: Json, place: Place, at: str) -> Discount:
        config = self._config(place, "discounts", body["discount"], f"{at}.discount")
        if config["type"] == "OPEN_PERCENT":
            raise refuse("Open percent discounts cannot be applied", f"{at}.discount")
        if config["type"] == "OPEN_FIXED" and not body.get("discountAmount"):
            raise refuse("discountAmount is required for an open discount", f"{at}.discountAmount")
        amount = minor(body["discountAmount"], place.places, f"{at}.discountAmount") if "discountAmount" in body else 0
        return Discount(config, amount, body.get("appliedPromoCode"), body.get("externalId"))

    def _payment(self, body: Json, place: Place, now: float, at: str) -> Payment:
        if body["type"] == "CREDIT":
            raise refuse("No card of this payment was authorized", f"{at}.type")
        if "otherPayment" not in body:
            raise refuse("otherPayment is required for payments of type OTHER", f"{at}.otherPayment")
        kind = self._config(place, "alternatePaymentTypes", body["otherPayment"], f"{at}.otherPayment")
        amount = minor(body["amount"], place.places, f"{at}.amount")
        tip = minor(body["tipAmount"], place.places, f"{at}.tipAmount")
        paid = moment(body["paidDate"], f"{at}.paidDate") if "paidDate" in body else now
        return Payment(kind, amount, tip, paid, body.get("externalId"))

    def _line(self, body: Json, place: Place, at: str) -> Selection:
        if body.get("selectionType") == "SPECIAL_REQUEST":
            return _request(body, at)
        dish = self._dish(body, at)
        if dish.guid not in self._menu.items:
            raise refuse(f"No such menu item: {dish.guid}", f"{at}.item", 404)
        if "itemGroup" not in body:
            raise refuse("itemGroup is required", f"{at}.itemGroup")
        section = body["itemGroup"].get("guid", "")
        if section not in self._menu.sections(dish):
            known = is_guid(section) and any(section in self._menu.sections(each) for each in self._menu.items.values())
            raise refuse("The item is not in this menu group", f"{at}.itemGroup", 400 if known else 404)
        return self._made(body, dish, None, place, at, section)

    def _dish(self, body: Json, at: str) -> Dish:
        reference = body.get("item")
        if reference is None:
            raise refuse("item is required", f"{at}.item")
        identifier = reference.get("guid") or reference.get("multiLocationId")
        if not identifier:
            raise refuse("guid or multiLocationId is required", f"{at}.item")
        found = next((each for each in self._menu.everything() if identifier in {each.guid, each.multi}), None)
        if found is None:
            raise refuse(f"No such item: {identifier}", f"{at}.item", 404)
        return found

    def _made(self, body: Json, dish: Dish, group: Choice | None, place: Place, at: str, section: str = "") -> Selection:
        if "externalPriceAmount" in body:
            raise refuse("This API client is not a marketplace facilitator", f"{at}.externalPriceAmount")
        if "preModifier" in body:
            raise refuse("No such pre-modifier", f"{at}.preModifier", 404)
        if "openPriceAmount" in body and dish.price is not None:
            raise refuse("The item has a fixed price", f"{at}.openPriceAmount")
        unit = dish.price if dish.price is not None else minor(body.get("openPriceAmount", 0), place.places, f"{at}.openPriceAmount")
        made = Selection(dish, dish.name, unit, int(body["quantity"]), section, group, body.get("externalId"))
        chosen = body.get("modifiers", [])
        made.modifiers = [self._modifier(each, dish, place, f"{at}.modifiers[{n}]") for n, each in enumerate(chosen)]
        for key in dish.groups:
            self._obey(self._menu.groups[key], made.modifiers, at)
        return made

    def _modifier(self, body: Json, parent: Dish, place: Place, at: str) -> Selection:
        if body.get("selectionType") == "SPECIAL_REQUEST":
            return _request(body, at)
        if "optionGroup" not in body:
            raise refuse("optionGroup is required for a modifier", f"{at}.optionGroup")
        wanted_group = body["optionGroup"].get("guid", "")
        group = next((self._menu.groups[key] for key in parent.groups if self._menu.groups[key].guid == wanted_group), None)
        if group is None:
            known = any(each.guid == wanted_group for each in self._menu.groups.values())
            raise refuse("The item does not have this modifier group", f"{at}.optionGroup", 400 if known else 404)
        found = self._dish(body, at)
        option = next((each for _, each in group.options if each.guid == found.guid), None)
        if option is None:
            raise refuse("The modifier group does not have this option", f"{at}.item")
        return self._made(body, option, group, place, at)

    @staticmethod
    def _obey(group: Choice, modifiers: list[Selection], at: str) -> None:
        taken = Counter[str]()
        for each in modifiers:
            if each.group is group and each.dish is not None:
                taken[each.dish.guid] += each.quantity
        if not group.repeat and any(count > 1 for count in taken.values()):
            raise refuse(f"An option of {group.name} cannot be taken twice", f"{at}.modifiers")
        if taken.total() < group.least:
            raise refuse(f"{group.name} needs at least {group.least} modifiers", f"{at}.modifiers")
        if group.most is not None and taken.total() > group.most:
            raise refuse(f"{group.name} allows at most {group.most} modifiers", f"{at}.modifiers")


def _request(body: Json, at: str) -> Selection:
    if "displayName" not in body or "item" in body:
        raise refuse("A special request has a displayName and no item", f"{at}.displayName")
    return Selection(None, body["displayName"], 0, int(body["quantity"]), external=body.get("externalId"))


def wanted(lines: list[Selection], times: int = 1) -> Counter[str]:
    """How many of each item or option selections need, by GUID."""
    needed = Counter[str]()
    for line in lines:
        if line.dish is not None:
            needed[line.dish.guid] += line.quantity * times
        needed += wanted(line.modifiers, line.quantity * times)
    return needed


def station_of(place: Place, line: Selection) -> str:
    """The GUID of the prep station that makes a selection."""
    return guid_of(place.ref, "prepStations", line.dish.station if line.dish else "grill")
