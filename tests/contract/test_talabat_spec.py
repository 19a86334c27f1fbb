"""Talabat's adapter held against Delivery Hero's official documents, where HUB_VENDOR_SPECS names them."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from adapters.talabat import models
from adapters.talabat.extras import BulkAvailability, LogParams, log_rows
from adapters.talabat.stores import change_body, status_from
from hub.contract import AmendTask, DecisionTask, Request, decode
from hub.model import Category, Item, Menu, Money, StockLevel, StoreChange
from tests.contract.openapi import vendor_spec
from tests.unit.adapters.talabat.talabat_orders import DISPATCH, TOKEN, mapped, raw, talabat


def sample(name: str) -> Any:
    """An official sample."""
    return json.loads(vendor_spec("talabat", name).read_text("utf-8"))


def document() -> Any:
    """The official description of the middleware."""
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(vendor_spec("talabat", "middlewareExternalApi.yaml").read_text("utf-8"))


async def requests() -> list[Request]:
    """One of each request that the adapter makes."""
    row = {
        "availabilityState": "OPEN",
        "changeable": True,
        "platformKey": "TB",
        "platformRestaurantId": "7",
        "availabilityStates": ["CLOSED"],
    }
    adapter, seam = talabat(
        list_orders={"orderIdentifiers": [], "count": 0},
        store_status=[row],
        menu_logs={"menuImportLogs": {}},
        fetch_order={"order": {**DISPATCH, "status": "accepted"}},
    )
    order = mapped(DISPATCH)
    refs = {**order.vendor_refs, "picked_up": order.vendor_refs["accept"]}
    task = DecisionTask("ord_1", TOKEN, "s", ready_at=datetime.now(UTC), fulfilment="pickup", vendor_refs=refs)
    names = ("accept_step", "reject_step", "cancel_step", "ready_step", "picked_up_step", "delay_step")
    steps = [getattr(adapter, name)(task) for name in names]
    steps.append(adapter.amend_step(AmendTask(task, order, {"plat-1": 0})))
    item = Item("tea", "Tea", Money(1250, "AED"))
    steps.append(adapter.push_menu_step("s", Menu("AED", (Category("hot", "Hot", ("tea",)),), (item,))))
    steps.append(await adapter.store_step("s", StoreChange("pause")))
    until = datetime.now(UTC) + timedelta(hours=1)
    for level in (StockLevel("a", True), StockLevel("a", False), StockLevel("a", False, until=until, kind="modifier")):
        steps.append(await adapter.availability_step("s", [level]))
    extras = adapter.extras()
    stock, logs = extras["bulk_availability"].step, extras["menu_import_logs"].read
    assert stock is not None
    assert logs is not None
    steps.append(await stock(BulkAvailability("s", ("a", "b"), available=False, next_business_day=True)))
    await logs(LogParams("s"))
    await adapter.open_orders("s")
    await adapter.fetch_order(TOKEN, b"")
    return [*seam.requests, *(step.request for step in steps)]


async def test_every_request_is_one_of_the_document() -> None:
    """Method, path, query names, and the bodies whose schema the document holds."""
    spec, seen = document(), set()
    for request in await requests():
        path = request.path.removeprefix("https://integration-middleware.stg.restaurant-partners.com")
        name = next(each for each in spec["paths"] if re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", each), path))
        operation = spec["paths"][name][request.method.lower()]
        seen.add((request.method, name))
        named = {each.get("name") for each in operation.get("parameters", []) if each.get("in") == "query"}
        assert set(request.query) <= named
        assert bool(request.body) is ("requestBody" in operation)
        if request.operation in ("availability", "bulk_availability"):
            schema = {"$ref": "#/components/schemas/CatalogItemAvailabilityUpdateRequest", "components": spec["components"]}
            # The document's oneOf overlaps itself: to be off until a time is also to be off.
            overlapping = json.dumps(schema, default=str).replace('"oneOf"', '"anyOf"')
            Draft202012Validator(json.loads(overlapping)).validate(json.loads(request.body))
    assert len(seen) == 11


async def test_bodies_are_like_the_official_samples() -> None:
    """Statuses, times and changes name nothing that the samples do not."""
    calls = sample("official_calls.json")
    sent = {request.operation: json.loads(request.body or b"{}") for request in await requests()}
    assert sent["accept"].keys() <= calls["order_status_order_accepted_request"].keys()
    assert sent["delay"].keys() == calls["adjust_preparation_time_request"].keys()
    assert (
        sent["amend"]["modifications"]["products"][0].keys()
        == calls["modifications_product_request"]["modifications"]["products"][0].keys()
    )
    assert sent["set_store"].keys() == calls["store_availability_put_open"].keys()
    official = sample("catalog_simple_official.json")["catalog"]["items"]
    for each in sent["push_menu"]["catalog"]["items"].values():
        like = next(one for one in official.values() if one["type"] == each["type"])
        # The official schedule misspells startTime; a category's order is in the other samples.
        assert each.keys() - like.keys() <= {"startTime", "order"}


def test_official_answers_and_calls_are_read() -> None:
    """The store's rows, the import's callback and log, and the assembled order."""
    calls = sample("official_calls.json")
    rows = decode(raw(calls["store_availability_get_200"]), list[models.Platform])
    assert status_from(rows).status == "unknown"
    assert change_body(rows[1:], StoreChange("open"))["platformKey"] == "FO_DE"
    adapter = talabat()[0]
    assert adapter.job_results(raw(calls["catalog_callback"]))[0].outcome == "running"
    assert [each.outcome for each in log_rows(raw(calls["menu_import_logs_200"]), "pyhhud")] == ["running", "unknown"]
    order = mapped(sample("order_dispatch_own_delivery_ae.json"))
    assert (order.total.amount, order.merchant_total().amount, order.not_carried) == (4400, 4100, ())
