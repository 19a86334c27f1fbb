"""DoorDash's reports: asked for, ready after a while, and fetched as a file from the link that is handed out."""

import csv
import io
from collections.abc import Iterable
from datetime import date
from typing import Any

from adapters._sandbox.calls import Json, timestamp

from ._sandbox_access import bad_field, refuse, take
from ._sandbox_orders import Placed

_TYPES = frozenset(
    {
        *("CONSUMER_FEEDBACK", "MENU_ITEM_ERROR", "MENU_OPEN_HOURS", "MENU_SPECIAL_HOURS", "ORDER_DETAIL", "PAYOUT_SUMMARY"),
        *("TRANSACTION_DETAIL", "TEMPORARY_DEACTIVATION", "AVOIDABLE_WAIT", "CANCELLED_ORDERS"),
        *("PROMOTION_PERFORMANCE", "SPONSORED_LISTING_PERFORMANCE"),
    }
)
_WITH_ORDERS = {"ORDER_DETAIL": (), "TRANSACTION_DETAIL": (), "CANCELLED_ORDERS": ("CANCELLED", "FAILED")}
_COLUMNS = ("ORDER_ID", "STORE_ID", "CREATED_AT", "STATUS", "CURRENCY", "SUBTOTAL", "TAX", "TIP", "TOTAL")


def check_report(body: Json, stores: Iterable[Json]) -> Json:
    """A checked order for a report: its type, dates and stores; raises Refused."""
    kind = take(body, "report_type", str, required=True)
    if kind not in _TYPES and not kind.startswith("NV_"):
        raise bad_field("report_type", f"is one of {', '.join(sorted(_TYPES))}")
    start, end = (_day(body, name) for name in ("start_date", "end_date"))
    if start > end:
        raise bad_field("end_date", "is before start_date")
    url = take(body, "webhook_url", str)
    if url is not None and not url.startswith(("http://", "https://")):
        raise bad_field("webhook_url", "has to be an address")
    take(body, "business_ids", list)
    known = {str(store["doordash_id"]): store["ref"] for store in stores}
    wanted: list[Any] = take(body, "store_ids", list) or list(known)
    if missing := [each for each in wanted if str(each) not in known]:
        raise refuse(404, "not_found", f"no store {missing[0]}")
    return {"type": kind, "start": start, "end": end, "stores": {known[str(each)] for each in wanted}, "webhook_url": url}


def _day(body: Json, name: str) -> str:
    text: str = take(body, name, str, required=True)
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise bad_field(name, "has to be YYYY-MM-DD") from error


def file_of(report: Json, orders: Iterable[Placed]) -> str:
    """The report's file, comma separated; orders for the reports that list them, else its head alone."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    states = _WITH_ORDERS.get(report["type"])
    for placed in orders if states is not None else ():
        at, ref, bill = timestamp(placed.created), placed.store["ref"], placed.bill
        if ref in report["stores"] and report["start"] <= at[:10] <= report["end"] and (not states or placed.state in states):
            row = (placed.id, placed.store["doordash_id"], at, placed.state, placed.store["currency"])
            writer.writerow((*row, bill.subtotal, bill.tax, bill.tip, bill.total))
    return out.getvalue()
