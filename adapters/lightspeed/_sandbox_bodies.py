"""The bodies of orders and payments, field by field."""

from ._sandbox_checks import Check, flag, future, many, number, one_of, shape, text, whole

_DEPTH = 4


def _line(deeper: int, **more: Check) -> Check:
    line = {
        "quantity!": whole(32, 1),
        "sku!": text(25, 1),
        "customItemName": text(255),
        "customItemPrice": number,
        "modifiers": many(shape({"modifierId!": text(25, 1)})),
    }
    if deeper < _DEPTH:
        line["subItems"] = many(_line(deeper + 1))
    if deeper == 0:
        line |= {"discountCode": text(50), "discountAmountOverride": number, "discountPercentOverride": number, **more}
    return shape(line)


_CUSTOMER = shape(
    {
        "firstName!": text(128, 1),
        **dict.fromkeys(("lastName", "thirdPartyReference", "notes", "salutation"), text(255)),
        "email": text(255, 0, r"[^@\s]+@[^@\s]+"),
        "contactNumberAsE164": text(16, 0, r"\+[1-9]\d{6,14}"),
        "sendEmailReceipts": flag,
        "emailNotification": one_of("ENABLE", "DISABLE", "DONT_CHANGE"),
    }
)
_ORDER: dict[str, Check] = {
    "businessLocationId!": whole(64),
    "thirdPartyReference!": text(48, 1),
    "endpointId!": text(128, 1),
    "customerInfo!": _CUSTOMER,
    "orderNote": text(),
    "maxTimeToAttemptOrderDeliverToPos": whole(32, 60_000),
    "staffId": whole(64),
    "accountProfileCode": text(50),
    "scheduledTimeForOrderAsIso8601": future,
    "payment": shape({"paymentMethod": text(50), "paymentAmount!": number, "tipAmount": number}),
    "collectionCode": text(8),
    "orderCollectionTimeAsIso8601": future,
    "items": many(_line(0)),
    "targetPrinterProfileId": whole(64),
}
TO_GO = shape({**_ORDER, "deliveryAddress": shape(dict.fromkeys(("addressLine1", "addressLine2", "zip", "city"), text(255)))})
_LOCAL_ITEMS = many(_line(0, course=whole()))
LOCAL = shape(
    {
        **_ORDER,
        "items": _LOCAL_ITEMS,
        "accountIdentifier": text(50),
        "accountId": text(50),
        "tableNumber": text(20),
        "clientCount": whole(32, 0),
    }
)
PAYMENT = shape(
    {
        "businessLocationId!": whole(64),
        "endpointId!": text(128, 1),
        "paymentAmount!": number,
        "thirdPartyPaymentReference!": text(50, 1),
        "iKaccountIdentifier": text(50),
        "taskTtlInMs": whole(32, 60_000),
        "staffId": whole(64),
        "deviceId": whole(64),
        "paymentMethod": text(50),
        "tipAmount": number,
        "targetPrinterProfileId": whole(64),
    }
)
