"""DoorDash's reports: ordered, made in minutes, and fetched from a link that lives for seconds."""

from datetime import date
from typing import Protocol
from urllib.parse import quote

import msgspec

from adapters.doordash import models
from hub.contract import Done, Extra, Rejected, Repeat, Request, Response, Step, decode
from hub.model.extras import ReportJob

PATH = "/dataexchange/v1/reports"
_FAILED = frozenset({"FAILED", "FAILURE", "ERROR", "CANCELLED", "EXPIRED"})


class ReportParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`kind` is DoorDash's word (ORDER_DETAIL, PAYOUT_SUMMARY, CONSUMER_FEEDBACK, ...); stores and businesses by DoorDash's numbers."""

    kind: str
    first_day: date
    last_day: date
    store_ids: tuple[int, ...] = ()
    business_ids: tuple[int, ...] = ()


class ReportRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A report that was ordered."""

    id: str


class Calls(Protocol):
    """What of the adapter the extras use."""

    def request(self, method: str, path: str, operation: str, body: object = None, *, about: str = "") -> Request:
        """A request with DoorDash's headers."""
        ...

    async def ask(self, request: Request) -> Response:
        """Send a read."""
        ...


def read_made(response: Response) -> Done:
    """The id of a report that was ordered; raises Drifted."""
    made: models.ReportMade = decode(response.body, models.ReportMade)
    return Done(made.report_id)


def job_of(report_id: str, told: models.ReportLink) -> ReportJob:
    """How far a report is."""
    status = (told.report_status or "").upper()
    if told.report_link and status not in _FAILED:
        return ReportJob(report_id, "ready", told.report_link)
    return ReportJob(report_id, "failed" if status in _FAILED else "running", detail=told.report_status or "")


def report_extras(calls: Calls) -> dict[str, Extra]:
    """Order a report; ask for its link."""

    async def create(params: ReportParams) -> Step:
        if params.last_day < params.first_day:
            raise Rejected("the last day is before the first")
        body: dict[str, object] = {
            "report_type": params.kind,
            "start_date": params.first_day.isoformat(),
            "end_date": params.last_day.isoformat(),
        }
        if params.store_ids:
            body["store_ids"] = params.store_ids
        if params.business_ids:
            body["business_ids"] = params.business_ids
        # Each call makes a report of its own, and they are not listed.
        return Step("report_create", calls.request("POST", PATH, "report_create", body), Repeat.NEVER)

    async def link(params: ReportRef) -> ReportJob:
        path = f"{PATH}/{quote(params.id, safe='')}/reportlink"
        response = await calls.ask(calls.request("GET", path, "report_link"))
        return job_of(params.id, decode(response.body, models.ReportLink))

    return {
        "report_create": Extra(
            title="Order a report",
            params=ReportParams,
            result=ReportJob,
            step=create,
            done=lambda done: ReportJob(done.vendor_ref, "running"),
        ),
        "report_link": Extra(title="Get a report's link (it ends after seconds)", params=ReportRef, result=ReportJob, read=link),
    }
