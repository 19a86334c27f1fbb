"""The restaurants of the simulated group and how each is configured: dining options, taxes, charges, discounts, stations."""

import zoneinfo
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from adapters._sandbox.calls import ControlError, Json

from ._sandbox_checks import decimals, major, stamp
from ._sandbox_menu import STATIONS, TAXES, guid_of

HARBOUR = "d3a1f6c2-6b0e-4f0a-9a51-3f1c5b7e2a01"
MILL = "8c2e7b94-51d3-4c6e-8f27-6a90d4b1e702"
GROUP = "41f7b0c8-97a2-4e15-b3d6-2c8e5a9f1d03"
_SINCE = 1_756_000_000.0
_CLOSEOUT = 4
_PREP_TIMES = {
    f"{way}{name}": minutes
    for way in ("delivery", "takeout")
    for name, minutes in (("PrepTime", 15), ("TimeAfterOpen", 0), ("TimeBeforeClose", 0), ("ThrottlingTime", 0))
}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ENTITIES = {
    "diningOptions": "DiningOption",
    "alternatePaymentTypes": "AlternatePaymentType",
    "serviceCharges": "ServiceCharge",
    "discounts": "Discount",
    "taxRates": "TaxRate",
    "revenueCenters": "RevenueCenter",
    "tables": "Table",
    "voidReasons": "VoidReason",
}
"""The kinds of configuration that can be read, and their entity types."""


