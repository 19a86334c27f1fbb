"""Deliveroo's calls: their bytes, what its refusals mean, the menu it is sent, and what no simulator shows."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import pytest

from adapters.deliveroo import PROVIDER
from adapters.deliveroo.adapter import Deliveroo
from adapters.deliveroo.menu import menu_id, schedule, upload_body
from adapters.deliveroo.models import OpeningHours
from adapters.deliveroo.stores import hours_from
from hub.contract import (
    CAPABILITIES,
    AlreadyDone,
    AuthRevoked,
    Connected,
    DecisionTask,
    Drifted,
    JobResult,
    Misconfigured,
    NotFound,
    Place,
    RateLimited,
    Rejected,
    Repeat,
    Request,
    Response,
)
from hub.model import Category, Hours, Item, Menu, ModifierGroup, Money, StockLevel, StoreChange
from hub.model.menu import Modifier, Tax

T = TypeVar("T")
TASK = DecisionTask("ord_1", "gb:1-2", "s1", reason="busy", fulfilment="pickup", vendor_refs={"tablet": "no"})


class Answers:
    """Answers reads by operation, an exception is raised; keeps the requests."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.requests: list[Request] = []

    async def read(self, request: Request) -> Response:
        """The operation's answer; of a tuple the next one."""
        self.requests.append(request)
        answer = self.answers[request.operation]
        if isinstance(answer, tuple):
            answer, self.answers[request.operation] = answer[0], answer[1:]
        if isinstance(answer, Exception):
            raise answer
        return Response(200, {}, msgspec.json.encode(answer))

    async def remember(self, key: str, seconds: float, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask anew."""
        return await ask()


def adapter(http: Answers | None = None, brand: str = "the brand", *, tablet: bool = False) -> Deliveroo:
    """An adapter of one brand."""
    connection = Connected("con_1", "simulator", {"tablet": tablet}, details={"brand_id": brand} if brand else {})
    return Deliveroo(PROVIDER.facts, connection, http or Answers())


def answer(status: int, body: Any = None, **headers: str) -> Response:
    """What Deliveroo answers."""
    return Response(status, headers, b"" if body is None else msgspec.json.encode(body))


def test_the_facts_are_what_the_adapter_does() -> None:
    """Every capability listed is implemented and no other; every extra is there; the reasons have their fallback."""
    made = adapter()
    assert {name for name, kind in CAPABILITIES.items() if isinstance(made, kind)} == set(PROVIDER.facts.capabilities) - {"ingress"}
    assert set(made.extras()) == set(PROVIDER.facts.extras)
    assert set(PROVIDER.facts.reject_reasons.values()) <= {"closing_early", "busy", "ingredient_unavailable", "other"}


def test_decisions_by_status_and_by_sync_status() -> None:
    """The order's own word about a tablet goes before the setting; ids are encoded; each is safe to repeat."""
    step = adapter().accept_step(TASK)
    assert (step.request.method, step.request.path, step.repeat) == ("PATCH", "/order/v1/orders/gb%3A1-2", Repeat.NATURAL)
    assert (json.loads(step.request.body), step.request.operation, step.request.about) == ({"status": "accepted"}, "accept", "gb:1-2")
    body = json.loads(adapter(tablet=True).reject_step(TASK).request.body)
    assert body == {"status": "rejected", "reject_reason": "busy", "notes": "busy"}
    for task, tablet in (
        (DecisionTask("ord_1", "gb:1", "s1", reason="closed"), True),
        (msgspec.structs.replace(TASK, vendor_refs={"tablet": "yes"}), False),
    ):
        steps = adapter(tablet=tablet).accept_step(task), adapter(tablet=tablet).reject_step(task)
        assert {(step.request.method, step.request.operation) for step in steps} == {("POST", "sync_status")}
        assert [json.loads(step.request.body)["status"] for step in steps] == ["succeeded", "failed"]
        assert all(step.request.path.endswith("/sync_status") and b"occurred_at" in step.request.body for step in steps)


def test_stages() -> None:
    """Each word is a stage; a scheduled order's kitchen confirms it; a rider's pick-up and a long delay are not told."""
    made, scheduled = adapter(), msgspec.structs.replace(TASK, vendor_refs={"tablet": "no", "scheduled": "yes"})
    rider = msgspec.structs.replace(TASK, fulfilment="delivery_by_platform")
    steps = made.preparing_step(TASK), made.ready_step(TASK), made.picked_up_step(TASK)
    assert [json.loads(step.request.body)["stage"] for step in steps if step] == ["in_kitchen", "ready_for_collection", "collected"]
    confirm = made.preparing_step(scheduled).request
    assert (confirm.method, confirm.operation, json.loads(confirm.body)) == ("PATCH", "confirm", {"status": "confirmed"})
    assert made.picked_up_step(rider) is None
    now = datetime.now(UTC)
    late = msgspec.structs.replace(TASK, vendor_refs={"prepare_for": now.isoformat()}, ready_at=now + timedelta(minutes=3))
    step = made.delay_step(late)
    assert step is not None
    body = json.loads(step.request.body)
    assert (body["stage"], body["delay"]) == ("in_kitchen", 4)
    assert made.delay_step(msgspec.structs.replace(late, ready_at=now + timedelta(minutes=11))) is None


@pytest.mark.parametrize(
    ("operation", "response", "kind", "code"),
    [
        ("token", answer(401, {"error": "invalid_client"}), AuthRevoked, "invalid_client"),
        ("accept", answer(409, {"error": {"code": "conflict", "message": "m"}}), AlreadyDone, "conflict"),
        ("confirm", answer(409), AlreadyDone, ""),
        ("sync_status", answer(409), AlreadyDone, ""),
        ("ready", answer(409), AlreadyDone, ""),
        ("delay", answer(409), Rejected, ""),
        ("push_menu", answer(404, {"message": "no brand"}), Misconfigured, ""),
        ("set_store", answer(400, {"error": {"message": "Unable to open restaurant, reason: VACATION_MODE"}}), Rejected, "VACATION_MODE"),
        ("set_store", answer(400, {"error": {"code": "bad_request"}}), Rejected, "bad_request"),
        ("accept", answer(422, ["odd"]), Rejected, ""),
    ],
)
def test_refusals(operation: str, response: Response, kind: type[Exception], code: str) -> None:
    """Each row of the table."""
    error = adapter().failure(operation, response)
    assert type(error) is kind
    assert getattr(error, "code", "") == code


@pytest.mark.parametrize(
    ("operation", "after", "scope"),
    [("accept", 12.0, "order"), ("sync_status", 10.0, "order"), ("push_menu", 60.0, "store"), ("availability", 0.2, "store")],
)
def test_limits_are_waited_for(operation: str, after: float, scope: str) -> None:
    """No time is named, so the limit's own counts; a Retry-After and other calls are the shared table's."""
    error = adapter().failure(operation, answer(429))
    assert isinstance(error, RateLimited)
    assert (error.after, error.scope) == (after, scope)
    assert adapter().failure(operation, answer(429, **{"retry-after": "3"})) is None
    rest = [("list_orders", 429), ("accept", 401), ("accept", 404), ("accept", 500), ("accept", 204)]
    assert {adapter().failure(name, answer(status)) for name, status in rest} == {None}


def test_an_upload_leaves_its_job_unless_it_changes_nothing() -> None:
    """The step's name holds the menu, whatever the hub adds to it."""
    made, menu = adapter(), Menu("GBP", (Category("c", "Food", ("a",)),), (Item("a", "Tea", Money(1, "GBP")),))
    step = made.push_menu_step("s/1", menu)
    assert (step.request.path, step.request.about) == ("/menu/v1/brands/the%20brand/menus/hub-s%2F1", "s/1")
    done = made.read_step(f"{step.name}/msg_1", answer(202))
    assert (done.job, made.read_step(step.name, answer(200, {})).job) == (menu_id("s/1"), "hub-s/1")
    assert made.read_step(step.name, answer(200, {"result": "MATCH_EXISTING_MENU"})).data == {"unchanged": True}
    with pytest.raises(Drifted):
        made.read_step(step.name, Response(200, {}, b"<html>"))


@pytest.mark.parametrize(
    ("status", "errors", "outcome", "detail"),
    [
        (200, None, "done", ""),
        (400, {"processing": "bad", "images": [{"url": "u", "message": "gone"}]}, "failed", "bad; u gone"),
        (400, [{"code": "c", "message": "m", "field": "f"}, "odd"], "failed", "f c m; odd"),
        (500, None, "failed", "Deliveroo answered 500"),
    ],
)
def test_upload_results(status: int, errors: Any, outcome: Any, detail: str) -> None:
    """Errors are an object, a list or null."""
    result = {"http_status": status, "menu_id": "hub-1", "site_ids": [1], "errors": errors}
    notice = msgspec.json.encode({"event": "menu.upload_result", "body": {"menu_upload_result": result}})
    assert adapter().job_results(notice) == [JobResult("1", outcome, "hub-1", detail)]


def test_the_menu() -> None:
    """Types, prices by group, tax of options, names that fit, and the week in Deliveroo's days."""
    cheese, dear = Modifier("cheese", "Cheese", Money(50, "GBP")), Modifier("cheese", "Cheese", Money(80, "GBP"))
    groups = (
        ModifierGroup("g1", "Dips", 0, 0, (cheese, Modifier("tea", "Tea", Money(0, "GBP")))),
        ModifierGroup("g2", "More", 3, 2, (dear,)),
    )
    toast = Item(
        "toast", "T" * 130, Money(300, "GBP"), group_ids=("g1", "g2", "g3"), tax_ids=("a", "b"), image_url="https://i.example/1.png"
    )
    taxes = (Tax("a", "A", "12.50", inclusive=True), Tax("b", "B", "5", inclusive=True))
    menu = Menu("GBP", (Category("c", "Food", ("toast", "tea", "tea")),), (toast, Item("tea", "Tea", Money(150, "GBP"))), groups, taxes)
    made = upload_body("s1", menu)["menu"]
    items = {each["id"]: each for each in made["items"]}
    assert {key: (each["type"], each["plu"], each["tax_rate"]) for key, each in items.items()} == {
        "toast": ("ITEM", "toast", "17.5"),
        "tea": ("ITEM", "tea", "0"),
        "cheese": ("CHOICE", "cheese", "17.5"),
        "choice:tea": ("CHOICE", "tea", "17.5"),
    }
    assert items["cheese"]["price_info"]["overrides"] == [{"type": "MODIFIER", "id": "g2", "price": 80}]
    assert (len(items["toast"]["name"]["en"]), items["toast"]["modifier_ids"]) == (120, ["g1", "g2"])
    limits = [(each["item_ids"], each["min_selection"], each["max_selection"], each["repeatable"]) for each in made["modifiers"]]
    assert limits == [(["cheese", "choice:tea"], 0, 2, False), (["cheese"], 3, 3, True)]
    assert made["mealtimes"][0]["image"] == {"url": "https://i.example/1.png"}
    assert [day["day_of_week"] for day in made["mealtimes"][0]["schedule"]] == list(range(7))


def test_hours_past_midnight_are_two_periods() -> None:
    """What overlaps is one; a day that ends next day goes on there."""
    hours = (Hours("sunday", "18:00", "02:00"), Hours("monday", "01:00", "03:00"), Hours("monday", "10:00", "24:00"))
    assert schedule(hours) == {
        "monday": [{"start": "00:00", "end": "03:00"}, {"start": "10:00", "end": "23:59"}],
        "sunday": [{"start": "18:00", "end": "23:59"}],
    }


@pytest.mark.parametrize("menu", [
    Menu("GBP", (Category("c", "Al", ("a",)),), (Item("a", "Tea", Money(1, "GBP")),)),
    Menu("GBP", (Category("c", "All", ("a",)),), (Item("a", "T", Money(1, "GBP")),)),
    Menu("GBP", (Category("c", "All", ("a",)),), (Item("a", "Tea", Money(1, "EUR")),)),
    Menu("GBP", (Category("c", "All", ("a",)),), (Item("a", "Tea", Money(-1, "GBP")),)),
    Menu("GBP", (Category("c", "All", ("b",)),), (Item("a", "Tea", Money(1, "GBP")),)),
])  # fmt: skip
def test_what_a_menu_cannot_be_is_named(menu: Menu) -> None:
    """Short names, foreign currency, prices below zero, no dish at all."""
    with pytest.raises(Misconfigured):
        upload_body("s1", menu)


async def test_availability_asks_again_for_what_it_does_not_know() -> None:
    """A remembered menu that lacks an id is read anew; another's menu is taken as it is; a day is the end of `unavailable`."""
    old, new = ({"menu": {"items": [{"id": each} for each in ids]}} for ids in (["a"], ["a", "b", "choice:b"]))
    http = Answers(read_menu=(old, new, NotFound("none")))
    now = datetime.now(UTC)
    levels = [
        StockLevel("b", available=False, until=now + timedelta(hours=2)),
        StockLevel("a", available=False, until=now + timedelta(days=2)),
    ]
    first, second = [
        json.loads((await adapter(http).availability_step("s1", levels)).request.body)["item_unavailabilities"] for _ in range(2)
    ]
    assert [(each["item_id"], each["status"]) for each in first] == [("b", "unavailable"), ("choice:b", "unavailable"), ("a", "hidden")]
    assert [each["item_id"] for each in second] == ["b", "a"]


async def test_settings_that_are_wrong_are_named() -> None:
    """No brand, a brand of somebody else's, sites that send no order events."""
    with pytest.raises(Misconfigured, match="no brand_id"):
        await adapter(brand="").list_stores()
    brands = {"brands": [{"id": "theirs"}]}
    with pytest.raises(Misconfigured, match="it may use: theirs"):
        await adapter(Answers(list_brands=brands)).test()
    sites = {"sites": [{"location_id": 7, "orders_api_webhook_type": "POS"}]}
    made = adapter(Answers(list_brands={"brands": [{"id": "the brand", "market": "KW"}]}, list_sites=sites))
    assert "1 of them send no order events" in await made.test()
    assert [(store.ref, store.currency, store.timezone) for store in await made.list_stores()] == [("7", "", "Asia/Kuwait")]


async def test_an_order_of_another_id_is_drift() -> None:
    """The notice's order is the one that was asked for."""
    order = {"id": "gb:1", "location_id": "s1", "status": "placed", "items": [], "total_price": {"fractional": 1, "currency_code": "GBP"}}
    with pytest.raises(Drifted, match="got gb:1"):
        await adapter().fetch_order("gb:2", msgspec.json.encode({"event": "order.new", "body": {"order": order}}), {"s1": Place("GBP")})


def test_hours_are_read_in_either_shape() -> None:
    """By day with local times, or a list of days by name or number."""
    expected = (Hours("monday", "09:00", "17:00"), Hours("tuesday", "10:00", "11:00"))
    by_day = {"monday": [{"local_start_time": "09:00:00", "local_end_time": "17:00:00"}], "tuesday": [{"start": "10:00", "end": "11:00"}]}
    days = [
        {"day_of_week": 0, "time_periods": [{"start": "09:00", "end": "17:00"}]},
        {"day_of_week": "Tuesday", "time_periods": [{"start": "10:00", "end": "11:00"}]},
    ]
    assert hours_from(OpeningHours(by_day)) == hours_from(OpeningHours(days)) == expected
    for bad in ({"monday": [{"from": "9"}]}, {"monday": 3}, [3], 7):
        with pytest.raises(Drifted):
            hours_from(OpeningHours(bad))


async def test_what_a_site_does_not_take_is_said() -> None:
    """An empty week and no time at all are refused here."""
    for change in (StoreChange("hours"), StoreChange("prep_time")):
        with pytest.raises(Rejected):
            await adapter(Answers(workload_times={"quiet": 10, "busy": 21})).store_step("s1", change)
    step = await adapter(Answers(workload_times={"quiet": 10, "busy": 21})).store_step("s1", StoreChange("prep_time", prep_seconds=900))
    assert json.loads(step.request.body) == {"quiet": 15, "busy": 30}
