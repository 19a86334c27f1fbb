"""The Financial API: closed checks as sales, single or added up, and the lists that explain them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from adapters._sandbox.calls import Call, Json, seconds

from ._sandbox_checks import refuse, written
from ._sandbox_menu import TAXES
from ._sandbox_orders import PAYMENT_METHODS, Orders
from ._sandbox_tickets import POS_ID, STAFF_ID, Account, Line, Store, everything, net

BUSINESS = {"id": 61700452100001, "name": "Harbour Street Group"}
_YEAR = 365 * 86_400
_PAGE = 1000
_INCLUDES = frozenset({"staff", "table", "consumer", "payments", "revenue_center", "account_profile", "payment_authorization"})
_GROUPS = ("Food", "Drinks", "Other")
_GROUPING = frozenset({"staff", "device", "deviceId", "tag", "accountingGroup", "statisticGroup"})
_POS_NAME, _STAFF_NAME = "POS 1", "Online Order"


def _utc(moment: float | None) -> str:
    return datetime.fromtimestamp(moment or 0, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _group(section: str) -> Json:
    return {
        "accountingGroupId": 61700452104000 + _GROUPS.index(section),
        "name": section,
        "statisticGroup": section,
        "code": section[:2].lower(),
    }


def _embedded(call: Call, name: str, rows: list[Json]) -> Json:
    return {"_embedded": {name: rows}, "_links": {"self": {"href": call.path}}}


class Reports:
    """Answers the Financial API. Amounts are decimal texts of major units."""

    def __init__(self, orders: Orders, stores: dict[str, Store]) -> None:
        self._orders = orders
        self._stores = stores

    def businesses(self, call: Call) -> Json:
        """Answer GET /f/data/businesses: one business for each currency."""
        rows = []
        for position, currency in enumerate(dict.fromkeys(store.currency for store in self._stores.values())):
            locations = [
                {"blName": store.name, "blID": int(store.id), "country": "FR", "timezone": store.timezone}
                for store in self._stores.values()
                if store.currency == currency
            ]
            identifier = int(str(BUSINESS["id"])) + position
            about = {"businessName": BUSINESS["name"], "businessId": identifier, "currencyCode": currency}
            rows.append({**about, "businessLocations": locations})
        return _embedded(call, "businessList", rows)

    def store(self, call: Call) -> Store:
        """The location in the path; raises Refused."""
        if (store := self._stores.get(call.params["businessLocationId"])) is None:
            raise refuse(call, f"Invalid input business location id {call.params['businessLocationId']}", 404)
        return store

    def tax_rates(self, call: Call) -> Json:
        """Answer GET tax-rates; a rate is a multiplier."""
        included = self.store(call).tax_included
        rows = [
            {"code": code, "description": name, "rate": float(1 + rate / 100), "taxIncluded": included}
            for rate, (code, name) in TAXES.items()
        ]
        return _embedded(call, "taxRateList", rows)

    def payment_methods(self, call: Call) -> Json:
        """Answer GET paymentMethods."""
        self.store(call)
        rows = [{"name": name, "code": code, "pmId": 61700452103000 + n} for n, (code, name) in enumerate(PAYMENT_METHODS.items())]
        return _embedded(call, "paymentMethodList", rows)

    def accounting_groups(self, call: Call) -> Json:
        """Answer GET accountingGroups."""
        self.store(call)
        return _embedded(call, "accountingGroupList", [_group(each) for each in _GROUPS])

    def financials(self, call: Call) -> Json:
        """Answer GET financials/{from}/{to}, a page at a time."""
        store = self.store(call)
        begin, end = self._range(call, call.params["from"], call.params["to"])
        size = call.query.get("pageSize", str(_PAGE))
        if not size.isdigit() or not 1 <= int(size) <= _PAGE:
            raise refuse(call, f"pageSize is from 1 to {_PAGE}")
        found = self._closed(store, begin, end)
        if token := call.query.get("nextPageToken"):
            places = [place for place, each in enumerate(found) if each.identifier == token]
            if not places:
                raise refuse(call, f"unknown nextPageToken {token}")
            found = found[places[0] :]
        page, more = found[: int(size)], found[int(size) :]
        answer = self._financial(store, page, self._include(call))
        answer["_links"] = {"self": {"href": call.path, "templated": True}}
        if more:
            query = {**call.query, "nextPageToken": more[0].identifier}
            href = f"{call.path}?{'&'.join(f'{name}={value}' for name, value in query.items())}"
            answer["_links"]["nextPage"] = {"href": href, "templated": True}
        return answer

    def daily(self, call: Call) -> Json:
        """Answer GET dailyFinancials: of a date, or of today."""
        store = self.store(call)
        begin, end = self._day(call, store)
        return self._financial(store, self._closed(store, begin, end), self._include(call))

    def by_reference(self, call: Call) -> Json:
        """Answer GET saleByExternalReference."""
        store, wanted = self.store(call), call.query.get("externalReferenceId", "")
        for each in self._closed(store, 0, float("inf")):
            if wanted in self._references(each):
                return self._sale(each, frozenset({"payments"}))
        raise refuse(call, f"no sale with the external reference {wanted}", 404)

    def aggregated(self, call: Call) -> Json:
        """Answer GET aggregatedSales: totals, then totals by each value of the first `groupBy`, and so on inside them."""
        store, query = self.store(call), call.query
        keys = [each.strip() for each in query.get("groupBy", "").split(",") if each.strip()]
        if not keys or set(keys) - _GROUPING:
            raise refuse(call, f"groupBy is of {', '.join(sorted(_GROUPING))}")
        if "from" in query or "to" in query:
            if "date" in query or not {"from", "to"} <= query.keys():
                raise refuse(call, "use either date, or both from and to")
            begin, end = self._range(call, query["from"], query["to"])
        else:
            begin, end = self._day(call, store)
        rows = [(line, count) for each in self._closed(store, begin, end) for line, count, _ in everything(each.lines)]
        return {**self._sums(rows, keys, store), **self._about(store)}

    def _sums(self, rows: list[tuple[Line, int]], keys: list[str], store: Store) -> Json:
        on_top = 0 if store.tax_included else 1
        amounts = {
            "totalAmount": sum(net(line, count) + on_top * line.tax for line, count in rows),
            "serviceCharge": 0,
            "totalDiscountedAmount": sum(line.discount for line, _ in rows),
            "totalTaxAmount": sum(line.tax for line, _ in rows),
        }
        sums: Json = {name: written(value, store.currency) for name, value in amounts.items()}
        sums["numberOfSales"] = len(rows)
        if keys:
            values: dict[str, list[tuple[Line, int]]] = {}
            for row in rows:
                values.setdefault(self._value(row[0], keys[0]), []).append(row)
            inner = [{"groupByValue": value, **self._sums(these, keys[1:], store)} for value, these in values.items()]
            sums["children"] = [{"groupByKey": keys[0], "children": inner}]
        return sums

    @staticmethod
    def _value(line: Line, key: str) -> str:
        fixed = {"staff": _STAFF_NAME, "device": _POS_NAME, "deviceId": str(POS_ID), "tag": "online"}
        return fixed.get(key, line.item.section)

    def _include(self, call: Call) -> frozenset[str]:
        wanted = frozenset(filter(None, call.query.get("include", "").split(",")))
        if wanted - _INCLUDES:
            raise refuse(call, f"include is of {', '.join(sorted(_INCLUDES))}")
        return wanted

    @staticmethod
    def _range(call: Call, begin: str, end: str) -> tuple[float, float]:
        try:
            # A plus sign in a query or path comes as a blank.
            first, last = (seconds(each.replace(" ", "+")) for each in (begin, end))
        except ValueError as error:
            raise refuse(call, "from and to are times with their offset") from error
        if not 0 <= last - first <= _YEAR:
            raise refuse(call, "the range from 'from' to 'to' is at most 365 days")
        return first, last

    @staticmethod
    def _day(call: Call, store: Store) -> tuple[float, float]:
        zone = ZoneInfo(store.timezone)
        try:
            day = date.fromisoformat(call.query["date"]) if "date" in call.query else datetime.now(zone).date()
        except ValueError as error:
            raise refuse(call, "date is YYYY-MM-DD") from error
        begin = datetime(day.year, day.month, day.day, tzinfo=zone)
        return begin.timestamp(), (begin + timedelta(days=1)).timestamp()

    def _closed(self, store: Store, begin: float, end: float) -> list[Account]:
        accounts = self._orders.accounts.values()
        return [each for each in accounts if each.store is store and each.state == "CLOSED" and begin <= (each.closed_at or 0) < end]

    @staticmethod
    def _about(store: Store) -> Json:
        tomorrow = datetime.now(ZoneInfo(store.timezone)).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return {"businessName": BUSINESS["name"], "nextStartOfDayAsIso8601": tomorrow.isoformat(), "dataComplete": True}

    def _financial(self, store: Store, accounts: list[Account], include: frozenset[str]) -> Json:
        sales = [self._sale(each, include) for each in accounts]
        return {**self._about(store), "businessLocationId": int(store.id), "sales": sales}

    @staticmethod
    def _references(account: Account) -> list[str]:
        return [f"TASK:OO-{account.store.id}-{each}" for each in account.references]

    def _sale(self, account: Account, include: frozenset[str]) -> Json:
        currency = account.store.currency
        sale: Json = {
            "accountReference": account.uuid,
            "accountFiscId": account.identifier,
            "receiptId": account.receipt,
            "source": {"initialAccountId": account.identifier},
            "salesLines": self._lines(account),
            "timeofOpening": _utc(account.opened_at),
            "timeofCloseAndPaid": _utc(account.closed_at),
            "cancelled": False,
            "accountProfileCode": account.profile,
            "ownerName": _STAFF_NAME,
            "ownerId": STAFF_ID,
            "type": "SALE",
            "externalReferences": self._references(account),
            "nbCovers": account.clients,
            "dineIn": account.profile == "TABLE",
            "deviceId": POS_ID,
            "deviceName": _POS_NAME,
        }
        if account.table and "table" in include:
            sale["tableNumber"] = account.table
        if "payments" in include:
            codes = list(PAYMENT_METHODS)
            sale["payments"] = [
                {
                    "code": each["method"],
                    "description": each["description"],
                    "paymentMethodId": 61700452103000 + codes.index(each["method"]),
                    "netAmountWithTax": written(each["amount"], currency),
                    "currency": currency,
                    "tip": written(each["tip"], currency),
                    "type": "NORMAL",
                    "externalReference": each["reference"],
                    "fiscDate": _utc(each["at"]),
                }
                for each in account.payments
            ]
        return sale

    @staticmethod
    def _lines(account: Account) -> list[Json]:
        currency, included = account.store.currency, account.store.tax_included
        rows: list[Json] = []
        for line, count, parent in everything(account.lines):
            value, rate, code = net(line, count), line.item.tax, TAXES[line.item.tax][0]
            amounts: dict[str, Any] = {
                "totalNetAmountWithTax": value if included else value + line.tax,
                "totalNetAmountWithoutTax": value - line.tax if included else value,
                "menuListPrice": line.item.price,
                "serviceCharge": 0,
                "discountAmount": line.discount,
                "taxAmount": line.tax,
                "totalDiscountAmount": line.discount,
            }
            rows.append(
                {
                    "id": f"S{POS_ID}.{line.id}",
                    **({"parentLineId": f"S{POS_ID}.{parent.id}"} if parent else {}),
                    **{name: written(amount, currency) for name, amount in amounts.items()},
                    **({"discountType": "DISCOUNT", "discountCode": line.discount_code} if line.discount_code else {}),
                    "taxCode": code,
                    "taxRatePercentage": f"{rate:.2f}",
                    "sku": line.item.sku,
                    "name": line.item.name,
                    **({"nameOverride": line.name} if line.name != line.item.name else {}),
                    "statisticGroup": line.item.section,
                    "quantity": str(count),
                    "accountingGroup": _group(line.item.section),
                    "currency": currency,
                    "tags": ["online"],
                    "timeofSale": _utc(account.opened_at),
                    "staffId": STAFF_ID,
                    "staffName": _STAFF_NAME,
                    "deviceId": POS_ID,
                    "deviceName": _POS_NAME,
                    "accountProfileCode": account.profile,
                }
            )
        return rows