@dataclass
class Place:
    """A restaurant. `approval` is `auto`, or `staff` where nobody approves orders but a person."""

    ref: str
    name: str
    currency: str
    timezone: str
    online: bool = True
    approval: str = "auto"
    connected: bool = True
    changed: float = _SINCE
    config: dict[str, dict[str, Json]] = field(default_factory=dict)
    orders_made: int = 0

    def __post_init__(self) -> None:
        self.places = decimals(self.currency)
        try:
            self.zone = zoneinfo.ZoneInfo(self.timezone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
            raise ControlError(400, f"no time zone {self.timezone!r}") from error
        for kind in ENTITIES:
            self.config[kind] = {}
        self._configure()

    def _add(self, kind: str, key: str, name: str, **more: object) -> Json:
        made: Json = {"guid": guid_of(self.ref, kind, key), "entityType": ENTITIES[kind], "externalId": None, "name": name, **more}
        self.config[kind][made["guid"]] = made
        return made

    def _configure(self) -> None:
        options = (("dinein", "Dine In", "DINE_IN"), ("takeout", "Take Out", "TAKE_OUT"), ("delivery", "Delivery", "DELIVERY"))
        for key, name, behavior in options:
            self._add("diningOptions", key, name, behavior=behavior, curbside=False)
        self._add("diningOptions", "curbside", "Curbside", behavior="TAKE_OUT", curbside=True)
        for key, name in (("aggregator", "Delivery Platform"), ("cash", "External Cash")):
            self._add("alternatePaymentTypes", key, name)
        rates = {key: self._tax(key) for key in TAXES}
        self._charge("delivery", "Delivery Fee", "OPEN", delivery=True)
        self._charge("bag", "Bag Fee", "FIXED", amount=major(10, self.places), takeout=True, taxes=[rates["sales"]])
        self._charge("service", "Service 5%", "PERCENT", percent=5.0, gratuity=True)
        self._discount("promotion", "Platform Promotion", "OPEN_FIXED")
        self._discount("ten", "Ten Percent", "PERCENT", percentage=10.0)
        self._discount("fixed", "Welcome", "FIXED", amount=major(200, self.places))
        self._discount("open", "Manager Percent", "OPEN_PERCENT")
        self._add("revenueCenters", "main", "Online", description="")
        self._add("tables", "one", "1", serviceArea=None, revenueCenter=None)
        self._add("voidReasons", "guest", "Guest Cancelled")

    def _tax(self, key: str) -> Json:
        name, rate = TAXES[key]
        more = {"isDefault": key == "sales", "rate": float(rate), "type": "PERCENT", "roundingType": "HALF_UP"}
        return self._add("taxRates", key, name, **more, taxTable=[], conditionalTaxRates=[])

    def _charge(
        self,
        key: str,
        name: str,
        kind: str,
        *,
        amount: float | None = None,
        percent: float | None = None,
        gratuity: bool = False,
        delivery: bool = False,
        takeout: bool = False,
        taxes: list[Json] | None = None,
    ) -> None:
        self._add(
            "serviceCharges",
            key,
            name,
            amountType=kind,
            amount=amount,
            percent=percent,
            gratuity=gratuity,
            taxable=bool(taxes),
            applicableTaxes=taxes or [],
            criteria={"minCheckAmount": 0.0, "maxCheckAmount": None, "delivery": delivery, "takeout": takeout, "dineIn": False},
            serviceChargeCalculation="PRE_DISCOUNT" if kind == "PERCENT" else None,
            destination="SERVER" if gratuity else "RESTAURANT",
        )

    def _discount(self, key: str, name: str, kind: str, *, amount: float | None = None, percentage: float | None = None) -> None:
        self._add(
            "discounts",
            key,
            name,
            active=True,
            type=kind,
            amount=amount,
            percentage=percentage,
            selectionType="CHECK",
            nonExclusive=False,
            itemPickingPriority="FIRST",
            fixedTotal=None,
            promoCodes=[],
        )

    def business_date(self, at: float) -> int:
        """The business day (yyyyMMdd) of a moment: it ends at the closeout hour, local time."""
        return int((datetime.fromtimestamp(at, self.zone) - timedelta(hours=_CLOSEOUT)).strftime("%Y%m%d"))

    def info(self) -> Json:
        """The restaurant as the restaurants API shows it."""
        day = {
            "scheduleName": "every day",
            "services": [{"name": "All Day", "hours": {"startTime": "08:00:00.000", "endTime": "23:00:00.000"}, "overnight": False}],
            "openTime": "08:00:00.000",
            "closeTime": "23:00:00.000",
        }
        pay = {"cash": True, "ccSameDay": True, "ccFuture": True}
        return {
            "guid": self.ref,
            "general": {
                "name": self.name,
                "locationName": self.name.split()[0],
                "locationCode": self.ref[:4],
                "description": None,
                "timeZone": self.timezone,
                "closeoutHour": _CLOSEOUT,
                "managementGroupGuid": GROUP,
                "currencyCode": self.currency,
                "firstBusinessDate": 20240101,
                "archived": False,
            },
            "urls": dict.fromkeys(("website", "facebook", "twitter", "orderOnline", "purchaseGiftCard", "checkGiftCard")),
            "location": {
                "address1": "12 Harbour Street",
                "address2": None,
                "city": "Springfield",
                "stateCode": "MA",
                "administrativeArea": None,
                "zipCode": "01103",
                "country": "US",
                "phone": "5555550100",
                "phoneCountryCode": "1",
                "latitude": 42.1015,
                "longitude": -72.5898,
            },
            "schedules": {"daySchedules": {"all": day}, "weekSchedule": dict.fromkeys(_DAYS, "all")},
            "delivery": {"enabled": True, "minimum": 0.0, "area": None},
            "onlineOrdering": {
                "enabled": True,
                "scheduling": True,
                "specialRequests": True,
                "specialRequestsMessage": None,
                "paymentOptions": {"delivery": pay, "takeout": {**pay, "ccInStore": True}, "ccTip": True},
            },
            "prepTimes": _PREP_TIMES,
        }

    def availability(self) -> Json:
        """Whether online orders are taken, as the availability API shows it."""
        status = "ONLINE" if self.online else "OFFLINE"
        reason = "The restaurant takes online orders" if self.online else "The restaurant takes no online orders now"
        return {"restaurantGuid": self.ref, "status": status, "reasonKey": f"AVAILABILITY_{status}", "reason": reason}

    def schedule(self) -> Json:
        """The online ordering schedule."""
        days = [{"day": day.upper(), "timeRanges": [{"start": "08:00", "end": "23:00"}]} for day in _DAYS]
        return {
            "servicePeriods": [{"diningOptionBehavior": each, "dayPeriods": days} for each in ("TAKE_OUT", "DELIVERY")],
            "overrides": [],
            "acceptScheduledOrders": True,
            "scheduledOrderMaxDays": 7,
            "lastOrderConfiguration": "UNTIL_CLOSING_TIME",
            "timeZoneId": self.timezone,
        }

    def access(self) -> Json:
        """The restaurant's consent to the partner, as the partners API shows it."""
        return {
            "restaurantGuid": self.ref,
            "managementGroupGuid": GROUP,
            "deleted": not self.connected,
            "restaurantName": self.name,
            "locationName": self.name.split()[0],
            "createdByEmailAddress": "owner@example.com",
            "externalGroupRef": None,
            "externalRestaurantRef": None,
            "modifiedDate": int(self.changed * 1000),
            "createdDate": int(_SINCE * 1000),
            "isoModifiedDate": stamp(self.changed),
            "isoCreatedDate": stamp(_SINCE),
        }

    def stations(self) -> list[Json]:
        """Its prep stations, as the kitchen API shows them."""
        return [
            {
                "guid": guid_of(self.ref, "prepStations", key),
                "entityType": "PrepStation",
                "name": key.title(),
                "connectedPrepStations": [],
                "printingMode": "ON",
                "includeWithExpediter": True,
                "expoRouting": "SEND_TO_EXPO",
            }
            for key in STATIONS
        ]
